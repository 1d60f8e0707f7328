//! Time that passes: everything in the catalogue becomes older.

use jiff::SignedDuration;
use tokio::time::Instant;

use crate::store::ProductStore;
use crate::store::connection::{Connection, Work, on_either};
use crate::store::failure::Failure;

struct Pass {
    time: SignedDuration,
}

impl Work for Pass {
    type Answer = ();

    async fn run(&self, on: &mut Connection<'_>) -> Result<(), Failure> {
        const PASS: [&str; 3] = [
            "UPDATE products SET create_time = create_time - $1, update_time = update_time - $1,
                delete_time = delete_time - $1",
            "UPDATE product_versions SET create_time = create_time - $1, update_time = update_time - $1,
                delete_time = delete_time - $1, end_time = end_time - $1",
            "UPDATE product_changes SET change_time = change_time - $1",
        ];
        for pass in PASS {
            on_either!(on, |c| {
                sqlx::query(pass).bind(self.time.as_micros() as i64).execute(c).await?;
            });
        }
        Ok(())
    }
}

/// A row of which someone else changed the name.
struct Falsify;

impl Work for Falsify {
    type Answer = ();

    async fn run(&self, on: &mut Connection<'_>) -> Result<(), Failure> {
        const FALSIFY: &str = "UPDATE product_versions SET name = 'Other' WHERE product_id = 1 AND version = 1";

        on_either!(on, |c| {
            sqlx::query(FALSIFY).execute(c).await?;
        });
        Ok(())
    }
}

impl ProductStore {
    /// As if all that happened had happened so much earlier.
    pub(crate) async fn pass(&self, time: SignedDuration, deadline: Instant) {
        self.database.write(&Pass { time }, deadline).await.unwrap();
    }

    /// Changes what the first version of the first product was.
    pub(crate) async fn falsify(&self, deadline: Instant) {
        self.database.write(&Falsify, deadline).await.unwrap();
    }
}

//! A product service that hangs in the midst of a write, beside one that does not.

use std::io::Write as _;
use std::process::{Child, Stdio};

use anyhow::Context as _;
use harness::system::{Options, Role, System};
use harness::{eventually, health, postgres};
use proto::products::product_service_client::ProductServiceClient;
use rustix::process::Signal;

use crate::products::keeping::ask;
use crate::products::shop::draft;

/// Someone who has the row that every write takes, until this is dropped.
struct Holder(Child);

impl Holder {
    fn take(url: &str) -> anyhow::Result<Self> {
        let mut holder = postgres::client(url)?.stdin(Stdio::piped()).stdout(Stdio::null()).spawn()?;
        let take = b"BEGIN; UPDATE catalogue SET last_id = last_id;\n";
        holder.stdin.as_mut().context("it reads")?.write_all(take)?;
        Ok(Self(holder))
    }
}

impl Drop for Holder {
    fn drop(&mut self) {
        let _gone = self.0.kill().and_then(|()| self.0.wait());
    }
}

/// Waits until this many connections of the database are so.
async fn connections(url: &str, state: &str, wanted: usize) {
    let sql = format!("SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND {state}");
    eventually(state, async || {
        let found = ask(url, &sql)?;
        anyhow::ensure!(found == wanted.to_string(), "{found} are");
        Ok(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_product_service_that_hangs_in_a_write_does_not_hold_up_the_others() -> anyhow::Result<()> {
    // SQLite's lock is the kernel's, which waits for a stopped process as long as that is there.
    let Some(url) = postgres::database()? else { return Ok(()) };
    let options = Options { products: 2, database_url: Some(url.clone()), ..Options::default() };
    let mut system = System::prepare(options)?;
    for role in [Role::Registry, Role::Products(0), Role::Products(1)] {
        system.launch(role).await?;
    }
    system.ready().await;
    let connect = async |number| {
        let address = system.address(Role::Products(number))?;
        anyhow::Ok(ProductServiceClient::new(health::connect(address).await?))
    };
    let (mut hanging, mut other) = (connect(0).await?, connect(1).await?);

    let holder = Holder::take(&url)?;
    connections(&url, "state = 'idle in transaction'", 1).await;
    let request = draft("Claw hammer", "HAM-1");
    let write = mesh::spawn("writer", {
        let (mut client, request) = (hanging.clone(), request.clone());
        async move { client.create_product(request).await }
    });
    connections(&url, "wait_event_type = 'Lock'", 1).await;
    system.process(Role::Products(0))?.freeze().await?;
    drop(holder);
    // The row is its own now, and it does not know.
    connections(&url, "state = 'idle in transaction' AND application_name = 'productsvc'", 1).await;

    let added = eventually("another one writes", async || {
        other.create_product(draft("Mallet", "MAL-1")).await?.into_inner().product.context("no product")
    })
    .await;
    system.process(Role::Products(0))?.signal(Signal::CONT)?;

    let _told = write.await?;
    let repeated = eventually("what hung is written once", async || {
        hanging.create_product(request.clone()).await?.into_inner().product.context("no product")
    })
    .await;
    assert_eq!((repeated.version, repeated.id), (1, added.id + 1), "nothing of the first attempt is left");
    assert_eq!(ask(&url, "SELECT last_id || ' ' || live_products FROM catalogue")?, format!("{} 2", repeated.id));
    Ok(())
}

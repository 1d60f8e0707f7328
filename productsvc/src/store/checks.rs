//! Whether a database holds what the catalogue's rules allow: looked at, never changed.
//!
//! All checks see the database at one moment, and stream what they look at, so that
//! a catalogue of any size takes the same memory. A new check is a file below this one, and a
//! case of [`Check`].

mod categories;
mod changes;
mod clock;
mod file;
mod imports;
mod products;
mod search;
mod versions;

use crate::error::Error;
use crate::store::connection::{Connection, Work, on_either};
use crate::store::failure::{Failure, OpenError};
use crate::store::progress::Progress;
use crate::store::snapshot::Snapshot;
use crate::store::{books, copy, tables};

/// The database could not be checked to the end.
#[derive(Debug, thiserror::Error)]
pub enum CheckError {
    /// It could not be opened.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// A statement failed.
    #[error("the database failed: {0}")]
    Database(#[from] sqlx::Error),
    /// What is counted could not be counted anew.
    #[error("could not count anew: {0}")]
    Count(Error),
}

/// What is looked at, in this order.
#[derive(Debug, Clone, Copy)]
enum Check {
    File,
    Clock,
    Products,
    Versions,
    Changes,
    Imports,
    Categories,
    Search,
}

impl Check {
    const ALL: [Self; 8] = [
        Self::File,
        Self::Clock,
        Self::Products,
        Self::Versions,
        Self::Changes,
        Self::Imports,
        Self::Categories,
        Self::Search,
    ];

    /// What it is called, and the table whose rows it goes through.
    fn subject(self) -> (&'static str, Option<&'static str>) {
        match self {
            Self::File => ("the file", None),
            Self::Clock => ("counts", None),
            Self::Products => ("products", Some("products")),
            Self::Versions => ("versions", Some("product_versions")),
            Self::Changes => ("changes", Some("product_changes")),
            Self::Imports => ("imports", Some("import_jobs")),
            Self::Categories => ("categories", None),
            Self::Search => ("the search index", Some("products")),
        }
    }

    async fn run(self, on: &mut Connection<'_>, findings: &mut Findings<'_>) -> Result<(), sqlx::Error> {
        match self {
            Self::File => file::check(on, findings).await,
            Self::Clock => clock::check(on, findings).await,
            Self::Products => products::check(on, findings).await,
            Self::Versions => versions::check(on, findings).await,
            Self::Changes => changes::check(on, findings).await,
            Self::Imports => imports::check(on, findings).await,
            Self::Categories => categories::check(on, findings).await,
            Self::Search => search::check(on, findings).await,
        }
    }
}

/// Where checks tell what they find, and how far they are.
pub(super) struct Findings<'a> {
    tell: &'a mut (dyn FnMut(&str) + Send),
    progress: &'a Progress,
    count: u64,
}

impl Findings<'_> {
    /// Tells something that must not be.
    fn tell(&mut self, finding: &str) {
        self.count += 1;
        (self.tell)(finding);
    }

    /// Notes that a row was looked at.
    fn advance(&self) {
        self.progress.advance(1);
    }
}

/// Checks the database behind a URL, tells each finding, and says how many there are.
pub(super) async fn check(
    url: &str,
    tell: &mut (dyn FnMut(&str) + Send),
    progress: &Progress,
) -> Result<u64, CheckError> {
    let mut snapshot = Snapshot::open(url).await?;
    snapshot.begin().await?;
    let mut findings = Findings { tell, progress, count: 0 };
    if let Some(table) = tables::unlike(&mut snapshot.connection()).await? {
        findings.tell(&format!("the table {table} has other columns than this version of Rundoo knows"));
    }
    for check in Check::ALL {
        let (name, table) = check.subject();
        progress.begin(name, 0);
        if let Some(table) = tables::TABLES.iter().find(|known| Some(known.name) == table) {
            progress.begin(name, copy::count(table, &mut snapshot.connection()).await?);
        }
        check.run(&mut snapshot.connection(), &mut findings).await?;
    }
    Ok(findings.count)
}

/// Counts anew how many products there are, and has the categories counted anew at the next opening.
pub(super) struct Recount;

impl Work for Recount {
    type Answer = ();

    async fn run(&self, on: &mut Connection<'_>) -> Result<(), Failure> {
        const COUNT: &str = "UPDATE catalogue
            SET live_products = (SELECT COUNT(*) FROM products WHERE delete_time IS NULL), categories_counted = 0
            WHERE id = 1";

        let _taken = books::open(super::now(), on).await?;
        on_either!(on, |c| {
            sqlx::query(COUNT).execute(c).await?;
        });
        Ok(())
    }
}

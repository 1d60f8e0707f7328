//! Versions in one partition for each month: PostgreSQL's, where someone asked for it.

use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context as _;
use jiff::Timestamp;
use sqlx::QueryBuilder;
use tokio::time::Instant;

use crate::archive::Sums;
use crate::error::Error;
use crate::lake::Month;
use crate::store::ProductStore;
use crate::store::archives::Hold;
use crate::store::connection::{Connection, Work};
use crate::store::failure::Failure;

/// How long a table of any size may take to be copied.
const PATIENCE: Duration = Duration::from_secs(24 * 60 * 60);

/// Partitions that are there before their month begins: maintenance may fail for a while.
const AHEAD: usize = 3;

/// Partitions the versions of a PostgreSQL database, once.
pub async fn partition(url: &str) -> anyhow::Result<ExitCode> {
    let store = ProductStore::open(url).await.context("could not open the product database")?;
    let done = store.database.write(&Partition, Instant::now() + PATIENCE).await;
    store.close().await;
    anyhow::ensure!(done.context("could not partition the versions")?, "only PostgreSQL has partitions");
    Ok(ExitCode::SUCCESS)
}

/// Partitions the table of versions; answers whether the database can.
struct Partition;

impl Work for Partition {
    type Answer = bool;

    async fn run(&self, on: &mut Connection<'_>) -> Result<bool, Failure> {
        const PARTITION: &str = include_str!("../../optional/postgres/partition_versions.sql");

        let Connection::Postgres(c) = on else { return Ok(false) };
        sqlx::raw_sql(PARTITION).execute(&mut **c).await?;
        Ok(true)
    }
}

impl ProductStore {
    /// Makes the partitions of this month and those to come, where versions are partitioned.
    pub async fn prepare_partitions(&self, now: Timestamp, deadline: Instant) -> Result<(), Error> {
        if !self.database.read(&IsPartitioned, deadline).await? {
            return Ok(());
        }
        let mut month = Month::of(now);
        for _ in 0..=AHEAD {
            self.database.write(&MakePartition { month }, deadline).await?;
            month = month.next();
        }
        Ok(())
    }

    /// Drops the partition of a month if all that is in it adds up to this: answers whether
    /// there was one, and it did. Then no version of the month is here any more.
    pub async fn drop_partition(&self, hold: &Hold, expected: Sums, deadline: Instant) -> Result<bool, Error> {
        self.database.write(&DropPartition { hold, expected }, deadline).await
    }
}

/// Whether someone asked for partitions.
struct IsPartitioned;

impl Work for IsPartitioned {
    type Answer = bool;

    async fn run(&self, on: &mut Connection<'_>) -> Result<bool, Failure> {
        const FIND: &str =
            "SELECT EXISTS (SELECT 1 FROM pg_class WHERE oid = 'product_versions'::regclass AND relkind = 'p')";

        let Connection::Postgres(c) = on else { return Ok(false) };
        Ok(sqlx::query_scalar(FIND).fetch_one(&mut **c).await?)
    }
}

/// Makes the partition of a month unless it is there.
struct MakePartition {
    month: Month,
}

impl Work for MakePartition {
    type Answer = ();

    async fn run(&self, on: &mut Connection<'_>) -> Result<(), Failure> {
        // Readers and writers wait while it is made; they must not wait behind it, too.
        const IMPATIENT: &str = "SET LOCAL lock_timeout = '500ms'";
        const HAS_SOME: &str =
            "SELECT EXISTS (SELECT 1 FROM product_versions_default WHERE end_time >= $1 AND end_time < $2)";

        let Connection::Postgres(c) = on else { return Ok(()) };
        if partition_of(self.month, c).await?.is_some() {
            return Ok(());
        }
        let (start, end) = (self.month.start().as_microsecond(), self.month.end().as_microsecond());
        let has_some: bool = sqlx::query_scalar(HAS_SOME).bind(start).bind(end).fetch_one(&mut **c).await?;
        if has_some {
            // Nobody made it in time; the default partition keeps what it has.
            return Ok(());
        }
        sqlx::query(IMPATIENT).execute(&mut **c).await?;
        let mut sql: QueryBuilder<sqlx::Postgres> = QueryBuilder::new("CREATE TABLE IF NOT EXISTS ");
        sql.push(name(self.month)).push(" PARTITION OF product_versions FOR VALUES FROM (");
        sql.push(start).push(") TO (").push(end).push(")");
        sql.build().execute(&mut **c).await?;
        Ok(())
    }
}

struct DropPartition<'a> {
    hold: &'a Hold,
    expected: Sums,
}

impl Work for DropPartition<'_> {
    type Answer = bool;

    async fn run(&self, on: &mut Connection<'_>) -> Result<bool, Failure> {
        const IMPATIENT: &str = "SET LOCAL lock_timeout = '2s'";
        const IN_DEFAULT: &str =
            "SELECT EXISTS (SELECT 1 FROM product_versions_default WHERE end_time >= $1 AND end_time < $2)";

        self.hold.fence(on).await?;
        let Connection::Postgres(c) = on else { return Ok(false) };
        let Some(partition) = partition_of(self.hold.month, c).await? else { return Ok(false) };
        let (start, end) = (self.hold.month.start().as_microsecond(), self.hold.month.end().as_microsecond());
        let elsewhere: bool = sqlx::query_scalar(IN_DEFAULT).bind(start).bind(end).fetch_one(&mut **c).await?;
        if elsewhere {
            return Ok(false);
        }

        sqlx::query(IMPATIENT).execute(&mut **c).await?;
        // Nobody adds or purges a version from here on; who reads is not kept from it.
        let mut sql: QueryBuilder<sqlx::Postgres> = QueryBuilder::new("LOCK TABLE ");
        sql.push(&partition).push(" IN SHARE ROW EXCLUSIVE MODE");
        sql.build().execute(&mut **c).await?;
        let mut sql: QueryBuilder<sqlx::Postgres> = QueryBuilder::new(
            "SELECT COUNT(*)::TEXT, COALESCE(SUM(product_id), 0)::TEXT, COALESCE(SUM(version), 0)::TEXT,
                COALESCE(SUM(product_id::NUMERIC * version), 0)::TEXT
            FROM ",
        );
        sql.push(&partition);
        let found: (String, String, String, String) = sql.build_query_as().fetch_one(&mut **c).await?;
        let Sums { rows, products, versions, both } = self.expected;
        if found != (rows.to_string(), products.to_string(), versions.to_string(), both.to_string()) {
            return Ok(false);
        }
        let mut sql: QueryBuilder<sqlx::Postgres> = QueryBuilder::new("DROP TABLE ");
        sql.push(&partition);
        sql.build().execute(&mut **c).await?;
        Ok(true)
    }
}

/// The partition that is exactly of a month, as the server quotes its name.
async fn partition_of(month: Month, on: &mut sqlx::PgConnection) -> Result<Option<String>, Failure> {
    const FIND: &str = "SELECT c.oid::regclass::TEXT
        FROM pg_inherits i
        JOIN pg_class c ON c.oid = i.inhrelid
        WHERE i.inhparent = 'product_versions'::regclass AND pg_get_expr(c.relpartbound, c.oid) = $1";

    let (start, end) = (month.start().as_microsecond(), month.end().as_microsecond());
    let bound = format!("FOR VALUES FROM ('{start}') TO ('{end}')");
    Ok(sqlx::query_scalar(FIND).bind(bound).fetch_optional(on).await?)
}

fn name(month: Month) -> String {
    format!("product_versions_{}", month.to_string().replace('-', "_"))
}

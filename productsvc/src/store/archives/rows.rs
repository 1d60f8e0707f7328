//! The superseded versions of a month: counted, read in pages, compared, removed.

use std::collections::BTreeMap;

use jiff::Timestamp;
use sqlx::QueryBuilder;

use crate::lake::Month;
use crate::store::archives::Hold;
use crate::store::connection::{Connection, Work, on_either};
use crate::store::failure::Failure;
use crate::store::from_micros;
use crate::store::history::version_columns;
use crate::store::rows::{VersionRow, padded};
use crate::version::Version;

const DAY: i64 = 24 * 60 * 60 * 1_000_000;

/// Statements of keys, in the text of either database.
pub(in crate::store) struct Keys<'a> {
    pub(in crate::store) month: Month,
    pub(in crate::store) keys: &'a [(i64, i64)],
}

impl Keys<'_> {
    pub(in crate::store) fn select<DB: sqlx::Database>(&self) -> QueryBuilder<DB>
    where
        i64: sqlx::Type<DB> + for<'q> sqlx::Encode<'q, DB>,
    {
        self.push(QueryBuilder::new(concat!("SELECT ", version_columns!(), " FROM product_versions WHERE ")))
    }

    pub(in crate::store) fn delete<DB: sqlx::Database>(&self) -> QueryBuilder<DB>
    where
        i64: sqlx::Type<DB> + for<'q> sqlx::Encode<'q, DB>,
    {
        self.push(QueryBuilder::new("DELETE FROM product_versions WHERE "))
    }

    /// Exactly these keys. The bounds of the month leave only one partition where the table
    /// has some; SQLite uses no index for pairs, but does for the ids beside them.
    fn push<DB: sqlx::Database>(&self, mut sql: QueryBuilder<DB>) -> QueryBuilder<DB>
    where
        i64: sqlx::Type<DB> + for<'q> sqlx::Encode<'q, DB>,
    {
        sql.push("end_time >= ").push_bind(self.month.start().as_microsecond());
        sql.push(" AND end_time < ").push_bind(self.month.end().as_microsecond());
        sql.push(" AND product_id IN (");
        let mut ids = sql.separated(", ");
        for (product_id, _) in self.keys {
            ids.push_bind(*product_id);
        }
        sql.push(") AND (product_id, version) IN (");
        sql.push_values(self.keys, |mut values, (product_id, version)| {
            values.push_bind(*product_id).push_bind(*version);
        });
        sql.push(")");
        sql
    }
}

/// How many superseded versions each month up to a moment has.
pub(in crate::store) struct FindMonths {
    pub(in crate::store) end: Timestamp,
}

impl Work for FindMonths {
    type Answer = BTreeMap<Month, i64>;

    async fn run(&self, on: &mut Connection<'_>) -> Result<BTreeMap<Month, i64>, Failure> {
        // By days: a month is not known to both databases, a division is.
        const COUNT: &str = "SELECT end_time / 86400000000 AS day, COUNT(*) AS versions
            FROM product_versions
            WHERE end_time < $1
            GROUP BY end_time / 86400000000";

        let days: Vec<(i64, i64)> =
            on_either!(on, |c| sqlx::query_as(COUNT).bind(self.end.as_microsecond()).fetch_all(c).await?);
        let mut months = BTreeMap::new();
        for (day, versions) in days {
            *months.entry(Month::of(from_micros(day.saturating_mul(DAY)))).or_default() += versions;
        }
        Ok(months)
    }
}

/// The superseded versions of a month behind one, in the order of products and versions.
pub(in crate::store) struct FindSuperseded {
    pub(in crate::store) month: Month,
    /// Product and version.
    pub(in crate::store) after: (i64, i64),
    pub(in crate::store) limit: usize,
}

impl Work for FindSuperseded {
    type Answer = Vec<Version>;

    async fn run(&self, on: &mut Connection<'_>) -> Result<Vec<Version>, Failure> {
        const FIND: &str = concat!(
            "SELECT ",
            version_columns!(),
            " FROM product_versions
            WHERE (product_id, version) > ($1, $2) AND end_time >= $3 AND end_time < $4
            ORDER BY product_id, version
            LIMIT $5"
        );

        let (product_id, version) = self.after;
        let rows: Vec<VersionRow> = on_either!(on, |c| {
            let find = sqlx::query_as(FIND).bind(product_id).bind(version);
            let find = find.bind(self.month.start().as_microsecond()).bind(self.month.end().as_microsecond());
            find.bind(self.limit as i64).fetch_all(c).await?
        });
        Ok(rows.into_iter().map(Version::from).collect())
    }
}

/// Of these products and versions, those that are superseded and here.
pub(in crate::store) struct FindExact<'a> {
    pub(in crate::store) month: Month,
    pub(in crate::store) keys: &'a [(i64, i64)],
}

impl Work for FindExact<'_> {
    type Answer = Vec<Version>;

    async fn run(&self, on: &mut Connection<'_>) -> Result<Vec<Version>, Failure> {
        let mut found = Vec::with_capacity(self.keys.len());
        for keys in padded(self.keys) {
            let keys = Keys { month: self.month, keys: &keys };
            let rows: Vec<VersionRow> = on_either!(on, |c| keys.select().build_query_as().fetch_all(c).await?);
            found.extend(rows.into_iter().map(Version::from));
        }
        Ok(found)
    }
}

/// Removes these versions of a month, and answers how many were there.
pub(in crate::store) struct Remove<'a> {
    pub(in crate::store) hold: &'a Hold,
    /// Few enough for one transaction.
    pub(in crate::store) keys: &'a [(i64, i64)],
}

impl Work for Remove<'_> {
    type Answer = u64;

    async fn run(&self, on: &mut Connection<'_>) -> Result<u64, Failure> {
        self.hold.fence(on).await?;
        let mut removed = 0;
        for keys in padded(self.keys) {
            let keys = Keys { month: self.hold.month, keys: &keys };
            removed += on_either!(on, |c| keys.delete().build().execute(c).await?.rows_affected());
        }
        Ok(removed)
    }
}

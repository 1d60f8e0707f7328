//! The statements of archive runs: who has a month, and which parts of the lake count.

mod parts;
mod rows;

use jiff::{SignedDuration, Timestamp};

use crate::error::Error;
use crate::lake::Month;
use crate::store::connection::{Connection, Work, on_either};
use crate::store::failure::Failure;

pub use parts::{Archive, StoredPart};
pub(super) use parts::{FindArchives, FindParts, FindPartsOf, FindUnsettled, Keep, Settle};
#[cfg(test)]
pub(super) use rows::Keys;
pub(super) use rows::{FindExact, FindMonths, FindSuperseded, Remove};

/// A month, and the run that has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hold {
    /// Which month.
    pub month: Month,
    /// The run's own name.
    pub run: String,
}

impl Hold {
    /// Makes sure that the run still has the month, and keeps others out until the
    /// transaction ends.
    ///
    /// Whatever a run does stands behind this: clocks only decide who may try, so no clock
    /// that is wrong makes two runs do the same.
    pub(super) async fn fence(&self, on: &mut Connection<'_>) -> Result<(), Failure> {
        const TAKE: &str = "UPDATE archive_months SET run = run WHERE month = $1 AND run = $2";

        let held = on_either!(on, |c| {
            let take = sqlx::query(TAKE).bind(self.month.code()).bind(&self.run);
            take.execute(c).await?.rows_affected()
        });
        if held == 1 { Ok(()) } else { Err(Error::ArchiveRunning { month: self.month }.into()) }
    }
}

/// Gives a month to a run, unless another one has it.
pub(super) struct Take<'a> {
    pub(super) hold: &'a Hold,
    pub(super) now: Timestamp,
    pub(super) lease: SignedDuration,
}

impl Work for Take<'_> {
    type Answer = ();

    async fn run(&self, on: &mut Connection<'_>) -> Result<(), Failure> {
        const TAKE: &str = "INSERT INTO archive_months (month, run, lease_time, last_part)
            VALUES ($1, $2, $3, 0)
            ON CONFLICT (month) DO UPDATE SET run = excluded.run, lease_time = excluded.lease_time
            WHERE archive_months.run = excluded.run OR archive_months.lease_time <= $4";

        let Hold { month, run } = self.hold;
        let until = self.now + self.lease;
        let taken = on_either!(on, |c| {
            let take = sqlx::query(TAKE).bind(month.code()).bind(run).bind(until.as_microsecond());
            take.bind(self.now.as_microsecond()).execute(c).await?.rows_affected()
        });
        if taken == 1 { Ok(()) } else { Err(Error::ArchiveRunning { month: *month }.into()) }
    }
}

/// Has a month longer, or lets it go: until then nobody else may take it.
pub(super) struct Renew<'a> {
    pub(super) hold: &'a Hold,
    pub(super) until: Timestamp,
}

impl Work for Renew<'_> {
    type Answer = ();

    async fn run(&self, on: &mut Connection<'_>) -> Result<(), Failure> {
        const RENEW: &str = "UPDATE archive_months SET lease_time = $3 WHERE month = $1 AND run = $2";

        let Hold { month, run } = self.hold;
        let held = on_either!(on, |c| {
            let renew = sqlx::query(RENEW).bind(month.code()).bind(run).bind(self.until.as_microsecond());
            renew.execute(c).await?.rows_affected()
        });
        if held == 1 { Ok(()) } else { Err(Error::ArchiveRunning { month: *month }.into()) }
    }
}

/// The next number of a part of the month. A number is never given twice, so no two runs
/// ever write the same file.
pub(super) struct NextPart<'a> {
    pub(super) hold: &'a Hold,
}

impl Work for NextPart<'_> {
    type Answer = i64;

    async fn run(&self, on: &mut Connection<'_>) -> Result<i64, Failure> {
        const NEXT: &str = "UPDATE archive_months SET last_part = last_part + 1 WHERE month = $1 AND run = $2
            RETURNING last_part";

        let Hold { month, run } = self.hold;
        let number: Option<i64> =
            on_either!(on, |c| sqlx::query_scalar(NEXT).bind(month.code()).bind(run).fetch_optional(c).await?);
        Ok(number.ok_or(Error::ArchiveRunning { month: *month })?)
    }
}

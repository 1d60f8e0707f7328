//! What the store does for archive runs, and tells of what is in the lake.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use tokio::time::Instant;

use crate::error::Error;
use crate::lake::{Month, Part};
use crate::store::ProductStore;
use crate::store::archives::{
    Archive, FindArchives, FindExact, FindMonths, FindParts, FindPartsOf, FindSuperseded, FindUnsettled, Hold, Keep,
    NextPart, Remove, Renew, Settle, StoredPart, Take,
};
use crate::store::now;
use crate::version::Version;

impl ProductStore {
    /// How many superseded versions each month before `end` has. Reads all of them.
    pub async fn superseded_months(&self, end: Timestamp, deadline: Instant) -> Result<BTreeMap<Month, i64>, Error> {
        self.database.read(&FindMonths { end }, deadline).await
    }

    /// The superseded versions of a month behind a product and version, in their order.
    pub async fn superseded(
        &self,
        month: Month,
        after: (i64, i64),
        limit: usize,
        deadline: Instant,
    ) -> Result<Vec<Version>, Error> {
        self.database.read(&FindSuperseded { month, after, limit }, deadline).await
    }

    /// Of these products and versions, those that are superseded, of this month, and here.
    pub async fn find_superseded(
        &self,
        month: Month,
        keys: &[(i64, i64)],
        deadline: Instant,
    ) -> Result<Vec<Version>, Error> {
        self.database.read(&FindExact { month, keys }, deadline).await
    }

    /// Gives a month to a run for so long, or refuses: another one has it.
    pub async fn hold(&self, hold: &Hold, lease: SignedDuration, deadline: Instant) -> Result<(), Error> {
        self.database.write(&Take { hold, now: now(), lease }, deadline).await
    }

    /// Has a month for so long from now on.
    pub async fn renew(&self, hold: &Hold, lease: SignedDuration, deadline: Instant) -> Result<(), Error> {
        self.database.write(&Renew { hold, until: now() + lease }, deadline).await
    }

    /// The number of the month's next part.
    pub async fn next_part(&self, hold: &Hold, deadline: Instant) -> Result<i64, Error> {
        self.database.write(&NextPart { hold }, deadline).await
    }

    /// Lets parts count: their versions are found in the lake from now on.
    pub async fn keep_parts(&self, hold: &Hold, parts: &[Part], deadline: Instant) -> Result<(), Error> {
        self.database.write(&Keep { hold, parts, now: now() }, deadline).await
    }

    /// Removes these versions of the month, and answers how many were here. The list is
    /// one transaction's: keep it short.
    pub async fn remove_superseded(&self, hold: &Hold, keys: &[(i64, i64)], deadline: Instant) -> Result<u64, Error> {
        self.database.write(&Remove { hold, keys }, deadline).await
    }

    /// Notes that no version of a part is here any more.
    pub async fn settle_part(&self, hold: &Hold, part: i64, deadline: Instant) -> Result<(), Error> {
        self.database.write(&Settle { hold, part, now: now() }, deadline).await
    }

    /// The parts of a month that count.
    pub async fn parts(&self, month: Month, deadline: Instant) -> Result<Vec<StoredPart>, Error> {
        self.database.read(&FindParts { month }, deadline).await
    }

    /// The parts that may hold versions of a product, the latest month first.
    pub async fn parts_of(&self, product_id: i64, deadline: Instant) -> Result<Vec<Part>, Error> {
        self.database.read(&FindPartsOf { product_id }, deadline).await
    }

    /// The months of which some versions may be both here and in the lake.
    pub async fn unsettled_months(&self, deadline: Instant) -> Result<Vec<Month>, Error> {
        self.database.read(&FindUnsettled, deadline).await
    }

    /// The months of which versions are in the lake, behind the code of one.
    pub async fn archives(&self, after: i64, limit: usize, deadline: Instant) -> Result<Vec<Archive>, Error> {
        self.database.read(&FindArchives { after, limit }, deadline).await
    }
}

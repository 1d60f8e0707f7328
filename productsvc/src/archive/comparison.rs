//! Whether what a part holds is what the database has.

use std::collections::HashMap;

use crate::archive::run::Absent;
use crate::archive::{PATIENCE, within};
use crate::error::Error;
use crate::lake::{Month, Part, damaged};
use crate::store::ProductStore;
use crate::version::Version;

/// A comparison of one part.
pub(super) struct Comparison<'a> {
    store: &'a ProductStore,
    part: &'a Part,
    rows: i64,
    last: (i64, i64),
    /// What is still in the database.
    present: Sums,
}

/// What a set of versions adds up to: two sets that differ in one or two versions never
/// add up to the same.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Sums {
    /// How many there are.
    pub rows: i128,
    /// Of the ids of their products.
    pub products: i128,
    /// Of their numbers.
    pub versions: i128,
    /// Of id times number.
    pub both: i128,
}

impl Sums {
    fn add(&mut self, version: &Version) {
        let (id, number) = (i128::from(version.product.id), i128::from(version.product.version));
        self.rows += 1;
        self.products += id;
        self.versions += number;
        self.both += id * number;
    }
}

impl std::ops::AddAssign for Sums {
    fn add_assign(&mut self, other: Self) {
        self.rows += other.rows;
        self.products += other.products;
        self.versions += other.versions;
        self.both += other.both;
    }
}

impl<'a> Comparison<'a> {
    pub(super) fn new(store: &'a ProductStore, part: &'a Part) -> Self {
        Self { store, part, rows: 0, last: (0, 0), present: Sums::default() }
    }

    /// Compares the part's next versions: each must be in the database and the same, or its
    /// product purged, unless an earlier run may have removed it.
    pub(super) async fn next(&mut self, versions: &[Version], absent: Absent) -> Result<(), Error> {
        for version in versions {
            let key = key(version);
            if key <= self.last {
                return Err(damaged(self.part, &"its versions are not in their order"));
            }
            let ended = version.end_time.map(Month::of);
            if ended != Some(self.part.month) {
                return Err(damaged(self.part, &"it has versions of another month"));
            }
            self.last = key;
            self.rows += 1;
        }
        let keys: Vec<(i64, i64)> = versions.iter().map(key).collect();
        let here = self.store.find_superseded(self.part.month, &keys, within(PATIENCE)).await?;
        let here: HashMap<(i64, i64), Version> = here.into_iter().map(|version| (key(&version), version)).collect();
        let mut lacking = Vec::new();
        for version in versions {
            let (id, number) = key(version);
            match here.get(&(id, number)) {
                Some(same) if same == version => self.present.add(version),
                Some(_) => {
                    return Err(damaged(self.part, &format!("version {number} of product {id} is not as it was")));
                }
                None => lacking.push(id),
            }
        }
        lacking.dedup();
        if absent == Absent::MayBePurged {
            self.are_purged(&lacking).await?;
        }
        Ok(())
    }

    /// Whether all that was written was read.
    pub(super) fn end(self) -> Result<Sums, Error> {
        if self.rows != self.part.rows {
            let problem = format!("it has {} versions instead of {}", self.rows, self.part.rows);
            return Err(damaged(self.part, &problem));
        }
        Ok(self.present)
    }

    async fn are_purged(&self, ids: &[i64]) -> Result<(), Error> {
        for id in ids {
            match self.store.find(*id, within(PATIENCE)).await {
                Err(Error::ProductNotFound { .. }) => {}
                Ok(_) => return Err(damaged(self.part, &format!("it has a version of product {id} that nobody made"))),
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

/// What names a version.
pub(super) fn key(version: &Version) -> (i64, i64) {
    (version.product.id, version.product.version)
}

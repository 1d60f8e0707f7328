//! The history of a product wherever it is: in the database, and what is older in the lake.
//!
//! Versions of a product are numbered without gaps, so what the database lacks tells that
//! the lake is needed; it is asked for nothing otherwise. The database is read first: a
//! version is removed from it only when it is found in the lake.

use std::collections::BTreeMap;

use jiff::Timestamp;
use tokio::time::Instant;

use crate::error::Error;
use crate::lake::Lake;
use crate::product::Product;
use crate::store::ProductStore;
use crate::version::Version;
use crate::write::{Step, Write};

/// Reads versions. Cheap to clone.
#[derive(Debug, Clone)]
pub struct History {
    store: ProductStore,
    lake: Option<Lake>,
}

impl History {
    /// Reads from the database, and from the lake if there is one.
    pub fn new(store: ProductStore, lake: Option<Lake>) -> Self {
        Self { store, lake }
    }

    /// So many versions of a product before one, the newest first, and whether there are
    /// more. Where none of those is in the lake it is not asked, even if more may be there.
    pub async fn page(
        &self,
        id: i64,
        before: i64,
        size: usize,
        deadline: Instant,
    ) -> Result<(Vec<Version>, bool), Error> {
        let mut versions = self.store.versions(id, before, size + 1, deadline).await?;
        if !is_whole(&versions, before, size) {
            let is_before = |version: &Version| version.product.version < before;
            let mut all = self.archived(id, is_before, size + 1, deadline).await?;
            all.extend(versions.into_iter().map(|version| (version.product.version, version)));
            versions = all.into_values().rev().take(size + 1).collect();
        }
        let mut more = versions.len() > size;
        versions.truncate(size);
        if !more && versions.len() == size && versions.last().is_some_and(|last| last.product.version > 1) {
            more = !self.store.parts_of(id, deadline).await?.is_empty();
        }
        Ok((versions, more))
    }

    /// The versions of a product before one, the newest first.
    #[cfg(test)]
    pub(crate) async fn versions(
        &self,
        id: i64,
        before: i64,
        limit: usize,
        deadline: Instant,
    ) -> Result<Vec<Version>, Error> {
        Ok(self.page(id, before, limit, deadline).await?.0)
    }

    /// One version of a product.
    pub async fn find_version(&self, id: i64, version: i64, deadline: Instant) -> Result<Version, Error> {
        let missing = match self.store.find_version(id, version, deadline).await {
            Err(missing @ Error::VersionNotFound { .. }) => missing,
            found => return found,
        };
        if version >= self.store.find(id, deadline).await?.version {
            return Err(missing);
        }
        let is_it = |archived: &Version| archived.product.version == version;
        self.archived(id, is_it, 1, deadline).await?.remove(&version).ok_or(missing)
    }

    /// A product as it was at a moment.
    pub async fn find_as_of(&self, id: i64, moment: Timestamp, deadline: Instant) -> Result<Product, Error> {
        let here = self.store.find_as_of(id, moment, deadline).await?;
        let not_yet = || Error::ProductNotFound { id };
        match here {
            Some(version) if version.end_time.is_none_or(|end| end > moment) => return Ok(version.product),
            // The one that followed it had begun, too, and is not here.
            Some(_) => {}
            None if self.store.find(id, deadline).await?.create_time > moment => return Err(not_yet()),
            None => {}
        }
        let had_begun = |version: &Version| version.product.update_time <= moment;
        let archived = self.archived(id, had_begun, 1, deadline).await?.pop_last().map(|(_, version)| version);
        let newest = [here, archived].into_iter().flatten().max_by_key(|version| version.product.version);
        newest.map(|version| version.product).ok_or_else(not_yet)
    }

    /// Gives the steps of a write the earlier versions that they are about and that only
    /// the lake has. Nothing is locked yet.
    pub async fn resolve(&self, write: &mut Write, deadline: Instant) -> Result<(), Error> {
        for step in &mut write.steps {
            if let Step::Restore { id, version, earlier, .. } = step {
                match self.find_version(*id, *version, deadline).await {
                    Ok(found) => *earlier = found.end_time.map(|_| Box::new(found.product)),
                    // The write says so itself, and which of its steps it is.
                    Err(Error::ProductNotFound { .. } | Error::VersionNotFound { .. }) => {}
                    Err(error) => return Err(error),
                }
            }
        }
        Ok(())
    }

    /// Versions of a product in the lake, by their numbers: at least `enough` of the newest
    /// that are wanted, if there are so many.
    async fn archived(
        &self,
        id: i64,
        is_wanted: impl Fn(&Version) -> bool,
        enough: usize,
        deadline: Instant,
    ) -> Result<BTreeMap<i64, Version>, Error> {
        let parts = self.store.parts_of(id, deadline).await?;
        let mut found = BTreeMap::new();
        if parts.is_empty() {
            return Ok(found);
        }
        let lake = self.lake.as_ref().ok_or(Error::NoLake)?;
        let search = async {
            // A later month has later versions only; in one month any part may have any.
            for month in parts.chunk_by(|a, b| a.month == b.month) {
                for part in month {
                    let versions = lake.find(part, id).await?.into_iter().filter(&is_wanted);
                    found.extend(versions.map(|version| (version.product.version, version)));
                }
                if found.len() >= enough {
                    break;
                }
            }
            Ok(())
        };
        let late = Error::LakeAway { cause: "it did not answer in time".to_owned() };
        tokio::time::timeout_at(deadline, search).await.unwrap_or(Err(late))?;
        Ok(found)
    }
}

/// Whether versions, the newest first, are all that there are before one, up to a limit.
fn is_whole(versions: &[Version], before: i64, limit: usize) -> bool {
    let present = versions.first().filter(|version| version.end_time.is_none());
    let newest = present.map_or(before.saturating_sub(1), |version| version.product.version);
    let follow = versions.iter().zip(0..).all(|(version, place)| version.product.version == newest - place);
    follow && (versions.len() >= limit || newest <= versions.len() as i64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::version::{Author, Kind, Origin};

    fn versions(numbers: &[i64], present: i64) -> Vec<Version> {
        let version = |number: i64| Version {
            product: Product {
                id: 1,
                name: "Saw".to_owned(),
                category: "Tools".to_owned(),
                sku: "S-1".to_owned(),
                version: number,
                create_time: Timestamp::UNIX_EPOCH,
                update_time: Timestamp::UNIX_EPOCH,
                delete_time: None,
            },
            origin: Origin { kind: Kind::Updated, author: Author::default() },
            end_time: (number < present).then_some(Timestamp::UNIX_EPOCH),
        };
        numbers.iter().map(|number| version(*number)).collect()
    }

    #[test]
    fn versions_without_a_gap_down_to_the_first_are_whole() {
        let cases: [(&[i64], i64, usize, bool); 10] = [
            (&[3, 2, 1], i64::MAX, 50, true),
            (&[3, 2], i64::MAX, 2, true),
            (&[3, 2], i64::MAX, 50, false),
            (&[3, 1], i64::MAX, 50, false),
            (&[2, 1], 3, 50, true),
            (&[1], 3, 50, false),
            (&[2], 3, 50, false),
            (&[2], 3, 1, true),
            (&[], 3, 50, false),
            (&[], 1, 50, true),
        ];
        for (numbers, before, limit, whole) in cases {
            assert_eq!(is_whole(&versions(numbers, 3), before, limit), whole, "{numbers:?} before {before}");
        }
    }
}

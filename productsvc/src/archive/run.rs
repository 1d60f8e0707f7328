//! One month of a run.

use tracing::{info, warn};

use crate::archive::comparison::{Comparison, Sums, key};
use crate::archive::{Archiver, PATIENCE, PATIENCE_OF_A_SCAN, Progress, Stage, Told, tell, within};
use crate::error::Error;
use crate::lake::{Lake, Part, PartWriter, blocking};
use crate::store::{Hold, ProductStore};
use crate::version::Version;

/// Versions that are read at once.
const PAGE: usize = 1000;

/// Versions that are compared, or removed in one transaction: others want to write too.
const PIECE: usize = 500;

/// How often it is told how far it is, in versions.
const NOW_AND_THEN: i64 = 10_000;

/// A month that a run has.
pub(super) struct Run<'a> {
    archiver: &'a Archiver,
    store: &'a ProductStore,
    lake: &'a Lake,
    hold: &'a Hold,
    told: &'a Told,
}

/// How far a stage is.
struct Stride {
    stage: Stage,
    rows: i64,
    total: i64,
    told: i64,
}

impl<'a> Run<'a> {
    pub(super) fn new(archiver: &'a Archiver, hold: &'a Hold, told: &'a Told) -> Self {
        Self { archiver, store: &archiver.store, lake: &archiver.lake, hold, told }
    }

    /// Archives the month, which has so many versions in the database.
    pub(super) async fn month(self, total: i64) -> Result<(), Error> {
        let month = self.hold.month;
        let stored = self.store.parts(month, within(PATIENCE)).await?;
        let mut parts: Vec<Part> = stored.iter().map(|stored| stored.part.clone()).collect();
        for part in &parts {
            self.lake.require(part).await?;
        }
        let named = self.lake.manifest(month).await?;
        let adopted = self.adopt(&named, &parts).await?;
        parts.extend(adopted.iter().cloned());
        let swept = self.lake.sweep(month, &parts).await?;
        if swept > 0 {
            warn!("removed {swept} files of {month} that a run left which did not end");
        }

        let left = stored.into_iter().filter(|stored| !stored.removed).map(|stored| stored.part);
        let old: Vec<Part> = left.chain(adopted).collect();
        let sums = self.verify(&old, Absent::MayBeRemoved).await?;
        let mut removed = self.remove(&old, sums).await?;

        let new = self.write(total - removed).await?;
        let sums = self.verify(&new, Absent::MayBePurged).await?;
        parts.extend(new.iter().cloned());
        if named != parts {
            // Still ours: nobody else names other parts at the same time.
            self.store.renew(self.hold, self.archiver.lease, within(PATIENCE)).await?;
            self.lake.put_manifest(month, &parts).await?;
        }
        self.store.keep_parts(self.hold, &new, within(PATIENCE)).await?;
        removed += self.remove(&new, sums).await?;
        info!("archived {removed} versions of {month}, in {} new files", new.len());
        self.tell(Stage::Done, removed, removed).await
    }

    /// The parts that the manifest names and the database does not know: a run ended between
    /// the two, or the database is of before them. They count when they hold what is here.
    async fn adopt(&self, named: &[Part], known: &[Part]) -> Result<Vec<Part>, Error> {
        let mut adopted = Vec::new();
        for part in named {
            if known.iter().any(|known| known.number == part.number) {
                continue;
            }
            if self.lake.holds(part).await? {
                adopted.push(part.clone());
            } else {
                warn!("the manifest of {} named {}, which is not there", part.month, part.name());
            }
        }
        if !adopted.is_empty() {
            self.verify(&adopted, Absent::MayBePurged).await?;
            self.store.keep_parts(self.hold, &adopted, within(PATIENCE)).await?;
        }
        Ok(adopted)
    }

    /// Writes what is in the database to new parts.
    async fn write(&self, total: i64) -> Result<Vec<Part>, Error> {
        let mut stride = self.begin(Stage::Writing, total).await?;
        let mut parts = Vec::new();
        let mut writer = self.writer()?;
        let mut after = (0, 0);
        loop {
            let page = self.store.superseded(self.hold.month, after, PAGE, within(PATIENCE_OF_A_SCAN)).await?;
            let Some(last) = page.last() else { break };
            after = key(last);
            self.stride(&mut stride, page.len()).await?;
            writer = add(writer, page).await?;
            if writer.is_full() {
                parts.extend(self.put(std::mem::replace(&mut writer, self.writer()?)).await?);
            }
        }
        parts.extend(self.put(writer).await?);
        if stride.rows > stride.told {
            self.tell(Stage::Writing, stride.rows, stride.total).await?;
        }
        Ok(parts)
    }

    fn writer(&self) -> Result<PartWriter, Error> {
        PartWriter::new(self.archiver.shape).map_err(unmade)
    }

    /// Ends a part and stores it under the next number that no file has; none when it is empty.
    async fn put(&self, writer: PartWriter) -> Result<Option<Part>, Error> {
        let Some(made) = blocking(move || writer.finish()).await.map_err(unmade)? else { return Ok(None) };
        loop {
            let number = self.store.next_part(self.hold, within(PATIENCE)).await?;
            if let Some(part) = self.lake.put(self.hold.month, number, &made).await? {
                return Ok(Some(part));
            }
        }
    }

    /// Reads parts back and compares every version with the database; answers what of
    /// them is still there.
    async fn verify(&self, parts: &[Part], absent: Absent) -> Result<Sums, Error> {
        let total = parts.iter().map(|part| part.rows).sum();
        let mut stride = self.begin(Stage::Verifying, total).await?;
        let mut present = Sums::default();
        for part in parts {
            let mut scan = self.lake.scan(part).await?;
            let mut comparison = Comparison::new(self.store, part);
            while let Some(versions) = scan.next().await? {
                for piece in versions.chunks(PIECE) {
                    comparison.next(piece, absent).await?;
                    self.stride(&mut stride, piece.len()).await?;
                }
            }
            present += comparison.end()?;
        }
        if stride.rows > stride.told {
            self.tell(Stage::Verifying, stride.rows, total).await?;
        }
        Ok(present)
    }

    /// Removes from the database what parts hold, all of which was verified, and answers
    /// how much that was.
    async fn remove(&self, parts: &[Part], present: Sums) -> Result<i64, Error> {
        let total = i64::try_from(present.rows).unwrap_or(i64::MAX);
        let mut stride = self.begin(Stage::Removing, total).await?;
        if parts.is_empty() {
            return Ok(0);
        }
        if self.store.drop_partition(self.hold, present, within(PATIENCE)).await? {
            for part in parts {
                self.store.settle_part(self.hold, part.number, within(PATIENCE)).await?;
            }
            self.tell(Stage::Removing, total, total).await?;
            return Ok(total);
        }
        for part in parts {
            let mut scan = self.lake.scan(part).await?;
            while let Some(versions) = scan.next().await? {
                for piece in versions.chunks(PIECE) {
                    let keys: Vec<(i64, i64)> = piece.iter().map(key).collect();
                    let removed = self.store.remove_superseded(self.hold, &keys, within(PATIENCE)).await?;
                    self.stride(&mut stride, removed as usize).await?;
                }
            }
            self.store.settle_part(self.hold, part.number, within(PATIENCE)).await?;
        }
        if stride.rows > stride.told {
            self.tell(Stage::Removing, stride.rows, total).await?;
        }
        Ok(stride.rows)
    }

    async fn begin(&self, stage: Stage, total: i64) -> Result<Stride, Error> {
        if total > 0 {
            self.tell(stage, 0, total).await?;
        }
        Ok(Stride { stage, rows: 0, total, told: 0 })
    }

    async fn stride(&self, stride: &mut Stride, rows: usize) -> Result<(), Error> {
        stride.rows += rows as i64;
        if stride.rows - stride.told >= NOW_AND_THEN {
            stride.told = stride.rows;
            self.tell(stride.stage, stride.rows, stride.total.max(stride.rows)).await?;
        }
        Ok(())
    }

    async fn tell(&self, stage: Stage, rows: i64, total: i64) -> Result<(), Error> {
        tell(self.told, Progress { month: self.hold.month, stage, rows, total }).await
    }
}

/// What it means when the database lacks a version of a part.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Absent {
    /// Its product was purged, or something is wrong.
    MayBePurged,
    /// An earlier run removed it.
    MayBeRemoved,
}

async fn add(mut writer: PartWriter, versions: Vec<Version>) -> Result<PartWriter, Error> {
    let added = move || {
        for version in versions {
            writer.add(version)?;
        }
        Ok(writer)
    };
    blocking(added).await.map_err(unmade)
}

fn unmade(error: parquet::errors::ParquetError) -> Error {
    Error::Internal(format!("could not make a part: {error}"))
}

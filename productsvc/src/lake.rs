//! The data lake: superseded versions of closed months, as Parquet files that any SQL
//! engine reads, in a folder or a bucket that speaks S3.
//!
//! Files lie at `product_versions/year=YYYY/month=MM/part-<n>.parquet`, by the month in
//! which their versions ended, beside the month's manifest. A part never changes, and its
//! number is never given twice. This knows files and what is in them; which of them
//! count is known by the database, and when a version may be removed from that is the
//! business of [`crate::archive`].

mod lookup;
mod manifest;
mod month;
mod part;
mod scan;
mod table;
#[cfg(test)]
pub(crate) mod tests;

use std::collections::{HashSet, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::Context as _;
use object_store::path::Path;
use object_store::{Error as StoreError, ObjectStore, ObjectStoreExt as _, PutMode, PutOptions};
use parquet::errors::ParquetError;
use parquet::file::metadata::ParquetMetaData;
use tokio_stream::StreamExt as _;

use crate::error::Error;
use crate::lake::lookup::Footer;
use crate::version::Version;

pub(crate) use manifest::Manifest;
pub use month::{InvalidMonth, Month};
pub use part::Part;
pub(crate) use part::{Made, PartWriter, Shape};
pub(crate) use scan::Scan;

/// Footers that are kept: tens of KiB each.
const FOOTERS: usize = 32;

/// A file and its footer.
type Footed = (Path, Arc<ParquetMetaData>);

/// A lake. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Lake {
    store: Arc<dyn ObjectStore>,
    prefix: Path,
    /// Of the parts that were looked into last, the latest first.
    footers: Arc<Mutex<VecDeque<Footed>>>,
}

impl Lake {
    /// Opens `file:///folder`, a plain path, or `s3://bucket/prefix`. A bucket is not asked
    /// for anything yet.
    pub fn open(url: &str) -> anyhow::Result<Self> {
        let (store, prefix) = mesh::objects::open(url).context("there is no lake")?;
        Ok(Self { store, prefix, footers: Arc::default() })
    }

    /// Stores a part under a number; answers none when there is such a file already.
    pub(crate) async fn put(&self, month: Month, number: i64, made: &Made) -> Result<Option<Part>, Error> {
        let part = made.part(month, number);
        let options = PutOptions { mode: PutMode::Create, ..PutOptions::default() };
        match self.store.put_opts(&self.path(&part), made.bytes.clone().into(), options).await {
            Ok(_) => Ok(Some(part)),
            Err(StoreError::AlreadyExists { .. } | StoreError::Precondition { .. }) => Ok(None),
            Err(error) => Err(away(&error)),
        }
    }

    /// Whether a part is there at all.
    pub(crate) async fn holds(&self, part: &Part) -> Result<bool, Error> {
        match self.store.head(&self.path(part)).await {
            Ok(_) => Ok(true),
            Err(StoreError::NotFound { .. }) => Ok(false),
            Err(error) => Err(away(&error)),
        }
    }

    /// Fails unless a part is there.
    pub(crate) async fn require(&self, part: &Part) -> Result<(), Error> {
        if self.holds(part).await? { Ok(()) } else { Err(not_there(part)) }
    }

    /// Reads a part back as a whole; refuses one that is not what was stored.
    pub(crate) async fn scan<'a>(&self, part: &'a Part) -> Result<Scan<'a>, Error> {
        let read = self.store.get(&self.path(part)).await.map_err(|error| unread(part, &error))?;
        if read.meta.size != part.bytes as u64 {
            return Err(damaged(part, &format!("it has {} bytes instead of {}", read.meta.size, part.bytes)));
        }
        let bytes = read.bytes().await.map_err(|error| away(&error))?;
        let found = {
            let bytes = bytes.clone();
            blocking(move || Ok::<_, Error>(part::sha256(&bytes))).await?
        };
        if found != part.sha256 {
            return Err(damaged(part, &format!("its checksum is {found} instead of {}", part.sha256)));
        }
        Scan::new(part, bytes)
    }

    /// The versions of a product in a part, in their order.
    pub(crate) async fn find(&self, part: &Part, product_id: i64) -> Result<Vec<Version>, Error> {
        let path = self.path(part);
        let footer = self.footer(part, &path).await?;
        let mut found = Vec::new();
        for place in lookup::places(&footer, product_id).map_err(|error| damaged(part, &error))? {
            let pieces = self.store.get_ranges(&path, &place.bytes).await.map_err(|error| unread(part, &error))?;
            let footer = footer.clone();
            let versions = blocking(move || lookup::read(&footer, &place, pieces, product_id)).await;
            found.extend(versions.map_err(|error| damaged(part, &error))?);
        }
        Ok(found)
    }

    /// The parts that a month's manifest names; none when there is no manifest.
    pub(crate) async fn manifest(&self, month: Month) -> Result<Vec<Part>, Error> {
        let read = match self.store.get(&self.folder(month).join(manifest::NAME)).await {
            Ok(read) => read.bytes().await.map_err(|error| away(&error))?,
            Err(StoreError::NotFound { .. }) => return Ok(Vec::new()),
            Err(error) => return Err(away(&error)),
        };
        Manifest::decode(month, &read)
            .map_err(|error| Error::LakeDamaged { what: format!("the manifest of {month}: {error}") })
    }

    /// Writes a month's manifest. All that it names must be there.
    pub(crate) async fn put_manifest(&self, month: Month, parts: &[Part]) -> Result<(), Error> {
        let text = Manifest::new(month, parts).encode().map_err(|error| Error::Internal(error.to_string()))?;
        let put = self.store.put(&self.folder(month).join(manifest::NAME), text.into()).await;
        put.map(drop).map_err(|error| away(&error))
    }

    /// Removes the parts of a month that are not among these: runs that did not end left them.
    pub(crate) async fn sweep(&self, month: Month, parts: &[Part]) -> Result<usize, Error> {
        let known: HashSet<i64> = parts.iter().map(|part| part.number).collect();
        let mut left = Vec::new();
        let mut listed = self.store.list(Some(&self.folder(month)));
        while let Some(object) = listed.next().await {
            let location = object.map_err(|error| away(&error))?.location;
            if location.filename().and_then(part::number).is_some_and(|number| !known.contains(&number)) {
                left.push(location);
            }
        }
        for location in &left {
            match self.store.delete(location).await {
                Ok(()) | Err(StoreError::NotFound { .. }) => {}
                Err(error) => return Err(away(&error)),
            }
        }
        Ok(left.len())
    }

    async fn footer(&self, part: &Part, path: &Path) -> Result<Arc<ParquetMetaData>, Error> {
        if let Some(footer) = self.kept(path) {
            return Ok(footer);
        }
        let length = part.bytes as u64;
        let mut wanted = length.min(lookup::FOOTER);
        loop {
            let end =
                self.store.get_range(path, length - wanted..length).await.map_err(|error| unread(part, &error))?;
            match lookup::footer(&end, length).map_err(|error| damaged(part, &error))? {
                Footer::Read(footer) => {
                    let footer = Arc::new(footer);
                    self.keep(path.clone(), footer.clone());
                    return Ok(footer);
                }
                Footer::Needs(needed) if needed > wanted && needed <= length => wanted = needed,
                Footer::Needs(_) => return Err(damaged(part, &"its footer is longer than the file")),
            }
        }
    }

    fn kept(&self, path: &Path) -> Option<Arc<ParquetMetaData>> {
        let mut footers = self.footers.lock().unwrap_or_else(PoisonError::into_inner);
        let found = footers.iter().position(|(kept, _)| kept == path)?;
        let found = footers.remove(found)?;
        let footer = found.1.clone();
        footers.push_front(found);
        Some(footer)
    }

    fn keep(&self, path: Path, footer: Arc<ParquetMetaData>) {
        let mut footers = self.footers.lock().unwrap_or_else(PoisonError::into_inner);
        footers.push_front((path, footer));
        footers.truncate(FOOTERS);
    }

    fn path(&self, part: &Part) -> Path {
        self.folder(part.month).join(part.name())
    }

    fn folder(&self, month: Month) -> Path {
        month.folder().split('/').fold(self.prefix.clone(), |path, folder| path.join(folder))
    }
}

/// Does what keeps a processor busy for milliseconds where nobody else waits for it.
pub(crate) async fn blocking<T, E>(work: impl FnOnce() -> Result<T, E> + Send + 'static) -> Result<T, E>
where
    T: Send + 'static,
    E: From<BrokenOff> + Send + 'static,
{
    tokio::task::spawn_blocking(work).await.unwrap_or_else(|error| Err(BrokenOff(error.to_string()).into()))
}

/// Work that ended by itself: it panicked, or the process ends.
#[derive(Debug)]
pub(crate) struct BrokenOff(String);

impl From<BrokenOff> for Error {
    fn from(BrokenOff(cause): BrokenOff) -> Self {
        Self::Internal(cause)
    }
}

impl From<BrokenOff> for ParquetError {
    fn from(BrokenOff(cause): BrokenOff) -> Self {
        Self::General(cause)
    }
}

/// A part that the database knows cannot be read.
fn unread(part: &Part, error: &StoreError) -> Error {
    match error {
        StoreError::NotFound { .. } => not_there(part),
        error => away(error),
    }
}

fn not_there(part: &Part) -> Error {
    let (name, month) = (part.name(), part.month);
    Error::LakeAway { cause: format!("{name} of {month} is not there: is this the lake that it was archived to?") }
}

fn away(error: &StoreError) -> Error {
    Error::LakeAway { cause: error.to_string() }
}

pub(crate) fn damaged(part: &Part, problem: &dyn std::fmt::Display) -> Error {
    Error::LakeDamaged { what: format!("{} of {}: {problem}", part.name(), part.month) }
}

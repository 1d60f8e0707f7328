//! Where copies go: a folder, or a bucket that speaks S3.

use std::io::Read as _;
use std::path::Path as FilePath;
use std::sync::Arc;

use anyhow::{Context as _, ensure};
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt as _};

use super::SealedFile;

/// What is sent in one piece; larger files are sent in parts, of which one is in memory.
const ONE_PIECE: u64 = 16 * 1024 * 1024;
const PART: usize = 8 * 1024 * 1024;

/// A place for copies.
#[derive(Debug)]
pub(super) struct Destination {
    store: Arc<dyn ObjectStore>,
    prefix: Path,
}

/// Why there is no copy.
#[derive(Debug, thiserror::Error)]
pub(super) enum CopyError {
    #[error("it was removed here before it was copied")]
    Gone,
    #[error("there is another {name} of {bytes} bytes already; each log needs a place of its own")]
    Taken { name: String, bytes: u64 },
    #[error("the copy has {found} bytes instead of {expected}")]
    Incomplete { found: u64, expected: u64 },
    #[error("it could not be read: {0}")]
    Unreadable(#[from] std::io::Error),
    #[error(transparent)]
    Storage(#[from] object_store::Error),
}

impl Destination {
    /// Parses `file:///folder` or `s3://bucket/prefix`; what else S3 asks for is in its usual variables.
    pub(super) fn open(url: &str) -> anyhow::Result<Self> {
        // A plain path would be another folder for each working directory.
        ensure!(
            url.contains("://"),
            "{url:?} is no place for copies: it looks like s3://bucket/prefix or file:///folder"
        );
        let (store, prefix) = mesh::objects::open(url).context("there is no place for copies of segments")?;
        Ok(Self { store, prefix })
    }

    /// Copies a file unless it is there. Answers whether it had to.
    pub(super) async fn copy(&self, file: &SealedFile) -> Result<bool, CopyError> {
        let location = self.prefix.clone().join(file.name.as_str());
        match self.size(&location).await? {
            Some(bytes) if bytes == file.bytes => return Ok(false),
            Some(bytes) => return Err(CopyError::Taken { name: file.name.clone(), bytes }),
            None => {}
        }
        match file.bytes {
            ..=ONE_PIECE => self.put(&location, &file.path).await?,
            _ => self.put_in_parts(&location, &file.path).await?,
        }
        let found = self.size(&location).await?.unwrap_or_default();
        if found == file.bytes { Ok(true) } else { Err(CopyError::Incomplete { found, expected: file.bytes }) }
    }

    /// The size of what is there, if anything is.
    async fn size(&self, location: &Path) -> Result<Option<u64>, CopyError> {
        match self.store.head(location).await {
            Ok(meta) => Ok(Some(meta.size)),
            Err(object_store::Error::NotFound { .. }) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    async fn put(&self, location: &Path, path: &FilePath) -> Result<(), CopyError> {
        let bytes = std::fs::read(path).map_err(unreadable)?;
        self.store.put(location, bytes.into()).await?;
        Ok(())
    }

    async fn put_in_parts(&self, location: &Path, path: &FilePath) -> Result<(), CopyError> {
        let mut file = std::fs::File::open(path).map_err(unreadable)?;
        let mut upload = self.store.put_multipart(location).await?;
        let sent = async {
            loop {
                let mut part = Vec::with_capacity(PART);
                file.by_ref().take(PART as u64).read_to_end(&mut part)?;
                if part.is_empty() {
                    break;
                }
                upload.put_part(part.into()).await?;
            }
            upload.complete().await?;
            Ok(())
        };
        let sent = sent.await;
        if sent.is_err() {
            // Parts of an upload that is not completed are kept, and paid for.
            let _best_effort = upload.abort().await;
        }
        sent
    }
}

fn unreadable(error: std::io::Error) -> CopyError {
    match error.kind() {
        std::io::ErrorKind::NotFound => CopyError::Gone,
        _ => error.into(),
    }
}

//! Where copies go: a folder, or a bucket that speaks S3.

use std::io::Read as _;
use std::path::Path as FilePath;
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use object_store::aws::{AmazonS3Builder, AmazonS3ConfigKey};
use object_store::local::LocalFileSystem;
use object_store::path::Path;
use object_store::{ClientConfigKey, ObjectStore, ObjectStoreExt as _, RetryConfig};

use super::SealedFile;

/// What is sent in one piece; larger files are sent in parts, of which one is in memory.
const ONE_PIECE: u64 = 16 * 1024 * 1024;
const PART: usize = 8 * 1024 * 1024;

/// One request, at two megabits a second for a whole piece.
const TIMEOUT: &str = "90 seconds";

/// The client's own retries are few: ours are told in statistics.
const RETRIES: usize = 2;

/// A place for copies.
#[derive(Debug)]
pub(super) struct Destination {
    store: Box<dyn ObjectStore>,
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
        match url.split_once("://") {
            Some(("file", folder)) => folder_at(folder),
            Some(("s3", place)) => bucket_at(place),
            _ => bail!("{url:?} is no place for copies: it looks like s3://bucket/prefix or file:///folder"),
        }
        .with_context(|| format!("could not use {url:?} for copies of segments"))
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

fn folder_at(folder: &str) -> anyhow::Result<Destination> {
    ensure!(folder.starts_with('/'), "the folder must be given from the root on, as in file:///backup/logs");
    std::fs::create_dir_all(folder)?;
    let store = LocalFileSystem::new_with_prefix(folder)?.with_fsync(true);
    Ok(Destination { store: Box::new(store), prefix: Path::default() })
}

fn bucket_at(place: &str) -> anyhow::Result<Destination> {
    let (bucket, prefix) = place.split_once('/').unwrap_or((place, ""));
    ensure!(!bucket.is_empty(), "it names no bucket");
    // The HTTP client takes what the process has; whoever chose first chose as we do.
    let _already_chosen = rustls::crypto::ring::default_provider().install_default();
    let retry = RetryConfig { max_retries: RETRIES, retry_timeout: Duration::from_secs(30), ..RetryConfig::default() };
    let builder = AmazonS3Builder::from_env()
        .with_bucket_name(bucket)
        .with_config(AmazonS3ConfigKey::Client(ClientConfigKey::Timeout), TIMEOUT)
        .with_retry(retry);
    let is_plain = builder.get_config_value(&AmazonS3ConfigKey::Endpoint).is_some_and(|url| url.starts_with("http:"));
    let may_be = builder.get_config_value(&AmazonS3ConfigKey::Client(ClientConfigKey::AllowHttp));
    ensure!(
        !is_plain || may_be.as_deref() == Some("true"),
        "nothing would be encrypted; set AWS_ALLOW_HTTP=true if that is meant"
    );
    let store = builder.build()?;
    Ok(Destination { store: Box::new(store), prefix: Path::parse(prefix)? })
}

fn unreadable(error: std::io::Error) -> CopyError {
    match error.kind() {
        std::io::ErrorKind::NotFound => CopyError::Gone,
        _ => error.into(),
    }
}

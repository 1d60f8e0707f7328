//! Object storage, for services that keep files elsewhere: a folder, or a bucket that speaks S3.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use object_store::aws::{AmazonS3Builder, AmazonS3ConfigKey};
use object_store::local::LocalFileSystem;
use object_store::path::Path;
use object_store::{ClientConfigKey, ObjectStore, RetryConfig};

/// One request, at two megabits a second for 16 MiB.
const TIMEOUT: &str = "90 seconds";

/// The client's own retries are few: who waits for them is told of the failure.
const RETRIES: usize = 2;

/// The objects, and what their names begin with.
pub type Place = (Arc<dyn ObjectStore>, Path);

/// Opens `file:///folder`, a plain path, or `s3://bucket/prefix`; what else S3 asks for is
/// in its usual variables. A folder is made when missing; of the network nothing is asked yet.
pub fn open(url: &str) -> anyhow::Result<Place> {
    match url.split_once("://") {
        Some(("file", folder)) if folder.starts_with('/') => folder_at(folder),
        Some(("file", _)) => bail!("the folder must be given from the root on, as in file:///data/copies"),
        Some(("s3", place)) => bucket_at(place),
        Some(_) => bail!("it looks like s3://bucket/prefix, file:///folder or a path"),
        None => folder_at(url),
    }
    .with_context(|| format!("could not use {url:?} for objects"))
}

fn folder_at(folder: &str) -> anyhow::Result<Place> {
    ensure!(!folder.is_empty(), "it names no folder");
    std::fs::create_dir_all(folder)?;
    // What is stored is on disk before that is said.
    let store = LocalFileSystem::new_with_prefix(folder)?.with_fsync(true);
    Ok((Arc::new(store), Path::default()))
}

fn bucket_at(place: &str) -> anyhow::Result<Place> {
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
    Ok((Arc::new(builder.build()?), Path::parse(prefix)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_that_is_none_is_refused_with_words() {
        let refused = |url: &str| match open(url) {
            Ok(_) => panic!("{url} is a place"),
            Err(error) => format!("{error:#}"),
        };

        assert!(refused("ftp://host/x").contains("looks like s3://bucket/prefix"));
        assert!(refused("file://lake").contains("from the root on"));
        assert!(refused("s3://").contains("names no bucket"));
        assert!(refused("").contains("names no folder"));
    }

    #[test]
    fn a_folder_is_made_and_a_bucket_is_not_asked_for_yet() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("a/lake");

        open(path.to_str().unwrap()).unwrap();
        open(&format!("file://{}", path.display())).unwrap();
        open("s3://bucket/some/prefix").unwrap();

        assert!(path.is_dir());
    }
}

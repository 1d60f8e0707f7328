//! What the registry last said of a service: shared by who paints it and who calls by it.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use tokio::sync::watch;
use tokio::time::Instant;

/// The registry's own name.
pub(crate) const REGISTRY: &str = "registry";

/// What the registry last said of a service.
#[derive(Debug, Clone, Default)]
pub(crate) struct Picture {
    /// Instances, by id.
    pub(crate) instances: BTreeMap<String, Seen>,
    /// When the registry was last heard; never, when it was not reached yet.
    pub(crate) heard: Option<Instant>,
    /// Why it was not reached yet.
    pub(crate) trouble: Option<String>,
    /// What it shows.
    pub(crate) mark: Mark,
}

/// One instance.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Seen {
    pub(crate) address: SocketAddr,
    pub(crate) rank: Rank,
    /// Its share of calls beside others; 0 is the usual one.
    pub(crate) weight: u32,
    pub(crate) zone: String,
}

/// Whom to call first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub(crate) enum Rank {
    Ready = 0,
    /// In doubt: picked when nobody else is there.
    Suspect,
    /// Drains: finishes what it has and gets nothing new.
    Resting,
}

/// A place in the registry's history.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Mark {
    pub(crate) epoch: String,
    pub(crate) revision: u64,
}

/// The painter's end of a picture.
#[derive(Debug)]
pub(crate) struct Painter {
    pub(crate) picture: watch::Sender<Picture>,
    /// What has been applied by who calls: no new call goes by anything older.
    pub(crate) applied: watch::Receiver<Mark>,
}

/// The other end, of who calls by it.
#[derive(Debug)]
pub(crate) struct Viewer {
    pub(crate) picture: watch::Receiver<Picture>,
    pub(crate) applied: watch::Sender<Mark>,
}

/// An empty picture.
pub(crate) fn canvas() -> (Painter, Viewer) {
    let (sender, picture) = watch::channel(Picture::default());
    let (applied, marks) = watch::channel(Mark::default());
    (Painter { picture: sender, applied: marks }, Viewer { picture, applied })
}

impl Painter {
    /// Notes why who says where the instances are was not reached, if they never were.
    pub(crate) fn note(&self, trouble: &str) {
        self.picture.send_if_modified(|picture| {
            let is_news = picture.heard.is_none() && picture.trouble.as_deref() != Some(trouble);
            if is_news {
                picture.trouble = Some(trouble.to_owned());
            }
            is_news
        });
    }
}

impl Picture {
    /// Whether it was said that nobody may be called, so that waiting is in vain.
    pub(crate) fn is_known_empty(&self) -> bool {
        self.heard.is_some() && self.is_empty()
    }

    /// Whether nobody may be called.
    pub(crate) fn is_empty(&self) -> bool {
        self.instances.values().all(|seen| seen.rank == Rank::Resting)
    }
}

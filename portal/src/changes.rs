//! The changes of the catalogue, as `WatchProducts` brings them.
//!
//! They say two things: whether a page that a browser has kept is still right, and when
//! a change that was just made can be seen by whoever asks that question. While the
//! stream is broken nothing is known, and no kept page counts as right.

use std::{collections::VecDeque, sync::Arc, time::Duration};

use proto::products::{WatchProductsRequest, WatchProductsResponse, product_service_client::ProductServiceClient};
use tokio::{
    sync::watch,
    time::{sleep, timeout},
};
use tokio_util::sync::CancellationToken;
use tonic::{Code, Status};
use tracing::debug;

use mesh::Channel;

/// How long a page waits for the change that its own form made. It comes within milliseconds.
const PATIENCE: Duration = Duration::from_secs(2);

/// Changes that are remembered by product; a form waits for one that has just come.
const REMEMBERED: usize = 1024;

/// How long to wait before the stream is opened again.
const PAUSE: Duration = Duration::from_millis(500);

/// What is known of the catalogue's changes. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Changes {
    process: u32,
    known: Arc<watch::Sender<Known>>,
}

#[derive(Debug, Default)]
struct Known {
    /// Another one each time the stream begins anew; 0 while there is none.
    stream: u64,
    /// All changes up to it have come.
    sequence: i64,
    /// The last changes: product, version, sequence.
    latest: VecDeque<(i64, i64, i64)>,
}

/// A state of the catalogue that has a name: until the next change, every page of it stays as it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Mark {
    /// Another one each time that the portal starts.
    pub(crate) process: u32,
    pub(crate) stream: u64,
    pub(crate) sequence: i64,
}

impl Changes {
    /// Knows nothing until it is [followed](Self::follow).
    pub(crate) fn unknown() -> Changes {
        Changes { process: uuid::Uuid::new_v4().as_fields().0, known: Arc::new(watch::channel(Known::default()).0) }
    }

    /// The present state, when it is known.
    pub(crate) fn mark(&self) -> Option<Mark> {
        let known = self.known.borrow();
        (known.stream != 0).then_some(Mark { process: self.process, stream: known.stream, sequence: known.sequence })
    }

    /// Waits until the change that made this version of a product has come, and answers its place
    /// among all; nothing when it does not come in time.
    pub(crate) async fn seen(&self, id: i64, version: i64) -> Option<i64> {
        let mut place = None;
        let mut known = self.known.subscribe();
        let came = known.wait_for(|known| {
            let same = |(of, is, _): &&(i64, i64, i64)| *of == id && *is >= version;
            place = known.latest.iter().rev().find(same).map(|(_, _, sequence)| *sequence);
            place.is_some()
        });
        // The sender lives as long as this does, so only time can fail it.
        let came = timeout(PATIENCE, came).await.is_ok();
        if !came {
            debug!("the change of product {id} to version {version} did not come in time");
        }
        place
    }

    /// Follows the changes until the token, at whichever product service answers.
    pub(crate) async fn follow(self, channel: Channel, stop: CancellationToken) {
        let mut client = ProductServiceClient::new(channel);
        let mut streams = 0;
        while !stop.is_cancelled() {
            streams += 1;
            let ended = tokio::select! {
                () = stop.cancelled() => return,
                ended = self.listen(&mut client, streams) => ended,
            };
            self.known.send_modify(|known| *known = Known::default());
            if ended.code() != Code::Unavailable {
                debug!("the stream of changes ended: {}", ended.message());
            }
            tokio::select! {
                () = stop.cancelled() => return,
                () = sleep(PAUSE) => {}
            }
        }
    }

    /// Takes in one stream of changes, to its end.
    async fn listen(&self, client: &mut ProductServiceClient<Channel>, stream: u64) -> Status {
        let mut changes = match client.watch_products(WatchProductsRequest { after_sequence: None }).await {
            Ok(answer) => answer.into_inner(),
            Err(status) => return status,
        };
        loop {
            match changes.message().await {
                Ok(Some(change)) => self.note(stream, &change),
                Ok(None) => return Status::unavailable("the stream ended"),
                Err(status) => return status,
            }
        }
    }

    fn note(&self, stream: u64, change: &WatchProductsResponse) {
        self.known.send_modify(|known| {
            (known.stream, known.sequence) = (stream, change.sequence);
            if change.product_id == 0 {
                return;
            }
            if known.latest.len() == REMEMBERED {
                known.latest.pop_front();
            }
            let version = change.product.as_ref().map_or(i64::MAX, |product| product.version);
            known.latest.push_back((change.product_id, version, change.sequence));
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn change(sequence: i64, id: i64, version: i64) -> WatchProductsResponse {
        let product = Some(proto::products::Product { id, version, ..Default::default() });
        WatchProductsResponse { sequence, product_id: id, product, ..Default::default() }
    }

    #[tokio::test(start_paused = true)]
    async fn who_made_a_change_waits_until_it_has_come() {
        let changes = Changes::unknown();
        let waiting = {
            let changes = changes.clone();
            async move { changes.seen(7, 2).await }
        };
        let coming = async {
            for (sequence, version) in [(11, 1), (12, 2), (13, 3)] {
                changes.note(1, &change(sequence, 7, version));
                tokio::task::yield_now().await;
            }
        };

        let (place, ()) = tokio::join!(waiting, coming);

        assert!(place >= Some(12), "{place:?}");
        assert_eq!(changes.seen(8, 1).await, None, "of another product nothing came");
        assert_eq!(changes.mark().map(|mark| (mark.stream, mark.sequence)), Some((1, 13)));
    }

    #[tokio::test]
    async fn a_purged_product_counts_as_every_version_of_it() {
        let changes = Changes::unknown();
        changes.note(1, &WatchProductsResponse { sequence: 5, product_id: 7, ..Default::default() });
        assert_eq!(changes.seen(7, 4).await, Some(5));
    }

    #[test]
    fn nothing_is_known_before_the_first_word() {
        let changes = Changes::unknown();
        assert_eq!(changes.mark(), None);
        changes.note(3, &WatchProductsResponse { sequence: 9, ..Default::default() });
        assert_eq!(changes.mark().map(|mark| (mark.stream, mark.sequence)), Some((3, 9)));
    }

    #[test]
    fn only_so_many_changes_are_remembered() {
        let changes = Changes::unknown();
        for sequence in 1..=3000 {
            changes.note(1, &change(sequence, sequence, 1));
        }
        assert_eq!(changes.known.borrow().latest.len(), REMEMBERED);
    }
}

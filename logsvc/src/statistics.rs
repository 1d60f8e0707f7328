//! What is stored and how that goes, as it is told to clients.

use std::sync::atomic::Ordering::Relaxed;

use proto::logs::Storage;

use crate::entry::timestamp;
use crate::speakers::duration_of;
use crate::store::Store;

/// What is stored.
pub(crate) fn storage(store: &Store) -> Storage {
    let (view, condition, policy) = (store.view(), store.condition(), store.policy());
    Storage {
        first_offset: view.start(),
        end_offset: view.end(),
        first_received: view.first_received().map(timestamp),
        segments: view.segments().len() as u64,
        segment_bytes: view.segments().iter().map(|segment| segment.bytes()).sum(),
        wal_bytes: condition.wal_bytes.load(Relaxed),
        retention_bytes: policy.keep_bytes,
        retention_age: Some(duration_of(policy.keep_age)),
        sync_p50: Some(duration_of(condition.sync_quantile(0.5))),
        sync_p99: Some(duration_of(condition.sync_quantile(0.99))),
        stored: condition.stored.load(Relaxed),
        duplicates: condition.duplicates.load(Relaxed),
        quarantined: condition.quarantined.load(Relaxed),
        disk_full: condition.disk_full.load(Relaxed),
        sealing_fails: condition.sealing_fails.load(Relaxed),
        ..Default::default()
    }
}

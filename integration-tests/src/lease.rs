//! Leases of instances that nobody beats for.

use proto::registry::TimeToLive;

/// As long as a lease may be: longer than any test takes with it.
pub fn longest() -> Option<TimeToLive> {
    let want = Some(prost_types::Duration { seconds: 300, nanos: 0 });
    Some(TimeToLive { want, ..Default::default() })
}

//! What messages say, in a few words: ages, states, reasons, load.

use std::time::Duration;

use jiff::Timestamp;
use proto::registry::{DownReason, Instance, InstanceState, Load, SuspectReason};

use crate::commands::table::{Cell, Colour};

/// An instance among all: `productsvc/3f2a11bc`.
pub(super) fn key(instance: &Instance) -> String {
    format!("{}/{}", instance.service, instance.instance_id)
}

/// READY, DOWN and so on, in the colour of how well that is.
pub(super) fn state(instance: &Instance) -> Cell {
    let colour = match instance.state() {
        InstanceState::Down => Some(Colour::Bad),
        InstanceState::Ready if instance.suspect_reason() == SuspectReason::Unspecified => Some(Colour::Good),
        _ => Some(Colour::Doubtful),
    };
    Cell::from(state_name(instance)).coloured(colour)
}

/// READY, DOWN and so on.
pub(super) fn state_name(instance: &Instance) -> &'static str {
    instance.state().as_str_name().trim_start_matches("INSTANCE_STATE_")
}

/// Why an instance is not simply READY; empty when it is.
pub(super) fn why(instance: &Instance) -> String {
    let mut reasons = Vec::new();
    if instance.state() == InstanceState::Down {
        reasons.push(match instance.down_reason() {
            DownReason::Unspecified => "not listed any more".to_owned(),
            reason => spaced(reason.as_str_name().trim_start_matches("DOWN_REASON_")),
        });
    }
    if instance.suspect_reason() != SuspectReason::Unspecified {
        let reason = spaced(instance.suspect_reason().as_str_name().trim_start_matches("SUSPECT_REASON_"));
        reasons.push(format!("suspect: {reason}"));
    }
    if instance.held {
        reasons.push("held, for too many lapsed at once".to_owned());
    }
    if instance.drained {
        reasons.push("drained by an operator".to_owned());
    }
    if !instance.missing_services.is_empty() {
        reasons.push(format!("misses {}", instance.missing_services.join(", ")));
    }
    reasons.join("; ")
}

fn spaced(name: &str) -> String {
    name.to_lowercase().replace('_', " ")
}

/// How busy an instance is.
pub(super) fn load(load: &Load) -> String {
    if load.requests_per_second == 0.0 && load.in_flight == 0 {
        return "idle".to_owned();
    }
    let p99 = load.latency_p99.as_ref().and_then(mesh::from_duration).filter(|p99| !p99.is_zero());
    let p99 = p99.map(|p99| format!(" p99 {}", latency(p99))).unwrap_or_default();
    format!("{:.1}/s{p99}, {} in flight", load.requests_per_second, load.in_flight)
}

fn latency(span: Duration) -> String {
    match span.as_secs_f64() {
        seconds if seconds < 1.0 => format!("{:.1} ms", seconds * 1e3),
        seconds => format!("{seconds:.1} s"),
    }
}

/// How long ago something was, as the clock here has it; empty when that is not known.
pub(super) fn age(time: Option<&prost_types::Timestamp>, now: Timestamp) -> String {
    let Some(time) = time.and_then(mesh::from_timestamp) else { return String::new() };
    // Clocks differ: what is yet to come is now.
    span(Duration::try_from(now.duration_since(time)).unwrap_or_default())
}

/// A span of time, as exactly as a person wants it.
pub(super) fn span(span: Duration) -> String {
    match span.as_secs() {
        0..10 => format!("{:.1} s", span.as_secs_f64()),
        seconds @ 10..120 => format!("{seconds} s"),
        seconds @ 120..7200 => format!("{} min", seconds / 60),
        seconds @ 7200..172_800 => format!("{} h", seconds / 3600),
        seconds => format!("{} d", seconds / 86_400),
    }
}

/// A point in time, in UTC to the millisecond; empty when it is not known.
pub(super) fn time(time: Option<&prost_types::Timestamp>) -> String {
    time.and_then(mesh::from_timestamp).map(|time| format!("{time:.3}")).unwrap_or_default()
}

/// Enough of an epoch to tell it from another.
pub(super) fn short(epoch: &str) -> &str {
    epoch.get(..8).unwrap_or(epoch)
}

/// `1 instance`, `2 instances`.
pub(super) fn count(number: impl TryInto<u64>, noun: &str) -> String {
    let number = number.try_into().unwrap_or(u64::MAX);
    format!("{number} {noun}{}", if number == 1 { "" } else { "s" })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ages_are_as_exact_as_a_person_wants_them() {
        for (seconds, words) in [
            (0.04, "0.0 s"),
            (9.94, "9.9 s"),
            (12.7, "12 s"),
            (119.0, "119 s"),
            (200.0, "3 min"),
            (7200.0, "2 h"),
            (200_000.0, "2 d"),
        ] {
            assert_eq!(span(Duration::from_secs_f64(seconds)), words);
        }
        let (now, later) = (Timestamp::UNIX_EPOCH, prost_types::Timestamp { seconds: 5, nanos: 0 });
        assert_eq!(age(Some(&later), now), "0.0 s", "clocks differ");
        assert_eq!(age(None, now), "");
    }

    #[test]
    fn every_reason_is_told() {
        let held = Instance {
            suspect_reason: SuspectReason::Silent.into(),
            held: true,
            drained: true,
            missing_services: vec!["a".into(), "b".into()],
            ..Default::default()
        };
        let down = Instance {
            state: InstanceState::Down.into(),
            down_reason: DownReason::LeaseExpired.into(),
            ..Default::default()
        };

        assert_eq!(
            why(&held),
            "suspect: silent; held, for too many lapsed at once; drained by an operator; misses a, b"
        );
        assert_eq!(why(&down), "lease expired");
        assert_eq!(why(&Instance::default()), "");
    }

    #[test]
    fn load_is_told_with_what_is_known_of_it() {
        let p99 = Some(prost_types::Duration { seconds: 0, nanos: 1_234_000 });
        let busy = Load { in_flight: 3, requests_per_second: 12.34, latency_p99: p99 };

        assert_eq!(load(&busy), "12.3/s p99 1.2 ms, 3 in flight");
        assert_eq!(load(&Load { latency_p99: None, ..busy }), "12.3/s, 3 in flight");
        assert_eq!(load(&Load::default()), "idle");
    }
}

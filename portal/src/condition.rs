//! How an instance is doing, in words.

use proto::registry::{DownReason, Instance, InstanceState, Load, SuspectReason};

use crate::time::span;

/// A state in words, how urgent it looks, and what should be known besides.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Condition {
    pub(crate) label: &'static str,
    pub(crate) tone: &'static str,
    pub(crate) remarks: Vec<String>,
}

impl Condition {
    pub(crate) fn of(instance: &Instance) -> Condition {
        let (label, tone) = state(instance.state());
        if instance.state() == InstanceState::Down {
            return Condition { label, tone, remarks: vec![] };
        }
        let mut remarks: Vec<String> = doubt(instance).into_iter().map(str::to_owned).collect();
        let is_suspect = !remarks.is_empty();
        if is_suspect {
            remarks.insert(0, format!("its last word: {}", label.to_lowercase()));
        }
        if instance.drained {
            remarks.push("drained by an operator".into());
        }
        remarks.extend(instance.missing_services.iter().map(|name| format!("needs {name}, of which none is ready")));
        let (label, tone) = if is_suspect { ("Suspect", "fair") } else { (label, tone) };
        Condition { label, tone, remarks }
    }
}

/// How an instance stands, as far as somebody who looks for trouble wants to tell apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Standing {
    Ready,
    Trouble,
    /// On its way up, or down on purpose.
    Passing,
    Down,
}

impl Standing {
    pub(crate) const ALL: [Standing; 4] = [Standing::Ready, Standing::Trouble, Standing::Passing, Standing::Down];

    pub(crate) fn of(instance: &Instance) -> Standing {
        let state = instance.state();
        match state {
            InstanceState::Down => Standing::Down,
            _ if doubt(instance).is_some() => Standing::Trouble,
            InstanceState::Starting | InstanceState::Draining => Standing::Passing,
            InstanceState::Ready if instance.missing_services.is_empty() => Standing::Ready,
            _ => Standing::Trouble,
        }
    }

    /// Reads the `state` of an address; anything unknown means all.
    pub(crate) fn read(text: &str) -> Option<Standing> {
        Standing::ALL.into_iter().find(|standing| standing.key() == text)
    }

    /// How an address says it.
    pub(crate) fn key(self) -> &'static str {
        match self {
            Standing::Ready => "ready",
            Standing::Trouble => "trouble",
            Standing::Passing => "passing",
            Standing::Down => "down",
        }
    }

    /// How people say it.
    pub(crate) fn label(self) -> &'static str {
        match self {
            Standing::Ready => "Ready",
            Standing::Trouble => "In trouble",
            Standing::Passing => "Starting or finishing",
            Standing::Down => "Down",
        }
    }
}

/// A state as a label, and its tone.
pub(crate) fn state(state: InstanceState) -> (&'static str, &'static str) {
    match state {
        InstanceState::Ready => ("Ready", "good"),
        InstanceState::Starting => ("Starting", "fair"),
        InstanceState::NotReady => ("Not ready", "fair"),
        InstanceState::Draining => ("Finishing", "fair"),
        InstanceState::Down => ("Down", "bad"),
        InstanceState::Unspecified => ("Unknown", "fair"),
    }
}

/// Why an instance is suspect, when it is.
fn doubt(instance: &Instance) -> Option<&'static str> {
    if instance.held {
        return Some("held, and asked: its lease lapsed, and too many others' with it");
    }
    match instance.suspect_reason() {
        SuspectReason::Unspecified => None,
        SuspectReason::Silent => Some("its heartbeat is overdue"),
        SuspectReason::ConnectionLost => Some("its connection broke"),
        SuspectReason::ProbeUnanswered => Some("it left a question of the registry unanswered"),
    }
}

/// Why an instance is DOWN.
pub(crate) fn reason(instance: &Instance) -> String {
    let lease = instance.time_to_live.as_ref().and_then(mesh::from_duration);
    let lease = lease.map_or_else(|| "its lease".into(), |lease| format!("its lease of {}", span(lease)));
    match instance.down_reason() {
        DownReason::Deregistered => "It stopped and said goodbye.".into(),
        DownReason::LeaseExpired => format!("It was silent for longer than {lease}."),
        DownReason::ConnectionLost => "Its connection broke and its address refused a new one: it crashed, was killed, or ended without a goodbye.".into(),
        DownReason::ProbeFailed => "It did not answer when the registry asked.".into(),
        DownReason::Superseded => "A newer start of it, or another at its address, took its place.".into(),
        DownReason::Operator => "A person took it down.".into(),
        DownReason::Unspecified => "The reason is not known.".into(),
    }
}

/// How busy an instance is; empty when it did not say.
pub(crate) fn load(load: Option<&Load>) -> String {
    let Some(load) = load else { return String::new() };
    if load.in_flight == 0 && load.requests_per_second == 0.0 {
        return "idle".into();
    }
    let p99 = load.latency_p99.as_ref().and_then(mesh::from_duration).filter(|p99| !p99.is_zero());
    let parts = [
        Some(format!("{:.1}/s", load.requests_per_second)),
        p99.map(|p99| format!("p99 {}", span(p99))),
        (load.in_flight > 0).then(|| format!("{} in flight", load.in_flight)),
    ];
    parts.into_iter().flatten().collect::<Vec<_>>().join(" · ")
}

/// The addresses of an instance that a browser may open, by scheme.
///
/// Any instance may register any link; one that a browser would run is not shown.
pub(crate) fn web_links(instance: &Instance) -> Vec<(String, String)> {
    let is_safe = |link: &str| link.starts_with("http://") || link.starts_with("https://");
    let links = instance.links.iter().filter(|(_, link)| is_safe(link));
    let mut links: Vec<_> = links.map(|(scheme, link)| (scheme.clone(), link.clone())).collect();
    links.sort();
    links
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ready() -> Instance {
        Instance { state: InstanceState::Ready.into(), ..Instance::default() }
    }

    #[test]
    fn doubt_lies_over_what_the_instance_said_and_says_why() {
        for (suspect, words) in [
            (SuspectReason::Silent, "its heartbeat is overdue"),
            (SuspectReason::ConnectionLost, "its connection broke"),
            (SuspectReason::ProbeUnanswered, "it left a question of the registry unanswered"),
        ] {
            let condition = Condition::of(&Instance { suspect_reason: suspect.into(), ..ready() });
            assert_eq!((condition.label, condition.tone), ("Suspect", "fair"));
            assert_eq!(condition.remarks, ["its last word: ready", words]);
        }
        let held = Instance { suspect_reason: SuspectReason::Silent.into(), held: true, ..ready() };
        assert!(Condition::of(&held).remarks[1].starts_with("held, and asked: its lease lapsed"));
    }

    #[test]
    fn a_drained_instance_and_one_that_misses_a_service_say_so() {
        let missing_services = vec!["productsvc".into()];
        let instance = Instance { drained: true, missing_services, ..ready() };

        let condition = Condition::of(&instance);

        assert_eq!((condition.label, condition.tone), ("Ready", "good"));
        assert_eq!(condition.remarks, ["drained by an operator", "needs productsvc, of which none is ready"]);
        let down = Condition::of(&Instance { state: InstanceState::Down.into(), ..instance });
        assert_eq!((down.tone, down.remarks.len()), ("bad", 0), "who is down needs nothing");
    }

    #[test]
    fn trouble_is_told_apart_from_what_passes() {
        assert_eq!(Standing::of(&ready()), Standing::Ready);
        let missing = Instance { missing_services: vec!["productsvc".into()], ..ready() };
        assert_eq!(Standing::of(&missing), Standing::Trouble);
        let draining = Instance { state: InstanceState::Draining.into(), drained: true, ..ready() };
        assert_eq!(Standing::of(&draining), Standing::Passing);
        let silent = Instance { suspect_reason: SuspectReason::Silent.into(), ..draining };
        assert_eq!(Standing::of(&silent), Standing::Trouble);
        for standing in Standing::ALL {
            assert_eq!(Standing::read(standing.key()), Some(standing));
        }
        assert_eq!(Standing::read("'; DROP TABLE"), None);
    }

    #[test]
    fn load_is_told_with_what_is_known_of_it() {
        let p99 = Some(prost_types::Duration { seconds: 0, nanos: 1_234_000 });
        let busy = Load { in_flight: 3, requests_per_second: 12.34, latency_p99: p99 };

        assert_eq!(load(Some(&busy)), "12.3/s · p99 1.2 ms · 3 in flight");
        assert_eq!(load(Some(&Load { latency_p99: None, ..busy })), "12.3/s · 3 in flight");
        assert_eq!(load(Some(&Load { in_flight: 0, ..busy })), "12.3/s · p99 1.2 ms");
        assert_eq!(load(Some(&Load::default())), "idle");
        assert_eq!(load(None), "");
    }

    #[test]
    fn each_reason_is_said_in_words() {
        let mut lost = Instance { down_reason: DownReason::LeaseExpired.into(), ..ready() };
        assert_eq!(reason(&lost), "It was silent for longer than its lease.");
        lost.time_to_live = Some(prost_types::Duration { seconds: 6, nanos: 0 });
        assert_eq!(reason(&lost), "It was silent for longer than its lease of 6 s.");
    }

    #[test]
    fn a_link_that_a_browser_would_run_is_not_shown() {
        let links = [("a", "javascript:alert(1)"), ("b", "data:text/html,x"), ("http", "http://127.0.0.1:1/")];
        let links = links.map(|(scheme, link)| (scheme.to_owned(), link.to_owned())).into();
        let shown = web_links(&Instance { links, ..ready() });
        assert_eq!(shown, [("http".to_owned(), "http://127.0.0.1:1/".to_owned())]);
    }
}

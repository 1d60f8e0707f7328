//! Services: who is alive, where, since when, and why others are not.

use std::collections::BTreeSet;

use askama::Template;
use axum::{extract::State, response::Response};
use http::StatusCode;
use proto::registry::{DownReason, Instance, InstanceState};

use crate::{
    backends::{Backends, Census},
    error::Failure,
    frame::{Frame, Nav},
    pages,
    time::Moment,
    visit::Visit,
};

/// How many of those that are DOWN are shown, the latest first.
const DOWN_SHOWN: usize = 50;

#[derive(Template)]
#[template(path = "services.html")]
struct Services {
    frame: Frame,
    now: Moment,
    services: usize,
    live: Vec<Row>,
    down: Vec<Row>,
    down_total: usize,
    warming: bool,
    cut: bool,
}

/// One instance as a row shows it.
#[derive(Debug)]
struct Row {
    service: String,
    instance: String,
    address: String,
    version: String,
    state: Condition,
    since: Option<Moment>,
    since_age: String,
    heartbeat_age: String,
    links: Vec<(String, String)>,
    /// Services that it needs and that have no instance.
    missing: Vec<String>,
    /// Why it is DOWN.
    reason: String,
}

/// A state in words, and how urgent it looks.
#[derive(Debug, Clone, Copy)]
struct Condition {
    label: &'static str,
    tone: &'static str,
}

pub(crate) async fn show(State(backends): State<Backends>, visit: Visit) -> Result<Response, Failure> {
    let census = backends.census().await?;
    let frame = Frame::new(&visit, Nav::Services, "Services");
    Ok(pages::page(StatusCode::OK, &Services::new(frame, census, Moment::now())))
}

impl Services {
    fn new(frame: Frame, census: Census, now: Moment) -> Services {
        let (down, live): (Vec<_>, Vec<_>) = census.instances.into_iter().partition(is_down);
        let present: BTreeSet<String> = live.iter().map(|instance| instance.service.clone()).collect();
        let row = |instance| Row::new(instance, &present, now);
        let live = live.into_iter().map(row).collect();
        let mut down: Vec<Row> = down.into_iter().map(row).collect();
        down.sort_by_key(|row| std::cmp::Reverse(row.since));
        let down_total = down.len();
        down.truncate(DOWN_SHOWN);
        Services {
            frame,
            now,
            services: present.len(),
            live,
            down,
            down_total,
            warming: census.warming,
            cut: census.cut,
        }
    }
}

fn is_down(instance: &Instance) -> bool {
    instance.state() == InstanceState::Down
}

impl Row {
    fn new(instance: Instance, present: &BTreeSet<String>, now: Moment) -> Row {
        let since = Moment::read(instance.state_time);
        let age = |moment: Option<Moment>| moment.map_or_else(|| "unknown".into(), |moment| moment.age(now));
        let mut links: Vec<_> = instance.links.iter().map(|(scheme, link)| (scheme.clone(), link.clone())).collect();
        links.retain(|(_, link)| is_web_link(link));
        links.sort();
        let missing = instance.required_services.iter().filter(|service| !present.contains(*service));
        Row {
            state: condition(instance.state()),
            reason: reason(&instance),
            since,
            since_age: age(since),
            heartbeat_age: age(Moment::read(instance.heartbeat_time)),
            links,
            missing: missing.cloned().collect(),
            service: instance.service,
            instance: instance.instance_id,
            address: instance.address,
            version: instance.version,
        }
    }
}

/// Any instance may register any link; one that a browser would run is not shown.
fn is_web_link(link: &str) -> bool {
    link.starts_with("http://") || link.starts_with("https://")
}

fn condition(state: InstanceState) -> Condition {
    let (label, tone) = match state {
        InstanceState::Ready => ("Ready", "good"),
        InstanceState::Starting => ("Starting", "fair"),
        InstanceState::NotReady => ("Not ready", "fair"),
        InstanceState::Draining => ("Finishing", "fair"),
        InstanceState::Down => ("Down", "bad"),
        InstanceState::Unspecified => ("Unknown", "fair"),
    };
    Condition { label, tone }
}

fn reason(instance: &Instance) -> String {
    let silence =
        instance.time_to_live.map_or_else(|| "its lease".into(), |lease| format!("its lease of {} s", lease.seconds));
    match instance.down_reason() {
        DownReason::Deregistered => "It stopped and said goodbye.".into(),
        DownReason::LeaseExpired => format!("It was silent for longer than {silence}."),
        DownReason::ConnectionLost => "Its connection broke: it crashed, was killed, or the network failed.".into(),
        DownReason::ProbeFailed => "It did not answer when the registry asked.".into(),
        DownReason::Superseded => "A newer start of it took its place.".into(),
        DownReason::Operator => "A person took it down.".into(),
        DownReason::Unspecified => "The reason is not known.".into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn instance(service: &str, state: InstanceState) -> Instance {
        Instance {
            service: service.into(),
            instance_id: format!("{service}-1"),
            state: state.into(),
            state_time: Some(prost_types::Timestamp { seconds: 1_000, nanos: 0 }),
            ..Instance::default()
        }
    }

    fn shown(instances: Vec<Instance>) -> Services {
        let frame = Frame::new(&Visit { request_id: "test".into() }, Nav::Services, "Services");
        let now = Moment::read(Some(prost_types::Timestamp { seconds: 1_090, nanos: 0 })).unwrap();
        Services::new(frame, Census { instances, warming: false, cut: false }, now)
    }

    #[test]
    fn services_and_instances_are_counted_apart() {
        let page = shown(vec![
            instance("logsvc", InstanceState::Ready),
            instance("productsvc", InstanceState::Ready),
            instance("productsvc", InstanceState::Draining),
            instance("portal", InstanceState::Down),
        ]);

        assert_eq!((page.services, page.live.len(), page.down.len()), (2, 3, 1));
        assert_eq!(page.live[0].since_age, "1 min ago");
        assert_eq!(page.live[0].heartbeat_age, "unknown");
    }

    #[test]
    fn a_needed_service_without_an_instance_is_named() {
        let mut portal = instance("portal", InstanceState::Ready);
        portal.required_services = vec!["productsvc".into(), "portal".into()];

        assert_eq!(shown(vec![portal]).live[0].missing, ["productsvc"]);
    }

    #[test]
    fn each_reason_is_said_in_words() {
        let mut lost = instance("productsvc", InstanceState::Down);
        lost.down_reason = DownReason::LeaseExpired.into();
        lost.time_to_live = Some(prost_types::Duration { seconds: 6, nanos: 0 });

        let html = shown(vec![lost]).render().unwrap();

        assert!(html.contains("It was silent for longer than its lease of 6 s."));
    }

    #[test]
    fn a_link_that_a_browser_would_run_is_not_shown() {
        let mut evil = instance("evil", InstanceState::Ready);
        evil.links.insert("http".into(), "javascript:alert(1)".into());
        evil.instance_id = "<script>alert(1)</script>".into();

        let html = shown(vec![evil]).render().unwrap();

        assert!(!html.contains("javascript:"));
        assert!(!html.contains("<script"));
    }
}

//! `registry ls`: the instances that match, and how far they can be trusted.

use std::process::ExitCode;

use jiff::Timestamp;
use proto::registry::{DiscoverRequest, DiscoverResponse, Instance, InstanceState, Protection, protection};

use crate::commands::client::Client;
use crate::commands::screen::Screen;
use crate::commands::table::{Cell, Table};
use crate::commands::words::{age, count, load, short, state, why};
use crate::commands::{Ls, State};

const HEAD: [&str; 10] = ["SERVICE", "INSTANCE", "STATE", "ADDRESS", "VERSION", "ZONE", "SINCE", "BEAT", "LOAD", "WHY"];

pub(super) async fn run(client: &Client, screen: &Screen, wanted: Ls) -> anyhow::Result<ExitCode> {
    let request = DiscoverRequest {
        service: wanted.service.unwrap_or_default(),
        include_down: wanted.all,
        zone: wanted.zone.unwrap_or_default(),
        version: wanted.version.unwrap_or_default(),
        states: wanted.state.into_iter().map(|state| InstanceState::from(state).into()).collect(),
        metadata: wanted.fact.into_iter().collect(),
        ..Default::default()
    };
    let (instances, page) = client.instances(&request).await?;
    let doubts = doubts(&request.service, &page, Timestamp::now());
    if screen.is_json() {
        instances.iter().try_for_each(|instance| screen.print_json("Instance", instance))?;
        doubts.iter().for_each(|doubt| screen.notice(doubt));
        return Ok(ExitCode::SUCCESS);
    }
    let mut text = lines(&instances, Timestamp::now(), screen.is_coloured());
    let number = count(instances.len(), "instance");
    text.push_str(&format!("{number}  epoch {}  revision {}\n", short(&page.epoch), page.revision));
    doubts.iter().for_each(|doubt| text.extend([doubt.as_str(), "\n"]));
    screen.print(&text)?;
    Ok(ExitCode::SUCCESS)
}

impl From<State> for InstanceState {
    fn from(state: State) -> Self {
        match state {
            State::Starting => Self::Starting,
            State::Ready => Self::Ready,
            State::NotReady => Self::NotReady,
            State::Draining => Self::Draining,
            State::Down => Self::Down,
        }
    }
}

fn lines(instances: &[Instance], now: Timestamp, coloured: bool) -> String {
    let mut table = Table::new(&HEAD);
    instances.iter().for_each(|instance| table.add(row(instance, now)));
    table.lines(coloured)
}

fn row(instance: &Instance, now: Timestamp) -> Vec<Cell> {
    let is_up = instance.state() != InstanceState::Down;
    // What the dead said last is no news.
    let beat = instance.heartbeat_time.as_ref().filter(|_| is_up);
    vec![
        instance.service.as_str().into(),
        instance.instance_id.as_str().into(),
        state(instance),
        instance.address.as_str().into(),
        instance.version.as_str().into(),
        instance.zone.as_str().into(),
        age(instance.state_time.as_ref(), now).into(),
        age(beat, now).into(),
        instance.load.as_ref().filter(|_| is_up).map(load).unwrap_or_default().into(),
        why(instance).into(),
    ]
}

/// Why the list may not be the whole truth.
fn doubts(service: &str, page: &DiscoverResponse, now: Timestamp) -> Vec<String> {
    let unknown = (!page.service_known).then(|| format!("the registry has not heard of a service {service:?}"));
    let warming = page.warming.then(|| "warming: the registry has just started, instances may be missing".to_owned());
    let protections = page.protections.iter().map(|protection| protected(protection, now));
    unknown.into_iter().chain(warming).chain(protections).collect()
}

fn protected(protection: &Protection, now: Timestamp) -> String {
    let scope = match &protection.scope {
        Some(protection::Scope::Service(name)) => format!("service {name}"),
        Some(protection::Scope::Zone(name)) => format!("zone {name:?}"),
        Some(protection::Scope::Whole(_)) | None => "all".to_owned(),
    };
    let (suspects, instances) = (protection.suspects, protection.instances);
    let since = age(protection.begin_time.as_ref(), now);
    format!("protected: {scope}, for {since}: {suspects} of {instances} are in doubt, so lapsed leases are held")
}

#[cfg(test)]
mod tests {
    use proto::registry::{DownReason, Load};

    use super::*;

    #[test]
    fn a_list_tells_what_is_known_of_each() {
        let at = |seconds| Some(prost_types::Timestamp { seconds, nanos: 0 });
        let ready = Instance {
            service: "productsvc".into(),
            instance_id: "3fa1".into(),
            state: InstanceState::Ready.into(),
            address: "127.0.0.1:5053".into(),
            version: "0.1.0".into(),
            state_time: at(0),
            heartbeat_time: at(298),
            load: Some(Load::default()),
            missing_services: vec!["logsvc".into()],
            ..Default::default()
        };
        let reason = DownReason::ConnectionLost.into();
        let state = InstanceState::Down.into();
        let down = Instance { instance_id: "4c".into(), state, down_reason: reason, ..ready.clone() };
        let down = Instance { missing_services: Vec::new(), ..down };

        let text = lines(&[ready, down], Timestamp::from_second(300).unwrap(), false);

        let expected = "\
            SERVICE     INSTANCE  STATE  ADDRESS         VERSION  SINCE  BEAT   LOAD  WHY\n\
            productsvc  3fa1      READY  127.0.0.1:5053  0.1.0    5 min  2.0 s  idle  misses logsvc\n\
            productsvc  4c        DOWN   127.0.0.1:5053  0.1.0    5 min               connection lost\n";
        assert_eq!(text, expected);
    }

    #[test]
    fn doubts_are_told_beside_the_list() {
        let protection = Protection {
            scope: Some(protection::Scope::Service("tests".into())),
            begin_time: Some(prost_types::Timestamp { seconds: 0, nanos: 0 }),
            suspects: 4,
            instances: 5,
        };
        let page = DiscoverResponse { warming: true, protections: vec![protection], ..Default::default() };

        let doubts = doubts("x", &page, Timestamp::from_second(12).unwrap());

        assert_eq!(doubts.len(), 3);
        assert_eq!(doubts[2], "protected: service tests, for 12 s: 4 of 5 are in doubt, so lapsed leases are held");
    }
}

//! What the registry accepts: requests parsed into types that cannot be wrong.

use std::net::SocketAddr;
use std::time::Duration;

use proto::registry::{
    DeregisterRequest, DiscoverRequest, DrainRequest, InstanceState, Lease, MoveRequest, Probe, RegisterRequest,
    TimeToLive, WatchRequest,
};

use crate::error::Error;
use crate::events::About;
use crate::feed::Followed;
use crate::instances::{Beat, Selector};
use crate::registration::{Key, LONGEST_LEASE, Probing, Registration, SHORTEST_LEASE, Terms};

/// Limits of the registry's contract; lengths in bytes.
const LONGEST_SERVICE: usize = 63;
const LONGEST_INSTANCE: usize = 64;
const LONGEST_TEXT: usize = 64;
const LONGEST_LINK: usize = 200;
const MOST_WEIGHT: u32 = 10_000;
const MOST_METADATA: usize = 64;
const METADATA_BYTES: usize = 4096;
const MOST_REQUIRED: usize = 32;
const MOST_LINKS: usize = 8;
const LONGEST_WAIT: Duration = Duration::from_secs(60);
const SHORTEST_PROBE: Duration = Duration::from_secs(1);
const LONGEST_PROBE: Duration = Duration::from_secs(60);
const MOST_FOLLOWED: usize = 64;

/// Collects what is wrong with the fields of a request.
#[derive(Debug, Default)]
struct Faults(Vec<(String, String)>);

impl Faults {
    fn check(&mut self, is_right: bool, field: &str, description: &str) {
        if !is_right {
            self.0.push((field.to_owned(), description.to_owned()));
        }
    }

    fn none(self) -> Result<(), Error> {
        if self.0.is_empty() { Ok(()) } else { Err(Error::InvalidFields(self.0)) }
    }

    fn key(&mut self, service: &str, instance: &str) {
        self.check(is_service(service), "service", "must be 1 to 63 characters of a-z, 0-9 and -");
        self.check(is_instance(instance), "instance_id", "must be 1 to 64 printable characters without spaces");
    }

    fn optional_service(&mut self, service: &str) {
        let fits = service.is_empty() || is_service(service);
        self.check(fits, "service", "must be 1 to 63 characters of a-z, 0-9 and -, or empty for all");
    }

    /// Reads how long to wait; nothing when it was not given.
    fn wait(&mut self, field: &str, given: Option<&prost_types::Duration>) -> Option<Duration> {
        let wait = mesh::from_duration(given?).filter(|wait| *wait <= LONGEST_WAIT);
        self.check(wait.is_some(), field, "must be 60 s at most");
        wait
    }
}

/// Parses Register.
pub(crate) fn registration(request: RegisterRequest) -> Result<(Key, Registration), Error> {
    let mut faults = Faults::default();
    faults.key(&request.service, &request.instance_id);
    faults.check(request.boot_nonce != 0, "boot_nonce", "must not be 0");
    let address = address(&request.address);
    faults.check(address.is_some(), "address", "must be an IP address that others can reach, a colon and a port");
    faults.check(is_text(&request.version, LONGEST_TEXT), "version", "must be at most 64 bytes");
    faults.check(is_text(&request.zone, LONGEST_TEXT), "zone", "must be at most 64 bytes");
    faults.check(request.weight <= MOST_WEIGHT, "weight", "must be at most 10000");
    let state = match InstanceState::try_from(request.state) {
        Ok(InstanceState::Unspecified) => Some(InstanceState::Ready),
        Ok(InstanceState::Down) | Err(_) => None,
        Ok(state) => Some(state),
    };
    faults.check(state.is_some(), "state", "must be STARTING, READY, NOT_READY or DRAINING");
    let metadata_bytes: usize = request.metadata.iter().map(|(key, value)| key.len() + value.len()).sum();
    faults.check(
        request.metadata.len() <= MOST_METADATA && metadata_bytes <= METADATA_BYTES,
        "metadata",
        "must be at most 64 entries and 4 KiB",
    );
    let required = &request.required_services;
    faults.check(
        required.len() <= MOST_REQUIRED && required.iter().all(|name| is_service(name)),
        "required_services",
        "must be at most 32 names of services",
    );
    let links_fit =
        request.links.iter().all(|(scheme, link)| is_text(scheme, LONGEST_TEXT) && is_text(link, LONGEST_LINK));
    faults.check(request.links.len() <= MOST_LINKS && links_fit, "links", "must be at most 8, of 200 bytes");
    let terms = terms(request.time_to_live.as_ref());
    faults.check(terms.is_some(), "time_to_live", "must be 1 s to 300 s, and min <= want <= max");
    let probe = request.probe.map_or(Some(None), |asked| probing(asked).map(Some));
    faults.check(probe.is_some(), "probe", "must name a service of 128 bytes at most and a period of 1 s to 60 s");

    let (Some(address), Some(state), Some(terms), Some(probe)) = (address, state, terms, probe) else {
        return Err(Error::InvalidFields(faults.0));
    };
    faults.none()?;
    let key = Key::new(&request.service, &request.instance_id);
    let registration = Registration {
        boot_nonce: request.boot_nonce,
        address,
        version: request.version,
        state,
        zone: request.zone.into(),
        weight: if request.weight == 0 { 100 } else { request.weight },
        metadata: request.metadata.into_iter().collect(),
        required_services: request.required_services,
        terms,
        links: request.links.into_iter().collect(),
        probe,
    };
    Ok((key, registration))
}

fn terms(asked: Option<&TimeToLive>) -> Option<Terms> {
    let Some(asked) = asked else { return Some(Terms::default()) };
    let span = |given: Option<&prost_types::Duration>, otherwise: Duration| match given {
        Some(given) => mesh::from_duration(given),
        None => Some(otherwise),
    };
    let min = span(asked.min.as_ref(), SHORTEST_LEASE)?;
    let max = span(asked.max.as_ref(), LONGEST_LEASE)?;
    let want = asked.want.as_ref().map(|want| mesh::from_duration(want).ok_or(())).transpose().ok()?;
    Some(Terms { min, want, max }).filter(Terms::are_possible)
}

fn probing(asked: Probe) -> Option<Probing> {
    let period = mesh::from_duration(&asked.period?)?;
    let fits = (SHORTEST_PROBE..=LONGEST_PROBE).contains(&period) && is_text(&asked.service, 2 * LONGEST_TEXT);
    fits.then_some(Probing { service: asked.service, period })
}

/// A goodbye: which incarnation, and how long to wait for watchers.
#[derive(Debug)]
pub(crate) struct Goodbye {
    pub(crate) key: Key,
    pub(crate) incarnation: u64,
    pub(crate) wait: Option<Duration>,
}

/// Parses Deregister.
pub(crate) fn deregistration(request: &DeregisterRequest) -> Result<Goodbye, Error> {
    let mut faults = Faults::default();
    faults.key(&request.service, &request.instance_id);
    faults.check(request.incarnation != 0, "incarnation", "must be the one that Register answered");
    let wait = faults.wait("drain_timeout", request.drain_timeout.as_ref());
    faults.none()?;
    Ok(Goodbye { key: Key::new(&request.service, &request.instance_id), incarnation: request.incarnation, wait })
}

/// Parses Drain.
pub(crate) fn drain(request: &DrainRequest) -> Result<(Key, Duration), Error> {
    let mut faults = Faults::default();
    faults.key(&request.service, &request.instance_id);
    let wait = faults.wait("drain_timeout", request.drain_timeout.as_ref());
    faults.none()?;
    Ok((Key::new(&request.service, &request.instance_id), wait.unwrap_or_default()))
}

/// Parses the name of one instance.
pub(crate) fn key(service: &str, instance: &str) -> Result<Key, Error> {
    let mut faults = Faults::default();
    faults.key(service, instance);
    faults.none()?;
    Ok(Key::new(service, instance))
}

/// Parses the leases of a beat: 1 to 64.
pub(crate) fn beats(leases: Vec<Lease>) -> Result<Vec<Beat>, Error> {
    let mut faults = Faults::default();
    faults.check((1..=64).contains(&leases.len()), "leases", "must be 1 to 64");
    let mut beats = Vec::new();
    for lease in leases.into_iter().take(64) {
        faults.key(&lease.service, &lease.instance_id);
        let state = match InstanceState::try_from(lease.state) {
            Ok(InstanceState::Unspecified) => Some(None),
            Ok(InstanceState::Down) | Err(_) => None,
            Ok(state) => Some(Some(state)),
        };
        faults.check(state.is_some(), "state", "must be STARTING, READY, NOT_READY or DRAINING");
        let is_sane = lease.load.is_none_or(|load| load.requests_per_second.is_finite());
        faults.check(is_sane, "load", "must be finite");
        let key = Key::new(&lease.service, &lease.instance_id);
        beats.push(Beat { key, incarnation: lease.incarnation, state: state.flatten(), load: lease.load });
    }
    faults.none()?;
    Ok(beats)
}

/// Parses the first request of a watch: 64 services at most.
pub(crate) fn followed(request: &WatchRequest) -> Result<Followed, Error> {
    let mut faults = Faults::default();
    let services = &request.services;
    faults.check(
        services.len() <= MOST_FOLLOWED && services.iter().all(|name| is_service(name)),
        "services",
        "must be at most 64 names of services",
    );
    faults.none()?;
    let sorted: std::collections::BTreeSet<&str> = services.iter().map(String::as_str).collect();
    Ok(sorted.into_iter().map(std::sync::Arc::from).collect())
}

/// Parses the selectors of Discover; what is empty matches all.
pub(crate) fn selector(request: &DiscoverRequest) -> Result<Selector, Error> {
    let mut faults = Faults::default();
    faults.optional_service(&request.service);
    faults.check(is_text(&request.version, LONGEST_TEXT), "version", "must be at most 64 bytes");
    faults.check(is_text(&request.zone, LONGEST_TEXT), "zone", "must be at most 64 bytes");
    faults.check(request.metadata.len() <= MOST_METADATA, "metadata", "must be at most 64 entries");
    let state = |state: &i32| InstanceState::try_from(*state).ok().filter(|state| *state != InstanceState::Unspecified);
    let states: Vec<InstanceState> = request.states.iter().filter_map(state).collect();
    faults.check(states.len() == request.states.len() && states.len() <= 16, "states", "must be states of instances");
    faults.none()?;
    let all =
        || (InstanceState::Starting as i32..=InstanceState::Down as i32).filter_map(|state| state.try_into().ok());
    let states = match (states.is_empty(), request.include_down) {
        (true, true) => Some(all().collect()),
        (true, false) => None,
        (false, _) => Some(states),
    };
    let given = |text: &String| Some(text.clone()).filter(|text| !text.is_empty());
    Ok(Selector {
        service: given(&request.service),
        version: given(&request.version),
        zone: given(&request.zone),
        states,
        metadata: request.metadata.clone().into_iter().collect(),
    })
}

/// Parses whose events are wanted.
pub(crate) fn about(service: String, instance: String) -> Result<About, Error> {
    let mut faults = Faults::default();
    faults.optional_service(&service);
    let fits = instance.is_empty() || (is_instance(&instance) && !service.is_empty());
    faults.check(fits, "instance_id", "must be 1 to 64 printable characters without spaces, with its service");
    faults.none()?;
    let given = |text: String| Some(text).filter(|text| !text.is_empty());
    Ok(About { service: given(service), instance: given(instance) })
}

/// Parses a service that may be left out.
pub(crate) fn service(service: String) -> Result<Option<String>, Error> {
    about(service, String::new()).map(|about| about.service)
}

/// Parses Move: where to, and within which time.
pub(crate) fn target(request: &MoveRequest) -> Result<(SocketAddr, Duration), Error> {
    let mut faults = Faults::default();
    let address = address(&request.address);
    faults.check(address.is_some(), "address", "must be an IP address that others can reach, a colon and a port");
    let within = faults.wait("within", request.within.as_ref()).unwrap_or(Duration::from_secs(10));
    let Some(address) = address else { return Err(Error::InvalidFields(faults.0)) };
    faults.none()?;
    Ok((address, within))
}

/// Parses a page size; 0 means 100, at most 1000.
pub(crate) fn page_size(size: i32) -> Result<usize, Error> {
    mesh::page::size(size, 100, 1000)
        .map_err(|error| Error::InvalidFields(vec![("page_size".to_owned(), error.to_string())]))
}

fn address(text: &str) -> Option<SocketAddr> {
    text.parse().ok().filter(|address: &SocketAddr| !address.ip().is_unspecified() && address.port() != 0)
}

fn is_service(name: &str) -> bool {
    (1..=LONGEST_SERVICE).contains(&name.len())
        && name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
}

fn is_instance(id: &str) -> bool {
    // Browsers resolve dots in a path away, so those two could not have a page.
    let is_dots = matches!(id, "." | "..");
    (1..=LONGEST_INSTANCE).contains(&id.len()) && id.bytes().all(|b| b.is_ascii_graphic()) && !is_dots
}

fn is_text(text: &str, longest: usize) -> bool {
    text.len() <= longest && !text.chars().any(char::is_control)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_registration_names_every_field_it_misses() {
        let Err(Error::InvalidFields(fields)) = registration(RegisterRequest::default()) else { panic!("accepted") };

        let names: Vec<&str> = fields.iter().map(|(field, _)| field.as_str()).collect();
        assert_eq!(names, ["service", "instance_id", "boot_nonce", "address"]);
    }

    #[test]
    fn hostile_registrations_are_refused() {
        let good = RegisterRequest {
            service: "s".into(),
            instance_id: "i".into(),
            boot_nonce: 1,
            address: "127.0.0.1:1".into(),
            ..Default::default()
        };
        assert!(registration(good.clone()).is_ok());

        for bad in [
            RegisterRequest { service: "<script>".into(), ..good.clone() },
            RegisterRequest { instance_id: "x".repeat(65), ..good.clone() },
            RegisterRequest { address: "localhost:1".into(), ..good.clone() },
            RegisterRequest { address: "0.0.0.0:1".into(), ..good.clone() },
            RegisterRequest { state: InstanceState::Down.into(), ..good.clone() },
            RegisterRequest { state: -7, ..good.clone() },
            RegisterRequest { weight: u32::MAX, ..good.clone() },
            RegisterRequest {
                time_to_live: Some(TimeToLive {
                    want: Some(prost_types::Duration { seconds: i64::MIN, nanos: i32::MIN }),
                    ..Default::default()
                }),
                ..good.clone()
            },
            RegisterRequest { probe: Some(Probe::default()), ..good.clone() },
            RegisterRequest { metadata: [("k".to_owned(), "v".repeat(5000))].into(), ..good },
        ] {
            assert!(matches!(registration(bad.clone()), Err(Error::InvalidFields(_))), "{bad:?}");
        }
    }
}

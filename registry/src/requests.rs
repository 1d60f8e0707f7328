//! What the registry accepts: requests parsed into types that cannot be wrong.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use proto::registry::{DeregisterRequest, Instance, InstanceState, Lease, RegisterRequest};

use crate::error::Error;
use crate::instances::Beat;

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
const SHORTEST_LEASE: Duration = Duration::from_secs(1);
const LONGEST_LEASE: Duration = Duration::from_secs(300);

/// Names one instance of one service.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Key {
    pub(crate) service: String,
    pub(crate) instance: String,
}

impl std::fmt::Display for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.service, self.instance)
    }
}

/// What an instance said of itself. Equal registrations of one key are one registration.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Registration {
    boot_nonce: u64,
    address: SocketAddr,
    version: String,
    state: InstanceState,
    zone: String,
    weight: u32,
    metadata: BTreeMap<String, String>,
    required_services: Vec<String>,
    pub(crate) lease: Option<Duration>,
    links: BTreeMap<String, String>,
}

impl Registration {
    /// Where the instance serves gRPC.
    pub(crate) fn address(&self) -> String {
        self.address.to_string()
    }

    /// The instance that this registration makes.
    pub(crate) fn instance(&self, key: &Key, incarnation: u64, lease: Duration, now: jiff::Timestamp) -> Instance {
        let now = Some(mesh::timestamp(now));
        Instance {
            service: key.service.clone(),
            instance_id: key.instance.clone(),
            incarnation,
            address: self.address.to_string(),
            version: self.version.clone(),
            state: self.state.into(),
            register_time: now,
            state_time: now,
            zone: self.zone.clone(),
            weight: self.weight,
            metadata: self.metadata.clone().into_iter().collect(),
            required_services: self.required_services.clone(),
            time_to_live: prost_types::Duration::try_from(lease).ok(),
            links: self.links.clone().into_iter().collect(),
            ..Default::default()
        }
    }

    #[cfg(test)]
    pub(crate) fn sample(boot_nonce: u64) -> Self {
        let request = RegisterRequest {
            service: "productsvc".to_owned(),
            instance_id: "a".to_owned(),
            boot_nonce,
            address: "127.0.0.1:5053".to_owned(),
            ..Default::default()
        };
        registration(request).map(|(_, registration)| registration).unwrap()
    }
}

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
}

/// Parses Register.
pub(crate) fn registration(request: RegisterRequest) -> Result<(Key, Registration), Error> {
    let mut faults = Faults::default();
    faults.key(&request.service, &request.instance_id);
    faults.check(request.boot_nonce != 0, "boot_nonce", "must not be 0");
    let address = request
        .address
        .parse::<SocketAddr>()
        .ok()
        .filter(|address| !address.ip().is_unspecified() && address.port() != 0);
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
    let lease = request.time_to_live.map(|ttl| mesh::from_duration(&ttl).unwrap_or_default());
    faults.check(
        lease.is_none_or(|lease| (SHORTEST_LEASE..=LONGEST_LEASE).contains(&lease)),
        "time_to_live",
        "must be 1 s to 300 s",
    );

    let (Some(address), Some(state)) = (address, state) else { return Err(Error::InvalidFields(faults.0)) };
    faults.none()?;
    let key = Key { service: request.service, instance: request.instance_id };
    let registration = Registration {
        boot_nonce: request.boot_nonce,
        address,
        version: request.version,
        state,
        zone: request.zone,
        weight: if request.weight == 0 { 100 } else { request.weight },
        metadata: request.metadata.into_iter().collect(),
        required_services: request.required_services,
        lease,
        links: request.links.into_iter().collect(),
    };
    Ok((key, registration))
}

/// Parses Deregister.
pub(crate) fn deregistration(request: DeregisterRequest) -> Result<(Key, u64), Error> {
    let mut faults = Faults::default();
    faults.key(&request.service, &request.instance_id);
    faults.check(request.incarnation != 0, "incarnation", "must be the one that Register answered");
    faults.none()?;
    Ok((Key { service: request.service, instance: request.instance_id }, request.incarnation))
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
        let key = Key { service: lease.service, instance: lease.instance_id };
        beats.push(Beat { key, incarnation: lease.incarnation, state: state.flatten() });
    }
    faults.none()?;
    Ok(beats)
}

/// Parses the services that a watcher follows: 64 at most.
pub(crate) fn watched(services: Vec<String>) -> Result<Vec<String>, Error> {
    let mut faults = Faults::default();
    faults.check(
        services.len() <= 64 && services.iter().all(|name| is_service(name)),
        "services",
        "must be at most 64 names of services",
    );
    faults.none()?;
    Ok(services)
}

/// Parses the service of Discover; empty is all.
pub(crate) fn discovered(service: String) -> Result<Option<String>, Error> {
    let mut faults = Faults::default();
    faults.check(
        service.is_empty() || is_service(&service),
        "service",
        "must be 1 to 63 characters of a-z, 0-9 and -, or empty for all",
    );
    faults.none()?;
    Ok(Some(service).filter(|service| !service.is_empty()))
}

/// Parses a page size; 0 means 100, at most 1000.
pub(crate) fn page_size(size: i32) -> Result<usize, Error> {
    mesh::page::size(size, 100, 1000)
        .map_err(|error| Error::InvalidFields(vec![("page_size".to_owned(), error.to_string())]))
}

fn is_service(name: &str) -> bool {
    (1..=LONGEST_SERVICE).contains(&name.len())
        && name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
}

fn is_instance(id: &str) -> bool {
    (1..=LONGEST_INSTANCE).contains(&id.len()) && id.bytes().all(|b| b.is_ascii_graphic())
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
                time_to_live: Some(prost_types::Duration { seconds: i64::MIN, nanos: i32::MIN }),
                ..good.clone()
            },
            RegisterRequest { metadata: [("k".to_owned(), "v".repeat(5000))].into(), ..good },
        ] {
            assert!(matches!(registration(bad.clone()), Err(Error::InvalidFields(_))), "{bad:?}");
        }
    }
}

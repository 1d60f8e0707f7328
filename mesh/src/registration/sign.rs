//! What others are told about this process.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::time::Duration;

use proto::registry::{Probe, RegisterRequest, TimeToLive};

/// What others are told about this process.
#[derive(Debug, Clone)]
pub struct Sign {
    address: SocketAddr,
    links: HashMap<String, String>,
    required_services: Vec<String>,
    metadata: HashMap<String, String>,
    zone: String,
    weight: u32,
    time_to_live: Option<TimeToLive>,
    probe: Option<Probe>,
}

impl Sign {
    /// A process that serves gRPC at `address`.
    pub fn at(address: SocketAddr) -> Self {
        Self {
            address,
            links: HashMap::new(),
            required_services: Vec::new(),
            metadata: HashMap::new(),
            zone: String::new(),
            weight: 0,
            time_to_live: None,
            probe: None,
        }
    }

    /// Adds an address for people, such as the portal's `http`.
    pub fn link(mut self, scheme: impl Into<String>, url: impl Into<String>) -> Self {
        self.links.insert(scheme.into(), url.into());
        self
    }

    /// Names a service that this one cannot work without.
    pub fn requires(mut self, service: impl Into<String>) -> Self {
        self.required_services.push(service.into());
        self
    }

    /// Adds a fact that others can select by.
    pub fn fact(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.metadata.insert(name.into(), value.into());
        self
    }

    /// Its share of calls beside others; 100 is usual.
    pub fn weight(mut self, weight: u32) -> Self {
        self.weight = weight;
        self
    }

    /// How long it may be silent before it is DOWN: at least, wanted, at most. The registry's default is 6 s.
    pub fn time_to_live(mut self, min: Duration, want: Duration, max: Duration) -> Self {
        let [min, want, max] = [min, want, max].map(|span| prost_types::Duration::try_from(span).ok());
        self.time_to_live = Some(TimeToLive { min, want, max });
        self
    }

    /// Asks the registry to ask `grpc.health.v1` how it is doing, this often; the whole process is asked.
    pub fn probed(mut self, period: Duration) -> Self {
        let period = prost_types::Duration::try_from(period).ok();
        self.probe = Some(Probe { service: String::new(), period });
        self
    }

    /// Where others should call.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// The same with the address that others should use, if there is one.
    pub(crate) fn advertised(mut self, address: Option<SocketAddr>) -> Self {
        self.address = address.unwrap_or(self.address);
        self
    }

    /// The same in a zone.
    pub(crate) fn in_zone(self, zone: String) -> Self {
        Self { zone, ..self }
    }

    /// What it makes of a registration; who registers is still to be said.
    pub(crate) fn registration(&self) -> RegisterRequest {
        RegisterRequest {
            address: self.address.to_string(),
            links: self.links.clone(),
            required_services: self.required_services.clone(),
            metadata: self.metadata.clone(),
            zone: self.zone.clone(),
            weight: self.weight,
            time_to_live: self.time_to_live,
            probe: self.probe.clone(),
            ..Default::default()
        }
    }
}

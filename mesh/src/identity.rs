//! Who this process is: its service, its instance and its boot nonce.

use std::sync::Arc;

/// Names one run of one process. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Identity(Arc<Parts>);

#[derive(Debug)]
struct Parts {
    service: &'static str,
    instance: String,
    version: &'static str,
    boot_nonce: u64,
    started: jiff::Timestamp,
}

impl Identity {
    /// Makes a new identity: another instance with each start of the process.
    pub fn new(service: &'static str, version: &'static str) -> Self {
        let instance = format!("{:08x}", fastrand::u32(..));
        let boot_nonce = fastrand::u64(1..);
        Self(Arc::new(Parts { service, instance, version, boot_nonce, started: jiff::Timestamp::now() }))
    }

    /// The service's name in the registry.
    pub fn service(&self) -> &'static str {
        self.0.service
    }

    /// This process among its service's instances: eight hexadecimal digits.
    pub fn instance(&self) -> &str {
        &self.0.instance
    }

    /// The version of the program.
    pub fn version(&self) -> &'static str {
        self.0.version
    }

    /// Random, new with each start, never 0.
    pub fn boot_nonce(&self) -> u64 {
        self.0.boot_nonce
    }

    /// Rises with each start of the process, on a clock that does not go back: microseconds since 1970.
    pub fn incarnation(&self) -> u64 {
        u64::try_from(self.0.started.as_microsecond()).unwrap_or(1)
    }

    /// When the process started.
    pub fn started(&self) -> jiff::Timestamp {
        self.0.started
    }
}

impl std::fmt::Display for Identity {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.0.service, self.0.instance)
    }
}

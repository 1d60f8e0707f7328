//! Why a call failed before anybody answered it, in words that name the service.

use tonic::{Code, Status};

use crate::channel::Channel;
use crate::channel::connection::Connection;
use crate::picture::Rank;
use crate::refusal::Refusal;
use proto::mesh::ErrorReason;

/// Who says where a service's instances are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Source {
    /// The registry, by the service's name.
    Registry,
    /// A list that was given.
    Addresses,
    /// A name that is looked up.
    Dns,
    /// Nobody: the addresses are the configuration.
    Fixed,
}

impl Source {
    fn name(self) -> &'static str {
        match self {
            Self::Registry => "the registry",
            Self::Addresses | Self::Fixed => "the list",
            Self::Dns => "DNS",
        }
    }
}

impl Channel {
    /// What is known about why there is no connection, in words.
    pub(super) fn situation(&self) -> String {
        let picture = self.0.picture.borrow();
        let trouble = self.0.balancer.trouble().map(|trouble| format!(" ({trouble})")).unwrap_or_default();
        let drain = picture.instances.values().filter(|seen| seen.rank == Rank::Resting).count();
        let source = self.0.source;
        match (picture.heard, picture.instances.len() - drain) {
            (None, _) if source == Source::Fixed => format!("it cannot be reached{trouble}"),
            (None, _) => {
                let trouble = picture.trouble.as_ref().map(|trouble| format!(" ({trouble})")).unwrap_or_default();
                format!("{} has not been reached yet{trouble}", source.name())
            }
            (Some(heard), 0) => {
                let draining = if drain > 0 { format!(" that takes calls ({drain} draining)") } else { String::new() };
                format!("{} listed none{draining}, {:.1} s ago", source.name(), heard.elapsed().as_secs_f64())
            }
            (Some(heard), n) => format!(
                "{} listed {n}, {:.1} s ago, but none can be reached{trouble}",
                source.name(),
                heard.elapsed().as_secs_f64()
            ),
        }
    }

    /// Why an address could not be connected to, the last time that one could not.
    pub(crate) fn trouble(&self) -> Option<String> {
        self.0.balancer.trouble()
    }

    pub(super) fn nobody(&self, why: &str) -> Status {
        let message = format!("no instance of {} is connected: {why}", self.0.service);
        self.refuse(Code::Unavailable, ErrorReason::NoInstance, message)
    }

    pub(super) fn lost(&self, connection: &Connection, cause: &dyn std::fmt::Display) -> Status {
        let address = connection.endpoint().address();
        let message = format!("the connection to {} at {address} broke: {cause}", self.0.service);
        self.refuse(Code::Unavailable, ErrorReason::ConnectionLost, message)
    }

    pub(super) fn late(&self) -> Status {
        let message = format!("{} did not answer before the deadline", self.0.service);
        self.refuse(Code::DeadlineExceeded, ErrorReason::DeadlineExceeded, message)
    }

    fn refuse(&self, code: Code, reason: ErrorReason, message: String) -> Status {
        Refusal::new(code, proto::mesh::DOMAIN, reason.as_str_name(), message)
            .metadata("service", self.0.service.as_str())
            .into_status()
    }
}

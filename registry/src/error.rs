//! What can go wrong for a caller of the registry.

use std::net::SocketAddr;
use std::sync::Arc;

use mesh::Refusal;
use proto::registry::{DOMAIN, ErrorReason};
use tonic::{Code, Status};

use crate::registration::Key;

/// Why a call was refused.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub(crate) enum Error {
    #[error("the request has {} invalid field{}: {}", .0.len(), if .0.len() == 1 { "" } else { "s" }, names(.0))]
    InvalidFields(Vec<(String, String)>),
    #[error("there is no instance \"{0}\"")]
    NotFound(String),
    #[error("incarnation {given} is not the living one, {living}")]
    StaleIncarnation { given: u64, living: u64 },
    #[error("the message cannot be read: {0}")]
    Unreadable(String),
    #[error("the watch did not say what it wants to follow")]
    NoFirstRequest,
    #[error("page_token is not a page token of this request")]
    InvalidPageToken,
    #[error("the registry holds {0} instances, which is all it takes")]
    TooManyInstances(usize),
    #[error("{holder} is alive at {address}; two instances of a service cannot have one address")]
    AddressTaken { holder: Key, address: SocketAddr },
    #[error("an operator took {0} down; `registry undrain {0}` lets it come back")]
    TakenDown(Key),
    #[error("the registry has another epoch now, {0}: that revision means nothing any more")]
    EpochChanged(String),
    #[error("the table is at revision {0} and did not reach {1} in time")]
    RevisionNotReached(u64, u64),
    #[error("the registry is stopping; come back")]
    Stopping,
    #[error("instances moved to another registry node; come back there")]
    Moved,
    #[error("{caller} may not speak for {service}: its certificate is not that of {service}")]
    OtherService { caller: String, service: Arc<str> },
}

impl Error {
    pub(crate) fn not_found(key: &Key) -> Self {
        Self::NotFound(key.to_string())
    }
}

fn names(fields: &[(String, String)]) -> String {
    let names: Vec<&str> = fields.iter().map(|(field, _)| field.as_str()).take(5).collect();
    names.join(", ")
}

impl From<Error> for Status {
    fn from(error: Error) -> Self {
        let (code, reason) = match &error {
            Error::InvalidFields(_) | Error::Unreadable(_) | Error::NoFirstRequest => {
                (Code::InvalidArgument, ErrorReason::InvalidField)
            }
            Error::NotFound(_) => (Code::NotFound, ErrorReason::InstanceNotFound),
            Error::StaleIncarnation { .. } => (Code::FailedPrecondition, ErrorReason::StaleIncarnation),
            Error::InvalidPageToken => (Code::InvalidArgument, ErrorReason::InvalidPageToken),
            Error::TooManyInstances(_) => (Code::ResourceExhausted, ErrorReason::TooManyInstances),
            Error::AddressTaken { .. } => (Code::AlreadyExists, ErrorReason::AddressTaken),
            Error::TakenDown(_) => (Code::FailedPrecondition, ErrorReason::TakenDown),
            Error::EpochChanged(_) => (Code::FailedPrecondition, ErrorReason::EpochChanged),
            Error::RevisionNotReached(..) => (Code::Unavailable, ErrorReason::RevisionNotReached),
            Error::OtherService { .. } => (Code::PermissionDenied, ErrorReason::OtherService),
            Error::Moved => (Code::Unavailable, ErrorReason::Moved),
            Error::Stopping => (Code::Unavailable, ErrorReason::Stopping),
        };
        let mut refusal = Refusal::new(code, DOMAIN, reason.as_str_name(), error.to_string());
        match error {
            Error::InvalidFields(fields) => {
                for (field, description) in fields {
                    refusal = refusal.field(field, description);
                }
            }
            Error::InvalidPageToken => refusal = refusal.field("page_token", "is not a page token of this request"),
            Error::StaleIncarnation { living, .. } => refusal = refusal.metadata("incarnation", living.to_string()),
            _ => {}
        }
        refusal.into_status()
    }
}

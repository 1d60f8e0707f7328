//! What can go wrong for a caller of the registry.

use mesh::Refusal;
use proto::registry::{DOMAIN, ErrorReason};
use tonic::{Code, Status};

/// Why a call was refused.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub(crate) enum Error {
    #[error("the request has {} invalid field{}: {}", .0.len(), if .0.len() == 1 { "" } else { "s" }, names(.0))]
    InvalidFields(Vec<(String, String)>),
    #[error("there is no instance \"{service}/{instance}\"")]
    NotFound { service: String, instance: String },
    #[error("incarnation {given} is not the living one, {living}")]
    StaleIncarnation { given: u64, living: u64 },
    #[error("page_token is not a page token of this request")]
    InvalidPageToken,
    #[error("the registry holds {0} instances, which is all it takes")]
    TooManyInstances(usize),
    #[error("the registry is stopping; come back")]
    Stopping,
}

fn names(fields: &[(String, String)]) -> String {
    let names: Vec<&str> = fields.iter().map(|(field, _)| field.as_str()).take(5).collect();
    names.join(", ")
}

impl From<Error> for Status {
    fn from(error: Error) -> Self {
        let (code, reason) = match &error {
            Error::InvalidFields(_) => (Code::InvalidArgument, ErrorReason::InvalidField),
            Error::NotFound { .. } => (Code::NotFound, ErrorReason::InstanceNotFound),
            Error::StaleIncarnation { .. } => (Code::FailedPrecondition, ErrorReason::StaleIncarnation),
            Error::InvalidPageToken => (Code::InvalidArgument, ErrorReason::InvalidPageToken),
            Error::TooManyInstances(_) => (Code::ResourceExhausted, ErrorReason::TooManyInstances),
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

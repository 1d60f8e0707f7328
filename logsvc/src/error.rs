//! What can go wrong for a caller of the log service.

use mesh::Refusal;
use proto::logs::{DOMAIN, ErrorReason};
use tonic::{Code, Status};

/// Why a call was refused.
#[derive(Debug, Clone, thiserror::Error, PartialEq, Eq)]
pub(crate) enum Error {
    #[error("{field} {description}")]
    InvalidField { field: &'static str, description: String },
    #[error("the stream must begin with one header")]
    HeaderExpected,
    #[error("records before the given ones are missing: expected sequence {expected}")]
    SequenceHole { expected: u64 },
    #[error("the disk of the log service is full")]
    DiskFull,
    #[error("the log could not be written; the log service's terminal says why")]
    StorageFailed,
    #[error("the log service is stopping; come back")]
    Stopping,
}

impl From<Error> for Status {
    fn from(error: Error) -> Self {
        let (code, reason) = match &error {
            Error::InvalidField { .. } => (Code::InvalidArgument, ErrorReason::InvalidField),
            Error::HeaderExpected => (Code::InvalidArgument, ErrorReason::HeaderExpected),
            Error::SequenceHole { .. } => (Code::FailedPrecondition, ErrorReason::SequenceHole),
            Error::DiskFull => (Code::ResourceExhausted, ErrorReason::DiskFull),
            Error::StorageFailed => (Code::Unavailable, ErrorReason::StorageFailed),
            Error::Stopping => (Code::Unavailable, ErrorReason::Stopping),
        };
        let refusal = Refusal::new(code, DOMAIN, reason.as_str_name(), error.to_string());
        match error {
            Error::InvalidField { field, description } => refusal.field(field, description),
            Error::SequenceHole { expected } => refusal.metadata("expected", expected.to_string()),
            _ => refusal,
        }
        .into_status()
    }
}

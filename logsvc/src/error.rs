//! What can go wrong for a caller of the log service.

use std::time::Duration;

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
    #[error("nothing is stored of this producer")]
    ProducerUnknown,
    #[error("too many searches run; come back")]
    Busy,
    #[error("the log could not be read: {0}")]
    Unreadable(String),
    #[error("{caller} may not log as {service}: its certificate is not that of {service}")]
    OtherService { caller: String, service: String },
}

/// When a producer may try a full disk again, or another process in the place of one that ends; and a
/// reader a busy service.
const DISK_RETRY: Duration = Duration::from_secs(1);
const START_RETRY: Duration = Duration::from_secs(1);
const BUSY_RETRY: Duration = Duration::from_millis(500);

impl Error {
    /// Reading failed, which is not the same as reading what is damaged.
    pub(crate) fn unreadable(error: &std::io::Error) -> Self {
        Self::Unreadable(error.to_string())
    }
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
            Error::ProducerUnknown => (Code::NotFound, ErrorReason::ProducerUnknown),
            Error::Busy => (Code::ResourceExhausted, ErrorReason::Busy),
            Error::OtherService { .. } => (Code::PermissionDenied, ErrorReason::OtherService),
            Error::Unreadable(_) => (Code::Unavailable, ErrorReason::StorageFailed),
        };
        let refusal = Refusal::new(code, DOMAIN, reason.as_str_name(), error.to_string());
        match error {
            Error::InvalidField { field, description } => refusal.field(field, description),
            Error::SequenceHole { expected } => refusal.metadata("expected", expected.to_string()),
            Error::DiskFull => refusal.retry_after(DISK_RETRY),
            Error::StorageFailed | Error::Stopping => refusal.retry_after(START_RETRY),
            Error::Busy => refusal.retry_after(BUSY_RETRY),
            _ => refusal,
        }
        .into_status()
    }
}

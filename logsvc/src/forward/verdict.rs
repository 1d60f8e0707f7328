//! What an answer of the receiver means, by OTLP's table of codes.

use std::error::Error as _;
use std::time::Duration;

use mesh::Refusal;
use tonic::{Code, Status};

/// What to do about an answer that is not OK.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Send it again, after this time if the receiver said one.
    Again(Option<Duration>),
    /// It does not want what it was sent.
    Refused,
    /// It wants nothing from us: no record is to blame, and none is given up.
    Unwelcome,
}

impl Verdict {
    pub(super) fn of(status: &Status) -> Self {
        // What never came from the receiver is not its word: the connection broke.
        if status.source().is_some() || status.message().starts_with("grpc-status header missing") {
            return Self::Again(None);
        }
        match status.code() {
            // tonic says this of a message that is too large, and it never becomes smaller.
            Code::OutOfRange if status.message().contains("too large") => Self::Refused,
            Code::Cancelled
            | Code::DeadlineExceeded
            | Code::Aborted
            | Code::OutOfRange
            | Code::Unavailable
            | Code::DataLoss => Self::Again(Refusal::retry_delay(status)),
            // Without a time it means that the message is too large.
            Code::ResourceExhausted => match Refusal::retry_delay(status) {
                Some(delay) => Self::Again(Some(delay)),
                None => Self::Refused,
            },
            Code::Unauthenticated | Code::PermissionDenied | Code::Unimplemented => Self::Unwelcome,
            _ => Self::Refused,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn retry_after(code: Code) -> Status {
        Refusal::new(code, "test", "BUSY", "busy").retry_after(Duration::from_secs(3)).into_status()
    }

    #[test]
    fn each_code_means_what_the_specification_says() {
        let again = [
            Code::Cancelled,
            Code::DeadlineExceeded,
            Code::Aborted,
            Code::OutOfRange,
            Code::Unavailable,
            Code::DataLoss,
        ];
        let refused = [
            Code::Unknown,
            Code::InvalidArgument,
            Code::NotFound,
            Code::AlreadyExists,
            Code::FailedPrecondition,
            Code::ResourceExhausted,
            Code::Internal,
        ];
        let unwelcome = [Code::PermissionDenied, Code::Unimplemented, Code::Unauthenticated];

        for code in again {
            assert_eq!(Verdict::of(&Status::new(code, "x")), Verdict::Again(None), "{code:?}");
            assert_eq!(Verdict::of(&retry_after(code)), Verdict::Again(Some(Duration::from_secs(3))), "{code:?}");
        }
        for code in refused {
            assert_eq!(Verdict::of(&Status::new(code, "x")), Verdict::Refused, "{code:?}");
        }
        for code in unwelcome {
            assert_eq!(Verdict::of(&Status::new(code, "x")), Verdict::Unwelcome, "{code:?}");
        }
        assert_eq!(Verdict::of(&retry_after(Code::ResourceExhausted)), Verdict::Again(Some(Duration::from_secs(3))));
        assert_eq!(again.len() + refused.len() + unwelcome.len(), 16, "all of them but OK");
    }

    #[test]
    fn a_message_that_is_too_large_never_becomes_smaller() {
        let tonic =
            Status::out_of_range("Error, decoded message length too large: found 9 bytes, the limit is: 1 bytes");

        assert_eq!(Verdict::of(&tonic), Verdict::Refused);
    }

    #[test]
    fn a_broken_connection_is_not_the_word_of_the_receiver() {
        let broken = Status::from_error("connection reset".into());

        assert_eq!(broken.code(), Code::Unknown);
        assert_eq!(Verdict::of(&broken), Verdict::Again(None));
    }
}

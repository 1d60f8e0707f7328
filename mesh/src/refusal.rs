//! How a call is refused: a status with `google.rpc.ErrorInfo`, and `BadRequest` for fields.

use std::time::Duration;

use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt};

/// More violations than this would not fit the 8 KiB that proxies allow for trailers.
const MOST_VIOLATIONS: usize = 20;

/// Descriptions quote what came; this keeps the trailers small.
const LONGEST_DESCRIPTION: usize = 200;

/// A refusal in the making.
#[derive(Debug)]
pub struct Refusal {
    code: Code,
    message: String,
    reason: String,
    domain: &'static str,
    metadata: Vec<(String, String)>,
    fields: Vec<(String, String)>,
    retry_after: Option<Duration>,
}

impl Refusal {
    /// Begins a refusal. `reason` is a value of the package's `ErrorReason`, as its `as_str_name()`.
    pub fn new(code: Code, domain: &'static str, reason: &str, message: impl Into<String>) -> Self {
        let reason = reason.strip_prefix("ERROR_REASON_").unwrap_or(reason).to_owned();
        Self {
            code,
            message: message.into(),
            reason,
            domain,
            metadata: Vec::new(),
            fields: Vec::new(),
            retry_after: None,
        }
    }

    /// Names a field of the request and what is wrong with it.
    pub fn field(mut self, field: impl Into<String>, description: impl Into<String>) -> Self {
        if self.fields.len() < MOST_VIOLATIONS {
            self.fields.push((field.into(), shortened(description.into())));
        }
        self
    }

    /// Adds a fact for programs, such as the present version.
    pub fn metadata(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.metadata.push((key.into(), shortened(value.into())));
        self
    }

    /// Says when the caller may come again (`google.rpc.RetryInfo`).
    pub fn retry_after(self, wait: Duration) -> Self {
        Self { retry_after: Some(wait), ..self }
    }

    /// The status to answer.
    pub fn into_status(self) -> Status {
        let mut details = ErrorDetails::new();
        details.set_error_info(
            self.reason,
            self.domain,
            self.metadata.into_iter().collect::<std::collections::HashMap<_, _>>(),
        );
        if self.retry_after.is_some() {
            details.set_retry_info(self.retry_after);
        }
        for (field, description) in self.fields {
            details.add_bad_request_violation(field, description);
        }
        Status::with_error_details(self.code, self.message, details)
    }

    /// Logs the cause of a failure inside and answers no more than "internal error".
    pub fn internal(domain: &'static str, cause: &dyn std::fmt::Display) -> Status {
        tracing::error!("internal error: {cause}");
        Self::new(Code::Internal, domain, "INTERNAL", "internal error").into_status()
    }

    /// The reason of a status that was received, for example `SKU_TAKEN`.
    pub fn reason(status: &Status) -> Option<String> {
        Some(status.get_details_error_info()?.reason)
    }

    /// When the sender of a received status wants to be asked again, if it said so.
    pub fn retry_delay(status: &Status) -> Option<Duration> {
        status.get_details_retry_info()?.retry_delay
    }

    /// The fields that a received status names, with what is wrong with them.
    pub fn fields(status: &Status) -> Vec<(String, String)> {
        let violations = status.get_details_bad_request().map(|details| details.field_violations).unwrap_or_default();
        violations.into_iter().map(|violation| (violation.field, violation.description)).collect()
    }

    /// A fact of a status that was received.
    pub fn metadata_of(status: &Status, key: &str) -> Option<String> {
        status.get_details_error_info()?.metadata.remove(key)
    }
}

/// The code that headers or trailers carry, if they do: cheaper than the whole status.
pub(crate) fn code_in(headers: &http::HeaderMap) -> Option<Code> {
    headers.get(Status::GRPC_STATUS).map(|code| Code::from_bytes(code.as_bytes()))
}

fn shortened(mut text: String) -> String {
    if let Some((cut, _)) = text.char_indices().nth(LONGEST_DESCRIPTION) {
        text.truncate(cut);
        text.push('…');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_reads_reason_fields_and_metadata_back() {
        let status = Refusal::new(Code::InvalidArgument, "test.rundoo", "ERROR_REASON_INVALID_FIELD", "bad name")
            .field("name", "must not be empty")
            .metadata("limit", "200")
            .into_status();

        assert_eq!(Refusal::reason(&status).as_deref(), Some("INVALID_FIELD"));
        assert_eq!(Refusal::fields(&status), [("name".to_owned(), "must not be empty".to_owned())]);
        assert_eq!(Refusal::metadata_of(&status, "limit").as_deref(), Some("200"));
    }

    #[test]
    fn details_stay_below_what_proxies_allow() {
        let mut refusal = Refusal::new(Code::InvalidArgument, "test.rundoo", "INVALID_FIELD", "bad");
        for n in 0..1000 {
            refusal = refusal.field(format!("field{n}"), "é".repeat(5000));
        }

        assert!(refusal.into_status().details().len() < 12 * 1024);
    }
}

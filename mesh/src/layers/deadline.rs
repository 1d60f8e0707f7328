//! Ends a call when its caller stops waiting: DEADLINE_EXCEEDED.

use std::time::Duration;

use axum::extract::Request;
use axum::middleware::Next;
use axum::response::Response;
use tonic::Code;

use crate::call::Call;
use crate::refusal::Refusal;

/// tonic has a timer of its own around us that answers CANCELLED; ours fires this much earlier.
const EARLIER: Duration = Duration::from_millis(2);

pub(super) async fn enforce(request: Request, next: Next) -> Response {
    let Some(deadline) = request.extensions().get::<Call>().and_then(Call::deadline) else {
        return next.run(request).await;
    };
    let earlier = deadline.checked_sub(EARLIER).unwrap_or(deadline);
    match tokio::time::timeout_at(earlier, next.run(request)).await {
        Ok(response) => response,
        Err(_) => late(),
    }
}

fn late() -> Response {
    let reason = proto::mesh::ErrorReason::DeadlineExceeded.as_str_name();
    Refusal::new(Code::DeadlineExceeded, proto::mesh::DOMAIN, reason, "the deadline of the call passed")
        .into_status()
        .into_http()
}

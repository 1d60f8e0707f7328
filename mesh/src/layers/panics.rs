//! Turns a panic of a handler into INTERNAL; the process lives, the log has the place.

use std::panic::AssertUnwindSafe;

use axum::extract::Request;
use axum::middleware::Next;
use axum::response::Response;
use futures_util::FutureExt as _;
use tonic::Code;

use crate::call::Call;
use crate::refusal::Refusal;

pub(super) async fn catch(request: Request, next: Next) -> Response {
    // The handler's state is dropped with it; services share nothing that a panic leaves half done.
    match AssertUnwindSafe(next.run(request)).catch_unwind().await {
        Ok(response) => response,
        Err(_) => failed(),
    }
}

fn failed() -> Response {
    let request_id = Call::current().map(|call| call.request_id().to_owned()).unwrap_or_default();
    let reason = proto::mesh::ErrorReason::Panic.as_str_name();
    Refusal::new(Code::Internal, proto::mesh::DOMAIN, reason, format!("internal error (request {request_id})"))
        .metadata("request_id", request_id)
        .into_status()
        .into_http()
}

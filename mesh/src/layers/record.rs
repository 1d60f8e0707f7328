//! Says of each request how it ended: DEBUG, or WARN when it is our fault.

use axum::extract::Request;
use axum::middleware::Next;
use axum::response::Response;
use tokio::time::Instant;
use tonic::{Code, Status};

use crate::call::Call;

pub(super) async fn record(request: Request, next: Next) -> Response {
    let started = Instant::now();
    let method = request.uri().path().to_owned();
    let response = next.run(request).await;

    // A refusal is in the headers; a body that fails later is told by its own service.
    let code = Status::from_header_map(response.headers()).map_or(Code::Ok, |status| status.code());
    let elapsed_ms = started.elapsed().as_secs_f64() * 1e3;
    let call = Call::current();
    let caller = call.as_ref().map_or("unknown", Call::caller);
    match code {
        Code::Internal | Code::Unknown | Code::DataLoss => {
            tracing::warn!(rpc.method = method, rpc.code = ?code, caller, elapsed_ms, "{method} failed: {code:?}");
        }
        _ => tracing::debug!(rpc.method = method, rpc.code = ?code, caller, elapsed_ms, "{method} ended: {code:?}"),
    }
    response
}

//! Provides [`Call`] to the handler and to everything it starts.

use axum::extract::Request;
use axum::middleware::Next;
use axum::response::Response;

use crate::call::Call;

pub(super) async fn begin(mut request: Request, next: Next) -> Response {
    let call = Call::begin(request.headers());
    request.extensions_mut().insert(call.clone());
    let mut response = call.clone().scope(next.run(request)).await;
    call.answer(response.headers_mut());
    response
}

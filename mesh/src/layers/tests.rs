//! What the inbound stack does to a request.

use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::routing::post;
use tonic::{Code, Status};
use tower::ServiceExt as _;

use super::*;
use crate::call::Call;

/// A service behind the whole stack: its handlers answer, panic, or never end.
fn routes() -> Router {
    let layers = inbound().layer("decoration", from_fn(decorate));
    assert_eq!(layers.names(), ["call", "record", "deadline", "refusals", "panics", "decoration"]);
    Router::new()
        .route("/fine", post(async || Call::current().map(|call| call.caller().to_owned()).unwrap_or_default()))
        .route("/panic", post(async || -> String { panic!("on purpose") }))
        .route("/hang", post(async || -> String { std::future::pending().await }))
        .layer(layers.into_builder())
}

async fn decorate(request: Request, next: axum::middleware::Next) -> Response {
    let mut response = next.run(request).await;
    response.headers_mut().insert("x-decorated", http::HeaderValue::from_static("yes"));
    response
}

async fn call(path: &str, headers: &[(&str, &str)]) -> Response {
    let request =
        headers.iter().fold(http::Request::post(path), |request, (name, value)| request.header(*name, *value));
    routes().oneshot(request.body(Body::empty()).unwrap()).await.unwrap()
}

fn code(response: &Response) -> Code {
    Status::from_header_map(response.headers()).map_or(Code::Ok, |status| status.code())
}

#[tokio::test]
async fn the_handler_knows_its_caller_and_the_caller_gets_its_request_id_back() {
    let response = call("/fine", &[("x-request-id", "abc"), ("x-rundoo-caller", "portal/1")]).await;

    assert_eq!(response.headers()["x-request-id"], "abc");
    assert_eq!(response.headers()["x-decorated"], "yes");
    let body = axum::body::to_bytes(response.into_body(), 100).await.unwrap();
    assert_eq!(body, "portal/1");
}

#[tokio::test]
async fn a_panic_becomes_internal_with_the_request_id() {
    let response = call("/panic", &[("x-request-id", "abc")]).await;

    assert_eq!(code(&response), Code::Internal);
    assert_eq!(response.headers()["x-request-id"], "abc");
}

#[tokio::test]
async fn a_call_that_nobody_waits_for_any_more_ends_as_deadline_exceeded() {
    let hang = call("/hang", &[("grpc-timeout", "20m")]);

    let response = tokio::time::timeout(Duration::from_secs(10), hang).await.unwrap();

    assert_eq!(code(&response), Code::DeadlineExceeded);
}

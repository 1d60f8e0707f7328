//! Whether the portal can do its work: for whoever sends it visitors.

use axum::{
    extract::State,
    response::{IntoResponse as _, Response},
};
use http::StatusCode;

use crate::{backends::Backends, error::Backend};

/// Whom no page of the catalogue can do without. The log service may be away.
const NEEDED: [Backend; 2] = [Backend::Registry, Backend::Catalogue];

/// Answers 200 while all that is needed is connected, else 503 with the names of who is not.
pub(crate) async fn show(State(backends): State<Backends>) -> Response {
    let missing: Vec<String> = NEEDED
        .into_iter()
        .filter(|backend| backends.channel(*backend).address().is_none())
        .map(|backend| format!("the {backend} is not connected"))
        .collect();
    if missing.is_empty() {
        "ready\n".into_response()
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, format!("not ready: {}\n", missing.join(", "))).into_response()
    }
}

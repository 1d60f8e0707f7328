//! Metrics: what every running instance counted, for Prometheus and not for people.

use axum::{
    extract::State,
    response::{IntoResponse as _, Response},
};
use http::header;
use proto::registry::{Instance, InstanceState};
use tracing::warn;

use crate::{backends::Backends, error::Failure, exposition::MEDIA_TYPE, metrics};

pub(crate) async fn show(State(backends): State<Backends>) -> Response {
    let census = match backends.census().await {
        Ok(census) => census,
        Err(failure) => return refused(&failure),
    };
    let running = census.instances.iter().filter(|instance| is_running(instance)).cloned().collect();
    let reports = backends.reports(running).await;
    let text = metrics::exposition(&census.instances, &reports).to_string();
    ([(header::CONTENT_TYPE, MEDIA_TYPE)], text).into_response()
}

/// Says why in plain text: whoever asks here shows no page.
fn refused(failure: &Failure) -> Response {
    warn!("could not collect the metrics: {failure}");
    (failure.status(), format!("{}.\n", failure.headline())).into_response()
}

/// Whether it should answer: one that is STARTING may not serve yet.
fn is_running(instance: &Instance) -> bool {
    !matches!(instance.state(), InstanceState::Down | InstanceState::Starting)
}

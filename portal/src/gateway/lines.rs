//! Answers that go on: each as a line of JSON, and at the end the error, if it is one.

use std::{
    convert::Infallible,
    sync::{Arc, OnceLock},
};

use axum::{body::Body, response::Response};
use bytes::Bytes;
use futures_util::{Stream, StreamExt as _, stream};
use http::{HeaderValue, header};
use mesh::Call;
use tokio_util::sync::CancellationToken;
use tonic::{Status, Streaming};

use crate::{
    gateway::{Problem, route::Route},
    live::Live,
};

const LINES: HeaderValue = HeaderValue::from_static("application/x-ndjson");

/// The code of a stream that ended as it should.
pub(crate) const OK: &str = "OK";

/// With which code a stream ended, as gRPC's documents spell it, once it has. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub(crate) struct Ending(Arc<OnceLock<&'static str>>);

impl Ending {
    /// Nothing while it goes on, and when nobody waited for it.
    pub(crate) fn get(&self) -> Option<&'static str> {
        self.0.get().copied()
    }

    fn set(&self, code: &'static str) {
        let _first_counts = self.0.set(code);
    }
}

/// Answers as they come, each on a line: `{"result":…}`, and in the end `{"error":…}` if it is one.
pub(super) fn answer(
    route: Arc<Route>,
    answers: Streaming<Bytes>,
    call: Call,
    (stop, ending): (CancellationToken, Ending),
) -> Response {
    let answers = answers.take_until(stop.clone().cancelled_owned()).map(Some).chain(stream::once(async move {
        let stopping = Status::unavailable("the portal stops; begin again where you were");
        stop.is_cancelled().then_some(Err(stopping))
    }));
    let written =
        answers.filter_map(async |answer| answer).map(move |answer| call.sync_scope(|| write(&route, answer)));
    let failed = ending.clone();
    let lines = ended_by_errors(written).map(move |written| {
        written.as_ref().err().into_iter().for_each(|problem| failed.set(problem.code()));
        line(written)
    });
    let end = stream::once(async move { ending.set(OK) }).filter_map(async |()| None);
    let body = Body::from_stream(lines.chain(end).map(|line| Ok::<_, Infallible>(Bytes::from(line))));
    let mut response = Response::new(body);
    response.headers_mut().insert(header::CONTENT_TYPE, LINES);
    response.headers_mut().insert("x-accel-buffering", HeaderValue::from_static("no"));
    response.extensions_mut().insert(Live);
    response
}

/// The JSON of an answer, or what is wrong instead: with the service, or with what it answered.
fn write(route: &Route, answer: Result<Bytes, Status>) -> Result<Vec<u8>, Problem> {
    let answer = answer.map_err(|status| Problem::of(&status, false));
    let mut json = Vec::new();
    let written = answer.and_then(|answer| route.write(&answer, &mut json));
    if let Err(problem) = &written {
        tracing::info!("a stream of {} ended: {}", route.method.full_name(), problem.line());
    }
    written.map(|()| json)
}

/// Behind an error nothing comes, and nothing is waited for.
fn ended_by_errors<T>(answers: impl Stream<Item = Result<T, Problem>>) -> impl Stream<Item = Result<T, Problem>> {
    let marked = answers.flat_map(|answer| {
        let end = answer.is_err().then_some(None);
        stream::iter([Some(answer)].into_iter().chain(end))
    });
    marked.scan((), |(), answer| std::future::ready(answer))
}

fn line(written: Result<Vec<u8>, Problem>) -> Vec<u8> {
    let (key, json) = match written {
        Ok(json) => ("result", json),
        Err(problem) => ("error", problem.json()),
    };
    [b"{\"", key.as_bytes(), b"\":", &json, b"}\n"].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn an_error_is_the_last_line() {
        let wrong = || Err(Problem::invalid("no", Vec::new()));
        let answers = stream::iter([Ok(b"1".to_vec()), wrong(), Ok(b"2".to_vec())]).chain(stream::pending());
        let lines: Vec<String> =
            ended_by_errors(answers).map(|answer| String::from_utf8(line(answer)).unwrap()).collect().await;
        assert_eq!(lines.len(), 2);
        assert_eq!(lines[0], "{\"result\":1}\n");
        assert!(lines[1].starts_with("{\"error\":{") && lines[1].ends_with("}\n"), "{}", lines[1]);
    }
}

//! What the mesh makes of calls, seen at a service that does what it is told.

mod raw;
mod listener;

mod connections;
mod context;
mod counts;
mod deadlines;
mod levels;
mod limits;
mod panics;
mod peers;
mod repeats;
mod shedding;
mod structure;
mod writes;

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::Context as _;
use harness::specimen::{EchoRequest, EmitRequest, Task};
use proto::mesh::{CallStats, Stats};
use tonic::{Request, Status};

/// The specimen's methods, as metrics and paths name them.
const ECHO: &str = "rundoo.specimen.v1.SpecimenService/Echo";
const EMIT: &str = "rundoo.specimen.v1.SpecimenService/Emit";
const GATHER: &str = "rundoo.specimen.v1.SpecimenService/Gather";

/// Longer than any test.
const MINUTE: Duration = Duration::from_secs(60);

/// More numbers than anybody reads.
const ENDLESS: u32 = u32::MAX;

fn proto_duration(duration: Duration) -> Option<prost_types::Duration> {
    duration.try_into().ok()
}

/// A call that does this first.
fn echo(task: Task) -> EchoRequest {
    EchoRequest { text: "hello".to_owned(), task: Some(task) }
}

/// Wait so long.
fn waiting(wait: Duration) -> Task {
    Task { wait: proto_duration(wait), ..Task::default() }
}

/// Answer this status.
fn failing(code: tonic::Code) -> Task {
    Task { code: code as i32, ..Task::default() }
}

/// So many numbers, one each 20 ms.
fn numbers(count: u32) -> EmitRequest {
    EmitRequest { count, interval: proto_duration(Duration::from_millis(20)), panic_at: 0 }
}

/// A request with metadata.
fn with<T>(message: T, metadata: &[(&'static str, &str)]) -> anyhow::Result<Request<T>> {
    let mut request = Request::new(message);
    for (name, value) in metadata {
        request.metadata_mut().insert(*name, value.parse()?);
    }
    Ok(request)
}

/// What was counted of a method's calls by one service.
fn calls<'a>(stats: &'a Stats, method: &str, peer: &str) -> anyhow::Result<&'a CallStats> {
    let found = stats.inbound.iter().find(|calls| calls.method == method && calls.peer == peer);
    found.with_context(|| format!("nothing of {method} by {peer} in {:?}", stats.inbound))
}

/// How many calls ended with which status.
fn codes(calls: &CallStats) -> BTreeMap<&str, u64> {
    calls.codes.iter().map(|count| (count.code.as_str(), count.count)).collect()
}

fn metadata<'a>(metadata: &'a tonic::metadata::MetadataMap, name: &str) -> anyhow::Result<&'a str> {
    Ok(metadata.get(name).with_context(|| format!("no {name} in {metadata:?}"))?.to_str()?)
}

/// The code of a status and the reason in its details.
fn reason(status: &Status) -> (tonic::Code, String) {
    (status.code(), mesh::Refusal::reason(status).unwrap_or_default())
}

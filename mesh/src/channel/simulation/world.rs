//! Instances in memory, and how they behave.

use std::collections::{HashMap, HashSet};
use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use http_body::Frame;
use http_body_util::{BodyExt as _, Full, StreamBody};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use prost::Message as _;
use prost_types::field_descriptor_proto::Type;
use prost_types::method_options::IdempotencyLevel;
use prost_types::{
    DescriptorProto, FieldDescriptorProto, FileDescriptorProto, FileDescriptorSet, MethodDescriptorProto,
    MethodOptions, ServiceDescriptorProto,
};
use tokio_stream::StreamExt as _;
use tokio_util::sync::CancellationToken;
use tonic::body::Body;
use tonic::{Code, Status};
use tower::Service as _;

use crate::channel::Channel;
use crate::channel::dial::{Dial, Io};
use crate::refusal::Refusal;

/// How an instance behaves.
#[derive(Debug, Clone, Copy)]
pub(super) struct Act {
    /// How long it takes to answer.
    pub(super) latency: Duration,
    /// What it answers.
    pub(super) code: Code,
    /// Refuses with RESOURCE_EXHAUSTED, naming this wait, as long as more calls than this are under way.
    pub(super) at_most: Option<(usize, Duration)>,
    /// Whether it takes connections.
    pub(super) listens: bool,
    /// How long it takes to take one.
    pub(super) accepts_after: Duration,
    /// Begins an answer of more than a megabyte, and then goes silent.
    pub(super) stalls: bool,
}

impl Act {
    pub(super) const fn quick() -> Self {
        let (latency, accepts_after) = (Duration::from_millis(2), Duration::ZERO);
        Self { latency, code: Code::Ok, at_most: None, listens: true, accepts_after, stalls: false }
    }
}

/// What instances were asked.
#[derive(Debug, Default)]
pub(super) struct Log {
    /// Requests, with their place in the world.
    pub(super) asked: HashMap<usize, usize>,
    /// Messages of calls to `Once` and `Write`, to see whether one came twice.
    pub(super) messages: Vec<Bytes>,
    /// `grpc-previous-rpc-attempts`, as they came.
    pub(super) attempts: HashSet<String>,
    /// `grpc-timeout`, as it came with each attempt.
    pub(super) timeouts: Vec<Duration>,
}

/// The instances.
#[derive(Debug, Clone, Default)]
pub(super) struct World(Arc<Mutex<Parts>>);

#[derive(Debug, Default)]
struct Parts {
    acts: HashMap<usize, Act>,
    /// What ends an instance's connections at once.
    cuts: HashMap<usize, CancellationToken>,
    under_way: HashMap<usize, usize>,
    log: Log,
}

impl World {
    /// Where the instance with this number is.
    pub(super) fn address(n: usize) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], 1000 + n as u16))
    }

    pub(super) fn set(&self, n: usize, act: Act) {
        self.0.lock().unwrap().acts.insert(n, act);
    }

    fn act(&self, n: usize) -> Option<Act> {
        self.0.lock().unwrap().acts.get(&n).copied()
    }

    /// Ends an instance as `kill -9` does: its connections break, and none are taken.
    pub(super) fn kill(&self, n: usize) {
        let mut parts = self.0.lock().unwrap();
        parts.acts.entry(n).and_modify(|act| act.listens = false);
        if let Some(cut) = parts.cuts.remove(&n) {
            cut.cancel();
        }
    }

    pub(super) fn asked(&self, n: usize) -> usize {
        self.0.lock().unwrap().log.asked.get(&n).copied().unwrap_or_default()
    }

    /// All that was asked so far; the next look begins anew.
    pub(super) fn take_log(&self) -> Log {
        std::mem::take(&mut self.0.lock().unwrap().log)
    }

    /// Opens connections to the instances.
    pub(super) fn dial(&self) -> Dial {
        let world = self.clone();
        Dial::new(move |address| {
            let world = world.clone();
            Box::pin(async move {
                let address: SocketAddr = address.parse().map_err(io::Error::other)?;
                let n = usize::from(address.port()) - 1000;
                tokio::time::sleep(world.act(n).map(|act| act.accepts_after).unwrap_or_default()).await;
                world.open(n)
            })
        })
    }

    fn open(&self, n: usize) -> io::Result<Box<dyn Io>> {
        let mut parts = self.0.lock().unwrap();
        if !parts.acts.get(&n).is_some_and(|act| act.listens) {
            return Err(io::ErrorKind::ConnectionRefused.into());
        }
        let (near, far) = tokio::io::duplex(64 * 1024);
        let (cut, world) = (parts.cuts.entry(n).or_default().clone(), self.clone());
        let service = service_fn(move |request| {
            let world = world.clone();
            async move { Ok::<_, Infallible>(world.answer(n, request).await) }
        });
        let server = hyper::server::conn::http2::Builder::new(TokioExecutor::new())
            .timer(TokioTimer::new())
            .serve_connection(TokioIo::new(far), service);
        crate::spawn("server", async move {
            let _cut = cut.run_until_cancelled(server).await;
        });
        Ok(Box::new(near))
    }

    async fn answer(&self, n: usize, request: Request<Incoming>) -> Response<Body> {
        let (parts, body) = request.into_parts();
        let message = body.collect().await.map(|body| body.to_bytes()).unwrap_or_default();
        let (act, busy) = {
            let mut world = self.0.lock().unwrap();
            *world.log.asked.entry(n).or_default() += 1;
            if !parts.uri.path().ends_with("Read") {
                world.log.messages.push(message);
            }
            if let Some(attempts) = parts.headers.get("grpc-previous-rpc-attempts") {
                world.log.attempts.insert(attempts.to_str().unwrap().to_owned());
            }
            world.log.timeouts.extend(crate::call::timeout::read(&parts.headers));
            let under_way = world.under_way.entry(n).or_default();
            *under_way += 1;
            let under_way = *under_way;
            let act = world.acts[&n];
            (act, act.at_most.filter(|(most, _)| under_way > *most))
        };
        let status = match busy {
            Some((_, wait)) => {
                Refusal::new(Code::ResourceExhausted, "test", "BUSY", "busy").retry_after(wait).into_status()
            }
            None => {
                tokio::time::sleep(act.latency).await;
                Status::new(act.code, "told to")
            }
        };
        self.0.lock().unwrap().under_way.entry(n).and_modify(|under_way| *under_way -= 1);
        if act.stalls {
            let begun = futures_util::stream::iter([Ok::<_, Status>(Frame::data(Bytes::from(vec![0; 1_500_000])))]);
            return Response::new(Body::new(StreamBody::new(begun.chain(futures_util::stream::pending()))));
        }
        if status.code() == Code::Ok {
            let trailers = http::HeaderMap::from_iter([(http::HeaderName::from_static("grpc-status"), 0.into())]);
            let body = Full::new(Bytes::from_static(&[0; 5])).with_trailers(std::future::ready(Some(Ok(trailers))));
            return Response::new(Body::new(body));
        }
        status.into_http()
    }
}

/// A contract with a read, a write that carries a request id, and one that may happen once.
pub(super) fn descriptors() -> Vec<u8> {
    let method = |name: &str, level: Option<IdempotencyLevel>| {
        let mut options = MethodOptions::default();
        if let Some(level) = level {
            options.set_idempotency_level(level);
        }
        MethodDescriptorProto {
            name: Some(name.to_owned()),
            input_type: Some(".test.Message".to_owned()),
            options: Some(options),
            ..Default::default()
        }
    };
    let request_id = FieldDescriptorProto {
        name: Some("request_id".to_owned()),
        number: Some(1),
        r#type: Some(Type::String.into()),
        ..Default::default()
    };
    let methods = vec![
        method("Read", Some(IdempotencyLevel::NoSideEffects)),
        method("Write", Some(IdempotencyLevel::Idempotent)),
        method("Once", None),
    ];
    let file = FileDescriptorProto {
        package: Some("test".to_owned()),
        message_type: vec![DescriptorProto {
            name: Some("Message".to_owned()),
            field: vec![request_id],
            ..Default::default()
        }],
        service: vec![ServiceDescriptorProto {
            name: Some("Specimen".to_owned()),
            method: methods,
            ..Default::default()
        }],
        ..Default::default()
    };
    FileDescriptorSet { file: vec![file] }.encode_to_vec()
}

/// A message with a request id, as it travels.
pub(super) fn message(request_id: &str) -> Vec<u8> {
    let mut message = vec![0, 0, 0, 0, 0];
    if !request_id.is_empty() {
        message.extend([10, request_id.len() as u8]);
        message.extend(request_id.as_bytes());
    }
    message[4] = message.len() as u8 - 5;
    message
}

/// Calls a method as a generated client does; answers its status and where that was found.
pub(super) async fn call(mut channel: Channel, method: &str, message: &[u8]) -> (Status, usize) {
    let body = Body::new(Full::new(Bytes::copy_from_slice(message)));
    let request = Request::post(format!("/test.Specimen/{method}")).body(body).unwrap();
    match channel.call(request).await {
        Err(status) => (status, 0),
        Ok(response) => {
            let headers = response.headers().clone();
            match response.into_body().collect().await {
                Err(status) => (status, 0),
                Ok(body) => {
                    let trailers = body.trailers().and_then(Status::from_header_map);
                    let status = trailers.or_else(|| Status::from_header_map(&headers));
                    (status.unwrap_or_else(|| Status::unknown("no status")), body.to_bytes().len())
                }
            }
        }
    }
}

//! Requests that may be sent again: unary ones whose method has no side effects.
//!
//! The proto says which (`idempotency_level = NO_SIDE_EFFECTS`). Such a request is
//! kept until it is answered, and its answer is read whole, because the status is
//! in the trailers.

use std::collections::HashSet;

use bytes::Bytes;
use http::request::Parts;
use http::{Request, Response};
use http_body_util::{BodyExt, Full};
use prost::Message;
use prost_types::FileDescriptorSet;
use prost_types::method_options::IdempotencyLevel;
use tonic::body::Body;
use tonic::{Code, Status};

use crate::channel::answer::Answer;

/// The paths of the unary methods without side effects in a descriptor set.
pub(crate) fn repeatable(descriptors: &[u8]) -> HashSet<String> {
    let files = FileDescriptorSet::decode(descriptors).map(|set| set.file).unwrap_or_default();
    let mut paths = HashSet::new();
    for file in &files {
        for service in &file.service {
            for method in &service.method {
                let safe = method
                    .options
                    .as_ref()
                    .is_some_and(|options| options.idempotency_level() == IdempotencyLevel::NoSideEffects);
                if safe && !method.client_streaming() && !method.server_streaming() {
                    paths.insert(format!("/{}.{}/{}", file.package(), service.name(), method.name()));
                }
            }
        }
    }
    paths
}

/// A request that is kept until it is answered.
pub(crate) struct Replay {
    parts: Parts,
    body: Bytes,
}

impl Replay {
    /// Reads the request whole: it is one message, in memory already.
    pub(crate) async fn read(request: Request<Body>) -> Result<Self, Status> {
        let (parts, body) = request.into_parts();
        Ok(Self { parts, body: body.collect().await?.to_bytes() })
    }

    pub(crate) fn request(&self) -> Request<Body> {
        Request::from_parts(self.parts.clone(), Body::new(Full::new(self.body.clone())))
    }
}

/// Reads an answer whole. UNAVAILABLE is an error, so that the caller can decide about another attempt.
pub(crate) async fn whole(answer: Answer) -> Result<Response<Body>, Status> {
    let (parts, body) = answer.into_response().into_parts();
    let collected = body.collect().await?;
    let trailers = collected.trailers().cloned();
    let status =
        trailers.as_ref().and_then(Status::from_header_map).or_else(|| Status::from_header_map(&parts.headers));
    match status {
        Some(status) if status.code() == Code::Unavailable => Err(status),
        _ => {
            let body = Full::new(collected.to_bytes()).with_trailers(std::future::ready(trailers.map(Ok)));
            Ok(Response::from_parts(parts, Body::new(body)))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_unary_reads_are_repeatable() {
        let paths = repeatable(proto::registry::DESCRIPTORS);

        assert!(paths.contains("/rundoo.registry.v1.RegistryService/Discover"));
        assert!(!paths.contains("/rundoo.registry.v1.RegistryService/Watch"), "a stream");
        assert!(!paths.contains("/rundoo.registry.v1.RegistryService/Register"), "a write");
    }
}

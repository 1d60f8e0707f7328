//! Requests that may be sent again, and answers that are read before they are believed.
//!
//! A unary request is one message: it is kept while it is small. The status of an
//! answer is in the trailers, so the answer is read to them before another attempt
//! is decided on; one that is large is handed on as it arrives.

use std::collections::VecDeque;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::{Buf as _, Bytes};
use http::request::Parts;
use http::{HeaderMap, HeaderValue, Method, Request, Response, Uri};
use http_body::{Frame, SizeHint};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use prost::encoding::{WireType, decode_key, decode_varint};
use tokio::time::Instant;
use tonic::body::Body;
use tonic::{Code, Status};

use crate::call::timeout;
use crate::channel::answer::{self, broken};
use crate::channel::flight::{self, Flight};
use crate::channel::outbound::Outbound;
use crate::methods::Repeatable;

/// Larger requests are sent once.
const LARGEST_REQUEST: usize = 256 * 1024;

/// Larger answers are handed on before their status is known.
const LARGEST_ANSWER: usize = 1024 * 1024;

/// gRPC puts five bytes before each message: whether it is compressed, and how long it is.
const PREFIX: usize = 5;

/// gRFC A6: how often it was tried before.
const ATTEMPTS_BEFORE: &str = "grpc-previous-rpc-attempts";

/// A request that is kept until it is answered.
pub(crate) struct Replay {
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
    repeatable: Repeatable,
}

/// A request that was looked at.
pub(crate) enum Outgoing {
    /// It can be sent again.
    Kept(Replay),
    /// It is too large for that.
    Once(Request<Body>),
}

impl Replay {
    /// Reads a unary request, while it is small enough to be kept.
    pub(crate) async fn read(request: Request<Body>, repeatable: Repeatable) -> Result<Outgoing, Status> {
        let (parts, mut rest) = request.into_parts();
        let mut read = VecDeque::new();
        let mut bytes = 0;
        while let Some(frame) = rest.frame().await {
            let Ok(data) = frame?.into_data() else { continue };
            bytes += data.len();
            read.push_back(data);
            if bytes > LARGEST_REQUEST {
                let body = Body::new(Known { data: read, end: End::Rest(rest) });
                return Ok(Outgoing::Once(Request::from_parts(parts, body)));
            }
        }
        let body = match read.len() {
            0 | 1 => read.pop_front().unwrap_or_default(),
            _ => read.into_iter().flatten().collect(),
        };
        let Parts { uri, headers, .. } = parts;
        Ok(Outgoing::Kept(Self { uri, headers, body, repeatable }))
    }

    pub(crate) fn len(&self) -> usize {
        self.body.len()
    }

    /// The request, for one attempt more after so many.
    pub(crate) fn request(&self, attempts: u32, deadline: Option<Instant>) -> Request<Body> {
        let mut request = Request::new(Body::new(Full::new(self.body.clone())));
        *request.method_mut() = Method::POST;
        *request.uri_mut() = self.uri.clone();
        request.headers_mut().clone_from(&self.headers);
        if let Some(deadline) = deadline {
            timeout::refresh(request.headers_mut(), deadline.saturating_duration_since(Instant::now()));
        }
        if attempts > 0 {
            request.headers_mut().insert(ATTEMPTS_BEFORE, HeaderValue::from(attempts));
        }
        request
    }

    /// Whether it may be sent again although it may have been received.
    pub(crate) fn is_repeatable(&self) -> bool {
        match self.repeatable {
            Repeatable::Never => false,
            Repeatable::Always => true,
            // Looked for only when something went wrong.
            Repeatable::WithId(field) => has_text(&self.body, field).unwrap_or(false),
        }
    }
}

/// Whether a message, with its prefix, has a text in a field that is not empty; none when it cannot be read.
fn has_text(message: &[u8], field: u32) -> Option<bool> {
    // What is compressed is not looked into.
    if *message.first()? != 0 {
        return None;
    }
    let mut buf = message.get(PREFIX..)?;
    let mut found = false;
    while buf.has_remaining() {
        let (tag, wire_type) = decode_key(&mut buf).ok()?;
        let length = match wire_type {
            WireType::Varint => decode_varint(&mut buf).map(|_| 0).ok()?,
            WireType::ThirtyTwoBit => 4,
            WireType::SixtyFourBit => 8,
            WireType::LengthDelimited => usize::try_from(decode_varint(&mut buf).ok()?).ok()?,
            WireType::StartGroup | WireType::EndGroup => return None,
        };
        if tag == field && wire_type == WireType::LengthDelimited {
            // The last one counts.
            found = length > 0;
        }
        buf = buf.get(length..)?;
    }
    Some(found)
}

/// An answer that was read to its status, or as far as it is kept.
#[derive(Debug)]
pub(crate) struct Read {
    pub(crate) response: Response<Body>,
    pub(crate) code: Code,
    pub(crate) bytes: usize,
}

impl Read {
    /// The status in full; for an answer that is not OK.
    pub(crate) fn status(&self, trailers: Option<&HeaderMap>) -> Option<Status> {
        trailers.and_then(Status::from_header_map).or_else(|| Status::from_header_map(self.response.headers()))
    }
}

/// Reads an answer to its status. The answer itself, its status, and what the trailers say.
///
/// One that is large is handed on with the flight and the call, which end with its trailers.
pub(crate) async fn whole(
    response: Response<Incoming>,
    mut flight: Flight,
    (outbound, deadline): (&mut Option<Outbound>, Option<Instant>),
) -> Result<(Read, Option<HeaderMap>), Status> {
    let (parts, mut body) = response.into_parts();
    let (mut data, mut trailers, mut bytes) = (VecDeque::new(), None, 0);
    loop {
        let frame = match body.frame().await {
            None => break,
            Some(Ok(frame)) => frame,
            Some(Err(error)) => {
                flight.end(Code::Unavailable);
                return Err(broken(&error));
            }
        };
        match frame.into_data() {
            Ok(part) => {
                bytes += part.len();
                data.push_back(part);
            }
            Err(frame) => {
                trailers = frame.into_trailers().ok();
                break;
            }
        }
        if bytes > LARGEST_ANSWER
            && let Some(outbound) = outbound.take()
        {
            outbound.series().add_received(bytes);
            let rest = answer::arriving(Response::new(body), flight, (outbound, deadline)).into_body();
            let body = Body::new(Known { data, end: End::Rest(rest) });
            return Ok((Read { response: Response::from_parts(parts, body), code: Code::Ok, bytes }, None));
        }
    }
    let code = flight::code(trailers.as_ref().unwrap_or(&parts.headers));
    flight.end(code);
    let end = trailers.clone().filter(|_| code != Code::Ok);
    let body = Body::new(Known { data, end: trailers.map_or(End::Over, End::Trailers) });
    Ok((Read { response: Response::from_parts(parts, body), code, bytes }, end))
}

/// A body of which some is here already.
struct Known {
    data: VecDeque<Bytes>,
    end: End,
}

enum End {
    Over,
    Trailers(HeaderMap),
    Rest(Body),
}

impl http_body::Body for Known {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        if let Some(data) = self.data.pop_front() {
            return Poll::Ready(Some(Ok(Frame::data(data))));
        }
        match &mut self.end {
            End::Rest(rest) => Pin::new(rest).poll_frame(cx),
            End::Over => Poll::Ready(None),
            End::Trailers(trailers) => {
                let trailers = std::mem::take(trailers);
                self.end = End::Over;
                Poll::Ready(Some(Ok(Frame::trailers(trailers))))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.data.is_empty()
            && match &self.end {
                End::Over => true,
                End::Trailers(_) => false,
                End::Rest(rest) => rest.is_end_stream(),
            }
    }

    fn size_hint(&self) -> SizeHint {
        let known: usize = self.data.iter().map(Bytes::len).sum();
        let mut hint = SizeHint::new();
        hint.set_lower(known as u64);
        hint
    }
}

#[cfg(test)]
mod tests {
    use prost::Message as _;

    use super::*;

    fn message(bytes: &[u8]) -> Vec<u8> {
        [&[0; PREFIX][..], bytes].concat()
    }

    #[test]
    fn a_request_id_is_found_in_the_message() {
        let request = |instance_id: &str| {
            let request = proto::registry::DeregisterRequest {
                service: "a".to_owned(),
                instance_id: instance_id.to_owned(),
                incarnation: 7,
                drain_timeout: Some(prost_types::Duration { seconds: 1, nanos: 1 }),
            };
            message(&request.encode_to_vec())
        };

        assert_eq!(has_text(&request("b"), 2), Some(true));
        assert_eq!(has_text(&request(""), 2), Some(false));
        assert_eq!(has_text(&request("b"), 99), Some(false));
    }

    #[test]
    fn garbage_has_no_request_id() {
        for garbage in [&b""[..], &[1, 0, 0, 0, 0, 10, 1, 65], &message(&[10, 200]), &message(&[255; 20])] {
            assert!(!has_text(garbage, 1).unwrap_or(false), "{garbage:?}");
        }
    }

    #[tokio::test]
    async fn a_large_request_is_sent_once_and_whole() {
        let sent = Bytes::from(vec![7; LARGEST_REQUEST + 1]);
        let request = Request::new(Body::new(Full::new(sent.clone()).map_err(|never| match never {})));

        let Ok(Outgoing::Once(request)) = Replay::read(request, Repeatable::Always).await else { panic!("it is kept") };

        assert_eq!(request.into_body().collect().await.unwrap().to_bytes(), sent);
    }
}

//! Reads the whole body of a request before its handler runs, within bounds.
//!
//! The deadline is for all of it: a limit per chunk would let a client send one
//! byte a second for ever.

use std::{error::Error as _, time::Duration};

use axum::{
    body::{Body, HttpBody as _, to_bytes},
    extract::Request,
    middleware::Next,
    response::{IntoResponse as _, Response},
};
use bytes::Bytes;
use http::{HeaderValue, header};
use tokio::time::timeout;

use crate::error::Failure;

/// The largest form; the three fields of a product take 5 KiB at worst.
const MAX_BODY: usize = 64 * 1024;

/// How long all of a body may take.
const BODY_DEADLINE: Duration = Duration::from_secs(10);

/// Answers 415 to a body that is compressed: nothing here unpacks one, and a small one may be large inside.
pub(crate) async fn refuse_encoded(request: Request, next: Next) -> Response {
    let codings = request.headers().get_all(header::CONTENT_ENCODING);
    let plain = codings.iter().all(|coding| coding.as_bytes().eq_ignore_ascii_case(b"identity"));
    if plain { next.run(request).await } else { Failure::Encoded.into_response() }
}

/// Hands the request on with its body in memory, or answers 413, 408 or 400.
pub(crate) async fn read_whole(request: Request, next: Next) -> Response {
    if request.body().is_end_stream() {
        return next.run(request).await;
    }
    let (parts, body) = request.into_parts();
    let failure = match read(body, MAX_BODY).await {
        Ok(body) => return next.run(Request::from_parts(parts, Body::from(body))).await,
        Err(failure) => failure,
    };
    let mut response = failure.into_response();
    // The rest of the body is still on its way; the connection is of no use any more.
    response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    response
}

/// Reads all of a body, unless it has more than `most` bytes.
pub(crate) async fn read(body: Body, most: usize) -> Result<Bytes, Failure> {
    if body.size_hint().lower() > most as u64 {
        return Err(Failure::TooLarge);
    }
    match timeout(BODY_DEADLINE, to_bytes(body, most)).await {
        Err(_) => Err(Failure::TooSlow),
        Ok(Ok(bytes)) => Ok(bytes),
        Ok(Err(cause)) => {
            // axum wraps what ran over in an error of http-body-util.
            let over = cause.source().is_some_and(|cause| cause.to_string().contains("length limit"));
            Err(if over { Failure::TooLarge } else { Failure::BadRequest("The form did not arrive whole.".into()) })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_body_of_unknown_length_is_cut_at_the_limit() {
        let chunk = || Ok::<_, std::io::Error>(vec![b'x'; 1024]);
        let endless = futures_util::stream::iter(std::iter::repeat_with(chunk));
        assert!(matches!(read(Body::from_stream(endless), MAX_BODY).await, Err(Failure::TooLarge)));
    }

    #[tokio::test]
    async fn a_small_body_arrives_whole() {
        assert_eq!(read(Body::from("name=Hammer"), MAX_BODY).await.unwrap(), "name=Hammer");
    }
}

//! Reads the whole body of a request before its handler runs, within bounds.
//!
//! Instead of a total time it has a minimum rate over all of it: a limit per chunk would
//! let a client send one byte a second for ever, and a total time would cut who has a
//! slow link.

use std::time::Duration;

use axum::{
    body::{Body, HttpBody as _},
    extract::Request,
    middleware::Next,
    response::{IntoResponse as _, Response},
};
use bytes::{Bytes, BytesMut};
use futures_util::StreamExt as _;
use http::{HeaderValue, header};
use tokio::time::{Instant, timeout_at};

use crate::error::Failure;

/// The largest form; the three fields of a product take 5 KiB at worst.
const MAX_BODY: usize = 64 * 1024;

/// How long a body may take besides what its size allows.
const BEGINNING: Duration = Duration::from_secs(10);

/// Bytes a second that are little: a bad phone connection has more.
pub(crate) const LEAST_RATE: u64 = 1024;

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

/// Reads all of a body, unless it has more than `most` bytes, or hardly comes.
async fn read(body: Body, most: usize) -> Result<Bytes, Failure> {
    read_growing(body, most, |_| Ok(())).await
}

/// The same; before it has so many bytes, `grow` is asked whether it may.
pub(crate) async fn read_growing<E: From<Failure>>(
    body: Body,
    most: usize,
    mut grow: impl FnMut(usize) -> Result<(), E>,
) -> Result<Bytes, E> {
    if body.size_hint().lower() > most as u64 {
        return Err(Failure::TooLarge.into());
    }
    let (began, mut pieces, mut whole) = (Instant::now(), body.into_data_stream(), BytesMut::new());
    loop {
        let budget = BEGINNING + Duration::from_secs(whole.len() as u64 / LEAST_RATE);
        match timeout_at(began + budget, pieces.next()).await {
            Err(_) => return Err(Failure::TooSlow.into()),
            Ok(None) => return Ok(whole.freeze()),
            Ok(Some(Err(_))) => return Err(Failure::BadRequest("The body did not arrive whole.".into()).into()),
            Ok(Some(Ok(piece))) => {
                let bytes = whole.len() + piece.len();
                if bytes > most {
                    return Err(Failure::TooLarge.into());
                }
                grow(bytes)?;
                whole.extend_from_slice(&piece);
            }
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

    #[tokio::test(start_paused = true)]
    async fn a_body_has_a_rate_and_no_total_time() {
        let pieces = |size: usize| {
            let pieces = futures_util::stream::iter(0..60).then(move |_| async move {
                tokio::time::sleep(Duration::from_secs(1)).await;
                Ok::<_, std::io::Error>(vec![b'x'; size])
            });
            read(Body::from_stream(pieces), 1 << 20)
        };
        assert_eq!(pieces(2048).await.unwrap().len(), 60 * 2048);
        assert!(matches!(pieces(512).await, Err(Failure::TooSlow)));
    }

    #[tokio::test]
    async fn a_small_body_arrives_whole() {
        assert_eq!(read(Body::from("name=Hammer"), MAX_BODY).await.unwrap(), "name=Hammer");
    }
}

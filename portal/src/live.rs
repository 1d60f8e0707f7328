//! Pages that go on while somebody looks at them: streamed HTML, without a script.
//!
//! A page is rendered whole with [`Marker`] where it will grow; what comes before it is
//! sent at once, then each piece as it is there, and what comes behind it at the end.

use std::{convert::Infallible, fmt};

use askama::Template;
use axum::{
    body::Body,
    response::{Html, IntoResponse as _, Response},
};
use bytes::Bytes;
use futures_util::{Stream, StreamExt as _, stream};
use http::{HeaderValue, header};
use tracing::error;

use crate::error::Failure;

/// What stands in a template where the page grows: `{{ marker }}`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Marker;

/// A comment's dashes cannot come out of escaped text, so no stored text can be taken for it.
const MARK: &str = "<!--live-->";

impl fmt::Display for Marker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(MARK)
    }
}

/// It is markup of our own, and goes out as it is.
impl askama::filters::HtmlSafe for Marker {}

/// Says that an answer grows, so that nothing on the way waits for its end.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Live;

/// A page that grows by these pieces of HTML. It ends when they do.
pub(crate) fn page<S>(template: &impl Template, pieces: S) -> Response
where
    S: Stream<Item = String> + Send + 'static,
{
    let html = match template.render() {
        Ok(html) => html,
        Err(cause) => return Failure::Internal(format!("could not render a page: {cause}")).into_response(),
    };
    let Some((before, behind)) = html.split_once(MARK) else {
        return Failure::Internal("a page that grows does not say where".into()).into_response();
    };
    let (before, behind) = (before.to_owned(), behind.to_owned());
    let whole = stream::iter([before]).chain(pieces).chain(stream::iter([behind]));
    let body = Body::from_stream(whole.map(|piece| Ok::<_, Infallible>(Bytes::from(piece))));
    let mut response = Html(body).into_response();
    response.extensions_mut().insert(Live);
    // A proxy that gathered what it passes on would show nothing for minutes.
    response.headers_mut().insert("x-accel-buffering", HeaderValue::from_static("no"));
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

/// A piece of such a page. One that cannot be rendered is left out: its status is long sent.
pub(crate) fn piece(template: &impl Template) -> String {
    template.render().unwrap_or_else(|cause| {
        error!("could not render a piece of a page: {cause}");
        String::new()
    })
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt as _;

    use super::*;

    #[derive(Template)]
    #[template(source = "<p>{{ text }}</p>{{ marker }}<p>end</p>", ext = "html")]
    struct Growing {
        text: &'static str,
        marker: Marker,
    }

    #[tokio::test]
    async fn pieces_stand_where_the_marker_was_and_nowhere_else() {
        let growing = Growing { text: "<!--live-->", marker: Marker };
        let pieces = stream::iter(["<b>1</b>".to_owned(), "<b>2</b>".to_owned()]);

        let response = page(&growing, pieces);

        assert!(response.extensions().get::<Live>().is_some());
        let body = response.into_body().collect().await.unwrap().to_bytes();
        assert_eq!(body, "<p>&#60;!--live--&#62;</p><b>1</b><b>2</b><p>end</p>");
    }
}

//! Pages that a browser keeps: sent again only when the catalogue has changed.
//!
//! The tag of such a page names the state of the catalogue before the page was made, so
//! the page is that state or a later one. A browser that made a later change than has come
//! here, through another portal perhaps, gets its page made anew.

use axum::{
    extract::{Request, State},
    middleware::Next,
    response::{IntoResponse as _, Response},
};
use http::{HeaderMap, HeaderValue, Method, StatusCode, header};

use crate::{
    changes::{Changes, Mark},
    cookie::Cookie,
    door::Visitor,
    list::Wanted,
};

/// Keep it, and ask before it is shown again.
const CACHING: &str = "private, no-cache";

/// What a browser is told to remember after it changed something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Seen {
    /// The change has this place among all.
    Change(i64),
    /// The change has not come yet, or many are still coming: take no kept page for a while.
    Unknown,
}

/// How long no kept page counts after changes that nobody waited for.
const UNKNOWN_SECONDS: u32 = 15;

/// What stands in the cookie meanwhile.
const UNKNOWN: &str = "unknown";

impl Seen {
    /// Has the browser remember it.
    pub(crate) fn tell(self, response: &mut Response) {
        let (name, value) = match self {
            Seen::Change(sequence) => Cookie::Seen.set(&sequence.to_string(), None),
            Seen::Unknown => Cookie::Seen.set(UNKNOWN, Some(UNKNOWN_SECONDS)),
        };
        response.headers_mut().append(name, value);
    }
}

/// Answers 304 when the page that the browser has is right, and tags the one that it gets.
pub(crate) async fn validate(State(changes): State<Changes>, request: Request, next: Next) -> Response {
    let Some(tag) = changes.mark().and_then(|mark| tag(mark, &request)) else {
        return next.run(request).await;
    };
    let kept = request.headers().get(header::IF_NONE_MATCH);
    if kept.is_some_and(|kept| kept.as_bytes() == tag.as_bytes()) {
        return (StatusCode::NOT_MODIFIED, [(header::ETAG, tag), (header::CACHE_CONTROL, caching())]).into_response();
    }
    let mut response = next.run(request).await;
    if response.status() == StatusCode::OK {
        response.headers_mut().insert(header::ETAG, tag);
        response.headers_mut().insert(header::CACHE_CONTROL, caching());
    }
    response
}

fn caching() -> HeaderValue {
    HeaderValue::from_static(CACHING)
}

/// The tag of the page that a request asks for; none when it is not to be kept.
fn tag(mark: Mark, request: &Request) -> Option<HeaderValue> {
    let is_read = matches!(*request.method(), Method::GET | Method::HEAD);
    // What the step before did is said once.
    let is_told = request.uri().query().is_some_and(|query| query.contains("notice="));
    if !is_read || is_told || is_behind(mark, request.headers()) {
        return None;
    }
    let zone = Cookie::Zone.read(request.headers()).unwrap_or_default();
    let form = match Wanted::of(request.uri().path(), request.headers()) {
        Wanted::Page => "",
        Wanted::Json => "-json",
        Wanted::Csv => "-csv",
    };
    let Mark { process, stream, sequence } = mark;
    // The page says who is logged in, and offers what the role allows.
    let visitor = request.extensions().get::<Visitor>();
    let named = visitor.and_then(|visitor| Some(format!("-{}-{}", visitor.name()?, visitor.role())));
    let name = named.unwrap_or_default();
    HeaderValue::try_from(format!("W/\"{process:08x}-{stream}-{sequence}-{zone}{name}{form}\"")).ok()
}

/// Whether the browser made a change that has not come here.
fn is_behind(mark: Mark, headers: &HeaderMap) -> bool {
    match Cookie::Seen.read(headers) {
        None => false,
        Some(seen) => seen.parse::<i64>().map_or(true, |seen| seen > mark.sequence),
    }
}

#[cfg(test)]
mod tests {
    use axum::body::Body;

    use super::*;
    use crate::door::Role;

    const MARK: Mark = Mark { process: 0xab, stream: 1, sequence: 40 };

    fn tag_of(path: &str, cookies: &str) -> Option<String> {
        let request = Request::get(path).header(header::COOKIE, cookies).body(Body::empty()).unwrap();
        tag(MARK, &request).map(|tag| tag.to_str().unwrap().to_owned())
    }

    #[test]
    fn a_tag_names_the_state_and_whatever_else_makes_a_page() {
        assert_eq!(tag_of("/", "").as_deref(), Some("W/\"000000ab-1-40-\""));
        assert_eq!(tag_of("/?page=x", "zone=Asia/Tokyo").as_deref(), Some("W/\"000000ab-1-40-Asia/Tokyo\""));
    }

    #[test]
    fn a_page_is_kept_for_who_it_was_made_for() {
        let mut request = Request::get("/").body(Body::empty()).unwrap();
        let digest = crate::door::secret::Secret::new().digest();
        request.extensions_mut().insert(Visitor::logged_in("ann".parse().unwrap(), Role::Viewer, digest));
        assert_eq!(tag(MARK, &request).unwrap(), "W/\"000000ab-1-40--ann-viewer\"");
        request.extensions_mut().insert(Visitor::open());
        assert_eq!(tag(MARK, &request).unwrap(), "W/\"000000ab-1-40-\"");
    }

    #[test]
    fn nothing_older_than_ones_own_change_is_kept() {
        assert!(tag_of("/", "seen=40").is_some());
        assert_eq!(tag_of("/", "seen=41"), None);
        assert_eq!(tag_of("/", "seen=unknown"), None);
    }

    #[test]
    fn what_is_said_once_is_not_kept() {
        assert_eq!(tag_of("/?notice=added", ""), None);
        let post = Request::post("/").body(Body::empty()).unwrap();
        assert_eq!(tag(MARK, &post), None);
    }
}

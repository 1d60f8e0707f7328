//! Refuses forms that another site sends in the visitor's name.
//!
//! The rule is the one of Go 1.25's `CrossOriginProtection`: browsers say where a
//! request comes from, and whoever says nothing is no browser. No GET changes
//! anything here, so no tokens are needed.

use axum::{
    extract::Request,
    middleware::Next,
    response::{IntoResponse as _, Response},
};
use http::{HeaderMap, Method, header};

use crate::error::Failure;

/// Answers 403 to what comes from elsewhere, before its body is read.
pub(crate) async fn refuse_foreign(request: Request, next: Next) -> Response {
    if is_own(request.method(), request.headers()) { next.run(request).await } else { Failure::Foreign.into_response() }
}

/// Whether a request that may change something comes from this site, or from no browser.
pub(crate) fn is_own(method: &Method, headers: &HeaderMap) -> bool {
    if method.is_safe() {
        return true;
    }
    let text = |name| headers.get(name).map(|value| value.to_str().unwrap_or("unreadable"));
    if let Some(site) = text(header::HeaderName::from_static("sec-fetch-site")) {
        return matches!(site, "same-origin" | "none");
    }
    match (text(header::ORIGIN), text(header::HOST)) {
        (None, _) => true,
        (Some(origin), Some(host)) => {
            // "null" has no host, and so is foreign.
            origin.split_once("://").is_some_and(|(_, authority)| authority.eq_ignore_ascii_case(host))
        }
        (Some(_), None) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn post(pairs: &[(&'static str, &'static str)]) -> bool {
        let headers =
            pairs.iter().map(|(name, value)| (header::HeaderName::from_static(name), value.parse().unwrap())).collect();
        is_own(&Method::POST, &headers)
    }

    #[test]
    fn a_form_of_this_site_is_own() {
        assert!(post(&[("sec-fetch-site", "same-origin")]));
        assert!(post(&[("sec-fetch-site", "none")]));
        assert!(post(&[("origin", "http://127.0.0.1:5050"), ("host", "127.0.0.1:5050")]));
    }

    #[test]
    fn a_form_of_another_site_is_foreign() {
        assert!(!post(&[("sec-fetch-site", "cross-site")]));
        assert!(!post(&[("sec-fetch-site", "same-site")]));
        assert!(!post(&[("origin", "http://evil.example"), ("host", "127.0.0.1:5050")]));
        assert!(!post(&[("origin", "http://127.0.0.1:6666"), ("host", "127.0.0.1:5050")]));
        assert!(!post(&[("origin", "null"), ("host", "127.0.0.1:5050")]));
        assert!(!post(&[("origin", "http://127.0.0.1:5050")]));
    }

    #[test]
    fn what_the_browser_says_itself_counts_more_than_the_origin() {
        let own = [("origin", "http://127.0.0.1:5050"), ("host", "127.0.0.1:5050")];
        assert!(!post(&[own[0], own[1], ("sec-fetch-site", "cross-site")]));
    }

    #[test]
    fn a_program_without_such_headers_may_write() {
        assert!(post(&[("host", "127.0.0.1:5050")]));
    }

    #[test]
    fn reading_is_open_to_links_from_everywhere() {
        let mut headers = HeaderMap::new();
        headers.insert("sec-fetch-site", "cross-site".parse().unwrap());
        assert!(is_own(&Method::GET, &headers));
        assert!(is_own(&Method::HEAD, &headers));
        assert!(!is_own(&Method::DELETE, &headers));
    }
}

//! Refuses names that are not this machine's own, while only this machine is served.
//!
//! A foreign site can point its own name at 127.0.0.1 and would then count as the
//! same origin (DNS rebinding). Behind an address that others reach, any name may
//! be right, and this says nothing.

use std::net::{IpAddr, SocketAddr};

use axum::{
    extract::Request,
    middleware::Next,
    response::{IntoResponse as _, Response},
};
use http::header;

use crate::error::Failure;

/// By which names the portal may be called.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Names {
    /// This machine's own: `localhost` and loopback addresses.
    Local,
    /// Whatever others call it.
    Any,
}

impl Names {
    /// The names for pages that are served at this address.
    pub(crate) fn of(listen: SocketAddr) -> Self {
        if listen.ip().is_loopback() { Self::Local } else { Self::Any }
    }
}

/// Answers 403 to a request for a foreign name.
pub(crate) async fn refuse_foreign(names: Names, request: Request, next: Next) -> Response {
    let host = request.headers().get(header::HOST).map(|host| host.to_str().unwrap_or("unreadable"));
    if names == Names::Any || host.is_none_or(is_local) {
        return next.run(request).await;
    }
    Failure::ForeignName.into_response()
}

fn is_local(host: &str) -> bool {
    let name = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|b| b.is_ascii_digit()) => name,
        _ => host,
    };
    let address = name.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
    name.eq_ignore_ascii_case("localhost") || address.is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_machine_is_called_by_its_own_names() {
        for host in ["127.0.0.1:5050", "localhost", "LocalHost:80", "[::1]:5050", "127.1.2.3"] {
            assert!(is_local(host), "{host}");
        }
    }

    #[test]
    fn a_name_that_was_pointed_at_it_is_foreign() {
        for host in
            ["evil.example", "evil.example:5050", "127.0.0.1.evil.example", "localhost.evil.example", "", "10.0.0.1"]
        {
            assert!(!is_local(host), "{host}");
        }
    }
}

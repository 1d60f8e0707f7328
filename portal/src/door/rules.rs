//! Which role each page needs: the one place that knows.
//!
//! What is not named here needs an administrator, so that a page which was
//! forgotten is shut and not open.

use http::Method;

use crate::gateway;

use super::{
    Area::{self, Products, Running},
    Role::{self, Administrator, Editor, Viewer},
};

/// Pages without a secret: how the portal is, how it looks, and where one logs in.
const EVERYBODYS: [&str; 7] =
    ["/healthz", "/readyz", "/style.css", "/favicon.svg", "/favicon.ico", "/robots.txt", "/login"];

/// What a request needs before it is let in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Need {
    /// Nothing: it is everybody's.
    Nothing,
    /// Some account; whatever more it needs is asked behind the door.
    Login,
    /// This role, or a higher one.
    Role(Area, Role),
}

/// What a request needs.
pub(crate) fn need(method: &Method, path: &str) -> Need {
    if EVERYBODYS.contains(&path) {
        return Need::Nothing;
    }
    // The gateway knows what its methods need.
    if gateway::is_versioned(path) {
        return Need::Login;
    }
    let path = path.strip_prefix('/').unwrap_or(path);
    let (first, rest) = path.split_once('/').unwrap_or((path, ""));
    let reads = matches!(*method, Method::GET | Method::HEAD);
    if !reads && *method != Method::POST {
        return Need::Role(Running, Administrator);
    }
    // A list as a file needs what its page does.
    let first = if reads && !first.starts_with("export") { first.strip_suffix(".csv").unwrap_or(first) } else { first };
    match first {
        "account" | "logout" | "times" => Need::Login,
        "" | "search" | "trash" | "export.csv" | "export.json" | "imports" if reads => Need::Role(Products, Viewer),
        "products" | "categories" if reads && is_form(rest) => Need::Role(Products, Editor),
        "products" | "categories" if reads => Need::Role(Products, Viewer),
        "products" | "categories" | "imports" | "sample" => Need::Role(Products, Editor),
        "services" | "logs" | "events" | "metrics" | "docs" | "openapi.json" if reads => Need::Role(Running, Viewer),
        _ => Need::Role(Running, Administrator),
    }
}

/// Whether a page below products or categories only asks what to change.
fn is_form(rest: &str) -> bool {
    let last = rest.rsplit('/').next().unwrap_or_default();
    matches!(last, "new" | "bulk" | "edit" | "delete" | "rename") || rest.contains("/history/")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn get(path: &str) -> Need {
        need(&Method::GET, path)
    }

    fn post(path: &str) -> Need {
        need(&Method::POST, path)
    }

    #[test]
    fn everybody_may_see_how_the_portal_is_and_log_in() {
        for path in ["/healthz", "/readyz", "/style.css", "/favicon.svg", "/favicon.ico", "/robots.txt", "/login"] {
            assert_eq!(get(path), Need::Nothing, "{path}");
        }
        assert_eq!(post("/login"), Need::Nothing);
    }

    #[test]
    fn looking_at_products_needs_a_viewer_and_changing_them_an_editor() {
        for path in ["/", "/products", "/products/7", "/products/7/history", "/search", "/categories", "/trash"] {
            assert_eq!(get(path), Need::Role(Products, Viewer), "{path}");
        }
        for path in ["/export.csv", "/export.json", "/imports", "/imports/7", "/imports/7/refused.csv"] {
            assert_eq!(get(path), Need::Role(Products, Viewer), "{path}");
        }
        for path in ["/products/new", "/products/7/edit", "/products/7/delete", "/products/7/history/2"] {
            assert_eq!(get(path), Need::Role(Products, Editor), "{path}");
        }
        for path in ["/products", "/products/7/edit", "/products/bulk", "/sample", "/imports", "/imports/7/undo"] {
            assert_eq!(post(path), Need::Role(Products, Editor), "{path}");
        }
    }

    #[test]
    fn the_running_of_rundoo_is_shown_to_viewers_and_changed_by_administrators() {
        for path in ["/services", "/services/productsvc/1", "/logs", "/logs/tail", "/events", "/metrics"] {
            assert_eq!(get(path), Need::Role(Running, Viewer), "{path}");
            assert_eq!(post(path), Need::Role(Running, Administrator), "{path}");
        }
        for path in ["/users", "/users/ann", "/audit"] {
            assert_eq!(get(path), Need::Role(Running, Administrator), "{path}");
        }
    }

    #[test]
    fn what_nobody_thought_of_is_shut() {
        for path in ["/nowhere", "/Login", "/style.css.bak", "/healthz%2f..", "/%2e%2e/login", "/login/x"] {
            assert_eq!(get(path), Need::Role(Running, Administrator), "{path}");
        }
        for method in [Method::DELETE, Method::PUT, Method::OPTIONS, Method::CONNECT] {
            assert_eq!(need(&method, "/products/7"), Need::Role(Running, Administrator), "{method}");
        }
    }

    #[test]
    fn a_gateway_asks_by_itself_what_its_methods_need() {
        assert_eq!(get("/v1/products"), Need::Login);
        assert_eq!(need(&Method::DELETE, "/v1/products/7"), Need::Login);
        assert_eq!(get("/v1"), Need::Login);
        assert_eq!(get("/v2beta1/greetings"), Need::Login);
    }
}

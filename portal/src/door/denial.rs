//! Why somebody is not let in, in words for them.

use http::{HeaderMap, HeaderValue, StatusCode, header};

use super::Role;

/// Why the door stays shut.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Denial {
    #[error("nobody is logged in")]
    Login,
    #[error("this needs the role {needed}")]
    Role { needed: Role },
}

impl Denial {
    pub(crate) fn status(&self) -> StatusCode {
        match self {
            Denial::Login => StatusCode::UNAUTHORIZED,
            Denial::Role { .. } => StatusCode::FORBIDDEN,
        }
    }

    pub(crate) fn headline(&self) -> &'static str {
        match self {
            Denial::Login => "Log in first",
            Denial::Role { .. } => "Your role does not allow this",
        }
    }

    pub(crate) fn text(&self) -> String {
        match self {
            Denial::Login => "Nothing was changed. Log in, then do it again.".into(),
            Denial::Role { needed } => {
                format!("It needs the role {needed}. An administrator can give you another role. Nothing was changed.")
            }
        }
    }

    /// Sets what programs are told in headers.
    pub(crate) fn tell(&self, headers: &mut HeaderMap) {
        if self.status() == StatusCode::UNAUTHORIZED {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer realm=\"rundoo\""));
        }
    }
}

//! Who asks.

use std::sync::Arc;

use axum::extract::FromRequestParts;
use http::request::Parts;
use tracing::warn;

use super::{Area, Denial, Role};
use crate::error::Failure;

/// Who asks, and what they may do. The door puts it into each request that it lets in. Cheap to clone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Visitor {
    name: Option<Arc<str>>,
    role: Role,
    by: By,
}

/// How a visitor came in.
#[derive(Debug, Clone, PartialEq, Eq)]
enum By {
    /// Without a question: only this machine is served, or the page is everybody's.
    OpenDoor,
}

impl Visitor {
    /// Whoever comes while the door is open: an administrator without a name.
    pub(crate) fn open() -> Visitor {
        Visitor { name: None, role: Role::Administrator, by: By::OpenDoor }
    }

    /// The name of the account; none while the door is open.
    pub(crate) fn name(&self) -> Option<&str> {
        self.name.as_deref()
    }

    /// What the visitor may do with this; nothing when a token is not for it.
    fn role_in(&self, _area: Area) -> Option<Role> {
        match self.by {
            By::OpenDoor => Some(self.role),
        }
    }

    /// Whether this role, or a higher one, is the visitor's, where it is about products.
    pub(crate) fn demand(&self, needed: Role) -> Result<(), Failure> {
        self.demand_in(Area::Products, needed)
    }

    /// The same for what may be about something else.
    pub(crate) fn demand_in(&self, area: Area, needed: Role) -> Result<(), Failure> {
        let denial = match self.role_in(area) {
            Some(role) if role >= needed => return Ok(()),
            _ => Denial::Role { needed },
        };
        let who = self.name().unwrap_or("nobody");
        warn!(actor = who, role.needed = needed.name(), "refused {who}: {denial}");
        Err(Failure::Denied(denial))
    }
}

impl<S: Sync> FromRequestParts<S> for Visitor {
    type Rejection = Failure;

    /// A request that did not come through the door has no visitor, and is refused.
    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Visitor, Failure> {
        parts.extensions.get().cloned().ok_or(Failure::Denied(Denial::Login))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_open_door_allows_everything() {
        for role in Role::ALL {
            assert!(Visitor::open().demand(role).is_ok());
        }
        assert_eq!(Visitor::open().name(), None);
    }
}

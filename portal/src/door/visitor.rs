//! Who asks.

use axum::extract::FromRequestParts;
use http::request::Parts;
use tracing::warn;

use super::{Area, Denial, Name, Role, buckets, scope::Scopes, secret::Digest};
use crate::error::Failure;

/// Who asks, and what they may do. The door puts it into each request that it lets in. Cheap to clone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Visitor {
    name: Option<Name>,
    role: Role,
    by: By,
}

/// How a visitor came in.
#[derive(Debug, Clone, PartialEq, Eq)]
enum By {
    /// Without a question: only this machine is served.
    OpenDoor,
    /// With a cookie.
    Session(Digest),
    /// With an API token.
    Token { id: i64, scopes: Scopes },
}

impl Visitor {
    /// Whoever comes while the door is open: an administrator without a name.
    pub(crate) fn open() -> Visitor {
        Visitor { name: None, role: Role::Administrator, by: By::OpenDoor }
    }

    /// Who logged in.
    pub(crate) fn logged_in(name: Name, role: Role, session: Digest) -> Visitor {
        Visitor { name: Some(name), role, by: By::Session(session) }
    }

    /// A program with a token of somebody.
    pub(crate) fn program(name: Name, role: Role, (id, scopes): (i64, Scopes)) -> Visitor {
        Visitor { name: Some(name), role, by: By::Token { id, scopes } }
    }

    /// The name of the account; none while the door is open.
    pub(crate) fn name(&self) -> Option<&Name> {
        self.name.as_ref()
    }

    /// The role of the account; a token may allow less.
    pub(crate) fn role(&self) -> Role {
        self.role
    }

    /// The account and the session of who logged in with a browser; nobody else may look after an account.
    pub(crate) fn session(&self) -> Result<(&Name, &Digest), Failure> {
        match (&self.name, &self.by) {
            (Some(name), By::Session(digest)) => Ok((name, digest)),
            (_, By::Token { .. }) => Err(self.refuse(Denial::NoToken)),
            _ => Err(Failure::Denied(Denial::Login)),
        }
    }

    /// The number of the token that a program came with.
    pub(crate) fn token(&self) -> Option<i64> {
        match self.by {
            By::Token { id, .. } => Some(id),
            By::OpenDoor | By::Session(_) => None,
        }
    }

    /// As which client it counts; nothing when only the address tells.
    pub(crate) fn key(&self) -> Option<buckets::Key> {
        match &self.by {
            By::OpenDoor => None,
            By::Session(digest) => Some(buckets::Key::Session(*digest)),
            By::Token { id, .. } => Some(buckets::Key::Token(*id)),
        }
    }

    /// What the visitor may do there: what the account may, and of that what the token is for.
    fn role_in(&self, area: Area) -> Option<Role> {
        match &self.by {
            By::OpenDoor | By::Session(_) => Some(self.role),
            By::Token { scopes, .. } => scopes.role_in(area).map(|role| role.min(self.role)),
        }
    }

    /// Whether this role, or a higher one, is the visitor's, where it is about products.
    pub(crate) fn demand(&self, needed: Role) -> Result<(), Failure> {
        self.demand_in(Area::Products, needed)
    }

    /// The same for what may be about something else.
    pub(crate) fn demand_in(&self, area: Area, needed: Role) -> Result<(), Failure> {
        if self.role_in(area).is_some_and(|role| role >= needed) {
            return Ok(());
        }
        let is_for_nothing_higher = self.role < needed;
        Err(self.refuse(if is_for_nothing_higher { Denial::Role { needed } } else { Denial::Scope { needed } }))
    }

    fn refuse(&self, denial: Denial) -> Failure {
        let who = self.name().map_or("nobody", Name::as_str);
        warn!(actor = who, role = self.role.name(), token.id = self.token(), "refused {who}: {denial}");
        Failure::Denied(denial)
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
    use crate::door::secret::Secret;

    fn denied(asked: Result<(), Failure>) -> Option<Denial> {
        match asked {
            Ok(()) => None,
            Err(Failure::Denied(denial)) => Some(denial),
            Err(other) => panic!("{other}"),
        }
    }

    #[test]
    fn an_open_door_allows_everything_but_an_account() {
        for role in Role::ALL {
            assert!(Visitor::open().demand(role).is_ok() && Visitor::open().demand_in(Area::Running, role).is_ok());
        }
        assert_eq!(Visitor::open().name(), None);
        assert!(Visitor::open().session().is_err());
    }

    #[test]
    fn who_logged_in_may_what_the_role_allows() {
        let ann = Visitor::logged_in("ann".parse().unwrap(), Role::Editor, Secret::new().digest());
        assert_eq!(denied(ann.demand(Role::Viewer)), None);
        assert_eq!(denied(ann.demand(Role::Editor)), None);
        assert_eq!(denied(ann.demand(Role::Administrator)), Some(Denial::Role { needed: Role::Administrator }));
        assert!(ann.session().is_ok());
    }

    #[test]
    fn a_token_allows_no_more_than_its_account_and_its_scopes() {
        let program = |role, scopes: &str| Visitor::program("ann".parse().unwrap(), role, (1, scopes.parse().unwrap()));
        let token = program(Role::Viewer, "products:write");
        assert_eq!(denied(token.demand(Role::Viewer)), None);
        assert_eq!(denied(token.demand(Role::Editor)), Some(Denial::Role { needed: Role::Editor }));
        let token = program(Role::Administrator, "products:read");
        assert_eq!(denied(token.demand(Role::Editor)), Some(Denial::Scope { needed: Role::Editor }));
        assert_eq!(
            denied(token.demand_in(Area::Running, Role::Viewer)),
            Some(Denial::Scope { needed: Role::Viewer }),
            "it is not for the log"
        );
        assert_eq!(denied(program(Role::Administrator, "admin").demand(Role::Administrator)), None);
        assert!(matches!(token.session(), Err(Failure::Denied(Denial::NoToken))));
    }
}

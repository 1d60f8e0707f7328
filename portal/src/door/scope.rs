//! What an API token is for.

use std::{fmt, str::FromStr};

use super::{Area, Role};

/// One thing that a token is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Scope {
    ReadProducts,
    WriteProducts,
    ReadLogs,
    Everything,
}

impl Scope {
    pub(crate) const ALL: [Scope; 4] = [Scope::ReadProducts, Scope::WriteProducts, Scope::ReadLogs, Scope::Everything];

    /// How programs and the file of accounts write it.
    pub(crate) fn key(self) -> &'static str {
        match self {
            Scope::ReadProducts => "products:read",
            Scope::WriteProducts => "products:write",
            Scope::ReadLogs => "logs:read",
            Scope::Everything => "admin",
        }
    }

    /// What it allows, for people.
    pub(crate) fn label(self) -> &'static str {
        match self {
            Scope::ReadProducts => "read products",
            Scope::WriteProducts => "read and change products",
            Scope::ReadLogs => "read the log, services and metrics",
            Scope::Everything => "everything that the account may",
        }
    }

    fn role_in(self, area: Area) -> Option<Role> {
        match (self, area) {
            (Scope::ReadProducts, Area::Products) | (Scope::ReadLogs, Area::Running) => Some(Role::Viewer),
            (Scope::WriteProducts, Area::Products) => Some(Role::Editor),
            (Scope::Everything, _) => Some(Role::Administrator),
            _ => None,
        }
    }
}

impl FromStr for Scope {
    type Err = String;

    fn from_str(text: &str) -> Result<Scope, String> {
        let found = Scope::ALL.into_iter().find(|scope| scope.key() == text);
        found.ok_or_else(|| format!("{text:?} is no scope: products:read, products:write, logs:read or admin"))
    }
}

/// All that a token is for; at least one thing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Scopes(Vec<Scope>);

impl Scopes {
    /// Nothing when there is none among them.
    pub(crate) fn new(mut scopes: Vec<Scope>) -> Option<Scopes> {
        scopes.sort_unstable();
        scopes.dedup();
        (!scopes.is_empty()).then_some(Scopes(scopes))
    }

    /// The highest role that it gives there.
    pub(crate) fn role_in(&self, area: Area) -> Option<Role> {
        self.0.iter().filter_map(|scope| scope.role_in(area)).max()
    }
}

impl fmt::Display for Scopes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let keys: Vec<&str> = self.0.iter().map(|scope| scope.key()).collect();
        f.write_str(&keys.join(" "))
    }
}

impl FromStr for Scopes {
    type Err = String;

    /// Reads what was written with spaces between.
    fn from_str(text: &str) -> Result<Scopes, String> {
        let scopes = text.split(' ').filter(|word| !word.is_empty()).map(str::parse).collect::<Result<_, _>>()?;
        Scopes::new(scopes).ok_or_else(|| "a token is for something at least".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_for_what_its_scopes_say_and_nothing_else() {
        let scopes: Scopes = "products:write logs:read products:write".parse().unwrap();
        assert_eq!(scopes.to_string(), "products:write logs:read");
        assert_eq!(scopes.role_in(Area::Products), Some(Role::Editor));
        assert_eq!(scopes.role_in(Area::Running), Some(Role::Viewer));
        let reader: Scopes = "products:read".parse().unwrap();
        assert_eq!((reader.role_in(Area::Products), reader.role_in(Area::Running)), (Some(Role::Viewer), None));
        assert_eq!("admin".parse::<Scopes>().unwrap().role_in(Area::Running), Some(Role::Administrator));
        assert!("".parse::<Scopes>().is_err() && "products:delete".parse::<Scopes>().is_err());
    }
}

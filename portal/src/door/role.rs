//! What somebody may do, and where.

use std::{fmt, str::FromStr};

/// What an account may do. Each role may all that those before it may.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Role {
    /// May look at everything that concerns products and the running of Rundoo.
    Viewer,
    /// May change products.
    Editor,
    /// May do everything: accounts, tokens, the audit, the services.
    Administrator,
}

impl Role {
    /// All of them, the least first.
    pub(crate) const ALL: [Role; 3] = [Role::Viewer, Role::Editor, Role::Administrator];

    /// How it is written, in words and in the file of accounts.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Role::Viewer => "viewer",
            Role::Editor => "editor",
            Role::Administrator => "administrator",
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Role {
    type Err = String;

    fn from_str(text: &str) -> Result<Role, String> {
        let found = Role::ALL.into_iter().find(|role| role.name() == text);
        found.ok_or_else(|| format!("{text:?} is no role: viewer, editor or administrator"))
    }
}

/// What a request is about. A session has one role for both; a token may have none for one of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Area {
    /// The catalogue.
    Products,
    /// How Rundoo itself runs: its log, its services, its numbers.
    Running,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_role_may_what_those_before_it_may() {
        assert!(Role::Viewer < Role::Editor && Role::Editor < Role::Administrator);
    }

    #[test]
    fn a_role_is_read_as_it_is_written() {
        for role in Role::ALL {
            assert_eq!(role.to_string().parse(), Ok(role));
        }
        assert!("root".parse::<Role>().is_err() && "Editor".parse::<Role>().is_err());
    }
}

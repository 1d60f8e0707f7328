//! Why somebody is not let in, in words for them.

use http::{HeaderMap, HeaderValue, StatusCode, header};

use super::Role;

/// Why the door stays shut.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Denial {
    #[error("nobody is logged in")]
    Login,
    #[error("the session or token does not count any more")]
    Ended,
    #[error("this needs the role {needed}")]
    Role { needed: Role },
    #[error("the API token is not for this, which needs the role {needed}")]
    Scope { needed: Role },
    #[error("this is for people who are logged in, and not for API tokens")]
    NoToken,
    #[error("an API token that nobody has")]
    UnknownToken,
    #[error("the API token has expired")]
    ExpiredToken,
    #[error("the API token was revoked")]
    RevokedToken,
    #[error("more requests than one client may send")]
    TooMany { seconds: u64 },
    #[error("more passwords than can be checked at once")]
    Busy,
    #[error("the accounts cannot be read")]
    Away,
    #[error("no such account")]
    NoAccount,
}

impl Denial {
    pub(crate) fn status(&self) -> StatusCode {
        match self {
            Denial::Login | Denial::Ended | Denial::UnknownToken | Denial::ExpiredToken | Denial::RevokedToken => {
                StatusCode::UNAUTHORIZED
            }
            Denial::Role { .. } | Denial::Scope { .. } | Denial::NoToken => StatusCode::FORBIDDEN,
            Denial::TooMany { .. } => StatusCode::TOO_MANY_REQUESTS,
            Denial::Busy | Denial::Away => StatusCode::SERVICE_UNAVAILABLE,
            Denial::NoAccount => StatusCode::NOT_FOUND,
        }
    }

    /// Why, for programs.
    pub(crate) fn reason(&self) -> &'static str {
        match self {
            Denial::Login => "LOGIN_NEEDED",
            Denial::Ended => "ACCESS_ENDED",
            Denial::Role { .. } => "ROLE_TOO_LOW",
            Denial::Scope { .. } => "SCOPE_TOO_SMALL",
            Denial::NoToken => "NO_TOKENS_HERE",
            Denial::UnknownToken => "UNKNOWN_TOKEN",
            Denial::ExpiredToken => "EXPIRED_TOKEN",
            Denial::RevokedToken => "REVOKED_TOKEN",
            Denial::TooMany { .. } => "TOO_MANY_REQUESTS",
            Denial::Busy => "LOGIN_BUSY",
            Denial::Away => "ACCOUNTS_AWAY",
            Denial::NoAccount => "NO_SUCH_ACCOUNT",
        }
    }

    pub(crate) fn headline(&self) -> &'static str {
        match self {
            Denial::Login => "Log in first",
            Denial::Ended => "You are not logged in any more",
            Denial::Role { .. } => "Your role does not allow this",
            Denial::Scope { .. } => "This API token is not for that",
            Denial::NoToken => "This is not for API tokens",
            Denial::UnknownToken => "This API token is not known",
            Denial::ExpiredToken => "This API token has expired",
            Denial::RevokedToken => "This API token was revoked",
            Denial::TooMany { .. } => "Too many requests",
            Denial::Busy => "Too many people log in at this moment",
            Denial::Away => "The accounts cannot be read right now",
            Denial::NoAccount => "There is no such account",
        }
    }

    pub(crate) fn text(&self) -> String {
        match self {
            Denial::Login => "Nothing was changed. Log in, then do it again.".into(),
            Denial::Ended => {
                "Your session or token stopped counting while this went on. What was done by then is done.".into()
            }
            Denial::Role { needed } => {
                format!("It needs the role {needed}. An administrator can give you another role. Nothing was changed.")
            }
            Denial::Scope { needed } => format!(
                "It needs the role {needed} there, which the scopes of this token do not give. Nothing was changed."
            ),
            Denial::NoToken => "Log in with a browser to see or change your account. Nothing was changed.".into(),
            Denial::UnknownToken => "It may be mistyped, or its account was removed. Nothing was changed.".into(),
            Denial::ExpiredToken => "Make another one under Account. Nothing was changed.".into(),
            Denial::RevokedToken => {
                "Whoever revoked it had a reason. Make another one under Account. Nothing was changed.".into()
            }
            Denial::TooMany { .. } => {
                "You send more than one client may. Wait a moment, then go on. Nothing was changed.".into()
            }
            Denial::Busy => "Wait a moment, then try again. Nothing was tried yet.".into(),
            Denial::Away => "The portal cannot tell who you are. It is in the log. Trying again may help.".into(),
            Denial::NoAccount => "It never was, or it was removed. Users has all of them.".into(),
        }
    }

    /// In how many seconds asking again may go better.
    fn retry_after(&self) -> Option<u64> {
        match self {
            Denial::TooMany { seconds } => Some(*seconds),
            Denial::Busy => Some(2),
            _ => None,
        }
    }

    /// Sets what programs are told in headers.
    pub(crate) fn tell(&self, headers: &mut HeaderMap) {
        // RFC 6750: what is wrong with a token, if one was sent.
        let challenge = match self {
            Denial::Login | Denial::Ended => Some("Bearer realm=\"rundoo\""),
            Denial::UnknownToken | Denial::ExpiredToken | Denial::RevokedToken => {
                Some("Bearer realm=\"rundoo\", error=\"invalid_token\"")
            }
            Denial::Scope { .. } => Some("Bearer realm=\"rundoo\", error=\"insufficient_scope\""),
            _ => None,
        };
        if let Some(challenge) = challenge {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static(challenge));
        }
        if let Some(seconds) = self.retry_after() {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_refusal_has_its_own_words() {
        let all = [
            Denial::Login,
            Denial::Ended,
            Denial::Role { needed: Role::Editor },
            Denial::Scope { needed: Role::Editor },
            Denial::NoToken,
            Denial::UnknownToken,
            Denial::ExpiredToken,
            Denial::RevokedToken,
            Denial::TooMany { seconds: 1 },
            Denial::Busy,
            Denial::Away,
            Denial::NoAccount,
        ];
        let mut words: Vec<String> = all.iter().map(|denial| format!("{} {denial}", denial.headline())).collect();
        words.sort();
        words.dedup();
        assert_eq!(words.len(), all.len());
    }

    #[test]
    fn programs_are_told_what_is_wrong_with_their_token_and_when_to_come_again() {
        let told = |denial: Denial| {
            let mut headers = HeaderMap::new();
            denial.tell(&mut headers);
            headers.values().next().map(|value| value.to_str().unwrap().to_owned())
        };
        assert!(told(Denial::ExpiredToken).unwrap().contains("invalid_token"));
        assert!(told(Denial::Scope { needed: Role::Editor }).unwrap().contains("insufficient_scope"));
        assert_eq!(told(Denial::TooMany { seconds: 3 }).as_deref(), Some("3"));
        assert_eq!(told(Denial::Role { needed: Role::Editor }), None);
    }
}

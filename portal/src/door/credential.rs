//! What a request brings along to be recognised by: the cookie of a session, or an API token.

use http::{HeaderMap, HeaderValue, header};

use super::{
    Client, Denial,
    secret::{Digest, Secret},
};
use crate::cookie::Cookie;

/// What somebody is recognised by.
#[derive(Debug, Clone, Copy)]
pub(super) enum Credential {
    Session(Digest),
    Token(Digest),
}

impl Credential {
    /// Reads it; nothing where there is none. A token counts before a cookie, and one that cannot be a token is refused.
    pub(super) fn read(headers: &HeaderMap, client: &Client) -> Result<Option<Credential>, Denial> {
        if let Some(authorization) = headers.get(header::AUTHORIZATION) {
            let secret = bearer(authorization).ok_or(Denial::UnknownToken)?;
            return Ok(Some(Credential::Token(secret.digest())));
        }
        let cookie = Cookie::session(client.is_secure).read(headers);
        Ok(cookie.and_then(Secret::of_session).map(|secret| Credential::Session(secret.digest())))
    }

    /// What is kept of it.
    pub(super) fn digest(&self) -> &Digest {
        match self {
            Credential::Session(digest) | Credential::Token(digest) => digest,
        }
    }
}

/// Reads the secret of `Authorization: Bearer …`.
fn bearer(value: &HeaderValue) -> Option<Secret> {
    let (scheme, token) = value.to_str().ok()?.split_once(' ')?;
    Secret::of_token(token.trim()).filter(|_| scheme.eq_ignore_ascii_case("bearer"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_bearer_token_is_one() {
        let token = Secret::new().token();
        let read = |text: String| bearer(&HeaderValue::try_from(text).unwrap()).is_some();
        assert!(read(format!("Bearer {token}")) && read(format!("bearer  {token}")));
        for wrong in [token.clone(), format!("Basic {token}"), "Bearer ".into(), format!("Bearer {token}x")] {
            assert!(!read(wrong.clone()), "{wrong}");
        }
    }
}

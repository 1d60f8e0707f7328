//! What only one browser or one program knows: 256 random bits, of which the portal keeps a digest.

use std::fmt::{self, Write as _};

use sha2::{Digest as _, Sha256};

/// What every API token begins with, so that scanners of repositories know one when they see it.
const PREFIX: &str = "rundoo_";

/// A session's or a token's secret. It is shown once, and is in no log.
pub(crate) struct Secret([u8; 32]);

/// What is kept of a secret. Nobody comes from it to the secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Digest([u8; 32]);

impl Secret {
    /// A new one.
    pub(crate) fn new() -> Secret {
        let mut bytes = [0; 32];
        getrandom::fill(&mut bytes).expect("the system has random bytes");
        Secret(bytes)
    }

    /// Reads the value of a session's cookie.
    pub(crate) fn of_session(text: &str) -> Option<Secret> {
        let digits = <&[u8; 64]>::try_from(text.as_bytes()).ok()?;
        let mut bytes = [0; 32];
        for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
            *byte = digit(pair[0])? << 4 | digit(pair[1])?;
        }
        Some(Secret(bytes))
    }

    /// Reads an API token.
    pub(crate) fn of_token(text: &str) -> Option<Secret> {
        text.strip_prefix(PREFIX).and_then(Secret::of_session)
    }

    /// As a cookie has it.
    pub(crate) fn session(&self) -> String {
        hexadecimal(&self.0)
    }

    /// As a program sends it.
    pub(crate) fn token(&self) -> String {
        format!("{PREFIX}{}", hexadecimal(&self.0))
    }

    /// What is kept of it. One round is enough: nobody guesses 256 bits.
    pub(crate) fn digest(&self) -> Digest {
        Digest(Sha256::digest(self.0).into())
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

impl Digest {
    /// As the file of accounts has it.
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.0
    }

    /// Reads it back from there.
    pub(crate) fn read(bytes: &[u8]) -> Option<Digest> {
        bytes.try_into().ok().map(Digest)
    }

    /// By what a page names a session: enough to tell those of one account apart, and no secret.
    pub(crate) fn handle(&self) -> String {
        hexadecimal(&self.0[..8])
    }
}

fn digit(letter: u8) -> Option<u8> {
    match letter {
        b'0'..=b'9' => Some(letter - b'0'),
        b'a'..=b'f' => Some(letter - b'a' + 10),
        _ => None,
    }
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        write!(text, "{byte:02x}").expect("a string takes everything");
        text
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_secret_is_read_as_it_was_written_and_never_shown() {
        let secret = Secret::new();
        assert_eq!(Secret::of_session(&secret.session()).unwrap().digest(), secret.digest());
        assert_eq!(Secret::of_token(&secret.token()).unwrap().digest(), secret.digest());
        assert!(Secret::of_token(&secret.session()).is_none() && Secret::of_session(&secret.token()).is_none());
        assert_eq!(format!("{secret:?}"), "Secret(…)");
        assert_ne!(Secret::new().digest(), secret.digest());
        assert_eq!(Digest::read(secret.digest().bytes()), Some(secret.digest()));
    }

    proptest! {
        #[test]
        fn whatever_is_sent_is_a_secret_only_when_it_is_written_as_one(text in ".{0,80}") {
            let is_written_so = text.len() == 64 && text.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b));
            prop_assert_eq!(Secret::of_session(&text).is_some(), is_written_so);
            prop_assert!(Secret::of_token(&text).is_none() || text.starts_with(PREFIX));
        }

        #[test]
        fn every_secret_survives_its_text(bytes in any::<[u8; 32]>()) {
            let secret = Secret(bytes);
            prop_assert_eq!(Secret::of_token(&secret.token()).map(|read| read.0), Some(bytes));
        }
    }
}

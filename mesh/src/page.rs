//! Page sizes and page tokens (AIP-158), the same for every paged method.
//!
//! A token is opaque to clients. It is bound to the method and its arguments by a
//! checksum, so that a token of another query is refused instead of answered
//! wrongly. It grants nothing: whoever forges one reads what a request could.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use prost::Message;
use sha2::{Digest, Sha256};

/// A negative page size was asked for.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("must not be negative")]
pub struct NegativeSize;

/// The token is not one of this method and these arguments.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("is not a page token of this request")]
pub struct InvalidToken;

#[derive(Message)]
struct Token {
    #[prost(string, repeated, tag = "1")]
    key: Vec<String>,
    #[prost(bytes = "vec", tag = "2")]
    checksum: Vec<u8>,
}

/// Longer tokens are not even decoded: none of ours comes near it.
const LONGEST_TOKEN: usize = 4096;

/// The size to use: `default` for 0, and never more than `max`.
pub fn size(requested: i32, default: usize, max: usize) -> Result<usize, NegativeSize> {
    match usize::try_from(requested) {
        Err(_) => Err(NegativeSize),
        Ok(0) => Ok(default),
        Ok(size) => Ok(size.min(max)),
    }
}

/// Makes the token that continues `method` with these `arguments` from `key`.
pub fn encode(method: &str, arguments: &[&str], key: &[&str]) -> String {
    let key: Vec<String> = key.iter().map(|part| (*part).to_owned()).collect();
    let checksum = checksum(method, arguments, &key);
    URL_SAFE_NO_PAD.encode(Token { key, checksum }.encode_to_vec())
}

/// Reads the key back from a token of the same `method` and `arguments`.
pub fn decode(token: &str, method: &str, arguments: &[&str]) -> Result<Vec<String>, InvalidToken> {
    if token.len() > LONGEST_TOKEN {
        return Err(InvalidToken);
    }
    let bytes = URL_SAFE_NO_PAD.decode(token).map_err(|_| InvalidToken)?;
    let token = Token::decode(bytes.as_slice()).map_err(|_| InvalidToken)?;
    if token.checksum != checksum(method, arguments, &token.key) {
        return Err(InvalidToken);
    }
    Ok(token.key)
}

fn checksum(method: &str, arguments: &[&str], key: &[String]) -> Vec<u8> {
    let mut hash = Sha256::new();
    let parts = std::iter::once(method).chain(arguments.iter().copied()).chain(key.iter().map(String::as_str));
    for part in parts {
        hash.update(part.len().to_le_bytes());
        hash.update(part);
    }
    // Eight bytes tell queries apart; they are no secret.
    hash.finalize()[..8].to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_gives_its_key_back() {
        let token = encode("List", &["paint"], &["older", "42"]);

        assert_eq!(decode(&token, "List", &["paint"]), Ok(vec!["older".to_owned(), "42".to_owned()]));
    }

    #[test]
    fn a_token_of_another_query_is_refused() {
        let token = encode("Search", &["paint"], &["42"]);

        assert_eq!(decode(&token, "Search", &["lumber"]), Err(InvalidToken));
        assert_eq!(decode(&token, "List", &["paint"]), Err(InvalidToken));
    }

    #[test]
    fn garbage_is_refused() {
        for garbage in ["", "x", "not a token", "////", "AAAA", &"A".repeat(10_000)] {
            assert_eq!(decode(garbage, "List", &[]), Err(InvalidToken), "{garbage}");
        }
    }

    #[test]
    fn sizes_have_a_default_and_a_most() {
        assert_eq!(size(0, 50, 1000), Ok(50));
        assert_eq!(size(7, 50, 1000), Ok(7));
        assert_eq!(size(i32::MAX, 50, 1000), Ok(1000));
        assert_eq!(size(-1, 50, 1000), Err(NegativeSize));
    }

    mod fuzz {
        use proptest::prelude::*;

        use super::*;

        proptest! {
            #[test]
            fn no_text_is_a_token_but_one_of_ours(text in "[A-Za-z0-9_-]{0,120}|\\PC{0,60}") {
                prop_assert_eq!(decode(&text, "List", &["paint"]), Err(InvalidToken));
            }

            #[test]
            fn a_token_gives_its_key_back_and_a_changed_one_does_not(
                key in proptest::collection::vec("\\PC{0,20}", 0..5),
                at in any::<proptest::sample::Index>(),
                letter in "[A-Za-z0-9_-]",
            ) {
                let parts: Vec<&str> = key.iter().map(String::as_str).collect();
                let token = encode("List", &["paint"], &parts);
                prop_assert_eq!(decode(&token, "List", &["paint"]), Ok(key.clone()));

                let mut changed = token.clone();
                let at = at.index(changed.len());
                changed.replace_range(at..=at, &letter);
                // The last letter may have bits that stand for nothing; such a token is none.
                if changed != token {
                    prop_assert!(decode(&changed, "List", &["paint"]).is_err());
                }
            }
        }
    }
}

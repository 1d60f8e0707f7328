//! The name of an account.

use std::{fmt, str::FromStr, sync::Arc};

/// A name: 1 to 64 of a-z, 0-9 and `._-@`, a letter or a digit first. Cheap to clone.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Name(Arc<str>);

impl Name {
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Name {
    type Err = &'static str;

    /// Reads a name as it was typed: capitals and space around it do not matter.
    fn from_str(text: &str) -> Result<Name, &'static str> {
        let text = text.trim().to_ascii_lowercase();
        let is_plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
        let is_known = text.bytes().all(|byte| is_plain(byte) || b"._-@".contains(&byte));
        if !(1..=64).contains(&text.len()) || !is_known || !text.bytes().next().is_some_and(is_plain) {
            return Err("A name is 1 to 64 of the letters a-z, digits and . _ - @, and begins with a letter or digit.");
        }
        Ok(Name(text.into()))
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_plain_and_small() {
        assert_eq!(" Ann.Smith@shop ".parse::<Name>().unwrap().as_str(), "ann.smith@shop");
        for wrong in ["", " ", ".ann", "ann smith", "änn", "a/b", "a\nb", &"x".repeat(65)] {
            assert!(wrong.parse::<Name>().is_err(), "{wrong:?}");
        }
    }
}

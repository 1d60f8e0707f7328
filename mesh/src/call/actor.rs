//! For whom something is done: a person, whom the process that spoke with them names.

use std::sync::Arc;

/// The name of a person, or of what else has an account: 1 to 128 printable ASCII characters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Actor(Arc<str>);

impl Actor {
    /// Reads a name; one that is empty, too long, unprintable or has space around it is none.
    pub fn read(name: &str) -> Option<Self> {
        let printable = name.bytes().all(|byte| matches!(byte, b' '..=b'~'));
        let readable = (1..=128).contains(&name.len()) && printable && name.trim() == name;
        readable.then(|| Self(name.into()))
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Display for Actor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_short_and_printable() {
        let longest = "x".repeat(128);
        for name in ["ann", "Ann Smith", "ann@example.com", &longest] {
            assert_eq!(Actor::read(name).unwrap().as_str(), name);
        }
        for name in ["", " ann", "ann ", "a\nb", "a\u{7f}", "Änn", &format!("{longest}x")] {
            assert_eq!(Actor::read(name), None, "{name:?}");
        }
    }
}

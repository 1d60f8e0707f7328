//! Who calls.

/// The process that calls, as it names itself: service/instance.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller(String);

/// Who did not say.
const UNKNOWN: &str = "unknown";

impl Caller {
    /// Reads a name; one that is empty, too long or unprintable is not known.
    pub fn read(name: Option<&str>) -> Self {
        let readable = |name: &&str| (1..=128).contains(&name.len()) && name.bytes().all(|b| b.is_ascii_graphic());
        Self(name.filter(readable).unwrap_or(UNKNOWN).to_owned())
    }

    /// The calling service, such as `portal`.
    pub fn service(&self) -> &str {
        self.0.split('/').next().unwrap_or(UNKNOWN)
    }

    /// The name as it came, such as `portal/1b2c3d4e`.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Display for Caller {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

//! Who calls.

/// The process that calls: service/instance, or operator/name for a person.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller {
    name: String,
    proven: bool,
}

/// The first part of a person's name.
const OPERATOR: &str = "operator";

/// Who did not say.
const UNKNOWN: &str = "unknown";

impl Caller {
    /// Reads the name that a caller gives itself; one that is empty, too long or unprintable is not known.
    pub fn read(name: Option<&str>) -> Self {
        let readable = |name: &&str| (1..=128).contains(&name.len()) && name.bytes().all(|b| b.is_ascii_graphic());
        Self { name: name.filter(readable).unwrap_or(UNKNOWN).to_owned(), proven: false }
    }

    /// A name that the certificate of the connection proves.
    pub(crate) fn proven(name: String) -> Self {
        Self { name, proven: true }
    }

    /// The calling service, such as `portal`.
    pub fn service(&self) -> &str {
        self.name.split('/').next().unwrap_or(UNKNOWN)
    }

    /// The name as it came, such as `portal/1b2c3d4e`.
    pub fn as_str(&self) -> &str {
        &self.name
    }

    /// Whether a certificate proves it: the service's name, and all of an operator's. Otherwise it is what was said.
    pub fn is_proven(&self) -> bool {
        self.proven
    }

    /// Whether it may say something in the name of a service: who is proven to be another service may not, operators
    /// may, and who brings no proof is believed as everywhere.
    pub fn speaks_for(&self, service: &str) -> bool {
        !self.proven || self.service() == service || self.service() == OPERATOR
    }
}

impl std::fmt::Display for Caller {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_is_proven_to_be_another_service_does_not_speak_for_it() {
        let proven = |name: &str| Caller::proven(name.to_owned());
        assert!(proven("portal/1").speaks_for("portal") && proven("operator/ada").speaks_for("portal"));
        assert!(!proven("logsvc/1").speaks_for("portal"));
        assert!(
            Caller::read(Some("logsvc/1")).speaks_for("portal"),
            "who proves nothing is believed or refused elsewhere"
        );
    }
}

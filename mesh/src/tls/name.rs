//! Who a certificate is for: `spiffe://rundoo/SERVICE`, or `spiffe://rundoo/operator/NAME` for a person.
//!
//! The one URI among the alternative names of a certificate, after SPIFFE's rules. Names of hosts
//! may stand beside it for tools that look for them; we do not.

use rustls::pki_types::CertificateDer;

/// What every name begins with.
const TRUST_DOMAIN: &str = "spiffe://rundoo/";

/// What the names of people begin with; no service is called so.
const OPERATOR: &str = "operator/";

/// The longest name of a service or a person: that of a DNS label.
const LONGEST: usize = 63;

/// Who a certificate is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Name {
    /// A process of a service.
    Service(String),
    /// A person, or a tool in a person's hand.
    Operator(String),
}

/// Why a certificate names nobody.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum NameError {
    #[error("the certificate cannot be read")]
    Unreadable,
    #[error("the certificate names {0} URIs, and has to name one: spiffe://rundoo/SERVICE")]
    Count(usize),
    #[error("the certificate is for {0:?}, which is no spiffe://rundoo/SERVICE and no spiffe://rundoo/operator/NAME")]
    Foreign(String),
}

impl Name {
    /// Reads the one URI of a certificate.
    pub(crate) fn of(certificate: &CertificateDer<'_>) -> Result<Self, NameError> {
        let certificate = webpki::EndEntityCert::try_from(certificate).map_err(|_| NameError::Unreadable)?;
        let names: Vec<&str> = certificate.valid_uri_names().collect();
        match names[..] {
            [uri] => Self::read(uri).ok_or_else(|| NameError::Foreign(uri.to_owned())),
            _ => Err(NameError::Count(names.len())),
        }
    }

    /// The URI of a name, if it is one.
    pub(super) fn uri(name: &str) -> Option<String> {
        let uri = format!("{TRUST_DOMAIN}{name}");
        Self::read(&uri).map(|_| uri)
    }

    fn read(uri: &str) -> Option<Self> {
        let path = uri.strip_prefix(TRUST_DOMAIN)?;
        match path.strip_prefix(OPERATOR) {
            Some(name) => is_plain(name).then(|| Self::Operator(name.to_owned())),
            None => (is_plain(path) && path != OPERATOR.trim_end_matches('/')).then(|| Self::Service(path.to_owned())),
        }
    }

    /// Whether who calls itself this may bear this name: an instance of the service, or the very person.
    pub(crate) fn agrees_with(&self, claim: &str) -> bool {
        match self {
            Self::Service(service) => claim.split('/').next() == Some(service),
            Self::Operator(name) => claim.strip_prefix(OPERATOR) == Some(name),
        }
    }

    /// How an instance with this name calls itself.
    pub(crate) fn caller(&self, instance: &str) -> String {
        match self {
            Self::Service(service) => format!("{service}/{instance}"),
            Self::Operator(_) => self.to_string(),
        }
    }
}

impl std::fmt::Display for Name {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Service(service) => f.write_str(service),
            Self::Operator(name) => write!(f, "{OPERATOR}{name}"),
        }
    }
}

/// Whether a name is one that needs no quoting anywhere.
fn is_plain(name: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-._".contains(&byte);
    (1..=LONGEST).contains(&name.len()) && name.bytes().all(plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_a_service_or_an_operator() {
        let service = Name::read("spiffe://rundoo/productsvc").unwrap();
        let person = Name::read("spiffe://rundoo/operator/ada").unwrap();

        assert_eq!((service.to_string(), service.caller("7f")), ("productsvc".to_owned(), "productsvc/7f".to_owned()));
        assert_eq!((person.to_string(), person.caller("7f")), ("operator/ada".to_owned(), "operator/ada".to_owned()));
        for bad in ["", "operator", "operator/", "operator/a/b", "portal/1", "Portal", "a b", &"x".repeat(64)] {
            assert_eq!(Name::read(&format!("{TRUST_DOMAIN}{bad}")), None, "{bad}");
        }
        assert_eq!(Name::read("spiffe://elsewhere/portal"), None);
    }

    #[test]
    fn only_who_bears_a_name_may_claim_it() {
        let portal = Name::Service("portal".to_owned());
        let ada = Name::Operator("ada".to_owned());

        assert!(portal.agrees_with("portal/1b2c") && portal.agrees_with("portal"));
        assert!(ada.agrees_with("operator/ada"));
        for other in ["logsvc/1", "portal2/1", "", "operator/portal"] {
            assert!(!portal.agrees_with(other), "{other}");
        }
        for other in ["operator/eve", "operator", "ada", "operator/ada/1"] {
            assert!(!ada.agrees_with(other), "{other}");
        }
    }
}

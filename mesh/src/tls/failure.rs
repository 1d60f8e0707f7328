//! Why a handshake failed, in words.

use std::io;

use rustls::pki_types::UnixTime;
use rustls::{AlertDescription, CertificateError, Error};

/// Why a handshake failed. Its words follow the name of the other side and a colon.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    /// rustls refused what came, or was refused.
    #[error("{}", words(.0))]
    Refused(Error),
    /// It took too long.
    #[error("it did not finish the handshake within 5 s")]
    Slow,
    /// The connection ended.
    #[error("the connection broke during the handshake: {0}")]
    Broken(io::Error),
    /// A service whose name cannot be asked for.
    #[error("its name cannot stand in a certificate")]
    Unspeakable,
    /// A certificate without a name passed, which the verifier does not let happen.
    #[error("its certificate names nobody")]
    Nameless,
}

impl Failure {
    /// Whether somebody came and went without a word, as a probe of a load balancer does.
    pub(crate) fn is_silence(&self) -> bool {
        use io::ErrorKind::{BrokenPipe, ConnectionAborted, ConnectionReset, UnexpectedEof};
        matches!(self, Self::Broken(error) if matches!(
            error.kind(),
            BrokenPipe | ConnectionAborted | ConnectionReset | UnexpectedEof
        ))
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        match error.get_ref().and_then(|inner| inner.downcast_ref::<Error>()) {
            Some(refused) => Self::Refused(refused.clone()),
            None => Self::Broken(error),
        }
    }
}

/// What rustls says about the end of a connection, in our words; nothing when it was something else.
pub(crate) fn in_words(error: &(dyn std::error::Error + 'static)) -> Option<String> {
    let mut cause = Some(error);
    while let Some(error) = cause {
        let inside = error.downcast_ref::<io::Error>().and_then(|error| error.get_ref());
        if let Some(refused) = inside.and_then(|inner| inner.downcast_ref::<Error>()) {
            return Some(words(refused));
        }
        cause = error.source();
    }
    None
}

pub(super) fn words(error: &Error) -> String {
    match error {
        Error::NoCertificatesPresented => "it has no certificate".to_owned(),
        Error::InvalidCertificate(why) => certificate(why),
        Error::InvalidMessage(_) => "it speaks no TLS: plain text on a TLS port".to_owned(),
        Error::PeerIncompatible(why) => format!("it cannot do what we ask for, TLS 1.3 with a certificate: {why:?}"),
        Error::AlertReceived(AlertDescription::CertificateRequired) => {
            "it asks for a certificate, and we have none".to_owned()
        }
        Error::AlertReceived(AlertDescription::UnknownCA | AlertDescription::DecryptError) => {
            "it does not know the authority of our certificate".to_owned()
        }
        Error::AlertReceived(AlertDescription::CertificateExpired) => "it says that our certificate expired".to_owned(),
        Error::AlertReceived(alert) => format!("it refused us: {alert:?}"),
        other => other.to_string(),
    }
}

/// What is wrong with a certificate that was shown to us.
pub(super) fn certificate(error: &CertificateError) -> String {
    match error {
        // Two authorities may bear one name: then it is the signature that is not ours.
        CertificateError::UnknownIssuer | CertificateError::BadSignature => {
            "its certificate is of an unknown authority".to_owned()
        }
        CertificateError::Expired => "its certificate expired".to_owned(),
        CertificateError::ExpiredContext { not_after, .. } => {
            format!("its certificate expired on {}", date(*not_after))
        }
        CertificateError::NotValidYet => "its certificate is not valid yet; are the clocks right?".to_owned(),
        CertificateError::NotValidYetContext { not_before, .. } => {
            format!("its certificate is not valid before {}; are the clocks right?", date(*not_before))
        }
        CertificateError::InvalidPurpose | CertificateError::InvalidPurposeContext { .. } => {
            "its certificate is not made for this side of a connection".to_owned()
        }
        CertificateError::Other(why) => why.0.to_string(),
        other => format!("its certificate is not valid: {other:?}"),
    }
}

/// A moment as people write it.
pub(super) fn date(moment: UnixTime) -> String {
    let second = i64::try_from(moment.as_secs()).ok().and_then(|second| jiff::Timestamp::from_second(second).ok());
    second.map_or_else(|| "a day that nobody lives to see".to_owned(), |second| second.to_string())
}

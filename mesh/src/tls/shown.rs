//! What who dialled us has shown: believed at the handshake, and judged again while the connection lasts.

use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::{CertificateDer, UnixTime};
use rustls::server::danger::ClientCertVerifier as _;
use tokio::sync::watch;

use super::{Certificates, Failure, Name, failure::words};

/// How often the clock is asked; that the files changed is heard at once.
const EVERY: Duration = Duration::from_secs(600);

/// Whose connections are judged again at the same time is chance within this, so that thousands do not hold up calls.
const SPREAD: Duration = Duration::from_secs(2);

/// The certificate of who dialled us, with what is between it and the authority.
#[derive(Debug)]
pub(crate) struct Shown {
    name: Arc<Name>,
    chain: Vec<CertificateDer<'static>>,
    certificates: Certificates,
    /// Of the files, from before the handshake.
    changes: watch::Receiver<u64>,
}

impl Shown {
    pub(super) fn new(
        chain: &[CertificateDer<'static>],
        certificates: Certificates,
        changes: watch::Receiver<u64>,
    ) -> Result<Self, Failure> {
        let name = chain.first().and_then(|leaf| Name::of(leaf).ok()).ok_or(Failure::Nameless)?;
        Ok(Self { name: Arc::new(name), chain: chain.to_vec(), certificates, changes })
    }

    /// Whose it is.
    pub(crate) fn name(&self) -> &Arc<Name> {
        &self.name
    }

    /// Resolves, with the reason, when it is believed no more: it has expired, or its authority is gone.
    pub(crate) async fn doubted(&mut self) -> String {
        loop {
            // It is sent by what we hold.
            let _either = tokio::time::timeout(EVERY, self.changes.changed()).await;
            tokio::time::sleep(SPREAD.mul_f64(fastrand::f64())).await;
            if let Err(why) = self.judge(UnixTime::now()) {
                return words(&why);
            }
        }
    }

    fn judge(&self, moment: UnixTime) -> Result<(), rustls::Error> {
        let [leaf, intermediates @ ..] = &self.chain[..] else { return Ok(()) };
        let loaded = self.certificates.0.current();
        loaded.clients.verify_client_cert(leaf, intermediates, moment).map(drop)
    }
}

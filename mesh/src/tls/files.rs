//! Reads certificates and keys, and says in words what is wrong with them.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, UnixTime};
use rustls::server::{NoServerSessionStorage, WebPkiClientVerifier};
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::{ClientConfig, RootCertStore, ServerConfig, client, version};
use webpki::{EndEntityCert, KeyUsage};

use super::Loaded;
use super::failure::date;
use super::name::Name;
use super::verifiers::{Clients, Servers};

/// A certificate that ends sooner than this is spoken of.
const SOON: Duration = Duration::from_secs(7 * 24 * 60 * 60);

/// What the three files hold, checked against each other.
pub(super) struct Files {
    pub(super) name: Name,
    own: Arc<CertifiedKey>,
    roots: Arc<RootCertStore>,
}

/// Reads a certificate, its key and the authorities; each mistake has its own words.
pub(super) fn read(cert: &Path, key: &Path, ca: &Path) -> anyhow::Result<Files> {
    let own = read_own(cert, key)?;
    let roots = Arc::new(read_roots(ca)?);
    let leaf = own.end_entity_cert().context("a certificate was read")?;
    let name = Name::of(leaf).map_err(|why| anyhow::anyhow!("{}: {why}", cert.display()))?;
    let now = UnixTime::now();
    judge((cert, ca), (&own, &roots, &name), now)?;
    let soon = UnixTime::since_unix_epoch(Duration::from_secs(now.as_secs()) + SOON);
    if let Err(why) = judge((cert, ca), (&own, &roots, &name), soon) {
        tracing::warn!("certificates are to be renewed within a week, or nobody can be called: {why}");
    }
    Ok(Files { name, own, roots })
}

/// Reads a chain of certificates and the key of its first.
pub(super) fn read_own(cert: &Path, key: &Path) -> anyhow::Result<Arc<CertifiedKey>> {
    let chain = read_certificates(cert)?;
    let secret = PrivateKeyDer::from_pem_file(key).map_err(|error| unreadable(key, "private key", &error))?;
    let secret = ring::sign::any_supported_type(&secret)
        .map_err(|_| anyhow::anyhow!("{} holds a key of a kind that is not supported", key.display()))?;
    let own = CertifiedKey::new(chain, secret);
    own.keys_match().map_err(|_| {
        anyhow::anyhow!("the key in {} does not fit the certificate in {}", key.display(), cert.display())
    })?;
    Ok(Arc::new(own))
}

fn read_roots(ca: &Path) -> anyhow::Result<RootCertStore> {
    let mut roots = RootCertStore::empty();
    for certificate in read_certificates(ca)? {
        roots.add(certificate).with_context(|| format!("{} holds what is no authority", ca.display()))?;
    }
    Ok(roots)
}

fn read_certificates(path: &Path) -> anyhow::Result<Vec<CertificateDer<'static>>> {
    let certificates = CertificateDer::pem_file_iter(path)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(|error| unreadable(path, "certificate", &error))?;
    anyhow::ensure!(!certificates.is_empty(), "{} holds no certificate", path.display());
    Ok(certificates)
}

fn unreadable(path: &Path, what: &str, error: &pem::Error) -> anyhow::Error {
    let path = path.display();
    match error {
        pem::Error::Io(error) => anyhow::anyhow!("could not read {path}: {error}"),
        pem::Error::NoItemsFound => anyhow::anyhow!("{path} holds no {what}"),
        error => anyhow::anyhow!("{path} is not PEM: {error}"),
    }
}

/// Judges our own certificate as others will, at a moment.
fn judge(
    (cert, ca): (&Path, &Path),
    (own, roots, name): (&CertifiedKey, &RootCertStore, &Name),
    moment: UnixTime,
) -> anyhow::Result<()> {
    let (cert, ca) = (cert.display(), ca.display());
    let [leaf, intermediates @ ..] = &own.cert[..] else { anyhow::bail!("{cert} holds no certificate") };
    let leaf = EndEntityCert::try_from(leaf).map_err(|_| anyhow::anyhow!("{cert} cannot be read"))?;
    let algorithms = ring::default_provider().signature_verification_algorithms.all;
    let uses = match name {
        Name::Service(_) => vec![KeyUsage::client_auth(), KeyUsage::server_auth()],
        // A person only calls.
        Name::Operator(_) => vec![KeyUsage::client_auth()],
    };
    for usage in uses {
        leaf.verify_for_usage(algorithms, &roots.roots, intermediates, moment, usage, None, None).map_err(|why| {
            match why {
                webpki::Error::CertExpired { not_after, .. } => {
                    anyhow::anyhow!("the certificate in {cert}, or its authority, expires on {}", date(not_after))
                }
                webpki::Error::CertNotValidYet { not_before, .. } => {
                    anyhow::anyhow!("the certificate in {cert} is not valid before {}", date(not_before))
                }
                webpki::Error::UnknownIssuer | webpki::Error::InvalidSignatureForPublicKey => {
                    anyhow::anyhow!("the certificate in {cert} is of none of the authorities in {ca}")
                }
                webpki::Error::RequiredEkuNotFoundContext(_) => {
                    anyhow::anyhow!("the certificate in {cert} is not made for both sides of a connection")
                }
                why => anyhow::anyhow!("the certificate in {cert} is not valid: {why}"),
            }
        })?;
    }
    Ok(())
}

impl Files {
    /// What serves and dials with them.
    pub(super) fn build(self) -> anyhow::Result<Loaded> {
        let provider: Arc<CryptoProvider> = Arc::new(ring::default_provider());
        let algorithms = provider.signature_verification_algorithms;
        let resolver = Arc::new(SingleCertAndKey::from(self.own));

        let clients = WebPkiClientVerifier::builder_with_provider(self.roots.clone(), provider.clone()).build()?;
        let clients = Arc::new(Clients(clients));
        let mut server = ServerConfig::builder_with_provider(provider.clone())
            .with_protocol_versions(&[&version::TLS13])?
            .with_client_cert_verifier(clients.clone())
            .with_cert_resolver(resolver.clone());
        server.alpn_protocols = vec![b"h2".to_vec()];
        server.session_storage = Arc::new(NoServerSessionStorage {});
        server.send_tls13_tickets = 0;

        let mut client = ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&version::TLS13])?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(Servers { roots: self.roots, algorithms }))
            .with_client_cert_resolver(resolver);
        client.alpn_protocols = vec![b"h2".to_vec()];
        client.resumption = client::Resumption::disabled();
        Ok(Loaded { name: self.name, server: Arc::new(server), client: Arc::new(client), clients })
    }
}

/// What serves browsers with a certificate: they show none, and speak HTTP/1.1.
pub(super) fn public(cert: &Path, key: &Path) -> anyhow::Result<Arc<ServerConfig>> {
    let own = read_own(cert, key)?;
    let mut server = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_cert_resolver(Arc::new(SingleCertAndKey::from(own)));
    server.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Arc::new(server))
}

/// The files of a public certificate, both or none.
pub(super) fn both(cert: Option<&PathBuf>, key: Option<&PathBuf>) -> anyhow::Result<Option<(PathBuf, PathBuf)>> {
    match (cert, key) {
        (None, None) => Ok(None),
        (Some(cert), Some(key)) => Ok(Some((cert.clone(), key.clone()))),
        (None, Some(_)) => anyhow::bail!("--http-tls-key is of no use without --http-tls-cert"),
        (Some(_), None) => anyhow::bail!("--http-tls-cert is of no use without --http-tls-key"),
    }
}

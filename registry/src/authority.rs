//! A private authority for whoever has none: a folder with a key, and certificates for services and people.
//!
//! It knows nothing of a running registry. The key stays in its folder; services need their own
//! certificate and key, and `ca.pem`.

use std::io::Write as _;
use std::net::IpAddr;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use jiff::{SignedDuration, Timestamp};
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa,
    Issuer, KeyPair, KeyUsagePurpose, SanType,
};
use time::OffsetDateTime;

/// Clocks differ: what is made now is valid a little before.
const EARLIER: SignedDuration = SignedDuration::from_mins(5);

/// How long an authority lasts.
const AUTHORITY_DAYS: i64 = 3650;

/// Names of this machine that every service answers to, for tools that look for a name.
const OWN_HOSTS: [&str; 3] = ["localhost", "127.0.0.1", "::1"];

/// What to do with files that are there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Existing {
    /// They stay, and it is an error.
    Keep,
    /// They are replaced.
    Replace,
}

/// When a certificate holds.
#[derive(Debug, Clone, Copy)]
pub struct Validity {
    /// From then on.
    pub from: Timestamp,
    /// Until then.
    pub until: Timestamp,
}

impl Validity {
    /// From now on, for so many days.
    pub fn days(days: i64) -> Self {
        let now = Timestamp::now();
        Self { from: now - EARLIER, until: now + SignedDuration::from_hours(days * 24) }
    }
}

/// A certificate that is to be made.
#[derive(Debug, Clone)]
pub struct Order {
    /// A service such as `portal`, or `operator/NAME`.
    pub name: String,
    /// Host names and addresses beside those of this machine.
    pub hosts: Vec<String>,
    /// When it holds.
    pub validity: Validity,
}

/// A certificate that was made: where it is, and where its key is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Issued {
    /// The certificate.
    pub cert: PathBuf,
    /// Its key, which only its owner may read.
    pub key: PathBuf,
}

/// An authority whose folder was read.
pub struct Authority {
    folder: PathBuf,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    /// Makes a new authority in a folder, which is made when missing.
    pub fn init(folder: &Path, existing: Existing) -> anyhow::Result<Self> {
        std::fs::create_dir_all(folder).with_context(|| format!("could not make {}", folder.display()))?;
        let (cert, key) = (Self::certificate_in(folder), key_in(folder));
        refuse_existing(&[&cert, &key], existing)?;
        let made = CertifiedIssuer::self_signed(authority(Validity::days(AUTHORITY_DAYS))?, KeyPair::generate()?)?;
        write(&key, &made.key().serialize_pem(), 0o600)?;
        write(&cert, &made.pem(), 0o644)?;
        Self::open(folder)
    }

    /// Reads the authority of a folder.
    pub fn open(folder: &Path) -> anyhow::Result<Self> {
        let path = key_in(folder);
        let key = std::fs::read_to_string(&path).with_context(|| {
            format!("there is no authority in {}: could not read {}", folder.display(), path.display())
        })?;
        let key = KeyPair::from_pem(&key).with_context(|| format!("{} holds no key", path.display()))?;
        // What signs is made of the same words and the same key as when it was first made.
        let issuer = Issuer::new(authority(Validity::days(AUTHORITY_DAYS))?, key);
        Ok(Self { folder: folder.to_owned(), issuer })
    }

    /// Makes a certificate and its key.
    pub fn issue(&self, order: &Order, existing: Existing) -> anyhow::Result<Issued> {
        let stem = order.name.replace('/', "-");
        let issued =
            Issued { cert: self.folder.join(format!("{stem}.pem")), key: self.folder.join(format!("{stem}-key.pem")) };
        anyhow::ensure!(stem != "ca" && stem != "ca-key", "the name {stem:?} is the authority's own");
        let is_ambiguous = stem.ends_with("-key") || order.name.starts_with("operator-");
        anyhow::ensure!(!is_ambiguous, "{:?} would have the files of another name", order.name);
        let params = leaf(order)?;
        refuse_existing(&[&issued.cert, &issued.key], existing)?;
        let key = KeyPair::generate()?;
        let certificate = params.signed_by(&key, &self.issuer)?;
        write(&issued.key, &key.serialize_pem(), 0o600)?;
        write(&issued.cert, &certificate.pem(), 0o644)?;
        Ok(issued)
    }

    /// What others need to believe its certificates.
    pub fn certificate(&self) -> PathBuf {
        Self::certificate_in(&self.folder)
    }

    fn certificate_in(folder: &Path) -> PathBuf {
        folder.join("ca.pem")
    }
}

fn key_in(folder: &Path) -> PathBuf {
    folder.join("ca-key.pem")
}

fn authority(validity: Validity) -> anyhow::Result<CertificateParams> {
    let mut params = named("Rundoo authority", validity)?;
    // It signs certificates, and none that signs others.
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    Ok(params)
}

fn leaf(order: &Order) -> anyhow::Result<CertificateParams> {
    let uri = mesh::tls::uri(&order.name).with_context(|| {
        format!("{:?} is no name: write a service such as portal, or operator/NAME, in small letters", order.name)
    })?;
    let mut params = named(&order.name, order.validity)?;
    params.subject_alt_names.push(SanType::URI(uri.as_str().try_into()?));
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    params.use_authority_key_identifier_extension = true;
    // A person only calls.
    if !order.name.contains('/') {
        params.extended_key_usages.push(ExtendedKeyUsagePurpose::ServerAuth);
        for host in OWN_HOSTS.into_iter().chain(order.hosts.iter().map(String::as_str)) {
            params.subject_alt_names.push(alternative(host)?);
        }
    }
    Ok(params)
}

fn alternative(host: &str) -> anyhow::Result<SanType> {
    match host.parse::<IpAddr>() {
        Ok(address) => Ok(SanType::IpAddress(address)),
        Err(_) => {
            let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._*".contains(&byte);
            anyhow::ensure!(!host.is_empty() && host.bytes().all(plain), "{host:?} is no host name and no address");
            Ok(SanType::DnsName(host.try_into()?))
        }
    }
}

fn named(name: &str, validity: Validity) -> anyhow::Result<CertificateParams> {
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, name);
    params.not_before = OffsetDateTime::from_unix_timestamp(validity.from.as_second())?;
    params.not_after = OffsetDateTime::from_unix_timestamp(validity.until.as_second())?;
    Ok(params)
}

fn refuse_existing(files: &[&Path], existing: Existing) -> anyhow::Result<()> {
    match files.iter().find(|file| file.exists()) {
        Some(file) if existing == Existing::Keep => {
            anyhow::bail!("{} is there already; give --force to replace it", file.display())
        }
        _ => Ok(()),
    }
}

/// Writes a file whole or not at all: services may read it in this moment.
fn write(path: &Path, text: &str, mode: u32) -> anyhow::Result<()> {
    let partial = path.with_extension("partial");
    let written = (|| {
        if partial.exists() {
            std::fs::remove_file(&partial)?;
        }
        let mut file = std::fs::OpenOptions::new().write(true).create_new(true).mode(mode).open(&partial)?;
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        std::fs::rename(&partial, path)
    })();
    written.with_context(|| format!("could not write {}", path.display()))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    fn order(name: &str, hosts: &[&str]) -> Order {
        let hosts = hosts.iter().map(|host| (*host).to_owned()).collect();
        Order { name: name.to_owned(), hosts, validity: Validity::days(1) }
    }

    #[test]
    fn an_authority_makes_certificates_and_replaces_nothing_unasked() {
        let folder = tempfile::tempdir().unwrap();
        let authority = Authority::init(folder.path(), Existing::Keep).unwrap();
        let issued = authority.issue(&order("portal", &["shop.example", "192.0.2.7"]), Existing::Keep).unwrap();

        assert_eq!(issued.cert, folder.path().join("portal.pem"));
        for key in [&issued.key, &folder.path().join("ca-key.pem")] {
            assert_eq!(std::fs::metadata(key).unwrap().permissions().mode() & 0o777, 0o600);
        }
        let before = std::fs::read(&issued.cert).unwrap();
        let again = authority.issue(&order("portal", &[]), Existing::Keep).unwrap_err();
        assert!(again.to_string().contains("give --force"), "{again}");
        assert!(Authority::init(folder.path(), Existing::Keep).is_err());
        assert_eq!(std::fs::read(&issued.cert).unwrap(), before);
        authority.issue(&order("portal", &[]), Existing::Replace).unwrap();
        assert_ne!(std::fs::read(&issued.cert).unwrap(), before);
    }

    #[test]
    fn what_is_no_name_or_host_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let authority = Authority::init(folder.path(), Existing::Keep).unwrap();

        for name in ["", "Portal", "../portal", "operator", "operator/", "a/b", "ca"] {
            assert!(authority.issue(&order(name, &[]), Existing::Keep).is_err(), "{name}");
        }
        assert!(authority.issue(&order("portal", &["a b"]), Existing::Keep).is_err());
        assert!(authority.issue(&order("operator/ada", &[]), Existing::Keep).is_ok());
        assert!(Authority::open(&folder.path().join("elsewhere")).is_err());
    }
}

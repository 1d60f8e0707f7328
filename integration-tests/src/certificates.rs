//! An authority of a test's own, with a certificate for every service and for the test.

use std::path::{Path, PathBuf};

use mesh::TlsFiles;
use registry::authority::{Authority, Existing, Issued, Order, Validity};

use crate::binaries;
use crate::process::Program;

/// Who gets a certificate: the services, and an operator that the test is.
pub const NAMES: [&str; 5] = ["registry", "logsvc", "productsvc", "portal", OPERATOR];

/// The operator that a test, or whoever starts the system, is.
pub const OPERATOR: &str = "operator/me";

/// How a system's gRPC connections are protected.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Protection {
    /// Not at all.
    #[default]
    None,
    /// By mutual TLS.
    Tls,
    /// By mutual TLS, and the sample policy says who may call what.
    Policy,
}

/// A folder with an authority and its certificates.
#[derive(Debug, Clone)]
pub struct Certificates {
    folder: PathBuf,
}

impl Certificates {
    /// Makes what is missing in a folder: the authority, a certificate for each name, and a copy of the sample policy.
    pub fn complete(folder: &Path) -> anyhow::Result<Self> {
        let own = Self { folder: folder.to_owned() };
        if !own.ca().is_file() {
            Authority::init(folder, Existing::Keep)?;
        }
        for name in NAMES {
            if !own.of(name).cert.is_file() {
                own.issue(name, Validity::days(90))?;
            }
        }
        if !own.policy().is_file() {
            std::fs::copy(binaries::root().join("docs/rundoo.policy"), own.policy())?;
        }
        Ok(own)
    }

    /// Makes a certificate anew.
    pub fn issue(&self, name: &str, validity: Validity) -> anyhow::Result<Issued> {
        let order = Order { name: name.to_owned(), hosts: Vec::new(), validity };
        Authority::open(&self.folder)?.issue(&order, Existing::Replace)
    }

    /// Where the certificate of this name is.
    pub fn of(&self, name: &str) -> Issued {
        let stem = name.replace('/', "-");
        Issued { cert: self.folder.join(format!("{stem}.pem")), key: self.folder.join(format!("{stem}-key.pem")) }
    }

    /// Whom all of them believe.
    pub fn ca(&self) -> PathBuf {
        self.folder.join("ca.pem")
    }

    /// Who may call what.
    pub fn policy(&self) -> PathBuf {
        self.folder.join("policy")
    }

    /// The settings of who bears this name.
    pub fn files(&self, name: &str) -> TlsFiles {
        let Issued { cert, key } = self.of(name);
        TlsFiles { tls_cert: Some(cert), tls_key: Some(key), tls_ca: Some(self.ca()) }
    }

    /// A program that bears this name.
    pub fn give(&self, program: Program, name: &str) -> Program {
        let Issued { cert, key } = self.of(name);
        program
            .set("RUNDOO_TLS_CERT", cert.display())
            .set("RUNDOO_TLS_KEY", key.display())
            .set("RUNDOO_TLS_CA", self.ca().display())
    }
}

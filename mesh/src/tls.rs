//! Mutual TLS: who we are, whom we believe, and how both follow their files.
//!
//! TLS 1.3 only, by rustls and ring. Both sides show a certificate that the authority signed,
//! whose one URI names its bearer (`name.rs`). Sessions are not resumed: a connection lives for
//! long, and each is judged at its beginning and, by who was dialled, while it lasts.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ServerConfig};
use tokio::net::TcpStream;
use tokio_rustls::{TlsAcceptor, TlsConnector, client, server};

use crate::config::TlsFiles;
use crate::watched::Watched;

mod failure;
mod files;
mod name;
mod public;
mod shown;
mod verifiers;

pub(crate) use failure::{Failure, in_words};
pub(crate) use name::Name;
pub use public::{Encrypted, PublicCertificate};
pub(crate) use shown::Shown;

/// The URI of a certificate for this name: a service, or `operator/NAME`. None when it is no name.
pub fn uri(name: &str) -> Option<String> {
    Name::uri(name)
}

/// A neighbour shakes hands in milliseconds; who takes longer does not mean to.
const HANDSHAKE: Duration = Duration::from_secs(5);

/// Our certificate and the authorities that we believe, as the files say now. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Certificates(Watched<Loaded>);

/// What the files made.
#[derive(Debug)]
pub(crate) struct Loaded {
    name: Name,
    server: Arc<ServerConfig>,
    client: Arc<ClientConfig>,
    clients: Arc<verifiers::Clients>,
}

/// Who should answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Peer {
    /// An instance of a service.
    Service(String),
    /// Whatever service is there.
    Any,
}

impl Certificates {
    /// Reads the files and follows them; nothing without files. Needs a tokio runtime.
    pub(crate) fn start(given: &TlsFiles) -> anyhow::Result<Option<Self>> {
        let Some([cert, key, ca]) = given.all()? else { return Ok(None) };
        let paths: Vec<PathBuf> = vec![cert.clone(), key.clone(), ca.clone()];
        let read = move |old: Option<&Loaded>| {
            let files = files::read(&cert, &key, &ca)?;
            if let Some(old) = old.filter(|old| old.name != files.name) {
                anyhow::bail!("{} is for {}, and the one before was for {}", cert.display(), files.name, old.name);
            }
            files.build()
        };
        Watched::start("certificates", paths, read).map(|watched| Some(Self(watched)))
    }

    /// Who we are.
    pub(crate) fn name(&self) -> Name {
        self.0.current().name.clone()
    }

    /// Shakes hands with who dials `address`, which is to be `peer`.
    pub(crate) async fn connect(
        &self,
        stream: TcpStream,
        peer: &Peer,
    ) -> Result<client::TlsStream<TcpStream>, Failure> {
        let name = match peer {
            Peer::Service(service) => ServerName::try_from(service.clone()).map_err(|_| Failure::Unspeakable)?,
            // An address says that the name does not matter; see `verifiers.rs`.
            Peer::Any => ServerName::from(stream.peer_addr().map_err(Failure::Broken)?.ip()),
        };
        let connector = TlsConnector::from(self.0.current().client.clone());
        bounded(connector.connect(name, stream)).await
    }

    /// Shakes hands with who dialled us, and says who it is.
    pub(crate) async fn accept(&self, stream: TcpStream) -> Result<(server::TlsStream<TcpStream>, Shown), Failure> {
        // Before they are read: what changes during the handshake is a change.
        let changes = self.0.changes();
        let acceptor = TlsAcceptor::from(self.0.current().server.clone());
        let stream = bounded(acceptor.accept(stream)).await?;
        let chain = stream.get_ref().1.peer_certificates().unwrap_or_default();
        let shown = Shown::new(chain, self.clone(), changes)?;
        Ok((stream, shown))
    }
}

async fn bounded<T>(handshake: impl Future<Output = io::Result<T>>) -> Result<T, Failure> {
    match tokio::time::timeout(HANDSHAKE, handshake).await {
        Ok(done) => done.map_err(Failure::from),
        Err(_) => Err(Failure::Slow),
    }
}

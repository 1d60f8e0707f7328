//! The certificate of a door for browsers: it names a host, and who comes shows none.

use std::path::PathBuf;
use std::sync::Arc;

use rustls::ServerConfig;
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;

use super::{Failure, bounded, files};
use crate::watched::Watched;

/// A connection that a browser encrypts.
pub type Encrypted = tokio_rustls::server::TlsStream<TcpStream>;

/// The certificate of a door for browsers, as its files say now. Cheap to clone.
#[derive(Debug, Clone)]
pub struct PublicCertificate(Watched<Arc<ServerConfig>>);

impl PublicCertificate {
    /// Reads the files and follows them; nothing without files. Needs a tokio runtime.
    pub fn start(cert: Option<&PathBuf>, key: Option<&PathBuf>) -> anyhow::Result<Option<Self>> {
        let Some((cert, key)) = files::both(cert, key)? else { return Ok(None) };
        let paths = vec![cert.clone(), key.clone()];
        let read = move |_: Option<&Arc<ServerConfig>>| files::public(&cert, &key);
        Watched::start("certificate for browsers", paths, read).map(|watched| Some(Self(watched)))
    }

    /// Shakes hands with who dialled us, within 5 s; the error says in words why that failed.
    pub async fn accept(&self, stream: TcpStream) -> Result<Encrypted, impl std::error::Error + use<>> {
        let acceptor = TlsAcceptor::from(Arc::clone(&*self.0.current()));
        bounded(acceptor.accept(stream)).await.map_err(Refused)
    }
}

/// Why a browser was not let in.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
struct Refused(Failure);

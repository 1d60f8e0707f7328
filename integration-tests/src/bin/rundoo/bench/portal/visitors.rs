//! Visitors: connections that stay open, each with one request at a time.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use http::{HeaderMap, Request, StatusCode, header};
use http_body_util::{BodyExt as _, Empty};
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

/// What came back: a body is read, and only its size is kept.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

/// Connections to one address; another one is opened when all are in use. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Visitors {
    address: SocketAddr,
    idle: Arc<Mutex<Vec<SendRequest<Empty<Bytes>>>>>,
}

impl Visitors {
    pub(crate) fn of(address: SocketAddr) -> Self {
        Self { address, idle: Arc::default() }
    }

    /// Gets a page as a browser does: compressed.
    pub(crate) async fn get(&self, path: &str, headers: &[(&str, &str)]) -> anyhow::Result<Answer> {
        self.get_as(path, headers, "gzip").await
    }

    /// Gets something as it is, or compressed.
    pub(crate) async fn get_as(&self, path: &str, headers: &[(&str, &str)], encoding: &str) -> anyhow::Result<Answer> {
        let idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let mut connection = match idle {
            Some(connection) if !connection.is_closed() => connection,
            _ => self.open().await?,
        };
        connection.ready().await?;
        let mut request =
            Request::get(path).header(header::HOST, self.address.to_string()).header(header::ACCEPT_ENCODING, encoding);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let response = connection.send_request(request.body(Empty::new())?).await?;
        let (parts, body) = response.into_parts();
        let body = body.collect().await?.to_bytes();
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).push(connection);
        Ok(Answer { status: parts.status, headers: parts.headers, body })
    }

    async fn open(&self) -> anyhow::Result<SendRequest<Empty<Bytes>>> {
        let stream = TcpStream::connect(self.address).await?;
        stream.set_nodelay(true)?;
        let (sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
        mesh::spawn("visitor", connection);
        Ok(sender)
    }
}

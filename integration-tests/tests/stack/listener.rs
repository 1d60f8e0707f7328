//! A bare HTTP/2 server that notes what it is sent: what the mesh puts on the wire is what is seen.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use http::{HeaderMap, HeaderName, HeaderValue, Response};
use tokio::net::{TcpListener, TcpStream};

/// Headers of an answer that has nothing else.
type Words = &'static [(&'static str, &'static str)];

/// A server that answers each request with a status alone.
#[derive(Clone)]
pub(super) struct Listener {
    address: SocketAddr,
    answers: &'static [Words],
    heard: Arc<Mutex<Vec<HeaderMap>>>,
}

impl Listener {
    /// Gives these answers in turn, and the last one again and again.
    pub(super) async fn answering(answers: &'static [Words]) -> anyhow::Result<Self> {
        let door = TcpListener::bind("127.0.0.1:0").await?;
        let listener = Self { address: door.local_addr()?, answers, heard: Arc::default() };
        let own = listener.clone();
        mesh::spawn("listener", async move {
            while let Ok((stream, _)) = door.accept().await {
                let own = own.clone();
                mesh::spawn("listener's connection", async move { own.converse(stream).await });
            }
        });
        Ok(listener)
    }

    async fn converse(&self, stream: TcpStream) {
        let Ok(mut connection) = h2::server::handshake(stream).await else { return };
        while let Some(Ok((request, mut answer))) = connection.accept().await {
            // What is left unsaid shows as a call that failed.
            let _sent = answer.send_response(self.answer(request.headers()), true);
        }
    }

    fn answer(&self, headers: &HeaderMap) -> Response<()> {
        let mut heard = self.heard.lock().unwrap_or_else(PoisonError::into_inner);
        let words = self.answers[heard.len().min(self.answers.len() - 1)];
        heard.push(headers.clone());
        let mut response = Response::new(());
        response.headers_mut().insert("content-type", HeaderValue::from_static("application/grpc"));
        for (name, value) in words {
            response.headers_mut().insert(HeaderName::from_static(name), HeaderValue::from_static(value));
        }
        response
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    /// The headers of all requests so far.
    pub(super) fn heard(&self) -> Vec<HeaderMap> {
        self.heard.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

//! A bare HTTP/2 client, which has no timers and no opinions: what a server sends is what is seen.

use std::net::SocketAddr;

use anyhow::Context as _;
use bytes::{BufMut as _, Bytes, BytesMut};
use h2::client::{ResponseFuture, SendRequest};
use h2::{Reason, RecvStream, SendStream};
use http::HeaderMap;
use prost::Message;
use tokio::net::TcpStream;
use tonic::{Code, Status};

/// A connection.
pub(super) struct Raw {
    sender: SendRequest<Bytes>,
    address: SocketAddr,
}

/// A call that has begun.
pub(super) struct RawCall {
    head: ResponseFuture,
    body: SendStream<Bytes>,
}

/// An answer that is being read.
pub(super) struct Reading {
    head: http::response::Parts,
    body: RecvStream,
    /// Keeps our side of the stream open.
    _request: SendStream<Bytes>,
}

/// A whole answer.
#[derive(Debug)]
pub(super) struct Answer {
    /// How the answer began.
    pub(super) head: http::response::Parts,
    /// Bytes of its messages, with their prefixes.
    pub(super) bytes: usize,
    /// How it ended; nothing for one that is headers only.
    pub(super) trailers: Option<HeaderMap>,
}

impl Raw {
    pub(super) async fn connect(address: SocketAddr) -> anyhow::Result<Self> {
        let stream = TcpStream::connect(address).await?;
        // By the size of this window h2 judges whether small frames that nobody reads are an attack.
        let mut builder = h2::client::Builder::new();
        let (sender, connection) = builder.initial_connection_window_size(1 << 30).handshake(stream).await?;
        mesh::spawn("raw connection", async move { drop(connection.await) });
        Ok(Self { sender, address })
    }

    /// Begins a call; its message is still to be sent.
    pub(super) async fn call(&self, method: &str, headers: &[(&str, &str)]) -> anyhow::Result<RawCall> {
        let mut request = http::Request::post(format!("http://{}/{method}", self.address))
            .header("te", "trailers")
            .header("content-type", "application/grpc");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let mut sender = self.sender.clone().ready().await?;
        let (head, body) = sender.send_request(request.body(())?, false)?;
        Ok(RawCall { head, body })
    }

    /// Calls with one message and reads the answer.
    pub(super) async fn ask(
        &self,
        method: &str,
        headers: &[(&str, &str)],
        message: &impl Message,
    ) -> anyhow::Result<Answer> {
        let mut call = self.call(method, headers).await?;
        // A refusal may be here before the message is sent; what else went wrong shows in the answer.
        let _refused_early = call.send(message, Last::Yes);
        call.answer().await?.whole().await
    }

    /// Why no call can be begun any more; nothing while one can.
    pub(super) async fn refusal(&self) -> Option<h2::Error> {
        self.sender.clone().ready().await.err()
    }
}

/// Whether another message follows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Last {
    Yes,
    No,
}

impl RawCall {
    pub(super) fn send(&mut self, message: &impl Message, last: Last) -> anyhow::Result<()> {
        let mut bytes = BytesMut::new();
        bytes.put_u8(0);
        bytes.put_u32(u32::try_from(message.encoded_len())?);
        message.encode(&mut bytes)?;
        Ok(self.body.send_data(bytes.freeze(), last == Last::Yes)?)
    }

    /// Says that nobody waits any more.
    pub(super) fn reset(mut self) {
        self.body.send_reset(Reason::CANCEL);
    }

    /// Waits for the head of the answer.
    pub(super) async fn answer(self) -> anyhow::Result<Reading> {
        let (head, body) = self.head.await?.into_parts();
        Ok(Reading { head, body, _request: self.body })
    }
}

impl Reading {
    /// Waits for more of it; answers how many bytes came, and nothing at its end.
    pub(super) async fn more(&mut self) -> anyhow::Result<Option<usize>> {
        let Some(data) = self.body.data().await.transpose()? else { return Ok(None) };
        self.body.flow_control().release_capacity(data.len())?;
        Ok(Some(data.len()))
    }

    /// Reads to the end.
    pub(super) async fn whole(mut self) -> anyhow::Result<Answer> {
        let mut bytes = 0;
        while let Some(more) = self.more().await? {
            bytes += more;
        }
        let trailers = self.body.trailers().await?;
        Ok(Answer { head: self.head, bytes, trailers })
    }
}

impl Answer {
    /// The status, wherever it stands.
    pub(super) fn status(&self) -> anyhow::Result<Status> {
        let headers = self.trailers.as_ref().unwrap_or(&self.head.headers);
        Status::from_header_map(headers).with_context(|| format!("no status in {self:?}"))
    }

    /// The code, when the answer is a status in headers and nothing else.
    pub(super) fn only_code(&self) -> Option<Code> {
        let is_only = self.trailers.is_none() && self.bytes == 0 && self.head.status == http::StatusCode::OK;
        self.status().ok().filter(|_| is_only).map(|status| status.code())
    }

    /// The code in the trailers.
    pub(super) fn last_code(&self) -> Option<Code> {
        self.trailers.as_ref().and_then(Status::from_header_map).map(|status| status.code())
    }
}

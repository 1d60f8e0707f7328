//! A connection whose first bytes were read already, and are handed out first.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, ReadBuf};

use super::preface::{PATIENCE, PREFACE};

/// The connection, and what of its beginning is still to be handed out.
pub(super) struct Begun<T> {
    io: T,
    first: [u8; PREFACE.len()],
    /// How many of the first bytes there are, and how many were handed out.
    there: usize,
    handed: usize,
}

impl<T: AsyncRead + AsyncWrite + Unpin> Begun<T> {
    /// Waits for HTTP/2's preface, or for what differs from it, and fails when neither comes.
    ///
    /// Inside of TLS there is no looking without reading.
    pub(super) async fn wait(mut io: T) -> io::Result<Self> {
        let mut first = [0; PREFACE.len()];
        let mut there = 0;
        let arrives = async {
            while there < first.len() && PREFACE.starts_with(&first[..there]) {
                match io.read(&mut first[there..]).await? {
                    0 => return Err(io::ErrorKind::UnexpectedEof.into()),
                    more => there += more,
                }
            }
            io::Result::Ok(())
        };
        tokio::time::timeout(PATIENCE, arrives).await.map_err(|_| io::Error::from(io::ErrorKind::TimedOut))??;
        Ok(Self { io, first, there, handed: 0 })
    }
}

impl<T: AsyncRead + Unpin> AsyncRead for Begun<T> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let left = &self.first[self.handed..self.there];
        if left.is_empty() {
            return Pin::new(&mut self.io).poll_read(cx, buffer);
        }
        let now = left.len().min(buffer.remaining());
        buffer.put_slice(&left[..now]);
        self.handed += now;
        Poll::Ready(Ok(()))
    }
}

impl<T: AsyncWrite + Unpin> AsyncWrite for Begun<T> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write_vectored(cx, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::AsyncWriteExt as _;

    #[tokio::test(start_paused = true)]
    async fn what_was_read_is_handed_out_first() {
        let (mut client, server) = tokio::io::duplex(64);
        client.write_all(&PREFACE[..5]).await.unwrap();
        client.write_all(&PREFACE[5..]).await.unwrap();
        client.write_all(b"and more").await.unwrap();

        let mut begun = Begun::wait(server).await.unwrap();
        drop(client);
        let mut all = Vec::new();
        begun.read_to_end(&mut all).await.unwrap();

        assert_eq!(all, [PREFACE, b"and more"].concat());
    }

    #[tokio::test(start_paused = true)]
    async fn who_sends_half_a_preface_is_not_waited_for() {
        let (mut client, server) = tokio::io::duplex(64);
        client.write_all(&PREFACE[..5]).await.unwrap();

        let outcome = Begun::wait(server).await;

        assert_eq!(outcome.err().map(|error| error.kind()), Some(io::ErrorKind::TimedOut));
    }
}

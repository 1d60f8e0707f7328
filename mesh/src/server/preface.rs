//! Waits for the first bytes of a connection: HTTP/2's preface, which every client sends at once.
//!
//! A client that sends nothing would be kept for ever: hyper's PING begins only
//! after the preface.

use std::io;
use std::time::Duration;

use tokio::net::TcpStream;

/// What every HTTP/2 connection begins with (RFC 9113, section 3.4).
pub(super) const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// A client sends it in the moment in which it connects.
pub(super) const PATIENCE: Duration = Duration::from_secs(10);

/// How often is looked again when part of it is there: the socket is ready then, so it cannot be waited for.
const PAUSE: Duration = Duration::from_millis(20);

/// Returns when the preface is there to be read, and fails when something else is, or nothing for too long.
pub(super) async fn wait(stream: &TcpStream) -> io::Result<()> {
    let arrives = async {
        let mut bytes = [0; PREFACE.len()];
        loop {
            let there = stream.peek(&mut bytes).await?;
            let begins = PREFACE.starts_with(&bytes[..there]);
            match there {
                0 => return Err(io::ErrorKind::UnexpectedEof.into()),
                // hyper tells a client that speaks HTTP/1 what is wrong.
                _ if !begins || there == PREFACE.len() => return Ok(()),
                _ => tokio::time::sleep(PAUSE).await,
            }
        }
    };
    tokio::time::timeout(PATIENCE, arrives).await.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
}

//! A small client of RELP, the protocol in which rsyslog acknowledges records one by one.

use std::net::SocketAddr;
use std::sync::Arc;

use anyhow::Context as _;
use bytes::Bytes;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader, BufWriter};
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::Semaphore;
use tokio::time::Instant;

/// Records under way at most, as librelp's own client has them.
const WINDOW: usize = 128;

/// Transaction numbers have nine digits at most.
const LAST_NUMBER: u32 = 999_999_999;

/// Sends until `end`, and answers how many records were acknowledged from `begin` on.
pub(super) async fn send(
    address: SocketAddr,
    records: Arc<Vec<Bytes>>,
    begin: Instant,
    end: Instant,
) -> anyhow::Result<u64> {
    let stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    let (read, write) = stream.into_split();
    let (mut answers, mut output) = (BufReader::new(read), BufWriter::new(write));
    let offer = "relp_version=0\nrelp_software=rundoo\ncommands=syslog";
    output.write_all(format!("1 open {} {offer}\n", offer.len()).as_bytes()).await?;
    output.flush().await?;
    answer(&mut answers).await.context("rsyslog does not open")?;
    let window = Arc::new(Semaphore::new(WINDOW));
    let counting = mesh::spawn("relp answers", count(answers, window.clone(), begin, end));
    write_all(output, &records, &window, end).await?;
    counting.await?
}

async fn write_all(
    mut output: BufWriter<OwnedWriteHalf>,
    records: &[Bytes],
    window: &Semaphore,
    end: Instant,
) -> anyhow::Result<()> {
    for (number, record) in (2..LAST_NUMBER).zip(records.iter().cycle()) {
        if window.available_permits() == 0 {
            output.flush().await?;
        }
        let Ok(place) = tokio::time::timeout_at(end, window.acquire()).await else { break };
        place?.forget();
        output.write_all(format!("{number} syslog {} ", record.len()).as_bytes()).await?;
        output.write_all(record).await?;
        output.write_all(b"\n").await?;
    }
    Ok(output.flush().await?)
}

async fn count(
    mut answers: BufReader<OwnedReadHalf>,
    window: Arc<Semaphore>,
    begin: Instant,
    end: Instant,
) -> anyhow::Result<u64> {
    let mut acknowledged = 0;
    while let Ok(answered) = tokio::time::timeout_at(end, answer(&mut answers)).await {
        answered?;
        acknowledged += u64::from(Instant::now() >= begin);
        window.add_permits(1);
    }
    Ok(acknowledged)
}

/// Reads one answer: `number rsp length text`. Fails unless the text begins with 200.
async fn answer(answers: &mut BufReader<OwnedReadHalf>) -> anyhow::Result<()> {
    let mut head = Vec::new();
    for _ in 0..2 {
        answers.read_until(b' ', &mut head).await?;
    }
    // The length ends with a space, or with the line when it is 0.
    let mut length = 0;
    loop {
        match answers.read_u8().await? {
            digit @ b'0'..=b'9' => length = length * 10 + usize::from(digit - b'0'),
            b' ' => break,
            _ => anyhow::bail!("it answers nothing"),
        }
    }
    let mut text = vec![0; length + 1];
    answers.read_exact(&mut text).await?;
    anyhow::ensure!(text.starts_with(b"200"), "it answers {}", String::from_utf8_lossy(&text));
    Ok(())
}

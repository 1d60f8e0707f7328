//! Answers that go on: a line for each, and the error where a client sees it.

use std::net::SocketAddr;

use anyhow::Context as _;
use harness::specimens::Specimens;
use harness::system::{Role, System};
use http::Method;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::TcpStream;

use super::{ask, with_specimen};

/// The lines of an answer that has ended.
fn lines(text: &str) -> anyhow::Result<Vec<Value>> {
    assert!(text.ends_with('\n'), "{text:?}");
    text.lines().map(|line| Ok(serde_json::from_str(line)?)).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_is_a_line_for_each_message() -> anyhow::Result<()> {
    let mut specimens: Specimens = with_specimen().await?;
    let system = specimens.system();

    let whole = ask(system, &Method::GET, "/v1/specimens:emit?count=3", &[], "").await?;
    assert_eq!(whole.headers["content-type"], "application/x-ndjson");
    let numbers: Vec<Value> = (1..=3).map(|number| json!({"result": {"number": number}})).collect();
    assert_eq!(lines(&whole.text)?, numbers);

    let broken = ask(system, &Method::GET, "/v1/specimens:emit?count=9&panic_at=3", &[], "").await?;
    let broken = lines(&broken.text)?;
    assert_eq!(broken[..2], numbers[..2]);
    assert_eq!((broken.len(), &broken[2]["error"]["code"]), (3, &json!("INTERNAL")), "{broken:?}");
    assert!(broken[2]["error"]["request_id"].is_string(), "{broken:?}");

    let late =
        ask(system, &Method::GET, "/v1/specimens:emit?count=9&interval=1s", &[("request-timeout", "0.3")], "").await?;
    let late = lines(&late.text)?;
    assert_eq!((late.len(), &late[0]["error"]["code"]), (1, &json!("DEADLINE_EXCEEDED")), "{late:?}");
    Ok(())
}

/// An answer that goes on, read by hand.
struct Open {
    reader: BufReader<TcpStream>,
}

impl Open {
    async fn get(portal: SocketAddr, path: &str) -> anyhow::Result<Self> {
        let mut stream = TcpStream::connect(portal).await?;
        stream.write_all(format!("GET {path} HTTP/1.1\r\nhost: {portal}\r\n\r\n").as_bytes()).await?;
        Ok(Self { reader: BufReader::new(stream) })
    }

    /// The next line that is JSON; lengths and headers stand between them.
    async fn line(&mut self) -> anyhow::Result<Value> {
        loop {
            let mut line = String::new();
            anyhow::ensure!(self.reader.read_line(&mut line).await? > 0, "the answer ended");
            if line.starts_with('{') {
                return Ok(serde_json::from_str(&line)?);
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn changes_come_as_they_are_made_and_the_end_is_told() -> anyhow::Result<()> {
    let mut system = System::start().await?;
    let mut watch = Open::get(system.portal(), "/v1/products:watch").await?;
    watch.line().await.context("where the stream begins")?;
    for number in 1..=3 {
        let body = format!(r#"{{"name":"Hammer {number}","category":"Tools","sku":"H-{number}"}}"#);
        let made = ask(&system, &Method::POST, "/v1/products", &[], &body).await?;
        assert_eq!(made.status, 200, "{}", made.text);
        let change = watch.line().await?;
        assert_eq!(change["result"]["product"]["name"], json!(format!("Hammer {number}")), "{change}");
    }

    let ending = mesh::spawn("ending", async move {
        system.stop(Role::Portal).await?;
        anyhow::Ok(system)
    });
    let last = watch.line().await?;
    assert_eq!(last["error"]["code"], json!("UNAVAILABLE"), "{last}");
    ending.await??;
    Ok(())
}

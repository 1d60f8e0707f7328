//! Answers that go on: whose they are while they do, and what is told of them at their end.

use harness::eventually;
use harness::http::send;
use http::Method;
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::people::{self, House};

/// Begins to read an answer; answers the connection behind its head.
async fn begin(house: &House, path: &str, header: &str) -> anyhow::Result<TcpStream> {
    let portal = house.system.portal();
    let mut stream = TcpStream::connect(portal).await?;
    stream.write_all(format!("GET {path} HTTP/1.1\r\nhost: {portal}\r\n{header}\r\n\r\n").as_bytes()).await?;
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await?);
    }
    anyhow::ensure!(head.starts_with(b"HTTP/1.1 200"), "{}", String::from_utf8_lossy(&head));
    Ok(stream)
}

/// Reads until the connection ends; whether it ended as an answer does.
async fn ends_whole(mut stream: TcpStream) -> anyhow::Result<bool> {
    let mut rest = Vec::new();
    let _reset = timeout(Duration::from_secs(20), stream.read_to_end(&mut rest)).await?;
    Ok(rest.ends_with(b"0\r\n\r\n"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_is_shut_out_is_not_told_the_rest() -> anyhow::Result<()> {
    let house = House::start(&[("ann", "viewer"), ("bea", "viewer"), ("cat", "viewer")]).await?;
    let (ann, bea) = (house.log_in("ann").await?, house.log_in("bea").await?);
    let token = people::command(&house.system, &["token", "add", "cat", "--scope", "logs:read"], None)?;
    let bearer = format!("authorization: Bearer {}", token.trim());

    let page = begin(&house, "/logs/tail", &format!("cookie: {}", ann.cookie)).await?;
    let lines = begin(&house, "/v1/logs:tail", &format!("cookie: {}", ann.cookie)).await?;
    let program = begin(&house, "/v1/logs:tail", &bearer).await?;
    let mut other = begin(&house, "/logs/tail", &format!("cookie: {}", bea.cookie)).await?;
    people::command(&house.system, &["user", "sessions", "ann", "--revoke"], None)?;
    people::command(&house.system, &["token", "remove", "1"], None)?;

    for cut in [page, lines, program] {
        assert!(!ends_whole(cut).await?, "nobody is to take it for all there was");
    }
    bea.get("/categories").await?;
    let mut more = vec![0; 1 << 16];
    assert!(timeout(Duration::from_secs(10), other.read(&mut more)).await?? > 0, "others go on");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_change_that_takes_a_while_is_told_when_it_is_over() -> anyhow::Result<()> {
    let house = House::start(&[("ed", "editor")]).await?;
    let (ed, root) = (house.log_in("ed").await?, house.log_in("root").await?);
    ed.post("/products", &[("name", "Hammer"), ("category", "Tools"), ("sku", "HAM-1")]).await?;
    let rename = async |body: &str| {
        let headers = [("cookie", ed.cookie.as_str()), ("content-type", "application/json")];
        send(house.system.portal(), Method::POST, "/v1/categories:rename", &headers, body.to_owned()).await
    };

    let done = rename(r#"{"from":"Tools","to":"Hand tools"}"#).await?;
    assert!(done.text.contains(r#""done":true"#), "{}", done.text);
    let failed = rename(r#"{"from":"Nowhere","to":"Somewhere"}"#).await?;
    assert!(failed.text.contains("CATEGORY_NOT_FOUND"), "{}", failed.text);

    let told = "called ProductService/RenameCategory";
    house.shows(&root, "/audit?actor=ed", &[told]).await;
    eventually("each is told as it ended", async || {
        let audit = root.get("/audit?actor=ed").await?.text;
        let failures = audit.matches("RenameCategory, which ended with NOT_FOUND").count();
        // What was refused before it began changed nothing, and is no change.
        let is_refused_at_once = !failed.status.is_success();
        anyhow::ensure!(failures == usize::from(!is_refused_at_once), "{audit}");
        anyhow::ensure!(audit.matches(told).count() == 1 + failures, "{audit}");
        Ok(())
    })
    .await;
    Ok(())
}

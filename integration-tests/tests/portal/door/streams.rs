//! Requests and answers that go on: whose they are while they do, and what is told of them at their end.

use harness::eventually;
use harness::http::{encode, send};
use harness::system::Role;
use http::Method;
use rustix::process::Signal;
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::people::{self, House, PASSWORD};

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

/// Begins to send a body, once somebody reads it; answers the connection before its end.
async fn send_part(house: &House, head: &str, part: &str) -> anyhow::Result<TcpStream> {
    let portal = house.system.portal();
    let mut stream = TcpStream::connect(portal).await?;
    stream.write_all(format!("POST {head}\r\nhost: {portal}\r\nexpect: 100-continue\r\n\r\n").as_bytes()).await?;
    let goes_on = "HTTP/1.1 100 Continue\r\n\r\n";
    let mut answer = vec![0; goes_on.len()];
    timeout(Duration::from_secs(5), stream.read_exact(&mut answer)).await??;
    anyhow::ensure!(answer == goes_on.as_bytes(), "{}", String::from_utf8_lossy(&answer));
    stream.write_all(part.as_bytes()).await?;
    Ok(stream)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_form_that_was_held_back_makes_nothing_that_lasts() -> anyhow::Result<()> {
    let house = House::start(&[("ann", "administrator")]).await?;
    let (ann, root) = (house.log_in("ann").await?, house.log_in("root").await?);
    let hold = async |path: &str, form: &str| {
        let head = format!(
            "{path} HTTP/1.1\r\ncontent-type: application/x-www-form-urlencoded\r\ncontent-length: {}\r\ncookie: {}",
            form.len(),
            ann.cookie
        );
        send_part(&house, &head, &form[..form.len() - 1]).await
    };
    let mut token = hold("/account/tokens", "label=mine&scope=admin&days=366").await?;
    let mut account = hold("/users", &format!("name=eve&role=administrator&password={}", encode(PASSWORD))).await?;

    people::command(&house.system, &["user", "sessions", "ann", "--revoke"], None)?;
    for (held, last) in [(&mut token, b"6"), (&mut account, b"y")] {
        held.write_all(last).await?;
        let mut answer = Vec::new();
        timeout(Duration::from_secs(9), held.read_to_end(&mut answer)).await??;
        let answer = String::from_utf8_lossy(&answer);
        assert!(answer.starts_with("HTTP/1.1 401"), "{answer}");
    }

    let users = root.get("/users.csv").await?.text;
    assert!(!users.contains("eve") && users.contains("ann,administrator"), "{users}");
    assert!(people::command(&house.system, &["token", "list", "ann"], None)?.lines().count() <= 1);
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_is_shut_out_is_not_heard_to_the_end() -> anyhow::Result<()> {
    let house = House::start(&[("ann", "editor"), ("bea", "editor")]).await?;
    let (ann, bea) = (house.log_in("ann").await?, house.log_in("bea").await?);
    let upload = |cookie: &str| {
        let head = "/imports HTTP/1.1\r\ncontent-type: multipart/form-data; boundary=x\r\ntransfer-encoding: chunked";
        let part =
            "--x\r\ncontent-disposition: form-data; name=\"file\"; filename=\"a.csv\"\r\n\r\nname,category,sku\r\n";
        (format!("{head}\r\ncookie: {cookie}"), format!("{:x}\r\n{part}\r\n", part.len()))
    };
    let (head, part) = upload(&ann.cookie);
    let mut file = send_part(&house, &head, &part).await?;
    let json = "/v1/products HTTP/1.1\r\ncontent-type: application/json\r\ncontent-length: 100";
    let mut body = send_part(&house, &format!("{json}\r\ncookie: {}", ann.cookie), "{\"name\":").await?;
    let (head, part) = upload(&bea.cookie);
    let mut other = send_part(&house, &head, &part).await?;

    people::command(&house.system, &["user", "sessions", "ann", "--revoke"], None)?;

    for (stream, words) in [(&mut file, "You are not logged in any more"), (&mut body, "ACCESS_ENDED")] {
        let mut answer = Vec::new();
        timeout(Duration::from_secs(9), stream.read_to_end(&mut answer)).await??;
        let answer = String::from_utf8_lossy(&answer);
        assert!(answer.starts_with("HTTP/1.1 401") && answer.contains(words), "{answer}");
    }
    let row = "Saw,Tools,S-1\r\n";
    for _ in 0..3 {
        other.write_all(format!("{:x}\r\n{row}\r\n", row.len()).as_bytes()).await?;
        let silent = timeout(Duration::from_secs(1), other.read_u8()).await;
        assert!(silent.is_err(), "others go on");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_change_whose_client_did_not_wait_is_told_too() -> anyhow::Result<()> {
    let mut house = House::start(&[("ed", "editor")]).await?;
    let (ed, root) = (house.log_in("ed").await?, house.log_in("root").await?);
    house.system.process(Role::Products(0))?.freeze().await?;
    let body = "{\"name\":\"Saw\",\"category\":\"Tools\",\"sku\":\"S-1\"}";
    let head = |path: &str, media_type: &str, body: &str| {
        let (cookie, length) = (&ed.cookie, body.len());
        format!("{path} HTTP/1.1\r\ncontent-type: {media_type}\r\ncookie: {cookie}\r\ncontent-length: {length}")
    };
    let json = head("/v1/products", "application/json", body);
    let leaves = send_part(&house, &json, body).await?;
    let form = "name=Axe&category=Tools&sku=A-1&request_id=0190d3b0-0000-4000-8000-000000000001";
    let page = head("/products", "application/x-www-form-urlencoded", form);
    let leaves_too = send_part(&house, &page, form).await?;
    // Nothing has begun: half of what was announced.
    let nothing = send_part(&house, &json, &body[..20]).await?;
    // Nothing outside tells that a call waits for an answer.
    tokio::time::sleep(Duration::from_millis(1500)).await;

    drop((leaves, leaves_too, nothing));
    let headers = [("cookie", ed.cookie.as_str()), ("content-type", "application/json"), ("request-timeout", "0.2")];
    let late = send(house.system.portal(), Method::POST, "/v1/products", &headers, body.to_owned()).await?;
    assert_eq!(late.status, 504, "{}", late.text);
    house.system.process(Role::Products(0))?.signal(Signal::CONT)?;

    let told = [
        "called ProductService/CreateProduct, which broke off before its end",
        "added product, which broke off before its end",
        "called ProductService/CreateProduct, and it is not known what came of it",
    ];
    house.shows(&root, "/audit?actor=ed", &told).await;
    let audit = root.get("/audit?actor=ed").await?.text;
    assert_eq!(audit.matches("broke off").count(), 2, "{audit}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_that_is_refused_in_its_middle_is_told_too() -> anyhow::Result<()> {
    let house = House::start(&[("ed", "editor")]).await?;
    let (ed, root) = (house.log_in("ed").await?, house.log_in("root").await?);
    let send_file = async |parts: &str| {
        let headers = [("cookie", ed.cookie.as_str()), ("content-type", "multipart/form-data; boundary=x")];
        send(house.system.portal(), Method::POST, "/imports", &headers, format!("{parts}--x--\r\n")).await
    };
    let choice = "--x\r\ncontent-disposition: form-data; name=\"first\"\r\n\r\nimport\r\n";
    let file = "--x\r\ncontent-disposition: form-data; name=\"file\"; filename=\"a.csv\"\r\n\r\n\
                name,category,sku\r\nSaw,Tools,S-1\r\n\"Axe,Tools,A-1\r\n";

    let none = send_file(choice).await?;
    assert_eq!(none.status, 422, "{}", none.text);
    let faulty = send_file(&format!("{choice}{file}")).await?;
    assert_eq!(faulty.status, 422, "{}", faulty.text);

    let told = "sent a file to import, and it is not known what came of it";
    house.shows(&root, "/audit?actor=ed", &[told]).await;
    let audit = root.get("/audit?actor=ed").await?.text;
    assert_eq!(audit.matches("sent a file to import").count(), 1, "{audit}");
    Ok(())
}

//! Visitors who are slow, greedy or many: they are cut or refused, and others are served meanwhile.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use ::http::Method;
use anyhow::Context as _;
use harness::http::{get, send};
use harness::system::System;
use harness::{Role, eventually};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpSocket, TcpStream};

/// No deadline of the portal is longer than this.
const LONG: Duration = Duration::from_secs(100);

/// More than the portal has seats.
const MANY: usize = 1500;

/// Connects from an address of this machine that nobody else uses.
async fn connect_from(last: u8, portal: SocketAddr) -> anyhow::Result<TcpStream> {
    let socket = TcpSocket::new_v4()?;
    socket.bind((Ipv4Addr::new(127, 0, 3, last), 0).into())?;
    Ok(socket.connect(portal).await?)
}

/// Reads until the portal closes, and answers what came.
async fn until_closed(stream: &mut TcpStream) -> anyhow::Result<String> {
    let mut said = Vec::new();
    // A connection that is cut while we send ends with an error instead, which is as good.
    let _ended = tokio::time::timeout(LONG, stream.read_to_end(&mut said)).await.context("it is kept")?;
    Ok(String::from_utf8_lossy(&said).into_owned())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn idle_connections_take_no_seat_from_who_asks_something() -> anyhow::Result<()> {
    let mut system = System::start().await?;
    let portal = system.portal();

    let mut idle = Vec::new();
    for number in 0..MANY {
        // Half of them never say anything; the others begin a head and leave it at that.
        let mut stream = connect_from(u8::try_from(number % 5)?, portal).await?;
        if number % 2 == 0 {
            stream.write_all(b"GET / HTTP/1.1\r\nHost: loc").await?;
        }
        idle.push(stream);
        if number % 100 == 0 {
            assert_eq!(system.get("/healthz").await?.status, 200, "beside {number}");
        }
    }
    for _ in 0..20 {
        assert!(system.get("/").await?.text.contains("Rundoo"));
    }
    let first = until_closed(&mut idle[0]).await?;
    assert!(!first.contains("200 OK"), "{first}");
    let last = idle.last_mut().context("there are some")?;
    // Who is within the limits is cut by its deadline, and not answered.
    assert!(!until_closed(last).await?.contains("200 OK"));
    drop(idle);
    let said = system.stop(Role::Portal).await?;
    assert!(!said.contains("panicked"), "{said}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_address_takes_half_of_the_seats_at_most() -> anyhow::Result<()> {
    let system = System::start().await?;
    let mut greedy = Vec::new();
    for _ in 0..520 {
        let mut stream = connect_from(9, system.portal()).await?;
        // A form that is on its way keeps its connection busy.
        let head = "POST /products HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/x-www-form-urlencoded\r\n\
                    Content-Length: 9\r\n\r\nname";
        stream.write_all(head.as_bytes()).await?;
        greedy.push(stream);
    }

    assert_eq!(system.get("/").await?.status, 200);
    // Those beyond the limit are closed without a word; the others are told that they are too slow.
    let (mut silently, mut slow) = (0, 0);
    for mut stream in greedy {
        let said = until_closed(&mut stream).await?;
        slow += usize::from(said.contains("408"));
        silently += usize::from(said.is_empty());
    }
    assert!(silently >= 8 && slow > 400, "{silently} silently and {slow} for being slow");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_that_hardly_comes_is_cut_and_one_that_comes_slowly_is_not() -> anyhow::Result<()> {
    let system = System::start().await?;
    let head = "POST /imports HTTP/1.1\r\nHost: localhost\r\nContent-Type: multipart/form-data; boundary=x\r\n\
                Content-Length: 999999\r\n\r\n--x\r\nContent-Disposition: form-data; name=\"file\"; \
                filename=\"a.csv\"\r\n\r\nname,category,sku\n";
    let mut stream = TcpStream::connect(system.portal()).await?;
    stream.write_all(head.as_bytes()).await?;

    let answer = until_closed(&mut stream).await?;

    assert!(answer.contains("408") || answer.is_empty(), "{answer}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_too_large_or_compressed_is_refused_early() -> anyhow::Result<()> {
    let system = System::start().await?;
    let gigabyte = "POST /products HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/x-www-form-urlencoded\r\n\
                    Content-Length: 1073741824\r\n\r\nname=x";
    let mut stream = TcpStream::connect(system.portal()).await?;
    stream.write_all(gigabyte.as_bytes()).await?;
    assert!(until_closed(&mut stream).await?.contains("413"), "by its length alone");

    // Without a length: sent until it is cut.
    let mut stream = TcpStream::connect(system.portal()).await?;
    let head = "POST /products HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/x-www-form-urlencoded\r\n\
                Transfer-Encoding: chunked\r\n\r\n";
    stream.write_all(head.as_bytes()).await?;
    let chunk = format!("10000\r\n{}\r\n", "x".repeat(0x10000));
    let mut sent = 0;
    while sent < 1 << 30 && stream.write_all(chunk.as_bytes()).await.is_ok() {
        sent += chunk.len();
    }
    assert!(sent < 64 << 20, "{sent} bytes were taken");

    let form = ("content-type", "application/x-www-form-urlencoded");
    for path in ["/products", "/imports"] {
        let packed = [form, ("content-encoding", "gzip")];
        let page = send(system.portal(), Method::POST, path, &packed, "name=x".to_owned()).await?;
        assert!(page.status == 415 && page.text.contains("nothing is unpacked here"), "{path}: {}", page.status);
    }
    eventually("others are served", async || {
        anyhow::ensure!(get(system.portal(), "/").await?.status == 200);
        Ok(())
    })
    .await;
    Ok(())
}

//! Others beside the greedy: what a visitor notices of thousands of connections that do nothing, and of slow heads,
//! slow bodies, a field of a gigabyte and compressed bodies.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use anyhow::Context as _;
use harness::load::{Arrivals, Outcome};
use harness::system::{Role, System};
use tokio::io::AsyncWriteExt as _;
use tokio::net::{TcpSocket, TcpStream};
use tokio_util::sync::CancellationToken;

use crate::bench::measure::{Goal, Report, ms};
use crate::bench::memory;
use crate::bench::portal::home::home;
use crate::bench::portal::visitors::Visitors;

/// Connections that are opened and never used.
const IDLE: usize = 5_000;

/// Of those who are slow, so many at once, for each way of being slow.
const SLOW: usize = 100;

/// Visits a second of others: far from what the portal can do.
const VISITS: f64 = 200.0;

/// A head that never ends, a form that hardly comes, a field of a gigabyte, and a body that would unpack to one.
const WAYS: [&str; 4] = [
    "GET / HTTP/1.1\r\nHost: loc",
    "POST /products HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/x-www-form-urlencoded\r\n\
     Content-Length: 999\r\n\r\nn",
    "POST /products HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/x-www-form-urlencoded\r\n\
     Content-Length: 1073741824\r\n\r\nname=x",
    "POST /v1/products HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Encoding: gzip\r\n\
     Content-Length: 999\r\n\r\n\x1f",
];

pub(super) async fn measure(system: &mut System, report: &mut Report, each: Duration) -> anyhow::Result<()> {
    let pid = system.process(Role::Portal)?.pid().context("the portal runs")?;
    let portal = system.portal();
    visits(portal, each).await?;
    let alone = visits(portal, each).await?;
    let before = memory::of(pid)?.all;

    let stop = CancellationToken::new();
    let mut idle = Vec::with_capacity(IDLE);
    for number in 0..IDLE {
        idle.push(connect(number, portal).await?);
    }
    for way in WAYS {
        for number in 0..SLOW {
            mesh::spawn("slow", slowly(number, portal, way, stop.clone()));
        }
    }
    let beside = visits(portal, each).await?;
    let after = memory::of(pid)?.all;
    stop.cancel();
    drop(idle);

    let (alone, beside) = (ms(alone.quantile(0.99)), ms(beside.quantile(0.99)));
    report.add("greedy_alone_p99", alone, "ms", Goal::Stated);
    report.add("greedy_beside_p99", beside, "ms", Goal::Stated);
    report.add("greedy_p99_times", beside / alone, "x", Goal::AtMost(2.0));
    report.add("greedy_memory", after - before, "MiB", Goal::AtMost(100.0));
    Ok(())
}

/// Visits of somebody who minds nothing of this, at a fixed rate.
async fn visits(portal: SocketAddr, each: Duration) -> anyhow::Result<Outcome> {
    let visitors = Visitors::of(portal);
    let arrivals = Arrivals::start(VISITS, move || {
        let visitors = visitors.clone();
        async move { home(&visitors).await }
    });
    tokio::time::sleep(each).await;
    let outcome = arrivals.end().await;
    anyhow::ensure!(outcome.failed == 0, "{:?}", outcome.failures);
    Ok(outcome)
}

/// Is slow in one way, again and again, whenever it is cut.
async fn slowly(number: usize, portal: SocketAddr, way: &'static str, stop: CancellationToken) {
    let slow = async {
        loop {
            if let Ok(mut stream) = connect(number, portal).await {
                let mut is_open = stream.write_all(way.as_bytes()).await.is_ok();
                while is_open {
                    tokio::time::sleep(Duration::from_millis(500)).await;
                    is_open = stream.write_all(b"x").await.is_ok();
                }
            }
            // Again, but not as a flood: that is the business of the rate for each client.
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
    };
    tokio::select! {
        () = stop.cancelled() => {}
        () = slow => {}
    }
}

/// From one of twenty addresses of this machine, none of which is that of the visitors.
async fn connect(number: usize, portal: SocketAddr) -> anyhow::Result<TcpStream> {
    let socket = TcpSocket::new_v4()?;
    socket.bind((Ipv4Addr::new(127, 0, 4, u8::try_from(number % 20)? + 1), 0).into())?;
    Ok(socket.connect(portal).await?)
}

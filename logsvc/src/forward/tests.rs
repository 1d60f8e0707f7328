//! Against a receiver on a real socket, whose answers the tests choose.

use std::net::SocketAddr;
use std::ops::Range;
use std::path::Path;
use std::time::{Duration, Instant};

use mesh::Refusal;
use tokio::net::TcpListener;
use tonic::{Code, Status};

use super::*;

mod receiver;

use receiver::{Log, Said, Stub};

fn forward(log: &Log, address: SocketAddr, folder: &Path) -> Forwarder {
    let own = Source::unsequenced("logsvc".to_owned(), "l-1".to_owned());
    let settings = Settings { endpoint: format!("http://{address}"), folder: folder.to_owned(), own };
    Forwarder::start(settings, log.feed()).unwrap()
}

async fn eventually(what: &str, is_true: impl Fn() -> bool) {
    let end = Instant::now() + Duration::from_secs(20);
    while !is_true() {
        assert!(Instant::now() < end, "never true: {what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

fn numbered(range: Range<u64>) -> Vec<String> {
    range.map(|n| format!("m{n}")).collect()
}

#[tokio::test]
async fn everything_arrives_in_order_and_named() {
    let (log, stub, folder) = (Log::of(2500), Stub::new(|_, _| Ok(0)), tempfile::tempdir().unwrap());
    let forwarder = forward(&log, stub.serve().await, folder.path());

    eventually("all arrived", || forwarder.status().lag == 0).await;
    log.grow(10);
    eventually("the rest did too", || stub.messages().len() == 2510).await;

    assert_eq!(stub.messages(), numbered(1..2511));
    let first = stub.taken.lock().unwrap()[0].clone();
    assert_eq!(first, Said { service: "shop".into(), message: "m1".into(), uid: "p/3/1".into() });
    let largest = stub.requests.lock().unwrap().iter().map(|(said, _)| said.len()).max();
    assert_eq!(largest, Some(1000));
    forwarder.stop().await;
}

#[tokio::test]
async fn a_restart_goes_on_where_it_stopped() {
    let (log, stub, folder) = (Log::of(10), Stub::new(|_, _| Ok(0)), tempfile::tempdir().unwrap());
    let address = stub.serve().await;
    let forwarder = forward(&log, address, folder.path());
    eventually("all arrived", || forwarder.status().lag == 0).await;
    forwarder.stop().await;

    log.grow(5);
    let forwarder = forward(&log, address, folder.path());
    eventually("the rest arrived", || forwarder.status().lag == 0).await;
    forwarder.stop().await;

    assert_eq!(stub.messages(), numbered(1..16));
    let text = std::fs::read_to_string(folder.path().join("forward.cursor")).unwrap();
    assert_eq!(text, format!("endpoint http://{address}\noffset 16\n"));
}

#[tokio::test]
async fn what_a_crash_repeats_has_the_same_name() {
    let (log, stub, folder) = (Log::of(10), Stub::new(|_, _| Ok(0)), tempfile::tempdir().unwrap());
    let address = stub.serve().await;
    let forwarder = forward(&log, address, folder.path());
    eventually("all arrived", || forwarder.status().lag == 0).await;
    forwarder.stop().await;
    // As if it had died before the cursor was written again.
    std::fs::write(folder.path().join("forward.cursor"), format!("endpoint http://{address}\noffset 6\n")).unwrap();

    let forwarder = forward(&log, address, folder.path());
    eventually("some came again", || stub.messages().len() == 15).await;
    forwarder.stop().await;

    let taken = stub.taken.lock().unwrap();
    assert_eq!(taken[10..], taken[5..10]);
}

#[tokio::test]
async fn the_cursor_of_another_receiver_is_not_used() {
    let (log, folder) = (Log::of(3), tempfile::tempdir().unwrap());
    for stub in [Stub::new(|_, _| Ok(0)), Stub::new(|_, _| Ok(0))] {
        let forwarder = forward(&log, stub.serve().await, folder.path());
        eventually("all arrived", || stub.messages().len() == 3).await;
        forwarder.stop().await;
    }
}

#[tokio::test]
async fn what_may_be_sent_again_is() {
    let codes =
        [Code::Cancelled, Code::DeadlineExceeded, Code::Aborted, Code::OutOfRange, Code::Unavailable, Code::DataLoss];
    let stub = Stub::new(move |_, number| match codes.get(number - 1) {
        Some(code) => Err(Status::new(*code, "not now")),
        None => Ok(0),
    });
    let (log, folder) = (Log::of(10), tempfile::tempdir().unwrap());
    let forwarder = forward(&log, stub.serve().await, folder.path());

    eventually("all arrived", || forwarder.status().lag == 0).await;

    assert_eq!(stub.messages(), numbered(1..11));
    assert_eq!(stub.requests.lock().unwrap().len(), codes.len() + 1);
    assert_eq!((forwarder.status().refused, forwarder.status().last_error.as_str()), (0, ""));
    forwarder.stop().await;
}

#[tokio::test]
async fn a_receiver_is_left_alone_for_as_long_as_it_asks() {
    let stub = Stub::new(|_, number| match number {
        1 => Err(Refusal::new(Code::ResourceExhausted, "test", "FULL", "full")
            .retry_after(Duration::from_millis(700))
            .into_status()),
        _ => Ok(0),
    });
    let (log, folder) = (Log::of(1), tempfile::tempdir().unwrap());
    let forwarder = forward(&log, stub.serve().await, folder.path());

    eventually("it arrived", || forwarder.status().lag == 0).await;

    let requests = stub.requests.lock().unwrap();
    assert!(requests[1].1 - requests[0].1 >= Duration::from_millis(700));
}

#[tokio::test]
async fn a_record_that_is_refused_is_put_aside_and_the_others_arrive() {
    let codes = [
        Code::InvalidArgument,
        Code::Internal,
        Code::Unknown,
        Code::NotFound,
        Code::AlreadyExists,
        Code::FailedPrecondition,
        Code::ResourceExhausted,
    ];
    let stub = Stub::new(move |said, number| match said.iter().any(|said| ["m3", "m77"].contains(&&*said.message)) {
        true => Err(Status::new(codes[number % codes.len()], "bad")),
        false => Ok(0),
    });
    let (log, folder) = (Log::of(100), tempfile::tempdir().unwrap());
    let forwarder = forward(&log, stub.serve().await, folder.path());

    eventually("all are settled", || forwarder.status().lag == 0).await;

    let expected: Vec<String> = (1..101).filter(|n| ![3, 77].contains(n)).map(|n| format!("m{n}")).collect();
    assert_eq!(stub.messages(), expected, "in order, and once");
    assert_eq!(forwarder.status().refused, 2);
    let aside = std::fs::read_to_string(folder.path().join("forward.refused")).unwrap();
    assert!(aside.contains("\"m3\"") && aside.contains("\"m77\"") && aside.lines().count() == 2, "{aside}");
    forwarder.stop().await;
}

#[tokio::test]
async fn a_receiver_that_wants_nothing_from_us_costs_no_record() {
    for code in [Code::PermissionDenied, Code::Unauthenticated, Code::Unimplemented] {
        let stub = Stub::new(move |_, _| Err(Status::new(code, "who are you")));
        let (log, folder) = (Log::of(3), tempfile::tempdir().unwrap());
        let forwarder = forward(&log, stub.serve().await, folder.path());

        eventually("it was asked", || !forwarder.status().last_error.is_empty()).await;

        let status = forwarder.status();
        assert_eq!((status.lag, status.refused), (3, 0));
        assert!(status.last_error.contains("who are you"), "{}", status.last_error);
        forwarder.stop().await;
        assert!(!folder.path().join("forward.refused").exists());
    }
}

#[tokio::test]
async fn what_a_receiver_rejects_of_a_batch_is_counted_and_not_sent_again() {
    let (log, stub, folder) = (Log::of(10), Stub::new(|_, _| Ok(4)), tempfile::tempdir().unwrap());
    let forwarder = forward(&log, stub.serve().await, folder.path());

    eventually("all are settled", || forwarder.status().lag == 0).await;

    assert_eq!((forwarder.status().refused, stub.requests.lock().unwrap().len()), (4, 1));
    forwarder.stop().await;
}

#[tokio::test]
async fn what_was_removed_before_it_was_handed_on_is_said_in_its_place() {
    let (log, stub, folder) = (Log::of(5), Stub::new(|_, _| Ok(0)), tempfile::tempdir().unwrap());
    let address = stub.serve().await;
    let forwarder = forward(&log, address, folder.path());
    eventually("all arrived", || forwarder.status().lag == 0).await;
    forwarder.stop().await;
    log.grow(10);
    log.remove(1..9);

    let forwarder = forward(&log, address, folder.path());
    eventually("the rest arrived", || forwarder.status().lag == 0).await;
    forwarder.stop().await;

    let taken = stub.taken.lock().unwrap();
    assert_eq!(taken[5].service, "logsvc");
    assert_eq!(taken[5].message, "3 log records were removed before they were handed on: offsets 6 to before 9");
    assert_eq!(taken[5].uid, "logsvc/l-1/removed/6-9");
    assert_eq!(taken[6].message, "m9");
}

#[tokio::test]
async fn what_was_removed_before_forwarding_began_is_not_missed() {
    let (log, stub, folder) = (Log::of(5), Stub::new(|_, _| Ok(0)), tempfile::tempdir().unwrap());
    log.remove(1..3);
    let forwarder = forward(&log, stub.serve().await, folder.path());

    eventually("all arrived", || forwarder.status().lag == 0).await;

    assert_eq!(stub.messages(), numbered(3..6));
}

#[tokio::test]
async fn broken_connections_and_a_receiver_that_comes_late_cost_nothing() {
    let listener = TcpListener::bind(SocketAddr::from(([127, 0, 0, 1], 0))).await.unwrap();
    let address = listener.local_addr().unwrap();
    let (log, stub, folder) = (Log::of(10), Stub::new(|_, _| Ok(0)), tempfile::tempdir().unwrap());
    let forwarder = forward(&log, address, folder.path());

    for n in 0..3 {
        let (mut connection, _) = listener.accept().await.unwrap();
        // At once, before the preface is answered, and in the middle of it.
        if n > 0 {
            let mut preface = vec![0; 24 * n];
            let _some = tokio::io::AsyncReadExt::read(&mut connection, &mut preface).await;
        }
    }
    stub.serve_on(listener);
    eventually("all arrived", || forwarder.status().lag == 0).await;

    assert_eq!((stub.messages(), forwarder.status().refused), (numbered(1..11), 0));
    forwarder.stop().await;
}

#[tokio::test]
async fn stopping_does_not_wait_for_a_receiver_that_says_nothing() {
    let listener = TcpListener::bind(SocketAddr::from(([127, 0, 0, 1], 0))).await.unwrap();
    let (log, folder) = (Log::of(10), tempfile::tempdir().unwrap());
    let forwarder = forward(&log, listener.local_addr().unwrap(), folder.path());
    let _silent = listener.accept().await.unwrap();

    tokio::time::timeout(Duration::from_secs(5), forwarder.stop()).await.expect("it is bounded");
}

#[test]
fn an_address_that_nothing_could_reach_is_refused_with_words() {
    for (endpoint, words) in [
        ("https://collector:4317", "cannot do yet"),
        ("collector:4317", "looks like http://collector:4317"),
        ("http://collector:4317/v1/logs", "looks like http://collector:4317"),
        ("grpc://collector", "looks like http://collector:4317"),
        ("http://", "is no URL"),
    ] {
        let error = format!("{:#}", check(endpoint).expect_err(endpoint));
        assert!(error.contains(words), "{endpoint}: {error}");
    }
    check("http://collector:4317").unwrap();
    check("http://collector:4317/").unwrap();
}

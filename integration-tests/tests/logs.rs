//! The log: everybody's records arrive, once, and nothing waits for it.

mod commands;
mod crashes;
mod disk;
mod mirror;
mod otlp;
mod query;
mod search;
mod ship;
mod statistics;
mod tail;

use anyhow::Context as _;
use harness::eventually;
use harness::system::{Options, Role, System};
use mesh::Refusal;
use proto::logs::ship_request::Part;
use proto::logs::tail_request::Start;
use proto::logs::{Filter, Level, LogRecord, RecordBatch, ShipHeader, ShipRequest, TailRequest};
use proto::products::CreateProductRequest;

/// The header of a shipment of the service `tests`.
fn header(producer: &str, first: u64) -> ShipHeader {
    ShipHeader {
        producer: producer.into(),
        incarnation: 1,
        first_sequence: first,
        service: "tests".into(),
        instance_id: producer.into(),
        ..Default::default()
    }
}

/// One record.
fn record(sequence: u64, message: &str) -> LogRecord {
    LogRecord {
        sequence,
        level: Level::Info.into(),
        target: "tests::logs".into(),
        message: message.to_owned(),
        ..Default::default()
    }
}

fn shipment(producer: &str, first: u64, messages: &[&str]) -> Vec<ShipRequest> {
    let records = messages.iter().zip(first..=u64::MAX).map(|(message, sequence)| record(sequence, message)).collect();
    [Part::Header(header(producer, first)), Part::Batch(RecordBatch { records })]
        .into_iter()
        .map(|part| ShipRequest { part: Some(part) })
        .collect()
}

async fn create(system: &System, sku: &str) -> anyhow::Result<()> {
    let request =
        CreateProductRequest { name: "Level".into(), category: "Tools".into(), sku: sku.into(), ..Default::default() };
    system.products().create_product(request).await?;
    Ok(())
}

fn count(log: &str, text: &str) -> usize {
    log.lines().filter(|line| line.contains(text)).count()
}

/// The file follows the log by a moment.
async fn in_the_file(system: &System, wanted: usize) {
    eventually("the file has each record once", async || {
        let found = count(&system.app_log(), " tests/p1#");
        anyhow::ensure!(found == wanted, "{found} of {wanted}");
        Ok(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn records_of_all_four_are_in_the_file_with_the_request_they_belong_to() -> anyhow::Result<()> {
    let system = System::start().await?;

    create(&system, "SKU-1").await?;

    eventually("all four have spoken", async || {
        let log = system.app_log();
        for service in ["registry/", "logsvc/", "productsvc/", "portal/"] {
            anyhow::ensure!(log.contains(&format!(" {service}")), "nothing of {service} in:\n{log}");
        }
        Ok(())
    })
    .await;
    eventually("the change says for which request it was", async || {
        let log = system.app_log();
        let line = log.lines().find(|line| line.contains("created product")).with_context(|| log.clone())?;
        anyhow::ensure!(
            line.contains("product.id=1") && line.contains("request_id=") && line.contains("trace_id="),
            "{line}"
        );
        Ok(())
    })
    .await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_waits_for_a_missing_log_service_and_its_records_arrive_later_once() -> anyhow::Result<()> {
    let mut system = System::start().await?;
    eventually("it has begun", async || {
        anyhow::ensure!(system.app_log().contains("portal/"));
        Ok(())
    })
    .await;

    system.kill(Role::Logs).await?;
    for n in 0..20 {
        create(&system, &format!("SKU-{n}")).await?;
    }
    assert_eq!(count(&system.app_log(), "created product"), 0);
    system.launch(Role::Logs).await?;

    eventually("all 20 are there", async || {
        let found = count(&system.app_log(), "created product");
        anyhow::ensure!(found >= 20, "{found}");
        Ok(())
    })
    .await;
    assert_eq!(count(&system.app_log(), "created product"), 20, "none twice");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_acknowledged_is_on_disk_and_what_is_sent_again_is_stored_once() -> anyhow::Result<()> {
    let mut system = System::start().await?;

    let first = system.logs().ship(tokio_stream::iter(shipment("p1", 1, &["one", "two"]))).await?.into_inner();
    assert_eq!((first.acknowledged_sequence, first.stored), (2, 2));
    in_the_file(&system, 2).await;

    system.kill(Role::Logs).await?;
    system.launch(Role::Logs).await?;
    let again = eventually("it is back", async || {
        Ok(system.logs().ship(tokio_stream::iter(shipment("p1", 2, &["two", "three"]))).await?.into_inner())
    })
    .await;
    assert_eq!(again.acknowledged_sequence, 3);
    in_the_file(&system, 3).await;

    let hole =
        system.logs().ship(tokio_stream::iter(shipment("p1", 9, &["nine"]))).await.expect_err("4 to 8 are missing");
    assert_eq!(Refusal::reason(&hole).as_deref(), Some("SEQUENCE_HOLE"));
    assert_eq!(Refusal::metadata_of(&hole, "expected").as_deref(), Some("4"));
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_tail_shows_the_last_records_and_then_each_new_one() -> anyhow::Result<()> {
    let system = System::start().await?;
    system.logs().ship(tokio_stream::iter(shipment("p1", 1, &["one", "two", "three"]))).await?;

    let filter = Some(Filter { services: vec!["tests".into()], ..Default::default() });
    let request = TailRequest { start: Some(Start::Last(2)), filter, ..Default::default() };
    let mut tail = system.logs().tail(request).await?.into_inner();
    let mut seen = Vec::new();
    while seen.len() < 2 {
        let message = tail.message().await?.context("it ended")?;
        seen.extend(message.records.into_iter().filter_map(|stored| stored.record).map(|record| record.message));
    }
    assert_eq!(seen, ["two", "three"]);

    system.logs().ship(tokio_stream::iter(shipment("p1", 4, &["line\nfeed \u{1b}[31m"]))).await?;
    let record = loop {
        let message = tail.message().await?.context("it ended")?;
        if let Some(stored) = message.records.into_iter().next() {
            break stored.record.context("a record")?;
        }
    };
    assert_eq!(record.message, "line\nfeed \u{1b}[31m", "readers get what was said");
    eventually("the file is harmless", async || {
        anyhow::ensure!(system.app_log().contains("line\\nfeed \\u{1b}[31m"));
        Ok(())
    })
    .await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn shipping_never_feeds_on_its_own_events() -> anyhow::Result<()> {
    let system = System::with(Options {
        settings: vec![("RUNDOO_LOG", "info,h2=trace,hyper=trace,tonic=trace,tower=trace,mesh=trace".into())],
        ..Options::default()
    })
    .await?;
    create(&system, "SKU-1").await?;
    eventually("records have travelled", async || {
        anyhow::ensure!(system.app_log().contains("created product"));
        Ok(())
    })
    .await;

    // The receiver speaks of shipments at TRACE; a sender that did would never stop.
    let log = system.app_log();
    assert!(
        log.lines().filter(|line| line.contains("LogService/Ship")).all(|line| line.contains(" logsvc/")),
        "only the receiver speaks of it"
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_last_words_of_a_stopped_service_are_kept() -> anyhow::Result<()> {
    let mut system = System::start().await?;

    system.stop(Role::Products(0)).await?;

    eventually("its last words are there", async || {
        let log = system.app_log();
        anyhow::ensure!(log.lines().any(|line| line.contains("productsvc/") && line.ends_with("stopping")), "{log}");
        Ok(())
    })
    .await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn malformed_shipments_are_refused_and_harm_nobody() -> anyhow::Result<()> {
    let system = System::start().await?;
    let ship = async |parts: Vec<ShipRequest>| system.logs().ship(tokio_stream::iter(parts)).await;
    let whole = |first| shipment("p1", first, &["one"]);

    let headless = ship(whole(1).split_off(1)).await.expect_err("no header");
    let two_headers = ship([whole(1), whole(2)].concat()).await.expect_err("two headers");
    let lying = ship(vec![whole(5)[0].clone(), whole(1)[1].clone()]).await.expect_err("it announced 5");
    let zero = ship(whole(0)).await?.into_inner();
    let last = ship(whole(u64::MAX)).await?.into_inner();
    let after = ship(whole(u64::MAX)).await?.into_inner();

    assert_eq!(Refusal::reason(&headless).as_deref(), Some("HEADER_EXPECTED"));
    assert_eq!(Refusal::reason(&two_headers).as_deref(), Some("HEADER_EXPECTED"));
    assert_eq!(Refusal::fields(&lying)[0].0, "first_sequence");
    assert_eq!((zero.stored, zero.refused.len()), (0, 1));
    assert_eq!((last.stored, after.stored, after.duplicates), (1, 0, 1));
    system.check_health().await
}

//! OTLP with programs that are not ours: OpenTelemetry's SDK for Python logs here, a receiver
//! made from its own contracts is fed from here, and segments go to a server that speaks S3.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Stdio;

use anyhow::Context as _;
use harness::bucket::{Bucket, python};
use harness::system::{Options, Role, System, free_port, loopback};
use harness::{binaries, eventually};
use proto::logs::field::Kind;
use proto::logs::query_response::Part as Found;
use proto::logs::ship_request::Part;
use proto::logs::tail_request::Start;
use proto::logs::{
    Filter, GetStatisticsRequest, Level, LogRecord, Order, QueryRequest, RecordBatch, ShipHeader, ShipRequest,
    StoredRecord, TailRequest,
};
use serde_json::Value as Json;
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{Child, Command};

fn script(name: &str) -> PathBuf {
    binaries::root().join("integration-tests/tests/logs/otlp").join(name)
}

/// Runs a script to its end. Answers what it printed.
async fn run(python: &Path, name: &str, arguments: &[&str]) -> anyhow::Result<String> {
    let output = Command::new(python).arg(script(name)).args(arguments).kill_on_drop(true).output().await?;
    anyhow::ensure!(output.status.success(), "{name}: {}", String::from_utf8_lossy(&output.stderr));
    Ok(String::from_utf8(output.stdout)?)
}

/// A receiver that runs. It is killed when this is dropped.
struct Receiver {
    child: Child,
}

impl Receiver {
    /// Answers the first `refuse` calls with UNAVAILABLE, and loses each `lose`-th of the other answers.
    async fn start(python: &Path, port: u16, file: &Path, (refuse, lose): (u32, u32)) -> anyhow::Result<Self> {
        let mut child = Command::new(python)
            .arg(script("receiver.py"))
            .args([port.to_string(), file.display().to_string(), refuse.to_string(), lose.to_string()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()?;
        let stdout = child.stdout.take().context("it has an output")?;
        let line = BufReader::new(stdout).lines().next_line().await?;
        anyhow::ensure!(line.as_deref() == Some("serving"), "the receiver did not start");
        Ok(Self { child })
    }

    async fn kill(mut self) -> anyhow::Result<()> {
        Ok(self.child.kill().await?)
    }
}

/// What a receiver wrote of one service; half a line that it died over is none.
fn received(file: &Path, service: &str) -> Vec<Json> {
    let text = std::fs::read_to_string(file).unwrap_or_default();
    let lines = text.lines().filter_map(|line| serde_json::from_str::<Json>(line).ok());
    lines.filter(|line| line["service"] == service).collect()
}

fn uid(line: &Json) -> String {
    line["attributes"]["log.record.uid"].as_str().unwrap_or_default().to_owned()
}

async fn ship(system: &System, producer: &str, (first, count): (u64, u64)) -> anyhow::Result<()> {
    let header = ShipHeader {
        producer: producer.into(),
        incarnation: 1,
        first_sequence: first,
        service: "tests".into(),
        instance_id: producer.into(),
        ..Default::default()
    };
    let record = |sequence: u64| LogRecord {
        sequence,
        level: Level::Info.into(),
        target: "tests::otlp".into(),
        message: format!("message {sequence}"),
        ..Default::default()
    };
    let records: Vec<LogRecord> = (first..first + count).map(record).collect();
    let batches = records.chunks(500).map(|records| Part::Batch(RecordBatch { records: records.to_vec() }));
    let parts: Vec<ShipRequest> =
        [Part::Header(header)].into_iter().chain(batches).map(|part| ShipRequest { part: Some(part) }).collect();
    let reply = system.logs().ship(tokio_stream::iter(parts)).await?.into_inner();
    anyhow::ensure!(reply.acknowledged_sequence == first + count - 1, "{reply:?}");
    Ok(())
}

fn of_python() -> Option<Filter> {
    Some(Filter { services: vec!["python-shop".into()], ..Default::default() })
}

async fn query(system: &System) -> anyhow::Result<Vec<StoredRecord>> {
    let request = QueryRequest {
        filter: of_python(),
        order: Order::OldestFirst.into(),
        page_size: 10_000,
        page_token: String::new(),
    };
    let mut answer = system.logs().query(request).await?.into_inner();
    let mut rows = Vec::new();
    while let Some(message) = answer.message().await? {
        if let Some(Found::Rows(found)) = message.part {
            rows.extend(found.records);
        }
    }
    Ok(rows)
}

async fn tail(system: &System) -> anyhow::Result<Vec<StoredRecord>> {
    let request = TailRequest { start: Some(Start::Last(5000)), filter: of_python(), no_follow: true };
    let mut answer = system.logs().tail(request).await?.into_inner();
    let mut rows = Vec::new();
    while let Some(message) = answer.message().await? {
        rows.extend(message.records);
    }
    Ok(rows)
}

fn field<'a>(record: &'a LogRecord, name: &str) -> Option<(&'a str, Kind)> {
    record.fields.iter().find(|field| field.name == name).map(|field| (field.value.as_str(), field.kind()))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn any_opentelemetry_sdk_can_log_here() -> anyhow::Result<()> {
    let Some(python) = python("the SDK that logs over OTLP") else { return Ok(()) };
    let system = System::start().await?;
    let endpoint = format!("http://{}", system.address(Role::Logs)?);

    let told: Json = serde_json::from_str(&run(&python, "export.py", &[&endpoint, "1000"]).await?)?;

    // What was acknowledged is found at once.
    let rows = query(&system).await?;
    assert_eq!(rows.len(), 1000);
    assert_eq!(tail(&system).await?, rows);
    for (number, row) in rows.iter().enumerate() {
        let record = row.record.as_ref().context("a record")?;
        assert_eq!((row.service.as_str(), row.instance_id.as_str()), ("python-shop", "py-1"));
        assert_eq!(record.level, [5, 9, 13, 18][number % 4]);
        assert_eq!(
            (record.target.as_str(), &*record.trace_id, &*record.span_id),
            ("shop.cart", told["trace_id"].as_str().unwrap_or_default(), told["span_id"].as_str().unwrap_or_default(),)
        );
        assert_eq!(field(record, "item.number"), Some((&*number.to_string(), Kind::Integer)));
        assert_eq!(field(record, "item.price"), Some((&*format!("{:?}", number as f64 / 4.0), Kind::Float)));
        assert_eq!(field(record, "item.new"), Some((if number % 2 == 0 { "true" } else { "false" }, Kind::Boolean)));
        assert_eq!(field(record, "item.tags"), Some((r#"["a","b"]"#, Kind::Json)));
        assert_eq!(field(record, "otel.event_name"), Some(("item.sold", Kind::Unspecified)));
        assert_eq!(field(record, "otel.resource.host.name"), Some(("anvil", Kind::Unspecified)));
        assert_eq!(field(record, "log.record.uid"), Some((&*format!("uid-{number}"), Kind::Unspecified)));
    }
    let messages = |at: usize| rows[at].record.as_ref().map(|record| record.message.as_str());
    assert_eq!(messages(0), Some(r#"{"sold":[1,2.5,"three"]}"#));
    assert_eq!(messages(7), Some("sold item 7"));
    let severe = rows[3].record.as_ref().context("a record")?;
    assert_eq!(field(severe, "otel.severity_text"), Some(("SEVERE", Kind::Unspecified)));
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn everything_reaches_a_receiver_at_least_once_and_once_by_its_name() -> anyhow::Result<()> {
    let Some(python) = python("the receiver of forwarded records") else { return Ok(()) };
    let port = free_port()?;
    let settings = vec![("LOGSVC_FORWARD", format!("http://{}", loopback(port)))];
    let mut system = System::with(Options { settings, ..Options::default() }).await?;
    let file = system.folder().join("received.jsonl");
    let arrived = |count: usize| {
        let file = file.clone();
        async move || {
            let names: BTreeSet<String> = received(&file, "tests").iter().map(uid).collect();
            anyhow::ensure!(names.len() == count, "{} of {count} did", names.len());
            Ok(())
        }
    };

    // While the receiver is away, then while it refuses and loses answers.
    ship(&system, "p1", (1, 500)).await?;
    let receiver = Receiver::start(&python, port, &file, (2, 2)).await?;
    eventually("the first records arrived", arrived(500)).await;
    for part in 0..5 {
        ship(&system, "p1", (501 + part * 100, 100)).await?;
    }
    eventually("more arrived", arrived(1000)).await;

    // The receiver dies, then the log service; nobody knows how far they were.
    receiver.kill().await?;
    ship(&system, "p1", (1001, 300)).await?;
    system.kill(Role::Logs).await?;
    let _receiver = Receiver::start(&python, port, &file, (1, 0)).await?;
    system.launch(Role::Logs).await?;
    eventually("the log service is back", async || ship(&system, "p1", (1301, 200)).await).await;
    eventually("all arrived", arrived(1500)).await;

    let lines = received(&file, "tests");
    assert!(lines.len() > 1500, "an answer was lost, so some came twice");
    let mut said: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for line in &lines {
        said.entry(uid(line)).or_default().insert(line["body"].as_str().unwrap_or_default().to_owned());
    }
    let expected = (1..=1500).map(|n| (format!("p1/1/{n}"), BTreeSet::from([format!("message {n}")]))).collect();
    assert_eq!(said, expected, "each name is of one record, and each record has one name");
    assert_eq!((&lines[0]["scope"], &lines[0]["severity"]), (&"tests::otlp".into(), &9.into()));

    eventually("the statistics say so", async || {
        let statistics = system.logs().get_statistics(GetStatisticsRequest {}).await?.into_inner();
        let forwarding = statistics.forwarding.context("it forwards")?;
        anyhow::ensure!((forwarding.lag, forwarding.refused) == (0, 0), "{forwarding:?}");
        Ok(())
    })
    .await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sealed_segments_are_copied_to_a_bucket() -> anyhow::Result<()> {
    let Some(bucket) = Bucket::start("logs").await? else { return Ok(()) };
    let mut settings = bucket.settings();
    settings.push(("LOGSVC_COPY_TO", "s3://logs/rundoo/one".to_owned()));
    let mut system = System::prepare(Options { settings, ..Options::default() })?;
    for role in [Role::Logs, Role::Registry] {
        system.launch(role).await?;
    }
    system.ready().await;

    // A segment is 128 blocks of 2,048 records.
    const PIECE: u64 = 5000;
    for piece in 0..54 {
        ship(&system, "p1", (1 + piece * PIECE, PIECE)).await?;
    }

    eventually("a segment is there, as long as here", async || {
        let listed = bucket.list().await?;
        let statistics = system.logs().get_statistics(GetStatisticsRequest {}).await?.into_inner();
        let storage = statistics.storage.context("it stores")?;
        let copied: u64 = listed.values().sum();
        anyhow::ensure!(!listed.is_empty() && copied == storage.segment_bytes, "{listed:?} of {storage:?}");
        anyhow::ensure!(listed.keys().all(|name| name.starts_with("rundoo/one/")), "{listed:?}");
        Ok(())
    })
    .await;
    Ok(())
}

//! The whole stack beside a bare tonic echo, and records a second through Ship.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::Context as _;
use harness::load::{Outcome, Traffic};
use harness::system::{Options, Role, System};
use harness::{Program, binaries};
use proto::logs::ship_request::Part;
use proto::logs::{Level, LogRecord, RecordBatch, ShipHeader, ShipRequest};
use proto::products::{CreateProductRequest, GetProductRequest, ListProductsRequest};
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_client::HealthClient;

use crate::bench::measure::{Goal, Report};

/// Callers in the crowded measures.
const CROWD: usize = 64;

/// A typical record weighs about this.
const MESSAGE_BYTES: usize = 150;

/// Records in one shipment, as the shipper of the mesh sends them at most.
const SHIPMENT: u64 = 5000;

/// Runs all measures.
pub(crate) async fn run(each: Duration) -> anyhow::Result<bool> {
    let mut report = Report::new();
    let mut system = System::with(Options::default()).await?;
    idle(&mut system, &mut report).await?;
    let products = fill(&system).await?;

    // The bare echo first and last, so that drift of the machine shows.
    let echo = Echo::start()?;
    let before = echo.measure(CROWD, each).await?;
    let single_echo = echo.measure(1, each).await?;
    let get = measure(&system, CROWD, each, products, Call::Get).await;
    let single_get = measure(&system, 1, each, products, Call::Get).await;
    let list = measure(&system, CROWD, each, products, Call::List).await;
    let after = echo.measure(CROWD, each).await?;

    let bare = f64::midpoint(before.rate(), after.rate());
    report.add("echo_rate_64", bare, "requests/s", Goal::Stated);
    latencies(&mut report, "echo_1", &single_echo);
    report.add("get_product_rate_64", get.rate(), "requests/s", Goal::Stated);
    report.add("get_product_of_echo", get.rate() / bare * 100.0, "%", Goal::Stated);
    latencies(&mut report, "get_product_64", &get);
    latencies(&mut report, "get_product_1", &single_get);
    report.add("list_products_rate_64", list.rate(), "requests/s", Goal::Stated);
    latencies(&mut report, "list_products_64", &list);
    let failed = get.failed + list.failed + single_get.failed;
    report.add("failed_calls", failed as f64, "calls", Goal::AtMost(0.0));

    let (records, disk) = ship(&system, each).await?;
    report.add("ship_rate", records, "records/s", Goal::Stated);
    report.add("fdatasync_p50", disk.as_secs_f64() * 1e3, "ms", Goal::Stated);
    Ok(report.met())
}

fn latencies(report: &mut Report, name: &str, outcome: &Outcome) {
    for (quantile, share) in [("p50", 0.5), ("p99", 0.99)] {
        report.add(&format!("{name}_{quantile}"), outcome.quantile(share).as_secs_f64() * 1e6, "us", Goal::Stated);
    }
}

/// What the four processes take while nobody asks.
async fn idle(system: &mut System, report: &mut Report) -> anyhow::Result<()> {
    tokio::time::sleep(Duration::from_secs(3)).await;
    let mut pids = Vec::new();
    for role in [Role::Logs, Role::Registry, Role::Products(0), Role::Portal] {
        pids.push((role, system.process(role)?.pid().context("it runs")?));
    }
    let cpu = |pids: &[(Role, u32)]| pids.iter().map(|(_, pid)| cpu_ticks(*pid)).sum::<anyhow::Result<u64>>();
    let began = cpu(&pids)?;
    tokio::time::sleep(Duration::from_secs(10)).await;
    // The kernel counts in hundredths of a second.
    let percent = (cpu(&pids)? - began) as f64 / 100.0 / 10.0 * 100.0;
    let mut total = 0.0;
    for (role, pid) in pids {
        let memory = resident_mib(pid)?;
        total += memory;
        report.add(&format!("idle_memory_{}", role.service()), memory, "MiB", Goal::Stated);
    }
    report.add("idle_memory", total, "MiB", Goal::AtMost(100.0));
    report.add("idle_cpu", percent, "%", Goal::AtMost(2.0));
    Ok(())
}

fn cpu_ticks(pid: u32) -> anyhow::Result<u64> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat"))?;
    // The name before may hold spaces; the numbers begin after its bracket.
    let (_, numbers) = stat.rsplit_once(')').context("the kernel's format")?;
    let number = |n: usize| numbers.split_whitespace().nth(n).and_then(|text| text.parse::<u64>().ok());
    Ok(number(11).context("user time")? + number(12).context("system time")?)
}

fn resident_mib(pid: u32) -> anyhow::Result<f64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).context("VmRSS")?;
    let kib: f64 = line.split_whitespace().nth(1).context("a number")?.parse()?;
    Ok(kib / 1024.0)
}

/// Adds products and answers their ids.
async fn fill(system: &System) -> anyhow::Result<(i64, i64)> {
    let mut products = system.products();
    let mut ids = Vec::new();
    for n in 0..200 {
        let request = CreateProductRequest {
            name: format!("#8 x 1-5/8\" Coarse Drywall Screw, {n} lb"),
            category: "Fasteners/Drywall Screws".into(),
            sku: format!("FS-{n:05}"),
            request_id: String::new(),
        };
        ids.push(products.create_product(request).await?.into_inner().product.context("it was created")?.id);
    }
    Ok((ids[0], ids[ids.len() - 1]))
}

#[derive(Clone, Copy)]
enum Call {
    Get,
    List,
}

async fn measure(system: &System, callers: usize, each: Duration, (first, last): (i64, i64), call: Call) -> Outcome {
    let client = system.products();
    let traffic = Traffic::start(callers, Duration::ZERO, move || {
        let mut client = client.clone();
        async move {
            match call {
                Call::Get => drop(client.get_product(GetProductRequest { id: fastrand::i64(first..=last) }).await?),
                Call::List => {
                    drop(client.list_products(ListProductsRequest { page_size: 50, page_token: String::new() }).await?)
                }
            }
            Ok(())
        }
    });
    tokio::time::sleep(each).await;
    traffic.end().await
}

/// A bare tonic server in a process of its own, as the services are.
struct Echo {
    process: harness::Process,
}

impl Echo {
    fn start() -> anyhow::Result<Self> {
        let folder = binaries::folder()?;
        let process = Program::new(&folder, "echo", &std::env::temp_dir()).start()?;
        Ok(Self { process })
    }

    async fn measure(&self, callers: usize, each: Duration) -> anyhow::Result<Outcome> {
        let address =
            harness::eventually("the echo serves", async || self.process.find("serving gRPC on ").context("not yet"))
                .await;
        let channel = harness::health::connect(address.parse()?).await?;
        let traffic = Traffic::start(callers, Duration::ZERO, move || {
            let mut client = HealthClient::new(channel.clone());
            async move {
                client
                    .check(HealthCheckRequest { service: "a product's worth of bytes to carry there".into() })
                    .await?;
                Ok(())
            }
        });
        tokio::time::sleep(each).await;
        Ok(traffic.end().await)
    }
}

/// Records a second through Ship from four producers, each waiting for its acknowledgement, and the disk's own pace.
async fn ship(system: &System, each: Duration) -> anyhow::Result<(f64, Duration)> {
    let client = system.logs();
    let shipped = Arc::new(AtomicU64::new(0));
    let counter = shipped.clone();
    let producer = Arc::new(AtomicU64::new(0));
    let traffic = Traffic::start(4, Duration::ZERO, move || {
        let (mut client, counter) = (client.clone(), counter.clone());
        // A new producer with each shipment, so that none needs to know its sequence.
        let name = format!("bench-{}", producer.fetch_add(1, Ordering::Relaxed));
        async move {
            let answer = client.ship(tokio_stream::iter(shipment(&name))).await?.into_inner();
            counter.fetch_add(answer.stored, Ordering::Relaxed);
            Ok(())
        }
    });
    tokio::time::sleep(each).await;
    let outcome = traffic.end().await;
    anyhow::ensure!(outcome.failed == 0, "shipments failed: {:?}", outcome.failures);
    Ok((shipped.load(Ordering::Relaxed) as f64 / outcome.elapsed.as_secs_f64(), fdatasync(system)?))
}

fn shipment(producer: &str) -> Vec<ShipRequest> {
    let header = ShipHeader {
        producer: producer.to_owned(),
        incarnation: 1,
        first_sequence: 1,
        service: "bench".into(),
        instance_id: producer.to_owned(),
    };
    let time = Some(mesh::timestamp(jiff::Timestamp::now()));
    let record = |sequence| LogRecord {
        sequence,
        time,
        level: Level::Info.into(),
        target: "bench::load".into(),
        message: "x".repeat(MESSAGE_BYTES),
        ..Default::default()
    };
    let records: Vec<LogRecord> = (1..=SHIPMENT).map(record).collect();
    let batches = records.chunks(1000).map(|records| Part::Batch(RecordBatch { records: records.to_vec() }));
    std::iter::once(Part::Header(header)).chain(batches).map(|part| ShipRequest { part: Some(part) }).collect()
}

/// How long the disk takes to make 4 KiB durable.
fn fdatasync(system: &System) -> anyhow::Result<Duration> {
    use std::io::Write as _;
    let mut file = std::fs::File::create(system.folder().join("fdatasync"))?;
    let mut times = Vec::new();
    for _ in 0..100 {
        file.write_all(&[0; 4096])?;
        let began = std::time::Instant::now();
        file.sync_data()?;
        times.push(began.elapsed());
    }
    times.sort_unstable();
    Ok(times[times.len() / 2])
}

//! The shipper against a log service that is away, breaks, forgets and wishes.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use proto::logs::{LogRecord, ShipHints};
use tempfile::TempDir;
use tracing::Level;

use super::*;
use crate::channel::{Channel, Origin, Target};
use crate::chunk::{Chunk, Filling};
use crate::outbox::CAPACITY_BYTES;
use crate::record::{level, wire};
use crate::spool::{Owner, Spool};

mod stub;

use stub::Stub;

/// Far more than anything here takes; only a hang is longer.
const HANG: Duration = Duration::from_secs(30);

const ANY: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 0);

struct Process {
    identity: Identity,
    outbox: Arc<Outbox>,
    shipper: Shipper,
}

impl Process {
    fn start(address: SocketAddr, spool: Option<(&Path, u64)>) -> Self {
        Self::with(address, spool, None)
    }

    fn with(address: SocketAddr, spool: Option<(&Path, u64)>, levels: Option<Levels>) -> Self {
        let (identity, outbox) = (Identity::new("shop", "1.0.0"), Arc::<Outbox>::default());
        let join = move |identity| {
            let target = Target { service: LOGSVC, descriptors: proto::logs::DESCRIPTORS };
            Channel::sticky(target, &Origin::of(identity), (crate::tls::Peer::Any, &[address.to_string()]))
        };
        let spool = spool.map(|(folder, most_bytes)| SpoolAt { folder: folder.to_owned(), most_bytes });
        let (join, shipped) = (Box::new(join), outbox.clone());
        let shipping = Shipping { identity: identity.clone(), join, outbox: shipped, levels, spool };
        Self { identity, outbox, shipper: Shipper::start(shipping).unwrap() }
    }

    fn say(&self, level: Level, words: &str) {
        self.outbox.put(level, &encoded(level, words));
    }

    fn source(&self) -> (String, u64) {
        (self.identity.instance().to_owned(), self.identity.incarnation())
    }
}

fn encoded(said: Level, words: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    wire::number(&mut bytes, 3, level(said) as u64);
    wire::text(&mut bytes, 5, words);
    bytes
}

async fn eventually(what: &str, mut is_so: impl FnMut() -> bool) {
    let checked = async {
        while !is_so() {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    assert!(tokio::time::timeout(HANG, checked).await.is_ok(), "never: {what}");
}

async fn system() -> (Stub, SocketAddr, TempDir) {
    let stub = Stub::default();
    let address = stub.serve(ANY).await;
    (stub, address, tempfile::tempdir().unwrap())
}

/// Fails unless each number up to `last` is stored once, as a record or in a gap.
fn check_whole(stub: &Stub, source: &(String, u64), last: u64) {
    let state = stub.lock();
    let mut next = 1;
    for (record, _) in state.stored.get(source).into_iter().flatten() {
        assert_eq!(record.sequence, next);
        next += lost(record).max(1);
    }
    assert_eq!(next, last + 1);
}

fn lost(record: &LogRecord) -> u64 {
    record.lost.iter().map(|lost| lost.count).sum()
}

#[tokio::test]
async fn what_is_said_arrives_once_and_the_folder_goes() {
    let (stub, address, folder) = system().await;
    let process = Process::start(address, Some((folder.path(), 1 << 20)));
    let source = process.source();
    for number in 0..100 {
        process.say(Level::INFO, &number.to_string());
    }
    eventually("they are stored", || stub.lock().records().len() == 100).await;
    process.say(Level::ERROR, "the last");

    assert_eq!(process.shipper.stop().await, Left { records: 0, spooled: true });

    check_whole(&stub, &source, 101);
    assert_eq!(stub.lock().duplicates, 0);
    assert!(stub.lock().streams.iter().all(|(header, _)| header.sent.is_some() && !header.last_words));
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
}

#[tokio::test]
async fn a_log_service_that_starts_late_gets_everything() {
    let stub = Stub::default();
    let address = std::net::TcpListener::bind(ANY).unwrap().local_addr().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let process = Process::start(address, Some((folder.path(), 1 << 28)));
    let words = "x".repeat(1000);
    for _ in 0..6 {
        for _ in 0..2000 {
            process.say(Level::INFO, &words);
        }
        let own = folder.path().join(format!("shop-{}/open", process.identity.instance()));
        eventually("they are on disk", || process.outbox.is_taken() && own.exists()).await;
    }

    stub.serve(address).await;
    eventually("they are stored", || stub.lock().records().len() == 12_000).await;

    check_whole(&stub, &process.source(), 12_000);
    assert_eq!(process.shipper.stop().await.records, 0);
    assert_eq!(stub.lock().duplicates, 0);
    assert!(stub.lock().streams.iter().all(|(_, records)| *records <= 5000));
}

#[tokio::test]
async fn streams_that_break_anywhere_lose_and_repeat_nothing() {
    for seed in 0..8 {
        let (stub, address, folder) = system().await;
        let mut chance = fastrand::Rng::with_seed(seed);
        stub.lock().breaks = chance.u8(20..80);
        let spool = (seed % 2 == 0).then_some((folder.path(), 1 << 28));
        let process = Process::start(address, spool);
        let mut said = 0;
        for _ in 0..12 {
            for _ in 0..chance.u64(1..200) {
                process.say(if chance.u8(..50) == 0 { Level::ERROR } else { Level::DEBUG }, "something");
                said += 1;
            }
            tokio::time::sleep(Duration::from_millis(chance.u64(..30))).await;
        }
        stub.lock().breaks = 0;

        let source = process.source();
        eventually("everything is stored", || stub.lock().marks.get(&source) == Some(&said)).await;

        check_whole(&stub, &source, said);
        assert_eq!(process.shipper.stop().await.records, 0, "seed {seed}");
    }
}

#[tokio::test]
async fn a_log_service_that_forgot_is_told_what_is_missing() {
    let (stub, address, folder) = system().await;
    let process = Process::start(address, Some((folder.path(), 1 << 20)));
    process.say(Level::INFO, "one");
    process.say(Level::INFO, "two");
    eventually("they are stored", || stub.lock().records().len() == 2).await;
    eventually("that is known", || process.outbox.is_settled()).await;

    *stub.lock() = stub::State::default();
    process.say(Level::ERROR, "three");

    eventually("it is stored", || stub.lock().records().len() == 2).await;
    check_whole(&stub, &process.source(), 3);
    assert_eq!(lost(stub.lock().records()[0]), 2);
}

#[tokio::test]
async fn wishes_are_obeyed_until_they_end() {
    let (stub, address, _folder) = system().await;
    let applied = Arc::new(Mutex::new(Vec::new()));
    let seen = applied.clone();
    let levels = Levels::new(
        "info".parse().unwrap(),
        Box::new(move |levels| {
            seen.lock().unwrap().push(levels.to_string());
            true
        }),
    );
    let pause = Some(prost_types::Duration { seconds: 0, nanos: 1_000_000 });
    stub.lock().hints = ShipHints { pause, max_records: 7, levels: "debug".to_owned() };
    let process = Process::with(address, None, Some(levels));

    process.say(Level::ERROR, "first");
    eventually("levels are set", || *applied.lock().unwrap() == ["debug"]).await;
    for _ in 0..50 {
        process.say(Level::INFO, "more");
    }
    eventually("they are stored", || stub.lock().records().len() == 51).await;
    assert!(stub.lock().streams.iter().skip(1).all(|(_, records)| *records <= 7));
    stub.lock().hints = ShipHints::default();
    process.say(Level::ERROR, "last");

    eventually("levels are as before", || *applied.lock().unwrap() == ["debug", "info"]).await;
}

#[tokio::test]
async fn refused_records_are_forgotten() {
    let (stub, address, _folder) = system().await;
    stub.lock().refuses = Some(2);
    let process = Process::start(address, None);

    for _ in 0..3 {
        process.say(Level::ERROR, "something");
    }

    eventually("the others are stored", || stub.lock().records().len() == 2).await;
    assert_eq!(process.shipper.stop().await.records, 0);
}

#[tokio::test]
async fn who_is_told_to_wait_waits() {
    let (stub, address, _folder) = system().await;
    {
        let mut state = stub.lock();
        (state.is_away, state.retry_after) = (true, Some(Duration::from_secs(3600)));
    }
    let process = Process::start(address, None);
    process.say(Level::ERROR, "something");
    let said = process.outbox.clone();
    eventually("it was taken", || said.is_taken()).await;

    // At the end nobody waits for the log service, and without a spool it is lost.
    assert_eq!(process.shipper.stop().await, Left { records: 1, spooled: false });
}

#[tokio::test]
async fn last_words_are_shipped_by_the_next_start_and_marked() {
    let (stub, address, folder) = system().await;
    let identity = Identity::new("shop", "0.9.0");
    let mut spool = Spool::create(folder.path(), &Owner::of(&identity)).unwrap();
    let chunks: Vec<Chunk> = (0..3).map(|part| chunk(part * 10 + 1, 10)).collect();
    assert!(spool.seal(&chunks[0], 1 << 20).unwrap() && spool.seal(&chunks[1], 1 << 20).unwrap());
    spool.write_through(&chunks[2..]).unwrap();
    drop(spool);
    let gone = (identity.instance().to_owned(), identity.incarnation());
    // The first of them were stored before the crash.
    stub.lock().marks.insert(gone.clone(), 5);

    let process = Process::start(address, Some((folder.path(), 1 << 20)));
    process.say(Level::ERROR, "I live");

    eventually("all are stored", || stub.lock().records().len() == 26).await;
    {
        let state = stub.lock();
        assert!(state.stored[&gone].iter().all(|(_, last_words)| *last_words));
        let sequences: Vec<u64> = state.stored[&gone].iter().map(|(record, _)| record.sequence).collect();
        assert_eq!(sequences, (6..=30).collect::<Vec<_>>());
        assert_eq!((state.asked, state.duplicates), (1, 0));
        let (header, _) = state.streams.iter().find(|(header, _)| header.last_words).unwrap();
        assert_eq!((header.instance_id.as_str(), header.service.as_str()), (identity.instance(), "shop"));
    }
    let left_behind = folder.path().join(format!("shop-{}", identity.instance()));
    eventually("the folder is gone", || !left_behind.exists()).await;
    assert_eq!(process.shipper.stop().await.records, 0);
}

fn chunk(first: u64, count: u64) -> Chunk {
    let mut filling = Filling::default();
    for sequence in first..first + count {
        filling.push(&encoded(Level::INFO, "before the crash"), sequence, level(Level::INFO));
    }
    filling.finish()
}

#[tokio::test]
async fn what_a_stop_leaves_behind_waits_for_the_next_start() {
    let (stub, address, folder) = system().await;
    stub.lock().is_away = true;
    let first = Process::start(address, Some((folder.path(), 1 << 20)));
    let source = first.source();
    for _ in 0..10 {
        first.say(Level::INFO, "unheard");
    }
    assert_eq!(first.shipper.stop().await, Left { records: 10, spooled: true });

    stub.lock().is_away = false;
    let second = Process::start(address, Some((folder.path(), 1 << 20)));

    eventually("they are stored", || stub.lock().records().len() == 10).await;
    check_whole(&stub, &source, 10);
    assert_eq!(second.shipper.stop().await.records, 0);
}

#[tokio::test]
async fn a_full_spool_keeps_its_bound_and_every_loss_is_declared() {
    let (stub, address, folder) = system().await;
    stub.lock().is_away = true;
    let most = 2 << 20;
    let process = Process::start(address, Some((folder.path(), most)));
    let mut chance = fastrand::Rng::with_seed(1);
    let (mut said, mut by_level) = (0, BTreeMap::new());
    // Twice what memory and spool hold together.
    while said < 2 * (CAPACITY_BYTES as u64 + 2 * most) / 4096 {
        let level = [Level::DEBUG, Level::INFO, Level::WARN, Level::ERROR][chance.usize(..4)];
        let words: String = (0..4096).map(|_| chance.alphanumeric()).collect();
        process.say(level, &words);
        *by_level.entry(crate::record::level(level) as i32).or_insert(0) += 1;
        said += 1;
        if said % 100 == 0 {
            eventually("they are taken", || process.outbox.is_taken()).await;
        }
    }
    let own = folder.path().join(format!("shop-{}", process.identity.instance()));
    let files = std::fs::read_dir(own).unwrap().flatten().filter(|file| file.file_name() != "open");
    assert!(files.map(|file| file.metadata().unwrap().len()).sum::<u64>() <= most + 4096);

    stub.lock().is_away = false;
    let source = process.source();
    eventually("the rest is stored", || stub.lock().marks.get(&source) == Some(&said)).await;

    check_whole(&stub, &source, said);
    let mut counted = BTreeMap::new();
    for record in stub.lock().records() {
        if record.lost.is_empty() {
            *counted.entry(record.level).or_insert(0) += 1;
        }
        for lost in &record.lost {
            *counted.entry(lost.level).or_insert(0) += lost.count;
        }
    }
    assert_eq!(counted, by_level);
    assert!(stub.lock().records().iter().any(|record| lost(record) > 0));
}

#[tokio::test]
async fn a_spool_that_cannot_be_written_costs_nothing_but_itself() {
    let (stub, address, folder) = system().await;
    let file = folder.path().join("file");
    std::fs::write(&file, "no folder").unwrap();
    let process = Process::start(address, Some((&file, 1 << 20)));

    process.say(Level::INFO, "one");

    eventually("it is stored", || stub.lock().records().len() == 1).await;
    assert_eq!(process.shipper.stop().await.records, 0);
}

#[tokio::test]
async fn a_panic_finds_its_words_on_disk() {
    let (stub, address, folder) = system().await;
    stub.lock().is_away = true;
    let process = Process::start(address, Some((folder.path(), 1 << 20)));
    let own = folder.path().join(format!("shop-{}/open", process.identity.instance()));
    eventually("there is a spool", || own.exists()).await;
    process.say(Level::ERROR, "panicked");
    let outbox = process.outbox.clone();

    tokio::task::spawn_blocking(move || outbox.wait_written(HANG)).await.unwrap();

    let written = std::fs::read(own).unwrap();
    assert!(written.windows(8).any(|words| words == b"panicked"));
}

/// Counts what is said on shipping threads, but for their own voice.
struct Counter;

static COUNTED: AtomicUsize = AtomicUsize::new(0);

impl<S: tracing::Subscriber> tracing_subscriber::Layer<S> for Counter {
    fn on_event(&self, event: &tracing::Event<'_>, _: tracing_subscriber::layer::Context<'_, S>) {
        let is_voice = event.metadata().target().ends_with("shipping::voice");
        if std::thread::current().name() == Some("log shipper") && !is_voice {
            COUNTED.fetch_add(1, Ordering::Relaxed);
        }
    }
}

#[tokio::test]
async fn shipping_says_nothing_of_itself_at_any_level() {
    use tracing_subscriber::layer::SubscriberExt as _;
    tracing::subscriber::set_global_default(tracing_subscriber::registry().with(Counter)).unwrap();
    let (stub, address, folder) = system().await;
    let process = Process::start(address, Some((folder.path(), 1 << 20)));

    for number in 1..=100 {
        process.say(Level::ERROR, "now");
        eventually("it is stored", || stub.lock().records().len() == number).await;
    }
    process.shipper.stop().await;

    assert_eq!(COUNTED.load(Ordering::Relaxed), 0);
}

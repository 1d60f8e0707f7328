//! Records as services write them: some 220 bytes each, the same ones again for the same seed.
//!
//! A record belongs to a request of about five records, which share request id and
//! trace id. Messages are sentences with numbers and words in them, fields hold the
//! same values. Levels: TRACE 2 %, DEBUG 30, INFO 60, WARN 6, ERROR 2, and one FATAL
//! in 20,000.

use fastrand::Rng;
use proto::logs::{Field, Level, LogRecord};

/// Records of one request, about.
const PER_REQUEST: u32 = 5;

/// One record in so many is FATAL.
const FATAL_IN: u32 = 20_000;

/// Words that messages are made of, as a store's catalogue has them.
const WORDS: [&str; 32] = [
    "hinge",
    "screw",
    "stud",
    "elbow",
    "primer",
    "drywall",
    "copper",
    "galvanized",
    "washer",
    "hammer",
    "level",
    "bracket",
    "lumber",
    "plywood",
    "adhesive",
    "sealant",
    "fitting",
    "valve",
    "anchor",
    "rivet",
    "shingle",
    "gutter",
    "insulation",
    "caulk",
    "trowel",
    "mortar",
    "grout",
    "faucet",
    "socket",
    "conduit",
    "breaker",
    "dowel",
];

/// Parts of programs that speak.
const TARGETS: [&str; 8] = [
    "productsvc::store",
    "productsvc::service",
    "mesh::channel::attempts",
    "mesh::layers::limit",
    "portal::pages::list",
    "registry::leases",
    "orders::checkout",
    "orders::payment::client",
];

/// What one instance of a service logs.
#[derive(Debug, Clone)]
pub struct Generator {
    random: Rng,
    left_of_request: u32,
    request_id: String,
    trace_id: String,
    span_id: String,
}

impl Generator {
    /// Begins anew with this seed.
    pub fn new(seed: u64) -> Self {
        let (request_id, trace_id, span_id) = Default::default();
        Self { random: Rng::with_seed(seed), left_of_request: 0, request_id, trace_id, span_id }
    }

    /// The next record, said at `nanoseconds` since 1970. Its sequence number is for its producer to give.
    pub fn next(&mut self, nanoseconds: i64) -> LogRecord {
        if self.left_of_request == 0 {
            self.begin_request();
        }
        self.left_of_request -= 1;
        let level = self.level();
        let (message, fields) = self.words();
        let time = prost_types::Timestamp {
            seconds: nanoseconds.div_euclid(1_000_000_000),
            nanos: i32::try_from(nanoseconds.rem_euclid(1_000_000_000)).unwrap_or_default(),
        };
        LogRecord {
            time: Some(time),
            level: level.into(),
            target: (*self.pick(&TARGETS)).to_owned(),
            message,
            fields,
            request_id: self.request_id.clone(),
            trace_id: self.trace_id.clone(),
            span_id: self.span_id.clone(),
            ..Default::default()
        }
    }

    fn begin_request(&mut self) {
        self.left_of_request = self.random.u32(1..2 * PER_REQUEST);
        let id = uuid::Builder::from_random_bytes(self.random.u128(..).to_ne_bytes()).into_uuid();
        self.request_id = id.to_string();
        self.trace_id = format!("{:032x}", self.random.u128(..));
        self.span_id = format!("{:016x}", self.random.u64(..));
    }

    fn level(&mut self) -> Level {
        if self.random.u32(0..FATAL_IN) == 0 {
            return Level::Fatal;
        }
        match self.random.u32(0..100) {
            0..2 => Level::Trace,
            2..32 => Level::Debug,
            32..92 => Level::Info,
            92..98 => Level::Warn,
            _ => Level::Error,
        }
    }

    /// A sentence, and the fields that it speaks of.
    fn words(&mut self) -> (String, Vec<Field>) {
        let (id, time) = (self.random.u32(1..200_000), self.random.u32(40..9_000));
        let (one, other) = (*self.pick(&WORDS), *self.pick(&WORDS));
        match self.random.u32(0..6) {
            0 => (
                format!("created product {id} in category {one}"),
                vec![integer("product.id", id), text("category", one)],
            ),
            1 => (
                format!("answered ListProducts with {} rows of {one} in {time} us", id % 100),
                vec![integer("elapsed_us", time), text("category", one), integer("rows", id % 100)],
            ),
            2 => (
                format!("looked up {one} {other}, found product {id}"),
                vec![integer("product.id", id), integer("elapsed_us", time)],
            ),
            3 => (
                format!("call to 10.0.{}.{}:{} took {time} us", id % 16, time % 256, 20_000 + id % 64),
                vec![text("rpc.method", "GetProduct"), integer("elapsed_us", time), integer("attempt", 1 + id % 3)],
            ),
            4 => (
                format!("price of {one} {other} changed to {}.{:02}", id % 500, time % 100),
                vec![integer("product.id", id), text("currency", "USD")],
            ),
            _ => (
                format!("lease of instance {id:05x} renewed, {one} queue holds {}", time % 90),
                vec![text("instance", one), integer("queue", time % 90)],
            ),
        }
    }

    fn pick<'a>(&mut self, from: &'a [&'static str]) -> &'a &'static str {
        &from[self.random.usize(..from.len())]
    }
}

fn text(name: &str, value: &str) -> Field {
    Field { name: name.to_owned(), value: value.to_owned(), ..Default::default() }
}

fn integer(name: &str, value: u32) -> Field {
    let kind = proto::logs::field::Kind::Integer.into();
    Field { name: name.to_owned(), value: value.to_string(), kind }
}

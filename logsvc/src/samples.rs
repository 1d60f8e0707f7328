//! Random entries and records, for tests.

use std::sync::Arc;

use fastrand::Rng;
use proto::logs::field::Kind;
use proto::logs::{Field, Level, LevelCount, LogRecord};

use crate::entry::{Entry, Source, normalise, timestamp};

/// Words that are found in any case, next to others, and beyond ASCII.
const WORDS: [&str; 14] = [
    "created",
    "product",
    "Product",
    "PRODUCT",
    "2x4",
    "stud",
    "été",
    "ÉTÉ",
    "straße",
    "½",
    "a",
    "reproduct",
    "producté",
    "12",
];

const BETWEEN: [&str; 7] = [" ", "-", "/", ": ", "\n", "→", " \u{1b}[31m"];

/// Nanoseconds since 1970 of 2026-11-25.
pub(crate) const TODAY: i64 = 1_795_564_800_000_000_000;

/// A source among a few.
pub(crate) fn source(random: &mut Rng) -> Arc<Source> {
    let service = ["portal", "productsvc", "registry"][random.usize(..3)];
    let instance = format!("i{}", random.u32(..3));
    let source = Source::parse(service.into(), instance.clone(), format!("{service}.{instance}"), 1).unwrap();
    Arc::new(Source { last_words: random.u32(..10) == 0, ..source })
}

/// Words with something between them.
pub(crate) fn text(random: &mut Rng) -> String {
    (0..random.usize(..6))
        .map(|_| format!("{}{}", WORDS[random.usize(..WORDS.len())], BETWEEN[random.usize(..BETWEEN.len())]))
        .collect()
}

/// One of the words.
pub(crate) fn word(random: &mut Rng) -> &'static str {
    WORDS[random.usize(..WORDS.len())]
}

/// An id among a few; often none.
pub(crate) fn id(random: &mut Rng, digits: usize) -> String {
    match random.u32(..4) {
        0 => String::new(),
        1 => "not hexadecimal".to_owned(),
        _ => format!("{:0digits$x}", random.u32(..5)),
    }
}

/// A record as it is stored.
pub(crate) fn record(random: &mut Rng, sequence: u64) -> LogRecord {
    let lost = match random.u32(..20) {
        0 => vec![LevelCount { level: Level::Info.into(), count: random.u64(1..5) }],
        _ => Vec::new(),
    };
    let field = |random: &mut Rng| Field {
        name: ["product.id", "name", "é"][random.usize(..3)].to_owned(),
        value: text(random),
        kind: Kind::try_from(random.i32(0..6)).unwrap().into(),
    };
    let mut record = LogRecord {
        sequence,
        time: Some(timestamp(TODAY + random.i64(-1_000_000_000..1_000_000_000))),
        level: random.i32(1..=24),
        target: ["productsvc::store", "mesh", "portal::product"][random.usize(..3)].to_owned(),
        message: text(random),
        fields: (0..random.usize(..4)).map(|_| field(random)).collect(),
        request_id: id(random, 16),
        trace_id: id(random, 32),
        span_id: id(random, 16),
        cut: random.bool(),
        lost,
    };
    normalise(&mut record, TODAY);
    record
}

/// Entries with offsets that follow one another.
pub(crate) fn entries(random: &mut Rng, first_offset: u64, count: u64) -> Vec<Entry> {
    let mut received = TODAY;
    let mut entry = |offset| {
        received += random.i64(0..1_000_000);
        Entry { offset, received, source: source(random), record: record(random, offset * 3) }
    };
    (first_offset..first_offset + count).map(&mut entry).collect()
}

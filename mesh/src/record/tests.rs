//! What an event becomes on the wire.

use std::sync::{Arc, Mutex};

use http::HeaderMap;
use prost::Message as _;
use proto::logs::LogRecord;
use tracing::Subscriber;
use tracing_subscriber::layer::{Context, Layer, SubscriberExt as _};

use super::*;

#[derive(Clone, Default)]
struct Kept(Arc<Mutex<Vec<LogRecord>>>);

impl<S: Subscriber> Layer<S> for Kept {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        encode(event, |Record { bytes, shown }| {
            let (record, shown) = (LogRecord::decode(bytes).unwrap(), LogRecord::decode(shown).unwrap());
            assert_eq!((&shown.time, &shown.level, &shown.target), (&record.time, &record.level, &record.target));
            assert_eq!(shown.message, record.message);
            self.0.lock().unwrap().push(record);
        });
    }
}

fn records(say: impl FnOnce()) -> Vec<LogRecord> {
    let kept = Kept::default();
    tracing::subscriber::with_default(tracing_subscriber::registry().with(kept.clone()), say);
    kept.0.lock().unwrap().clone()
}

#[test]
fn an_event_is_what_was_said_with_kinds_in_order() {
    let records = records(|| {
        tracing::warn!(target: "shop", name = "saw", count = -3, weight = 1.5, sold = true, raw = &b"\xff\x00"[..], "sold {}", 7);
    });

    let [record] = &records[..] else { panic!("{records:?}") };
    assert_eq!((record.level(), record.target.as_str(), record.message.as_str()), (Level::Warn, "shop", "sold 7"));
    let fields: Vec<_> = record.fields.iter().map(|f| (f.name.as_str(), f.value.as_str(), f.kind())).collect();
    assert_eq!(
        fields,
        [
            ("name", "saw", Kind::Unspecified),
            ("count", "-3", Kind::Integer),
            ("weight", "1.5", Kind::Float),
            ("sold", "true", Kind::Boolean),
            ("raw", "/wA=", Kind::Bytes),
        ]
    );
    assert!(record.time.is_some() && !record.cut && record.sequence == 0 && record.request_id.is_empty());
}

#[test]
fn whole_numbers_are_those_that_were_said() {
    let records = records(|| {
        tracing::info!(a = 0_u64, b = u64::MAX, c = i64::MIN, d = u128::MAX, e = i128::MIN, f = -1_i128);
    });

    let values: Vec<&str> = records[0].fields.iter().map(|field| field.value.as_str()).collect();
    let (b, c, d, e) = (u64::MAX.to_string(), i64::MIN.to_string(), u128::MAX.to_string(), i128::MIN.to_string());
    assert_eq!(values, ["0", &b, &c, &d, &e, "-1"]);
}

#[test]
fn an_event_knows_the_call_it_belongs_to() {
    let call = Call::begin(&HeaderMap::new());

    let records = records(|| call.sync_scope(|| tracing::info!("inside")));

    assert_eq!(records[0].request_id, call.request_id());
    assert_eq!(records[0].trace_id, call.trace_id());
    assert_eq!(records[0].span_id, format!("{:016x}", call.trace().span_id()));
}

#[test]
fn an_event_says_for_whom_its_call_is_made_once() {
    let call = Call::begin(&HeaderMap::new());
    call.set_actor(Actor::read("ann").unwrap());

    let records = records(|| {
        call.sync_scope(|| {
            tracing::info!(n = 1, "inside");
            tracing::info!(actor = "bob", "told");
        });
        tracing::info!("outside");
    });

    let actors = |at: usize| -> Vec<&str> {
        records[at].fields.iter().filter(|field| field.name == "actor").map(|field| field.value.as_str()).collect()
    };
    assert_eq!([actors(0), actors(1), actors(2)], [vec!["ann"], vec!["bob"], vec![]]);
}

#[test]
fn what_is_too_long_is_cut_and_marked() {
    let long = "é".repeat(LONGEST_MESSAGE);

    let records = records(|| {
        tracing::info!("{long}");
        tracing::info!(long, after = 1, "short");
    });

    assert!(records[0].cut && records[0].message.len() == LONGEST_MESSAGE);
    assert!(records[1].cut && records[1].fields[0].value.len() == FIELD_BYTES && records[1].fields[1].value.is_empty());
}

#[test]
fn a_value_that_logs_itself_disturbs_nothing() {
    struct Talks;
    impl std::fmt::Debug for Talks {
        fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            encode_one_more();
            f.write_str("talked")
        }
    }
    fn encode_one_more() {
        tracing::info!("within");
    }

    let records = records(|| tracing::info!(before = "x", value = ?Talks, after = "y", "outside"));

    let outside = records.iter().find(|record| record.message == "outside").unwrap();
    let values: Vec<&str> = outside.fields.iter().map(|field| field.value.as_str()).collect();
    assert_eq!(values, ["x", "talked", "y"]);
}

#[test]
fn lengths_of_any_size_are_written() {
    for length in [0, 1, 127, 128, 300, 16_383, 16_384, 70_000] {
        let mut bytes = vec![7];
        wire::delimited(&mut bytes, tag::MESSAGE, |bytes| bytes.resize(bytes.len() + length, b'x'));
        assert_eq!(LogRecord::decode(&bytes[1..]).unwrap().message.len(), length);
    }
}

//! The two ways to ask a filter agree, and what rules a block out never rules out a match.

use fastrand::Rng;
use proto::logs::FieldMatch;

use super::*;
use crate::entry::timestamp;
use crate::samples::{self, TODAY};
use crate::store::Block;

fn random_filter(random: &mut Rng, count: u64) -> Message {
    let mut message = Message::default();
    for _ in 0..random.usize(..3) {
        match random.u32(..11) {
            0 => message.min_level = random.i32(0..25),
            1 => message.services = vec!["portal".into(), "other".into()],
            2 => message.instance_ids = vec![format!("i{}", random.u32(..4))],
            3 => message.from_time = Some(timestamp(TODAY + random.i64(-1_000_000_000..1_000_000_000))),
            4 => message.until_time = Some(timestamp(TODAY + random.i64(-1_000_000_000..1_000_000_000))),
            5 => message.words = vec![samples::word(random).into()],
            6 => message.without_words = vec![samples::word(random).into()],
            7 => {
                let text = samples::text(random);
                message.substring = text.chars().skip(random.usize(..3)).take(random.usize(1..12)).collect();
            }
            8 => message.fields = vec![FieldMatch { name: "name".into(), value: samples::text(random) }],
            9 => message.trace_id = samples::id(random, 32),
            _ => (message.from_offset, message.until_offset) = (random.u64(..count), random.u64(..count)),
        }
    }
    message
}

#[test]
fn a_block_and_an_entry_in_memory_answer_the_same() {
    let mut found_any = 0;
    for seed in 0..3000 {
        let mut random = Rng::with_seed(seed);
        let entries = samples::entries(&mut random, 1, 40);
        let block = Block::encode(&entries.iter().collect::<Vec<_>>()).unwrap();
        let message = random_filter(&mut random, 40);
        let Ok(filter) = Filter::parse(Some(message.clone())) else { continue };
        let expected: Vec<&Entry> = entries.iter().filter(|entry| filter.matches(entry)).collect();

        let read = |column| block.column(column);
        let mut found = filter.rows(&block.summary, &(0..u64::MAX), &read).unwrap();
        let by_block: Vec<Entry> = (0..found.len()).map(|number| found.entry(number).unwrap()).collect();

        assert_eq!(by_block.iter().collect::<Vec<_>>(), expected, "seed {seed}: {message:?}");
        if !expected.is_empty() {
            found_any += 1;
            assert!(filter.may_be_in(&block.summary), "seed {seed}: {message:?}");
            let known = |hash: &u64| block.hashes.binary_search(hash).is_ok();
            assert!(filter.hashes().iter().all(known), "seed {seed}: {message:?}");
            let any = filter.instance_hashes();
            assert!(any.is_empty() || any.iter().any(known));
        }
    }
    assert!(found_any > 500, "{found_any}");
}

#[test]
fn words_are_whole_and_in_any_case() {
    let wants = |word: &str, text: &str| Word::new(word).is_in(text);

    assert!(wants("product", "created PRODUCT 12"));
    assert!(!wants("product", "reproduct producté products"));
    assert!(wants("ÉTÉ", "un été"));
}

#[test]
fn what_cannot_be_read_is_refused_by_name() {
    let field = |message: Message| match Filter::parse(Some(message)) {
        Err(Error::InvalidField { field, .. }) => field,
        other => panic!("{other:?}"),
    };

    assert_eq!(field(Message { words: vec!["--".into()], ..Default::default() }), "filter.words");
    assert_eq!(field(Message { services: vec![String::new()], ..Default::default() }), "filter.services");
    assert_eq!(field(Message { substring: "x".repeat(5000), ..Default::default() }), "filter.substring");
    let time = Some(prost_types::Timestamp { seconds: i64::MAX, nanos: 0 });
    assert_eq!(field(Message { from_time: time, ..Default::default() }), "filter.from_time");
}

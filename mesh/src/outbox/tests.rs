//! What is taken, what is lost, and that nothing is unaccounted for.

use super::*;

const LEVELS: [Level; 5] = [Level::TRACE, Level::DEBUG, Level::INFO, Level::WARN, Level::ERROR];

fn record(bytes: usize) -> Vec<u8> {
    record_of(Level::INFO, bytes)
}

fn record_of(level: Level, bytes: usize) -> Vec<u8> {
    let mut record = Vec::new();
    record::wire::number(&mut record, 3, record::level(level) as u64);
    record::wire::text(&mut record, 5, &"x".repeat(bytes));
    record
}

#[test]
fn what_does_not_fit_becomes_an_exact_gap() {
    let outbox = Outbox::default();
    let large = record(CAPACITY_BYTES / 4);
    for _ in 0..100 {
        outbox.put(Level::INFO, &large);
    }

    let chunks = outbox.take_with_gap().chunks;

    let kept = chunks.iter().map(Chunk::records).sum::<usize>() - 1;
    assert_eq!((kept, outbox.lost()), (2, 98));
    assert_eq!(chunks.iter().map(|chunk| chunk.counts().total()).sum::<u64>(), 100);
}

#[test]
fn errors_still_fit_when_others_do_not() {
    let outbox = Outbox::default();
    outbox.put(Level::ERROR, &record(CAPACITY_BYTES / 100 * 90));

    outbox.put(Level::INFO, &record(200));
    outbox.put(Level::WARN, &record(200));
    outbox.put(Level::ERROR, &record(200));

    assert_eq!(outbox.lost(), 2);
}

#[test]
fn a_full_spool_narrows_what_is_taken() {
    let outbox = Outbox::default();
    outbox.narrow(80);

    for level in LEVELS {
        outbox.put(level, &record(10));
    }

    assert_eq!(outbox.lost(), 3);
}

#[test]
fn settled_bytes_make_room() {
    let outbox = Outbox::default();
    outbox.put(Level::INFO, &record(CAPACITY_BYTES / 100 * 74));
    let taken: usize = outbox.take().chunks.iter().map(|chunk| chunk.bytes().len()).sum();
    outbox.put(Level::INFO, &record(CAPACITY_BYTES / 50));
    assert_eq!(outbox.lost(), 1);

    outbox.settle(taken);
    outbox.put(Level::INFO, &record(CAPACITY_BYTES / 50));

    assert_eq!(outbox.lost(), 1);
}

#[tokio::test]
async fn an_error_presses() {
    let outbox = Outbox::default();
    outbox.put(Level::INFO, &record(1));
    outbox.filled().await;
    assert!(futures_util::FutureExt::now_or_never(outbox.pressing()).is_none());

    outbox.put(Level::ERROR, &record(1));
    outbox.pressing().await;

    assert!(outbox.take().urgent);
    assert!(futures_util::FutureExt::now_or_never(outbox.pressing()).is_none());
}

#[test]
fn the_own_log_is_rated_and_leaves_plumbing_out() {
    let outbox = Outbox::default();
    assert!(outbox.wants("h2::proto", Level::TRACE));

    outbox.feed_own_log();
    for _ in 0..20_000 {
        outbox.put(Level::INFO, &record(1));
    }

    assert!(!outbox.wants("h2::proto", Level::TRACE) && outbox.wants("h2::proto", Level::WARN));
    assert!(outbox.lost() > 10_000);
    let chunks = outbox.take_with_gap().chunks;
    assert_eq!(chunks.iter().map(|chunk| chunk.counts().total()).sum::<u64>(), 20_000);
}

/// Many histories: whatever is put, taken and settled, each number is a record or declared lost, by level.
#[test]
fn numbers_are_contiguous_and_counts_exact_under_any_load() {
    for seed in 0..40 {
        let mut chance = fastrand::Rng::with_seed(seed);
        let (outbox, mut held, mut said) = (Outbox::default(), VecDeque::new(), Counts::default());
        let mut counted = (0, Counts::default());
        for _ in 0..300 {
            match chance.u8(..10) {
                0 => held.extend(outbox.take().chunks),
                1 => held.extend(outbox.take_with_gap().chunks),
                2 => outbox.narrow(chance.u32(..100)),
                3 => count(&outbox, held.drain(..), &mut counted, seed),
                _ => {
                    let level = LEVELS[chance.usize(..LEVELS.len())];
                    said.add(record::level(level).into(), 1);
                    outbox.put(level, &record_of(level, chance.usize(..CAPACITY_BYTES / 20)));
                }
            }
        }
        held.extend(outbox.take_with_gap().chunks);
        count(&outbox, held.drain(..), &mut counted, seed);

        assert_eq!(counted, (outbox.last_sequence(), said), "seed {seed}");
        assert_eq!(outbox.lock().bytes, 0, "seed {seed}");
    }
}

fn count(outbox: &Outbox, chunks: impl Iterator<Item = Chunk>, counted: &mut (u64, Counts), seed: u64) {
    for chunk in chunks {
        assert_eq!(Chunk::read(chunk.bytes().clone()).as_ref(), Some(&chunk), "seed {seed}");
        assert_eq!(chunk.first(), counted.0 + 1, "seed {seed}");
        counted.0 = chunk.last();
        counted.1.add_all(chunk.counts());
        outbox.settle(chunk.bytes().len());
    }
}

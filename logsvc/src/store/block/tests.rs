//! What goes into a block comes out of it, and damage is noticed.

use fastrand::Rng;

use super::*;
use crate::samples;

fn decode(block: &Block) -> io::Result<Vec<Entry>> {
    let meta = Meta::read(&block.column(Column::Meta)?, block.summary.count as usize)?;
    let ids = Ids::read(block.column(Column::Ids)?)?;
    let fields = Fields::read(&block.column(Column::Fields)?, &meta)?;
    let text = Text::read(block.column(Column::Text)?, &meta, &fields)?;
    Ok((0..meta.rows.len()).map(|row| meta.entry(block.summary.first_offset, row, &ids, (&fields, &text))).collect())
}

#[test]
fn what_is_encoded_comes_back() {
    for seed in 0..200 {
        let mut random = Rng::with_seed(seed);
        let (offset, count) = (random.u64(1..1 << 40), random.u64(1..100));
        let entries = samples::entries(&mut random, offset, count);

        let block = Block::encode(&entries.iter().collect::<Vec<_>>()).unwrap();

        assert_eq!(decode(&block).unwrap(), entries, "seed {seed}");
        assert_eq!(block.end(), offset + count);
    }
}

#[test]
fn the_summary_covers_every_entry() {
    let mut random = Rng::with_seed(1);
    let entries = samples::entries(&mut random, 1, 500);

    let Summary { earliest, latest, levels, services, .. } =
        Block::encode(&entries.iter().collect::<Vec<_>>()).unwrap().summary;

    for entry in &entries {
        let time = nanoseconds(entry.record.time.as_ref()).unwrap();
        let bit = 1 << level::range(entry.record.level);
        assert!((earliest..=latest).contains(&time) && levels & bit != 0);
        let service = services.iter().find(|listed| listed.service == entry.source.service).unwrap();
        assert!(service.levels & bit != 0);
    }
}

#[test]
fn a_block_of_many_services_lists_none() {
    let mut random = Rng::with_seed(1);
    let mut entries = samples::entries(&mut random, 1, 200);
    for (number, entry) in entries.iter_mut().enumerate() {
        let source = crate::entry::Source { service: format!("s{number}"), ..entry.source.as_ref().clone() };
        entry.source = std::sync::Arc::new(source);
    }

    let block = Block::encode(&entries.iter().collect::<Vec<_>>()).unwrap();

    assert!(block.summary.services.is_empty());
    assert_eq!(decode(&block).unwrap(), entries);
}

#[test]
fn no_flipped_bit_goes_unnoticed_and_none_panics() {
    let mut random = Rng::with_seed(5);
    let entries = samples::entries(&mut random, 1, 50);
    let mut block = Block::encode(&entries.iter().collect::<Vec<_>>()).unwrap();
    for place in 0..block.bytes.len() {
        let bit = 1 << random.u32(..8);
        block.bytes[place] ^= bit;
        assert!(decode(&block).is_err(), "byte {place}");
        block.bytes[place] ^= bit;
    }
}

#[test]
fn columns_that_were_not_written_by_us_are_refused_without_a_panic() {
    for seed in 0..2000 {
        let mut random = Rng::with_seed(seed);
        let entries = samples::entries(&mut random, 1, 20);
        let [mut meta, mut ids, mut fields, mut text] = columns::write(&entries.iter().collect::<Vec<_>>());
        for column in [&mut meta, &mut ids, &mut fields, &mut text] {
            for _ in 0..random.usize(..3) {
                let place = random.usize(..column.len());
                column[place] = random.u8(..);
            }
        }
        let decoded = Meta::read(&meta, entries.len()).and_then(|meta| {
            let ids = Ids::read(ids.clone())?;
            let fields = Fields::read(&fields, &meta)?;
            let text = Text::read(text.clone(), &meta, &fields)?;
            Ok((0..meta.rows.len()).map(|row| meta.entry(1, row, &ids, (&fields, &text))).collect::<Vec<Entry>>())
        });
        assert!(decoded.is_err() || decoded.is_ok_and(|decoded| decoded.len() == entries.len()));
    }
}

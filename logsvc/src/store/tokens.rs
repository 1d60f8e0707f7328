//! What a block can be found by: words, fields and ids, as hashes.
//!
//! The hashes are XXH3 with 64 bits, seeded by what they are of, so that a word
//! is never taken for an id. They are part of the format of segments.

use proto::logs::LogRecord;
use xxhash_rust::xxh3::xxh3_64_with_seed;

use crate::entry::Entry;

/// What a hash is of.
const WORD: u64 = 1;
const FIELD: u64 = 2;
const TRACE: u64 = 3;
const REQUEST: u64 = 4;
const INSTANCE: u64 = 5;

/// The words of a text: runs of letters and digits.
pub(crate) fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty())
}

/// The hash of a word in any case.
pub(crate) fn word(word: &str) -> u64 {
    let mut lower = [0; 32];
    match lower.get_mut(..word.len()) {
        Some(lower) if word.is_ascii() => {
            lower.copy_from_slice(word.as_bytes());
            lower.make_ascii_lowercase();
            xxh3_64_with_seed(lower, WORD)
        }
        _ => xxh3_64_with_seed(word.to_lowercase().as_bytes(), WORD),
    }
}

/// The hash of a field with its value.
pub(crate) fn field(name: &str, value: &str) -> u64 {
    xxh3_64_with_seed(value.as_bytes(), xxh3_64_with_seed(name.as_bytes(), FIELD))
}

pub(crate) fn trace(id: &str) -> u64 {
    xxh3_64_with_seed(id.as_bytes(), TRACE)
}

pub(crate) fn request(id: &str) -> u64 {
    xxh3_64_with_seed(id.as_bytes(), REQUEST)
}

pub(crate) fn instance(id: &str) -> u64 {
    xxh3_64_with_seed(id.as_bytes(), INSTANCE)
}

/// Everything that entries can be found by: each hash once, in order.
pub(crate) fn of<'a>(entries: impl Iterator<Item = &'a Entry>) -> Vec<u64> {
    let mut hashes = Vec::new();
    for entry in entries {
        of_record(&entry.record, &mut hashes);
        hashes.push(instance(&entry.source.instance));
    }
    hashes.sort_unstable();
    hashes.dedup();
    hashes
}

fn of_record(record: &LogRecord, hashes: &mut Vec<u64>) {
    hashes.extend(words(&record.target).map(word));
    hashes.extend(words(&record.message).map(word));
    for given in &record.fields {
        hashes.extend(words(&given.value).map(word));
        hashes.push(field(&given.name, &given.value));
    }
    if !record.trace_id.is_empty() {
        hashes.push(trace(&record.trace_id));
    }
    if !record.request_id.is_empty() {
        hashes.push(request(&record.request_id));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_is_the_same_in_any_case_and_length() {
        assert_eq!(word("Straße"), word("straße"));
        assert_eq!(word("ÉTÉ"), word("été"));
        assert_eq!(word(&"A".repeat(100)), word(&"a".repeat(100)));
        assert_ne!(word("a"), word("b"));
    }

    #[test]
    fn anything_else_parts_words() {
        let found: Vec<&str> = words("GET /v1/products?id=12 → ½\" été,2x4").collect();

        assert_eq!(found, ["GET", "v1", "products", "id", "12", "½", "été", "2x4"]);
    }
}

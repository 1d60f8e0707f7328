//! What records somebody wants: parsed once, then asked of blocks, of columns and of entries.
//!
//! There are two ways to ask, and they must agree: `matches` looks at one entry in
//! memory, `rows` at the columns of a block. A test compares them.

use std::ops::{Range, RangeInclusive};

use aho_corasick::AhoCorasick;
use memchr::memmem::Finder;
use proto::logs::Filter as Message;

use crate::entry::{Entry, nanoseconds};
use crate::error::Error;
use crate::level;
use crate::store::tokens;

mod rows;

pub(crate) use rows::Read;

/// More names than these are no wish of a person.
const MOST_NAMES: usize = 64;
const MOST_WORDS: usize = 32;

/// Longer texts are not looked for.
const LONGEST_TEXT: usize = 4096;

/// What records somebody wants.
#[derive(Debug, Clone)]
pub(crate) struct Filter {
    min_level: i32,
    services: Vec<String>,
    instances: Vec<String>,
    /// In nanoseconds since 1970, on the producers' clocks.
    times: RangeInclusive<i64>,
    words: Vec<Word>,
    without: Vec<Word>,
    substring: Option<Finder<'static>>,
    fields: Vec<(String, String)>,
    trace_id: String,
    request_id: String,
    offsets: Range<u64>,
    /// What a block must be found by to hold a match.
    hashes: Vec<u64>,
}

/// A word to look for.
#[derive(Debug, Clone)]
struct Word {
    lower: String,
    /// Finds it in any case; none for words beyond ASCII, which are compared one by one.
    finder: Option<AhoCorasick>,
}

impl Default for Filter {
    fn default() -> Self {
        Self {
            min_level: 0,
            services: Vec::new(),
            instances: Vec::new(),
            times: i64::MIN..=i64::MAX,
            words: Vec::new(),
            without: Vec::new(),
            substring: None,
            fields: Vec::new(),
            trace_id: String::new(),
            request_id: String::new(),
            offsets: 0..u64::MAX,
            hashes: Vec::new(),
        }
    }
}

impl Filter {
    /// Parses a filter; none finds everything.
    pub(crate) fn parse(message: Option<Message>) -> Result<Self, Error> {
        let message = message.unwrap_or_default();
        check_names("filter.services", &message.services)?;
        check_names("filter.instance_ids", &message.instance_ids)?;
        let fields = read_fields(message.fields)?;
        if message.substring.len() > LONGEST_TEXT {
            return Err(invalid("filter.substring", "must be at most 4096 bytes"));
        }
        let mut filter = Self {
            min_level: message.min_level,
            services: message.services,
            instances: message.instance_ids,
            times: read_time("filter.from_time", message.from_time.as_ref())?.unwrap_or(i64::MIN)
                ..=read_time("filter.until_time", message.until_time.as_ref())?
                    .map_or(i64::MAX, |until| until.saturating_sub(1)),
            words: read_words("filter.words", &message.words)?,
            without: read_words("filter.without_words", &message.without_words)?,
            substring: (!message.substring.is_empty()).then(|| Finder::new(message.substring.as_bytes()).into_owned()),
            fields,
            trace_id: message.trace_id.to_ascii_lowercase(),
            request_id: message.request_id,
            offsets: message.from_offset..if message.until_offset == 0 { u64::MAX } else { message.until_offset },
            hashes: Vec::new(),
        };
        filter.hashes = filter.hashes_of(&message.substring);
        Ok(filter)
    }

    /// The offsets that it is about.
    pub(crate) fn offsets(&self) -> Range<u64> {
        self.offsets.clone()
    }

    /// What a block must be found by: otherwise nothing in it matches.
    pub(crate) fn hashes(&self) -> &[u64] {
        &self.hashes
    }

    /// Whether one of these instances has to be meant, by their hashes; empty is any.
    pub(crate) fn instance_hashes(&self) -> Vec<u64> {
        self.instances.iter().map(|instance| tokens::instance(instance)).collect()
    }

    /// Whether an entry in memory is wanted.
    pub(crate) fn matches(&self, entry: &Entry) -> bool {
        let Entry { source, record, .. } = entry;
        let time = nanoseconds(record.time.as_ref()).unwrap_or_default();
        self.wants_level(record.level)
            && self.offsets.contains(&entry.offset)
            && self.times.contains(&time)
            && self.wants_source(&source.service, &source.instance)
            && (self.trace_id.is_empty() || self.trace_id == record.trace_id)
            && (self.request_id.is_empty() || self.request_id == record.request_id)
            && self.wants_words(entry)
    }

    fn wants_level(&self, level: i32) -> bool {
        level >= self.min_level
    }

    fn wants_source(&self, service: &str, instance: &str) -> bool {
        let is_one = |names: &[String], name| names.is_empty() || names.iter().any(|wanted| wanted == name);
        is_one(&self.services, service) && is_one(&self.instances, instance)
    }

    fn wants_words(&self, entry: &Entry) -> bool {
        let record = &entry.record;
        let texts = || std::iter::once(&record.message).chain(record.fields.iter().map(|field| &field.value));
        let has_word = |word: &Word| texts().any(|text| word.is_in(text)) || word.is_in(&record.target);
        let has_field = |(name, value): &(String, String)| {
            record.fields.iter().any(|field| field.name == *name && field.value == *value)
        };
        self.fields.iter().all(has_field)
            && self.words.iter().all(has_word)
            && !self.without.iter().any(has_word)
            && self.substring.as_ref().is_none_or(|finder| texts().any(|text| finder.find(text.as_bytes()).is_some()))
    }

    fn hashes_of(&self, substring: &str) -> Vec<u64> {
        let mut hashes: Vec<u64> = self.words.iter().map(|word| tokens::word(&word.lower)).collect();
        hashes.extend(self.fields.iter().map(|(name, value)| tokens::field(name, value)));
        if !self.trace_id.is_empty() {
            hashes.push(tokens::trace(&self.trace_id));
        }
        if !self.request_id.is_empty() {
            hashes.push(tokens::request(&self.request_id));
        }
        hashes.extend(whole_words(substring).map(tokens::word));
        hashes
    }

    /// Which levels are wanted, as bits.
    pub(crate) fn level_bits(&self) -> u32 {
        // A severity between two levels may still be in the range below.
        if self.min_level <= 1 { u32::MAX } else { u32::MAX << level::range(self.min_level) }
    }

    /// Whether a block with these properties may hold a match.
    pub(crate) fn may_be_in(&self, summary: &crate::store::Summary) -> bool {
        let levels = self.level_bits();
        let has_service = || {
            let mut listed = summary.services.iter().filter(|listed| listed.levels & levels != 0);
            summary.services.is_empty() || listed.any(|listed| self.services.contains(&listed.service))
        };
        summary.levels & levels != 0
            && summary.latest >= *self.times.start()
            && summary.earliest <= *self.times.end()
            && (self.services.is_empty() || has_service())
    }
}

impl Word {
    fn new(text: &str) -> Self {
        let lower = text.to_lowercase();
        let finder = lower.is_ascii().then(|| AhoCorasick::builder().ascii_case_insensitive(true).build([&lower]).ok());
        Self { lower, finder: finder.flatten() }
    }

    fn is_in(&self, text: &str) -> bool {
        tokens::words(text).any(|word| self.is(word))
    }

    fn is(&self, word: &str) -> bool {
        if word.is_ascii() { self.lower.eq_ignore_ascii_case(word) } else { word.to_lowercase() == self.lower }
    }
}

/// The words of a substring that have something else on both sides: those of the text it is found in, whole.
fn whole_words(substring: &str) -> impl Iterator<Item = &str> {
    let start = substring.find(|c: char| !c.is_alphanumeric()).unwrap_or(substring.len());
    let end = substring.rfind(|c: char| !c.is_alphanumeric()).unwrap_or(start);
    tokens::words(substring.get(start..end).unwrap_or_default())
}

fn read_words(field: &'static str, texts: &[String]) -> Result<Vec<Word>, Error> {
    let words: Vec<&str> = texts.iter().flat_map(|text| tokens::words(text)).collect();
    let is_longer = texts.iter().any(|text| text.len() > LONGEST_TEXT);
    if is_longer || words.len() > MOST_WORDS {
        return Err(invalid(field, "must be at most 32 words of 4096 bytes"));
    }
    if let Some(empty) = texts.iter().find(|text| tokens::words(text).next().is_none()) {
        return Err(Error::InvalidField {
            field,
            description: format!("{empty:?} has no letter or digit to look for"),
        });
    }
    Ok(words.into_iter().map(Word::new).collect())
}

fn read_fields(fields: Vec<proto::logs::FieldMatch>) -> Result<Vec<(String, String)>, Error> {
    if fields.len() > MOST_WORDS || fields.iter().any(|field| field.name.is_empty()) {
        return Err(invalid("filter.fields", "must be at most 32, each with a name"));
    }
    Ok(fields.into_iter().map(|field| (field.name, field.value)).collect())
}

fn read_time(field: &'static str, time: Option<&prost_types::Timestamp>) -> Result<Option<i64>, Error> {
    match time {
        None => Ok(None),
        Some(time) => match nanoseconds(Some(time)) {
            Some(nanoseconds) => Ok(Some(nanoseconds)),
            None => Err(invalid(field, "must be between the years 1678 and 2262")),
        },
    }
}

fn check_names(field: &'static str, names: &[String]) -> Result<(), Error> {
    if names.len() > MOST_NAMES || names.iter().any(|name| name.is_empty() || name.len() > LONGEST_TEXT) {
        return Err(invalid(field, "must be at most 64 names"));
    }
    Ok(())
}

fn invalid(field: &'static str, description: &str) -> Error {
    Error::InvalidField { field, description: description.to_owned() }
}

#[cfg(test)]
mod tests;

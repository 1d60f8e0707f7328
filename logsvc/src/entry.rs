//! What is stored: a record, or the place where records were lost, and who said it.

use std::ops::Range;
use std::sync::Arc;

use proto::logs::{Field, Level, LevelCount, LogRecord, StoredRecord};

use crate::error::Error;
use crate::level;

/// Longer messages are cut, with a flag; never dropped.
const LONGEST_MESSAGE: usize = 256 * 1024;

/// What all fields of a record may weigh together, and how many there may be.
const FIELD_BYTES: usize = 64 * 1024;
const MOST_FIELDS: usize = 128;

/// Longer targets and names of fields are cut.
const LONGEST_NAME: usize = 256;

/// Ids are 16 bytes in hexadecimal, or what others take for one.
const LONGEST_ID: usize = 64;

/// The target of gap records.
const GAP_TARGET: &str = "logsvc::gap";

/// The producer of the log service's own words about its storage.
const OWN: &str = "logsvc";

/// The producer of records that came without sequence numbers.
pub(crate) const UNSEQUENCED: &str = "otlp";

/// One source of one sequence of records.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Producer {
    pub(crate) name: String,
    /// 0 when its records have no sequence numbers.
    pub(crate) incarnation: u64,
}

/// Who logs.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Source {
    pub(crate) service: String,
    pub(crate) instance: String,
    pub(crate) producer: Producer,
    /// Whether somebody else ships what it left behind.
    pub(crate) last_words: bool,
}

/// One stored thing. A gap record stands for several sequence numbers, from its own on.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Entry {
    /// Where it is in the log, from 1.
    pub(crate) offset: u64,
    /// When it was received, in nanoseconds since 1970.
    pub(crate) received: i64,
    pub(crate) source: Arc<Source>,
    pub(crate) record: LogRecord,
}

impl Source {
    /// Parses who logs: names that a line can carry as they are.
    pub(crate) fn parse(service: String, instance: String, producer: String, incarnation: u64) -> Result<Self, Error> {
        for (field, text, longest) in
            [("service", &service, 63), ("instance_id", &instance, 64), ("producer", &producer, 64)]
        {
            let is_name = (1..=longest).contains(&text.len())
                && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b));
            if !is_name {
                let description = format!("must be 1 to {longest} characters of letters, digits, - _ and .");
                return Err(Error::InvalidField { field, description });
            }
        }
        if incarnation == 0 {
            return Err(Error::InvalidField { field: "incarnation", description: "must be above 0".to_owned() });
        }
        Ok(Self { service, instance, producer: Producer { name: producer, incarnation }, last_words: false })
    }

    /// A source whose records have no sequence numbers, with whatever names it gave itself.
    pub(crate) fn unsequenced(mut service: String, mut instance: String) -> Self {
        cut(&mut service, LONGEST_NAME);
        cut(&mut instance, LONGEST_NAME);
        let producer = Producer { name: UNSEQUENCED.to_owned(), incarnation: 0 };
        Self { service, instance, producer, last_words: false }
    }
}

impl Producer {
    /// Whether its records have sequence numbers.
    pub(crate) fn is_sequenced(&self) -> bool {
        self.incarnation != 0
    }
}

impl Entry {
    /// The log service's own word for stored records that cannot be read.
    pub(crate) fn lost(offsets: Range<u64>, words: String, received: i64) -> Self {
        let producer = Producer { name: OWN.to_owned(), incarnation: 0 };
        let source = Source { service: OWN.to_owned(), instance: "storage".to_owned(), producer, last_words: false };
        let lost = vec![LevelCount { level: Level::Unspecified.into(), count: offsets.end - offsets.start }];
        let record = LogRecord {
            time: Some(timestamp(received)),
            level: Level::Error.into(),
            target: GAP_TARGET.to_owned(),
            message: words,
            lost,
            ..Default::default()
        };
        Self { offset: offsets.start, received, source: Arc::new(source), record }
    }

    /// The offset after it: one more than its own, or after all that cannot be read.
    pub(crate) fn end(&self) -> u64 {
        let is_own = !self.source.producer.is_sequenced() && self.source.producer.name == OWN;
        self.offset + if is_own { span(&self.record) } else { 1 }
    }

    /// The entry as it is told to clients.
    pub(crate) fn into_message(self) -> StoredRecord {
        let Self { offset, received, source, record } = self;
        StoredRecord {
            offset,
            service: source.service.clone(),
            instance_id: source.instance.clone(),
            producer: source.producer.name.clone(),
            incarnation: source.producer.incarnation,
            record: Some(record),
            received: Some(timestamp(received)),
            last_words: source.last_words,
        }
    }
}

/// Makes a record what is stored of it: cut to the limits, with a level and a time. The shape of a gap
/// record is the log service's own.
pub(crate) fn normalise(record: &mut LogRecord, received: i64) {
    let mut is_cut = cut(&mut record.message, LONGEST_MESSAGE);
    is_cut |= cut(&mut record.target, LONGEST_NAME);
    cut(&mut record.request_id, LONGEST_ID);
    cut(&mut record.trace_id, LONGEST_ID);
    cut(&mut record.span_id, LONGEST_ID);
    is_cut |= cut_fields(&mut record.fields);
    record.cut |= is_cut;
    // As everybody writes them, so that they are found.
    record.trace_id.make_ascii_lowercase();
    record.span_id.make_ascii_lowercase();
    // Unknown levels are kept as the usual one: the words matter more.
    if !(1..=24).contains(&record.level) {
        record.set_level(Level::Info);
    }
    if nanoseconds(record.time.as_ref()).is_none() {
        if let Some(said) = record.time {
            // Beyond what the log can hold: kept as it was said, in seconds since 1970.
            let field = Field { name: "time.said".to_owned(), value: said.seconds.to_string(), ..Default::default() };
            record.fields.push(field);
        }
        record.time = Some(timestamp(received));
    }
    if !record.lost.is_empty() {
        describe_gap(record);
    }
}

/// Cuts fields to what is stored of them; answers whether that is less.
pub(crate) fn cut_fields(fields: &mut Vec<Field>) -> bool {
    let mut is_cut = fields.len() > MOST_FIELDS;
    fields.truncate(MOST_FIELDS);
    let mut left = FIELD_BYTES;
    for field in fields {
        is_cut |= cut(&mut field.name, left.min(LONGEST_NAME));
        left = left.saturating_sub(field.name.len());
        is_cut |= cut(&mut field.value, left);
        left = left.saturating_sub(field.value.len());
    }
    is_cut
}

/// How many sequence numbers a record stands for.
pub(crate) fn span(record: &LogRecord) -> u64 {
    if record.lost.is_empty() { 1 } else { total(&record.lost) }
}

/// The last sequence number that a record stands for.
pub(crate) fn last_sequence(record: &LogRecord) -> u64 {
    record.sequence.saturating_add(span(record).saturating_sub(1))
}

/// About what a record takes in memory.
pub(crate) fn weight(record: &LogRecord) -> usize {
    let fields: usize = record.fields.iter().map(|field| 56 + field.name.len() + field.value.len()).sum();
    256 + record.target.len() + record.message.len() + record.request_id.len() + record.trace_id.len() + fields
}

/// Nanoseconds since 1970 of a time that this log can hold: the years 1678 to 2262.
pub(crate) fn nanoseconds(time: Option<&prost_types::Timestamp>) -> Option<i64> {
    let time = time?;
    let nanos = i64::from(time.nanos);
    (0..1_000_000_000).contains(&nanos).then_some(())?;
    time.seconds.checked_mul(1_000_000_000)?.checked_add(nanos)
}

/// The same, as a message.
pub(crate) fn timestamp(nanoseconds: i64) -> prost_types::Timestamp {
    let nanos = i32::try_from(nanoseconds.rem_euclid(1_000_000_000)).unwrap_or_default();
    prost_types::Timestamp { seconds: nanoseconds.div_euclid(1_000_000_000), nanos }
}

/// Now, in nanoseconds since 1970.
pub(crate) fn now() -> i64 {
    i64::try_from(jiff::Timestamp::now().as_nanosecond()).unwrap_or_default()
}

/// Leaves out of a gap record what is stored: everything up to a sequence number.
pub(crate) fn trim_gap(record: &mut LogRecord, stored: u64) {
    if record.lost.is_empty() || record.sequence > stored {
        return;
    }
    let mut known = stored - record.sequence + 1;
    record.sequence = stored + 1;
    for lost in &mut record.lost {
        // Nobody knows which of them are there: the first levels that were named, which matter least.
        let taken = lost.count.min(known);
        lost.count -= taken;
        known -= taken;
    }
    record.lost.retain(|lost| lost.count > 0);
}

fn describe_gap(record: &mut LogRecord) {
    record.lost.truncate(16);
    let by_level: Vec<String> =
        record.lost.iter().map(|lost| format!("{} {}", lost.count, level::name(lost.level))).collect();
    record.message = format!("{} log records were lost here: {}", total(&record.lost), by_level.join(", "));
    if record.target.is_empty() {
        record.target = GAP_TARGET.to_owned();
    }
}

fn total(lost: &[LevelCount]) -> u64 {
    lost.iter().fold(0_u64, |sum, lost| sum.saturating_add(lost.count))
}

/// Cuts text at a character; answers whether it had to.
fn cut(text: &mut String, longest: usize) -> bool {
    let is_longer = text.len() > longest;
    text.truncate(text.floor_char_boundary(longest));
    is_longer
}

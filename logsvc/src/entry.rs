//! What is stored: a record, or the place where records were lost, and who said it.

use std::sync::Arc;

use proto::logs::{Field, Gap, Level, LogRecord};

use crate::error::Error;

/// Longer messages are cut, with a mark; never dropped.
const LONGEST_MESSAGE: usize = 256 * 1024;

/// What all fields of a record may weigh together, and how many there may be.
const FIELD_BYTES: usize = 64 * 1024;
const MOST_FIELDS: usize = 128;

/// The target of gap records.
const GAP_TARGET: &str = "logsvc::gap";

/// One source of one sequence of records.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Producer {
    pub(crate) name: String,
    pub(crate) incarnation: u64,
}

/// Who logs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Source {
    pub(crate) service: String,
    pub(crate) instance: String,
    pub(crate) producer: Producer,
}

/// One stored thing: it stands for `span` sequence numbers from its record's own.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Entry {
    pub(crate) source: Arc<Source>,
    pub(crate) record: LogRecord,
    pub(crate) span: u64,
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
        Ok(Self { service, instance, producer: Producer { name: producer, incarnation } })
    }
}

impl Entry {
    /// An entry for a record, cut to what is stored.
    pub(crate) fn record(source: Arc<Source>, mut record: LogRecord) -> Self {
        cut(&mut record.message, LONGEST_MESSAGE);
        cut(&mut record.target, 256);
        cut(&mut record.request_id, 64);
        cut(&mut record.trace_id, 64);
        record.fields.truncate(MOST_FIELDS);
        let mut left = FIELD_BYTES;
        for field in &mut record.fields {
            cut(&mut field.name, left.min(256));
            left = left.saturating_sub(field.name.len());
            cut(&mut field.value, left);
            left = left.saturating_sub(field.value.len());
        }
        // Unknown levels are kept, as the usual one: the words matter more.
        if matches!(record.level(), Level::Unspecified) {
            record.set_level(Level::Info);
        }
        let in_range = record.time.as_ref().and_then(mesh::from_timestamp).is_some();
        if !in_range {
            record.time = Some(mesh::timestamp(jiff::Timestamp::now()));
        }
        Self { source, record, span: 1 }
    }

    /// An entry for records that were lost before they could be shipped.
    pub(crate) fn gap(source: Arc<Source>, gap: &Gap) -> Self {
        let counts: Vec<(Level, u64)> = gap.lost.iter().map(|lost| (lost.level(), lost.count)).collect();
        let span = counts.iter().fold(0_u64, |sum, (_, count)| sum.saturating_add(*count));
        let by_level: Vec<String> = counts.iter().map(|(level, count)| format!("{count} {}", name(*level))).collect();
        let record = LogRecord {
            sequence: gap.first_sequence,
            time: Some(mesh::timestamp(jiff::Timestamp::now())),
            level: Level::Warn.into(),
            target: GAP_TARGET.to_owned(),
            message: format!("{span} log records were lost here: {}", by_level.join(", ")),
            fields: vec![Field { name: "lost".to_owned(), value: span.to_string() }],
            ..Default::default()
        };
        Self { source, record, span }
    }

    /// About what it takes in memory.
    pub(crate) fn weight(&self) -> usize {
        let Self { record, .. } = self;
        let fields: usize = record.fields.iter().map(|field| 48 + field.name.len() + field.value.len()).sum();
        256 + record.target.len() + record.message.len() + record.request_id.len() + record.trace_id.len() + fields
    }

    /// The last sequence number that it stands for.
    pub(crate) fn last_sequence(&self) -> u64 {
        self.record.sequence.saturating_add(self.span.saturating_sub(1))
    }
}

/// The name of a level, as people write it.
pub(crate) fn name(level: Level) -> &'static str {
    match level {
        Level::Unspecified => "of unknown level",
        Level::Trace => "TRACE",
        Level::Debug => "DEBUG",
        Level::Info => "INFO",
        Level::Warn => "WARN",
        Level::Error => "ERROR",
    }
}

fn cut(text: &mut String, longest: usize) {
    if text.len() > longest {
        let end = (0..=longest).rev().find(|end| text.is_char_boundary(*end)).unwrap_or(0);
        text.truncate(end);
        text.push('…');
    }
}

//! How a record looks in `app.log`: one readable line.
//!
//! ```text
//! 2026-11-23T23:05:11.123456Z INFO  productsvc/4f2a91c0#57 productsvc::store: created product 12 | product.id=12
//! ```
//!
//! Time in UTC, level, service/instance#sequence, target, message, fields. A gap
//! is `#57+3`; a source without sequence numbers has no `#`; a producer that is not
//! its instance adds `@producer`. `(last words)` and `(cut)` stand where they apply.
//! Control characters and those that turn the direction of text are escaped, so
//! that a record is one line whatever it says, and cannot play with a terminal.
//! Lines are for people and for `grep`; nothing reads them back.

use std::fmt::Write as _;

use proto::logs::{LogRecord, StoredRecord};

use crate::entry::{self, Entry};
use crate::level;

/// Stands for a name that is empty.
const NAMELESS: &str = "-";

/// What a line is written of.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Line<'a> {
    pub(crate) service: &'a str,
    pub(crate) instance: &'a str,
    pub(crate) producer: &'a str,
    pub(crate) last_words: bool,
    pub(crate) record: &'a LogRecord,
}

impl<'a> From<&'a Entry> for Line<'a> {
    fn from(entry: &'a Entry) -> Self {
        let Entry { source, record, .. } = entry;
        Self {
            service: &source.service,
            instance: &source.instance,
            producer: &source.producer.name,
            last_words: source.last_words,
            record,
        }
    }
}

impl<'a> Line<'a> {
    /// The line of a message; none when it carries no record.
    pub(crate) fn of(stored: &'a StoredRecord) -> Option<Self> {
        Some(Self {
            service: &stored.service,
            instance: &stored.instance_id,
            producer: &stored.producer,
            last_words: stored.last_words,
            record: stored.record.as_ref()?,
        })
    }

    /// Appends the line, with its line feed.
    pub(crate) fn write(&self, line: &mut String) {
        let time = self.record.time.as_ref().and_then(mesh::from_timestamp).unwrap_or_default();
        // Writing to a String cannot fail.
        let _infallible = write!(line, "{time:.6} {:<5} ", level::name(self.record.level.max(1)));
        self.write_source(line);
        line.push(' ');
        self.write_words(line);
        for (n, (name, value)) in self.fields().enumerate() {
            line.push_str(if n == 0 { " | " } else { " " });
            escape(name, " =\"", line);
            line.push('=');
            quote(value, line);
        }
        line.push('\n');
    }

    /// Appends who said it: `service/instance#sequence`.
    pub(crate) fn write_source(&self, line: &mut String) {
        name(self.service, line);
        line.push('/');
        name(self.instance, line);
        if self.record.sequence != 0 {
            let _infallible = write!(line, "#{}", self.record.sequence);
        }
        if !self.record.lost.is_empty() {
            let _infallible = write!(line, "+{}", entry::span(self.record));
        }
        if self.producer != self.instance {
            line.push('@');
            name(self.producer, line);
        }
    }

    /// Appends what it said: `target: message`, with the marks that it bears.
    pub(crate) fn write_words(&self, line: &mut String) {
        if self.last_words {
            line.push_str("(last words) ");
        }
        match self.record.target.as_str() {
            "" => line.push_str(NAMELESS),
            target => escape(target, " |", line),
        }
        line.push_str(": ");
        // The first bar of a line is where its fields begin.
        escape(&self.record.message, "|", line);
        if self.record.cut {
            line.push_str(" (cut)");
        }
    }

    /// Its fields, and the ids that it has.
    pub(crate) fn fields(&self) -> impl Iterator<Item = (&'a str, &'a str)> {
        let record = self.record;
        let ids = [("request_id", &record.request_id), ("trace_id", &record.trace_id), ("span_id", &record.span_id)];
        let ids = ids.into_iter().filter(|(_, id)| !id.is_empty()).map(|(name, id)| (name, id.as_str()));
        record.fields.iter().map(|field| (field.name.as_str(), field.value.as_str())).chain(ids)
    }
}

/// Whether a line begins like one of ours, as far as it goes: it may be torn.
pub(crate) fn begins_like_ours(line: &[u8]) -> bool {
    const SHAPE: &[u8] = b"0000-00-00T00:00:00.000000Z ";
    const LEVELS: [&[u8]; 6] = [b"TRACE ", b"DEBUG ", b"INFO  ", b"WARN  ", b"ERROR ", b"FATAL "];
    let (time, rest) = line.split_at(line.len().min(SHAPE.len()));
    let is_alike = |(byte, shape): (&u8, &u8)| if *shape == b'0' { byte.is_ascii_digit() } else { byte == shape };
    !line.is_empty()
        && time.iter().zip(SHAPE).all(is_alike)
        && LEVELS.iter().any(|level| level.iter().zip(rest).all(|(a, b)| a == b))
}

/// Appends `text` with a backslash before what would end the line, move the cursor or be taken for a separator.
pub(crate) fn escape(text: &str, separators: &str, line: &mut String) {
    let mut plain = 0;
    for (at, c) in text.char_indices() {
        if !is_escaped(c, separators) {
            continue;
        }
        line.push_str(&text[plain..at]);
        plain = at + c.len_utf8();
        match c {
            '\\' => line.push_str("\\\\"),
            '\n' => line.push_str("\\n"),
            '\r' => line.push_str("\\r"),
            '\t' => line.push_str("\\t"),
            _ => {
                let _infallible = write!(line, "\\u{{{:x}}}", u32::from(c));
            }
        }
    }
    line.push_str(&text[plain..]);
}

/// Appends a value, in quotes when it would not read as one word.
pub(crate) fn quote(value: &str, line: &mut String) {
    if value.is_empty() || value.contains([' ', '"']) {
        line.push('"');
        escape(value, "\"", line);
        line.push('"');
    } else {
        escape(value, "", line);
    }
}

/// Appends a name. Ours are words; those that others gave themselves may be anything.
fn name(text: &str, line: &mut String) {
    match text {
        "" => line.push_str(NAMELESS),
        _ => escape(text, " /#+@|", line),
    }
}

fn is_escaped(c: char, separators: &str) -> bool {
    // Most of what is said is letters.
    !c.is_ascii_alphanumeric() && (c == '\\' || is_harmful(c) || separators.contains(c))
}

/// Whether a character moves the cursor, breaks lines, turns the direction of text or is not seen at all.
pub(crate) fn is_harmful(c: char) -> bool {
    c.is_control() || is_deceptive(c)
}

/// Characters that do so without being control characters.
fn is_deceptive(c: char) -> bool {
    matches!(c,
        '\u{2028}' | '\u{2029}' | '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}'
        | '\u{2066}'..='\u{2069}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

#[cfg(test)]
mod tests {
    use proto::logs::{Field, Level, LevelCount};

    use super::*;

    fn record(message: &str, fields: &[(&str, &str)]) -> LogRecord {
        let field = |(name, value): &(&str, &str)| Field {
            name: (*name).to_owned(),
            value: (*value).to_owned(),
            ..Default::default()
        };
        let time: jiff::Timestamp = "2026-11-23T23:05:11.123456Z".parse().unwrap();
        LogRecord {
            sequence: 57,
            time: Some(mesh::timestamp(time)),
            level: Level::Info.into(),
            target: "productsvc::store".to_owned(),
            message: message.to_owned(),
            fields: fields.iter().map(field).collect(),
            ..Default::default()
        }
    }

    fn written(record: &LogRecord) -> String {
        let mut line = String::new();
        let (instance, producer) = ("4f2a91c0", "4f2a91c0");
        Line { service: "productsvc", instance, producer, last_words: false, record }.write(&mut line);
        line
    }

    #[test]
    fn a_line_is_readable() {
        assert_eq!(
            written(&record("created product 12", &[("product.id", "12"), ("name", "2x4 stud")])),
            "2026-11-23T23:05:11.123456Z INFO  productsvc/4f2a91c0#57 productsvc::store: created product 12 | product.id=12 name=\"2x4 stud\"\n"
        );
    }

    #[test]
    fn marks_stand_where_they_apply() {
        let lost = vec![LevelCount { level: Level::Info.into(), count: 3 }];
        let record = LogRecord {
            level: 21,
            lost,
            cut: true,
            trace_id: "a1".into(),
            span_id: "b2".into(),
            ..record("the end", &[("why", "")])
        };
        let mut line = String::new();

        let (service, instance, producer) = ("productsvc", "4f2a91c0", "p2");
        Line { service, instance, producer, last_words: true, record: &record }.write(&mut line);

        let expected = "2026-11-23T23:05:11.123456Z FATAL productsvc/4f2a91c0#57+3@p2 (last words) productsvc::store: \
                        the end (cut) | why=\"\" trace_id=a1 span_id=b2\n";
        assert_eq!(line, expected);
    }

    #[test]
    fn names_of_others_stay_one_word() {
        let record = LogRecord { sequence: 0, target: String::new(), level: 10, ..record("hello", &[]) };
        let mut line = String::new();

        let (service, instance) = ("check out/\u{1b}[2J", "");
        Line { service, instance, producer: "otlp", last_words: false, record: &record }.write(&mut line);

        let expected = "2026-11-23T23:05:11.123456Z INFO  check\\u{20}out\\u{2f}\\u{1b}[2J/-@otlp -: hello\n";
        assert_eq!(line, expected);
    }

    #[test]
    fn whatever_is_said_stays_one_line_and_harmless() {
        let alphabet: Vec<char> =
            "ab :|=#@+\\\n\r\t\u{b}\u{c}\u{1b}\u{7f}\u{85}\u{9b}\u{202e}\u{2066}\u{61c}\u{2028}\u{2029}\u{feff}é½{}\"'u"
                .chars()
                .collect();
        for seed in 0..2000 {
            let mut random = fastrand::Rng::with_seed(seed);
            let mut text =
                || -> String { (0..random.usize(..12)).map(|_| alphabet[random.usize(..alphabet.len())]).collect() };
            let mut record = record(&text(), &[(&text(), &text())]);
            (record.target, record.request_id, record.trace_id) = (text(), text(), text());
            let (service, instance, producer) = (&text(), &text(), &text());
            let said = |record: &LogRecord| {
                let mut line = String::new();
                Line { service, instance, producer, last_words: seed % 2 == 0, record }.write(&mut line);
                assert!(begins_like_ours(line.as_bytes()));
                line.strip_suffix('\n').unwrap().to_owned()
            };

            let line = said(&record);
            assert!(!line.contains(is_harmful), "{line:?}");
            record.fields.clear();
            (record.request_id, record.trace_id) = (String::new(), String::new());
            let line = said(&record);
            assert!(!line.contains('|'), "the first bar is where fields begin: {line:?}");
        }
    }

    #[test]
    fn a_torn_line_is_known_as_ours_and_those_of_others_are_not() {
        let line = written(&record("created", &[]));
        assert!((1..=line.len()).all(|end| begins_like_ours(&line.as_bytes()[..end])));

        for other in ["", "hello", "2026-11-23 23:05", "2026-11-23T23:05:11Z INFO", "2026-11-23T23:05:11.123456Z LOUD "]
        {
            assert!(!begins_like_ours(other.as_bytes()), "{other}");
        }
    }
}

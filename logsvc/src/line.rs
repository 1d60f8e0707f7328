//! How an entry looks in `app.log`: one readable line, and back.
//!
//! ```text
//! 2026-11-23T23:05:11.123456Z INFO  productsvc/4f2a91c0#57 productsvc::store: created product 12 | product.id=12
//! ```
//!
//! Time in UTC, level, service/instance#sequence, target, message, fields. A gap
//! is `#57+3`; a producer that is not its instance adds `@producer.incarnation`.
//! Control characters and those that turn the direction of text are escaped, so
//! that a record is one line whatever it says, and cannot play with a terminal.

use std::fmt::Write as _;
use std::sync::Arc;

use proto::logs::{Field, Level, LogRecord};

use crate::entry::{self, Entry, Producer, Source};

/// Between message and fields; within a message the bar is escaped.
const FIELDS: &str = " | ";

/// Names under which the ids of a record stand among its fields.
const REQUEST_ID: &str = "request_id";
const TRACE_ID: &str = "trace_id";

/// Appends the line of an entry, with its line feed.
pub(crate) fn write(entry: &Entry, line: &mut String) {
    let Entry { source, record, span } = entry;
    let time = record.time.as_ref().and_then(mesh::from_timestamp).unwrap_or_default();
    let level = match record.level() {
        Level::Unspecified => "INFO",
        level => entry::name(level),
    };
    // Writing to a String cannot fail.
    let _infallible = write!(line, "{time:.6} {level:<5} {}/{}#{}", source.service, source.instance, record.sequence);
    if *span != 1 {
        let _infallible = write!(line, "+{span}");
    }
    if source.producer.name != source.instance || source.producer.incarnation != 1 {
        let _infallible = write!(line, "@{}.{}", source.producer.name, source.producer.incarnation);
    }
    line.push(' ');
    escape(&record.target, " ", line);
    line.push_str(": ");
    escape(&record.message, "|", line);

    let ids =
        [(REQUEST_ID, &record.request_id), (TRACE_ID, &record.trace_id)].into_iter().filter(|(_, id)| !id.is_empty());
    let fields = record.fields.iter().map(|field| (field.name.as_str(), &field.value));
    for (n, (name, value)) in fields.chain(ids).enumerate() {
        line.push_str(if n == 0 { FIELDS } else { " " });
        escape(name, " =\"", line);
        line.push('=');
        quote(value, line);
    }
    line.push('\n');
}

/// Reads a line back, without its line feed; none when it is not one of ours.
pub(crate) fn read(line: &str) -> Option<Entry> {
    let (time, rest) = line.split_once(' ')?;
    let (level, rest) = rest.split_once(' ')?;
    let (who, rest) = rest.trim_start().split_once(' ')?;
    let (target, rest) = rest.split_once(": ")?;
    let (message, fields) = rest.split_once(FIELDS).unwrap_or((rest, ""));
    let (source, sequence, span) = read_source(who)?;
    let time: jiff::Timestamp = time.parse().ok()?;

    let mut record = LogRecord {
        sequence,
        time: Some(mesh::timestamp(time)),
        level: read_level(level)?.into(),
        target: unescape(target)?,
        message: unescape(message)?,
        ..Default::default()
    };
    for (name, value) in split_fields(fields)? {
        let (name, value) = (unescape(name)?, unescape(value)?);
        match name.as_str() {
            REQUEST_ID => record.request_id = value,
            TRACE_ID => record.trace_id = value,
            _ => record.fields.push(Field { name, value }),
        }
    }
    Some(Entry { source: Arc::new(source), record, span })
}

fn read_source(who: &str) -> Option<(Source, u64, u64)> {
    let (name, numbers) = who.split_once('#')?;
    let (service, instance) = name.split_once('/')?;
    let (numbers, producer) = match numbers.split_once('@') {
        Some((numbers, producer)) => (numbers, producer.rsplit_once('.')?),
        None => (numbers, (instance, "1")),
    };
    let (sequence, span) = numbers.split_once('+').unwrap_or((numbers, "1"));
    let producer = Producer { name: producer.0.to_owned(), incarnation: producer.1.parse().ok()? };
    let source = Source { service: service.to_owned(), instance: instance.to_owned(), producer };
    Some((source, sequence.parse().ok()?, span.parse().ok()?))
}

fn read_level(level: &str) -> Option<Level> {
    [Level::Trace, Level::Debug, Level::Info, Level::Warn, Level::Error]
        .into_iter()
        .find(|known| entry::name(*known) == level)
}

/// Appends `text` with a backslash before what would end the line, move the cursor or be taken for a separator.
fn escape(text: &str, separators: &str, line: &mut String) {
    for c in text.chars() {
        match c {
            '\\' => line.push_str("\\\\"),
            '\n' => line.push_str("\\n"),
            '\r' => line.push_str("\\r"),
            '\t' => line.push_str("\\t"),
            _ if c.is_control() || is_deceptive(c) || separators.contains(c) => {
                let _infallible = write!(line, "\\u{{{:x}}}", u32::from(c));
            }
            _ => line.push(c),
        }
    }
}

/// Appends a value, in quotes when it would not read as one word.
fn quote(value: &str, line: &mut String) {
    if value.is_empty() || value.contains([' ', '"']) {
        line.push('"');
        escape(value, "\"", line);
        line.push('"');
    } else {
        escape(value, "", line);
    }
}

/// Names and values as they stand in the line, without the quotes.
fn split_fields(mut rest: &str) -> Option<Vec<(&str, &str)>> {
    let mut fields = Vec::new();
    while !rest.is_empty() {
        let (name, after) = rest.split_once('=')?;
        let (value, after) = match after.strip_prefix('"') {
            // A quote inside of a value is escaped as a code, so the next one ends it.
            Some(quoted) => quoted.split_once('"')?,
            None => after.find(' ').map_or((after, ""), |end| after.split_at(end)),
        };
        fields.push((name, value));
        rest = after.strip_prefix(' ').unwrap_or(after);
    }
    Some(fields)
}

/// Characters that break lines or turn the direction of text without being control characters.
fn is_deceptive(c: char) -> bool {
    matches!(c, '\u{2028}' | '\u{2029}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
}

fn unescape(text: &str) -> Option<String> {
    let mut plain = String::with_capacity(text.len());
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        if c != '\\' {
            plain.push(c);
            continue;
        }
        match chars.next()? {
            '\\' => plain.push('\\'),
            'n' => plain.push('\n'),
            'r' => plain.push('\r'),
            't' => plain.push('\t'),
            'u' => {
                let code: String = chars.by_ref().skip(1).take_while(|c| *c != '}').collect();
                plain.push(char::from_u32(u32::from_str_radix(&code, 16).ok()?)?);
            }
            _ => return None,
        }
    }
    Some(plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(message: &str, fields: &[(&str, &str)]) -> Entry {
        let source = Source::parse("productsvc".into(), "4f2a91c0".into(), "4f2a91c0".into(), 1).unwrap();
        let fields =
            fields.iter().map(|(name, value)| Field { name: (*name).to_owned(), value: (*value).to_owned() }).collect();
        let time: jiff::Timestamp = "2026-11-23T23:05:11.123456Z".parse().unwrap();
        let record = LogRecord {
            sequence: 57,
            time: Some(mesh::timestamp(time)),
            level: Level::Info.into(),
            target: "productsvc::store".to_owned(),
            message: message.to_owned(),
            fields,
            ..Default::default()
        };
        Entry { source: Arc::new(source), record, span: 1 }
    }

    fn written(entry: &Entry) -> String {
        let mut line = String::new();
        write(entry, &mut line);
        line
    }

    #[test]
    fn a_line_is_readable() {
        assert_eq!(
            written(&entry("created product 12", &[("product.id", "12"), ("name", "2x4 stud")])),
            "2026-11-23T23:05:11.123456Z INFO  productsvc/4f2a91c0#57 productsvc::store: created product 12 | product.id=12 name=\"2x4 stud\"\n"
        );
    }

    #[test]
    fn whatever_is_said_stays_one_line_and_harmless() {
        let line = written(&entry("a\nb\r\u{1b}[31mred \u{202e}turned \u{7} | x=1", &[("a b=c", "d\u{2028}e")]));

        assert_eq!(line.matches('\n').count(), 1);
        assert!(!line.contains(['\u{1b}', '\u{202e}', '\u{7}', '\u{2028}', '\r']), "{line:?}");
    }

    #[test]
    fn random_entries_survive_being_written_and_read() {
        let alphabet: Vec<char> = "ab :|=#@+\\\n\r\t\u{1b}\u{202e}é½{}\"'u".chars().collect();
        for seed in 0..2000 {
            let mut random = fastrand::Rng::with_seed(seed);
            let mut text =
                || -> String { (0..random.usize(..12)).map(|_| alphabet[random.usize(..alphabet.len())]).collect() };
            let (message, target, name, value) = (text(), text(), text() + "n", text());
            let mut entry = entry(&message, &[(&name, &value)]);
            entry.record.target = target;
            entry.record.request_id = text();
            if seed % 3 == 0 {
                entry.span = 3;
                let source = Source::parse("logsvc".into(), "i-1".into(), "other.one".into(), seed).unwrap();
                entry.source = Arc::new(source);
            }

            let line = written(&entry);

            assert_eq!(read(line.trim_end_matches('\n')).as_ref(), Some(&entry), "{line}");
        }
    }

    #[test]
    fn lines_of_others_are_not_taken_for_ours() {
        for line in
            ["", "hello", "2026-11-23T23:05:11Z INFO", "x INFO a/b#1 t: m", "2026-11-23T23:05:11Z LOUD a/b#1 t: m"]
        {
            assert_eq!(read(line), None, "{line}");
        }
    }
}

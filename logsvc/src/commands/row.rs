//! A record as a person reads it: `app.log`'s words, with the time of day and colours.

use jiff::Timestamp;
use proto::logs::StoredRecord;

use crate::commands::json;
use crate::commands::screen::Screen;
use crate::commands::table::Colour;
use crate::commands::when::clock;
use crate::level;
use crate::line::{Line, escape, quote};

/// Makes `text` the lines of these records, for people or as JSON.
pub(super) fn lines(records: &[StoredRecord], screen: &Screen, text: &mut String) -> anyhow::Result<()> {
    let today = Timestamp::now();
    text.clear();
    for stored in records {
        match screen.is_json() {
            true => json::write(stored, text)?,
            false => write(stored, today, screen.is_coloured(), text),
        }
    }
    Ok(())
}

/// Appends the line of a record.
fn write(stored: &StoredRecord, today: Timestamp, coloured: bool, text: &mut String) {
    let Some(line) = Line::of(stored) else { return };
    let paint = |colour: Option<Colour>, words: &str, text: &mut String| match colour.filter(|_| coloured) {
        Some(colour) => colour.paint(words, text),
        None => text.push_str(words),
    };
    let severity = line.record.level.max(1);
    let colour = match level::range(severity) {
        0 | 1 => Some(Colour::Faint),
        2 => None,
        3 => Some(Colour::Doubtful),
        _ => Some(Colour::Bad),
    };
    let mut words = String::new();

    paint(Some(Colour::Faint), &clock(line.record.time.as_ref(), today), text);
    text.push(' ');
    paint(colour, &format!("{:<5}", level::name(severity)), text);
    text.push(' ');
    line.write_source(&mut words);
    paint(Some(Colour::Name), &words, text);
    text.push(' ');
    words.clear();
    line.write_words(&mut words);
    // A line that warns is seen as a whole.
    paint(colour, &words, text);
    for (n, (name, value)) in line.fields().enumerate() {
        words.clear();
        words.push_str(if n == 0 { " | " } else { " " });
        escape(name, " =\"", &mut words);
        words.push('=');
        quote(value, &mut words);
        paint(Some(Colour::Faint), &words, text);
    }
    text.push('\n');
}

#[cfg(test)]
mod tests {
    use proto::logs::{Field, LogRecord};

    use super::*;

    fn stored() -> StoredRecord {
        let record = LogRecord {
            sequence: 57,
            time: Some(prost_types::Timestamp { seconds: 3600, nanos: 0 }),
            level: 13,
            target: "productsvc::store".into(),
            message: "slow\u{1b}[2J\nforged".into(),
            fields: vec![Field { name: "ms".into(), value: "12".into(), ..Default::default() }],
            ..Default::default()
        };
        StoredRecord {
            offset: 9,
            service: "productsvc".into(),
            instance_id: "4f2a91c0".into(),
            producer: "4f2a91c0".into(),
            record: Some(record),
            ..Default::default()
        }
    }

    fn written(coloured: bool) -> String {
        let mut text = String::new();
        write(&stored(), Timestamp::UNIX_EPOCH, coloured, &mut text);
        text
    }

    #[test]
    fn a_row_is_one_harmless_line() {
        let expected = "01:00:00.000 WARN  productsvc/4f2a91c0#57 productsvc::store: slow\\u{1b}[2J\\nforged | ms=12\n";
        assert_eq!(written(false), expected);
    }

    #[test]
    fn colours_are_ours_only() {
        let text = written(true);

        assert!(text.contains("\u{1b}[33mWARN \u{1b}[0m"), "{text:?}");
        assert!(!text.contains("\u{1b}[2J"), "{text:?}");
    }
}

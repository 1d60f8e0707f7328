//! A record as people see it on a terminal: time of day, level, target, message.

use std::fmt::Write as _;

use proto::logs::{Level, LogRecord};

/// Dimmed, and back to normal, in the codes that terminals know.
const DIMMED: &str = "\u{1b}[2m";
const NORMAL: &str = "\u{1b}[0m";

/// Adds the line of a record. The time is in UTC; the date is in the log service.
pub(super) fn write(text: &mut String, record: &LogRecord, coloured: bool) {
    let (dimmed, normal) = if coloured { (DIMMED, NORMAL) } else { ("", "") };
    let time = record.time.unwrap_or_default();
    let (day, millis) = (time.seconds.rem_euclid(24 * 3600), time.nanos / 1_000_000);
    let (hours, minutes, seconds) = (day / 3600, day / 60 % 60, day % 60);
    let (level, colour) = name(record.level());
    let colour = if coloured { colour } else { "" };
    // Writing to a String never fails.
    let _never = write!(
        text,
        "{dimmed}{hours:02}:{minutes:02}:{seconds:02}.{millis:03}{normal} {colour}{level}{normal} {dimmed}{}{normal}{dimmed}:{normal} ",
        record.target
    );
    for character in record.message.chars() {
        write_harmless(text, character);
    }
    text.push('\n');
}

/// What strangers sent must not move the cursor or recolour a terminal (RUSTSEC-2025-0055).
fn write_harmless(text: &mut String, character: char) {
    match character {
        '\u{7}' | '\u{8}' | '\u{c}' | '\u{1b}' | '\u{7f}' => {
            let _never = write!(text, "\\x{:02x}", u32::from(character));
        }
        '\u{80}'..='\u{9f}' => {
            let _never = write!(text, "\\u{{{:x}}}", u32::from(character));
        }
        _ => text.push(character),
    }
}

/// A level as it is shown, five wide, and its colour.
fn name(level: Level) -> (&'static str, &'static str) {
    match level {
        Level::Trace => ("TRACE", "\u{1b}[35m"),
        Level::Debug => ("DEBUG", "\u{1b}[34m"),
        Level::Unspecified | Level::Info => (" INFO", "\u{1b}[32m"),
        Level::Warn => (" WARN", "\u{1b}[33m"),
        Level::Error | Level::Fatal => ("ERROR", "\u{1b}[31m"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(message: &str, coloured: bool) -> String {
        let time = prost_types::Timestamp { seconds: 1_795_574_645, nanos: 42_900_000 };
        let (target, message) = ("shop::till".to_owned(), message.to_owned());
        let record = LogRecord { time: Some(time), level: Level::Warn.into(), target, message, ..Default::default() };
        let mut text = String::new();
        write(&mut text, &record, coloured);
        text
    }

    #[test]
    fn a_line_is_time_level_target_and_message() {
        assert_eq!(line("it is late", false), "02:44:05.042  WARN shop::till: it is late\n");
        assert_eq!(
            line("é", true),
            "\u{1b}[2m02:44:05.042\u{1b}[0m \u{1b}[33m WARN\u{1b}[0m \u{1b}[2mshop::till\u{1b}[0m\u{1b}[2m:\u{1b}[0m é\n"
        );
    }

    #[test]
    fn control_characters_are_shown_and_lines_stay() {
        assert!(line("a\u{1b}[31m\u{9b}b\nc", false).ends_with("a\\x1b[31m\\u{9b}b\nc\n"));
    }
}

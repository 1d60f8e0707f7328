//! How much a log record matters: OpenTelemetry's severity numbers, in six ranges.

use proto::logs::Level;

/// The levels that a form offers as the least, with their names.
pub(crate) const LEAST: [(&str, &str, Level); 6] = [
    ("", "All levels", Level::Unspecified),
    ("debug", "Debug and above", Level::Debug),
    ("info", "Info and above", Level::Info),
    ("warn", "Warnings and errors", Level::Warn),
    ("error", "Errors", Level::Error),
    ("fatal", "Fatal", Level::Fatal),
];

/// The least level of an address; anything unknown means all.
pub(crate) fn least(key: &str) -> (&'static str, Level) {
    let found = LEAST.into_iter().find(|(known, ..)| *known == key).unwrap_or(LEAST[0]);
    (found.0, found.2)
}

/// What the histogram tells apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Weight {
    /// Someone must act.
    Error,
    /// Unexpected, handled.
    Warning,
    /// All the rest.
    Other,
}

/// How much a severity number weighs.
pub(crate) fn weight(number: i32) -> Weight {
    match number {
        ..13 => Weight::Other,
        13..17 => Weight::Warning,
        17.. => Weight::Error,
    }
}

/// The name of a severity number and its tone.
pub(crate) fn look(number: i32) -> (&'static str, &'static str) {
    match number {
        ..1 => ("UNKNOWN", "slight"),
        1..5 => ("TRACE", "slight"),
        5..9 => ("DEBUG", "slight"),
        9..13 => ("INFO", "plain"),
        13..17 => ("WARN", "fair"),
        17..21 => ("ERROR", "bad"),
        21.. => ("FATAL", "bad"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_between_two_levels_is_the_lower_one() {
        let names: Vec<&str> = [0, 4, 5, 12, 13, 20, 24].map(|number| look(number).0).into();
        assert_eq!(names, ["UNKNOWN", "TRACE", "DEBUG", "INFO", "WARN", "ERROR", "FATAL"]);
        assert_eq!([12, 16, 17].map(weight), [Weight::Other, Weight::Warning, Weight::Error]);
    }

    #[test]
    fn an_unknown_level_means_all() {
        assert_eq!(least("warn"), ("warn", Level::Warn));
        assert_eq!(least("'; DROP TABLE"), ("", Level::Unspecified));
    }
}

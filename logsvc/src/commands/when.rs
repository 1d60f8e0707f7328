//! Points in time as people type and read them.

use std::time::Duration;

use jiff::Timestamp;
use jiff::civil::{Date, DateTime};
use jiff::tz::TimeZone;

/// Reads how long ago something was, as in `1h30m`, or when: RFC 3339, or without a zone in UTC.
pub(super) fn moment(text: &str) -> Result<Timestamp, String> {
    let unreadable = || format!("{text:?} is neither a time ago such as 90s, 10m, 2h, 3d nor 2026-11-24T10:00:00Z");
    if let Some(ago) = span(text) {
        return Timestamp::now().checked_sub(ago).map_err(|_| unreadable());
    }
    if let Ok(time) = text.parse() {
        return Ok(time);
    }
    let local = text.parse::<DateTime>().or_else(|_| text.parse::<Date>().map(DateTime::from));
    let zoned = local.and_then(|local| local.to_zoned(TimeZone::UTC));
    zoned.map(|zoned| zoned.timestamp()).map_err(|_| unreadable())
}

/// Numbers with a unit each: `1h30m`.
fn span(text: &str) -> Option<Duration> {
    let mut total = Duration::ZERO;
    let mut rest = text;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit())?;
        let (number, unit) = rest.split_at(digits);
        let seconds = match unit.chars().next()? {
            's' => 1,
            'm' => 60,
            'h' => 3600,
            'd' => 86_400,
            _ => return None,
        };
        total = total.checked_add(Duration::from_secs(number.parse::<u64>().ok()?.checked_mul(seconds)?))?;
        rest = &unit[1..];
    }
    (!text.is_empty()).then_some(total)
}

/// The time of day in UTC to the millisecond, with the date when it is another day than today.
pub(super) fn clock(time: Option<&prost_types::Timestamp>, today: Timestamp) -> String {
    let Some(time) = time.and_then(mesh::from_timestamp) else { return "-".to_owned() };
    let text = format!("{time:.3}");
    let day = format!("{today:.3}");
    match (text.split_once('T'), day.split_once('T')) {
        (Some((date, clock)), Some((today, _))) if date == today => clock.trim_end_matches('Z').to_owned(),
        (Some((date, clock)), _) => format!("{date} {}", clock.trim_end_matches('Z')),
        _ => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_typed_in_many_ways() {
        let tenth = "2026-11-24T10:00:00Z".parse().unwrap();
        for text in ["2026-11-24T10:00:00Z", "2026-11-24T11:00:00+01:00", "2026-11-24 10:00:00.000", "2026-11-24T10:00"]
        {
            assert_eq!(moment(text), Ok(tenth), "{text}");
        }
        assert_eq!(moment("2026-11-24").unwrap().to_string(), "2026-11-24T00:00:00Z");
        for (text, seconds) in [("90s", 90), ("10m", 600), ("1h30m", 5400), ("3d", 259_200)] {
            let ago = Timestamp::now().duration_since(moment(text).unwrap()).as_secs();
            // The clock goes on between the two looks at it.
            assert!((seconds - 1..seconds + 5).contains(&ago), "{text}");
        }
        for text in ["", "10", "m", "10x", "yesterday", "-5m", "99999999999999999999d", "2026-13-01"] {
            assert!(moment(text).is_err(), "{text}");
        }
    }

    #[test]
    fn another_day_is_told_with_its_date() {
        let time = prost_types::Timestamp { seconds: 86_399, nanos: 5_000_000 };
        let day = |text: &str| text.parse().unwrap();

        assert_eq!(clock(Some(&time), day("1970-01-01T03:00:00Z")), "23:59:59.005");
        assert_eq!(clock(Some(&time), day("1970-01-02T03:00:00Z")), "1970-01-01 23:59:59.005");
        assert_eq!(clock(None, day("1970-01-02T03:00:00Z")), "-");
    }
}

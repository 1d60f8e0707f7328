//! `grpc-timeout`: how long the caller of a request waits.

use std::time::Duration;

use http::{HeaderMap, HeaderName};

static TIMEOUT: HeaderName = HeaderName::from_static("grpc-timeout");

/// How long the sender of these headers waits for the whole call, if it said so.
pub(crate) fn read(headers: &HeaderMap) -> Option<Duration> {
    headers.get(&TIMEOUT).and_then(|value| parse(value.as_bytes()))
}

/// Says how long is waited, unless the headers say something shorter.
pub(crate) fn shorten(headers: &mut HeaderMap, left: Duration) {
    if read(headers).is_none_or(|own| left < own) {
        super::set_once(headers, &TIMEOUT, format(left));
    }
}

/// The same for headers that waited: a millisecond more or less is left as it is.
pub(crate) fn refresh(headers: &mut HeaderMap, left: Duration) {
    if read(headers).is_some_and(|own| left + Duration::from_millis(1) < own) {
        super::set_once(headers, &TIMEOUT, format(left));
    }
}

/// Reads at most eight digits and a unit.
fn parse(text: &[u8]) -> Option<Duration> {
    let (unit, digits) = text.split_last()?;
    if digits.is_empty() || digits.len() > 8 || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let count = digits.iter().fold(0, |count: u64, digit| count * 10 + u64::from(digit - b'0'));
    Some(match unit {
        b'H' => Duration::from_secs(count * 3600),
        b'M' => Duration::from_secs(count * 60),
        b'S' => Duration::from_secs(count),
        b'm' => Duration::from_millis(count),
        b'u' => Duration::from_micros(count),
        b'n' => Duration::from_nanos(count),
        _ => return None,
    })
}

/// Writes a time in the finest unit that eight digits hold.
fn format(left: Duration) -> String {
    let fits = |count: u128| count < 100_000_000;
    if fits(left.as_micros()) {
        format!("{}u", left.as_micros())
    } else if fits(left.as_millis()) {
        format!("{}m", left.as_millis())
    } else {
        format!("{}S", left.as_secs().min(99_999_999))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timeouts_survive_the_wire() {
        for left in [Duration::ZERO, Duration::from_micros(1), Duration::from_secs(30), Duration::from_secs(90_000)] {
            assert_eq!(parse(format(left).as_bytes()), Some(left));
        }
        for garbage in ["", "S", "1", "-1S", "1x", "é", "123456789m"] {
            assert_eq!(parse(garbage.as_bytes()), None, "{garbage}");
        }
    }

    #[test]
    fn the_shorter_timeout_counts() {
        let mut headers = HeaderMap::new();
        for (left, sent) in [(500, 500), (700, 500), (200, 200)] {
            shorten(&mut headers, Duration::from_millis(left));
            assert_eq!(read(&headers), Some(Duration::from_millis(sent)));
        }
    }
}

//! Points in time, between the clock and the wire.

/// A time as messages carry it.
pub fn timestamp(time: jiff::Timestamp) -> prost_types::Timestamp {
    // jiff counts the fraction of times before 1970 downwards; messages count it upwards.
    let nanos = time.as_nanosecond();
    let (seconds, nanos) = (nanos.div_euclid(1_000_000_000), nanos.rem_euclid(1_000_000_000));
    prost_types::Timestamp { seconds: seconds as i64, nanos: nanos as i32 }
}

/// A time that a message carried; none when it is outside of what a clock shows.
pub fn from_timestamp(time: &prost_types::Timestamp) -> Option<jiff::Timestamp> {
    jiff::Timestamp::new(time.seconds, time.nanos).ok()
}

/// A span of time that a message carried; none when it is negative or malformed.
///
/// The conversion of `prost-types` overflows on hostile values.
pub fn from_duration(span: &prost_types::Duration) -> Option<std::time::Duration> {
    let nanos = u32::try_from(span.nanos).ok().filter(|nanos| *nanos < 1_000_000_000)?;
    Some(std::time::Duration::new(u64::try_from(span.seconds).ok()?, nanos))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_survive_the_wire() {
        for text in ["1969-12-31T23:59:59.25Z", "1970-01-01T00:00:00Z", "2026-11-23T23:04:05.123456Z"] {
            let time: jiff::Timestamp = text.parse().unwrap();
            assert_eq!(from_timestamp(&timestamp(time)), Some(time));
        }
    }

    #[test]
    fn hostile_spans_are_none() {
        for (seconds, nanos) in [(i64::MIN, i32::MIN), (-1, 0), (1, -1), (0, i32::MAX)] {
            assert_eq!(from_duration(&prost_types::Duration { seconds, nanos }), None);
        }
    }
}

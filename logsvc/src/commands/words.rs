//! What messages say, in a few words: ages, sizes, counts.

use std::time::Duration;

use jiff::Timestamp;
use proto::logs::LevelCount;

use crate::level;

/// How long ago something was, as the clock here has it; `never` when there is no time.
pub(super) fn ago(time: Option<&prost_types::Timestamp>, now: Timestamp) -> String {
    let Some(time) = time.and_then(mesh::from_timestamp) else { return "never".to_owned() };
    // Clocks differ: what is yet to come is now.
    match Duration::try_from(now.duration_since(time)).unwrap_or_default() {
        past if past < Duration::from_secs(1) => "just now".to_owned(),
        past => format!("{} ago", span(past)),
    }
}

/// A span of time, as exactly as a person wants it.
pub(super) fn span(span: Duration) -> String {
    match span.as_secs() {
        0 if span < Duration::from_secs(1) => format!("{:.1} ms", span.as_secs_f64() * 1e3),
        0..10 => format!("{:.1} s", span.as_secs_f64()),
        seconds @ 10..120 => format!("{seconds} s"),
        seconds @ 120..7200 => format!("{} min", seconds / 60),
        seconds @ 7200..172_800 => format!("{} h", seconds / 3600),
        seconds => format!("{} d", seconds / 86_400),
    }
}

/// A span that a message carried, with its sign: a clock may be ahead or behind.
pub(super) fn signed(skew: &prost_types::Duration) -> (Duration, String) {
    let nanos = i128::from(skew.seconds) * 1_000_000_000 + i128::from(skew.nanos);
    let size = Duration::from_nanos(u64::try_from(nanos.unsigned_abs()).unwrap_or(u64::MAX));
    let sign = if nanos < 0 { '-' } else { '+' };
    (size, format!("{sign}{}", span(size)))
}

/// A number of bytes, in the unit that suits it.
pub(super) fn size(bytes: u64) -> String {
    const UNITS: [&str; 4] = ["KiB", "MiB", "GiB", "TiB"];
    if bytes < 1024 {
        return format!("{bytes} B");
    }
    let mut number = bytes as f64 / 1024.0;
    let mut unit = UNITS[0];
    for larger in &UNITS[1..] {
        if number >= 1024.0 {
            (number, unit) = (number / 1024.0, larger);
        }
    }
    format!("{number:.1} {unit}")
}

/// `3 INFO, 1 ERROR`; empty for nothing.
pub(super) fn by_level(counts: &[LevelCount]) -> String {
    let counted = counts.iter().filter(|lost| lost.count > 0);
    let words: Vec<String> = counted.map(|lost| format!("{} {}", lost.count, level::name(lost.level))).collect();
    words.join(", ")
}

/// `1 record`, `2 records`.
pub(super) fn count(number: u64, noun: &str) -> String {
    format!("{number} {noun}{}", if number == 1 { "" } else { "s" })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_and_spans_are_as_exact_as_a_person_wants_them() {
        for (bytes, words) in
            [(0, "0 B"), (1023, "1023 B"), (1536, "1.5 KiB"), (5 << 30, "5.0 GiB"), (1 << 50, "1024.0 TiB")]
        {
            assert_eq!(size(bytes), words);
        }
        for (seconds, words) in
            [(0.0004, "0.4 ms"), (9.94, "9.9 s"), (119.0, "119 s"), (200.0, "3 min"), (200_000.0, "2 d")]
        {
            assert_eq!(span(Duration::from_secs_f64(seconds)), words);
        }
    }

    #[test]
    fn a_clock_is_ahead_or_behind() {
        let skew = |seconds, nanos| signed(&prost_types::Duration { seconds, nanos }).1;
        assert_eq!(skew(0, -12_000_000), "-12.0 ms");
        assert_eq!(skew(3, 500_000_000), "+3.5 s");
        assert_eq!(skew(i64::MIN, i32::MIN), format!("-{}", span(Duration::from_nanos(u64::MAX))));
    }

    #[test]
    fn ages_are_told_from_here() {
        let (now, later) = (Timestamp::UNIX_EPOCH, prost_types::Timestamp { seconds: 5, nanos: 0 });
        assert_eq!(ago(Some(&later), now), "just now", "clocks differ");
        assert_eq!(ago(Some(&later), Timestamp::from_second(7).unwrap()), "2.0 s ago");
        assert_eq!(ago(None, now), "never");
    }
}

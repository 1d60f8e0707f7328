//! Points in time as people read them: in the zone that they chose, or in UTC.

mod local;

use std::time::Duration;

use jiff::{Timestamp, civil::DateTime, tz::TimeZone};

/// The zone that a visitor reads times in. A page says which, once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Zone(TimeZone);

impl Zone {
    pub(crate) const UTC: Zone = Zone(TimeZone::UTC);

    /// Finds a zone by its name, such as America/Chicago.
    pub(crate) fn named(name: &str) -> Option<Zone> {
        let zone = TimeZone::get(name).ok()?;
        zone.iana_name().is_some().then_some(Zone(zone))
    }

    /// Its name.
    pub(crate) fn name(&self) -> &str {
        self.0.iana_name().unwrap_or("UTC")
    }

    /// The names of all zones that can be chosen.
    pub(crate) fn names() -> Vec<String> {
        let names = jiff::tz::db().available().map(|name| name.as_str().to_owned());
        // What has no slash is an abbreviation or an old name, but for the one that all share.
        let mut names: Vec<String> = names.filter(|name| name.contains('/') && !name.starts_with("Etc/")).collect();
        names.insert(0, "UTC".into());
        names
    }

    /// With the day: 23 Nov 2026, 14:05.
    pub(crate) fn day(&self, moment: Moment) -> String {
        let at = self.civil(moment);
        format!("{} {} {}, {:02}:{:02}", at.day(), month(at), at.year(), at.hour(), at.minute())
    }

    /// With the day and seconds, for one of many: 23 Nov, 14:05:09.
    pub(crate) fn exact(&self, moment: Moment) -> String {
        let at = self.civil(moment);
        format!("{} {}, {:02}:{:02}:{:02}", at.day(), month(at), at.hour(), at.minute(), at.second())
    }

    /// With milliseconds, without the day: 14:05:09.123.
    pub(crate) fn fine(&self, moment: Moment) -> String {
        let at = self.civil(moment);
        format!("{:02}:{:02}:{:02}.{:03}", at.hour(), at.minute(), at.second(), at.millisecond())
    }

    /// With seconds, without the day: 14:05:09.
    pub(crate) fn clock(&self, moment: Moment) -> String {
        let at = self.civil(moment);
        format!("{:02}:{:02}:{:02}", at.hour(), at.minute(), at.second())
    }

    /// The day alone: 23 Nov 2026.
    pub(crate) fn date(&self, moment: Moment) -> String {
        let at = self.civil(moment);
        format!("{} {} {}", at.day(), month(at), at.year())
    }

    fn civil(&self, moment: Moment) -> DateTime {
        self.0.to_datetime(moment.0)
    }
}

/// A month as tables have room for it. Not through a format string, which a page of fifty times feels.
fn month(at: DateTime) -> &'static str {
    const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    usize::try_from(at.month() - 1).ok().and_then(|month| MONTHS.get(month)).copied().unwrap_or_default()
}

/// A point in time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Moment(Timestamp);

impl Moment {
    pub(crate) fn now() -> Moment {
        Moment(Timestamp::now())
    }

    /// Reads a time of a message; nothing when it is absent or outside the calendar.
    pub(crate) fn read(time: Option<prost_types::Timestamp>) -> Option<Moment> {
        let time = time?;
        Timestamp::new(time.seconds, time.nanos).ok().map(Moment)
    }

    /// For the `datetime` attribute: 2026-11-23T14:05:09Z.
    pub(crate) fn iso(self) -> String {
        let at = Zone::UTC.civil(self);
        let (date, time) = ((at.year(), at.month(), at.day()), (at.hour(), at.minute(), at.second()));
        format!("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}Z", date.0, date.1, date.2, time.0, time.1, time.2)
    }

    /// How long ago it was, seen from `now`: "12 s ago".
    pub(crate) fn age(self, now: Moment) -> String {
        let seconds = now.0.as_second() - self.0.as_second();
        match seconds {
            // Clocks of two machines differ; nobody wants to read "in 1 s".
            ..1 => "just now".into(),
            1..60 => format!("{seconds} s ago"),
            60..3600 => format!("{} min ago", seconds / 60),
            3600..86_400 => format!("{} h ago", seconds / 3600),
            86_400..172_800 => "1 day ago".into(),
            _ => format!("{} days ago", seconds / 86_400),
        }
    }
}

/// A span of time, as exactly as a person wants it: 3.4 ms, 2.5 s, 6 s.
pub(crate) fn span(span: Duration) -> String {
    match span.as_secs_f64() {
        seconds if seconds < 1.0 => format!("{:.1} ms", seconds * 1e3),
        seconds if span.subsec_millis() >= 50 => format!("{seconds:.1} s"),
        seconds => format!("{seconds:.0} s"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Moment {
        Moment::read(Some(prost_types::Timestamp { seconds, nanos: 123_456_000 })).unwrap()
    }

    #[test]
    fn a_moment_is_read_in_the_zone_that_was_chosen() {
        let moment = at(1_795_442_709);
        assert_eq!(Zone::UTC.day(moment), "23 Nov 2026, 14:05");
        assert_eq!(moment.iso(), "2026-11-23T14:05:09Z");
        assert_eq!(Zone::UTC.clock(moment), "14:05:09");
        assert_eq!(Zone::UTC.fine(moment), "14:05:09.123");
        assert_eq!(Zone::UTC.exact(moment), "23 Nov, 14:05:09");
        assert_eq!(Zone::UTC.day(at(0)), "1 Jan 1970, 00:00");
        let chicago = Zone::named("America/Chicago").unwrap();
        assert_eq!((chicago.day(moment).as_str(), chicago.name()), ("23 Nov 2026, 08:05", "America/Chicago"));
    }

    #[test]
    fn only_known_zones_can_be_chosen() {
        assert_eq!(Zone::named("Middle/Earth"), None);
        assert_eq!(Zone::named("../../etc/passwd"), None);
        assert_eq!(Zone::UTC.name(), "UTC");
        let names = Zone::names();
        assert!(names.len() > 300 && names.iter().any(|name| name == "Europe/Berlin"), "{}", names.len());
        assert!(names.iter().all(|name| name == "UTC" || Zone::named(name).is_some()));
    }

    #[test]
    fn what_is_outside_the_calendar_is_not_a_moment() {
        assert_eq!(Moment::read(None), None);
        assert_eq!(Moment::read(Some(prost_types::Timestamp { seconds: i64::MAX, nanos: 0 })), None);
        assert_eq!(Moment::read(Some(prost_types::Timestamp { seconds: 0, nanos: i32::MIN })), None);
    }

    #[test]
    fn ages_grow_coarser() {
        let ages = [
            (-5, "just now"),
            (0, "just now"),
            (1, "1 s ago"),
            (59, "59 s ago"),
            (60, "1 min ago"),
            (3599, "59 min ago"),
            (7200, "2 h ago"),
            (86_400, "1 day ago"),
            (864_000, "10 days ago"),
        ];
        for (seconds, age) in ages {
            assert_eq!(at(1_000_000).age(at(1_000_000 + seconds)), age);
        }
    }

    #[test]
    fn spans_are_as_exact_as_a_person_wants_them() {
        for (millis, words) in [(0, "0.0 ms"), (3, "3.0 ms"), (999, "999.0 ms"), (2500, "2.5 s"), (6000, "6 s")] {
            assert_eq!(span(Duration::from_millis(millis)), words);
        }
        assert_eq!(span(Duration::from_micros(1234)), "1.2 ms");
    }
}

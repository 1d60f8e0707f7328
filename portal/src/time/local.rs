//! Times as forms ask for them and as addresses carry them.

use std::time::Duration;

use jiff::{Timestamp, civil::DateTime};

use super::{Moment, Zone};

/// As many as the field of a form shows; what is finer is of no use to a person.
const TYPED: &str = "%Y-%m-%dT%H:%M:%S";

impl Zone {
    /// Reads what was typed into a form, in this zone, or stood in an address, which says its own.
    pub(crate) fn read(&self, text: &str) -> Option<Moment> {
        if let Ok(moment) = text.parse() {
            return Some(Moment(moment));
        }
        let local: DateTime = text.parse().ok()?;
        Some(Moment(local.to_zoned(self.0.clone()).ok()?.timestamp()))
    }

    /// As a form's field has it: 2026-11-23T14:05:09.
    pub(crate) fn typed(&self, moment: Moment) -> String {
        self.civil(moment).strftime(TYPED).to_string()
    }

    /// How far the zone's clock is ahead of UTC then, in seconds.
    pub(crate) fn offset(&self, moment: Moment) -> i64 {
        self.0.to_offset(moment.0).seconds().into()
    }
}

impl Moment {
    /// So many nanoseconds after 1970; nothing outside of the calendar.
    pub(crate) fn at(nanos: i64) -> Option<Moment> {
        Timestamp::from_nanosecond(nanos.into()).ok().map(Moment)
    }

    /// Nanoseconds since 1970; times that 64 bits do not reach are the first or the last that they do.
    pub(crate) fn nanos(self) -> i64 {
        let nanos = self.0.as_nanosecond();
        i64::try_from(nanos).unwrap_or(if nanos < 0 { i64::MIN } else { i64::MAX })
    }

    /// As a message has it.
    pub(crate) fn message(self) -> prost_types::Timestamp {
        mesh::timestamp(self.0)
    }

    /// As an address has it, exactly, in UTC.
    pub(crate) fn address(self) -> String {
        self.0.to_string()
    }

    /// So much earlier.
    pub(crate) fn before(self, span: Duration) -> Option<Moment> {
        self.0.checked_sub(span).ok().map(Moment)
    }

    /// So much later.
    pub(crate) fn after(self, span: Duration) -> Option<Moment> {
        self.0.checked_add(span).ok().map(Moment)
    }

    /// Without what is finer than a second.
    pub(crate) fn whole_second(self) -> Moment {
        Timestamp::from_second(self.0.as_second()).map_or(self, Moment)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_typed_is_read_in_the_zone_and_an_address_says_its_own() {
        let chicago = Zone::named("America/Chicago").unwrap();
        let moment = chicago.read("2026-11-23T08:05:09").unwrap();

        assert_eq!(moment.iso(), "2026-11-23T14:05:09Z");
        assert_eq!(chicago.read("2026-11-23T08:05").unwrap().iso(), "2026-11-23T14:05:00Z");
        assert_eq!(chicago.read(&moment.address()), Some(moment));
        assert_eq!(chicago.typed(moment), "2026-11-23T08:05:09");
        assert_eq!(chicago.date(moment), "23 Nov 2026");
        assert_eq!(chicago.offset(moment), -6 * 3600);
        assert_eq!(chicago.read("2026-11-23").unwrap().iso(), "2026-11-23T06:00:00Z", "a day begins at its midnight");
        for nonsense in ["", "yesterday", "2026-13-01T00:00", "<b>", "9"] {
            assert_eq!(Zone::UTC.read(nonsense), None, "{nonsense}");
        }
    }

    #[test]
    fn a_moment_survives_as_nanoseconds_and_as_a_message() {
        let moment = Zone::UTC.read("2026-11-23T14:05:09.123456789Z").unwrap();

        assert_eq!(Moment::at(moment.nanos()), Some(moment));
        assert_eq!(Moment::read(Some(moment.message())), Some(moment));
        assert_eq!(moment.whole_second().address(), "2026-11-23T14:05:09Z");
        assert_eq!(moment.before(Duration::from_secs(9)).unwrap().address(), "2026-11-23T14:05:00.123456789Z");
    }
}

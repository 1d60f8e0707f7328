//! A month of the calendar, in UTC: what versions are archived by.

use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

/// A month, in UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Month {
    year: i16,
    month: i8,
}

/// The text is no month.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("must be a month as 2026-09")]
pub struct InvalidMonth;

impl Month {
    /// The month that a moment is in.
    pub fn of(moment: Timestamp) -> Self {
        let date = moment.to_zoned(TimeZone::UTC).date();
        Self { year: date.year(), month: date.month() }
    }

    /// Reads `2026-09`.
    pub fn parse(text: &str) -> Result<Self, InvalidMonth> {
        let (year, month) = text.split_once('-').ok_or(InvalidMonth)?;
        let month =
            Self { year: year.parse().map_err(|_| InvalidMonth)?, month: month.parse().map_err(|_| InvalidMonth)? };
        // One spelling each; and jiff knows which months there are.
        let exists = Date::new(month.year, month.month, 1).is_ok();
        if exists && month.to_string() == text { Ok(month) } else { Err(InvalidMonth) }
    }

    /// What the database calls it: 202609.
    pub fn code(self) -> i64 {
        i64::from(self.year) * 100 + i64::from(self.month)
    }

    /// Reads back what the database calls it.
    pub fn from_code(code: i64) -> Result<Self, InvalidMonth> {
        Self::parse(&format!("{:04}-{:02}", code / 100, code % 100))
    }

    /// Its first moment.
    pub fn start(self) -> Timestamp {
        let first = Date::new(self.year, self.month, 1).and_then(|date| date.to_zoned(TimeZone::UTC));
        first.map_or(Timestamp::MIN, |first| first.timestamp())
    }

    /// The first moment behind it.
    pub fn end(self) -> Timestamp {
        self.next().start()
    }

    /// The month behind it; the last one that there is has itself.
    pub fn next(self) -> Self {
        let next = match self.month {
            12 => Self { year: self.year.saturating_add(1), month: 1 },
            month => Self { month: month + 1, ..self },
        };
        if Date::new(next.year, next.month, 1).is_ok() { next } else { self }
    }

    /// The last month that ended longer ago than `kept`.
    pub fn last_closed(now: Timestamp, kept: SignedDuration) -> Self {
        let month = Self::of(now.checked_sub(kept).unwrap_or(Timestamp::MIN));
        // The moment itself is in a month that ended later.
        match month.month {
            1 => Self { year: month.year - 1, month: 12 },
            number => Self { month: number - 1, ..month },
        }
    }

    /// Its folder in the lake, in the words that SQL engines read as columns.
    pub fn folder(self) -> String {
        format!("product_versions/year={:04}/month={:02}", self.year, self.month)
    }
}

impl std::fmt::Display for Month {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:04}-{:02}", self.year, self.month)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn moment(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    #[test]
    fn a_month_is_from_its_first_moment_to_that_of_the_next() {
        let december = Month::parse("2026-12").unwrap();

        assert_eq!(
            (december.start(), december.end()),
            (moment("2026-12-01T00:00:00Z"), moment("2027-01-01T00:00:00Z"))
        );
        assert_eq!(Month::of(december.start()), december);
        assert_eq!(Month::of(moment("2026-12-31T23:59:59.999999Z")), december);
        assert_eq!(Month::of(december.end()), december.next());
        assert_eq!((december.code(), Month::from_code(202_612)), (202_612, Ok(december)));
        assert_eq!(december.folder(), "product_versions/year=2026/month=12");
    }

    #[test]
    fn a_month_is_closed_when_it_ended_more_than_so_long_ago() {
        let thirty_days = SignedDuration::from_hours(30 * 24);
        let last = |now: &str| Month::last_closed(moment(now), thirty_days).to_string();

        assert_eq!(last("2026-11-25T12:00:00Z"), "2026-09");
        assert_eq!(last("2026-10-30T23:59:59Z"), "2026-08", "September ended 29 days ago and a bit");
        assert_eq!(last("2026-10-31T00:00:00Z"), "2026-09");
        assert_eq!(last("2026-01-30T23:00:00Z"), "2025-11");
        assert_eq!(last("2026-02-15T00:00:00Z"), "2025-12");
    }

    #[test]
    fn what_is_no_month_is_refused() {
        for text in ["", "2026", "2026-9", "2026-00", "2026-13", "26-09", "2026-09-01", "+2026-09", "x-y", "2026/09"] {
            assert_eq!(Month::parse(text), Err(InvalidMonth), "{text}");
        }
    }
}

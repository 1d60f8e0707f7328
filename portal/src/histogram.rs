//! How many records there are when: about sixty bars, and where each of them leads.

use crate::{
    backends::logs::Tally,
    level::{Weight, weight},
    number::{count, grouped},
    selection::{Selection, Window},
    time::{Moment, Zone},
};

/// Bars of a picture at most, but for one that the window begins or ends within.
const BARS: i64 = 60;

/// How long a bar may be: in seconds, what people count in.
const LENGTHS: [i64; 20] =
    [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10_800, 21_600, 43_200, 86_400, 172_800, 604_800];

const SECOND: i64 = 1_000_000_000;

/// How far ahead of us the clocks are that a picture makes room for; the rest is told in words.
const AHEAD: i64 = 300 * SECOND;

/// The height of the picture, in its own units, and that of the least that can be seen.
const HEIGHT: u64 = 1000;
const LEAST: u64 = 25;

/// How wide a bar is with the space behind it, and without.
pub(crate) const STEP: usize = 10;
pub(crate) const WIDTH: usize = 8;

/// Records over time.
#[derive(Debug)]
pub(crate) struct Histogram {
    pub(crate) bars: Vec<Bar>,
    pub(crate) counts: Counts,
    pub(crate) from: Moment,
    pub(crate) middle: Moment,
    pub(crate) until: Moment,
    /// Whether clocks without a day would be the same for two bars.
    pub(crate) has_days: bool,
    /// What the picture says, in words.
    pub(crate) words: String,
    /// What is not in it, in words; empty when all is.
    pub(crate) lack: String,
}

/// How many of each weight.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    pub(crate) errors: u64,
    pub(crate) warnings: u64,
    pub(crate) others: u64,
}

/// The records of one span of time.
#[derive(Debug)]
pub(crate) struct Bar {
    pub(crate) from: Moment,
    pub(crate) counts: Counts,
    pub(crate) link: String,
    /// The bar itself, from the ground up: (tone, top, height).
    pub(crate) parts: Vec<(&'static str, u64, u64)>,
    /// Where it stands.
    pub(crate) x: usize,
}

impl Counts {
    fn add(&mut self, weight: Weight) {
        match weight {
            Weight::Error => self.errors += 1,
            Weight::Warning => self.warnings += 1,
            Weight::Other => self.others += 1,
        }
    }

    pub(crate) fn total(self) -> u64 {
        self.errors + self.warnings + self.others
    }

    /// In words: `12 records, 2 errors, 1 warning`.
    pub(crate) fn words(self) -> String {
        let mut words = count(self.total(), "record");
        for (number, noun) in [(self.errors, "error"), (self.warnings, "warning")] {
            if number > 0 {
                words.push_str(", ");
                words.push_str(&count(number, noun));
            }
        }
        words
    }

    pub(crate) fn grouped(self) -> [String; 3] {
        [self.errors, self.warnings, self.others].map(grouped)
    }
}

impl Histogram {
    /// Of what was counted of a selection; nothing when there is nothing to draw.
    pub(crate) fn new(tally: &Tally, selection: &Selection, window: Window, zone: &Zone) -> Option<Histogram> {
        let earliest = tally.records.iter().map(|(time, _)| *time).min()?;
        let latest = tally.records.iter().map(|(time, _)| *time).max()?;
        let now = selection.as_of.nanos();
        // What was not counted is left out of the picture, so that no hour looks empty that was not.
        let start = window.from.map_or(earliest, Moment::nanos).max(if tally.is_cut { earliest } else { i64::MIN });
        let ahead = now.max(latest.saturating_add(1)).min(now.saturating_add(AHEAD));
        let end = window.until.map_or(ahead, Moment::nanos);
        let grid = Grid::over(start, end, zone)?;
        let mut counts = vec![Counts::default(); grid.bars];
        let mut outside = 0;
        for (time, level) in &tally.records {
            match grid.place(*time).and_then(|place| counts.get_mut(place)) {
                Some(bar) => bar.add(weight(*level)),
                None => outside += 1,
            }
        }
        Histogram::draw(&grid, &counts, selection, (tally.is_cut.then_some(earliest), outside))
    }

    fn draw(
        grid: &Grid,
        counts: &[Counts],
        selection: &Selection,
        (cut_at, outside): (Option<i64>, u64),
    ) -> Option<Histogram> {
        let most = counts.iter().map(|counts| counts.total()).max().filter(|most| *most > 0)?;
        let bar = |(place, counts): (usize, &Counts)| {
            let (from, until) = (grid.at(place)?, grid.at(place + 1)?);
            let link = selection.link_between(from, until);
            Some(Bar { from, counts: *counts, link, parts: parts(*counts, most), x: place * STEP })
        };
        let mut all = Counts::default();
        for counts in counts {
            all.errors += counts.errors;
            all.warnings += counts.warnings;
            all.others += counts.others;
        }
        let each = length(grid.seconds);
        Some(Histogram {
            bars: counts.iter().enumerate().filter_map(bar).collect(),
            counts: all,
            from: grid.at(0)?,
            middle: grid.at(grid.bars / 2)?,
            until: grid.at(grid.bars)?,
            has_days: grid.seconds * grid.bars as i64 > 43_200,
            words: format!("{}. One bar is {each}; the highest has {}.", all.words(), count(most, "record")),
            lack: lack(all.total(), cut_at.is_some(), outside),
        })
    }

    /// The width of the picture, in its own units.
    pub(crate) fn width(&self) -> usize {
        self.bars.len() * STEP
    }
}

/// What is not in the picture.
fn lack(counted: u64, is_cut: bool, outside: u64) -> String {
    let mut lack = String::new();
    if is_cut {
        lack = format!("Only the latest {} that match are counted; there are earlier ones.", count(counted, "record"));
    }
    if outside > 0 {
        lack.push_str(&format!(" {} said at other times than the picture shows.", count(outside, "record was")));
    }
    lack.trim_start().to_owned()
}

/// The parts of a bar, errors on the ground.
fn parts(counts: Counts, most: u64) -> Vec<(&'static str, u64, u64)> {
    let mut top = HEIGHT;
    let parts = [("bad", counts.errors), ("fair", counts.warnings), ("plain", counts.others)];
    let drawn = parts.into_iter().filter(|(_, number)| *number > 0).map(|(tone, number)| {
        // Room is left above, so that three least parts never leave the picture.
        let height = (number * (HEIGHT - 3 * LEAST) / most).max(LEAST);
        top = top.saturating_sub(height);
        (tone, top, height)
    });
    drawn.collect()
}

fn length(seconds: i64) -> String {
    match seconds {
        86_400.. if seconds % 86_400 == 0 => count(unsigned(seconds / 86_400), "day"),
        3600.. if seconds % 3600 == 0 => count(unsigned(seconds / 3600), "hour"),
        60.. if seconds % 60 == 0 => count(unsigned(seconds / 60), "minute"),
        _ => count(unsigned(seconds), "second"),
    }
}

fn unsigned(number: i64) -> u64 {
    u64::try_from(number).unwrap_or_default()
}

/// Bars of one length, side by side, that begin where people's clocks do.
#[derive(Debug)]
struct Grid {
    start: i64,
    seconds: i64,
    bars: usize,
}

impl Grid {
    fn over(start: i64, end: i64, zone: &Zone) -> Option<Grid> {
        let seconds = end.checked_sub(start)?.max(SECOND) / SECOND;
        let longest = LENGTHS[LENGTHS.len() - 1];
        let fits = LENGTHS.into_iter().find(|length| seconds <= length * BARS);
        let length = fits.unwrap_or_else(|| (seconds / BARS).div_euclid(longest).saturating_add(1) * longest);
        let ahead = zone.offset(Moment::at(start)?);
        let first = (start.div_euclid(SECOND) + ahead).div_euclid(length) * length - ahead;
        let bars = (end.div_euclid(SECOND) + i64::from(end.rem_euclid(SECOND) > 0) - first).max(1);
        let bars = usize::try_from(bars.div_euclid(length) + i64::from(bars.rem_euclid(length) > 0)).ok()?;
        Some(Grid { start: first.checked_mul(SECOND)?, seconds: length, bars })
    }

    fn place(&self, time: i64) -> Option<usize> {
        usize::try_from(time.checked_sub(self.start)?.div_euclid(self.seconds * SECOND)).ok()
    }

    fn at(&self, place: usize) -> Option<Moment> {
        let behind = i64::try_from(place).ok()?.checked_mul(self.seconds * SECOND)?;
        Moment::at(self.start.checked_add(behind)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 2026-11-23T14:05:09Z
    const NOW: i64 = 1_795_442_709 * SECOND;

    fn tally(records: &[(i64, i32)], is_cut: bool) -> Tally {
        let records = records.iter().map(|(seconds, level)| (NOW - seconds * SECOND, *level)).collect();
        Tally { records, is_cut }
    }

    fn drawn(tally: &Tally) -> Histogram {
        let selection = Selection::usual(Moment::at(NOW).unwrap());
        let window = selection.window(&Zone::UTC).unwrap();
        Histogram::new(tally, &selection, window, &Zone::UTC).unwrap()
    }

    #[test]
    fn an_hour_has_a_bar_for_each_minute_and_each_leads_to_its_minute() {
        let histogram = drawn(&tally(&[(10, 9), (11, 17), (12, 13), (3000, 9)], false));

        assert_eq!(histogram.bars.len(), 61);
        assert_eq!(histogram.from.address(), "2026-11-23T13:05:00Z");
        assert_eq!(histogram.until.address(), "2026-11-23T14:06:00Z");
        assert_eq!(histogram.counts, Counts { errors: 1, warnings: 1, others: 2 });
        let last = &histogram.bars[59];
        assert_eq!(last.counts.words(), "3 records, 1 error, 1 warning");
        assert_eq!(last.link, "/logs?since=between&from=2026-11-23T14%3A04%3A00Z&until=2026-11-23T14%3A05%3A00Z");
        assert_eq!(last.parts.iter().map(|part| part.0).collect::<Vec<_>>(), ["bad", "fair", "plain"]);
        assert_eq!(histogram.words, "4 records, 1 error, 1 warning. One bar is 1 minute; the highest has 3 records.");
        assert_eq!(histogram.lack, "");
    }

    #[test]
    fn nothing_is_drawn_of_a_time_that_was_not_counted() {
        let histogram = drawn(&tally(&[(1, 9), (20, 9)], true));

        assert_eq!(histogram.from.address(), "2026-11-23T14:04:49Z");
        assert_eq!(histogram.bars.len(), 20);
        assert_eq!(histogram.lack, "Only the latest 2 records that match are counted; there are earlier ones.");
    }

    #[test]
    fn a_clock_that_is_ahead_is_in_the_picture_while_no_end_is_asked_for() {
        let histogram = drawn(&tally(&[(-90, 9), (5, 9)], false));
        assert_eq!((histogram.counts.total(), histogram.lack.as_str()), (2, ""));
    }

    #[test]
    fn bars_stay_within_the_picture_however_different_they_are() {
        let mut records = vec![(1, 9); 5000];
        records.extend([(1, 17), (1, 13), (100, 17)]);
        let histogram = drawn(&tally(&records, false));

        for bar in &histogram.bars {
            let mut ground = HEIGHT;
            for (_, top, height) in &bar.parts {
                assert_eq!(top + height, ground);
                assert!(*height >= LEAST);
                ground = *top;
            }
        }
    }

    #[test]
    fn days_begin_at_the_visitors_midnight() {
        let tokyo = Zone::named("Asia/Tokyo").unwrap();
        let grid = Grid::over(NOW - 50 * 86_400 * SECOND, NOW, &tokyo).unwrap();
        assert_eq!((grid.seconds, tokyo.clock(grid.at(1).unwrap()).as_str()), (86_400, "00:00:00"));
    }

    #[test]
    fn any_span_of_time_has_few_bars() {
        for span in [0, 1, SECOND, 61 * SECOND, 86_400 * SECOND, NOW, NOW + 200 * 365 * 86_400 * SECOND] {
            let grid = Grid::over(NOW - span, NOW, &Zone::UTC).unwrap();
            assert!((1..=62).contains(&grid.bars), "{span}: {}", grid.bars);
            assert!(grid.place(NOW - span).unwrap() < grid.bars);
        }
        assert!(Grid::over(i64::MIN, i64::MAX, &Zone::UTC).is_none());
    }

    #[test]
    fn nothing_counted_is_no_picture() {
        let selection = Selection::usual(Moment::at(NOW).unwrap());
        assert!(Histogram::new(&Tally::default(), &selection, Window::default(), &Zone::UTC).is_none());
    }
}

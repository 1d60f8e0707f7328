//! The text that Prometheus reads, version 0.0.4: families of samples, each described once.
//!
//! It knows the format and no metric; which there are stands in `metrics.rs`.

use std::{
    collections::BTreeMap,
    fmt::{self, Write as _},
    ops::RangeInclusive,
    time::Duration,
};

use proto::mesh::Histogram;

/// What the text is, to those who ask for it.
pub(crate) const MEDIA_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Every bucket ends at a power of two, in microseconds: 128 µs to 16.8 s.
///
/// The buckets of a process are a quarter as wide and lie across no such bound, and
/// there are few enough for a line each.
const DOUBLINGS: RangeInclusive<u32> = 7..=24;

/// What a family is called, what it holds, and what it means.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Metric {
    name: &'static str,
    kind: &'static str,
    help: &'static str,
}

impl Metric {
    /// Only rises, from the start of a process.
    pub(crate) const fn counter(name: &'static str, help: &'static str) -> Metric {
        Metric { name, kind: "counter", help }
    }

    /// Rises and falls.
    pub(crate) const fn gauge(name: &'static str, help: &'static str) -> Metric {
        Metric { name, kind: "gauge", help }
    }

    /// Spans of time in buckets.
    pub(crate) const fn histogram(name: &'static str, help: &'static str) -> Metric {
        Metric { name, kind: "histogram", help }
    }
}

/// What tells the samples of a family apart, as it stands in the text.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Labels(String);

impl Labels {
    /// The same and one more, whose value may be any text.
    pub(crate) fn with(mut self, name: &str, value: &str) -> Labels {
        if !self.0.is_empty() {
            self.0.push(',');
        }
        self.0.push_str(name);
        self.0.push_str("=\"");
        for letter in value.chars() {
            match letter {
                '\\' => self.0.push_str("\\\\"),
                '"' => self.0.push_str("\\\""),
                '\n' => self.0.push_str("\\n"),
                letter => self.0.push(letter),
            }
        }
        self.0.push('"');
        self
    }
}

/// All samples, in the order of their names and labels.
///
/// Two with the same labels would spoil the whole text; of such, the last one stands.
#[derive(Debug, Default)]
pub(crate) struct Exposition(BTreeMap<&'static str, Family>);

#[derive(Debug)]
struct Family {
    metric: Metric,
    /// The lines of each sample; a histogram has many.
    samples: BTreeMap<Labels, String>,
}

impl Exposition {
    /// Adds a number.
    pub(crate) fn number(&mut self, metric: Metric, labels: Labels, number: impl fmt::Display) {
        let mut lines = String::new();
        line(&mut lines, (metric.name, ""), &labels, number);
        self.add(metric, labels, lines);
    }

    /// Adds spans of time, counted at bounds that are the same in every process.
    pub(crate) fn spans(&mut self, metric: Metric, labels: Labels, histogram: &Histogram) {
        let mut lines = String::new();
        for bound in DOUBLINGS.map(|doubling| Duration::from_micros(1 << doubling)) {
            let seconds = bound.as_secs_f64().to_string();
            let within = measured(histogram, |upper| upper.is_some_and(|upper| upper <= bound));
            line(&mut lines, (metric.name, "_bucket"), &labels.clone().with("le", &seconds), within);
        }
        // The count of a process may run ahead of its buckets, and here both must be the same.
        let all = measured(histogram, |_| true);
        line(&mut lines, (metric.name, "_bucket"), &labels.clone().with("le", "+Inf"), all);
        let sum = histogram.sum.as_ref().and_then(mesh::from_duration).unwrap_or_default();
        line(&mut lines, (metric.name, "_sum"), &labels, sum.as_secs_f64());
        line(&mut lines, (metric.name, "_count"), &labels, all);
        self.add(metric, labels, lines);
    }

    fn add(&mut self, metric: Metric, labels: Labels, lines: String) {
        let family = self.0.entry(metric.name).or_insert_with(|| Family { metric, samples: BTreeMap::new() });
        family.samples.insert(labels, lines);
    }
}

/// How many calls are in the buckets with such an upper bound; the last bucket has none.
fn measured(histogram: &Histogram, is_meant: impl Fn(Option<Duration>) -> bool) -> u64 {
    let buckets = histogram.buckets.iter();
    let meant = buckets.filter(|bucket| is_meant(bucket.upper_bound.as_ref().and_then(mesh::from_duration)));
    meant.fold(0, |sum: u64, bucket| sum.saturating_add(bucket.count))
}

fn line(lines: &mut String, (name, suffix): (&str, &str), Labels(labels): &Labels, value: impl fmt::Display) {
    writeln!(lines, "{name}{suffix}{{{labels}}} {value}").expect("a string takes everything");
}

impl fmt::Display for Exposition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for Family { metric: Metric { name, kind, help }, samples } in self.0.values() {
            writeln!(f, "# HELP {name} {help}\n# TYPE {name} {kind}")?;
            samples.values().try_for_each(|lines| f.write_str(lines))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proto::mesh::Bucket;

    use super::*;

    const CALLS: Metric = Metric::counter("calls_total", "Calls.");
    const OPEN: Metric = Metric::gauge("open", "What is open.");
    const TIME: Metric = Metric::histogram("time_seconds", "How long it took.");

    fn name(name: &str) -> Labels {
        Labels::default().with("name", name)
    }

    /// A histogram of counts by upper bound in microseconds, the last without one.
    fn histogram(bounded: &[(u64, u64)], over: u64) -> Histogram {
        let bound = |micros| prost_types::Duration::try_from(Duration::from_micros(micros)).ok();
        let bounded = bounded.iter().map(|(micros, count)| Bucket { upper_bound: bound(*micros), count: *count });
        let buckets = bounded.chain([Bucket { upper_bound: None, count: over }]).collect();
        Histogram { buckets, count: 99, sum: bound(2_500_000) }
    }

    /// The cumulated counts that stand in the text, by `le`.
    fn counts(histogram: &Histogram) -> BTreeMap<String, u64> {
        let mut exposition = Exposition::default();
        exposition.spans(TIME, Labels::default(), histogram);
        let text = exposition.to_string();
        let buckets =
            text.lines().filter_map(|line| line.strip_prefix("time_seconds_bucket{le=\"")?.split_once("\"} "));
        buckets.map(|(bound, count)| (bound.to_owned(), count.parse().unwrap())).collect()
    }

    #[test]
    fn a_label_may_hold_any_text() {
        assert_eq!(name("a\\b\"c\nd{},=é").0, r#"name="a\\b\"c\nd{},=é""#);
        assert_eq!(name("").with("more", "x").0, r#"name="",more="x""#);
    }

    #[test]
    fn samples_of_a_family_stand_together_in_order_and_once() {
        let mut exposition = Exposition::default();
        exposition.number(OPEN, name("b"), 1.5);
        exposition.number(CALLS, name("x"), u64::MAX);
        exposition.number(OPEN, name("a"), 0);
        exposition.number(OPEN, name("b"), 2);

        let text = "# HELP calls_total Calls.\n\
                    # TYPE calls_total counter\n\
                    calls_total{name=\"x\"} 18446744073709551615\n\
                    # HELP open What is open.\n\
                    # TYPE open gauge\n\
                    open{name=\"a\"} 0\n\
                    open{name=\"b\"} 2\n";
        assert_eq!(exposition.to_string(), text);
    }

    #[test]
    fn a_span_counts_at_the_first_bound_that_covers_its_bucket_and_at_all_after_it() {
        let counts = counts(&histogram(&[(1, 1), (128, 2), (153, 4), (256, 8), (257, 16), (16_777_216, 32)], 64));

        let at = |bound: &str| counts[bound];
        assert_eq!((at("0.000128"), at("0.000256"), at("0.000512")), (3, 15, 31));
        assert_eq!((at("8.388608"), at("16.777216"), at("+Inf")), (31, 63, 127));
        assert_eq!(counts.len(), 19);
    }

    #[test]
    fn nothing_measured_is_zero_everywhere_and_hostile_bounds_are_past_all() {
        assert!(counts(&Histogram::default()).values().all(|count| *count == 0));
        let upper_bound = Some(prost_types::Duration { seconds: -1, nanos: i32::MIN });
        let buckets = vec![Bucket { upper_bound, count: u64::MAX }, Bucket { upper_bound: None, count: 1 }];
        let counts = counts(&Histogram { buckets, ..Histogram::default() });
        assert_eq!((counts["16.777216"], counts["+Inf"]), (0, u64::MAX));
    }

    #[test]
    fn a_histogram_ends_with_its_sum_and_a_count_that_is_its_last_bucket() {
        let mut exposition = Exposition::default();
        exposition.spans(TIME, name("x"), &histogram(&[(128, 2)], 1));

        let text = exposition.to_string();

        assert!(text.starts_with("# HELP time_seconds How long it took.\n# TYPE time_seconds histogram\n"), "{text}");
        let end = "time_seconds_bucket{name=\"x\",le=\"+Inf\"} 3\n\
                   time_seconds_sum{name=\"x\"} 2.5\n\
                   time_seconds_count{name=\"x\"} 3\n";
        assert!(text.ends_with(end), "{text}");
    }
}

//! How a measure is printed: `measure value unit goal met|short`.

use std::time::Duration;

/// What a measure should reach.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Goal {
    /// At most this.
    AtMost(f64),
    /// At least this.
    AtLeast(f64),
    /// Stated, not judged.
    Stated,
}

/// Prints measures and remembers whether one was short.
#[derive(Debug)]
pub(crate) struct Report {
    met: bool,
    is_quiet: bool,
    lines: String,
}

impl Report {
    pub(crate) fn new() -> Self {
        Self { met: true, is_quiet: false, lines: String::new() }
    }

    /// One that prints nothing: for what only prepares a measure.
    pub(crate) fn quiet() -> Self {
        Self { is_quiet: true, ..Self::new() }
    }

    /// Prints one line.
    pub(crate) fn add(&mut self, measure: &str, value: f64, unit: &str, goal: Goal) {
        let (goal, verdict) = match goal {
            Goal::AtMost(most) => (format!("<={most}"), if value <= most { "met" } else { "short" }),
            Goal::AtLeast(least) => (format!(">={least}"), if value >= least { "met" } else { "short" }),
            Goal::Stated => ("-".to_owned(), "met"),
        };
        self.met &= verdict == "met";
        let line = format!("{measure} {value:.2} {unit} {goal} {verdict}");
        if !self.is_quiet {
            println!("{line}");
        }
        self.lines.push_str(&line);
        self.lines.push('\n');
    }

    /// Says that a measure could not be made, which meets no goal.
    pub(crate) fn broke(&mut self, measure: &str, error: &anyhow::Error) {
        self.met = false;
        println!("{measure} FAILED: {error:#}");
    }

    /// All lines of measures, as they were printed.
    pub(crate) fn lines(&self) -> &str {
        &self.lines
    }

    /// Whether every goal was met.
    pub(crate) fn met(&self) -> bool {
        self.met
    }
}

/// The time that this share of the times does not exceed, in milliseconds.
pub(crate) fn quantile_ms(times: &mut [Duration], share: f64) -> f64 {
    times.sort_unstable();
    let rank = (times.len() as f64 * share).ceil() as usize;
    times.get(rank.saturating_sub(1)).map_or(f64::NAN, |time| time.as_secs_f64() * 1e3)
}

/// The middle one of some values.
pub(crate) fn median(mut values: Vec<f64>) -> f64 {
    values.sort_unstable_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

/// A time in microseconds.
pub(crate) fn us(time: Duration) -> f64 {
    time.as_secs_f64() * 1e6
}

/// A time in milliseconds.
pub(crate) fn ms(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

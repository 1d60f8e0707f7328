//! How a measure is printed: `measure value unit goal met|short`.

/// What a measure should reach.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Goal {
    /// At most this.
    AtMost(f64),
    /// Stated, not judged.
    Stated,
}

/// Prints measures and remembers whether one was short.
#[derive(Debug)]
pub(crate) struct Report {
    met: bool,
}

impl Report {
    pub(crate) fn new() -> Self {
        Self { met: true }
    }

    /// Prints one line.
    pub(crate) fn add(&mut self, measure: &str, value: f64, unit: &str, goal: Goal) {
        let (goal, verdict) = match goal {
            Goal::AtMost(most) => (format!("<={most}"), if value <= most { "met" } else { "short" }),
            Goal::Stated => ("-".to_owned(), "met"),
        };
        self.met &= verdict == "met";
        println!("{measure} {value:.2} {unit} {goal} {verdict}");
    }

    /// Whether every goal was met.
    pub(crate) fn met(&self) -> bool {
        self.met
    }
}

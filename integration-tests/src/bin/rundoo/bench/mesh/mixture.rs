//! 2,000 requests a second, reads and writes half each, whatever happens to those who answer.

use std::time::Duration;

use harness::load::{Arrivals, Outcome};

use crate::bench::measure::{Goal, Report, ms};
use crate::bench::mesh::calls;
use crate::bench::mesh::lab::{Client, Setting};

/// Reads a second, and as many writes.
const EACH_PER_S: f64 = 1000.0;

/// How long each request takes where it is answered.
pub(crate) const WAIT: Setting = ("SPECIMEN_WAIT_US", "1000");

/// Requests that go on until they are ended.
pub(crate) struct Mixture {
    reads: Arrivals,
    writes: Arrivals,
}

impl Mixture {
    pub(crate) fn start(client: &Client) -> Self {
        let (reader, writer) = (client.clone(), client.clone());
        let reads = Arrivals::start(EACH_PER_S, move || calls::read(reader.clone()));
        let writes = Arrivals::start(EACH_PER_S, move || calls::write(writer.clone()));
        Self { reads, writes }
    }

    /// Ends it and reports: no request may have failed.
    pub(crate) async fn end(self, name: &str, report: &mut Report) {
        let (reads, writes) = (self.reads.end().await, self.writes.end().await);
        let said: Vec<&String> = reads.failures.iter().chain(&writes.failures).collect();
        if !said.is_empty() {
            println!("{name}: requests failed: {said:?}");
        }
        report.add(&format!("{name}_failed_reads"), reads.failed as f64, "requests", Goal::AtMost(0.0));
        report.add(&format!("{name}_failed_writes"), writes.failed as f64, "requests", Goal::AtMost(0.0));
        report.add(&format!("{name}_rate"), reads.rate() + writes.rate(), "requests/s", Goal::Stated);
        let p99 = |outcome: &Outcome| outcome.quantile(0.99);
        report.add(&format!("{name}_p99"), ms(p99(&reads).max(p99(&writes))), "ms", Goal::Stated);
        let worst = |outcome: &Outcome| outcome.quantile(1.0);
        report.add(&format!("{name}_worst"), ms(worst(&reads).max(worst(&writes))), "ms", Goal::Stated);
    }
}

/// Lets it go on for a while.
pub(crate) async fn go_on() {
    tokio::time::sleep(Duration::from_secs(2)).await;
}

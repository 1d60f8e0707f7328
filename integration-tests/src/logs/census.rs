//! Compares what is stored with what producers know: everything acknowledged once, nothing twice.

use std::collections::BTreeMap;

use anyhow::Context as _;
use proto::logs::{Filter, StoredRecord};

use super::{Client, Producer, reading};

/// What was read so far. It goes on where it ended, so a long log is read once.
#[derive(Debug, Default)]
pub struct Census {
    /// The next sequence number that is expected, by producer.
    next: BTreeMap<String, u64>,
    /// Everything before this offset was read.
    end: u64,
    read: u64,
}

impl Census {
    /// Reads on to the end of the log and compares. Answers how many records of the producers there are.
    pub async fn take(&mut self, client: &mut Client, producers: &[&Producer]) -> anyhow::Result<u64> {
        let services: std::collections::BTreeSet<String> =
            producers.iter().map(|producer| producer.service().to_owned()).collect();
        let filter = Filter { services: services.into_iter().collect(), from_offset: self.end, ..Default::default() };
        let known: BTreeMap<&str, &&Producer> = producers.iter().map(|producer| (producer.name(), producer)).collect();
        let mut last = self.end;
        let snapshot = reading::each_page(client, filter, |page| {
            for row in page {
                anyhow::ensure!(row.offset >= last, "offset {} comes after {last}", row.offset);
                last = row.offset + 1;
                self.count(&row, &known)?;
            }
            Ok(())
        })
        .await?;
        self.end = snapshot;
        for producer in producers {
            let stored = self.next.get(producer.name()).map_or(0, |next| next - 1);
            anyhow::ensure!(
                stored >= producer.acknowledged(),
                "LOST: {} was acknowledged up to {} and is stored up to {stored}",
                producer.name(),
                producer.acknowledged()
            );
        }
        Ok(self.read)
    }

    /// Records of one producer come in the order of their sequence, each once.
    fn count(&mut self, row: &StoredRecord, known: &BTreeMap<&str, &&Producer>) -> anyhow::Result<()> {
        let producer = known.get(row.producer.as_str()).with_context(|| format!("nobody said {row:?}"))?;
        let record = row.record.as_ref().context("a row without a record")?;
        let next = self.next.entry(row.producer.clone()).or_insert(1);
        anyhow::ensure!(
            record.sequence == *next,
            "{}: {} expected {next} and found {} at offset {}",
            if record.sequence < *next { "TWICE" } else { "LOST" },
            row.producer,
            record.sequence,
            row.offset
        );
        producer.check(record)?;
        *next += 1;
        self.read += 1;
        Ok(())
    }
}

//! A producer that keeps the contract: it sends again what is not acknowledged, from there on.

use std::collections::VecDeque;

use anyhow::Context as _;
use mesh::Refusal;
use prost::Message as _;
use proto::logs::ship_request::Part;
use proto::logs::{LogRecord, RecordBatch, ShipHeader, ShipRequest, ShipResponse};
use tonic::{Code, Status};

use super::{Client, Generator};

/// Records of one message: far below gRPC's 4 MiB.
const BATCH: usize = 1000;

/// A source of records, and what it knows of them.
#[derive(Debug)]
pub struct Producer {
    header: ShipHeader,
    generator: Generator,
    /// Said, and not acknowledged.
    pending: VecDeque<LogRecord>,
    /// A hash of each record that was ever said, by sequence number from 1.
    said: Vec<u64>,
    acknowledged: u64,
    /// Shipments that were answered with UNAVAILABLE or broke.
    broken: u64,
}

impl Producer {
    /// The first start of a producer; its name is that of its instance too.
    pub fn new(service: &str, name: &str, seed: u64) -> Self {
        let header = ShipHeader {
            producer: name.to_owned(),
            incarnation: 1,
            first_sequence: 1,
            service: service.to_owned(),
            instance_id: name.to_owned(),
            ..Default::default()
        };
        let generator = Generator::new(seed);
        Self { header, generator, pending: VecDeque::new(), said: Vec::new(), acknowledged: 0, broken: 0 }
    }

    /// Says so many records.
    pub fn say(&mut self, count: usize) {
        for _ in 0..count {
            let now = i64::try_from(jiff::Timestamp::now().as_nanosecond()).unwrap_or_default();
            let mut record = self.generator.next(now);
            record.sequence = self.said.len() as u64 + 1;
            self.said.push(hash(&record));
            self.pending.push_back(record);
        }
    }

    /// Ships everything that is not acknowledged, once. Answers whether that worked.
    ///
    /// Fails when the log service breaks its promise, and for a refusal that is none of the crash's.
    pub async fn ship(&mut self, client: &mut Client) -> anyhow::Result<bool> {
        let mut request = tonic::Request::new(tokio_stream::iter(self.messages()));
        request.set_timeout(std::time::Duration::from_secs(10));
        match client.ship(request).await {
            Ok(answer) => self.acknowledge(&answer.into_inner()).map(|()| true),
            Err(status) => {
                self.broken += 1;
                self.excuse(status).map(|()| false)
            }
        }
    }

    fn messages(&self) -> Vec<ShipRequest> {
        let mut header = self.header.clone();
        header.first_sequence = self.acknowledged + 1;
        header.sent = Some(mesh::timestamp(jiff::Timestamp::now()));
        let records: Vec<LogRecord> = self.pending.iter().cloned().collect();
        messages(header, &records)
    }

    fn acknowledge(&mut self, answer: &ShipResponse) -> anyhow::Result<()> {
        let through = answer.acknowledged_sequence;
        anyhow::ensure!(answer.refused.is_empty(), "refused: {:?}", answer.refused);
        anyhow::ensure!(
            through == self.said.len() as u64,
            "{} said {} records and {through} were acknowledged",
            self.name(),
            self.said.len()
        );
        let sent = self.pending.len() as u64;
        anyhow::ensure!(answer.stored + answer.duplicates == sent, "{sent} were sent: {answer:?}");
        self.acknowledged = through;
        self.pending.clear();
        Ok(())
    }

    /// Nothing but the end of the process, and what it says at its end, is an excuse.
    fn excuse(&self, status: Status) -> anyhow::Result<()> {
        let reason = Refusal::reason(&status);
        anyhow::ensure!(
            reason.as_deref() != Some("SEQUENCE_HOLE"),
            "acknowledged records are lost: {} sends from {} and is asked for {:?}",
            self.name(),
            self.acknowledged + 1,
            Refusal::metadata_of(&status, "expected")
        );
        let excused = [Code::Unavailable, Code::Unknown, Code::Cancelled, Code::DeadlineExceeded, Code::Internal];
        anyhow::ensure!(
            reason.as_deref() == Some("DISK_FULL") || excused.contains(&status.code()),
            "a shipment failed: {status:?}"
        );
        Ok(())
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.header.producer
    }

    /// The service that it is an instance of.
    pub fn service(&self) -> &str {
        &self.header.service
    }

    /// Records that it said.
    pub fn said(&self) -> u64 {
        self.said.len() as u64
    }

    /// Records that wait.
    pub fn pending(&self) -> usize {
        self.pending.len()
    }

    /// Everything up to this was acknowledged.
    pub fn acknowledged(&self) -> u64 {
        self.acknowledged
    }

    /// Shipments that failed.
    pub fn broken(&self) -> u64 {
        self.broken
    }

    /// Fails unless this is what it said under this number.
    pub fn check(&self, record: &LogRecord) -> anyhow::Result<()> {
        let index = usize::try_from(record.sequence)?.checked_sub(1).context("no sequence number")?;
        let said = self.said.get(index).with_context(|| format!("{} never said {record:?}", self.name()))?;
        anyhow::ensure!(*said == hash(record), "{} said something else than {record:?}", self.name());
        Ok(())
    }
}

/// A shipment: the header, then records.
pub fn shipment(header: ShipHeader, records: &[LogRecord]) -> tokio_stream::Iter<std::vec::IntoIter<ShipRequest>> {
    tokio_stream::iter(messages(header, records))
}

fn messages(header: ShipHeader, records: &[LogRecord]) -> Vec<ShipRequest> {
    let batches = records.chunks(BATCH).map(|records| Part::Batch(RecordBatch { records: records.to_vec() }));
    std::iter::once(Part::Header(header)).chain(batches).map(|part| ShipRequest { part: Some(part) }).collect()
}

/// The same in every run of this process, which is all that is asked of it.
fn hash(record: &LogRecord) -> u64 {
    use std::hash::{DefaultHasher, Hash as _, Hasher as _};
    let mut hasher = DefaultHasher::new();
    record.encode_to_vec().hash(&mut hasher);
    hasher.finish()
}

//! Log records on their way to the log service: bounded by bytes, exact about what was lost.
//!
//! Each record takes the next sequence number when it is said. When the outbox is
//! full the record is dropped, and its number becomes part of a declared gap, so
//! that the log shows where something is missing and how much.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use prost::Message;
use proto::logs::{Gap, Level, LevelCount, LogRecord};
use tokio::sync::Notify;

/// How much is kept while the log service is away. A record of 220 bytes: 30,000 of them.
pub const CAPACITY_BYTES: usize = 8 * 1024 * 1024;

/// The last quarter is for WARN and ERROR only.
const CAPACITY_BELOW_WARN: usize = CAPACITY_BYTES / 4 * 3;

/// What one shipment takes at most.
const SHIPMENT_RECORDS: usize = 5000;
const SHIPMENT_BYTES: usize = 1024 * 1024;

/// One thing to tell the log service, in the order of sequence numbers.
#[derive(Debug, Clone)]
pub enum Parcel {
    /// A record.
    Record(Arc<LogRecord>),
    /// Records that were dropped here.
    Gap(Gap),
}

/// Parcels that were taken out and are not acknowledged yet.
#[derive(Debug, Default)]
pub struct Shipment {
    /// In the order of their sequence numbers.
    pub parcels: Vec<Parcel>,
    bytes: usize,
}

/// The outbox of a process.
#[derive(Debug, Default)]
pub struct Outbox {
    queue: Mutex<Queue>,
    filled: Notify,
}

#[derive(Debug, Default)]
struct Queue {
    parcels: VecDeque<Parcel>,
    /// Of parcels in the queue and in the shipment that is under way.
    bytes: usize,
    last_sequence: u64,
    lost: u64,
    /// Whether a record waits that someone must act on.
    urgent: bool,
}

impl Outbox {
    /// Puts a record in, or counts it as lost when there is no room. Never waits.
    pub fn put(&self, mut record: LogRecord) {
        let mut queue = self.lock();
        queue.last_sequence += 1;
        record.sequence = queue.last_sequence;
        let level = record.level();
        let bytes = record.encoded_len();
        let capacity = if level >= Level::Warn { CAPACITY_BYTES } else { CAPACITY_BELOW_WARN };
        if queue.bytes + bytes > capacity {
            queue.lose(record.sequence, level);
        } else {
            queue.bytes += bytes;
            queue.urgent |= level >= Level::Error;
            queue.parcels.push_back(Parcel::Record(Arc::new(record)));
        }
        drop(queue);
        self.filled.notify_one();
    }

    /// Waits until there is something to ship.
    pub async fn filled(&self) {
        loop {
            let filled = self.filled.notified();
            if !self.lock().parcels.is_empty() {
                return;
            }
            filled.await;
        }
    }

    /// Waits until it is worth shipping at once: an ERROR waits, or a shipment is full.
    pub(crate) async fn pressing(&self) {
        loop {
            let filled = self.filled.notified();
            {
                let queue = self.lock();
                if queue.urgent || queue.bytes >= SHIPMENT_BYTES || queue.parcels.len() >= SHIPMENT_RECORDS {
                    return;
                }
            }
            filled.await;
        }
    }

    /// Takes the next shipment out. Its bytes stay counted until [`Outbox::settle`].
    pub fn take(&self) -> Shipment {
        let mut queue = self.lock();
        let mut shipment = Shipment::default();
        while let Some(parcel) = queue.parcels.front() {
            let bytes = parcel.bytes();
            let full = shipment.parcels.len() >= SHIPMENT_RECORDS || shipment.bytes + bytes > SHIPMENT_BYTES;
            if full && !shipment.parcels.is_empty() {
                break;
            }
            shipment.bytes += bytes;
            shipment.parcels.extend(queue.parcels.pop_front());
        }
        queue.urgent = false;
        shipment
    }

    /// Forgets a shipment: it is on disk, or given up.
    pub fn settle(&self, shipment: Shipment) {
        let mut queue = self.lock();
        queue.bytes = queue.bytes.saturating_sub(shipment.bytes);
    }

    /// How many records were dropped since the process started.
    #[cfg(test)]
    fn lost(&self) -> u64 {
        self.lock().lost
    }

    /// How many parcels wait.
    pub fn len(&self) -> usize {
        self.lock().parcels.len()
    }

    /// Whether nothing waits.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Queue {
    fn lose(&mut self, sequence: u64, level: Level) {
        self.lost += 1;
        if !matches!(self.parcels.back(), Some(Parcel::Gap(_))) {
            self.parcels.push_back(Parcel::Gap(Gap { first_sequence: sequence, lost: Vec::new() }));
        }
        let Some(Parcel::Gap(gap)) = self.parcels.back_mut() else { return };
        match gap.lost.iter_mut().find(|lost| lost.level() == level) {
            Some(lost) => lost.count += 1,
            None => gap.lost.push(LevelCount { level: level.into(), count: 1 }),
        }
    }
}

impl Parcel {
    /// The first sequence number that it stands for.
    pub fn first_sequence(&self) -> u64 {
        match self {
            Self::Record(record) => record.sequence,
            Self::Gap(gap) => gap.first_sequence,
        }
    }

    fn bytes(&self) -> usize {
        match self {
            Self::Record(record) => record.encoded_len(),
            // A gap is a few counters; it costs nothing, so that it always fits.
            Self::Gap(_) => 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(level: Level, bytes: usize) -> LogRecord {
        LogRecord { level: level.into(), message: "x".repeat(bytes), ..Default::default() }
    }

    #[test]
    fn what_does_not_fit_becomes_an_exact_gap() {
        let outbox = Outbox::default();
        for _ in 0..100 {
            outbox.put(record(Level::Info, 1024 * 1024 / 8));
        }

        let kept = CAPACITY_BELOW_WARN / (1024 * 1024 / 8) - 1;
        let mut records = 0;
        let mut lost = 0;
        while !outbox.is_empty() {
            for parcel in outbox.take().parcels {
                match parcel {
                    Parcel::Record(_) => records += 1,
                    Parcel::Gap(gap) => lost += gap.lost.iter().map(|lost| lost.count).sum::<u64>(),
                }
            }
        }

        assert_eq!(records, kept);
        assert_eq!(lost, 100 - kept as u64);
        assert_eq!(outbox.lost(), lost);
    }

    #[test]
    fn errors_still_fit_when_others_do_not() {
        let outbox = Outbox::default();
        outbox.put(record(Level::Debug, CAPACITY_BELOW_WARN - 100));

        outbox.put(record(Level::Info, 200));
        outbox.put(record(Level::Error, 200));

        assert_eq!(outbox.lost(), 1);
    }

    #[test]
    fn sequence_numbers_are_contiguous_across_gaps() {
        let outbox = Outbox::default();
        outbox.put(record(Level::Info, 10));
        outbox.put(record(Level::Info, CAPACITY_BYTES));
        outbox.put(record(Level::Info, CAPACITY_BYTES));
        outbox.put(record(Level::Info, 10));

        let firsts: Vec<u64> = outbox.take().parcels.iter().map(Parcel::first_sequence).collect();

        assert_eq!(firsts, [1, 2, 4]);
    }

    #[test]
    fn settled_shipments_make_room() {
        let outbox = Outbox::default();
        outbox.put(record(Level::Info, CAPACITY_BELOW_WARN - 100));
        let shipment = outbox.take();
        outbox.put(record(Level::Info, 200));
        assert_eq!(outbox.lost(), 1);

        outbox.settle(shipment);
        outbox.put(record(Level::Info, 200));

        assert_eq!(outbox.lost(), 1);
    }
}

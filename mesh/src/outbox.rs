//! Log records on their way to the log service: bounded by bytes, exact about what was lost.
//!
//! Each record takes the next sequence number when it is said. When there is no room for
//! its level, it is dropped, and its number becomes part of a declared gap, so that the
//! log shows where something is missing and how much. Whoever says something never waits:
//! a record is one copy under a short lock, and a wake-up only when the outbox was empty.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::ThreadId;
use std::time::{Duration, Instant};

use tokio::sync::Notify;
use tracing::Level;

use crate::chunk::{Chunk, Counts, Filling};
use crate::record;

mod admission;
#[cfg(test)]
mod tests;

use admission::Rate;

/// How much is kept in memory while it cannot go anywhere. A record of 220 bytes: 35,000 of them.
pub(crate) const CAPACITY_BYTES: usize = 8 * 1024 * 1024;

/// What one shipment takes at most, by the contract.
pub(crate) const SHIPMENT_RECORDS: usize = 5000;
pub(crate) const SHIPMENT_BYTES: usize = 1024 * 1024;

/// A chunk is closed at this size: more would be memory that the allocator asks the kernel for each time.
const CHUNK_BYTES: usize = 64 * 1024;

/// The outbox of a process.
#[derive(Debug, Default)]
pub(crate) struct Outbox {
    queue: Mutex<Queue>,
    filled: Notify,
    pressing: Notify,
    /// How full the spool is, in hundredths.
    spool_percent: AtomicU32,
    /// Whether this process keeps the log itself.
    own: AtomicBool,
    written: Mutex<Written>,
    progress: Condvar,
}

/// How far records are in the spool, whence they survive a crash.
#[derive(Debug, Default)]
struct Written {
    /// Who writes; nobody when there is no spool.
    by: Option<ThreadId>,
    through: u64,
}

#[derive(Debug, Default)]
struct Queue {
    closed: VecDeque<Chunk>,
    filling: Filling,
    /// What was lost after the last record: its first number, and how much.
    gap: Option<(u64, Counts)>,
    /// In the queue, and in what was taken out and is not settled yet.
    bytes: usize,
    /// In the queue.
    waiting_bytes: usize,
    waiting_records: usize,
    last_sequence: u64,
    /// Whether a record waits that someone must act on.
    urgent: bool,
    #[cfg(test)]
    lost: Counts,
    rate: Option<Rate>,
}

/// What was taken out.
#[derive(Debug, Default)]
pub(crate) struct Taken {
    pub(crate) chunks: Vec<Chunk>,
    /// Whether a record is among them that someone must act on.
    pub(crate) urgent: bool,
}

impl Outbox {
    /// Puts a record in that was encoded without its number, or counts it as lost. Never waits.
    pub(crate) fn put(&self, level: Level, record: &[u8]) {
        let spool_percent = self.spool_percent.load(Ordering::Relaxed);
        let mut queue = self.lock();
        let was_empty = queue.waiting_records == 0;
        queue.last_sequence += 1;
        let weight = Filling::weight(record.len(), queue.last_sequence);
        let fits = admission::admits(level, queue.bytes + weight, CAPACITY_BYTES, spool_percent);
        if !fits || queue.rate.as_mut().is_some_and(|rate| !rate.admits(level, Instant::now())) {
            queue.lose(level);
            return;
        }
        let presses = queue.push(level, record);
        drop(queue);
        if was_empty {
            self.filled.notify_one();
        }
        if presses {
            self.pressing.notify_one();
        }
    }

    /// Whether an event is to be put in at all. What a log service does to keep a record is no record.
    pub(crate) fn wants(&self, target: &str, level: Level) -> bool {
        !self.own.load(Ordering::Relaxed) || !admission::is_plumbing(target, level)
    }

    /// From now on this process keeps its records itself: it must not feed on what it says meanwhile.
    pub(crate) fn feed_own_log(&self) {
        self.own.store(true, Ordering::Relaxed);
        self.lock().rate = Some(Rate::own());
    }

    /// Waits until there is something to ship.
    pub(crate) async fn filled(&self) {
        self.until(&self.filled, |queue| queue.waiting_records > 0).await;
    }

    /// Waits until it is worth shipping at once: an ERROR waits, or a shipment is full.
    pub(crate) async fn pressing(&self) {
        self.until(&self.pressing, |queue| queue.urgent || queue.is_full()).await;
    }

    async fn until(&self, news: &Notify, is_so: impl Fn(&Queue) -> bool) {
        loop {
            let heard = news.notified();
            if is_so(&self.lock()) {
                return;
            }
            heard.await;
        }
    }

    /// Takes everything out. It stays counted until [`Outbox::settle`].
    pub(crate) fn take(&self) -> Taken {
        let mut queue = self.lock();
        let taken = queue.take();
        drop(queue);
        taken.finish()
    }

    /// The same, and declares what was lost since the last record.
    ///
    /// A gap that still grows is better declared once it has an end, so this is for when
    /// nothing else waits.
    pub(crate) fn take_with_gap(&self) -> Taken {
        let mut queue = self.lock();
        queue.declare_gap();
        let taken = queue.take();
        drop(queue);
        taken.finish()
    }

    /// Makes room for as many bytes as were taken out: they are on disk, or acknowledged.
    pub(crate) fn settle(&self, bytes: usize) {
        let mut queue = self.lock();
        queue.bytes = queue.bytes.saturating_sub(bytes);
    }

    /// Says how full the spool is, in hundredths: when it is, less important records are not taken any more.
    pub(crate) fn narrow(&self, spool_percent: u32) {
        self.spool_percent.store(spool_percent, Ordering::Relaxed);
    }

    /// How many records were lost since the process started.
    #[cfg(test)]
    fn lost(&self) -> u64 {
        self.lock().lost.total()
    }

    /// The number that the last record got.
    pub(crate) fn last_sequence(&self) -> u64 {
        self.lock().last_sequence
    }

    /// Says that this thread writes what it takes into the spool.
    pub(crate) fn writes_through(&self) {
        self.written.lock().unwrap_or_else(PoisonError::into_inner).by = Some(std::thread::current().id());
    }

    /// Says that nobody does any more.
    pub(crate) fn writes_no_more(&self) {
        self.written.lock().unwrap_or_else(PoisonError::into_inner).by = None;
        self.progress.notify_all();
    }

    /// Says that everything up to this number is written.
    pub(crate) fn written(&self, through: u64) {
        self.written.lock().unwrap_or_else(PoisonError::into_inner).through = through;
        self.progress.notify_all();
    }

    /// Waits, not longer than this, until what was said up to now is in the spool.
    ///
    /// Returns at once where there is none, and on the thread that would have to write.
    pub(crate) fn wait_written(&self, most: Duration) {
        let said = self.last_sequence();
        let written = self.written.lock().unwrap_or_else(PoisonError::into_inner);
        let own = std::thread::current().id();
        let waits = |written: &mut Written| written.by.is_some_and(|by| by != own) && written.through < said;
        // Late is as good as written: the process ends, or it does not.
        let _late = self.progress.wait_timeout_while(written, most, waits);
    }

    /// Whether nothing waits to be taken.
    #[cfg(test)]
    pub(crate) fn is_taken(&self) -> bool {
        self.lock().waiting_records == 0
    }

    /// Whether nothing is taken that is not settled.
    #[cfg(test)]
    pub(crate) fn is_settled(&self) -> bool {
        self.lock().bytes == 0
    }

    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The same before its last chunk is made, for which the lock is not held.
struct Unfinished {
    closed: VecDeque<Chunk>,
    filling: Filling,
    urgent: bool,
}

impl Unfinished {
    fn finish(self) -> Taken {
        let mut chunks = Vec::from(self.closed);
        if !self.filling.is_empty() {
            chunks.push(self.filling.finish_small());
        }
        Taken { chunks, urgent: self.urgent }
    }
}

impl Queue {
    fn take(&mut self) -> Unfinished {
        (self.waiting_bytes, self.waiting_records) = (0, 0);
        Unfinished {
            closed: std::mem::take(&mut self.closed),
            filling: std::mem::take(&mut self.filling),
            urgent: std::mem::take(&mut self.urgent),
        }
    }

    /// Answers whether it is time to ship, for the first time since something was taken out.
    fn push(&mut self, level: Level, record: &[u8]) -> bool {
        let pressed = self.urgent || self.is_full();
        // The number is the record's own; what was lost came before it.
        self.declare_gap();
        let before = self.filling.len();
        if before == 0 {
            // One piece from the allocator, instead of a growing one that is copied each time.
            self.filling.reserve(CHUNK_BYTES + CHUNK_BYTES / 8);
        }
        self.filling.push(record, self.last_sequence, record::level(level));
        self.weigh(self.filling.len() - before);
        if self.filling.len() >= CHUNK_BYTES {
            self.closed.push_back(std::mem::take(&mut self.filling).finish());
        }
        self.urgent |= level == Level::ERROR;
        !pressed && (self.urgent || self.is_full())
    }

    fn lose(&mut self, level: Level) {
        let level = record::level(level).into();
        #[cfg(test)]
        self.lost.add(level, 1);
        self.gap.get_or_insert((self.last_sequence, Counts::default())).1.add(level, 1);
    }

    /// A gap is a few counters; it is taken whether there is room or not.
    fn declare_gap(&mut self) {
        if let Some((first, counts)) = self.gap.take() {
            let weight = self.filling.push_gap(first, &counts);
            self.weigh(weight);
        }
    }

    fn weigh(&mut self, bytes: usize) {
        self.bytes += bytes;
        self.waiting_bytes += bytes;
        self.waiting_records += 1;
    }

    fn is_full(&self) -> bool {
        self.waiting_bytes >= SHIPMENT_BYTES || self.waiting_records >= SHIPMENT_RECORDS
    }
}

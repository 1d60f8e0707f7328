//! One tail: what is there from where it begins, then each record as it is stored.
//!
//! It reads the log by offset instead of being sent every record, so a slow reader
//! lags and loses nothing; only retention can overtake it, and then it is told.

use std::ops::{ControlFlow, Range};
use std::time::Duration;

use proto::logs::tail_request::Start;
use proto::logs::{OffsetRange, TailRequest, TailResponse};
use tokio::sync::mpsc;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tonic::Status;

use crate::entry::{Entry, nanoseconds};
use crate::error::Error;
use crate::filter::Filter;
use crate::scan::{Order, Sink, scan};
use crate::store::{Chunk, Store, View};

/// Records of one message at most.
const CHUNK: usize = 512;

/// The most of the last records that a tail begins with.
const MOST_LAST: usize = 10_000;

/// How often lag is told.
const LAG_EVERY: Duration = Duration::from_secs(1);

/// How often a tail with nothing to say speaks.
const HEARTBEAT: Duration = Duration::from_secs(5);

/// Where the messages of a tail go.
pub(crate) type Messages = mpsc::Sender<Result<TailResponse, Status>>;

/// What a reader wants to see.
#[derive(Debug)]
pub(crate) struct Tail {
    filter: Filter,
    start: Begin,
    follow: bool,
}

#[derive(Debug)]
enum Begin {
    Last(usize),
    Offset(u64),
    /// In nanoseconds since 1970.
    Received(i64),
}

impl Tail {
    /// Parses a request.
    pub(crate) fn parse(request: TailRequest) -> Result<Self, Error> {
        let invalid = |field, description: &str| Error::InvalidField { field, description: description.to_owned() };
        let start = match request.start {
            None => Begin::Last(0),
            Some(Start::Last(last)) => {
                let last = usize::try_from(last).map_err(|_| invalid("last", "must not be negative"))?;
                Begin::Last(last.min(MOST_LAST))
            }
            Some(Start::FromOffset(offset)) => Begin::Offset(offset),
            Some(Start::FromTime(time)) => {
                let time = nanoseconds(Some(&time));
                Begin::Received(time.ok_or_else(|| invalid("from_time", "must be between the years 1678 and 2262"))?)
            }
        };
        Ok(Self { filter: Filter::parse(request.filter)?, start, follow: !request.no_follow })
    }

    /// Sends until the reader leaves or the service stops.
    pub(crate) async fn run(self, store: Store, messages: Messages, stopping: CancellationToken) {
        let ended = tokio::select! {
            ended = self.send_all(&store, &messages) => ended,
            () = stopping.cancelled() => Some(Error::Stopping.into()),
            () = messages.closed() => None,
        };
        if let Some(status) = ended {
            // A reader that is gone needs no reason.
            let _unread = messages.send(Err(status)).await;
        }
    }

    async fn send_all(self, store: &Store, messages: &Messages) -> Option<Status> {
        let Self { mut filter, start, follow } = self;
        let mut end = store.end();
        let last = *end.borrow_and_update();
        let mut next;
        (next, filter) = reading(store, move |view| (begin(&start, view, &filter), filter)).await?;
        let mut told = Instant::now();
        loop {
            let now = *end.borrow_and_update();
            if next < now && (follow || next < last) {
                let chunk;
                (chunk, filter) = reading(store, move |view| (view.read(next, CHUNK, &filter), filter)).await?;
                next = chunk.next;
                let end = *end.borrow();
                send(chunk, end, &mut told, messages).await?;
            } else if !follow {
                return None;
            } else {
                match tokio::time::timeout(HEARTBEAT, end.changed()).await {
                    Ok(changed) => changed.ok()?,
                    Err(_) => send(Chunk { next, ..Default::default() }, now, &mut told, messages).await?,
                }
            }
        }
    }
}

/// Reads the log where reading may wait for the disk.
async fn reading<T: Send + 'static>(store: &Store, work: impl FnOnce(&View) -> T + Send + 'static) -> Option<T> {
    let view = store.view();
    tokio::task::spawn_blocking(move || work(&view)).await.ok()
}

async fn send(chunk: Chunk, end: u64, told: &mut Instant, messages: &Messages) -> Option<()> {
    let idle = chunk.entries.is_empty() && chunk.removed.is_none();
    let due = told.elapsed() >= LAG_EVERY;
    if idle && !due {
        // A search for something rare passes much; where it is, is told with the lag.
        return Some(());
    }
    let lag = due.then(|| end.saturating_sub(chunk.next));
    if due {
        *told = Instant::now();
    }
    let message = TailResponse {
        records: chunk.entries.into_iter().map(Entry::into_message).collect(),
        next_offset: chunk.next,
        lag,
        removed: chunk.removed.map(|Range { start, end }| OffsetRange { first: start, end }),
    };
    messages.send(Ok(message)).await.ok()
}

/// The offset to begin at.
fn begin(start: &Begin, view: &View, filter: &Filter) -> u64 {
    match start {
        // Nobody was told an offset beyond the end: the log was begun anew since then.
        Begin::Offset(offset) if *offset > view.end() => view.start(),
        Begin::Offset(offset) => *offset,
        Begin::Last(0) => view.end(),
        Begin::Last(last) => {
            let mut looking = Looking { left: *last, found: view.end() };
            let _found_enough = scan(view, &(0..view.end()), Order::NewestFirst, filter, &mut looking);
            looking.found
        }
        Begin::Received(time) => {
            let mut looking = Received { time: *time, found: view.end() };
            let from = view.received_after(*time);
            let _found_it = scan(view, &(from..view.end()), Order::OldestFirst, &Filter::default(), &mut looking);
            looking.found
        }
    }
}

/// Looks for where the last matching records begin.
struct Looking {
    left: usize,
    found: u64,
}

impl Sink for Looking {
    fn wanted(&self) -> usize {
        self.left
    }

    fn take(&mut self, entry: Entry) -> ControlFlow<()> {
        self.found = entry.offset;
        self.left -= 1;
        if self.left == 0 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    }

    fn passed(&mut self, _: Range<u64>, _: bool) -> ControlFlow<()> {
        ControlFlow::Continue(())
    }
}

/// Looks for the first record that was received at a time or later.
struct Received {
    time: i64,
    found: u64,
}

impl Sink for Received {
    fn wanted(&self) -> usize {
        usize::MAX
    }

    fn take(&mut self, entry: Entry) -> ControlFlow<()> {
        if entry.received < self.time {
            return ControlFlow::Continue(());
        }
        self.found = entry.offset;
        ControlFlow::Break(())
    }

    fn passed(&mut self, _: Range<u64>, _: bool) -> ControlFlow<()> {
        ControlFlow::Continue(())
    }
}

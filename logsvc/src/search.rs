//! One query: rows as they are found, progress between them, and an end that always says whether that was all.

use std::ops::{ControlFlow, Range};
use std::time::{Duration, Instant};

use proto::logs::query_done::End;
use proto::logs::query_response::Part;
use proto::logs::{Order as OrderMessage, QueryDone, QueryProgress, QueryRequest, QueryResponse, Rows};
use tokio::sync::mpsc;
use tonic::Status;

use crate::entry::{Entry, weight};
use crate::error::Error;
use crate::filter::Filter;
use crate::scan::{Order, Sink, scan};
use crate::store::View;

/// Rows of a page: as many as are read by a person, and as a program takes at once.
const PAGE: usize = 100;
const LARGEST_PAGE: usize = 10_000;

/// What one message may weigh, and hold.
const MESSAGE_BYTES: usize = 1024 * 1024;
const MESSAGE_ROWS: usize = 256;

/// How often progress is told.
const PROGRESS_EVERY: Duration = Duration::from_millis(500);

/// What a search may take. A caller with a closer deadline gets an answer before that.
const BUDGET: Duration = Duration::from_secs(30);

/// What is left of a caller's deadline for the last message.
const RESERVE: Duration = Duration::from_millis(50);

const METHOD: &str = "Query";

/// Where messages of a search go.
pub(crate) type Messages = mpsc::Sender<Result<QueryResponse, Status>>;

/// What somebody searches for.
#[derive(Debug)]
pub(crate) struct Search {
    filter: Filter,
    order: Order,
    page: usize,
    /// Of a search that goes on: what is left of the offsets that it began with, and where they ended.
    left: Option<(Range<u64>, u64)>,
    /// The filter and the order as they came: a token is bound to them.
    arguments: [String; 2],
}

impl Search {
    /// Parses a request.
    pub(crate) fn parse(request: QueryRequest) -> Result<Self, Error> {
        let page = mesh::page::size(request.page_size, PAGE, LARGEST_PAGE)
            .map_err(|error| Error::InvalidField { field: "page_size", description: error.to_string() })?;
        let order = match OrderMessage::try_from(request.order) {
            Ok(OrderMessage::OldestFirst) => Order::OldestFirst,
            Ok(_) => Order::NewestFirst,
            Err(_) => {
                let description = "must be a known order".to_owned();
                return Err(Error::InvalidField { field: "order", description });
            }
        };
        let arguments = [format!("{:?}", request.filter), format!("{order:?}")];
        let left = match request.page_token.as_str() {
            "" => None,
            token => Some(read_token(token, &arguments)?),
        };
        Ok(Self { filter: Filter::parse(request.filter)?, order, page, left, arguments })
    }

    /// Searches the log as it was in a view. Reads from disk: not for async code.
    pub(crate) fn run(self, view: &View, deadline: Option<tokio::time::Instant>, messages: &Messages) {
        let now = Instant::now();
        let left = deadline.map(|deadline| deadline.into_std().saturating_duration_since(now).saturating_sub(RESERVE));
        let (range, snapshot) = self.left.clone().unwrap_or_else(|| (0..view.end(), view.end()));
        let wanted = self.filter.offsets();
        let range = range.start.max(wanted.start)..range.end.min(wanted.end);
        let mut search = Searching {
            messages,
            page: self.page,
            ends: now + left.unwrap_or(BUDGET).min(BUDGET),
            told: now,
            rows: Vec::new(),
            bytes: 0,
            sent: 0,
            progress: QueryProgress::default(),
            last: None,
            end: End::Complete,
            gone: false,
        };
        let _ended_early = scan(view, &range, self.order, &self.filter, &mut search);
        search.flush();
        let next_page_token = match search.end {
            End::Complete => String::new(),
            _ => self.token(&range, search.last.as_ref(), snapshot),
        };
        let Searching { end, progress, sent, .. } = search;
        let done = QueryDone { end: end.into(), next_page_token, snapshot, progress: Some(progress), rows: sent };
        // A caller that is gone needs no end.
        let _unread = send(messages, Part::Done(done), now + BUDGET);
    }

    /// Goes on after what was looked at last.
    fn token(&self, range: &Range<u64>, last: Option<&Range<u64>>, snapshot: u64) -> String {
        let left = match (last, self.order) {
            (None, _) => range.clone(),
            (Some(last), Order::NewestFirst) => range.start..last.start,
            (Some(last), Order::OldestFirst) => last.end..range.end,
        };
        let arguments = [self.arguments[0].as_str(), self.arguments[1].as_str()];
        let key = [left.start, left.end, snapshot].map(|offset| offset.to_string());
        mesh::page::encode(METHOD, &arguments, &[&key[0], &key[1], &key[2]])
    }
}

/// Sends a message, unless its reader is gone or does not take it in time.
fn send(messages: &Messages, part: Part, end: Instant) -> Result<(), ()> {
    let left = end.saturating_duration_since(Instant::now());
    let sent = messages.send_timeout(Ok(QueryResponse { part: Some(part) }), left);
    // This thread may wait: it is one for work that does.
    tokio::runtime::Handle::current().block_on(sent).map_err(|_| ())
}

fn read_token(token: &str, arguments: &[String; 2]) -> Result<(Range<u64>, u64), Error> {
    let arguments = [arguments[0].as_str(), arguments[1].as_str()];
    let invalid =
        || Error::InvalidField { field: "page_token", description: "is not a page token of this request".to_owned() };
    let key = mesh::page::decode(token, METHOD, &arguments).map_err(|_| invalid())?;
    let offsets: Vec<u64> = key.iter().filter_map(|offset| offset.parse().ok()).collect();
    match offsets.as_slice() {
        [start, end, snapshot] => Ok((*start..*end, *snapshot)),
        _ => Err(invalid()),
    }
}

/// A search that runs.
struct Searching<'a> {
    messages: &'a Messages,
    page: usize,
    ends: Instant,
    told: Instant,
    rows: Vec<Entry>,
    bytes: usize,
    sent: u64,
    progress: QueryProgress,
    /// The offsets that were looked at last.
    last: Option<Range<u64>>,
    end: End,
    gone: bool,
}

impl Sink for Searching<'_> {
    fn wanted(&self) -> usize {
        let taken = usize::try_from(self.sent).unwrap_or(usize::MAX).saturating_add(self.rows.len());
        self.page.saturating_sub(taken)
    }

    fn take(&mut self, entry: Entry) -> ControlFlow<()> {
        self.last = Some(entry.offset..entry.end());
        self.bytes += weight(&entry.record);
        self.rows.push(entry);
        if self.rows.len() as u64 + self.sent >= self.page as u64 {
            self.end = End::PageFull;
            return ControlFlow::Break(());
        }
        if self.rows.len() >= MESSAGE_ROWS || self.bytes >= MESSAGE_BYTES {
            self.flush();
        }
        self.go_on()
    }

    fn passed(&mut self, piece: Range<u64>, read: bool) -> ControlFlow<()> {
        match read {
            true => self.progress.blocks_read += 1,
            false => self.progress.blocks_skipped += 1,
        }
        self.progress.offset = piece.start;
        self.last = Some(piece);
        self.flush();
        let now = Instant::now();
        if now.duration_since(self.told) >= PROGRESS_EVERY {
            self.told = now;
            self.send(Part::Progress(self.progress));
        }
        if now >= self.ends {
            self.end = End::OutOfTime;
            return ControlFlow::Break(());
        }
        self.go_on()
    }
}

impl Searching<'_> {
    fn flush(&mut self) {
        if self.rows.is_empty() {
            return;
        }
        self.sent += self.rows.len() as u64;
        self.bytes = 0;
        let records = self.rows.drain(..).map(Entry::into_message).collect();
        self.send(Part::Rows(Rows { records }));
    }

    fn send(&mut self, part: Part) {
        // One that does not read has the time that it asked for, and no more: its place is for others.
        self.gone |= send(self.messages, part, self.ends.max(Instant::now() + RESERVE)).is_err();
    }

    fn go_on(&self) -> ControlFlow<()> {
        if self.gone { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    }
}

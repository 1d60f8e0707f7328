//! The live log: a page that grows by each record as it is stored, and loses none.
//!
//! It remembers the offset to go on from. When the log service breaks off, it is asked again from
//! there; when the page has grown enough, or the portal stops, a link leads on from there.

mod piece;

use std::time::Duration;

use askama::Template;
use axum::{
    extract::{Query, State},
    response::Response,
};
use futures_util::stream;
use mesh::Call;
use proto::logs::{Filter, TailRequest, TailResponse, tail_request::Start};
use tokio::time::{Instant, sleep, sleep_until, timeout};
use tokio_util::sync::CancellationToken;
use tonic::{Status, Streaming};
use tracing::debug;

use crate::{
    backends::{
        Backends, endless,
        logs::{TAIL, Unfound},
    },
    error::{Backend, Failure},
    frame::{Frame, Nav},
    live::{self, Marker},
    number::count,
    pages::{self, logs::Asked, tail::piece::Writer},
    selection::Selection,
    selector::Selector,
    speakers::Speakers,
    time::Moment,
    visit::Visit,
};

/// Records that a live view begins with, so that it is not empty.
const LAST: i32 = 50;

/// When a page has grown enough for a browser.
const MOST_ROWS: usize = 5000;
const LONGEST: Duration = Duration::from_secs(30 * 60);

/// Something comes every 5 s; twice that without a word is a dead stream.
const SILENCE: Duration = Duration::from_secs(11);

/// What a person does not notice as lag: less than a second of a busy system.
const MUCH: u64 = 1000;

/// How long to wait before a stream is opened again.
const PAUSE: Duration = Duration::from_secs(1);

#[derive(Template)]
#[template(path = "tail.html")]
struct Page {
    frame: Frame,
    selector: Selector,
    /// What is followed, in words.
    words: String,
    /// The same as a list.
    stop: String,
    marker: Marker,
}

pub(crate) async fn show(
    State(backends): State<Backends>,
    State(stop): State<CancellationToken>,
    visit: Visit,
    asked: Asked,
) -> Result<Response, Failure> {
    let Query(parts) = asked?;
    let selection = Selection::read(parts, Moment::now())?;
    // The list has a place to say what is wrong.
    let Ok(filter) = selection.filter() else { return Ok(pages::see_other(&selection.link())) };
    let start = selection.offset.map_or(Start::Last(LAST), Start::FromOffset);
    let mut following = Following {
        call: endless(),
        writer: Writer::new(&visit),
        stream: None,
        ends: Instant::now() + LONGEST,
        has_ended: false,
        rows: 0,
        backends,
        selection,
        filter,
        start,
        stop,
    };
    match following.open().await.map_err(Unfound::from) {
        Ok(stream) => following.stream = Some(stream),
        Err(Unfound::Asked(_)) => return Ok(pages::see_other(&following.selection.link())),
        Err(Unfound::Failed(failure)) => return Err(failure),
    }
    let page = following.page(&visit).await;
    Ok(live::page(&page, stream::unfold(following, Following::go_on)))
}

/// A live view, over as many streams as it takes.
struct Following {
    call: Call,
    backends: Backends,
    selection: Selection,
    filter: Filter,
    /// Where the next stream begins.
    start: Start,
    stream: Option<Streaming<TailResponse>>,
    writer: Writer,
    rows: usize,
    ends: Instant,
    has_ended: bool,
    stop: CancellationToken,
}

/// What there is to say.
enum Word {
    Records(TailResponse),
    BrokeOff(Status),
    Back,
    StillAway,
}

impl Following {
    async fn page(&self, visit: &Visit) -> Page {
        // Without statistics the form still works; it only offers fewer services.
        let speakers = self.backends.statistics().await.map(|statistics| Speakers::new(statistics, Moment::now()));
        let known = speakers.map(|speakers| speakers.services()).unwrap_or_default();
        let frame = Frame::new(visit, Nav::Logs, "Live log");
        Page {
            frame: frame.with_command(self.backends.command(Backend::Logs, TAIL, &self.request())),
            selector: Selector::new(&self.selection, &visit.zone, &known).following(),
            words: words(&self.selection),
            stop: self.selection.link(),
            marker: Marker,
        }
    }

    fn request(&self) -> TailRequest {
        TailRequest { start: Some(self.start), filter: Some(self.filter.clone()), no_follow: false }
    }

    async fn open(&self) -> Result<Streaming<TailResponse>, Status> {
        self.backends.follow(&self.call, self.request()).await
    }

    /// The next piece of the page, as soon as there is one.
    async fn go_on(mut self) -> Option<(String, Following)> {
        if self.has_ended {
            return None;
        }
        let (stop, ends) = (self.stop.clone(), self.ends);
        let piece = tokio::select! {
            biased;
            () = stop.cancelled() => self.end("The portal is stopping."),
            () = sleep_until(ends) => self.end("Half an hour is over."),
            word = self.hear() => self.say(word),
        };
        Some((piece, self))
    }

    async fn hear(&mut self) -> Word {
        let Some(stream) = &mut self.stream else {
            sleep(PAUSE).await;
            // A service that hangs is not waited for longer than one that is silent.
            return match timeout(SILENCE, self.open()).await {
                Ok(Ok(stream)) => {
                    self.stream = Some(stream);
                    Word::Back
                }
                Ok(Err(_)) | Err(_) => Word::StillAway,
            };
        };
        match timeout(SILENCE, stream.message()).await {
            Ok(Ok(Some(message))) => Word::Records(message),
            Ok(Ok(None)) => Word::BrokeOff(Status::unavailable("it ended the stream")),
            Ok(Err(status)) => Word::BrokeOff(status),
            Err(_) => Word::BrokeOff(Status::unavailable("it is silent")),
        }
    }

    fn say(&mut self, word: Word) -> String {
        match word {
            Word::Records(message) => self.records(message),
            Word::BrokeOff(status) => {
                debug!("a live view's stream broke off: {}", status.message());
                self.stream = None;
                self.writer.told("fair", "The log service broke off. It is asked again from here, so nothing is lost.")
            }
            Word::StillAway => self.writer.pulse("fair", "The log service is away"),
            Word::Back => self.writer.told("good", "The log service is back. What was logged meanwhile follows."),
        }
    }

    fn records(&mut self, message: TailResponse) -> String {
        let TailResponse { records, next_offset, lag, removed } = message;
        let mut piece = String::new();
        if let Some(removed) = removed {
            let gone = count(removed.end.saturating_sub(removed.first), "record");
            let words = format!("{gone} were removed before they could be shown: the log keeps only so much.");
            piece.push_str(&self.writer.told("fair", &words));
        }
        let first = records.first().map(|record| record.offset);
        if let (Some(first), Start::FromOffset(expected)) = (first, self.start)
            && first < expected
        {
            piece.push_str(&self.writer.told("fair", "The log was begun anew. This is its beginning."));
        }
        let came = !records.is_empty();
        self.rows += records.len();
        self.start = Start::FromOffset(next_offset);
        piece.push_str(&self.writer.rows(records));
        match lag {
            Some(0) => piece.push_str(&self.writer.pulse("good", "Nothing waits")),
            Some(behind) if behind < MUCH => {
                let words = format!("{} on the way", count(behind, "record"));
                piece.push_str(&self.writer.pulse("good", &words));
            }
            Some(behind) => {
                let words = format!("{} are still to be looked at", count(behind, "record"));
                piece.push_str(&self.writer.pulse("fair", &words));
            }
            // How many wait is told once a second; that some came is seen before.
            None if came => piece.push_str(&self.writer.pulse("good", "Following")),
            None => {}
        }
        if self.rows >= MOST_ROWS {
            piece.push_str(&self.end("That is as much as one page should hold."));
        }
        piece
    }

    /// Says why the page ends, and where it goes on.
    fn end(&mut self, why: &str) -> String {
        self.has_ended = true;
        self.stream = None;
        let offset = match self.start {
            Start::FromOffset(offset) => Some(offset),
            _ => None,
        };
        self.writer.end(why, self.selection.tail_link(offset))
    }
}

/// What is followed.
fn words(selection: &Selection) -> String {
    let mut parts = Vec::new();
    if !selection.text.is_empty() {
        parts.push(format!("matching {}", selection.text));
    }
    if !selection.level.is_empty() {
        parts.push(format!("of level {} and above", selection.level));
    }
    if !selection.services.is_empty() {
        parts.push(format!("of {}", selection.services.join(", ")));
    }
    if !selection.instances.is_empty() {
        parts.push(format!("of instance {}", selection.instances.join(", ")));
    }
    if parts.is_empty() { "Every record".into() } else { format!("Records {}", parts.join(", ")) }
}

#[cfg(test)]
mod tests;

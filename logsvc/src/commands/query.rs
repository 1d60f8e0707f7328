//! `logsvc query`: rows as they are found, page after page, and in the end whether that was all.

use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context as _;
use indicatif::ProgressBar;
use jiff::Timestamp;
use proto::logs::query_done::End;
use proto::logs::query_response::Part;
use proto::logs::{Filter, QueryDone, QueryProgress, QueryRequest, QueryResponse, StoredRecord};
use tokio::time::Instant;
use tonic::{Request, Streaming};

use crate::commands::client::{Client, DEADLINE, Stub};
use crate::commands::screen::{self, Screen};
use crate::commands::words::count;
use crate::commands::{Order, Query, row};

/// As many rows as a page may have.
const PAGE: u64 = 10_000;

/// Progress comes every half second while a search runs.
const SILENCE: Duration = Duration::from_secs(20);

/// With less time than this left a page is not worth asking for.
const LEAST: Duration = Duration::from_millis(200);

pub(super) async fn run(client: &Client, screen: &Screen, wanted: Query) -> anyhow::Result<ExitCode> {
    let latest = Instant::now() + Duration::from_secs(wanted.timeout);
    let since = wanted.since;
    let filter = Filter {
        from_time: wanted.since.map(mesh::timestamp),
        until_time: wanted.until.map(mesh::timestamp),
        from_offset: wanted.from.unwrap_or_default(),
        until_offset: wanted.before.unwrap_or_default(),
        ..wanted.selection.into()
    };
    let order = match wanted.order {
        Order::Newest => proto::logs::Order::NewestFirst,
        Order::Oldest => proto::logs::Order::OldestFirst,
    };
    let page_token = wanted.page_token.unwrap_or_default();
    let request = QueryRequest { filter: Some(filter), order: order.into(), page_size: 0, page_token };
    let bar = bar();
    let mut search = Search { client, screen, request, left: wanted.limit, latest, rows: 0, bar, text: String::new() };
    let ended = tokio::select! {
        ended = search.run() => ended,
        () = screen::closed() => return Ok(ExitCode::SUCCESS),
    };
    search.bar.finish_and_clear();
    let done = ended.map_err(|error| search.broken(error))?;
    screen.notice(&summary(&done, search.rows, since));
    Ok(ExitCode::SUCCESS)
}

/// Shows how far a search is; nothing when standard error is no terminal.
fn bar() -> ProgressBar {
    let bar = ProgressBar::new_spinner();
    bar.set_message("searching");
    bar
}

/// A search, over as many pages as it takes.
struct Search<'a> {
    client: &'a Client,
    screen: &'a Screen,
    /// The page that is asked for next.
    request: QueryRequest,
    /// Rows that are still wanted.
    left: u64,
    latest: Instant,
    /// Rows that were shown.
    rows: u64,
    bar: ProgressBar,
    /// Kept for its capacity.
    text: String,
}

impl Search<'_> {
    /// Shows every page that is wanted, and answers how the last one ended.
    async fn run(&mut self) -> anyhow::Result<QueryDone> {
        loop {
            let done = self.page().await?;
            let goes_on = match done.end() {
                End::PageFull => self.left > 0,
                // The log service has a budget for each page; ours may be larger.
                End::OutOfTime => self.latest.saturating_duration_since(Instant::now()) > LEAST,
                End::Complete | End::Unspecified => false,
            };
            if !goes_on || done.next_page_token.is_empty() {
                return Ok(done);
            }
            self.request.page_token.clone_from(&done.next_page_token);
        }
    }

    async fn page(&mut self) -> anyhow::Result<QueryDone> {
        self.request.page_size = i32::try_from(self.left.min(PAGE))?;
        let time = self.latest.saturating_duration_since(Instant::now()).max(LEAST);
        let query = async |mut stub: Stub, request: Request<QueryRequest>| stub.query(request).await;
        let opened = self.client.open(Some(time), self.request.clone(), query).await;
        let mut stream = opened.map_err(|status| self.client.explained(&status))?;
        loop {
            match self.next(&mut stream).await? {
                Part::Rows(rows) => self.show(&rows.records)?,
                Part::Progress(progress) => self.bar.set_message(furthest(&progress)),
                Part::Done(done) => return Ok(done),
            }
            self.bar.tick();
        }
    }

    async fn next(&self, stream: &mut Streaming<QueryResponse>) -> anyhow::Result<Part> {
        let message = tokio::time::timeout(SILENCE.max(DEADLINE), stream.message()).await;
        let message = message.context("the log service does not answer any more")?;
        let message = message.map_err(|status| self.client.explained(&status))?;
        message.and_then(|message| message.part).context("the log service ended the search without a word")
    }

    fn show(&mut self, records: &[StoredRecord]) -> anyhow::Result<()> {
        row::lines(records, self.screen, &mut self.text)?;
        let came = u64::try_from(records.len())?;
        self.rows += came;
        self.left = self.left.saturating_sub(came);
        let (screen, text) = (self.screen, &self.text);
        self.bar.suspend(|| screen.print(text))
    }

    /// What went wrong, and that what was shown is not all.
    fn broken(&self, error: anyhow::Error) -> anyhow::Error {
        match self.rows {
            0 => error,
            rows => error.context(format!("the search broke off after {}", count(rows, "row"))),
        }
    }
}

fn furthest(progress: &QueryProgress) -> String {
    let QueryProgress { offset, blocks_read, blocks_skipped } = progress;
    format!("at offset {offset}, {blocks_read} blocks read, {blocks_skipped} skipped")
}

/// Whether that was all, and if not, why and how to go on.
fn summary(done: &QueryDone, rows: u64, since: Option<Timestamp>) -> String {
    let QueryProgress { blocks_read, blocks_skipped, .. } = done.progress.unwrap_or_default();
    let rows = count(rows, "row");
    let why = match done.end() {
        End::Complete => {
            let end = done.snapshot;
            return format!(
                "complete: {rows}, the log ended before offset {end}, {blocks_read} blocks read, {blocks_skipped} skipped"
            );
        }
        End::PageFull => "that is the limit",
        End::OutOfTime => "the time is up",
        End::Unspecified => "the log service does not say why",
    };
    // A token belongs to its selection, of which a time ago would be another one by then.
    let since = since.map(|since| format!("--since {since} ")).unwrap_or_default();
    format!("truncated after {rows}: {why}. The same with {since}--page-token {} goes on", done.next_page_token)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_says_whether_that_was_all() {
        let progress = Some(QueryProgress { offset: 9, blocks_read: 2, blocks_skipped: 7 });
        let done = QueryDone { end: End::Complete.into(), snapshot: 12, progress, ..Default::default() };
        let complete = summary(&done, 1, None);
        let full = QueryDone { end: End::PageFull.into(), next_page_token: "abc".into(), ..done };

        assert_eq!(complete, "complete: 1 row, the log ended before offset 12, 2 blocks read, 7 skipped");
        assert_eq!(
            summary(&full, 100, Some(Timestamp::UNIX_EPOCH)),
            "truncated after 100 rows: that is the limit. The same with --since 1970-01-01T00:00:00Z --page-token abc goes on"
        );
    }
}

//! `logsvc tail`: the last records, then each as it is stored, also across restarts of the log service.

use std::process::ExitCode;
use std::time::Duration;

use proto::logs::tail_request::Start;
use proto::logs::{Filter, OffsetRange, TailRequest, TailResponse};
use tokio::time::Instant;
use tonic::{Status, Streaming};

use crate::commands::Tail;
use crate::commands::client::{Client, Outage, Stub};
use crate::commands::row;
use crate::commands::screen::{self, Screen};
use crate::commands::words::count;

/// Something comes every 5 s; twice that without a word is a dead stream.
const SILENCE: Duration = Duration::from_secs(11);

/// What a person does not notice as lag: less than a second of a busy system.
const MUCH: u64 = 1000;

/// How often lag that lasts is told.
const LAG_PERIOD: Duration = Duration::from_secs(5);

pub(super) async fn run(client: &Client, screen: &Screen, wanted: Tail) -> anyhow::Result<ExitCode> {
    let start = match (wanted.from, wanted.since) {
        (Some(offset), _) => Start::FromOffset(offset),
        (None, Some(since)) => Start::FromTime(mesh::timestamp(since)),
        (None, None) => Start::Last(wanted.last),
    };
    let mut tailing = Tailing {
        client,
        screen,
        filter: wanted.selection.into(),
        start,
        no_follow: wanted.no_follow,
        outage: Outage::default(),
        lag: Lag::default(),
        text: String::new(),
    };
    tokio::select! {
        ended = tailing.follow() => ended,
        () = screen::closed() => Ok(ExitCode::SUCCESS),
        () = mesh::interrupted() => Ok(ExitCode::SUCCESS),
    }
}

/// A tail, over as many streams as it takes.
struct Tailing<'a> {
    client: &'a Client,
    screen: &'a Screen,
    filter: Filter,
    /// Where the next stream begins.
    start: Start,
    no_follow: bool,
    outage: Outage,
    lag: Lag,
    /// Kept for its capacity.
    text: String,
}

impl Tailing<'_> {
    /// Follows for ever, or to the end; fails when the log service cannot be reached to begin with.
    async fn follow(&mut self) -> anyhow::Result<ExitCode> {
        let mut opened = Ok(self.open().await.map_err(|status| self.client.explained(&status))?);
        loop {
            let broken = match opened {
                Ok(stream) => match self.receive(stream).await? {
                    None => return Ok(ExitCode::SUCCESS),
                    Some(status) => status,
                },
                Err(status) => status,
            };
            self.outage.wait(self.client, &broken, self.screen).await?;
            opened = self.open().await;
        }
    }

    async fn open(&self) -> Result<Streaming<TailResponse>, Status> {
        let request =
            TailRequest { start: Some(self.start), filter: Some(self.filter.clone()), no_follow: self.no_follow };
        self.client.open(None, request, async |mut stub: Stub, request| stub.tail(request).await).await
    }

    /// Shows what comes until the stream breaks, and answers why it did; nothing when that was all.
    async fn receive(&mut self, mut stream: Streaming<TailResponse>) -> anyhow::Result<Option<Status>> {
        loop {
            let message = match tokio::time::timeout(SILENCE, stream.message()).await {
                Ok(Ok(Some(message))) => message,
                Ok(Ok(None)) if self.no_follow => return Ok(None),
                Ok(Ok(None)) => return Ok(Some(Status::unavailable("it ended the stream"))),
                Ok(Err(status)) => return Ok(Some(status)),
                Err(_) => return Ok(Some(Status::unavailable("it is silent"))),
            };
            self.outage.end(self.screen);
            if let Some(OffsetRange { first, end }) = message.removed {
                let gone = count(end.saturating_sub(first), "record");
                self.screen
                    .notice(&format!("{gone} from offset {first} on were removed as too old before they were read"));
            }
            row::lines(&message.records, self.screen, &mut self.text)?;
            if !self.text.is_empty() {
                self.screen.print(&self.text)?;
            }
            self.start = Start::FromOffset(message.next_offset);
            if let Some(words) = message.lag.and_then(|lag| self.lag.told(lag, Instant::now())) {
                self.screen.notice(&words);
            }
        }
    }
}

/// How far behind the reader is: told when it is much, not too often, and once when it is over.
#[derive(Debug, Default)]
struct Lag {
    told: Option<Instant>,
}

impl Lag {
    fn told(&mut self, lag: u64, now: Instant) -> Option<String> {
        if lag < MUCH {
            return self.told.take().map(|_| "no longer behind".to_owned());
        }
        if self.told.is_some_and(|told| now < told + LAG_PERIOD) {
            return None;
        }
        self.told = Some(now);
        Some(format!("{lag} records behind"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lag_is_told_when_it_is_much_and_when_it_is_over() {
        let (mut lag, start) = (Lag::default(), Instant::now());
        let mut at = |seconds, records| lag.told(records, start + Duration::from_secs(seconds));

        assert_eq!(at(0, 999), None);
        assert_eq!(at(1, 1000).as_deref(), Some("1000 records behind"));
        assert_eq!(at(2, 2000), None);
        assert_eq!(at(6, 3000).as_deref(), Some("3000 records behind"));
        assert_eq!(at(7, 3).as_deref(), Some("no longer behind"));
        assert_eq!(at(8, 3), None);
    }
}

//! `registry watch`: who there is, then every change as a line, also across restarts of the registry.

mod known;

use std::process::ExitCode;
use std::time::Duration;

use jiff::Timestamp;
use proto::registry::watch_response::Event;
use proto::registry::{Delta, Instance, Snapshot, WatchRequest, WatchResponse};
use tonic::{Status, Streaming};

use crate::commands::Watch;
use crate::commands::client::{Client, Outage, Stub};
use crate::commands::screen::{self, Screen};
use crate::commands::table::{Cell, Colour, Columns};
use crate::commands::watch::known::{Known, News};
use crate::commands::words::{count, key, short, state, time, why};

/// A bookmark comes every 5 s; twice that without a word is a dead stream.
const SILENCE: Duration = Duration::from_secs(11);

pub(super) async fn run(client: &Client, screen: &Screen, wanted: Watch) -> anyhow::Result<ExitCode> {
    let mut watching = Watching {
        client,
        screen,
        services: wanted.services,
        known: Known::default(),
        outage: Outage::default(),
        columns: Columns::new(screen.is_coloured()),
        said: (false, false),
    };
    tokio::select! {
        ended = watching.follow() => ended,
        () = screen::closed() => Ok(ExitCode::SUCCESS),
    }
}

/// A watch, over as many streams as it takes.
struct Watching<'a> {
    client: &'a Client,
    screen: &'a Screen,
    services: Vec<String>,
    known: Known,
    outage: Outage,
    columns: Columns,
    /// Whether a person was told last that the registry warms up, and that it protects.
    said: (bool, bool),
}

impl Watching<'_> {
    /// Follows for ever; fails when the registry cannot be reached to begin with.
    async fn follow(&mut self) -> anyhow::Result<ExitCode> {
        let mut opened = Ok(self.open().await.map_err(|status| self.client.explained(&status))?);
        loop {
            let broken = match opened {
                Ok(stream) => self.receive(stream).await?,
                Err(status) => status,
            };
            self.outage.wait(self.client, &broken, self.screen).await?;
            opened = self.open().await;
        }
    }

    async fn open(&self) -> Result<Streaming<WatchResponse>, Status> {
        let (epoch, revision) = self.known.position();
        let services = self.services.clone();
        let request = WatchRequest { services, epoch: epoch.to_owned(), revision, acknowledges: false };
        let watch = async |mut stub: Stub, request| stub.watch(tokio_stream::once(request)).await;
        self.client.open(request, watch).await
    }

    /// Shows what comes until the stream breaks, and answers why it did.
    async fn receive(&mut self, mut stream: Streaming<WatchResponse>) -> anyhow::Result<Status> {
        self.known.begin_again();
        loop {
            let message = match tokio::time::timeout(SILENCE, stream.message()).await {
                Ok(Ok(Some(message))) => message,
                Ok(Ok(None)) => return Ok(Status::unavailable("it ended the watch")),
                Ok(Err(status)) => return Ok(status),
                Err(_) => return Ok(Status::unavailable("it is silent")),
            };
            self.outage.end();
            let said = (message.warming, message.protected);
            if let Some(news) = self.known.apply(message) {
                self.show(&news)?;
            }
            if !self.known.is_arriving() {
                self.remark(said);
            }
        }
    }

    fn show(&mut self, news: &News) -> anyhow::Result<()> {
        if news.is_another_life {
            let epoch = short(&news.epoch);
            self.screen.notice(&format!("the registry began anew: epoch {epoch}, revision {}", news.revision));
        }
        match self.screen.is_json() {
            true => self.show_json(news)?,
            false => self.show_lines(news)?,
        }
        if news.is_first {
            let number = count(news.told.len(), "instance");
            self.screen.notice(&format!("{number} at revision {}; what changes follows", news.revision));
        }
        Ok(())
    }

    fn show_lines(&mut self, news: &News) -> anyhow::Result<()> {
        let lines: Vec<Vec<Cell>> =
            news.told.iter().map(|told| line(&told.instance, told.time.as_ref(), news.revision)).collect();
        lines.iter().for_each(|line| self.columns.measure(line));
        let text: String = lines.iter().map(|line| self.columns.line(line)).collect();
        self.screen.print(&text)
    }

    /// A message of the contract for each instance.
    fn show_json(&self, news: &News) -> anyhow::Result<()> {
        news.told.iter().try_for_each(|told| {
            let instances = vec![told.instance.clone()];
            let event = match news.is_first {
                true => Event::Snapshot(Snapshot { instances }),
                false => Event::Delta(Delta { changed: instances, from_revision: news.from_revision, more: false }),
            };
            let message = WatchResponse {
                epoch: news.epoch.clone(),
                revision: news.revision,
                warming: news.warming,
                protected: news.protected,
                event: Some(event),
            };
            self.screen.print_json("WatchResponse", &message)
        })
    }

    /// Tells what makes the lines doubtful, whenever that changes.
    fn remark(&mut self, now: (bool, bool)) {
        let before = std::mem::replace(&mut self.said, now);
        match (before.0, now.0) {
            (false, true) => self.screen.notice("warming: the registry has just started, instances may be missing"),
            (true, false) => self.screen.notice("warm: instances have had the time to come back"),
            _ => {}
        }
        match (before.1, now.1) {
            (false, true) => self.screen.notice("protected: so many leases lapsed at once that they are held"),
            (true, false) => self.screen.notice("no longer protected"),
            _ => {}
        }
    }
}

fn line(instance: &Instance, happened: Option<&prost_types::Timestamp>, revision: u64) -> Vec<Cell> {
    let now = mesh::timestamp(Timestamp::now());
    vec![
        Cell::from(time(happened.or(Some(&now)))).coloured(Some(Colour::Faint)),
        revision.to_string().into(),
        key(instance).into(),
        state(instance),
        instance.address.as_str().into(),
        why(instance).into(),
    ]
}

//! `registry events`: what happened, like a log, and what goes on happening.

use std::process::ExitCode;

use proto::registry::{Event, EventKind, ListEventsRequest, WatchEventsRequest, WatchEventsResponse};
use tonic::{Status, Streaming};

use crate::commands::Events;
use crate::commands::client::{Client, DEADLINE, Outage, PAGE, Stub};
use crate::commands::screen::{self, Screen};
use crate::commands::table::{Cell, Colour, Columns};
use crate::commands::target::Target;
use crate::commands::words::{short, time};

pub(super) async fn run(client: &Client, screen: &Screen, wanted: Events) -> anyhow::Result<ExitCode> {
    let (service, instance) = about(client, wanted.of.as_deref()).await?;
    let place = Place { epoch: String::new(), revision: 0 };
    let columns = Columns::new(screen.is_coloured());
    let mut history = History { client, screen, service, instance, place, columns, outage: Outage::default() };
    let last = history.last(wanted.last).await?;
    history.show(&last)?;
    if last.is_empty() && wanted.last > 0 {
        screen.notice("no such event is remembered");
    }
    if !wanted.follow {
        return Ok(ExitCode::SUCCESS);
    }
    tokio::select! {
        ended = history.follow() => ended,
        () = screen::closed() => Ok(ExitCode::SUCCESS),
    }
}

/// Whose events are wanted: a service and an instance; empty is all.
async fn about(client: &Client, of: Option<&str>) -> anyhow::Result<(String, String)> {
    let of = of.unwrap_or_default();
    let Ok(target) = of.parse::<Target>() else { return Ok((of.to_owned(), String::new())) };
    // The history reaches further back than the list: who is not there any more is asked for as typed.
    match target.find_if_listed(client).await? {
        Some(found) => Ok((found.service, found.instance_id)),
        None => Ok((target.service, target.instance)),
    }
}

/// Where in the registry's history we are.
#[derive(Debug, Clone)]
struct Place {
    epoch: String,
    revision: u64,
}

/// The events of whom we want, over as many streams as it takes.
struct History<'a> {
    client: &'a Client,
    screen: &'a Screen,
    service: String,
    instance: String,
    place: Place,
    columns: Columns,
    outage: Outage,
}

impl History<'_> {
    fn request(&self, page_size: i32) -> ListEventsRequest {
        let (service, instance_id) = (self.service.clone(), self.instance.clone());
        ListEventsRequest { service, instance_id, page_size, page_token: String::new() }
    }

    /// The last events, oldest first. Whoever goes on does so behind them.
    async fn last(&mut self, most: u32) -> anyhow::Result<Vec<Event>> {
        let most = usize::try_from(most)?;
        let mut request = self.request(i32::try_from(most)?.clamp(1, PAGE));
        let mut events = Vec::new();
        loop {
            let list = async |mut stub: Stub, request| stub.list_events(request).await;
            let mut page = self.client.ask(DEADLINE, request.clone(), list).await?;
            if request.page_token.is_empty() {
                self.place = Place { epoch: page.epoch, revision: page.revision };
            }
            events.append(&mut page.events);
            if page.next_page_token.is_empty() || events.len() >= most {
                break;
            }
            request.page_token = page.next_page_token;
        }
        events.truncate(most);
        events.reverse();
        Ok(events)
    }

    async fn follow(&mut self) -> anyhow::Result<ExitCode> {
        loop {
            let broken = match self.open().await {
                Ok(stream) => self.receive(stream).await?,
                Err(status) => status,
            };
            self.outage.wait(self.client, &broken, self.screen).await?;
        }
    }

    async fn open(&mut self) -> Result<Streaming<WatchEventsResponse>, Status> {
        // A registry that began anew would tell what happens from now on: what happened since its start is asked for.
        let list = async |mut stub: Stub, request| stub.list_events(request).await;
        let epoch = self.client.answer(DEADLINE, self.request(1), list).await?.epoch;
        if epoch != self.place.epoch {
            self.screen.notice(&format!("the registry began anew: epoch {}", short(&epoch)));
            self.place = Place { epoch, revision: 0 };
        }
        let request = WatchEventsRequest {
            service: self.service.clone(),
            instance_id: self.instance.clone(),
            epoch: self.place.epoch.clone(),
            revision: self.place.revision,
        };
        self.client.open(request, async |mut stub, request| stub.watch_events(request).await).await
    }

    /// Shows what comes until the stream breaks, and answers why it did.
    async fn receive(&mut self, mut stream: Streaming<WatchEventsResponse>) -> anyhow::Result<Status> {
        self.outage.end();
        loop {
            let message = match stream.message().await {
                Ok(Some(message)) => message,
                Ok(None) => return Ok(Status::unavailable("it ended the stream")),
                Err(status) => return Ok(status),
            };
            if message.epoch != self.place.epoch {
                return Ok(Status::unavailable("it began anew"));
            }
            if message.missed > 0 {
                self.screen.notice(&format!("missed {} events", message.missed));
            }
            self.show(&message.events)?;
            if let Some(last) = message.events.last() {
                self.place.revision = last.revision;
            }
        }
    }

    fn show(&mut self, events: &[Event]) -> anyhow::Result<()> {
        if self.screen.is_json() {
            return events.iter().try_for_each(|event| self.screen.print_json("Event", event));
        }
        let lines: Vec<Vec<Cell>> = events.iter().map(line).collect();
        lines.iter().for_each(|line| self.columns.measure(line));
        let text: String = lines.iter().map(|line| self.columns.line(line)).collect();
        self.screen.print(&text)
    }
}

fn line(event: &Event) -> Vec<Cell> {
    vec![
        Cell::from(time(event.time.as_ref())).coloured(Some(Colour::Faint)),
        event.revision.to_string().into(),
        Cell::from(event.message.as_str()).coloured(colour(event.kind())),
    ]
}

fn colour(kind: EventKind) -> Option<Colour> {
    match kind {
        EventKind::WentDown => Some(Colour::Bad),
        EventKind::Registered | EventKind::Cleared | EventKind::Undrained | EventKind::ProtectionEnded => {
            Some(Colour::Good)
        }
        EventKind::Suspected | EventKind::Drained | EventKind::ProtectionBegan | EventKind::Paused => {
            Some(Colour::Doubtful)
        }
        EventKind::Unspecified | EventKind::StateChanged | EventKind::Warmed => None,
    }
}

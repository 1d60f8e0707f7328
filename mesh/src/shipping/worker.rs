//! When something is shipped: the loop of the shipping thread.
//!
//! It takes what was said within milliseconds and writes it through to the spool. It
//! ships what gathered in 200 ms, or at once what presses; one call at a time, in turns
//! with what processes that are gone left behind. Without a reply nothing is forgotten.

use std::collections::VecDeque;
use std::io;
use std::time::Duration;

use proto::logs::ShipHints;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

mod answers;

use super::backlog::Backlog;
use super::flight::{Flight, Whose};
use super::voice::Voice;
use super::{LAST_WORDS, Left, Shipping};
use crate::backoff::Backoff;
use crate::config::SpoolAt;
use crate::levels::Levels;
use crate::outbox::{Outbox, SHIPMENT_BYTES, SHIPMENT_RECORDS};
use crate::spool::{Owner, Spool};

/// How long what was said waits until it is taken and written through: a bound on what a kill can lose.
const GATHER: Duration = Duration::from_millis(5);

/// How long records wait for company before they travel. An ERROR does not wait.
const LINGER: Duration = Duration::from_millis(200);

/// How often a producer that says nothing says that it lives.
const IDLE: Duration = Duration::from_secs(10);

/// How often it is looked for what processes left behind that nobody started again.
const LOOK: Duration = Duration::from_secs(60);

/// What the log service may ask for at most: a pause, or not to be called again so soon.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// While calls succeed, memory holds so much before it is moved into files.
const MOST_IN_MEMORY: usize = 3 * SHIPMENT_BYTES;

/// How often a gap that grows is declared: a crash hides what was lost since then.
const GAP: Duration = Duration::from_secs(1);

/// How long a spool that failed is left alone.
const SPOOL_REST: Duration = Duration::from_secs(10);

/// The shipping thread's own.
pub(super) struct Worker {
    channel: crate::Channel,
    outbox: std::sync::Arc<Outbox>,
    levels: Option<Levels>,
    spool: Option<SpoolAt>,
    voice: Voice,
    own: Backlog,
    adopted: VecDeque<Adopted>,
    turn: Whose,
    when: When,
    backoff: Backoff,
    /// Whether the last call failed.
    away: bool,
    /// What the log service asked for.
    hints: ShipHints,
    stopping: bool,
}

/// What a process that is gone left behind.
struct Adopted {
    backlog: Backlog,
    /// Whether the log service said how much of it is stored.
    asked: bool,
}

/// When what is due.
struct When {
    /// Something was said, and is taken then.
    gather: Option<Instant>,
    /// Something waits to be shipped.
    ship: Option<Instant>,
    /// Nothing is sent before.
    open: Instant,
    greet: Instant,
    look: Instant,
    spool: Instant,
    /// What was lost since the last record is declared then, also when it still grows.
    gap: Instant,
}

impl Worker {
    /// Opens the spool and joins the mesh.
    pub(super) fn new(shipping: Shipping, mut voice: Voice) -> Self {
        let Shipping { identity, join, outbox, levels, spool } = shipping;
        let owner = Owner::of(&identity);
        let own = spool
            .as_ref()
            .and_then(|at| Spool::create(&at.folder, &owner).inspect_err(|error| voice.spool_failed(error)).ok());
        if own.is_some() {
            outbox.writes_through();
        }
        let now = Instant::now();
        let when = When { gather: None, ship: None, open: now, greet: now + IDLE, look: now, spool: now, gap: now };
        Self {
            channel: join(identity),
            outbox,
            levels,
            spool,
            voice,
            own: Backlog::own(owner, own),
            adopted: VecDeque::new(),
            turn: Whose::Own,
            when,
            backoff: Backoff::new(Duration::from_millis(50), Duration::from_millis(500)),
            away: false,
            hints: ShipHints::default(),
            stopping: false,
        }
    }

    /// Ships until the process stops, and then what is left.
    pub(super) async fn work(mut self, stop: CancellationToken) -> Left {
        let mut flight = None;
        while !stop.is_cancelled() {
            if flight.is_none() {
                flight = self.depart();
            }
            let (outbox, due) = (self.outbox.clone(), self.next_due(flight.is_some()));
            tokio::select! {
                answer = Flight::land(&mut flight) => self.land(&mut flight, answer),
                () = outbox.pressing() => self.gather(),
                () = outbox.filled(), if self.when.gather.is_none() => self.when.gather = Some(Instant::now() + GATHER),
                () = tokio::time::sleep_until(due) => self.look_at_the_clock(),
                () = stop.cancelled() => {}
            }
        }
        self.stopping = true;
        self.when.open = Instant::now();
        self.gather();
        // Late is as good as done: what is left is in the spool.
        let _late = tokio::time::timeout(LAST_WORDS, self.finish(&mut flight)).await;
        self.leave()
    }

    /// Ships what is left; at the end nobody is there to wait for the log service to come back.
    async fn finish(&mut self, flight: &mut Option<Flight>) {
        self.away = false;
        loop {
            self.gather();
            if flight.is_none() {
                *flight = self.depart();
            }
            if flight.is_none() {
                return;
            }
            let answer = Flight::land(flight).await;
            self.land(flight, answer);
            if self.away {
                return;
            }
            tokio::time::sleep_until(self.when.open).await;
        }
    }

    /// Counts what stays behind, and cleans up when nothing does.
    fn leave(mut self) -> Left {
        self.gather();
        self.outbox.writes_no_more();
        let left = Left { records: self.own.numbers(), spooled: self.own.is_spooled() };
        if self.own.is_empty() {
            // An empty folder that stays is removed by whoever adopts it.
            let _stays = self.own.remove();
        }
        left
    }

    fn spool_works(&self) -> bool {
        self.when.spool <= Instant::now()
    }

    /// When the clock is to be looked at again.
    fn next_due(&self, is_under_way: bool) -> Instant {
        let mut due = self.when.look.min(self.when.gather.unwrap_or(self.when.look));
        if !self.own.is_empty() {
            due = due.min(self.when.gap);
        }
        if !is_under_way {
            let has_files = self.own.has_files() || !self.adopted.is_empty();
            let ship = if has_files { Some(self.when.open) } else { self.when.ship };
            due = due.min(ship.map_or(self.when.greet, |ship| ship.min(self.when.greet)).max(self.when.open));
        }
        due
    }

    fn look_at_the_clock(&mut self) {
        let now = Instant::now();
        let gap_is_due = !self.own.is_empty() && self.when.gap <= now;
        if self.when.gather.is_some_and(|gather| gather <= now) || gap_is_due {
            self.gather();
        }
        if self.when.look <= now {
            self.when.look = now + LOOK;
            self.adopt();
        }
    }

    /// Takes over what processes of the same service left behind.
    fn adopt(&mut self) {
        let Some(at) = &self.spool else { return };
        for spool in Spool::adopt(&at.folder, &self.own.owner().service) {
            // What cannot be read now may be readable for the next one who looks.
            let Ok(backlog) = Backlog::adopted(spool) else { continue };
            if let Some(spool) = backlog.spool().filter(|spool| spool.unreadable() > 0) {
                self.voice.unreadable(&backlog.owner().instance, spool.unreadable());
            }
            self.adopted.push_back(Adopted { backlog, asked: false });
        }
    }

    /// Takes what was said, and writes it through.
    fn gather(&mut self) {
        self.when.gather = None;
        let now = Instant::now();
        // A gap that still grows is declared when nothing else waits; at the end; and now and then, because a
        // crash must not hide much of it.
        let declares = self.own.is_empty() || self.stopping || self.when.gap <= now;
        let taken = if declares { self.outbox.take_with_gap() } else { self.outbox.take() };
        if declares {
            self.when.gap = now + GAP;
        }
        if !taken.chunks.is_empty() {
            self.own.add(taken.chunks);
            self.write_through();
            let due = if taken.urgent || self.stopping { now } else { now + LINGER };
            self.when.ship = Some(self.when.ship.map_or(due, |ship| ship.min(due)));
        }
        let (bytes, records) = self.own.fresh();
        if bytes >= SHIPMENT_BYTES || records >= SHIPMENT_RECORDS {
            self.when.ship = Some(now);
        }
        self.spill(bytes, records);
    }

    fn write_through(&mut self) {
        if self.spool_works() {
            let written = self.own.write_through();
            if self.noted(written).is_some() {
                self.outbox.written(self.own.last());
            }
        }
    }

    /// Moves into files what would wait in memory for long.
    fn spill(&mut self, bytes: usize, records: usize) {
        let is_much = bytes >= SHIPMENT_BYTES || records >= SHIPMENT_RECORDS;
        let is_due = bytes >= MOST_IN_MEMORY || (is_much && self.away);
        if !is_due || !self.spool_works() {
            return;
        }
        let most = self.room();
        let spilled = self.own.spill(most);
        let freed = self.noted(spilled).unwrap_or(0);
        self.outbox.settle(freed);
        self.narrow();
    }

    /// What own files may weigh: what is left behind counts too, but never for more than three quarters.
    fn room(&self) -> u64 {
        let most = self.spool.as_ref().map_or(0, |at| at.most_bytes);
        let adopted = self.adopted.iter().filter_map(|adopted| adopted.backlog.spool()).map(Spool::bytes).sum();
        most.saturating_sub(adopted).max(most / 4)
    }

    fn narrow(&self) {
        let own = self.own.spool().map_or(0, Spool::bytes);
        let percent = own.saturating_mul(100).checked_div(self.room()).unwrap_or(0);
        self.outbox.narrow(u32::try_from(percent).unwrap_or(100));
    }

    /// What is to be sent now.
    fn depart(&mut self) -> Option<Flight> {
        let now = Instant::now();
        if now < self.when.open {
            return None;
        }
        self.turn = match self.turn {
            Whose::Own if !self.adopted.is_empty() => Whose::Adopted,
            _ => Whose::Own,
        };
        let is_due = self.when.ship.is_some_and(|ship| ship <= now) || self.own.has_files() || self.stopping;
        let has_own = !self.own.is_empty() && is_due;
        // What others left behind can wait for the next start of anybody.
        if !self.stopping
            && (self.turn == Whose::Adopted || !has_own)
            && let Some(flight) = self.depart_adopted()
        {
            return Some(flight);
        }
        if has_own {
            let shipment = self.own.next(self.most_records());
            // What did not fit is due too; what comes meanwhile has its own time.
            self.when.ship = (shipment.last < self.own.last()).then_some(now);
            return Some(Flight::ship(Whose::Own, shipment, self.channel.clone()));
        }
        let is_silent = self.when.greet <= now && !self.stopping;
        is_silent.then(|| Flight::ship(Whose::Own, self.own.greeting(), self.channel.clone()))
    }

    fn depart_adopted(&mut self) -> Option<Flight> {
        let most = self.most_records();
        let Adopted { backlog, asked } = self.adopted.front_mut()?;
        Some(if *asked {
            Flight::ship(Whose::Adopted, backlog.next(most), self.channel.clone())
        } else {
            Flight::ask(backlog, self.channel.clone())
        })
    }

    fn most_records(&self) -> usize {
        match self.hints.max_records as usize {
            0 => SHIPMENT_RECORDS,
            most => most.min(SHIPMENT_RECORDS),
        }
    }

    /// Notes that the disk failed; then nothing is tried there for a while.
    fn noted<T>(&mut self, done: io::Result<T>) -> Option<T> {
        done.inspect_err(|error| {
            self.voice.spool_failed(error);
            self.when.spool = Instant::now() + SPOOL_REST;
        })
        .ok()
    }
}

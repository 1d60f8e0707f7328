//! One heartbeat stream: renews leases while it lives; its end puts them in doubt.
//!
//! Nothing runs beside it: a beat is taken in when the transport asks for the next
//! answer, so a stream costs its connection and little more.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use proto::registry::command::Order as Ordered;
use proto::registry::{
    ChangeTimeToLiveOrder, Command, DrainOrder, HeartbeatRequest, HeartbeatResponse, RegisterAgainOrder, UndrainOrder,
};
use tokio::sync::Notify;
use tokio_stream::Stream;
use tokio_util::sync::CancellationToken;
use tonic::{Status, Streaming};

use crate::error::Error;
use crate::instances::{Now, Order, StreamId};
use crate::registration::Key;
use crate::requests;
use crate::shared::Shared;
use crate::speaker::Speaker;

/// Commands that a stream does not hear of in its answers alone wait here; more are told with the next beat.
const MOST_COMMANDS: usize = 64;

/// Commands on their way to one stream.
#[derive(Debug, Default)]
pub(crate) struct Mailbox {
    commands: Mutex<Vec<Command>>,
    filled: Notify,
}

impl Mailbox {
    /// Sends a command now.
    pub(crate) fn put(&self, command: Command) {
        let mut commands = self.commands.lock().unwrap_or_else(PoisonError::into_inner);
        if commands.len() < MOST_COMMANDS {
            commands.push(command);
            self.filled.notify_one();
        }
    }

    async fn take(&self) -> Vec<Command> {
        loop {
            let commands = std::mem::take(&mut *self.commands.lock().unwrap_or_else(PoisonError::into_inner));
            if !commands.is_empty() {
                return commands;
            }
            self.filled.notified().await;
        }
    }
}

/// A stream of beats and what it is answered.
#[derive(Debug)]
pub(crate) struct Heartbeats {
    shared: Shared,
    speaker: Speaker,
    id: StreamId,
    beats: Streaming<HeartbeatRequest>,
    mailbox: Arc<Mailbox>,
    stopping: CancellationToken,
}

impl Heartbeats {
    pub(crate) fn new(
        shared: Shared,
        speaker: Speaker,
        beats: Streaming<HeartbeatRequest>,
        stopping: CancellationToken,
    ) -> Self {
        let (id, mailbox) = shared.open_stream();
        Self { shared, speaker, id, beats, mailbox, stopping }
    }

    /// The answers, until the stream ends; a registry that stops puts nobody in doubt.
    pub(crate) fn answers(self) -> impl Stream<Item = Result<HeartbeatResponse, Status>> + Send {
        futures_util::stream::unfold(Some(self), async |heartbeats| {
            let mut heartbeats = heartbeats?;
            let answer = heartbeats.next().await?;
            let is_last = answer.is_err();
            Some((answer, (!is_last).then_some(heartbeats)))
        })
    }

    async fn next(&mut self) -> Option<Result<HeartbeatResponse, Status>> {
        let message = tokio::select! {
            message = self.beats.message() => message,
            commands = self.mailbox.take() => {
                return Some(Ok(HeartbeatResponse { commands, ..Default::default() }));
            }
            () = self.stopping.cancelled() => return Some(Err(Error::Stopping.into())),
        };
        match message {
            Ok(beat) => Some(self.renew(beat?).map_err(Status::from)),
            // Nobody hears this when it is the connection that broke.
            Err(status) => Some(Err(Error::Unreadable(status.message().to_owned()).into())),
        }
    }

    fn renew(&self, beat: HeartbeatRequest) -> Result<HeartbeatResponse, Error> {
        let beats = requests::beats(beat.leases)?;
        beats.iter().try_for_each(|beat| self.speaker.check(&beat.key))?;
        let mut missing_services: BTreeSet<String> = BTreeSet::new();
        let commands = self.shared.with(|instances| {
            let mut commands = Vec::new();
            for beat in &beats {
                let order = instances.beat(beat, self.id, Now::read());
                commands.extend(order.map(|order| command(&beat.key, beat.incarnation, order)));
                missing_services.extend(instances.missing(&beat.key).cloned());
            }
            commands
        });
        let missing_services = missing_services.into_iter().collect();
        Ok(HeartbeatResponse { sequence: beat.sequence, commands, missing_services })
    }
}

impl Drop for Heartbeats {
    fn drop(&mut self) {
        self.shared.close_stream(self.id, self.stopping.is_cancelled());
    }
}

/// What a process is asked to do with one of its leases.
pub(crate) fn command(key: &Key, incarnation: u64, order: Order) -> Command {
    let order = match order {
        Order::Drain => Ordered::Drain(DrainOrder {}),
        Order::Undrain => Ordered::Undrain(UndrainOrder {}),
        Order::RegisterAgain => Ordered::RegisterAgain(RegisterAgainOrder {}),
        Order::ChangeLease(lease) => Ordered::ChangeTimeToLive(ChangeTimeToLiveOrder {
            time_to_live: prost_types::Duration::try_from(lease).ok(),
            heartbeat_period: period(lease),
        }),
    };
    Command { service: key.service.to_string(), instance_id: key.instance.to_string(), incarnation, order: Some(order) }
}

/// How often to beat: a third of the lease, so that two beats may be lost.
pub(crate) fn period(lease: Duration) -> Option<prost_types::Duration> {
    prost_types::Duration::try_from(lease / 3).ok()
}

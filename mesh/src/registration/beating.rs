//! The heartbeat: one stream that says that this process lives, and hears what to do.

use std::sync::atomic::Ordering;
use std::time::Duration;

use futures_util::future::BoxFuture;
use proto::registry::command::Order;
use proto::registry::registry_service_client::RegistryServiceClient;
use proto::registry::{HeartbeatResponse, RegisterResponse};
use tokio::sync::mpsc;
use tokio::time::Instant;
use tokio_stream::wrappers::ReceiverStream;
use tonic::Status;

use super::{ANSWER_TIMEOUT, Registration};
use crate::time::from_duration;

/// How long another registry node may take to be reached before this one is kept.
const REACH_TIMEOUT: Duration = Duration::from_secs(2);

/// What an answer asks for.
#[derive(Debug)]
enum Next {
    Nothing,
    /// Say at once that something changed.
    Beat,
    ChangePeriod(Duration),
    Move(String, Duration),
    End(Status),
}

/// A move to another registry node that is under way: answers why this stream ends, if it does.
type Departure = BoxFuture<'static, Option<Status>>;

impl Registration {
    /// Beats until the stream breaks, and says why it did.
    pub(super) async fn beat(&self, lease: RegisterResponse) -> Status {
        let mut period = Self::period(lease.heartbeat_period.as_ref());
        // One beat waits for the transport at most: the next says the same anew.
        let (beats, sent) = mpsc::channel(1);
        let (mut sequence, incarnation) = (0, lease.incarnation);
        let _is_empty = beats.try_send(self.next_beat(&mut sequence, incarnation));
        let mut client = RegistryServiceClient::new(self.registry.clone());
        let opened = tokio::time::timeout(ANSWER_TIMEOUT, client.heartbeat(ReceiverStream::new(sent))).await;
        let mut answers = match opened {
            Ok(Ok(response)) => response.into_inner(),
            Ok(Err(status)) => return status,
            Err(_) => return Status::unavailable("the registry does not answer"),
        };
        let (mut heard, mut due) = (Instant::now(), Instant::now() + period);
        let mut departure: Departure = Box::pin(std::future::pending());
        let mut missing = Vec::new();
        loop {
            let next = tokio::select! {
                answer = tokio::time::timeout_at(heard + period * 2, answers.message()) => {
                    heard = Instant::now();
                    match answer {
                        Ok(Ok(Some(answer))) => {
                            self.say_missing(&mut missing, &answer);
                            self.obey(answer)
                        }
                        Ok(Ok(None)) => Next::End(Status::unavailable("the registry ended the stream")),
                        Ok(Err(status)) => Next::End(status),
                        Err(_) => Next::End(Status::unavailable("the registry is silent")),
                    }
                }
                () = tokio::time::sleep_until(due) => Next::Beat,
                ended = &mut departure => {
                    departure = Box::pin(std::future::pending());
                    ended.map_or(Next::Nothing, Next::End)
                }
            };
            match next {
                Next::Nothing => {}
                Next::Beat => {
                    due = Instant::now() + period;
                    let beat = self.next_beat(&mut sequence, incarnation);
                    if let Err(mpsc::error::TrySendError::Closed(_)) = beats.try_send(beat) {
                        return Status::unavailable("the stream broke");
                    }
                }
                Next::ChangePeriod(changed) => (period, due) = (changed, due.min(Instant::now() + changed)),
                Next::Move(address, wait) => departure = self.depart(address, wait),
                Next::End(status) => return status,
            }
        }
    }

    /// Does what the registry wants.
    fn obey(&self, answer: HeartbeatResponse) -> Next {
        let mut next = Next::Nothing;
        for order in answer.commands.into_iter().filter_map(|command| command.order) {
            next = match order {
                Order::Drain(_) => self.set_drained(true),
                Order::Undrain(_) => self.set_drained(false),
                // After the goodbye the registry does not know this lease, as it should be.
                Order::RegisterAgain(_) if self.leaving.is_cancelled() => Next::Nothing,
                Order::RegisterAgain(_) => {
                    return Next::End(Status::not_found("the registry does not know this lease"));
                }
                Order::ChangeTimeToLive(change) => Next::ChangePeriod(Self::period(change.heartbeat_period.as_ref())),
                Order::Move(order) => {
                    let within = order.within.as_ref().and_then(from_duration).unwrap_or_default();
                    Next::Move(order.address, within.mul_f64(fastrand::f64()))
                }
            };
        }
        next
    }

    fn set_drained(&self, drained: bool) -> Next {
        if self.drained.swap(drained, Ordering::Relaxed) == drained {
            return Next::Nothing;
        }
        if drained {
            tracing::warn!("an operator drained this process: no more calls are sent here until it is undrained");
        } else {
            tracing::info!("an operator lets calls come here again");
        }
        Next::Beat
    }

    /// Goes to another registry node after a while; stays when it cannot be reached.
    fn depart(&self, address: String, wait: Duration) -> Departure {
        let registry = self.registry.clone();
        Box::pin(async move {
            tokio::time::sleep(wait).await;
            if registry.go_to(&address, REACH_TIMEOUT).await {
                return Some(Status::unavailable(format!("it sent this process to the registry at {address}")));
            }
            tracing::warn!("the registry sent this process to {address}, which cannot be reached; it stays");
            None
        })
    }

    /// Says which required services are missing, when that changes.
    fn say_missing(&self, known: &mut Vec<String>, answer: &HeartbeatResponse) {
        // An answer with another sequence number than 0 answers a beat, and says what is missing.
        if answer.sequence == 0 || *known == answer.missing_services {
            return;
        }
        known.clone_from(&answer.missing_services);
        match known.as_slice() {
            [] => tracing::info!("every service that {} requires has a ready instance", self.identity.service()),
            missing => tracing::warn!("no instance of {} is ready, and this process requires it", missing.join(", ")),
        }
    }
}

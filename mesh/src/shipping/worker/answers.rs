//! What becomes of a call to the log service: what is forgotten, said again, or waited for.

use proto::logs::{ErrorReason, ShipHints, ShipResponse};
use tokio::time::Instant;
use tonic::Status;

use super::super::flight::{Answer, Flight, Whose};
use super::{IDLE, LONGEST_PAUSE, Worker};
use crate::refusal::Refusal;
use crate::time::from_duration;

impl Worker {
    /// Takes an answer.
    pub(super) fn land(&mut self, flight: &mut Option<Flight>, answer: Answer) {
        let Some(Flight { whose, last, .. }) = flight.take() else { return };
        let now = Instant::now();
        if whose == Whose::Own {
            self.when.greet = now + IDLE;
        }
        match answer {
            Answer::Shipped(Ok(reply)) => self.take_reply(whose, last, reply),
            Answer::State(Ok(stored)) => {
                if let Some(adopted) = self.adopted.front_mut() {
                    adopted.asked = true;
                }
                self.acknowledge(whose, stored);
                self.succeed();
            }
            Answer::Shipped(Err(status)) => match expected(&status) {
                Some(expected) => self.rewind(whose, expected),
                None => self.fail(&status),
            },
            Answer::State(Err(status)) => self.fail(&status),
        }
        if self.adopted.front().is_some_and(|adopted| adopted.backlog.is_empty()) {
            let removed = self.adopted.pop_front().map_or(Ok(()), |mut adopted| adopted.backlog.remove());
            self.noted(removed);
        }
        self.narrow();
        if self.own.is_empty() {
            self.when.ship = None;
            // What was lost meanwhile is declared now, when nothing else waits.
            self.gather();
        }
    }

    fn take_reply(&mut self, whose: Whose, last: u64, reply: ShipResponse) {
        let ShipResponse { acknowledged_sequence, refused, hints, .. } = reply;
        let reason = refused.first().map(|record| record.reason.as_str()).unwrap_or_default();
        self.voice.refused(refused.len(), reason);
        self.acknowledge(whose, acknowledged_sequence);
        if acknowledged_sequence < last {
            // It ended early, which it may; but whoever takes nothing is not asked at once again.
            self.when.open = Instant::now() + self.backoff.next();
            self.when.ship = Some(self.when.open);
        } else {
            self.succeed();
        }
        self.obey(hints.unwrap_or_default());
    }

    fn acknowledge(&mut self, whose: Whose, sequence: u64) {
        let freed = match (whose, self.adopted.front_mut()) {
            (Whose::Own, _) => self.own.acknowledge(sequence),
            // Its records were never in the outbox of this process.
            (Whose::Adopted, Some(adopted)) => adopted.backlog.acknowledge(sequence).map(|_| 0),
            (Whose::Adopted, None) => Ok(0),
        };
        let freed = self.noted(freed).unwrap_or(0);
        self.outbox.settle(freed);
    }

    fn rewind(&mut self, whose: Whose, expected: u64) {
        let freed = match (whose, self.adopted.front_mut()) {
            (Whose::Own, _) => self.own.rewind(expected),
            (Whose::Adopted, Some(adopted)) => adopted.backlog.rewind(expected).map(|_| 0),
            (Whose::Adopted, None) => Ok(0),
        };
        let freed = self.noted(freed).unwrap_or(0);
        self.outbox.settle(freed);
        self.when.ship = Some(Instant::now());
        // Answered by somebody who lives; but a hole that does not close is not asked about for ever at once.
        self.when.open = Instant::now() + self.backoff.next();
    }

    fn succeed(&mut self) {
        self.away = false;
        self.backoff.reset();
    }

    fn fail(&mut self, status: &Status) {
        self.away = true;
        let told = Refusal::retry_delay(status).map(|delay| delay.min(LONGEST_PAUSE));
        self.when.open = Instant::now() + told.unwrap_or_else(|| self.backoff.next());
        self.when.ship = Some(self.when.open);
        // What cannot be shipped may be much: others must not wait behind it.
        self.adopted.rotate_left(usize::from(self.adopted.len() > 1));
        let (bytes, records) = self.own.fresh();
        self.spill(bytes, records);
    }

    fn obey(&mut self, hints: ShipHints) {
        let pause = hints.pause.as_ref().and_then(from_duration).unwrap_or_default().min(LONGEST_PAUSE);
        if !pause.is_zero() && !self.stopping {
            self.when.open = self.when.open.max(Instant::now() + pause);
        }
        // Only news is obeyed: in between somebody may have set levels in this process itself.
        if hints.levels != self.hints.levels
            && let Some(Ok((now, _))) = self.levels.as_ref().map(|levels| levels.set(&hints.levels, None))
        {
            self.voice.levels_changed(&now);
        }
        self.hints = hints;
    }
}

/// The number that the log service misses, when that is what it says.
fn expected(status: &Status) -> Option<u64> {
    let hole = ErrorReason::SequenceHole.as_str_name().trim_start_matches("ERROR_REASON_");
    if Refusal::reason(status).as_deref() != Some(hole) {
        return None;
    }
    Refusal::metadata_of(status, "expected")?.parse().ok()
}

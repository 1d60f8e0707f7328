//! One call to the log service that is under way: never more than one.

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use proto::logs::log_service_client::LogServiceClient;
use proto::logs::{ShipResponse, ShipStateRequest};
use tonic::{Code, Status};

use super::backlog::{Backlog, Shipment};
use super::{SHIP_TIMEOUT, part};

/// Whose records are under way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Whose {
    /// This process's.
    Own,
    /// Those of the first process that is gone.
    Adopted,
}

/// What the log service says.
#[derive(Debug)]
pub(super) enum Answer {
    /// To a shipment.
    Shipped(Result<ShipResponse, Status>),
    /// To the question how much is stored.
    State(Result<u64, Status>),
}

/// A call that is under way.
pub(super) struct Flight {
    pub(super) whose: Whose,
    /// The last number in it.
    pub(super) last: u64,
    answer: BoxFuture<'static, Answer>,
}

impl Flight {
    /// Ships.
    pub(super) fn ship(whose: Whose, shipment: Shipment, channel: crate::Channel) -> Self {
        let Shipment { header, batches, last } = shipment;
        Self { whose, last, answer: part::ship(channel, header, batches).map(Answer::Shipped).boxed() }
    }

    /// Asks how much of a process that is gone is stored.
    pub(super) fn ask(adopted: &Backlog, channel: crate::Channel) -> Self {
        let owner = adopted.owner();
        let asked = ShipStateRequest { producer: owner.producer.clone(), incarnation: owner.incarnation };
        let mut request = tonic::Request::new(asked);
        request.set_timeout(SHIP_TIMEOUT);
        let answer = async move {
            let answered = LogServiceClient::new(channel).ship_state(request).await;
            Answer::State(match answered {
                Ok(state) => Ok(state.into_inner().acknowledged_sequence),
                Err(status) if status.code() == Code::NotFound => Ok(0),
                Err(status) => Err(status),
            })
        };
        Self { whose: Whose::Adopted, last: 0, answer: answer.boxed() }
    }

    /// Waits for the answer; for ever when nothing is under way.
    pub(super) async fn land(flight: &mut Option<Self>) -> Answer {
        match flight {
            Some(flight) => (&mut flight.answer).await,
            None => std::future::pending().await,
        }
    }
}

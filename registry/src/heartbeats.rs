//! One heartbeat stream: renews leases while it lives, takes them down when it breaks.

use proto::registry::{HeartbeatRequest, HeartbeatResponse, Lease};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tonic::{Status, Streaming};

use crate::error::Error;
use crate::instances::{Now, StreamId};
use crate::requests;
use crate::shared::{Shared, say_down};

/// Where the answers of a stream go.
pub(crate) type Answers = mpsc::Sender<Result<HeartbeatResponse, Status>>;

/// Answers beats until the stream ends; a registry that stops takes nobody down.
pub(crate) async fn answer(
    shared: Shared,
    mut beats: Streaming<HeartbeatRequest>,
    answers: Answers,
    stopping: CancellationToken,
) {
    let stream = shared.next_stream();
    let stopped = loop {
        let message = tokio::select! {
            message = beats.message() => message,
            () = answers.closed() => break false,
            () = stopping.cancelled() => break true,
        };
        let Ok(Some(beat)) = message else { break false };
        let answer = renew(&shared, stream, beat).map_err(Status::from);
        let is_last = answer.is_err();
        if answers.send(answer).await.is_err() || is_last {
            break false;
        }
    };
    if stopped {
        // The other end learns from the closed stream too, should it not read this.
        let _unread = answers.send(Err(Error::Stopping.into())).await;
        return;
    }
    for gone in shared.with(|instances| instances.close(stream, Now::read())) {
        say_down(&gone);
    }
}

fn renew(shared: &Shared, stream: StreamId, beat: HeartbeatRequest) -> Result<HeartbeatResponse, Error> {
    let beats = requests::beats(beat.leases)?;
    let mut unknown_leases = Vec::new();
    shared.with(|instances| {
        for lease in &beats {
            if !instances.beat(lease, stream, Now::read()) {
                unknown_leases.push(Lease {
                    service: lease.key.service.clone(),
                    instance_id: lease.key.instance.clone(),
                    incarnation: lease.incarnation,
                    ..Default::default()
                });
            }
        }
    });
    for lease in &beats {
        shared.count_heartbeat(&lease.key);
    }
    Ok(HeartbeatResponse { sequence: beat.sequence, unknown_leases })
}

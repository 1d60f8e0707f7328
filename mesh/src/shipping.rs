//! Ships the outbox to the log service, from a thread and runtime of its own.
//!
//! The thread has no subscriber, so that shipping never feeds on its own events;
//! it finds the log service by its own discovery, for the same reason. No request
//! waits for it: while the log service is away, records wait in the bounded outbox.

use std::sync::Arc;
use std::time::Duration;

use proto::logs::log_service_client::LogServiceClient;
use proto::logs::ship_request::Part;
use proto::logs::{ErrorReason, Gap, Level, LevelCount, RecordBatch, ShipHeader, ShipRequest};
use tokio_util::sync::CancellationToken;
use tonic::Status;
use tracing::subscriber::NoSubscriber;

use crate::Mesh;
use crate::backoff::Backoff;
use crate::channel::Origin;
use crate::identity::Identity;
use crate::outbox::{Outbox, Parcel, Shipment};
use crate::refusal::Refusal;

/// The log service's name.
pub(crate) const LOGSVC: &str = "logsvc";

/// How long records wait for company before they travel. An ERROR does not wait.
const LINGER: Duration = Duration::from_millis(200);

/// A shipment that is not acknowledged in this time is sent again.
const SHIP_TIMEOUT: Duration = Duration::from_secs(10);

/// How long stopping waits for the last records.
pub(crate) const LAST_WORDS: Duration = Duration::from_secs(2);

/// Records in one message of a shipment: far below gRPC's 4 MiB for usual records.
const BATCH_BYTES: usize = 256 * 1024;

/// The shipping thread.
#[derive(Debug)]
pub(crate) struct Shipper {
    stop: CancellationToken,
    ended: tokio::sync::oneshot::Receiver<usize>,
}

impl Shipper {
    /// Starts the thread.
    pub(crate) fn start(identity: Identity, registry: Vec<String>, outbox: Arc<Outbox>) -> std::io::Result<Self> {
        let stop = CancellationToken::new();
        let (end, ended) = tokio::sync::oneshot::channel();
        let token = stop.clone();
        std::thread::Builder::new().name("log shipper".to_owned()).spawn(move || {
            // Declared before the runtime, so that it outlives it: dropping connections says things too.
            let _quiet = tracing::subscriber::set_default(NoSubscriber::default());
            let Ok(runtime) = tokio::runtime::Builder::new_current_thread().enable_all().build() else { return };
            let left = runtime.block_on(ship(identity, &registry, &outbox, token));
            // Nobody waits for the count when the process was told to end at once.
            let _nobody = end.send(left);
        })?;
        Ok(Self { stop, ended })
    }

    /// Ships what is left and ends; answers how many parcels stayed behind.
    pub(crate) async fn stop(self) -> usize {
        self.stop.cancel();
        self.ended.await.unwrap_or(0)
    }
}

async fn ship(identity: Identity, registry: &[String], outbox: &Outbox, stop: CancellationToken) -> usize {
    let mesh = Mesh::new(Origin::of(identity.clone()), registry);
    let mut client = LogServiceClient::new(mesh.channel(LOGSVC, proto::logs::DESCRIPTORS));
    let mut backoff = Backoff::new(Duration::from_millis(50), Duration::from_millis(500));
    let mut pending = Shipment::default();
    loop {
        if pending.parcels.is_empty() {
            let stopping = wait_for_records(outbox, &stop).await;
            pending = outbox.take();
            if stopping && pending.parcels.is_empty() {
                return 0;
            }
        }
        match ship_once(&mut client, &identity, &pending).await {
            Ok(()) => {
                outbox.settle(std::mem::take(&mut pending));
                backoff.reset();
            }
            Err(status) => {
                declare_hole(&status, &mut pending);
                // At the end nobody is there to wait for the log service to come back.
                if stop.is_cancelled() {
                    return pending.parcels.len() + outbox.len();
                }
                tokio::select! {
                    () = tokio::time::sleep(backoff.next()) => {}
                    () = stop.cancelled() => {}
                }
            }
        }
    }
}

/// Waits for records, and then for company for them. Answers whether the process stops.
async fn wait_for_records(outbox: &Outbox, stop: &CancellationToken) -> bool {
    tokio::select! {
        () = outbox.filled() => {}
        () = stop.cancelled() => return true,
    }
    tokio::select! {
        () = tokio::time::sleep(LINGER) => {}
        () = outbox.pressing() => {}
        () = stop.cancelled() => return true,
    }
    false
}

async fn ship_once(
    client: &mut LogServiceClient<crate::Channel>,
    identity: &Identity,
    shipment: &Shipment,
) -> Result<(), Status> {
    let messages = messages(identity, shipment);
    let mut request = tonic::Request::new(tokio_stream::iter(messages));
    request.set_timeout(SHIP_TIMEOUT);
    client.ship(request).await.map(|_acknowledged| ())
}

/// The shipment as messages: the header, then records in the order of their sequence.
fn messages(identity: &Identity, shipment: &Shipment) -> Vec<ShipRequest> {
    let header = ShipHeader {
        producer: identity.instance().to_owned(),
        // The instance is another one with each start, so each has one incarnation.
        incarnation: 1,
        first_sequence: shipment.parcels.first().map_or(0, Parcel::first_sequence),
        service: identity.service().to_owned(),
        instance_id: identity.instance().to_owned(),
    };
    let mut parts = vec![Part::Header(header)];
    let mut records = Vec::new();
    let mut bytes = 0;
    for parcel in &shipment.parcels {
        match parcel {
            Parcel::Record(record) => {
                bytes += prost::Message::encoded_len(record.as_ref());
                records.push(record.as_ref().clone());
            }
            Parcel::Gap(gap) => {
                parts.push(Part::Batch(RecordBatch { records: std::mem::take(&mut records) }));
                parts.push(Part::Gap(gap.clone()));
            }
        }
        if bytes >= BATCH_BYTES {
            parts.push(Part::Batch(RecordBatch { records: std::mem::take(&mut records) }));
            bytes = 0;
        }
    }
    parts.push(Part::Batch(RecordBatch { records }));
    parts.into_iter().map(|part| ShipRequest { part: Some(part) }).collect()
}

/// When the log service misses records that are gone here, says so instead of trying for ever.
///
/// This happens when its data was lost after it had acknowledged them.
fn declare_hole(status: &Status, pending: &mut Shipment) {
    let hole = ErrorReason::SequenceHole.as_str_name().trim_start_matches("ERROR_REASON_");
    if Refusal::reason(status).as_deref() != Some(hole) {
        return;
    }
    let expected = Refusal::metadata_of(status, "expected").and_then(|text| text.parse::<u64>().ok());
    let first = pending.parcels.first().map(Parcel::first_sequence);
    if let (Some(expected), Some(first)) = (expected, first)
        && expected < first
    {
        let lost = vec![LevelCount { level: Level::Unspecified.into(), count: first - expected }];
        pending.parcels.insert(0, Parcel::Gap(Gap { first_sequence: expected, lost }));
    }
}

//! One shipment: a header, then records and gaps, committed in pieces, one reply.

use std::sync::Arc;

use mesh::Identity;
use mesh::outbox::{Parcel, Shipment};
use proto::logs::ship_request::Part;
use proto::logs::{ShipHeader, ShipRequest, ShipResponse};
use tonic::{Status, Streaming};

use crate::entry::{Entry, Source};
use crate::error::Error;
use crate::store::{Store, Stored};

/// Entries that are held before they are committed: a stream may be endless, memory is not.
const PIECE: usize = 5000;
const PIECE_BYTES: usize = 4 * 1024 * 1024;

/// Reads a shipment to its end. The reply says what is on disk.
pub(crate) async fn receive(store: &Store, mut parts: Streaming<ShipRequest>) -> Result<ShipResponse, Status> {
    let source = match parts.message().await?.and_then(|message| message.part) {
        Some(Part::Header(header)) => Arc::new(read_header(header)?),
        _ => return Err(Error::HeaderExpected.into()),
    };
    let mut piece = Piece { store, source, entries: Vec::new(), bytes: 0, total: Stored::default() };
    while let Some(message) = parts.message().await? {
        piece.bytes += prost_len(&message);
        match message.part {
            Some(Part::Batch(batch)) => {
                let source = piece.source.clone();
                piece.entries.extend(batch.records.into_iter().map(|record| Entry::record(source.clone(), record)));
            }
            Some(Part::Gap(gap)) => piece.entries.push(Entry::gap(piece.source.clone(), &gap)),
            Some(Part::Header(_)) => return Err(Error::HeaderExpected.into()),
            None => {}
        }
        if piece.entries.len() >= PIECE || piece.bytes >= PIECE_BYTES {
            piece.commit().await?;
        }
    }
    piece.commit().await?;
    let Stored { acknowledged, stored, duplicates } = piece.total;
    Ok(ShipResponse { acknowledged_sequence: acknowledged, stored, duplicates, refused: Vec::new() })
}

/// Stores what this very process logged.
pub(crate) async fn keep_own(store: Store, identity: Identity, shipment: Arc<Shipment>) -> anyhow::Result<()> {
    let instance = identity.instance().to_owned();
    let source = Arc::new(Source::parse(identity.service().to_owned(), instance.clone(), instance, 1)?);
    let entry = |parcel: &Parcel| match parcel {
        Parcel::Record(record) => Entry::record(source.clone(), record.as_ref().clone()),
        Parcel::Gap(gap) => Entry::gap(source.clone(), gap),
    };
    let entries = shipment.parcels.iter().map(entry).collect();
    store.append(source.clone(), entries).await?;
    Ok(())
}

/// Entries of one source that are not committed yet.
struct Piece<'a> {
    store: &'a Store,
    source: Arc<Source>,
    entries: Vec<Entry>,
    bytes: usize,
    total: Stored,
}

impl Piece<'_> {
    async fn commit(&mut self) -> Result<(), Error> {
        let stored = self.store.append(self.source.clone(), std::mem::take(&mut self.entries)).await?;
        self.bytes = 0;
        self.total.acknowledged = stored.acknowledged;
        self.total.stored += stored.stored;
        self.total.duplicates += stored.duplicates;
        Ok(())
    }
}

fn read_header(header: ShipHeader) -> Result<Source, Error> {
    Source::parse(header.service, header.instance_id, header.producer, header.incarnation)
}

/// About what a message weighs.
fn prost_len(message: &ShipRequest) -> usize {
    match &message.part {
        Some(Part::Batch(batch)) => {
            batch.records.iter().map(|record| 64 + record.message.len() + 64 * record.fields.len()).sum()
        }
        _ => 64,
    }
}

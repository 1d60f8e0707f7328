//! One shipment: a header, then records and gaps, committed in pieces, one reply.

use std::sync::Arc;

use mesh::Identity;
use mesh::outbox::{Parcel, Shipment};
use proto::logs::ship_request::Part;
use proto::logs::{RefusedRecord, ShipHeader, ShipRequest, ShipResponse};
use tonic::{Status, Streaming};

use crate::entry::{Entry, Source};
use crate::error::Error;
use crate::store::{Store, Stored};

/// Entries that are held before they are committed: a stream may be endless, memory is not.
const PIECE: usize = 5000;
const PIECE_BYTES: usize = 4 * 1024 * 1024;

/// Reads a shipment to its end. The reply says what is on disk.
pub(crate) async fn receive(store: &Store, mut parts: Streaming<ShipRequest>) -> Result<ShipResponse, Status> {
    let Some(Part::Header(header)) = parts.message().await?.and_then(|message| message.part) else {
        return Err(Error::HeaderExpected.into());
    };
    let mut piece = Piece::new(store, header)?;
    while let Some(message) = parts.message().await? {
        match message.part {
            Some(Part::Batch(batch)) => {
                for record in batch.records {
                    piece.add(Entry::record(piece.source.clone(), record)).await?;
                }
            }
            Some(Part::Gap(gap)) => piece.add(Entry::gap(piece.source.clone(), &gap)).await?,
            Some(Part::Header(_)) => return Err(Error::HeaderExpected.into()),
            None => {}
        }
    }
    piece.commit().await?;
    let Stored { acknowledged, stored, duplicates } = piece.total;
    Ok(ShipResponse { acknowledged_sequence: acknowledged, stored, duplicates, refused: piece.refused })
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
    /// The number that the header announced, until the first entry has kept the promise.
    announced: Option<u64>,
    entries: Vec<Entry>,
    bytes: usize,
    total: Stored,
    refused: Vec<RefusedRecord>,
}

impl<'a> Piece<'a> {
    fn new(store: &'a Store, header: ShipHeader) -> Result<Self, Error> {
        let announced = Some(header.first_sequence);
        let source = Source::parse(header.service, header.instance_id, header.producer, header.incarnation)?;
        let (entries, refused, total) = (Vec::new(), Vec::new(), Stored::default());
        Ok(Self { store, source: Arc::new(source), announced, entries, bytes: 0, total, refused })
    }

    async fn add(&mut self, entry: Entry) -> Result<(), Error> {
        let sequence = entry.record.sequence;
        if let Some(announced) = self.announced.take()
            && announced != sequence
        {
            let description = format!("must be that of the first record or gap, {sequence}");
            return Err(Error::InvalidField { field: "first_sequence", description });
        }
        if sequence == 0 || entry.span == 0 {
            let reason = "a record has a sequence number above 0, and a gap says how much is lost".to_owned();
            // The list travels in the reply; what is wrong with a thousand is wrong with the rest.
            if self.refused.len() < 1000 {
                self.refused.push(RefusedRecord { sequence, reason });
            }
            return Ok(());
        }
        self.bytes += entry.weight();
        self.entries.push(entry);
        if self.entries.len() >= PIECE || self.bytes >= PIECE_BYTES {
            self.commit().await?;
        }
        Ok(())
    }

    async fn commit(&mut self) -> Result<(), Error> {
        let stored = self.store.append(self.source.clone(), std::mem::take(&mut self.entries)).await?;
        self.bytes = 0;
        self.total.acknowledged = stored.acknowledged;
        self.total.stored += stored.stored;
        self.total.duplicates += stored.duplicates;
        Ok(())
    }
}

//! One shipment: a header, then records, committed in pieces, one reply.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use mesh::Complaints;
use mesh::call::Caller;
use proto::logs::ship_request::Part;
use proto::logs::{LevelCount, LogRecord, RefusedRecord, ShipHeader, ShipHints, ShipRequest, ShipResponse};
use tonic::{Status, Streaming};

use crate::entry::{self, Source, weight};
use crate::error::Error;
use crate::speakers::{Speakers, duration_of};
use crate::store::{Store, Stored};
use crate::wishes::Wishes;

/// Records that are held before they are committed: a stream may be endless, memory is not.
const PIECE: usize = 5000;
const PIECE_BYTES: usize = 4 * 1024 * 1024;

/// What a stream should hold at most.
const MOST_RECORDS: u32 = 5000;

/// What producers are asked to wait while appends queue: about what the disk needs for those that wait.
const PAUSE: Duration = Duration::from_millis(200);

/// The list travels in the reply; what is wrong with a thousand is wrong with the rest.
const MOST_REFUSED: usize = 1000;

/// Takes shipments.
#[derive(Debug, Clone)]
pub(crate) struct Intake {
    pub(crate) store: Store,
    pub(crate) speakers: Arc<Speakers>,
    pub(crate) wishes: Arc<Wishes>,
    pub(crate) complaints: Complaints,
}

/// Who ships.
#[derive(Debug, Default)]
pub(crate) struct Shipper {
    pub(crate) caller: Option<Caller>,
    pub(crate) peer: Option<SocketAddr>,
}

impl Intake {
    /// Reads a shipment to its end. The reply says what is on disk.
    pub(crate) async fn receive(
        &self,
        shipper: Shipper,
        mut parts: Streaming<ShipRequest>,
    ) -> Result<ShipResponse, Status> {
        let Some(Part::Header(header)) = parts.message().await?.and_then(|message| message.part) else {
            return Err(Error::HeaderExpected.into());
        };
        let mut piece = Piece::new(self, &shipper, header)?;
        while let Some(message) = parts.message().await? {
            match message.part {
                Some(Part::Batch(batch)) => {
                    for record in batch.records {
                        piece.add(record).await?;
                    }
                }
                Some(Part::Header(_)) => return Err(Error::HeaderExpected.into()),
                None => {}
            }
        }
        piece.commit().await?;
        let hints = self.hints(&piece.source);
        let Stored { acknowledged, stored, duplicates, first_offset, last_offset } = piece.total;
        Ok(ShipResponse {
            acknowledged_sequence: acknowledged,
            stored,
            duplicates,
            refused: piece.refused,
            first_offset,
            last_offset,
            hints: Some(hints),
        })
    }

    /// Stores what came in another way than by a shipment; `sent` is the source's clock, when that is known.
    pub(crate) async fn keep(
        &self,
        source: Arc<Source>,
        sent: Option<i64>,
        records: Vec<LogRecord>,
    ) -> Result<(), Error> {
        let now = entry::now();
        self.speakers.heard(&source, sent, now);
        let stored = self.store.append(source.clone(), records).await?;
        self.speakers.stored(&source, stored.stored, now);
        Ok(())
    }

    fn hints(&self, source: &Source) -> ShipHints {
        let pause = self.store.is_pressed().then(|| duration_of(PAUSE));
        ShipHints { pause, max_records: MOST_RECORDS, levels: self.wishes.of(&source.service) }
    }
}

/// Records of one source that are not committed yet.
struct Piece<'a> {
    intake: &'a Intake,
    source: Arc<Source>,
    /// The number that the header announced, until the first record has kept the promise.
    announced: Option<u64>,
    records: Vec<LogRecord>,
    bytes: usize,
    total: Stored,
    refused: Vec<RefusedRecord>,
}

impl<'a> Piece<'a> {
    fn new(intake: &'a Intake, Shipper { caller, peer }: &Shipper, header: ShipHeader) -> Result<Self, Error> {
        let sent = entry::nanoseconds(header.sent.as_ref());
        let announced = Some(header.first_sequence);
        let source = Source::parse(header.service, header.instance_id, header.producer, header.incarnation)?;
        if let Some(caller) = caller.as_ref().filter(|caller| !caller.speaks_for(&source.service)) {
            let error = Error::OtherService { caller: caller.to_string(), service: source.service };
            let peer = peer.map(tracing::field::display);
            intake.complaints.warn(|more| {
                tracing::warn!(caller = caller.as_str(), peer, "refused records: {error}{more}");
            });
            return Err(error);
        }
        let source = Arc::new(Source { last_words: header.last_words, ..source });
        intake.speakers.heard(&source, sent, entry::now());
        let (records, refused, total) = (Vec::new(), Vec::new(), Stored::default());
        Ok(Self { intake, source, announced, records, bytes: 0, total, refused })
    }

    async fn add(&mut self, mut record: LogRecord) -> Result<(), Error> {
        let sequence = record.sequence;
        if let Some(announced) = self.announced.take()
            && announced != sequence
        {
            let description = format!("must be that of the first record, {sequence}");
            return Err(Error::InvalidField { field: "first_sequence", description });
        }
        if entry::span(&record) == 0 {
            // Nothing was lost: it is a record like others.
            record.lost.clear();
        }
        if sequence == 0 {
            let reason = "a record has a sequence number above 0".to_owned();
            if self.refused.len() < MOST_REFUSED {
                self.refused.push(RefusedRecord { sequence, reason });
            }
            return Ok(());
        }
        self.bytes += weight(&record);
        self.records.push(record);
        if self.records.len() >= PIECE || self.bytes >= PIECE_BYTES {
            self.commit().await?;
        }
        Ok(())
    }

    /// Also without records, to learn how far the producer is stored.
    async fn commit(&mut self) -> Result<(), Error> {
        let records = std::mem::take(&mut self.records);
        let lost: Vec<LevelCount> = records.iter().flat_map(|record| record.lost.iter().copied()).collect();
        let stored = self.intake.store.append(self.source.clone(), records).await?;
        self.intake.speakers.stored(&self.source, stored.stored, entry::now());
        if stored.duplicates == 0 {
            self.intake.speakers.lost(&self.source, &lost);
        }
        self.bytes = 0;
        let total = &mut self.total;
        total.acknowledged = stored.acknowledged;
        total.stored += stored.stored;
        total.duplicates += stored.duplicates;
        if stored.stored > 0 {
            total.last_offset = stored.last_offset;
            if total.first_offset == 0 {
                total.first_offset = stored.first_offset;
            }
        }
        Ok(())
    }
}

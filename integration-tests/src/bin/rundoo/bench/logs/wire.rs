//! Shipments whose records are encoded before: on the wire they are what any producer sends.
//!
//! The load and the log service share two cores, so what the load costs is taken
//! from the log service. A record that is prepared once costs a copy to send.

use std::time::Duration;

use anyhow::Context as _;
use bytes::{BufMut as _, Bytes, BytesMut};
use harness::logs::{Generator, Node};
use http::uri::PathAndQuery;
use prost::Message as _;
use prost::encoding::{encode_varint, encoded_len_varint};
use proto::logs::{LogRecord, ShipHeader, ShipResponse};
use tonic::transport::Channel;
use tonic_prost::ProstCodec;

const SHIP: &str = "/rundoo.logs.v1.LogService/Ship";

/// A shipment that is not answered after this is lost.
const TIMEOUT: Duration = Duration::from_secs(30);

/// About what one message of a shipment weighs, as the shipper of the mesh sends them.
const MESSAGE_BYTES: usize = 256 * 1024;

/// Keys of protobuf: a field's number and how it is written.
const RECORDS: u8 = 1 << 3 | 2;
const SEQUENCE: u8 = 1 << 3;
const TIME: u8 = 2 << 3 | 2;

/// A `ShipRequest` whose batch is encoded already: the same bytes.
#[derive(Clone, PartialEq, prost::Message)]
struct Encoded {
    #[prost(message, optional, tag = "1")]
    header: Option<ShipHeader>,
    #[prost(bytes = "bytes", optional, tag = "2")]
    batch: Option<Bytes>,
}

/// Records without sequence number and time, as they travel.
pub(super) struct Pool {
    records: Vec<Bytes>,
}

impl Pool {
    /// So many, of one instance.
    pub(super) fn new(seed: u64, count: usize) -> Self {
        let mut generator = Generator::new(seed);
        let records = std::iter::repeat_with(|| {
            let record = LogRecord { time: None, ..generator.next(0) };
            record.encode_to_vec().into()
        });
        Self { records: records.take(count).collect() }
    }
}

/// A producer of prepared records, with a connection of its own. It knows no crash.
pub(super) struct Producer {
    channel: Channel,
    header: ShipHeader,
    pool: Pool,
    /// The number of the last record that was acknowledged.
    pub(super) acknowledged: u64,
    /// What the records weighed that were shipped.
    pub(super) bytes: u64,
}

impl Producer {
    /// One of a service; its name is that of its instance too.
    pub(super) async fn new(node: &Node, service: &str, name: &str, pool: Pool) -> anyhow::Result<Self> {
        let header = ShipHeader {
            producer: name.to_owned(),
            incarnation: 1,
            service: service.to_owned(),
            instance_id: name.to_owned(),
            ..Default::default()
        };
        Ok(Self { channel: node.connect().await?, header, pool, acknowledged: 0, bytes: 0 })
    }

    /// Ships so many and waits until they are on disk.
    pub(super) async fn ship(&mut self, count: u64) -> anyhow::Result<ShipResponse> {
        let mut batches = Batches::default();
        let now = jiff::Timestamp::now();
        let time = mesh::timestamp(now).encode_to_vec();
        for sequence in self.acknowledged + 1..=self.acknowledged + count {
            let index = usize::try_from(sequence)? % self.pool.records.len();
            batches.add(sequence, Some(&time), &self.pool.records[index]);
        }
        self.send(batches).await
    }

    /// Ships records that were made for this. Their numbers follow what is acknowledged.
    pub(super) async fn ship_these(&mut self, records: &[LogRecord]) -> anyhow::Result<ShipResponse> {
        let mut batches = Batches::default();
        for record in records {
            batches.add(record.sequence, None, &record.encode_to_vec());
        }
        self.send(batches).await
    }

    async fn send(&mut self, batches: Batches) -> anyhow::Result<ShipResponse> {
        let header = ShipHeader {
            first_sequence: self.acknowledged + 1,
            sent: Some(mesh::timestamp(jiff::Timestamp::now())),
            ..self.header.clone()
        };
        let (bytes, last) = (batches.bytes, batches.last);
        let mut messages = vec![Encoded { header: Some(header), batch: None }];
        messages.extend(batches.finish().into_iter().map(|batch| Encoded { header: None, batch: Some(batch) }));
        let mut request = tonic::Request::new(tokio_stream::iter(messages));
        request.set_timeout(TIMEOUT);
        let mut client = tonic::client::Grpc::new(self.channel.clone());
        client.ready().await.context("the connection is gone")?;
        let path = PathAndQuery::from_static(SHIP);
        let answer = client.client_streaming(request, path, ProstCodec::<Encoded, ShipResponse>::default()).await?;
        let answer = answer.into_inner();
        anyhow::ensure!(answer.acknowledged_sequence == last, "{last} is the last one: {answer:?}");
        self.acknowledged = last;
        self.bytes += bytes;
        Ok(answer)
    }
}

/// Encoded record batches.
#[derive(Default)]
struct Batches {
    full: Vec<Bytes>,
    current: BytesMut,
    bytes: u64,
    last: u64,
}

impl Batches {
    /// Adds a record; what is not in `body` comes before it.
    fn add(&mut self, sequence: u64, time: Option<&[u8]>, body: &[u8]) {
        let mut length = body.len();
        if let Some(time) = time {
            length += 1 + encoded_len_varint(sequence) + 2 + time.len();
        }
        self.current.put_u8(RECORDS);
        encode_varint(length as u64, &mut self.current);
        if let Some(time) = time {
            self.current.put_u8(SEQUENCE);
            encode_varint(sequence, &mut self.current);
            self.current.put_u8(TIME);
            encode_varint(time.len() as u64, &mut self.current);
            self.current.put_slice(time);
        }
        self.current.put_slice(body);
        self.bytes += length as u64;
        self.last = sequence;
        if self.current.len() >= MESSAGE_BYTES {
            self.full.push(self.current.split().freeze());
        }
    }

    fn finish(mut self) -> Vec<Bytes> {
        if !self.current.is_empty() {
            self.full.push(self.current.freeze());
        }
        self.full
    }
}

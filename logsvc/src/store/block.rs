//! Up to 2,048 records by columns: what is read together lies together.
//!
//! `meta` holds what most filters ask for, `ids` the ids of traces, spans and
//! requests, `fields` the shape of fields, `text` every message and value. Each is
//! compressed alone, so that a search for a level never touches a message.

use std::io;

use crate::entry::{Entry, nanoseconds};
use crate::level;

mod columns;
mod rows;

pub(crate) use rows::{Fields, Ids, Meta, Text};

use super::tokens;

/// Records of a full block.
pub(crate) const BLOCK: usize = 2048;

/// A block with more text than this is closed early.
pub(crate) const BLOCK_BYTES: usize = 4 * 1024 * 1024;

/// The columns, in the order they are stored.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Column {
    Meta,
    Ids,
    Fields,
    Text,
}

const COLUMNS: usize = 4;

/// zstd's fastest usual level: 3 costs a quarter more time and saves next to nothing on log lines.
const COMPRESSION: i32 = 1;

/// More services than this are not listed: the block is looked at for any.
const MOST_SERVICES: usize = 64;

/// What is known of a block without reading it. Part of a segment's footer.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct Summary {
    /// The offset of the first record; the others follow without a hole.
    #[prost(uint64, tag = "1")]
    pub(crate) first_offset: u64,
    #[prost(uint32, tag = "2")]
    pub(crate) count: u32,
    /// The earliest time of a record, in nanoseconds since 1970, on the producers' clocks.
    #[prost(sint64, tag = "3")]
    pub(crate) earliest: i64,
    #[prost(sint64, tag = "4")]
    pub(crate) latest: i64,
    /// When the first and the last record were received.
    #[prost(sint64, tag = "5")]
    pub(crate) first_received: i64,
    #[prost(sint64, tag = "6")]
    pub(crate) last_received: i64,
    /// A bit for each level that occurs: 1 for TRACE, 32 for FATAL.
    #[prost(uint32, tag = "7")]
    pub(crate) levels: u32,
    /// The levels that occur by service; empty when there are more than 64 services.
    #[prost(message, repeated, tag = "8")]
    pub(crate) services: Vec<ServiceLevels>,
    /// Where the columns are, in order: meta, ids, fields, text.
    #[prost(message, repeated, tag = "9")]
    pub(crate) columns: Vec<ColumnPlace>,
}

/// The levels that a service said something with.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct ServiceLevels {
    #[prost(string, tag = "1")]
    pub(crate) service: String,
    #[prost(uint32, tag = "2")]
    pub(crate) levels: u32,
}

/// Where a column is, and how it is known to be whole.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct ColumnPlace {
    /// The position of its first byte: in the file, or among the columns of a block that is not sealed.
    #[prost(uint64, tag = "1")]
    pub(crate) position: u64,
    /// Bytes as stored: one zstd frame.
    #[prost(uint32, tag = "2")]
    pub(crate) bytes: u32,
    /// Bytes when decompressed.
    #[prost(uint32, tag = "3")]
    pub(crate) raw_bytes: u32,
    /// CRC-32C of the bytes as stored.
    #[prost(fixed32, tag = "4")]
    pub(crate) crc32c: u32,
}

/// An encoded block that is not sealed into a segment yet.
#[derive(Debug)]
pub(crate) struct Block {
    pub(crate) summary: Summary,
    /// The columns, one after the other.
    pub(crate) bytes: Vec<u8>,
    /// What it can be found by, in order.
    pub(crate) hashes: Vec<u64>,
}

impl Block {
    /// Encodes entries with offsets that follow one another; at least one.
    pub(crate) fn encode(entries: &[&Entry]) -> io::Result<Self> {
        let mut summary = summarise(entries);
        let mut bytes = Vec::new();
        for raw in columns::write(entries) {
            let stored = zstd::bulk::compress(&raw, COMPRESSION)?;
            summary.columns.push(ColumnPlace {
                position: bytes.len() as u64,
                bytes: narrow(stored.len())?,
                raw_bytes: narrow(raw.len())?,
                crc32c: crc32c::crc32c(&stored),
            });
            bytes.extend_from_slice(&stored);
        }
        Ok(Self { summary, bytes, hashes: tokens::of(entries.iter().copied()) })
    }

    /// The offset after its last record.
    pub(crate) fn end(&self) -> u64 {
        self.summary.end()
    }

    /// Reads a column.
    pub(crate) fn column(&self, column: Column) -> io::Result<Vec<u8>> {
        self.summary.column(column, |bytes, position| {
            // Positions are among the block's own bytes until it is sealed.
            let start = usize::try_from(position).map_err(io::Error::other)?;
            bytes.copy_from_slice(self.bytes.get(start..start + bytes.len()).ok_or(io::ErrorKind::UnexpectedEof)?);
            Ok(())
        })
    }
}

impl Summary {
    /// The offset after the last record.
    pub(crate) fn end(&self) -> u64 {
        self.first_offset.saturating_add(u64::from(self.count))
    }

    /// Reads and checks a column; `read` reads stored bytes at a position.
    pub(crate) fn column(
        &self,
        column: Column,
        read: impl FnOnce(&mut [u8], u64) -> io::Result<()>,
    ) -> io::Result<Vec<u8>> {
        let place = self.columns.get(column as usize).ok_or_else(|| damaged("a column is missing"))?;
        let mut stored = vec![0; place.bytes as usize];
        read(&mut stored, place.position)?;
        if crc32c::crc32c(&stored) != place.crc32c {
            return Err(damaged("the checksum of a column is wrong"));
        }
        zstd::bulk::decompress(&stored, place.raw_bytes as usize)
    }
}

/// What was stored is not what is read.
pub(crate) fn damaged(words: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, words)
}

fn narrow(bytes: usize) -> io::Result<u32> {
    u32::try_from(bytes).map_err(|_| damaged("a column is larger than 4 GiB"))
}

fn summarise(entries: &[&Entry]) -> Summary {
    let received = |entry: Option<&&Entry>| entry.map_or(0, |entry| entry.received);
    let mut summary = Summary {
        first_offset: entries.first().map_or(0, |entry| entry.offset),
        count: u32::try_from(entries.len()).unwrap_or(u32::MAX),
        earliest: i64::MAX,
        latest: i64::MIN,
        first_received: received(entries.first()),
        last_received: received(entries.last()),
        ..Default::default()
    };
    for entry in entries {
        let time = nanoseconds(entry.record.time.as_ref()).unwrap_or_default();
        summary.earliest = summary.earliest.min(time);
        summary.latest = summary.latest.max(time);
        let bit = 1 << level::range(entry.record.level);
        summary.levels |= bit;
        let service = &entry.source.service;
        if let Some(known) = summary.services.iter_mut().find(|known| known.service == *service) {
            known.levels |= bit;
        } else if summary.services.len() <= MOST_SERVICES {
            // One more than are listed, to know that there are too many.
            summary.services.push(ServiceLevels { service: service.clone(), levels: bit });
        }
    }
    if summary.services.len() > MOST_SERVICES {
        summary.services.clear();
    }
    summary
}

#[cfg(test)]
mod tests;

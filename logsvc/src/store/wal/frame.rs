//! The bytes of a write-ahead file, and nothing of disks.
//!
//! All numbers are little endian. The file begins with a header of [`HEADER_BYTES`], which holds the same [`FileHeader`]
//! twice, so that one rotten sector does not cost all the frames behind it:
//!
//! | at | bytes | |
//! |---:|---:|---|
//! | 0 | 8 | `RUNDOWAL` |
//! | 8 | 2 | version of the format |
//! | 10 | 2 | zero |
//! | 12 | 4 | CRC-32C of the other 60 bytes |
//! | 16 | 8 | the first offset that may stand in the file |
//! | 24 | 8 | the offset up to which everything stands in the files before |
//! | 32 | 8 | generation |
//! | 40 | 24 | zero |
//!
//! The first 16 bytes and the length of 64 stay as they are in every version, so that each tells a newer one.
//!
//! Then follow frames, each at a multiple of eight bytes, filled up with zeros:
//!
//! | at | bytes | |
//! |---:|---:|---|
//! | 0 | 4 | the lower half of the generation |
//! | 4 | 4 | length of the payload |
//! | 8 | 4 | CRC-32C of the generation, the rest of this header and the payload |
//! | 12 | 8 | the offset of the first record |
//! | 20 | 4 | number of records |
//! | 24 | … | payload |
//!
//! The generation is a random number that a file is given whenever it is begun. The frames of an earlier life of a
//! recycled file are of another generation, and no payload can pass for a frame: nobody who writes logs knows it.

use std::hash::{BuildHasher, RandomState};

use crc32c::crc32c_append;

/// What the store knows to read and writes.
pub(super) const VERSION: u16 = 1;

/// Pages of its own: no frame that is written later touches them.
pub(super) const HEADER_BYTES: usize = 8192;

const MAGIC: &[u8; 8] = b"RUNDOWAL";
const FILE_HEADER: usize = 64;
/// In different sectors, of disks with sectors of 4 KiB at most.
const COPIES: [usize; 2] = [0, HEADER_BYTES / 2];
const FRAME_HEADER: usize = 24;
const ALIGNMENT: usize = 8;

/// One commit: these records, and all of them or none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Frame<'a> {
    pub(crate) first_offset: u64,
    /// The number of records, at least one.
    pub(crate) count: u32,
    pub(crate) payload: &'a [u8],
}

/// A random number that tells one life of a file from the others; never zero in its lower half, as unwritten bytes are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Generation(u64);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct FileHeader {
    pub(super) first_offset: u64,
    /// Every record below it stands in the files before, if it stands anywhere.
    pub(super) follows: u64,
    pub(super) generation: Generation,
}

/// Why a header cannot be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum HeaderError {
    Unreadable,
    Newer(u16),
}

impl Generation {
    pub(super) fn random() -> Self {
        // The keys of the standard library's hash maps come from the operating system.
        Self(RandomState::new().hash_one("generation") | 1)
    }

    fn mark(self) -> [u8; 4] {
        (self.0 as u32).to_le_bytes()
    }
}

impl FileHeader {
    pub(super) fn encode(&self) -> Vec<u8> {
        let mut copy = [0; FILE_HEADER];
        copy[..8].copy_from_slice(MAGIC);
        copy[8..10].copy_from_slice(&VERSION.to_le_bytes());
        copy[16..24].copy_from_slice(&self.first_offset.to_le_bytes());
        copy[24..32].copy_from_slice(&self.follows.to_le_bytes());
        copy[32..40].copy_from_slice(&self.generation.0.to_le_bytes());
        let sum = header_sum(&copy);
        copy[12..16].copy_from_slice(&sum.to_le_bytes());
        let mut page = vec![0; HEADER_BYTES];
        for at in COPIES {
            page[at..at + FILE_HEADER].copy_from_slice(&copy);
        }
        page
    }

    /// The header in the first bytes of a file, from the first copy that is whole.
    pub(super) fn decode(file: &[u8]) -> Result<Self, HeaderError> {
        Self::copies(file).find(|copy| *copy != Err(HeaderError::Unreadable)).unwrap_or(Err(HeaderError::Unreadable))
    }

    /// Whether both copies can be read and say the same.
    pub(super) fn is_whole(file: &[u8]) -> bool {
        let mut copies = Self::copies(file);
        matches!((copies.next(), copies.next()), (Some(Ok(first)), Some(Ok(second))) if first == second)
    }

    fn copies(file: &[u8]) -> impl Iterator<Item = Result<Self, HeaderError>> + '_ {
        COPIES.into_iter().map(|at| Self::decode_copy(file.get(at..at + FILE_HEADER).unwrap_or_default()))
    }

    fn decode_copy(copy: &[u8]) -> Result<Self, HeaderError> {
        if copy.len() != FILE_HEADER || &copy[..8] != MAGIC || header_sum(copy) != u32_at(copy, 12) {
            return Err(HeaderError::Unreadable);
        }
        match u16::from_le_bytes([copy[8], copy[9]]) {
            VERSION => Ok(Self {
                first_offset: u64_at(copy, 16),
                follows: u64_at(copy, 24),
                generation: Generation(u64_at(copy, 32)),
            }),
            newer if newer > VERSION => Err(HeaderError::Newer(newer)),
            _ => Err(HeaderError::Unreadable),
        }
    }
}

impl<'a> Frame<'a> {
    /// The offset after its last record.
    pub(crate) fn end(&self) -> u64 {
        self.first_offset + u64::from(self.count)
    }

    /// What it takes in a file, to the place of the next one.
    pub(super) fn size(&self) -> usize {
        (FRAME_HEADER + self.payload.len()).next_multiple_of(ALIGNMENT)
    }

    /// Replaces what is in the buffer.
    pub(super) fn encode(&self, generation: Generation, buffer: &mut Vec<u8>) {
        let length = u32::try_from(self.payload.len()).expect("a payload of less than 4 GiB: the caller looked");
        buffer.clear();
        buffer.reserve(self.size());
        buffer.extend_from_slice(&generation.mark());
        buffer.extend_from_slice(&length.to_le_bytes());
        buffer.extend_from_slice(&[0; 4]);
        buffer.extend_from_slice(&self.first_offset.to_le_bytes());
        buffer.extend_from_slice(&self.count.to_le_bytes());
        buffer.extend_from_slice(self.payload);
        let sum = frame_sum(generation, buffer);
        buffer[8..12].copy_from_slice(&sum.to_le_bytes());
        buffer.resize(self.size(), 0);
    }

    /// The whole frame at this place, or none.
    pub(super) fn decode(file: &'a [u8], position: usize, generation: Generation) -> Option<Self> {
        let bytes = file.get(position..)?;
        let header = bytes.get(..FRAME_HEADER)?;
        if header[..4] != generation.mark() {
            return None;
        }
        let bytes = bytes.get(..FRAME_HEADER.checked_add(u32_at(header, 4) as usize)?)?;
        if frame_sum(generation, bytes) != u32_at(header, 8) {
            return None;
        }
        let frame =
            Self { first_offset: u64_at(header, 12), count: u32_at(header, 20), payload: &bytes[FRAME_HEADER..] };
        Some(frame)
    }

    /// The first whole frame at or after this place that is acceptable, and its place.
    pub(super) fn find(
        file: &'a [u8],
        position: usize,
        generation: Generation,
        acceptable: impl Fn(&Self) -> bool,
    ) -> Option<(usize, Self)> {
        (position..file.len()).step_by(ALIGNMENT).find_map(|at| {
            let frame = Self::decode(file, at, generation).filter(&acceptable)?;
            Some((at, frame))
        })
    }
}

fn header_sum(copy: &[u8]) -> u32 {
    crc32c_append(crc32c_append(0, &copy[..12]), &copy[16..])
}

/// Everything of a frame but the sum itself and the filling.
fn frame_sum(generation: Generation, frame: &[u8]) -> u32 {
    let sum = crc32c_append(0, &generation.0.to_le_bytes());
    crc32c_append(crc32c_append(sum, &frame[..8]), &frame[12..])
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(bytes[at..at + 4].try_into().expect("four bytes"))
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(bytes[at..at + 8].try_into().expect("eight bytes"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const FRAME: Frame<'_> = Frame { first_offset: 7, count: 3, payload: b"payload" };

    fn header() -> FileHeader {
        FileHeader { first_offset: 9, follows: 8, generation: Generation(0x1122_3344_5566_7788) }
    }

    #[test]
    fn a_header_survives_the_loss_of_one_copy() {
        let whole = header().encode();
        assert_eq!(whole.len(), HEADER_BYTES);
        assert!(FileHeader::is_whole(&whole));
        for copy in COPIES {
            for byte in copy..copy + FILE_HEADER {
                let mut broken = whole.clone();
                broken[byte] ^= 0x10;
                assert_eq!(FileHeader::decode(&broken), Ok(header()), "byte {byte}");
                assert!(!FileHeader::is_whole(&broken), "byte {byte}");
            }
        }
        assert_eq!(FileHeader::decode(&[0; HEADER_BYTES]), Err(HeaderError::Unreadable));
        assert_eq!(FileHeader::decode(&whole[..10]), Err(HeaderError::Unreadable));
    }

    #[test]
    fn a_newer_version_is_told_from_rot() {
        let mut page = header().encode();
        page[8] = 2;
        let sum = header_sum(&page[..FILE_HEADER]);
        page[12..16].copy_from_slice(&sum.to_le_bytes());
        assert_eq!(FileHeader::decode(&page), Err(HeaderError::Newer(2)));
    }

    #[test]
    fn the_bytes_of_a_frame_are_these() {
        let mut bytes = Vec::new();
        FRAME.encode(header().generation, &mut bytes);
        assert_eq!(bytes.len(), 32);
        assert_eq!(bytes[..8], [0x88, 0x77, 0x66, 0x55, 7, 0, 0, 0]);
        assert_eq!(bytes[12..], *b"\x07\0\0\0\0\0\0\0\x03\0\0\0payload\0");
        assert_eq!(Frame::decode(&bytes, 0, header().generation), Some(FRAME));
    }

    #[test]
    fn a_frame_is_whole_in_its_own_generation_or_it_is_none() {
        let mut bytes = Vec::new();
        FRAME.encode(header().generation, &mut bytes);
        let same_mark = Generation(header().generation.0 ^ (1 << 40));
        assert_eq!(Frame::decode(&bytes, 0, same_mark), None);
        for byte in 0..FRAME_HEADER + FRAME.payload.len() {
            bytes[byte] ^= 1;
            assert_eq!(Frame::decode(&bytes, 0, header().generation), None, "byte {byte}");
            bytes[byte] ^= 1;
            assert_eq!(Frame::decode(&bytes[..byte], 0, header().generation), None, "cut at {byte}");
        }
    }
}

//! Which blocks of a segment may hold a hash: one Bloom filter per block, stored by bits.
//!
//! The filters of all blocks have the same number of bits, and what lies together
//! is the same bit of every block. A search for one hash so reads a few bytes per
//! segment instead of one filter per block (Bloom, "Space/time trade-offs in hash
//! coding", 1970; bit-sliced signature files).

use std::io;

/// Bits for each hash of a block: with 8 of them set per hash one block in 270 is read in vain.
const BITS_PER_HASH: usize = 12;

/// More rows than this are no filters of ours.
const LARGEST: usize = 256 * 1024 * 1024;

/// Bits that a hash sets.
const SET_PER_HASH: u32 = 8;

/// Where the filters are in a segment, and their shape.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct BloomPlace {
    /// The position of the first byte in the file.
    #[prost(uint64, tag = "1")]
    pub(crate) position: u64,
    /// Bits of one block's filter: the number of rows.
    #[prost(uint32, tag = "2")]
    pub(crate) bits: u32,
    /// Blocks: a row has one bit of each, the first in the lowest bit, and is padded to whole bytes.
    #[prost(uint32, tag = "3")]
    pub(crate) blocks: u32,
    /// Bits that a hash sets.
    #[prost(uint32, tag = "4")]
    pub(crate) set_per_hash: u32,
    /// CRC-32C of all rows.
    #[prost(fixed32, tag = "5")]
    pub(crate) crc32c: u32,
}

impl BloomPlace {
    fn row_bytes(&self) -> usize {
        (self.blocks as usize).div_ceil(8)
    }

    /// Whether the rows are what was written; a filter that is not would hide what matches.
    pub(crate) fn is_whole(&self, read: impl FnOnce(&mut [u8], u64) -> io::Result<()>) -> bool {
        let length = self.row_bytes().checked_mul(self.bits as usize);
        // A footer that is whole says nothing absurd; the limit is for one of another program.
        let Some(length) = length.filter(|length| *length <= LARGEST) else { return false };
        let mut rows = vec![0; length];
        read(&mut rows, self.position).is_ok() && crc32c::crc32c(&rows) == self.crc32c
    }

    /// Adds to `candidates` which blocks may hold the hash; `read` reads from the file at a position.
    pub(crate) fn narrow(
        &self,
        hash: u64,
        candidates: &mut [u8],
        mut read: impl FnMut(&mut [u8], u64) -> io::Result<()>,
    ) -> io::Result<()> {
        let mut row = vec![0; self.row_bytes()];
        for bit in bits(hash, self.bits, self.set_per_hash) {
            let position = self.position + u64::from(bit) * row.len() as u64;
            read(&mut row, position)?;
            candidates.iter_mut().zip(&row).for_each(|(candidate, row)| *candidate &= row);
            if candidates.iter().all(|byte| *byte == 0) {
                break;
            }
        }
        Ok(())
    }
}

/// The filters of blocks with these hashes, as they stand in the file from `position` on.
pub(crate) fn build(blocks: &[&[u64]], position: u64) -> (BloomPlace, Vec<u8>) {
    let total: usize = blocks.iter().map(|hashes| hashes.len()).sum();
    // By the mean: one block that is fuller than others is read in vain a little more often.
    let bits = u32::try_from((total / blocks.len().max(1) * BITS_PER_HASH).max(64)).unwrap_or(u32::MAX / 2);
    let count = u32::try_from(blocks.len()).unwrap_or(u32::MAX);
    let mut place = BloomPlace { position, bits, blocks: count, set_per_hash: SET_PER_HASH, crc32c: 0 };
    let row_bytes = place.row_bytes();
    let mut rows = vec![0_u8; row_bytes * bits as usize];
    for (block, hashes) in blocks.iter().enumerate() {
        for bit in hashes.iter().flat_map(|hash| self::bits(*hash, bits, SET_PER_HASH)) {
            rows[bit as usize * row_bytes + block / 8] |= 1 << (block % 8);
        }
    }
    place.crc32c = crc32c::crc32c(&rows);
    (place, rows)
}

/// The bits of a hash, by double hashing (Kirsch and Mitzenmacher, 2006).
fn bits(hash: u64, bits: u32, count: u32) -> impl Iterator<Item = u32> {
    let (low, high) = (hash & 0xffff_ffff, (hash >> 32) | 1);
    // The remainder is below a u32.
    (0..u64::from(count)).map(move |n| (low.wrapping_add(n.wrapping_mul(high)) % u64::from(bits)) as u32)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn candidates(place: &BloomPlace, rows: &[u8], hash: u64) -> Vec<u8> {
        let mut candidates = vec![0xff; (place.blocks as usize).div_ceil(8)];
        let read = |row: &mut [u8], position: u64| {
            let start = usize::try_from(position - place.position).unwrap();
            row.copy_from_slice(&rows[start..start + row.len()]);
            Ok(())
        };
        place.narrow(hash, &mut candidates, read).unwrap();
        candidates
    }

    #[test]
    fn a_block_that_holds_a_hash_is_never_ruled_out_and_others_seldom_stay() {
        let mut random = fastrand::Rng::with_seed(7);
        let blocks: Vec<Vec<u64>> = (0..100).map(|_| (0..500).map(|_| random.u64(..)).collect()).collect();
        let slices: Vec<&[u64]> = blocks.iter().map(Vec::as_slice).collect();
        let (place, rows) = build(&slices, 1000);

        let mut in_vain = 0;
        for (number, block) in blocks.iter().enumerate() {
            let found = candidates(&place, &rows, block[3]);
            assert!(found[number / 8] & (1 << (number % 8)) != 0);
            let absent = candidates(&place, &rows, random.u64(..));
            in_vain += absent.iter().map(|byte| byte.count_ones()).sum::<u32>();
        }

        assert!(in_vain < 100, "{in_vain} of 10000");
    }
}

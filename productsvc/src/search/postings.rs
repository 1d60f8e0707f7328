//! Postings: which products of a block have a gram.
//!
//! A block is 262,144 ids. A list is stored as the distances between its members, a byte
//! each where they are near, or as one bit for each id of the block where that is shorter.

/// Ids of a block are counted by so many bits.
pub const BLOCK_BITS: u32 = 18;

/// How many ids a block has.
pub const BLOCK: usize = 1 << BLOCK_BITS;

const BYTES: usize = BLOCK / 8;

/// The block that an id belongs to.
pub fn block(id: i64) -> i64 {
    id >> BLOCK_BITS
}

/// The first id of a block.
pub fn first(block: i64) -> i64 {
    block << BLOCK_BITS
}

/// Where an id is in its block.
pub fn offset(id: i64) -> u32 {
    (id & (BLOCK as i64 - 1)) as u32
}

/// A set of ids of one block.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Postings {
    bits: Box<[u64]>,
}

impl Default for Postings {
    fn default() -> Self {
        Self { bits: vec![0; BLOCK / 64].into_boxed_slice() }
    }
}

impl Postings {
    /// Adds an id, and says whether it was not there.
    pub fn insert(&mut self, id: i64) -> bool {
        self.insert_at(offset(id))
    }

    /// Adds the id at a place of the block, and says whether it was not there.
    pub fn insert_at(&mut self, offset: u32) -> bool {
        let at = offset as usize % BLOCK;
        let (word, bit) = (at / 64, 1 << (at % 64));
        let new = self.bits[word] & bit == 0;
        self.bits[word] |= bit;
        new
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.bits.iter().map(|word| word.count_ones() as usize).sum()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.bits.iter().all(|word| *word == 0)
    }

    /// Adds all of another set.
    pub fn add(&mut self, other: &Self) {
        self.bits.iter_mut().zip(&other.bits).for_each(|(word, other)| *word |= other);
    }

    /// Keeps only what is in another set, too.
    pub fn keep(&mut self, other: &Self) {
        self.bits.iter_mut().zip(&other.bits).for_each(|(word, other)| *word &= other);
    }

    /// The ids, by the number of their block; the least first.
    pub fn ids(&self, block: i64) -> impl DoubleEndedIterator<Item = i64> {
        // Most words of a short list are empty.
        let words = self.bits.iter().enumerate().filter(|(_, word)| **word != 0);
        words.flat_map(move |(number, word)| {
            let begin = first(block) + 64 * i64::try_from(number).unwrap_or_default();
            (0..64).filter(move |at| word >> at & 1 == 1).map(move |at| begin + at)
        })
    }

    /// As it is stored.
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        let mut next = 0;
        for (number, word) in self.bits.iter().enumerate() {
            let mut left = *word;
            while left != 0 {
                let at = 64 * number + left.trailing_zeros() as usize;
                left &= left - 1;
                push_distance(&mut bytes, at - next);
                next = at + 1;
            }
            if bytes.len() >= BYTES {
                return self.bits.iter().flat_map(|word| word.to_le_bytes()).collect();
            }
        }
        bytes
    }

    /// Reads back what is stored; none when that is damaged.
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        let mut postings = Self::default();
        if bytes.len() == BYTES {
            for (word, bytes) in postings.bits.iter_mut().zip(bytes.chunks_exact(8)) {
                *word = u64::from_le_bytes(bytes.try_into().ok()?);
            }
            return Some(postings);
        }
        for at in offsets(bytes) {
            *postings.bits.get_mut(at? / 64)? |= 1 << (at? % 64);
        }
        Some(postings)
    }
}

/// Writes how far an id is behind the one before: seven bits a byte, the least first.
pub(super) fn push_distance(bytes: &mut Vec<u8>, mut distance: usize) {
    while distance >= 0x80 {
        bytes.push((distance & 0x7f) as u8 | 0x80);
        distance >>= 7;
    }
    bytes.push(distance as u8);
}

/// Reads back where ids are from how far each is behind the one before; none where that is damaged.
pub(super) fn offsets(bytes: &[u8]) -> impl Iterator<Item = Option<usize>> {
    let (mut bytes, mut next) = (bytes.iter(), 0_usize);
    std::iter::from_fn(move || {
        let (mut distance, mut shift) = (0_usize, 0_u32);
        let mut byte = *bytes.next()?;
        loop {
            distance |= usize::from(byte & 0x7f) << shift;
            shift += 7;
            if byte & 0x80 == 0 {
                next += distance + 1;
                return Some(Some(next - 1));
            }
            match bytes.next() {
                Some(more) if shift <= BLOCK_BITS => byte = *more,
                _ => return Some(None),
            }
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_survives_its_storage() {
        let mut random = fastrand::Rng::with_seed(5);
        for share in [0, 1, 10, 500, 30_000, 90_000, 262_144] {
            let mut postings = Postings::default();
            for _ in 0..share {
                postings.insert(random.i64(0..BLOCK as i64));
            }

            let stored = postings.encode();

            assert!(stored.len() <= BYTES);
            assert_eq!(Postings::decode(&stored), Some(postings), "{share}");
        }
    }

    #[test]
    fn ids_are_those_of_their_block() {
        let mut postings = Postings::default();
        assert!(postings.insert(first(3) + 7) && postings.insert(first(4) - 1));
        assert!(!postings.insert(first(3) + 7));

        assert_eq!(postings.ids(3).collect::<Vec<_>>(), [first(3) + 7, first(4) - 1]);
        assert_eq!((postings.len(), block(first(4) - 1), block(first(4))), (2, 3, 4));
    }

    #[test]
    fn damage_is_noticed_and_never_a_panic() {
        assert_eq!(Postings::decode(&[0x80]), None);
        assert_eq!(Postings::decode(&[0xff; 20]), None);
        assert_eq!(Postings::decode(&[0xff, 0xff, 0xff, 0x03]), None);
        let mut random = fastrand::Rng::with_seed(6);
        for _ in 0..2_000 {
            let garbage: Vec<u8> = (0..random.usize(0..64)).map(|_| random.u8(..)).collect();
            let _ = Postings::decode(&garbage);
        }
    }
}

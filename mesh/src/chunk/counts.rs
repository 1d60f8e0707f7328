//! How many records there are, or were lost, of each level.

use proto::logs::{Level, LevelCount};

/// A count for each level, least first; the first is for levels that nobody knows.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Counts([u64; Self::LEVELS.len()]);

impl Counts {
    const LEVELS: [Level; 7] =
        [Level::Unspecified, Level::Trace, Level::Debug, Level::Info, Level::Warn, Level::Error, Level::Fatal];

    /// So many of a level that nobody knows.
    pub(crate) fn unknown(count: u64) -> Self {
        let mut counts = Self::default();
        counts.add(0, count);
        counts
    }

    /// Adds to a level; levels are 1 to 24, and one between two names is the lower one.
    pub(crate) fn add(&mut self, level: i32, count: u64) {
        let place = usize::try_from(level.saturating_add(3) / 4).unwrap_or(0).min(self.0.len() - 1);
        self.0[place] = self.0[place].saturating_add(count);
    }

    pub(crate) fn add_all(&mut self, other: &Self) {
        for (own, other) in self.0.iter_mut().zip(other.0) {
            *own = own.saturating_add(other);
        }
    }

    pub(crate) fn total(&self) -> u64 {
        self.0.iter().fold(0, |total, count| total.saturating_add(*count))
    }

    #[cfg(test)]
    pub(crate) fn of(&self, level: Level) -> u64 {
        Self::LEVELS.iter().position(|known| *known == level).map_or(0, |place| self.0[place])
    }

    /// As a gap record says it.
    pub(crate) fn lost(&self) -> Vec<LevelCount> {
        let counts = Self::LEVELS.iter().zip(self.0).filter(|(_, count)| *count > 0);
        counts.map(|(level, count)| LevelCount { level: (*level).into(), count }).collect()
    }

    pub(crate) fn to_bytes(self) -> [u8; 56] {
        let mut bytes = [0; 56];
        for (place, count) in bytes.chunks_exact_mut(8).zip(self.0) {
            place.copy_from_slice(&count.to_le_bytes());
        }
        bytes
    }

    pub(crate) fn from_bytes(bytes: &[u8; 56]) -> Self {
        let mut counts = Self::default();
        for (count, place) in counts.0.iter_mut().zip(bytes.as_chunks::<8>().0) {
            *count = u64::from_le_bytes(*place);
        }
        counts
    }
}

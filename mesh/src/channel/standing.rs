//! Whom to call first, as the registry sees an instance now.

use std::sync::atomic::{AtomicU8, Ordering};

use crate::picture::Rank;

/// The rank of an instance while it changes.
#[derive(Debug)]
pub(crate) struct Standing(AtomicU8);

impl Standing {
    pub(crate) fn new(rank: Rank) -> Self {
        Self(AtomicU8::new(rank as u8))
    }

    pub(crate) fn set(&self, rank: Rank) {
        self.0.store(rank as u8, Ordering::Release);
    }

    pub(crate) fn rank(&self) -> Rank {
        match self.0.load(Ordering::Acquire) {
            0 => Rank::Ready,
            1 => Rank::Suspect,
            _ => Rank::Resting,
        }
    }
}

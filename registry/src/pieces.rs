//! Cuts many instances into pieces that fit a message.

use std::borrow::Borrow;

use prost::Message as _;
use proto::registry::Instance;

/// What one message may weigh: an instance can have some 12 KB, gRPC allows 4 MiB.
const PIECE_BYTES: usize = 1024 * 1024;

/// How many of the first instances fit one message; at least one.
pub(crate) fn fitting<I: Borrow<Instance>>(instances: &[I]) -> usize {
    let mut bytes = 0;
    let fits = |instance: &&I| {
        bytes += Borrow::<Instance>::borrow(*instance).encoded_len();
        bytes <= PIECE_BYTES
    };
    instances.iter().take_while(fits).count().max(1).min(instances.len())
}

/// All instances, in pieces that fit.
pub(crate) fn cut<I: Borrow<Instance>>(mut instances: &[I]) -> Vec<&[I]> {
    let mut pieces = Vec::new();
    while !instances.is_empty() {
        let (piece, rest) = instances.split_at(fitting(instances));
        pieces.push(piece);
        instances = rest;
    }
    pieces
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_fit_and_hold_everything() {
        let heavy = Instance { zone: "x".repeat(300_000), ..Default::default() };
        let instances = vec![heavy; 10];

        let pieces = cut(&instances);

        assert_eq!(pieces.iter().map(|piece| piece.len()).sum::<usize>(), 10);
        assert!(pieces.iter().all(|piece| (1..=3).contains(&piece.len())));
        assert!(cut::<Instance>(&[]).is_empty());
    }
}

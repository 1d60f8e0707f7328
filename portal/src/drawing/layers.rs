//! Which box stands in which layer, and in which order from top to bottom.
//!
//! After Sugiyama, Tagawa and Toda (1981): cycles are broken, each node stands one layer
//! behind its farthest caller, a line that passes layers has a place in each of them, and
//! every layer is ordered by where its neighbours stand.

use std::collections::HashMap;

/// How often the layers are ordered by their neighbours, there and back; more changes little.
const SWEEPS: usize = 6;

/// Something that has a place in a layer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum Slot {
    Node(usize),
    /// A line, by its number, on its way through this layer.
    Pass(usize, usize),
}

/// Nodes and lines, in layers from left to right.
#[derive(Debug)]
pub(super) struct Layers {
    /// From top to bottom.
    pub(super) slots: Vec<Vec<Slot>>,
    /// For each line, the slots from left to right that it connects.
    chains: Vec<Vec<Slot>>,
    /// For each line, whether it goes from right to left.
    turned: Vec<bool>,
}

impl Layers {
    /// Of so many nodes and lines between them; no line connects a node with itself.
    pub(super) fn of(nodes: usize, lines: &[(usize, usize)]) -> Layers {
        let turned = turned(nodes, lines);
        let forward: Vec<(usize, usize)> = lines
            .iter()
            .zip(&turned)
            .map(|(&(from, to), &turned)| if turned { (to, from) } else { (from, to) })
            .collect();
        let ranks = ranks(nodes, &forward);
        let mut slots = vec![Vec::new(); ranks.iter().max().map_or(0, |last| last + 1)];
        for (node, rank) in ranks.iter().enumerate() {
            slots[*rank].push(Slot::Node(node));
        }
        let mut chains = Vec::new();
        for (line, (from, to)) in forward.iter().enumerate() {
            let mut chain = vec![Slot::Node(*from)];
            let between = ranks[*from] + 1..ranks[*to];
            for (rank, layer) in slots.iter_mut().enumerate().filter(|(rank, _)| between.contains(rank)) {
                layer.push(Slot::Pass(line, rank));
                chain.push(Slot::Pass(line, rank));
            }
            chain.push(Slot::Node(*to));
            chains.push(chain);
        }
        let mut layers = Layers { slots, chains, turned };
        layers.order();
        layers
    }

    /// Whether a line goes from right to left.
    pub(super) fn is_turned(&self, line: usize) -> bool {
        self.turned[line]
    }

    /// A line from layer to layer.
    pub(super) fn steps(&self, line: usize) -> impl Iterator<Item = [Slot; 2]> {
        self.chains[line].windows(2).map(|pair| [pair[0], pair[1]])
    }

    /// All lines from layer to layer, with their numbers.
    pub(super) fn all_steps(&self) -> impl Iterator<Item = (usize, [Slot; 2])> {
        (0..self.chains.len()).flat_map(|line| self.steps(line).map(move |step| (line, step)))
    }

    fn order(&mut self) {
        let steps: Vec<[Slot; 2]> = self.all_steps().map(|(_, step)| step).collect();
        for sweep in 0..SWEEPS {
            let there = sweep % 2 == 0;
            let count = self.slots.len();
            for n in 0..count {
                let layer = if there { n } else { count - 1 - n };
                self.order_one(layer, &steps, there);
            }
        }
    }

    /// Orders a layer by the mean place of its neighbours on one side.
    fn order_one(&mut self, layer: usize, steps: &[[Slot; 2]], by_left: bool) {
        let places: HashMap<Slot, f64> = self
            .slots
            .iter()
            .flat_map(|layer| layer.iter().enumerate().map(|(n, slot)| (*slot, (n as f64 + 0.5) / layer.len() as f64)))
            .collect();
        let mean = |slot: &Slot| {
            let neighbours = steps.iter().filter_map(|[left, right]| match by_left {
                true if right == slot => Some(places[left]),
                false if left == slot => Some(places[right]),
                _ => None,
            });
            let (sum, count) = neighbours.fold((0.0, 0), |(sum, count), place| (sum + place, count + 1));
            if count == 0 { places[slot] } else { sum / f64::from(count) }
        };
        let mut ordered: Vec<(f64, Slot)> = self.slots[layer].iter().map(|slot| (mean(slot), *slot)).collect();
        // Whoever is as high as another stays where it was.
        ordered.sort_by(|a, b| a.0.total_cmp(&b.0));
        self.slots[layer] = ordered.into_iter().map(|(_, slot)| slot).collect();
    }
}

/// Which lines close a cycle, when one begins at those that are called least.
fn turned(nodes: usize, lines: &[(usize, usize)]) -> Vec<bool> {
    #[derive(Clone, Copy, PartialEq)]
    enum Seen {
        Not,
        Open,
        Done,
    }
    fn visit(node: usize, lines: &[(usize, usize)], seen: &mut [Seen], turned: &mut [bool]) {
        seen[node] = Seen::Open;
        for (n, (from, to)) in lines.iter().enumerate() {
            if *from != node {
                continue;
            }
            match seen[*to] {
                Seen::Open => turned[n] = true,
                Seen::Not => visit(*to, lines, seen, turned),
                Seen::Done => {}
            }
        }
        seen[node] = Seen::Done;
    }
    // A node has one visit at most, so that the depth is bounded by their number.
    let callers = |node: &usize| lines.iter().filter(|(_, to)| to == node).count();
    let mut first: Vec<usize> = (0..nodes).collect();
    first.sort_by_key(callers);
    let (mut seen, mut turned) = (vec![Seen::Not; nodes], vec![false; lines.len()]);
    for node in first {
        if seen[node] == Seen::Not {
            visit(node, lines, &mut seen, &mut turned);
        }
    }
    turned
}

/// The layer of each node: one behind its farthest caller. Who has no line stands in the last.
fn ranks(nodes: usize, lines: &[(usize, usize)]) -> Vec<usize> {
    let mut ranks = vec![0; nodes];
    // Without cycles this settles after as many rounds as there are layers.
    for _ in 0..nodes {
        let mut changed = false;
        for (from, to) in lines {
            if ranks[*to] <= ranks[*from] {
                ranks[*to] = ranks[*from] + 1;
                changed = true;
            }
        }
        if !changed {
            break;
        }
    }
    let last = ranks.iter().copied().max().unwrap_or_default();
    for (node, rank) in ranks.iter_mut().enumerate() {
        if !lines.iter().any(|(from, to)| *from == node || *to == node) {
            *rank = last;
        }
    }
    ranks
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn callers_stand_left_of_those_they_call() {
        let layers = Layers::of(4, &[(0, 1), (1, 2), (0, 2)]);

        assert_eq!(layers.slots[0], [Slot::Node(0)]);
        assert!(layers.slots[1].contains(&Slot::Node(1)) && layers.slots[1].contains(&Slot::Pass(2, 1)));
        assert!(
            layers.slots[2].contains(&Slot::Node(2)) && layers.slots[2].contains(&Slot::Node(3)),
            "who calls nobody"
        );
        assert_eq!(layers.steps(2).count(), 2);
    }

    #[test]
    fn of_those_that_call_each_other_one_line_is_turned() {
        let layers = Layers::of(3, &[(1, 2), (2, 1), (0, 1)]);

        assert_eq!((0..3).map(|line| layers.is_turned(line)).collect::<Vec<_>>(), [false, true, false]);
        assert_eq!(layers.slots.len(), 3);
    }

    #[test]
    fn lines_that_need_not_cross_do_not() {
        let layers = Layers::of(4, &[(0, 3), (1, 2)]);

        assert_eq!(layers.slots[0].len(), 2);
        let upper = |layer: usize| layers.slots[layer][0];
        assert!(
            (upper(0), upper(1)) == (Slot::Node(0), Slot::Node(3))
                || (upper(0), upper(1)) == (Slot::Node(1), Slot::Node(2)),
            "{layers:?}"
        );
    }

    #[test]
    fn nothing_is_a_picture_too() {
        assert!(Layers::of(0, &[]).slots.is_empty());
        assert_eq!(Layers::of(2, &[]).slots, [[Slot::Node(0), Slot::Node(1)]]);
    }
}

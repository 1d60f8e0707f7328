//! Where everything stands: boxes, and the ends of lines at them.

use std::collections::HashMap;

use crate::drawing::{
    BEND,
    layers::{Layers, Slot},
    right,
};

/// A box holds a name of thirteen letters; four boxes and the lines between fit the widest page.
pub(super) const BOX_WIDTH: f64 = 148.0;

/// The least height of a box: two lines of text.
const BOX_HEIGHT: f64 = 56.0;

/// Room for the words of a line, left of the box that it ends at.
const WORDS: f64 = 132.0;

/// From one end of a line to the next: a line of text above each and one below.
const PITCH: f64 = 38.0;

/// The same where lines begin, where no words stand.
const EXIT_PITCH: f64 = 14.0;

/// Between two boxes of a layer.
const GAP: f64 = 18.0;

/// Around everything.
const MARGIN: f64 = 6.0;

/// How often boxes are moved towards their neighbours.
const ROUNDS: usize = 4;

/// Where everything stands.
#[derive(Debug, Default)]
pub(super) struct Places {
    pub(super) width: f64,
    pub(super) height: f64,
    /// By slot: left edge, middle and height.
    slots: HashMap<Slot, (f64, f64, f64)>,
    /// By line and slot: the heights where it comes in and where it leaves.
    entries: HashMap<(usize, Slot), f64>,
    exits: HashMap<(usize, Slot), f64>,
}

impl Places {
    pub(super) fn of(layers: &Layers) -> Places {
        let heights = heights(layers);
        let middles = middles(layers, &heights);
        let bottom = |slot: &Slot| middles[slot] + heights[slot] / 2.0;
        let mut places = Places {
            height: middles.keys().map(bottom).fold(0.0, f64::max) + MARGIN,
            width: MARGIN * 2.0 - BEND - WORDS + layers.slots.len() as f64 * (BOX_WIDTH + BEND + WORDS),
            ..Places::default()
        };
        for (n, layer) in layers.slots.iter().enumerate() {
            let x = MARGIN + n as f64 * (BOX_WIDTH + BEND + WORDS);
            for slot in layer {
                places.slots.insert(*slot, (x, middles[slot], heights[slot]));
            }
        }
        places.lay_ends(layers);
        places
    }

    /// Left edge, middle and height.
    pub(super) fn of_slot(&self, slot: Slot) -> (f64, f64, f64) {
        self.slots[&slot]
    }

    /// Where a line comes to a slot, from the left.
    pub(super) fn entry(&self, line: usize, slot: Slot) -> (f64, f64) {
        (self.slots[&slot].0, self.entries[&(line, slot)])
    }

    /// Where a line leaves a slot, to the right.
    pub(super) fn exit(&self, line: usize, slot: Slot) -> (f64, f64) {
        (right(self.slots[&slot].0), self.exits[&(line, slot)])
    }

    /// Spreads the ends of lines over the sides of their boxes, in the order of where they come from or go to.
    fn lay_ends(&mut self, layers: &Layers) {
        let (mut entries, mut exits) = (HashMap::new(), HashMap::new());
        for (line, [left, right]) in layers.all_steps() {
            entries.entry(right).or_insert_with(Vec::new).push((self.slots[&left].1, line));
            exits.entry(left).or_insert_with(Vec::new).push((self.slots[&right].1, line));
        }
        for (slot, mut ends) in entries {
            ends.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
            self.entries.extend(spread(slot, &ends, self.slots[&slot].1, PITCH));
        }
        for (slot, mut ends) in exits {
            ends.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
            self.exits.extend(spread(slot, &ends, self.slots[&slot].1, EXIT_PITCH));
        }
    }
}

fn spread(slot: Slot, ends: &[(f64, usize)], middle: f64, pitch: f64) -> Vec<((usize, Slot), f64)> {
    let first = middle - pitch * (ends.len() as f64 - 1.0) / 2.0;
    ends.iter().enumerate().map(|(n, (_, line))| ((*line, slot), first + pitch * n as f64)).collect()
}

/// How high everything is: enough for the ends of its lines.
fn heights(layers: &Layers) -> HashMap<Slot, f64> {
    let (mut entries, mut exits) = (HashMap::new(), HashMap::new());
    for (_, [left, right]) in layers.all_steps() {
        *exits.entry(left).or_insert(0.0) += 1.0;
        *entries.entry(right).or_insert(0.0) += 1.0;
    }
    let height = |slot: &Slot| match slot {
        Slot::Pass(..) => EXIT_PITCH,
        Slot::Node(_) => {
            let count = |ends: &HashMap<Slot, f64>| ends.get(slot).copied().unwrap_or(0.0);
            (count(&entries) * PITCH + 6.0).max(count(&exits) * EXIT_PITCH + 6.0).max(BOX_HEIGHT)
        }
    };
    layers.slots.iter().flatten().map(|slot| (*slot, height(slot))).collect()
}

/// The middle of everything: near its neighbours, in the order of its layer, without overlap.
fn middles(layers: &Layers, heights: &HashMap<Slot, f64>) -> HashMap<Slot, f64> {
    let mut middles = HashMap::new();
    for layer in &layers.slots {
        let all: f64 = layer.iter().map(|slot| heights[slot] + GAP).sum();
        let mut top = -all / 2.0;
        for slot in layer {
            middles.insert(*slot, top + heights[slot] / 2.0);
            top += heights[slot] + GAP;
        }
    }
    for round in 0..ROUNDS {
        let by_left = round % 2 == 0;
        for n in 0..layers.slots.len() {
            let layer = if by_left { n } else { layers.slots.len() - 1 - n };
            let wanted: Vec<f64> =
                layers.slots[layer].iter().map(|slot| wanted(layers, &middles, *slot, by_left)).collect();
            let settled = settled(&layers.slots[layer], heights, &wanted);
            middles.extend(layers.slots[layer].iter().copied().zip(settled));
        }
    }
    let top = middles.iter().map(|(slot, middle)| middle - heights[slot] / 2.0).fold(f64::INFINITY, f64::min);
    middles.values_mut().for_each(|middle| *middle += MARGIN - top);
    middles
}

/// Where a slot would like to be: at the mean of its neighbours on one side.
fn wanted(layers: &Layers, middles: &HashMap<Slot, f64>, slot: Slot, by_left: bool) -> f64 {
    let neighbours = layers.all_steps().filter_map(|(_, [left, right])| match by_left {
        true if right == slot => Some(middles[&left]),
        false if left == slot => Some(middles[&right]),
        _ => None,
    });
    let (sum, count) = neighbours.fold((0.0, 0.0), |(sum, count), middle| (sum + middle, count + 1.0));
    if count == 0.0 { middles[&slot] } else { sum / count }
}

/// The nearest to what is wanted that does not overlap: the mean of pushing all down and pushing all up.
fn settled(layer: &[Slot], heights: &HashMap<Slot, f64>, wanted: &[f64]) -> Vec<f64> {
    let apart = |a: usize, b: usize| f64::midpoint(heights[&layer[a]], heights[&layer[b]]) + GAP;
    let (mut down, mut up) = (wanted.to_vec(), wanted.to_vec());
    for n in 1..layer.len() {
        down[n] = down[n].max(down[n - 1] + apart(n - 1, n));
    }
    for n in (1..layer.len()).rev() {
        up[n - 1] = up[n - 1].min(up[n] - apart(n - 1, n));
    }
    down.iter().zip(&up).map(|(down, up)| f64::midpoint(*down, *up)).collect()
}

//! Who calls whom, as a picture: services are boxes, callers to the left of those they call.
//!
//! Everything is measured here, in the units of the picture; the template only writes it
//! down. The same input makes the same picture, so that nothing jumps on a reload.

mod layers;
mod places;

use std::fmt::Write as _;

use crate::drawing::{
    layers::{Layers, Slot},
    places::{BOX_WIDTH, Places},
};

/// Letters of a name that fit a box.
const NAME_LETTERS: usize = 13;

/// Horizontal room between two layers where lines may cross: none does where words stand.
const BEND: f64 = 46.0;

/// One service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Node {
    pub(crate) name: String,
    /// What is said below its name.
    pub(crate) words: String,
    pub(crate) tone: &'static str,
    /// Where its page is; none for those that are no service of the mesh.
    pub(crate) page: Option<String>,
}

/// Calls from one node to another, by their places in the list of nodes.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Line {
    pub(crate) from: usize,
    pub(crate) to: usize,
    /// How wide it is drawn, 0 to 3.
    pub(crate) weight: u8,
    /// What its look says: `good`, `fair`, `bad`, `idle` or `thin`.
    pub(crate) look: &'static str,
    /// What stands above it.
    pub(crate) words: String,
    /// What stands below it; empty when all went well.
    pub(crate) trouble: String,
    /// Both in a sentence.
    pub(crate) sentence: String,
}

/// A picture, ready to be written down.
#[derive(Debug, Default)]
pub(crate) struct Drawing {
    pub(crate) width: f64,
    pub(crate) height: f64,
    pub(crate) boxes: Vec<Placed>,
    pub(crate) lines: Vec<Drawn>,
}

/// A node in its place.
#[derive(Debug)]
pub(crate) struct Placed {
    pub(crate) node: Node,
    /// The name, as far as there is room for it.
    pub(crate) short: String,
    pub(crate) x: f64,
    pub(crate) y: f64,
    pub(crate) height: f64,
}

/// A line in its place.
#[derive(Debug)]
pub(crate) struct Drawn {
    pub(crate) line: Line,
    pub(crate) path: String,
    /// The head of its arrow.
    pub(crate) head: String,
    /// Where its words end.
    pub(crate) x: f64,
    pub(crate) y: f64,
}

impl Drawing {
    /// Lines of a node to itself are left out.
    pub(crate) fn new(nodes: Vec<Node>, mut lines: Vec<Line>) -> Drawing {
        lines.retain(|line| line.from != line.to);
        let ends: Vec<_> = lines.iter().map(|line| (line.from, line.to)).collect();
        let layers = Layers::of(nodes.len(), &ends);
        let places = Places::of(&layers);
        let lines = lines.into_iter().enumerate().map(|(n, line)| Drawn::new(line, n, &layers, &places)).collect();
        let placed = nodes.into_iter().enumerate().map(|(n, node)| {
            let (x, middle, height) = places.of_slot(Slot::Node(n));
            Placed { short: shortened(&node.name), node, x, y: middle - height / 2.0, height }
        });
        Drawing { boxes: placed.collect(), lines, width: places.width, height: places.height }
    }
}

impl Drawing {
    /// Sizes that follow the reader's letters.
    pub(crate) fn width_rem(&self) -> String {
        rem(self.width)
    }

    pub(crate) fn height_rem(&self) -> String {
        rem(self.height)
    }
}

fn rem(units: f64) -> String {
    format!("{:.3}rem", units / 16.0)
}

impl Placed {
    pub(crate) fn width(&self) -> f64 {
        BOX_WIDTH
    }

    /// Where its name and what is said below it stand.
    pub(crate) fn text_x(&self) -> f64 {
        self.x + 14.0
    }

    pub(crate) fn name_y(&self) -> f64 {
        self.y + self.height / 2.0 - 3.0
    }

    pub(crate) fn words_x(&self) -> f64 {
        if self.node.tone.is_empty() { self.text_x() } else { self.text_x() + 16.0 }
    }

    pub(crate) fn words_y(&self) -> f64 {
        self.y + self.height / 2.0 + 15.0
    }
}

impl Drawn {
    fn new(line: Line, number: usize, layers: &Layers, places: &Places) -> Drawn {
        let mut path = String::new();
        let mut last = (0.0, 0.0);
        let mut first = last;
        for [left, right] in layers.steps(number) {
            let (from, to) = (places.exit(number, left), places.entry(number, right));
            if path.is_empty() {
                first = from;
                put(&mut path, format_args!("M{:.1} {:.1}", from.0, from.1));
            } else {
                put(&mut path, format_args!("H{:.1}", from.0));
            }
            let (half, end) = (from.0 + BEND / 2.0, from.0 + BEND);
            let bend = format_args!("C{half:.1} {:.1} {half:.1} {:.1} {end:.1} {:.1}H{:.1}", from.1, to.1, to.1, to.0);
            put(&mut path, bend);
            last = to;
        }
        let ((x, y), back) = if layers.is_turned(number) { (first, 8.0) } else { (last, -8.0) };
        let head = format!("M{x:.1} {y:.1}l{back:.1} -4.5v9z");
        Drawn { line, path, head, x: last.0 - 12.0, y: last.1 }
    }

    /// Where its words stand, and those of its trouble.
    pub(crate) fn words_y(&self) -> f64 {
        self.y - 5.0
    }

    pub(crate) fn trouble_y(&self) -> f64 {
        self.y + 14.0
    }
}

fn put(path: &mut String, piece: std::fmt::Arguments<'_>) {
    path.write_fmt(piece).expect("a string takes everything");
}

fn shortened(name: &str) -> String {
    if name.chars().count() <= NAME_LETTERS {
        return name.to_owned();
    }
    let mut short: String = name.chars().take(NAME_LETTERS - 1).collect();
    short.push('…');
    short
}

/// The right edge of a box at `x`.
fn right(x: f64) -> f64 {
    x + BOX_WIDTH
}

#[cfg(test)]
mod tests;

//! Ranges of an order: what is read of an index.

use crate::order::{Order, Place, Value};
use crate::page::Cursor;

/// The places between two, without these. An end that is none is open.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Range {
    /// What all places are above.
    pub lower: Option<Place>,
    /// What all places are below.
    pub upper: Option<Place>,
}

impl Range {
    /// Leaves out what is not above a place.
    pub fn above(&mut self, place: Place) {
        // None is less than any place.
        self.lower = self.lower.take().max(Some(place));
    }

    /// Leaves out what is not below a place.
    pub fn below(&mut self, place: Place) {
        self.upper = Some(match self.upper.take() {
            Some(upper) => upper.min(place),
            None => place,
        });
    }

    /// Leaves out what does not begin with a text.
    pub fn beginning_with(&mut self, prefix: &str) {
        self.above(Place::before(Value::Text(prefix.to_owned())));
        if let Some(next) = behind_prefix(prefix) {
            self.below(Place::before(Value::Text(next)));
        }
    }

    /// Leaves out what is neither a category nor below it. Some others lie between these:
    /// `paint`, `paint & glue`, `paint/interior`.
    pub fn within(&mut self, category_key: &str) {
        self.above(Place::before(Value::Text(category_key.to_owned())));
        if let Some(next) = behind_prefix(&format!("{category_key}/")) {
            self.below(Place::before(Value::Text(next)));
        }
    }

    /// Leaves out what is not on the side of an order that a cursor leads to.
    pub fn towards(&mut self, cursor: &Cursor, order: Order) {
        match (cursor, order.descending) {
            (Cursor::First, _) => {}
            (Cursor::After(place), false) | (Cursor::Before(place), true) => self.above(place.clone()),
            (Cursor::After(place), true) | (Cursor::Before(place), false) => self.below(place.clone()),
            (Cursor::UpTo(place), false) => self.below(Place { id: place.id.saturating_add(1), ..place.clone() }),
            (Cursor::UpTo(place), true) => self.above(Place { id: place.id.saturating_sub(1), ..place.clone() }),
        }
    }

    /// Whether a place is in it.
    pub fn contains(&self, place: &Place) -> bool {
        self.lower.as_ref().is_none_or(|lower| lower < place) && self.upper.as_ref().is_none_or(|upper| place < upper)
    }

    /// Whether both ends are open.
    pub fn is_everything(&self) -> bool {
        self.lower.is_none() && self.upper.is_none()
    }

    /// Whether nothing can be in it.
    pub fn is_empty(&self) -> bool {
        matches!((&self.lower, &self.upper), (Some(lower), Some(upper)) if lower >= upper)
    }
}

/// The least text above all that begin with this one; none when there is no such text.
///
/// UTF-8 keeps the order of characters, so that this holds byte by byte too.
pub fn behind_prefix(prefix: &str) -> Option<String> {
    let mut text = prefix.to_owned();
    while let Some(last) = text.pop() {
        // Between these two are the surrogates, which are no characters.
        let next = if last == '\u{d7ff}' { Some('\u{e000}') } else { char::from_u32(last as u32 + 1) };
        if let Some(next) = next {
            text.push(next);
            return Some(text);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::order::By;

    fn place(id: i64) -> Place {
        Place { value: Value::Text("saw".to_owned()), id }
    }

    #[test]
    fn ends_only_come_closer() {
        let mut range = Range::default();
        assert!(range.is_everything() && range.contains(&place(0)));
        for id in [3, 1] {
            range.above(place(id));
        }
        for id in [7, 9] {
            range.below(place(id));
        }

        assert_eq!(range, Range { lower: Some(place(3)), upper: Some(place(7)) });
        assert!(range.contains(&place(4)) && !range.contains(&place(3)) && !range.contains(&place(7)));
        range.below(place(3));
        assert!(range.is_empty());
    }

    #[test]
    fn a_cursor_leads_to_its_side() {
        let lies = |cursor: Cursor, descending: bool| {
            let mut range = Range::default();
            range.towards(&cursor, Order { by: By::Name, descending });
            [1, 2, 3].map(|id| range.contains(&place(id)))
        };

        assert_eq!(lies(Cursor::After(place(2)), false), [false, false, true]);
        assert_eq!(lies(Cursor::After(place(2)), true), [true, false, false]);
        assert_eq!(lies(Cursor::Before(place(2)), false), [true, false, false]);
        assert_eq!(lies(Cursor::UpTo(place(2)), false), [true, true, false]);
        assert_eq!(lies(Cursor::UpTo(place(2)), true), [false, true, true]);
        assert_eq!(lies(Cursor::First, true), [true, true, true]);
    }

    #[test]
    fn what_begins_alike_ends_before_the_next_text() {
        for (prefix, next) in [("a", "b"), ("a\u{10ffff}", "b"), ("\u{d7ff}", "\u{e000}"), ("%", "&"), ("a/", "a0")] {
            assert_eq!(behind_prefix(prefix).as_deref(), Some(next), "{prefix}");
        }
        assert_eq!(behind_prefix(""), None);
        assert_eq!(behind_prefix("\u{10ffff}"), None);
    }
}

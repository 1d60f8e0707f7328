//! The job of an import: how far it is, and what came of it.

use jiff::Timestamp;

use crate::import::Manner;
use crate::version::Author;

/// One import.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Job {
    /// Given when it began.
    pub id: i64,
    /// How far it is.
    pub state: State,
    /// Where the rows come from, for people.
    pub source: String,
    /// The request that began it; empty without one.
    pub request_id: String,
    /// How its rows become changes.
    pub manner: Manner,
    /// Whether it began as a dry run.
    pub dry_run: bool,
    /// Whether the catalogue must never have held a product.
    pub only_if_new: bool,
    /// The last line that is dealt with; while it is undone, the first sequence of the
    /// last piece that was taken back.
    pub mark: i64,
    /// What became of the rows so far.
    pub counts: Counts,
    /// In whose name it goes on in the background.
    pub author: Author,
    /// When it began.
    pub create_time: Timestamp,
    /// When it ended.
    pub end_time: Option<Timestamp>,
}

impl Job {
    /// Whose changes are those of an import: a person's, or its source's, or else the caller's.
    pub fn author_of(source: &str, asked: &Author) -> Author {
        let is_named = asked.person || source.is_empty();
        let name = if is_named { asked.name.clone() } else { source.to_owned() };
        Author { name, call_id: asked.call_id.clone(), person: asked.person }
    }
}

/// What became of an import's rows and products.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Rows that were read.
    pub rows: i64,
    /// Products that were added, or would be.
    pub created: i64,
    /// Products that were changed, or would be.
    pub updated: i64,
    /// Rows that are as the catalogue has them.
    pub unchanged: i64,
    /// Rows that were refused.
    pub refused: i64,
    /// Products that were taken back.
    pub undone: i64,
    /// Products that were left alone when the rest was taken back.
    pub conflicts: i64,
}

/// How far an import is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum State {
    /// Rows come in and are stored.
    Receiving,
    /// Rows come in and are judged only.
    Staging,
    /// All rows are judged, and wait for being applied.
    Ready,
    /// Judged rows are applied in the background.
    Committing,
    /// All rows are dealt with.
    Done,
    /// It was stopped.
    Cancelled,
    /// What it did is taken back in the background.
    Undoing,
    /// What it did was taken back.
    Undone,
}

impl State {
    const ALL: [Self; 8] = [
        Self::Receiving,
        Self::Staging,
        Self::Ready,
        Self::Committing,
        Self::Done,
        Self::Cancelled,
        Self::Undoing,
        Self::Undone,
    ];

    /// What the database calls it: its place in the list, from 1, which only grows.
    pub fn code(self) -> i64 {
        self as i64 + 1
    }

    /// Reads back what the database calls it.
    pub fn parse(code: i64) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.code() == code)
    }

    /// Whether rows come in.
    pub fn is_open(self) -> bool {
        matches!(self, Self::Receiving | Self::Staging)
    }

    /// Whether nothing happens until someone asks for it.
    pub fn rests(self) -> bool {
        matches!(self, Self::Ready | Self::Done | Self::Cancelled | Self::Undone)
    }

    /// What people call it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Receiving | Self::Staging | Self::Committing => "RUNNING",
            Self::Ready => "READY",
            Self::Done => "DONE",
            Self::Cancelled => "CANCELLED",
            Self::Undoing => "UNDOING",
            Self::Undone => "UNDONE",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_state_keeps_its_code() {
        for state in State::ALL {
            assert_eq!(State::parse(state.code()), Some(state));
        }
        let codes = (State::Receiving.code(), State::Committing.code(), State::Done.code(), State::Undoing.code());
        assert_eq!((codes, State::parse(0), State::parse(9)), ((1, 4, 5, 7), None, None));
    }
}

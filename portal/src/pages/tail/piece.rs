//! The pieces that a live page grows by, as HTML.

use askama::Template;
use proto::logs::StoredRecord;

use crate::{
    frame::{Frame, Nav},
    live,
    pages::logs::divide,
    record::Row,
    time::{Moment, Zone},
    visit::Visit,
};

/// Writes pieces for one visitor.
#[derive(Debug)]
pub(super) struct Writer {
    frame: Frame,
    zone: Zone,
    /// The day of the last row.
    day: String,
}

/// Rows, something told between them, and how things stand: of the last, only the latest is shown.
#[derive(Template, Default)]
#[template(path = "piece.html")]
struct Piece<'a> {
    frame: Option<&'a Frame>,
    rows: Vec<Row>,
    /// (tone, words)
    told: Option<(&'a str, &'a str)>,
    pulse: Option<Pulse<'a>>,
    /// Where it goes on when this is the end.
    onward: Option<String>,
}

struct Pulse<'a> {
    tone: &'a str,
    words: &'a str,
    /// When that was so.
    now: Moment,
}

impl Writer {
    pub(super) fn new(visit: &Visit) -> Writer {
        Writer { frame: Frame::new(visit, Nav::Logs, ""), zone: visit.zone.clone(), day: String::new() }
    }

    /// Some records, in the order of the log.
    pub(super) fn rows(&mut self, records: Vec<StoredRecord>) -> String {
        let mut rows: Vec<Row> = records.into_iter().map(Row::new).collect();
        divide(&mut rows, &self.zone, &mut self.day);
        self.write(Piece { rows, ..Piece::default() })
    }

    /// Something that happened to the view itself.
    pub(super) fn told(&self, tone: &str, words: &str) -> String {
        self.write(Piece { told: Some((tone, words)), ..Piece::default() })
    }

    /// How things stand now.
    pub(super) fn pulse(&self, tone: &str, words: &str) -> String {
        self.write(Piece { pulse: Some(Pulse { tone, words, now: Moment::now() }), ..Piece::default() })
    }

    /// The end of the page, and where it goes on.
    pub(super) fn end(&self, why: &str, onward: String) -> String {
        let pulse = Some(Pulse { tone: "fair", words: "Ended", now: Moment::now() });
        self.write(Piece { told: Some(("fair", why)), pulse, onward: Some(onward), ..Piece::default() })
    }

    fn write<'a>(&'a self, piece: Piece<'a>) -> String {
        live::piece(&Piece { frame: Some(&self.frame), ..piece })
    }
}

//! Text as the records of a CSV file, each with the line that it begins on.

use csv_core::{ReadRecordResult, Reader, ReaderBuilder};

use crate::sheet::fault::Fault;

/// No text of a product comes near; one that is longer has a quote that is never closed.
pub(super) const LONGEST_FIELD: usize = 64 * 1024;

/// The same for all texts of a row.
pub(super) const LONGEST_RECORD: usize = 256 * 1024;

/// Spreadsheets have 16,384 columns at most, and nobody looks for three among more than these.
pub(super) const MOST_COLUMNS: usize = 1024;

/// Takes text in and gives records out.
pub(super) struct Records {
    reader: Reader,
    /// Text that is not read yet, from `place` on; every line of it ends with a line feed.
    waiting: Vec<u8>,
    place: usize,
    after_return: bool,
    /// The texts of the present record, one behind the other, as far as they are filled.
    texts: Vec<u8>,
    filled: usize,
    /// Where each of them ends.
    ends: Vec<usize>,
    fields: usize,
    /// Whether the present record was given out.
    given: bool,
}

/// A record.
pub(super) struct Record<'a> {
    /// The line that it begins on.
    pub(super) line: u64,
    texts: &'a [u8],
    ends: &'a [usize],
}

impl Record<'_> {
    /// How many fields it has.
    pub(super) fn len(&self) -> usize {
        self.ends.len()
    }

    /// A field; one that it does not have is empty.
    pub(super) fn field(&self, place: usize) -> &str {
        let Some(end) = self.ends.get(place) else { return "" };
        let start = place.checked_sub(1).map_or(0, |before| self.ends[before]);
        // It was text, and was parted at ASCII signs only.
        str::from_utf8(&self.texts[start..*end]).unwrap_or_default()
    }

    /// All its fields.
    pub(super) fn fields(&self) -> impl Iterator<Item = &str> {
        (0..self.len()).map(|place| self.field(place))
    }
}

impl Records {
    pub(super) fn new(delimiter: u8) -> Records {
        Records {
            reader: ReaderBuilder::new().delimiter(delimiter).build(),
            waiting: Vec::new(),
            place: 0,
            after_return: false,
            texts: vec![0; 4096],
            filled: 0,
            ends: vec![0; 32],
            fields: 0,
            given: false,
        }
    }

    /// Takes text in. Carriage returns, with a line feed or without, end lines as well.
    pub(super) fn push(&mut self, text: &str) {
        self.waiting.drain(..self.place);
        self.place = 0;
        for byte in text.bytes() {
            let follows_return = std::mem::replace(&mut self.after_return, byte == b'\r');
            match byte {
                b'\n' if follows_return => {}
                b'\r' => self.waiting.push(b'\n'),
                byte => self.waiting.push(byte),
            }
        }
    }

    /// The next record; none until more text comes.
    pub(super) fn next(&mut self) -> Result<Option<Record<'_>>, Fault> {
        if std::mem::take(&mut self.given) {
            (self.filled, self.fields) = (0, 0);
        }
        // The reader takes no text for the end of all text.
        while self.place < self.waiting.len() {
            let (texts, ends) = (&mut self.texts[self.filled..], &mut self.ends[self.fields..]);
            let (result, read, written, ended) = self.reader.read_record(&self.waiting[self.place..], texts, ends);
            self.place += read;
            self.filled += written;
            self.fields += ended;
            match result {
                ReadRecordResult::InputEmpty | ReadRecordResult::End => break,
                ReadRecordResult::OutputFull if self.texts.len() == LONGEST_RECORD => {
                    return Err(Fault::LongRecord { line: self.line() });
                }
                ReadRecordResult::OutputFull => self.texts.resize((self.texts.len() * 2).min(LONGEST_RECORD), 0),
                ReadRecordResult::OutputEndsFull if self.ends.len() == MOST_COLUMNS => {
                    return Err(Fault::TooManyColumns { line: self.line() });
                }
                ReadRecordResult::OutputEndsFull => self.ends.resize((self.ends.len() * 2).min(MOST_COLUMNS), 0),
                ReadRecordResult::Record => {
                    self.given = true;
                    // The reader is on the line behind it.
                    let line = self.line() - 1;
                    self.check_lengths(line)?;
                    let (texts, ends) = (&self.texts[..self.filled], &self.ends[..self.fields]);
                    return Ok(Some(Record { line, texts, ends }));
                }
            }
        }
        let open = self.filled - self.fields.checked_sub(1).map_or(0, |last| self.ends[last]);
        if open > LONGEST_FIELD {
            return Err(Fault::LongField { line: self.line() });
        }
        Ok(None)
    }

    /// The line that the present record begins on, as far as it is read.
    pub(super) fn line(&self) -> u64 {
        let inside = self.texts[..self.filled].iter().filter(|byte| **byte == b'\n').count();
        self.reader.line() - inside as u64
    }

    /// Whether a record has begun and not ended.
    pub(super) fn is_open(&self) -> bool {
        !self.given && (self.filled > 0 || self.fields > 0)
    }

    fn check_lengths(&self, line: u64) -> Result<(), Fault> {
        let mut start = 0;
        for end in &self.ends[..self.fields] {
            if end - start > LONGEST_FIELD {
                return Err(Fault::LongField { line });
            }
            start = *end;
        }
        Ok(())
    }
}

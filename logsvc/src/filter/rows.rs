//! A filter over the columns of one block: cheap conditions first, each column read only when it is needed.

use std::io;
use std::ops::Range;

use super::{Filter, Word};
use crate::entry::Entry;
use crate::store::tokens;
use crate::store::{Column, Fields, Ids, Meta, Summary, Text};

/// Reads a column of the block.
pub(crate) type Read<'a> = dyn Fn(Column) -> io::Result<Vec<u8>> + 'a;

/// A block whose columns are read as they are needed.
struct Opened<'a> {
    read: &'a Read<'a>,
    meta: Meta,
    /// The column of texts, when it was read before the others.
    text: Option<Vec<u8>>,
    ids: Option<Ids>,
    words: Option<(Fields, Text)>,
}

/// The rows of a block that match, and how to make entries of them.
pub(crate) struct Found<'a> {
    opened: Opened<'a>,
    first_offset: u64,
    /// In their order.
    rows: Vec<usize>,
}

impl Filter {
    /// Which records of a block match and have one of these offsets.
    pub(crate) fn rows<'a>(
        &self,
        summary: &Summary,
        offsets: &Range<u64>,
        read: &'a Read<'a>,
    ) -> io::Result<Found<'a>> {
        let text = match &self.substring {
            None => None,
            // Most blocks do not have it, and then nothing else of them has to be read.
            Some(finder) => Some(read(Column::Text)?).filter(|text| finder.find(text).is_some()),
        };
        if self.substring.is_some() && text.is_none() {
            let nothing = Opened { read, meta: Meta::default(), text: None, ids: None, words: None };
            return Ok(Found { opened: nothing, first_offset: summary.first_offset, rows: Vec::new() });
        }
        let meta = Meta::read(&read(Column::Meta)?, summary.count as usize)?;
        let mut opened = Opened { read, meta, text, ids: None, words: None };
        let mut rows = self.by_meta(summary.first_offset, offsets, &opened.meta);
        self.by_ids(&mut rows, &mut opened)?;
        self.by_words(&mut rows, &mut opened)?;
        Ok(Found { opened, first_offset: summary.first_offset, rows })
    }

    fn by_meta(&self, first_offset: u64, offsets: &Range<u64>, meta: &Meta) -> Vec<usize> {
        let wanted =
            |source: &std::sync::Arc<crate::entry::Source>| self.wants_source(&source.service, &source.instance);
        let sources: Vec<bool> = meta.sources.iter().map(wanted).collect();
        let wants = |number: usize| {
            let row = &meta.rows[number];
            self.wants_level(row.level)
                && sources[row.source as usize]
                && self.times.contains(&row.time)
                && self.offsets.contains(&(first_offset + number as u64))
                && offsets.contains(&(first_offset + number as u64))
        };
        (0..meta.rows.len()).filter(|number| wants(*number)).collect()
    }

    fn by_ids(&self, rows: &mut Vec<usize>, opened: &mut Opened<'_>) -> io::Result<()> {
        if rows.is_empty() || (self.trace_id.is_empty() && self.request_id.is_empty()) {
            return Ok(());
        }
        let ids = opened.ids()?;
        let wanted = |id: &str| if id.is_empty() { Some(None) } else { ids.number(id).map(Some) };
        let (Some(trace), Some(request)) = (wanted(&self.trace_id), wanted(&self.request_id)) else {
            rows.clear();
            return Ok(());
        };
        let meta = &opened.meta;
        rows.retain(|row| {
            trace.is_none_or(|trace| meta.rows[*row].trace == trace)
                && request.is_none_or(|request| meta.rows[*row].request == request)
        });
        Ok(())
    }

    fn by_words(&self, rows: &mut Vec<usize>, opened: &mut Opened<'_>) -> io::Result<()> {
        let asks_for_words = !self.words.is_empty() || !self.without.is_empty();
        if rows.is_empty() || (!asks_for_words && self.substring.is_none() && self.fields.is_empty()) {
            return Ok(());
        }
        opened.words()?;
        let (meta, Some((fields, text))) = (&opened.meta, &opened.words) else { return Ok(()) };
        if let Some(finder) = &self.substring {
            let found = rows_at(text, finder.find_iter(&text.bytes));
            rows.retain(|row| found[*row]);
        }
        for word in &self.words {
            let found = word.rows(meta, text);
            rows.retain(|row| found[*row]);
        }
        for word in &self.without {
            let found = word.rows(meta, text);
            rows.retain(|row| !found[*row]);
        }
        rows.retain(|row| self.fields.iter().all(|(name, value)| fields.has(*row, name, value, text)));
        Ok(())
    }
}

impl Opened<'_> {
    fn ids(&mut self) -> io::Result<&Ids> {
        match &mut self.ids {
            Some(ids) => Ok(ids),
            unread => Ok(unread.insert(Ids::read((self.read)(Column::Ids)?)?)),
        }
    }

    fn words(&mut self) -> io::Result<()> {
        if self.words.is_none() {
            let fields = Fields::read(&(self.read)(Column::Fields)?, &self.meta)?;
            let column = self.text.take().map_or_else(|| (self.read)(Column::Text), Ok)?;
            let text = Text::read(column, &self.meta, &fields)?;
            self.words = Some((fields, text));
        }
        Ok(())
    }
}

impl Found<'_> {
    /// How many match.
    pub(crate) fn len(&self) -> usize {
        self.rows.len()
    }

    /// The entry of the match with this number.
    pub(crate) fn entry(&mut self, number: usize) -> io::Result<Entry> {
        self.opened.ids()?;
        self.opened.words()?;
        let (Some(ids), Some((fields, text))) = (&self.opened.ids, &self.opened.words) else {
            return Err(io::Error::other("a column was read and is not there"));
        };
        Ok(self.opened.meta.entry(self.first_offset, self.rows[number], ids, (fields, text)))
    }
}

impl Word {
    /// Which rows have the word in their text or target.
    fn rows(&self, meta: &Meta, text: &Text) -> Vec<bool> {
        let mut found = match &self.finder {
            Some(finder) => {
                let hits = finder.find_iter(&text.bytes).map(|hit| hit.range());
                rows_at(text, hits.filter(|hit| is_whole(&text.bytes, hit)).map(|hit| hit.start))
            }
            None => (0..meta.rows.len()).map(|row| self.is_in_bytes(text.row(row))).collect(),
        };
        let targets: Vec<bool> = meta.targets.iter().map(|target| self.is_in(target)).collect();
        for (found, row) in found.iter_mut().zip(&meta.rows) {
            *found |= targets[row.target as usize];
        }
        found
    }

    fn is_in_bytes(&self, bytes: &[u8]) -> bool {
        // Pieces are parted by a byte that is not UTF-8, and each of them is.
        bytes.utf8_chunks().any(|chunk| tokens::words(chunk.valid()).any(|word| self.is(word)))
    }
}

fn rows_at(text: &Text, positions: impl Iterator<Item = usize>) -> Vec<bool> {
    let mut found = vec![false; text.starts.len() - 1];
    let mut end_of_row = 0;
    for position in positions {
        // Most hits after the first of a row are in the same one.
        if position >= end_of_row {
            let row = text.row_at(position);
            found[row] = true;
            end_of_row = text.starts[row + 1];
        }
    }
    found
}

/// Whether a hit has no letter or digit on either side.
fn is_whole(bytes: &[u8], hit: &Range<usize>) -> bool {
    let is_ascii_part = |byte: Option<&u8>| byte.is_some_and(u8::is_ascii_alphanumeric);
    let before = hit.start.checked_sub(1).and_then(|place| bytes.get(place));
    if is_ascii_part(before) || is_ascii_part(bytes.get(hit.end)) {
        return false;
    }
    let is_letter = |c: Option<char>| c.is_some_and(char::is_alphanumeric);
    // A character has at most four bytes; what is cut off before it does not matter.
    let before = &bytes[hit.start.saturating_sub(4)..hit.start];
    let after = &bytes[hit.end..(hit.end + 4).min(bytes.len())];
    let last = before.utf8_chunks().last().filter(|chunk| chunk.invalid().is_empty());
    let first = after.utf8_chunks().next();
    !is_letter(last.and_then(|chunk| chunk.valid().chars().next_back()))
        && !is_letter(first.and_then(|chunk| chunk.valid().chars().next()))
}

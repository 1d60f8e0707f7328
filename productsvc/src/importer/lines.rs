//! The bytes of a text file with its accidents removed: byte order mark, kinds of
//! line ends, a last line without one.

use std::io::{BufRead, Read, Result};

/// Follows the last line. A quote that is never closed swallows it, and is found so.
pub(super) const END: &str = "\0end of file\0";

const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// A record this long has a quote that is never closed, or is no product.
pub(super) const LONGEST_RECORD: usize = 256 * 1024;

/// Reads lines that all end in a line feed, and then [`END`].
pub(super) struct Lines<R> {
    inner: R,
    at_start: bool,
    after_return: bool,
    ending: Option<Vec<u8>>,
    /// How many bytes may still be read for the present record.
    left: usize,
    read: u64,
}

impl<R: BufRead> Lines<R> {
    pub(super) fn new(inner: R) -> Self {
        Self { inner, at_start: true, after_return: false, ending: None, left: LONGEST_RECORD, read: 0 }
    }

    /// A record begins.
    pub(super) fn begin_record(&mut self) {
        self.left = LONGEST_RECORD;
    }

    /// How many bytes of the file were read.
    pub(super) fn bytes_read(&self) -> u64 {
        self.read
    }

    fn skip_byte_order_mark(&mut self) -> Result<()> {
        self.at_start = false;
        if self.inner.fill_buf()?.starts_with(BYTE_ORDER_MARK) {
            self.inner.consume(BYTE_ORDER_MARK.len());
            self.read += BYTE_ORDER_MARK.len() as u64;
        }
        Ok(())
    }
}

impl<R: BufRead> Read for Lines<R> {
    fn read(&mut self, out: &mut [u8]) -> Result<usize> {
        if self.at_start {
            self.skip_byte_order_mark()?;
        }
        if self.left == 0 {
            return Err(std::io::Error::other("the row is too long"));
        }
        let room = out.len().min(self.left);
        let mut written = 0;
        while written == 0 && self.ending.is_none() && room > 0 {
            let available = self.inner.fill_buf()?;
            if available.is_empty() {
                self.ending = Some(format!("\n{END}\n").into_bytes());
                break;
            }
            let taken = available.len().min(room);
            for byte in &available[..taken] {
                let follows_return = std::mem::replace(&mut self.after_return, *byte == b'\r');
                match byte {
                    b'\n' if follows_return => continue,
                    b'\r' => out[written] = b'\n',
                    other => out[written] = *other,
                }
                written += 1;
            }
            self.inner.consume(taken);
            self.read += taken as u64;
        }
        if let Some(ending) = &mut self.ending
            && written == 0
        {
            written = ending.len().min(room);
            out[..written].copy_from_slice(&ending[..written]);
            ending.drain(..written);
        }
        self.left -= written;
        Ok(written)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(bytes: &[u8]) -> String {
        // A buffer of 3 bytes puts every boundary to the test.
        let mut text = String::new();
        Lines::new(std::io::BufReader::with_capacity(3, bytes)).read_to_string(&mut text).unwrap();
        text.strip_suffix(&format!("\n{END}\n")).unwrap().to_owned()
    }

    #[test]
    fn every_kind_of_line_end_becomes_a_line_feed() {
        assert_eq!(read(b"a\r\nb\rc\nd\r\r\ne"), "a\nb\nc\nd\n\ne");
    }

    #[test]
    fn a_byte_order_mark_is_skipped() {
        assert_eq!(read(b"\xef\xbb\xbfname"), "name");
    }

    #[test]
    fn a_record_without_end_is_not_read_into_memory() {
        let endless = std::io::BufReader::new(std::io::repeat(b'x'));
        let mut taken = Vec::new();

        assert!(Lines::new(endless).read_to_end(&mut taken).is_err());
        assert_eq!(taken.len(), LONGEST_RECORD);
    }
}

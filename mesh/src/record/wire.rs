//! Protobuf, written straight into bytes: no message is built, and no length computed twice.

use std::fmt;

use prost::encoding::encoded_len_varint;

/// A number of seven bits in each byte, the lowest first.
#[inline]
pub(crate) fn varint(bytes: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        bytes.push(value as u8 | 0x80);
        value >>= 7;
    }
    bytes.push(value as u8);
}

/// The key of a field: tags here are below 16, which makes it one byte.
#[inline]
fn key(bytes: &mut Vec<u8>, tag: u8, kind: u8) {
    bytes.push(tag << 3 | kind);
}

const VARINT: u8 = 0;
const DELIMITED: u8 = 2;

/// Writes a number, unless it is 0: that is what a field that is not there means.
pub(crate) fn number(bytes: &mut Vec<u8>, tag: u8, value: u64) {
    if value != 0 {
        key(bytes, tag, VARINT);
        varint(bytes, value);
    }
}

/// Writes a text whose length is known, unless it is empty.
pub(crate) fn text(bytes: &mut Vec<u8>, tag: u8, text: &str) {
    if !text.is_empty() {
        key(bytes, tag, DELIMITED);
        varint(bytes, text.len() as u64);
        bytes.extend_from_slice(text.as_bytes());
    }
}

/// Writes a number as hexadecimal digits, two for each byte.
pub(crate) fn hex<const BYTES: usize>(bytes: &mut Vec<u8>, tag: u8, number: [u8; BYTES]) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let digits = number.map(|byte| [DIGITS[usize::from(byte >> 4)], DIGITS[usize::from(byte & 15)]]);
    key(bytes, tag, DELIMITED);
    varint(bytes, BYTES as u64 * 2);
    bytes.extend_from_slice(digits.as_flattened());
}

/// Writes whatever `fill` writes, with its length before it.
///
/// One byte is left for the length, which is enough below 128; what is longer is moved.
pub(crate) fn delimited<R>(bytes: &mut Vec<u8>, tag: u8, fill: impl FnOnce(&mut Vec<u8>) -> R) -> R {
    key(bytes, tag, DELIMITED);
    let place = bytes.len();
    bytes.push(0);
    let filled = fill(bytes);
    let length = bytes.len() - place - 1;
    if let Ok(short @ 0..128) = u8::try_from(length) {
        bytes[place] = short;
        return filled;
    }
    let width = encoded_len_varint(length as u64);
    let end = bytes.len();
    varint(bytes, length as u64);
    // The length is behind the text now: the text moves up, and it goes before.
    let prefix: [u8; 10] = std::array::from_fn(|at| bytes.get(end + at).copied().unwrap_or_default());
    bytes.truncate(end);
    bytes.resize(end + width - 1, 0);
    bytes.copy_within(place + 1..end, place + width);
    bytes[place..place + width].copy_from_slice(&prefix[..width]);
    filled
}

/// Writes text into bytes for as long as there is room; the rest is left out.
#[derive(Debug)]
pub(crate) struct Limited<'a> {
    bytes: &'a mut Vec<u8>,
    room: usize,
    cut: bool,
}

impl<'a> Limited<'a> {
    pub(crate) fn new(bytes: &'a mut Vec<u8>, room: usize) -> Self {
        Self { bytes, room, cut: false }
    }

    pub(crate) fn push(&mut self, text: &str) {
        let kept = if text.len() <= self.room { text } else { &text[..text.floor_char_boundary(self.room)] };
        self.bytes.extend_from_slice(kept.as_bytes());
        if kept.len() < text.len() {
            // Nothing follows where something is missing, not even what would fit.
            (self.room, self.cut) = (0, true);
        } else {
            self.room -= kept.len();
        }
    }

    /// A whole number, without the detours of formatting.
    pub(crate) fn integer(&mut self, negative: bool, mut magnitude: u128) {
        let mut digits = [0; 40];
        let mut at = digits.len();
        // Most fit into half of it, which divides much faster.
        while let Err(_large) = u64::try_from(magnitude) {
            at -= 1;
            digits[at] = b'0' + (magnitude % 10) as u8;
            magnitude /= 10;
        }
        let mut rest = magnitude as u64;
        loop {
            at -= 1;
            digits[at] = b'0' + (rest % 10) as u8;
            rest /= 10;
            if rest == 0 {
                break;
            }
        }
        if negative {
            at -= 1;
            digits[at] = b'-';
        }
        self.push(std::str::from_utf8(&digits[at..]).unwrap_or_default());
    }

    /// What room is left, or none when something was left out.
    pub(crate) fn finish(self) -> Option<usize> {
        (!self.cut).then_some(self.room)
    }
}

impl fmt::Write for Limited<'_> {
    /// Never fails: some would panic if it did.
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.push(text);
        Ok(())
    }
}

//! Bytes of a file as text: which encoding it has, noticed from its beginning, and the text as it comes.

use encoding_rs::{DecoderResult, UTF_8, UTF_16BE, UTF_16LE, WINDOWS_1252};

use crate::sheet::fault::Fault;

/// How the text of a file is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Encoding {
    Utf8,
    Utf16Le,
    Utf16Be,
    Windows1252,
}

/// What a person says of a file's encoding.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Choice {
    /// UTF-8 or UTF-16, as its beginning shows.
    #[default]
    Noticed,
    /// Windows-1252, unless its beginning says otherwise.
    Windows1252,
}

/// So much of a file shows what it is.
const BEGINNING: usize = 512;

/// Files that are often taken for tables, by their first bytes.
const FOREIGN: [(&[u8], &str); 8] = [
    (b"PK\x03\x04", "a spreadsheet or an archive (.xlsx, .ods, .zip)"),
    (b"\xd0\xcf\x11\xe0", "an old spreadsheet or document (.xls, .doc)"),
    (b"\x89PNG", "a picture"),
    (b"\xff\xd8\xff", "a picture"),
    (b"GIF8", "a picture"),
    (b"RIFF", "a picture or a recording"),
    (b"%PDF", "a PDF document"),
    (b"\x1f\x8b", "a compressed file (.gz)"),
];

impl Encoding {
    pub(crate) const ALL: [Encoding; 4] = [Encoding::Utf8, Encoding::Utf16Le, Encoding::Utf16Be, Encoding::Windows1252];

    /// How an address says it.
    pub(crate) fn key(self) -> &'static str {
        match self {
            Encoding::Utf8 => "utf-8",
            Encoding::Utf16Le => "utf-16le",
            Encoding::Utf16Be => "utf-16be",
            Encoding::Windows1252 => "windows-1252",
        }
    }

    /// How people say it.
    pub(crate) fn label(self) -> &'static str {
        match self {
            Encoding::Utf8 => "UTF-8",
            Encoding::Utf16Le | Encoding::Utf16Be => "UTF-16",
            Encoding::Windows1252 => "Windows-1252",
        }
    }

    fn decoder(self) -> encoding_rs::Decoder {
        let encoding = match self {
            Encoding::Utf8 => UTF_8,
            Encoding::Utf16Le => UTF_16LE,
            Encoding::Utf16Be => UTF_16BE,
            Encoding::Windows1252 => WINDOWS_1252,
        };
        encoding.new_decoder_with_bom_removal()
    }

    /// Notices the encoding of a file that begins so.
    fn of(start: &[u8], choice: Choice) -> Result<Encoding, Fault> {
        if let Some((_, what)) = FOREIGN.iter().find(|(mark, _)| start.starts_with(mark)) {
            return Err(Fault::Foreign(what));
        }
        Ok(match (start, choice) {
            ([0xff, 0xfe, ..], _) => Encoding::Utf16Le,
            ([0xfe, 0xff, ..], _) => Encoding::Utf16Be,
            ([0xef, 0xbb, 0xbf, ..], _) => Encoding::Utf8,
            _ if is_half_zero(start, 1) => Encoding::Utf16Le,
            _ if is_half_zero(start, 0) => Encoding::Utf16Be,
            (_, Choice::Windows1252) => Encoding::Windows1252,
            (_, Choice::Noticed) => Encoding::Utf8,
        })
    }
}

/// Whether every second byte is 0 from this one on, and none of the others: the titles of columns in UTF-16.
fn is_half_zero(start: &[u8], first: usize) -> bool {
    // The titles that are needed take 32 bytes.
    let titles = &start[..start.len().min(32)];
    titles.len() >= 4 && titles.iter().enumerate().all(|(place, byte)| (*byte == 0) == (place % 2 == first))
}

/// Makes text of the bytes of a file.
pub(super) struct Text {
    choice: Choice,
    state: State,
}

enum State {
    /// Too little has come to know.
    Beginning(Vec<u8>),
    Known(Encoding, Box<encoding_rs::Decoder>),
}

/// Why there is no more text. What came before it is text.
pub(super) enum Unreadable {
    /// The file is none that can be read.
    File(Fault),
    /// A byte means nothing in the encoding.
    Byte(Encoding),
}

impl Text {
    pub(super) fn new(choice: Choice) -> Text {
        Text { choice, state: State::Beginning(Vec::new()) }
    }

    /// The encoding, once it is known.
    pub(super) fn encoding(&self) -> Option<Encoding> {
        match &self.state {
            State::Beginning(_) => None,
            State::Known(encoding, _) => Some(*encoding),
        }
    }

    /// Takes bytes in and adds their text, as far as they can be read already.
    pub(super) fn decode(&mut self, bytes: &[u8], text: &mut String) -> Result<(), Unreadable> {
        let State::Beginning(start) = &mut self.state else { return self.decode_known(bytes, false, text) };
        start.extend_from_slice(bytes);
        if start.len() < BEGINNING { Ok(()) } else { self.begin(text) }
    }

    /// Adds what is left of the text: nothing follows.
    pub(super) fn finish(&mut self, text: &mut String) -> Result<(), Unreadable> {
        if let State::Beginning(start) = &self.state {
            if start.is_empty() {
                return Err(Unreadable::File(Fault::Empty));
            }
            self.begin(text)?;
        }
        self.decode_known(&[], true, text)
    }

    fn begin(&mut self, text: &mut String) -> Result<(), Unreadable> {
        let State::Beginning(start) = &mut self.state else { return Ok(()) };
        let start = std::mem::take(start);
        let encoding = Encoding::of(&start, self.choice).map_err(Unreadable::File)?;
        self.state = State::Known(encoding, Box::new(encoding.decoder()));
        self.decode_known(&start, false, text)
    }

    fn decode_known(&mut self, mut bytes: &[u8], last: bool, text: &mut String) -> Result<(), Unreadable> {
        let State::Known(encoding, decoder) = &mut self.state else { return Ok(()) };
        loop {
            text.reserve(decoder.max_utf8_buffer_length_without_replacement(bytes.len()).unwrap_or(bytes.len()));
            let (result, read) = decoder.decode_to_string_without_replacement(bytes, text, last);
            bytes = &bytes[read..];
            match result {
                DecoderResult::InputEmpty => return Ok(()),
                DecoderResult::OutputFull => {}
                DecoderResult::Malformed(..) => return Err(Unreadable::Byte(*encoding)),
            }
        }
    }
}

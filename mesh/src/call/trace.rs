//! W3C trace context: which trace a request is part of.

use http::HeaderMap;

use super::{TRACEPARENT, TRACESTATE};

/// Longer states may be dropped, as W3C allows.
const LONGEST_STATE: usize = 512;

/// Whoever can exports the spans of this trace.
const SAMPLED: u8 = 1;

/// `00-` and a trace id, a span id and flags in hexadecimal, parted by dashes.
const LENGTH: usize = 55;

/// A position in a trace, as `traceparent` and `tracestate` carry it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trace {
    trace_id: u128,
    span_id: u64,
    /// The span that this one is part of.
    parent: Option<u64>,
    flags: u8,
    state: Option<String>,
}

impl Trace {
    /// Begins a new trace, sampled: there is no telling who exports later on.
    pub(crate) fn root() -> Self {
        Self { trace_id: fastrand::u128(1..), span_id: fastrand::u64(1..), parent: None, flags: SAMPLED, state: None }
    }

    /// The next position in the trace that these headers carry, or the first of a new one.
    pub(crate) fn next(headers: &HeaderMap) -> Self {
        let mut parents = headers.get_all(&TRACEPARENT).iter();
        // Two parents are none: nobody knows which is meant.
        let parent = parents.next().filter(|_| parents.next().is_none());
        match parent.and_then(|text| Self::parse(text.as_bytes())) {
            Some(sent) => Self { state: state(headers), ..sent }.child(),
            None => Self::root(),
        }
    }

    /// Reads a `traceparent`; anything malformed is as if it were not there.
    ///
    /// Versions above 00 may have more parts behind those that this one knows.
    fn parse(text: &[u8]) -> Option<Self> {
        let (known, more) = text.split_at_checked(LENGTH)?;
        let version = hex(&known[..2])?;
        let is_whole = more.is_empty() || (version != 0 && more[0] == b'-');
        let dashes = [known[2], known[35], known[52]];
        if !is_whole || version == 0xff || dashes != [b'-'; 3] {
            return None;
        }
        let (trace_id, span_id) = (hex(&known[3..35])?, hex(&known[36..52])?);
        let flags = u8::try_from(hex(&known[53..])?).ok()? & SAMPLED;
        let (span_id, parent) = (u64::try_from(span_id).ok()?, None);
        (trace_id != 0 && span_id != 0).then_some(Self { trace_id, span_id, parent, flags, state: None })
    }

    /// The next position in the same trace.
    pub(crate) fn child(self) -> Self {
        Self { span_id: fastrand::u64(1..), parent: Some(self.span_id), ..self }
    }

    /// The trace's id.
    pub fn trace_id(&self) -> u128 {
        self.trace_id
    }

    /// The id of this position.
    pub fn span_id(&self) -> u64 {
        self.span_id
    }

    /// The id of the position before, if there is one.
    pub fn parent_span_id(&self) -> Option<u64> {
        self.parent
    }

    /// Whether somebody decided that the spans of this trace are to be exported.
    pub fn is_sampled(&self) -> bool {
        self.flags & SAMPLED != 0
    }

    /// What vendors wrote into `tracestate`.
    pub fn state(&self) -> Option<&str> {
        self.state.as_deref()
    }

    /// The `traceparent` of whoever is called from here.
    pub(crate) fn parent_header(&self) -> String {
        const DIGITS: &[u8; 16] = b"0123456789abcdef";
        let mut text = String::with_capacity(LENGTH);
        let mut push = |bytes: &[u8]| {
            for byte in bytes {
                text.push(char::from(DIGITS[usize::from(byte >> 4)]));
                text.push(char::from(DIGITS[usize::from(byte & 15)]));
            }
        };
        push(&[0]);
        push(&self.trace_id.to_be_bytes());
        push(&self.span_id.to_be_bytes());
        push(&[self.flags]);
        for place in [2, 35, 52] {
            text.insert(place, '-');
        }
        text
    }
}

/// The value of digits in hexadecimal; W3C wants them small.
fn hex(digits: &[u8]) -> Option<u128> {
    digits.iter().try_fold(0, |value: u128, digit| match digit {
        b'0'..=b'9' => Some(value << 4 | u128::from(digit - b'0')),
        b'a'..=b'f' => Some(value << 4 | u128::from(digit - b'a' + 10)),
        _ => None,
    })
}

/// All that came of `tracestate`; several headers are one list.
fn state(headers: &HeaderMap) -> Option<String> {
    let parts: Vec<&str> = headers.get_all(&TRACESTATE).iter().filter_map(|part| part.to_str().ok()).collect();
    let state = parts.join(",");
    (1..=LONGEST_STATE).contains(&state.len()).then_some(state)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    #[test]
    fn a_traceparent_survives_the_wire() {
        let trace = Trace::parse(TEXT.as_bytes()).unwrap();

        assert_eq!(trace.parent_header(), TEXT);
        assert_eq!((trace.trace_id(), trace.span_id()), (0x4bf92f3577b34da6a3ce929d0e0e4736, 0x00f067aa0ba902b7));
        assert!(trace.is_sampled());
    }

    #[test]
    fn later_versions_are_read_as_far_as_they_are_known() {
        let later = TEXT.replacen("00", "cc", 1);
        assert!(Trace::parse(later.as_bytes()).is_some());
        assert!(Trace::parse(format!("{later}-more").as_bytes()).is_some());
        assert!(Trace::parse(format!("{TEXT}-more").as_bytes()).is_none());
    }

    #[test]
    fn malformed_ones_are_ignored() {
        let zero = format!("00-{:032}-00f067aa0ba902b7-01", 0);
        let (capital, forbidden) = (TEXT.to_uppercase(), TEXT.replacen("00", "ff", 1));
        for text in ["", "00", "00-é-é-é", &zero, &capital, &forbidden, &TEXT.replace('-', "_")] {
            assert_eq!(Trace::parse(text.as_bytes()), None, "{text}");
        }
    }

    #[test]
    fn a_request_is_the_next_position_and_two_parents_are_none() {
        let mut headers = HeaderMap::new();
        headers.append(&TRACEPARENT, TEXT.parse().unwrap());
        headers.append(&TRACESTATE, "a=1".parse().unwrap());
        headers.append(&TRACESTATE, "b=2".parse().unwrap());
        let trace = Trace::next(&headers);
        assert_eq!((trace.parent_span_id(), trace.state()), (Some(0x00f067aa0ba902b7), Some("a=1,b=2")));

        headers.append(&TRACEPARENT, TEXT.parse().unwrap());
        assert_eq!(Trace::next(&headers).parent_span_id(), None);
    }
}

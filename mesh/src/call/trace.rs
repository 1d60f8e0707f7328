//! W3C trace context: which trace a request is part of.

/// A position in a trace, as `traceparent` and `tracestate` carry it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trace {
    trace_id: u128,
    span_id: u64,
    flags: u8,
    state: Option<String>,
}

impl Trace {
    /// Begins a new trace, not sampled.
    pub(crate) fn root() -> Self {
        Self { trace_id: fastrand::u128(1..), span_id: fastrand::u64(1..), flags: 0, state: None }
    }

    /// Reads a `traceparent` of version 00; anything else is as if it were not there.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let mut parts = text.split('-');
        let (version, trace_id, span_id, flags) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
        let is_hex = |part: &str, len| {
            part.len() == len && part.bytes().all(|b| b.is_ascii_hexdigit() && !b.is_ascii_uppercase())
        };
        if version != "00"
            || parts.next().is_some()
            || !is_hex(trace_id, 32)
            || !is_hex(span_id, 16)
            || !is_hex(flags, 2)
        {
            return None;
        }
        let trace = Self {
            trace_id: u128::from_str_radix(trace_id, 16).ok()?,
            span_id: u64::from_str_radix(span_id, 16).ok()?,
            flags: u8::from_str_radix(flags, 16).ok()?,
            state: None,
        };
        (trace.trace_id != 0 && trace.span_id != 0).then_some(trace)
    }

    /// The same with its `tracestate`; one longer than 512 bytes is dropped, as W3C allows.
    pub(crate) fn with_state(self, state: Option<&str>) -> Self {
        Self { state: state.filter(|state| state.len() <= 512).map(str::to_owned), ..self }
    }

    /// The next position in the same trace.
    pub(crate) fn child(self) -> Self {
        Self { span_id: fastrand::u64(1..), ..self }
    }

    /// The trace's id: 32 hexadecimal digits.
    pub(crate) fn id(&self) -> String {
        format!("{:032x}", self.trace_id)
    }

    pub(crate) fn state(&self) -> Option<&str> {
        self.state.as_deref()
    }
}

impl std::fmt::Display for Trace {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "00-{:032x}-{:016x}-{:02x}", self.trace_id, self.span_id, self.flags)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_traceparent_survives_the_wire() {
        let text = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

        assert_eq!(Trace::parse(text).map(|trace| trace.to_string()).as_deref(), Some(text));
    }

    #[test]
    fn malformed_ones_are_ignored() {
        let zero = format!("00-{:032}-00f067aa0ba902b7-01", 0);
        for text in ["", "00", "01-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", "00-é-é-é", &zero] {
            assert_eq!(Trace::parse(text), None, "{text}");
        }
    }
}

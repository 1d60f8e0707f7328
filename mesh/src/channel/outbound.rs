//! One outbound call as a whole: measured once, however often it is tried, and exported as a span.

use proto::mesh::MethodKind;
use tonic::Code;

use crate::call::{Call, Trace};
use crate::series::{Measured, Series};
use crate::spans::{Exporter, Kind, Span};

/// A call that this process makes.
#[derive(Debug)]
pub(crate) struct Outbound {
    measured: Measured,
    span: Option<(Exporter, Trace, Call)>,
}

impl Outbound {
    pub(crate) fn begin(measured: Measured, span: Option<(Exporter, Trace, Call)>) -> Self {
        Self { measured, span }
    }

    pub(crate) fn series(&self) -> &Series {
        self.measured.series()
    }

    /// Whether the answer may go on for ever.
    pub(crate) fn is_endless(&self) -> bool {
        matches!(self.series().kind(), MethodKind::ServerStream | MethodKind::BidiStream)
    }

    /// It ended; the first end counts.
    pub(crate) fn end(&mut self, code: Code) {
        let Some(took) = self.measured.end(code) else { return };
        if let Some((spans, trace, call)) = self.span.take() {
            let series = self.measured.series();
            spans.record(Span::ended(Kind::Client, (series, series.peer()), (&call, &trace), (took, code)));
        }
    }
}

impl Drop for Outbound {
    fn drop(&mut self) {
        self.end(Code::Cancelled);
    }
}

//! OTLP: log records of any OpenTelemetry SDK or collector, in and out.
//!
//! Read `names` for where the parts of OTLP are kept that a record has no place
//! for, `value` for values as text, `incoming` and `outgoing` for the two
//! directions, `receiver` for the gRPC surface.

mod names;
mod value;
mod incoming;
mod outgoing;
mod receiver;

pub(crate) use names::UID;
pub(crate) use outgoing::{Outgoing, Parts};
pub(crate) use receiver::Receiver;

#[cfg(test)]
mod tests;

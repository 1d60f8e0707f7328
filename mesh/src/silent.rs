//! A subscriber for threads that carry the log: it hears nothing, and takes nothing from anybody else.
//!
//! A call site asks once whether anybody wants it. While only one dispatcher is registered,
//! it asks that of the thread that reaches it first (tracing-core's `Rebuilder::JustOne`), and
//! `Dispatch::none()` is not registered: what such a thread reaches first would be silent
//! in the whole process. This one is registered, and gives the answer of the process.

use tracing::level_filters::LevelFilter;
use tracing::span::{Attributes, Id, Record};
use tracing::subscriber::Interest;
use tracing::{Dispatch, Event, Metadata, Subscriber, dispatcher};

/// Hears nothing.
struct Silent {
    process: Dispatch,
}

/// To be set as the default of a thread whose events would feed on themselves, before its runtime is made.
pub fn dispatch() -> Dispatch {
    Dispatch::new(Silent { process: dispatcher::get_default(Clone::clone) })
}

impl Subscriber for Silent {
    fn register_callsite(&self, metadata: &'static Metadata<'static>) -> Interest {
        // The same as the process's: both together are neither slower nor louder.
        self.process.register_callsite(metadata)
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        Some(LevelFilter::OFF)
    }

    fn enabled(&self, _: &Metadata<'_>) -> bool {
        false
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, _: &Event<'_>) {}

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

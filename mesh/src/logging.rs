//! What a process says: to its terminal, and into the outbox for the log service.

use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use tracing::level_filters::LevelFilter;
use tracing::subscriber::Interest;
use tracing::{Event, Metadata, Subscriber};
use tracing_subscriber::filter::Targets;
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::time::FormatTime;
use tracing_subscriber::layer::{Context, Layer, SubscriberExt as _};
use tracing_subscriber::util::SubscriberInitExt as _;

use crate::levels::Levels;
use crate::outbox::Outbox;
use crate::record;
use crate::terminal::{self, Terminal};

/// The target of events that are for the terminal only, such as heartbeats.
pub const TERMINAL: &str = "terminal";

/// How long a panic waits until its record is safe: the process may be about to end.
const PANIC_BUDGET: Duration = Duration::from_millis(100);

/// How long the end of a process waits for whoever reads its output.
const FLUSH_BUDGET: Duration = Duration::from_secs(1);

/// The log of this process, as its other parts use it.
#[derive(Debug)]
pub(crate) struct Logging {
    /// How to change the levels; nothing when this process logs already, as in a test of
    /// several services: the first one's logging stays.
    pub(crate) levels: Option<Levels>,
    pub(crate) outbox: Arc<Outbox>,
    terminal: Option<Terminal>,
}

impl Logging {
    /// Sends every event to the terminal and, as a record, into the outbox.
    pub(crate) fn start(levels: &Targets) -> Self {
        let (terminal, outbox) = (Terminal::start(), Arc::<Outbox>::default());
        let now = Arc::new(RwLock::new(levels.clone()));
        let said = Said { levels: now.clone(), terminal: terminal.clone(), outbox: outbox.clone() };
        let started = tracing_subscriber::registry().with(said).try_init();
        log_panics(terminal.clone(), outbox.clone());
        let apply = move |levels: &Targets| {
            levels.clone_into(&mut now.write().unwrap_or_else(PoisonError::into_inner));
            // Each event asks once whether it is enabled, and once more after this.
            tracing::callsite::rebuild_interest_cache();
            true
        };
        let levels = started.is_ok().then(|| Levels::new(levels.clone(), Box::new(apply)));
        Self { levels, outbox, terminal: Some(terminal) }
    }

    /// A log that nobody writes into.
    #[cfg(test)]
    pub(crate) fn none() -> Self {
        Self { levels: None, outbox: Arc::default(), terminal: None }
    }

    /// Waits until everything is shown, a second at most.
    pub(crate) fn flush(&self) {
        if let Some(terminal) = &self.terminal {
            terminal.flush(FLUSH_BUDGET);
        }
    }
}

/// Sends events of WARN and above to the terminal only: for client subcommands.
pub(crate) fn start_quietly() {
    let warnings = Targets::new().with_default(tracing::Level::WARN);
    // A message is readable alone; its fields are for searching.
    let message_only = tracing_subscriber::fmt::format::debug_fn(|writer, field, value| match field.name() {
        "message" => write!(writer, "{value:?}"),
        _ => Ok(()),
    });
    let terminal = tracing_subscriber::fmt::layer()
        .compact()
        .fmt_fields(message_only)
        .with_ansi(terminal::is_coloured())
        .with_timer(Clock)
        .with_writer(std::io::stderr);
    let _already_set = tracing_subscriber::registry().with(terminal.with_filter(warnings)).try_init();
}

/// The time of day in UTC: the date is in the log service.
struct Clock;

impl FormatTime for Clock {
    fn format_time(&self, w: &mut Writer<'_>) -> std::fmt::Result {
        let text = format!("{:.3}", jiff::Timestamp::now());
        w.write_str(text.get(11..23).unwrap_or(&text))
    }
}

/// A panic is an ERROR record too, with where and in which thread it happened.
///
/// It is written through to the spool before anything else: a process that aborts says no more.
fn log_panics(terminal: Terminal, outbox: Arc<Outbox>) {
    let before = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        let place = panic.location().map(ToString::to_string).unwrap_or_default();
        let words = panic.payload_as_str().unwrap_or("no message");
        let thread = std::thread::current();
        let (thread, backtrace) = (thread.name().unwrap_or_default(), std::backtrace::Backtrace::force_capture());
        tracing::error!(panic.location = place, panic.thread = thread, backtrace = %backtrace, "panicked: {words}");
        outbox.wait_written(PANIC_BUDGET);
        terminal.flush(PANIC_BUDGET);
        before(panic);
    }));
}

/// Encodes events once, for both.
struct Said {
    levels: Arc<RwLock<Targets>>,
    terminal: Terminal,
    outbox: Arc<Outbox>,
}

impl Said {
    fn levels<R>(&self, ask: impl FnOnce(&Targets) -> R) -> R {
        ask(&self.levels.read().unwrap_or_else(PoisonError::into_inner))
    }
}

impl<S: Subscriber> Layer<S> for Said {
    fn register_callsite(&self, metadata: &'static Metadata<'static>) -> Interest {
        self.levels(|levels| Layer::<S>::register_callsite(levels, metadata))
    }

    fn enabled(&self, metadata: &Metadata<'_>, context: Context<'_, S>) -> bool {
        self.levels(|levels| Layer::<S>::enabled(levels, metadata, context))
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        self.levels(Layer::<S>::max_level_hint)
    }

    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let (target, level) = (event.metadata().target(), *event.metadata().level());
        record::encode(event, |record| {
            self.terminal.show(record.shown);
            if target != TERMINAL && self.outbox.wants(target, level) {
                self.outbox.put(level, record.bytes);
            }
        });
    }
}

//! What a process says: to its terminal, and into the outbox for the log service.

use std::fmt::Write as _;
use std::io::IsTerminal as _;
use std::sync::Arc;

use proto::logs::{Field, Level, LogRecord};
use tracing::field::Visit;
use tracing::level_filters::LevelFilter;
use tracing::{Event, Subscriber};
use tracing_subscriber::filter::Targets;
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::time::FormatTime;
use tracing_subscriber::layer::{Context, Layer, SubscriberExt as _};
use tracing_subscriber::reload;
use tracing_subscriber::util::SubscriberInitExt as _;

use crate::call::Call;
use crate::levels::Levels;
use crate::outbox::Outbox;

/// The target of events that are for the terminal only, such as heartbeats.
pub const TERMINAL: &str = "terminal";

/// Longer messages are cut, with a mark.
const LONGEST_MESSAGE: usize = 256 * 1024;

/// More fields than this are left out, and what they weigh together is cut.
const MOST_FIELDS: usize = 128;
const FIELD_BYTES: usize = 64 * 1024;

/// Sends every event to the terminal and, as a record, into the outbox.
///
/// Answers how to change the levels; nothing when this process logs already, as in a
/// test of several services: the first one's logging stays.
pub(crate) fn start(levels: &Targets, outbox: Arc<Outbox>) -> Option<Levels> {
    let without_terminal = |levels: &Targets| levels.clone().with_target(TERMINAL, LevelFilter::OFF);
    let (shown, shown_handle) = reload::Layer::new(levels.clone());
    let (kept, kept_handle) = reload::Layer::new(without_terminal(levels));
    let started = tracing_subscriber::registry()
        .with(terminal().with_filter(shown))
        .with(Shipped { outbox }.with_filter(kept))
        .try_init();
    log_panics();
    started.ok()?;
    let apply = move |levels: &Targets| {
        shown_handle.reload(levels.clone()).is_ok() && kept_handle.reload(without_terminal(levels)).is_ok()
    };
    Some(Levels::new(levels.clone(), Box::new(apply)))
}

/// Sends events of WARN and above to the terminal only: for client subcommands.
pub(crate) fn start_quietly() {
    let warnings = Targets::new().with_default(tracing::Level::WARN);
    let _already_set = tracing_subscriber::registry().with(terminal().with_filter(warnings)).try_init();
}

fn terminal<S>() -> impl Layer<S>
where
    S: Subscriber + for<'a> tracing_subscriber::registry::LookupSpan<'a>,
{
    // A launcher that shows our output on its own terminal asks for colours this way.
    let forced = std::env::var_os("CLICOLOR_FORCE").is_some_and(|value| !value.is_empty() && value != "0");
    let coloured = forced || (std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none());
    // A message is readable alone; its fields are for searching, in the log service's file.
    let message_only = tracing_subscriber::fmt::format::debug_fn(|writer, field, value| match field.name() {
        "message" => write!(writer, "{value:?}"),
        _ => Ok(()),
    });
    tracing_subscriber::fmt::layer()
        .compact()
        .fmt_fields(message_only)
        .with_ansi(coloured)
        .with_timer(Clock)
        .with_writer(std::io::stderr)
}

/// The time of day in UTC: the date is in the log service's file.
struct Clock;

impl FormatTime for Clock {
    fn format_time(&self, w: &mut Writer<'_>) -> std::fmt::Result {
        let text = format!("{:.3}", jiff::Timestamp::now());
        w.write_str(text.get(11..23).unwrap_or(&text))
    }
}

/// A panic is an ERROR record too, with where and in which thread it happened.
fn log_panics() {
    let before = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        let place = panic.location().map(ToString::to_string).unwrap_or_default();
        let words = panic.payload_as_str().unwrap_or("no message");
        tracing::error!(panic.location = place, backtrace = %std::backtrace::Backtrace::force_capture(), "panicked: {words}");
        before(panic);
    }));
}

/// Turns events into records.
struct Shipped {
    outbox: Arc<Outbox>,
}

impl<S: Subscriber> Layer<S> for Shipped {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let mut said = Said::default();
        event.record(&mut said);
        let call = Call::current();
        self.outbox.put(LogRecord {
            sequence: 0,
            time: Some(now()),
            level: level(*event.metadata().level()).into(),
            target: event.metadata().target().to_owned(),
            message: cut(said.message, LONGEST_MESSAGE),
            fields: said.fields,
            request_id: call.as_ref().map(|call| call.request_id().to_owned()).unwrap_or_default(),
            trace_id: call.as_ref().map(Call::trace_id).unwrap_or_default(),
        });
    }
}

fn now() -> prost_types::Timestamp {
    crate::timestamp(jiff::Timestamp::now())
}

fn level(level: tracing::Level) -> Level {
    match level {
        tracing::Level::TRACE => Level::Trace,
        tracing::Level::DEBUG => Level::Debug,
        tracing::Level::INFO => Level::Info,
        tracing::Level::WARN => Level::Warn,
        tracing::Level::ERROR => Level::Error,
    }
}

fn cut(mut text: String, longest: usize) -> String {
    if text.len() > longest {
        let end = (0..=longest).rev().find(|end| text.is_char_boundary(*end)).unwrap_or(0);
        text.truncate(end);
        text.push_str("… (cut)");
    }
    text
}

/// The message and the fields of an event, as text.
#[derive(Default)]
struct Said {
    message: String,
    fields: Vec<Field>,
    field_bytes: usize,
}

impl Said {
    fn add(&mut self, name: &str, value: String) {
        if name == "message" {
            self.message = value;
        } else if self.fields.len() < MOST_FIELDS {
            let value = cut(value, FIELD_BYTES.saturating_sub(self.field_bytes));
            self.field_bytes += value.len();
            self.fields.push(Field { name: name.to_owned(), value });
        }
    }
}

impl Visit for Said {
    fn record_debug(&mut self, field: &tracing::field::Field, value: &dyn std::fmt::Debug) {
        let mut text = String::new();
        // Writing to a String fails only when the value's own Debug does; then what came so far is said.
        let _incomplete = write!(text, "{value:?}");
        self.add(field.name(), text);
    }

    fn record_str(&mut self, field: &tracing::field::Field, value: &str) {
        self.add(field.name(), value.to_owned());
    }
}

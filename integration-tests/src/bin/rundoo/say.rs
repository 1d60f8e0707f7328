//! How the launcher talks: prefixes, colours, times.

use std::io::{IsTerminal as _, Write as _};
use std::sync::LazyLock;

use harness::process::OnLine;
use owo_colors::{AnsiColors, OwoColorize as _};

/// Whether colours are wanted: on a terminal, unless `NO_COLOR` is set.
pub(crate) static COLOURED: LazyLock<bool> = LazyLock::new(|| {
    let forced = std::env::var_os("CLICOLOR_FORCE").is_some_and(|value| !value.is_empty() && value != "0");
    forced || (std::io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none())
});

/// Services have colours, so that lines are told apart at a glance.
fn colour(label: &str) -> AnsiColors {
    match label.split([' ', '/']).next() {
        Some("registry") => AnsiColors::Cyan,
        Some("logsvc") => AnsiColors::Magenta,
        Some("productsvc") => AnsiColors::Yellow,
        Some("portal") => AnsiColors::Blue,
        _ => AnsiColors::Green,
    }
}

/// Text in a colour, or plain.
pub(crate) fn coloured(text: &str, colour: AnsiColors) -> String {
    if *COLOURED { text.color(colour).to_string() } else { text.to_owned() }
}

/// Text in bold, or plain.
pub(crate) fn bold(text: &str) -> String {
    if *COLOURED { text.bold().to_string() } else { text.to_owned() }
}

/// Prints a line. Fails when whoever reads has seen enough, as `head` does.
pub(crate) fn out(text: &str) -> std::io::Result<()> {
    writeln!(std::io::stdout(), "{text}")
}

/// A line of one service, with its prefix.
pub(crate) fn prefixed(label: &str, text: &str) -> String {
    format!("{} {text}", coloured(&format!("{label:>12} │"), colour(label)))
}

/// Prints a line of one service; that nobody reads it is no reason to stop the services.
pub(crate) fn line(label: &str, text: &str) {
    let _closed = out(&prefixed(label, text));
}

/// Shows each line of a service, until the switch is off.
pub(crate) fn lines(label: String, shown: std::sync::Arc<std::sync::atomic::AtomicBool>) -> OnLine {
    std::sync::Arc::new(move |text| {
        if shown.load(std::sync::atomic::Ordering::Relaxed) {
            line(&label, text);
        }
    })
}

/// The time of day, UTC, as the services' own lines show it.
pub(crate) fn clock() -> String {
    let now = format!("{:.0}", jiff::Timestamp::now());
    now.get(11..19).unwrap_or(&now).to_owned()
}

//! What commands tell the person who runs them.
//!
//! Whoever reads may have gone, which is no failure of the command.

use std::io::Write as _;

use indicatif::{ProgressBar, ProgressStyle};

/// Prints what was asked for, and ends its last line.
pub fn print(text: &str) {
    let _gone = writeln!(std::io::stdout(), "{}", text.trim_end_matches('\n'));
}

/// Tells something beside it, while the work goes on.
pub fn say(text: &str) {
    let _gone = writeln!(std::io::stderr(), "{text}");
}

/// A bar of some length; nothing when standard error is no terminal.
pub fn bar(length: u64, template: &str) -> ProgressBar {
    let bar = ProgressBar::new(length);
    match ProgressStyle::with_template(template) {
        Ok(style) => bar.with_style(style),
        Err(_) => bar,
    }
}

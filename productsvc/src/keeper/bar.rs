//! A bar for who waits; nothing when standard error is no terminal.

use std::time::Duration;

use indicatif::ProgressBar;

use crate::store::Progress;
use crate::terminal;

/// How often it is drawn.
const PERIOD: Duration = Duration::from_millis(100);

/// A bar that shows nothing yet.
pub(super) fn bar() -> ProgressBar {
    terminal::bar(0, "{msg:16} {bar:40} {percent:>3} %  {elapsed}")
}

/// Does some work and shows how far it is.
pub(super) async fn shown<T>(bar: &ProgressBar, progress: &Progress, work: impl Future<Output = T>) -> T {
    let mut work = std::pin::pin!(work);
    let done = loop {
        tokio::select! {
            done = &mut work => break done,
            () = tokio::time::sleep(PERIOD) => {}
        }
        let (step, done, total) = progress.look();
        bar.set_message(step);
        bar.set_length(total.max(1));
        bar.set_position(done.min(total));
    };
    bar.finish_and_clear();
    done
}

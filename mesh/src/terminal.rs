//! Standard error, written by a thread of its own: whoever says something never waits for a terminal.
//!
//! Records wait in a bounded queue, as they were encoded. When whoever reads our output
//! does not, lines are left out, and how many is said where they are missing.

use std::fmt::Write as _;
use std::io::{IsTerminal as _, Write as _};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread::Thread;
use std::time::Duration;

use prost::Message as _;
use proto::logs::LogRecord;

mod line;

/// What waits at most: some 5,000 lines.
const CAPACITY_BYTES: usize = 1024 * 1024;

/// How long lines wait for company, so that a burst is one write and one wake-up.
const LINGER: Duration = Duration::from_millis(2);

/// The terminal of this process. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Terminal(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    waiting: Mutex<Waiting>,
    progress: Condvar,
    writer: OnceLock<Thread>,
}

#[derive(Debug, Default)]
struct Waiting {
    /// Records, the length of each before it.
    bytes: Vec<u8>,
    put: u64,
    shown: u64,
    left_out: u64,
    /// Whether somebody waits for the end of the queue.
    flushing: bool,
}

impl Terminal {
    /// Starts the thread. It ends with the process.
    pub(crate) fn start() -> Self {
        Self::writing(Box::new(std::io::stderr()), is_coloured())
    }

    fn writing(to: Box<dyn std::io::Write + Send>, coloured: bool) -> Self {
        let terminal = Self(Arc::default());
        let shared = terminal.0.clone();
        let writer = std::thread::Builder::new().name("terminal".to_owned()).spawn(move || shared.write(to, coloured));
        // Without the thread nothing is shown; records are shipped nevertheless.
        if let Ok(writer) = writer {
            let _first = terminal.0.writer.set(writer.thread().clone());
        }
        terminal
    }

    /// Shows an encoded record, soon. Never waits.
    pub(crate) fn show(&self, record: &[u8]) {
        let mut waiting = self.0.lock();
        if waiting.bytes.len() + record.len() > CAPACITY_BYTES {
            waiting.left_out += 1;
            return;
        }
        let was_empty = waiting.bytes.is_empty();
        waiting.bytes.extend_from_slice(&(record.len() as u32).to_le_bytes());
        waiting.bytes.extend_from_slice(record);
        waiting.put += 1;
        drop(waiting);
        if was_empty {
            self.0.wake();
        }
    }

    /// Waits until everything up to now is shown, not longer than `most`.
    pub(crate) fn flush(&self, most: Duration) {
        let mut waiting = self.0.lock();
        waiting.flushing = true;
        let put = waiting.put;
        self.0.wake();
        // Whoever does not read our output is not waited for.
        let _late = self
            .0
            .progress
            .wait_timeout_while(waiting, most, |waiting| self.0.writer.get().is_some() && waiting.shown < put);
    }
}

impl Shared {
    fn write(&self, mut to: Box<dyn std::io::Write + Send>, coloured: bool) {
        let (mut records, mut text) = (Vec::new(), String::new());
        loop {
            let (put, left_out) = self.gather(&mut records);
            show_all(&records, &mut text, coloured);
            if left_out > 0 {
                let _never = writeln!(text, "… {left_out} lines were not shown: they came faster than they were read");
            }
            // There is nowhere to say that nobody reads what we say.
            let _closed = to.write_all(text.as_bytes()).and_then(|()| to.flush());
            records.clear();
            text.clear();
            self.lock().shown = put;
            self.progress.notify_all();
        }
    }

    /// Waits for lines, and then for company for them. Answers how many came in all, and how many were left out now.
    fn gather(&self, records: &mut Vec<u8>) -> (u64, u64) {
        while self.lock().bytes.is_empty() {
            std::thread::park();
        }
        if !self.lock().flushing {
            std::thread::park_timeout(LINGER);
        }
        let mut waiting = self.lock();
        std::mem::swap(&mut waiting.bytes, records);
        waiting.flushing = false;
        (waiting.put, std::mem::take(&mut waiting.left_out))
    }

    fn wake(&self) {
        if let Some(writer) = self.writer.get() {
            writer.unpark();
        }
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn show_all(mut records: &[u8], text: &mut String, coloured: bool) {
    while let Some((length, rest)) = records.split_first_chunk::<4>() {
        let Some((record, rest)) = rest.split_at_checked(u32::from_le_bytes(*length) as usize) else { return };
        if let Ok(record) = LogRecord::decode(record) {
            line::write(text, &record, coloured);
        }
        records = rest;
    }
}

/// A launcher that shows our output on its own terminal asks for colours with `CLICOLOR_FORCE`.
pub(crate) fn is_coloured() -> bool {
    let forced = std::env::var_os("CLICOLOR_FORCE").is_some_and(|value| !value.is_empty() && value != "0");
    forced || (std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none())
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    /// Far more than showing takes; only a hang is longer.
    const HANG: Duration = Duration::from_secs(9);

    /// A reader that takes each write only when the test does.
    struct Pipe(mpsc::SyncSender<String>);

    impl std::io::Write for Pipe {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            let text = String::from_utf8(bytes.to_vec()).map_err(std::io::Error::other)?;
            self.0.send(text).map_err(std::io::Error::other)?;
            Ok(bytes.len())
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    fn record(message: &str) -> Vec<u8> {
        LogRecord { message: message.to_owned(), ..Default::default() }.encode_to_vec()
    }

    #[test]
    fn lines_are_shown_in_order_and_flushed() {
        let (pipe, shown) = mpsc::sync_channel(100);
        let terminal = Terminal::writing(Box::new(Pipe(pipe)), false);

        for number in 0..50 {
            terminal.show(&record(&format!("line {number}")));
        }
        terminal.flush(HANG);

        let shown: String = shown.try_iter().collect();
        let numbers: Vec<&str> = shown.lines().filter_map(|line| line.split("line ").nth(1)).collect();
        assert_eq!(numbers, (0..50).map(|number| number.to_string()).collect::<Vec<_>>());
    }

    #[test]
    fn a_reader_that_does_not_read_costs_lines_and_is_told() {
        let (pipe, shown) = mpsc::sync_channel(0);
        let terminal = Terminal::writing(Box::new(Pipe(pipe)), false);
        let large = record(&"x".repeat(CAPACITY_BYTES / 4));

        for _ in 0..100 {
            terminal.show(&large);
        }
        let mut lines = 0;
        let told = loop {
            let text = shown.recv_timeout(HANG).unwrap();
            lines += text.lines().filter(|line| line.contains("xxx")).count();
            if let Some((_, told)) = text.split_once("… ") {
                break told.split(' ').next().unwrap().parse::<usize>().unwrap();
            }
        };

        assert_eq!(lines + told, 100);
    }
}

//! What the thread derives from a log that grows and shrinks at its beginning, into a file that fails.

use std::sync::{Arc, Mutex};

use tempfile::TempDir;

use super::*;
use crate::entry::{Entry, Source};

fn entry(offset: u64) -> Entry {
    let source = Arc::new(Source::parse("tests".into(), "i1".into(), "i1".into(), 1).unwrap());
    let message = format!("record {offset}");
    let record = LogRecord { sequence: offset, target: "tests".into(), message, level: 9, ..Default::default() };
    Entry { offset, received: 0, source, record }
}

/// A log of so many records, of which retention removed the first ones.
struct Log {
    folder: TempDir,
    removed: Arc<Mutex<u64>>,
    end: watch::Sender<u64>,
}

impl Log {
    fn new(end: u64) -> Self {
        let removed = Arc::new(Mutex::new(0));
        Self { folder: tempfile::tempdir().unwrap(), removed, end: watch::Sender::new(end) }
    }

    fn place(&self) -> Place {
        let file = |name: &str| self.folder.path().join(name);
        Place { file: file("app.log"), cursor: file("log/mirror.cursor"), limit: LIMIT }
    }

    fn mirror(&self) -> Mirror {
        let (removed, end) = (self.removed.clone(), self.end.subscribe());
        let read = move |from: u64, most: usize| {
            let first = *removed.lock().unwrap() + 1;
            let begin = from.max(first);
            let next = (begin + most as u64).min(*end.borrow());
            let removed = (from < first).then_some(from..first);
            Chunk { entries: (begin..next).map(entry).collect(), next, removed }
        };
        Mirror::start(self.place(), read, self.end.subscribe()).unwrap()
    }

    fn lines(&self) -> Vec<String> {
        let text = std::fs::read_to_string(self.place().file).unwrap_or_default();
        text.lines().map(str::to_owned).collect()
    }

    async fn until(&self, lines: usize) {
        // It is another thread's doing, on a real disk.
        for _ in 0..3000 {
            if self.lines().len() >= lines {
                return;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        panic!("{} of {lines} lines came", self.lines().len());
    }
}

#[tokio::test]
async fn each_record_is_written_once_over_several_lives() {
    let log = Log::new(2501);
    let mirror = log.mirror();
    log.until(2500).await;
    log.end.send_replace(2601);
    log.until(2600).await;
    mirror.close().await.unwrap();
    log.end.send_replace(2611);

    log.mirror().close().await.unwrap();

    let lines = log.lines();
    assert_eq!(lines.len(), 2610);
    for (n, line) in lines.iter().enumerate() {
        assert!(line.ends_with(&format!(" tests/i1#{0} tests: record {0}", n + 1)), "{line}");
    }
}

#[tokio::test]
async fn what_retention_removed_is_a_line_that_says_so() {
    let log = Log::new(11);
    *log.removed.lock().unwrap() = 7;

    log.mirror().close().await.unwrap();

    let lines = log.lines();
    assert_eq!(lines.len(), 4);
    assert!(lines[0].contains(" WARN  logsvc/mirror logsvc::mirror: the records 1 to 7 were removed"), "{}", lines[0]);
}

#[tokio::test]
async fn a_file_that_fails_is_tried_again() {
    let log = Log::new(5);
    std::fs::create_dir(log.place().file).unwrap();

    let mirror = log.mirror();
    tokio::time::sleep(Duration::from_millis(50)).await;
    std::fs::remove_dir(log.place().file).unwrap();

    log.until(4).await;
    mirror.close().await.unwrap();
    assert_eq!(log.lines().len(), 4);
}

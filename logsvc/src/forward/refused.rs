//! Records that the receiver refused for good: lines of JSON, for people.
//!
//! Two files at most, `forward.refused` and the one before it, `forward.refused.1`:
//! 16 MiB together. They stay in the log too, until retention takes them.

use std::fs::OpenOptions;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use serde_json::{Value as Json, json};

use crate::entry::{Entry, timestamp};

/// One file of two.
const BYTES: u64 = 8 * 1024 * 1024;

/// The files, which need not exist.
#[derive(Debug)]
pub(super) struct Refused {
    path: PathBuf,
    previous: PathBuf,
}

impl Refused {
    pub(super) fn at(folder: &Path) -> Self {
        Self { path: folder.join("forward.refused"), previous: folder.join("forward.refused.1") }
    }

    /// Keeps a record, on disk.
    pub(super) fn keep(&self, entry: &Entry, why: &str) -> std::io::Result<()> {
        let line = format!("{}\n", line(entry, why));
        let length = std::fs::metadata(&self.path).map(|file| file.len()).unwrap_or_default();
        if length > 0 && length + line.len() as u64 > BYTES {
            std::fs::rename(&self.path, &self.previous)?;
        }
        let mut file = OpenOptions::new().create(true).append(true).open(&self.path)?;
        file.write_all(line.as_bytes())?;
        // The cursor goes past it next.
        file.sync_data()
    }
}

fn line(Entry { offset, received, source, record }: &Entry, why: &str) -> Json {
    let fields: Vec<Json> = record
        .fields
        .iter()
        .map(|field| json!({"name": field.name, "value": field.value, "kind": field.kind().as_str_name()}))
        .collect();
    json!({
        "why": why,
        "offset": offset,
        "received": timestamp(*received).to_string(),
        "service": source.service,
        "instance_id": source.instance,
        "producer": source.producer.name,
        "incarnation": source.producer.incarnation,
        "sequence": record.sequence,
        "time": record.time.as_ref().map(ToString::to_string),
        "level": record.level,
        "target": record.target,
        "message": record.message,
        "fields": fields,
        "request_id": record.request_id,
        "trace_id": record.trace_id,
        "span_id": record.span_id,
    })
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use proto::logs::LogRecord;

    use super::*;
    use crate::entry::Source;

    fn entry(message: String) -> Entry {
        let source = Arc::new(Source::unsequenced("tests".to_owned(), "t1".to_owned()));
        Entry { offset: 7, received: 1_000_000_000, source, record: LogRecord { message, ..Default::default() } }
    }

    #[test]
    fn a_line_says_what_and_why() {
        let folder = tempfile::tempdir().unwrap();

        Refused::at(folder.path()).keep(&entry("line\nfeed".to_owned()), "INVALID_ARGUMENT: no").unwrap();

        let text = std::fs::read_to_string(folder.path().join("forward.refused")).unwrap();
        assert_eq!(text.lines().count(), 1);
        let line: Json = serde_json::from_str(&text).unwrap();
        assert_eq!((&line["message"], &line["offset"]), (&json!("line\nfeed"), &json!(7)));
        assert_eq!((&line["why"], &line["received"]), (&json!("INVALID_ARGUMENT: no"), &json!("1970-01-01T00:00:01Z")));
    }

    #[test]
    fn two_files_are_all_there_ever_is() {
        let folder = tempfile::tempdir().unwrap();
        let refused = Refused::at(folder.path());

        for _ in 0..80 {
            refused.keep(&entry("x".repeat(256 * 1024)), "no").unwrap();
        }

        let sizes: Vec<u64> =
            std::fs::read_dir(folder.path()).unwrap().map(|file| file.unwrap().metadata().unwrap().len()).collect();
        assert_eq!(sizes.len(), 2);
        assert!(sizes.iter().all(|size| *size <= BYTES), "{sizes:?}");
    }
}

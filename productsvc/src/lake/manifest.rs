//! The manifest of a month: which of its files count, and how to know them.
//!
//! It is written when they are there and verified. A file that it does not name was left
//! by a run that did not end, and is removed by the next.

use serde::{Deserialize, Serialize};

use crate::lake::month::Month;
use crate::lake::part::{Part, number};

/// Its name in the folder of the month. SQL engines pass over names with an underscore.
pub(super) const NAME: &str = "_manifest.json";

const FORMAT: &str = "rundoo.product_versions.v1";

/// The files of a month.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Manifest {
    format: String,
    month: String,
    rows: i64,
    files: Vec<File>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct File {
    name: String,
    rows: i64,
    bytes: i64,
    sha256: String,
    first_product_id: i64,
    last_product_id: i64,
}

/// The manifest is not one of ours.
#[derive(Debug, thiserror::Error)]
pub(super) enum InvalidManifest {
    #[error(transparent)]
    Json(#[from] serde_json::Error),
    #[error("it is in another format, {0:?}")]
    Format(String),
    #[error("it is of {0:?}")]
    Month(String),
    #[error("{0:?} is no name of a part")]
    Name(String),
}

impl Manifest {
    /// Names these parts of a month.
    pub(crate) fn new(month: Month, parts: &[Part]) -> Self {
        let file = |part: &Part| File {
            name: part.name(),
            rows: part.rows,
            bytes: part.bytes,
            sha256: part.sha256.clone(),
            first_product_id: part.first_product_id,
            last_product_id: part.last_product_id,
        };
        Self {
            format: FORMAT.to_owned(),
            month: month.to_string(),
            rows: parts.iter().map(|part| part.rows).sum(),
            files: parts.iter().map(file).collect(),
        }
    }

    pub(super) fn encode(&self) -> Result<Vec<u8>, serde_json::Error> {
        let mut text = serde_json::to_vec_pretty(self)?;
        text.push(b'\n');
        Ok(text)
    }

    /// The parts that a month's manifest names.
    pub(super) fn decode(month: Month, text: &[u8]) -> Result<Vec<Part>, InvalidManifest> {
        let manifest: Self = serde_json::from_slice(text)?;
        if manifest.format != FORMAT {
            return Err(InvalidManifest::Format(manifest.format));
        }
        if manifest.month != month.to_string() {
            return Err(InvalidManifest::Month(manifest.month));
        }
        let part = |file: File| {
            let Some(number) = number(&file.name) else { return Err(InvalidManifest::Name(file.name)) };
            let File { rows, bytes, sha256, first_product_id, last_product_id, .. } = file;
            Ok(Part { month, number, rows, bytes, sha256, first_product_id, last_product_id })
        };
        manifest.files.into_iter().map(part).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn month() -> Month {
        Month::parse("2026-09").unwrap()
    }

    fn part(number: i64) -> Part {
        Part {
            month: month(),
            number,
            rows: 10,
            bytes: 1000,
            sha256: "ab".repeat(32),
            first_product_id: 1,
            last_product_id: 7,
        }
    }

    #[test]
    fn a_manifest_names_its_parts_and_their_sum() {
        let parts = [part(1), part(3)];
        let text = Manifest::new(month(), &parts).encode().unwrap();

        assert_eq!(Manifest::decode(month(), &text).unwrap(), parts);
        let json: serde_json::Value = serde_json::from_slice(&text).unwrap();
        assert_eq!((&json["month"], &json["rows"]), (&"2026-09".into(), &20.into()));
        assert_eq!(json["files"][1]["name"], "part-3.parquet");
    }

    #[test]
    fn what_is_no_manifest_of_the_month_is_refused() {
        let text = String::from_utf8(Manifest::new(month(), &[part(1)]).encode().unwrap()).unwrap();

        assert!(Manifest::decode(month().next(), text.as_bytes()).is_err(), "it is of another month");
        for (from, to) in [("v1", "v2"), ("part-1", "../part-1"), ("{", ""), ("bytes", "size")] {
            assert!(Manifest::decode(month(), text.replace(from, to).as_bytes()).is_err(), "{to}");
        }
    }
}

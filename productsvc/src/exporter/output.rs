//! Where an export is written: a file that appears when it is whole, or standard output.

use std::io::{Result, Write};
use std::path::Path;

use mesh::cell::guarded;
use mesh::from_timestamp;
use prost_types::Timestamp;
use proto::products::Product;

use crate::unfinished::Unfinished;

/// Tells Excel that the file is UTF-8; an import skips it.
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// The first three are what an import takes; it ignores the others.
const COLUMNS: [&str; 7] = ["name", "category", "sku", "id", "version", "create_time", "update_time"];

/// Rows on their way out.
pub(super) struct Output {
    place: Place,
    with_deleted: bool,
}

enum Place {
    Standard,
    File(Unfinished),
}

impl Output {
    /// Begins a file beside `target`, or standard output for `-`, with the titles.
    pub(super) fn create(target: &Path, with_deleted: bool) -> Result<Self> {
        let mut output = if target == Path::new("-") {
            Self { place: Place::Standard, with_deleted }
        } else {
            let mut unfinished = Unfinished::beside(target)?;
            unfinished.file().write_all(BYTE_ORDER_MARK)?;
            Self { place: Place::File(unfinished), with_deleted }
        };
        let deleted = with_deleted.then_some("delete_time");
        output.rows(|rows| rows.write_record(COLUMNS.into_iter().chain(deleted)))?;
        Ok(output)
    }

    /// Writes products, each a whole row.
    pub(super) fn write(&mut self, products: &[Product]) -> Result<()> {
        let with_deleted = self.with_deleted;
        self.rows(|rows| {
            for product in products {
                rows.write_field(&*guarded(&product.name))?;
                rows.write_field(&*guarded(&product.category))?;
                rows.write_field(&*guarded(&product.sku))?;
                rows.write_field(product.id.to_string())?;
                rows.write_field(product.version.to_string())?;
                rows.write_field(moment(product.create_time.as_ref()))?;
                rows.write_field(moment(product.update_time.as_ref()))?;
                if with_deleted {
                    rows.write_field(moment(product.delete_time.as_ref()))?;
                }
                rows.write_record(None::<&[u8]>)?;
            }
            Ok(())
        })
    }

    /// Puts the file where it belongs, once it is on disk.
    pub(super) fn finish(&mut self) -> Result<()> {
        match &mut self.place {
            Place::Standard => std::io::stdout().flush(),
            Place::File(unfinished) => unfinished.finish(),
        }
    }

    /// Makes rows in memory and writes them at once.
    fn rows(&mut self, write: impl FnOnce(&mut csv::Writer<Vec<u8>>) -> csv::Result<()>) -> Result<()> {
        let mut rows = csv::Writer::from_writer(Vec::new());
        write(&mut rows)?;
        let bytes = rows.into_inner().map_err(|error| error.into_error())?;
        match &mut self.place {
            Place::Standard => std::io::stdout().write_all(&bytes),
            Place::File(unfinished) => unfinished.file().write_all(&bytes),
        }
    }
}

fn moment(moment: Option<&Timestamp>) -> String {
    moment.and_then(from_timestamp).map(|moment| moment.to_string()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn product(name: &str) -> Product {
        let time = Some(Timestamp { seconds: 1_700_000_000, nanos: 5000 });
        let (category, sku) = ("=Tools".to_owned(), "A, \"B\"".to_owned());
        Product {
            id: 3,
            name: name.to_owned(),
            category,
            sku,
            version: 2,
            create_time: time,
            update_time: time,
            ..Default::default()
        }
    }

    #[test]
    fn a_file_appears_when_it_is_whole() {
        let folder = tempfile::tempdir().unwrap();
        let target = folder.path().join("all.csv");
        let mut output = Output::create(&target, true).unwrap();
        output.write(&[product("-½\" pipe")]).unwrap();
        assert!(!target.exists());

        output.finish().unwrap();
        drop(output);

        let text = std::fs::read_to_string(&target).unwrap();
        let expected = "\u{feff}name,category,sku,id,version,create_time,update_time,delete_time\n\
            \"'-½\"\" pipe\",'=Tools,\"A, \"\"B\"\"\",3,2,2023-11-14T22:13:20.000005Z,2023-11-14T22:13:20.000005Z,\n";
        assert_eq!(text, expected);
        assert_eq!(folder.path().read_dir().unwrap().count(), 1);
    }

    #[test]
    fn an_export_that_is_given_up_leaves_what_was_there() {
        let folder = tempfile::tempdir().unwrap();
        let target = folder.path().join("all.csv");
        std::fs::write(&target, "old").unwrap();
        let mut output = Output::create(&target, false).unwrap();
        output.write(&[product("Saw")]).unwrap();

        drop(output);

        assert_eq!(std::fs::read_to_string(&target).unwrap(), "old");
        assert_eq!(folder.path().read_dir().unwrap().count(), 1);
        assert!(Output::create(folder.path(), false).is_err());
    }
}

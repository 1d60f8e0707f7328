//! A part: one Parquet file of a month's versions, sorted by product and version.

use bytes::Bytes;
use parquet::errors::Result;
use parquet::file::writer::SerializedFileWriter;
use sha2::{Digest as _, Sha256};

use crate::lake::month::Month;
use crate::lake::table;
use crate::version::Version;

/// What is known of a part that is in the lake.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part {
    /// The month in which its versions ended.
    pub month: Month,
    /// Its number in the month; never given twice.
    pub number: i64,
    /// How many versions it holds.
    pub rows: i64,
    /// How long it is.
    pub bytes: i64,
    /// Of all its bytes, in hexadecimal digits.
    pub sha256: String,
    /// The least product in it.
    pub first_product_id: i64,
    /// The greatest product in it.
    pub last_product_id: i64,
}

impl Part {
    /// Its name in the folder of its month.
    pub fn name(&self) -> String {
        file_name(self.number)
    }
}

/// The name of the part of a number.
pub(super) fn file_name(number: i64) -> String {
    format!("part-{number}.parquet")
}

/// The number of the part of a name; none for other files.
pub(super) fn number(name: &str) -> Option<i64> {
    let number = name.strip_prefix("part-")?.strip_suffix(".parquet")?.parse().ok()?;
    (file_name(number) == name).then_some(number)
}

/// How much is where.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Shape {
    /// Rows of a page: what must be read for one product.
    pub(crate) page_rows: usize,
    /// Rows of a row group: what is in memory while it is written.
    pub(crate) group_rows: usize,
    /// And the bytes of their texts, for rows are of any length.
    pub(crate) group_bytes: usize,
    /// Rows of a part.
    pub(crate) part_rows: usize,
    /// And its bytes: a part is in memory until it is in the lake, and when it is verified.
    pub(crate) part_bytes: usize,
}

impl Shape {
    /// A part has 3 to 6 MiB then, as rows usually are.
    pub(crate) const USUAL: Self = Self {
        page_rows: 1024,
        group_rows: 16 * 1024,
        group_bytes: 8 << 20,
        part_rows: 128 * 1024,
        part_bytes: 16 << 20,
    };
}

/// A part that is being made.
pub(crate) struct PartWriter {
    shape: Shape,
    file: SerializedFileWriter<Vec<u8>>,
    waiting: Vec<Version>,
    waiting_bytes: usize,
    rows: usize,
    products: Option<(i64, i64)>,
}

/// A part that is made, and not in the lake yet.
#[derive(Debug, Clone)]
pub(crate) struct Made {
    pub(crate) bytes: Bytes,
    pub(crate) rows: i64,
    pub(crate) first_product_id: i64,
    pub(crate) last_product_id: i64,
}

impl PartWriter {
    pub(crate) fn new(shape: Shape) -> Result<Self> {
        let file = SerializedFileWriter::new(Vec::new(), table::schema()?, table::properties(shape.page_rows)?)?;
        Ok(Self { shape, file, waiting: Vec::new(), waiting_bytes: 0, rows: 0, products: None })
    }

    /// Adds the next version in the order of products and versions.
    pub(crate) fn add(&mut self, version: Version) -> Result<()> {
        let (product, author) = (&version.product, &version.origin.author);
        let (first, _) = self.products.unwrap_or((product.id, product.id));
        self.products = Some((first, product.id));
        self.waiting_bytes += product.name.len() + product.category.len() + product.sku.len();
        self.waiting_bytes += author.name.len() + author.call_id.len();
        self.rows += 1;
        self.waiting.push(version);
        if self.waiting.len() >= self.shape.group_rows || self.waiting_bytes >= self.shape.group_bytes {
            self.flush()?;
        }
        Ok(())
    }

    /// Whether the next version belongs to another part.
    pub(crate) fn is_full(&self) -> bool {
        self.rows >= self.shape.part_rows || self.file.bytes_written() >= self.shape.part_bytes
    }

    /// Ends it; none when it is empty.
    pub(crate) fn finish(mut self) -> Result<Option<Made>> {
        let Some((first_product_id, last_product_id)) = self.products else { return Ok(None) };
        self.flush()?;
        let bytes = Bytes::from(self.file.into_inner()?);
        Ok(Some(Made { bytes, rows: self.rows as i64, first_product_id, last_product_id }))
    }

    fn flush(&mut self) -> Result<()> {
        if !self.waiting.is_empty() {
            table::write(&mut self.file, &self.waiting)?;
            self.waiting.clear();
            self.waiting_bytes = 0;
        }
        Ok(())
    }
}

impl Made {
    /// What is known of it once it has a number.
    pub(crate) fn part(&self, month: Month, number: i64) -> Part {
        Part {
            month,
            number,
            rows: self.rows,
            bytes: self.bytes.len() as i64,
            sha256: sha256(&self.bytes),
            first_product_id: self.first_product_id,
            last_product_id: self.last_product_id,
        }
    }
}

/// The checksum of these bytes, in hexadecimal digits.
pub(super) fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_has_its_number() {
        assert_eq!(number(&file_name(12)), Some(12));
        for name in ["part-012.parquet", "part-.parquet", "part-1.parquet.tmp", "_manifest.json", "part-x.parquet"] {
            assert_eq!(number(name), None, "{name}");
        }
    }
}

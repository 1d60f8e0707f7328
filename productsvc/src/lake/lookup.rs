//! The versions of one product in a part, found by reading little of it.
//!
//! The footer tells which row groups may hold the product, and which pages of them; only
//! those are asked for.

use std::ops::Range;
use std::sync::Arc;

use bytes::{Buf as _, Bytes};
use parquet::errors::{ParquetError, Result};
use parquet::file::metadata::{PageIndexPolicy, ParquetMetaData, ParquetMetaDataReader, RowGroupMetaData};
use parquet::file::page_index::column_index::ColumnIndexMetaData;
use parquet::file::page_index::offset_index::PageLocation;
use parquet::file::properties::ReaderProperties;
use parquet::file::reader::{ChunkReader, Length};
use parquet::file::serialized_reader::SerializedRowGroupReader;
use parquet::file::statistics::Statistics;

use crate::lake::table::{self, PRODUCT_ID};
use crate::version::Version;

/// What is read of the end first: footers are shorter.
pub(super) const FOOTER: u64 = 128 * 1024;

/// What a footer says, or how much of the end is needed to know.
pub(super) enum Footer {
    Read(ParquetMetaData),
    Needs(u64),
}

/// Reads the footer from the last bytes of a file of this length.
pub(super) fn footer(end: &Bytes, length: u64) -> Result<Footer> {
    let mut reader = ParquetMetaDataReader::new().with_page_index_policy(PageIndexPolicy::Optional);
    match reader.try_parse_sized(end, length) {
        Ok(()) => reader.finish().map(Footer::Read),
        Err(ParquetError::NeedMoreData(needed)) => Ok(Footer::Needs(needed as u64)),
        Err(error) => Err(error),
    }
}

/// Rows of a row group that may be of a product, and where they are in the file.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Place {
    group: usize,
    rows: Range<usize>,
    /// For each column: its dictionary if it has one, and its pages.
    pub(super) bytes: Vec<Range<u64>>,
}

/// Where a product may be.
pub(super) fn places(metadata: &ParquetMetaData, product_id: i64) -> Result<Vec<Place>> {
    let mut places = Vec::new();
    for (group, of_group) in metadata.row_groups().iter().enumerate() {
        if !may_hold(of_group, product_id) {
            continue;
        }
        let Some(rows) = rows(metadata, group, product_id)? else { continue };
        let index = metadata.page_index_for_row_group(group);
        let mut bytes = Vec::new();
        for (number, column) in of_group.columns().iter().enumerate() {
            let (start, length) = column.byte_range();
            let Some(pages) = index.page_locations(number).filter(|pages| !pages.is_empty()) else {
                bytes.push(start..start + length);
                continue;
            };
            let first = offset(&pages[0])?;
            if first > start {
                bytes.push(start..first);
            }
            for (page, of_page) in pages.iter().zip(page_rows(pages, of_group)?) {
                if of_page.start < rows.end && rows.start < of_page.end {
                    let from = offset(page)?;
                    bytes.push(from..from + u64::try_from(page.compressed_page_size)?);
                }
            }
        }
        places.push(Place { group, rows, bytes });
    }
    Ok(places)
}

/// Reads the versions of a product at a place of which these pieces are here.
pub(super) fn read(
    metadata: &ParquetMetaData,
    place: &Place,
    pieces: Vec<Bytes>,
    product_id: i64,
) -> Result<Vec<Version>> {
    let starts = place.bytes.iter().map(|range| range.start);
    let pieces = Pieces { pieces: starts.zip(pieces).collect() };
    let group = SerializedRowGroupReader::new(
        Arc::new(pieces),
        metadata.row_group(place.group),
        metadata.page_index_for_row_group(place.group),
        Arc::new(ReaderProperties::builder().build()),
    )?;
    let mut versions = table::read(&group, &place.rows)?;
    versions.retain(|version| version.product.id == product_id);
    Ok(versions)
}

fn may_hold(group: &RowGroupMetaData, product_id: i64) -> bool {
    match group.column(PRODUCT_ID).statistics() {
        Some(Statistics::Int64(products)) => {
            let above = products.min_opt().is_some_and(|least| *least > product_id);
            let below = products.max_opt().is_some_and(|greatest| *greatest < product_id);
            !above && !below
        }
        _ => true,
    }
}

/// The rows of the pages that may hold a product; none when no page does.
fn rows(metadata: &ParquetMetaData, group: usize, product_id: i64) -> Result<Option<Range<usize>>> {
    let of_group = metadata.row_group(group);
    let index = metadata.page_index_for_row_group(group);
    let (Some(ColumnIndexMetaData::INT64(products)), Some(pages)) =
        (index.column_index(PRODUCT_ID), index.page_locations(PRODUCT_ID))
    else {
        return Ok(Some(0..usize::try_from(of_group.num_rows())?));
    };
    let bounds = products.min_values_iter().zip(products.max_values_iter());
    let mut found: Option<Range<usize>> = None;
    for ((least, greatest), rows) in bounds.zip(page_rows(pages, of_group)?) {
        let above = least.is_some_and(|least| *least > product_id);
        let below = greatest.is_some_and(|greatest| *greatest < product_id);
        if !above && !below {
            // Sorted by product, so those pages stand together.
            found = Some(found.map_or(rows.start, |found| found.start)..rows.end);
        }
    }
    Ok(found)
}

/// The rows of each page.
fn page_rows(pages: &[PageLocation], group: &RowGroupMetaData) -> Result<Vec<Range<usize>>> {
    let mut starts = Vec::with_capacity(pages.len() + 1);
    for page in pages {
        starts.push(usize::try_from(page.first_row_index)?);
    }
    starts.push(usize::try_from(group.num_rows())?);
    Ok(starts.windows(2).map(|pair| pair[0]..pair[1]).collect())
}

fn offset(page: &PageLocation) -> Result<u64> {
    Ok(u64::try_from(page.offset)?)
}

/// A file of which only these pieces are here.
struct Pieces {
    pieces: Vec<(u64, Bytes)>,
}

impl Pieces {
    fn from(&self, start: u64) -> Result<Bytes> {
        let holds = |(first, piece): &&(u64, Bytes)| *first <= start && start - first < piece.len() as u64;
        let (first, piece) = self.pieces.iter().find(holds).ok_or_else(missing)?;
        Ok(piece.slice(usize::try_from(start - first)?..))
    }
}

impl Length for Pieces {
    fn len(&self) -> u64 {
        self.pieces.iter().map(|(start, piece)| start + piece.len() as u64).max().unwrap_or_default()
    }
}

impl ChunkReader for Pieces {
    type T = bytes::buf::Reader<Bytes>;

    fn get_read(&self, start: u64) -> Result<Self::T> {
        Ok(self.from(start)?.reader())
    }

    fn get_bytes(&self, start: u64, length: usize) -> Result<Bytes> {
        let piece = self.from(start)?;
        if piece.len() < length { Err(missing()) } else { Ok(piece.slice(..length)) }
    }
}

fn missing() -> ParquetError {
    ParquetError::General("a page is not where the footer says".to_owned())
}

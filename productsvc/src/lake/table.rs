//! Versions as the columns of a Parquet table, and back.

use std::ops::Range;
use std::sync::Arc;

use jiff::Timestamp;
use parquet::basic::{Compression, Encoding, ZstdLevel};
use parquet::column::reader::get_typed_column_reader;
use parquet::data_type::{ByteArray, ByteArrayType, Int64Type};
use parquet::errors::{ParquetError, Result};
use parquet::file::metadata::SortingColumn;
use parquet::file::properties::{EnabledStatistics, WriterProperties};
use parquet::file::reader::RowGroupReader;
use parquet::file::writer::{SerializedFileWriter, SerializedRowGroupWriter};
use parquet::schema::parser::parse_message_type;
use parquet::schema::types::{ColumnPath, TypePtr};

use crate::product::Product;
use crate::version::{Author, Kind, Origin, Version};

/// What any SQL engine sees. Columns are only ever added, at the end, and optional.
const SCHEMA: &str = "message product_version {
    REQUIRED INT64 product_id;
    REQUIRED INT64 version;
    REQUIRED BYTE_ARRAY name (STRING);
    REQUIRED BYTE_ARRAY category (STRING);
    REQUIRED BYTE_ARRAY sku (STRING);
    REQUIRED INT64 create_time (TIMESTAMP(MICROS,true));
    REQUIRED INT64 update_time (TIMESTAMP(MICROS,true));
    OPTIONAL INT64 delete_time (TIMESTAMP(MICROS,true));
    REQUIRED INT64 end_time (TIMESTAMP(MICROS,true));
    REQUIRED BYTE_ARRAY change_kind (STRING);
    REQUIRED BYTE_ARRAY actor (STRING);
    REQUIRED BYTE_ARRAY request_id (STRING);
}";

/// The columns by their place in the schema.
pub(super) const PRODUCT_ID: usize = 0;
const VERSION: usize = 1;
const NAME: usize = 2;
const CATEGORY: usize = 3;
const SKU: usize = 4;
const CREATE_TIME: usize = 5;
const UPDATE_TIME: usize = 6;
const DELETE_TIME: usize = 7;
const END_TIME: usize = 8;
const CHANGE_KIND: usize = 9;
const ACTOR: usize = 10;
const REQUEST_ID: usize = 11;

/// The contract's words, without their prefix.
const KINDS: [(Kind, &str); 9] = [
    (Kind::Unknown, "UNSPECIFIED"),
    (Kind::Created, "CREATED"),
    (Kind::Updated, "UPDATED"),
    (Kind::Deleted, "DELETED"),
    (Kind::Undeleted, "UNDELETED"),
    (Kind::Restored, "RESTORED"),
    (Kind::Imported, "IMPORTED"),
    (Kind::Purged, "PURGED"),
    (Kind::Undone, "UNDONE"),
];

/// The schema.
pub(super) fn schema() -> Result<TypePtr> {
    parse_message_type(SCHEMA).map(Arc::new)
}

/// How parts are written: pages of so many rows, each with its least and greatest product.
pub(super) fn properties(page_rows: usize) -> Result<Arc<WriterProperties>> {
    let column = |name: &str| ColumnPath::from(name);
    let sorted = |column_idx| SortingColumn { column_idx, descending: false, nulls_first: false };
    let mut properties = WriterProperties::builder()
        .set_created_by(concat!("rundoo productsvc ", env!("CARGO_PKG_VERSION")).to_owned())
        .set_compression(Compression::ZSTD(ZstdLevel::try_new(3)?))
        .set_sorting_columns(Some(vec![sorted(PRODUCT_ID as i32), sorted(VERSION as i32)]))
        // A page ends only between two batches.
        .set_write_batch_size(page_rows)
        .set_data_page_row_count_limit(page_rows)
        .set_max_row_group_row_count(None)
        // Nobody looks for texts by their first letters: they would only make footers long.
        .set_statistics_enabled(EnabledStatistics::None);
    for name in ["product_id", "version", "create_time", "update_time", "delete_time", "end_time"] {
        properties = properties
            .set_column_statistics_enabled(column(name), EnabledStatistics::Page)
            .set_column_dictionary_enabled(column(name), false)
            .set_column_encoding(column(name), Encoding::DELTA_BINARY_PACKED);
    }
    // Names and SKUs seldom repeat: a dictionary of them would have to be read for one row.
    for name in ["name", "sku", "request_id"] {
        properties = properties.set_column_dictionary_enabled(column(name), false);
    }
    Ok(Arc::new(properties.build()))
}

/// Writes versions, all of which others followed, as one row group.
pub(super) fn write(file: &mut SerializedFileWriter<Vec<u8>>, rows: &[Version]) -> Result<()> {
    let mut group = file.next_row_group()?;
    let numbers = |of: fn(&Version) -> i64| rows.iter().map(of).collect::<Vec<i64>>();
    let texts = |of: fn(&Version) -> &str| rows.iter().map(|row| ByteArray::from(of(row))).collect::<Vec<_>>();
    // In the order of the schema.
    write_numbers(&mut group, &numbers(|row| row.product.id))?;
    write_numbers(&mut group, &numbers(|row| row.product.version))?;
    write_texts(&mut group, &texts(|row| &row.product.name))?;
    write_texts(&mut group, &texts(|row| &row.product.category))?;
    write_texts(&mut group, &texts(|row| &row.product.sku))?;
    write_numbers(&mut group, &numbers(|row| row.product.create_time.as_microsecond()))?;
    write_numbers(&mut group, &numbers(|row| row.product.update_time.as_microsecond()))?;
    write_moments(&mut group, rows.iter().map(|row| row.product.delete_time))?;
    write_numbers(&mut group, &numbers(|row| row.end_time.map_or(0, Timestamp::as_microsecond)))?;
    write_texts(&mut group, &texts(|row| word(row.origin.kind)))?;
    write_texts(&mut group, &texts(|row| &row.origin.author.name))?;
    write_texts(&mut group, &texts(|row| &row.origin.author.call_id))?;
    group.close().map(drop)
}

/// Reads some rows of a row group.
pub(super) fn read(group: &dyn RowGroupReader, rows: &Range<usize>) -> Result<Vec<Version>> {
    let [ids, versions, create_times, update_times, end_times] =
        [PRODUCT_ID, VERSION, CREATE_TIME, UPDATE_TIME, END_TIME].map(|column| read_numbers(group, column, rows));
    let (ids, versions, end_times) = (ids?, versions?, end_times?);
    let (create_times, update_times) = (create_times?, update_times?);
    let delete_times = read_moments(group, DELETE_TIME, rows)?;
    let [names, categories, skus] = [NAME, CATEGORY, SKU].map(|column| read_texts(group, column, rows));
    let [kinds, actors, requests] = [CHANGE_KIND, ACTOR, REQUEST_ID].map(|column| read_texts(group, column, rows));
    let mut texts = names?.into_iter().zip(categories?).zip(skus?).zip(kinds?).zip(actors?).zip(requests?);

    let mut read = Vec::with_capacity(ids.len());
    for row in 0..ids.len() {
        let Some((((((name, category), sku), kind), actor), call_id)) = texts.next() else { return Err(short()) };
        let product = Product {
            id: ids[row],
            name,
            category,
            sku,
            version: versions[row],
            create_time: moment(create_times[row])?,
            update_time: moment(update_times[row])?,
            delete_time: delete_times[row].map(moment).transpose()?,
        };
        let origin = Origin { kind: kind_of(&kind), author: Author { name: actor, call_id, person: false } };
        read.push(Version { product, origin, end_time: Some(moment(end_times[row])?) });
    }
    Ok(read)
}

type Group<'a> = SerializedRowGroupWriter<'a, Vec<u8>>;

fn write_numbers(group: &mut Group<'_>, values: &[i64]) -> Result<()> {
    let mut column = group.next_column()?.ok_or_else(short)?;
    column.typed::<Int64Type>().write_batch(values, None, None)?;
    column.close()
}

fn write_texts(group: &mut Group<'_>, values: &[ByteArray]) -> Result<()> {
    let mut column = group.next_column()?.ok_or_else(short)?;
    column.typed::<ByteArrayType>().write_batch(values, None, None)?;
    column.close()
}

fn write_moments(group: &mut Group<'_>, values: impl Iterator<Item = Option<Timestamp>>) -> Result<()> {
    let values: Vec<Option<i64>> = values.map(|value| value.map(Timestamp::as_microsecond)).collect();
    let present: Vec<i16> = values.iter().map(|value| i16::from(value.is_some())).collect();
    let values: Vec<i64> = values.into_iter().flatten().collect();
    let mut column = group.next_column()?.ok_or_else(short)?;
    column.typed::<Int64Type>().write_batch(&values, Some(&present), None)?;
    column.close()
}

fn read_numbers(group: &dyn RowGroupReader, column: usize, rows: &Range<usize>) -> Result<Vec<i64>> {
    let mut reader = get_typed_column_reader::<Int64Type>(group.get_column_reader(column)?);
    reader.skip_records(rows.start)?;
    let mut values = Vec::with_capacity(rows.len());
    reader.read_records(rows.len(), None, None, &mut values)?;
    if values.len() == rows.len() { Ok(values) } else { Err(short()) }
}

fn read_texts(group: &dyn RowGroupReader, column: usize, rows: &Range<usize>) -> Result<Vec<String>> {
    let mut reader = get_typed_column_reader::<ByteArrayType>(group.get_column_reader(column)?);
    reader.skip_records(rows.start)?;
    let mut values = Vec::with_capacity(rows.len());
    reader.read_records(rows.len(), None, None, &mut values)?;
    if values.len() != rows.len() {
        return Err(short());
    }
    values.iter().map(|value| Ok(value.as_utf8()?.to_owned())).collect()
}

fn read_moments(group: &dyn RowGroupReader, column: usize, rows: &Range<usize>) -> Result<Vec<Option<i64>>> {
    let mut reader = get_typed_column_reader::<Int64Type>(group.get_column_reader(column)?);
    reader.skip_records(rows.start)?;
    let (mut present, mut values) = (Vec::with_capacity(rows.len()), Vec::new());
    reader.read_records(rows.len(), Some(&mut present), None, &mut values)?;
    let mut values = values.into_iter();
    let moments: Vec<Option<i64>> =
        present.into_iter().map(|level| if level > 0 { values.next() } else { None }).collect();
    if moments.len() == rows.len() { Ok(moments) } else { Err(short()) }
}

fn word(kind: Kind) -> &'static str {
    KINDS.into_iter().find(|(known, _)| *known == kind).map_or("UNSPECIFIED", |(_, word)| word)
}

fn kind_of(word: &str) -> Kind {
    KINDS.into_iter().find(|(_, known)| *known == word).map_or(Kind::Unknown, |(kind, _)| kind)
}

fn moment(micros: i64) -> Result<Timestamp> {
    Timestamp::from_microsecond(micros).map_err(|error| ParquetError::General(error.to_string()))
}

fn short() -> ParquetError {
    ParquetError::General("a column has fewer values than the table has rows".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_has_a_word_of_its_own() {
        for code in 0..8 {
            let kind = Kind::parse(code);
            assert_eq!(kind_of(word(kind)), kind);
        }
        assert_eq!(kind_of("LATER"), Kind::Unknown);
    }
}

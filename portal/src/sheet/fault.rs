//! Why a file is no table of products, as sentences that say what to do about it.

use crate::sheet::records::{LONGEST_FIELD, LONGEST_RECORD, MOST_COLUMNS};

/// What is wrong with a file.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Fault {
    #[error("The file is empty. It needs a first line with the columns name, category and sku.")]
    Empty,
    #[error("This is {0}, not a CSV file. In a spreadsheet, save it as “CSV UTF-8” and choose that file.")]
    Foreign(&'static str),
    #[error(
        "Line {line} is not {encoding}. Save the file as “CSV UTF-8”; or, when a spreadsheet saved it as plain CSV, \
         choose Windows-1252 as its encoding."
    )]
    Undecodable { line: u64, encoding: &'static str },
    #[error("The first line has no column {missing}. It has {has}.")]
    MissingColumn { missing: &'static str, has: String },
    #[error("The first line has the column {column} twice.")]
    DoubleColumn { column: &'static str },
    #[error("The first line is longer than {} KiB. It should name the columns.", LONGEST_FIELD / 1024)]
    LongHeader,
    #[error(
        "Line {line} has {has} columns, the first line has {expected}. Put text with a separator in it between quotes."
    )]
    ManyColumns { line: u64, has: usize, expected: usize },
    #[error("Line {line} has more than {MOST_COLUMNS} columns.")]
    TooManyColumns { line: u64 },
    #[error("A text on line {line} is longer than {} KiB. Is there a quote that is never closed?", LONGEST_FIELD / 1024)]
    LongField { line: u64 },
    #[error(
        "The row on line {line} is longer than {} KiB. Is there a quote that is never closed?",
        LONGEST_RECORD / 1024
    )]
    LongRecord { line: u64 },
    #[error("The row on line {line} has a quote that is never closed.")]
    OpenQuote { line: u64 },
}

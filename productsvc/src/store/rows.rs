//! Rows of products, and lists of bound values that make few different statements.
//!
//! A prepared statement is kept by its text. Lists of any length would make a text
//! each, so that they are cut into pieces whose length is a power of two.

use sqlx::FromRow;

use crate::ledger::Present;
use crate::product::Product;
use crate::store::from_micros;
use crate::version::{Author, Kind, Origin, Version};

/// The longest list of a statement. PostgreSQL takes 65,535 values, SQLite 32,766.
const LONGEST: usize = 256;

/// The slices of a list, each as long as a power of two.
pub(super) fn slices<T>(mut list: &[T]) -> impl Iterator<Item = &[T]> {
    std::iter::from_fn(move || {
        let length = LONGEST.min(1 << list.len().checked_ilog2()?);
        let (slice, rest) = list.split_at(length);
        list = rest;
        Some(slice)
    })
}

/// Pieces of a list to look for, each filled up to a power of two with what it ends with.
pub(super) fn padded<T: Clone>(list: &[T]) -> impl Iterator<Item = Vec<T>> {
    list.chunks(LONGEST).map(|piece| {
        let mut piece = piece.to_vec();
        if let Some(last) = piece.last().cloned() {
            piece.resize(piece.len().next_power_of_two(), last);
        }
        piece
    })
}

/// The columns of a [`ProductRow`].
macro_rules! product_columns {
    () => {
        "id, name, category, sku, version, create_time, update_time, delete_time"
    };
}
pub(super) use product_columns;

// Its columns in their order are also the values of a JSON array.
#[derive(FromRow, serde::Deserialize)]
pub(super) struct ProductRow {
    pub(super) id: i64,
    name: String,
    category: String,
    sku: String,
    version: i64,
    create_time: i64,
    update_time: i64,
    delete_time: Option<i64>,
}

impl ProductRow {
    /// What stands before a statement of rows, with `)` behind it, so that SQLite answers all of them as one value.
    /// Their order is kept, for the statement has a limit.
    pub(super) const WHOLE: &str = concat!("SELECT json_group_array(json_array(", product_columns!(), ")) FROM (");

    /// Reads what such a statement answers.
    pub(super) fn read_whole(page: &str) -> Result<Vec<ProductRow>, sqlx::Error> {
        serde_json::from_str(page).map_err(|cause| sqlx::Error::Decode(cause.into()))
    }
}

impl From<ProductRow> for Product {
    fn from(row: ProductRow) -> Self {
        Self {
            id: row.id,
            name: row.name,
            category: row.category,
            sku: row.sku,
            version: row.version,
            create_time: from_micros(row.create_time),
            update_time: from_micros(row.update_time),
            delete_time: row.delete_time.map(from_micros),
        }
    }
}

/// What made a version, in the database's words.
#[derive(FromRow)]
pub(super) struct OriginRow {
    change_kind: i64,
    actor: String,
    call_id: String,
}

impl From<OriginRow> for Origin {
    fn from(row: OriginRow) -> Self {
        Self {
            kind: Kind::parse(row.change_kind),
            author: Author { name: row.actor, call_id: row.call_id, person: false },
        }
    }
}

/// A product with what made it so.
#[derive(FromRow)]
pub(super) struct PresentRow {
    #[sqlx(flatten)]
    product: ProductRow,
    #[sqlx(flatten)]
    origin: OriginRow,
}

impl From<PresentRow> for Present {
    fn from(row: PresentRow) -> Self {
        Self { product: row.product.into(), origin: row.origin.into() }
    }
}

/// A version that another one followed.
#[derive(FromRow)]
pub(super) struct VersionRow {
    #[sqlx(flatten)]
    present: PresentRow,
    end_time: i64,
}

impl From<VersionRow> for Version {
    fn from(row: VersionRow) -> Self {
        let Present { product, origin } = row.present.into();
        Self { product, origin, end_time: Some(from_micros(row.end_time)) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slices_are_powers_of_two_and_make_the_whole() {
        for length in [0, 1, 2, 3, 37, 256, 257, 1_000] {
            let list: Vec<usize> = (0..length).collect();

            let lengths: Vec<usize> = slices(&list).map(<[usize]>::len).collect();

            assert!(lengths.iter().all(|length| length.is_power_of_two() && *length <= LONGEST), "{lengths:?}");
            assert_eq!(slices(&list).flatten().copied().collect::<Vec<_>>(), list);
        }
    }

    #[test]
    fn lists_to_look_for_are_filled_with_what_they_hold() {
        assert_eq!(padded(&[1, 2, 3]).collect::<Vec<_>>(), [vec![1, 2, 3, 3]]);
        assert_eq!(padded::<i64>(&[]).count(), 0);
        assert_eq!(padded(&[7; 300]).map(|piece| piece.len()).collect::<Vec<_>>(), [256, 64]);
    }
}

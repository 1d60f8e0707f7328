//! The statements that read products.

use crate::product::Product;
use crate::store::connection::{Connection, Work, on_either};
use crate::store::failure::Failure;
use crate::store::rows::{ProductRow, product_columns};

/// One product, also when it is deleted.
pub(super) struct Find {
    pub(super) id: i64,
}

impl Work for Find {
    type Answer = Option<Product>;

    async fn run(&self, on: &mut Connection<'_>) -> Result<Option<Product>, Failure> {
        const FIND: &str = concat!("SELECT ", product_columns!(), " FROM products WHERE id = $1");

        let row: Option<ProductRow> = on_either!(on, |c| sqlx::query_as(FIND).bind(self.id).fetch_optional(c).await?);
        Ok(row.map(Product::from))
    }
}

/// The product that has a SKU and is not deleted.
pub(super) struct FindBySku<'a> {
    pub(super) sku_key: &'a str,
}

impl Work for FindBySku<'_> {
    type Answer = Option<Product>;

    async fn run(&self, on: &mut Connection<'_>) -> Result<Option<Product>, Failure> {
        const FIND: &str =
            concat!("SELECT ", product_columns!(), " FROM products WHERE sku_key = $1 AND delete_time IS NULL");

        let row: Option<ProductRow> =
            on_either!(on, |c| sqlx::query_as(FIND).bind(self.sku_key).fetch_optional(c).await?);
        Ok(row.map(Product::from))
    }
}

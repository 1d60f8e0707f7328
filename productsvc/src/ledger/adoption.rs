//! Products that come from elsewhere, with what they are already.

use crate::ledger::{Ledger, Present};
use crate::product::Product;
use crate::version::{Author, Kind, Origin};

impl Ledger {
    /// Takes a product from elsewhere as it is: what it was before, the history does not know.
    pub fn adopt(&mut self, product: Product) {
        self.clock.last_id = self.clock.last_id.max(product.id);
        self.clock.live_products += i64::from(product.delete_time.is_none());
        self.touch(product.id, None);
        let origin = Origin { kind: Kind::Unknown, author: Author::default() };
        self.load(Present { product, origin });
    }

    /// Deletes what was adopted, since another product has its SKU.
    pub fn part(&mut self, id: i64, author: &Author) {
        let Some(product) = self.products.get(&id).map(|present| present.product.clone()) else { return };
        let origin = Origin { kind: Kind::Deleted, author: author.clone() };
        self.replace(Product { delete_time: Some(self.now), ..product }, origin);
    }

    /// Gives what was adopted another SKU, since another product has its own.
    pub fn rename_sku(&mut self, id: i64, sku: String, author: &Author) {
        let Some(product) = self.products.get(&id).map(|present| present.product.clone()) else { return };
        let origin = Origin { kind: Kind::Updated, author: author.clone() };
        self.replace(Product { sku, ..product }, origin);
    }
}

//! The whole catalogue of a system, read page by page.

use std::collections::BTreeMap;

use proto::products::{ListProductsRequest, Product};

use crate::System;

/// Every product by its SKU; fails when one is listed twice.
pub async fn read(system: &System) -> anyhow::Result<BTreeMap<String, Product>> {
    let mut all = BTreeMap::new();
    let mut request = ListProductsRequest { page_size: 1000, ..Default::default() };
    loop {
        let page = system.products().list_products(request.clone()).await?.into_inner();
        for product in page.products {
            if let Some(other) = all.insert(product.sku.clone(), product) {
                anyhow::bail!("{} is there twice", other.sku);
            }
        }
        if page.next_page_token.is_empty() {
            return Ok(all);
        }
        request.page_token = page.next_page_token;
    }
}

//! Products as JSON, in the canonical form that protocol buffers have there.

use std::sync::LazyLock;

use prost_reflect::MessageDescriptor;
use proto::products::Product as Record;

use crate::contract;

static PRODUCT: LazyLock<MessageDescriptor> =
    LazyLock::new(|| contract::message("rundoo.products.v1.Product").expect("there are products"));

/// Adds a product: ids as strings, times as RFC 3339.
pub(crate) fn write(product: &Record, into: &mut String) {
    let message = contract::dynamic(PRODUCT.clone(), product);
    into.push_str(&serde_json::to_string(&message).expect("a product is always JSON"));
}

//! Products as JSON, in the canonical form that protocol buffers have there.

use std::sync::LazyLock;

use prost::Message as _;
use prost_reflect::{DescriptorPool, DynamicMessage, MessageDescriptor};
use proto::products::Product as Record;

static PRODUCT: LazyLock<MessageDescriptor> = LazyLock::new(|| {
    let pool = DescriptorPool::decode(proto::products::DESCRIPTORS).expect("our own descriptors can be read");
    pool.get_message_by_name("rundoo.products.v1.Product").expect("there are products")
});

/// Adds a product: ids as strings, times as RFC 3339.
pub(crate) fn write(product: &Record, into: &mut String) {
    let message = DynamicMessage::decode(PRODUCT.clone(), product.encode_to_vec().as_slice());
    let message = message.expect("a product is a message of its own kind");
    into.push_str(&serde_json::to_string(&message).expect("a product is always JSON"));
}

//! Messages by their descriptors, read once: for what is written as JSON, whatever it is.

use std::sync::LazyLock;

use prost::Message;
use prost_reflect::{DescriptorPool, DynamicMessage, MessageDescriptor};

use crate::gateway::descriptors;

/// Services and the contracts that they were built with, by their names in the mesh.
pub(crate) const BUILT_IN: [(&str, &[u8]); 3] = [
    ("logsvc", proto::logs::DESCRIPTORS),
    ("productsvc", proto::products::DESCRIPTORS),
    ("registry", proto::registry::DESCRIPTORS),
];

/// The contracts of all that the portal asks.
static POOL: LazyLock<DescriptorPool> = LazyLock::new(|| {
    let mut pool = DescriptorPool::new();
    for set in
        [proto::logs::DESCRIPTORS, proto::mesh::DESCRIPTORS, proto::products::DESCRIPTORS, proto::registry::DESCRIPTORS]
    {
        descriptors::add(&mut pool, set).expect("our own descriptors can be read");
    }
    pool
});

/// The request of a method, as in `rundoo.products.v1.ProductService/GetProduct`.
pub(crate) fn request(method: &str) -> Option<MessageDescriptor> {
    let (service, name) = method.split_once('/')?;
    let service = POOL.get_service_by_name(service)?;
    service.methods().find(|method| method.name() == name).map(|method| method.input())
}

/// All services of all contracts.
#[cfg(test)]
pub(crate) fn services() -> impl Iterator<Item = prost_reflect::ServiceDescriptor> {
    POOL.services()
}

/// A message by its full name.
pub(crate) fn message(name: &str) -> Option<MessageDescriptor> {
    POOL.get_message_by_name(name)
}

/// The same message, of this kind.
pub(crate) fn dynamic(kind: MessageDescriptor, message: &impl Message) -> DynamicMessage {
    let mut dynamic = DynamicMessage::new(kind);
    dynamic.transcode_from(message).expect("it is a message of this kind");
    dynamic
}

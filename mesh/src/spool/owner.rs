//! Whose records a folder of the spool holds.

use prost::Message;

use crate::identity::Identity;

/// Who logged what is in a folder.
#[derive(Clone, PartialEq, Eq, Message)]
pub(crate) struct Owner {
    #[prost(string, tag = "1")]
    pub(crate) service: String,
    #[prost(string, tag = "2")]
    pub(crate) instance: String,
    #[prost(string, tag = "3")]
    pub(crate) producer: String,
    #[prost(uint64, tag = "4")]
    pub(crate) incarnation: u64,
    #[prost(string, tag = "5")]
    pub(crate) version: String,
}

impl Owner {
    /// This process. Its instance names the producer; should chance give one twice, the incarnation tells them apart.
    pub(crate) fn of(identity: &Identity) -> Self {
        Self {
            service: identity.service().to_owned(),
            instance: identity.instance().to_owned(),
            producer: identity.instance().to_owned(),
            incarnation: identity.incarnation(),
            version: identity.version().to_owned(),
        }
    }
}

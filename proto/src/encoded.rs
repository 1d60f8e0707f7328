//! Messages that were encoded once, for a server that sends the same to many.

use std::marker::PhantomData;

use prost::bytes::{Buf, BufMut, Bytes};
use prost::encoding::{DecodeContext, WireType, skip_field};
use prost::{DecodeError, Message};

/// The bytes of an `M`, shared by all who send it. Cheap to clone.
///
/// It is written as it is; reading it back is for those who know it as an `M`.
#[derive(Debug)]
pub struct Encoded<M>(Bytes, PhantomData<fn() -> M>);

impl<M: Message> Encoded<M> {
    /// Encodes a message.
    pub fn new(message: &M) -> Self {
        Self(message.encode_to_vec().into(), PhantomData)
    }
}

impl<M> Encoded<M> {
    /// How many bytes it is.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether it is the message with nothing set.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl<M> Clone for Encoded<M> {
    fn clone(&self) -> Self {
        Self(self.0.clone(), PhantomData)
    }
}

impl<M: std::fmt::Debug> Message for Encoded<M> {
    fn encode_raw(&self, buf: &mut impl BufMut) {
        buf.put_slice(&self.0);
    }

    fn merge_field(
        &mut self,
        tag: u32,
        wire_type: WireType,
        buf: &mut impl Buf,
        ctx: DecodeContext,
    ) -> Result<(), DecodeError> {
        skip_field(wire_type, tag, buf, ctx)
    }

    fn encoded_len(&self) -> usize {
        self.0.len()
    }

    fn clear(&mut self) {
        self.0.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bytes_are_those_of_the_message() {
        let message = prost_types::Duration { seconds: 6, nanos: 5 };

        let encoded = Encoded::new(&message);

        assert_eq!(encoded.encode_to_vec(), message.encode_to_vec());
        assert_eq!(encoded.encode_length_delimited_to_vec(), message.encode_length_delimited_to_vec());
    }
}

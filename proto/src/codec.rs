//! Codecs with small buffers that grow when needed.
//!
//! tonic's own begins with 8 KiB to read and 8 KiB to write for each call. That is
//! most of what an idle stream costs, and a good part of what a small call does.

use std::marker::PhantomData;

use prost::Message;
use tonic::codec::BufferSettings;
use tonic_prost::ProstCodec;

/// tonic's own: what is ready beyond this is handed to the connection.
const YIELD_BYTES: usize = 32 * 1024;

/// For calls: most messages fit, and the allocator has pieces of this size at hand.
pub type Codec<T, U> = Buffered<T, U, 512>;

/// For servers with thousands of streams that say little.
pub type FrugalCodec<T, U> = Buffered<T, U, 64>;

/// Encodes and decodes as tonic's own codec does, beginning with so many bytes.
#[derive(Debug)]
pub struct Buffered<T, U, const BYTES: usize>(PhantomData<(T, U)>);

impl<T, U, const BYTES: usize> Default for Buffered<T, U, BYTES> {
    fn default() -> Self {
        Self(PhantomData)
    }
}

impl<T, U, const BYTES: usize> tonic::codec::Codec for Buffered<T, U, BYTES>
where
    T: Message + Send + 'static,
    U: Message + Default + Send + 'static,
{
    type Encode = T;
    type Decode = U;
    type Encoder = <ProstCodec<T, U> as tonic::codec::Codec>::Encoder;
    type Decoder = <ProstCodec<T, U> as tonic::codec::Codec>::Decoder;

    fn encoder(&mut self) -> Self::Encoder {
        ProstCodec::<T, U>::raw_encoder(BufferSettings::new(BYTES, YIELD_BYTES))
    }

    fn decoder(&mut self) -> Self::Decoder {
        ProstCodec::<T, U>::raw_decoder(BufferSettings::new(BYTES, YIELD_BYTES))
    }
}

//! How messages travel in gRPC: protobuf, with small buffers. A connection that waits for mail holds one call open, and the
//! library would keep 8 KiB in hand for each direction of it.

use std::marker::PhantomData;

use tonic::codec::{BufferSettings, Codec};
use tonic_prost::ProstCodec;

/// The codec of all services.
#[derive(Clone, Debug)]
pub struct Lean<T, U>(PhantomData<(T, U)>);

impl<T, U> Default for Lean<T, U> {
    fn default() -> Self {
        Self(PhantomData)
    }
}

impl<T: prost::Message + Send + 'static, U: prost::Message + Default + Send + 'static> Codec for Lean<T, U> {
    type Encode = T;
    type Decode = U;
    type Encoder = <ProstCodec<T, U> as Codec>::Encoder;
    type Decoder = <ProstCodec<T, U> as Codec>::Decoder;

    fn encoder(&mut self) -> Self::Encoder {
        ProstCodec::<T, U>::raw_encoder(settings())
    }

    fn decoder(&mut self) -> Self::Decoder {
        ProstCodec::<T, U>::raw_decoder(settings())
    }
}

fn settings() -> BufferSettings {
    BufferSettings::new(BUFFER_BYTES, YIELD_BYTES)
}

/// Bytes of a buffer when it is made; it grows with what goes through it.
const BUFFER_BYTES: usize = 512;
/// Bytes that may be encoded before the connection is asked to take them.
const YIELD_BYTES: usize = 32 << 10;

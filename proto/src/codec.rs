//! How messages travel in gRPC: protobuf, with small buffers. A connection that waits for mail holds one call open, and the
//! library would keep 8 KiB in hand for each direction of it. What has too many fields for its size is refused before it is decoded.

use std::marker::PhantomData;

use bytes::Buf as _;
use tonic::Status;
use tonic::codec::{BufferSettings, Codec, DecodeBuf, Decoder};
use tonic_prost::{ProstCodec, ProstDecoder};

use crate::fields::{Shaped, fields_max, fits};

/// The codec of all services.
#[derive(Clone, Debug)]
pub struct Lean<T, U>(PhantomData<(T, U)>);

impl<T, U> Default for Lean<T, U> {
    fn default() -> Self {
        Self(PhantomData)
    }
}

impl<T: prost::Message + Send + 'static, U: prost::Message + Shaped + Default + Send + 'static> Codec for Lean<T, U> {
    type Encode = T;
    type Decode = U;
    type Encoder = <ProstCodec<T, U> as Codec>::Encoder;
    type Decoder = Counted<U>;

    fn encoder(&mut self) -> Self::Encoder {
        ProstCodec::<T, U>::raw_encoder(settings())
    }

    fn decoder(&mut self) -> Self::Decoder {
        Counted(ProstCodec::<U, U>::raw_decoder(settings()))
    }
}

/// A decoder that takes only what has no more fields than it may ([`fields_max`]).
#[derive(Debug)]
pub struct Counted<U>(ProstDecoder<U>);

impl<U: prost::Message + Shaped + Default> Decoder for Counted<U> {
    type Item = U;
    type Error = Status;

    fn decode(&mut self, bytes: &mut DecodeBuf<'_>) -> Result<Option<U>, Status> {
        // tonic keeps a message in one piece.
        let (whole, length) = (bytes.chunk(), bytes.remaining());
        if whole.len() < length || !fits::<U>(whole) {
            let most = fields_max(length);
            return Err(Status::out_of_range(format!("a message of {length} bytes has more than {most} fields")));
        }
        self.0.decode(bytes)
    }

    fn buffer_settings(&self) -> BufferSettings {
        self.0.buffer_settings()
    }
}

fn settings() -> BufferSettings {
    BufferSettings::new(BUFFER_BYTES, YIELD_BYTES)
}

/// Bytes of a buffer when it is made; it grows with what goes through it.
const BUFFER_BYTES: usize = 512;
/// Bytes that may be encoded before the connection is asked to take them.
const YIELD_BYTES: usize = 32 << 10;

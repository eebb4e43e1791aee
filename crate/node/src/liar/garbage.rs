//! Answers that mean nothing.

use nimiq_network_interface::request::{Request, RequestCommon, RequestMarker};
use serde::{Deserialize, Serialize, ser::SerializeTuple};

/// Bytes of a short one.
pub(super) const SHORT: usize = 300;

/// Bytes of the largest one that the codec lets through, less some for the frame.
pub(super) const OVERSIZED: usize = 10 * 1024 * 1024 - 16;

/// On the wire the same request, but its response is `LEN` bytes that mean nothing.
#[derive(Debug, Serialize, Deserialize)]
#[serde(transparent, bound = "")]
pub(super) struct Garbled<Req: Request, const LEN: usize>(Req);

impl<Req: Request, const LEN: usize> RequestCommon for Garbled<Req, LEN> {
    type Kind = RequestMarker;
    const TYPE_ID: u16 = Req::TYPE_ID;
    type Response = Garbage<LEN>;
    const MAX_REQUESTS: u32 = Req::MAX_REQUESTS;
}

/// So many bytes that neither are a variant of any enum nor a length that follows.
pub(super) struct Garbage<const LEN: usize>;

impl<const LEN: usize> Serialize for Garbage<LEN> {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut bytes = serializer.serialize_tuple(LEN)?;
        for _ in 0..LEN {
            bytes.serialize_element(&0xff_u8)?;
        }
        bytes.end()
    }
}

impl<'de, const LEN: usize> Deserialize<'de> for Garbage<LEN> {
    fn deserialize<D: serde::Deserializer<'de>>(_: D) -> Result<Self, D::Error> {
        Err(serde::de::Error::custom("garbage can't be read"))
    }
}

//! How many fields a message on the wire may have, counted before it is decoded.
//!
//! A repeated field of two bytes on the wire is 32 to 72 bytes in memory: without a count, two million bytes of empty fields would
//! become a hundred. It knows which fields are messages, and nothing else of them.

/// Fields that any message may have, whatever its size.
const FIELDS_FREE: usize = 1024;
/// Bytes of a message that pay for one more field.
const BYTES_PER_FIELD: usize = 32;
/// Messages within messages that are looked into; prost goes as far, and then refuses.
const DEPTH_MAX: usize = 100;

/// Fields that a message of `bytes` bytes may have, those of the messages within it among them: 1,024, and one for every 32 bytes.
pub const fn fields_max(bytes: usize) -> usize {
    FIELDS_FREE + bytes / BYTES_PER_FIELD
}

/// The fields of one type of message that are messages themselves: their number, and their type's place in [`SHAPES`].
type Shape = &'static [(u32, usize)];

/// A message of the contract.
pub trait Shaped {
    /// Its place in the table of shapes.
    const SHAPE: usize;
}

include!(concat!(env!("OUT_DIR"), "/shapes.rs"));

/// Whether the message `M` in `bytes` has no more fields than it may.
///
/// Says nothing of what is malformed: counting ends where reading does, and the decoder refuses it.
pub fn fits<M: Shaped>(bytes: &[u8]) -> bool {
    let mut left = fields_max(bytes.len());
    count(bytes, M::SHAPE, DEPTH_MAX, &mut left).is_some()
}

/// `None` when there are more fields than are left.
fn count(mut bytes: &[u8], shape: usize, depth: usize, left: &mut usize) -> Option<()> {
    let nested = SHAPES.get(shape).copied().unwrap_or_default();
    while !bytes.is_empty() {
        *left = left.checked_sub(1)?;
        let Some(key) = varint(&mut bytes) else { return Some(()) };
        let skipped = match key & 7 {
            0 => {
                if varint(&mut bytes).is_none() {
                    return Some(());
                }
                continue;
            }
            1 => 8,
            5 => 4,
            2 => {
                let Some(length) = varint(&mut bytes).and_then(|length| usize::try_from(length).ok()) else { return Some(()) };
                let number = u32::try_from(key >> 3).unwrap_or(0);
                let inner = nested.iter().find(|(field, _)| *field == number);
                if let (Some((_, inner)), Some(content), true) = (inner, bytes.get(..length), depth > 0) {
                    count(content, *inner, depth - 1, left)?;
                }
                length
            }
            // A group's start or end: what is in it is counted as if it stood here.
            _ => 0,
        };
        let Some(rest) = bytes.get(skipped..) else { return Some(()) };
        bytes = rest;
    }
    Some(())
}

fn varint(bytes: &mut &[u8]) -> Option<u64> {
    let mut value = 0;
    for shift in 0..10 {
        let (first, rest) = bytes.split_first()?;
        *bytes = rest;
        value |= u64::from(first & 0x7f) << (7 * shift);
        if first & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::v1;
    use prost::Message as _;

    fn submit(wraps: usize, signatures: usize) -> Vec<u8> {
        let signed = v1::SignedHeader { signatures: vec![v1::Signature::default(); signatures], ..Default::default() };
        let submission = v1::Submission { signed: Some(signed), wraps: vec![bytes::Bytes::new(); wraps], ..Default::default() };
        v1::SubmitRequest { submission: Some(submission) }.encode_to_vec()
    }

    #[test]
    fn empty_fields_are_counted_at_every_depth() {
        // The request's one field, the submission's one, and the rest.
        for (wraps, signatures) in [(0, 0), (1000, 0), (0, 1000), (512, 4)] {
            assert!(fits::<v1::SubmitRequest>(&submit(wraps, signatures)), "{wraps} {signatures}");
        }
        for (wraps, signatures) in [(2000, 0), (0, 2000), (700, 700), (1 << 20, 0), (0, 1 << 20)] {
            assert!(!fits::<v1::SubmitRequest>(&submit(wraps, signatures)), "{wraps} {signatures}");
        }
    }

    #[test]
    fn what_carries_bytes_pays_for_its_fields() {
        let submission = v1::Submission { wraps: vec![vec![7; 64].into(); 10_000], ..Default::default() };
        let bytes = v1::SubmitRequest { submission: Some(submission) }.encode_to_vec();
        assert!(fits::<v1::SubmitRequest>(&bytes));
    }

    #[test]
    fn malformed_bytes_are_left_to_the_decoder() {
        for bytes in [&[0x0a][..], &[0x0a, 0xff], &[0xff; 32], &[0x0a, 0x05, 1], &[0x0d, 1], &[0x08, 0x80]] {
            assert!(fits::<v1::SubmitRequest>(bytes), "{bytes:02x?}");
            assert!(v1::SubmitRequest::decode(bytes).is_err(), "{bytes:02x?}");
        }
    }

    #[test]
    fn nothing_is_followed_for_ever() {
        // Groups that only begin: each is a field.
        assert!(!fits::<v1::SubmitRequest>(&[0x0b; 4096]));
    }
}

//! Attachments: chunks under AES-256-GCM with a counter and a last flag in the nonce (the STREAM construction), and a signed root.
//!
//! Truncation, reordering and extension fail: the counter is in the nonce, the last chunk says so, the root is signed.
//! It does not know where chunks are stored or how they travel.

use ring::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use tlog::{Hash, leaf_hash, small};

use crate::header::Attachment;
use crate::seal::{ContentKey, attachment_key};

/// Why chunks are not the attachment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AttachmentError {
    /// Not 2^16 to 2^18 bytes a chunk.
    #[error("chunks of 2^{0} bytes are not allowed, 16 to 18 are")]
    ChunkSize(u32),
    /// An attachment holds at least one byte, and at most 4,096 chunks here.
    #[error("an attachment has 1 byte to 4096 chunks")]
    Size,
    /// A chunk that is not the signed one at its place.
    #[error("chunk {0} is not the signed one")]
    Chunk(usize),
    /// Chunks are missing, added or in another order.
    #[error("the chunks do not lead to the signed root")]
    Root,
}

/// Seals a plaintext into chunks, and the reference for the header.
///
/// # Errors
/// [`AttachmentError`] when a size is out of bounds.
pub fn seal_chunks(
    cek: &ContentKey,
    context_hash: &[u8; 32],
    index: u32,
    chunk_log2: u32,
    plain: &[u8],
) -> Result<(Attachment, Vec<Vec<u8>>), AttachmentError> {
    if !(16..=18).contains(&chunk_log2) {
        return Err(AttachmentError::ChunkSize(chunk_log2));
    }
    let pieces: Vec<&[u8]> = plain.chunks(1 << chunk_log2).collect();
    if pieces.is_empty() || pieces.len() > CHUNKS_MAX {
        return Err(AttachmentError::Size);
    }
    let cipher = cipher(cek, context_hash, index);
    let seal = |(at, piece): (usize, &&[u8])| {
        let mut bytes = piece.to_vec();
        let sealed = cipher.seal_in_place_append_tag(nonce(at, at + 1 == pieces.len()), Aad::from(context_hash), &mut bytes);
        sealed.expect("a chunk is far below 64 GiB");
        bytes
    };
    let chunks: Vec<Vec<u8>> = pieces.iter().enumerate().map(seal).collect();
    let ciphertext_size = chunks.iter().map(|chunk| chunk.len() as u64).sum();
    Ok((Attachment { chunk_log2, ciphertext_size, chunks_root: root(&chunks) }, chunks))
}

/// Opens the chunks of a signed reference.
///
/// # Errors
/// [`AttachmentError`] names what does not fit the signed reference.
pub fn open_chunks(
    cek: &ContentKey,
    context_hash: &[u8; 32],
    index: u32,
    reference: &Attachment,
    chunks: &[Vec<u8>],
) -> Result<Vec<u8>, AttachmentError> {
    if !(16..=18).contains(&reference.chunk_log2) {
        return Err(AttachmentError::ChunkSize(reference.chunk_log2));
    }
    let size: u64 = chunks.iter().map(|chunk| chunk.len() as u64).sum();
    if chunks.is_empty() || chunks.len() > CHUNKS_MAX || size != reference.ciphertext_size || root(chunks) != reference.chunks_root {
        return Err(AttachmentError::Root);
    }
    let cipher = cipher(cek, context_hash, index);
    let mut plain = Vec::new();
    for (at, chunk) in chunks.iter().enumerate() {
        let mut bytes = chunk.clone();
        let last = at + 1 == chunks.len();
        let opened = cipher.open_in_place(nonce(at, last), Aad::from(context_hash), &mut bytes).map_err(|_| AttachmentError::Chunk(at))?;
        // One way to cut a plaintext: full chunks, then one that is not empty.
        let full = 1 << reference.chunk_log2;
        if opened.is_empty() || opened.len() > full || (!last && opened.len() != full) {
            return Err(AttachmentError::Chunk(at));
        }
        plain.extend_from_slice(opened);
    }
    Ok(plain)
}

fn root(chunks: &[Vec<u8>]) -> Hash {
    small::root(&chunks.iter().map(|chunk| leaf_hash(chunk)).collect::<Vec<_>>())
}

fn cipher(cek: &ContentKey, context_hash: &[u8; 32], index: u32) -> LessSafeKey {
    let key = attachment_key(cek, context_hash, index);
    LessSafeKey::new(UnboundKey::new(&AES_256_GCM, &*key).expect("an AES-256 key has 32 bytes"))
}

/// 11 bytes of counter, big endian, and 1 for the last chunk.
fn nonce(at: usize, last: bool) -> Nonce {
    let mut bytes = [0; 12];
    bytes[3..11].copy_from_slice(&(at as u64).to_be_bytes());
    bytes[11] = u8::from(last);
    Nonce::assume_unique_for_key(bytes)
}

/// 1 GiB in chunks of 256 KiB.
const CHUNKS_MAX: usize = 4096;

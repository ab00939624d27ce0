//! A transparency log in the C2SP formats: Merkle tree hashes, proofs, tiles, signed notes, checkpoints, and the one
//! Ed25519 acceptance rule.
//!
//! **Invariant:** this crate does no IO, has no clock, and does not know what a leaf means. Bytes come in, hashes,
//! proofs and notes go out; tiles are read through [`TileReader`], which the caller writes.

pub mod ed25519;
mod hash;
pub mod note;
mod proof;
pub mod small;

mod checkpoint;
mod proof_text;
mod tile;
mod tree;
mod walk;

pub use checkpoint::{Checkpoint, CheckpointError};
pub use hash::{HASH_BYTES, Hash, HashLengthError, empty_root, leaf_hash, node_hash, sha256, sha256_parts};
pub use note::{
    Algorithm, Ed25519Signer, NOTE_BYTES_MAX, Note, NoteError, NoteSignature, NoteSigner, SIGNATURES_MAX, SignError, SignerError,
    VerifierKey, VerifierKeyError, cosignature_message,
};
pub use proof::{ProofError, root_from_inclusion, verify_consistency, verify_inclusion};
pub use proof_text::{EXTRA_BYTES_MAX, PATH_HASHES_MAX, ProofText, ProofTextError};
pub use tile::{ReadError, TILE_HASHES, TileId, TilePathError, TileReader, parse_tile_path, tile_path};
pub use tree::{OpenError, Tree, consistency_at, inclusion_at, root_at};

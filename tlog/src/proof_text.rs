//! A proof that stands alone: index, path and signed checkpoint in one text (C2SP tlog-proof).
//!
//! This file does not know the leaf; whoever holds it computes its hash and asks [`ProofText::verify`].

use base64::{Engine, engine::general_purpose::STANDARD};

use crate::checkpoint::{Checkpoint, CheckpointError, parse_hash};
use crate::hash::Hash;
use crate::note::{NOTE_BYTES_MAX, Note, VerifierKey};
use crate::proof::{ProofError, verify_inclusion};
use crate::tile::decimal;

/// Most bytes of extra data.
pub const EXTRA_BYTES_MAX: usize = 64 * 1024;
/// Most hashes of a path: a tree of at most 2^64 - 1 leaves has no longer one.
pub const PATH_HASHES_MAX: usize = 64;

/// An offline-verifiable proof of inclusion. **Nothing of it is to be believed before [`ProofText::verify`]**, and the
/// extra data not even then.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProofText {
    /// Opaque extra data, which nothing authenticates; at most [`EXTRA_BYTES_MAX`].
    pub extra: Vec<u8>,
    /// Zero-based index of the leaf.
    pub index: u64,
    /// From the leaf's sibling up to the root's child (RFC 6962 2.1.1); at most [`PATH_HASHES_MAX`].
    pub path: Vec<Hash>,
    /// The checkpoint note, byte for byte as the log signed it.
    pub checkpoint: Vec<u8>,
}

/// Why bytes are no proof, or the proof proves nothing.
#[derive(Debug, thiserror::Error)]
pub enum ProofTextError {
    /// The text is longer than extra data, path and checkpoint may be.
    #[error("the proof has {length} bytes, {TEXT_BYTES_MAX} allowed")]
    TooLong {
        /// Its length in bytes.
        length: usize,
    },
    /// No empty line parts the proof from the checkpoint, or what is above it is not UTF-8.
    #[error("no empty line parts the proof from the checkpoint")]
    Separator,
    /// The first line is not `c2sp.org/tlog-proof@v1`.
    #[error("the proof does not begin with {HEADER}")]
    Header,
    /// The extra data is not base64, empty, or longer than [`EXTRA_BYTES_MAX`].
    #[error("the extra data of the proof is empty, too long or no base64")]
    Extra,
    /// The line `index` is missing or has no canonical decimal.
    #[error("the proof has no canonical index")]
    Index,
    /// A line of the path is not the base64 of 32 bytes.
    #[error("hash {line} of the proof is no base64 of a hash")]
    Hash {
        /// Counted from 1.
        line: usize,
    },
    /// The path has more than [`PATH_HASHES_MAX`] hashes.
    #[error("the path has {count} hashes, {PATH_HASHES_MAX} allowed")]
    PathLength {
        /// How many.
        count: usize,
    },
    /// The checkpoint is malformed, or the log did not sign it.
    #[error("the proof has no checkpoint of the log")]
    Checkpoint(#[from] CheckpointError),
    /// The path does not lead to the checkpoint's root.
    #[error("the path does not lead to the checkpoint")]
    Proof(#[from] ProofError),
}

impl ProofText {
    /// The text (C2SP tlog-proof, "Format"). The `extra` line is left out when there is no extra data.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut text = format!("{HEADER}\n");
        if !self.extra.is_empty() {
            text.push_str(&format!("{EXTRA}{}\n", STANDARD.encode(&self.extra)));
        }
        text.push_str(&format!("{INDEX}{}\n", self.index));
        for hash in &self.path {
            text.push_str(&format!("{}\n", STANDARD.encode(hash)));
        }
        text.push('\n');
        [text.as_bytes(), &self.checkpoint].concat()
    }

    /// Reads what [`ProofText::to_bytes`] writes, and nothing else. The checkpoint must be one in form; its signatures
    /// and the path are not verified.
    ///
    /// # Errors
    /// [`ProofTextError`] names the first offence.
    pub fn parse(bytes: &[u8]) -> Result<Self, ProofTextError> {
        if bytes.len() > TEXT_BYTES_MAX {
            return Err(ProofTextError::TooLong { length: bytes.len() });
        }
        let end = bytes.windows(2).position(|pair| pair == b"\n\n").ok_or(ProofTextError::Separator)?;
        let (head, checkpoint) = (&bytes[..end], &bytes[end + 2..]);
        let head = std::str::from_utf8(head).map_err(|_| ProofTextError::Separator)?;
        let mut lines = head.split('\n').peekable();
        lines.next().filter(|line| *line == HEADER).ok_or(ProofTextError::Header)?;
        let extra = match lines.next_if(|line| line.starts_with(EXTRA)) {
            Some(line) => parse_extra(&line[EXTRA.len()..]).ok_or(ProofTextError::Extra)?,
            None => Vec::new(),
        };
        let index = lines.next().and_then(|line| line.strip_prefix(INDEX)).and_then(decimal);
        let index = index.ok_or(ProofTextError::Index)?;
        let path = lines.enumerate().map(|(at, line)| parse_hash(line).ok_or(ProofTextError::Hash { line: at + 1 }));
        let path = path.collect::<Result<Vec<_>, _>>()?;
        if path.len() > PATH_HASHES_MAX {
            return Err(ProofTextError::PathLength { count: path.len() });
        }
        Checkpoint::parse(&Note::parse(checkpoint).map_err(CheckpointError::Note)?.text)?;
        Ok(ProofText { extra, index, path, checkpoint: checkpoint.to_vec() })
    }

    /// Checks that the log of `key` signed the checkpoint and that `leaf` stands at the proof's index in it.
    ///
    /// # Errors
    /// [`ProofTextError::Checkpoint`] or [`ProofTextError::Proof`].
    pub fn verify(&self, leaf: &Hash, key: &VerifierKey) -> Result<Checkpoint, ProofTextError> {
        let checkpoint = Checkpoint::open(&self.checkpoint, key)?;
        verify_inclusion(leaf, self.index, checkpoint.size, &self.path, &checkpoint.root)?;
        Ok(checkpoint)
    }
}

fn parse_extra(text: &str) -> Option<Vec<u8>> {
    STANDARD.decode(text).ok().filter(|extra| (1..=EXTRA_BYTES_MAX).contains(&extra.len()))
}

const HEADER: &str = "c2sp.org/tlog-proof@v1";
const EXTRA: &str = "extra ";
const INDEX: &str = "index ";
/// Extra data in base64, a generous path and head, and the note.
const TEXT_BYTES_MAX: usize = EXTRA_BYTES_MAX.div_ceil(3) * 4 + 4096 + NOTE_BYTES_MAX;

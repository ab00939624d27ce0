//! Checkpoints: the signed root of a log at one size (C2SP tlog-checkpoint).
//!
//! This file does not know whether a root is right; it knows how it is written and who signed it.

use base64::{Engine, engine::general_purpose::STANDARD};

use crate::hash::Hash;
use crate::note::{Note, NoteError, NoteSigner, VerifierKey};
use crate::tile::decimal;

/// What a log says of its tree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checkpoint {
    /// The log's name, which is also the name of its key.
    pub origin: String,
    /// Number of leaves.
    pub size: u64,
    /// The root of these leaves (RFC 6962 2.1).
    pub root: Hash,
}

/// Why a note is not a checkpoint of the log.
#[derive(Debug, thiserror::Error)]
pub enum CheckpointError {
    /// A line of the text is missing, empty or not terminated.
    #[error("line {line} of the checkpoint is missing, empty or not terminated")]
    Line {
        /// Counted from 1.
        line: usize,
    },
    /// The size is not a canonical decimal below 2^64.
    #[error("the size {text:?} of the checkpoint is no canonical decimal")]
    Size {
        /// The second line.
        text: String,
    },
    /// The root is not the base64 of 32 bytes.
    #[error("the root {text:?} of the checkpoint is no base64 of a hash")]
    Root {
        /// The third line.
        text: String,
    },
    /// The checkpoint is another log's.
    #[error("the checkpoint is of {origin}, the key of {key}")]
    Origin {
        /// The first line.
        origin: String,
        /// Name of the key.
        key: String,
    },
    /// The note is malformed, or the log did not sign it.
    #[error("the checkpoint has no valid note of the log")]
    Note(#[from] NoteError),
}

impl Checkpoint {
    /// The note text: origin, size and root, a line each.
    pub fn to_text(&self) -> String {
        format!("{}\n{}\n{}\n", self.origin, self.size, STANDARD.encode(self.root))
    }

    /// Reads a note text (C2SP tlog-checkpoint, "Note text"). Extension lines are allowed and dropped.
    ///
    /// # Errors
    /// [`CheckpointError::Line`], [`CheckpointError::Size`] or [`CheckpointError::Root`].
    pub fn parse(text: &str) -> Result<Self, CheckpointError> {
        let mut lines = text.split_inclusive('\n').enumerate().map(|(at, line)| match line.strip_suffix('\n') {
            Some(line) if !line.is_empty() => Ok(line),
            _ => Err(CheckpointError::Line { line: at + 1 }),
        });
        let origin = lines.next().ok_or(CheckpointError::Line { line: 1 })??;
        let size = lines.next().ok_or(CheckpointError::Line { line: 2 })??;
        let root = lines.next().ok_or(CheckpointError::Line { line: 3 })??;
        lines.try_for_each(|extension| extension.map(drop))?;
        Ok(Checkpoint {
            origin: origin.to_owned(),
            size: decimal(size).ok_or_else(|| CheckpointError::Size { text: size.to_owned() })?,
            root: parse_hash(root).ok_or_else(|| CheckpointError::Root { text: root.to_owned() })?,
        })
    }

    /// Reads a checkpoint that the log of `key` signed: the note has a valid signature of `key`, and the origin is the
    /// key's name.
    ///
    /// # Errors
    /// [`CheckpointError`]; nothing of the text is reported before the signature is found valid.
    pub fn open(note: &[u8], key: &VerifierKey) -> Result<Self, CheckpointError> {
        let note = Note::parse(note)?;
        note.verify(std::slice::from_ref(key))?;
        let checkpoint = Checkpoint::parse(&note.text)?;
        checkpoint.check_origin(key)?;
        Ok(checkpoint)
    }

    /// The signed note of this checkpoint.
    ///
    /// # Errors
    /// [`CheckpointError::Origin`] when the signer's key has another name, [`CheckpointError::Note`] when it cannot
    /// sign.
    pub fn sign(&self, signer: &dyn NoteSigner) -> Result<Vec<u8>, CheckpointError> {
        self.check_origin(signer.key())?;
        Ok(Note::sign(&self.to_text(), &[signer])?.to_bytes())
    }

    fn check_origin(&self, key: &VerifierKey) -> Result<(), CheckpointError> {
        if self.origin == key.name {
            return Ok(());
        }
        Err(CheckpointError::Origin { origin: self.origin.clone(), key: key.name.clone() })
    }
}

/// A hash in base64 (RFC 4648 4), padded and canonical.
pub(crate) fn parse_hash(text: &str) -> Option<Hash> {
    Hash::try_from(STANDARD.decode(text).ok()?.as_slice()).ok()
}

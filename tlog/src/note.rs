//! Signed notes and their keys (C2SP signed-note), and the witness's cosignature (C2SP tlog-cosignature).
//!
//! This file does not know what a text says, and holds no secret but inside [`Ed25519Signer`]. Every signature is
//! accepted or refused by the rule of [`crate::ed25519`].

use std::fmt;

use base64::{Engine, engine::general_purpose::STANDARD};
use ring::signature::{Ed25519KeyPair, KeyPair};

use crate::ed25519::{self, KeyError, SignatureError};
use crate::hash::sha256_parts;

/// Longest note in bytes, signatures included.
pub const NOTE_BYTES_MAX: usize = 64 * 1024;
/// Most signatures of a note; C2SP signed-note demands that at least these be accepted.
pub const SIGNATURES_MAX: usize = 16;

/// The signature type identifier byte (C2SP signed-note, "Signature types").
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Algorithm {
    /// Ed25519 over the text.
    Ed25519 = 1,
    /// A witness's timestamped Ed25519 over a header, the time and the text (C2SP tlog-cosignature).
    CosignatureV1 = 4,
}

/// A public key with the name under which it signs notes; only made with a valid name, an acceptable key and the id
/// that belongs to both.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub struct VerifierKey {
    /// Key name: not empty, no Unicode spaces, no plus, no control characters.
    pub name: String,
    /// Key id: the first four bytes, big-endian, of `SHA-256(name || "\n" || algorithm || public)`.
    pub id: u32,
    /// What the key's signatures are made over.
    pub algorithm: Algorithm,
    /// The Ed25519 public key (RFC 8032 5.1.5).
    pub public: [u8; 32],
}

/// Why a verifier key is not accepted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum VerifierKeyError {
    /// The name is empty or has spaces, pluses or control characters.
    #[error("{name:?} is no key name")]
    Name {
        /// The name.
        name: String,
    },
    /// The text is not `name+id+base64` with eight lower-case hexadecimal digits for the id.
    #[error("the verifier key is not name+id+base64")]
    Format,
    /// The algorithm byte is neither 1 nor 4.
    #[error("the verifier key is of the unsupported algorithm {algorithm}")]
    Algorithm {
        /// Signature type identifier byte.
        algorithm: u8,
    },
    /// The id is not that of the key.
    #[error("the verifier key has the id {id:08x}, {wanted:08x} wanted")]
    Id {
        /// The id in the text.
        id: u32,
        /// The id computed from name and key.
        wanted: u32,
    },
    /// The Ed25519 acceptance rule refuses the key.
    #[error("the public key of {name} is not acceptable")]
    Public {
        /// Key name.
        name: String,
        /// The rule broken.
        #[source]
        cause: KeyError,
    },
}

impl VerifierKey {
    /// A key that signs texts.
    ///
    /// # Errors
    /// [`VerifierKeyError::Name`] or [`VerifierKeyError::Public`].
    pub fn ed25519(name: &str, public: [u8; 32]) -> Result<Self, VerifierKeyError> {
        VerifierKey::new(name, Algorithm::Ed25519, public)
    }

    /// A witness's key, which cosigns checkpoints.
    ///
    /// # Errors
    /// [`VerifierKeyError::Name`] or [`VerifierKeyError::Public`].
    pub fn cosignature_v1(name: &str, public: [u8; 32]) -> Result<Self, VerifierKeyError> {
        VerifierKey::new(name, Algorithm::CosignatureV1, public)
    }

    /// Reads a verifier key's text, `name+id+base64(algorithm || public)` (C2SP signed-note, "Verifier keys").
    ///
    /// # Errors
    /// [`VerifierKeyError`]; one key has one text.
    pub fn parse(text: &str) -> Result<Self, VerifierKeyError> {
        let mut parts = text.splitn(3, '+');
        let (Some(name), Some(id), Some(key)) = (parts.next(), parts.next(), parts.next()) else {
            return Err(VerifierKeyError::Format);
        };
        let is_hex = id.len() == 8 && id.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
        if !is_hex {
            return Err(VerifierKeyError::Format);
        }
        let id = u32::from_str_radix(id, 16).map_err(|_| VerifierKeyError::Format)?;
        let key = STANDARD.decode(key).map_err(|_| VerifierKeyError::Format)?;
        let (algorithm, public) = key.split_first().ok_or(VerifierKeyError::Format)?;
        let algorithm = match *algorithm {
            1 => Algorithm::Ed25519,
            4 => Algorithm::CosignatureV1,
            algorithm => return Err(VerifierKeyError::Algorithm { algorithm }),
        };
        let public = public.try_into().map_err(|_| VerifierKeyError::Format)?;
        let key = VerifierKey::new(name, algorithm, public)?;
        if key.id != id {
            return Err(VerifierKeyError::Id { id, wanted: key.id });
        }
        Ok(key)
    }

    fn new(name: &str, algorithm: Algorithm, public: [u8; 32]) -> Result<Self, VerifierKeyError> {
        if !is_key_name(name) {
            return Err(VerifierKeyError::Name { name: name.to_owned() });
        }
        ed25519::check_public(&public).map_err(|cause| VerifierKeyError::Public { name: name.to_owned(), cause })?;
        let digest = sha256_parts(&[name.as_bytes(), b"\n", &[algorithm as u8], &public]);
        let id = u32::from_be_bytes([digest[0], digest[1], digest[2], digest[3]]);
        Ok(VerifierKey { name: name.to_owned(), id, algorithm, public })
    }

    fn made(&self, signature: &NoteSignature) -> bool {
        self.id == signature.id && self.name == signature.name
    }

    fn verify(&self, text: &str, signature: &[u8]) -> Result<(), NoteError> {
        let length = || NoteError::SignatureLength { name: self.name.clone(), length: signature.len() };
        let refused = |cause| NoteError::BadSignature { name: self.name.clone(), cause };
        match self.algorithm {
            Algorithm::Ed25519 => {
                let signature = signature.try_into().map_err(|_| length())?;
                ed25519::verify(&ed25519::Ring, &self.public, text.as_bytes(), signature).map_err(refused)
            }
            Algorithm::CosignatureV1 => {
                let (time, signature) = signature.split_first_chunk().ok_or_else(length)?;
                let signature = signature.try_into().map_err(|_| length())?;
                let time = u64::from_be_bytes(*time);
                if time > COSIGNATURE_TIME_MAX {
                    return Err(NoteError::Time { name: self.name.clone(), time });
                }
                let message = cosignature_message(time, text);
                ed25519::verify(&ed25519::Ring, &self.public, &message, signature).map_err(refused)
            }
        }
    }
}

impl fmt::Display for VerifierKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut key = vec![self.algorithm as u8];
        key.extend_from_slice(&self.public);
        write!(f, "{}+{:08x}+{}", self.name, self.id, STANDARD.encode(key))
    }
}

/// What a cosignature of algorithm [`Algorithm::CosignatureV1`] signs: `cosignature/v1`, the time in POSIX seconds, and
/// the checkpoint's text (C2SP tlog-cosignature, "Ed25519 signed message").
pub fn cosignature_message(time: u64, text: &str) -> Vec<u8> {
    format!("cosignature/v1\ntime {time}\n{text}").into_bytes()
}

/// Whoever signs notes with a key: a key in memory, or a device that holds one.
pub trait NoteSigner: Send + Sync {
    /// The key that verifies the signatures, of algorithm [`Algorithm::Ed25519`].
    fn key(&self) -> &VerifierKey;

    /// The Ed25519 signature of `text` (RFC 8032 5.1.6).
    ///
    /// # Errors
    /// [`SignError`] when the key cannot be used now.
    fn sign(&self, text: &[u8]) -> Result<[u8; 64], SignError>;
}

/// The key could not sign.
#[derive(Debug, thiserror::Error)]
#[error("the key {name} cannot sign")]
pub struct SignError {
    /// Key name.
    pub name: String,
    /// What its holder said.
    #[source]
    pub cause: Box<dyn std::error::Error + Send + Sync>,
}

/// Why a secret key is not accepted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SignerError {
    /// The DER is not an Ed25519 key in PKCS#8.
    #[error("{length} bytes are no Ed25519 key in PKCS#8")]
    Pkcs8 {
        /// Length of the DER in bytes.
        length: usize,
    },
    /// The name or the public key is not acceptable.
    #[error("the signer's key is not acceptable")]
    Key(#[from] VerifierKeyError),
}

/// A secret key in memory.
pub struct Ed25519Signer {
    key: VerifierKey,
    pair: Ed25519KeyPair,
}

impl Ed25519Signer {
    /// The key of a 32-byte seed (RFC 8032 5.1.5).
    ///
    /// # Errors
    /// [`SignerError::Key`] when the name is not a key name.
    pub fn from_seed(name: &str, seed: &[u8; 32]) -> Result<Self, SignerError> {
        let pair = Ed25519KeyPair::from_seed_unchecked(seed).expect("any 32 bytes are an Ed25519 seed");
        Ed25519Signer::from_pair(name, pair)
    }

    /// The key of a PKCS#8 document in DER, version 1 (without the public key, RFC 5958 and RFC 8410) or 2 (with it).
    ///
    /// # Errors
    /// [`SignerError::Pkcs8`] when the document is anything else, or its public key is not that of its secret;
    /// [`SignerError::Key`] when the name is not a key name.
    pub fn from_pkcs8(name: &str, der: &[u8]) -> Result<Self, SignerError> {
        let pair = Ed25519KeyPair::from_pkcs8_maybe_unchecked(der).map_err(|_| SignerError::Pkcs8 { length: der.len() })?;
        Ed25519Signer::from_pair(name, pair)
    }

    fn from_pair(name: &str, pair: Ed25519KeyPair) -> Result<Self, SignerError> {
        let public = pair.public_key().as_ref().try_into().expect("an Ed25519 public key is 32 bytes");
        Ok(Ed25519Signer { key: VerifierKey::ed25519(name, public)?, pair })
    }
}

impl NoteSigner for Ed25519Signer {
    fn key(&self) -> &VerifierKey {
        &self.key
    }

    fn sign(&self, text: &[u8]) -> Result<[u8; 64], SignError> {
        Ok(self.pair.sign(text).as_ref().try_into().expect("an Ed25519 signature is 64 bytes"))
    }
}

impl fmt::Debug for Ed25519Signer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ed25519Signer").field("key", &self.key.to_string()).finish_non_exhaustive()
    }
}

/// A text and what stands below it. **Nothing of it is to be believed before [`Note::verify`].**
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Note {
    /// The text, which ends in a newline.
    pub text: String,
    /// The signatures in their order, of known and unknown keys.
    pub signatures: Vec<NoteSignature>,
}

/// One signature line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NoteSignature {
    /// Key name.
    pub name: String,
    /// Key id.
    pub id: u32,
    /// The signature without the id: 64 bytes of [`Algorithm::Ed25519`], 72 of [`Algorithm::CosignatureV1`] (the time
    /// in seconds, 8 bytes big-endian, and the Ed25519 signature), anything of other algorithms.
    pub signature: Vec<u8>,
}

/// Why bytes are no note, or a note is not to be believed.
#[derive(Debug, thiserror::Error)]
pub enum NoteError {
    /// The note is longer than [`NOTE_BYTES_MAX`].
    #[error("the note has {length} bytes, {NOTE_BYTES_MAX} allowed")]
    TooLong {
        /// Its length in bytes.
        length: usize,
    },
    /// The note is not UTF-8.
    #[error("the note is not valid UTF-8")]
    Utf8,
    /// The note has a control character other than newline.
    #[error("the note has the control character {code:#04x} at byte {at}")]
    Control {
        /// The character's code, below 0x20.
        code: u8,
        /// Offset in bytes.
        at: usize,
    },
    /// The text does not end in a newline.
    #[error("the text does not end in a newline")]
    Text,
    /// No blank line parts the text from the signatures, or nothing ends in a newline after it.
    #[error("no signatures follow the text")]
    Unsigned,
    /// A line below the text is no signature line.
    #[error("line {line} below the text is no signature line")]
    Line {
        /// Counted from 1.
        line: usize,
    },
    /// The note has more than [`SIGNATURES_MAX`] signatures, or none was asked for.
    #[error("{count} signatures are not between 1 and {SIGNATURES_MAX}")]
    SignatureCount {
        /// How many.
        count: usize,
    },
    /// A known key's signature has the wrong length.
    #[error("the signature of {name} has {length} bytes")]
    SignatureLength {
        /// Key name.
        name: String,
        /// Length in bytes without the id.
        length: usize,
    },
    /// A cosignature's time is beyond 2^63 - 1 seconds.
    #[error("the cosignature of {name} has the time {time}")]
    Time {
        /// Key name.
        name: String,
        /// POSIX seconds.
        time: u64,
    },
    /// A known key's signature is not accepted.
    #[error("the signature of {name} is not valid")]
    BadSignature {
        /// Key name.
        name: String,
        /// The rule broken.
        #[source]
        cause: SignatureError,
    },
    /// A key signed twice, or stands twice among the known keys or the signers.
    #[error("the key {name} occurs twice")]
    Duplicate {
        /// Key name.
        name: String,
    },
    /// None of the known keys signed.
    #[error("none of {keys} known keys signed the note")]
    UnknownKeys {
        /// Number of known keys.
        keys: usize,
    },
    /// A signer's key does not sign plain texts.
    #[error("the key {name} does not sign plain texts")]
    Algorithm {
        /// Key name.
        name: String,
    },
    /// A signer could not sign.
    #[error(transparent)]
    Sign(#[from] SignError),
}

impl Note {
    /// Signs `text` with each of the `signers`, in their order.
    ///
    /// # Errors
    /// [`NoteError::Text`], [`NoteError::Control`] or [`NoteError::TooLong`] when the text cannot be a note's,
    /// [`NoteError::SignatureCount`], [`NoteError::Duplicate`] or [`NoteError::Algorithm`] when the signers do not suit,
    /// [`NoteError::Sign`] when one of them cannot sign.
    pub fn sign(text: &str, signers: &[&dyn NoteSigner]) -> Result<Note, NoteError> {
        check_characters(text)?;
        if !text.ends_with('\n') {
            return Err(NoteError::Text);
        }
        check_count(signers.len())?;
        let mut note = Note { text: text.to_owned(), signatures: Vec::with_capacity(signers.len()) };
        for signer in signers {
            let key = signer.key();
            if key.algorithm != Algorithm::Ed25519 {
                return Err(NoteError::Algorithm { name: key.name.clone() });
            }
            if note.signatures.iter().any(|signature| key.made(signature)) {
                return Err(NoteError::Duplicate { name: key.name.clone() });
            }
            let signature = signer.sign(text.as_bytes())?.to_vec();
            note.signatures.push(NoteSignature { name: key.name.clone(), id: key.id, signature });
        }
        check_length(note.to_bytes().len())?;
        Ok(note)
    }

    /// The note as it is sent and stored: text, blank line, signature lines.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = format!("{}\n", self.text);
        for NoteSignature { name, id, signature } in &self.signatures {
            let signature = STANDARD.encode([&id.to_be_bytes(), signature.as_slice()].concat());
            bytes.push_str(&format!("{DASH}{name} {signature}\n"));
        }
        bytes.into_bytes()
    }

    /// Reads a note of at most [`NOTE_BYTES_MAX`] bytes and [`SIGNATURES_MAX`] signatures (C2SP signed-note, "Format"),
    /// and verifies nothing. What it accepts, [`Note::to_bytes`] writes again byte for byte.
    ///
    /// # Errors
    /// [`NoteError`] names the first offence.
    pub fn parse(bytes: &[u8]) -> Result<Note, NoteError> {
        check_length(bytes.len())?;
        let note = std::str::from_utf8(bytes).map_err(|_| NoteError::Utf8)?;
        check_characters(note)?;
        // The last empty line parts text and signatures.
        let end = note.rfind("\n\n").ok_or(NoteError::Unsigned)? + 1;
        let (text, lines) = (&note[..end], &note[end + 1..]);
        let lines = lines.strip_suffix('\n').ok_or(NoteError::Unsigned)?;
        check_count(lines.split('\n').count())?;
        let signatures = lines.split('\n').enumerate();
        let signatures = signatures.map(|(at, line)| parse_line(line).ok_or(NoteError::Line { line: at + 1 }));
        Ok(Note { text: text.to_owned(), signatures: signatures.collect::<Result<_, _>>()? })
    }

    /// The keys among `keys` that signed this note, in the order of the signatures; at least one.
    ///
    /// Signatures of unknown keys are ignored. Whoever needs more than one signature counts what comes back.
    ///
    /// # Errors
    /// [`NoteError::UnknownKeys`] when no known key signed; [`NoteError::BadSignature`], [`NoteError::SignatureLength`]
    /// or [`NoteError::Time`] when a known key's signature is not valid, even if another one is;
    /// [`NoteError::Duplicate`] when a known key signed twice or `keys` has a name with an id twice.
    pub fn verify<'k>(&self, keys: &'k [VerifierKey]) -> Result<Vec<&'k VerifierKey>, NoteError> {
        let mut signed: Vec<&VerifierKey> = Vec::new();
        for signature in &self.signatures {
            let mut known = keys.iter().filter(|key| key.made(signature));
            let Some(key) = known.next() else { continue };
            let is_known_twice = known.next().is_some();
            if is_known_twice || signed.iter().any(|earlier| earlier.made(signature)) {
                return Err(NoteError::Duplicate { name: key.name.clone() });
            }
            key.verify(&self.text, &signature.signature)?;
            signed.push(key);
        }
        if signed.is_empty() {
            return Err(NoteError::UnknownKeys { keys: keys.len() });
        }
        Ok(signed)
    }
}

/// `— name base64(id || signature)`, without the newline.
fn parse_line(line: &str) -> Option<NoteSignature> {
    let (name, signature) = line.strip_prefix(DASH)?.split_once(' ')?;
    let signature = STANDARD.decode(signature).ok()?;
    let (id, signature) = signature.split_first_chunk()?;
    if !is_key_name(name) || signature.is_empty() {
        return None;
    }
    Some(NoteSignature { name: name.to_owned(), id: u32::from_be_bytes(*id), signature: signature.to_vec() })
}

fn is_key_name(name: &str) -> bool {
    !name.is_empty() && !name.chars().any(|c| c.is_whitespace() || c < ' ' || c == '+')
}

fn check_characters(text: &str) -> Result<(), NoteError> {
    match text.bytes().enumerate().find(|(_, byte)| *byte < b' ' && *byte != b'\n') {
        Some((at, code)) => Err(NoteError::Control { code, at }),
        None => Ok(()),
    }
}

fn check_count(count: usize) -> Result<(), NoteError> {
    if (1..=SIGNATURES_MAX).contains(&count) { Ok(()) } else { Err(NoteError::SignatureCount { count }) }
}

fn check_length(length: usize) -> Result<(), NoteError> {
    if length <= NOTE_BYTES_MAX { Ok(()) } else { Err(NoteError::TooLong { length }) }
}

/// An em dash and a space.
const DASH: &str = "\u{2014} ";
/// Latest time of a cosignature in seconds (C2SP tlog-cosignature).
const COSIGNATURE_TIME_MAX: u64 = i64::MAX as u64;

//! The signed header: `bytes -> Header`, read at every level in its one encoding.
//!
//! It does not know the content, which is sealed, nor whether the sender may send it, which the exchange decides.

use bytes::Bytes;
use proto::v1::{self, Classification, ClockQuality, ContentSuite, Handling, KemId, Kind, OptOut, Priority, SigAlg};
use tlog::{Hash, leaf_hash, sha256_parts, small};

use crate::canonical::{self, Canonical, EncodingError, address, digest, digest_or_empty, ensure, named, network};
use crate::limits::{
    ATTACHMENT_BYTES_MAX, ATTACHMENTS_MAX, AUTHORITIES_MAX, CIPHERTEXT_BYTES_MAX, HEADER_BYTES_MAX, RECIPIENTS_MAX, SIGNERS_MAX,
    WRAP_BYTES_MAX,
};
use crate::seal_sizes::{WRAPPED_KEY_BYTES, enc_bytes};
use crate::{Address, Network, Reference};

/// DSSE payload type of a header.
pub const HEADER_TYPE: &str = "application/vnd.ecowire.header.v1+protobuf";

/// A header that was read; its signatures and commitments are not yet checked.
#[derive(Clone, Debug)]
pub struct Header {
    /// The bytes that are signed, as received.
    pub bytes: Bytes,
    /// SHA-256("ecowire/1 message\0" || bytes).
    pub message_id: [u8; 32],
    /// SHA-256("ecowire/1 context\0" || context bytes).
    pub context_hash: [u8; 32],
    /// What was fixed before encryption.
    pub context: Context,
    /// HKDF of the content key; the recipient checks it before it decrypts.
    pub key_commitment: [u8; 32],
    /// SHA-256 of the encrypted content.
    pub content_sha256: [u8; 32],
    /// Its bytes.
    pub content_size: u64,
    /// RFC 6962 root over the wraps.
    pub wraps_root: Hash,
    /// Large content beside the message.
    pub attachments: Vec<Attachment>,
}

/// What is fixed before encryption. Field by field as in `messages.proto`.
#[derive(Clone, Debug)]
#[allow(missing_docs)]
pub struct Context {
    pub network: Network,
    pub reference: Reference,
    pub signers: Vec<Signer>,
    pub recipients: Vec<Address>,
    pub kind: Kind,
    pub priority: Priority,
    pub classification: Classification,
    pub handling: Handling,
    pub created_ms: u64,
    pub expires_ms: u64,
    pub clock: ClockQuality,
    pub content_suite: ContentSuite,
    pub directory_size: u64,
    pub directory_root: [u8; 32],
    pub via_group: Option<Address>,
    pub in_reply_to: Option<[u8; 32]>,
    pub parent: Option<[u8; 32]>,
    pub room: Option<[u8; 16]>,
    pub target: Option<[u8; 32]>,
    pub deny_digest: [u8; 32],
    pub authorities: Vec<(v1::AuthorityKind, [u8; 32])>,
    pub ipsg_opt_out: OptOut,
    pub exercise: bool,
    pub previous: Option<v1::Previous>,
}

/// A key that must have signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Signer {
    /// SHA-256 of its SubjectPublicKeyInfo.
    pub key_id: [u8; 32],
    /// The algorithm that the header claims; the certified key's must be the same.
    pub alg: SigAlg,
}

/// An attachment, by its root.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Attachment {
    /// Chunks of 2^n bytes, 16 to 18.
    pub chunk_log2: u32,
    /// Bytes of all encrypted chunks.
    pub ciphertext_size: u64,
    /// RFC 6962 root over the encrypted chunks.
    pub chunks_root: Hash,
}

/// A wrap that was read.
#[derive(Clone, Debug)]
pub struct Wrap {
    /// The bytes that are leaf `index` of the wraps tree.
    pub bytes: Bytes,
    /// The recipient's index in the signed list.
    pub index: u32,
    /// Id of the recipient's encryption key.
    pub key_id: [u8; 32],
    /// How the content key is wrapped.
    pub kem: KemId,
    /// The encapsulated key.
    pub enc: Bytes,
    /// The wrapped content key.
    pub ct: Bytes,
}

impl Header {
    /// Reads a header in its one encoding and checks that it belongs to `network`.
    ///
    /// # Errors
    /// [`EncodingError`] names what is not canonical, out of bounds or of another network.
    pub fn parse(bytes: &Bytes, network: &Network) -> Result<Self, EncodingError> {
        let header: v1::Header = canonical::decode(bytes)?;
        let context: v1::Context = canonical::decode_form(&header.context)?;
        if context.network != network.as_str() {
            return Err(EncodingError::Network);
        }
        let attachments = header.attachments.iter().map(attachment).collect::<Result<_, _>>()?;
        Ok(Self {
            bytes: bytes.clone(),
            message_id: message_id(bytes),
            context_hash: context_hash(&header.context),
            context: Context::read(context)?,
            key_commitment: digest(&header.key_commitment, "key_commitment")?,
            content_sha256: digest(&header.content_sha256, "content_sha256")?,
            content_size: header.content_size,
            wraps_root: Hash(digest(&header.wraps_root, "wraps_root")?),
            attachments,
        })
    }

    /// The index of a recipient in the signed list.
    #[must_use]
    pub fn recipient_index(&self, address: &Address) -> Option<usize> {
        self.context.recipients.iter().position(|recipient| recipient == address)
    }
}

impl Wrap {
    /// Reads a wrap in its one encoding.
    ///
    /// # Errors
    /// [`EncodingError`] when it is not canonical or a size is not its KEM's.
    pub fn parse(bytes: &Bytes) -> Result<Self, EncodingError> {
        let wrap: v1::Wrap = canonical::decode(bytes)?;
        let (key_id, kem) = (digest(&wrap.key_id, "wrap.key_id")?, named(wrap.kem, "wrap.kem")?);
        Ok(Self { bytes: bytes.clone(), index: wrap.index, key_id, kem, enc: wrap.enc, ct: wrap.ct })
    }

    /// Its leaf in the wraps tree.
    #[must_use]
    pub fn leaf(&self) -> Hash {
        leaf_hash(&self.bytes)
    }
}

/// SHA-256("ecowire/1 message\0" || header bytes).
#[must_use]
pub fn message_id(header: &[u8]) -> [u8; 32] {
    sha256_parts(&[b"ecowire/1 message\0", header])
}

/// SHA-256("ecowire/1 context\0" || context bytes).
#[must_use]
pub fn context_hash(context: &[u8]) -> [u8; 32] {
    sha256_parts(&[b"ecowire/1 context\0", context])
}

/// RFC 6962 root over the wraps' bytes.
#[must_use]
pub fn wraps_root(wraps: &[Bytes]) -> Hash {
    small::root(&wraps.iter().map(|wrap| leaf_hash(wrap)).collect::<Vec<_>>())
}

impl Context {
    /// Reads a context, for instance one that is about to be sealed.
    ///
    /// # Errors
    /// [`EncodingError`] names the field that is out of bounds.
    pub fn read(context: v1::Context) -> Result<Self, EncodingError> {
        check_counts(&context)?;
        let read = Self::read_fields(context)?;
        ensure(read.reference.is_sound(), "number", "year, series or number is out of bounds")?;
        ensure(read.created_ms > 0 && read.created_ms < read.expires_ms, "expires_ms", "is not after created_ms")?;
        let sound = |previous: &v1::Previous| (2000..=9999).contains(&previous.year) && previous.series >= 1 && previous.number >= 1;
        ensure(read.previous.as_ref().is_none_or(sound), "previous", "is empty or out of bounds")?;
        Ok(read)
    }

    fn read_fields(context: v1::Context) -> Result<Self, EncodingError> {
        let sender = address(&context.sender, "sender")?;
        let reference = Reference { sender, year: context.year, series: context.series, number: context.number };
        let signer = |signer: &v1::SignerRef| {
            Ok(Signer { key_id: digest(&signer.key_id, "signers.key_id")?, alg: named(signer.alg, "signers.alg")? })
        };
        let authority = |one: &v1::Authority| {
            Ok((named(one.kind, "authorities.kind")?, digest(&one.statement_digest, "authorities.statement_digest")?))
        };
        let via_group = if context.via_group.is_empty() { None } else { Some(address(&context.via_group, "via_group")?) };
        let room = if context.room.is_empty() { None } else { Some(room(&context.room)?) };
        Ok(Self {
            network: network(&context.network, "network")?,
            signers: context.signers.iter().map(signer).collect::<Result<_, EncodingError>>()?,
            recipients: context.recipients.iter().map(|text| address(text, "recipients")).collect::<Result<_, _>>()?,
            kind: named(context.kind, "kind")?,
            priority: named(context.priority, "priority")?,
            classification: named(context.classification, "classification")?,
            handling: named(context.handling, "handling")?,
            clock: named(context.clock, "clock")?,
            content_suite: named(context.content_suite, "content_suite")?,
            ipsg_opt_out: named(context.ipsg_opt_out, "ipsg_opt_out")?,
            directory_root: digest(&context.directory_root, "directory_root")?,
            in_reply_to: digest_or_empty(&context.in_reply_to, "in_reply_to")?,
            parent: digest_or_empty(&context.parent, "parent")?,
            target: digest_or_empty(&context.target, "target")?,
            deny_digest: digest(&context.deny_digest, "deny_digest")?,
            authorities: context.authorities.iter().map(authority).collect::<Result<_, EncodingError>>()?,
            created_ms: context.created_ms,
            expires_ms: context.expires_ms,
            directory_size: context.directory_size,
            exercise: context.exercise,
            previous: context.previous,
            reference,
            via_group,
            room,
        })
    }
}

impl Canonical for v1::Context {
    const WHAT: &'static str = "the context";
    const BYTES_MAX: usize = HEADER_BYTES_MAX;

    fn version(&self) -> u32 {
        self.version
    }

    fn check(&self) -> Result<(), EncodingError> {
        Context::read(self.clone()).map(drop)
    }
}

fn check_counts(context: &v1::Context) -> Result<(), EncodingError> {
    ensure((1..=SIGNERS_MAX).contains(&context.signers.len()), "signers", "are not 1 to 4")?;
    ensure((1..=RECIPIENTS_MAX).contains(&context.recipients.len()), "recipients", "are not 1 to 512")?;
    ensure(context.authorities.len() <= AUTHORITIES_MAX, "authorities", "are more than 16")?;
    let mut sorted: Vec<&String> = context.recipients.iter().collect();
    sorted.sort_unstable();
    ensure(sorted.windows(2).all(|pair| pair[0] != pair[1]), "recipients", "name one twice")?;
    let keys = &context.signers;
    ensure((1..keys.len()).all(|at| keys[..at].iter().all(|key| key.key_id != keys[at].key_id)), "signers", "name one twice")
}

impl Canonical for v1::Header {
    const WHAT: &'static str = "the header";
    const BYTES_MAX: usize = HEADER_BYTES_MAX;

    fn check(&self) -> Result<(), EncodingError> {
        ensure((1..=CIPHERTEXT_BYTES_MAX as u64).contains(&self.content_size), "content_size", "is 0 or above the inline limit")?;
        ensure(self.attachments.len() <= ATTACHMENTS_MAX, "attachments", "are more than 32")
    }
}

impl Canonical for v1::Wrap {
    const WHAT: &'static str = "the wrap";
    const BYTES_MAX: usize = WRAP_BYTES_MAX;

    fn check(&self) -> Result<(), EncodingError> {
        let kem = named::<KemId>(self.kem, "wrap.kem")?;
        ensure(self.enc.len() == enc_bytes(kem), "wrap.enc", "has not the size of its kem")?;
        ensure(self.ct.len() == WRAPPED_KEY_BYTES, "wrap.ct", "is not 48 bytes")?;
        ensure((self.index as usize) < RECIPIENTS_MAX, "wrap.index", "is out of range")
    }
}

fn attachment(reference: &v1::AttachmentRef) -> Result<Attachment, EncodingError> {
    ensure((16..=18).contains(&reference.chunk_log2), "attachments.chunk_log2", "is not 16 to 18")?;
    ensure((1..=ATTACHMENT_BYTES_MAX).contains(&reference.ciphertext_size), "attachments.ciphertext_size", "is 0 or above 1 GiB")?;
    let chunks_root = Hash(digest(&reference.chunks_root, "attachments.chunks_root")?);
    Ok(Attachment { chunk_log2: reference.chunk_log2, ciphertext_size: reference.ciphertext_size, chunks_root })
}

fn room(bytes: &[u8]) -> Result<[u8; 16], EncodingError> {
    bytes.try_into().map_err(|_| EncodingError::Field { field: "room", why: "is not 16 bytes" })
}

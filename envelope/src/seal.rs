//! Sealing and opening: one content key a message, wrapped for each recipient (SPEC.md 6). The gateway does not link this.
//!
//! It does not know whether a key is current or whose it is; the caller takes it from a proved directory.

use bytes::Bytes;
use hpke::aead::AesGcm256;
use hpke::kdf::HkdfSha256;
use hpke::kem::{Kem as _, XWing};
use hpke::{Deserializable as _, OpModeR, OpModeS, Serializable as _};
use prost::Message as _;
use proto::v1::{self, KemId, SealedBody};
use ring::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use ring::hkdf;
use tlog::{Hash, sha256, verify_inclusion};
use zeroize::Zeroizing;

use crate::Address;
use crate::header::{HEADER_TYPE, Header, Wrap, context_hash, wraps_root};
use crate::keys::{KeyFileError, SignFault, Signer, random};
use crate::limits::{CONTENT_BYTES_MAX, MEDIA_TYPE_BYTES_MAX, PADDED_BYTES_MIN};
use crate::{canonical, dsse};

/// The key that opens a message. The client keeps it as long as the plaintext: it links the text to the signature.
#[derive(Clone)]
pub struct ContentKey(Zeroizing<[u8; 32]>);

/// A private X-Wing key (its 32-byte seed) and the id of its public half.
#[derive(Clone)]
pub struct DecryptionKey {
    seed: Zeroizing<Vec<u8>>,
    public: Bytes,
}

/// Why a message cannot be sealed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SealError {
    /// The file is too large.
    #[error("the content has {0} bytes, at most {CONTENT_BYTES_MAX} are sent inline")]
    ContentSize(usize),
    /// The media type is empty, too long or not printable ASCII.
    #[error("the media type is not 1 to {MEDIA_TYPE_BYTES_MAX} printable ASCII characters")]
    MediaType,
    /// Not one key for each recipient.
    #[error("{keys} keys for {recipients} recipients")]
    Keys {
        /// Keys given.
        keys: usize,
        /// Recipients named.
        recipients: usize,
    },
    /// The signing keys are not those that the context names, in their order.
    #[error("the signing keys are not the signers that the context names")]
    Signers,
    /// A recipient's key is none of X-Wing.
    #[error("the encryption key of {0} is not a sound X-Wing key")]
    Key(Address),
    /// The context itself is out of bounds.
    #[error(transparent)]
    Encoding(#[from] canonical::EncodingError),
    /// No random bytes.
    #[error(transparent)]
    Random(#[from] KeyFileError),
    /// A signing key that cannot be used now.
    #[error(transparent)]
    Sign(#[from] SignFault),
}

/// Why a delivery does not open. Each line is a check that an attack in SECURITY.md runs into.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OpenError {
    /// The reader is not in the signed list.
    #[error("{0} is not among the signed recipients")]
    NotRecipient(Address),
    /// The wrap is not the one at the reader's index.
    #[error("the wrap is not the signed one of this recipient")]
    Wrap,
    /// The wrap is for a key that the reader does not hold.
    #[error("the wrap is for a key that is not held here")]
    Key,
    /// HPKE refuses it.
    #[error("the wrap does not open")]
    Unwrap,
    /// The content key is not the one that the header commits to.
    #[error("the content key is not the one that the header commits to")]
    Commitment,
    /// The content is not the signed one.
    #[error("the content is not the signed one")]
    Content,
    /// The plaintext's form is wrong.
    #[error("the content is malformed inside")]
    Body,
}

impl DecryptionKey {
    /// Makes an X-Wing key.
    ///
    /// # Errors
    /// [`KeyFileError::Random`] when the system gives no random bytes.
    pub fn generate() -> Result<Self, KeyFileError> {
        let ikm = Zeroizing::new(random::<32>()?);
        let (private, public) = XWing::derive_keypair(&*ikm);
        Ok(Self { seed: Zeroizing::new(private.to_bytes().to_vec()), public: public.to_bytes().to_vec().into() })
    }

    /// Takes a key from its 32-byte seed.
    ///
    /// # Errors
    /// [`OpenError::Key`] when it is no seed.
    pub fn from_seed(seed: &[u8]) -> Result<Self, OpenError> {
        let private = <XWing as hpke::Kem>::PrivateKey::from_bytes(seed).map_err(|_| OpenError::Key)?;
        Ok(Self { seed: Zeroizing::new(seed.to_vec()), public: XWing::sk_to_pk(&private).to_bytes().to_vec().into() })
    }

    /// Takes a key from a PKCS#8 document in DER, as [`DecryptionKey::to_pkcs8`] makes it.
    ///
    /// # Errors
    /// [`OpenError::Key`] when it is no X-Wing key.
    pub fn from_pkcs8(der: &[u8]) -> Result<Self, OpenError> {
        Self::from_seed(der.strip_prefix(XWING_PKCS8_PREFIX).ok_or(OpenError::Key)?)
    }

    /// A PKCS#8 document in DER, version 1, for a file under a passphrase.
    #[must_use]
    pub fn to_pkcs8(&self) -> Zeroizing<Vec<u8>> {
        Zeroizing::new([XWING_PKCS8_PREFIX, &self.seed].concat())
    }

    /// The seed, for its file.
    #[must_use]
    pub fn seed(&self) -> &[u8] {
        &self.seed
    }

    /// The public key, 1,216 bytes.
    #[must_use]
    pub fn public(&self) -> &Bytes {
        &self.public
    }

    /// Its id.
    #[must_use]
    pub fn key_id(&self) -> [u8; 32] {
        crate::key_id::encryption_key_id(KemId::XWing, &self.public)
    }
}

impl std::fmt::Debug for DecryptionKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("DecryptionKey")
    }
}

impl ContentKey {
    /// A key that was kept.
    #[must_use]
    pub fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(Zeroizing::new(bytes))
    }

    /// The 32 bytes, for the client's store.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl std::fmt::Debug for ContentKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("ContentKey")
    }
}

/// Seals `body` under `context` for the public X-Wing keys of its recipients, in their order, and signs the header.
///
/// # Errors
/// [`SealError`] when a size, a key or the context is out of bounds.
pub fn seal<K: Signer + ?Sized>(
    context: &v1::Context,
    body: &SealedBody,
    keys: &[Bytes],
    signers: &[&K],
) -> Result<v1::Submission, SealError> {
    check_body(body)?;
    let recipients = context.recipients.len();
    if keys.len() != recipients {
        return Err(SealError::Keys { keys: keys.len(), recipients });
    }
    let is_other = |(named, key): (&v1::SignerRef, &&K)| named.key_id != key.public().key_id()[..];
    if context.signers.len() != signers.len() || context.signers.iter().zip(signers).any(is_other) {
        return Err(SealError::Signers);
    }
    let context_bytes = Bytes::from(context.encode_to_vec());
    let _: v1::Context = canonical::decode(&context_bytes)?;
    let context_hash = context_hash(&context_bytes);
    let cek = ContentKey(Zeroizing::new(random()?));
    let commitment = commitment(&cek, &context_hash);
    let content = Bytes::from(encrypt(&cek, &context_hash, pad(body)));
    let mut wraps = Vec::with_capacity(recipients);
    for (index, (recipient, public)) in context.recipients.iter().zip(keys).enumerate() {
        let address = canonical::address(recipient, "recipients")?;
        let binding = Binding { context_hash: &context_hash, commitment: &commitment, index: index as u32, address: &address };
        wraps.push(Bytes::from(wrap(&cek, &binding, public).ok_or(SealError::Key(address))?.encode_to_vec()));
    }
    let header = v1::Header {
        context: context_bytes,
        key_commitment: commitment.to_vec().into(),
        content_sha256: sha256(&content).to_vec().into(),
        content_size: content.len() as u64,
        wraps_root: wraps_root(&wraps).as_bytes().to_vec().into(),
        attachments: Vec::new(),
    };
    let header = Bytes::from(header.encode_to_vec());
    let _: v1::Header = canonical::decode(&header)?;
    let signatures = dsse::sign(HEADER_TYPE, &header, signers)?;
    Ok(v1::Submission { signed: Some(v1::SignedHeader { header, signatures }), wraps, content, tag: 0 })
}

/// A delivery's sealed parts.
#[derive(Clone, Copy, Debug)]
pub struct Sealed<'a> {
    /// The header whose signatures the caller has checked.
    pub header: &'a Header,
    /// The reader's own wrap.
    pub wrap: &'a Bytes,
    /// Its path in the wraps tree.
    pub wrap_path: &'a [Hash],
    /// The encrypted content.
    pub content: &'a [u8],
}

/// Opens a delivery for `me` with one of `keys`, and gives the content key beside the body.
///
/// # Errors
/// [`OpenError`] names the first check that fails.
pub fn open(me: &Address, keys: &[DecryptionKey], sealed: &Sealed<'_>) -> Result<(SealedBody, ContentKey), OpenError> {
    let header = sealed.header;
    let index = header.recipient_index(me).ok_or_else(|| OpenError::NotRecipient(me.clone()))?;
    let wrap = Wrap::parse(sealed.wrap).map_err(|_| OpenError::Wrap)?;
    let size = header.context.recipients.len() as u64;
    let included = verify_inclusion(&wrap.leaf(), index as u64, size, sealed.wrap_path, &header.wraps_root);
    if included.is_err() || wrap.index as usize != index {
        return Err(OpenError::Wrap);
    }
    let key = keys.iter().find(|key| key.key_id() == wrap.key_id).ok_or(OpenError::Key)?;
    let binding = Binding { context_hash: &header.context_hash, commitment: &header.key_commitment, index: wrap.index, address: me };
    let cek = unwrap(&wrap, &binding, key).ok_or(OpenError::Unwrap)?;
    let body = open_with(&cek, header, sealed.content)?;
    Ok((body, cek))
}

/// Opens content with a content key: commitment first, then digest, then the cipher.
///
/// # Errors
/// [`OpenError`] names the first check that fails.
pub fn open_with(cek: &ContentKey, header: &Header, content: &[u8]) -> Result<SealedBody, OpenError> {
    if aws_lc_rs::constant_time::verify_slices_are_equal(&commitment(cek, &header.context_hash), &header.key_commitment).is_err() {
        return Err(OpenError::Commitment);
    }
    if content.len() as u64 != header.content_size || sha256(content) != header.content_sha256 {
        return Err(OpenError::Content);
    }
    let mut bytes = Zeroizing::new(content.to_vec());
    let plain = cipher(cek, &header.context_hash)
        .open_in_place(zero_nonce(), Aad::from(&header.context_hash), &mut bytes)
        .map_err(|_| OpenError::Content)?;
    unpad(plain).ok_or(OpenError::Body)
}

/// What a wrap is bound to, so that it opens nowhere else.
struct Binding<'a> {
    context_hash: &'a [u8; 32],
    commitment: &'a [u8; 32],
    index: u32,
    address: &'a Address,
}

impl Binding<'_> {
    /// HPKE info: "ecowire/1 wrap\0" || context_hash || commitment || u32be index || u16be length || address || key_id.
    fn info(&self, key_id: &[u8; 32]) -> Vec<u8> {
        let address = self.address.as_str().as_bytes();
        let length = (address.len() as u16).to_be_bytes();
        [b"ecowire/1 wrap\0", &self.context_hash[..], self.commitment, &self.index.to_be_bytes(), &length, address, key_id].concat()
    }
}

fn wrap(cek: &ContentKey, binding: &Binding<'_>, public: &[u8]) -> Option<v1::Wrap> {
    let key = <XWing as hpke::Kem>::PublicKey::from_bytes(public).ok()?;
    let key_id = crate::key_id::encryption_key_id(KemId::XWing, public);
    let info = binding.info(&key_id);
    let (enc, ct) = hpke::single_shot_seal::<AesGcm256, HkdfSha256, XWing>(&OpModeS::Base, &key, &info, &*cek.0, &[]).ok()?;
    Some(v1::Wrap {
        index: binding.index,
        key_id: key_id.to_vec().into(),
        kem: KemId::XWing.into(),
        enc: enc.to_bytes().to_vec().into(),
        ct: ct.into(),
    })
}

fn unwrap(wrap: &Wrap, binding: &Binding<'_>, key: &DecryptionKey) -> Option<ContentKey> {
    if wrap.kem != KemId::XWing {
        return None;
    }
    let private = <XWing as hpke::Kem>::PrivateKey::from_bytes(&key.seed).ok()?;
    let enc = <XWing as hpke::Kem>::EncappedKey::from_bytes(&wrap.enc).ok()?;
    let info = binding.info(&wrap.key_id);
    let plain = hpke::single_shot_open::<AesGcm256, HkdfSha256, XWing>(&OpModeR::Base, &private, &enc, &info, &wrap.ct, &[]).ok()?;
    let plain = Zeroizing::new(plain);
    Some(ContentKey(Zeroizing::new(plain.as_slice().try_into().ok()?)))
}

fn commitment(cek: &ContentKey, context_hash: &[u8; 32]) -> [u8; 32] {
    derive(cek, context_hash, b"ecowire/1 commitment")
}

/// HKDF-SHA256(salt = context_hash, ikm = CEK, info), 32 bytes.
pub(crate) fn derive(cek: &ContentKey, context_hash: &[u8; 32], info: &[u8]) -> [u8; 32] {
    let mut out = [0; 32];
    let prk = hkdf::Salt::new(hkdf::HKDF_SHA256, context_hash).extract(&*cek.0);
    let info = [info];
    let okm = prk.expand(&info, hkdf::HKDF_SHA256).expect("32 bytes are within HKDF's bound");
    okm.fill(&mut out).expect("the length is that of the algorithm");
    out
}

fn cipher(cek: &ContentKey, context_hash: &[u8; 32]) -> LessSafeKey {
    let key = Zeroizing::new(derive(cek, context_hash, b"ecowire/1 content"));
    LessSafeKey::new(UnboundKey::new(&AES_256_GCM, &*key).expect("an AES-256 key has 32 bytes"))
}

fn encrypt(cek: &ContentKey, context_hash: &[u8; 32], mut plain: Vec<u8>) -> Vec<u8> {
    let sealed = cipher(cek, context_hash).seal_in_place_append_tag(zero_nonce(), Aad::from(context_hash), &mut plain);
    sealed.expect("the content is far below 64 GiB");
    plain
}

/// The content key is used for one content only, so its nonce can be zero.
fn zero_nonce() -> Nonce {
    Nonce::assume_unique_for_key([0; 12])
}

fn check_body(body: &SealedBody) -> Result<(), SealError> {
    if body.content.len() > CONTENT_BYTES_MAX {
        return Err(SealError::ContentSize(body.content.len()));
    }
    let printable = body.media_type.bytes().all(|byte| (b'!'..=b'~').contains(&byte) || byte == b' ');
    if body.media_type.is_empty() || body.media_type.len() > MEDIA_TYPE_BYTES_MAX || !printable {
        return Err(SealError::MediaType);
    }
    Ok(())
}

/// u32be length || body || zeros up to the padded size.
fn pad(body: &SealedBody) -> Vec<u8> {
    let length = body.encoded_len();
    let mut plain = Vec::with_capacity(padded_len(4 + length) + 16);
    plain.extend_from_slice(&(length as u32).to_be_bytes());
    body.encode(&mut plain).expect("a vector grows");
    plain.resize(padded_len(4 + length), 0);
    plain
}

fn unpad(plain: &[u8]) -> Option<SealedBody> {
    let (length, rest) = plain.split_first_chunk::<4>()?;
    let length = u32::from_be_bytes(*length) as usize;
    let (body, zeros) = rest.split_at_checked(length)?;
    if plain.len() != padded_len(4 + length) || zeros.iter().any(|byte| *byte != 0) {
        return None;
    }
    let decoded = SealedBody::decode(body).ok()?;
    (decoded.encode_to_vec() == body && check_body(&decoded).is_ok()).then_some(decoded)
}

/// Padme: the length's trailing bits beyond its leading log2(log2) bits are rounded up; at least 256 bytes.
#[must_use]
pub fn padded_len(length: usize) -> usize {
    if length <= PADDED_BYTES_MIN {
        return PADDED_BYTES_MIN;
    }
    let exponent = length.ilog2();
    let kept = exponent.ilog2() + 1;
    let mask = (1usize << (exponent - kept)) - 1;
    (length + mask) & !mask
}

/// OneAsymmetricKey version 1 of X-Wing (1.3.6.1.4.1.62253.25722) before its seed of 32 bytes (draft-connolly-cfrg-xwing-kem).
const XWING_PKCS8_PREFIX: &[u8] =
    &[0x30, 0x34, 0x02, 0x01, 0x00, 0x30, 0x0d, 0x06, 0x0b, 0x2b, 0x06, 0x01, 0x04, 0x01, 0x83, 0xe6, 0x2d, 0x81, 0xc8, 0x7a, 0x04, 0x20];

/// HKDF of an attachment's chunks; see `attachment`.
pub(crate) fn attachment_key(cek: &ContentKey, context_hash: &[u8; 32], index: u32) -> Zeroizing<[u8; 32]> {
    let info = [&b"ecowire/1 attachment\0"[..], &index.to_be_bytes()].concat();
    Zeroizing::new(derive(cek, context_hash, &info))
}

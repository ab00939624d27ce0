//! The stage of the tests that seal: posts with their keys, a gateway that knows them, and readers of deliveries.
//!
//! Errors come back as the names of SPEC.md 10, or as the check of `seal::open` that failed, so that a test reads as a table.

// Each test file is a crate of its own and uses its part of the stage.
#![allow(dead_code)]

use bytes::Bytes;
use envelope::header::{HEADER_TYPE, Header};
use envelope::keys::{AwsLc, SigningKey};
use envelope::message::{Envelope, Identity, Keyring, Peer, Verified, VerifyError};
use envelope::seal::{ContentKey, DecryptionKey, Sealed};
use envelope::{Address, Network, dsse, seal};
use prost::Message as _;
use proto::v1::{self, SealedBody};
use tlog::{Hash, leaf_hash, small};

pub(crate) const CREATED_MS: u64 = 1_795_374_960_000;

/// The network of every test.
pub(crate) fn network() -> Network {
    Network::parse("ecowire.test").expect("a sound name")
}

pub(crate) fn address(text: &str) -> Address {
    Address::parse(text).expect("a sound address")
}

/// Somebody with an identity key and a decryption key.
pub(crate) struct Post {
    pub(crate) address: Address,
    pub(crate) identity: SigningKey,
    pub(crate) key: DecryptionKey,
}

impl Post {
    pub(crate) fn new(text: &str) -> Self {
        let (identity, _) = SigningKey::generate().expect("random bytes");
        Self { address: address(text), identity, key: DecryptionKey::generate().expect("random bytes") }
    }

    pub(crate) fn many(texts: &[&str]) -> Vec<Self> {
        texts.iter().map(|text| Self::new(text)).collect()
    }
}

/// Who is enrolled.
pub(crate) struct Enrolled<'a>(pub(crate) Vec<&'a Post>);

impl Keyring for Enrolled<'_> {
    fn identity(&self, key_id: &[u8; 32]) -> Option<Identity> {
        let post = self.0.iter().find(|post| post.identity.key_id() == *key_id)?;
        Some(Identity { address: post.address.clone(), public: post.identity.public() })
    }
}

/// A context with only what must be there.
pub(crate) fn context(signers: &[&Post], recipients: &[&Post]) -> v1::Context {
    let signer = |post: &&Post| post.identity.public().signer_ref();
    v1::Context {
        version: 1,
        network: network().to_string(),
        sender: signers[0].address.to_string(),
        year: 2026,
        series: 1,
        number: 417,
        signers: signers.iter().map(signer).collect(),
        recipients: recipients.iter().map(|post| post.address.to_string()).collect(),
        kind: v1::Kind::Message.into(),
        priority: v1::Priority::Routine.into(),
        classification: v1::Classification::Restricted.into(),
        handling: v1::Handling::H0.into(),
        created_ms: CREATED_MS,
        expires_ms: CREATED_MS + 259_200_000,
        clock: v1::ClockQuality::Ntp.into(),
        content_suite: v1::ContentSuite::Aes256Gcm.into(),
        directory_size: 12,
        directory_root: vec![0x11; 32].into(),
        deny_digest: vec![0x22; 32].into(),
        ipsg_opt_out: v1::OptOut::None.into(),
        ..v1::Context::default()
    }
}

/// A context with every field in use.
pub(crate) fn full_context(signers: &[&Post], recipients: &[&Post]) -> v1::Context {
    v1::Context {
        series: 2,
        number: 1,
        via_group: "grp/wg/wildlife".to_owned(),
        in_reply_to: vec![0x33; 32].into(),
        parent: vec![0x44; 32].into(),
        room: vec![0x55; 16].into(),
        target: vec![0x66; 32].into(),
        authorities: vec![v1::Authority { kind: v1::AuthorityKind::Waiver.into(), statement_digest: vec![0x77; 32].into() }],
        exercise: true,
        previous: Some(v1::Previous { year: 2026, series: 1, number: 416 }),
        ..context(signers, recipients)
    }
}

pub(crate) fn body(bytes: usize) -> SealedBody {
    let content: Vec<u8> = (0..bytes).map(|at| (at % 251) as u8).collect();
    SealedBody { media_type: "application/json".to_owned(), content: content.into() }
}

/// Seals as the client does.
pub(crate) fn sealed(context: &v1::Context, body: &SealedBody, recipients: &[&Post], signers: &[&Post]) -> v1::Submission {
    let keys: Vec<Bytes> = recipients.iter().map(|post| post.key.public().clone()).collect();
    let signers: Vec<&SigningKey> = signers.iter().map(|post| &post.identity).collect();
    seal::seal(context, body, &keys, &signers).expect("sound input")
}

/// A small message from one post to some.
pub(crate) fn message(sender: &Post, recipients: &[&Post]) -> v1::Submission {
    sealed(&context(&[sender], recipients), &body(100), recipients, &[sender])
}

/// Signs `header` and puts it in the place of the submission's.
pub(crate) fn resigned(submission: &v1::Submission, header: Bytes, signers: &[&Post]) -> v1::Submission {
    let keys: Vec<&SigningKey> = signers.iter().map(|post| &post.identity).collect();
    let signatures = dsse::sign(HEADER_TYPE, &header, &keys).expect("signed");
    v1::Submission { signed: Some(v1::SignedHeader { header, signatures }), ..submission.clone() }
}

/// The header's fields.
pub(crate) fn header_of(submission: &v1::Submission) -> v1::Header {
    v1::Header::decode(signed(submission).header.clone()).expect("a header")
}

/// The context's fields.
pub(crate) fn context_of(submission: &v1::Submission) -> v1::Context {
    v1::Context::decode(header_of(submission).context).expect("a context")
}

pub(crate) fn signed(submission: &v1::Submission) -> &v1::SignedHeader {
    submission.signed.as_ref().expect("a signed header")
}

pub(crate) fn parsed(submission: &v1::Submission) -> Header {
    Header::parse(&signed(submission).header, &network()).expect("a sound header")
}

pub(crate) fn encoded(message: &impl prost::Message) -> Bytes {
    message.encode_to_vec().into()
}

/// The gateway: form, sender, commitments, signatures; `Err` has the name of SPEC.md 10.
pub(crate) fn admit(submission: &v1::Submission, peer: &Address, enrolled: &Enrolled<'_>) -> Result<Verified, &'static str> {
    let peer = Peer { address: peer.clone(), fingerprint: [1; 32], chain_sha256: [2; 32], links: Vec::new(), not_after_ms: u64::MAX };
    let envelope = Envelope::parse(submission.clone(), &network());
    envelope.and_then(|envelope| envelope.verify(&peer, enrolled, &AwsLc)).map_err(|error| match error {
        VerifyError::Encoding(_) => "BAD_ENCODING",
        VerifyError::NotSender { .. } => "NOT_SENDER",
        VerifyError::BadCommitment(_) => "BAD_COMMITMENT",
        VerifyError::BadSignature(_) => "BAD_SIGNATURE",
    })
}

/// What the recipient at `index` is sent.
pub(crate) fn delivery(submission: &v1::Submission, index: usize) -> v1::Delivery {
    let leaves: Vec<Hash> = submission.wraps.iter().map(|wrap| leaf_hash(wrap)).collect();
    let path = small::path(&leaves, index).expect("an index of a wrap");
    v1::Delivery {
        signed: submission.signed.clone(),
        wrap: submission.wraps[index].clone(),
        wrap_path: path.iter().map(|hash| Bytes::copy_from_slice(hash.as_bytes())).collect(),
        content: submission.content.clone(),
        ..v1::Delivery::default()
    }
}

/// The recipient: form, signatures of all signers named, then `seal::open`; `Err` has the name of the check.
pub(crate) fn read(me: &Post, enrolled: &Enrolled<'_>, delivery: &v1::Delivery) -> Result<(SealedBody, ContentKey), String> {
    let signed = delivery.signed.as_ref().ok_or("BAD_ENCODING")?;
    let header = Header::parse(&signed.header, &network()).map_err(|_| "BAD_ENCODING")?;
    let key = |signer: &envelope::header::Signer| Some((signer.key_id, enrolled.identity(&signer.key_id)?.public));
    let signers: Option<Vec<_>> = header.context.signers.iter().map(key).collect();
    let signers = signers.ok_or("BAD_SIGNATURE")?;
    dsse::verify(&AwsLc, HEADER_TYPE, &signed.header, &signers, &signed.signatures).map_err(|_| "BAD_SIGNATURE")?;
    let path: Result<Vec<Hash>, _> = delivery.wrap_path.iter().map(|hash| Hash::try_from(hash.as_ref())).collect();
    let path = path.map_err(|_| "Wrap")?;
    let sealed = Sealed { header: &header, wrap: &delivery.wrap, wrap_path: &path, content: &delivery.content };
    seal::open(&me.address, std::slice::from_ref(&me.key), &sealed).map_err(|error| format!("{error:?}"))
}

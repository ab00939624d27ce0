//! Submissions, headers, wraps and deliveries: what a sender signs and what a recipient gets.

use std::collections::BTreeSet;
use std::sync::LazyLock;

use bytes::Bytes;
use envelope::canonical;
use envelope::header::{Header, Wrap, context_hash, message_id};
use envelope::keys::{AwsLc, Ring};
use envelope::message::{Envelope, Identity, Keyring, Peer, VerifyError};
use envelope::seal::{DecryptionKey, Sealed, open};
use envelope::{Address, Reference};
use prost::Message as _;
use proto::v1;
use tlog::Hash;

use crate::seeds::{KEYS, cases, list, network, raw};

/// Every key of the vectors, said to be the sender's: more is believed than anywhere else.
struct SendersKeys(Address);

impl Keyring for SendersKeys {
    fn identity(&self, key_id: &[u8; 32]) -> Option<Identity> {
        Some(Identity { address: self.0.clone(), public: *KEYS.get(key_id)? })
    }
}

/// Ids of all messages in the seeds, whether they are sound or not.
static MESSAGES: LazyLock<BTreeSet<[u8; 32]>> = LazyLock::new(|| {
    let signed = |bytes: Vec<u8>| v1::Submission::decode(&bytes[..]).ok().and_then(|one| one.signed);
    submission_seeds().into_iter().filter_map(signed).map(|signed| message_id(&signed.header)).collect()
});

/// A submission: parsed, then verified by two providers of cryptography.
pub(crate) fn submission(bytes: &[u8]) -> bool {
    let Ok(submission) = v1::Submission::decode(bytes) else { return false };
    let network = network();
    let Ok(envelope) = Envelope::parse(submission.clone(), &network) else { return false };
    check_header(envelope.header());
    let again = Envelope::parse(submission, &network).expect("what was read is read again");
    let sender = envelope.header().context.reference.sender.clone();
    let stranger = Address::parse(if sender.as_str() == "zz" { "zy" } else { "zz" }).expect("an address");
    let keys = SendersKeys(sender.clone());
    let refused = envelope.clone().verify(&peer(stranger), &keys, &AwsLc);
    assert!(matches!(refused, Err(VerifyError::NotSender { .. })), "a stranger speaks for the sender");
    match (envelope.verify(&peer(sender.clone()), &keys, &Ring), again.verify(&peer(sender), &keys, &AwsLc)) {
        (Ok(one), Ok(other)) => {
            assert_eq!(one.sealed(), other.sealed());
            assert!(MESSAGES.contains(&one.header().message_id), "a message that nobody signed is believed");
            true
        }
        (Err(one), Err(other)) => {
            assert_eq!(one, other, "the providers differ");
            false
        }
        (one, other) => panic!("the providers differ: {:?}, {:?}", one.err(), other.err()),
    }
}

fn peer(address: Address) -> Peer {
    Peer { address, fingerprint: [0; 32], chain_sha256: [0; 32], links: Vec::new(), not_after_ms: 0 }
}

/// What was read is the one encoding of itself, at both levels.
fn check_header(header: &Header) {
    let form: v1::Header = canonical::decode(&header.bytes).expect("a header that was read");
    assert_eq!(form.encode_to_vec(), header.bytes, "two encodings of one header");
    let context: v1::Context = canonical::decode(&form.context).expect("a context that was read");
    assert_eq!(context.encode_to_vec(), form.context, "two encodings of one context");
    assert_eq!((header.message_id, header.context_hash), (message_id(&header.bytes), context_hash(&form.context)));
    let reference = &header.context.reference;
    assert_eq!(reference.to_string().parse::<Reference>().as_ref(), Ok(reference), "a reference that does not read itself");
    for (at, recipient) in header.context.recipients.iter().enumerate() {
        assert_eq!(header.recipient_index(recipient), Some(at), "a recipient stands twice");
    }
}

pub(crate) fn submission_seeds() -> Vec<Vec<u8>> {
    cases("message").iter().map(|case| raw(&case["submission"])).collect()
}

/// A header alone.
pub(crate) fn header(bytes: &[u8]) -> bool {
    let Ok(header) = Header::parse(&Bytes::copy_from_slice(bytes), &network()) else { return false };
    assert_eq!(header.bytes, bytes);
    check_header(&header);
    true
}

pub(crate) fn header_seeds() -> Vec<Vec<u8>> {
    canonical_seeds("header").into_iter().chain(cases("delivery").iter().map(|case| raw(&case["header"]))).collect()
}

/// The vectors of one type of `canonical`.
fn canonical_seeds(kind: &str) -> Vec<Vec<u8>> {
    cases("canonical").iter().filter(|case| case["type"] == kind).map(|case| raw(&case["bytes"])).collect()
}

/// A wrap alone.
pub(crate) fn wrap(bytes: &[u8]) -> bool {
    let Ok(wrap) = Wrap::parse(&Bytes::copy_from_slice(bytes)) else { return false };
    let form =
        v1::Wrap { index: wrap.index, key_id: wrap.key_id.to_vec().into(), kem: wrap.kem.into(), enc: wrap.enc, ct: wrap.ct.clone() };
    assert_eq!(form.encode_to_vec(), bytes, "two encodings of one wrap");
    true
}

pub(crate) fn wrap_seeds() -> Vec<Vec<u8>> {
    canonical_seeds("wrap").into_iter().chain(cases("delivery").iter().map(|case| raw(&case["wrap"]))).collect()
}

/// The keys of all recipients of the vectors.
static SEEDS: LazyLock<Vec<DecryptionKey>> = LazyLock::new(|| {
    let seeds: BTreeSet<Vec<u8>> = cases("delivery").iter().flat_map(|case| list(&case["seeds"])).collect();
    seeds.iter().map(|seed| DecryptionKey::from_seed(seed).expect("a seed of the vectors")).collect()
});

/// Context and ciphertext of all deliveries in the seeds.
static DELIVERIES: LazyLock<BTreeSet<([u8; 32], [u8; 32])>> = LazyLock::new(|| {
    let headers = cases("delivery").into_iter().filter_map(|case| v1::Header::decode(&raw(&case["header"])[..]).ok());
    headers.filter_map(|header| Some((context_hash(&header.context), header.content_sha256.as_ref().try_into().ok()?))).collect()
});

/// A delivery, opened with every recipient's keys.
pub(crate) fn delivery(bytes: &[u8]) -> bool {
    let Ok(delivery) = v1::Delivery::decode(bytes) else { return false };
    let Ok(header) = Header::parse(&delivery.signed.unwrap_or_default().header, &network()) else { return false };
    let path: Option<Vec<Hash>> = delivery.wrap_path.iter().map(|hash| Hash::try_from(&hash[..]).ok()).collect();
    let Some(path) = path else { return false };
    let index = Wrap::parse(&delivery.wrap).map_or(0, |wrap| wrap.index as usize);
    let Some(me) = header.context.recipients.get(index) else { return false };
    let sealed = Sealed { header: &header, wrap: &delivery.wrap, wrap_path: &path, content: &delivery.content };
    let Ok((body, cek)) = open(me, &SEEDS, &sealed) else { return false };
    let known = DELIVERIES.contains(&(header.context_hash, header.content_sha256));
    assert!(known, "a delivery opens that nobody sealed");
    let again = envelope::seal::open_with(&cek, &header, &delivery.content).expect("the content key opens it again");
    assert_eq!((again.media_type, again.content), (body.media_type, body.content));
    true
}

pub(crate) fn delivery_seeds() -> Vec<Vec<u8>> {
    let seed = |case: &serde_json::Value| {
        let signed = v1::SignedHeader { header: raw(&case["header"]).into(), signatures: Vec::new() };
        let wrap_path = list(&case["wrap_path"]).into_iter().map(Bytes::from).collect();
        let (wrap, content) = (raw(&case["wrap"]).into(), raw(&case["content"]).into());
        v1::Delivery { signed: Some(signed), wrap, wrap_path, content, ..v1::Delivery::default() }.encode_to_vec()
    };
    // Python's vectors repeat the same few deliveries with a part changed each; a handful of the large ones is enough.
    cases("delivery").iter().map(seed).filter(|seed| seed.len() < 8192).collect()
}

//! Submissions as the gateway checks them and deliveries as a recipient opens them.

use bytes::Bytes;
use envelope::header::{HEADER_TYPE, Header, message_id};
use envelope::keys::SigningKey;
use envelope::message::{sealed_sha256, signatures_sha256};
use envelope::seal::{DecryptionKey, Sealed, open, seal};
use envelope::{Address, Network, dsse};
use p256::elliptic_curve::PrimeField as _;
use p256::{FieldBytes, Scalar};
use prost::Message as _;
use proto::v1;
use serde_json::{Value, json};
use tlog::{leaf_hash, small};

use crate::headers::{context, full_context, headers};
use crate::{Files, NETWORK, flip, hex, hexes, p256_key, signing_key};

pub(crate) fn messages(files: &mut Files) {
    let keys = [DecryptionKey::from_seed(&[1; 32]).unwrap(), DecryptionKey::from_seed(&[2; 32]).unwrap()];
    let body = v1::SealedBody { media_type: "application/json".to_owned(), content: br#"{"goods":"ivory"}"#[..].into() };
    let (key, publics) = (signing_key(1), [keys[0].public().clone(), keys[1].public().clone()]);
    for context in [context(), full_context()] {
        let submission = seal(&context, &body, &publics, &[&key]).unwrap();
        add_message(files, &submission, &key);
        for (me, held) in context.recipients.iter().zip(&keys) {
            add_delivery(files, &submission, me, held, &body);
        }
    }
    let curve = p256_key(7);
    let by_curve = v1::Context { signers: vec![curve.public().signer_ref()], ..context() };
    let submission = seal(&by_curve, &body, &publics, &[&curve]).unwrap();
    add_message(files, &submission, &curve);
    bad_algorithms(files, &submission, &curve);
    let empty = v1::SealedBody { media_type: "t".to_owned(), content: Bytes::new() };
    let submission = seal(&context(), &empty, &publics, &[&key]).unwrap();
    add_delivery(files, &submission, "ke", &keys[0], &empty);
    let submission = seal(&context(), &body, &publics, &[&key]).unwrap();
    bad_messages(files, &submission, &key);
    bad_deliveries(files, &submission);
    headers(files, &submission);
}

/// A header says which algorithm its signer's key has; the key itself knows better.
fn bad_algorithms(files: &mut Files, good: &v1::Submission, key: &SigningKey) {
    let me = "ke/cus/kemba";
    let signed = good.signed.as_ref().unwrap();
    let mut header = v1::Header::decode(&signed.header[..]).unwrap();
    let mut context = v1::Context::decode(&header.context[..]).unwrap();
    context.signers[0].alg = v1::SigAlg::Ed25519.into();
    header.context = context.encode_to_vec().into();
    let header = Bytes::from(header.encode_to_vec());
    let signatures = dsse::sign(HEADER_TYPE, &header, &[key]).unwrap();
    let misnamed = v1::Submission { signed: Some(v1::SignedHeader { header, signatures }), ..good.clone() };
    let high = |signature: &[u8]| {
        let mut signature: Vec<u8> = signature.to_vec();
        let s = Scalar::from_repr(FieldBytes::try_from(&signature[32..]).unwrap()).unwrap();
        signature[32..].copy_from_slice(&(-s).to_repr());
        signature
    };
    let mut twin = good.clone();
    let signature = &mut twin.signed.as_mut().unwrap().signatures[0].signature;
    *signature = high(signature).into();
    for (what, submission) in [("P-256 called Ed25519", misnamed), ("P-256 with n - s", twin)] {
        let mut case = message_case(&submission, me, me, key);
        case["refusal"] = "BAD_SIGNATURE".into();
        files.bad("message", what, case);
    }
}

fn message_case(submission: &v1::Submission, peer: &str, owner: &str, key: &SigningKey) -> Value {
    let identities = json!([[hex(key.key_id()), owner, hex(key.public().as_bytes())]]);
    json!({"network": NETWORK, "peer": peer, "identities": identities, "submission": hex(submission.encode_to_vec())})
}

fn add_message(files: &mut Files, submission: &v1::Submission, key: &SigningKey) {
    let signed = submission.signed.as_ref().unwrap();
    let header = Header::parse(&signed.header, &Network::parse(NETWORK).unwrap()).unwrap();
    let gives = json!({
        "message_id": hex(message_id(&signed.header)),
        "context_hash": hex(header.context_hash),
        "reference": header.context.reference.to_string(),
        "signatures_sha256": hex(signatures_sha256(&signed.signatures)),
        "sealed_sha256": hex(sealed_sha256(&envelope::header::wraps_root(&submission.wraps), &submission.content)),
    });
    files.good("message", message_case(submission, "ke/cus/kemba", "ke/cus/kemba", key), gives);
}

fn bad_messages(files: &mut Files, good: &v1::Submission, key: &SigningKey) {
    let me = "ke/cus/kemba";
    let mut bad = |what: &str, refusal: &str, mut case: Value| {
        case["refusal"] = refusal.into();
        files.bad("message", what, case);
    };
    let with = |change: &dyn Fn(&mut v1::Submission)| {
        let mut submission = good.clone();
        change(&mut submission);
        message_case(&submission, me, me, key)
    };
    bad("another connection", "NOT_SENDER", message_case(good, "ke", me, key));
    bad("the key of another", "NOT_SENDER", message_case(good, me, "ke", key));
    bad("a key that is not enrolled", "NOT_SENDER", message_case(good, me, me, &signing_key(2)));
    bad("no header", "BAD_ENCODING", with(&|one| one.signed = None));
    bad("a wrap is missing", "BAD_COMMITMENT", with(&|one| drop(one.wraps.pop())));
    bad("a wrap too many", "BAD_ENCODING", with(&|one| one.wraps.push(one.wraps[0].clone())));
    bad("wraps swapped", "BAD_COMMITMENT", with(&|one| one.wraps.swap(0, 1)));
    bad("a wrap twice", "BAD_COMMITMENT", with(&|one| one.wraps[1] = one.wraps[0].clone()));
    bad("a bit of a wrap", "BAD_COMMITMENT", with(&|one| one.wraps[0] = flip(&one.wraps[0], 100)));
    bad("a bit of the content", "BAD_COMMITMENT", with(&|one| one.content = flip(&one.content, 3)));
    bad("content cut", "BAD_COMMITMENT", with(&|one| one.content = one.content.slice(1..)));
    bad("no signature", "BAD_SIGNATURE", with(&|one| one.signed.as_mut().unwrap().signatures.clear()));
    bad(
        "a signature twice",
        "BAD_SIGNATURE",
        with(&|one| {
            let signatures = &mut one.signed.as_mut().unwrap().signatures;
            signatures.push(signatures[0].clone());
        }),
    );
    bad(
        "a bit of the signature",
        "BAD_SIGNATURE",
        with(&|one| {
            let signature = &mut one.signed.as_mut().unwrap().signatures[0].signature;
            *signature = flip(signature, 40);
        }),
    );
    bad(
        "another priority under the old signature",
        "BAD_SIGNATURE",
        with(&|one| {
            let signed = one.signed.as_mut().unwrap();
            let mut header = v1::Header::decode(&signed.header[..]).unwrap();
            let mut context = v1::Context::decode(&header.context[..]).unwrap();
            context.priority = v1::Priority::Flash.into();
            header.context = context.encode_to_vec().into();
            signed.header = header.encode_to_vec().into();
        }),
    );
}

fn delivery_case(submission: &v1::Submission, me: &str, at: usize, seed: u8) -> Value {
    let leaves: Vec<_> = submission.wraps.iter().map(|wrap| leaf_hash(wrap)).collect();
    json!({
        "network": NETWORK, "me": me, "seeds": [hex([seed; 32])], "header": hex(&submission.signed.as_ref().unwrap().header),
        "wrap": hex(&submission.wraps[at]), "wrap_path": hexes(&small::path(&leaves, at).unwrap()),
        "content": hex(&submission.content), "chunks": [],
    })
}

fn add_delivery(files: &mut Files, submission: &v1::Submission, me: &str, key: &DecryptionKey, body: &v1::SealedBody) {
    let header = Header::parse(&submission.signed.as_ref().unwrap().header, &Network::parse(NETWORK).unwrap()).unwrap();
    let address = Address::parse(me).unwrap();
    let at = header.recipient_index(&address).unwrap();
    let leaves: Vec<_> = submission.wraps.iter().map(|wrap| leaf_hash(wrap)).collect();
    let path = small::path(&leaves, at).unwrap();
    let sealed = Sealed { header: &header, wrap: &submission.wraps[at], wrap_path: &path, content: &submission.content };
    let (_, cek) = open(&address, std::slice::from_ref(key), &sealed).unwrap();
    let gives = json!({"media_type": body.media_type, "body": hex(&body.content), "cek": hex(cek.as_bytes()), "attachments": []});
    files.good("delivery", delivery_case(submission, me, at, key.seed()[0]), gives);
}

fn bad_deliveries(files: &mut Files, good: &v1::Submission) {
    let mut bad = |what: &str, refusal: &str, mut case: Value| {
        case["refusal"] = refusal.into();
        files.bad("delivery", what, case);
    };
    let header = |change: &dyn Fn(&mut v1::Header)| {
        let mut submission = good.clone();
        let signed = submission.signed.as_mut().unwrap();
        let mut header = v1::Header::decode(&signed.header[..]).unwrap();
        change(&mut header);
        signed.header = header.encode_to_vec().into();
        submission
    };
    bad("somebody who is not named", "NotRecipient", delivery_case(good, "th", 0, 1));
    bad("the wrap of another", "Wrap", delivery_case(good, "ke", 1, 2));
    bad("a key that is not held", "Key", delivery_case(good, "ke", 0, 3));
    let mut case = delivery_case(good, "ke", 0, 1);
    case["wrap_path"] = json!([]);
    bad("no path", "Wrap", case);
    let mut tampered = good.clone();
    tampered.wraps[0] = flip(&tampered.wraps[0], 200);
    bad("a bit of the wrap", "Wrap", delivery_case(&tampered, "ke", 0, 1));
    let leaves: Vec<_> = tampered.wraps.iter().map(|wrap| leaf_hash(wrap)).collect();
    let mut resigned = header(&|header| header.wraps_root = small::root(&leaves).as_bytes().to_vec().into());
    resigned.wraps = tampered.wraps;
    bad("a bit of the wrap, its root signed", "Unwrap", delivery_case(&resigned, "ke", 0, 1));
    bad("another commitment", "Unwrap", delivery_case(&header(&|header| header.key_commitment = vec![0; 32].into()), "ke", 0, 1));
    let other_context = header(&|header| header.context = v1::Context { number: 418, ..context() }.encode_to_vec().into());
    bad("another context", "Unwrap", delivery_case(&other_context, "ke", 0, 1));
    let mut content = good.clone();
    content.content = flip(&content.content, 0);
    bad("a bit of the content", "Content", delivery_case(&content, "ke", 0, 1));
    let mut resigned = header(&|header| header.content_sha256 = tlog::sha256(&content.content).to_vec().into());
    resigned.content = content.content;
    bad("a bit of the content, its digest signed", "Content", delivery_case(&resigned, "ke", 0, 1));
    bad("another digest", "Content", delivery_case(&header(&|header| header.content_sha256 = vec![0; 32].into()), "ke", 0, 1));
}

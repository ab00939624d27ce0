//! Both kinds of identity keys in one network: messages, statements, receipts and the audit, and what a P-256 key must not
//! do.

mod theatre;

use certs_dev::forge::{Ca, Certifiable, Spec};
use client::link::{Credentials, Link};
use client::{Client, Error, ReceiveOptions};
use envelope::keys::AwsLc;
use envelope::{dsse, header};
use p256::ecdsa::Signature;
use prost::Message as _;
use proto::v1::{self, RecipientState, SigAlg};
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use theatre::{CAST, PATIENCE, Theatre, address, audit, note, now, proven};

const P256: [&str; 3] = ["ke", "ke/cus/kemba", "aud/network"];

async fn refusal(client: &mut Client, letter: v1::Submission) -> String {
    match client.submit_raw(letter).await {
        Err(Error::Refused { name, .. }) => name,
        other => panic!("it must be refused: {other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn messages_statements_receipts_and_audits_hold_under_both_algorithms() {
    let theatre = Theatre::with_p256(&CAST, &P256);
    let running = theatre.start().await;
    for member in ["ke", "th"] {
        drop(theatre.client(member).await);
    }
    let mut post = theatre.client("ke/cus/kemba").await;
    let sent = post.send(note(&["th"], "by a P-256 key")).await.expect("sent");
    let receipt = std::fs::read(&sent.receipt_path).expect("the receipt is kept");
    assert_eq!(proven(&theatre.trust(), &receipt).position, sent.position);
    let signed = v1::Submission::decode(sent.bytes.clone()).expect("as sent").signed.expect("signed");
    assert_eq!(signed.signatures[0].signature.len(), 64);
    for member in ["ke", "th"] {
        let mut reader = theatre.client(member).await;
        let mail = reader.receive(ReceiveOptions::default()).await.expect("mail");
        assert_eq!((mail.received.len(), mail.unsound.len()), (1, 0), "{member}");
        assert_eq!(reader.open(&sent.reference).expect("it opens").content, b"by a P-256 key");
        reader.acknowledge(&sent.reference).await.expect("acknowledged");
    }
    let states = post.status(&sent.reference).await.expect("known").iter().map(|one| one.state()).collect::<Vec<_>>();
    assert_eq!(states, [RecipientState::Acknowledged; 2], "by an Ed25519 key, and by a P-256 key");
    let mut thailand = theatre.client("th").await;
    let answer = thailand.send(note(&["ke/cus/kemba"], "by an Ed25519 key")).await.expect("sent");
    drop(thailand);
    post.receive(ReceiveOptions::default()).await.expect("mail");
    assert_eq!(post.open(&answer.reference).expect("it opens").content, b"by an Ed25519 key");
    drop(post);
    let verdict = audit(&mut theatre.client("aud/network").await).await;
    assert_eq!((verdict.judged, verdict.withheld), (verdict.size, 0));
    running.stop().await;
    theatre.check();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_header_names_the_algorithm_of_its_key_and_one_of_two_signatures_counts() {
    let theatre = Theatre::with_p256(&CAST, &P256);
    let running = theatre.start().await;
    drop(theatre.client("th").await);
    let mut kenya = theatre.client("ke").await;
    let misnamed = theatre.letter(&kenya, &["th"], 1, |context| context.signers[0].alg = SigAlg::Ed25519.into());
    assert_eq!(refusal(&mut kenya, misnamed).await, "BAD_SIGNATURE");
    let good = theatre.letter(&kenya, &["th"], 1, |_| ());
    let twin = {
        let mut twin = good.clone();
        let signature = &mut twin.signed.as_mut().expect("signed").signatures[0].signature;
        let low = Signature::from_slice(signature).expect("a signature");
        let (r, s) = low.split_scalars();
        *signature = Signature::from_scalars(r, -s).expect("a signature").to_bytes().to_vec().into();
        twin
    };
    assert_eq!(refusal(&mut kenya, twin).await, "BAD_SIGNATURE", "n - s is a signature to everybody else");
    kenya.submit_raw(good.clone()).await.expect("the sound one under the same number");
    // A recipient judges by the same rule.
    let key = theatre.key("ke").public();
    let signed = good.signed.expect("signed");
    assert_eq!(dsse::verify(&AwsLc, header::HEADER_TYPE, &signed.header, &[(key.key_id(), key)], &signed.signatures), Ok(()));
    drop(kenya);
    running.stop().await;
    theatre.check();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_identity_key_opens_no_connection() {
    let theatre = Theatre::with_p256(&CAST, &P256);
    let running = theatre.start().await;
    let (kenya, trust) = (Ca::load(&theatre.pki(), "ke").expect("a ca"), theatre.trust());
    let spec = Spec::tls(&trust.network, &address("ke"), now());
    let pem = std::fs::read(theatre.identity("ke").join("identity.key")).expect("a file");
    // Its own, and another's.
    for member in ["ke", "ke/cus/kemba"] {
        let leaf = kenya.issue(&spec, &Certifiable(theatre.key(member).public())).expect("a certificate");
        let chain = [leaf, kenya.der.clone()].map(CertificateDer::from).to_vec();
        let key = std::fs::read(theatre.identity(member).join("identity.key")).expect("a file");
        let credentials = Credentials::new(chain, PrivateKeyDer::from_pem_slice(&key).expect("a key"));
        let knocked = Link::connect(&theatre.url(), &trust, credentials, PATIENCE).await;
        assert!(matches!(knocked, Err(Error::CertificateRefused { .. })), "{member}: {knocked:?}");
    }
    // Nor does a client work with such a pair.
    let pair = tempfile::tempdir().expect("a folder");
    for name in ["identity.pem", "identity.key"] {
        std::fs::copy(theatre.identity("ke").join(name), pair.path().join(name)).expect("copied");
    }
    let leaf = kenya.issue(&spec, &Certifiable(theatre.key("ke").public())).expect("a certificate");
    std::fs::write(pair.path().join("tls.pem"), pem_of(&[&leaf, &kenya.der])).expect("written");
    std::fs::write(pair.path().join("tls.key"), &pem).expect("written");
    let origin = client::Origin { identity: pair.path().to_owned(), ..theatre.origin("ke", &theatre.url()) };
    let error = client::Profile::create(&pair.path().join("profile"), &origin).expect_err("one key with two roles");
    assert!(matches!(error, Error::Content { .. }), "{error}");
    running.stop().await;
}

fn pem_of(ders: &[&[u8]]) -> String {
    use base64::Engine as _;
    let encode = |der: &&[u8]| base64::engine::general_purpose::STANDARD.encode(der);
    ders.iter().map(|der| format!("-----BEGIN CERTIFICATE-----\n{}\n-----END CERTIFICATE-----\n", encode(der))).collect()
}

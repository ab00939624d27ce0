//! Statements, signed and spoilt.

use envelope::keys::SigningKey;
use envelope::seal::DecryptionKey;
use envelope::statement::{self, Acknowledged, Delivered, Statement};
use prost::Message as _;
use proto::v1::{self, KemId};
use serde_json::json;

use crate::{CREATED_MS, DAY_MS, Files, NETWORK, canonical_case, hex, p256_key, signer, signing_key};

fn head(issuer: &str, subject: &str) -> Option<v1::StatementHead> {
    Some(v1::StatementHead {
        version: 1,
        network: NETWORK.to_owned(),
        issuer: issuer.to_owned(),
        subject: subject.to_owned(),
        seq: 1,
        created_ms: CREATED_MS,
        ..Default::default()
    })
}

pub(crate) fn key_statement() -> v1::KeyStatement {
    let public = DecryptionKey::from_seed(&[1; 32]).unwrap().public().clone();
    let key = v1::EncryptionKey { kem: KemId::XWing.into(), public, state: v1::KeyState::Current.into() };
    v1::KeyStatement { head: head("ke", "ke"), keys: vec![key], cert_chain_sha256: vec![5; 32].into() }
}

pub(crate) fn statements(files: &mut Files) {
    let key = signing_key(1);
    let keys = key_statement();
    add_statement(files, &keys, &key);
    let items = (1..=3).map(|seq| v1::ReceiptItem { mailbox_seq: seq * 2, message_id: vec![seq as u8; 32].into() }).collect();
    let mailbox =
        v1::MailboxStatement { head: head("ke/cus/kemba", "ke/cus/kemba"), items, at_ms: CREATED_MS, clock: 2, checkpoint_size: 9 };
    add_statement(files, &Delivered(mailbox.clone()), &key);
    add_statement(files, &Acknowledged(mailbox.clone()), &key);
    let mut access_head = head("aud/network", "aud/network");
    access_head.as_mut().unwrap().expires_ms = CREATED_MS + DAY_MS;
    let access = v1::AccessStatement { head: access_head, purpose: "yearly audit".to_owned(), from_index: 0, to_index: 100 };
    add_statement(files, &access, &key);
    add_statement(files, &v1::ClockStep { head: head("network", "network"), now_ms: CREATED_MS }, &key);
    let mut second = keys.clone();
    let next = second.head.as_mut().unwrap();
    (next.seq, next.prev_sha256) = (2, tlog::sha256(&keys.encode_to_vec()).to_vec().into());
    add_statement(files, &second, &key);

    add_statement(files, &keys, &p256_key(7));
    let signed = statement::sign(&keys, &[&key]).unwrap();
    let case = |signed: &v1::SignedStatement, key: &SigningKey| json!({"signed": hex(signed.encode_to_vec()), "signers": [signer(key)]});
    files.bad("statement", "another signer", case(&signed, &signing_key(2)));
    let as_other = v1::SignedStatement {
        kind: v1::StatementKind::Acknowledged.into(),
        ..statement::sign(&Delivered(mailbox.clone()), &[&key]).unwrap()
    };
    files.bad("statement", "DELIVERED shown as ACKNOWLEDGED", case(&as_other, &key));
    let two = statement::sign(&keys, &[&key, &signing_key(2)]).unwrap();
    files.bad("statement", "one signature too many", case(&two, &key));
    bad_statements(files, &keys, &mailbox, &access);
}

fn add_statement<S: Statement>(files: &mut Files, statement: &S, key: &SigningKey) {
    let signed = statement::sign(statement, &[key]).unwrap();
    let name = S::PAYLOAD_TYPE.trim_start_matches("application/vnd.ecowire.").trim_end_matches(".v1+protobuf");
    canonical_case::<S>(files, name, &signed.statement);
    canonical_case::<v1::SignedStatement>(files, "signed_statement", &signed.encode_to_vec());
    files.good("statement", json!({"signed": hex(signed.encode_to_vec()), "signers": [signer(key)]}), json!({"name": name}));
}

fn bad_statements(files: &mut Files, keys: &v1::KeyStatement, mailbox: &v1::MailboxStatement, access: &v1::AccessStatement) {
    let mut bad = |name: &str, what: &str, bytes: Vec<u8>| {
        files.bad("canonical", what, json!({"type": name, "bytes": hex(bytes), "refusal": "BAD_ENCODING"}))
    };
    let with = |change: &dyn Fn(&mut v1::StatementHead)| {
        let mut keys = keys.clone();
        change(keys.head.as_mut().unwrap());
        keys.encode_to_vec()
    };
    bad("keys", "version 2", with(&|head| head.version = 2));
    bad("keys", "version absent", with(&|head| head.version = 0));
    bad("keys", "seq 0", with(&|head| head.seq = 0));
    bad("keys", "seq 2 without prev", with(&|head| head.seq = 2));
    bad("keys", "seq 1 with prev", with(&|head| head.prev_sha256 = vec![0; 32].into()));
    bad("keys", "prev of 31 bytes", with(&|head| (head.seq, head.prev_sha256) = (2, vec![0; 31].into())));
    bad("keys", "expires before created", with(&|head| head.expires_ms = 1));
    bad("keys", "issuer is no address", with(&|head| head.issuer = "KE".to_owned()));
    bad("keys", "network is none", with(&|head| head.network.clear()));
    bad("keys", "no head", v1::KeyStatement { head: None, ..keys.clone() }.encode_to_vec());
    bad("keys", "about another", v1::KeyStatement { head: head("ke", "th"), ..keys.clone() }.encode_to_vec());
    bad("keys", "by the network", v1::KeyStatement { head: head("network", "network"), ..keys.clone() }.encode_to_vec());
    bad("keys", "a key twice", v1::KeyStatement { keys: vec![keys.keys[0].clone(); 2], ..keys.clone() }.encode_to_vec());
    bad("clock-step", "by a participant", v1::ClockStep { head: head("ke", "ke"), now_ms: CREATED_MS }.encode_to_vec());
    bad("keys", "no keys", v1::KeyStatement { keys: vec![], ..keys.clone() }.encode_to_vec());
    bad("keys", "17 keys", v1::KeyStatement { keys: vec![keys.keys[0].clone(); 17], ..keys.clone() }.encode_to_vec());
    let key = |key: v1::EncryptionKey| v1::KeyStatement { keys: vec![key], ..keys.clone() }.encode_to_vec();
    bad("keys", "a key one byte short", key(v1::EncryptionKey { public: keys.keys[0].public.slice(1..), ..keys.keys[0].clone() }));
    bad("keys", "a state without a name", key(v1::EncryptionKey { state: 9, ..keys.keys[0].clone() }));
    bad("keys", "a kem without a name", key(v1::EncryptionKey { kem: 17, ..keys.keys[0].clone() }));
    bad("delivered", "another subject", v1::MailboxStatement { head: head("ke", "th"), ..mailbox.clone() }.encode_to_vec());
    bad("delivered", "by the network", v1::MailboxStatement { head: head("network", "network"), ..mailbox.clone() }.encode_to_vec());
    let mut items = mailbox.items.clone();
    items.swap(0, 1);
    bad("delivered", "items do not ascend", v1::MailboxStatement { items, ..mailbox.clone() }.encode_to_vec());
    bad("acknowledged", "no items", v1::MailboxStatement { items: vec![], ..mailbox.clone() }.encode_to_vec());
    bad("acknowledged", "clock without a name", v1::MailboxStatement { clock: 5, ..mailbox.clone() }.encode_to_vec());
    bad("access", "no purpose", v1::AccessStatement { purpose: String::new(), ..access.clone() }.encode_to_vec());
    bad("access", "a purpose that is no ASCII", v1::AccessStatement { purpose: "\u{202e}".to_owned(), ..access.clone() }.encode_to_vec());
    bad("access", "without end", v1::AccessStatement { head: head("aud/network", "aud/network"), ..access.clone() }.encode_to_vec());
    bad("access", "an empty range", v1::AccessStatement { from_index: 100, ..access.clone() }.encode_to_vec());
    bad("clock-step", "no time", v1::ClockStep { head: head("network", "network"), now_ms: 0 }.encode_to_vec());
    let signed = statement::sign(keys, &[&signing_key(1)]).unwrap();
    let one = signed.signatures[0].clone();
    bad("signed_statement", "kind 0", v1::SignedStatement { kind: 0, ..signed.clone() }.encode_to_vec());
    bad("signed_statement", "kind without a name", v1::SignedStatement { kind: 99, ..signed.clone() }.encode_to_vec());
    bad("signed_statement", "no signature", v1::SignedStatement { signatures: vec![], ..signed.clone() }.encode_to_vec());
    bad("signed_statement", "five signatures", v1::SignedStatement { signatures: vec![one; 5], ..signed.clone() }.encode_to_vec());
    bad("signed_statement", "an unknown field", [signed.encode_to_vec(), vec![0x20, 1]].concat());
}

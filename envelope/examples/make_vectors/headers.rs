//! Headers, contexts and wraps in their one encoding, and in others.

use prost::Message as _;
use proto::v1::{self, KemId};
use serde_json::json;

use crate::{CREATED_MS, DAY_MS, Files, NETWORK, canonical_case, hex, signing_key};

pub(crate) fn context() -> v1::Context {
    v1::Context {
        version: 1,
        network: NETWORK.to_owned(),
        sender: "ke/cus/kemba".to_owned(),
        year: 2026,
        series: 1,
        number: 417,
        signers: vec![v1::SignerRef { key_id: signing_key(1).key_id().to_vec().into(), alg: 1 }],
        recipients: vec!["ke".to_owned(), "th/cus/thbkk".to_owned()],
        kind: v1::Kind::Ecomessage.into(),
        priority: v1::Priority::Urgent.into(),
        classification: v1::Classification::Restricted.into(),
        handling: v1::Handling::H1.into(),
        created_ms: CREATED_MS,
        expires_ms: CREATED_MS + 3 * DAY_MS,
        clock: v1::ClockQuality::Gnss.into(),
        content_suite: 1,
        directory_size: 7,
        directory_root: vec![6; 32].into(),
        deny_digest: vec![9; 32].into(),
        ipsg_opt_out: v1::OptOut::OngoingOperation.into(),
        ..Default::default()
    }
}

/// A context in which every field stands.
pub(crate) fn full_context() -> v1::Context {
    v1::Context {
        series: 2,
        via_group: "grp/wg/wildlife".to_owned(),
        in_reply_to: vec![1; 32].into(),
        parent: vec![2; 32].into(),
        room: vec![3; 16].into(),
        target: vec![4; 32].into(),
        authorities: vec![v1::Authority { kind: 1, statement_digest: vec![8; 32].into() }],
        exercise: true,
        previous: Some(v1::Previous { year: 2026, series: 1, number: 12 }),
        ..context()
    }
}

pub(crate) fn headers(files: &mut Files, submission: &v1::Submission) {
    let bytes = &submission.signed.as_ref().unwrap().header;
    let header = v1::Header::decode(&bytes[..]).unwrap();
    canonical_case::<v1::Context>(files, "context", &context().encode_to_vec());
    canonical_case::<v1::Context>(files, "context", &full_context().encode_to_vec());
    canonical_case::<v1::Header>(files, "header", bytes);
    canonical_case::<v1::Wrap>(files, "wrap", &submission.wraps[0]);
    bad_contexts(files);
    let mut bad = |name: &str, what: &str, bytes: Vec<u8>| {
        files.bad("canonical", what, json!({"type": name, "bytes": hex(bytes), "refusal": "BAD_ENCODING"}))
    };
    let with = |change: &dyn Fn(&mut v1::Header)| {
        let mut header = header.clone();
        change(&mut header);
        header.encode_to_vec()
    };
    let attachment = v1::AttachmentRef { chunk_log2: 16, ciphertext_size: 17, chunks_root: vec![1; 32].into() };
    let attached = |one: v1::AttachmentRef| with(&move |header| header.attachments = vec![one.clone()]);
    bad("header", "an unknown field", [&bytes[..], &[0x78, 1]].concat());
    bad("header", "a field twice", [&bytes[..], &[0x20, 9]].concat());
    bad(
        "header",
        "another network",
        with(&|header| header.context = v1::Context { network: "ecowire.live".to_owned(), ..context() }.encode_to_vec().into()),
    );
    bad("header", "a context that is not canonical", with(&|header| header.context = [&header.context[..], &[0xd8, 1, 0]].concat().into()));
    bad("header", "no content", with(&|header| header.content_size = 0));
    bad("header", "content over the limit", with(&|header| header.content_size = 300 * 1024 + 1));
    bad("header", "a commitment of 31 bytes", with(&|header| header.key_commitment = vec![0; 31].into()));
    bad("header", "no digest", with(&|header| header.content_sha256.clear()));
    bad("header", "a root of 33 bytes", with(&|header| header.wraps_root = vec![0; 33].into()));
    bad("header", "33 attachments", with(&|header| header.attachments = vec![attachment.clone(); 33]));
    bad("header", "an empty attachment", attached(v1::AttachmentRef::default()));
    bad("header", "chunks of 32 KiB", attached(v1::AttachmentRef { chunk_log2: 15, ..attachment.clone() }));
    bad("header", "an attachment of nothing", attached(v1::AttachmentRef { ciphertext_size: 0, ..attachment }));
    let wrap = v1::Wrap::decode(&submission.wraps[1][..]).unwrap();
    bad("wrap", "an unknown field", [&submission.wraps[0][..], &[0x30, 1]].concat());
    bad("wrap", "index 0 written out", [&[0x08, 0], &submission.wraps[0][..]].concat());
    bad("wrap", "index 512", v1::Wrap { index: 512, ..wrap.clone() }.encode_to_vec());
    bad("wrap", "kem absent", v1::Wrap { kem: 0, ..wrap.clone() }.encode_to_vec());
    bad("wrap", "another kem's sizes", v1::Wrap { kem: KemId::X25519.into(), ..wrap.clone() }.encode_to_vec());
    bad("wrap", "ct of 47 bytes", v1::Wrap { ct: wrap.ct.slice(1..), ..wrap.clone() }.encode_to_vec());
    bad("wrap", "key id of 31 bytes", v1::Wrap { key_id: wrap.key_id.slice(1..), ..wrap }.encode_to_vec());
    let large = v1::Context {
        recipients: (0..512).map(|at| format!("{}{at:03}", "ke/".to_owned() + &"a".repeat(58))).collect(),
        authorities: vec![],
        ..context()
    };
    let fits = large.encode_to_vec();
    canonical_case::<v1::Context>(files, "context", &fits);
    files.bad("canonical", "over 64 KiB", json!({"type": "header", "bytes": hex(vec![0; 65_537]), "refusal": "TOO_LARGE"}));
    files.bad("canonical", "over 2 KiB", json!({"type": "wrap", "bytes": hex(vec![0; 2049]), "refusal": "TOO_LARGE"}));
}

fn bad_contexts(files: &mut Files) {
    let mut bad = |what: &str, bytes: Vec<u8>| {
        files.bad("canonical", what, json!({"type": "context", "bytes": hex(bytes), "refusal": "BAD_ENCODING"}))
    };
    let good = context().encode_to_vec();
    bad("an unknown field", [&good[..], &[0xf8, 1, 1]].concat());
    bad("a false bool written out", [&good[..], &[0xd8, 1, 0]].concat());
    bad("a field twice", [&good[..], &[0xd0, 1, 2]].concat());
    bad("fields in another order", [&good[2..], &good[..2]].concat());
    bad("an empty previous", [&good[..], &[0xe2, 1, 0]].concat());
    bad("a varint with a leading zero", [&[0x08, 0x81, 0], &good[2..]].concat());
    bad("a bool of 2", [&good[..], &[0xd8, 1, 2]].concat());
    bad("cut short", good[..good.len() - 1].to_vec());
    bad("empty", vec![]);
    let mut with = |what: &str, change: &dyn Fn(&mut v1::Context)| {
        let mut context = context();
        change(&mut context);
        bad(what, context.encode_to_vec());
    };
    with("version 2", &|one| one.version = 2);
    with("version absent", &|one| one.version = 0);
    with("no network", &|one| one.network.clear());
    with("sender in upper case", &|one| one.sender = "KE/CUS/KEMBA".to_owned());
    with("sender with a right-to-left override", &|one| one.sender.push('\u{202e}'));
    with("year 1999", &|one| one.year = 1999);
    with("year 10000", &|one| one.year = 10_000);
    with("series 0", &|one| one.series = 0);
    with("number 0", &|one| one.number = 0);
    with("no signer", &|one| one.signers.clear());
    with("five signers", &|one| one.signers = (0..5).map(|at| v1::SignerRef { key_id: vec![at; 32].into(), alg: 1 }).collect());
    with("a signer twice", &|one| one.signers.push(one.signers[0].clone()));
    with("a key id of 31 bytes", &|one| one.signers[0].key_id.truncate(31));
    with("an algorithm without a name", &|one| one.signers[0].alg = 3);
    with("no recipient", &|one| one.recipients.clear());
    with("a recipient twice", &|one| one.recipients.push("ke".to_owned()));
    with("a recipient that is no address", &|one| one.recipients.push("ken".to_owned()));
    with("513 recipients", &|one| one.recipients = (0..513).map(|at| format!("ke/a{at}")).collect());
    with("kind absent", &|one| one.kind = 0);
    with("kind without a name", &|one| one.kind = 26);
    with("priority absent", &|one| one.priority = 0);
    with("priority without a name", &|one| one.priority = -1);
    with("classification absent", &|one| one.classification = 0);
    with("handling absent", &|one| one.handling = 0);
    with("clock absent", &|one| one.clock = 0);
    with("suite absent", &|one| one.content_suite = 0);
    with("opt-out absent", &|one| one.ipsg_opt_out = 0);
    with("created absent", &|one| one.created_ms = 0);
    with("expires at created", &|one| one.expires_ms = one.created_ms);
    with("no directory root", &|one| one.directory_root.clear());
    with("no deny digest", &|one| one.deny_digest.clear());
    with("via no address", &|one| one.via_group = "grp".to_owned());
    with("in reply to 31 bytes", &|one| one.in_reply_to = vec![1; 31].into());
    with("parent of 33 bytes", &|one| one.parent = vec![1; 33].into());
    with("room of 32 bytes", &|one| one.room = vec![1; 32].into());
    with("target of 1 byte", &|one| one.target = vec![1].into());
    with("an empty authority", &|one| one.authorities = vec![v1::Authority::default()]);
    with("17 authorities", &|one| one.authorities = vec![v1::Authority { kind: 1, statement_digest: vec![8; 32].into() }; 17]);
    with("previous without a number", &|one| one.previous = Some(v1::Previous { year: 2026, series: 1, number: 0 }));
}

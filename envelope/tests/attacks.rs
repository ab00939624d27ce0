//! Every attack on an envelope that SECURITY.md names, and the check that it runs into.
//!
//! The attacker is whoever the test says: the gateway, a recipient, another sender, or the sender itself. Replay, age and
//! numbers are the exchange's; there is nothing of them here but that a changed message is another message.

mod stage;

use bytes::Bytes;
use envelope::header::{self, Header};
use envelope::seal::{self, ContentKey};
use envelope::{Network, dsse, key_id};
use hpke::kem::XWing;
use hpke::{Deserializable as _, OpModeS, Serializable as _};
use prost::Message as _;
use proto::v1::{self, KemId, SigAlg};
use ring::{aead, hkdf};
use stage::{
    Enrolled, Post, address, admit, body, context, context_of, delivery, encoded, full_context, header_of, message, parsed, read, resigned,
    sealed, signed,
};

mod header_bytes {
    //! Attacks on what is signed.

    use super::*;

    /// The gateway and the recipient at index 0 judge a submission whose header was replaced without a new signature.
    fn check(posts: &[Post], submission: &v1::Submission, header: Bytes) -> (&'static str, String) {
        let mut bad = submission.clone();
        bad.signed = Some(v1::SignedHeader { header, signatures: signed(submission).signatures.clone() });
        let enrolled = Enrolled(posts.iter().collect());
        let gateway = admit(&bad, &posts[0].address, &enrolled).err().unwrap_or("admitted");
        let reader = read(&posts[1], &enrolled, &delivery(&bad, 0)).err().unwrap_or_else(|| "opened".to_owned());
        (gateway, reader)
    }

    fn full() -> (Vec<Post>, v1::Submission) {
        let posts = Post::many(&["ke/cus/kemba", "ke", "th", "ipsg/ens", "ke/desk/duty-2"]);
        let (signers, recipients) = ([&posts[0], &posts[4]], [&posts[1], &posts[2], &posts[3]]);
        let submission = sealed(&full_context(&signers, &recipients), &body(10), &recipients, &signers);
        (posts, submission)
    }

    #[test]
    fn no_bit_of_a_sealed_header_can_be_flipped() {
        let (posts, submission) = full();
        assert_eq!(check(&posts, &submission, signed(&submission).header.clone()), ("admitted", "opened".to_owned()));
        let mut seen = std::collections::BTreeMap::<String, u32>::new();
        let header = signed(&submission).header.to_vec();
        for bit in 0..header.len() * 8 {
            let mut bad = header.clone();
            bad[bit / 8] ^= 1 << (bit % 8);
            let (gateway, reader) = check(&posts, &submission, bad.into());
            assert_ne!(gateway, "admitted", "bit {bit}");
            *seen.entry(reader).or_default() += 1;
        }
        // A reader looks at form and signature first, so nothing else ever refuses it.
        assert_eq!(seen.keys().collect::<Vec<_>>(), ["BAD_ENCODING", "BAD_SIGNATURE"], "{seen:?}");
    }

    #[test]
    fn no_field_of_the_context_can_be_changed_under_the_old_signature() {
        type Change = fn(&mut v1::Context);
        const CHANGES: [(&str, Change, &str); 37] = [
            ("version", |c| c.version = 2, "BAD_ENCODING"),
            ("network", |c| c.network = "ecowire.org".into(), "BAD_ENCODING"),
            ("sender", |c| c.sender = "th".into(), "NOT_SENDER"),
            ("year", |c| c.year += 1, "BAD_SIGNATURE"),
            ("series", |c| c.series += 1, "BAD_SIGNATURE"),
            ("number", |c| c.number += 1, "BAD_SIGNATURE"),
            ("first signer replaced", |c| c.signers[0].key_id = vec![9; 32].into(), "NOT_SENDER"),
            ("second signer dropped", |c| drop(c.signers.pop()), "BAD_SIGNATURE"),
            ("signers swapped", |c| c.signers.swap(0, 1), "NOT_SENDER"),
            ("signer's algorithm", |c| c.signers[1].alg = SigAlg::EcdsaP256Sha256.into(), "BAD_SIGNATURE"),
            ("recipient added", |c| c.recipients.push("cn".into()), "BAD_COMMITMENT"),
            ("recipient dropped", |c| drop(c.recipients.pop()), "BAD_ENCODING"),
            ("recipient replaced", |c| c.recipients[2] = "cn".into(), "BAD_SIGNATURE"),
            ("recipients swapped", |c| c.recipients.swap(1, 2), "BAD_SIGNATURE"),
            ("recipient doubled", |c| c.recipients[2] = c.recipients[1].clone(), "BAD_ENCODING"),
            ("kind", |c| c.kind = v1::Kind::Alert.into(), "BAD_SIGNATURE"),
            ("priority", |c| c.priority = v1::Priority::Flash.into(), "BAD_SIGNATURE"),
            ("classification", |c| c.classification = v1::Classification::OfficialUseOnly.into(), "BAD_SIGNATURE"),
            ("handling", |c| c.handling = v1::Handling::H2.into(), "BAD_SIGNATURE"),
            ("created_ms", |c| c.created_ms += 1, "BAD_SIGNATURE"),
            ("expires_ms", |c| c.expires_ms += 1, "BAD_SIGNATURE"),
            ("expires_ms before created_ms", |c| c.expires_ms = c.created_ms, "BAD_ENCODING"),
            ("clock", |c| c.clock = v1::ClockQuality::Manual.into(), "BAD_SIGNATURE"),
            ("content_suite", |c| c.content_suite = 2, "BAD_ENCODING"),
            ("directory_size", |c| c.directory_size += 1, "BAD_SIGNATURE"),
            ("directory_root", |c| c.directory_root = vec![9; 32].into(), "BAD_SIGNATURE"),
            ("via_group", |c| c.via_group = String::new(), "BAD_SIGNATURE"),
            ("in_reply_to", |c| c.in_reply_to = Bytes::new(), "BAD_SIGNATURE"),
            ("parent", |c| c.parent = Bytes::new(), "BAD_SIGNATURE"),
            ("room", |c| c.room = Bytes::new(), "BAD_SIGNATURE"),
            ("target", |c| c.target = Bytes::new(), "BAD_SIGNATURE"),
            ("deny_digest", |c| c.deny_digest = vec![9; 32].into(), "BAD_SIGNATURE"),
            ("authorities", |c| c.authorities.clear(), "BAD_SIGNATURE"),
            ("ipsg_opt_out", |c| c.ipsg_opt_out = v1::OptOut::NationalLaw.into(), "BAD_SIGNATURE"),
            ("exercise", |c| c.exercise = false, "BAD_SIGNATURE"),
            ("previous", |c| c.previous = None, "BAD_SIGNATURE"),
            ("previous number", |c| c.previous = c.previous.map(|p| v1::Previous { number: p.number + 1, ..p }), "BAD_SIGNATURE"),
        ];
        let (posts, submission) = full();
        for (name, change, expected) in CHANGES {
            let (mut fields, mut context) = (header_of(&submission), context_of(&submission));
            change(&mut context);
            fields.context = encoded(&context);
            let (gateway, reader) = check(&posts, &submission, encoded(&fields));
            assert_eq!(gateway, expected, "{name}");
            assert!(["BAD_SIGNATURE", "BAD_ENCODING"].contains(&reader.as_str()), "{name}: {reader}");
        }
    }

    #[test]
    fn no_field_of_the_header_can_be_changed_under_the_old_signature() {
        type Change = fn(&mut v1::Header);
        let (posts, submission) = full();
        const CHANGES: [(&str, Change, &str); 7] = [
            ("key_commitment", |h| h.key_commitment = vec![9; 32].into(), "BAD_SIGNATURE"),
            ("key_commitment of 31 bytes", |h| h.key_commitment.truncate(31), "BAD_ENCODING"),
            ("content_sha256", |h| h.content_sha256 = vec![9; 32].into(), "BAD_COMMITMENT"),
            ("content_size", |h| h.content_size += 1, "BAD_COMMITMENT"),
            ("wraps_root", |h| h.wraps_root = vec![9; 32].into(), "BAD_COMMITMENT"),
            (
                "attachments",
                |h| h.attachments.push(v1::AttachmentRef { chunk_log2: 16, ciphertext_size: 17, chunks_root: vec![9; 32].into() }),
                "BAD_SIGNATURE",
            ),
            (
                "an attachment of no size",
                |h| h.attachments.push(v1::AttachmentRef { chunk_log2: 16, ciphertext_size: 0, chunks_root: vec![9; 32].into() }),
                "BAD_ENCODING",
            ),
        ];
        for (name, change, expected) in CHANGES {
            let mut fields = header_of(&submission);
            change(&mut fields);
            let (gateway, reader) = check(&posts, &submission, encoded(&fields));
            assert_eq!(gateway, expected, "{name}");
            assert!(["BAD_SIGNATURE", "BAD_ENCODING"].contains(&reader.as_str()), "{name}: {reader}");
        }
    }

    #[test]
    fn recipients_that_the_sender_signs_twice_are_refused() {
        let posts = Post::many(&["ke", "th", "cn"]);
        let submission = message(&posts[0], &[&posts[1], &posts[2]]);
        let enrolled = Enrolled(posts.iter().collect());
        let (mut fields, mut context) = (header_of(&submission), context_of(&submission));
        context.recipients[1] = context.recipients[0].clone();
        fields.context = encoded(&context);
        let doubled = resigned(&submission, encoded(&fields), &[&posts[0]]);
        assert_eq!(admit(&doubled, &posts[0].address, &enrolled).err(), Some("BAD_ENCODING"));
        assert_eq!(read(&posts[1], &enrolled, &delivery(&doubled, 0)).err().as_deref(), Some("BAD_ENCODING"));
    }

    #[test]
    fn a_message_of_another_network_is_none_of_ours() {
        let posts = Post::many(&["ke", "th"]);
        let submission = message(&posts[0], &[&posts[1]]);
        let other = Network::parse("ecowire.org").expect("a sound name");
        assert_eq!(Header::parse(&signed(&submission).header, &other).err(), Some(envelope::canonical::EncodingError::Network));
        // Signed by a key that is enrolled in both: still refused, by form.
        let mut context = context(&[&posts[0]], &[&posts[1]]);
        context.network = other.to_string();
        let foreign = sealed(&context, &body(1), &[&posts[1]], &[&posts[0]]);
        assert_eq!(admit(&foreign, &posts[0].address, &Enrolled(posts.iter().collect())).err(), Some("BAD_ENCODING"));
    }

    #[test]
    fn a_signature_of_a_header_is_no_signature_of_anything_else() {
        let posts = Post::many(&["ke", "th"]);
        let submission = message(&posts[0], &[&posts[1]]);
        let header = &signed(&submission).header;
        for other in ["application/vnd.ecowire.header.v2+protobuf", "application/vnd.ecowire.keys.v1+protobuf", ""] {
            let signatures = dsse::sign(other, header, &[&posts[0].identity]).expect("signed");
            let mut bad = submission.clone();
            bad.signed = Some(v1::SignedHeader { header: header.clone(), signatures });
            assert_eq!(admit(&bad, &posts[0].address, &Enrolled(posts.iter().collect())).err(), Some("BAD_SIGNATURE"), "{other}");
        }
        // PAE: no two pairs of type and payload give the same bytes.
        assert_eq!(dsse::pae("a", b"b c"), b"DSSEv1 1 a 3 b c");
        assert_ne!(dsse::pae("a 1", b"b"), dsse::pae("a", b"1 b"));
    }
}

mod wraps {
    //! Attacks on the wraps, by a gateway that holds the signed header.

    use super::*;

    /// The gateway's verdict on a changed submission, and the first recipient's on its delivery when the gateway is the attacker.
    fn check(change: impl Fn(&mut v1::Submission), expected: &str) {
        let posts = Post::many(&["ke", "th", "cn", "za"]);
        let mut submission = message(&posts[0], &[&posts[1], &posts[2], &posts[3]]);
        change(&mut submission);
        assert_eq!(admit(&submission, &posts[0].address, &Enrolled(posts.iter().collect())).err(), Some(expected));
    }

    fn edited(wrap: &Bytes, edit: impl Fn(&mut v1::Wrap)) -> Bytes {
        let mut fields = v1::Wrap::decode(wrap.clone()).expect("a wrap");
        edit(&mut fields);
        encoded(&fields)
    }

    #[test]
    fn a_submission_with_other_wraps_is_refused() {
        check(|s| s.wraps.swap(0, 1), "BAD_COMMITMENT");
        check(|s| drop(s.wraps.pop()), "BAD_COMMITMENT");
        check(|s| s.wraps.clear(), "BAD_COMMITMENT");
        check(|s| s.wraps.push(s.wraps[0].clone()), "BAD_ENCODING");
        check(|s| s.wraps[1] = s.wraps[0].clone(), "BAD_COMMITMENT");
        check(|s| s.wraps[1] = edited(&s.wraps[0], |wrap| wrap.index = 1), "BAD_COMMITMENT");
        check(|s| s.wraps[0] = edited(&s.wraps[0], |wrap| wrap.index = 1), "BAD_COMMITMENT");
        check(|s| s.wraps[0] = edited(&s.wraps[0], |wrap| wrap.index = 512), "BAD_ENCODING");
        check(|s| s.wraps[0] = edited(&s.wraps[0], |wrap| wrap.key_id = vec![9; 32].into()), "BAD_COMMITMENT");
        check(|s| s.wraps[0] = edited(&s.wraps[0], |wrap| wrap.kem = KemId::X25519.into()), "BAD_ENCODING");
        check(|s| s.wraps[0] = edited(&s.wraps[0], |wrap| wrap.ct.truncate(47)), "BAD_ENCODING");
        check(|s| s.content = [&s.content[..], &[0]].concat().into(), "BAD_COMMITMENT");
        check(|s| s.content.truncate(s.content.len() - 1), "BAD_COMMITMENT");
        check(|s| s.content = Bytes::new(), "BAD_COMMITMENT");
        check(|s| s.content = vec![0; 300 * 1024 + 1].into(), "BAD_ENCODING");
        check(|s| s.signed = None, "BAD_ENCODING");
    }

    #[test]
    fn no_byte_of_a_delivered_wrap_or_its_path_can_be_changed() {
        let posts = Post::many(&["ke", "th", "cn", "za"]);
        let submission = message(&posts[0], &[&posts[1], &posts[2], &posts[3]]);
        let enrolled = Enrolled(posts.iter().collect());
        let refused = |delivery: &v1::Delivery, what: &str| {
            assert_eq!(read(&posts[1], &enrolled, delivery).err().as_deref(), Some("Wrap"), "{what}");
        };
        let good = delivery(&submission, 0);
        assert!(read(&posts[1], &enrolled, &good).is_ok());
        for at in 0..good.wrap.len() {
            let mut bad = good.wrap.to_vec();
            bad[at] ^= 1;
            refused(&v1::Delivery { wrap: bad.into(), ..good.clone() }, &format!("byte {at}"));
        }
        for at in 0..good.wrap_path.len() * 32 {
            let mut bad = good.clone();
            let mut hash = bad.wrap_path[at / 32].to_vec();
            hash[at % 32] ^= 0x80;
            bad.wrap_path[at / 32] = hash.into();
            refused(&bad, &format!("byte {at} of the path"));
        }
        let mut short = good.clone();
        short.wrap_path.pop();
        refused(&short, "a path cut");
        let mut long = good.clone();
        long.wrap_path.push(vec![0; 32].into());
        refused(&long, "a path extended");
        let mut torn = good.clone();
        torn.wrap_path[0].truncate(31);
        refused(&torn, "a hash of 31 bytes");
        for other in [1, 2] {
            let whole = delivery(&submission, other);
            refused(&whole, "another recipient's wrap with its path");
            refused(&v1::Delivery { wrap: whole.wrap, ..good.clone() }, "another recipient's wrap");
        }
        let elsewhere = message(&posts[0], &[&posts[1], &posts[2], &posts[3]]);
        let other = delivery(&elsewhere, 0);
        refused(&v1::Delivery { wrap: other.wrap, wrap_path: other.wrap_path, ..good.clone() }, "the wrap of another message");
    }
}

/// What HPKE info binds; an attacker fills in what it likes.
#[derive(Clone)]
struct Info {
    context_hash: [u8; 32],
    commitment: [u8; 32],
    index: u32,
    address: String,
    key_id: [u8; 32],
}

impl Info {
    fn of(header: &Header, index: u32, post: &Post) -> Self {
        let address = post.address.to_string();
        Self { context_hash: header.context_hash, commitment: header.key_commitment, index, address, key_id: post.key.key_id() }
    }
}

/// A wrap made by hand, from SPEC.md 6.
fn rewrapped(cek: &[u8; 32], info: &Info, index: u32, key_id: [u8; 32], public: &[u8]) -> Bytes {
    let length = (info.address.len() as u16).to_be_bytes();
    let parts = [
        b"ecowire/1 wrap\0",
        &info.context_hash[..],
        &info.commitment,
        &info.index.to_be_bytes(),
        &length,
        info.address.as_bytes(),
        &info.key_id,
    ];
    let key = <XWing as hpke::Kem>::PublicKey::from_bytes(public).expect("a public key");
    let sealed =
        hpke::single_shot_seal::<hpke::aead::AesGcm256, hpke::kdf::HkdfSha256, XWing>(&OpModeS::Base, &key, &parts.concat(), cek, &[]);
    let (enc, ct) = sealed.expect("sound input");
    encoded(&v1::Wrap {
        index,
        key_id: key_id.to_vec().into(),
        kem: KemId::XWing.into(),
        enc: enc.to_bytes().to_vec().into(),
        ct: ct.into(),
    })
}

/// A submission with other wraps, committed to and signed anew: the attacker is the sender.
fn with_wraps(submission: &v1::Submission, wraps: Vec<Bytes>, sender: &Post) -> v1::Submission {
    let mut fields = header_of(submission);
    fields.wraps_root = header::wraps_root(&wraps).as_bytes().to_vec().into();
    resigned(&v1::Submission { wraps, ..submission.clone() }, encoded(&fields), &[sender])
}

fn derived(cek: &[u8; 32], context_hash: &[u8; 32], info: &[u8]) -> [u8; 32] {
    let mut out = [0; 32];
    let prk = hkdf::Salt::new(hkdf::HKDF_SHA256, context_hash).extract(cek);
    prk.expand(&[info], hkdf::HKDF_SHA256).expect("a short output").fill(&mut out).expect("32 bytes");
    out
}

/// Content encrypted by hand, from SPEC.md 6.
fn encrypted(cek: &[u8; 32], context_hash: &[u8; 32], plain: &[u8]) -> Bytes {
    let key = aead::UnboundKey::new(&aead::AES_256_GCM, &derived(cek, context_hash, b"ecowire/1 content")).expect("32 bytes");
    let mut bytes = plain.to_vec();
    let nonce = aead::Nonce::assume_unique_for_key([0; 12]);
    aead::LessSafeKey::new(key).seal_in_place_append_tag(nonce, aead::Aad::from(context_hash), &mut bytes).expect("short input");
    bytes.into()
}

mod insiders {
    //! Attacks by recipients, senders and the operator of the directory: the signatures are sound.

    use super::*;

    struct Play {
        posts: Vec<Post>,
        submission: v1::Submission,
        header: Header,
        cek: ContentKey,
    }

    /// ke writes to th and cn; za is enrolled and gets nothing.
    fn play() -> Play {
        let posts = Post::many(&["ke", "th", "cn", "za"]);
        let submission = message(&posts[0], &[&posts[1], &posts[2]]);
        let (_, cek) = read(&posts[1], &Enrolled(posts.iter().collect()), &delivery(&submission, 0)).expect("an honest message opens");
        Play { header: parsed(&submission), posts, submission, cek }
    }

    /// `reader` opens `delivery`, or the check that stops it.
    fn check(play: &Play, reader: usize, delivery: &v1::Delivery, expected: &str) {
        let got = read(&play.posts[reader], &Enrolled(play.posts.iter().collect()), delivery);
        assert_eq!(got.err().as_deref().unwrap_or("opened"), expected);
    }

    #[test]
    fn a_recipient_cannot_pass_the_message_to_a_third_party_as_the_senders() {
        let play = play();
        let third = &play.posts[3];
        for index in [0, 1, 2] {
            let info = Info::of(&play.header, index, third);
            let wrap = rewrapped(play.cek.as_bytes(), &info, index, info.key_id, third.key.public());
            check(&play, 3, &v1::Delivery { wrap, ..delivery(&play.submission, 0) }, "NotRecipient(za)");
        }
        // With the third party written into the list, the sender's signature is gone.
        let (mut fields, mut context) = (header_of(&play.submission), context_of(&play.submission));
        context.recipients[1] = "za".to_owned();
        fields.context = encoded(&context);
        let info = Info { context_hash: header::context_hash(&fields.context), ..Info::of(&play.header, 1, third) };
        let wraps = vec![play.submission.wraps[0].clone(), rewrapped(play.cek.as_bytes(), &info, 1, info.key_id, third.key.public())];
        fields.wraps_root = header::wraps_root(&wraps).as_bytes().to_vec().into();
        let signatures = signed(&play.submission).signatures.clone();
        let forged = v1::SignedHeader { header: encoded(&fields), signatures };
        let forged = v1::Submission { signed: Some(forged), wraps, content: play.submission.content.clone(), tag: 0 };
        check(&play, 3, &delivery(&forged, 1), "BAD_SIGNATURE");
    }

    #[test]
    fn a_recipient_cannot_wrap_anew_for_another_recipient() {
        // th makes a wrap for cn, right in all but that the sender never signed it.
        let play = play();
        let info = Info::of(&play.header, 1, &play.posts[2]);
        let wrap = rewrapped(play.cek.as_bytes(), &info, 1, info.key_id, play.posts[2].key.public());
        check(&play, 2, &v1::Delivery { wrap, ..delivery(&play.submission, 1) }, "Wrap");
    }

    #[test]
    fn a_wrap_is_bound_to_message_commitment_place_address_and_key() {
        // The sender itself signs odd wraps, so the tree does not stop them: HPKE's info does.
        let play = play();
        let (reader, other) = (&play.posts[1], &play.posts[2]);
        let good = Info::of(&play.header, 0, reader);
        for (info, expected) in [
            (good.clone(), "opened"),
            (Info { context_hash: [9; 32], ..good.clone() }, "Unwrap"),
            (Info { commitment: [9; 32], ..good.clone() }, "Unwrap"),
            (Info { index: 1, ..good.clone() }, "Unwrap"),
            (Info { address: other.address.to_string(), ..good.clone() }, "Unwrap"),
            (Info { key_id: other.key.key_id(), ..good.clone() }, "Unwrap"),
        ] {
            let wrap = rewrapped(play.cek.as_bytes(), &info, 0, reader.key.key_id(), reader.key.public());
            let forged = with_wraps(&play.submission, vec![wrap, play.submission.wraps[1].clone()], &play.posts[0]);
            check(&play, 1, &delivery(&forged, 0), expected);
        }
        // The whole wrap of th at cn's place, with its own index or with cn's.
        let wrap = rewrapped(play.cek.as_bytes(), &good, 0, good.key_id, reader.key.public());
        let forged = with_wraps(&play.submission, vec![wrap.clone(), wrap], &play.posts[0]);
        check(&play, 2, &delivery(&forged, 1), "Wrap");
        assert_eq!(admit(&forged, &play.posts[0].address, &Enrolled(play.posts.iter().collect())).err(), Some("BAD_COMMITMENT"));
        let wrap = rewrapped(play.cek.as_bytes(), &good, 1, other.key.key_id(), other.key.public());
        let forged = with_wraps(&play.submission, vec![play.submission.wraps[0].clone(), wrap], &play.posts[0]);
        check(&play, 2, &delivery(&forged, 1), "Unwrap");
    }

    #[test]
    fn nobody_can_strip_the_signature_and_sign_as_the_sender() {
        // za takes header, wraps and content off the wire and puts its own name on them.
        let play = play();
        let thief = &play.posts[3];
        let (mut fields, context) = (header_of(&play.submission), context_of(&play.submission));
        let mine = v1::Context { sender: "za".to_owned(), signers: stage::context(&[thief], &[]).signers, ..context };
        fields.context = encoded(&mine);
        let stolen = resigned(&play.submission, encoded(&fields), &[thief]);
        assert!(admit(&stolen, &thief.address, &Enrolled(play.posts.iter().collect())).is_ok(), "the gateway cannot see it");
        check(&play, 1, &delivery(&stolen, 0), "Unwrap");
        check(&play, 2, &delivery(&stolen, 1), "Unwrap");
    }

    #[test]
    fn a_recipient_cannot_sign_the_senders_ciphertext_as_its_own() {
        // th holds the content key, so it can wrap and commit anew; the cipher's key and data bind the first context.
        let play = play();
        let (thief, reader) = (&play.posts[1], &play.posts[2]);
        let (mut fields, context) = (header_of(&play.submission), context_of(&play.submission));
        let signers = stage::context(&[thief], &[]).signers;
        let mine = v1::Context { sender: "th".to_owned(), signers, recipients: vec!["cn".to_owned()], ..context };
        fields.context = encoded(&mine);
        let context_hash = header::context_hash(&fields.context);
        let commitment = derived(play.cek.as_bytes(), &context_hash, b"ecowire/1 commitment");
        fields.key_commitment = commitment.to_vec().into();
        let info = Info { context_hash, commitment, index: 0, address: "cn".to_owned(), key_id: reader.key.key_id() };
        let wraps = vec![rewrapped(play.cek.as_bytes(), &info, 0, info.key_id, reader.key.public())];
        fields.wraps_root = header::wraps_root(&wraps).as_bytes().to_vec().into();
        let stolen = resigned(&v1::Submission { wraps, ..play.submission.clone() }, encoded(&fields), &[thief]);
        check(&play, 2, &delivery(&stolen, 0), "Content");
    }

    #[test]
    fn every_signer_named_must_have_signed_once_and_in_order() {
        let posts = Post::many(&["ke", "ke/desk/duty-2", "th"]);
        let (signers, recipients) = ([&posts[0], &posts[1]], [&posts[2]]);
        let submission = sealed(&context(&signers, &recipients), &body(1), &recipients, &signers);
        type Change = fn(&mut Vec<v1::Signature>);
        const CHANGES: [(&str, Change); 9] = [
            ("second stripped", |s| drop(s.pop())),
            ("first stripped", |s| drop(s.remove(0))),
            ("all stripped", |s| s.clear()),
            ("swapped", |s| s.swap(0, 1)),
            ("first doubled", |s| s[1] = s[0].clone()),
            ("one too many", |s| s.push(s[0].clone())),
            ("another's key id", |s| s[1].key_id = s[0].key_id.clone()),
            ("a key id that is cut", |s| s[0].key_id.truncate(31)),
            ("another's signature", |s| s[1].signature = s[0].signature.clone()),
        ];
        let enrolled = Enrolled(posts.iter().collect());
        assert!(admit(&submission, &posts[0].address, &enrolled).is_ok());
        for (name, change) in CHANGES {
            let mut bad = submission.clone();
            change(&mut bad.signed.as_mut().expect("signed").signatures);
            assert_eq!(admit(&bad, &posts[0].address, &enrolled).err(), Some("BAD_SIGNATURE"), "{name}");
            assert_eq!(read(&posts[2], &enrolled, &delivery(&bad, 0)).err().as_deref(), Some("BAD_SIGNATURE"), "{name}");
        }
        for length in [0, 63, 65] {
            let mut bad = submission.clone();
            let signatures = &mut bad.signed.as_mut().expect("signed").signatures;
            signatures[0].signature = signatures[0].signature.iter().copied().chain([0]).take(length).collect();
            assert_eq!(admit(&bad, &posts[0].address, &enrolled).err(), Some("BAD_SIGNATURE"), "{length} bytes");
        }
    }

    #[test]
    fn sender_connection_and_first_key_are_one() {
        let posts = Post::many(&["ke", "th", "cn"]);
        let submission = message(&posts[0], &[&posts[1]]);
        let all = Enrolled(posts.iter().collect());
        assert_eq!(admit(&submission, &address("cn"), &all).err(), Some("NOT_SENDER"));
        assert_eq!(admit(&submission, &posts[0].address, &Enrolled(vec![&posts[1]])).err(), Some("NOT_SENDER"));
        // cn signs with its own enrolled key as ke.
        let mut context = context(&[&posts[2]], &[&posts[1]]);
        context.sender = "ke".to_owned();
        let forged = sealed(&context, &body(1), &[&posts[1]], &[&posts[2]]);
        assert_eq!(admit(&forged, &posts[0].address, &all).err(), Some("NOT_SENDER"));
        assert_eq!(admit(&forged, &posts[2].address, &all).err(), Some("NOT_SENDER"));
        // An algorithm that the certified key has not, signed by the sender.
        let mut context = stage::context(&[&posts[0]], &[&posts[1]]);
        context.signers[0].alg = SigAlg::EcdsaP256Sha256.into();
        let claimed = sealed(&context, &body(1), &[&posts[1]], &[&posts[0]]);
        assert_eq!(admit(&claimed, &posts[0].address, &all).err(), Some("BAD_SIGNATURE"));
    }

    #[test]
    fn a_key_that_the_gateway_slipped_in_opens_nothing_for_the_recipient() {
        // The sender was given za's key as cn's: cn sees it, because the wrap is not for a key of its own.
        let play = play();
        let (sender, reader, spy) = (&play.posts[0], &play.posts[2], &play.posts[3]);
        let keys = [spy.key.public().clone()];
        let context = context(&[sender], &[reader]);
        let misled = seal::seal(&context, &body(1), &keys, &[&sender.identity]).expect("sound input");
        check(&play, 2, &delivery(&misled, 0), "Key");
        check(&play, 3, &delivery(&misled, 0), "NotRecipient(za)");
        // The same, with cn's key id written over it and signed.
        let info = Info::of(&parsed(&misled), 0, reader);
        let wrap = rewrapped(play.cek.as_bytes(), &info, 0, reader.key.key_id(), spy.key.public());
        check(&play, 2, &delivery(&with_wraps(&misled, vec![wrap], sender), 0), "Unwrap");
        // An id is computed from kem and key, so no other key has it.
        let public = reader.key.public();
        assert_ne!(key_id::encryption_key_id(KemId::XWing, public), key_id::encryption_key_id(KemId::X25519, public));
        assert_ne!(key_id::encryption_key_id(KemId::XWing, &public[1..]), key_id::encryption_key_id(KemId::XWing, public));
    }

    #[test]
    fn two_recipients_cannot_be_given_two_texts() {
        // The sender wraps one key for th, another for cn, and makes content for each in turn. The header has one commitment.
        let play = play();
        let (sender, cn) = (&play.posts[0], &play.posts[2]);
        let second = [7; 32];
        let info = Info::of(&play.header, 1, cn);
        let wraps = vec![play.submission.wraps[0].clone(), rewrapped(&second, &info, 1, info.key_id, cn.key.public())];
        let forked = with_wraps(&play.submission, wraps, sender);
        check(&play, 1, &delivery(&forked, 0), "opened");
        check(&play, 2, &delivery(&forked, 1), "Commitment");
        // Content that opens under cn's key only: the commitment is looked at before the cipher, so cn still does not open it.
        let text = [&3u32.to_be_bytes()[..], b"\x0a\x01a", &[0; 249]].concat();
        let content = encrypted(&second, &play.header.context_hash, &text);
        let mut fields = header_of(&forked);
        fields.content_sha256 = tlog::sha256(&content).to_vec().into();
        fields.content_size = content.len() as u64;
        let header = encoded(&fields);
        let other = resigned(&v1::Submission { content, ..forked }, header, &[sender]);
        check(&play, 1, &delivery(&other, 0), "Content");
        check(&play, 2, &delivery(&other, 1), "Commitment");
        // One key, two contents: the second is sound under the key that both hold, but only one digest is signed.
        let content = encrypted(play.cek.as_bytes(), &play.header.context_hash, &text);
        check(&play, 1, &v1::Delivery { content, ..delivery(&play.submission, 0) }, "Content");
        // The same with the other commitment, for which the first recipient's wrap is not made; the forgery by hand is sound.
        fields.key_commitment = derived(&second, &play.header.context_hash, b"ecowire/1 commitment").to_vec().into();
        let info = Info { commitment: derived(&second, &play.header.context_hash, b"ecowire/1 commitment"), ..info };
        let wraps = vec![play.submission.wraps[0].clone(), rewrapped(&second, &info, 1, info.key_id, cn.key.public())];
        fields.wraps_root = header::wraps_root(&wraps).as_bytes().to_vec().into();
        let turned = resigned(&v1::Submission { wraps, ..other }, encoded(&fields), &[sender]);
        check(&play, 1, &delivery(&turned, 0), "Unwrap");
        check(&play, 2, &delivery(&turned, 1), "opened");
    }

    #[test]
    fn another_content_is_another_message() {
        let play = play();
        let other = message(&play.posts[0], &[&play.posts[1], &play.posts[2]]);
        assert_ne!(parsed(&other).message_id, play.header.message_id);
        check(&play, 1, &v1::Delivery { content: other.content, ..delivery(&play.submission, 0) }, "Content");
        // A signature made anew is no other message: the id does not cover it.
        let header = signed(&play.submission).header.clone();
        let again = resigned(&play.submission, header, &[&play.posts[0]]);
        assert_eq!(parsed(&again).message_id, play.header.message_id);
    }
}

mod attachments {
    //! Attacks on chunks that travel beside a message.

    use super::*;
    use envelope::attachment::{AttachmentError, open_chunks, seal_chunks};
    use envelope::header::Attachment;
    use tlog::{leaf_hash, small};

    const CONTEXT_HASH: [u8; 32] = [5; 32];

    struct Sealed {
        cek: ContentKey,
        reference: Attachment,
        chunks: Vec<Vec<u8>>,
        plain: Vec<u8>,
    }

    fn content_key() -> ContentKey {
        let posts = Post::many(&["ke", "th"]);
        let submission = message(&posts[0], &[&posts[1]]);
        read(&posts[1], &Enrolled(posts.iter().collect()), &delivery(&submission, 0)).expect("an honest message").1
    }

    fn sealed(bytes: usize) -> Sealed {
        let (cek, plain) = (content_key(), vec![0x5a; bytes]);
        let (reference, chunks) = seal_chunks(&cek, &CONTEXT_HASH, 0, 16, &plain).expect("sound sizes");
        Sealed { cek, reference, chunks, plain }
    }

    /// Changed chunks under the signed reference, and under one that was made to fit them: the second shows the cipher's own check.
    fn check(name: &str, sealed: &Sealed, chunks: Vec<Vec<u8>>, fitted: AttachmentError) {
        let open = |reference: &Attachment| open_chunks(&sealed.cek, &CONTEXT_HASH, 0, reference, &chunks);
        assert_eq!(open(&sealed.reference), Err(AttachmentError::Root), "{name}");
        let chunks_root = small::root(&chunks.iter().map(|chunk| leaf_hash(chunk)).collect::<Vec<_>>());
        let ciphertext_size = chunks.iter().map(|chunk| chunk.len() as u64).sum();
        assert_eq!(open(&Attachment { chunks_root, ciphertext_size, ..sealed.reference }), Err(fitted), "{name}, fitted");
    }

    #[test]
    fn chunks_cannot_be_cut_moved_or_added() {
        let sealed = sealed(2 * 65_536 + 100);
        let [a, b, c] = [0, 1, 2].map(|at: usize| sealed.chunks[at].clone());
        let opened = open_chunks(&sealed.cek, &CONTEXT_HASH, 0, &sealed.reference, &sealed.chunks);
        assert_eq!(opened.as_ref(), Ok(&sealed.plain));
        let chunk = AttachmentError::Chunk;
        check("last cut", &sealed, vec![a.clone(), b.clone()], chunk(1));
        check("first cut", &sealed, vec![b.clone(), c.clone()], chunk(0));
        check("middle cut", &sealed, vec![a.clone(), c.clone()], chunk(1));
        check("all cut", &sealed, vec![], AttachmentError::Root);
        check("swapped", &sealed, vec![b.clone(), a.clone(), c.clone()], chunk(0));
        check("last first", &sealed, vec![c.clone(), a.clone(), b.clone()], chunk(0));
        check("last doubled", &sealed, vec![a.clone(), b.clone(), c.clone(), c.clone()], chunk(2));
        check("middle doubled", &sealed, vec![a.clone(), b.clone(), b.clone(), c.clone()], chunk(2));
        check("byte added", &sealed, vec![a.clone(), b.clone(), [&c[..], &[0]].concat()], chunk(2));
        check("byte cut", &sealed, vec![a.clone(), b.clone(), c[..c.len() - 1].to_vec()], chunk(2));
        check("byte moved", &sealed, vec![a[..a.len() - 1].to_vec(), [&a[a.len() - 1..], &b[..]].concat(), c.clone()], chunk(0));
        let mut flipped = a.clone();
        flipped[0] ^= 1;
        check("bit flipped", &sealed, vec![flipped, b, c], chunk(0));
    }

    #[test]
    fn chunks_belong_to_one_message_place_and_key() {
        let sealed = sealed(100);
        let open = |cek: &ContentKey, context_hash, index| open_chunks(cek, context_hash, index, &sealed.reference, &sealed.chunks).err();
        assert_eq!(open(&sealed.cek, &CONTEXT_HASH, 0), None);
        assert_eq!(open(&sealed.cek, &[6; 32], 0), Some(AttachmentError::Chunk(0)));
        assert_eq!(open(&sealed.cek, &CONTEXT_HASH, 1), Some(AttachmentError::Chunk(0)));
        assert_eq!(open(&content_key(), &CONTEXT_HASH, 0), Some(AttachmentError::Chunk(0)));
    }

    #[test]
    fn sizes_have_bounds_and_one_form() {
        let sealed = sealed(65_536);
        assert_eq!(sealed.chunks.len(), 1, "a full chunk needs no empty one behind it");
        let seal = |log2, plain: &[u8]| seal_chunks(&sealed.cek, &CONTEXT_HASH, 0, log2, plain).err();
        assert_eq!(seal(15, b"a"), Some(AttachmentError::ChunkSize(15)));
        assert_eq!(seal(19, b"a"), Some(AttachmentError::ChunkSize(19)));
        assert_eq!(seal(16, b""), Some(AttachmentError::Size));
        let open = |log2, chunks: &[Vec<u8>]| {
            open_chunks(&sealed.cek, &CONTEXT_HASH, 0, &Attachment { chunk_log2: log2, ..sealed.reference }, chunks).err()
        };
        for log2 in [0, 15, 19, 64, u32::MAX] {
            assert_eq!(open(log2, &sealed.chunks), Some(AttachmentError::ChunkSize(log2)));
        }
        // The sender itself signs an empty last chunk, or a short one before the last: other encodings of the same plaintext.
        let chunk = |at: u64, last: u8, plain: &[u8]| {
            let key = derived(sealed.cek.as_bytes(), &CONTEXT_HASH, &[&b"ecowire/1 attachment\0"[..], &[0; 4]].concat());
            let key = aead::LessSafeKey::new(aead::UnboundKey::new(&aead::AES_256_GCM, &key).expect("32 bytes"));
            let nonce: [u8; 12] = [&[0; 3][..], &at.to_be_bytes(), &[last]].concat().try_into().expect("12 bytes");
            let mut bytes = plain.to_vec();
            key.seal_in_place_append_tag(aead::Nonce::assume_unique_for_key(nonce), aead::Aad::from(&CONTEXT_HASH), &mut bytes)
                .expect("short input");
            bytes
        };
        assert_eq!(chunk(0, 1, &sealed.plain), sealed.chunks[0], "the forgery by hand is sound");
        check("empty last", &sealed, vec![chunk(0, 0, &sealed.plain), chunk(1, 1, b"")], AttachmentError::Chunk(1));
        check("only an empty one", &sealed, vec![chunk(0, 1, b"")], AttachmentError::Chunk(0));
        check("short first", &sealed, vec![chunk(0, 0, b"a"), chunk(1, 1, b"b")], AttachmentError::Chunk(0));
        check("too long", &sealed, vec![chunk(0, 1, &vec![0; 65_537])], AttachmentError::Chunk(0));
    }
}

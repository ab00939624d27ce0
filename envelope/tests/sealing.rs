//! Sealing and opening: sizes, numbers of recipients, padding, and that nothing but the honest delivery opens.

mod stage;

use bytes::Bytes;
use envelope::Address;
use envelope::header::{self, Header};
use envelope::keys::{Signer as _, SigningKey};
use envelope::seal::{self, DecryptionKey, OpenError, SealError, Sealed, padded_len};
use proptest::prelude::*;
use prost::Message as _;
use proto::v1::{self, KemId, SealedBody};
use ring::{aead, hkdf};
use stage::{Enrolled, Post, admit, body, context, delivery, encoded, header_of, message, parsed, read, resigned, sealed, signed};

/// Seals for these posts, lets the gateway judge, and opens for each of `readers`.
fn check(recipients: &[Post], body: &SealedBody, readers: &[usize]) -> v1::Submission {
    let sender = Post::new("ke/cus/kemba");
    let list: Vec<&Post> = recipients.iter().collect();
    let submission = sealed(&context(&[&sender], &list), body, &list, &[&sender]);
    let enrolled = Enrolled(vec![&sender]);
    assert_eq!(admit(&submission, &sender.address, &enrolled).err(), None);
    for at in readers {
        let (opened, cek) = read(&recipients[*at], &enrolled, &delivery(&submission, *at)).expect("an honest delivery opens");
        assert_eq!(&opened, body);
        assert_eq!(seal::open_with(&cek, &parsed(&submission), &submission.content).as_ref(), Ok(body), "the content key alone opens it");
    }
    submission
}

#[test]
fn every_recipient_opens_the_same() {
    for count in [1, 2, 3, 195] {
        let recipients: Vec<Post> = (0..count).map(|at| Post::new(&format!("ke/x{at}"))).collect();
        let submission = check(&recipients, &body(1000), &(0..count).collect::<Vec<_>>());
        assert_eq!(submission.wraps.len(), count);
    }
}

#[test]
fn contents_of_every_size_up_to_the_bound_are_sent() {
    let recipients = Post::many(&["ke"]);
    for bytes in [0, 1, 255, 256, 257, 4096, 262_143, 262_144] {
        let submission = check(&recipients, &body(bytes), &[0]);
        let plain = 4 + body(bytes).encoded_len();
        assert_eq!(submission.content.len(), padded_len(plain) + 16, "{bytes}");
        assert!(submission.content.len() <= envelope::limits::CIPHERTEXT_BYTES_MAX);
    }
}

#[test]
fn input_out_of_bounds_is_not_sealed() {
    let posts = Post::many(&["ke", "th"]);
    let context = context(&[&posts[0]], &[&posts[1]]);
    let key = posts[1].key.public().clone();
    let seal = |context: &v1::Context, body: &SealedBody, keys: &[Bytes]| seal::seal(context, body, keys, &[&posts[0].identity]).err();
    assert_eq!(seal(&context, &body(262_145), std::slice::from_ref(&key)), Some(SealError::ContentSize(262_145)));
    for media_type in ["", "text/plain\n", "text/\u{e9}", "\u{7f}", &"a".repeat(128)] {
        let body = SealedBody { media_type: media_type.to_owned(), ..body(1) };
        assert_eq!(seal(&context, &body, std::slice::from_ref(&key)), Some(SealError::MediaType), "{media_type:?}");
    }
    let longest = SealedBody { media_type: "a".repeat(127), ..body(262_144) };
    assert_eq!(seal(&context, &longest, std::slice::from_ref(&key)), None);
    assert_eq!(seal(&context, &body(1), &[]), Some(SealError::Keys { keys: 0, recipients: 1 }));
    assert_eq!(seal(&context, &body(1), &[key.clone(), key.clone()]), Some(SealError::Keys { keys: 2, recipients: 1 }));
    for bad in [Bytes::new(), key.slice(1..), [&key[..], &[0]].concat().into(), vec![0xff; 1216].into()] {
        assert_eq!(seal(&context, &body(1), &[bad]), Some(SealError::Key(posts[1].address.clone())));
    }
    let doubled = v1::Context { recipients: vec!["th".to_owned(); 2], ..context.clone() };
    assert!(matches!(seal(&doubled, &body(1), &[key.clone(), key.clone()]), Some(SealError::Encoding(_))));
    let old = v1::Context { version: 2, ..context };
    assert!(matches!(seal(&old, &body(1), &[key]), Some(SealError::Encoding(_))));
}

#[test]
fn two_sealings_have_nothing_in_common_but_the_context() {
    let posts = Post::many(&["ke", "th"]);
    let (a, b) = (message(&posts[0], &[&posts[1]]), message(&posts[0], &[&posts[1]]));
    let (x, y) = (parsed(&a), parsed(&b));
    assert_eq!(x.context_hash, y.context_hash);
    assert_ne!(x.key_commitment, y.key_commitment);
    assert_ne!((x.message_id, x.content_sha256, x.wraps_root), (y.message_id, y.content_sha256, y.wraps_root));
    assert!(a.content.windows(16).zip(b.content.windows(16)).all(|(a, b)| a != b));
}

#[test]
fn lengths_are_padded_as_in_padme() {
    for (length, padded) in [
        (0, 256),
        (1, 256),
        (255, 256),
        (256, 256),
        (257, 272),
        (272, 272),
        (273, 288),
        (511, 512),
        (512, 512),
        (513, 544),
        (1000, 1024),
        (1024, 1024),
        (1025, 1088),
        (4097, 4352),
        (65_535, 65_536),
        (65_536, 65_536),
        (65_537, 67_584),
        (100_000, 100_352),
        (262_144, 262_144),
        (262_145, 270_336),
    ] {
        assert_eq!(padded_len(length), padded, "{length}");
    }
    for length in 256..300_000 {
        let padded = padded_len(length);
        assert!(padded >= length && padded_len(padded) == padded && padded <= padded_len(length + 1), "{length}");
        assert!((padded - length) * 100 <= length * 12, "{length} grows by more than 12 %");
    }
}

#[test]
fn a_short_text_has_the_size_of_an_empty_one() {
    let recipients = Post::many(&["ke"]);
    let sizes: Vec<usize> = [0, 1, 17, 200].iter().map(|bytes| check(&recipients, &body(*bytes), &[0]).content.len()).collect();
    assert_eq!(sizes, [272; 4]);
}

mod plaintexts {
    //! What a sender could put under the seal with its own hands.

    use super::*;

    fn derived(cek: &[u8; 32], context_hash: &[u8; 32], info: &[u8]) -> [u8; 32] {
        let mut out = [0; 32];
        let prk = hkdf::Salt::new(hkdf::HKDF_SHA256, context_hash).extract(cek);
        prk.expand(&[info], hkdf::HKDF_SHA256).expect("a short output").fill(&mut out).expect("32 bytes");
        out
    }

    /// Encrypts `plain` as the content of a sound message, by hand from SPEC.md 6, and opens it.
    fn check(plain: &[u8]) -> Result<SealedBody, String> {
        let posts = Post::many(&["ke", "th"]);
        let enrolled = Enrolled(vec![&posts[0]]);
        let submission = message(&posts[0], &[&posts[1]]);
        let (_, cek) = read(&posts[1], &enrolled, &delivery(&submission, 0)).expect("an honest delivery");
        let context_hash = parsed(&submission).context_hash;
        let key =
            aead::UnboundKey::new(&aead::AES_256_GCM, &derived(cek.as_bytes(), &context_hash, b"ecowire/1 content")).expect("32 bytes");
        let mut content = plain.to_vec();
        let nonce = aead::Nonce::assume_unique_for_key([0; 12]);
        aead::LessSafeKey::new(key).seal_in_place_append_tag(nonce, aead::Aad::from(&context_hash), &mut content).expect("short input");
        let content = Bytes::from(content);
        let mut fields = header_of(&submission);
        fields.content_sha256 = tlog::sha256(&content).to_vec().into();
        fields.content_size = content.len() as u64;
        let forged = resigned(&v1::Submission { content, ..submission.clone() }, encoded(&fields), &[&posts[0]]);
        read(&posts[1], &enrolled, &delivery(&forged, 0)).map(|(body, _)| body)
    }

    /// `u32be length || body || fill`, up to `total` bytes.
    fn plain(length: u32, body: &[u8], fill: u8, total: usize) -> Vec<u8> {
        let mut plain = [&length.to_be_bytes()[..], body].concat();
        plain.resize(total, fill);
        plain
    }

    #[test]
    fn padding_is_zeros_of_exactly_the_padded_length() {
        let body = body(100).encode_to_vec();
        let length = body.len() as u32;
        let good = plain(length, &body, 0, 256);
        assert_eq!(check(&good).as_ref().map(|body| body.content.len()), Ok(100), "the forgery by hand is sound");
        for (name, bad) in [
            ("not zeros", plain(length, &body, 1, 256)),
            ("no padding", plain(length, &body, 0, 4 + body.len())),
            ("a byte less", plain(length, &body, 0, 255)),
            ("a byte more", plain(length, &body, 0, 257)),
            ("the next padded length", plain(length, &body, 0, 272)),
            ("a length of the whole", plain(252, &body, 0, 256)),
            ("a length beyond", plain(253, &body, 0, 256)),
            ("the longest length", plain(u32::MAX, &body, 0, 256)),
            ("a length cut", plain(length - 1, &body, 0, 256)),
            ("no body", plain(0, &[], 0, 256)),
            ("nothing", vec![]),
            ("three bytes", vec![0; 3]),
        ] {
            assert_eq!(check(&bad).err().as_deref(), Some("Body"), "{name}");
        }
        for at in 4 + body.len()..256 {
            if at % 16 == 0 || at == 255 || at == 4 + body.len() {
                let mut bad = good.clone();
                bad[at] = 0x80;
                assert_eq!(check(&bad).err().as_deref(), Some("Body"), "byte {at}");
            }
        }
    }

    #[test]
    fn the_body_inside_has_one_form() {
        let body = body(10).encode_to_vec();
        let padded = |body: &[u8]| plain(body.len() as u32, body, 0, 256);
        assert!(check(&padded(&body)).is_ok());
        for (name, bad) in [
            ("an unknown field", [&body[..], &[0x18, 1]].concat()),
            ("a field doubled", [&[0x0a, 1, b'x'], &body[..]].concat()),
            (
                "an explicit default",
                SealedBody { content: Bytes::new(), ..super::body(0) }.encode_to_vec().into_iter().chain([0x12, 0]).collect(),
            ),
            ("no media type", SealedBody { media_type: String::new(), ..super::body(1) }.encode_to_vec()),
            ("a media type that is not ASCII", SealedBody { media_type: "text/\u{202e}".to_owned(), ..super::body(1) }.encode_to_vec()),
            ("a media type of 128 bytes", SealedBody { media_type: "a".repeat(128), ..super::body(1) }.encode_to_vec()),
            ("no protobuf", vec![0xff; 10]),
        ] {
            assert_eq!(check(&padded(&bad)).err().as_deref(), Some("Body"), "{name}");
        }
    }
}

mod keys {
    //! Which keys open, and which do not.

    use super::*;

    #[test]
    fn the_content_key_opens_and_another_does_not() {
        let posts = Post::many(&["ke", "th"]);
        let enrolled = Enrolled(vec![&posts[0]]);
        let (a, b) = (message(&posts[0], &[&posts[1]]), message(&posts[0], &[&posts[1]]));
        let cek = |submission: &v1::Submission| read(&posts[1], &enrolled, &delivery(submission, 0)).expect("an honest delivery").1;
        let open = |key: &v1::Submission, submission: &v1::Submission, content: &[u8]| {
            seal::open_with(&cek(key), &parsed(submission), content).err()
        };
        assert_eq!(open(&a, &a, &a.content), None);
        assert_eq!(open(&b, &a, &a.content), Some(OpenError::Commitment));
        assert_eq!(open(&a, &b, &a.content), Some(OpenError::Commitment));
        assert_eq!(open(&a, &a, &b.content), Some(OpenError::Content));
        assert_eq!(open(&a, &a, &a.content[1..]), Some(OpenError::Content));
        assert_eq!(open(&a, &a, &[]), Some(OpenError::Content));
    }

    /// The delivery of `submission` to index 0 read as `me` with `keys`.
    fn check(submission: &v1::Submission, me: &Address, keys: &[DecryptionKey]) -> Result<SealedBody, OpenError> {
        let header = parsed(submission);
        let sealed = Sealed { header: &header, wrap: &submission.wraps[0], wrap_path: &[], content: &submission.content };
        seal::open(me, keys, &sealed).map(|(body, _)| body)
    }

    #[test]
    fn an_old_key_opens_what_was_wrapped_for_it() {
        let posts = Post::many(&["ke", "th"]);
        let submission = message(&posts[0], &[&posts[1]]);
        let (old, new) = (posts[1].key.clone(), DecryptionKey::generate().expect("random bytes"));
        assert_eq!(check(&submission, &posts[1].address, &[new.clone(), old.clone()]), Ok(body(100)));
        assert_eq!(check(&submission, &posts[1].address, &[new]), Err(OpenError::Key));
        assert_eq!(check(&submission, &posts[1].address, &[]), Err(OpenError::Key));
        assert_eq!(check(&submission, &posts[0].address, &[old]), Err(OpenError::NotRecipient(posts[0].address.clone())));
    }

    #[test]
    fn a_key_comes_back_from_its_seed() {
        let key = DecryptionKey::generate().expect("random bytes");
        let again = DecryptionKey::from_seed(key.seed()).expect("a seed");
        assert_eq!((again.public(), again.key_id()), (key.public(), key.key_id()));
        assert_eq!(key.key_id(), tlog::sha256(&[b"ecowire/1 key\0", &[0x64, 0x7a, 0, 0, 4, 0xc0][..], key.public()].concat()));
        assert_eq!(key.public().len(), envelope::seal_sizes::public_key_bytes(KemId::XWing));
        for length in [0, 31, 33] {
            assert_eq!(DecryptionKey::from_seed(&vec![1; length]).err(), Some(OpenError::Key), "{length}");
        }
        assert_eq!(format!("{key:?}"), "DecryptionKey", "a key is never printed");
    }

    #[test]
    fn a_signing_key_comes_back_from_its_file() {
        let (key, der) = SigningKey::generate().expect("random bytes");
        let again = SigningKey::from_pkcs8(&der).expect("its own document");
        assert_eq!((again.key_id(), again.public(), again.sign(b"m")), (key.key_id(), key.public(), key.sign(b"m")));
        assert!(SigningKey::from_pkcs8(&der[..der.len() - 1]).is_err());
        assert!(SigningKey::from_pem(b"").is_err());
        assert_eq!(format!("{key:?}"), "SigningKey { .. }");
    }

    #[test]
    fn a_wrap_of_another_kem_does_not_open() {
        // Sound in form, signed by its sender, under a key id that the reader holds.
        let posts = Post::many(&["ke", "th"]);
        let submission = message(&posts[0], &[&posts[1]]);
        let key_id = posts[1].key.key_id().to_vec().into();
        let wrap = encoded(&v1::Wrap { index: 0, key_id, kem: KemId::X25519.into(), enc: vec![9; 32].into(), ct: vec![9; 48].into() });
        let mut fields = header_of(&submission);
        fields.wraps_root = header::wraps_root(std::slice::from_ref(&wrap)).as_bytes().to_vec().into();
        let forged = resigned(&v1::Submission { wraps: vec![wrap], ..submission }, encoded(&fields), &[&posts[0]]);
        assert_eq!(check(&forged, &posts[1].address, std::slice::from_ref(&posts[1].key)), Err(OpenError::Unwrap));
    }
}

mod tampering {
    use super::*;
    use std::sync::LazyLock;

    struct Play {
        posts: Vec<Post>,
        delivery: v1::Delivery,
    }

    static PLAY: LazyLock<Play> = LazyLock::new(|| {
        let posts = Post::many(&["ke", "th", "cn", "za"]);
        let submission = message(&posts[0], &[&posts[1], &posts[2], &posts[3]]);
        Play { delivery: delivery(&submission, 1), posts }
    });

    fn check(bytes: &[u8]) -> Result<SealedBody, String> {
        let delivery = v1::Delivery::decode(bytes).map_err(|error| error.to_string())?;
        read(&PLAY.posts[2], &Enrolled(PLAY.posts.iter().collect()), &delivery).map(|(body, _)| body)
    }

    #[test]
    fn no_byte_of_the_content_can_be_changed() {
        for at in 0..PLAY.delivery.content.len() {
            let mut bad = PLAY.delivery.clone();
            let mut content = bad.content.to_vec();
            content[at] ^= 0x10;
            bad.content = content.into();
            assert_eq!(check(&bad.encode_to_vec()).err().as_deref(), Some("Content"), "byte {at}");
        }
    }

    #[test]
    fn a_header_is_judged_by_its_own_list() {
        let header = Header::parse(&PLAY.delivery.signed.as_ref().expect("signed").header, &stage::network()).expect("a sound header");
        let at = |text: &str| header.recipient_index(&stage::address(text));
        assert_eq!([at("th"), at("cn"), at("za"), at("ke")], [Some(0), Some(1), Some(2), None]);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(4_000))]

        #[test]
        fn no_changed_delivery_opens(at in any::<prop::sample::Index>(), byte in 1u8..) {
            let mut bad = PLAY.delivery.encode_to_vec();
            let at = at.index(bad.len());
            bad[at] ^= byte;
            prop_assert!(check(&bad).is_err(), "byte {} ^ {}", at, byte);
        }

        #[test]
        fn no_cut_or_spliced_delivery_opens(from in any::<prop::sample::Index>(), to in any::<prop::sample::Index>(), cut in any::<bool>()) {
            let good = PLAY.delivery.encode_to_vec();
            let (from, to) = (from.index(good.len()), to.index(good.len()));
            let (low, high) = (from.min(to), from.max(to) + 1);
            let bad = if cut { [&good[..low], &good[high..]].concat() } else { [&good[..high], &good[low..]].concat() };
            // What is left may be the same delivery to protobuf (a doubled field); then it must open to the same body.
            let parts = |d: &v1::Delivery| (d.signed.clone(), d.wrap.clone(), d.wrap_path.clone(), d.content.clone());
            let same = v1::Delivery::decode(&bad[..]).is_ok_and(|delivery| parts(&delivery) == parts(&PLAY.delivery));
            prop_assert_eq!(check(&bad).is_ok(), same);
        }
    }

    #[test]
    fn the_honest_delivery_opens() {
        assert_eq!(check(&PLAY.delivery.encode_to_vec()), Ok(body(100)));
        assert!(signed(&message(&PLAY.posts[0], &[&PLAY.posts[1]])).signatures.len() == 1);
    }
}

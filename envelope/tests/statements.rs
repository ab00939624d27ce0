//! Statements: kind, signer, head, bounds of every field, and the network authority's threshold.
//!
//! Whether an issuer may say it, and whether its network and number are the next, the exchange decides.

use bytes::Bytes;
use envelope::canonical::EncodingError;
use envelope::dsse::{self, SignatureFault};
use envelope::keys::{AwsLc, Ring, SigningKey};
use envelope::statement::{
    self, Acknowledged, Delivered, Statement, StatementError, authority_signers, digest_of, open_by_authority, read_head,
};
use prost::Message as _;
use proto::v1::{
    self, AccessStatement, ClockStep, Genesis, KeyStatement, MailboxStatement, Signature, SignedStatement, StatementHead, StatementKind,
    Trust,
};

const CREATED_MS: u64 = 1_795_374_960_000;

fn key() -> SigningKey {
    SigningKey::generate().expect("random bytes").0
}

fn known(keys: &[&SigningKey]) -> Vec<envelope::dsse::SignerKey> {
    keys.iter().map(|key| (key.key_id(), key.public())).collect()
}

/// A statement is opened as `S` by these signers, with both verifiers; `Err` is short.
fn check<S: Statement>(signed: &SignedStatement, signers: &[&SigningKey]) -> Result<S, String> {
    let ring = statement::open::<S>(&Ring, signed, &known(signers));
    let aws = statement::open::<S>(&AwsLc, signed, &known(signers));
    assert_eq!(ring.as_ref().err(), aws.as_ref().err());
    ring.map_err(short)
}

fn short(error: StatementError) -> String {
    match error {
        StatementError::Encoding(EncodingError::Field { field, .. }) => field.to_owned(),
        StatementError::Encoding(EncodingError::Version { .. }) => "version".to_owned(),
        StatementError::Encoding(other) => format!("{other:?}"),
        StatementError::Kind { .. } => "kind".to_owned(),
        StatementError::Signature(SignatureFault::Signers { .. }) => "signers".to_owned(),
        StatementError::Signature(SignatureFault::Signature(at)) => format!("signature {at}"),
    }
}

/// The field that keeps an edited statement from being read, or "" when nothing does.
fn fault<S: Statement + Clone>(base: &S, edit: impl FnOnce(&mut S)) -> String {
    let mut edited = base.clone();
    edit(&mut edited);
    let signer = key();
    check::<S>(&statement::sign(&edited, &[&signer]).expect("signed"), &[&signer]).err().unwrap_or_default()
}

fn head(party: &str) -> StatementHead {
    StatementHead {
        version: 1,
        network: "ecowire.test".to_owned(),
        issuer: party.to_owned(),
        subject: party.to_owned(),
        seq: 1,
        prev_sha256: Bytes::new(),
        created_ms: CREATED_MS,
        expires_ms: CREATED_MS + 1,
    }
}

fn bytes(byte: u8, length: usize) -> Bytes {
    vec![byte; length].into()
}

fn keys() -> KeyStatement {
    let key = v1::EncryptionKey { kem: v1::KemId::XWing.into(), public: bytes(1, 1216), state: v1::KeyState::Current.into() };
    KeyStatement { head: Some(head("ke")), keys: vec![key], cert_chain_sha256: bytes(2, 32) }
}

fn access() -> AccessStatement {
    AccessStatement { head: Some(head("aud/network")), purpose: "yearly audit".to_owned(), from_index: 3, to_index: 4 }
}

fn mailbox() -> MailboxStatement {
    let items =
        vec![v1::ReceiptItem { mailbox_seq: 1, message_id: bytes(3, 32) }, v1::ReceiptItem { mailbox_seq: 7, message_id: bytes(4, 32) }];
    MailboxStatement { head: Some(head("ke")), items, at_ms: CREATED_MS, clock: v1::ClockQuality::Gnss.into(), checkpoint_size: 12 }
}

fn clock_step() -> ClockStep {
    ClockStep { head: Some(head("network")), now_ms: CREATED_MS }
}

fn authority_key(key: &SigningKey) -> v1::AuthorityKey {
    v1::AuthorityKey { alg: v1::SigAlg::Ed25519.into(), public: key.public().as_bytes().to_vec().into() }
}

fn genesis() -> Genesis {
    let participant = |address: &str| v1::Participant {
        address: address.to_owned(),
        state: v1::ParticipantState::Active.into(),
        identity_chain: vec![bytes(5, 600)],
        clearance: v1::Classification::Restricted.into(),
        open_to_foreign: false,
        oversight: v1::OversightMode::Copy.into(),
    };
    let grant = v1::ClassGrant {
        class: v1::ParticipantClass::Ncb.into(),
        kinds: vec![v1::Kind::Message.into()],
        priorities: vec![v1::Priority::Routine.into()],
        classifications: vec![v1::Classification::Restricted.into()],
    };
    let policy = v1::Policy {
        rules_version: 1,
        lifetime_max_ms: 2_592_000_000,
        lifetime_min_ms: 259_200_000,
        skew_max_ms: 300_000,
        stale_key_grace_ms: 86_400_000,
        kems: vec![v1::KemId::XWing.into()],
        grants: vec![grant],
        flash_per_day: 10,
        identity_algs: Vec::new(),
        dual_control: Vec::new(),
        broadcasts_per_day: 0,
    };
    let sound = || key().public().as_bytes().to_vec().into();
    Genesis {
        head: Some(head("network")),
        random: bytes(6, 16),
        roots: vec![bytes(7, 600)],
        authority: vec![authority_key(&key()), authority_key(&key()), authority_key(&key())],
        authority_threshold: 2,
        log_key: sound(),
        directory_key: sound(),
        node: "node/lyon-1".to_owned(),
        policy: Some(policy),
        participants: vec![participant("ke"), participant("th")],
    }
}

fn trust() -> Trust {
    let genesis = genesis();
    Trust {
        head: Some(head("network")),
        roots: genesis.roots,
        authority: genesis.authority,
        authority_threshold: 2,
        nodes: vec!["node/lyon-1".to_owned()],
        log_origin: "ecowire.test/log/0/00112233".to_owned(),
        log_key: genesis.log_key,
        directory_origin: "ecowire.test/directory/00112233".to_owned(),
        directory_key: genesis.directory_key,
        genesis_sha256: bytes(8, 32),
        witnesses: vec!["w1".to_owned(), "w2".to_owned()],
        witnesses_k: 1,
    }
}

mod kinds {
    use super::*;

    fn one_of_each(signer: &SigningKey) -> Vec<SignedStatement> {
        let by = [signer];
        vec![
            statement::sign(&genesis(), &by).expect("signed"),
            statement::sign(&trust(), &by).expect("signed"),
            statement::sign(&keys(), &by).expect("signed"),
            statement::sign(&access(), &by).expect("signed"),
            statement::sign(&Delivered(mailbox()), &by).expect("signed"),
            statement::sign(&Acknowledged(mailbox()), &by).expect("signed"),
            statement::sign(&clock_step(), &by).expect("signed"),
        ]
    }

    /// What each of the seven readers says.
    fn readers(signed: &SignedStatement, signer: &SigningKey) -> Vec<String> {
        fn said<S: Statement>(signed: &SignedStatement, signer: &SigningKey) -> String {
            check::<S>(signed, &[signer]).err().unwrap_or_else(|| "opened".to_owned())
        }
        vec![
            said::<Genesis>(signed, signer),
            said::<Trust>(signed, signer),
            said::<KeyStatement>(signed, signer),
            said::<AccessStatement>(signed, signer),
            said::<Delivered>(signed, signer),
            said::<Acknowledged>(signed, signer),
            said::<ClockStep>(signed, signer),
        ]
    }

    #[test]
    fn a_statement_opens_as_its_own_kind_only() {
        let signer = key();
        for (at, signed) in one_of_each(&signer).iter().enumerate() {
            let mut expected = vec!["kind"; 7];
            expected[at] = "opened";
            assert_eq!(readers(signed, &signer), expected, "{at}");
            // With the number of another kind written over it, form or signature stops it.
            for other in (0..7).filter(|other| *other != at) {
                let kind = StatementKind::try_from(other as i32 + 1).expect("a kind");
                let posing = SignedStatement { kind: kind.into(), ..signed.clone() };
                assert_ne!(readers(&posing, &signer)[other], "opened", "{at} as {other}");
            }
        }
    }

    #[test]
    fn delivered_is_not_acknowledged() {
        // The same fields under the same key: only the signed type keeps them apart.
        let signer = key();
        let delivered = statement::sign(&Delivered(mailbox()), &[&signer]).expect("signed");
        let acknowledged = statement::sign(&Acknowledged(mailbox()), &[&signer]).expect("signed");
        assert_eq!(delivered.statement, acknowledged.statement);
        let swapped = |signed: &SignedStatement, kind: StatementKind| SignedStatement { kind: kind.into(), ..signed.clone() };
        assert_eq!(
            check::<Acknowledged>(&swapped(&delivered, StatementKind::Acknowledged), &[&signer]).err().as_deref(),
            Some("signature 0")
        );
        assert_eq!(check::<Delivered>(&swapped(&acknowledged, StatementKind::Delivered), &[&signer]).err().as_deref(), Some("signature 0"));
    }

    #[test]
    fn payload_types_are_those_of_the_contract() {
        fn name<S: Statement>() -> &'static str {
            S::PAYLOAD_TYPE.strip_prefix("application/vnd.ecowire.").and_then(|rest| rest.strip_suffix(".v1+protobuf")).expect("our form")
        }
        let names = [
            name::<Genesis>(),
            name::<Trust>(),
            name::<KeyStatement>(),
            name::<AccessStatement>(),
            name::<Delivered>(),
            name::<Acknowledged>(),
            name::<ClockStep>(),
            name::<v1::Enrolment>(),
            name::<v1::Standing>(),
            name::<v1::GrantStatement>(),
            name::<v1::Group>(),
            name::<v1::Release>(),
            name::<v1::Permission>(),
        ];
        let expected = [
            "genesis",
            "trust",
            "keys",
            "access",
            "delivered",
            "acknowledged",
            "clock-step",
            "enrolment",
            "standing",
            "grants",
            "group",
            "release",
            "permission",
        ];
        assert_eq!(names, expected);
    }

    #[test]
    fn kinds_without_a_name_are_refused() {
        let signer = key();
        let signed = statement::sign(&clock_step(), &[&signer]).expect("signed");
        for kind in [0, 14, 99, -1] {
            let bad = SignedStatement { kind, ..signed.clone() };
            assert_eq!(check::<ClockStep>(&bad, &[&signer]).err().as_deref(), Some("kind"));
            assert!(statement::decode_signed(&bad.encode_to_vec()).is_err());
        }
    }
}

mod signers {
    use super::*;

    #[test]
    fn only_the_named_signer_counts() {
        let (signer, other) = (key(), key());
        let signed = statement::sign(&keys(), &[&signer]).expect("signed");
        assert!(check::<KeyStatement>(&signed, &[&signer]).is_ok());
        assert_eq!(check::<KeyStatement>(&signed, &[&other]).err().as_deref(), Some("signers"));
        assert_eq!(check::<KeyStatement>(&signed, &[]).err().as_deref(), Some("signers"));
        assert_eq!(check::<KeyStatement>(&signed, &[&signer, &other]).err().as_deref(), Some("signers"));
        assert_eq!(check::<KeyStatement>(&signed, &[&signer, &signer]).err().as_deref(), Some("signers"));
        // The right id over another's signature.
        let mut forged = statement::sign(&keys(), &[&other]).expect("signed");
        forged.signatures[0].key_id = signed.signatures[0].key_id.clone();
        assert_eq!(check::<KeyStatement>(&forged, &[&signer]).err().as_deref(), Some("signature 0"));
        let mut both = statement::sign(&keys(), &[&signer, &other]).expect("signed");
        assert_eq!(check::<KeyStatement>(&both, &[&signer]).err().as_deref(), Some("signers"), "one too many");
        both.signatures.swap(0, 1);
        assert_eq!(check::<KeyStatement>(&both, &[&signer, &other]).err().as_deref(), Some("signers"), "another order");
        let none = SignedStatement { signatures: vec![], ..signed.clone() };
        assert_eq!(check::<KeyStatement>(&none, &[&signer]).err().as_deref(), Some("signers"));
        assert!(statement::decode_signed(&none.encode_to_vec()).is_err());
        let five = SignedStatement { signatures: vec![signed.signatures[0].clone(); 5], ..signed };
        assert_eq!(check::<KeyStatement>(&five, &[&signer]).err().as_deref(), Some("signatures"));
    }

    #[test]
    fn no_bit_of_a_statement_or_signature_can_be_flipped() {
        let signer = key();
        let good = statement::sign(&Delivered(mailbox()), &[&signer]).expect("signed").encode_to_vec();
        for bit in 0..good.len() * 8 {
            let mut bad = good.clone();
            bad[bit / 8] ^= 1 << (bit % 8);
            let opened = statement::decode_signed(&bad).is_ok_and(|signed| check::<Delivered>(&signed, &[&signer]).is_ok());
            assert!(!opened, "bit {bit}");
        }
    }

    #[test]
    fn a_statement_cannot_be_carried_to_another_network_or_head() {
        let signer = key();
        let edits: [fn(&mut StatementHead); 6] = [
            |head| head.network = "ecowire.org".to_owned(),
            |head| {
                head.issuer = "th".to_owned();
                head.subject = "th".to_owned();
            },
            |head| {
                head.seq = 2;
                head.prev_sha256 = bytes(9, 32);
            },
            |head| head.created_ms -= 1,
            |head| head.expires_ms += 1,
            |head| head.expires_ms = 0,
        ];
        for (at, edit) in edits.into_iter().enumerate() {
            let signed = statement::sign(&keys(), &[&signer]).expect("signed");
            let mut moved = keys();
            edit(moved.head.as_mut().expect("a head"));
            let posing = SignedStatement { statement: moved.encode_to_vec().into(), ..signed };
            assert_eq!(check::<KeyStatement>(&posing, &[&signer]).err().as_deref(), Some("signature 0"), "edit {at}");
            // Signed anew it is another statement, whose head says where it belongs.
            let anew = statement::sign(&moved, &[&signer]).expect("signed");
            assert_ne!(digest_of(&anew), digest_of(&statement::sign(&keys(), &[&signer]).expect("signed")));
        }
        let foreign = KeyStatement { head: Some(StatementHead { network: "ecowire.org".to_owned(), ..head("ke") }), ..keys() };
        assert_eq!(read_head(foreign.head.as_ref()).map(|head| head.network.to_string()), Ok("ecowire.org".to_owned()));
    }

    #[test]
    fn the_digest_of_a_statement_covers_its_bytes_and_not_its_signatures() {
        let (a, b) = (statement::sign(&keys(), &[&key()]).expect("signed"), statement::sign(&keys(), &[&key()]).expect("signed"));
        assert_ne!(a.signatures, b.signatures);
        assert_eq!(digest_of(&a), digest_of(&b));
        assert_eq!(digest_of(&a), tlog::sha256(&keys().encode_to_vec()));
    }
}

mod heads {
    use super::*;

    #[test]
    fn every_statement_has_a_sound_head() {
        type Edit = fn(&mut StatementHead);
        const EDITS: [(&str, Edit, &str); 21] = [
            ("version 0", |h| h.version = 0, "version"),
            ("version 2", |h| h.version = 2, "version"),
            ("no network", |h| h.network.clear(), "head.network"),
            ("a network in capitals", |h| h.network = "Ecowire.test".into(), "head.network"),
            ("no issuer", |h| h.issuer.clear(), "head.issuer"),
            ("an issuer that is none", |h| h.issuer = "k".into(), "head.issuer"),
            ("no subject", |h| h.subject.clear(), "head.subject"),
            ("a subject that is none", |h| h.subject = "ke/".into(), "head.subject"),
            ("seq 0", |h| h.seq = 0, "head.seq"),
            ("seq 0 with prev", |h| (h.seq, h.prev_sha256) = (0, bytes(1, 32)), "head.seq"),
            ("seq 1 with prev", |h| h.prev_sha256 = bytes(1, 32), "head.prev_sha256"),
            ("seq 2 without prev", |h| h.seq = 2, "head.prev_sha256"),
            ("seq 2 with prev", |h| (h.seq, h.prev_sha256) = (2, bytes(1, 32)), ""),
            ("prev of 31 bytes", |h| (h.seq, h.prev_sha256) = (2, bytes(1, 31)), "head.prev_sha256"),
            ("prev of 33 bytes", |h| (h.seq, h.prev_sha256) = (2, bytes(1, 33)), "head.prev_sha256"),
            ("the last seq", |h| (h.seq, h.prev_sha256) = (u64::MAX, bytes(1, 32)), ""),
            ("expires when created", |h| h.expires_ms = h.created_ms, "head.expires_ms"),
            ("expires before", |h| h.expires_ms = 1, "head.expires_ms"),
            ("expires last", |h| h.expires_ms = u64::MAX, ""),
            ("issuer and subject differ", |h| h.subject = "th".into(), "head.subject"),
            ("the network as a mailbox", |h| (h.issuer, h.subject) = ("network".into(), "network".into()), "head.subject"),
        ];
        for (name, edit, expected) in EDITS {
            let delivered = |s: &mut Delivered| edit(s.0.head.as_mut().expect("a head"));
            let acknowledged = |s: &mut Acknowledged| edit(s.0.head.as_mut().expect("a head"));
            assert_eq!(fault(&keys(), |s| edit(s.head.as_mut().expect("a head"))), expected, "{name}, keys");
            assert_eq!(fault(&Delivered(mailbox()), delivered), expected, "{name}, delivered");
            assert_eq!(fault(&Acknowledged(mailbox()), acknowledged), expected, "{name}, acknowledged");
        }
        assert_eq!(fault(&keys(), |s| s.head = None), "head");
        assert_eq!(fault(&access(), |s| s.head = None), "head");
        assert_eq!(fault(&clock_step(), |s| s.head = None), "head");
        assert_eq!(fault(&genesis(), |s| s.head = None), "head");
        assert_eq!(fault(&trust(), |s| s.head = None), "head");
        assert_eq!(fault(&Delivered(mailbox()), |s| s.0.head = None), "head");
    }

    #[test]
    fn the_authority_speaks_as_the_network_of_the_network() {
        for (issuer, subject) in [("ke", "ke"), ("network", "ke"), ("ke", "network")] {
            let head = || Some(StatementHead { issuer: issuer.to_owned(), subject: subject.to_owned(), ..head("network") });
            assert_eq!(fault(&genesis(), |s| s.head = head()), "head.issuer");
            assert_eq!(fault(&trust(), |s| s.head = head()), "head.issuer");
            assert_eq!(fault(&clock_step(), |s| s.head = head()), "head.issuer");
        }
        let second = || Some(StatementHead { seq: 2, prev_sha256: bytes(1, 32), ..head("network") });
        assert_eq!(fault(&genesis(), |s| s.head = second()), "head.seq");
        assert_eq!(fault(&trust(), |s| s.head = second()), "");
        assert_eq!(fault(&clock_step(), |s| s.head = second()), "");
    }

    #[test]
    fn a_head_is_read_as_it_stands() {
        let read = read_head(Some(&head("network"))).expect("a sound head");
        assert_eq!((read.issuer, read.subject, read.seq, read.prev_sha256), (None, None, 1, None));
        let read = read_head(Some(&StatementHead { seq: 9, prev_sha256: bytes(1, 32), ..head("ke/cus") })).expect("a sound head");
        assert_eq!(read.issuer.map(|issuer| issuer.to_string()).as_deref(), Some("ke/cus"));
        assert_eq!((read.seq, read.prev_sha256), (9, Some([1; 32])));
    }
}

mod bounds {
    use super::*;

    /// An edit, and the field that refuses what it made, "" for none.
    type Edit<S> = (&'static str, fn(&mut S), &'static str);

    fn bounds<S: Statement + Clone>(base: &S, edits: &[Edit<S>]) {
        assert_eq!(fault(base, |_| {}), "", "{} as it is", S::WHAT);
        for (name, edit, expected) in edits {
            assert_eq!(fault(base, edit), *expected, "{}: {name}", S::WHAT);
        }
        let long = vec![0; S::BYTES_MAX + 1];
        let signed = SignedStatement { kind: S::KIND.into(), statement: long.into(), signatures: vec![Signature::default()] };
        assert!(matches!(statement::read::<S>(&signed).err(), Some(StatementError::Encoding(EncodingError::TooLarge { .. }))));
    }

    #[test]
    fn of_releases() {
        let head = Some(head_of("ke", "ke/cus/kemba"));
        let (released, none) = (v1::ReleaseVerdict::Released.into(), v1::ReleaseReason::None.into());
        let release = v1::Release { head, message_id: bytes(1, 32), entry_index: 7, verdict: released, reason: none };
        bounds(
            &release,
            &[
                ("about oneself", |s| s.head = Some(head_of("ke", "ke")), "head.subject"),
                ("of no message", |s| s.message_id.clear(), "message_id"),
                ("no verdict", |s| s.verdict = 0, "verdict"),
                ("another verdict", |s| s.verdict = 9, "verdict"),
                ("no reason", |s| s.reason = 0, "reason"),
                ("released for a reason", |s| s.reason = v1::ReleaseReason::Rules.into(), "reason"),
                ("refused for none", |s| s.verdict = v1::ReleaseVerdict::Refused.into(), ""),
            ],
        );
    }

    #[test]
    fn of_permissions() {
        let lasting = |days: u64, head: StatementHead| StatementHead { expires_ms: head.created_ms + days * 86_400_000, ..head };
        let head = lasting(31, head_of("ke", "ke/cus/kemba"));
        let waiver = v1::Permission { head: Some(head), kind: v1::AuthorityKind::Waiver.into(), ..v1::Permission::default() };
        bounds(
            &waiver,
            &[
                ("about oneself", |s| s.head = Some(head_of("ke", "ke")), "head.subject"),
                ("no kind", |s| s.kind = 0, "kind"),
                ("of a message", |s| s.message_id = bytes(1, 32), "message_id"),
                ("without end", |s| s.head.as_mut().expect("a head").expires_ms = 0, "head.expires_ms"),
                ("for more than a month", |s| s.head.as_mut().expect("a head").expires_ms += 1, "head.expires_ms"),
                ("to somebody", |s| s.recipients = vec!["np".to_owned()], "recipients"),
            ],
        );
        let onward = v1::Permission {
            head: Some(lasting(366, head_of("ke", "th"))),
            kind: v1::AuthorityKind::OnwardGrant.into(),
            message_id: bytes(1, 32),
            recipients: vec!["gb".to_owned(), "np".to_owned()],
        };
        bounds(
            &onward,
            &[
                ("of no message", |s| s.message_id.clear(), "message_id"),
                ("for more than a year", |s| s.head.as_mut().expect("a head").expires_ms += 1, "head.expires_ms"),
                ("to one twice", |s| s.recipients[0] = "np".to_owned(), "recipients"),
                ("out of order", |s| s.recipients.swap(0, 1), "recipients"),
                ("to nobody that there is", |s| s.recipients[0] = "g".to_owned(), "recipients"),
                ("to 513", |s| s.recipients = (0..513).map(|at| format!("gb/cus/{at:03}")).collect(), "recipients"),
                ("to 512", |s| s.recipients = (0..512).map(|at| format!("gb/cus/{at:03}")).collect(), ""),
                ("a countersignature to somebody", |s| s.kind = v1::AuthorityKind::Countersignature.into(), "recipients"),
            ],
        );
    }

    fn head_of(issuer: &str, subject: &str) -> StatementHead {
        StatementHead { subject: subject.to_owned(), ..head(issuer) }
    }

    #[test]
    fn of_keys() {
        fn key(at: u8) -> v1::EncryptionKey {
            v1::EncryptionKey { kem: v1::KemId::XWing.into(), public: bytes(at, 1216), state: v1::KeyState::DecryptOnly.into() }
        }
        bounds(
            &keys(),
            &[
                ("none", |s| s.keys.clear(), "keys"),
                ("16", |s| s.keys = (0..16).map(key).collect(), ""),
                ("17", |s| s.keys = (0..17).map(key).collect(), "keys"),
                ("one key in two states", |s| s.keys = vec![s.keys[0].clone(), key(1)], "keys.public"),
                ("a key cut", |s| s.keys[0].public.truncate(1215), "keys.public"),
                ("a key of another kem", |s| s.keys[0].kem = v1::KemId::X25519.into(), "keys.public"),
                ("no kem", |s| s.keys[0].kem = 0, "keys.kem"),
                ("an unnamed kem", |s| s.keys[0].kem = 17, "keys.kem"),
                ("no state", |s| s.keys[0].state = 0, "keys.state"),
                ("an unnamed state", |s| s.keys[0].state = 4, "keys.state"),
                ("no chain", |s| s.cert_chain_sha256.clear(), "cert_chain_sha256"),
                ("a chain's digest cut", |s| s.cert_chain_sha256.truncate(31), "cert_chain_sha256"),
            ],
        );
    }

    #[test]
    fn of_access() {
        bounds(
            &access(),
            &[
                ("no purpose", |s| s.purpose.clear(), "purpose"),
                ("256", |s| s.purpose = "p".repeat(256), ""),
                ("257", |s| s.purpose = "p".repeat(257), "purpose"),
                ("a line break", |s| s.purpose = "a\nb".into(), "purpose"),
                ("an escape", |s| s.purpose = "a\u{1b}[2J".into(), "purpose"),
                ("delete", |s| s.purpose = "a\u{7f}".into(), "purpose"),
                ("an override", |s| s.purpose = "a\u{202e}".into(), "purpose"),
                ("an empty range", |s| s.to_index = s.from_index, "to_index"),
                ("a turned range", |s| s.to_index = 1, "to_index"),
                ("no range", |s| s.to_index = 0, "to_index"),
                ("from the first", |s| s.from_index = 0, ""),
                ("no end", |s| s.head.as_mut().expect("a head").expires_ms = 0, "head.expires_ms"),
            ],
        );
    }

    #[test]
    fn of_delivered_and_acknowledged() {
        type Edit = fn(&mut MailboxStatement);
        fn items(count: u64) -> Vec<v1::ReceiptItem> {
            (1..=count).map(|mailbox_seq| v1::ReceiptItem { mailbox_seq, message_id: bytes(1, 32) }).collect()
        }
        const EDITS: [(&str, Edit, &str); 13] = [
            ("none", |s| s.items.clear(), "items"),
            ("64", |s| s.items = items(64), ""),
            ("65", |s| s.items = items(65), "items"),
            ("turned", |s| s.items.reverse(), "items"),
            ("doubled", |s| s.items[1] = s.items[0].clone(), "items"),
            ("number 0", |s| s.items[0].mailbox_seq = 0, "items.mailbox_seq"),
            ("no id", |s| s.items[1].message_id.clear(), "items.message_id"),
            ("an id cut", |s| s.items[1].message_id.truncate(31), "items.message_id"),
            ("no time", |s| s.at_ms = 0, "at_ms"),
            ("no clock", |s| s.clock = 0, "clock"),
            ("an unnamed clock", |s| s.clock = 5, "clock"),
            ("no checkpoint seen", |s| s.checkpoint_size = 0, ""),
            ("for another", |s| s.head.as_mut().expect("a head").subject = "th".into(), "head.subject"),
        ];
        for (name, edit, expected) in EDITS {
            assert_eq!(fault(&Delivered(mailbox()), |s| edit(&mut s.0)), expected, "delivered: {name}");
            assert_eq!(fault(&Acknowledged(mailbox()), |s| edit(&mut s.0)), expected, "acknowledged: {name}");
        }
        bounds(&Delivered(mailbox()), &[]);
        bounds(&Acknowledged(mailbox()), &[]);
    }

    #[test]
    fn of_a_clock_step() {
        bounds(&clock_step(), &[("no time", |s| s.now_ms = 0, "now_ms"), ("the last time", |s| s.now_ms = u64::MAX, "")]);
    }

    #[test]
    fn of_genesis() {
        fn policy(genesis: &mut Genesis) -> &mut v1::Policy {
            genesis.policy.as_mut().expect("a policy")
        }
        bounds(
            &genesis(),
            &[
                ("random of 15 bytes", |s| s.random.truncate(15), "random"),
                ("no roots", |s| s.roots.clear(), "roots"),
                ("four roots", |s| s.roots = vec![bytes(7, 600); 4], ""),
                ("five roots", |s| s.roots = vec![bytes(7, 600); 5], "roots"),
                ("an empty root", |s| s.roots[0].clear(), "roots"),
                ("a root of 8 KiB and a byte", |s| s.roots[0] = bytes(7, 8193), "roots"),
                ("no authority", |s| s.authority.clear(), "authority"),
                ("five keys", |s| s.authority = (0..5).map(|_| authority_key(&key())).collect(), "authority"),
                ("one key twice", |s| s.authority[1] = s.authority[0].clone(), "authority.public"),
                ("a key of small order", |s| s.authority[1].public = bytes(0, 32), "authority.public"),
                ("a key cut", |s| s.authority[1].public.truncate(31), "authority.public"),
                ("a key of P-256", |s| s.authority[1].alg = v1::SigAlg::EcdsaP256Sha256.into(), "authority.alg"),
                ("threshold 0", |s| s.authority_threshold = 0, "authority_threshold"),
                ("threshold 3", |s| s.authority_threshold = 3, ""),
                ("threshold 4 of 3", |s| s.authority_threshold = 4, "authority_threshold"),
                ("no log key", |s| s.log_key.clear(), "log_key"),
                ("a log key of small order", |s| s.log_key = [&[1][..], &[0; 31]].concat().into(), "log_key"),
                ("a directory key in a second form", |s| s.directory_key = bytes(0xff, 32), "directory_key"),
                ("no node", |s| s.node.clear(), "node"),
                ("a node that is none", |s| s.node = "ke".into(), "node"),
                ("no policy", |s| s.policy = None, "policy"),
                ("other rules", |s| policy(s).rules_version = 3, "policy.rules_version"),
                ("no least lifetime", |s| policy(s).lifetime_min_ms = 0, "policy.lifetime_min_ms"),
                ("lifetimes turned", |s| policy(s).lifetime_max_ms = 1, "policy.lifetime_min_ms"),
                ("more than a year", |s| policy(s).lifetime_max_ms = 366 * 86_400_000 + 1, "policy.lifetime_max_ms"),
                ("skew above an hour", |s| policy(s).skew_max_ms = 3_600_001, "policy.skew_max_ms"),
                ("no kems", |s| policy(s).kems.clear(), "policy.kems"),
                ("an unnamed kem", |s| policy(s).kems = vec![1], "policy.kems"),
                ("65 grants", |s| policy(s).grants = vec![policy(s).grants[0].clone(); 65], "policy.grants"),
                ("a grant to no class", |s| policy(s).grants[0].class = 0, "policy.grants.class"),
                ("a grant of an unnamed kind", |s| policy(s).grants[0].kinds = vec![26], "policy.grants.kinds"),
                ("a grant of no priority", |s| policy(s).grants[0].priorities = vec![0], "policy.grants.priorities"),
                ("a grant of an unnamed class", |s| policy(s).grants[0].classifications = vec![4], "policy.grants.classifications"),
                ("no participants", |s| s.participants.clear(), ""),
                ("participants turned", |s| s.participants.reverse(), "participants"),
                ("a participant twice", |s| s.participants[1] = s.participants[0].clone(), "participants"),
                ("a participant without name", |s| s.participants[0].address.clear(), "participants.address"),
                ("no state", |s| s.participants[0].state = 0, "participants.state"),
                ("no clearance", |s| s.participants[0].clearance = 0, "participants.clearance"),
                ("no oversight", |s| s.participants[0].oversight = 0, "participants.oversight"),
                ("no chain", |s| s.participants[0].identity_chain.clear(), "participants.identity_chain"),
                ("a chain of five", |s| s.participants[0].identity_chain = vec![bytes(5, 9); 5], "participants.identity_chain"),
            ],
        );
    }

    #[test]
    fn of_trust() {
        bounds(
            &trust(),
            &[
                ("no nodes", |s| s.nodes.clear(), "nodes"),
                ("a node that is none", |s| s.nodes[0] = "ke".into(), "nodes"),
                ("no origin", |s| s.log_origin.clear(), "log_origin"),
                ("an origin beyond ASCII", |s| s.directory_origin = "\u{e9}".into(), "directory_origin"),
                ("no genesis", |s| s.genesis_sha256.clear(), "genesis_sha256"),
                ("threshold 0", |s| s.authority_threshold = 0, "authority_threshold"),
                ("a log key of small order", |s| s.log_key = bytes(0, 32), "log_key"),
                ("more witnesses wanted than named", |s| s.witnesses_k = 3, "witnesses_k"),
                ("no witnesses", |s| (s.witnesses, s.witnesses_k) = (vec![], 0), ""),
            ],
        );
    }
}

mod authority {
    use super::*;

    /// Three keys of the authority and a stranger's, by number; the statement needs two of the three.
    fn check(signers: &[usize]) -> Result<(), String> {
        let keys: Vec<SigningKey> = (0..4).map(|_| key()).collect();
        let authority: Vec<_> = keys[..3].iter().map(authority_key).collect();
        let by: Vec<&SigningKey> = signers.iter().map(|at| &keys[*at]).collect();
        open_by_authority::<ClockStep>(&AwsLc, &statement::sign(&clock_step(), &by).expect("signed"), &authority, 2)
            .map(drop)
            .map_err(short)
    }

    #[test]
    fn two_of_three_are_needed_and_nobody_else_may_sign() {
        for enough in [&[0, 1][..], &[1, 0], &[0, 2], &[2, 1], &[0, 1, 2], &[2, 0, 1]] {
            assert_eq!(check(enough), Ok(()), "{enough:?}");
        }
        for bad in [&[][..], &[0], &[2], &[0, 0], &[1, 1, 1], &[0, 1, 0], &[3], &[0, 3], &[3, 0], &[0, 1, 3], &[3, 3], &[0, 1, 2, 3]] {
            assert_eq!(check(bad).err().as_deref(), Some("signers"), "{bad:?}");
        }
        assert_eq!(check(&[0, 1, 2, 0, 1]).err().as_deref(), Some("signatures"), "more than any statement has");
    }

    #[test]
    fn each_signature_of_the_authority_is_verified() {
        let keys = [key(), key(), key()];
        let authority: Vec<_> = keys.iter().map(authority_key).collect();
        let open = |signed: &SignedStatement, threshold| {
            open_by_authority::<ClockStep>(&Ring, signed, &authority, threshold).map(drop).map_err(short)
        };
        let good = statement::sign(&clock_step(), &[&keys[0], &keys[1]]).expect("signed");
        assert_eq!(open(&good, 2), Ok(()));
        for at in 0..2 {
            let mut bad = good.clone();
            bad.signatures[at].signature = bytes(1, 64);
            assert_eq!(open(&bad, 2).err(), Some(format!("signature {at}")));
            assert_eq!(open(&bad, 1).err(), Some(format!("signature {at}")), "one sound signature does not carry a bad one");
        }
        let mut posing = good.clone();
        posing.signatures[1] = Signature { key_id: keys[2].key_id().to_vec().into(), ..posing.signatures[0].clone() };
        assert_eq!(open(&posing, 2).err().as_deref(), Some("signature 1"), "one signature under two names");
        assert_eq!(open(&good, 3).err().as_deref(), Some("signers"));
        // A threshold of nothing is read as one, and no keys can never be enough.
        let unsigned = SignedStatement { signatures: vec![], ..good.clone() };
        assert_eq!(open(&unsigned, 0).err().as_deref(), Some("signers"));
        assert!(authority_signers(&[], 0, &good.signatures).is_err());
        assert!(authority_signers(&[], 0, &[]).is_err());
    }

    #[test]
    fn genesis_is_signed_by_the_keys_that_it_names() {
        let keys = [key(), key()];
        let genesis = Genesis { authority: keys.iter().map(authority_key).collect(), ..genesis() };
        let open = |signed: &SignedStatement| {
            open_by_authority::<Genesis>(&AwsLc, signed, &genesis.authority, genesis.authority_threshold).map_err(short)
        };
        assert_eq!(open(&statement::sign(&genesis, &[&keys[0], &keys[1]]).expect("signed")), Ok(genesis.clone()));
        assert_eq!(open(&statement::sign(&genesis, &[&keys[0]]).expect("signed")).err().as_deref(), Some("signers"));
        assert_eq!(open(&statement::sign(&genesis, &[&keys[0], &key()]).expect("signed")).err().as_deref(), Some("signers"));
        // The authority's signature over another type is none over this one.
        let bytes = Bytes::from(genesis.encode_to_vec());
        let signatures = dsse::sign(Trust::PAYLOAD_TYPE, &bytes, &[&keys[0], &keys[1]]).expect("signed");
        let crossed = SignedStatement { kind: StatementKind::Genesis.into(), statement: bytes, signatures };
        assert_eq!(open(&crossed).err().as_deref(), Some("signature 0"));
    }
}

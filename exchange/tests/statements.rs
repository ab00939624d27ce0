//! Statements: each kind by its authority, once, in its order, in its time, and by nobody else.
//!
//! A line is an attempt, such as `signed=np`, `seq=3` or `created=5m+1ms`, at a statement that would otherwise hold; an
//! empty line changes nothing. Lines with a verb of the stage (`wait 1h`) are played in between.

mod stage;

use bytes::Bytes;
use envelope::Timestamp;
use envelope::keys::{AwsLc, SigningKey};
use envelope::statement::{self, Acknowledged, Delivered, Statement};
use exchange::Rules;
use exchange::state::Rows as _;
use expect_test::{Expect, expect};
use proto::v1::{self, KemId, KeyState, ParticipantState, SignedStatement, StatementKind};
use stage::{START, Stage, actor_of, address, duration, encryption_key, pki, told};

/// Attempts at statements of one kind by `who`, one after the other.
fn check(kind: StatementKind, who: &str, lines: &[&str], expected: Expect) {
    check_on(a_stage(), kind, who, lines, expected);
}

fn check_on(mut stage: Stage, kind: StatementKind, who: &str, lines: &[&str], expected: Expect) {
    let (mut text, mut last) = (String::new(), None);
    for line in lines {
        if ["wait", "revoke", "keys"].iter().any(|verb| line.starts_with(verb)) {
            assert_eq!(stage.act(line), "", "{line}");
            continue;
        }
        let attempt = Attempt::new(&stage, kind, who, line, last.as_ref());
        let (before, size) = (stage.exchange.state().digest(), stage.log.len());
        let outcome = attempt.publish(&mut stage);
        let changed = (stage.exchange.state().digest() != before, stage.log.len() != size);
        assert_eq!(changed, (outcome == "accepted", outcome == "accepted"), "{line}");
        text += &format!("{line:?}: {outcome}\n");
        if outcome == "accepted" {
            last = Some(attempt.signed);
        }
    }
    expected.assert_eq(&text);
    assert_eq!(stage.judge().findings(), [], "the judge agrees with every decision");
}

/// The stage with three messages for `th` and one for `np`.
fn a_stage() -> Stage {
    let mut stage = Stage::new();
    for step in ["ke>th", "ke>th,np", "gb>th"] {
        assert!(stage.act(step).starts_with("accepted"));
    }
    stage
}

/// A statement that somebody brings.
struct Attempt {
    signed: SignedStatement,
    peer: Option<String>,
}

impl Attempt {
    fn new(stage: &Stage, kind: StatementKind, who: &str, line: &str, last: Option<&SignedStatement>) -> Self {
        let by_authority = kind == StatementKind::ClockStep;
        let mut peer = Some(if by_authority { "ke" } else { who }.to_owned());
        let mut change = Change { signers: if by_authority { "authority:2" } else { who }.to_owned(), ..Change::default() };
        let mut label = None;
        for word in line.split_whitespace() {
            let (name, value) = word.split_once('=').unwrap_or((word, ""));
            match name {
                "again" => return Self { signed: last.expect("an accepted one").clone(), peer },
                "peer" => peer = (value != "none").then(|| value.to_owned()),
                "signed" => change.signers = value.to_owned(),
                "label" => label = StatementKind::from_str_name(&format!("STATEMENT_KIND_{}", value.to_uppercase())),
                _ => change.words.push((name.to_owned(), value.to_owned())),
            }
        }
        let mut signed = change.statement(stage, kind, who);
        if let Some(label) = label {
            signed.kind = label.into();
        }
        Self { signed, peer }
    }

    fn publish(&self, stage: &mut Stage) -> String {
        let batch = stage.exchange.batch(stage.log.len() as u64, stage.now);
        let peer = self.peer.as_deref().map(address);
        match batch.admit_statement(peer.as_ref(), self.signed.clone(), &AwsLc) {
            Ok(admitted) => {
                stage.append(admitted.into_entry());
                "accepted".to_owned()
            }
            Err(refusal) => told(&refusal),
        }
    }
}

/// What is said otherwise than it should be, and by whom.
#[derive(Default)]
struct Change {
    signers: String,
    words: Vec<(String, String)>,
}

impl Change {
    fn statement(&self, stage: &Stage, kind: StatementKind, who: &str) -> SignedStatement {
        match kind {
            StatementKind::Keys => {
                let mut statement = stage.keys_of(who, &[(1, KeyState::Current)]);
                self.keys(&mut statement, who);
                self.head(stage, statement.head.as_mut());
                self.sign(&statement)
            }
            StatementKind::Access => {
                let head = v1::StatementHead { expires_ms: stage.now.ms() + 1000, ..stage.next_head(who, kind) };
                let purpose = "audit 2026-11".to_owned();
                let mut statement = v1::AccessStatement { head: Some(head), purpose, from_index: 1, to_index: 9 };
                self.head(stage, statement.head.as_mut());
                self.sign(&statement)
            }
            StatementKind::ClockStep => {
                let mut head = stage.next_head("network", kind);
                let last = stage.exchange.state().chain(None, kind, None);
                head.seq = last.map_or(1, |row| row.seq + 1);
                head.prev_sha256 = last.map_or_else(Bytes::new, |row| row.sha256.clone());
                let step = self.word("now").map_or(0, duration);
                let now_ms = stage.now.ms().checked_add_signed(step).expect("a time");
                let mut statement = v1::ClockStep { head: Some(head), now_ms };
                self.head(stage, statement.head.as_mut());
                self.sign(&statement)
            }
            _ => {
                let items = self.word("items").unwrap_or("1,2").split(',').map(|seq| seq.parse().expect("a number"));
                let mut statement = stage.mailbox_statement(who, kind, &items.collect::<Vec<_>>());
                self.head(stage, statement.head.as_mut());
                if kind == StatementKind::Delivered { self.sign(&Delivered(statement)) } else { self.sign(&Acknowledged(statement)) }
            }
        }
    }

    fn word(&self, name: &str) -> Option<&str> {
        self.words.iter().find(|(word, _)| word == name).map(|(_, value)| value.as_str())
    }

    fn head(&self, stage: &Stage, head: Option<&mut v1::StatementHead>) {
        let head = head.expect("a head");
        let at = |text: &str| stage.now.ms().checked_add_signed(duration(text)).expect("a time");
        for (name, value) in &self.words {
            match name.as_str() {
                "seq" => {
                    head.seq = value.parse().expect("a number");
                    head.prev_sha256 = if head.seq == 1 { Bytes::new() } else { vec![1; 32].into() };
                }
                "count" => head.seq = value.parse().expect("a number"),
                "prev" => head.prev_sha256 = vec![1; 32].into(),
                "network" => head.network.clone_from(value),
                "issuer" => head.issuer.clone_from(value),
                "subject" => head.subject.clone_from(value),
                "created" => head.created_ms = at(value),
                "expires" => head.expires_ms = at(value),
                "now" | "items" | "key" | "chain" => {}
                other => panic!("{other} is no word of the language"),
            }
        }
    }

    /// `key=2:current,1:decrypt_only`; `th:1:current` is somebody's, `2:current:x25519` another KEM.
    fn keys(&self, statement: &mut v1::KeyStatement, who: &str) {
        if let Some(keys) = self.word("key") {
            let key = |text: &str| {
                let mut parts: Vec<&str> = text.split(':').collect();
                let owner = if parts[0].parse::<u32>().is_ok() { who } else { parts.remove(0) };
                let kem = if parts.get(2) == Some(&"x25519") { KemId::X25519 } else { KemId::XWing };
                let state = KeyState::from_str_name(&format!("KEY_STATE_{}", parts[1].to_uppercase())).expect("a state");
                let (public, _) = encryption_key(owner, parts[0].parse().expect("a generation"), kem);
                v1::EncryptionKey { kem: kem.into(), public, state: state.into() }
            };
            statement.keys = keys.split(',').map(key).collect();
        }
        if let Some(whose) = self.word("chain") {
            statement.cert_chain_sha256 = actor_of(whose).certified.chain_sha256.to_vec().into();
        }
    }

    fn sign<S: Statement>(&self, statement: &S) -> SignedStatement {
        let authority = pki().authority.iter();
        let keys: Vec<&SigningKey> = match self.signers.as_str() {
            "nobody" => Vec::new(),
            "authority:1" => authority.take(1).collect(),
            "authority:2" => authority.take(2).collect(),
            "authority:3" => authority.take(3).collect(),
            "authority:last" => authority.skip(1).collect(),
            "authority:twice" => vec![&pki().authority[0]; 2],
            "authority,np" => vec![&pki().authority[0], &actor_of("np").identity],
            names => names.split(',').map(|name| &actor_of(name).identity).collect(),
        };
        statement::sign(statement, &keys).expect("signed")
    }
}

/// What no kind of a participant's statements lets pass.
const BY_OTHERS: [&str; 24] = [
    "signed=np",
    "signed=nobody",
    "signed=authority:2",
    "signed=self,np",
    "signed=self,self",
    "peer=np",
    "issuer=np subject=np peer=np",
    "issuer=np subject=np",
    "issuer=fr subject=fr peer=fr",
    "issuer=network subject=network signed=authority:2",
    "subject=np",
    "subject=network",
    "network=other.test",
    "seq=1",
    "again",
    "prev=other",
    "seq=7",
    "count=7",
    "created=5m+1ms expires=1d",
    "created=-1h expires=0s",
    "label=trust",
    "label=genesis",
    "label=unspecified",
    "label=clock_step",
];

/// Two good ones, then every wrong one, then what passes just so; at last the certificate is revoked.
fn lines(who: &str) -> Vec<String> {
    let good = ["", "created=-1m"].into_iter();
    let edges = ["created=5m expires=1d", "created=-400d expires=1ms", "peer=none", "wait 1h", ""].into_iter();
    let lines = good.chain(BY_OTHERS).chain(edges).map(|line| line.replace("self", who));
    lines.chain([format!("revoke {who} identity"), String::new()]).collect()
}

fn check_others(kind: StatementKind, who: &str, expected: Expect) {
    let lines = lines(who);
    check(kind, who, &lines.iter().map(String::as_str).collect::<Vec<_>>(), expected);
}

#[test]
fn keys_are_their_owners() {
    check_others(
        StatementKind::Keys,
        "th",
        expect![[r#"
            "": accepted
            "created=-1m": accepted
            "signed=np": BAD_SIGNATURE
            "signed=nobody": BAD_SIGNATURE
            "signed=authority:2": BAD_SIGNATURE
            "signed=th,np": BAD_SIGNATURE
            "signed=th,th": BAD_SIGNATURE
            "peer=np": NOT_SENDER
            "issuer=np subject=np peer=np": BAD_SIGNATURE
            "issuer=np subject=np": NOT_SENDER
            "issuer=fr subject=fr peer=fr": NOT_SENDER
            "issuer=network subject=network signed=authority:2": BAD_ENCODING
            "subject=np": BAD_ENCODING
            "subject=network": BAD_ENCODING
            "network=other.test": BAD_ENCODING
            "seq=1": BAD_SEQUENCE seq=4
            "again": BAD_SEQUENCE seq=4
            "prev=other": BAD_SEQUENCE seq=4
            "seq=7": BAD_SEQUENCE seq=4
            "count=7": BAD_SEQUENCE seq=4
            "created=5m+1ms expires=1d": CLOCK_SKEW
            "created=-1h expires=0s": EXPIRED
            "label=trust": NO_AUTHORITY
            "label=genesis": NO_AUTHORITY
            "label=unspecified": BAD_ENCODING
            "label=clock_step": BAD_SIGNATURE
            "created=5m expires=1d": accepted
            "created=-400d expires=1ms": accepted
            "peer=none": accepted
            "": accepted
            "": REVOKED address=th what=identity certificate
        "#]],
    );
}

#[test]
fn an_access_is_its_auditors() {
    check_others(
        StatementKind::Access,
        "aud/network",
        expect![[r#"
            "": accepted
            "created=-1m": accepted
            "signed=np": BAD_SIGNATURE
            "signed=nobody": BAD_SIGNATURE
            "signed=authority:2": BAD_SIGNATURE
            "signed=aud/network,np": BAD_SIGNATURE
            "signed=aud/network,aud/network": BAD_SIGNATURE
            "peer=np": NOT_SENDER
            "issuer=np subject=np peer=np": BAD_SIGNATURE
            "issuer=np subject=np": NOT_SENDER
            "issuer=fr subject=fr peer=fr": NOT_SENDER
            "issuer=network subject=network signed=authority:2": NO_AUTHORITY
            "subject=np": NO_AUTHORITY
            "subject=network": NO_AUTHORITY
            "network=other.test": BAD_ENCODING
            "seq=1": BAD_SEQUENCE seq=3
            "again": BAD_SEQUENCE seq=3
            "prev=other": BAD_SEQUENCE seq=3
            "seq=7": BAD_SEQUENCE seq=3
            "count=7": BAD_SEQUENCE seq=3
            "created=5m+1ms expires=1d": CLOCK_SKEW
            "created=-1h expires=0s": EXPIRED
            "label=trust": NO_AUTHORITY
            "label=genesis": NO_AUTHORITY
            "label=unspecified": BAD_ENCODING
            "label=clock_step": BAD_SIGNATURE
            "created=5m expires=1d": accepted
            "created=-400d expires=1ms": accepted
            "peer=none": accepted
            "": accepted
            "": REVOKED address=aud/network what=identity certificate
        "#]],
    );
}

#[test]
fn a_delivery_is_its_recipients() {
    check_others(
        StatementKind::Delivered,
        "th",
        expect![[r#"
            "": accepted
            "created=-1m": accepted
            "signed=np": BAD_SIGNATURE
            "signed=nobody": BAD_SIGNATURE
            "signed=authority:2": BAD_SIGNATURE
            "signed=th,np": BAD_SIGNATURE
            "signed=th,th": BAD_SIGNATURE
            "peer=np": NOT_SENDER
            "issuer=np subject=np peer=np": BAD_SIGNATURE
            "issuer=np subject=np": NOT_SENDER
            "issuer=fr subject=fr peer=fr": NOT_SENDER
            "issuer=network subject=network signed=authority:2": BAD_ENCODING
            "subject=np": BAD_ENCODING
            "subject=network": BAD_ENCODING
            "network=other.test": BAD_ENCODING
            "seq=1": BAD_SEQUENCE seq=3
            "again": BAD_SEQUENCE seq=3
            "prev=other": BAD_SEQUENCE seq=3
            "seq=7": BAD_SEQUENCE seq=3
            "count=7": BAD_SEQUENCE seq=3
            "created=5m+1ms expires=1d": CLOCK_SKEW
            "created=-1h expires=0s": EXPIRED
            "label=trust": NO_AUTHORITY
            "label=genesis": NO_AUTHORITY
            "label=unspecified": BAD_ENCODING
            "label=clock_step": BAD_SIGNATURE
            "created=5m expires=1d": accepted
            "created=-400d expires=1ms": accepted
            "peer=none": accepted
            "": accepted
            "": REVOKED address=th what=identity certificate
        "#]],
    );
}

#[test]
fn an_acknowledgement_is_its_recipients() {
    check_others(
        StatementKind::Acknowledged,
        "th",
        expect![[r#"
            "": accepted
            "created=-1m": accepted
            "signed=np": BAD_SIGNATURE
            "signed=nobody": BAD_SIGNATURE
            "signed=authority:2": BAD_SIGNATURE
            "signed=th,np": BAD_SIGNATURE
            "signed=th,th": BAD_SIGNATURE
            "peer=np": NOT_SENDER
            "issuer=np subject=np peer=np": BAD_SIGNATURE
            "issuer=np subject=np": NOT_SENDER
            "issuer=fr subject=fr peer=fr": NOT_SENDER
            "issuer=network subject=network signed=authority:2": BAD_ENCODING
            "subject=np": BAD_ENCODING
            "subject=network": BAD_ENCODING
            "network=other.test": BAD_ENCODING
            "seq=1": BAD_SEQUENCE seq=3
            "again": BAD_SEQUENCE seq=3
            "prev=other": BAD_SEQUENCE seq=3
            "seq=7": BAD_SEQUENCE seq=3
            "count=7": BAD_SEQUENCE seq=3
            "created=5m+1ms expires=1d": CLOCK_SKEW
            "created=-1h expires=0s": EXPIRED
            "label=trust": NO_AUTHORITY
            "label=genesis": NO_AUTHORITY
            "label=unspecified": BAD_ENCODING
            "label=clock_step": BAD_SIGNATURE
            "created=5m expires=1d": accepted
            "created=-400d expires=1ms": accepted
            "peer=none": accepted
            "": accepted
            "": REVOKED address=th what=identity certificate
        "#]],
    );
}

/// The payload's type is signed: DELIVERED never passes for ACKNOWLEDGED, though both have the same fields.
#[test]
fn a_label_is_part_of_what_is_signed() {
    check(
        StatementKind::Delivered,
        "th",
        &["label=acknowledged", "label=keys", "label=access", ""],
        expect![[r#"
        "label=acknowledged": BAD_SIGNATURE
        "label=keys": BAD_ENCODING
        "label=access": BAD_ENCODING
        "": accepted
    "#]],
    );
    check(
        StatementKind::Acknowledged,
        "th",
        &["label=delivered", ""],
        expect![[r#"
        "label=delivered": BAD_SIGNATURE
        "": accepted
    "#]],
    );
}

#[test]
fn a_chain_belongs_to_one_issuer_and_one_kind() {
    let mut stage = a_stage();
    let publish = |stage: &mut Stage, kind, who, line| Attempt::new(stage, kind, who, line, None).publish(stage);
    assert_eq!(publish(&mut stage, StatementKind::Delivered, "th", "items=1"), "accepted");
    assert_eq!(publish(&mut stage, StatementKind::Acknowledged, "th", "seq=1 items=1"), "accepted");
    assert_eq!(publish(&mut stage, StatementKind::Delivered, "np", "seq=1 items=1"), "accepted");
    assert_eq!(publish(&mut stage, StatementKind::Delivered, "th", "seq=1 items=1"), "BAD_SEQUENCE seq=2");
}

#[test]
fn only_an_active_participant_states_anything() {
    use StatementKind::{Access, Acknowledged, Delivered, Keys};
    for state in [ParticipantState::Pending, ParticipantState::Suspended, ParticipantState::Withdrawn, ParticipantState::Supervised] {
        for (kind, who) in [(Keys, "th"), (Access, "aud/network"), (Delivered, "th"), (Acknowledged, "th")] {
            let mut genesis = stage::genesis();
            let participant = genesis.participants.iter_mut().find(|participant| participant.address == who).expect("one of the cast");
            participant.state = state.into();
            let mut stage = Stage::with(genesis, Rules::without(exchange::rules::Rule::Recipients));
            if !stage::is_active(state) {
                let directory_index = stage.directory_size();
                let signed = stage.key_statement(who, &[(1, KeyState::Current)]);
                stage.append(envelope::entry::Entry::Directory { signed, directory_index });
            }
            ["ke>th", "gb>th"].iter().for_each(|step| drop(stage.act(step)));
            let outcome = Attempt::new(&stage, kind, who, "", None).publish(&mut stage);
            let expected = if state == ParticipantState::Supervised {
                "accepted".to_owned()
            } else {
                format!("SUSPENDED address={who} state=not active")
            };
            assert_eq!(outcome, expected, "{state:?} {kind:?}");
        }
    }
}

#[test]
fn a_revoked_ca_takes_its_bureaus_statements_along() {
    check(
        StatementKind::Keys,
        "th/cus/thbkk",
        &["revoke th ca", ""],
        expect![[r#"
        "": REVOKED address=th/cus/thbkk what=identity certificate
    "#]],
    );
    check(
        StatementKind::Delivered,
        "th",
        &["revoke th ca", ""],
        expect![[r#"
        "": REVOKED address=th what=identity certificate
    "#]],
    );
}

#[test]
fn a_set_of_keys_goes_forward_only() {
    check(
        StatementKind::Keys,
        "th",
        &[
            "key=2:current,1:decrypt_only",
            "key=1:current",
            "key=2:current,1:current",
            "key=2:current,1:decrypt_only",
            "key=2:current,1:revoked",
            "key=2:current,1:decrypt_only",
            "key=3:current,2:decrypt_only",
            "key=1:current",
            "key=1:decrypt_only",
            "key=4:current",
            "key=4:current,3:current",
            "key=4:current,3:decrypt_only",
            "key=4:current,3:revoked",
            "key=2:current",
            "key=4:revoked",
            "key=5:current",
        ],
        expect![[r#"
            "key=2:current,1:decrypt_only": accepted
            "key=1:current": KEY_REFUSED
            "key=2:current,1:current": KEY_REFUSED
            "key=2:current,1:decrypt_only": accepted
            "key=2:current,1:revoked": accepted
            "key=2:current,1:decrypt_only": KEY_REFUSED
            "key=3:current,2:decrypt_only": accepted
            "key=1:current": KEY_REFUSED
            "key=1:decrypt_only": KEY_REFUSED
            "key=4:current": accepted
            "key=4:current,3:current": KEY_REFUSED
            "key=4:current,3:decrypt_only": KEY_REFUSED
            "key=4:current,3:revoked": accepted
            "key=2:current": KEY_REFUSED
            "key=4:revoked": accepted
            "key=5:current": accepted
        "#]],
    );
}

#[test]
fn a_key_belongs_to_one_participant_for_ever() {
    check(
        StatementKind::Keys,
        "np",
        &[
            "key=2:current,th:1:current",
            "key=th:1:revoked",
            "key=2:current",
            "keys th 2 alone",
            "key=th:1:current",
            "key=th:2:current",
            "key=2:current,3:decrypt_only",
            "key=2:current,2:decrypt_only",
        ],
        expect![[r#"
            "key=2:current,th:1:current": KEY_REFUSED
            "key=th:1:revoked": KEY_REFUSED
            "key=2:current": accepted
            "key=th:1:current": KEY_REFUSED
            "key=th:2:current": KEY_REFUSED
            "key=2:current,3:decrypt_only": accepted
            "key=2:current,2:decrypt_only": BAD_ENCODING
        "#]],
    );
}

#[test]
fn a_key_is_of_a_kem_that_the_policy_allows() {
    check(
        StatementKind::Keys,
        "th",
        &["key=2:current:x25519", "key=2:current,3:current:x25519", "key=2:current"],
        expect![[r#"
        "key=2:current:x25519": KEY_REFUSED
        "key=2:current,3:current:x25519": KEY_REFUSED
        "key=2:current": accepted
    "#]],
    );
    let mut genesis = stage::genesis();
    genesis.policy.as_mut().expect("a policy").kems.push(KemId::X25519.into());
    let stage = Stage::with(genesis, Rules::default());
    check_on(
        stage,
        StatementKind::Keys,
        "th",
        &["key=2:current:x25519"],
        expect![[r#"
        "key=2:current:x25519": accepted
    "#]],
    );
}

#[test]
fn keys_name_the_certificate_that_is_enrolled() {
    check(
        StatementKind::Keys,
        "th",
        &["chain=np", "chain=th"],
        expect![[r#"
        "chain=np": KEY_REFUSED
        "chain=th": accepted
    "#]],
    );
}

#[test]
fn only_auditors_get_access() {
    for who in ["ke", "ke/cus/kemba", "ipsg/ens", "svc/imaf", "org/latf"] {
        let mut stage = a_stage();
        assert_eq!(Attempt::new(&stage, StatementKind::Access, who, "", None).publish(&mut stage), "NO_AUTHORITY", "{who}");
    }
    check(
        StatementKind::Access,
        "aud/ke",
        &["", "created=-1h expires=-1ms"],
        expect![[r#"
        "": accepted
        "created=-1h expires=-1ms": EXPIRED
    "#]],
    );
}

#[test]
fn an_access_has_an_end() {
    let stage = a_stage();
    let head = Some(stage.next_head("aud/ke", StatementKind::Access));
    let statement = v1::AccessStatement { head, purpose: "audit".to_owned(), from_index: 0, to_index: 9 };
    let signed = stage::sign(&statement, "aud/ke");
    let refusal = stage.clone().publish("aud/ke", signed).expect_err("without an end");
    assert_eq!(refusal.name(), "BAD_ENCODING");
    assert!(stage.exchange.state().access(&address("aud/ke")).is_none());
}

#[test]
fn an_access_is_what_the_state_keeps() {
    let mut stage = a_stage();
    let index = stage.log.len() as u64;
    assert_eq!(Attempt::new(&stage, StatementKind::Access, "aud/ke", "", None).publish(&mut stage), "accepted");
    let row = stage.exchange.state().access(&address("aud/ke")).expect("an access");
    assert_eq!(*row, v1::AccessRow { index, from_index: 1, to_index: 9, expires_ms: START.ms() + 1000 });
}

#[test]
fn the_network_authority_alone_sets_the_time() {
    check(
        StatementKind::ClockStep,
        "network",
        &[
            "",
            "now=5d",
            "now=-1ms",
            "wait 1h",
            "now=-1h",
            "now=-1h-1ms",
            "signed=authority:1",
            "signed=authority:twice",
            "signed=authority,np",
            "signed=nobody",
            "signed=ke",
            "issuer=ke subject=ke signed=ke",
            "issuer=ke subject=ke",
            "subject=ke",
            "network=other.test",
            "seq=1",
            "seq=9",
            "prev=other",
            "count=9",
            "again",
            "created=-1h expires=0s",
            "label=keys",
            "signed=authority:3",
            "signed=authority:last",
            "created=400d",
            "peer=none",
        ],
        expect![[r#"
            "": accepted
            "now=5d": accepted
            "now=-1ms": NO_AUTHORITY
            "now=-1h": accepted
            "now=-1h-1ms": NO_AUTHORITY
            "signed=authority:1": BAD_SIGNATURE
            "signed=authority:twice": BAD_SIGNATURE
            "signed=authority,np": BAD_SIGNATURE
            "signed=nobody": BAD_SIGNATURE
            "signed=ke": BAD_SIGNATURE
            "issuer=ke subject=ke signed=ke": BAD_SIGNATURE
            "issuer=ke subject=ke": BAD_ENCODING
            "subject=ke": BAD_ENCODING
            "network=other.test": BAD_ENCODING
            "seq=1": BAD_SEQUENCE seq=4
            "seq=9": BAD_SEQUENCE seq=4
            "prev=other": BAD_SEQUENCE seq=4
            "count=9": BAD_SEQUENCE seq=4
            "again": BAD_SEQUENCE seq=4
            "created=-1h expires=0s": EXPIRED
            "label=keys": BAD_ENCODING
            "signed=authority:3": accepted
            "signed=authority:last": accepted
            "created=400d": accepted
            "peer=none": accepted
        "#]],
    );
}

/// The ledger's time does not go back, however the authority says it.
#[test]
fn a_clock_step_does_not_go_below_the_last_entry() {
    let mut stage = a_stage();
    stage.now = Timestamp(START.ms() + 10_000);
    stage.act("ke>th");
    stage.now = START;
    let attempt = |stage: &mut Stage, line| Attempt::new(stage, StatementKind::ClockStep, "network", line, None).publish(stage);
    assert_eq!(attempt(&mut stage, "now=9s"), "NO_AUTHORITY");
    assert_eq!(attempt(&mut stage, "now=10s"), "accepted");
}

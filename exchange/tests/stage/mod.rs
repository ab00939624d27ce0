//! The stagehand of the exchange's tests: a network with its certificates, a writer without a disk, and a small language.
//!
//! A step is one line, such as `ke>th,ipsg/ens ecomessage flash life=72h`, `wait 1h`, `revoke ke tls` or `keys th 2`;
//! [`Stage::act`] plays it and says what became of it. Wraps hold nothing: the exchange is blind to what is inside.

// Each test file is a crate of its own and uses its part of the stage.
#![allow(dead_code)]

use std::collections::BTreeMap;
use std::sync::OnceLock;

use bytes::Bytes;
use certs_dev::forge::{Ca, Certifiable, Pair, Spec, generate_ed25519};
use envelope::entry::{Entry, message_key};
use envelope::header::{HEADER_TYPE, Header, message_id, wraps_root};
use envelope::identity::{Anchors, Certified, NothingRevoked, Role, ca_certificate};
use envelope::key_id::encryption_key_id;
use envelope::keys::{AwsLc, SigningKey};
use envelope::message::{Envelope, Peer};
use envelope::slots::{Leaf, Opening};
use envelope::statement::{self, Acknowledged, Delivered, Statement};
use envelope::{Address, Draft, Network, Position, Timestamp, dsse};
use exchange::earlier::named;
use exchange::state::{Key, Rows as _};
use exchange::{Admission, Earlier, Exchange, Found, Judge, Refusal, Rules, series};
use prost::Message as _;
use proto::v1::{self, KemId, KeyState, SignedStatement, StatementKind};

/// 2026-11-22T19:16:00Z.
pub(crate) const START: Timestamp = Timestamp(1_795_374_960_000);
pub(crate) const HOUR_MS: u64 = 3_600_000;
pub(crate) const DAY_MS: u64 = 24 * HOUR_MS;
/// The year of [`START`].
pub(crate) const YEAR: u32 = 2026;

/// Everybody who has a certificate.
pub(crate) const CAST: [&str; 18] = [
    "aud/ke",
    "aud/network",
    "cn",
    "cn/hk",
    "gb",
    "ipsg/ccc",
    "ipsg/ens",
    "ke",
    "ke/air/kenbo",
    "ke/cus/kemba",
    "ke/desk/duty-1",
    "np",
    "np/bor/x-birgunj",
    "org/latf",
    "svc/imaf",
    "th",
    "th/cus/thbkk",
    "us",
];

/// Who has certificates and no place in [`genesis`].
pub(crate) const EXTRA: [&str; 2] = ["ipsg/compliance", "ke/desk/duty-2"];

pub(crate) fn address(text: &str) -> Address {
    Address::parse(text).expect("a sound address")
}

pub(crate) fn network() -> Network {
    Network::parse("ecowire.test").expect("a sound name")
}

/// Somebody with certificates and keys.
pub(crate) struct Actor {
    pub(crate) address: Address,
    pub(crate) identity: SigningKey,
    pub(crate) chain: Vec<Vec<u8>>,
    pub(crate) certified: Certified,
    pub(crate) peer: Peer,
}

/// The certificates of a network; they are made once for all tests of a file.
pub(crate) struct Pki {
    root_der: Vec<u8>,
    pub(crate) authority: Vec<SigningKey>,
    actors: BTreeMap<String, Actor>,
    pub(crate) anchors: Anchors,
    /// The root and every country's CA.
    cas: Vec<Ca>,
}

/// The identity of `np` ends first, then everybody's TLS certificate, then the other identities.
pub(crate) const NP_IDENTITY_END: Timestamp = Timestamp(START.0 + 20 * DAY_MS);
pub(crate) const TLS_END: Timestamp = Timestamp(START.0 + 200 * DAY_MS);

pub(crate) fn pki() -> &'static Pki {
    static PKI: OnceLock<Pki> = OnceLock::new();
    PKI.get_or_init(|| {
        let root = Ca::root(&Spec::ca(&network(), "", None, START)).expect("a root");
        let mut cas: BTreeMap<&str, Ca> = BTreeMap::new();
        let anchors = Anchors::new(network(), &[&root.der]).expect("the root is of the profile");
        let mut actors = BTreeMap::new();
        for text in CAST.into_iter().chain(EXTRA) {
            let country = address(text).country().map(|_| text.split('/').next().unwrap_or_default());
            if let Some(country) = country {
                cas.entry(country).or_insert_with(|| root.subordinate(&Spec::ca(&network(), country, Some(0), START)).expect("a CA"));
            }
            let ca = country.and_then(|country| cas.get(country));
            actors.insert(text.to_owned(), actor(text, &anchors, &root, ca));
        }
        let authority = (0..3).map(|_| generate_ed25519().expect("random bytes").0).collect();
        let root_der = root.der.clone();
        Pki { root_der, authority, actors, anchors, cas: cas.into_values().chain([root]).collect() }
    })
}

/// A second identity of somebody, with a new key by the same CA.
pub(crate) fn renewed(text: &str) -> (SigningKey, Vec<Vec<u8>>) {
    let issuer = &actor_of(text).certified.links[0].issuer_key_sha256;
    issued(text, |ca| ca_certificate(&ca.der).is_ok_and(|facts| facts.spki_sha256 == *issuer))
}

/// An identity by the CA of another country, or by the root.
pub(crate) fn issued(text: &str, by: impl Fn(&Ca) -> bool) -> (SigningKey, Vec<Vec<u8>>) {
    let (identity, _) = generate_ed25519().expect("random bytes");
    let chain = certified_as(text, &identity, by);
    (identity, chain)
}

/// A chain for a key by a CA of the play.
pub(crate) fn certified_as(text: &str, identity: &SigningKey, by: impl Fn(&Ca) -> bool) -> Vec<Vec<u8>> {
    let ca = pki().cas.iter().find(|ca| by(ca)).expect("a CA of the play");
    let spec = Spec::identity(&network(), &address(text), START);
    let leaf = ca.issue(&spec, &Certifiable(identity.public())).expect("a certificate");
    let above = if ca.der == pki().root_der { Vec::new() } else { vec![ca.der.clone()] };
    [vec![leaf], above].concat()
}

/// The CA of a country.
pub(crate) fn is_ca_of(country: &'static str) -> impl Fn(&Ca) -> bool {
    move |ca| ca_certificate(&ca.der).is_ok_and(|facts| facts.subject_path == country)
}

fn actor(text: &str, anchors: &Anchors, root: &Ca, ca: Option<&Ca>) -> Actor {
    let chain = |spec: &Spec, key: &dyn Fn(&Ca, &Spec) -> Vec<u8>| match ca {
        Some(ca) => vec![key(ca, spec), ca.der.clone()],
        None => vec![key(root, spec)],
    };
    let address = address(text);
    let (identity, _) = generate_ed25519().expect("random bytes");
    let mut spec = Spec::identity(&network(), &address, START);
    if text == "np" {
        spec.not_after = NP_IDENTITY_END;
    }
    let identity_chain = chain(&spec, &|ca, spec| ca.issue(spec, &Certifiable(identity.public())).expect("a certificate"));
    let certified = anchors.judge(Role::Identity, &identity_chain, START, &NothingRevoked).expect("of the profile");
    let pair = Pair::generate().expect("random bytes");
    let mut spec = Spec::tls(&network(), &address, START);
    spec.not_after = TLS_END;
    let tls = chain(&spec, &|ca, spec| ca.issue(spec, &pair).expect("a certificate"));
    let tls = anchors.judge(Role::Tls, &tls, START, &NothingRevoked).expect("of the profile");
    let (fingerprint, chain_sha256, not_after_ms) = (tls.fingerprint, tls.chain_sha256, tls.not_after.ms());
    let peer = Peer { address: address.clone(), fingerprint, chain_sha256, links: tls.links, not_after_ms };
    Actor { address, identity, chain: identity_chain, certified, peer }
}

pub(crate) fn actor_of(text: &str) -> &'static Actor {
    pki().actors.get(text).unwrap_or_else(|| panic!("{text} is not in the cast"))
}

/// The public encryption key of somebody's `generation`, and its id. The bytes are made up: nobody wraps to it here.
pub(crate) fn encryption_key(address: &str, generation: u32, kem: KemId) -> (Bytes, [u8; 32]) {
    let size = envelope::seal_sizes::public_key_bytes(kem);
    let seed = tlog::sha256(format!("{address} {generation}").as_bytes());
    let public: Bytes = seed.iter().copied().cycle().take(size).collect::<Vec<_>>().into();
    let key_id = encryption_key_id(kem, &public);
    (public, key_id)
}

/// The genesis of the play: everybody is active; NCBs and desks hold CONFIDENTIAL, others RESTRICTED, partners the lowest.
pub(crate) fn genesis() -> v1::Genesis {
    genesis_of(&CAST)
}

/// As [`genesis`], with these participants; they stand in order of address.
pub(crate) fn genesis_of(cast: &[&str]) -> v1::Genesis {
    let participant = |text: &&str| {
        let actor = actor_of(text);
        let clearance = match actor.address.class() {
            envelope::Class::Ncb | envelope::Class::Ipsg => v1::Classification::Confidential,
            envelope::Class::Organisation => v1::Classification::OfficialUseOnly,
            _ => v1::Classification::Restricted,
        };
        v1::Participant {
            address: (*text).to_owned(),
            state: v1::ParticipantState::Active.into(),
            identity_chain: actor.chain.iter().cloned().map(Bytes::from).collect(),
            clearance: clearance.into(),
            open_to_foreign: matches!(*text, "th/cus/thbkk" | "ke/cus/kemba" | "cn/hk"),
            oversight: v1::OversightMode::Copy.into(),
        }
    };
    v1::Genesis {
        head: Some(head_of_chain("network", "network", 1, None, START)),
        random: vec![7; 16].into(),
        roots: vec![pki().root_der.clone().into()],
        authority: pki().authority.iter().map(authority_key).collect(),
        authority_threshold: 2,
        log_key: pki().authority[0].public().as_bytes().to_vec().into(),
        directory_key: pki().authority[1].public().as_bytes().to_vec().into(),
        node: "node/dev-1".to_owned(),
        policy: Some(policy()),
        participants: cast.iter().map(participant).collect(),
    }
}

pub(crate) fn authority_key(key: &SigningKey) -> v1::AuthorityKey {
    v1::AuthorityKey { alg: v1::SigAlg::Ed25519.into(), public: key.public().as_bytes().to_vec().into() }
}

/// It grants more than the rules of this version let anybody send.
fn policy() -> v1::Policy {
    use v1::Kind::{Alert, ControlledDelivery, Diffusion, Ecomessage, Message, NoticeRequest, Reply, Request, Void};
    use v1::ParticipantClass::{Endpoint, Ipsg, Ncb, SubBureau};
    let grant =
        |class: v1::ParticipantClass, kinds: &[v1::Kind], priorities: &[v1::Priority], classes: &[v1::Classification]| v1::ClassGrant {
            class: class.into(),
            kinds: kinds.iter().copied().map(Into::into).collect(),
            priorities: priorities.iter().copied().map(Into::into).collect(),
            classifications: classes.iter().copied().map(Into::into).collect(),
        };
    let all = [v1::Priority::Routine, v1::Priority::Urgent, v1::Priority::Flash];
    let low = [v1::Classification::OfficialUseOnly, v1::Classification::Restricted];
    let kinds = [Message, Request, Reply, Ecomessage, Alert, Void];
    v1::Policy {
        rules_version: 2,
        lifetime_max_ms: 30 * DAY_MS,
        lifetime_min_ms: 3 * DAY_MS,
        skew_max_ms: 5 * 60_000,
        stale_key_grace_ms: DAY_MS,
        kems: vec![KemId::XWing.into()],
        grants: vec![
            grant(Ncb, &[&kinds[..], &[Diffusion, NoticeRequest]].concat(), &all, &low),
            grant(Ncb, &[ControlledDelivery], &all[..1], &[v1::Classification::Confidential]),
            grant(SubBureau, &kinds, &all, &low),
            grant(Endpoint, &kinds, &all, &low),
            grant(Ipsg, &kinds, &all, &low),
        ],
        flash_per_day: 3,
        identity_algs: Vec::new(),
        dual_control: Vec::new(),
        broadcasts_per_day: 0,
    }
}

/// The head of a statement.
pub(crate) fn head_of_chain(issuer: &str, subject: &str, seq: u64, prev: Option<[u8; 32]>, created: Timestamp) -> v1::StatementHead {
    v1::StatementHead {
        version: 1,
        network: network().to_string(),
        issuer: issuer.to_owned(),
        subject: subject.to_owned(),
        seq,
        prev_sha256: prev.map_or_else(Bytes::new, |prev| prev.to_vec().into()),
        created_ms: created.ms(),
        expires_ms: 0,
    }
}

/// An entry as the ledger keeps it.
#[derive(Clone)]
pub(crate) struct Logged {
    pub(crate) leaf: Leaf,
    pub(crate) opening: Opening,
    pub(crate) signatures: Vec<v1::Signature>,
}

/// A gateway's writer without its disk: batches of one message, a Head whenever one is due.
#[derive(Clone)]
pub(crate) struct Stage {
    pub(crate) exchange: Exchange,
    pub(crate) log: Vec<Logged>,
    pub(crate) now: Timestamp,
    pub(crate) genesis_sha256: [u8; 32],
    found: BTreeMap<[u8; 32], u64>,
    sent: Vec<(v1::Submission, Peer)>,
    permitted: Vec<(v1::AuthorityKind, [u8; 32])>,
}

impl Stage {
    /// The network of [`genesis`], with its keys published.
    pub(crate) fn new() -> Self {
        static STAGE: OnceLock<Stage> = OnceLock::new();
        STAGE.get_or_init(|| Self::with(genesis(), Rules::default())).clone()
    }

    /// A network of another genesis, judged by `rules`.
    pub(crate) fn with(genesis: v1::Genesis, rules: Rules) -> Self {
        let keys: Vec<&SigningKey> = pki().authority.iter().take(genesis.authority_threshold as usize).collect();
        let signed = statement::sign(&genesis, &keys).expect("signed");
        let mut stage = Self {
            exchange: Exchange::new(rules),
            log: Vec::new(),
            now: START,
            genesis_sha256: tlog::sha256(&envelope::entry::directory_leaf(&signed)),
            found: BTreeMap::new(),
            sent: Vec::new(),
            permitted: Vec::new(),
        };
        stage.append(Entry::Genesis(signed));
        stage.append(Entry::Started(v1::Started { random: vec![1; 16].into(), version: "1".to_owned() }));
        for participant in genesis.participants.iter().filter(|participant| is_active(participant.state())) {
            let statement = stage.key_statement(&participant.address, &[(1, KeyState::Current)]);
            stage.publish(&participant.address, statement).expect("the first keys");
        }
        stage
    }

    /// Plays steps and tells those of which there is something to say; then the judge must have found nothing.
    pub(crate) fn play(&mut self, steps: &[&str], expected: &expect_test::Expect) {
        let mut text = String::new();
        for step in steps {
            let outcome = self.act(step);
            if !outcome.is_empty() {
                text += &format!("{step}: {outcome}\n");
            }
        }
        expected.assert_eq(&text);
        assert_eq!(self.judge().findings(), [], "the judge agrees with every decision");
    }

    /// Plays one line of the language and says what became of it.
    pub(crate) fn act(&mut self, step: &str) -> String {
        let words: Vec<&str> = step.split_whitespace().collect();
        match words.as_slice() {
            ["wait", time] => self.now = self.now.plus(duration(time).unsigned_abs()),
            ["head"] => self.append_all(Vec::new()),
            ["revoke", who, what] => self.revoke(who, what),
            ["keys", who, generation, rest @ ..] => {
                return self.rotate(who, generation.parse().expect("a generation"), rest.contains(&"alone"));
            }
            ["found", owner, name, members] => return self.found(owner, name, members),
            ["release", who, which] => return self.give_word(who, which, v1::ReleaseVerdict::Released),
            ["refuse", who, which] => return self.give_word(who, which, v1::ReleaseVerdict::Refused),
            ["permit", words @ ..] => return self.permit(words),
            ["got", who, seqs] => return self.take(who, StatementKind::Delivered, seqs),
            ["seen", who, seqs] => return self.take(who, StatementKind::Acknowledged, seqs),
            ["tick"] => self.tick(),
            ["box", who] => return self.mailbox(who),
            ["again", which] => {
                let (submission, peer) = self.sent[which.parse::<usize>().expect("the number of a letter") - 1].clone();
                return self.outcome(submission, &peer);
            }
            [route, words @ ..] => {
                let letter = self.letter(route, words);
                let submission = letter.submission();
                self.sent.push((submission.clone(), letter.peer.clone()));
                return self.outcome(submission, &letter.peer);
            }
            [] => panic!("an empty step"),
        }
        String::new()
    }

    /// Founds a group whose members may send.
    fn found(&mut self, owner: &str, name: &str, members: &str) -> String {
        let head = Some(self.next_head_about(owner, StatementKind::Group, name));
        let members = members.split(',').map(str::to_owned).collect();
        let statement = v1::Group { head, members, senders: v1::GroupSenders::Members.into(), ends_ms: 0 };
        let signed = sign(&statement, owner);
        self.publish(owner, signed).map_or_else(|refusal| told(&refusal), |()| String::new())
    }

    fn take(&mut self, who: &str, kind: StatementKind, seqs: &str) -> String {
        let seqs: Vec<u64> = seqs.split(',').map(|seq| seq.parse().expect("a number")).collect();
        let statement = self.mailbox_statement(who, kind, &seqs);
        let signed = if kind == StatementKind::Delivered { sign(&Delivered(statement), who) } else { sign(&Acknowledged(statement), who) };
        self.publish(who, signed).map_or_else(|refusal| told(&refusal), |()| String::new())
    }

    /// What waits for somebody in the order of delivery, then every message with its state.
    fn mailbox(&self, who: &str) -> String {
        let (state, who) = (self.exchange.state(), address(who));
        let waiting: Vec<String> = state.waiting(&who).map(|seq| seq.to_string()).collect();
        let last = state.mailbox(&who).map_or(0, |row| row.last_seq);
        let place = |seq: u64| state.place(&who, seq).map(|row| format!("{seq} {:?}", row.state()));
        let places: Vec<String> = (1..=last).filter_map(place).collect();
        format!("waiting {}; {}", waiting.join(" "), places.join(", "))
    }

    fn outcome(&mut self, submission: v1::Submission, peer: &Peer) -> String {
        match self.submit(submission, peer) {
            Ok(Admission::New(admitted)) => {
                let (held, placed): (Vec<_>, Vec<_>) = admitted.message().places.iter().partition(|place| place.mailbox_seq == 0);
                let placed: Vec<_> = placed.iter().map(|place| format!("{} {}", place.address, place.mailbox_seq)).collect();
                let held: Vec<_> = held.iter().map(|place| place.address.as_str()).collect();
                let from = if held.is_empty() { String::new() } else { format!("; held from {}", held.join(", ")) };
                format!("accepted, at {}{from}", placed.join(", "))
            }
            Ok(Admission::Known(position)) => format!("receipt again, of entry {}", position.index),
            Err(refusal) => told(&refusal),
        }
    }

    /// What a gateway does with a submission.
    pub(crate) fn submit(&mut self, submission: v1::Submission, peer: &Peer) -> Result<Admission, Refusal> {
        let batch = self.exchange.batch(self.log.len() as u64, self.now);
        let envelope = Envelope::parse(submission, &network())?;
        let verified = envelope.verify(peer, self.exchange.state(), &AwsLc)?;
        let prior = self.found.get(&message_key(&verified.header().message_id)).copied().map(Position::at);
        let earlier = named(&verified.header().context).and_then(|id| self.earlier(id));
        let admission = batch.admit(Found { prior, earlier: earlier.as_ref() }, verified)?;
        if let Admission::New(admitted) = &admission {
            self.append_all(vec![(admitted.clone().into_entry().0, admitted.clone().into_draft())]);
        }
        Ok(admission)
    }

    fn earlier(&self, id: &[u8; 32]) -> Option<Earlier> {
        let index = usize::try_from(*self.found.get(&message_key(id))?).ok()?;
        match Entry::read(&self.log[index].opening) {
            Ok(Entry::Message(message)) => Earlier::of(&message, self.exchange.state().held(index as u64).map(|row| &**row)),
            _ => None,
        }
    }

    /// Entry and id of the letter that was sent as number `which`.
    pub(crate) fn letter_sent(&self, which: &str) -> (u64, [u8; 32]) {
        let (submission, _) = &self.sent[which.parse::<usize>().expect("the number of a letter") - 1];
        let id = message_id(&submission.signed.as_ref().expect("a header").header);
        (self.found.get(&message_key(&id)).copied().unwrap_or(u64::MAX), id)
    }

    /// `release ipsg/compliance 1`, `refuse ke 2`: a word about a held letter.
    fn give_word(&mut self, who: &str, which: &str, verdict: v1::ReleaseVerdict) -> String {
        let (entry_index, id) = self.letter_sent(which);
        let header = self.sent[which.parse::<usize>().expect("a number") - 1].0.signed.clone().expect("a header").header;
        let sender = Header::parse(&header, &network()).expect("a header").context.reference.sender;
        let reason = if verdict == v1::ReleaseVerdict::Released { v1::ReleaseReason::None } else { v1::ReleaseReason::Rules };
        let head = Some(self.next_head_about(who, StatementKind::Release, sender.as_str()));
        let statement = v1::Release { head, message_id: id.to_vec().into(), entry_index, verdict: verdict.into(), reason: reason.into() };
        self.publish_by(who, &statement)
    }

    /// `permit ke ke/cus/kemba waiver 1d`, `permit th ke onward_grant 3 np`: letters name it as `authority=N`, in order.
    fn permit(&mut self, words: &[&str]) -> String {
        let [issuer, subject, kind, rest @ ..] = words else { panic!("permit WHO WHOM KIND ...") };
        let kind = v1::AuthorityKind::from_str_name(&format!("AUTHORITY_KIND_{}", kind.to_uppercase())).expect("a kind");
        let mut head = self.next_head_about(issuer, StatementKind::Permission, subject);
        let mut statement = v1::Permission { kind: kind.into(), ..v1::Permission::default() };
        head.expires_ms = self.now.plus(100 * DAY_MS).ms();
        if kind == v1::AuthorityKind::Waiver {
            head.expires_ms = self.now.plus(duration(rest[0]).unsigned_abs()).ms();
        } else {
            statement.message_id = self.letter_sent(rest[0]).1.to_vec().into();
            statement.recipients = rest.get(1).map_or_else(Vec::new, |to| to.split(',').map(str::to_owned).collect());
        }
        statement.head = Some(head);
        let signed = sign(&statement, issuer);
        self.permitted.push((kind, statement::digest_of(&signed)));
        self.publish(issuer, signed).map_or_else(|refusal| told(&refusal), |()| String::new())
    }

    fn publish_by<S: Statement>(&mut self, who: &str, statement: &S) -> String {
        self.publish(who, sign(statement, who)).map_or_else(|refusal| told(&refusal), |()| String::new())
    }

    /// What a gateway does with a statement that `peer` brings.
    pub(crate) fn publish(&mut self, peer: &str, signed: SignedStatement) -> Result<(), Refusal> {
        let batch = self.exchange.batch(self.log.len() as u64, self.now);
        let entry = batch.admit_statement(Some(&address(peer)), signed, &AwsLc)?.into_entry();
        self.append(entry);
        Ok(())
    }

    /// Says what the gateway has to say by itself, as its writer does.
    fn tick(&mut self) {
        for due in self.exchange.due(self.now, 64) {
            let Entry::Message(message) = self.entry(due.index()) else { panic!("something is due about a message") };
            let entries = self.exchange.batch(self.log.len() as u64, self.now).say(due, &message.stub);
            self.append_together(entries);
        }
    }

    /// The entry at `index`.
    pub(crate) fn entry(&self, index: u64) -> Entry {
        Entry::read(&self.log[index as usize].opening).expect("an entry")
    }

    /// Appends an entry that nobody has judged.
    pub(crate) fn append(&mut self, entry: Entry) {
        self.append_together(vec![entry]);
    }

    /// Appends entries of one batch that nobody has judged.
    pub(crate) fn append_together(&mut self, entries: Vec<Entry>) {
        self.append_all(entries.into_iter().map(|entry| (entry.clone(), entry.into_draft())).collect());
    }

    fn append_all(&mut self, mut entries: Vec<(Entry, Draft)>) {
        let mut batch = self.exchange.batch(self.log.len() as u64, self.now);
        for (entry, _) in &entries {
            batch.push(entry).expect("an entry that makes sense");
        }
        if let Some(head) = batch.head_due() {
            batch.push(&head).expect("a head");
            entries.push((head.clone(), head.into_draft()));
        }
        let (changes, _) = batch.finish();
        self.exchange.fold(changes);
        for (_, draft) in entries {
            self.keep(draft);
        }
    }

    /// What the ledger makes of a draft.
    fn keep(&mut self, draft: Draft) {
        let index = self.log.len() as u64;
        self.found.extend(draft.lookup_keys.iter().map(|key| (*key, index)));
        let sealed = v1::SealedPayload::decode(draft.sealed.unwrap_or_default()).expect("what the exchange encoded");
        let opening = Opening::new(draft.kind, tlog::sha256(&index.to_be_bytes()), draft.slots).expect("the slots of its kind");
        self.log.push(Logged { leaf: opening.leaf(self.now), opening, signatures: sealed.signatures });
    }

    /// A judge to whom the whole log was read.
    pub(crate) fn judge(&self) -> Judge<AwsLc> {
        judge(self.genesis_sha256, &self.log)
    }

    /// Statement number `seq` of somebody's chain follows what the state knows.
    pub(crate) fn next_head(&self, issuer: &str, kind: StatementKind) -> v1::StatementHead {
        let party = Address::parse(issuer).ok();
        let row = self.exchange.state().chain(party.as_ref(), kind, party.as_ref());
        let prev = row.map(|row| row.sha256.as_ref().try_into().expect("a digest"));
        head_of_chain(issuer, issuer, row.map_or(0, |row| row.seq) + 1, prev, self.now)
    }

    /// As [`Stage::next_head`], of a statement about somebody else.
    pub(crate) fn next_head_about(&self, issuer: &str, kind: StatementKind, subject: &str) -> v1::StatementHead {
        let row = self.exchange.state().chain(Some(&address(issuer)), kind, Some(&address(subject)));
        let prev = row.map(|row| row.sha256.as_ref().try_into().expect("a digest"));
        head_of_chain(issuer, subject, row.map_or(0, |row| row.seq) + 1, prev, self.now)
    }

    /// A key statement with these generations, signed by its subject.
    pub(crate) fn key_statement(&self, who: &str, generations: &[(u32, KeyState)]) -> SignedStatement {
        sign(&self.keys_of(who, generations), who)
    }

    pub(crate) fn keys_of(&self, who: &str, generations: &[(u32, KeyState)]) -> v1::KeyStatement {
        let key = |(generation, state): &(u32, KeyState)| v1::EncryptionKey {
            kem: KemId::XWing.into(),
            public: encryption_key(who, *generation, KemId::XWing).0,
            state: (*state).into(),
        };
        v1::KeyStatement {
            head: Some(self.next_head(who, StatementKind::Keys)),
            keys: generations.iter().map(key).collect(),
            cert_chain_sha256: actor_of(who).certified.chain_sha256.to_vec().into(),
        }
    }

    /// Publishes generation `new` as current; the one before is kept for reading, or left out.
    fn rotate(&mut self, who: &str, new: u32, alone: bool) -> String {
        let mut generations = vec![(new, KeyState::Current)];
        if !alone {
            generations.push((new - 1, KeyState::DecryptOnly));
        }
        let statement = self.key_statement(who, &generations);
        self.publish(who, statement).map_or_else(|refusal| told(&refusal), |()| String::new())
    }

    /// Puts a certificate of somebody on its issuer's list: `identity`, `tls`, or the `ca` above both.
    fn revoke(&mut self, who: &str, what: &str) {
        let actor = actor_of(who);
        let link = match what {
            "identity" => &actor.certified.links[0],
            "tls" => &actor.peer.links[0],
            "ca" => &actor.certified.links[1],
            other => panic!("{other} is no certificate"),
        };
        let number = self.exchange.state().crl(&link.issuer_key_sha256).map_or(0, |row| row.number.first().copied().unwrap_or_default());
        let issued_by = |ca: &&Ca| ca_certificate(&ca.der).is_ok_and(|facts| facts.spki_sha256 == link.issuer_key_sha256);
        let ca = pki().cas.iter().find(issued_by).expect("a CA of the play");
        let revoked = self.exchange.state().rows().filter_map(|(key, _)| match key {
            Key::Revoked(issuer, serial) if issuer == link.issuer_key_sha256 => Some((serial, START)),
            _ => None,
        });
        let mut serials: Vec<_> = revoked.collect();
        let added = if serials.iter().any(|(serial, _)| *serial == link.serial) {
            Vec::new()
        } else {
            serials.push((link.serial.clone(), START));
            vec![v1::RevokedSerial { serial: link.serial.clone().into() }]
        };
        let list = ca.crl(u64::from(number) + 1, &serials, START).expect("a list");
        let seen = v1::RevocationsSeen {
            issuer_key_sha256: link.issuer_key_sha256.to_vec().into(),
            crl_number: vec![number + 1].into(),
            crl_sha256: tlog::sha256(&list).to_vec().into(),
            added,
        };
        self.append(Entry::RevocationsSeen { seen, list: list.into() });
    }

    pub(crate) fn directory_size(&self) -> u64 {
        self.exchange.state().directory().map_or(0, |row| row.size)
    }

    pub(crate) fn identity_is_revoked(&self, who: &str) -> bool {
        let link = &actor_of(who).certified.links[0];
        self.exchange.state().revoked(&link.issuer_key_sha256, &link.serial).is_some()
    }

    /// An item of somebody's mailbox; of a message that is not there, too.
    pub(crate) fn item(&self, mailbox: &str, seq: u64) -> v1::ReceiptItem {
        let row = self.exchange.state().place(&address(mailbox), seq);
        v1::ReceiptItem { mailbox_seq: seq, message_id: row.map_or_else(|| vec![8; 32].into(), |row| row.message_id.clone()) }
    }

    /// DELIVERED or ACKNOWLEDGED of these numbers.
    pub(crate) fn mailbox_statement(&self, mailbox: &str, kind: StatementKind, seqs: &[u64]) -> v1::MailboxStatement {
        v1::MailboxStatement {
            head: Some(self.next_head(mailbox, kind)),
            items: seqs.iter().map(|seq| self.item(mailbox, *seq)).collect(),
            at_ms: self.now.ms(),
            clock: v1::ClockQuality::Ntp.into(),
            checkpoint_size: self.log.len() as u64,
        }
    }

    /// What a sender would write now: routine, restricted, 72 h, under its next number, with the newest head.
    pub(crate) fn letter(&self, route: &str, words: &[&str]) -> Letter {
        let (from, to) = route.split_once('>').unwrap_or_else(|| panic!("{route} is neither a route nor a verb"));
        let recipients: Vec<String> = to.split(',').map(str::to_owned).collect();
        let mut letter = Letter::new(from, recipients);
        let state = self.exchange.state();
        let directory = state.directory().expect("a directory");
        letter.context.directory_size = directory.head_size;
        letter.context.directory_root = state.head(directory.head_size).expect("a head").root.clone();
        letter.context.created_ms = self.now.ms();
        letter.context.expires_ms = self.now.ms() + 72 * HOUR_MS;
        for (kem, wrap, recipient) in letter.wraps.iter_mut().zip(&letter.context.recipients).map(|((kem, wrap), to)| (kem, wrap, to)) {
            let keys = state.keys(&address(recipient)).map_or(&[][..], |row| &row.keys);
            let key = keys.iter().find(|key| key.state() == KeyState::Current);
            *kem = key.map_or(KemId::XWing, v1::KeyRow::kem);
            *wrap = key.map_or([3; 32], |key| key.key_id.as_ref().try_into().expect("a digest"));
        }
        for word in words {
            match word.split_once('=') {
                Some(("target", which)) => letter.context.target = self.letter_sent(which).1.to_vec().into(),
                Some(("parent", which)) => letter.context.parent = self.letter_sent(which).1.to_vec().into(),
                Some(("authority", which)) => {
                    let (kind, digest) = self.permitted[which.parse::<usize>().expect("a number") - 1];
                    letter.context.authorities.push(v1::Authority { kind: kind.into(), statement_digest: digest.to_vec().into() });
                }
                _ => letter.say(word),
            }
        }
        let (year, number) = (letter.context.year, letter.context.series);
        if letter.context.number == 0 {
            letter.context.number = state.series(&address(from), year, number).map_or(0, series::highest) + 1;
        }
        letter
    }
}

/// A judge to whom `log` was read.
pub(crate) fn judge(genesis_sha256: [u8; 32], log: &[Logged]) -> Judge<AwsLc> {
    let mut judge = Judge::new(genesis_sha256, AwsLc);
    log.iter().for_each(|entry| judge.feed(&entry.leaf, &entry.opening, &entry.signatures));
    judge
}

/// Signs a statement with somebody's identity key.
pub(crate) fn sign<S: Statement>(statement: &S, who: &str) -> SignedStatement {
    statement::sign(statement, &[&actor_of(who).identity]).expect("signed")
}

pub(crate) fn is_active(state: v1::ParticipantState) -> bool {
    matches!(state, v1::ParticipantState::Active | v1::ParticipantState::Supervised)
}

/// A refusal as its peer is told, without times.
pub(crate) fn told(refusal: &Refusal) -> String {
    let metadata = refusal.metadata();
    let shown = metadata.iter().filter(|(key, _)| !key.ends_with("_ms") && *key != "detail" && *key != "prev_sha256");
    shown.fold(refusal.name().to_owned(), |text, (key, value)| format!("{text} {key}={value}"))
}

/// A message about to be sent, right or wrong.
pub(crate) struct Letter {
    pub(crate) context: v1::Context,
    pub(crate) peer: Peer,
    pub(crate) signers: Vec<&'static SigningKey>,
    pub(crate) wraps: Vec<(KemId, [u8; 32])>,
    pub(crate) attachments: Vec<v1::AttachmentRef>,
    /// What is done to it after it was signed.
    broken: Vec<String>,
}

impl Letter {
    fn new(from: &str, recipients: Vec<String>) -> Self {
        let sender = actor_of(from);
        let wraps = vec![(KemId::XWing, [0; 32]); recipients.len()];
        let context = v1::Context {
            version: 1,
            network: network().to_string(),
            sender: from.to_owned(),
            year: YEAR,
            series: 1,
            recipients,
            kind: v1::Kind::Message.into(),
            priority: v1::Priority::Routine.into(),
            classification: v1::Classification::Restricted.into(),
            handling: v1::Handling::H0.into(),
            clock: v1::ClockQuality::Ntp.into(),
            content_suite: v1::ContentSuite::Aes256Gcm.into(),
            deny_digest: vec![0x22; 32].into(),
            ipsg_opt_out: v1::OptOut::None.into(),
            ..v1::Context::default()
        };
        Self { context, peer: sender.peer.clone(), signers: vec![&sender.identity], wraps, attachments: Vec::new(), broken: Vec::new() }
    }

    /// One word of the language.
    fn say(&mut self, word: &str) {
        let context = &mut self.context;
        let upper = word.to_uppercase();
        if let Some(kind) = v1::Kind::from_str_name(&format!("KIND_{upper}")) {
            return context.kind = kind.into();
        }
        if let Some(priority) = v1::Priority::from_str_name(&format!("PRIORITY_{upper}")) {
            return context.priority = priority.into();
        }
        if let Some(classification) = v1::Classification::from_str_name(&format!("CLASSIFICATION_{upper}")) {
            return context.classification = classification.into();
        }
        let (name, value) = word.split_once('=').unwrap_or((word, ""));
        match name {
            "exercise" => context.exercise = true,
            "h2" => context.handling = v1::Handling::H2.into(),
            "h3" => context.handling = v1::Handling::H3.into(),
            "answer" => context.in_reply_to = vec![5; 32].into(),
            "via" => context.via_group = value.to_owned(),
            "opt-out" => context.ipsg_opt_out = v1::OptOut::NationalLaw.into(),
            "group" => context.via_group = "grp/wg/wildlife".to_owned(),
            "room" => context.room = vec![5; 16].into(),
            "target" => context.target = vec![5; 32].into(),
            "parent" => context.parent = vec![5; 32].into(),
            "authority" => {
                let kind = v1::AuthorityKind::Waiver.into();
                context.authorities.push(v1::Authority { kind, statement_digest: vec![5; 32].into() });
            }
            "attachment" => {
                self.attachments.push(v1::AttachmentRef { chunk_log2: 16, ciphertext_size: 1 << 16, chunks_root: vec![5; 32].into() });
            }
            "number" => context.number = value.parse().expect("a number"),
            "year" => context.year = value.parse().expect("a year"),
            "series" => context.series = value.parse().expect("a series"),
            "after" => context.previous = Some(previous(value)),
            "created" => {
                context.created_ms = context.created_ms.checked_add_signed(duration(value)).expect("a time");
                context.expires_ms = context.created_ms + 72 * HOUR_MS;
            }
            "life" => context.expires_ms = context.created_ms + duration(value).unsigned_abs(),
            "size" => context.directory_size = value.parse().expect("a size"),
            "root" => context.directory_root = vec![0xee; 32].into(),
            "tls" => self.peer = actor_of(value).peer.clone(),
            "signed" => self.signers = vec![&actor_of(value).identity],
            "signer" => self.signers.push(&actor_of(value).identity),
            "key" => self.wrap_to(value),
            "wraps" | "content" | "signature" => self.broken.push(word.to_owned()),
            other => panic!("{other} is no word of the language"),
        }
    }

    /// `th:2` is generation 2, `th:2:x25519` another KEM, `th:np` somebody else's key.
    fn wrap_to(&mut self, text: &str) {
        let words: Vec<&str> = text.split(':').collect();
        let at = self.context.recipients.iter().position(|recipient| recipient == words[0]).expect("a recipient");
        let kem = if words.get(2) == Some(&"x25519") { KemId::X25519 } else { KemId::XWing };
        let (owner, generation) = words[1].parse().map_or((words[1], 1), |generation| (words[0], generation));
        self.wraps[at] = (kem, encryption_key(owner, generation, kem).1);
    }

    /// Wrapped, signed, and then broken as it was told.
    pub(crate) fn submission(&self) -> v1::Submission {
        let mut context = self.context.clone();
        let signer = |key: &&SigningKey| key.public().signer_ref();
        context.signers = self.signers.iter().map(signer).collect();
        let wrap = |(index, (kem, key_id)): (usize, &(KemId, [u8; 32]))| {
            let enc = vec![1; envelope::seal_sizes::enc_bytes(*kem)].into();
            let wrap = v1::Wrap { index: index as u32, key_id: key_id.to_vec().into(), kem: (*kem).into(), enc, ct: vec![2; 48].into() };
            Bytes::from(wrap.encode_to_vec())
        };
        let wraps: Vec<Bytes> = self.wraps.iter().enumerate().map(wrap).collect();
        let content = Bytes::from_static(&[4; 272]);
        let header = v1::Header {
            context: context.encode_to_vec().into(),
            key_commitment: vec![6; 32].into(),
            content_sha256: tlog::sha256(&content).to_vec().into(),
            content_size: content.len() as u64,
            wraps_root: wraps_root(&wraps).as_bytes().to_vec().into(),
            attachments: self.attachments.clone(),
        };
        let header = Bytes::from(header.encode_to_vec());
        let signatures = dsse::sign(HEADER_TYPE, &header, &self.signers).expect("signed");
        let mut submission = v1::Submission { signed: Some(v1::SignedHeader { header, signatures }), wraps, content, tag: 0 };
        self.broken.iter().for_each(|how| break_it(&mut submission, how));
        submission
    }
}

fn break_it(submission: &mut v1::Submission, how: &str) {
    let signatures = submission.signed.as_mut().map(|signed| &mut signed.signatures).expect("a signed header");
    let altered = |bytes: &Bytes| {
        let mut bytes = bytes.to_vec();
        *bytes.last_mut().expect("some bytes") ^= 1;
        Bytes::from(bytes)
    };
    match how {
        "wraps=missing" => drop(submission.wraps.pop()),
        "wraps=swapped" => submission.wraps.swap(0, 1),
        "wraps=altered" => submission.wraps[0] = altered(&submission.wraps[0]),
        "wraps=renumbered" => {
            let mut wrap = v1::Wrap::decode(submission.wraps[0].clone()).expect("a wrap");
            wrap.index = 1;
            submission.wraps[0] = wrap.encode_to_vec().into();
        }
        "content=altered" => submission.content = altered(&submission.content),
        "content=longer" => submission.content = [&submission.content[..], &[0]].concat().into(),
        "signature=altered" => signatures[0].signature = altered(&signatures[0].signature),
        "signature=missing" => signatures.clear(),
        "signature=twice" => signatures.push(signatures[0].clone()),
        "signature=renamed" => signatures[0].key_id = vec![1; 32].into(),
        other => panic!("{other} is no way to break a message"),
    }
}

/// `2026.1.417`.
fn previous(text: &str) -> v1::Previous {
    let parts: Vec<u64> = text.split('.').map(|part| part.parse().expect("a number")).collect();
    v1::Previous { year: parts[0] as u32, series: parts[1] as u32, number: parts[2] }
}

/// Milliseconds of a text such as `72h`, `5m+1ms`, `30d-1ms` or `-3d`.
pub(crate) fn duration(text: &str) -> i64 {
    let at = text.char_indices().skip(1).find(|(_, letter)| matches!(letter, '+' | '-')).map_or(text.len(), |(at, _)| at);
    let (first, rest) = text.split_at(at);
    let (sign, first) = first.strip_prefix('-').map_or((1, first.trim_start_matches('+')), |first| (-1, first));
    let digits = first.trim_end_matches(char::is_alphabetic);
    let unit = match &first[digits.len()..] {
        "ms" => 1,
        "s" => 1000,
        "m" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        unit => panic!("{unit} is no unit of time"),
    };
    let rest = if rest.is_empty() { 0 } else { duration(rest) };
    sign * digits.parse::<i64>().expect("a number") * unit + rest
}

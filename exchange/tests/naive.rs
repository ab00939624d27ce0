//! A second reading of the rules, in plain lists and loops, against the exchange: both must say the same of everything.
//!
//! The model is written from the words of the domain, not from the exchange's code, and keeps no state but the list of
//! what was accepted: whatever it asks, it asks of all of it.

mod stage;

use std::collections::BTreeSet;

use exchange::state::{Key, Row, Rows as _};
use exchange::{Admission, Rules};
use proptest::prelude::*;
use proptest::sample::select;
use proptest::strategy::ValueTree as _;
use proptest::test_runner::TestRunner;
use proto::v1::{self, Classification, KemId, KeyState, Kind, ParticipantState, Priority, RecipientState};
use stage::{DAY_MS, HOUR_MS, START, Stage, YEAR, actor_of, address, encryption_key};

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn both_readings_agree_and_nobody_gets_what_the_rules_keep_from_him(world in a_world(), steps in some_steps()) {
        check(&world, &steps);
    }
}

/// Without this, the two readings could agree by never saying a name at all.
#[test]
fn every_name_is_said() {
    let mut runner = TestRunner::deterministic();
    let mut said = BTreeSet::new();
    for _ in 0..100 {
        let (world, steps) = (a_world(), some_steps()).new_tree(&mut runner).expect("a case").current();
        said.extend(check(&world, &steps));
    }
    let names = [
        "BAD_COMMITMENT",
        "BAD_ENCODING",
        "BAD_REFERENCE",
        "BAD_SIGNATURE",
        "CLASS_AUDIENCE",
        "CLOCK_SKEW",
        "EXPIRED",
        "IPSG_COPY_MISSING",
        "NOT_CLEARED",
        "NOT_SENDER",
        "NO_AUTHORITY",
        "NO_GRANT",
        "OVERSIGHT_MISSING",
        "QUOTA",
        "REFERENCE_REUSED",
        "REVOKED",
        "STALE_DIRECTORY",
        "STALE_KEY",
        "SUSPENDED",
        "UNKNOWN_RECIPIENT",
        "accepted",
        "known",
    ];
    assert_eq!(said.into_iter().collect::<Vec<_>>(), names);
}

/// Plays the steps to both and compares; gives every verdict.
fn check(world: &World, steps: &[Step]) -> Vec<&'static str> {
    let mut stage = Stage::with(world.genesis(), Rules::default());
    let mut model = Model::new(world);
    for member in world.members.iter().filter(|member| member.wrote_before) {
        let directory_index = stage.directory_size();
        let signed = stage.key_statement(member.name, &[(1, KeyState::Current)]);
        stage.append(envelope::entry::Entry::Directory { signed, directory_index });
    }
    let (mut said, mut sent) = (Vec::new(), Vec::<(v1::Submission, Attempt)>::new());
    for step in steps {
        let (submission, attempt) = match step {
            Step::Wait(ms) => {
                stage.now = stage.now.plus(*ms);
                model.now += ms;
                continue;
            }
            Step::Rotate { who, alone } => {
                model.rotate(&mut stage, who, *alone);
                continue;
            }
            Step::Revoke { who, what } => {
                stage.act(&format!("revoke {who} {what}"));
                model.revoked.push(who);
                continue;
            }
            Step::Again(_) if sent.is_empty() => continue,
            Step::Again(which) => sent[which % sent.len()].clone(),
            Step::Send(wish) => model.write(&stage, wish),
        };
        let expected = model.judge(&attempt);
        let got = match stage.submit(submission.clone(), &actor_of(attempt.tls).peer) {
            Ok(Admission::New(_)) => "accepted",
            Ok(Admission::Known(_)) => "known",
            Err(refusal) => refusal.name(),
        };
        assert_eq!(got, expected, "{attempt:?}\nby {world:?}");
        if got == "accepted" {
            model.accepted.push(Accepted { attempt: attempt.clone(), at: model.now });
        }
        said.push(got);
        sent.push((submission, attempt));
    }
    same_mailboxes(&model, &stage);
    nobody_is_excluded(&model, &stage);
    said
}

/// Each mailbox holds exactly the accepted messages that named it, in order; urgent ones are fetched first.
fn same_mailboxes(model: &Model<'_>, stage: &Stage) {
    let state = stage.exchange.state();
    for name in NAMES {
        let mailbox: Vec<&Accepted> = model.accepted.iter().filter(|one| one.attempt.to.contains(&name)).collect();
        assert_eq!(state.mailbox(&address(name)).map_or(0, |row| row.last_seq), mailbox.len() as u64, "{name}");
        for (at, one) in mailbox.iter().enumerate() {
            let row = state.place(&address(name), at as u64 + 1).expect("a place");
            assert_eq!((&row.message_id[..], row.state()), (&one.attempt.message_id[..], RecipientState::Available), "{name} {at}");
        }
        let mut by_urgency: Vec<u64> = (1..=mailbox.len() as u64).collect();
        by_urgency.sort_by_key(|seq| std::cmp::Reverse(mailbox[*seq as usize - 1].attempt.priority));
        assert_eq!(state.waiting(&address(name)).collect::<Vec<_>>(), by_urgency, "{name}");
    }
}

/// Looks at the mailboxes alone: whoever has a message was named, reachable and cleared, and no border was crossed unseen.
fn nobody_is_excluded(model: &Model<'_>, stage: &Stage) {
    let state = stage.exchange.state();
    let places = |id: &[u8]| -> Vec<String> {
        let of = |(key, row): (Key, &Row)| match (key, row) {
            (Key::Place(owner, _), Row::Place(place)) if place.message_id == *id => Some(owner.to_string()),
            _ => None,
        };
        state.rows().filter_map(of).collect()
    };
    for one in &model.accepted {
        let (attempt, owners) = (&one.attempt, places(&one.attempt.message_id));
        let country = |name: &str| name.split('/').next().unwrap_or_default().to_owned();
        for owner in &owners {
            let member = model.world.member(owner).expect("a stranger has a mailbox");
            assert!(attempt.to.contains(&member.name) && stage::is_active(member.state), "{owner}");
            assert!(member.clearance >= attempt.classification, "{owner}");
            let abroad = country(owner) != country(attempt.from);
            if abroad && is_post(owner) {
                assert!(member.open && owners.contains(&country(owner)), "{owner}'s bureau did not see {attempt:?}");
            }
            if abroad && is_post(attempt.from) {
                assert!(owners.contains(&country(attempt.from)), "the sender's bureau did not see {attempt:?}");
            }
        }
        assert_eq!(owners.len(), attempt.to.len());
    }
}

/// Everybody in the play; `fr` is not enrolled.
const NAMES: [&str; 10] = ["aud/network", "cn", "cn/hk", "ipsg/ens", "ke", "ke/cus/kemba", "org/latf", "svc/imaf", "th", "th/cus/thbkk"];
const STRANGER: &str = "fr";
const SECOND: &str = "svc/imaf";

#[derive(Clone, Debug)]
struct Member {
    name: &'static str,
    state: ParticipantState,
    clearance: Classification,
    open: bool,
    /// It published its keys while its state was still another.
    wrote_before: bool,
}

/// Class by its number, kinds, priorities, classifications.
type Grant = (i32, Vec<Kind>, Vec<Priority>, Vec<Classification>);

#[derive(Clone, Debug)]
struct World {
    members: Vec<Member>,
    grants: Vec<Grant>,
    flash_per_day: u32,
}

impl World {
    fn member(&self, name: &str) -> Option<&Member> {
        self.members.iter().find(|member| member.name == name)
    }

    fn genesis(&self) -> v1::Genesis {
        let mut genesis = stage::genesis();
        genesis.participants.retain(|participant| NAMES.contains(&participant.address.as_str()));
        for participant in &mut genesis.participants {
            let member = self.member(&participant.address).expect("a member");
            participant.state = member.state.into();
            participant.clearance = member.clearance.into();
            participant.open_to_foreign = member.open;
        }
        let policy = genesis.policy.as_mut().expect("a policy");
        policy.flash_per_day = self.flash_per_day;
        let grant = |(class, kinds, priorities, classifications): &Grant| v1::ClassGrant {
            class: *class,
            kinds: kinds.iter().map(|kind| i32::from(*kind)).collect(),
            priorities: priorities.iter().map(|priority| i32::from(*priority)).collect(),
            classifications: classifications.iter().map(|class| i32::from(*class)).collect(),
        };
        policy.grants = self.grants.iter().map(grant).collect();
        genesis
    }
}

fn a_world() -> impl Strategy<Value = World> {
    let state = || {
        use ParticipantState::{Active, Pending, Supervised, Suspended, Withdrawn};
        prop_oneof![20 => Just(Active), 1 => Just(Supervised), 1 => select(vec![Pending, Suspended, Withdrawn])]
    };
    let clearance = prop_oneof![1 => Just(Classification::OfficialUseOnly), 3 => Just(Classification::Restricted), 3 => Just(Classification::Confidential)];
    let member = (state(), clearance, prop::bool::weighted(0.7), any::<bool>());
    let kinds = prop::sample::subsequence(KINDS.to_vec(), 13..=KINDS.len());
    let priorities = prop_oneof![3 => Just(PRIORITIES.to_vec()), 1 => prop::sample::subsequence(PRIORITIES.to_vec(), 1..=3)];
    let classes = prop_oneof![3 => Just(CLASSES.to_vec()), 1 => prop::sample::subsequence(CLASSES.to_vec(), 1..=3)];
    let grants = prop::collection::vec((1..=7i32, kinds, priorities, classes), 10..18);
    (prop::collection::vec(member, NAMES.len()), grants, 0..4u32).prop_map(|(members, grants, flash_per_day)| {
        let member = |(name, (state, clearance, open, wrote))| {
            let wrote_before = wrote && !stage::is_active(state);
            Member { name, state, clearance, open, wrote_before }
        };
        World { members: NAMES.into_iter().zip(members).map(member).collect(), grants, flash_per_day }
    })
}

const KINDS: [Kind; 17] = [
    Kind::Message,
    Kind::Reply,
    Kind::Ecomessage,
    Kind::Alert,
    Kind::NoticeRequest,
    Kind::Notice,
    Kind::Diffusion,
    Kind::ControlledDelivery,
    Kind::Seizure,
    Kind::Query,
    Kind::QueryResult,
    Kind::Hit,
    Kind::ExpertRequest,
    Kind::Service,
    Kind::Correction,
    Kind::DeletionAttestation,
    Kind::Void,
];
/// Kinds that anybody may send who was granted them.
const KNOWN_KINDS: [Kind; 5] = [Kind::Message, Kind::Reply, Kind::Ecomessage, Kind::Alert, Kind::Void];
const PRIORITIES: [Priority; 3] = [Priority::Routine, Priority::Urgent, Priority::Flash];
const CLASSES: [Classification; 3] = [Classification::OfficialUseOnly, Classification::Restricted, Classification::Confidential];

/// What a sender wishes to write; the model makes an attempt of it.
#[derive(Clone, Debug)]
struct Wish {
    from: &'static str,
    to: Vec<&'static str>,
    copies: bool,
    kind: Kind,
    priority: Priority,
    classification: Classification,
    opt_out: bool,
    exercise: bool,
    number: Number,
    opening: Opening,
    created: i64,
    life: Option<u64>,
    fault: Fault,
}

#[derive(Clone, Copy, Debug)]
enum Number {
    Next,
    Above(u64),
    Used,
}

/// Which series the message belongs to, and whether it names the one before.
#[derive(Clone, Copy, Debug)]
enum Opening {
    Current,
    NextSeries,
    NextYear,
    YearBefore,
    WithoutPrevious,
    WrongPrevious,
    PreviousForNothing,
    FarSeries,
    FirstSeries,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Fault {
    None,
    Tls,
    Signer,
    Content,
    Signature,
    OtherKey,
    OldKey,
    Root,
    Size,
    Attachment,
    Group,
    Room,
    Target,
    Parent,
    Authority,
    SecondSigner,
}

#[derive(Clone, Debug)]
enum Step {
    Wait(u64),
    Rotate { who: &'static str, alone: bool },
    Revoke { who: &'static str, what: &'static str },
    Again(usize),
    Send(Wish),
}

fn some_steps() -> impl Strategy<Value = Vec<Step>> {
    prop::collection::vec(a_step(), 1..60)
}

fn a_step() -> impl Strategy<Value = Step> {
    let waits = select(vec![1, 1000, HOUR_MS, 23 * HOUR_MS, DAY_MS, DAY_MS + 1]);
    prop_oneof![
        4 => waits.prop_map(Step::Wait),
        1 => Just(Step::Wait(20 * DAY_MS)),
        2 => (select(NAMES.to_vec()), prop::bool::weighted(0.3)).prop_map(|(who, alone)| Step::Rotate { who, alone }),
        1 => (select(NAMES.to_vec()), select(vec!["identity", "tls"])).prop_map(|(who, what)| Step::Revoke { who, what }),
        2 => (0..40usize).prop_map(Step::Again),
        30 => a_wish().prop_map(Step::Send),
    ]
}

fn a_wish() -> impl Strategy<Value = Wish> {
    use Fault as F;
    let from = prop_oneof![5 => select(vec!["ke", "ke/cus/kemba", "th"]), 1 => select(NAMES.to_vec())];
    let to = prop_oneof![20 => prop::sample::subsequence(NAMES.to_vec(), 1..4), 1 => Just(vec![STRANGER]), 1 => Just(vec!["ke", STRANGER])];
    let number =
        prop_oneof![24 => Just(Number::Next), 2 => select(vec![2, 1024, 1025, 5000]).prop_map(Number::Above), 2 => Just(Number::Used)];
    let opening = prop_oneof![
        120 => Just(Opening::Current),
        4 => Just(Opening::NextSeries),
        2 => Just(Opening::NextYear),
        1 => Just(Opening::YearBefore),
        1 => Just(Opening::WithoutPrevious),
        1 => Just(Opening::WrongPrevious),
        1 => Just(Opening::PreviousForNothing),
        1 => Just(Opening::FarSeries),
        1 => Just(Opening::FirstSeries),
    ];
    let (hour, five) = (HOUR_MS as i64, 5 * 60_000);
    let created = prop_oneof![40 => Just(0), 4 => select(vec![-hour, five, five + 1, -72 * hour, -72 * hour + 1, -200 * hour])];
    let life = prop_oneof![50 => Just(None), 4 => select(vec![30 * DAY_MS, 30 * DAY_MS + 1, 3 * DAY_MS - 1, 100 * HOUR_MS]).prop_map(Some)];
    let faults =
        [F::Tls, F::Signer, F::Content, F::Signature, F::OtherKey, F::OldKey, F::OldKey, F::Root, F::Size, F::Attachment, F::Group];
    let faults = [&faults[..], &[F::Room, F::Target, F::Parent, F::Authority, F::SecondSigner]].concat();
    let fault = prop_oneof![60 => Just(F::None), 12 => select(faults)];
    let kind =
        prop_oneof![2 => select(KNOWN_KINDS.to_vec()), 4 => Just(Kind::Message), 1 => select(KINDS.to_vec()), 3 => Just(Kind::Ecomessage)];
    let who = (from, to, prop::bool::weighted(0.85), any::<bool>(), prop::bool::weighted(0.3));
    let what = (kind, select(PRIORITIES.to_vec()), prop_oneof![12 => select(CLASSES[..2].to_vec()), 1 => Just(CLASSES[2])]);
    (who, what, (number, opening, created, life, fault)).prop_map(|(who, what, when)| {
        let (from, to, copies, exercise, opt_out) = who;
        let (kind, priority, classification) = what;
        let (number, opening, created, life, fault) = when;
        // Nobody is his own second signer: that would not even be read.
        let fault = if fault == F::SecondSigner && from == SECOND { F::None } else { fault };
        Wish { from, to, copies, kind, priority, classification, opt_out, exercise, number, opening, created, life, fault }
    })
}

/// A message as it was sent: every fact that the model judges by.
#[derive(Clone, Debug)]
struct Attempt {
    message_id: [u8; 32],
    from: &'static str,
    tls: &'static str,
    to: Vec<&'static str>,
    kind: Kind,
    priority: Priority,
    classification: Classification,
    opt_out: bool,
    year: u32,
    series: u32,
    number: u64,
    previous: Option<(u32, u32)>,
    created: u64,
    expires: u64,
    fault: Fault,
    /// Generation of each recipient's key, or somebody else's.
    keys: Vec<Option<u32>>,
}

#[derive(Clone, Debug)]
struct Accepted {
    attempt: Attempt,
    at: u64,
}

/// One key of one member: generation, when it was retired, whether it is gone.
#[derive(Clone, Debug)]
struct HeldKey {
    owner: &'static str,
    generation: u32,
    retired: Option<u64>,
    gone: bool,
}

struct Model<'a> {
    world: &'a World,
    now: u64,
    accepted: Vec<Accepted>,
    revoked: Vec<&'static str>,
    keys: Vec<HeldKey>,
    written: u64,
}

impl<'a> Model<'a> {
    fn new(world: &'a World) -> Self {
        let has_keys = |member: &&Member| stage::is_active(member.state) || member.wrote_before;
        let first = |member: &Member| HeldKey { owner: member.name, generation: 1, retired: None, gone: false };
        let keys = world.members.iter().filter(has_keys).map(first).collect();
        Self { world, now: START.ms(), accepted: Vec::new(), revoked: Vec::new(), keys, written: 0 }
    }

    fn rotate(&mut self, stage: &mut Stage, who: &'static str, alone: bool) {
        let newest = self.keys.iter().filter(|key| key.owner == who).map(|key| key.generation).max().unwrap_or(0);
        let stands = self.world.member(who).is_some_and(|member| stage::is_active(member.state)) && !stage.identity_is_revoked(who);
        if newest == 0 || !stands {
            return;
        }
        stage.act(&format!("keys {who} {}{}", newest + 1, if alone { " alone" } else { "" }));
        for key in self.keys.iter_mut().filter(|key| key.owner == who) {
            if alone || key.generation < newest {
                key.gone = true;
            }
            key.retired = key.retired.or(Some(self.now));
        }
        self.keys.push(HeldKey { owner: who, generation: newest + 1, retired: None, gone: false });
    }

    /// Messages of a sender in a series.
    fn numbers(&self, from: &str, year: u32, series: u32) -> Vec<u64> {
        let of = |one: &&Accepted| one.attempt.from == from && one.attempt.year == year && one.attempt.series == series;
        self.accepted.iter().filter(of).map(|one| one.attempt.number).collect()
    }

    /// The newest (year, series) of a sender.
    fn latest(&self, from: &str) -> Option<(u32, u32)> {
        self.accepted.iter().filter(|one| one.attempt.from == from).map(|one| (one.attempt.year, one.attempt.series)).max()
    }

    fn write(&mut self, stage: &Stage, wish: &Wish) -> (v1::Submission, Attempt) {
        let mut to: Vec<&'static str> = wish.to.clone();
        if wish.copies {
            let posts = [wish.from].into_iter().chain(wish.to.iter().copied()).filter(|name| is_post(name));
            let bureaus: Vec<&'static str> =
                posts.filter_map(|name| NAMES.into_iter().find(|bureau| Some(*bureau) == name.split('/').next())).collect();
            to.extend(bureaus.into_iter().chain((wish.kind == Kind::Ecomessage && wish.exercise).then_some("ipsg/ens")));
            to.retain(|name| *name != wish.from);
            let mut seen = BTreeSet::new();
            to.retain(|name| seen.insert(*name));
        }
        if to.is_empty() || wish.kind == Kind::Void && wish.copies {
            to = vec![NAMES.into_iter().find(|name| wish.from.starts_with(name)).unwrap_or(wish.from)];
        }
        let latest = self.latest(wish.from);
        let (year, series) = latest.unwrap_or((YEAR, 1));
        // Only number 1 names the series before.
        let named = matches!(wish.number, Number::Next).then_some((year, series));
        let (year, series, previous) = match wish.opening {
            Opening::Current => (year, series, None),
            Opening::NextSeries => (year, series + 1, named),
            Opening::NextYear => (year + 1, 1, named),
            Opening::YearBefore => (year - 1, 1, None),
            Opening::WithoutPrevious => (year, series + 1, None),
            Opening::WrongPrevious => (year, series + 1, Some((year, series + 1))),
            Opening::PreviousForNothing => (year, series, Some((year, series))),
            Opening::FarSeries => (year, series + 2, Some((year, series))),
            Opening::FirstSeries => (YEAR, 1, None),
        };
        let used = self.numbers(wish.from, year, series);
        let highest = used.iter().copied().max().unwrap_or(0);
        let number = match wish.number {
            Number::Next => highest + 1,
            Number::Above(more) => highest + more,
            Number::Used => used.first().copied().unwrap_or(1),
        };
        let mut letter = stage.letter(&format!("{}>{}", wish.from, to.join(",")), words(wish.fault));
        let context = &mut letter.context;
        (context.year, context.series, context.number) = (year, series, number);
        context.previous = previous.map(|(year, series)| v1::Previous { year, series, number: highest.max(1) });
        (context.kind, context.priority, context.classification) = (wish.kind.into(), wish.priority.into(), wish.classification.into());
        context.created_ms = self.now.checked_add_signed(wish.created).expect("a time");
        context.expires_ms = context.created_ms + wish.life.unwrap_or(if is_question(wish.kind) { HOUR_MS } else { 72 * HOUR_MS });
        context.exercise = wish.exercise;
        context.ipsg_opt_out = if wish.opt_out { v1::OptOut::SourceAtRisk.into() } else { v1::OptOut::None.into() };
        // Two wishes at one moment are two messages.
        self.written += 1;
        context.deny_digest = tlog::sha256(&self.written.to_be_bytes()).to_vec().into();
        let mut keys = Vec::new();
        for (wrap, recipient) in letter.wraps.iter_mut().zip(&to) {
            let newest = self.keys.iter().filter(|key| key.owner == *recipient).map(|key| key.generation).max().unwrap_or(1);
            let generation = match wish.fault {
                Fault::OtherKey => None,
                Fault::OldKey => Some(newest.saturating_sub(1)),
                _ => Some(newest),
            };
            let (owner, one) = generation.map_or(("us", 1), |generation| (*recipient, generation));
            *wrap = (KemId::XWing, encryption_key(owner, one, KemId::XWing).1);
            keys.push(generation);
        }
        let submission = letter.submission();
        let header = submission.signed.as_ref().map(|signed| signed.header.clone()).expect("a header");
        let attempt = Attempt {
            message_id: envelope::header::message_id(&header),
            from: wish.from,
            tls: NAMES.into_iter().find(|name| *name == letter.peer.address.as_str()).expect("one of the play"),
            to,
            kind: wish.kind,
            priority: wish.priority,
            classification: wish.classification,
            opt_out: wish.opt_out,
            year,
            series,
            number,
            previous,
            created: letter.context.created_ms,
            expires: letter.context.expires_ms,
            fault: wish.fault,
            keys,
        };
        (submission, attempt)
    }

    /// Domain, section 5, line by line.
    fn judge(&self, attempt: &Attempt) -> &'static str {
        let fault = attempt.fault;
        if attempt.tls != attempt.from || (fault == Fault::Signer && attempt.from != "th") {
            return "NOT_SENDER";
        }
        if fault == Fault::Content {
            return "BAD_COMMITMENT";
        }
        if fault == Fault::Signature {
            return "BAD_SIGNATURE";
        }
        if self.accepted.iter().any(|one| one.attempt.message_id == attempt.message_id) {
            return "known";
        }
        let life = attempt.expires - attempt.created;
        if is_question(attempt.kind) {
            if life == 0 || life > HOUR_MS {
                return "BAD_ENCODING";
            }
        } else if !(72 * HOUR_MS..=30 * DAY_MS).contains(&life) || (attempt.priority == Priority::Flash && life != 72 * HOUR_MS) {
            return "BAD_ENCODING";
        }
        let used = self.numbers(attempt.from, attempt.year, attempt.series);
        if used.contains(&attempt.number) {
            return "REFERENCE_REUSED";
        }
        if !self.reference_is_good(attempt, &used) {
            return "BAD_REFERENCE";
        }
        if attempt.expires <= self.now {
            return "EXPIRED";
        }
        if attempt.created > self.now + 5 * 60_000 {
            return "CLOCK_SKEW";
        }
        for (recipient, generation) in attempt.to.iter().zip(&attempt.keys) {
            if *recipient != STRANGER && !self.key_is_usable(recipient, *generation) {
                return "STALE_KEY";
            }
        }
        let sender = self.world.member(attempt.from).expect("a member");
        if !stage::is_active(sender.state) {
            return "SUSPENDED";
        }
        if self.revoked.contains(&attempt.from) {
            return "REVOKED";
        }
        if !kind_allows(attempt) || !self.is_granted(attempt) {
            return "NO_GRANT";
        }
        // Nobody in the play gives a permission, and no message names one that was sent.
        if [Fault::Authority, Fault::Parent, Fault::Target].contains(&fault) {
            return "NO_AUTHORITY";
        }
        if fault == Fault::SecondSigner {
            return "NO_GRANT";
        }
        self.audience(attempt)
    }

    fn reference_is_good(&self, attempt: &Attempt, used: &[u64]) -> bool {
        let written_in = year_of(attempt.created);
        if attempt.year > written_in || attempt.year + 1 < written_in {
            return false;
        }
        if attempt.number > used.iter().copied().max().unwrap_or(0) + 1024 {
            return false;
        }
        let own = (attempt.year, attempt.series);
        let follows = match self.latest(attempt.from) {
            None => attempt.series == 1,
            Some((year, series)) => own == (year, series + 1) || (attempt.year > year && attempt.series == 1),
        };
        if used.is_empty() && !follows {
            return false;
        }
        let first = self.accepted.iter().find(|one| one.attempt.from == attempt.from);
        let is_first = first.is_none_or(|one| (one.attempt.year, one.attempt.series) == own);
        match attempt.previous {
            None => is_first || attempt.number > 1,
            Some((year, series)) => {
                let earlier = (year, series) < own && !self.numbers(attempt.from, year, series).is_empty();
                !is_first && attempt.number == 1 && earlier
            }
        }
    }

    fn key_is_usable(&self, owner: &str, generation: Option<u32>) -> bool {
        let key = self.keys.iter().find(|key| key.owner == owner && Some(key.generation) == generation);
        key.is_some_and(|key| !key.gone && key.retired.is_none_or(|since| self.now <= since + DAY_MS))
    }

    fn is_granted(&self, attempt: &Attempt) -> bool {
        let class = class_of(attempt.from);
        self.world.grants.iter().any(|(whose, kinds, priorities, classes)| {
            *whose == class
                && kinds.contains(&attempt.kind)
                && priorities.contains(&attempt.priority)
                && classes.contains(&attempt.classification)
        })
    }

    /// Rules 6 to 12.
    fn audience(&self, attempt: &Attempt) -> &'static str {
        let country = |name: &str| name.split('/').next().unwrap_or_default().to_owned();
        let gets = |name: &str| attempt.to.contains(&name);
        for recipient in &attempt.to {
            if !self.world.member(recipient).is_some_and(|member| stage::is_active(member.state)) {
                return "UNKNOWN_RECIPIENT";
            }
        }
        for recipient in &attempt.to {
            if self.world.member(recipient).is_some_and(|member| member.clearance < attempt.classification) {
                return "NOT_CLEARED";
            }
        }
        for recipient in &attempt.to {
            let abroad = country(recipient) != country(attempt.from);
            if abroad && is_post(attempt.from) && !gets(&country(attempt.from)) {
                return "OVERSIGHT_MISSING";
            }
            let open = self.world.member(recipient).is_some_and(|member| member.open);
            if abroad && is_post(recipient) && !(open && gets(&country(recipient))) {
                return "OVERSIGHT_MISSING";
            }
        }
        // Held for ipsg/compliance, which nobody in the play can name.
        let supervised = self.world.member(attempt.from).is_some_and(|member| member.state == ParticipantState::Supervised);
        if supervised && matches!(attempt.kind, Kind::NoticeRequest | Kind::Diffusion) {
            return "OVERSIGHT_MISSING";
        }
        let copied = matches!(attempt.kind, Kind::Ecomessage | Kind::NoticeRequest | Kind::Diffusion);
        if copied && !gets("ipsg/ens") && !attempt.opt_out {
            return "IPSG_COPY_MISSING";
        }
        let confidential = attempt.classification == Classification::Confidential;
        if confidential && attempt.to.iter().any(|name| class_of(name) != 1) || attempt.kind == Kind::ControlledDelivery && !confidential {
            return "CLASS_AUDIENCE";
        }
        if attempt.priority == Priority::Flash {
            let today = |one: &&Accepted| {
                one.attempt.from == attempt.from && one.attempt.priority == Priority::Flash && one.at / DAY_MS == self.now / DAY_MS
            };
            if self.accepted.iter().filter(today).count() >= self.world.flash_per_day as usize {
                return "QUOTA";
            }
        }
        if matches!(attempt.fault, Fault::Root | Fault::Size) {
            return "STALE_DIRECTORY";
        }
        "accepted"
    }
}

/// Domain, section 3: who sends a kind, to whom, and what it must name.
fn kind_allows(attempt: &Attempt) -> bool {
    let fault = attempt.fault;
    if [Fault::Attachment, Fault::Room].contains(&fault) || fault == Fault::Group {
        return false;
    }
    // What corrects or attests names a message, and nothing else does.
    if (fault == Fault::Target) != matches!(attempt.kind, Kind::Correction | Kind::DeletionAttestation) {
        return false;
    }
    let own = if is_post(attempt.from) { &attempt.from[..2] } else { attempt.from };
    let (from, all) = (class_of(attempt.from), |class: i32| attempt.to.iter().all(|name| class_of(name) == class));
    match attempt.kind {
        Kind::Alert => !is_post(attempt.from) || attempt.to.contains(&own),
        Kind::NoticeRequest => from == 1 && all(4),
        Kind::Notice => from == 4,
        Kind::Diffusion => from == 1,
        Kind::ControlledDelivery => from == 1 && all(1),
        Kind::Query => {
            let service = |name: &&str| class_of(name) == 5;
            attempt.to.iter().any(&service) && attempt.to.iter().all(|name| service(name) || is_post(attempt.from) && *name == own)
        }
        Kind::Hit => from == 5,
        Kind::ExpertRequest => (1..=3).contains(&from),
        Kind::Service => from == 1 || from == 4,
        Kind::Void => attempt.to == [own],
        // Through an operation's group, or in answer to a question: nobody in the play has either.
        Kind::Seizure | Kind::QueryResult => false,
        _ => true,
    }
}

fn is_question(kind: Kind) -> bool {
    matches!(kind, Kind::Query | Kind::QueryResult)
}

fn class_of(name: &str) -> i32 {
    match name {
        "cn" | "ke" | "th" | STRANGER => 1,
        "cn/hk" => 2,
        "ke/cus/kemba" | "th/cus/thbkk" => 3,
        "ipsg/ens" => 4,
        "svc/imaf" => 5,
        "org/latf" => 6,
        _ => 7,
    }
}

/// A sub-bureau or an endpoint: somebody for whom a bureau answers.
fn is_post(name: &str) -> bool {
    name.split('/').next().is_some_and(|first| first.len() == 2) && name.contains('/')
}

/// The years of the play are 2026 and 2027.
fn year_of(ms: u64) -> u32 {
    const YEAR_2027: u64 = 1_798_761_600_000;
    const YEAR_2028: u64 = 1_830_297_600_000;
    assert!(ms < YEAR_2028, "the play is over");
    if ms < YEAR_2027 { YEAR } else { YEAR + 1 }
}

fn words(fault: Fault) -> &'static [&'static str] {
    match fault {
        Fault::None | Fault::OtherKey | Fault::OldKey => &[],
        Fault::Tls => &["tls=org/latf"],
        Fault::Signer => &["signed=th"],
        Fault::Content => &["content=altered"],
        Fault::Signature => &["signature=altered"],
        Fault::Root => &["root=other"],
        Fault::Size => &["size=999"],
        Fault::Attachment => &["attachment"],
        Fault::Group => &["group"],
        Fault::Room => &["room"],
        Fault::Target => &["target"],
        Fault::Parent => &["parent"],
        Fault::Authority => &["authority"],
        Fault::SecondSigner => &["signer=svc/imaf"],
    }
}

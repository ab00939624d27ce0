//! Judging again: replays entries through verify and admit and compares each decision with the recorded one.
//!
//! For auditors and recipients' clients: it needs no server and trusts none. It does not check hashes; the tree's
//! reader does that before it feeds an entry here.

use std::collections::{BTreeMap, BTreeSet};

use envelope::crl::Crl;
use envelope::entry::{Entry, MessageEntry};
use envelope::header::Header;
use envelope::keys::Verifier;
use envelope::message::{Record, Verified, signatures_sha256};
use envelope::slots::{Leaf, Opening};
use envelope::{Address, Network, Timestamp};
use proto::v1::{self, RecipientState, Signature};

use crate::admit::{Admission, Found, admit};
use crate::advices;
use crate::earlier::{self, Read};
use crate::exchange::{Exchange, HEAD_INTERVAL_MS, head_of};
use crate::prepared::{Ahead, Prepared, ReadHeader};
use crate::rules::{self, Rules};
use crate::series;
use crate::state::{Key, Overlay, Row, Rows};
use crate::statements::admit_statement;

/// Something that an honest gateway would not have written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// The entry.
    pub index: u64,
    /// The rule or check, e.g. "OVERSIGHT_MISSING".
    pub rule: &'static str,
    /// What was found.
    pub text: String,
}

/// Numbers of one series below its highest that no entry has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Gap {
    /// Whose numbers.
    pub sender: Address,
    /// Year and series.
    pub year: u32,
    /// Series within the year.
    pub series: u32,
    /// First missing number.
    pub first: u64,
    /// Last missing number.
    pub last: u64,
}

/// Judges the entries of a log in order, from entry 0.
#[derive(Debug)]
pub struct Judge<V> {
    exchange: Exchange,
    rules: Rules,
    verifier: Ahead<V>,
    genesis_sha256: [u8; 32],
    next: u64,
    last_at: Timestamp,
    findings: Vec<Finding>,
    /// CA certificates of genesis, in DER.
    issuers: Vec<Vec<u8>>,
    /// Places whose expiry is late; each is said once.
    late: BTreeSet<(u64, Address, u64)>,
    /// Places of which somebody was to be told; each is said once.
    untold: BTreeSet<(u64, Address, u64)>,
    /// Messages that later ones may name.
    read: Read,
    /// What the entry before said has ended: its sender is told in the next.
    ended: Option<v1::Expired>,
}

impl<V: Verifier> Judge<V> {
    /// A judge for the log that begins with the genesis of this digest.
    #[must_use]
    pub fn new(genesis_sha256: [u8; 32], verifier: V) -> Self {
        let (exchange, rules) = (Exchange::default(), Rules::default());
        Self {
            exchange,
            rules,
            verifier: Ahead::new(verifier),
            genesis_sha256,
            next: 0,
            last_at: Timestamp(0),
            findings: Vec::new(),
            issuers: Vec::new(),
            late: BTreeSet::new(),
            untold: BTreeSet::new(),
            read: Read::default(),
            ended: None,
        }
    }

    /// Judges the next entry; `signatures` are those kept beside a MESSAGE.
    pub fn feed(&mut self, leaf: &Leaf, opening: &Opening, signatures: &[Signature]) {
        self.feed_prepared(Prepared::new(*leaf, opening, signatures.to_vec()));
    }

    /// Judges the next entry, of which some work may have been done already; what is found is the same.
    pub fn feed_prepared(&mut self, prepared: Prepared) {
        let Prepared { leaf, signatures, entry, header, known } = prepared;
        let index = self.next;
        self.next += 1;
        if leaf.at < self.last_at {
            self.find(index, "TIME", format!("the entry is at {}, the one before at {}", leaf.at, self.last_at));
        }
        self.last_at = leaf.at.max(self.last_at);
        self.judge_deadlines(index, leaf.at);
        let entry = match entry {
            Ok(entry) => entry,
            Err((check, why)) => return self.find(index, check, why),
        };
        if let Entry::Genesis(signed) = &entry
            && let Ok(genesis) = envelope::statement::read::<v1::Genesis>(signed)
        {
            self.issuers = issuers(&genesis).map(<[u8]>::to_vec).collect();
            self.issuers.sort();
            self.issuers.dedup();
        }
        self.verifier.learn(known);
        let ended = self.ended.take();
        let untold = !matches!(entry, Entry::Advice { .. }) && rules::tells(self.exchange.state());
        if let Some(ended) = ended.as_ref().filter(|_| untold) {
            self.find(index, "ADVICE", format!("the message at {} has ended, and its sender was not told next", ended.index));
        }
        if let Err((rule, text)) = self.judge(leaf.at, &entry, signatures, header, ended.as_ref()) {
            self.find(index, rule, text);
        }
        match &entry {
            Entry::Message(message) => self.read.note(index, message),
            Entry::Expired(expired) => self.ended = Some(expired.clone()),
            _ => {}
        }
        if let Err(error) = self.exchange.replay(index, leaf.at, &entry) {
            self.find(index, "APPLY", error.to_string());
        }
    }

    /// What was found so far, in order.
    #[must_use]
    pub fn findings(&self) -> &[Finding] {
        &self.findings
    }

    /// Entries judged.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.next
    }

    /// The state that the entries lead to.
    #[must_use]
    pub fn exchange(&self) -> &Exchange {
        &self.exchange
    }

    /// How many messages each sender has, and the gaps in its numbers.
    #[must_use]
    pub fn references(&self) -> (BTreeMap<Address, u64>, Vec<Gap>) {
        let (mut counts, mut gaps) = (BTreeMap::new(), Vec::new());
        for (key, row) in self.exchange.state().rows() {
            let (Key::Series(sender, year, number), Row::Series(used)) = (key, row) else { continue };
            *counts.entry(sender.clone()).or_default() += used.used.iter().map(|range| range.last - range.first + 1).sum::<u64>();
            let gap = |range: v1::NumberRange| Gap { sender: sender.clone(), year, series: number, first: range.first, last: range.last };
            gaps.extend(series::gaps(used).into_iter().map(gap));
        }
        (counts, gaps)
    }

    fn find(&mut self, index: u64, rule: &'static str, text: String) {
        self.findings.push(Finding { index, rule, text });
    }

    fn judge(
        &self,
        at: Timestamp,
        entry: &Entry,
        signatures: Vec<Signature>,
        header: Option<ReadHeader>,
        ended: Option<&v1::Expired>,
    ) -> Result<(), (&'static str, String)> {
        let state = self.exchange.state();
        let index = self.next - 1;
        match entry {
            Entry::Genesis(signed) => {
                let digest = tlog::sha256(&envelope::entry::directory_leaf(signed));
                ensure(digest == self.genesis_sha256, "GENESIS", "it is not the genesis that trust.toml names")
            }
            Entry::Message(message) => self.judge_message(at, message, signatures, header),
            Entry::Directory { signed, directory_index } => {
                let next = state.directory().map_or(0, |row| row.size);
                ensure(*directory_index == next, "DIRECTORY", "its place in the directory is not the next one")?;
                self.judge_statement(at, entry, signed)
            }
            Entry::Mailbox { signed, .. }
            | Entry::Access(signed)
            | Entry::ClockStep(signed)
            | Entry::Grants(signed)
            | Entry::Group(signed)
            | Entry::Release { signed, .. }
            | Entry::Permission(signed) => self.judge_statement(at, entry, signed),
            Entry::Head(head) => {
                let expected = state.directory().map(|row| head_of(row));
                ensure(expected.as_ref() == Some(head), "HEAD", "it is not the head of the directory's statements")
            }
            Entry::StateClaim(claim) => {
                ensure(claim.state_sha256_sum == state.digest()[..], "STATE_CLAIM", "the replayed state has another digest")
            }
            Entry::Expired(expired) => self.judge_expired(at, expired),
            Entry::Advice { advice, places } => self.judge_advice(at, ended, advice, places),
            Entry::RevocationsSeen { seen, list } => self.judge_revocations(at, seen, list),
            Entry::Started(_) | Entry::Refused(_) | Entry::RefusalsCounted(_) | Entry::Later(_) => Ok(()),
        }?;
        self.judge_clock(index, at)
    }

    /// A Head is never older than twice its interval while batches are written.
    fn judge_clock(&self, index: u64, at: Timestamp) -> Result<(), (&'static str, String)> {
        let head_ms = self.exchange.state().directory().map_or(at.ms(), |row| row.head_ms);
        let previous_ms = self.exchange.state().clock().map_or(0, |clock| clock.last_ms);
        // The first batch after a pause finds an old head and ends with the new one; its entries share one time.
        let late = index > 1 && previous_ms > head_ms + 2 * HEAD_INTERVAL_MS && at.ms() > previous_ms;
        ensure(!late, "HEAD", "no head was appended for two hours of entries")
    }

    fn judge_message(
        &self,
        at: Timestamp,
        recorded: &MessageEntry,
        signatures: Vec<Signature>,
        header: Option<ReadHeader>,
    ) -> Result<(), (&'static str, String)> {
        let state = self.exchange.state();
        ensure(signatures_sha256(&signatures) == recorded.signatures_sha256, "BAD_SIGNATURE", "the signatures are not those of slot 2")?;
        let network = state.network().and_then(|row| Network::parse(&row.network).ok()).ok_or(("GENESIS", "there is none".to_owned()))?;
        let sender = Address::parse(&recorded.stub.sender).map_err(|error| ("NOT_SENDER", error.to_string()))?;
        let peer = recorded.peer(sender).map_err(|error| ("ENTRY", error.to_string()))?;
        let refused = |refusal: crate::Refusal| (refusal.name(), refusal.to_string());
        let header = header.and_then(|header| header.take(&network)).unwrap_or_else(|| Header::parse(&recorded.header, &network));
        let header = header.map_err(|error| refused(error.into()))?;
        let record = Record { header, signatures, sealed_sha256: recorded.sealed_sha256, wrap_keys: recorded.wrap_keys.clone(), peer };
        let verified = Verified::again(record, state, &self.verifier).map_err(|error| refused(error.into()))?;
        let overlay = Overlay::new(state);
        let earlier = earlier::named(&verified.header().context).and_then(|id| {
            let released = |index| state.held(index).is_some_and(|row| row.state() == RecipientState::Available);
            self.read.get(id, released)
        });
        let found = Found { prior: None, earlier: earlier.as_ref() };
        match admit(&overlay, &self.rules, at, found, verified).map_err(refused)? {
            Admission::New(admitted) => {
                let same = admitted.message() == recorded;
                ensure(same, "DECISION", "recipients, places, stub or decision are not those that the rules lead to")
            }
            Admission::Known(_) => Ok(()),
        }
    }

    fn judge_statement(&self, at: Timestamp, entry: &Entry, signed: &v1::SignedStatement) -> Result<(), (&'static str, String)> {
        let overlay = Overlay::new(self.exchange.state());
        let admitted = admit_statement(&overlay, at, None, signed.clone(), &self.verifier);
        let admitted = admitted.map_err(|refusal| (refusal.name(), refusal.to_string()))?.into_entry();
        let same = admitted.into_draft().slots == entry.clone().into_draft().slots;
        ensure(same, "DECISION", "the entry is not the one that the statement leads to")
    }

    /// The list itself is in the entry: signed by a CA of this network, newer, and adding just what the entry says.
    fn judge_revocations(&self, at: Timestamp, seen: &v1::RevocationsSeen, list: &[u8]) -> Result<(), (&'static str, String)> {
        let state = self.exchange.state();
        let opened = self.issuers.iter().find_map(|issuer| Crl::open(list, issuer, at).ok());
        let crl = opened.ok_or(("REVOCATIONS", "the list is not signed by a CA of this network".to_owned()))?;
        let newer = state.crl(&crl.issuer_key_sha256).is_none_or(|known| !crl.is_older_than(&known.number));
        let new = crl.serials.iter().filter(|serial| state.revoked(&crl.issuer_key_sha256, serial).is_none());
        let added: Vec<_> = new.map(|serial| v1::RevokedSerial { serial: serial.clone().into() }).collect();
        let same = seen.issuer_key_sha256 == crl.issuer_key_sha256[..]
            && seen.crl_number == crl.number
            && seen.crl_sha256 == crl.sha256[..]
            && seen.added == added;
        ensure(newer && same, "REVOCATIONS", "the list is older than the one before, or does not say what the entry says")
    }

    /// What nobody took in time is called expired soon after its end.
    fn judge_deadlines(&mut self, index: u64, at: Timestamp) {
        let state = self.exchange.state();
        let last = Timestamp(state.clock().map_or(0, |clock| clock.last_ms));
        // Entries of one time may still be working through what is due.
        if at <= last {
            return;
        }
        let by = last.minus(EXPIRY_LATE_MS);
        let late: Vec<_> = state.expiring(by).filter(|place| !self.late.contains(place)).take(LATE_MAX).collect();
        let untold: Vec<_> = state.escalating(by).filter(|place| !self.untold.contains(place)).take(LATE_MAX).collect();
        for place in late {
            let text = format!("message {} in the mailbox of {} is past its end and was not called expired", place.0, place.1);
            self.find(index, "EXPIRED", text);
            self.late.insert(place);
        }
        for place in untold {
            let text = format!("message {} in the mailbox of {} is not acknowledged, and nobody was told", place.0, place.1);
            self.find(index, "ADVICE", text);
            self.untold.insert(place);
        }
    }

    /// Who was told what, when it was due, and of no other message than the one that it names.
    fn judge_advice(
        &self,
        at: Timestamp,
        ended: Option<&v1::Expired>,
        advice: &v1::Advice,
        places: &[v1::Place],
    ) -> Result<(), (&'static str, String)> {
        let state = self.exchange.state();
        let id = advice.message_id.as_ref().try_into().ok();
        let known = id.and_then(|id| self.read.stub(&id)).filter(|(index, _)| *index == advice.index);
        let (index, stub) = known.ok_or(("ADVICE", "it names another message than its entry".to_owned()))?;
        let expected = match ended {
            Some(expired) => advices::not_delivered(state, expired, &stub),
            None => {
                let told = Address::parse(&advice.told).map_err(|error| ("ADVICE", error.to_string()))?;
                let mut seen = BTreeSet::new();
                for place in places {
                    let address = Address::parse(&place.address).map_err(|error| ("ADVICE", error.to_string()))?;
                    let due = advices::tells(state, index, place).filter(|(when, _)| *when <= at.ms());
                    let right = due.and_then(|(_, step)| step.told(&address)).is_some_and(|one| one == told);
                    let once = seen.insert((&place.address, place.mailbox_seq));
                    ensure(right && once, "ADVICE", "it was not due, or it is not for whom it tells")?;
                }
                advices::not_acknowledged(state, index, told, places.to_vec(), &stub)
            }
        };
        let same = matches!(expected, Some(Entry::Advice { advice: wanted, places: at }) if wanted == *advice && at == places);
        ensure(same, "ADVICE", "it does not say what is to be said of the message")
    }

    fn judge_expired(&self, at: Timestamp, expired: &v1::Expired) -> Result<(), (&'static str, String)> {
        for place in &expired.places {
            let address = Address::parse(&place.address).map_err(|error| ("EXPIRED", error.to_string()))?;
            let state = self.exchange.state();
            let waits =
                |row: &v1::PlaceRow| row.index == expired.index && row.state() == RecipientState::Available && row.expires_ms <= at.ms();
            let is_held =
                |row: &v1::HeldRow| row.held_by == place.address && row.state() == RecipientState::Held && row.expires_ms <= at.ms();
            let due = match place.mailbox_seq {
                0 => state.held(expired.index).is_some_and(|row| is_held(row)),
                seq => state.place(&address, seq).is_some_and(waits),
            };
            ensure(due, "EXPIRED", "a message was called expired before its end, or after it was taken")?;
        }
        Ok(())
    }
}

/// The CAs whose lists count: roots, and every CA of a chain that genesis enrolled.
fn issuers(genesis: &v1::Genesis) -> impl Iterator<Item = &[u8]> {
    let enrolled = genesis.participants.iter().flat_map(|participant| participant.identity_chain.iter().skip(1));
    genesis.roots.iter().chain(enrolled).map(|der| der.as_ref())
}

fn ensure(sound: bool, rule: &'static str, text: &str) -> Result<(), (&'static str, String)> {
    if sound { Ok(()) } else { Err((rule, text.to_owned())) }
}

/// An expiry may be this late while entries are written: a gateway that starts after a pause works through a backlog.
const EXPIRY_LATE_MS: u64 = 3_600_000;
/// Late expiries that are named at one entry.
const LATE_MAX: usize = 16;

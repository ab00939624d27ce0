//! Statements: who may say what, in which order, and what it leads to in the ledger (SPEC.md 8).
//!
//! Decides, changes nothing. Genesis is no matter of this file: it is entry 0 or nothing.

use envelope::canonical::EncodingError;
use envelope::dsse::SignatureFault;
use envelope::entry::Entry;
use envelope::genesis::{self, hex};
use envelope::identity::{Link, PublicKey, Revoked, Role};
use envelope::key_id::encryption_key_id;
use envelope::keys::Verifier;
use envelope::statement::{self, Acknowledged, Delivered, Head, Statement, StatementError};
use envelope::{Address, Class, Timestamp};
use proto::v1::{self, AuthorityKind, KeyState, ParticipantState, RecipientState, SignedStatement, StatementKind};

use crate::history::History;
use crate::refusal::Refusal;
use crate::rules::{COMPLIANCE_DESK, identity_holds, is_revoked};
use crate::state::Rows;

/// A statement that may be appended. Made by [`admit_statement`] only.
#[derive(Clone, Debug)]
pub struct AdmittedStatement {
    entry: Entry,
}

impl AdmittedStatement {
    /// The entry.
    #[must_use]
    pub fn into_entry(self) -> Entry {
        self.entry
    }
}

/// Judges a statement at ledger time `now`. `peer` is who brought it; `None` when a replay judges again.
///
/// # Errors
/// [`Refusal`] of the first check that fails.
pub fn admit_statement(
    rows: &dyn Rows,
    now: Timestamp,
    peer: Option<&Address>,
    signed: SignedStatement,
    verifier: &impl Verifier,
) -> Result<AdmittedStatement, Refusal> {
    Desk { rows, now: Some(now), peer, verifier, past: None }.admit(signed)
}

/// Judges a statement of the directory again without the log, as a client does: the gateway has looked at times and
/// revocations when it took the statement; here only who says what, and in which order, is looked at.
///
/// # Errors
/// [`Refusal`] of the first check that fails.
pub fn admit_again(rows: &dyn Rows, signed: SignedStatement, verifier: &impl Verifier) -> Result<AdmittedStatement, Refusal> {
    Desk { rows, now: None, peer: None, verifier, past: None }.admit(signed)
}

/// Judges the newest statement of what a participant may send, as that participant's own client does. Those before it are not at
/// hand, nor is the moment when it was taken: its issuer may since have been suspended or have another key. So any key counts that it
/// has had, active, in a directory of `least` statements or more; a Head before the statement's entry says how many those are.
///
/// # Errors
/// [`Refusal`] of the first check that fails.
pub fn grants_again(
    rows: &dyn Rows,
    signed: &SignedStatement,
    (past, least): (&History, u64),
    verifier: &impl Verifier,
) -> Result<(Address, v1::GrantStatement), Refusal> {
    Desk { rows, now: None, peer: None, verifier, past: Some((past, least)) }.grants(signed, false)
}

/// As [`grants_again`], of a group that the client's participant owns or belongs to.
///
/// # Errors
/// [`Refusal`] of the first check that fails.
pub fn group_again(
    rows: &dyn Rows,
    signed: &SignedStatement,
    (past, least): (&History, u64),
    verifier: &impl Verifier,
) -> Result<(Address, v1::Group), Refusal> {
    Desk { rows, now: None, peer: None, verifier, past: Some((past, least)) }.group(signed, false)
}

/// As [`grants_again`], of a permission that a message names, as its recipient's client does.
///
/// # Errors
/// [`Refusal`] of the first check that fails.
pub fn permission_again(
    rows: &dyn Rows,
    signed: &SignedStatement,
    (past, least): (&History, u64),
    verifier: &impl Verifier,
) -> Result<v1::Permission, Refusal> {
    Desk { rows, now: None, peer: None, verifier, past: Some((past, least)) }.permission(signed, false)
}

/// The statement that let a held message go, as its recipient's client reads it: signed by whom it was held for, about this message.
///
/// # Errors
/// [`Refusal`] of the first check that fails.
pub fn release_again(
    rows: &dyn Rows,
    signed: &SignedStatement,
    (past, least): (&History, u64),
    verifier: &impl Verifier,
) -> Result<(Address, v1::Release), Refusal> {
    let desk = Desk { rows, now: None, peer: None, verifier, past: Some((past, least)) };
    let (_, issuer, statement) = desk.by_issuer::<v1::Release>(signed, false, |_, _| Ok(()))?;
    Ok((issuer, statement))
}

/// What a statement is judged by.
struct Desk<'a, V> {
    rows: &'a dyn Rows,
    /// `None`: times and revocations are not looked at.
    now: Option<Timestamp>,
    peer: Option<&'a Address>,
    verifier: &'a V,
    /// Where the moment of the statement is not known: what its issuer was before.
    past: Option<(&'a History, u64)>,
}

impl<V: Verifier> Desk<'_, V> {
    fn admit(&self, signed: SignedStatement) -> Result<AdmittedStatement, Refusal> {
        let entry = self.entry(signed)?;
        Ok(AdmittedStatement { entry })
    }

    fn entry(&self, signed: SignedStatement) -> Result<Entry, Refusal> {
        match signed.kind() {
            StatementKind::Keys => self.keys(signed),
            StatementKind::Access => self.access(signed),
            StatementKind::Delivered => self.mailbox::<Delivered>(signed, |statement| &statement.0),
            StatementKind::Acknowledged => self.mailbox::<Acknowledged>(signed, |statement| &statement.0),
            StatementKind::ClockStep => self.clock_step(signed),
            StatementKind::Enrolment => self.enrolment(signed),
            StatementKind::Standing => self.standing(signed),
            StatementKind::Grants => self.grants(&signed, true).map(|_| Entry::Grants(signed)),
            StatementKind::Group => self.group(&signed, true).map(|_| Entry::Group(signed)),
            StatementKind::Release => self.release(signed),
            StatementKind::Permission => self.permission(&signed, true).map(|_| Entry::Permission(signed)),
            StatementKind::Genesis | StatementKind::Trust => Err(Refusal::NoAuthority("a statement of this kind is not published")),
            StatementKind::Unspecified => Err(Refusal::BadEncoding("field kind is absent or has no name in this version".to_owned())),
        }
    }

    fn keys(&self, signed: SignedStatement) -> Result<Entry, Refusal> {
        let (issuer, statement) = self.by_participant::<v1::KeyStatement>(&signed)?;
        let row = self.rows.participant(&issuer).ok_or(Refusal::NoAuthority("the issuer is not enrolled"))?;
        if statement.cert_chain_sha256 != row.chain_sha256 {
            return Err(Refusal::KeyRefused("cert_chain_sha256 is not that of the issuer's enrolled identity"));
        }
        let policy = self.rows.network().and_then(|network| network.policy.clone()).unwrap_or_default();
        let mut seen = Vec::new();
        for key in &statement.keys {
            let key_id = encryption_key_id(key.kem(), &key.public);
            if !policy.kems.contains(&key.kem) {
                return Err(Refusal::KeyRefused("the network's policy does not allow this kem"));
            }
            if seen.contains(&key_id) {
                return Err(Refusal::KeyRefused("a key stands twice in the set"));
            }
            self.key_may_become(&issuer, &key_id, key.state())?;
            seen.push(key_id);
        }
        Ok(self.directory(signed))
    }

    /// The entry of a statement that is the directory's next leaf.
    fn directory(&self, signed: SignedStatement) -> Entry {
        Entry::Directory { signed, directory_index: self.rows.directory().map_or(0, |row| row.size) }
    }

    fn enrolment(&self, signed: SignedStatement) -> Result<Entry, Refusal> {
        let (head, issuer, statement) = self.by_issuer::<v1::Enrolment>(&signed, true, of_subtree)?;
        let subject = subject(&head)?;
        let anchors = self.rows.anchors().ok_or(Refusal::NoAuthority("the ledger has no genesis"))?;
        let chain = statement.participant.as_ref().map_or(&[][..], |participant| &participant.identity_chain);
        // Everybody who reads the directory later judges by the statement's own time; the gateway by its own, too.
        let times = [Some(Timestamp(head.created_ms)), self.now];
        let judge = |at| anchors.judge(Role::Identity, chain, at, &RevokedByRows(self.rows));
        let judged = times.into_iter().flatten().map(judge).collect::<Result<Vec<_>, _>>();
        let judged = judged.map_err(|error| Refusal::CertificateRefused(error.to_string()))?;
        let refused = |why: &str| Err(Refusal::CertificateRefused(why.to_owned()));
        let certified = judged.first().ok_or(Refusal::NoAuthority("the ledger has no genesis"))?;
        if certified.address != subject {
            return refused("the certificate is another participant's");
        }
        let policy = self.rows.network().and_then(|network| network.policy.as_ref());
        if !genesis::allows(policy, certified.public.alg()) {
            return refused("the network's policy does not allow this algorithm");
        }
        if self.rows.identity_owner(&certified.key_id).is_some_and(|owner| owner.address != subject.as_str()) {
            return refused("the key is another participant's");
        }
        // Lists of its revocations are read by those whose own chain has the same CA.
        let bureau = self.rows.participant(&issuer).map_or(&[][..], |row| &row.links);
        if certified.links.iter().any(|link| bureau.iter().all(|known| known.issuer_key_sha256 != link.issuer_key_sha256[..])) {
            return refused("the certificate is not by the CA that has certified its bureau");
        }
        Ok(self.directory(signed))
    }

    fn standing(&self, signed: SignedStatement) -> Result<Entry, Refusal> {
        let of_country =
            |head: &Head, issuer: &Address| issuer.as_str() == COMPLIANCE_DESK && subject(head).is_ok_and(|one| one.class() == Class::Ncb);
        let of_both = |head: &Head, issuer: &Address| if of_country(head, issuer) { Ok(()) } else { of_subtree(head, issuer) };
        let (head, issuer, statement) = self.by_issuer::<v1::Standing>(&signed, true, of_both)?;
        if of_country(&head, &issuer) && statement.state() == ParticipantState::Withdrawn {
            return Err(Refusal::NoAuthority("a country leaves by the network authority's word"));
        }
        let subject = subject(&head)?;
        let row = self.rows.participant(&subject).ok_or(Refusal::NoAuthority("the subject is not enrolled"))?;
        if row.state() == ParticipantState::Withdrawn {
            return Err(Refusal::NoAuthority("who was withdrawn comes back by a new enrolment only"));
        }
        Ok(self.directory(signed))
    }

    /// `in_sequence`: whether it must be the next of its chain; a client sees the newest only.
    fn grants(&self, signed: &SignedStatement, in_sequence: bool) -> Result<(Address, v1::GrantStatement), Refusal> {
        let (head, _, statement) = self.by_issuer::<v1::GrantStatement>(signed, in_sequence, of_subtree)?;
        let subject = subject(&head)?;
        let state = self.rows.participant(&subject).map(|row| row.state());
        // What was granted and read later: the subject may have gone since.
        if state.is_none_or(|state| state == ParticipantState::Withdrawn && self.past.is_none()) {
            return Err(Refusal::NoAuthority("the subject is not enrolled, or withdrawn"));
        }
        Ok((subject, statement))
    }

    fn group(&self, signed: &SignedStatement, in_sequence: bool) -> Result<(Address, v1::Group), Refusal> {
        let owns = |head: &Head, issuer: &Address| {
            let group = subject(head)?;
            match self.rows.group(&group) {
                Some(row) if row.owner == issuer.as_str() => Ok(()),
                Some(_) => Err(Refusal::NoAuthority("the group is another participant's")),
                None if may_found(issuer, &group) => Ok(()),
                None => Err(Refusal::NoAuthority("a group of this name is not the issuer's to found")),
            }
        };
        let (head, _, statement) = self.by_issuer::<v1::Group>(signed, in_sequence, owns)?;
        let enrolled = |member: &String| Address::parse(member).is_ok_and(|address| self.rows.participant(&address).is_some());
        // A client may know the group of a member whom its directory does not have yet.
        if self.past.is_none() && !statement.members.iter().all(enrolled) {
            return Err(Refusal::NoAuthority("a member is not enrolled"));
        }
        Ok((subject(&head)?, statement))
    }

    /// Whose word it waits for ends the hold of a message, once.
    fn release(&self, signed: SignedStatement) -> Result<Entry, Refusal> {
        let any = |_: &Head, _: &Address| Ok(());
        let (head, issuer, statement) = self.by_issuer::<v1::Release>(&signed, true, any)?;
        let sender = subject(&head)?;
        let held = self
            .rows
            .held(statement.entry_index)
            .filter(|row| row.message_id == statement.message_id && row.sender == sender.as_str() && row.held_by == issuer.as_str());
        let held = held.ok_or(Refusal::NoAuthority("no message of this sender and id is held for the issuer at that entry"))?;
        if held.state() != RecipientState::Held {
            return Err(Refusal::NoAuthority("the message was released, refused or has expired already"));
        }
        if let Some(now) = self.now.filter(|now| held.expires_ms <= now.ms()) {
            return Err(Refusal::Expired { expires: Timestamp(held.expires_ms), now });
        }
        let next = |text: &String| {
            let last = Address::parse(text).ok().and_then(|address| self.rows.mailbox(&address)).map_or(0, |row| row.last_seq);
            v1::Place { address: text.clone(), mailbox_seq: last + 1 }
        };
        let released = statement.verdict() == v1::ReleaseVerdict::Released;
        let places = if released { held.recipients.iter().map(next).collect() } else { Vec::new() };
        Ok(Entry::Release { signed, places })
    }

    /// `in_sequence`: as of grants.
    fn permission(&self, signed: &SignedStatement, in_sequence: bool) -> Result<v1::Permission, Refusal> {
        let kind = statement::read::<v1::Permission>(signed).map_err(refuse)?.kind();
        // Whose message it is, the rule that takes an onward grant looks at. What one below a bureau says goes past nobody.
        let may_give = |head: &Head, issuer: &Address| match kind {
            AuthorityKind::OnwardGrant if issuer.own_ncb().is_none() => Ok(()),
            AuthorityKind::OnwardGrant => Err(Refusal::NoAuthority("who is below a bureau lets the bureau give it")),
            _ => of_subtree(head, issuer),
        };
        let (head, _, statement) = self.by_issuer::<v1::Permission>(signed, in_sequence, may_give)?;
        let enrolled = |text: &String| Address::parse(text).is_ok_and(|address| self.rows.participant(&address).is_some());
        // A client may read of somebody whom its directory does not have yet.
        let known = self.past.is_some() || statement.recipients.iter().all(enrolled);
        if self.rows.participant(&subject(&head)?).is_none() || !known {
            return Err(Refusal::NoAuthority("the subject or a recipient is not enrolled"));
        }
        Ok(statement)
    }

    /// A key belongs to one address, and its state only goes forward.
    fn key_may_become(&self, issuer: &Address, key_id: &[u8; 32], state: KeyState) -> Result<(), Refusal> {
        let Some(owner) = self.rows.key_owner(key_id) else { return Ok(()) };
        if owner.address != issuer.as_str() {
            return Err(Refusal::KeyRefused("the key is another participant's"));
        }
        if state < owner.state() {
            return Err(Refusal::KeyRefused("a key that was retired or revoked does not come back"));
        }
        Ok(())
    }

    fn access(&self, signed: SignedStatement) -> Result<Entry, Refusal> {
        let (issuer, _) = self.by_participant::<v1::AccessStatement>(&signed)?;
        if issuer.class() != Class::Auditor {
            return Err(Refusal::NoAuthority("an access statement is an auditor's"));
        }
        Ok(Entry::Access(signed))
    }

    fn mailbox<S: Statement>(&self, signed: SignedStatement, body: impl Fn(&S) -> &v1::MailboxStatement) -> Result<Entry, Refusal> {
        let (issuer, statement) = self.by_participant::<S>(&signed)?;
        for item in &body(&statement).items {
            let place = self.rows.place(&issuer, item.mailbox_seq);
            if place.is_none_or(|place| place.message_id != item.message_id) {
                return Err(Refusal::UnknownMessage { mailbox_seq: item.mailbox_seq });
            }
        }
        let chain = self.rows.participant(&issuer).and_then(|row| row.chain_sha256.as_ref().try_into().ok());
        Ok(Entry::Mailbox { signed, chain_sha256: chain.unwrap_or_default() })
    }

    fn clock_step(&self, signed: SignedStatement) -> Result<Entry, Refusal> {
        let network = self.rows.network().ok_or(Refusal::NoAuthority("the ledger has no genesis"))?;
        let (authority, threshold) = (&network.authority, network.authority_threshold);
        let statement: v1::ClockStep = statement::open_by_authority(self.verifier, &signed, authority, threshold).map_err(refuse)?;
        let head = self.head(&statement)?;
        if head.issuer.is_some() || head.subject.is_some() {
            return Err(Refusal::NoAuthority("the network authority sets the ledger's time"));
        }
        self.in_sequence(&head, StatementKind::ClockStep)?;
        let last = self.rows.clock().map_or(0, |clock| clock.last_ms);
        if statement.now_ms < last {
            return Err(Refusal::NoAuthority("the ledger's time does not go back"));
        }
        Ok(Entry::ClockStep(signed))
    }

    /// As [`Desk::by_issuer`], of a participant that speaks for itself.
    fn by_participant<S: Statement>(&self, signed: &SignedStatement) -> Result<(Address, S), Refusal> {
        let (_, issuer, statement) = self.by_issuer(signed, true, of_itself)?;
        Ok((issuer, statement))
    }

    /// Checks that the issuer itself brought and signed it, may speak of the subject, is active, and, when asked, that it is
    /// the next of its chain.
    fn by_issuer<S: Statement>(
        &self,
        signed: &SignedStatement,
        in_sequence: bool,
        may_speak: impl Fn(&Head, &Address) -> Result<(), Refusal>,
    ) -> Result<(Head, Address, S), Refusal> {
        let statement: S = statement::read(signed).map_err(refuse)?;
        let head = self.head(&statement)?;
        let issuer = head.issuer.clone().ok_or(Refusal::NoAuthority("the network authority does not issue this kind"))?;
        if self.peer.is_some_and(|peer| *peer != issuer) {
            return Err(Refusal::NotSender(format!("the issuer is {issuer}, the TLS certificate's address is another")));
        }
        may_speak(&head, &issuer)?;
        let row = self.rows.participant(&issuer).ok_or_else(|| Refusal::NotSender(format!("{issuer} is not enrolled")))?;
        if let Some((past, least)) = self.past {
            let key_id = signed.signatures.first().map_or(&[][..], |signature| &signature.key_id);
            let row = past.with_key(&issuer, row, key_id, least).ok_or(Refusal::NoAuthority("the issuer was not active with this key"))?;
            self.check_signature::<S>(signed, row)?;
            return Ok((head, issuer, statement));
        }
        self.check_signature::<S>(signed, row)?;
        if !matches!(row.state(), ParticipantState::Active | ParticipantState::Supervised) {
            return Err(Refusal::Suspended { address: issuer, state: "not active" });
        }
        self.now.map_or(Ok(()), |now| identity_holds(self.rows, &issuer, now))?;
        if in_sequence {
            self.in_sequence(&head, S::KIND)?;
        }
        Ok((head, issuer, statement))
    }

    fn check_signature<S: Statement>(&self, signed: &SignedStatement, row: &v1::ParticipantRow) -> Result<(), Refusal> {
        let signer = (row.key_id.as_ref().try_into().ok()).zip(PublicKey::read(row.alg(), &row.public));
        let signer = signer.ok_or(Refusal::NoAuthority("the issuer has no identity key"))?;
        statement::verify::<S>(self.verifier, signed, &[signer]).map_err(|fault| refuse(fault.into()))
    }

    fn head<S: Statement>(&self, statement: &S) -> Result<Head, Refusal> {
        let head = statement::read_head(statement.head())?;
        let network = self.rows.network().map(|row| row.network.as_str());
        if network != Some(head.network.as_str()) {
            return Err(EncodingError::Network.into());
        }
        let skew_max_ms = self.rows.network().and_then(|row| row.policy.as_ref()).map_or(0, |policy| policy.skew_max_ms);
        let Some(now) = self.now else { return Ok(head) };
        let created = Timestamp(head.created_ms);
        if S::KIND != StatementKind::ClockStep && created > now.plus(skew_max_ms) {
            return Err(Refusal::ClockSkew { created, now, skew_max_ms });
        }
        if head.expires_ms != 0 && head.expires_ms <= now.ms() {
            return Err(Refusal::Expired { expires: Timestamp(head.expires_ms), now });
        }
        Ok(head)
    }

    fn in_sequence(&self, head: &Head, kind: StatementKind) -> Result<(), Refusal> {
        let last = self.rows.chain(head.issuer.as_ref(), kind, head.subject.as_ref());
        let (seq, prev) = last.map_or((1, None), |row| (row.seq + 1, <[u8; 32]>::try_from(row.sha256.as_ref()).ok()));
        if head.seq == seq && head.prev_sha256 == prev {
            return Ok(());
        }
        Err(Refusal::BadSequence { seq, prev_sha256: prev.map_or_else(String::new, |prev| hex(&prev)) })
    }
}

fn subject(head: &Head) -> Result<Address, Refusal> {
    head.subject.clone().ok_or(Refusal::NoAuthority("the subject is the network"))
}

fn of_itself(head: &Head, issuer: &Address) -> Result<(), Refusal> {
    let sound = head.subject.as_ref() == Some(issuer);
    if sound { Ok(()) } else { Err(Refusal::NoAuthority("a participant speaks for itself in this kind")) }
}

/// The subject is answerable to the issuer.
fn of_subtree(head: &Head, issuer: &Address) -> Result<(), Refusal> {
    let own = subject(head)?.own_ncb().is_some_and(|ncb| ncb == *issuer);
    if own { Ok(()) } else { Err(Refusal::NoAuthority("a bureau speaks of those below it only")) }
}

/// Whose it is to give a group its first members: a country its NEST's, a bureau or a desk an operation's, a task force's or a
/// case room's, a desk of the General Secretariat any other's.
fn may_found(issuer: &Address, group: &Address) -> bool {
    let segments: Vec<&str> = group.as_str().split('/').collect();
    match segments[..] {
        ["grp", "nest", country] => issuer.as_str() == country,
        ["grp", "op" | "tf", _] | ["case", _] => matches!(issuer.class(), Class::Ncb | Class::Ipsg),
        ["grp", ..] => issuer.class() == Class::Ipsg,
        _ => false,
    }
}

/// What the state at this position holds revoked.
struct RevokedByRows<'a>(&'a dyn Rows);

impl Revoked for RevokedByRows<'_> {
    fn is_revoked(&self, link: &Link) -> bool {
        is_revoked(self.0, link)
    }
}

fn refuse(error: StatementError) -> Refusal {
    match error {
        StatementError::Encoding(encoding) => encoding.into(),
        StatementError::Signature(SignatureFault::Signature(_) | SignatureFault::Signers { .. }) => {
            Refusal::BadSignature(error.to_string())
        }
        StatementError::Kind { .. } => Refusal::BadEncoding(error.to_string()),
    }
}

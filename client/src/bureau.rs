//! A bureau and those below it: who they are, what they may send, and where they stand. All of it is statements that the bureau
//! signs and the ledger keeps.
//!
//! It does not know what a rule makes of them; the exchange does.

use std::path::Path;

use envelope::identity::Certified;
use envelope::{Address, Class, Timestamp};
use exchange::rules::COMPLIANCE_DESK;
use exchange::state::Rows as _;
use proto::v1::{self, Classification, Grant, OversightMode, Participant, ParticipantRow, ParticipantState, StandingReason, StatementKind};
use rustls_pki_types::CertificateDer;

use crate::client::Client;
use crate::clock;
use crate::code;
use crate::error::Error;
use crate::statements::Topic;

/// What a bureau lays down for somebody below it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Terms {
    /// The highest class of content that it may hold.
    pub clearance: Classification,
    /// Whether others than its own country may write to it.
    pub open_to_foreign: bool,
    /// How the bureau sees what it sends abroad.
    pub oversight: OversightMode,
}

impl Default for Terms {
    /// Closed to others, a copy of what goes abroad.
    fn default() -> Self {
        Self { clearance: Classification::Restricted, open_to_foreign: false, oversight: OversightMode::Copy }
    }
}

impl Terms {
    /// Those that hold now.
    #[must_use]
    pub fn of(row: &ParticipantRow) -> Self {
        Self { clearance: row.clearance(), open_to_foreign: row.open_to_foreign, oversight: row.oversight() }
    }
}

/// Somebody below a bureau, as the directory has it.
#[derive(Clone, Debug, PartialEq)]
pub struct Member {
    /// Whose row it is.
    pub address: Address,
    /// What the directory says.
    pub row: ParticipantRow,
    /// Whether it has published an encryption key, so that it can be written to.
    pub has_key: bool,
}

impl Client {
    /// Everybody below this bureau, in order of address; for the compliance desk, which answers for them, the bureaus.
    #[must_use]
    pub fn members(&self) -> Vec<Member> {
        let state = self.directory().state();
        if self.address().as_str() == COMPLIANCE_DESK {
            return state.all_participants().filter(|one| one.class() == Class::Ncb).filter_map(|one| self.participant(one)).collect();
        }
        let below = state.participants(self.address()).take_while(|address| address.first_segment() == self.address().first_segment());
        below.filter(|address| address.own_ncb().as_ref() == Some(self.address())).filter_map(|address| self.participant(address)).collect()
    }

    /// An identity's chain from a PEM file, and whom it stands for.
    ///
    /// # Errors
    /// [`Error::Argument`] when there is none, or it does not hold.
    pub fn certified(&self, chain: &Path) -> Result<(Vec<CertificateDer<'static>>, Certified), Error> {
        code::certified(chain, self.profile.anchors(), clock::now())
    }

    /// Enrols whom the chain in a PEM file stands for, or lays down new terms for it; gives its address.
    ///
    /// # Errors
    /// [`Error::Argument`] when the chain does not hold or is not of this bureau's; what the gateway refuses.
    pub async fn enrol(&mut self, chain: &Path, terms: Terms) -> Result<Address, Error> {
        let (ders, certified) = self.certified(chain)?;
        let subject = certified.address;
        let participant = Participant {
            address: subject.to_string(),
            state: ParticipantState::Active.into(),
            identity_chain: ders.iter().map(|der| der.to_vec().into()).collect(),
            clearance: terms.clearance.into(),
            open_to_foreign: terms.open_to_foreign,
            oversight: terms.oversight.into(),
        };
        let topic = Topic::about(StatementKind::Enrolment, self.below(&subject)?);
        self.publish(topic, |head| v1::Enrolment { head: Some(head), participant: Some(participant.clone()) }, 0).await?;
        self.refresh_directory().await?;
        let chain = envelope::identity::chain_sha256(&ders);
        self.demand(&subject, |row| row.chain_sha256 == chain[..])?;
        Ok(subject)
    }

    /// Sets the state of somebody below this bureau; of a country, when this is `ipsg/compliance`.
    ///
    /// # Errors
    /// What the gateway refuses, or [`Error::Unreachable`].
    pub async fn set_standing(&mut self, subject: &Address, state: ParticipantState, reason: StandingReason) -> Result<(), Error> {
        if subject == self.address() {
            return Err(Error::Argument(format!("{subject} sets no state of its own: whoever answers for it does")));
        }
        // With the membership end the grants: whoever comes back begins with none.
        if state == ParticipantState::Withdrawn
            && self.below(subject).is_ok()
            && self.grants_of(subject).await?.is_some_and(|all| !all.is_empty())
        {
            self.set_grants(subject, Vec::new()).await?;
        }
        let topic = Topic::about(StatementKind::Standing, subject);
        let build = |head| v1::Standing { head: Some(head), state: state.into(), reason: reason.into() };
        self.publish(topic, build, 0).await?;
        self.refresh_directory().await?;
        self.demand(subject, |row| row.state() == state)
    }

    /// Somebody enrolled, below this bureau or not.
    #[must_use]
    pub fn participant(&self, address: &Address) -> Option<Member> {
        let row = self.directory().state().participant(address)?.clone();
        Some(Member { address: address.clone(), row: *row, has_key: self.directory().current_key(address).is_some() })
    }

    /// What was said must stand in the directory by now.
    fn demand(&self, subject: &Address, shown: impl Fn(&ParticipantRow) -> bool) -> Result<(), Error> {
        let row = self.directory().state().participant(subject);
        let shown = row.is_some_and(|row| shown(row));
        if shown {
            Ok(())
        } else {
            Err(Error::unsound(format!("the gateway took the statement, and its directory does not show it of {subject}")))
        }
    }

    /// What somebody below this bureau, or oneself, may send by grants of its own; `None` when its class's grants count.
    ///
    /// # Errors
    /// [`Error::Unsound`] when the answer does not hold, or [`Error::Unreachable`].
    pub async fn grants_of(&self, subject: &Address) -> Result<Option<Vec<Grant>>, Error> {
        let receipt = self.grants_receipt(subject).await?;
        // One's own last word is known; less than that is withheld.
        let least = if self.below(subject).is_ok() { self.last_seq(&Topic::about(StatementKind::Grants, subject))? } else { 0 };
        let (seq, statement) = match receipt.is_empty() {
            true => (0, None),
            false => self.directory().open_grants(&receipt, subject, &self.profile).map(|(seq, one)| (seq, Some(one)))?,
        };
        if seq < least {
            return Err(Error::unsound(format!("the gateway shows statement {seq} of the grants of {subject}, {least} were made")));
        }
        Ok(statement.map(|statement| statement.grants))
    }

    /// Replaces all grants of somebody below this bureau.
    ///
    /// # Errors
    /// What the gateway refuses, or [`Error::Unreachable`].
    pub async fn set_grants(&mut self, subject: &Address, grants: Vec<Grant>) -> Result<(), Error> {
        let topic = Topic::about(StatementKind::Grants, self.below(subject)?);
        self.publish(topic, |head| v1::GrantStatement { head: Some(head), grants: grants.clone() }, 0).await.map(drop)
    }

    fn below<'a>(&self, subject: &'a Address) -> Result<&'a Address, Error> {
        if subject.own_ncb().as_ref() == Some(self.address()) {
            return Ok(subject);
        }
        Err(Error::Argument(format!("{subject} is not below {}; a bureau speaks of those below it only", self.address())))
    }
}

/// A grant with its lists in the one order that a statement takes.
#[must_use]
pub fn in_order(mut grant: Grant) -> Grant {
    for list in [&mut grant.kinds, &mut grant.priorities, &mut grant.classifications] {
        list.sort_unstable();
        list.dedup();
    }
    grant
}

/// Those of `grants` that still hold, without the kinds named; of no kind named, none.
#[must_use]
pub fn without(grants: Vec<Grant>, kinds: &[v1::Kind], now: Timestamp) -> Vec<Grant> {
    let left = |mut grant: Grant| {
        grant.kinds.retain(|kind| !kinds.is_empty() && kinds.iter().all(|taken| i32::from(*taken) != *kind));
        grant
    };
    let holds = |grant: &Grant| !grant.kinds.is_empty() && (grant.expires_ms == 0 || grant.expires_ms > now.ms());
    grants.into_iter().map(left).filter(holds).collect()
}

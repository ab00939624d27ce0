//! A bureau and those below it: who they are, what they may send, and where they stand. All of it is statements that the bureau
//! signs and the ledger keeps.
//!
//! It does not know what a rule makes of them; the exchange does.

use std::path::Path;

use envelope::identity::{NothingRevoked, Role};
use envelope::{Address, Timestamp};
use exchange::state::Rows as _;
use proto::v1::{self, Classification, Grant, OversightMode, Participant, ParticipantRow, ParticipantState, StandingReason, StatementKind};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject as _;

use crate::client::Client;
use crate::clock;
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
    /// Everybody below this bureau, in order of address.
    #[must_use]
    pub fn members(&self) -> Vec<Member> {
        let state = self.directory().state();
        let below = state.participants(self.address()).take_while(|address| address.first_segment() == self.address().first_segment());
        let member = |address: &Address| {
            let row = state.participant(address)?.clone();
            Some(Member { address: address.clone(), row: *row, has_key: self.directory().current_key(address).is_some() })
        };
        below.filter(|address| address.own_ncb().as_ref() == Some(self.address())).filter_map(member).collect()
    }

    /// Enrols whom the chain in a PEM file stands for, or lays down new terms for it; gives its address.
    ///
    /// # Errors
    /// [`Error::Argument`] when the chain does not hold or is not of this bureau's; what the gateway refuses.
    pub async fn enrol(&mut self, chain: &Path, terms: Terms) -> Result<Address, Error> {
        let ders: Result<Vec<_>, _> = CertificateDer::pem_file_iter(chain).and_then(Iterator::collect);
        let ders = ders.map_err(|error| Error::Argument(format!("{}: {error}", chain.display())))?;
        let judged = self.profile.anchors().judge(Role::Identity, &ders, clock::now(), &NothingRevoked);
        let subject = judged.map_err(|error| Error::Argument(format!("{}: {error}", chain.display())))?.address;
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
        Ok(subject)
    }

    /// Sets the state of somebody below this bureau; of a country, when this is `ipsg/compliance`.
    ///
    /// # Errors
    /// What the gateway refuses, or [`Error::Unreachable`].
    pub async fn set_standing(&mut self, subject: &Address, state: ParticipantState, reason: StandingReason) -> Result<(), Error> {
        let topic = Topic::about(StatementKind::Standing, subject);
        let build = |head| v1::Standing { head: Some(head), state: state.into(), reason: reason.into() };
        self.publish(topic, build, 0).await?;
        self.refresh_directory().await
    }

    /// What somebody below this bureau, or oneself, may send by grants of its own; `None` when its class's grants count.
    ///
    /// # Errors
    /// [`Error::Unsound`] when the answer does not hold, or [`Error::Unreachable`].
    pub async fn grants_of(&self, subject: &Address) -> Result<Option<Vec<Grant>>, Error> {
        let receipt = self.grants_receipt(subject).await?;
        if receipt.is_empty() {
            return Ok(None);
        }
        let (_, statement) = self.directory().open_grants(&receipt, subject, &self.profile)?;
        Ok(Some(statement.grants))
    }

    /// Replaces all grants of somebody below this bureau.
    ///
    /// # Errors
    /// What the gateway refuses, or [`Error::Unreachable`].
    pub async fn set_grants(&mut self, subject: &Address, grants: Vec<Grant>) -> Result<(), Error> {
        let topic = Topic::about(StatementKind::Grants, self.below(subject)?);
        self.publish(topic, |head| v1::GrantStatement { head: Some(head), grants: grants.clone() }, 0).await.map(drop)
    }

    /// Waits until the directory has grown, and takes what is new.
    ///
    /// # Errors
    /// [`Error::Unreachable`] when the connection ends, or [`Error::Unsound`].
    pub async fn wait_for_directory(&mut self) -> Result<(), Error> {
        let from_size = self.directory().size();
        let news = match self.directory_service()?.watch(v1::WatchRequest { from_size }).await {
            Ok(news) => news.into_inner().message().await,
            Err(status) => Err(status),
        };
        match news {
            Ok(Some(_)) => self.refresh_directory().await,
            Ok(None) => Err(self.unreachable("the gateway has ended the connection")),
            Err(status) => Err(self.failed(&status).await),
        }
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

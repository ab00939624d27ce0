//! Groups: who belongs, and what a message to one becomes. The gateway knows members and senders' rights and no more; a message
//! goes to each member by name, sealed to each.
//!
//! It does not know what a rule makes of a group; the exchange does.

use envelope::Address;
use envelope::{Class, Timestamp};
use proto::v1::{self, GroupRow, GroupSenders, StatementKind};

use crate::client::Client;
use crate::compose::Compose;
use crate::error::Error;
use crate::statements::Topic;
use exchange::rules::{ALL_BUREAUS, COMPLIANCE_DESK, IPSG_DESK};

/// Recipients by name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Expanded {
    pub(crate) to: Vec<Address>,
    /// The group that they stand for; left out when somebody of it is denied, so that nobody can tell.
    pub(crate) via: Option<Address>,
}

impl Client {
    /// The groups that this participant owns or belongs to, in order of address.
    #[must_use]
    pub fn groups(&self) -> Vec<(Address, GroupRow)> {
        let mut groups: Vec<_> = self.directory().state().groups().map(|(group, row)| (group.clone(), row.clone())).collect();
        groups.reverse();
        groups
    }

    /// Founds a group, or says anew who belongs to it; without members it has ended.
    ///
    /// # Errors
    /// What the gateway refuses, or [`Error::Unreachable`].
    pub async fn set_group(
        &mut self,
        group: &Address,
        mut members: Vec<Address>,
        senders: GroupSenders,
        ends: Option<Timestamp>,
    ) -> Result<(), Error> {
        if group.class() != Class::Group {
            return Err(Error::Argument(format!("{group} is no group: grp/... or case/...")));
        }
        members.sort();
        members.dedup();
        if members.iter().any(|one| self.participant(one).is_none()) {
            // They may be new.
            self.refresh_directory().await?;
        }
        if let Some(stranger) = members.iter().find(|one| self.participant(one).is_none()) {
            return Err(Error::Argument(format!("{stranger} is no participant")));
        }
        let names: Vec<String> = members.iter().map(ToString::to_string).collect();
        let build =
            |head| v1::Group { head: Some(head), members: names.clone(), senders: senders.into(), ends_ms: ends.map_or(0, Timestamp::ms) };
        self.publish(Topic::about(StatementKind::Group, group), build, 0).await?;
        self.refresh_directory().await
    }

    /// A message that waited for its seal goes to those who belong to its group by now.
    pub(crate) fn leave_out_who_left(&self, context: &mut v1::Context) {
        let Ok(group) = Address::parse(&context.via_group) else { return };
        let Some(row) = exchange::Rows::group(self.directory().state(), &group) else { return };
        let addresses = context.recipients.iter().filter(|one| row.members.contains(one)).filter_map(|one| Address::parse(one).ok());
        let mut kept = crate::compose::with_oversight(self.address(), &addresses.collect::<Vec<_>>(), false);
        let desks = [IPSG_DESK, COMPLIANCE_DESK].into_iter().filter_map(|desk| Address::parse(desk).ok());
        kept.extend(desks.filter(|desk| context.recipients.contains(&desk.to_string())));
        let kept: Vec<String> = kept.iter().map(Address::to_string).collect();
        context.recipients.retain(|one| kept.contains(one));
    }

    fn waives(&self, permissions: &[[u8; 32]]) -> bool {
        let state = self.directory().state();
        let waiver =
            |digest: &[u8; 32]| exchange::Rows::permission(state, digest).is_some_and(|row| row.kind() == v1::AuthorityKind::Waiver);
        permissions.iter().any(waiver)
    }

    fn members_of(&self, group: &Address) -> Result<Vec<Address>, Error> {
        if group.as_str() == ALL_BUREAUS {
            return Ok(self.bureaus());
        }
        let row = exchange::Rows::group(self.directory().state(), group);
        let row = row.ok_or_else(|| Error::Argument(format!("{group} is no group that {} owns or belongs to", self.address())))?;
        Ok(row.members.iter().filter_map(|member| Address::parse(member).ok()).collect())
    }

    /// Every NCB that can receive, in order of address.
    #[must_use]
    pub fn bureaus(&self) -> Vec<Address> {
        let state = self.directory().state();
        let all = state.all_participants().filter(|address| address.class() == Class::Ncb);
        all.filter(|address| exchange::rules::barred(state, address).is_none()).cloned().collect()
    }

    /// The recipients of a message by name: a group becomes its members but the sender and those excepted.
    pub(crate) fn expand(&self, message: &Compose) -> Result<Expanded, Error> {
        self.are_known(&message.except)?;
        let mut groups = message.to.iter().filter(|address| address.class() == Class::Group);
        let Some(group) = groups.next() else {
            let to = message.to.iter().filter(|one| !message.except.contains(one)).cloned().collect();
            return Ok(Expanded { to, via: None });
        };
        if groups.next().is_some() {
            return Err(Error::Argument("a message goes to one group at most; send it to each".to_owned()));
        }
        let members = self.members_of(group)?;
        if members.is_empty() {
            return Err(Error::Argument(format!("{group} has ended: nobody belongs to it")));
        }
        if let Some(stranger) = message.to.iter().find(|one| *one != group && !members.contains(one) && one.as_str() != IPSG_DESK) {
            return Err(Error::Argument(format!("{stranger} does not belong to {group}; send it a message of its own")));
        }
        let named = message.to.iter().filter(|one| *one != group).cloned();
        let mut to: Vec<Address> = members.iter().filter(|member| *member != self.address()).cloned().collect();
        to.extend(named.filter(|one| !members.contains(one)));
        let denied = to.iter().any(|one| message.except.contains(one));
        to.retain(|one| !message.except.contains(one));
        if to.is_empty() {
            return Err(Error::Argument(format!("nobody is left of {group}")));
        }
        // The copy of a bureau is not the sender's to leave out.
        if let Some(bureau) = crate::compose::with_oversight(self.address(), &to, self.waives(&message.permissions))
            .iter()
            .find(|one| message.except.contains(one))
        {
            return Err(Error::Argument(format!(
                "{bureau} answers for the sender or for a recipient and gets its copy; it cannot be left out"
            )));
        }
        Ok(Expanded { to, via: (!denied).then(|| group.clone()) })
    }

    /// A slip of the pen in whom to leave out would send the message to exactly that one.
    fn are_known(&self, excepted: &[Address]) -> Result<(), Error> {
        let stranger = excepted.iter().find(|one| self.participant(one).is_none());
        stranger.map_or(Ok(()), |stranger| Err(Error::Argument(format!("{stranger} is no participant, so nobody would be left out"))))
    }
}

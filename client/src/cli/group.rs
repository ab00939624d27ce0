//! `group`: who belongs together.

use std::process::ExitCode;

use envelope::{Address, Timestamp};
use proto::v1::{GroupRow, GroupSenders};
use serde::Serialize;

use super::args::GroupCommand;
use super::secrets::Secrets;
use super::{args, print};
use crate::words::Word as _;
use crate::{Error, clock};

pub(super) async fn run(group: &args::Group, secrets: &Secrets, way: &args::Way) -> Result<ExitCode, Error> {
    let office = group.command.office();
    let profile = super::open(&office.profile, secrets, super::PROFILE_WAIT, way).await?;
    let mut client = super::connect(&profile, way).await?;
    match &group.command {
        GroupCommand::Set(set) => {
            let ends = set.days.map(|days| clock::now().plus(u64::from(days) * DAY_MS));
            client.set_group(&set.group, set.member.clone(), set.senders, ends).await?;
        }
        GroupCommand::End(end) => {
            let owned = client.groups().into_iter().find(|(group, row)| *group == end.group && row.owner == client.address().as_str());
            match owned {
                None => return Err(Error::Argument(format!("{} is no group of {}", end.group, client.address()))),
                Some((_, row)) if row.members.is_empty() => print::note(&format!("{} has ended before", end.group)),
                Some(_) => client.set_group(&end.group, Vec::new(), GroupSenders::Owner, None).await?,
            }
        }
        GroupCommand::List(_) => client.refresh_directory().await?,
    }
    let wanted = match &group.command {
        GroupCommand::Set(set) => Some(&set.group),
        GroupCommand::End(end) => Some(&end.group),
        GroupCommand::List(_) => None,
    };
    let groups = client.groups();
    if groups.is_empty() {
        print::note(&format!("{} owns no group and belongs to none", client.address()));
    }
    groups
        .iter()
        .filter(|(address, _)| wanted.is_none_or(|wanted| wanted == address))
        .for_each(|(address, row)| say(address, row, office.json));
    Ok(ExitCode::SUCCESS)
}

#[derive(Serialize)]
struct GroupLine<'a> {
    group: String,
    owner: &'a str,
    senders: String,
    version: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    until: Option<String>,
    members: &'a [String],
}

fn say(group: &Address, row: &GroupRow, json: bool) {
    let until = (row.ends_ms != 0).then(|| Timestamp(row.ends_ms).to_string());
    let (owner, senders, version) = (row.owner.as_str(), row.senders().word(), row.version);
    if json {
        return print::json(&GroupLine { group: group.to_string(), owner, senders, version, until, members: &row.members });
    }
    let until = until.map_or_else(String::new, |until| format!("  until {until}"));
    let members = if row.members.is_empty() { "ended".to_owned() } else { row.members.join(", ") };
    print::line(&format!("{:<28} of {owner}, version {version}, {senders} may send{until}: {members}", group.to_string()));
}

const DAY_MS: u64 = 86_400_000;

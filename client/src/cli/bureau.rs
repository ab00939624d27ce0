//! `bureau`: a bureau runs those below it.

use std::process::ExitCode;

use crate::bureau::{Member, Terms, in_order, without};
use crate::words::Word as _;
use crate::{Client, Error, clock};
use envelope::Timestamp;
use proto::v1::{Audience, Grant, ParticipantState};
use serde::Serialize;

use super::args::{BureauCommand, Granting, Standing};
use super::secrets::Secrets;
use super::{args, print};

pub(super) async fn run(bureau: &args::Bureau, secrets: &Secrets, way: &args::Way) -> Result<ExitCode, Error> {
    let office = bureau.command.office();
    let profile = super::open(&office.profile, secrets, super::PROFILE_WAIT, way).await?;
    let mut client = super::connect(&profile, way).await?;
    match &bureau.command {
        BureauCommand::Enrol(enrol) => {
            let terms = Terms { clearance: enrol.clearance, open_to_foreign: enrol.open_to_foreign, oversight: enrol.oversight };
            let address = client.enrol(&enrol.certificate, terms).await?;
            list(&client, |member| member.address == address, office.json).await?;
        }
        BureauCommand::Suspend(standing) => stand(&mut client, standing, ParticipantState::Suspended, office.json).await?,
        BureauCommand::Restore(standing) => stand(&mut client, standing, ParticipantState::Active, office.json).await?,
        BureauCommand::Withdraw(standing) => stand(&mut client, standing, ParticipantState::Withdrawn, office.json).await?,
        BureauCommand::Grant(granting) => grant(&mut client, granting, office.json).await?,
        BureauCommand::Revoke(revoking) => {
            let before = client.grants_of(&revoking.address).await?.unwrap_or_default();
            client.set_grants(&revoking.address, without(before, &revoking.kind, clock::now())).await?;
            list(&client, |member| member.address == revoking.address, office.json).await?;
        }
        BureauCommand::List(_) => list(&client, |_| true, office.json).await?,
        BureauCommand::Watch(_) => watch(&mut client, office.json).await?,
    }
    Ok(ExitCode::SUCCESS)
}

async fn stand(client: &mut Client, standing: &Standing, state: ParticipantState, json: bool) -> Result<(), Error> {
    client.set_standing(&standing.address, state, standing.reason).await?;
    list(client, |member| member.address == standing.address, json).await
}

async fn grant(client: &mut Client, granting: &Granting, json: bool) -> Result<(), Error> {
    let now = clock::now();
    let before = client.grants_of(&granting.address).await?.unwrap_or_default();
    // A kind is granted in one way at a time: the newest.
    let mut grants: Vec<Grant> = without(before, &granting.kind, now);
    grants.push(in_order(Grant {
        kinds: granting.kind.iter().map(|kind| (*kind).into()).collect(),
        priorities: granting.priority.iter().map(|priority| (*priority).into()).collect(),
        classifications: granting.classification.iter().map(|class| (*class).into()).collect(),
        audience: granting.audience.into(),
        expires_ms: granting.days.map_or(0, |days| now.plus(u64::from(days) * DAY_MS).ms()),
    }));
    client.set_grants(&granting.address, grants).await?;
    list(client, |member| member.address == granting.address, json).await
}

#[derive(Serialize)]
struct MemberLine {
    address: String,
    state: String,
    clearance: String,
    oversight: String,
    open_to_foreign: bool,
    /// Last day of the identity certificate.
    certificate_until: String,
    /// Whether it can be written to.
    has_key: bool,
    /// Left out when its class's grants count.
    #[serde(skip_serializing_if = "Option::is_none")]
    grants: Option<Vec<GrantLine>>,
}

#[derive(Serialize)]
struct GrantLine {
    kinds: Vec<String>,
    priorities: Vec<String>,
    classifications: Vec<String>,
    audience: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    until: Option<String>,
}

async fn list(client: &Client, wanted: impl Fn(&Member) -> bool, json: bool) -> Result<(), Error> {
    let members = client.members();
    if members.is_empty() {
        print::note(&format!("nobody is enrolled below {}", client.address()));
    }
    for member in members.into_iter().filter(wanted) {
        let grants = client.grants_of(&member.address).await?;
        say(&member, grants, json);
    }
    Ok(())
}

/// Says what changes below the bureau, as it comes, until it is ended.
async fn watch(client: &mut Client, json: bool) -> Result<(), Error> {
    let mut before = client.members();
    before.iter().for_each(|member| say(member, None, json));
    loop {
        client.wait_for_directory().await?;
        let now = client.members();
        for member in now.iter().filter(|member| !before.contains(member)) {
            say(member, client.grants_of(&member.address).await?, json);
        }
        before = now;
    }
}

fn say(member: &Member, grants: Option<Vec<Grant>>, json: bool) {
    let row = &member.row;
    let line = MemberLine {
        address: member.address.to_string(),
        state: row.state().word(),
        clearance: row.clearance().word(),
        oversight: row.oversight().word(),
        open_to_foreign: row.open_to_foreign,
        certificate_until: Timestamp(row.not_after_ms).to_string(),
        has_key: member.has_key,
        grants: grants.map(|grants| grants.iter().map(grant_line).collect()),
    };
    if json {
        return print::json(&line);
    }
    let open = if line.open_to_foreign { "open" } else { "closed" };
    let key = if line.has_key { "" } else { "  no key yet" };
    let (address, state, oversight) = (&line.address, &line.state, &line.oversight);
    print::line(&format!(
        "{address:<24} {state:<10} {:<18} {oversight:<6} {open:<6} until {}{key}",
        line.clearance, line.certificate_until
    ));
    match &line.grants {
        None => {}
        Some(grants) if grants.is_empty() => print::line("    may send nothing but void"),
        Some(grants) => grants.iter().for_each(|grant| {
            let until = grant.until.as_ref().map_or_else(String::new, |until| format!("  until {until}"));
            let (kinds, priorities, classes) = (grant.kinds.join(","), grant.priorities.join(","), grant.classifications.join(","));
            print::line(&format!("    may send {kinds}  {priorities}  {classes}  to {}{until}", grant.audience));
        }),
    }
}

fn grant_line(grant: &Grant) -> GrantLine {
    GrantLine {
        kinds: grant.kinds().map(|kind| kind.word()).collect(),
        priorities: grant.priorities().map(|priority| priority.word()).collect(),
        classifications: grant.classifications().map(|class| class.word()).collect(),
        audience: Audience::try_from(grant.audience).unwrap_or_default().word(),
        until: (grant.expires_ms != 0).then(|| Timestamp(grant.expires_ms).to_string()),
    }
}

const DAY_MS: u64 = 86_400_000;

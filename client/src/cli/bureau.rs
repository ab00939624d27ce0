//! `bureau`: a bureau runs those below it.

use std::process::ExitCode;
use std::time::Duration;

use crate::bureau::{Member, Terms, in_order, without};
use crate::code::{certified, code_of, is_same};
use crate::words::Word as _;
use crate::{Client, Error, clock};
use envelope::trust::Trust;
use envelope::{Address, Timestamp};
use proto::v1::{Audience, Grant, ParticipantState};
use serde::Serialize;

use super::args::{BureauCommand, Granting, Standing};
use super::secrets::Secrets;
use super::{args, print};

pub(super) async fn run(bureau: &args::Bureau, secrets: &Secrets, way: &args::Way) -> Result<ExitCode, Error> {
    let office = bureau.command.office();
    if matches!(bureau.command, BureauCommand::Watch(_)) {
        return watch(office, secrets, way).await;
    }
    let profile = super::open(&office.profile, secrets, super::PROFILE_WAIT, way).await?;
    let mut client = super::connect(&profile, way).await?;
    let shown = match &bureau.command {
        BureauCommand::Enrol(enrol) => Some(self::enrol(&mut client, enrol).await?),
        BureauCommand::Suspend(standing) => Some(stand(&mut client, standing, ParticipantState::Suspended).await?),
        BureauCommand::Supervise(standing) => Some(stand(&mut client, standing, ParticipantState::Supervised).await?),
        BureauCommand::Restore(standing) => Some(stand(&mut client, standing, ParticipantState::Active).await?),
        BureauCommand::Withdraw(standing) => Some(stand(&mut client, standing, ParticipantState::Withdrawn).await?),
        BureauCommand::Grant(granting) => Some(grant(&mut client, granting).await?),
        BureauCommand::Revoke(revoking) => Some(revoke(&mut client, revoking).await?),
        BureauCommand::List(_) | BureauCommand::Watch(_) => None,
    };
    let members = shown.as_ref().map_or_else(|| client.members(), |one| client.participant(one).into_iter().collect());
    if members.is_empty() {
        print::note(&format!("nobody is enrolled below {}", client.address()));
    }
    for member in members {
        let grants = grants_shown(&client, &member).await?;
        say(&member, &grants, office.json);
    }
    Ok(ExitCode::SUCCESS)
}

async fn enrol(client: &mut Client, enrol: &args::Enrol) -> Result<Address, Error> {
    // What is not said stays as it is.
    let (_, certified) = client.certified(&enrol.certificate)?;
    let code = code_of(&certified, client.profile().network());
    match &enrol.code {
        Some(heard) if !is_same(&code, heard) => {
            let text =
                format!("the code of {} is another: the certificate in your hand is not the one that was asked for", certified.address);
            return Err(Error::Argument(text));
        }
        Some(_) => {}
        None => print::note(&format!("code {code}: compare it by telephone with what `ecowire code` says there, or give it with --code")),
    }
    let subject = certified.address;
    let before = client.participant(&subject).map(|member| Terms::of(&member.row)).unwrap_or_default();
    let terms = Terms {
        clearance: enrol.clearance.unwrap_or(before.clearance),
        open_to_foreign: enrol.open_to_foreign.unwrap_or(before.open_to_foreign),
        oversight: enrol.oversight.unwrap_or(before.oversight),
    };
    client.enrol(&enrol.certificate, terms).await
}

/// `code`: what the officer at the bureau must hear.
pub(super) fn code(asked: &args::Code) -> Result<ExitCode, Error> {
    let read = |cause| Error::File { what: "read", path: asked.trust.clone(), cause };
    let trust = Trust::parse_toml(&std::fs::read_to_string(&asked.trust).map_err(read)?)?;
    let (_, certified) = certified(&asked.identity.join("identity.pem"), &trust.anchors()?, clock::now())?;
    print::note(&format!("{} of {}", certified.address, trust.network));
    print::line(&code_of(&certified, &trust.network));
    Ok(ExitCode::SUCCESS)
}

async fn stand(client: &mut Client, standing: &Standing, state: ParticipantState) -> Result<Address, Error> {
    client.set_standing(&standing.address, state, standing.reason).await?;
    Ok(standing.address.clone())
}

async fn grant(client: &mut Client, granting: &Granting) -> Result<Address, Error> {
    let now = clock::now();
    let before = client.grants_of(&granting.address).await?;
    let first = before.is_none();
    // A kind is granted in one way at a time: the newest.
    let mut grants: Vec<Grant> = without(before.unwrap_or_default(), &granting.kind, now);
    grants.push(in_order(Grant {
        kinds: granting.kind.iter().map(|kind| (*kind).into()).collect(),
        priorities: granting.priority.iter().map(|priority| (*priority).into()).collect(),
        classifications: granting.classification.iter().map(|class| (*class).into()).collect(),
        audience: granting.audience.into(),
        expires_ms: granting.days.map_or(0, |days| now.plus(u64::from(days) * DAY_MS).ms()),
    }));
    client.set_grants(&granting.address, grants).await?;
    if first {
        print::note(&format!("from now on {} sends by its own grants alone; until now those of its class counted", granting.address));
    }
    Ok(granting.address.clone())
}

async fn revoke(client: &mut Client, revoking: &args::Revoking) -> Result<Address, Error> {
    let before = client.grants_of(&revoking.address).await?;
    if before.is_none() && !revoking.kind.is_empty() {
        let text = format!(
            "{} has no grants of its own, those of its class count: say with `grant` what it may send, or revoke everything without --kind",
            revoking.address
        );
        return Err(Error::Argument(text));
    }
    client.set_grants(&revoking.address, without(before.unwrap_or_default(), &revoking.kind, clock::now())).await?;
    Ok(revoking.address.clone())
}

/// Grants of somebody's own; `None` when its class's count.
type Granted = Option<Vec<Grant>>;

/// What a bureau may know of somebody's grants; of others than those below it nothing.
async fn grants_shown(client: &Client, member: &Member) -> Result<Granted, Error> {
    if member.address.own_ncb().as_ref() == Some(client.address()) { client.grants_of(&member.address).await } else { Ok(None) }
}

/// Says what changes below the bureau, as it comes, until it is interrupted. The profile is free for other commands meanwhile.
async fn watch(office: &args::Office, secrets: &Secrets, way: &args::Way) -> Result<ExitCode, Error> {
    let mut interrupted = std::pin::pin!(tokio::signal::ctrl_c());
    let mut before: Vec<(Member, Granted)> = Vec::new();
    let mut trouble = String::new();
    loop {
        let waited = async {
            let (link, size) = {
                let profile = super::open(&office.profile, secrets, super::PROFILE_WAIT, way).await?;
                let client = super::connect(&profile, way).await?;
                let mut now = Vec::new();
                for member in client.members() {
                    let grants = grants_shown(&client, &member).await?;
                    if before.iter().all(|(old, granted)| (old, granted) != (&member, &grants)) {
                        say(&member, &grants, office.json);
                    }
                    now.push((member, grants));
                }
                before = now;
                (client.link().cloned(), client.directory().size())
            };
            match link {
                // Grants are no part of the directory: they are looked at every so often.
                Some(link) => drop(tokio::time::timeout(LOOK_AGAIN, link.directory_grows(size)).await),
                None => tokio::time::sleep(PAUSE).await,
            }
            Ok::<_, Error>(())
        };
        let visited = tokio::select! {
            _ = &mut interrupted => return Ok(ExitCode::SUCCESS),
            visited = waited => visited,
        };
        match visited {
            Ok(()) => trouble.clear(),
            Err(error @ (Error::Unreachable { .. } | Error::InUse(_))) => {
                // The same trouble is told once.
                if trouble != error.to_string() {
                    trouble = error.to_string();
                    print::note(&trouble);
                }
                tokio::select! {
                    _ = &mut interrupted => return Ok(ExitCode::SUCCESS),
                    () = tokio::time::sleep(PAUSE) => {}
                }
            }
            Err(other) => return Err(other),
        }
    }
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

fn say(member: &Member, grants: &Granted, json: bool) {
    let row = &member.row;
    let line = MemberLine {
        address: member.address.to_string(),
        state: row.state().word(),
        clearance: row.clearance().word(),
        oversight: row.oversight().word(),
        open_to_foreign: row.open_to_foreign,
        certificate_until: Timestamp(row.not_after_ms).to_string(),
        has_key: member.has_key,
        grants: grants.as_ref().map(|grants| grants.iter().map(grant_line).collect()),
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

/// After this long without a change, and after trouble.
const LOOK_AGAIN: Duration = Duration::from_secs(30);
const PAUSE: Duration = Duration::from_secs(3);
const DAY_MS: u64 = 86_400_000;

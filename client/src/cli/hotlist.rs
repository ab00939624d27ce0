//! `hotlist`: lists for posts without a link are made, taken into use, looked up.

use std::process::ExitCode;

use content::keys;
use indicatif::{ProgressBar, ProgressDrawTarget};
use serde::Serialize;

use super::args::HotlistCommand;
use super::querying::{NOT_CONFIRMED, subject};
use super::secrets::Secrets;
use super::{args, mail, print};
use crate::hotlist::{COST, HOTLIST_TYPE, Kept, Pack, PackError, Plan, count};
use crate::respond::List;
use crate::{Client, Error, Profile, clock};

pub(super) async fn run(hotlist: &args::Hotlist, secrets: &Secrets, way: &args::Way) -> Result<ExitCode, Error> {
    let folder = match &hotlist.command {
        HotlistCommand::Make(make) => &make.profile,
        HotlistCommand::Take(take) => &take.office.profile,
        HotlistCommand::Check(check) => &check.office.profile,
        HotlistCommand::List(office) => &office.profile,
    };
    let profile = super::open(folder, secrets, super::PROFILE_WAIT, way).await?;
    match &hotlist.command {
        HotlistCommand::Make(make) => self::make(make, profile),
        HotlistCommand::Take(take) => self::take(take, &profile, way).await,
        HotlistCommand::Check(check) => self::check(check, &Client::offline(&profile)?),
        HotlistCommand::List(office) => {
            let lists = Client::offline(&profile)?.hotlists()?;
            if lists.is_empty() {
                print::note(&format!("{} has no hot list", profile.address()));
            }
            lists.iter().for_each(|list| say(list, office.json));
            Ok(ExitCode::SUCCESS)
        }
    }
}

fn make(make: &args::HotlistMake, profile: Profile) -> Result<ExitCode, Error> {
    if !make.force && make.out.symlink_metadata().is_ok() {
        return Err(Error::Exists(make.out.clone()));
    }
    let created = clock::now();
    let plan = Plan {
        name: make.name.clone(),
        version: make.version.unwrap_or(created.ms() / 60_000),
        source: profile.address().clone(),
        created,
        days: make.days,
        cost: COST,
    };
    // Others may use it meanwhile: this takes minutes.
    drop(profile);
    let list = List::read(&make.data)?;
    let wrong = |error: PackError| Error::Argument(format!("{}: {error}", make.data.display()));
    let bar = ProgressBar::with_draw_target(Some(count(&list) as u64), ProgressDrawTarget::stderr());
    let built = Pack::build(&plan, &list, &|| bar.inc(1));
    bar.finish_and_clear();
    let pack = built.map_err(wrong)?;
    mail::write(&make.out, &pack.to_json().map_err(wrong)?, make.force)?;
    let (name, version, entries) = (&plan.name, plan.version, pack.entries());
    print::note(&format!("{name}, version {version}: {entries} hashes, until {}, in {}", pack.expires(), make.out.display()));
    print::note(&format!("send it to each post: ecowire send --kind service --media-type {HOTLIST_TYPE} --file {}", make.out.display()));
    Ok(ExitCode::SUCCESS)
}

async fn take(take: &args::HotlistTake, profile: &Profile, way: &args::Way) -> Result<ExitCode, Error> {
    let mut client = Client::offline(profile)?;
    let taken = match client.take_hotlist(&take.reference) {
        Err(Error::NotHere(_)) => {
            client = super::connect(profile, way).await?;
            client.receive(crate::ReceiveOptions::default()).await?;
            client.take_hotlist(&take.reference)?
        }
        taken => taken?,
    };
    taken.warning().iter().for_each(|text| print::note(text));
    say(&taken, take.office.json);
    Ok(ExitCode::SUCCESS)
}

#[derive(Serialize)]
struct CheckLine {
    result: &'static str,
    confirm_before_acting: bool,
    hits: Vec<HitLine>,
    lists: Vec<ListLine>,
}

#[derive(Serialize)]
struct HitLine {
    kind: String,
    owner: String,
    confidence: &'static str,
    list: String,
    source: String,
    line: String,
}

fn check(check: &args::HotlistCheck, client: &Client) -> Result<ExitCode, Error> {
    let checked = client.check_hotlists(&keys::of_subject(&subject(&check.asked)?))?;
    checked.lists.iter().filter_map(Kept::warning).for_each(|text| print::note(&text));
    let found = !checked.hits.is_empty();
    if check.office.json {
        let hit = |hit: &crate::hotlist::HotHit| HitLine {
            kind: hit.kind.clone(),
            owner: hit.owner.to_string(),
            confidence: hit.confidence,
            list: hit.list.name.clone(),
            source: hit.list.source.to_string(),
            line: hit.line(),
        };
        let result = if found { "hit" } else { "no_hit" };
        let (hits, lists) = (checked.hits.iter().map(hit).collect(), checked.lists.iter().map(ListLine::of).collect());
        print::json(&CheckLine { result, confirm_before_acting: found, hits, lists });
    } else if found {
        checked.hits.iter().for_each(|hit| print::line(&hit.line()));
    } else {
        let lists: Vec<String> = checked.lists.iter().map(|list| format!("{} of {}", list.name, list.source)).collect();
        print::line(&format!("no hit in {}", lists.join(", ")));
    }
    if found { Ok(ExitCode::from(NOT_CONFIRMED)) } else { Ok(ExitCode::SUCCESS) }
}

#[derive(Serialize)]
struct ListLine {
    name: String,
    source: String,
    version: u64,
    created: String,
    expires: String,
    expired: bool,
    entries: usize,
    reference: String,
}

impl ListLine {
    fn of(list: &Kept) -> Self {
        Self {
            name: list.name.clone(),
            source: list.source.to_string(),
            version: list.version,
            created: list.created.to_string(),
            expires: list.expires.to_string(),
            expired: list.over,
            entries: list.entries,
            reference: list.reference.to_string(),
        }
    }
}

fn say(list: &Kept, json: bool) {
    if json {
        return print::json(&ListLine::of(list));
    }
    let ended = if list.over { "EXPIRED" } else { "until" };
    print::line(&format!("{} of {}  version {}  {} hashes  {ended} {}", list.name, list.source, list.version, list.entries, list.expires));
}

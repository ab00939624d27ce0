//! The standing groups of the network, an operation and a case room of a month, teams on mission, and the analysis file.
//!
//! It does not know the broadcast.

use anyhow::{Context as _, ensure};
use client::bureau::{Terms, in_order};
use client::respond::{List, Reports};
use client::{Client, Compose};
use content::{Form, Payload};
use envelope::{Address, Timestamp};
use gateway::Running;
use proto::v1::{Audience, Classification, Grant, GroupSenders, Kind, Priority};

use super::BUREAUS;
use crate::letters::{addresses, letter, opaque, receive};
use crate::narrator::Narrator;
use crate::network::Folder;

/// Founds everything that has a name, and what has none.
pub(super) async fn groups(folder: &Folder, running: &Running, desk: &mut Client, tell: &mut Narrator) -> anyhow::Result<()> {
    tell.step("The standing groups are founded");
    let bureaus: Vec<&str> = BUREAUS.split_whitespace().collect();
    let standing: Vec<&str> = STANDING.split_whitespace().collect();
    for (at, group) in standing.iter().enumerate() {
        // Each has its own forty-nine, spread over the alphabet.
        let members = bureaus.iter().skip(at % 4).step_by(4).chain([&"ipsg/ens"]);
        found(desk, group, members.copied(), None).await?;
    }
    tell.timed(&format!("working groups, projects, committees: {}", standing.join(", ")));
    for (region, bureau, members) in REGIONS {
        found(desk, &format!("grp/region/{region}"), members.split_whitespace().chain([bureau]), None).await?;
    }
    tell.timed(&format!("{} regions, each with its regional bureau: {}", REGIONS.len(), REGIONS.map(|(region, ..)| region).join(", ")));
    found(desk, "grp/iccwc", ["ipsg/ens", "org/cites", "org/wco"].into_iter(), None).await?;
    for bureau in NESTS {
        let mut client = folder.client(running, bureau).await?;
        let [port, land] = ["cus/x-port", "bor/x-land"].map(|site| format!("{bureau}/{site}"));
        found(&mut client, &format!("grp/nest/{bureau}"), [bureau, &port, &land].into_iter(), None).await?;
    }
    tell.timed(&format!("grp/iccwc, and a National Environmental Security Task Force in each of {}", NESTS.join(", ")));

    tell.step("Kenya leads a task force, and an operation and a case room of a month");
    let month = Timestamp(desk.directory().head().context("no directory yet")?.at.ms() + 30 * DAY_MS);
    let mut kenya = folder.client(running, "ke").await?;
    found(&mut kenya, "grp/tf/ivory", ["ke", "tz", "ug", "th", "vn"].into_iter(), None).await?;
    let operation = format!("grp/op/{}", opaque()?);
    found(&mut kenya, &operation, ["ke", "tz", "ug"].into_iter(), Some(month)).await?;
    // Who has no key yet can be sealed nothing.
    drop(folder.client(running, "ipsg/rb/nairobi").await?);
    let room = format!("case/{}", opaque()?);
    found(&mut kenya, &room, ["ke", "th", "ipsg/ens", "ipsg/rb/nairobi"].into_iter(), Some(month)).await?;
    tell.timed(&format!("grp/tf/ivory, {operation}, {room}: the last two end by themselves, and only their members know of them"));
    // Of a regional meeting on a case: CONFIDENTIAL goes to bureaus by name, or through a case room.
    kenya.refresh_directory().await?;
    let minutes = letter(Kind::Message, &[&room], "What each of us has on the consignor, for the meeting in Nairobi.")?;
    let sent = kenya.send(Compose { classification: Classification::Confidential, ..minutes }).await?;
    let recipients = kenya.header_of(&sent.reference)?.context.recipients.len();
    ensure!(recipients == 3, "{recipients} got what is for the room");
    tell.timed(&format!("{}: CONFIDENTIAL, to the room", sent.reference));
    Ok(())
}

async fn found(owner: &mut Client, group: &str, members: impl Iterator<Item = &str>, ends: Option<Timestamp>) -> anyhow::Result<()> {
    let members = members.map(Address::parse).collect::<Result<Vec<_>, _>>()?;
    owner.set_group(&Address::parse(group)?, members, GroupSenders::Members, ends).await.with_context(|| group.to_owned())
}

/// Teams that the General Secretariat sends to a country: the host certifies and enrols each, for as long as it stays.
pub(super) async fn teams(folder: &Folder, running: &Running, tell: &mut Narrator) -> anyhow::Result<()> {
    tell.step("Three teams are sent out, each with certificates of days under its host");
    for (team, what, days) in TEAMS {
        let address = Address::parse(team)?;
        let host = address.own_ncb().context("a team has a host")?;
        let identity = folder.pki().join(address.file_name());
        if !identity.exists() {
            certs_dev::issue(&folder.pki(), &address, Some(days))?;
        }
        let mut bureau = folder.client(running, host.as_str()).await?;
        bureau.enrol(&identity.join("identity.pem"), Terms { open_to_foreign: true, ..Terms::default() }).await?;
        let ends = bureau.participant(&address).context("it is enrolled")?.row.not_after_ms;
        bureau.set_grants(&address, vec![mission(ends)]).await?;
        let mut client = folder.client(running, team).await?;
        let report = client.send(letter(Kind::Request, &["ipsg/ens"], "Please trace a consignor: his name and number follow.")?).await?;
        let until = Timestamp(ends);
        ensure!(until <= report.at.plus(u64::from(days) * DAY_MS), "{team} may stay until {until}");
        tell.timed(&format!("{team}, {what}: {days} days; asks ipsg/ens in {}, its host has a copy", report.reference));
    }
    Ok(())
}

/// What a team may send, as long as it is there.
fn mission(expires_ms: u64) -> Grant {
    in_order(Grant {
        kinds: [Kind::Message, Kind::Request, Kind::Reply, Kind::Ecomessage, Kind::ExpertRequest].map(Into::into).to_vec(),
        priorities: [Priority::Routine, Priority::Urgent].map(Into::into).to_vec(),
        classifications: [Classification::OfficialUseOnly, Classification::Restricted].map(Into::into).to_vec(),
        audience: Audience::Bureaus.into(),
        expires_ms,
    })
}

/// A report goes to the analysis file as well; then somebody else asks it.
pub(super) async fn analysis(folder: &Folder, running: &Running, tell: &mut Narrator) -> anyhow::Result<()> {
    tell.step("The analysis file svc/imaf gets its sealed copy of a report, and is asked");
    let mut service = folder.client(running, "svc/imaf").await?;
    let [mut kenya, mut vietnam] = [folder.client(running, "ke").await?, folder.client(running, "vn").await?];
    let report = Payload::from_json(Form::Ecomessage, REPORT.as_bytes())?;
    let media_type = Form::Ecomessage.media_type().to_owned();
    let to = addresses(&["tz", "ipsg/ens", "svc/imaf"])?;
    let sent = kenya.send(Compose { kind: Kind::Ecomessage, media_type, ..Compose::new(to, report.encode()) }).await?;
    tell.timed(&format!("{} of ke, to tz, ipsg/ens and svc/imaf", sent.reference));
    let question =
        Payload::from_json(Form::Query, br#"{"subject":{"identifiers":[{"kind":"container","number":{"raw":"CSQU3054383"}}]}}"#)?;
    let (query, _) = vietnam.query(service.address(), &question.message_as()?)?;
    let query = vietnam.send(query).await?;
    receive(&mut service).await?;
    let mut reports = Reports::default();
    reports.learn(&service)?;
    let answered = service.respond(&List::of(reports.entries()), 1, PATIENCE).await?;
    ensure!(answered.len() == 1 && answered[0].result == "hit", "{answered:?}");
    receive(&mut vietnam).await?;
    let answer = vietnam.answer_to(&query.reference)?.context("no answer")?;
    answer.lines().iter().for_each(|line| tell.say(&format!("vn reads: {line}")));
    ensure!(answer.hits.iter().all(|hit| hit.row.owner == "ke" && hit.row.record == sent.reference.to_string()), "{answer:?}");
    let mail = receive(&mut kenya).await?;
    ensure!(mail.received.iter().any(|one| one.kind == Kind::Hit), "its owner was not told");
    tell.timed("ke, whose data it is, is told who asked");
    Ok(())
}

/// Groups of bureaus that the General Secretariat owns.
const STANDING: &str = "grp/wg/wildlife grp/wg/fisheries grp/wg/forestry grp/wg/pollution grp/project/predator grp/project/wisdom \
    grp/project/waylay grp/project/scale grp/project/scale/governance grp/project/leaf grp/project/eden grp/ecec";
/// Regions, their regional bureaus, and bureaus in them.
const REGIONS: [(&str, &str, &str); 6] = [
    ("east-africa", "ipsg/rb/nairobi", "bi dj er et ke rw sc so ss sd tz ug"),
    ("west-africa", "ipsg/rb/abidjan", "bf bj ci cv gh gm gn gw lr ml mr ne ng sl sn tg"),
    ("central-africa", "ipsg/rb/yaounde", "cd cf cg cm ga gq td"),
    ("southern-africa", "ipsg/rb/harare", "ao bw ls mg mu mw mz na sz za zm zw"),
    ("south-america", "ipsg/rb/buenos-aires", "ar bo br cl co ec gy pe py sr uy ve"),
    ("central-america", "ipsg/rb/san-salvador", "bz cr cu gt hn ht jm ni pa sv"),
];
/// Bureaus with a National Environmental Security Task Force.
const NESTS: [&str; 4] = ["br", "cn", "ke", "th"];
/// A team, what it is, and for how many days it is sent.
const TEAMS: [(&str, &str, u16); 3] = [
    ("br/pol/x-ost", "an operational support team", 21),
    ("ke/pol/x-ist", "an investigative support team", 14),
    ("th/env/x-irt", "an incident response team", 7),
];
const REPORT: &str = r#"{"heading":{"reportType":"initial","crimeArea":"wildlife"},"incident":{"what":"seizure","at":"2026-11-20T08:00:00Z",
    "place":{"locode":{"raw":"KEMBA"}}},"goods":[{"taxon":"Loxodonta africana","term":"tusks","quantity":{"mantissa":412,"unit":"kg"}}],
    "transports":[{"mode":"sea","container":{"raw":"CSQU3054383"}}]}"#;
const PATIENCE: std::time::Duration = std::time::Duration::from_secs(30);
const DAY_MS: u64 = 86_400_000;

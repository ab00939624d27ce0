//! What can be typed about queries: asking a service, answering as one, an owner's word about a hit.

use std::path::PathBuf;
use std::time::Duration;

use clap::{ArgGroup, Args, Subcommand};
use envelope::{Address, Reference};
use proto::v1::Classification;

use super::{Office, among, seconds, word};

/// Asks a service whether something is known, and waits for hit or no hit; a hit is confirmed by its owner before anybody acts.
///
/// Exit codes: 0 no hit, or every hit is confirmed; 8 a hit that is not confirmed; 4 no answer yet.
#[derive(Debug, Args)]
#[command(after_help = QUERY_EXAMPLES)]
pub(crate) struct Query {
    /// Profile folder.
    #[arg(long, value_name = "DIR")]
    pub(crate) profile: PathBuf,
    /// Which service.
    #[arg(long, value_name = "ADDRESS", required_unless_present = "status")]
    pub(crate) service: Option<Address>,
    #[command(flatten)]
    pub(crate) asked: Asked,
    /// Why it is asked: border_control, investigation, prevention, ...
    #[arg(long, value_name = "TEXT", default_value = "border_control")]
    pub(crate) purpose: String,
    #[arg(long, value_name = "WORD", default_value = "official-use-only", value_parser = word::<Classification>, help = among::<Classification>("Who may hold the question and its answer"))]
    pub(crate) classification: Classification,
    /// A drill.
    #[arg(long)]
    pub(crate) exercise: bool,
    /// How long to wait for the answer.
    #[arg(long, value_name = "SECONDS", default_value = "30", value_parser = seconds)]
    pub(crate) wait: Duration,
    /// Show again what was asked under this number, with what has come since.
    #[arg(long, value_name = "REFERENCE", conflicts_with_all = ["service", "Asked", "exercise"])]
    pub(crate) status: Option<Reference>,
    /// One JSON object.
    #[arg(long)]
    pub(crate) json: bool,
}

/// What is looked up.
#[derive(Debug, Args)]
pub(crate) struct Asked {
    /// IMO number of a ship.
    #[arg(long, value_name = "NUMBER")]
    pub(crate) imo: Option<String>,
    /// Maritime mobile service identity.
    #[arg(long, value_name = "NUMBER")]
    pub(crate) mmsi: Option<String>,
    /// Number of a container.
    #[arg(long, value_name = "NUMBER")]
    pub(crate) container: Option<String>,
    /// A name; case and accents do not count.
    #[arg(long, value_name = "TEXT")]
    pub(crate) name: Option<String>,
    /// Number of a document, a passport's or with its kind before it: permit:KE-2026-77
    #[arg(long, value_name = "[KIND:]NUMBER")]
    pub(crate) document: Option<String>,
    /// Number plate.
    #[arg(long, value_name = "NUMBER")]
    pub(crate) plate: Option<String>,
    /// What it is: person, vehicle, container, vessel, ...; follows from the numbers when left out.
    #[arg(long, value_name = "WORD")]
    pub(crate) subject: Option<String>,
}

/// Answers queries as a service: hit or no hit to who asked, and a message to the owner of each hit.
///
/// It answers from a list, from the reports that it has received (an analysis file: each case as it stands now, until its sender
/// cancels or deletes it; its bureau is the owner), or from both.
///
/// The list is CSV, read again when it changes. Its first line names the columns: owner (an address), record, kind, source, note (sent to
/// who asked), and any of imo, imo_company, mmsi, container, vin, plate, passport, permit, call_sign, name, ..., as often as wanted.
#[derive(Debug, Args)]
#[command(
    group = ArgGroup::new("source").required(true).multiple(true).args(["data", "reports"]),
    after_help = "Examples:\n  ecowire respond --profile svc_vessels --data list.csv --follow\n  ecowire respond --profile svc_vessels --data list.csv --json\n  ecowire respond --profile svc_imaf --reports --follow"
)]
pub(crate) struct Respond {
    /// Profile folder of the service.
    #[arg(long, value_name = "DIR")]
    pub(crate) profile: PathBuf,
    /// The list.
    #[arg(long, value_name = "FILE")]
    pub(crate) data: Option<PathBuf>,
    /// The reports of the service's inbox.
    #[arg(long)]
    pub(crate) reports: bool,
    /// Whose profile it is meant to be; another one is refused.
    #[arg(long, value_name = "ADDRESS")]
    pub(crate) service: Option<Address>,
    /// Stay, and answer what comes.
    #[arg(long)]
    pub(crate) follow: bool,
    /// One JSON object a query.
    #[arg(long)]
    pub(crate) json: bool,
}

/// Says as the owner of data whether a hit holds: to who asked, and to the bureau above.
#[derive(Debug, Args)]
#[command(after_help = CONFIRM_EXAMPLES, group = ArgGroup::new("state").required(true).args(["valid", "invalid", "instructions"]))]
pub(crate) struct Confirm {
    /// Profile folder of the owner.
    #[arg(long, value_name = "DIR")]
    pub(crate) profile: PathBuf,
    /// The HIT that was received.
    pub(crate) reference: Reference,
    /// It holds.
    #[arg(long)]
    pub(crate) valid: bool,
    /// It does not hold, and why.
    #[arg(long, value_name = "TEXT")]
    pub(crate) invalid: Option<String>,
    /// Neither yet: what is to be done.
    #[arg(long, value_name = "TEXT")]
    pub(crate) instructions: Option<String>,
    /// What is to be done, with --valid.
    #[arg(long, value_name = "TEXT", requires = "valid")]
    pub(crate) text: Option<String>,
    /// For how many hours it holds; without end when left out.
    #[arg(long, value_name = "N", requires = "valid", value_parser = clap::value_parser!(u32).range(1..=8784))]
    pub(crate) hours: Option<u32>,
    /// One JSON object.
    #[arg(long)]
    pub(crate) json: bool,
}

/// Lists that a post looks up without a link: signed, sealed to it, and of days.
#[derive(Debug, Args)]
#[command(after_help = HOTLIST_EXAMPLES)]
pub(crate) struct Hotlist {
    #[command(subcommand)]
    pub(crate) command: HotlistCommand,
}

#[derive(Debug, Subcommand)]
pub(crate) enum HotlistCommand {
    /// Hashes a list of records into a file to be sent; each identifier costs a tenth of a second of a core
    #[command(after_help = HOTLIST_EXAMPLES)]
    Make(HotlistMake),
    /// Takes the hot list in a message of the inbox into use; a newer version replaces an older one
    #[command(after_help = "Example:\n  ecowire hotlist take --profile kemba KE/2026/000012")]
    Take(HotlistTake),
    /// Looks something up, without a link; exit 8 on a hit
    #[command(after_help = "Example:\n  ecowire hotlist check --profile kemba --imo 9074729")]
    Check(HotlistCheck),
    /// Lists the hot lists of a profile
    #[command(after_help = "Example:\n  ecowire hotlist list --profile kemba --json")]
    List(Office),
}

#[derive(Debug, Args)]
pub(crate) struct HotlistMake {
    /// Profile folder of the bureau or service.
    #[arg(long, value_name = "DIR")]
    pub(crate) profile: PathBuf,
    /// The records, as `ecowire respond` takes them.
    #[arg(long, value_name = "FILE")]
    pub(crate) data: PathBuf,
    /// Its name, a to z, 0 to 9, - and _; one of the same name and a higher version takes its place.
    #[arg(long, value_name = "NAME", default_value = "main")]
    pub(crate) name: String,
    /// Its version; minutes since 1970 when left out.
    #[arg(long, value_name = "N")]
    pub(crate) version: Option<u64>,
    /// How many days it lives.
    #[arg(long, value_name = "N", default_value = "7", value_parser = clap::value_parser!(u32).range(1..=14))]
    pub(crate) days: u32,
    /// File to write it to.
    #[arg(long, value_name = "FILE")]
    pub(crate) out: PathBuf,
    /// Overwrite the file.
    #[arg(long)]
    pub(crate) force: bool,
}

#[derive(Debug, Args)]
pub(crate) struct HotlistTake {
    #[command(flatten)]
    pub(crate) office: Office,
    /// The message that holds it.
    pub(crate) reference: Reference,
}

#[derive(Debug, Args)]
pub(crate) struct HotlistCheck {
    #[command(flatten)]
    pub(crate) office: Office,
    #[command(flatten)]
    pub(crate) asked: Asked,
}

const HOTLIST_EXAMPLES: &str = "Examples:\n  ecowire hotlist make --profile ke --data list.csv --days 7 --out pack.json\n  ecowire send --profile ke --to ke/cus/kemba --kind service --file pack.json --media-type application/vnd.ecowire.hotlist.v1+json\n  ecowire hotlist take --profile kemba KE/2026/000012\n  ecowire hotlist check --profile kemba --imo 9074729";
const QUERY_EXAMPLES: &str = "Examples:\n  ecowire query --profile kemba --service svc/vessels --imo 9074729\n  ecowire query --profile kemba --service svc/vessels --name 'Ocean Star' --subject vessel --wait 60\n  ecowire query --profile kemba --status KE.CUS.KEMBA/2026/000007";
const CONFIRM_EXAMPLES: &str = "Examples:\n  ecowire confirm --profile ke SVC.VESSELS/2026/000004 --valid --hours 48\n  ecowire confirm --profile ke SVC.VESSELS/2026/000004 --invalid 'released by the court in March'\n  ecowire confirm --profile ke SVC.VESSELS/2026/000004 --instructions 'observe, an officer calls you'";

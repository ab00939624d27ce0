//! What can be typed about forms: made, described, drafted from field systems, checked by data packs, exported for statistics.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use content::questions::Language;

/// Prints the JSON Schema of a form, or the names of all forms; no gateway and no profile is needed.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  ecowire schema\n  ecowire schema notice-request > notice-request.schema.json")]
pub(crate) struct Schema {
    /// Which form: the kind of the message.
    pub(crate) form: Option<String>,
}

/// Makes drafts of reports from the events of a field system; no gateway and no profile is needed.
///
/// What has no place in a report stands as text in modus_operandi: look each draft through before it is sent.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  ecowire import --from earthranger events.json --out drafts\n  ecowire import --from smart patrol.geojson > drafts.jsonl"
)]
pub(crate) struct Import {
    /// earthranger: events as its API gives them; smart: incidents of SMART Connect as GeoJSON.
    #[arg(long, value_enum)]
    pub(crate) from: FieldSystem,
    /// The file, at most 16 MiB and 1,000 events.
    #[arg(value_name = "FILE")]
    pub(crate) file: PathBuf,
    /// Folder to write a file for each event to; else one report a line goes to stdout.
    #[arg(long, value_name = "DIR")]
    pub(crate) out: Option<PathBuf>,
    /// Overwrite the files.
    #[arg(long, requires = "out")]
    pub(crate) force: bool,
}

#[derive(Clone, Copy, Debug, clap::ValueEnum)]
pub(crate) enum FieldSystem {
    Earthranger,
    Smart,
}

/// Data packs: dated code lists that reports are checked by, each with its source and licence.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  ecowire pack list\n  ecowire pack species-plus cites_listings.csv --valid-from 2025-02-07 > packs/taxa.json\n  ecowire --packs packs compose ecomessage"
)]
pub(crate) struct Packing {
    #[command(subcommand)]
    pub(crate) command: PackCommand,
}

#[derive(Debug, Subcommand)]
pub(crate) enum PackCommand {
    /// Lists the packs in use: name, date, source, licence
    #[command(after_help = "Example:\n  ecowire pack list --json")]
    List {
        /// One JSON object a line.
        #[arg(long)]
        json: bool,
    },
    /// Makes a pack of CITES taxa from the listings export of Species+
    #[command(after_help = "Example:\n  ecowire pack species-plus cites_listings.csv --valid-from 2025-02-07 > packs/taxa.json")]
    SpeciesPlus {
        /// The export, in CSV.
        file: PathBuf,
        /// Since when its listings are valid: the export does not say.
        #[arg(long, value_name = "DATE")]
        valid_from: String,
    },
}

/// Turns reports into rows or features for statistics: no persons, no organisations, no free text; days, and a tenth of a degree.
#[derive(Debug, Args)]
#[command(
    after_help = "Example:\n  ecowire open --profile th KE.CUS.KEMBA/2026/000001 --out report.json\n  ecowire export --format cites report.json > rows.csv"
)]
pub(crate) struct Export {
    /// csv: a row for each of the goods; cites: those of the CITES annual illegal trade report; geojson: a feature a report.
    #[arg(long, value_enum, default_value_t)]
    pub(crate) format: Format,
    /// Reports in JSON, as `ecowire open --out` writes them.
    #[arg(required = true, value_name = "FILE")]
    pub(crate) files: Vec<PathBuf>,
}

#[derive(Clone, Copy, Debug, Default, clap::ValueEnum)]
pub(crate) enum Format {
    #[default]
    Csv,
    Cites,
    Geojson,
}

/// Makes a report from a few answers; no gateway and no profile is needed.
#[derive(Debug, Args)]
#[command(after_help = COMPOSE_EXAMPLES)]
pub(crate) struct Composing {
    #[command(subcommand)]
    pub(crate) what: ComposeWhat,
}

#[derive(Debug, Subcommand)]
pub(crate) enum ComposeWhat {
    /// Asks the seven questions of the quick form, and writes the report as JSON for `ecowire send --kind ecomessage`
    #[command(after_help = COMPOSE_EXAMPLES)]
    Ecomessage(ComposeEcomessage),
}

/// What is left out is asked for.
#[derive(Debug, Args)]
pub(crate) struct ComposeEcomessage {
    /// What happened: seizure, detection, interception, refusal_of_entry, arrest, discharge, dumping, inspection_finding.
    #[arg(long, value_name = "WORD")]
    pub(crate) incident: Option<String>,
    /// When, like 2026-11-24T10:00:00Z; empty for now.
    #[arg(long, value_name = "TIME")]
    pub(crate) when: Option<String>,
    /// Where: a UN/LOCODE, or words.
    #[arg(long, value_name = "TEXT")]
    pub(crate) place: Option<String>,
    /// Area of crime: wildlife, fisheries, forestry, mining, pollution_waste, other.
    #[arg(long, value_name = "WORD")]
    pub(crate) area: Option<String>,
    /// Which goods.
    #[arg(long, value_name = "TEXT")]
    pub(crate) goods: Option<String>,
    /// How much: a number and a unit.
    #[arg(long, value_name = "TEXT")]
    pub(crate) quantity: Option<String>,
    /// What is wanted of the recipients; empty for nothing.
    #[arg(long, value_name = "TEXT")]
    pub(crate) action: Option<String>,
    /// Language of the questions and of what is answered: ar, en, es, fr.
    #[arg(long, value_name = "TAG", default_value = "en", value_parser = language)]
    pub(crate) language: Language,
    /// File to write the report to; else it goes to stdout.
    #[arg(long, value_name = "FILE")]
    pub(crate) out: Option<PathBuf>,
    /// Overwrite the file.
    #[arg(long, requires = "out")]
    pub(crate) force: bool,
}

const COMPOSE_EXAMPLES: &str = "Examples:\n  ecowire compose ecomessage --language fr --out report.json\n  ecowire compose ecomessage --incident seizure --when '' --place KEMBA --area wildlife --goods tusks --quantity '312 kg' --action '' > report.json";

fn language(text: &str) -> Result<Language, String> {
    Language::of(text).ok_or_else(|| "the languages are ar, en, es, fr".to_owned())
}

//! What can be typed. Names and exit codes are a contract.

mod clocks;
mod desk;
mod forms;
mod office;
mod query;

use std::path::PathBuf;
use std::time::Duration;

use crate::link::Transport;
use crate::words::Word;
use clap::{Args, Parser, Subcommand};
use envelope::{Address, Reference};
use proto::v1::{Classification, Handling, Kind, OptOut, Priority};

pub(crate) use clocks::{Advices, Looking, Overdue};
pub(crate) use desk::{Attest, Deletion, DeletionCommand, DeletionStatus, Held, HeldCommand, Notices, Permit, PermitCommand, Report};
pub(crate) use forms::{ComposeEcomessage, ComposeWhat, Composing, Export, FieldSystem, Format, Import, PackCommand, Packing, Schema};
pub(crate) use office::{Bureau, BureauCommand, Code, Enrol, Granting, Group, GroupCommand, Office, Revoking, Standing};
pub(crate) use query::{Asked, Confirm, Hotlist, HotlistCheck, HotlistCommand, HotlistMake, HotlistTake, Query, Respond};

/// Signed, sealed messages between police bureaus, with receipts.
#[derive(Debug, Parser)]
#[command(name = "ecowire", after_help = OVERVIEW)]
pub(crate) struct Arguments {
    #[command(flatten)]
    pub(crate) way: Way,
    /// File with the passphrase of the profile's keys, for its owner's eyes only; else it is asked for.
    #[arg(long, global = true, value_name = "FILE", env = "ECOWIRE_PASSPHRASE_FILE")]
    pub(crate) passphrase_file: Option<PathBuf>,
    /// Folder with data packs (*.json) that stand in the place of those that are built in; `ecowire pack list` shows them.
    #[arg(long, global = true, value_name = "DIR", env = "ECOWIRE_PACKS")]
    pub(crate) packs: Option<PathBuf>,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// How the gateway is reached.
#[derive(Clone, Debug, Args)]
pub(crate) struct Way {
    /// How the gateway is reached: auto (quic, and tcp beside it after 1.5 s), quic, tcp; otherwise as the profile says.
    #[arg(long, global = true, value_name = "WORD")]
    pub(crate) transport: Option<Transport>,
    /// Say on stderr which transport is used.
    #[arg(short, long, global = true)]
    pub(crate) verbose: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    Init(Init),
    Send(Send),
    Inbox(Inbox),
    Open(Open),
    Ack(Ack),
    Status(Status),
    Receipt(Receipt),
    Audit(Audit),
    Compose(Composing),
    Schema(Schema),
    Import(Import),
    Pack(Packing),
    Export(Export),
    Explain(Explain),
    Notices(Notices),
    Report(Report),
    Held(Held),
    Permit(Permit),
    Deletion(Deletion),
    Overdue(Overdue),
    Advices(Advices),
    Query(Query),
    Respond(Respond),
    Confirm(Confirm),
    Hotlist(Hotlist),
    Group(Group),
    Bureau(Bureau),
    Code(Code),
    Doctor(Doctor),
    #[command(flatten)]
    Common(command::Common),
    Key(Key),
}

/// Makes a profile: copies trust file, certificates and keys, makes an encryption key and publishes it.
#[derive(Debug, Args)]
#[command(
    after_help = "Example:\n  ecowire init --profile kemba --gateway https://127.0.0.1:7247 --trust pki/trust.toml --identity pki/ke_cus_kemba"
)]
pub(crate) struct Init {
    /// Folder to make; nothing is overwritten.
    #[arg(long, value_name = "DIR")]
    pub(crate) profile: PathBuf,
    /// URL of the gateway.
    #[arg(long, value_name = "URL")]
    pub(crate) gateway: String,
    /// What this member trusts from the start.
    #[arg(long, value_name = "FILE")]
    pub(crate) trust: PathBuf,
    /// Folder with tls.pem, tls.key, identity.pem and identity.key.
    #[arg(long, value_name = "DIR")]
    pub(crate) identity: PathBuf,
    /// Encrypt the profile's keys under a passphrase, which is asked for twice or taken from --passphrase-file.
    #[arg(long)]
    pub(crate) passphrase: bool,
    /// The identity key lies in a token: pkcs11:token=...;object=...?module-path=/usr/lib/...so
    #[arg(long, value_name = "URI")]
    pub(crate) signing: Option<String>,
}

/// How a profile keeps its keys.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  ecowire key passphrase --profile kemba")]
pub(crate) struct Key {
    #[command(subcommand)]
    pub(crate) command: KeyCommand,
}

#[derive(Debug, Subcommand)]
pub(crate) enum KeyCommand {
    Passphrase(Passphrase),
}

/// Encrypts the keys under a new passphrase, or writes them in the clear.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  ecowire key passphrase --profile kemba\n  ecowire key passphrase --profile kemba --remove")]
pub(crate) struct Passphrase {
    /// Profile folder.
    #[arg(long, value_name = "DIR")]
    pub(crate) profile: PathBuf,
    /// File with the new passphrase, for its owner's eyes only; else it is asked for twice.
    #[arg(long, value_name = "FILE", conflicts_with = "remove")]
    pub(crate) new_passphrase_file: Option<PathBuf>,
    /// Write the keys in the clear.
    #[arg(long)]
    pub(crate) remove: bool,
}

/// To whom, and as what: what the rules look at.
#[derive(Debug, Args)]
pub(crate) struct Addressed {
    /// Recipients, separated by commas; a group stands for its members, all/ncb for every bureau.
    #[arg(long, value_name = "ADDRESSES", value_delimiter = ',', required_unless_present = "target")]
    pub(crate) to: Vec<Address>,
    /// Who of the group does not get it. The rest is then written to by name: no rule of the group's holds, and nobody learns of it.
    #[arg(long, value_name = "ADDRESSES", value_delimiter = ',')]
    pub(crate) except: Vec<Address>,
    #[arg(long, value_name = "WORD", default_value = "message", value_parser = word::<Kind>, help = among::<Kind>("What the message is for"))]
    pub(crate) kind: Kind,
    #[arg(long, value_name = "WORD", default_value = "routine", value_parser = word::<Priority>, help = among::<Priority>("How urgent it is"))]
    pub(crate) priority: Priority,
    #[arg(long, value_name = "WORD", default_value = "official-use-only", value_parser = word::<Classification>, help = among::<Classification>("Who may hold it"))]
    pub(crate) classification: Classification,
    #[arg(long, value_name = "REASON", value_parser = word::<OptOut>, help = among::<OptOut>("Why ipsg/ens gets no copy"))]
    pub(crate) opt_out: Option<OptOut>,
    #[arg(long, value_name = "WORD", default_value = "h0", value_parser = word::<Handling>, help = among::<Handling>("What recipients may do with it (h0 police use, h1 not in court, h2 not onward without permission, h3 other)"))]
    pub(crate) handling: Handling,
    /// A message of this profile that it answers.
    #[arg(long, value_name = "REFERENCE")]
    pub(crate) in_reply_to: Option<Reference>,
    /// The message that it corrects, deletes, updates, cancels or attests to; it goes to everybody concerned.
    #[arg(long, value_name = "REFERENCE")]
    pub(crate) target: Option<Reference>,
    /// A message of this profile that it passes on.
    #[arg(long, value_name = "REFERENCE")]
    pub(crate) passes_on: Option<Reference>,
    /// Permissions that it names, by the first digits of their digests, separated by commas.
    #[arg(long, value_name = "DIGITS", value_delimiter = ',')]
    pub(crate) permission: Vec<String>,
}

/// Seals and signs a file and sends it. It is kept in the outbox until a definite answer comes.
///
/// The own NCB is added when a recipient lies abroad, and so is the NCB of a foreign endpoint.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  ecowire send --profile kemba --to th,ipsg/ens --kind ecomessage --priority urgent --file report.json\n  ecowire send --profile ke --to th --kind reply --in-reply-to TH/2026/000003 --file answer.txt --json"
)]
pub(crate) struct Send {
    /// Profile folder.
    #[arg(long, value_name = "DIR")]
    pub(crate) profile: PathBuf,
    #[command(flatten)]
    pub(crate) about: Addressed,
    /// Profiles of officers' seats that sign it, too, separated by commas.
    #[arg(long, value_name = "DIRS", value_delimiter = ',')]
    pub(crate) seat: Vec<PathBuf>,
    /// The file, at most 256 KiB; recipients get the same bytes.
    #[arg(long, value_name = "FILE")]
    pub(crate) file: PathBuf,
    /// What the file is; guessed from its name when left out.
    #[arg(long, value_name = "TYPE", value_parser = media_type)]
    pub(crate) media_type: Option<String>,
    /// A drill.
    #[arg(long)]
    pub(crate) exercise: bool,
    /// How long to try before the message is left in the outbox.
    #[arg(long, value_name = "SECONDS", default_value = "5", value_parser = seconds)]
    pub(crate) wait: Duration,
    /// One JSON object a line.
    #[arg(long)]
    pub(crate) json: bool,
}

/// Fetches what waits and lists everything that is here.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  ecowire inbox --profile th\n  ecowire inbox --profile th --follow --json")]
pub(crate) struct Inbox {
    /// Profile folder.
    #[arg(long, value_name = "DIR")]
    pub(crate) profile: PathBuf,
    /// Stay, and list what comes.
    #[arg(long)]
    pub(crate) follow: bool,
    /// One JSON object a line.
    #[arg(long)]
    pub(crate) json: bool,
}

/// Opens a message: who signed it and when on stderr, its content on stdout or into a file.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  ecowire open --profile th KE.CUS.KEMBA/2026/000001\n  ecowire open --profile th KE.CUS.KEMBA/2026/000001 --out report.json"
)]
pub(crate) struct Open {
    /// Profile folder.
    #[arg(long, value_name = "DIR")]
    pub(crate) profile: PathBuf,
    /// Which message.
    pub(crate) reference: Reference,
    /// File to write the content to.
    #[arg(long, value_name = "FILE")]
    pub(crate) out: Option<PathBuf>,
    /// Overwrite the file.
    #[arg(long, requires = "out")]
    pub(crate) force: bool,
    /// A form as JSON instead of lines; a text as {"media_type", "text"}.
    #[arg(long)]
    pub(crate) json: bool,
    /// The content as it was sealed, also of a report.
    #[arg(long, conflicts_with = "json")]
    pub(crate) raw: bool,
}

/// Tells which rules a message would meet, before it is sealed and without a link; exit 3 if one refuses it.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  ecowire explain --profile kemba --to th,ipsg/ens --kind ecomessage\n  ecowire explain --profile kemba --to th --priority flash --json"
)]
pub(crate) struct Explain {
    /// Profile folder.
    #[arg(long, value_name = "DIR")]
    pub(crate) profile: PathBuf,
    #[command(flatten)]
    pub(crate) about: Addressed,
    /// One JSON object a rule.
    #[arg(long)]
    pub(crate) json: bool,
}

/// Says that a person has seen a message; returns when the ledger holds that durably.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  ecowire ack --profile th KE.CUS.KEMBA/2026/000001")]
pub(crate) struct Ack {
    /// Profile folder.
    #[arg(long, value_name = "DIR")]
    pub(crate) profile: PathBuf,
    /// Which message.
    pub(crate) reference: Reference,
}

/// Shows what became of one's own message at each recipient.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  ecowire status --profile kemba KE.CUS.KEMBA/2026/000001 --json")]
pub(crate) struct Status {
    /// Profile folder.
    #[arg(long, value_name = "DIR")]
    pub(crate) profile: PathBuf,
    /// Which message.
    pub(crate) reference: Reference,
    /// One JSON object a recipient.
    #[arg(long)]
    pub(crate) json: bool,
}

/// Reads receipts offline; no gateway and no profile is needed.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  ecowire receipt verify kemba/receipts/KE.CUS.KEMBA_2026_000001.receipt --trust pki/trust.toml")]
pub(crate) struct Receipt {
    #[command(subcommand)]
    pub(crate) command: ReceiptCommand,
}

#[derive(Debug, Subcommand)]
pub(crate) enum ReceiptCommand {
    /// Shows what a receipt says, proved or not.
    #[command(after_help = "Example:\n  ecowire receipt show a.receipt")]
    Show {
        /// The receipt.
        file: PathBuf,
        /// Not needed to look.
        #[arg(long, value_name = "FILE")]
        trust: Option<PathBuf>,
        /// One JSON object.
        #[arg(long)]
        json: bool,
    },
    /// Proves that the log holds the entry under a checkpoint that its key signed.
    #[command(after_help = "Example:\n  ecowire receipt verify a.receipt --trust pki/trust.toml")]
    Verify {
        /// The receipt.
        file: PathBuf,
        /// The trust file with the log's key.
        #[arg(long, value_name = "FILE")]
        trust: PathBuf,
        /// One JSON object.
        #[arg(long)]
        json: bool,
    },
}

/// Reads the log as an auditor. An access statement with the purpose is written first.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  ecowire audit verify --profile aud --purpose 'yearly audit'")]
pub(crate) struct Audit {
    #[command(subcommand)]
    pub(crate) command: AuditCommand,
}

#[derive(Debug, Subcommand)]
pub(crate) enum AuditCommand {
    /// Prints the entries, one a line.
    #[command(after_help = "Example:\n  ecowire audit replay --profile aud --from 100 --json")]
    Replay(Replay),
    /// Judges every entry again; exit 5 if an honest gateway would not have written one of them.
    #[command(after_help = "Example:\n  ecowire audit verify --profile aud")]
    Verify(Replay),
    /// Counts, a line a bureau, how soon it and those below it acknowledge and answer.
    ///
    /// A member's replay shows its own entries only, and a country's auditor no acknowledgements: only the network's auditor counts both.
    #[command(after_help = "Example:\n  ecowire audit statistics --profile aud --purpose 'yearly report' --json")]
    Statistics(Looking),
}

#[derive(Debug, Args)]
pub(crate) struct Replay {
    /// Profile folder.
    #[arg(long, value_name = "DIR")]
    pub(crate) profile: PathBuf,
    /// First entry to read; below it only hashes are, and nothing is judged.
    #[arg(long, value_name = "N", default_value = "0")]
    pub(crate) from: u64,
    /// Why; it stands in the log. Printable ASCII, no personal data.
    #[arg(long, value_name = "TEXT", default_value = "audit")]
    pub(crate) purpose: String,
    /// One JSON object a line.
    #[arg(long)]
    pub(crate) json: bool,
}

/// Looks at a profile and at the way to its gateway, and says what to do.
///
/// Certificates, keys, clock, directory, outbox, inbox and disk. Nothing that waits is sent. Exit codes: 0 all well (a "warn" can
/// wait), 4 the gateway cannot be reached and nothing else is wrong, 1 anything else.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  ecowire doctor --profile kemba\n  ecowire doctor --profile kemba --json | grep -v '\"verdict\":\"ok\"'"
)]
pub(crate) struct Doctor {
    /// Profile folder.
    #[arg(long, value_name = "DIR")]
    pub(crate) profile: PathBuf,
    /// How long to wait for the gateway at each step.
    #[arg(long, value_name = "SECONDS", default_value = "5", value_parser = seconds)]
    pub(crate) wait: Duration,
    /// One JSON object a check.
    #[arg(long)]
    pub(crate) json: bool,
}

fn word<W: Word>(text: &str) -> Result<W, String> {
    W::from_word(text).ok_or_else(|| format!("the words are {}", W::words().join(", ")))
}

/// A help text with the words.
fn among<W: Word>(what: &str) -> String {
    format!("{what}: {}", W::words().join(", "))
}

fn media_type(text: &str) -> Result<String, String> {
    if text.trim().is_empty() { Err("a media type like application/json is wanted".to_owned()) } else { Ok(text.to_owned()) }
}

fn seconds(text: &str) -> Result<Duration, String> {
    let seconds: f64 = text.parse().map_err(|_| "a number of seconds is wanted".to_owned())?;
    let wait = Duration::try_from_secs_f64(seconds).map_err(|_| "a number of seconds from 0 is wanted".to_owned())?;
    if wait <= WAIT_MAX { Ok(wait) } else { Err("more than a day is not waited for".to_owned()) }
}

const WAIT_MAX: Duration = Duration::from_secs(86_400);
const OVERVIEW: &str = "Examples:\n  ecowire init --profile kemba --gateway https://127.0.0.1:7247 --trust pki/trust.toml --identity pki/ke_cus_kemba\n  ecowire send --profile kemba --to th --kind ecomessage --file report.json\n  ecowire inbox --profile th\n  ecowire open --profile th KE.CUS.KEMBA/2026/000001\n  ecowire ack --profile th KE.CUS.KEMBA/2026/000001\n  ecowire status --profile kemba KE.CUS.KEMBA/2026/000001\n  ecowire overdue --profile kemba\n  ecowire doctor --profile kemba\n\nExit codes:\n  0 done   1 fault   2 wrong usage   3 refused (its name first on stderr)\n  4 not reachable; what `send` and `query` were given is kept in the outbox   5 verification failed\n  6 a key is locked: the passphrase or PIN is missing or wrong\n  7 something is overdue (`ecowire overdue`)\n  8 a hit that its owner has not confirmed, or one of a hot list";

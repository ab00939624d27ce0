//! What can be typed at a bureau's or a desk's work: messages that wait for its word, permissions, deletions.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use envelope::{Address, Reference};
use proto::v1::ReleaseReason;

use super::{Office, among, word};

/// The notice board: notices and diffusions that were received, as they stand after what has changed them since.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  ecowire notices --profile ke --colour purple --area fisheries\n  ecowire notices --profile ke --all --json"
)]
pub(crate) struct Notices {
    #[command(flatten)]
    pub(crate) office: Office,
    /// Only of this colour: red, blue, green, yellow, black, orange, purple, silver, un_special.
    #[arg(long, value_name = "WORD")]
    pub(crate) colour: Option<String>,
    /// Only of this area of crime: wildlife, fisheries, forestry, mining, pollution_waste, other.
    #[arg(long, value_name = "WORD")]
    pub(crate) area: Option<String>,
    /// Those that are suspended, expired or cancelled, too.
    #[arg(long)]
    pub(crate) all: bool,
}

/// The current report of a case: the initial one with its sender's supplements, corrections and cancellations.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  ecowire report --profile th KE.CUS.KEMBA/2026/000001")]
pub(crate) struct Report {
    #[command(flatten)]
    pub(crate) office: Office,
    /// Any report of the case.
    pub(crate) reference: Reference,
}

/// Messages that nobody else gets before this bureau or desk has released them.
///
/// A bureau holds what its posts in oversight mode "release" send abroad; ipsg/compliance what a supervised bureau publishes.
#[derive(Debug, Args)]
#[command(after_help = HELD_EXAMPLES)]
pub(crate) struct Held {
    #[command(subcommand)]
    pub(crate) command: HeldCommand,
}

#[derive(Debug, Subcommand)]
pub(crate) enum HeldCommand {
    /// Lists what waits for this member's word
    #[command(after_help = "Example:\n  ecowire held list --profile ke --json")]
    List(Office),
    /// Lets a message go to its recipients
    #[command(after_help = "Example:\n  ecowire held release --profile ke KE.CUS.KEMBA/2026/000007")]
    Release(Word),
    /// Keeps a message from its recipients for good
    #[command(after_help = "Example:\n  ecowire held refuse --profile compliance NP/2026/000002 --reason rules")]
    Refuse(Refusing),
}

impl HeldCommand {
    pub(crate) fn office(&self) -> &Office {
        match self {
            Self::List(office) => office,
            Self::Release(one) => &one.office,
            Self::Refuse(one) => &one.office,
        }
    }
}

#[derive(Debug, Args)]
pub(crate) struct Word {
    #[command(flatten)]
    pub(crate) office: Office,
    /// Which message.
    pub(crate) reference: Reference,
}

#[derive(Debug, Args)]
pub(crate) struct Refusing {
    #[command(flatten)]
    pub(crate) office: Office,
    /// Which message.
    pub(crate) reference: Reference,
    #[arg(long, value_name = "WORD", value_parser = word::<ReleaseReason>, help = among::<ReleaseReason>("Why; it stands in the log"))]
    pub(crate) reason: ReleaseReason,
}

/// What messages may do that they could not by themselves; they name a permission with `ecowire send --permission`.
#[derive(Debug, Args)]
#[command(after_help = PERMIT_EXAMPLES)]
pub(crate) struct Permit {
    #[command(subcommand)]
    pub(crate) command: PermitCommand,
}

#[derive(Debug, Subcommand)]
pub(crate) enum PermitCommand {
    /// Lets somebody below this bureau write abroad without a copy to it
    #[command(after_help = "Example:\n  ecowire permit waive --profile ke ke/cus/kemba --days 7")]
    Waive(Waive),
    /// Lets a recipient pass on a message of handling H2 that this member sent
    #[command(after_help = "Example:\n  ecowire permit onward --profile ke th --message KE/2026/000004 --to np")]
    Onward(Onward),
    /// Lets somebody below this bureau delete a message
    #[command(after_help = "Example:\n  ecowire permit countersign --profile ke ke/cus/kemba --message KE.CUS.KEMBA/2026/000003")]
    Countersign(Countersign),
    /// Lists the permissions that one gave or was given
    #[command(after_help = "Example:\n  ecowire permit list --profile kemba --json")]
    List(Office),
}

impl PermitCommand {
    pub(crate) fn office(&self) -> &Office {
        match self {
            Self::Waive(one) => &one.office,
            Self::Onward(one) => &one.office,
            Self::Countersign(one) => &one.office,
            Self::List(office) => office,
        }
    }
}

#[derive(Debug, Args)]
pub(crate) struct Waive {
    #[command(flatten)]
    pub(crate) office: Office,
    /// Who.
    pub(crate) address: Address,
    /// For how many days.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=31))]
    pub(crate) days: u32,
}

#[derive(Debug, Args)]
pub(crate) struct Onward {
    #[command(flatten)]
    pub(crate) office: Office,
    /// Who may pass it on.
    pub(crate) address: Address,
    /// Which message.
    #[arg(long, value_name = "REFERENCE")]
    pub(crate) message: Reference,
    /// To whom alone, separated by commas; to anybody whom the rules allow when left out.
    #[arg(long, value_name = "ADDRESSES", value_delimiter = ',')]
    pub(crate) to: Vec<Address>,
}

#[derive(Debug, Args)]
pub(crate) struct Countersign {
    #[command(flatten)]
    pub(crate) office: Office,
    /// Who may delete it.
    pub(crate) address: Address,
    /// Which message.
    #[arg(long, value_name = "REFERENCE")]
    pub(crate) message: Reference,
}

/// Deletions: who asked for one attests that it was done, and the source sees who has.
#[derive(Debug, Args)]
#[command(after_help = DELETION_EXAMPLES)]
pub(crate) struct Deletion {
    #[command(subcommand)]
    pub(crate) command: DeletionCommand,
}

#[derive(Debug, Subcommand)]
pub(crate) enum DeletionCommand {
    /// Tells the source that what it deleted is deleted here, too
    #[command(after_help = "Example:\n  ecowire deletion attest --profile th KE/2026/000009 --file done.json")]
    Attest(Attest),
    /// Shows who has attested to a deletion, and who has not yet
    #[command(after_help = "Example:\n  ecowire deletion status --profile ke KE/2026/000009 --json")]
    Status(DeletionStatus),
}

#[derive(Debug, Args)]
pub(crate) struct Attest {
    #[command(flatten)]
    pub(crate) office: Office,
    /// The DELETION that was received.
    pub(crate) reference: Reference,
    /// What was deleted where, as text or JSON.
    #[arg(long, value_name = "FILE")]
    pub(crate) file: PathBuf,
}

#[derive(Debug, Args)]
pub(crate) struct DeletionStatus {
    #[command(flatten)]
    pub(crate) office: Office,
    /// The DELETION that was sent.
    pub(crate) reference: Reference,
}

const HELD_EXAMPLES: &str = "Examples:\n  ecowire held list --profile ke\n  ecowire open --profile ke KE.CUS.KEMBA/2026/000007\n  ecowire held release --profile ke KE.CUS.KEMBA/2026/000007\n  ecowire held refuse --profile compliance NP/2026/000002 --reason rules";
const PERMIT_EXAMPLES: &str = "Examples:\n  ecowire permit waive --profile ke ke/cus/kemba --days 7\n  ecowire permit onward --profile ke th --message KE/2026/000004 --to np\n  ecowire send --profile th --to np --passes-on KE/2026/000004 --handling h2 --permission 3f9a01c2 --file note.txt";
const DELETION_EXAMPLES: &str = "Examples:\n  ecowire send --profile ke --kind deletion --target KE/2026/000004 --file reason.txt\n  ecowire deletion attest --profile th KE/2026/000009 --file done.txt\n  ecowire deletion status --profile ke KE/2026/000009";

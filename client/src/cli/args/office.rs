//! What can be typed in a bureau's office: groups, those below it, the code of a certificate.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use envelope::Address;
use proto::v1::{Audience, Classification, GroupSenders, Kind, OversightMode, Priority, StandingReason};

use super::{among, word};

/// Who belongs together: working groups, operations, task forces, case rooms.
///
/// An NCB founds grp/nest/<its country>, and like a desk of IPSG grp/op/..., grp/tf/... and case/...; a desk any other grp/...
#[derive(Debug, Args)]
#[command(after_help = GROUP_EXAMPLES)]
pub(crate) struct Group {
    #[command(subcommand)]
    pub(crate) command: GroupCommand,
}

impl GroupCommand {
    pub(crate) fn office(&self) -> &Office {
        match self {
            Self::Set(one) => &one.office,
            Self::End(one) => &one.office,
            Self::List(office) => office,
        }
    }
}

#[derive(Debug, Subcommand)]
pub(crate) enum GroupCommand {
    /// Founds a group, or says anew who belongs to it
    #[command(after_help = GROUP_EXAMPLES)]
    Set(GroupSet),
    /// Ends a group that one owns
    #[command(after_help = "Example:\n  ecowire group end --profile ke grp/op/4f2a")]
    End(GroupEnd),
    /// Lists the groups that one owns or belongs to
    #[command(after_help = "Example:\n  ecowire group list --profile ke --json")]
    List(Office),
}

#[derive(Debug, Args)]
pub(crate) struct GroupSet {
    #[command(flatten)]
    pub(crate) office: Office,
    /// The group.
    pub(crate) group: Address,
    /// All its members, separated by commas.
    #[arg(long, value_name = "ADDRESSES", value_delimiter = ',', required = true)]
    pub(crate) member: Vec<Address>,
    #[arg(long, value_name = "WORD", default_value = "members", value_parser = word::<GroupSenders>, help = among::<GroupSenders>("Who may send through it"))]
    pub(crate) senders: GroupSenders,
    /// For how many days; without end when left out.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=3660))]
    pub(crate) days: Option<u32>,
}

#[derive(Debug, Args)]
pub(crate) struct GroupEnd {
    #[command(flatten)]
    pub(crate) office: Office,
    /// The group.
    pub(crate) group: Address,
}

/// Runs those below a bureau: who they are, what they may send, and where they stand.
///
/// Every change is a statement that the bureau signs and the ledger keeps; it is in force when the command returns, on open
/// connections too.
#[derive(Debug, Args)]
#[command(after_help = BUREAU_EXAMPLES)]
pub(crate) struct Bureau {
    #[command(subcommand)]
    pub(crate) command: BureauCommand,
}

#[derive(Debug, Args)]
pub(crate) struct Office {
    /// Profile folder of the bureau.
    #[arg(long, value_name = "DIR")]
    pub(crate) profile: PathBuf,
    /// One JSON object a line.
    #[arg(long)]
    pub(crate) json: bool,
}

impl BureauCommand {
    pub(crate) fn office(&self) -> &Office {
        match self {
            Self::Enrol(one) => &one.office,
            Self::Grant(one) => &one.office,
            Self::Revoke(one) => &one.office,
            Self::Supervise(one) | Self::Suspend(one) | Self::Restore(one) | Self::Withdraw(one) => &one.office,
            Self::List(office) | Self::Watch(office) => office,
        }
    }
}

#[derive(Debug, Subcommand)]
pub(crate) enum BureauCommand {
    /// Takes somebody into the network, or lays down new terms or a new certificate for it
    #[command(after_help = "Example:\n  ecowire bureau enrol --profile ke --certificate pki/ke_air_kenbo/identity.pem --oversight relay")]
    Enrol(Enrol),
    /// Adds a grant; the first one ends those of its class, and a kind is granted in one way at a time
    #[command(
        after_help = "Example:\n  ecowire bureau grant --profile ke ke/cus/kemba --kind alert,ecomessage --audience bureaus --days 90"
    )]
    Grant(Granting),
    /// Takes grants back: of the kinds named, or all of them
    #[command(after_help = "Example:\n  ecowire bureau revoke --profile ke ke/cus/kemba --kind ecomessage")]
    Revoke(Revoking),
    /// Holds what somebody publishes until `ipsg/compliance` releases it; that desk says so of a country
    #[command(after_help = "Example:\n  ecowire bureau supervise --profile compliance np --reason investigation")]
    Supervise(Standing),
    /// Cuts somebody off until it is restored
    #[command(after_help = "Example:\n  ecowire bureau suspend --profile ke ke/cus/kemba --reason compromise")]
    Suspend(Standing),
    /// Lets somebody who was suspended back in, and ends supervision
    #[command(after_help = "Example:\n  ecowire bureau restore --profile ke ke/cus/kemba")]
    Restore(Standing),
    /// Ends somebody's membership; only a new enrolment brings it back
    #[command(after_help = "Example:\n  ecowire bureau withdraw --profile ke ke/cus/kemba --reason misuse")]
    Withdraw(Standing),
    /// Lists everybody below the bureau
    #[command(after_help = "Example:\n  ecowire bureau list --profile ke --json")]
    List(Office),
    /// Lists everybody, stays, and says what changes
    #[command(after_help = "Example:\n  ecowire bureau watch --profile ke")]
    Watch(Office),
}

#[derive(Debug, Args)]
pub(crate) struct Enrol {
    #[command(flatten)]
    pub(crate) office: Office,
    /// Chain of its identity certificate in PEM, by the bureau's own CA; it says whom.
    #[arg(long, value_name = "FILE")]
    pub(crate) certificate: PathBuf,
    /// The code that was heard by telephone; another certificate than its owner's is refused.
    #[arg(long, value_name = "CODE")]
    pub(crate) code: Option<String>,
    #[arg(long, value_name = "WORD", value_parser = word::<Classification>, help = among::<Classification>("The highest class of content that it may hold; as before, or restricted"))]
    pub(crate) clearance: Option<Classification>,
    #[arg(long, value_name = "WORD", value_parser = word::<OversightMode>, help = among::<OversightMode>("How the bureau sees what it sends abroad; as before, or copy"))]
    pub(crate) oversight: Option<OversightMode>,
    /// Whether others than its own country may write to it, with a copy to the bureau; as before, or not.
    #[arg(long, value_name = "YES", num_args = 0..=1, default_missing_value = "true", require_equals = true)]
    pub(crate) open_to_foreign: Option<bool>,
}

/// Says the code of one's own certificate, which the bureau's officer compares by telephone before enrolling it.
///
/// Read it out in full, once, within an hour of the request. A certificate that was exchanged on its way has another code.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  ecowire code --identity pki/ke_air_kenbo --trust pki/trust.toml")]
pub(crate) struct Code {
    /// Folder with identity.pem.
    #[arg(long, value_name = "DIR")]
    pub(crate) identity: PathBuf,
    /// What this member trusts from the start.
    #[arg(long, value_name = "FILE")]
    pub(crate) trust: PathBuf,
}

#[derive(Debug, Args)]
pub(crate) struct Granting {
    #[command(flatten)]
    pub(crate) office: Office,
    /// Who may send.
    pub(crate) address: Address,
    #[arg(long, value_name = "WORDS", value_delimiter = ',', required = true, value_parser = word::<Kind>, help = among::<Kind>("What it may send"))]
    pub(crate) kind: Vec<Kind>,
    #[arg(long, value_name = "WORDS", value_delimiter = ',', default_value = "routine,urgent,flash", value_parser = word::<Priority>, help = among::<Priority>("How urgent"))]
    pub(crate) priority: Vec<Priority>,
    #[arg(long, value_name = "WORDS", value_delimiter = ',', default_value = "official-use-only,restricted", value_parser = word::<Classification>, help = among::<Classification>("Of which class"))]
    pub(crate) classification: Vec<Classification>,
    #[arg(long, value_name = "WORD", default_value = "bureaus", value_parser = word::<Audience>, help = among::<Audience>("To whom (own-country; bureaus: and NCBs and desks of IPSG anywhere; all)"))]
    pub(crate) audience: Audience,
    /// For how many days; without end when left out.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=3660))]
    pub(crate) days: Option<u32>,
}

#[derive(Debug, Args)]
pub(crate) struct Revoking {
    #[command(flatten)]
    pub(crate) office: Office,
    /// Whose grants.
    pub(crate) address: Address,
    #[arg(long, value_name = "WORDS", value_delimiter = ',', value_parser = word::<Kind>, help = among::<Kind>("Only these kinds"))]
    pub(crate) kind: Vec<Kind>,
}

#[derive(Debug, Args)]
pub(crate) struct Standing {
    #[command(flatten)]
    pub(crate) office: Office,
    /// Who.
    pub(crate) address: Address,
    #[arg(long, value_name = "WORD", default_value = "routine", value_parser = word::<StandingReason>, help = among::<StandingReason>("Why; it stands in the directory, for all to see"))]
    pub(crate) reason: StandingReason,
}

const GROUP_EXAMPLES: &str = "Examples:\n  ecowire group set --profile ke grp/op/4f2a --member ke,th,ke/cus/kemba --days 90\n  ecowire send --profile ke --to grp/op/4f2a --file plan.pdf";
const BUREAU_EXAMPLES: &str = "Examples:\n  ecowire bureau list --profile ke\n  ecowire bureau enrol --profile ke --certificate pki/ke_air_kenbo/identity.pem\n  ecowire bureau grant --profile ke ke/air/kenbo --kind alert --audience own-country\n  ecowire bureau suspend --profile ke ke/cus/kemba --reason compromise";

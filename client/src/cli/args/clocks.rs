//! What can be typed about deadlines: what is overdue, and how bureaus answer.

use std::path::PathBuf;

use clap::Args;

use super::Office;

/// Lists what is overdue of what one sent, received or answers for: deliveries, acknowledgements, answers; exit 7 if there is any.
///
/// The log is replayed and verified as in an audit. A member is shown its own entries only: of its messages the gateway says what became
/// of them; of messages that it has as a copy it sees answers alone, and so does a country's auditor. A post that is closed to foreign
/// senders sees no answers from abroad: its bureau does. A message that expired before it was delivered is listed once.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  ecowire overdue --profile ke\n  ecowire overdue --profile aud --purpose 'weekly report' --json")]
pub(crate) struct Overdue {
    #[command(flatten)]
    pub(crate) looking: Looking,
}

/// Lists what the gateway has told this member: which of its messages ended before somebody took them, and, for a bureau and for
/// ipsg/ccc, which messages of others nobody has acknowledged in time.
///
/// Each is proved by a receipt in the profile's folder `receipts`, which `ecowire receipt verify` checks offline. `ecowire inbox` says
/// what is new, too.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  ecowire advices --profile ke\n  ecowire advices --profile ccc --json")]
pub(crate) struct Advices {
    #[command(flatten)]
    pub(crate) office: Office,
}

/// Whose eyes, and why.
#[derive(Debug, Args)]
pub(crate) struct Looking {
    /// Profile folder.
    #[arg(long, value_name = "DIR")]
    pub(crate) profile: PathBuf,
    /// Why an auditor looks; it stands in the log. Printable ASCII, no personal data.
    #[arg(long, value_name = "TEXT", default_value = "deadlines")]
    pub(crate) purpose: String,
    /// One JSON object a line.
    #[arg(long)]
    pub(crate) json: bool,
}

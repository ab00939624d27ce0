//! What can be typed about deadlines: what is overdue, and how bureaus answer.

use std::path::PathBuf;

use clap::Args;

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

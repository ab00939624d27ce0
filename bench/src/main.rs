//! `ecowire-bench`: load and figures. Every rate stands beside what this machine takes for a signature and an fsync.

mod commands;

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{CommandFactory as _, FromArgMatches as _, Parser, Subcommand};
use commands::{deliver, fanout, felt, growth, idle, power_cut, replay, restart, stores, submit};

/// Load and figures for an Ecowire gateway, which it starts as a second process.
#[derive(Parser)]
#[command(name = "ecowire-bench", after_help = EXAMPLES)]
struct Cli {
    #[command(subcommand)]
    command: Bench,
}

#[derive(Subcommand)]
enum Bench {
    /// Submit signed messages on streams, one participant a connection
    #[command(after_help = EXAMPLES)]
    Submit(submit::Submit),
    /// From hand-over to the recipient's durable DELIVERED
    #[command(after_help = EXAMPLES)]
    Deliver(deliver::Deliver),
    /// One sender, many recipients, with their statements
    #[command(after_help = EXAMPLES)]
    Fanout(fanout::Fanout),
    /// Replay a ledger as an auditor: structure alone, then every signature and rule
    #[command(after_help = EXAMPLES)]
    Replay(replay::Options),
    /// Memory of connections that wait for mail
    #[command(after_help = EXAMPLES)]
    Idle(idle::Idle),
    /// Fill a ledger, kill the gateway, and count what the next start reads
    #[command(after_help = EXAMPLES)]
    Restart(restart::Restart),
    /// Cost of a message in a small and in a large ledger
    #[command(after_help = EXAMPLES)]
    Growth(growth::Growth),
    /// Cut a gateway's power under load, and count what was acknowledged and is lost
    #[command(after_help = EXAMPLES)]
    PowerCut(power_cut::PowerCut),
    /// Measure an engine alone: appends, bytes on the disk, opening again, memory
    #[command(after_help = EXAMPLES)]
    Stores(stores::Stores),
    /// QUIC against TCP on links that delay and lose packets; needs root, ip, python3 and /dev/net/tun
    #[command(after_help = EXAMPLES)]
    Link(bench::link::Options),
    /// One participant at ten times its rate: what the others feel
    #[command(after_help = EXAMPLES)]
    Fair(felt::Felt),
    /// Attacks below gRPC: what the others feel
    #[command(after_help = EXAMPLES)]
    Attack(felt::Felt),
    /// The gateway itself, as a process of its own
    #[command(hide = true, after_help = EXAMPLES)]
    Gateway {
        /// Its configuration
        #[arg(long)]
        config: PathBuf,
    },
    /// The gateway's command, whole
    #[command(hide = true, name = "ecowire-gateway", disable_help_flag = true, after_help = EXAMPLES)]
    Command {
        /// Its arguments
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        args: Vec<OsString>,
    },
    #[command(flatten)]
    Common(command::Common),
}

const EXAMPLES: &str = "Examples:
  ecowire-bench submit --connections 8 --inflight 64 --size 1024 --seconds 5
  ecowire-bench deliver --json
  ecowire-bench fanout --recipients 195
  ecowire-bench replay --entries 50000
  ecowire-bench idle --connections 1000
  ecowire-bench restart --entries 1000000
  ecowire-bench growth --to 10000000
  ecowire-bench fair
  ecowire-bench attack
  ecowire-bench link --json
  ecowire-bench power-cut --engine sled --rounds 50
  ecowire-bench stores --engine redb

Every output has verify_us, fdatasync_us and cores of the same run. bench/all runs everything and prints Markdown.
Exit codes: 0 done (marks that were missed included), 2 usage, 1 anything else.";

fn main() -> ExitCode {
    let version = commit::version!();
    let cli = Cli::from_arg_matches(&command::dress(Cli::command(), version).get_matches()).unwrap_or_else(|error| error.exit());
    let done = match cli.command {
        Bench::Common(common) => common.carry_out(command::dress(Cli::command(), version)).map_err(Into::into),
        Bench::Submit(options) => run(submit::run(&options)),
        Bench::Deliver(options) => run(deliver::run(&options)),
        Bench::Fanout(options) => run(fanout::run(&options)),
        Bench::Replay(options) => run(replay::run(&options)),
        Bench::Idle(options) => run(idle::run(&options)),
        Bench::Restart(options) => run(restart::run(&options)),
        Bench::Growth(options) => run(growth::run(&options)),
        Bench::PowerCut(options) => run(power_cut::run(&options)),
        Bench::Stores(options) => stores::run(&options),
        Bench::Link(options) => bench::link::run(&options),
        Bench::Command { args } => return gateway::cli::run(std::iter::once("ecowire-gateway".into()).chain(args), version),
        Bench::Fair(options) => run(felt::fair(options)),
        Bench::Attack(options) => run(felt::attack(options)),
        Bench::Gateway { config } => {
            let args = ["ecowire-gateway".into(), "serve".into(), "--config".into(), config.into_os_string()];
            return gateway::cli::run(args.map(OsString::from), version);
        }
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(work: impl Future<Output = anyhow::Result<()>>) -> anyhow::Result<()> {
    tokio::runtime::Builder::new_multi_thread().enable_all().build()?.block_on(work)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_can_be_typed_is_left_unsaid() {
        let unsaid = command::unsaid(&command::dress(Cli::command(), "1"));
        assert!(unsaid.is_empty(), "{unsaid:#?}");
    }
}

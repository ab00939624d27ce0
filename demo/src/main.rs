//! `ecowire-demo`: its arguments. What is played stands in the library.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, ValueEnum};
use demo::{Evening, Story};

/// Plays a story on a small network with real certificates, a real gateway and an auditor who proves what happened.
#[derive(Parser)]
#[command(name = "ecowire-demo", version = commit::version!(), after_help = EXAMPLES)]
struct Cli {
    /// Folder of the network; made when it is not there, used again when it is [default: demo-network, or demo-network-full]
    #[arg(long)]
    out: Option<PathBuf>,
    /// Which story
    #[arg(long, value_enum, default_value_t)]
    story: Story,
    /// Which network
    #[arg(long, value_enum, default_value_t, conflicts_with = "story")]
    network: Size,
    /// Print the names of the stories, one a line
    #[arg(long)]
    list_stories: bool,
    /// Keep the gateway running afterwards, until Ctrl-C
    #[arg(long, conflicts_with = "network")]
    serve: bool,
}

/// The networks that can be built.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
enum Size {
    /// Six bureaus with their posts, for the stories
    #[default]
    Stories,
    /// 196 bureaus and 400 endpoints; plays one notice to every bureau and times it
    Full,
}

const EXAMPLES: &str = "Examples:
  ecowire-demo                     play the story of the ivory container in ./demo-network
  ecowire-demo --list-stories      which others there are
  ecowire-demo --story vessel      a notice to all bureaus, and the port that recognises her
  ecowire-demo --story songbirds   a dead link at a land border
  ecowire-demo --serve             ... and keep the gateway running to go on by hand
  ecowire-demo --out /tmp/demo     ... in another folder
  ecowire-demo --network full      196 bureaus, 400 endpoints: a notice to every bureau, timed";

fn main() -> ExitCode {
    let cli = Cli::parse();
    if cli.list_stories {
        Story::value_variants().iter().filter_map(ValueEnum::to_possible_value).for_each(|story| println!("{}", story.get_name()));
        return ExitCode::SUCCESS;
    }
    let out = |usual: &str| cli.out.clone().unwrap_or_else(|| usual.into());
    let played = match cli.network {
        Size::Stories => demo::run(&Evening { out: out("demo-network"), story: cli.story, serve: cli.serve }),
        Size::Full => demo::run_full(&out("demo-network-full")),
    };
    match played {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

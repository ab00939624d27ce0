//! `power-cut`: cut a gateway's power under load, and count what was acknowledged and is lost.

use bench::power::{self, Options, Tally, Way};
use clap::Args;
use gateway::config::EngineName;

#[derive(Args)]
pub(crate) struct PowerCut {
    /// What keeps the ledger
    #[arg(long, value_enum, default_value_t)]
    engine: EngineName,
    /// Leave out the syncs that the ledger adds to sled: sled as it is documented
    #[arg(long)]
    as_documented: bool,
    /// Record writes and syncs although a file system may be mounted here
    #[arg(long)]
    recorded: bool,
    /// Cuts
    #[arg(long, default_value_t = 50)]
    rounds: usize,
    /// One JSON object
    #[arg(long)]
    json: bool,
}

pub(crate) async fn run(options: &PowerCut) -> anyhow::Result<()> {
    let way = if options.recorded { Ok(Way::Recorded) } else { Way::mounted() };
    let way = way.unwrap_or_else(|error| {
        eprintln!("no file system can be mounted here, so writes are recorded instead: {error:#}");
        Way::Recorded
    });
    let program = vec![std::env::current_exe()?.into(), "ecowire-gateway".into()];
    let (engine, unsynced, rounds) = (options.engine, options.as_documented, options.rounds);
    let tally = power::run(&Options { engine, unsynced, way, rounds, program }).await?;
    let engine = format!("{}{}", engine.engine().name(), if unsynced { " as documented" } else { "" });
    let Tally { rounds, sound, stores, damaged, acknowledged, lost } = tally;
    if options.json {
        let figures = serde_json::json!({
            "engine": engine, "way": way.name(), "rounds": rounds, "sound": sound, "stores": stores, "damaged": damaged,
            "acknowledged": acknowledged, "lost": lost,
        });
        println!("{figures}");
    } else {
        println!("{engine}, {}: sound after {sound} of {rounds} cuts", way.name());
        println!("{stores} stores, {damaged} damaged; {acknowledged} messages acknowledged, {lost} of them lost");
    }
    Ok(())
}

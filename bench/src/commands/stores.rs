//! `stores`: an engine alone, without a gateway around it.

use bench::report::Report;
use clap::Args;
use gateway::config::EngineName;

use super::Output;

#[derive(Args)]
pub(crate) struct Stores {
    /// What keeps the ledger
    #[arg(long, value_enum, default_value_t)]
    engine: EngineName,
    /// Entries, at least
    #[arg(long, default_value_t = 100_000)]
    entries: u64,
    #[command(flatten)]
    output: Output,
}

pub(crate) fn run(options: &Stores) -> anyhow::Result<()> {
    let scratch = tempfile::tempdir()?;
    let mut report = Report::default();
    for (name, value) in bench::stores::measure(&options.engine.engine(), options.entries, scratch.path())? {
        report.figure(name, value);
    }
    options.output.print(&report);
    Ok(())
}

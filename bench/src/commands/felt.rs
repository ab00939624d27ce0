//! `fair` and `attack`: what others feel of a neighbour at ten times its rate, and of attacks below gRPC.

use bench::fair::{self, Figures};
use bench::report::Report;
use clap::Args;

use super::Output;

#[derive(Args)]
pub(crate) struct Felt {
    #[command(flatten)]
    options: fair::Options,
    #[command(flatten)]
    output: Output,
}

pub(crate) async fn fair(felt: Felt) -> anyhow::Result<()> {
    print(felt.output, fair::fair(felt.options).await?);
    Ok(())
}

pub(crate) async fn attack(felt: Felt) -> anyhow::Result<()> {
    print(felt.output, fair::attack(felt.options).await?);
    Ok(())
}

fn print(output: Output, figures: Figures) {
    let mut report = Report::default();
    for (name, value) in figures {
        // A ratio of the others' p99 is held against its mark.
        if name.contains("p99") && name.contains("ratio") {
            report.at_most(name, value, 1.2, "1.2");
        } else {
            report.figure(name, value);
        }
    }
    output.print(&report);
}

//! The doctor: looks at a gateway from its configuration, beside a running one or without, and says what to do.
//!
//! `look` gathers facts, `judge` decides; the doctor changes nothing but the store's lock file of a gateway that is stopped.

mod judge;
mod look;

#[cfg(test)]
mod tests;

use std::path::Path;

pub use command::report::{Check, Report, Verdict};

use crate::config::{Config, ConfigError};

/// Looks at everything that a configuration names. It ends at the first thing without which the rest cannot be judged.
pub async fn examine(path: &Path, config: Result<Config, ConfigError>) -> Report {
    let mut report = Report::default();
    let config = match config {
        Ok(config) => {
            report.checks.push(Check::ok("config", format!("{} is read, {} keys hold", path.display(), config.effective().len())));
            config
        }
        Err(error) => {
            let text = crate::writer::chain(&error);
            report.checks.push(Check::bad("config", text, "mend the file; `ecowire-gateway config --example` shows every key"));
            return report;
        }
    };
    report.checks.push(judge::files(&look::files(&config)));
    let (opener, genesis) = match crate::gateway::opener(&config) {
        Ok(opened) => opened,
        Err(error) => {
            let advice = "take the genesis.bin and the node folder that the network authority gave to this gateway";
            report.checks.push(Check::bad("genesis", crate::writer::chain(&error), advice));
            return report;
        }
    };
    report.checks.push(Check::ok("genesis", format!("of {}, node {}", genesis.network, genesis.statement.node)));
    report.checks.push(judge::keys(crate::node::Node::signers(&config.node, &config.keys, &genesis).err()));
    let now = look::now();
    let certificates = look::certificates(&config, &genesis, now);
    report.checks.push(judge::certificates(&certificates, now));
    report.checks.push(judge::lists(&look::lists(&config, &genesis, &certificates, now), now));
    let mut store = look::store(&config, &opener);
    let running = store.holder.is_some();
    if running {
        store.checkpoint = look::checkpoint(config.telemetry.metrics).await;
    }
    report.checks.push(judge::store(&store, &config.data));
    report.checks.push(judge::disk(look::free_bytes(&config.data), &config.data));
    report.checks.push(judge::clock(store.last_at));
    report.checks.push(judge::tcp(look::tcp(config.listen, &certificates).await, config.listen, running));
    report.checks.push(judge::udp(look::udp(config.listen), config.listen, running));
    report.checks.push(judge::ready(look::ready(config.telemetry.metrics).await.as_ref(), config.telemetry.metrics, running));
    report
}

//! The doctor: looks at a gateway from its configuration, beside a running one or without, and says what to do.
//!
//! `look` gathers facts, `judge` decides; the doctor changes nothing but the store's lock file of a gateway that is stopped.

mod judge;
mod look;

#[cfg(test)]
mod tests;

use std::path::Path;

use serde::Serialize;

use crate::config::{Config, ConfigError};

/// What a check came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// Nothing to do.
    Ok,
    /// Something to do soon.
    Warn,
    /// Something to do now.
    Bad,
    /// Nothing is known to be wrong, but nobody answers.
    Unreachable,
}

/// One thing that was looked at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Check {
    /// Its stable name.
    pub name: &'static str,
    /// What it came to.
    pub verdict: Verdict,
    /// What was found.
    pub text: String,
    /// What to do; empty when there is nothing.
    pub advice: String,
}

/// All that was looked at, in order.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Report {
    /// The checks.
    pub checks: Vec<Check>,
}

impl Check {
    fn new(name: &'static str, verdict: Verdict, text: impl Into<String>, advice: impl Into<String>) -> Self {
        Self { name, verdict, text: text.into(), advice: advice.into() }
    }

    fn ok(name: &'static str, text: impl Into<String>) -> Self {
        Self::new(name, Verdict::Ok, text, "")
    }

    fn warn(name: &'static str, text: impl Into<String>, advice: impl Into<String>) -> Self {
        Self::new(name, Verdict::Warn, text, advice)
    }

    fn bad(name: &'static str, text: impl Into<String>, advice: impl Into<String>) -> Self {
        Self::new(name, Verdict::Bad, text, advice)
    }

    fn unreachable(name: &'static str, text: impl Into<String>, advice: impl Into<String>) -> Self {
        Self::new(name, Verdict::Unreachable, text, advice)
    }
}

impl Report {
    /// 0 when all is well or only needs something soon, 4 when nothing is wrong but nobody answers, else 1.
    #[must_use]
    pub fn exit(&self) -> u8 {
        let has = |verdict| self.checks.iter().any(|check| check.verdict == verdict);
        match (has(Verdict::Bad), has(Verdict::Unreachable)) {
            (true, _) => 1,
            (false, true) => 4,
            (false, false) => 0,
        }
    }
}

impl std::fmt::Display for Report {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for Check { name, verdict, text, advice } in &self.checks {
            let word = match verdict {
                Verdict::Ok => "ok",
                Verdict::Warn => "warn",
                Verdict::Bad => "BAD",
                Verdict::Unreachable => "DOWN",
            };
            writeln!(f, "{word:<5} {name:<12} {text}")?;
            if !advice.is_empty() {
                writeln!(f, "{:>20} {advice}", "->")?;
            }
        }
        Ok(())
    }
}

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

//! The doctor: looks at a profile and at the way to its gateway, and says what to do.
//!
//! `look` gathers facts, `judge` decides. It changes nothing, publishes nothing and sends nothing that waits; what it learns of
//! the gateway's checkpoint and directory is verified and kept, as by every command.

mod judge;
mod look;

#[cfg(test)]
mod tests;

use std::path::Path;
use std::time::Duration;

use serde::Serialize;

use crate::clock;
use crate::custody::Unlock;

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
#[derive(Clone, Debug, Default, PartialEq, Eq)]
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

/// Looks at the profile at `dir`, with what is known of its secrets, and at its gateway for at most `wait` a step.
pub async fn examine(dir: &Path, unlock: &Unlock, wait: Duration) -> Report {
    let now = clock::now();
    let mut checks = Vec::new();
    let file = look::file(dir);
    checks.push(judge::profile(dir, file.as_deref().map_err(String::as_str)));
    if file.is_err() {
        return Report { checks };
    }
    let own = look::own(dir);
    checks.push(judge::files(&look::files(dir)));
    let trust = look::trust(dir);
    checks.push(judge::trust(&trust, now));
    if let Ok(trust) = &trust {
        let address = own.as_ref().map(|own| own.address.as_str());
        checks.extend(look::certificates(dir, trust, now).iter().map(|facts| judge::certificate(facts, address, now)));
    }
    checks.push(judge::disk(&look::disk(dir)));
    checks.push(judge::evidence(&look::evidence(dir)));
    let opened = look::open(dir, unlock);
    checks.push(judge::store(&opened));
    if let (Some(own), Ok(trust)) = (&own, trust) {
        let met =
            look::meet(look::credentials(dir, unlock), own, trust, opened.as_ref().ok().and_then(|open| open.profile.as_ref()), wait).await;
        let sound = checks.iter().all(|check| check.name != "tls" || check.verdict != Verdict::Bad);
        checks.push(judge::gateway(&own.gateway, &met.reach, sound));
        if let Some(times) = met.times {
            checks.push(judge::clock(&times));
        }
    }
    if let Ok(open) = opened {
        if let Some(profile) = &open.profile {
            match look::directory(profile) {
                Ok(facts) => checks.extend([judge::head(facts.head, now), judge::enrolled(&facts), judge::key(&facts, now)]),
                Err(why) => checks.push(judge::unread("directory", &why)),
            }
        }
        let reachable = !checks.iter().any(|check| check.name == "gateway" && check.verdict != Verdict::Ok);
        match look::mail(&open, own.as_ref()) {
            Ok(mail) => checks.extend([judge::outbox(&mail.outbox, reachable, now), judge::inbox(&mail.inbox, now)]),
            Err(why) => checks.push(judge::unread("store", &why)),
        }
    }
    Report { checks }
}

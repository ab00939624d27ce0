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

pub use command::report::{Check, Report, Verdict};

use crate::clock;
use crate::custody::Unlock;
use crate::link::Transport;

/// Looks at the profile at `dir`, with what is known of its secrets, and at its gateway for at most `wait` a step, over the
/// profile's transport or another one.
pub async fn examine(dir: &Path, unlock: &Unlock, transport: Option<Transport>, wait: Duration) -> Report {
    let now = clock::now();
    let mut checks = Vec::new();
    let file = look::file(dir);
    checks.push(judge::profile(dir, file.as_deref().map_err(String::as_str)));
    if file.is_err() {
        return Report { checks };
    }
    let mut own = look::own(dir);
    if let (Some(own), Some(transport)) = (&mut own, transport) {
        own.transport = transport;
    }
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

//! `[telemetry]`: what the gateway says of itself, to whom, and how loudly.

use std::net::SocketAddr;

use serde::{Deserialize, Deserializer};

/// Metrics, log and traces. The default says nothing beyond the log.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Telemetry {
    /// Address and port of metrics and probes; `None` turns them off.
    #[serde(deserialize_with = "address_or_nothing")]
    pub metrics: Option<SocketAddr>,
    /// Consent to metrics on an address that others reach.
    pub metrics_public: bool,
    /// Log levels by target, as `tracing_subscriber::filter::Targets` reads them.
    pub log: String,
    /// The form of a log line.
    pub log_format: LogFormat,
    /// Where spans go: an OTLP collector's HTTP port, `http://host:port`; empty turns them off.
    pub otlp: String,
    /// Consent to spans that leave this machine in the clear.
    pub otlp_public: bool,
}

/// The form of a log line.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// One JSON object a line.
    Json,
}

impl Default for Telemetry {
    fn default() -> Self {
        Self {
            metrics: None,
            metrics_public: false,
            log: "info".to_owned(),
            log_format: LogFormat::Text,
            otlp: String::new(),
            otlp_public: false,
        }
    }
}

impl Telemetry {
    /// Its part of the file that `init` writes.
    #[must_use]
    pub fn to_toml(&self) -> String {
        let metrics = self.metrics.map_or(String::new(), |address| address.to_string());
        let format = match self.log_format {
            LogFormat::Text => "text",
            LogFormat::Json => "json",
        };
        let (log, otlp) = (quoted(&self.log), quoted(&self.otlp));
        format!(
            "\n\
             [telemetry]\n\
             # Metrics (/metrics) and probes (/livez, /readyz) over plain HTTP, on a port of their own; \"\" turns them off.\n\
             metrics = \"{metrics}\"\n\
             # Whoever reaches that port sees how much is sent, though not by whom: it must be a loopback address unless this is true.\n\
             metrics_public = {}\n\
             # Log levels by target, such as \"info,gateway=debug\"; the variable ECOWIRE_LOG overrides. Taken on reload.\n\
             log = {log}\n\
             # \"text\" for people, \"json\" for one object a line.\n\
             log_format = \"{format}\"\n\
             # Spans of submissions to an OTLP collector (HTTP), such as \"http://127.0.0.1:4318\"; \"\" turns them off.\n\
             otlp = {otlp}\n\
             # Spans go in the clear: the collector must be on this machine unless this is true.\n\
             otlp_public = {}\n",
            self.metrics_public, self.otlp_public
        )
    }

    /// What is wrong with the values, each with its key.
    pub(super) fn problems(&self) -> Vec<String> {
        let mut problems = Vec::new();
        if let Some(metrics) = self.metrics.filter(|metrics| !metrics.ip().is_loopback() && !self.metrics_public) {
            problems.push(format!(
                "telemetry.metrics is {metrics}, which others can reach; use a loopback address, or set telemetry.metrics_public = true"
            ));
        }
        if let Err(error) = self.log.parse::<tracing_subscriber::filter::Targets>() {
            problems.push(format!(
                "telemetry.log is {:?}, which is no list of targets and levels ({error}); try \"info,gateway=debug\"",
                self.log
            ));
        }
        if !self.otlp.is_empty() {
            match collector(&self.otlp) {
                None => problems.push(format!("telemetry.otlp is {:?}; wanted is http://host:port, such as http://127.0.0.1:4318", self.otlp)),
                Some((host, _)) if !is_loopback(host) && !self.otlp_public => problems.push(format!(
                    "telemetry.otlp is {:?}, and spans go in the clear; use a collector on this machine, or set telemetry.otlp_public = true",
                    self.otlp
                )),
                Some(_) => {}
            }
        }
        problems
    }
}

/// Host and port of a collector; `None` for anything that is not exactly `http://host:port`.
#[must_use]
pub fn collector(endpoint: &str) -> Option<(&str, u16)> {
    let (host, port) = endpoint.strip_prefix("http://")?.rsplit_once(':')?;
    let plain = |c: char| c.is_ascii_alphanumeric() || "-._:[]".contains(c);
    (!host.is_empty() && host.chars().all(plain)).then_some(())?;
    Some((host, port.parse().ok().filter(|port| *port != 0)?))
}

fn is_loopback(host: &str) -> bool {
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    host == "localhost" || bare.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

fn address_or_nothing<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<SocketAddr>, D::Error> {
    let text = String::deserialize(deserializer)?;
    let wanted = |_| serde::de::Error::custom(format!("{text:?} is no address and port, such as 127.0.0.1:9247, and not empty"));
    if text.is_empty() { Ok(None) } else { text.parse().map(Some).map_err(wanted) }
}

/// A TOML string.
fn quoted(text: &str) -> String {
    toml::Value::String(text.to_owned()).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_collector_is_a_host_and_a_port_and_nothing_else() {
        assert_eq!(collector("http://127.0.0.1:4318"), Some(("127.0.0.1", 4318)));
        assert_eq!(collector("http://[::1]:4318"), Some(("[::1]", 4318)));
        for wrong in
            ["127.0.0.1:4318", "https://a:1", "http://a", "http://:1", "http://a:0", "http://a:1/v1", "http://u:p@a:1", "http://a b:1"]
        {
            assert_eq!(collector(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn what_others_could_reach_needs_consent() {
        let with = |change: fn(&mut Telemetry)| {
            let mut telemetry = Telemetry::default();
            change(&mut telemetry);
            telemetry.problems().join("; ")
        };
        for (change, wanted) in [
            ((|t| t.metrics = Some(([0, 0, 0, 0], 1).into())) as fn(&mut Telemetry), "telemetry.metrics is 0.0.0.0:1"),
            (|t| t.otlp = "http://otel:4318".to_owned(), "telemetry.otlp is \"http://otel:4318\", and"),
            (|t| t.otlp = "otel".to_owned(), "wanted is http://host:port"),
            (|t| t.log = "gateway=loud".to_owned(), "telemetry.log is \"gateway=loud\""),
        ] {
            assert!(with(change).contains(wanted), "{}", with(change));
        }
        for sound in [
            (|t| t.metrics = Some(([127, 0, 0, 1], 1).into())) as fn(&mut Telemetry),
            |t| (t.metrics, t.metrics_public) = (Some(([0, 0, 0, 0], 1).into()), true),
            |t| t.otlp = "http://localhost:4318".to_owned(),
            |t| t.otlp = "http://[::1]:4318".to_owned(),
            |t| (t.otlp, t.otlp_public) = ("http://otel:4318".to_owned(), true),
        ] {
            assert_eq!(with(sound), "");
        }
    }
}

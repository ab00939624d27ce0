//! Which transport is taken: the race between QUIC and TCP.
//!
//! It does not know what they are: they are two futures. **Invariant:** a refusal that the gateway has proved to be its own
//! ends the race; nothing hides it.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::Failure;

/// Which transports are tried.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Transport {
    /// QUIC first, TCP beside it after a moment.
    #[default]
    Auto,
    /// QUIC alone.
    Quic,
    /// TCP alone.
    Tcp,
}

impl FromStr for Transport {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "auto" => Ok(Self::Auto),
            "quic" => Ok(Self::Quic),
            "tcp" => Ok(Self::Tcp),
            _ => Err("the words are auto, quic, tcp".to_owned()),
        }
    }
}

/// What a link goes over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Carrier {
    /// HTTP/2 on streams of a QUIC connection.
    Quic,
    /// HTTP/2 over TLS over TCP.
    Tcp,
}

impl fmt::Display for Carrier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Quic => "quic",
            Self::Tcp => "tcp",
        })
    }
}

/// How a gateway is tried.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Route {
    /// Which transports.
    pub transport: Transport,
    /// How long QUIC is tried alone; at most a third of the time that there is.
    pub head_start: Duration,
    /// A QUIC connection on which nothing is heard for this long is gone.
    pub quiet: Duration,
}

impl Default for Route {
    fn default() -> Self {
        Self { transport: Transport::Auto, head_start: HEAD_START, quiet: QUIET }
    }
}

impl From<Transport> for Route {
    fn from(transport: Transport) -> Self {
        Self { transport, ..Self::default() }
    }
}

/// The first transport that succeeds. TCP begins when QUIC has failed or the head start is over; an alert ends the race at
/// once. Of two failures the one that says more is given.
pub(super) async fn first<T>(
    transport: Transport,
    head_start: Duration,
    quic: impl Future<Output = Result<T, Failure>>,
    tcp: impl Future<Output = Result<T, Failure>>,
) -> Result<T, Failure> {
    match transport {
        Transport::Quic => return quic.await,
        Transport::Tcp => return tcp.await,
        Transport::Auto => {}
    }
    let (mut quic, mut tcp) = (std::pin::pin!(quic), std::pin::pin!(tcp));
    let failed = match tokio::time::timeout(head_start, &mut quic).await {
        Ok(Ok(connected)) => return Ok(connected),
        Ok(Err(alert @ Failure::Alert(_))) => return Err(alert),
        Ok(Err(failure)) => failure,
        Err(_) => tokio::select! {
            // When both are there, QUIC is the better one.
            biased;
            connected = &mut quic => match connected {
                Ok(connected) => return Ok(connected),
                Err(alert @ Failure::Alert(_)) => return Err(alert),
                Err(failure) => failure,
            },
            connected = &mut tcp => match connected {
                Ok(connected) => return Ok(connected),
                Err(alert @ Failure::Alert(_)) => return Err(alert),
                Err(failure) => return quic.await.map_err(|other| worse(other, failure)),
            },
        },
    };
    tcp.await.map_err(|other| worse(failed, other))
}

/// What is told of two failures.
fn worse(quic: Failure, tcp: Failure) -> Failure {
    match (quic, tcp) {
        (alert @ Failure::Alert(_), _) | (_, alert @ Failure::Alert(_)) => alert,
        (_, server @ Failure::Server(_)) | (server @ Failure::Server(_), _) => server,
        (Failure::Other(quic), Failure::Other(tcp)) => Failure::Other(format!("{tcp}; over quic: {quic}")),
    }
}

/// Two round trips of 600 ms, which a handshake takes, fit in.
const HEAD_START: Duration = Duration::from_millis(1_500);
/// Shorter than the gateway's: whoever has a way out by TCP need not wait long.
const QUIET: Duration = Duration::from_secs(20);

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use rustls::AlertDescription;
    use tokio::time::Instant;

    /// What a transport does: after how many milliseconds, and what. `None` never ends.
    type Play = Option<(u64, Result<(), Failure>)>;

    fn ok(ms: u64) -> Play {
        Some((ms, Ok(())))
    }

    fn alert(ms: u64) -> Play {
        Some((ms, Err(Failure::Alert(AlertDescription::CertificateRevoked))))
    }

    fn server(ms: u64) -> Play {
        Some((ms, Err(Failure::Server("a stranger".to_owned()))))
    }

    fn other(ms: u64, text: &str) -> Play {
        Some((ms, Err(Failure::Other(text.to_owned()))))
    }

    /// Who won, or why nobody did; when it was known; and when TCP was begun.
    async fn check(transport: Transport, quic: Play, tcp: Play) -> String {
        let began = Instant::now();
        let tcp_began = std::cell::Cell::new(None);
        async fn play(play: Play, name: &'static str) -> Result<&'static str, Failure> {
            let Some((ms, result)) = play else { return std::future::pending().await };
            tokio::time::sleep(Duration::from_millis(ms)).await;
            result.map(|()| name)
        }
        let tcp = async {
            tcp_began.set(Some(began.elapsed().as_millis()));
            play(tcp, "tcp").await
        };
        let first = first(transport, HEAD_START, play(quic, "quic"), tcp);
        let Ok(ended) = tokio::time::timeout(Duration::from_secs(60), first).await else { return "never".to_owned() };
        let ended = ended.map_or_else(|failure| format!("{failure:?}"), str::to_owned);
        let begun = tcp_began.get().map_or_else(String::new, |ms| format!(", tcp from {ms}"));
        format!("{ended} at {}{begun}", began.elapsed().as_millis())
    }

    #[tokio::test(start_paused = true)]
    async fn quic_first_and_tcp_after_a_moment() {
        use Transport::{Auto, Quic, Tcp};
        let refused = "Alert(CertificateRevoked)";
        for (transport, quic, tcp, expected) in [
            (Auto, ok(415), ok(1), "quic at 415".to_owned()),
            (Auto, ok(1499), ok(1), "quic at 1499".to_owned()),
            (Auto, None, ok(615), "tcp at 2115, tcp from 1500".to_owned()),
            (Auto, ok(1800), ok(615), "quic at 1800, tcp from 1500".to_owned()),
            (Auto, other(5, "closed"), ok(10), "tcp at 15, tcp from 5".to_owned()),
            (Auto, server(5), ok(10), "tcp at 15, tcp from 5".to_owned()),
            (Auto, alert(5), ok(1), format!("{refused} at 5")),
            (Auto, alert(1700), ok(900), format!("{refused} at 1700, tcp from 1500")),
            (Auto, None, alert(100), format!("{refused} at 1600, tcp from 1500")),
            (Auto, ok(4000), other(100, "refused"), "quic at 4000, tcp from 1500".to_owned()),
            (Auto, other(5, "closed"), other(5, "refused"), r#"Other("refused; over quic: closed") at 10, tcp from 5"#.to_owned()),
            (Auto, server(5), other(5, "refused"), r#"Server("a stranger") at 10, tcp from 5"#.to_owned()),
            (Auto, None, None, "never".to_owned()),
            (Auto, None, other(1, "refused"), "never".to_owned()),
            (Quic, other(5, "closed"), ok(1), r#"Other("closed") at 5"#.to_owned()),
            (Quic, None, ok(1), "never".to_owned()),
            (Tcp, ok(1), ok(30), "tcp at 30, tcp from 0".to_owned()),
        ] {
            assert_eq!(check(transport, quic.clone(), tcp.clone()).await, expected, "{transport:?} {quic:?} {tcp:?}");
        }
    }
}

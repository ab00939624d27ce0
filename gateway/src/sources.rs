//! Handshakes under way by where they come from: before a handshake nothing else is known of who knocks.
//!
//! It keeps no address longer than its handshake, and writes none down.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, PoisonError};

/// The count of each source that is shaking hands.
#[derive(Debug)]
pub struct Sources {
    max: usize,
    each: Mutex<BTreeMap<Ipv6Addr, usize>>,
}

/// One handshake's place among its source's.
#[derive(Debug)]
pub struct Source {
    sources: Arc<Sources>,
    key: Ipv6Addr,
}

impl Sources {
    /// At most so many of one source.
    #[must_use]
    pub fn new(max: usize) -> Self {
        Self { max, each: Mutex::default() }
    }

    /// A place for one more from `ip`, if there is one.
    pub fn take(self: &Arc<Self>, ip: IpAddr) -> Option<Source> {
        let key = key(ip);
        let mut each = self.each.lock().unwrap_or_else(PoisonError::into_inner);
        let count = each.entry(key).or_default();
        if *count >= self.max {
            return None;
        }
        *count += 1;
        Some(Source { sources: self.clone(), key })
    }
}

impl Drop for Source {
    fn drop(&mut self) {
        let mut each = self.sources.each.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = each.get_mut(&self.key) {
            *count -= 1;
            if *count == 0 {
                each.remove(&self.key);
            }
        }
    }
}

/// An IPv4 address, or the half of an IPv6 address that names a network: its holder has all of the other half.
fn key(ip: IpAddr) -> Ipv6Addr {
    match ip.to_canonical() {
        IpAddr::V4(v4) => v4.to_ipv6_mapped(),
        IpAddr::V6(v6) => Ipv6Addr::from(u128::from(v6) & !u128::from(u64::MAX)),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_source_is_an_ipv4_address_or_an_ipv6_network() {
        for (one, other, same) in [
            ("127.0.0.1", "127.0.0.1", true),
            ("127.0.0.1", "127.0.0.2", false),
            ("127.0.0.1", "::ffff:127.0.0.1", true),
            ("2001:db8::1", "2001:db8::ffff:1", true),
            ("2001:db8::1", "2001:db8:0:1::1", false),
            ("::1", "127.0.0.1", false),
        ] {
            assert_eq!(key(one.parse().unwrap()) == key(other.parse().unwrap()), same, "{one} {other}");
        }
    }

    #[test]
    fn a_full_source_keeps_nobody_else_out_and_its_places_come_back() {
        let sources = Arc::new(Sources::new(2));
        let [one, other] = ["192.0.2.1", "192.0.2.2"].map(|ip| ip.parse::<IpAddr>().unwrap());
        let held = [sources.take(one).unwrap(), sources.take(one).unwrap()];
        assert!(sources.take(one).is_none());
        assert!(sources.take(other).is_some());
        drop(held);
        assert!(sources.take(one).is_some());
        assert!(sources.each.lock().unwrap().is_empty(), "nothing is kept of who has gone");
    }
}

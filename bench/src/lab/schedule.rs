//! What happens to packet `n` at time `t`: a function of the seed and of the packets before it.
//!
//! It has no clock and no socket. Times count from the beginning of the schedule.

use std::ops::Range;
use std::time::Duration;

/// One direction of a link.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Link {
    /// From one end to the other.
    pub delay: Duration,
    /// At most this much more, drawn for each packet. Packets do not overtake each other by it.
    pub jitter: Duration,
    /// Of a thousand packets, how many vanish.
    pub loss_permille: u32,
    /// Of a thousand packets, how many come late by [`Link::late`], behind others that were sent after them.
    pub reorder_permille: u32,
    /// How much later a packet comes that is overtaken.
    pub late: Duration,
    /// Bits a second; 0 is as fast as it goes.
    pub rate_bits: u64,
    /// Bytes that wait for the link when it is slower than its sender; what does not fit vanishes. 0 is no bound.
    pub queue_bytes: u64,
    /// Times in which everything vanishes.
    pub dark: Vec<Range<Duration>>,
}

/// What happens to a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It comes out then.
    Arrives(Duration),
    /// It is lost on the way.
    Lost,
    /// The queue before the link is full.
    Full,
    /// Nothing gets through at that time.
    Dark,
}

impl Link {
    /// Half of a round trip of `rtt`, at a rate, with a queue that holds one round trip's worth of bytes, 32 KiB at least.
    #[must_use]
    pub fn half_of(rtt: Duration, loss_permille: u32, rate_bits: u64) -> Self {
        let in_flight = u64::try_from(rtt.as_millis()).unwrap_or(u64::MAX).saturating_mul(rate_bits) / 8000;
        Self { delay: rtt / 2, loss_permille, rate_bits, queue_bytes: in_flight.max(32 << 10), ..Self::default() }
    }

    /// The same link in a world whose clocks go `times` as fast: delays are shorter, rates higher, bytes the same.
    #[must_use]
    pub fn scaled(&self, times: u32) -> Self {
        let times = times.max(1);
        Self {
            delay: self.delay / times,
            jitter: self.jitter / times,
            late: self.late / times,
            rate_bits: self.rate_bits.saturating_mul(times.into()),
            dark: self.dark.iter().map(|dark| dark.start / times..dark.end / times).collect(),
            ..self.clone()
        }
    }
}

/// The fates of one direction's packets.
#[derive(Clone, Debug)]
pub struct Schedule {
    link: Link,
    seed: u64,
    /// When the link has sent everything that waits for it.
    free_at: Duration,
    /// When the packet before, if it was not late, arrives.
    last: Duration,
}

impl Schedule {
    /// The schedule of a link and a seed.
    #[must_use]
    pub fn new(link: Link, seed: u64) -> Self {
        Self { link, seed, free_at: Duration::ZERO, last: Duration::ZERO }
    }

    /// The fate of packet `n`, of so many bytes, which was sent at `at`. Packets are asked about in the order of `at`.
    pub fn fate(&mut self, n: u64, at: Duration, bytes: u64) -> Fate {
        let link = &self.link;
        if link.dark.iter().any(|dark| dark.contains(&at)) {
            return Fate::Dark;
        }
        let begins = self.free_at.max(at);
        if link.queue_bytes > 0 && self.waiting(begins - at) + bytes > link.queue_bytes {
            return Fate::Full;
        }
        // A packet that will be lost has used the link all the same.
        self.free_at = begins + self.sending(bytes);
        let link = &self.link;
        let [lost, late, jitter] = draws(self.seed, n);
        if lost % 1000 < link.loss_permille.into() {
            return Fate::Lost;
        }
        let jitter = Duration::from_nanos(jitter % u64::try_from(link.jitter.as_nanos()).unwrap_or(u64::MAX).saturating_add(1));
        let arrives = self.free_at + link.delay + jitter;
        if late % 1000 < link.reorder_permille.into() {
            return Fate::Arrives(arrives + link.late);
        }
        self.last = self.last.max(arrives);
        Fate::Arrives(self.last)
    }

    fn sending(&self, bytes: u64) -> Duration {
        match self.link.rate_bits {
            0 => Duration::ZERO,
            rate => Duration::from_nanos(bytes.saturating_mul(8_000_000_000) / rate),
        }
    }

    /// Bytes that take so long to send.
    fn waiting(&self, time: Duration) -> u64 {
        let bits = time.as_nanos().saturating_mul(self.link.rate_bits.into()) / 1_000_000_000;
        u64::try_from(bits / 8).unwrap_or(u64::MAX)
    }
}

/// Three numbers that depend on nothing but seed and packet (SplitMix64).
fn draws(seed: u64, n: u64) -> [u64; 3] {
    let mut state = seed ^ n.wrapping_mul(0xd134_2543_de82_ef95);
    std::array::from_fn(|_| {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    /// Sends packets at these milliseconds, of these bytes, and says what became of them.
    fn check(link: &Link, packets: &[(u64, u64)], expected: &str) {
        let mut schedule = Schedule::new(link.clone(), 7);
        let fate = |(n, (at, bytes)): (usize, &(u64, u64))| match schedule.fate(n as u64, ms(*at), *bytes) {
            Fate::Arrives(at) => at.as_millis().to_string(),
            other => format!("{other:?}"),
        };
        let fates: Vec<String> = packets.iter().enumerate().map(fate).collect();
        assert_eq!(fates.join(" "), expected, "{link:?}");
    }

    #[test]
    fn a_link_delays_and_queues_and_drops_what_does_not_fit() {
        let plain = Link { delay: ms(100), ..Link::default() };
        check(&plain, &[(0, 1500), (0, 1500), (5, 1500)], "100 100 105");
        // 8 Mbit/s: a byte a microsecond.
        let slow = Link { rate_bits: 8_000_000, ..plain.clone() };
        check(&slow, &[(0, 1000), (0, 1000), (0, 1000), (50, 1000)], "101 102 103 151");
        let narrow = Link { queue_bytes: 2500, ..slow.clone() };
        check(&narrow, &[(0, 1000), (0, 1000), (0, 1000), (2, 1000)], "101 102 Full 103");
        let night = Link { dark: vec![ms(10)..ms(20)], ..plain.clone() };
        check(&night, &[(9, 1), (10, 1), (19, 1), (20, 1)], "109 Dark Dark 120");
        check(&Link { loss_permille: 1000, ..plain.clone() }, &[(0, 1), (1, 1)], "Lost Lost");
        check(&Link { reorder_permille: 1000, late: ms(30), ..plain.clone() }, &[(0, 1), (1, 1)], "130 131");
        // Half a round trip of 200 ms at 5 Mbit/s holds 125,000 bytes.
        assert_eq!(Link::half_of(ms(200), 20, 5_000_000).queue_bytes, 125_000);
    }

    #[test]
    fn jitter_never_reorders_and_a_late_packet_is_overtaken() {
        let link = Link { delay: ms(100), jitter: ms(50), ..Link::default() };
        let arrivals = |link: &Link| -> Vec<Duration> {
            let mut schedule = Schedule::new(link.clone(), 3);
            let arrives = |n| match schedule.fate(n, ms(n), 1) {
                Fate::Arrives(at) => at,
                other => panic!("{other:?}"),
            };
            (0..500).map(arrives).collect()
        };
        assert!(arrivals(&link).is_sorted());
        let late = Link { reorder_permille: 100, late: ms(60), ..link };
        let overtaken = arrivals(&late).windows(2).filter(|pair| pair[1] < pair[0]).count();
        assert!((20..=80).contains(&overtaken), "{overtaken}");
    }

    #[test]
    fn the_seed_alone_decides_who_is_lost() {
        let link = Link { loss_permille: 50, ..Link::default() };
        let lost = |seed: u64, apart: u64| -> Vec<u64> {
            let mut schedule = Schedule::new(link.clone(), seed);
            (0..10_000).filter(|n| schedule.fate(*n, ms(n * apart), 100) == Fate::Lost).collect()
        };
        assert_eq!(lost(1, 1), lost(1, 9), "not the time");
        assert_ne!(lost(1, 1), lost(2, 1));
        for seed in 0..20 {
            let count = lost(seed, 1).len();
            assert!((400..=600).contains(&count), "{count} of 10,000 at 5 %");
        }
    }

    #[test]
    fn a_scaled_link_is_the_same_link_to_a_faster_clock() {
        let link = Link { jitter: ms(20), dark: vec![ms(40)..ms(60)], ..Link::half_of(ms(200), 100, 5_000_000) };
        let (mut slow, mut fast) = (Schedule::new(link.clone(), 5), Schedule::new(link.scaled(10), 5));
        for n in 0..200 {
            // Draws of the jitter differ by the range alone; without it the fates are the same.
            let (slow, fast) = (slow.fate(n, ms(n), 1200), fast.fate(n, ms(n) / 10, 1200));
            assert_eq!(matches!(slow, Fate::Arrives(_)), matches!(fast, Fate::Arrives(_)), "{n}: {slow:?} {fast:?}");
        }
    }
}

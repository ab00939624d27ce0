//! Seeded mutations: the same seed and number give the same bytes on every machine.
//!
//! Five crude ways to damage an input. libFuzzer does this better; this is what runs everywhere, in seconds.

/// A small generator (xorshift64*, Vigna 2016): enough to choose places, nothing secret.
#[derive(Clone, Debug)]
pub struct Random(u64);

impl Random {
    /// A generator that begins with `seed`.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    /// A number below `end`; 0 when `end` is 0.
    pub fn below(&mut self, end: usize) -> usize {
        (self.next() % (end as u64).max(1)) as usize
    }
}

/// One to four changes of `input`; `other` lends bytes.
#[must_use]
pub fn mutate(input: &[u8], other: &[u8], random: &mut Random) -> Vec<u8> {
    let mut bytes = input.to_vec();
    for _ in 0..=random.below(4) {
        change(&mut bytes, other, random);
    }
    bytes
}

fn change(bytes: &mut Vec<u8>, other: &[u8], random: &mut Random) {
    let at = random.below(bytes.len());
    match random.below(8) {
        0..=2 if !bytes.is_empty() => bytes[at] ^= 1 << random.below(8),
        3 if !bytes.is_empty() => bytes[at] = INTERESTING[random.below(INTERESTING.len())],
        4 => bytes.truncate(at),
        5 => bytes.insert(at, INTERESTING[random.below(INTERESTING.len())]),
        6 => {
            let end = (at + 1 + random.below(16)).min(bytes.len());
            drop(bytes.drain(at.min(end)..end));
        }
        _ => {
            let from = random.below(other.len());
            let to = (from + 1 + random.below(64)).min(other.len());
            bytes.splice(at..at, other[from.min(to)..to].iter().copied());
        }
    }
}

/// Edges of bytes, varints, DER lengths and texts.
const INTERESTING: [u8; 14] = [0, 1, 0x0a, 0x1f, 0x20, b'+', b'/', b'0', 0x30, 0x7f, 0x80, 0x82, 0xfe, 0xff];

//! The state's digest: the sum of the rows' hashes modulo 2^256, so that adding and removing a row costs one hash.
//!
//! It detects a difference between honest machines. It is no commitment against one who chooses rows; the ledger is.

use tlog::sha256_parts;

/// A sum of SHA-256 values modulo 2^256, least significant limb first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Digest([u64; 4]);

impl Digest {
    pub(crate) fn add(&mut self, key: &[u8], row: &[u8]) {
        self.add_limbs(limbs(key, row));
    }

    /// Adds another sum, as [`Digest::bytes`] gives it.
    pub(crate) fn add_sum(&mut self, sum: &[u8; 32]) {
        self.add_limbs(limbs_of(sum));
    }

    fn add_limbs(&mut self, values: [u64; 4]) {
        let mut carry = false;
        for (limb, value) in self.0.iter_mut().zip(values) {
            let (sum, over) = limb.overflowing_add(value);
            let (sum, over_carry) = sum.overflowing_add(u64::from(carry));
            (*limb, carry) = (sum, over || over_carry);
        }
    }

    pub(crate) fn remove(&mut self, key: &[u8], row: &[u8]) {
        let mut borrow = false;
        for (limb, value) in self.0.iter_mut().zip(limbs(key, row)) {
            let (difference, under) = limb.overflowing_sub(value);
            let (difference, under_borrow) = difference.overflowing_sub(u64::from(borrow));
            (*limb, borrow) = (difference, under || under_borrow);
        }
    }

    /// Big endian.
    pub(crate) fn bytes(&self) -> [u8; 32] {
        let mut bytes = [0; 32];
        for (chunk, limb) in bytes.chunks_exact_mut(8).zip(self.0.iter().rev()) {
            chunk.copy_from_slice(&limb.to_be_bytes());
        }
        bytes
    }
}

fn limbs(key: &[u8], row: &[u8]) -> [u64; 4] {
    let length = (key.len() as u32).to_be_bytes();
    limbs_of(&sha256_parts(&[&length, key, row]))
}

fn limbs_of(bytes: &[u8; 32]) -> [u64; 4] {
    let limb = |at: usize| u64::from_be_bytes(bytes[at * 8..at * 8 + 8].try_into().expect("8 bytes"));
    [limb(3), limb(2), limb(1), limb(0)]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn order_does_not_matter_and_removal_undoes() {
        let rows: Vec<(Vec<u8>, Vec<u8>)> = (0..200u8).map(|n| (vec![n], vec![n; 3])).collect();
        let (mut up, mut down) = (Digest::default(), Digest::default());
        rows.iter().for_each(|(key, row)| up.add(key, row));
        rows.iter().rev().for_each(|(key, row)| down.add(key, row));
        assert_eq!(up, down);
        assert_ne!(up, Digest::default());
        rows.iter().for_each(|(key, row)| up.remove(key, row));
        assert_eq!(up.bytes(), [0; 32]);
    }

    #[test]
    fn key_and_row_do_not_run_into_each_other() {
        let (mut one, mut other) = (Digest::default(), Digest::default());
        one.add(b"ab", b"c");
        other.add(b"a", b"bc");
        assert_ne!(one, other);
    }
}

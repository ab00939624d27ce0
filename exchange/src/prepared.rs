//! What can be done to an entry before its turn: its opening is checked, it is read, its signatures are checked.
//!
//! None of it needs the state, so whoever replays may do it on all cores and in any order; the judge then takes the
//! entries in theirs. **Invariant:** what the judge finds never depends on what was prepared. A signature counts as
//! checked only for the very key, bytes and signature that were checked; a header only for the network it was read for.

use std::collections::BTreeMap;

use bytes::Bytes;
use envelope::Network;
use envelope::canonical::EncodingError;
use envelope::dsse::pae;
use envelope::entry::Entry;
use envelope::header::{HEADER_TYPE, Header};
use envelope::keys::Verifier;
use envelope::slots::{Leaf, Opening};
use envelope::statement::payload_type;
use proto::v1::{SigAlg, Signature, SignedStatement};
use tlog::ed25519;

use crate::state::{Rows, State};

/// An entry whose opening was checked against its leaf. Made by [`Prepared::new`] only.
#[derive(Debug)]
pub struct Prepared {
    pub(crate) leaf: Leaf,
    pub(crate) signatures: Vec<Signature>,
    /// The entry, or which check it does not pass and why.
    pub(crate) entry: Result<Entry, (&'static str, String)>,
    pub(crate) header: Option<ReadHeader>,
    pub(crate) known: Vec<Known>,
}

/// A header as it was read for one network.
#[derive(Debug)]
pub(crate) struct ReadHeader {
    network: Network,
    read: Result<Header, EncodingError>,
}

/// A signature that holds by all rules. Made by [`Prepared::check_signatures`] only.
#[derive(Debug)]
pub(crate) struct Known {
    public: [u8; 32],
    message: Vec<u8>,
    signature: [u8; 64],
}

/// The network and the identity keys of a state, as they are now: what a signature is probably checked with.
#[derive(Clone, Debug, Default)]
pub struct Identities {
    network: Option<Network>,
    /// Size of the directory that they are of.
    directory_size: u64,
    /// Public keys of Ed25519 by key id.
    keys: BTreeMap<[u8; 32], [u8; 32]>,
}

impl Identities {
    /// Those of a state.
    #[must_use]
    pub fn of(state: &State) -> Self {
        let public = |id: &[u8; 32]| {
            let address = envelope::Address::parse(&state.identity_owner(id)?.address).ok()?;
            let row = state.participant(&address).filter(|row| row.alg() == SigAlg::Ed25519 && row.key_id == id[..])?;
            Some((*id, row.public.as_ref().try_into().ok()?))
        };
        Self {
            network: state.network().and_then(|row| Network::parse(&row.network).ok()),
            directory_size: state.directory().map_or(0, |row| row.size),
            keys: state.identity_keys().filter_map(public).collect(),
        }
    }

    /// Whether the directory, by which alone identities change, is still the same.
    #[must_use]
    pub fn is_of(&self, state: &State) -> bool {
        self.network.is_some() && self.directory_size == state.directory().map_or(0, |row| row.size)
    }
}

impl Prepared {
    /// Checks that `opening` is the leaf's and reads the entry; `signatures` are those kept beside a MESSAGE.
    #[must_use]
    pub fn new(leaf: Leaf, opening: &Opening, signatures: Vec<Signature>) -> Self {
        let entry = match opening.check(&leaf) {
            Err(error) => Err(("OPENING", error.to_string())),
            Ok(()) => Entry::read(opening).map_err(|error| ("ENTRY", error.to_string())),
        };
        Self { leaf, signatures, entry, header: None, known: Vec::new() }
    }

    /// Reads the header and checks the signatures ahead of the judge, with keys that it will probably ask for.
    pub fn check_signatures(&mut self, identities: &Identities, verifier: &impl Verifier) {
        let (payload_type, payload, signatures) = match &self.entry {
            Ok(Entry::Message(message)) => {
                let read = |network: &Network| ReadHeader { network: network.clone(), read: Header::parse(&message.header, network) };
                self.header = identities.network.as_ref().map(read);
                (HEADER_TYPE, &message.header, &self.signatures)
            }
            Ok(entry) => match signed_of(entry) {
                Some((payload_type, signed)) => (payload_type, &signed.statement, &signed.signatures),
                None => return,
            },
            Err(_) => return,
        };
        self.known = known(identities, verifier, payload_type, payload, signatures);
    }

    /// The leaf.
    #[must_use]
    pub fn leaf(&self) -> &Leaf {
        &self.leaf
    }

    /// The entry, when it passes its checks.
    #[must_use]
    pub fn entry(&self) -> Option<&Entry> {
        self.entry.as_ref().ok()
    }

    /// What is wrong with it: the check by name, and why.
    #[must_use]
    pub fn fault(&self) -> Option<(&'static str, &str)> {
        self.entry.as_ref().err().map(|(check, why)| (*check, why.as_str()))
    }
}

impl ReadHeader {
    /// The header, if it was read for this network.
    pub(crate) fn take(self, network: &Network) -> Option<Result<Header, EncodingError>> {
        (self.network == *network).then_some(self.read)
    }
}

/// The statement of an entry that one participant has signed.
fn signed_of(entry: &Entry) -> Option<(&'static str, &SignedStatement)> {
    let signed = match entry {
        Entry::Directory { signed, .. }
        | Entry::Mailbox { signed, .. }
        | Entry::Access(signed)
        | Entry::Grants(signed)
        | Entry::Group(signed)
        | Entry::Release { signed, .. }
        | Entry::Permission(signed) => signed,
        _ => return None,
    };
    Some((payload_type(signed.kind())?, signed))
}

fn known(identities: &Identities, verifier: &impl Verifier, payload_type: &str, payload: &Bytes, signatures: &[Signature]) -> Vec<Known> {
    let one = |signature: &Signature| {
        let public = *identities.keys.get(signature.key_id.as_ref())?;
        let message = pae(payload_type, payload);
        let signature = signature.signature.as_ref().try_into().ok()?;
        ed25519::verify(verifier, &public, &message, &signature).ok()?;
        Some(Known { public, message, signature })
    };
    signatures.iter().filter_map(one).collect()
}

/// A verifier that has checked some signatures already, and checks every other one.
#[derive(Debug)]
pub(crate) struct Ahead<V> {
    real: V,
    known: Vec<Known>,
}

impl<V> Ahead<V> {
    pub(crate) fn new(real: V) -> Self {
        Self { real, known: Vec::new() }
    }

    /// What was checked ahead for the next entry; what it knew of the one before is forgotten.
    pub(crate) fn learn(&mut self, known: Vec<Known>) {
        self.known = known;
    }
}

impl<V: Verifier> ed25519::Verifier for Ahead<V> {
    fn verify_raw(&self, public: &[u8; 32], message: &[u8], signature: &[u8; 64]) -> bool {
        let same = |known: &Known| known.public == *public && known.signature == *signature && known.message == message;
        self.known.iter().any(same) || self.real.verify_raw(public, message, signature)
    }
}

/// Nothing of P-256 is checked ahead.
impl<V: Verifier> Verifier for Ahead<V> {
    fn verify_p256_raw(&self, public: &[u8; envelope::p256::POINT_BYTES], message: &[u8], signature: &[u8; 64]) -> bool {
        self.real.verify_p256_raw(public, message, signature)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use envelope::identity::PublicKey;
    use envelope::keys::{AwsLc, Signer as _, SigningKey};
    use tlog::ed25519::Verifier as _;

    use super::*;

    /// Accepts nothing: what passes was known.
    struct Nothing;

    impl ed25519::Verifier for Nothing {
        fn verify_raw(&self, _: &[u8; 32], _: &[u8], _: &[u8; 64]) -> bool {
            false
        }
    }

    impl Verifier for Nothing {
        fn verify_p256_raw(&self, _: &[u8; envelope::p256::POINT_BYTES], _: &[u8], _: &[u8; 64]) -> bool {
            false
        }
    }

    fn raw(key: &SigningKey) -> [u8; 32] {
        match key.public() {
            PublicKey::Ed25519(public) => public,
            PublicKey::P256(_) => unreachable!("generated as Ed25519"),
        }
    }

    fn check(verifier: &Ahead<Nothing>, public: &[u8; 32], message: &[u8], signature: &[u8; 64], expected: bool) {
        assert_eq!(verifier.verify_raw(public, message, signature), expected);
    }

    #[test]
    fn only_the_very_key_bytes_and_signature_that_were_checked_are_known() {
        let ((key, _), (other, _)) = (SigningKey::generate().unwrap(), SigningKey::generate().unwrap());
        let identities = Identities { keys: [(key.public().key_id(), raw(&key))].into(), ..Identities::default() };
        let payload = Bytes::from_static(b"a header");
        let message = pae(HEADER_TYPE, &payload);
        let signed =
            |signature: [u8; 64]| Signature { key_id: key.public().key_id().to_vec().into(), signature: signature.to_vec().into() };
        let (good, bad) = (key.sign(&message).unwrap(), other.sign(&message).unwrap());
        let mut verifier = Ahead::new(Nothing);
        let found = known(&identities, &AwsLc, HEADER_TYPE, &payload, &[signed(good), signed(bad)]);
        assert_eq!(found.len(), 1, "what does not hold is not known");
        verifier.learn(found);
        check(&verifier, &raw(&key), &message, &good, true);
        check(&verifier, &raw(&other), &message, &good, false);
        check(&verifier, &raw(&key), &pae(HEADER_TYPE, b"another header"), &good, false);
        check(&verifier, &raw(&key), &message, &bad, false);
        verifier.learn(Vec::new());
        check(&verifier, &raw(&key), &message, &good, false);
    }
}

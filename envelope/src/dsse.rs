//! DSSE v1: the bytes that a signature covers name their type, so that no signature passes for another.
//!
//! It does not know which key may sign what.

use proto::v1::Signature;

use crate::identity::PublicKey;
use crate::keys::{SignFault, Signer, Verifier};

/// Why signatures do not stand for the bytes.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SignatureFault {
    /// Not exactly one signature for each of the signers, in their order.
    #[error("{found} signatures for {expected} signers, or another order")]
    Signers {
        /// How many there should be.
        expected: usize,
        /// How many there are.
        found: usize,
    },
    /// A signature that its key did not make over these bytes.
    #[error("signature {0} does not verify")]
    Signature(usize),
}

/// A signer: the key's id and its public key.
pub type SignerKey = ([u8; 32], PublicKey);

/// DSSE v1 pre-authentication encoding (`PAE`) of a payload of type `payload_type`.
#[must_use]
pub fn pae(payload_type: &str, payload: &[u8]) -> Vec<u8> {
    let head = format!("DSSEv1 {} {payload_type} {} ", payload_type.len(), payload.len());
    [head.as_bytes(), payload].concat()
}

/// Signs `payload` as `payload_type` with each key, in order.
///
/// # Errors
/// [`SignFault`] of the first key that cannot be used now.
pub fn sign<K: Signer + ?Sized>(payload_type: &str, payload: &[u8], keys: &[&K]) -> Result<Vec<Signature>, SignFault> {
    let bytes = pae(payload_type, payload);
    let one = |key: &&K| {
        let (key_id, signature) = (key.public().key_id(), key.sign(&bytes)?);
        Ok(Signature { key_id: key_id.to_vec().into(), signature: signature.to_vec().into() })
    };
    keys.iter().map(one).collect()
}

/// Checks that `signatures` are exactly those of `signers` (key id and public key), in their order.
///
/// # Errors
/// [`SignatureFault`] says which signature is missing, superfluous or wrong.
pub fn verify(
    verifier: &impl Verifier,
    payload_type: &str,
    payload: &[u8],
    signers: &[SignerKey],
    signatures: &[Signature],
) -> Result<(), SignatureFault> {
    let disorder = SignatureFault::Signers { expected: signers.len(), found: signatures.len() };
    if signers.is_empty() || signers.len() != signatures.len() {
        return Err(disorder);
    }
    let bytes = pae(payload_type, payload);
    for (at, ((key_id, public), signature)) in signers.iter().zip(signatures).enumerate() {
        if signature.key_id != key_id[..] || signers[..at].iter().any(|(earlier, _)| earlier == key_id) {
            return Err(disorder);
        }
        let raw: &[u8; 64] = signature.signature.as_ref().try_into().map_err(|_| SignatureFault::Signature(at))?;
        public.verify(verifier, &bytes, raw).map_err(|_| SignatureFault::Signature(at))?;
    }
    Ok(())
}

//! Receipts offline: a file and the trust file are enough.
//!
//! It does not know the gateway, nor whether the log was forked: the largest checkpoint of a member tells that.

use std::path::Path;

use envelope::header::Header;
use envelope::receipt::Proven;
use envelope::{Network, Receipt};
use prost::Message as _;
use proto::v1::{self, EntryKind};

use crate::error::Error;
use crate::files;

/// What a receipt says, proved or not.
#[derive(Clone, Debug)]
pub struct Shown {
    /// Index of the entry.
    pub index: u64,
    /// Kind of the entry.
    pub kind: EntryKind,
    /// Ledger time.
    pub at: envelope::Timestamp,
    /// The header, when the receipt is a message's that discloses it.
    pub header: Option<Header>,
    /// What somebody was told, when the receipt is an advice's.
    pub advice: Option<v1::Advice>,
    /// Size of the tree in the checkpoint, as it says.
    pub checkpoint_size: Option<u64>,
    /// Tag and sub-index of the disclosed slots.
    pub disclosed: Vec<(u32, u32)>,
}

/// Reads a receipt and recomputes slots, body and leaf. Whether the log holds it is not asked.
///
/// # Errors
/// [`Error::File`], or [`Error::Receipt`] when it is no receipt.
pub fn show_file(path: &Path) -> Result<Shown, Error> {
    let receipt = Receipt::decode(&files::read(path)?)?;
    let (index, leaf, kind) = receipt.body()?;
    let fields = receipt.fields();
    let text = String::from_utf8_lossy(&fields.checkpoint).into_owned();
    Ok(Shown {
        index,
        kind,
        at: leaf.at,
        header: header_of(fields, kind, None),
        advice: advice_of(fields, kind),
        checkpoint_size: text.lines().nth(1).and_then(|line| line.parse().ok()),
        disclosed: fields.slots.iter().map(|slot| (slot.tag, slot.sub)).collect(),
    })
}

/// Verifies a receipt with the log's key of a trust file, offline.
///
/// ```no_run
/// # fn example() -> Result<(), client::Error> {
/// let (proven, shown) = client::receipt::verify_file("KE_2026_000001.receipt".as_ref(), "pki/trust.toml".as_ref())?;
/// println!("entry {} of {}", proven.position.index, proven.checkpoint.size);
/// # Ok(())
/// # }
/// ```
///
/// # Errors
/// [`Error::File`], [`Error::Trust`], [`Error::Unsound`] when the trust file is not what its authority signed, or
/// [`Error::Receipt`] naming the step that fails.
pub fn verify_file(path: &Path, trust: &Path) -> Result<(Proven, Shown), Error> {
    let trust = files::read_trust(trust)?;
    let mut shown = show_file(path)?;
    let receipt = Receipt::decode(&files::read(path)?)?;
    let proven = receipt.verify(&trust.log_verifier()?)?;
    shown.header = header_of(receipt.fields(), proven.kind, Some(&trust.network));
    if proven.kind == EntryKind::Message && proven.slot(1, 0).is_some_and(|bytes| !bytes.is_empty()) && shown.header.is_none() {
        return Err(Error::unsound("the entry's header is not one of this network"));
    }
    Ok((proven, shown))
}

/// The advice in slot 1.
fn advice_of(receipt: &v1::Receipt, kind: EntryKind) -> Option<v1::Advice> {
    let slot = receipt.slots.iter().find(|slot| kind == EntryKind::Advice && (slot.tag, slot.sub) == (1, 0))?;
    v1::Advice::decode(slot.value.as_ref()).ok()
}

/// The header in slot 1; without a network to compare with, of the network that it names itself.
fn header_of(receipt: &v1::Receipt, kind: EntryKind, network: Option<&Network>) -> Option<Header> {
    let slot = receipt.slots.iter().find(|slot| kind == EntryKind::Message && (slot.tag, slot.sub) == (1, 0))?;
    let network = match network {
        Some(network) => network.clone(),
        None => {
            let header = v1::Header::decode(slot.value.as_ref()).ok()?;
            Network::parse(&v1::Context::decode(header.context.as_ref()).ok()?.network).ok()?
        }
    };
    Header::parse(&slot.value, &network).ok()
}

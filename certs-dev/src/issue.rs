//! Certificates for somebody new in a PKI that is there already; the bureau enrols it afterwards.
//!
//! It does not know what the newcomer may do: its enrolment says so.

use std::path::Path;

use envelope::address::{Address, Class};
use envelope::trust::Trust;

use crate::forge::Ca;
use crate::mint::{Issuer, MintedParticipant, ca_of, now};
use crate::{Error, files};

/// Makes the folder of `address` with keys and certificates by the CA that answers for it. They hold as long as they may, or so many
/// `days`: of a team that is sent somewhere they end with its mission.
///
/// # Errors
/// [`Error::Exists`] when it has one; [`Error::Absent`] when the PKI has no such CA; [`Error::is_usage`] tells a wrong address.
pub fn issue(out: &Path, address: &Address, days: Option<u16>) -> Result<MintedParticipant, Error> {
    match address.class() {
        Class::Group => return Err(Error::Group(address.clone())),
        Class::Node => return Err(Error::Nodes(2)),
        _ => {}
    }
    let folder = out.join(address.file_name());
    if folder.exists() {
        return Err(Error::Exists(folder));
    }
    let anchors = trust_of(out)?.anchors()?;
    let ca = Ca::load(out, ca_of(address))?;
    let issuer = Issuer { anchors: &anchors, ca: &ca, is_root: ca_of(address).is_empty(), now: now(), days, pki: out };
    let made = issuer.participant(address, false, &folder);
    if made.is_err() {
        // A folder that is half made would be in the way of the next try.
        let _ = std::fs::remove_dir_all(&folder);
    }
    made.map(|_| MintedParticipant { address: address.clone(), folder })
}

/// The trust file of a PKI.
pub(crate) fn trust_of(out: &Path) -> Result<Trust, Error> {
    let trust = out.join("trust.toml");
    let text = String::from_utf8(files::read(&trust)?.to_vec());
    let text = text.map_err(|_| Error::Content { path: trust, wanted: "a trust file" })?;
    Ok(Trust::parse_toml(&text)?)
}

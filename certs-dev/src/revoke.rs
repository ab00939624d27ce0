//! Takes certificates back: the next revocation list of the CA that issued them.
//!
//! It does not know who reads the list; a gateway takes it when its number is higher than the last.

use std::path::{Path, PathBuf};

use envelope::address::{Address, Class};
use envelope::crl::Crl;
use envelope::identity::{NothingRevoked, Role};
use envelope::time::Timestamp;
use x509_parser::prelude::FromDer as _;
use x509_parser::revocation_list::CertificateRevocationList;

use crate::forge::{Ca, file_name};
use crate::issue::trust_of;
use crate::mint::{ca_of, now};
use crate::{Error, files};

/// What was revoked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Revocation {
    /// The list that was replaced.
    pub crl: PathBuf,
    /// Its new number.
    pub number: u64,
    /// Serial numbers of the address's certificates, big endian.
    pub serials: Vec<Vec<u8>>,
}

/// Puts both certificates of `address` (of a node: the one) on the next list of their issuer, in `out/crl`.
///
/// # Errors
/// [`Error::Absent`] when the PKI has no such address.
pub fn revoke(out: &Path, address: &Address) -> Result<Revocation, Error> {
    revoke_at(out, address, now())
}

/// As [`revoke`], dated by the caller.
///
/// # Errors
/// [`Error::Absent`] when the PKI has no such address.
pub fn revoke_at(out: &Path, address: &Address, now: Timestamp) -> Result<Revocation, Error> {
    let anchors = trust_of(out)?.anchors()?;
    let roles: &[_] = match address.class() {
        Class::Node => &[(Role::NodeTls, "tls.pem")],
        _ => &[(Role::Tls, "tls.pem"), (Role::Identity, "identity.pem")],
    };
    let mut serials = Vec::new();
    for (role, file) in roles {
        let chain = files::read_chain(&out.join(address.file_name()).join(file))?;
        let judged = anchors.judge(*role, &chain, now, &NothingRevoked);
        let judged = judged.map_err(|cause| Error::Chain { address: address.clone(), cause })?;
        serials.extend(judged.links.first().map(|link| link.serial.clone()));
    }
    for serial in files::registered(out, address)? {
        if !serials.contains(&serial) {
            serials.push(serial);
        }
    }
    let ca = Ca::load(out, ca_of(address))?;
    let path = out.join("crl").join(format!("{}.crl", file_name(ca_of(address))));
    let old = files::read(&path)?;
    let known = Crl::open(&old, &ca.der, now)?;
    let content = || Error::Content { path: path.clone(), wanted: "a revocation list with a number below 2^64" };
    let mut number = [0; 8];
    let start = number.len().checked_sub(known.number.len()).ok_or_else(content)?;
    number[start..].copy_from_slice(&known.number);
    let number = u64::from_be_bytes(number).checked_add(1).ok_or_else(content)?;
    let mut entries = dated(&old).ok_or_else(content)?;
    entries.extend(serials.iter().filter(|serial| !known.serials.contains(*serial)).map(|serial| (serial.clone(), now)));
    let next = ca.crl(number, &entries, now)?;
    Crl::open(&next, &ca.der, now)?;
    files::replace(&path, &next)?;
    Ok(Revocation { crl: path, number, serials })
}

/// The entries of a list that was opened, with the dates of their revocation.
fn dated(crl: &[u8]) -> Option<Vec<(Vec<u8>, Timestamp)>> {
    let (_, list) = CertificateRevocationList::from_der(crl).ok()?;
    let entry = |entry: &x509_parser::revocation_list::RevokedCertificate<'_>| {
        let seconds = u64::try_from(entry.revocation_date.timestamp()).ok()?;
        let serial = entry.raw_serial();
        let start = serial.iter().position(|byte| *byte != 0)?;
        Some((serial[start..].to_vec(), Timestamp(seconds * 1000)))
    };
    list.iter_revoked_certificates().map(entry).collect()
}

//! Files of the PKI: PEM in and out, keys never readable by others.
//!
//! It does not know what a certificate says.

use std::fs::{self, OpenOptions};
use std::io::{ErrorKind, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use envelope::address::Address;
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject as _;
use zeroize::Zeroizing;

use crate::Error;

/// Reads a chain in PEM: certificates in DER, in the order of the file, which is leaf first.
///
/// # Errors
/// [`Error::Absent`], [`Error::File`] or [`Error::Content`].
pub fn read_chain(path: &Path) -> Result<Vec<Vec<u8>>, Error> {
    let content = || Error::Content { path: path.into(), wanted: "certificates in PEM" };
    let text = read(path)?;
    let chain = CertificateDer::pem_slice_iter(&text).map(|der| Ok(der.map_err(|_| content())?.to_vec()));
    let chain = chain.collect::<Result<Vec<_>, Error>>()?;
    if chain.is_empty() { Err(content()) } else { Ok(chain) }
}

/// Reads a whole file; for one that may hold a key the bytes are wiped when dropped.
pub(crate) fn read(path: &Path) -> Result<Zeroizing<Vec<u8>>, Error> {
    match fs::read(path) {
        Ok(bytes) => Ok(Zeroizing::new(bytes)),
        Err(cause) if cause.kind() == ErrorKind::NotFound => Err(Error::Absent(path.into())),
        Err(cause) => Err(Error::File { what: "read", path: path.into(), cause }),
    }
}

/// Writes a file that everybody may read; never over another.
pub(crate) fn write_public(path: &Path, bytes: &[u8]) -> Result<(), Error> {
    write(path, bytes, 0o644)
}

/// Writes a private key (PKCS#8 in DER) as PEM, for its owner only from the file's first moment.
pub(crate) fn write_key(path: &Path, pkcs8: &[u8]) -> Result<(), Error> {
    write(path, &pem("PRIVATE KEY", pkcs8), 0o600)
}

/// Writes certificates as PEM, in their order.
pub(crate) fn write_chain(path: &Path, chain: &[&[u8]]) -> Result<(), Error> {
    let text: Vec<_> = chain.iter().flat_map(|der| pem("CERTIFICATE", der).to_vec()).collect();
    write_public(path, &text)
}

/// Puts `bytes` in the place of the file at `path`, in one step: a reader sees the old file or the new one.
pub(crate) fn replace(path: &Path, bytes: &[u8]) -> Result<(), Error> {
    let next = path.with_extension(format!("{}.new", std::process::id()));
    write_public(&next, bytes)?;
    let renamed = fs::rename(&next, path);
    renamed.map_err(|cause| Error::File { what: "replace", path: path.into(), cause })
}

/// Makes a folder with the access bits `mode`; its parent exists.
pub(crate) fn make_folder(path: &Path, mode: u32) -> Result<(), Error> {
    match fs::DirBuilder::new().mode(mode).create(path) {
        Ok(()) => Ok(()),
        Err(cause) if cause.kind() == ErrorKind::AlreadyExists => Err(Error::Exists(path.into())),
        Err(cause) => Err(Error::File { what: "make", path: path.into(), cause }),
    }
}

fn write(path: &Path, bytes: &[u8], mode: u32) -> Result<(), Error> {
    let mut file = match OpenOptions::new().write(true).create_new(true).mode(mode).open(path) {
        Ok(file) => file,
        Err(cause) if cause.kind() == ErrorKind::AlreadyExists => return Err(Error::Exists(path.into())),
        Err(cause) => return Err(Error::File { what: "create", path: path.into(), cause }),
    };
    let written = file.write_all(bytes).and_then(|()| file.sync_all());
    written.map_err(|cause| Error::File { what: "write", path: path.into(), cause })
}

/// RFC 7468: lines of 64 characters. The buffers have their final size from the start, so that none is left behind
/// unwiped when it grows.
fn pem(label: &str, der: &[u8]) -> Zeroizing<Vec<u8>> {
    let mut body = Zeroizing::new(vec![0; der.len().div_ceil(3) * 4]);
    let length = BASE64.encode_slice(der, &mut body).expect("four characters for three bytes fit");
    let mut text = Zeroizing::new(Vec::with_capacity(2 * body.len() + 2 * label.len() + 64));
    text.extend_from_slice(format!("-----BEGIN {label}-----\n").as_bytes());
    for line in body[..length].chunks(64) {
        text.extend_from_slice(line);
        text.push(b'\n');
    }
    text.extend_from_slice(format!("-----END {label}-----\n").as_bytes());
    text
}

/// Notes that a certificate was issued to somebody.
pub(crate) fn register(pki: &Path, address: &Address, serial: &[u8]) -> Result<(), Error> {
    let path = register_of(pki, address);
    let digits: String = serial.iter().map(|byte| format!("{byte:02x}")).collect();
    let folder = path.parent().unwrap_or(pki);
    let noted = std::fs::create_dir_all(folder).and_then(|()| {
        let mut file = std::fs::OpenOptions::new().create(true).append(true).open(&path)?;
        writeln!(file, "{digits}")?;
        file.sync_all()
    });
    noted.map_err(|cause| Error::File { what: "write", path, cause })
}

/// Serial numbers of what was issued to somebody; none in a PKI that kept no register yet.
pub(crate) fn registered(pki: &Path, address: &Address) -> Result<Vec<Vec<u8>>, Error> {
    let path = register_of(pki, address);
    let text = match std::fs::read_to_string(&path) {
        Ok(text) => text,
        Err(cause) if cause.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(cause) => return Err(Error::File { what: "read", path, cause }),
    };
    let pair = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok();
    let serial = |line: &str| line.as_bytes().chunks(2).map(pair).collect::<Option<Vec<u8>>>();
    text.lines().map(serial).collect::<Option<_>>().ok_or(Error::Content { path, wanted: "serial numbers, one a line" })
}

/// Beside the keys of the CAs.
fn register_of(pki: &Path, address: &Address) -> PathBuf {
    pki.join("authority").join("issued").join(format!("{}.txt", address.file_name()))
}

//! Files of a profile: keys never readable by others, nothing overwritten, everything synced before it counts.

use std::fs::{self, OpenOptions};
use std::io::{ErrorKind, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use envelope::trust::{Trust, TrustError};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject as _;
use zeroize::Zeroizing;

use crate::error::Error;

/// Reads a whole file; the bytes are wiped when dropped, for it may be a key.
pub(crate) fn read(path: &Path) -> Result<Zeroizing<Vec<u8>>, Error> {
    fs::read(path).map(Zeroizing::new).map_err(|cause| Error::File { what: "read", path: path.into(), cause })
}

/// Reads certificates in PEM, leaf first.
pub(crate) fn read_chain(path: &Path) -> Result<Vec<CertificateDer<'static>>, Error> {
    let content = || Error::Content { path: path.into(), wanted: "certificates in PEM".to_owned() };
    let text = read(path)?;
    let chain: Vec<_> = CertificateDer::pem_slice_iter(&text).collect::<Result<_, _>>().map_err(|_| content())?;
    if chain.is_empty() { Err(content()) } else { Ok(chain) }
}

/// Reads a trust file; one that its authority did not sign does not prove itself.
pub(crate) fn read_trust(path: &Path) -> Result<Trust, Error> {
    Trust::parse_toml(&read_text(path)?).map_err(|error| match error {
        TrustError::Signature(_) => Error::unsound(format!("{}: {error}", path.display())),
        other => Error::Trust(other),
    })
}

/// Reads a text of ours.
pub(crate) fn read_text(path: &Path) -> Result<String, Error> {
    String::from_utf8(read(path)?.to_vec()).map_err(|_| Error::Content { path: path.into(), wanted: "UTF-8 text".to_owned() })
}

/// Writes a new file for its owner only, synced; never over another.
pub(crate) fn write_new(path: &Path, bytes: &[u8]) -> Result<(), Error> {
    let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
    let mut file = file.map_err(|cause| match cause.kind() {
        ErrorKind::AlreadyExists => Error::Exists(path.into()),
        _ => Error::File { what: "create", path: path.into(), cause },
    })?;
    let written = file.write_all(bytes).and_then(|()| file.sync_all());
    written.map_err(|cause| Error::File { what: "write", path: path.into(), cause })
}

/// Makes an empty file for its owner only where there is none, and takes the rights of others from one that is there.
pub(crate) fn ensure_private(path: &Path) -> Result<(), Error> {
    let failed = |cause| Error::File { what: "create", path: path.into(), cause };
    let file = OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(path).map_err(failed)?;
    let rights = file.metadata().map_err(failed)?.permissions().mode();
    if rights & 0o077 != 0 {
        file.set_permissions(fs::Permissions::from_mode(0o600)).map_err(failed)?;
    }
    Ok(())
}

/// Puts `bytes` in the place of the file at `path` in one step: a reader sees the old file or the new one.
pub(crate) fn replace(path: &Path, bytes: &[u8]) -> Result<(), Error> {
    replace_dated(path, bytes, None)
}

/// As [`replace`]; the new file is as old as the old one.
pub(crate) fn replace_in_time(path: &Path, bytes: &[u8]) -> Result<(), Error> {
    let made = fs::metadata(path).and_then(|metadata| metadata.modified());
    replace_dated(path, bytes, Some(made.map_err(|cause| Error::File { what: "read", path: path.into(), cause })?))
}

fn replace_dated(path: &Path, bytes: &[u8], made: Option<SystemTime>) -> Result<(), Error> {
    let mut name = path.file_name().unwrap_or_default().to_os_string();
    name.push(format!(".{}.new", std::process::id()));
    let next = path.with_file_name(name);
    // One of an earlier process with this number that was killed.
    let _ = fs::remove_file(&next);
    write_new(&next, bytes)?;
    if let Some(made) = made {
        let dated = OpenOptions::new().write(true).open(&next).and_then(|file| file.set_modified(made).and_then(|()| file.sync_all()));
        dated.map_err(|cause| Error::File { what: "date", path: next.clone(), cause })?;
    }
    fs::rename(&next, path).map_err(|cause| Error::File { what: "replace", path: path.into(), cause })?;
    sync_folder(path.parent().unwrap_or(Path::new(".")))
}

/// The files of a folder with this extension, the newest first.
pub(crate) fn newest_first(folder: &Path, extension: &str) -> Result<Vec<PathBuf>, Error> {
    let failed = |cause| Error::File { what: "read", path: folder.into(), cause };
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        let made = entry.metadata().and_then(|metadata| metadata.modified()).map_err(failed)?;
        found.push((std::cmp::Reverse(made), entry.path()));
    }
    found.retain(|(_, path)| path.extension().is_some_and(|found| found == extension));
    found.sort();
    Ok(found.into_iter().map(|(_, path)| path).collect())
}

/// Reads a file that holds a secret: nobody but its owner may read it.
pub(crate) fn read_private(path: &Path) -> Result<Zeroizing<String>, Error> {
    let failed = |cause| Error::File { what: "read", path: path.into(), cause };
    let mut file = fs::File::open(path).map_err(failed)?;
    let metadata = file.metadata().map_err(failed)?;
    if metadata.permissions().mode() & 0o077 != 0 {
        return Err(Error::Content {
            path: path.into(),
            wanted: "for its owner's eyes only: take the rights of others away (chmod 600)".to_owned(),
        });
    }
    let mut text = Zeroizing::new(String::with_capacity(SECRET_BYTES_MAX));
    let read = std::io::Read::by_ref(&mut file).take(SECRET_BYTES_MAX as u64).read_to_string(&mut text);
    read.map_err(failed)?;
    Ok(text)
}

/// Makes a folder for its owner only; folders above it that are missing are made, too.
pub(crate) fn make_folder(path: &Path) -> Result<(), Error> {
    if let Some(above) = path.parent().filter(|above| !above.as_os_str().is_empty() && !above.exists()) {
        let made = fs::DirBuilder::new().mode(0o700).recursive(true).create(above);
        made.map_err(|cause| Error::File { what: "make", path: above.into(), cause })?;
    }
    fs::DirBuilder::new().mode(0o700).create(path).map_err(|cause| match cause.kind() {
        ErrorKind::AlreadyExists => Error::Exists(path.into()),
        _ => Error::File { what: "make", path: path.into(), cause },
    })
}

/// Makes the names in a folder durable.
pub(crate) fn sync_folder(path: &Path) -> Result<(), Error> {
    let path = if path.as_os_str().is_empty() { Path::new(".") } else { path };
    let synced = fs::File::open(path).and_then(|folder| folder.sync_all());
    synced.map_err(|cause| Error::File { what: "sync", path: path.into(), cause })
}

/// Bytes that are read of a file with a passphrase: more than the longest, which is then refused.
const SECRET_BYTES_MAX: usize = 2 * envelope::limits::PASSPHRASE_BYTES_MAX;

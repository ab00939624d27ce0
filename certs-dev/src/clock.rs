//! A clock step: the network authority says what time it is, so that a gateway whose clock was off writes again.
//!
//! It does not know whether a gateway takes it; the gateway's clock must agree within five minutes.

use std::path::{Path, PathBuf};

use envelope::keys::SigningKey;
use envelope::statement;
use envelope::time::Timestamp;
use envelope::trust::Trust;
use prost::Message as _;
use proto::v1;

use crate::mint::now;
use crate::{Error, files};

/// Number and digest of a statement in its chain, as a gateway names them when it refuses another (`BAD_SEQUENCE`).
pub type Place = (u64, Vec<u8>);

/// Signs the time of this machine as `out/clock-step.bin`. Without `place` it follows the statement in that file, if
/// there is one: a step that no gateway took leaves the chain where it was, so its place must be given then.
///
/// # Errors
/// [`Error::Absent`] when `out` holds no PKI.
pub fn clock_step(out: &Path, place: Option<Place>) -> Result<PathBuf, Error> {
    let path = out.join("clock-step.bin");
    let trust = out.join("trust.toml");
    let text = String::from_utf8(files::read(&trust)?.to_vec());
    let trust = Trust::parse_toml(&text.map_err(|_| Error::Content { path: trust, wanted: "a trust file" })?)?;
    let key = SigningKey::from_pem(&files::read(&out.join("authority").join("authority.key"))?)?;
    let (seq, prev_sha256) = match place {
        Some(place) => place,
        None if path.exists() => next_of(&path)?,
        None => (1, Vec::new()),
    };
    let Timestamp(now_ms) = now();
    let head = v1::StatementHead {
        version: 1,
        network: trust.network.to_string(),
        issuer: statement::NETWORK_AUTHORITY.to_owned(),
        subject: statement::NETWORK_AUTHORITY.to_owned(),
        seq,
        prev_sha256: prev_sha256.into(),
        created_ms: now_ms,
        expires_ms: 0,
    };
    let signed = statement::sign(&v1::ClockStep { head: Some(head), now_ms }, &[&key])?;
    files::replace(&path, &signed.encode_to_vec())?;
    Ok(path)
}

/// Number and digest that the statement after the one in `path` carries.
fn next_of(path: &Path) -> Result<Place, Error> {
    let content = || Error::Content { path: path.to_owned(), wanted: "a clock step" };
    let signed = statement::decode_signed(&files::read(path)?)?;
    let step: v1::ClockStep = statement::read(&signed)?;
    let seq = step.head.ok_or_else(content)?.seq + 1;
    Ok((seq, statement::digest_of(&signed).to_vec()))
}

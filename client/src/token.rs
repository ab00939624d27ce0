//! Where a key lies in a token: PKCS#11 URIs (RFC 7512), and what can go wrong with a token, by name.
//!
//! It speaks with no token; `pkcs11` does, where the program is built with it.

use std::path::{Path, PathBuf};

use envelope::locked::Secret;

use crate::files;

/// A key in a token, as a PKCS#11 URI names it. Made by [`TokenUri::parse`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TokenUri {
    /// The PKCS#11 library to load.
    pub module: PathBuf,
    /// Label of the token.
    pub token: Option<String>,
    /// Its serial number.
    pub serial: Option<String>,
    /// Its manufacturer.
    pub manufacturer: Option<String>,
    /// Its model.
    pub model: Option<String>,
    /// Label of the key.
    pub object: Option<String>,
    /// Id of the key.
    pub id: Option<Vec<u8>>,
    /// A file with the PIN.
    pub pin_source: Option<PathBuf>,
}

/// What is wrong with a URI, a token or its key.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// Not a PKCS#11 URI of a signing key.
    #[error("TOKEN_URI: the uri of the signing key {0}")]
    Uri(&'static str),
    /// The program has no PKCS#11.
    #[error("TOKEN_UNSUPPORTED: this program was built without the feature pkcs11")]
    Unsupported,
    /// The library is not there, or is none.
    #[error("TOKEN_MODULE: {} cannot be loaded as a PKCS#11 module: {why}", .path.display())]
    Module {
        /// The library.
        path: PathBuf,
        /// What the loader says.
        why: String,
    },
    /// No token, or several, that the URI fits.
    #[error("TOKEN_ABSENT: {0} tokens fit the uri, not 1; is it plugged in, and its label right?")]
    Tokens(usize),
    /// No private key, or several, that the URI fits.
    #[error("TOKEN_KEY_ABSENT: {0} private keys fit the uri, not 1")]
    Keys(usize),
    /// A PIN is needed.
    #[error("PIN_NEEDED: the token {0} needs a PIN")]
    PinNeeded(String),
    /// Another PIN.
    #[error("PIN_WRONG: the token {0} does not take this PIN; it locks after a few")]
    PinWrong(String),
    /// Too many wrong PINs.
    #[error("PIN_LOCKED: the token {0} is locked after too many wrong PINs")]
    PinLocked(String),
    /// The file with the PIN.
    #[error("PIN_SOURCE: {} does not hold a PIN that only its owner can read", .0.display())]
    PinSource(PathBuf),
    /// Not the key that the certificate is for.
    #[error("TOKEN_KEY_OTHER: the key in the token is not the one that the identity certificate is for")]
    OtherKey,
    /// The token does not sign with this kind of key.
    #[error("TOKEN_MECHANISM: the token has no {0}")]
    Mechanism(&'static str),
    /// Anything else that the token says.
    #[error("TOKEN_FAULT: {0}")]
    Device(String),
}

impl TokenError {
    /// The stable name.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Uri(_) => "TOKEN_URI",
            Self::Unsupported => "TOKEN_UNSUPPORTED",
            Self::Module { .. } => "TOKEN_MODULE",
            Self::Tokens(_) => "TOKEN_ABSENT",
            Self::Keys(_) => "TOKEN_KEY_ABSENT",
            Self::PinNeeded(_) => "PIN_NEEDED",
            Self::PinWrong(_) => "PIN_WRONG",
            Self::PinLocked(_) => "PIN_LOCKED",
            Self::PinSource(_) => "PIN_SOURCE",
            Self::OtherKey => "TOKEN_KEY_OTHER",
            Self::Mechanism(_) => "TOKEN_MECHANISM",
            Self::Device(_) => "TOKEN_FAULT",
        }
    }

    /// Whether the token would work with the right PIN.
    #[must_use]
    pub fn is_locked(&self) -> bool {
        matches!(self, Self::PinNeeded(_) | Self::PinWrong(_) | Self::PinLocked(_) | Self::PinSource(_))
    }
}

impl TokenUri {
    /// Reads `pkcs11:token=...;object=...?module-path=...`. An attribute that is not understood here is refused, for it may
    /// have chosen another key.
    ///
    /// # Errors
    /// [`TokenError::Uri`] says why.
    pub fn parse(text: &str) -> Result<Self, TokenError> {
        let wrong = |why| Err(TokenError::Uri(why));
        if text.len() > URI_BYTES_MAX {
            return wrong("has more than 2,048 bytes");
        }
        let Some(rest) = text.strip_prefix("pkcs11:") else { return wrong("does not begin with pkcs11:") };
        let (path, query) = rest.split_once('?').unwrap_or((rest, ""));
        let mut uri = Self::default();
        let mut seen = Vec::new();
        for attribute in path.split(';').chain(query.split('&')).filter(|attribute| !attribute.is_empty()) {
            let Some((name, value)) = attribute.split_once('=') else { return wrong("has an attribute without a value") };
            if seen.contains(&name) {
                return wrong("names an attribute twice");
            }
            seen.push(name);
            uri.set(name, decode(value)?)?;
        }
        if seen.iter().any(|name| is_query(name) && path.split(';').any(|one| one.starts_with(&format!("{name}=")))) {
            return wrong("has module-path or pin-source before its question mark");
        }
        if !uri.module.is_absolute() {
            return wrong("names no absolute module-path");
        }
        if uri.object.is_none() && uri.id.is_none() {
            return wrong("names neither object nor id");
        }
        if uri.pin_source.as_ref().is_some_and(|path| !path.is_absolute()) {
            return wrong("names no absolute pin-source");
        }
        Ok(uri)
    }

    fn set(&mut self, name: &str, value: Vec<u8>) -> Result<(), TokenError> {
        if name == "id" {
            self.id = Some(value);
            return Ok(());
        }
        let text = String::from_utf8(value).map_err(|_| TokenError::Uri("is no UTF-8"))?;
        if text.contains('\0') || text.is_empty() {
            return Err(TokenError::Uri("has an attribute that is empty or has a zero byte"));
        }
        match name {
            "token" => self.token = Some(text),
            "serial" => self.serial = Some(text),
            "manufacturer" => self.manufacturer = Some(text),
            "model" => self.model = Some(text),
            "object" => self.object = Some(text),
            "type" if text == "private" => {}
            "module-path" => self.module = text.into(),
            "pin-source" => {
                let path = text.strip_prefix("file:").unwrap_or(&text);
                self.pin_source = Some(path.strip_prefix("//").unwrap_or(path).into());
            }
            "type" => return Err(TokenError::Uri("is that of another thing than a private key")),
            "pin-value" => return Err(TokenError::Uri("holds a PIN; give pin-source=file:/path, or type it")),
            _ => return Err(TokenError::Uri("has an attribute that is not known here")),
        }
        Ok(())
    }

    /// The PIN in the file that the URI names, else the one given.
    ///
    /// # Errors
    /// [`TokenError::PinSource`] when the file cannot be read or others can.
    pub fn pin(&self, given: Option<&Secret>) -> Result<Option<Secret>, TokenError> {
        let Some(path) = &self.pin_source else { return Ok(given.cloned()) };
        read_pin(path).map(Some).ok_or_else(|| TokenError::PinSource(path.clone()))
    }
}

fn read_pin(path: &Path) -> Option<Secret> {
    Secret::new(files::read_private(path).ok()?).ok()
}

fn is_query(name: &str) -> bool {
    matches!(name, "module-path" | "pin-source")
}

/// Percent-decoding (RFC 3986 2.1), of what RFC 7512 lets stand unencoded.
fn decode(value: &str) -> Result<Vec<u8>, TokenError> {
    let wrong = TokenError::Uri("has a character that must be percent-encoded");
    let mut bytes = value.bytes();
    let mut decoded = Vec::with_capacity(value.len());
    while let Some(byte) = bytes.next() {
        match byte {
            b'%' => {
                let digit = |byte: Option<u8>| char::from(byte?).to_digit(16);
                let (high, low) = (digit(bytes.next()), digit(bytes.next()));
                let (Some(high), Some(low)) = (high, low) else { return Err(wrong) };
                decoded.push((high << 4 | low) as u8);
            }
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' => decoded.push(byte),
            _ if b"-._~:[]@!$'()*+,=&/|".contains(&byte) => decoded.push(byte),
            _ => return Err(wrong),
        }
    }
    Ok(decoded)
}

/// Bytes of a URI: labels have 32, serials 16, a path some hundred.
const URI_BYTES_MAX: usize = 2048;

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn check(text: &str, expected: Result<TokenUri, &'static str>) {
        assert_eq!(TokenUri::parse(text), expected.map_err(TokenError::Uri), "{text}");
    }

    #[test]
    fn uris_are_read_whole_or_refused() {
        let module = || TokenUri { module: "/usr/lib/softhsm/libsofthsm2.so".into(), ..TokenUri::default() };
        let text = |text: &str| Some(text.to_owned());
        check(
            "pkcs11:token=desk;object=identity?module-path=/usr/lib/softhsm/libsofthsm2.so",
            Ok(TokenUri { token: text("desk"), object: text("identity"), ..module() }),
        );
        check(
            "pkcs11:id=%01%a0%FF;type=private;serial=12%3b34;model=m;manufacturer=The%20Maker?pin-source=file:/run/pin&module-path=/usr/lib/softhsm/libsofthsm2.so",
            Ok(TokenUri {
                id: Some(vec![1, 0xa0, 0xff]),
                serial: text("12;34"),
                model: text("m"),
                manufacturer: text("The Maker"),
                pin_source: Some("/run/pin".into()),
                ..module()
            }),
        );
        check(
            "pkcs11:object=a?module-path=/m&pin-source=file:///run/pin",
            Ok(TokenUri { module: "/m".into(), object: text("a"), pin_source: Some("/run/pin".into()), ..TokenUri::default() }),
        );
        check(
            "pkcs11:object=a?module-path=/m&pin-source=/run/pin",
            Ok(TokenUri { module: "/m".into(), object: text("a"), pin_source: Some("/run/pin".into()), ..TokenUri::default() }),
        );
        for (bad, why) in [
            ("", "does not begin with pkcs11:"),
            ("PKCS11:object=a?module-path=/m", "does not begin with pkcs11:"),
            ("pkcs11:", "names no absolute module-path"),
            ("pkcs11:object=a", "names no absolute module-path"),
            ("pkcs11:object=a?module-path=m.so", "names no absolute module-path"),
            ("pkcs11:?module-path=/m", "names neither object nor id"),
            ("pkcs11:token=a?module-path=/m", "names neither object nor id"),
            ("pkcs11:object=a;object=b?module-path=/m", "names an attribute twice"),
            ("pkcs11:object?module-path=/m", "has an attribute without a value"),
            ("pkcs11:object=?module-path=/m", "has an attribute that is empty or has a zero byte"),
            ("pkcs11:object=a%00?module-path=/m", "has an attribute that is empty or has a zero byte"),
            ("pkcs11:object=%ff?module-path=/m", "is no UTF-8"),
            ("pkcs11:object=%f?module-path=/m", "has a character that must be percent-encoded"),
            ("pkcs11:object=%zz?module-path=/m", "has a character that must be percent-encoded"),
            ("pkcs11:object=a b?module-path=/m", "has a character that must be percent-encoded"),
            ("pkcs11:object=\u{e9}?module-path=/m", "has a character that must be percent-encoded"),
            ("pkcs11:object=a;type=cert?module-path=/m", "is that of another thing than a private key"),
            ("pkcs11:object=a;slot-id=3?module-path=/m", "has an attribute that is not known here"),
            ("pkcs11:object=a?module-path=/m&pin-value=1234", "holds a PIN; give pin-source=file:/path, or type it"),
            ("pkcs11:object=a?module-path=/m&pin-source=run/pin", "names no absolute pin-source"),
            ("pkcs11:object=a?module-path=/m&pin-source=file://", "names no absolute pin-source"),
            ("pkcs11:object=a;module-path=/m", "has module-path or pin-source before its question mark"),
        ] {
            check(bad, Err(why));
        }
        check(&format!("pkcs11:object={}?module-path=/m", "a".repeat(URI_BYTES_MAX)), Err("has more than 2,048 bytes"));
    }

    #[test]
    fn a_pin_file_is_its_owners() {
        use std::os::unix::fs::PermissionsExt as _;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("pin");
        let uri = TokenUri { pin_source: Some(path.clone()), ..TokenUri::default() };
        let refused = Err(TokenError::PinSource(path.clone()));
        assert_eq!(uri.pin(None), refused);
        std::fs::write(&path, "1234\n").unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o640)).unwrap();
        assert_eq!(uri.pin(None), refused);
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
        assert_eq!(uri.pin(None).unwrap().unwrap().expose(), "1234");
        std::fs::write(&path, "").unwrap();
        assert_eq!(uri.pin(None), refused);
        assert_eq!(TokenUri::default().pin(None), Ok(None));
    }
}

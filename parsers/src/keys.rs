//! What an owner's secret lies in: a key file under a passphrase, and the URI of a key in a token.

use std::fmt::Write as _;

use client::token::TokenUri;
use envelope::keys::SigningKey;
use envelope::locked::{LockError, Secret, plain, unlock};
use pkcs8::EncryptedPrivateKeyInfoRef;
use pkcs8::der::pem::{self, PemLabel as _};
use pkcs8::pkcs5::pbes2::Kdf;

/// An encrypted PKCS#8 document, as PEM or as the DER in it: what opens is a private key, and opens to the same again.
pub(crate) fn locked_key(bytes: &[u8]) -> bool {
    let passphrase = secret("seed");
    assert_ne!(unlock(bytes, None), Err(LockError::Wrong), "a passphrase that nobody gave is wrong");
    let der = pem::decode_vec(bytes).map_or_else(|_| bytes.to_vec(), |(_, der)| der);
    let Ok(info) = EncryptedPrivateKeyInfoRef::try_from(&der[..]) else { return false };
    let Ok(text) = pem::encode_string(EncryptedPrivateKeyInfoRef::PEM_LABEL, pem::LineEnding::LF, &der) else { return false };
    if costs_too_much_for_a_trial(&info) {
        return false;
    }
    let Ok(opened) = unlock(text.as_bytes(), Some(&passphrase)) else { return false };
    let again = unlock(text.as_bytes(), Some(&passphrase)).expect("it opened before");
    assert_eq!(*opened, *again, "two readings of one file");
    let key = |der| plain(der).ok().and_then(|pem| SigningKey::from_pem(&pem).ok());
    key(&opened).is_some()
}

/// Below the bounds of `envelope`, and still more than one of a million inputs may take.
fn costs_too_much_for_a_trial(info: &EncryptedPrivateKeyInfoRef<'_>) -> bool {
    match info.encryption_algorithm.pbes2().map(|scheme| &scheme.kdf) {
        Some(Kdf::Pbkdf2(pbkdf2)) => (1000..=5_000_000).contains(&pbkdf2.iteration_count),
        Some(Kdf::Scrypt(scrypt)) => {
            let work = scrypt.cost_parameter.saturating_mul(scrypt.block_size.into()).saturating_mul(scrypt.parallelization.into());
            (1024..=1 << 23).contains(&work)
        }
        _ => false,
    }
}

fn secret(text: &str) -> Secret {
    Secret::new(text.to_owned().into()).expect("a line of text")
}

pub(crate) fn locked_key_seeds() -> Vec<Vec<u8>> {
    // openssl pkcs8 -topk8 with -scrypt -scrypt_N 16 -scrypt_r 1 -scrypt_p 1, and with -v2 aes-256-cbc -iter 4.
    let scrypt = "-----BEGIN ENCRYPTED PRIVATE KEY-----\n\
        MIGSME4GCSqGSIb3DQEFDTBBMCAGCSsGAQQB2kcECzATBAjuvGYrsDCShwIBEAIB\n\
        AQIBATAdBglghkgBZQMEASoEEAvWMeDbCZPOmZ5Z9S7lns4EQMNWZ4Xm+vDU9UXI\n\
        grLmHRknvj+1Y/BxLWFiFPxA4Dc7EZbVpKUWaDV6PWol5d+7RUJVZgAHJXuIAgFk\n\
        vZ6fpSE=\n-----END ENCRYPTED PRIVATE KEY-----\n";
    let pbkdf2 = "-----BEGIN ENCRYPTED PRIVATE KEY-----\n\
        MIGaMFYGCSqGSIb3DQEFDTBJMCgGCSqGSIb3DQEFDDAbBAhDZvt+v86fiQIBBDAM\n\
        BggqhkiG9w0CCQUAMB0GCWCGSAFlAwQBKgQQwCCdABUgCDAYDZ6GXQy56gRAefvY\n\
        dtNF35e9N9+TfGs7c7r7J5jLjEfoat12SQ76891AALGpVUaobVtyMpjG8x/iBZmg\n\
        hJ76Zv1VjxAughifbQ==\n-----END ENCRYPTED PRIVATE KEY-----\n";
    let der = |text: &str| pem::decode_vec(text.as_bytes()).expect("a PEM document").1;
    vec![scrypt.into(), pbkdf2.into(), der(scrypt), der(pbkdf2)]
}

/// `pkcs11:...`: what is read, written with every byte encoded, reads itself again.
pub(crate) fn token_uri(bytes: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(bytes) else { return false };
    let Ok(uri) = TokenUri::parse(text) else { return false };
    assert!(uri.module.is_absolute() && (uri.object.is_some() || uri.id.is_some()), "a URI of no key");
    let path = |path: &std::path::Path| path.to_str().map(|text| text.as_bytes().to_vec());
    let texts = [("token", &uri.token), ("serial", &uri.serial), ("manufacturer", &uri.manufacturer), ("model", &uri.model)];
    let texts = texts.into_iter().chain([("object", &uri.object)]);
    let mut written = String::from("pkcs11:");
    for (name, value) in
        texts.filter_map(|(name, text)| Some((name, text.clone()?.into_bytes()))).chain(uri.id.clone().map(|id| ("id", id)))
    {
        written += &format!("{name}={};", encoded(&value));
    }
    let query = [("module-path", path(&uri.module)), ("pin-source", uri.pin_source.as_deref().and_then(path))];
    for (at, (name, value)) in query.into_iter().filter_map(|(name, value)| Some((name, value?))).enumerate() {
        written += &format!("{}{name}={}", if at == 0 { '?' } else { '&' }, encoded(&value));
    }
    // Encoded, it is up to three times as long, and a URI has a bound; a PIN's path loses its scheme once.
    let again = TokenUri::parse(&written);
    let scheme_again = uri.pin_source.as_deref().and_then(path).is_some_and(|path| path.starts_with(b"file:") || path.starts_with(b"//"));
    assert!(written.len() > 2048 || scheme_again || again == Ok(uri), "{written}");
    true
}

fn encoded(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        write!(text, "%{byte:02X}").expect("a string takes all");
        text
    })
}

pub(crate) fn token_uri_seeds() -> Vec<Vec<u8>> {
    [
        "pkcs11:token=bureau;object=identity?module-path=/usr/lib/softhsm/libsofthsm2.so",
        "pkcs11:serial=00ff;id=%01%fe;type=private?module-path=/m.so&pin-source=file:///run/pin",
        "pkcs11:model=SoftHSM%20v2;manufacturer=a%26b;object=k?module-path=/m.so&pin-source=/run/pin",
        "pkcs11:object=k?module-path=m.so",
        "pkcs11:object=k?pin-value=1234&module-path=/m.so",
    ]
    .map(|text| text.as_bytes().to_vec())
    .to_vec()
}

//! An identity key in a token: found by its URI, compared with the certificate, and asked to sign.
//!
//! The key never leaves the token. **Invariant:** what a token gives is verified before it is used, so a token that fails
//! or lies stops its owner and nobody else.

use std::sync::{Mutex, PoisonError};

use cryptoki::context::{CInitializeArgs, CInitializeFlags, Pkcs11};
use cryptoki::error::{Error, RvError};
use cryptoki::mechanism::eddsa::{EddsaParams, EddsaSignatureScheme};
use cryptoki::mechanism::{Mechanism, MechanismType};
use cryptoki::object::{Attribute, AttributeType, KeyType, ObjectClass, ObjectHandle};
use cryptoki::session::{Session, UserType};
use cryptoki::slot::Slot;
use cryptoki::types::AuthPin;
use envelope::identity::PublicKey;
use envelope::keys::{AwsLc, SignFault, Signer};
use envelope::locked::Secret;
use envelope::p256::with_low_s;

use crate::token::{TokenError, TokenUri};

/// A private key in a token.
pub struct Pkcs11Key {
    /// One operation at a time: a session keeps the state of the one under way.
    session: Mutex<Session>,
    key: ObjectHandle,
    public: PublicKey,
}

impl std::fmt::Debug for Pkcs11Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Pkcs11Key")
    }
}

impl Pkcs11Key {
    /// Loads the module, logs in, and finds the key of which `public` is the certified half.
    ///
    /// # Errors
    /// [`TokenError`] by name.
    pub fn open(uri: &TokenUri, pin: Option<&Secret>, public: PublicKey) -> Result<Self, TokenError> {
        let module = load(uri)?;
        let (slot, label) = find_token(&module, uri)?;
        check_mechanism(&module, slot, &public)?;
        let session = module.open_ro_session(slot).map_err(device)?;
        login(&module, slot, &session, &label, uri.pin(pin)?.as_ref())?;
        let key = find_key(&session, uri, &public)?;
        Ok(Self { session: Mutex::new(session), key, public })
    }
}

impl Signer for Pkcs11Key {
    fn public(&self) -> PublicKey {
        self.public
    }

    fn sign(&self, message: &[u8]) -> Result<[u8; 64], SignFault> {
        let session = self.session.lock().unwrap_or_else(PoisonError::into_inner);
        let signed = match self.public {
            PublicKey::Ed25519(_) => session.sign(&Mechanism::Eddsa(EddsaParams::new(EddsaSignatureScheme::Pure)), self.key, message),
            PublicKey::P256(_) => session.sign(&Mechanism::Ecdsa, self.key, &tlog::sha256(message)),
        };
        let signed = signed.map_err(|error| SignFault::Device(error.to_string()))?;
        let signature: [u8; 64] = signed.try_into().map_err(|_| SignFault::Unsound)?;
        let signature = match self.public {
            PublicKey::Ed25519(_) => signature,
            PublicKey::P256(_) => with_low_s(signature),
        };
        self.public.verify(&AwsLc, message, &signature).map_err(|_| SignFault::Unsound)?;
        Ok(signature)
    }
}

fn load(uri: &TokenUri) -> Result<Pkcs11, TokenError> {
    let failed = |error: Error| TokenError::Module { path: uri.module.clone(), why: error.to_string() };
    let module = Pkcs11::new(&uri.module).map_err(failed)?;
    match module.initialize(CInitializeArgs::new(CInitializeFlags::OS_LOCKING_OK)) {
        // The same module for another profile of this process.
        Ok(()) | Err(Error::Pkcs11(RvError::CryptokiAlreadyInitialized, _)) => Ok(module),
        Err(error) => Err(failed(error)),
    }
}

/// The one token that the URI fits, and its label.
fn find_token(module: &Pkcs11, uri: &TokenUri) -> Result<(Slot, String), TokenError> {
    let mut found = Vec::new();
    for slot in module.get_slots_with_token().map_err(device)? {
        let info = module.get_token_info(slot).map_err(device)?;
        let fits = |wanted: &Option<String>, is: &str| wanted.as_deref().is_none_or(|wanted| wanted == is.trim_end());
        let ours = fits(&uri.token, info.label())
            && fits(&uri.serial, info.serial_number())
            && fits(&uri.manufacturer, info.manufacturer_id())
            && fits(&uri.model, info.model());
        if ours && info.token_initialized() {
            found.push((slot, info.label().trim_end().to_owned()));
        }
    }
    match (found.len(), found.pop()) {
        (1, Some(token)) => Ok(token),
        (count, _) => Err(TokenError::Tokens(count)),
    }
}

fn check_mechanism(module: &Pkcs11, slot: Slot, public: &PublicKey) -> Result<(), TokenError> {
    let (wanted, name) = match public {
        PublicKey::Ed25519(_) => (MechanismType::EDDSA, "CKM_EDDSA (Ed25519)"),
        PublicKey::P256(_) => (MechanismType::ECDSA, "CKM_ECDSA (P-256)"),
    };
    // Not by the list of all: the library logs an error for each that it has no name for.
    match module.get_mechanism_info(slot, wanted) {
        Ok(_) => Ok(()),
        Err(Error::Pkcs11(RvError::MechanismInvalid, _)) => Err(TokenError::Mechanism(name)),
        Err(error) => Err(device(error)),
    }
}

fn login(module: &Pkcs11, slot: Slot, session: &Session, label: &str, pin: Option<&Secret>) -> Result<(), TokenError> {
    let info = module.get_token_info(slot).map_err(device)?;
    if !info.login_required() {
        return Ok(());
    }
    let typed_there = info.protected_authentication_path();
    let pin = match pin {
        None if !typed_there => return Err(TokenError::PinNeeded(label.to_owned())),
        pin => pin.filter(|_| !typed_there).map(|pin| AuthPin::new(pin.expose().into())),
    };
    match session.login(UserType::User, pin.as_ref()) {
        // Another session of this process has shown the PIN already.
        Ok(()) | Err(Error::Pkcs11(RvError::UserAlreadyLoggedIn, _)) => Ok(()),
        Err(Error::Pkcs11(RvError::PinIncorrect | RvError::PinLenRange | RvError::PinInvalid, _)) => {
            Err(TokenError::PinWrong(label.to_owned()))
        }
        Err(Error::Pkcs11(RvError::PinLocked, _)) => Err(TokenError::PinLocked(label.to_owned())),
        Err(error) => Err(device(error)),
    }
}

/// The one private key that the URI fits; its public half, where the token shows one, must be the certified one.
fn find_key(session: &Session, uri: &TokenUri, public: &PublicKey) -> Result<ObjectHandle, TokenError> {
    let named = |class: ObjectClass| {
        let mut template = vec![Attribute::Class(class)];
        template.extend(uri.object.as_ref().map(|label| Attribute::Label(label.as_bytes().to_vec())));
        template.extend(uri.id.as_ref().map(|id| Attribute::Id(id.clone())));
        template
    };
    let keys = session.find_objects(&named(ObjectClass::PRIVATE_KEY)).map_err(device)?;
    let [key] = keys[..] else { return Err(TokenError::Keys(keys.len())) };
    let wanted = match public {
        PublicKey::Ed25519(_) => KeyType::EC_EDWARDS,
        PublicKey::P256(_) => KeyType::EC,
    };
    for attribute in session.get_attributes(key, &[AttributeType::KeyType]).map_err(device)? {
        if attribute != Attribute::KeyType(wanted) {
            return Err(TokenError::OtherKey);
        }
    }
    for half in session.find_objects(&named(ObjectClass::PUBLIC_KEY)).map_err(device)? {
        for attribute in session.get_attributes(half, &[AttributeType::EcPoint]).map_err(device)? {
            if let Attribute::EcPoint(point) = attribute
                && octets(&point) != public.as_bytes()
            {
                return Err(TokenError::OtherKey);
            }
        }
    }
    Ok(key)
}

/// A point as PKCS#11 gives it: in a DER OCTET STRING, or, by some tokens, bare.
fn octets(point: &[u8]) -> &[u8] {
    match point {
        [0x04, length, rest @ ..] if usize::from(*length) == rest.len() => rest,
        bare => bare,
    }
}

fn device(error: Error) -> TokenError {
    TokenError::Device(error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn points_are_unwrapped_where_they_are_wrapped() {
        let point = [&[0x04][..], &[7; 64]].concat();
        assert_eq!(octets(&[&[0x04, 65], &point[..]].concat()), &point[..]);
        assert_eq!(octets(&point), &point[..], "an uncompressed point begins with 0x04, too");
        assert_eq!(octets(&[&[0x04, 32][..], &[9; 32]].concat()), &[9; 32]);
        assert_eq!(octets(&[9; 32]), &[9; 32]);
    }
}

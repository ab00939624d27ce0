//! Passphrases and PINs for a command: from a file, or typed without an echo, each asked for once.
//!
//! It does not know what they open.

use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use crate::custody::Unlock;
use crate::token::TokenError;
use crate::{Error, files};
use envelope::locked::Secret;
use zeroize::Zeroizing;

/// What was found out while the command runs.
pub(super) struct Secrets {
    /// `--passphrase-file`.
    file: Option<PathBuf>,
    known: Mutex<Unlock>,
}

impl Secrets {
    pub(super) fn new(file: Option<PathBuf>) -> Self {
        Self { file, known: Mutex::default() }
    }

    /// What is known so far.
    pub(super) fn unlock(&self) -> Unlock {
        self.known.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Learns the secret that `error` asks for; any other error, and one that was answered before, comes back.
    pub(super) fn learn(&self, error: Error) -> Result<(), Error> {
        let known = self.unlock();
        match &error {
            Error::Locked(path) if known.passphrase.is_none() => {
                let prompt = format!("passphrase of {}: ", path.display());
                let passphrase = self.given()?.map_or_else(|| typed(&prompt), |given| Ok(Some(given)))?.ok_or(error)?;
                self.know(Unlock { passphrase: Some(passphrase), ..known });
                Ok(())
            }
            Error::Token(TokenError::PinNeeded(token)) if known.pin.is_none() => {
                let pin = typed(&format!("PIN of {token}: "))?.ok_or(error)?;
                self.know(Unlock { pin: Some(pin), ..known });
                Ok(())
            }
            _ => Err(error),
        }
    }

    /// A new passphrase: from the file, or typed twice.
    pub(super) fn choose(&self) -> Result<Secret, Error> {
        let passphrase = self.given()?.map_or_else(typed_twice, Ok)?;
        self.know(Unlock { passphrase: Some(passphrase.clone()), ..self.unlock() });
        Ok(passphrase)
    }

    /// The passphrase in the file, when there is one.
    pub(super) fn given(&self) -> Result<Option<Secret>, Error> {
        self.file.as_deref().map(read).transpose()
    }

    fn know(&self, unlock: Unlock) {
        *self.known.lock().unwrap_or_else(PoisonError::into_inner) = unlock;
    }
}

/// A passphrase from a file that nobody else may read.
pub(super) fn read(path: &Path) -> Result<Secret, Error> {
    Secret::new(files::read_private(path)?).map_err(|cause| Error::Lock { path: path.to_owned(), cause })
}

/// What is typed at the terminal; nothing without one.
fn typed(prompt: &str) -> Result<Option<Secret>, Error> {
    let Ok(text) = rpassword::prompt_password(prompt) else { return Ok(None) };
    let secret = Secret::new(Zeroizing::new(text));
    secret.map(Some).map_err(|cause| Error::Lock { path: TERMINAL.into(), cause })
}

/// A new passphrase, typed twice.
pub(super) fn typed_twice() -> Result<Secret, Error> {
    let no_terminal = || Error::Argument("there is no terminal to type a passphrase at; give --passphrase-file".to_owned());
    let first = typed("new passphrase: ")?.ok_or_else(no_terminal)?;
    let second = typed("the same again: ")?.ok_or_else(no_terminal)?;
    if first == second { Ok(first) } else { Err(Error::Argument("the two passphrases differ; nothing was changed".to_owned())) }
}

const TERMINAL: &str = "/dev/tty";

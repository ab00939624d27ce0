//! `key`: how a profile keeps its keys.

use std::process::ExitCode;

use super::args;
use super::print;
use super::secrets::{self, Secrets};
use crate::{Error, custody};

pub(super) fn run(key: &args::Key, secrets: &Secrets) -> Result<ExitCode, Error> {
    match &key.command {
        args::KeyCommand::Passphrase(passphrase) => change(passphrase, secrets),
    }
}

fn change(wanted: &args::Passphrase, secrets: &Secrets) -> Result<ExitCode, Error> {
    let dir = &wanted.profile;
    // Locked or not is found out before a new passphrase is asked for.
    if let Some(locked) = custody::first_locked(dir)? {
        secrets.learn(Error::Locked(locked))?;
    }
    let old = secrets.unlock().passphrase;
    let new = match &wanted.new_passphrase_file {
        _ if wanted.remove => None,
        Some(path) => Some(secrets::read(path)?),
        None => Some(secrets::typed_twice()?),
    };
    let changed = custody::change_passphrase(dir, old.as_ref(), new.as_ref())?;
    let how = if new.is_some() { "under the new passphrase" } else { "without a passphrase" };
    print::note(&format!("{} keys of {} are {how}", changed.len(), dir.display()));
    Ok(ExitCode::SUCCESS)
}

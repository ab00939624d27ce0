//! What the rules would make of a message, before it is sealed and without a link: from the directory that is here.
//!
//! It decides nothing: the gateway judges by its own state, which may be newer.

use envelope::Address;
use exchange::Refusal;
use exchange::rules::{Judgement, Rule, Sight, explain, held_for};
use exchange::state::Rows as _;

use crate::client::Client;
use crate::clock;
use crate::compose::{self, Compose};
use crate::directory::Head;
use crate::error::Error;

/// Everything that can be told beforehand.
#[derive(Clone, Debug)]
pub struct Explained {
    /// Who would get it, in order, oversight copies included.
    pub recipients: Vec<Address>,
    /// Each rule, in the order in which they are asked.
    pub judgements: Vec<Judgement>,
    /// Who must release it before anybody else gets it.
    pub held_by: Option<Address>,
    /// The directory's head that it is told from.
    pub head: Head,
}

impl Explained {
    /// The first refusal: what a gateway with this directory would say.
    #[must_use]
    pub fn refusal(&self) -> Option<&Refusal> {
        self.judgements.iter().find_map(|judgement| judgement.said.as_ref()?.as_ref().err())
    }
}

impl Client {
    /// Asks every rule that the directory can answer.
    ///
    /// # Errors
    /// [`Error::Argument`] when no message can be like this, or `STALE_DIRECTORY` when no directory was ever fetched.
    pub fn explain(&self, message: &Compose) -> Result<Explained, Error> {
        let now = clock::now();
        let policy = self.directory().policy();
        let named = self.named(message)?;
        let mut draft = compose::context(&self.frame(&policy), message, &self.expand(message)?, &named)?;
        let head = self.directory().head().ok_or_else(|| Error::refused("STALE_DIRECTORY", "the directory was never fetched"))?;
        compose::place_anywhere(&mut draft, now, (head.size, *head.root.as_bytes()));
        let context = compose::read(&draft)?;
        let earlier = self.earlier_of(&context)?;
        let mut judgements = explain(self.directory().state(), now, &context, earlier.as_ref(), Sight::Whole);
        let own_ncb_only = self.address().own_ncb().is_some_and(|ncb| context.recipients == [ncb]);
        for judgement in &mut judgements {
            match judgement.rule {
                // A wrap needs a key to be sealed to; whether it is still the right one, the gateway knows.
                Rule::Keys => {
                    // Who is not enrolled has a rule of its own.
                    let known = |recipient: &&Address| self.directory().state().participant(recipient).is_some();
                    let all_known = context.recipients.iter().all(|recipient| known(&recipient));
                    let mut known = context.recipients.iter().filter(known);
                    let keyless = known.find(|recipient| self.directory().current_key(recipient).is_none());
                    let refused = |recipient: &Address| Err(Refusal::StaleKey { recipient: recipient.clone() });
                    judgement.said = match keyless {
                        Some(recipient) => Some(refused(recipient)),
                        None if all_known => Some(Ok(())),
                        None => None,
                    };
                }
                Rule::Directory => {
                    let stale = Refusal::StaleDirectory { size: head.size, newest: head.size };
                    judgement.said = Some(self.directory().fresh_head(now, own_ncb_only).map(drop).map_err(|_| stale));
                }
                _ => {}
            }
        }
        let held_by = held_for(self.directory().state(), now, &context, earlier.as_ref());
        Ok(Explained { recipients: context.recipients, judgements, held_by, head })
    }
}

//! One's own statements: the next of its chain, signed, sent until it is known to be durable.
//!
//! It does not know what a statement says. The signed bytes are kept in the store first, so that a lost answer leads to
//! the same bytes again.

use envelope::Address;
use envelope::genesis::hex;
use envelope::statement::{self, Statement};
use prost::Message as _;
use proto::v1::{self, SignedStatement, StatementHead, StatementKind};

use crate::client::Client;
use crate::clock;
use crate::error::Error;
use crate::store::{Table, Write};
use crate::trouble::{Trouble, busy_pause};

/// What a chain of one's own statements is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Topic {
    kind: StatementKind,
    /// Of whom; `None` is oneself.
    subject: Option<Address>,
}

impl From<StatementKind> for Topic {
    fn from(kind: StatementKind) -> Self {
        Self { kind, subject: None }
    }
}

impl Topic {
    /// Statements of `kind` about somebody else.
    pub(crate) fn about(kind: StatementKind, subject: &Address) -> Self {
        Self { kind, subject: Some(subject.clone()) }
    }

    /// Whether it is a set about somebody else, which two may change at a time.
    fn is_of_others(&self) -> bool {
        matches!(self.kind, StatementKind::Grants | StatementKind::Group)
    }

    fn name(&self) -> String {
        let kind = self.kind.as_str_name().trim_start_matches("STATEMENT_KIND_").to_ascii_lowercase();
        self.subject.as_ref().map_or_else(|| kind.clone(), |subject| format!("{kind}/{subject}"))
    }

    fn chain_key(&self) -> String {
        format!("chain/{}", self.name())
    }
}

/// Head of one of one's own chains: what the next statement follows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Chain {
    seq: u64,
    sha256: Option<[u8; 32]>,
}

impl Client {
    /// Signs the next statement on a topic and publishes it over the directory's service; gives its seq.
    pub(crate) async fn publish<S: Statement>(
        &mut self,
        topic: impl Into<Topic>,
        build: impl Fn(StatementHead) -> S,
        lifetime_ms: u64,
    ) -> Result<u64, Error> {
        let topic = topic.into();
        for attempt in 0..ATTEMPTS_MAX {
            let signed = self.sign_next(topic.clone(), &build, lifetime_ms)?;
            let request = v1::PublishStatementRequest { statement: Some(signed.clone()) };
            let answered = self.directory_service()?.publish_statement(request).await;
            let trouble = match answered {
                Ok(answer) => {
                    let receipt = answer.into_inner().receipt;
                    let proven = self.witness_receipt(&receipt).await?;
                    // Of this very statement: a receipt of another entry would let a change be called done that nobody keeps.
                    if proven.slot(1, 0).is_none_or(|bytes| *bytes != signed.encode_to_vec()[..]) {
                        return Err(Error::unsound("the gateway's receipt is not of the statement that it was given"));
                    }
                    return self.settle(topic, &signed);
                }
                Err(status) => match self.failed(&status).await {
                    refused @ Error::CertificateRefused { .. } => return Err(refused),
                    _ => Trouble::of_status(&status),
                },
            };
            match trouble {
                Trouble::Refused { ref name, ref metadata, .. } if name == "BAD_SEQUENCE" => {
                    if self.resequence(topic.clone(), &signed, metadata)? {
                        return self.settle(topic, &signed);
                    }
                    // What was built on a set that is not the last one any more would take somebody else's change back.
                    if topic.is_of_others() {
                        self.discard(topic)?;
                        let text = "somebody else has changed it meanwhile: look again, then say it again";
                        return Err(Error::refused("BAD_SEQUENCE", text));
                    }
                }
                Trouble::Busy { retry_after_ms, .. } if attempt + 1 < ATTEMPTS_MAX => {
                    tokio::time::sleep(busy_pause(attempt, retry_after_ms)).await;
                }
                other => {
                    if matches!(other, Trouble::Refused { .. }) {
                        self.discard(topic)?;
                    }
                    return Err(other.into_error(self.profile.gateway()));
                }
            }
        }
        Err(self.unreachable("the gateway is busy"))
    }

    /// Signs the next statement on a topic. It is stored before it is sent.
    pub(crate) fn sign_next<S: Statement>(
        &self,
        topic: impl Into<Topic>,
        build: &impl Fn(StatementHead) -> S,
        lifetime_ms: u64,
    ) -> Result<SignedStatement, Error> {
        let topic = topic.into();
        let chain = self.chain(&topic)?;
        let now = clock::now();
        let me = self.profile.address().to_string();
        let head = StatementHead {
            version: 1,
            network: self.profile.network().to_string(),
            issuer: me.clone(),
            subject: topic.subject.as_ref().map_or(me, ToString::to_string),
            seq: chain.seq + 1,
            prev_sha256: chain.sha256.map_or_else(Vec::new, |digest| digest.to_vec()).into(),
            created_ms: now.ms(),
            expires_ms: if lifetime_ms == 0 { 0 } else { now.plus(lifetime_ms).ms() },
        };
        let signed = statement::sign(&build(head), &[self.profile.identity()])?;
        self.profile.store().commit(&[Write::text(Table::Pending, &topic.name(), signed.encode_to_vec())])?;
        Ok(signed)
    }

    /// The statement on a topic that was signed and not yet answered.
    pub(crate) fn pending(&self, topic: impl Into<Topic>) -> Result<Option<SignedStatement>, Error> {
        let Some(row) = self.profile.store().get(Table::Pending, topic.into().name().as_bytes())? else { return Ok(None) };
        SignedStatement::decode(row.as_slice()).map(Some).map_err(|_| Error::Row("pending"))
    }

    /// `signed` is durable in the ledger; gives its seq.
    pub(crate) fn settle(&self, topic: impl Into<Topic>, signed: &SignedStatement) -> Result<u64, Error> {
        let topic = topic.into();
        let seq = statement::head_of(signed).map_or(0, |head| head.seq);
        let chain = Chain { seq, sha256: Some(statement::digest_of(signed)) };
        self.profile.store().commit(&[chain.write(&topic), Write::Delete(Table::Pending, topic.name().into_bytes())])?;
        Ok(seq)
    }

    /// Forgets a statement that was refused for good.
    pub(crate) fn discard(&self, topic: impl Into<Topic>) -> Result<(), Error> {
        self.profile.store().commit(&[Write::Delete(Table::Pending, topic.into().name().into_bytes())])
    }

    /// Reads from a refusal what the next statement must follow: this profile was restored, or an answer was lost. True
    /// when it is `signed` itself, which is durable then.
    pub(crate) fn resequence(
        &self,
        topic: impl Into<Topic>,
        signed: &SignedStatement,
        metadata: &std::collections::BTreeMap<String, String>,
    ) -> Result<bool, Error> {
        let topic = topic.into();
        let unclear = || Error::unsound("a refusal BAD_SEQUENCE does not say what comes next");
        let next: u64 = metadata.get("seq").and_then(|text| text.parse().ok()).filter(|seq| *seq >= 1).ok_or_else(unclear)?;
        let prev = metadata.get("prev_sha256").map_or("", String::as_str);
        if prev == hex(&statement::digest_of(signed)) {
            return Ok(true);
        }
        let sha256 = if prev.is_empty() { None } else { Some(unhex(prev).ok_or_else(unclear)?) };
        if (next == 1) != sha256.is_none() {
            return Err(unclear());
        }
        let chain = Chain { seq: next - 1, sha256 };
        if chain == self.chain(&topic)? {
            return Err(Error::refused("BAD_SEQUENCE", "the gateway asks for what it was sent"));
        }
        self.profile.store().commit(&[chain.write(&topic)])?;
        Ok(false)
    }

    /// Number of one's own last statement on a topic; 0 before the first.
    pub(crate) fn last_seq(&self, topic: &Topic) -> Result<u64, Error> {
        Ok(self.chain(topic)?.seq)
    }

    fn chain(&self, topic: &Topic) -> Result<Chain, Error> {
        let Some(row) = self.profile.store().get(Table::Meta, topic.chain_key().as_bytes())? else { return Ok(Chain::default()) };
        let (seq, digest) = row.split_first_chunk::<8>().ok_or(Error::Row("meta"))?;
        let sha256 = if digest.is_empty() { None } else { Some(digest.try_into().map_err(|_| Error::Row("meta"))?) };
        Ok(Chain { seq: u64::from_be_bytes(*seq), sha256 })
    }
}

impl Chain {
    fn write(&self, topic: &Topic) -> Write {
        let digest: &[u8] = self.sha256.as_ref().map_or(&[], |digest| digest);
        Write::text(Table::Meta, &topic.chain_key(), [&self.seq.to_be_bytes(), digest].concat())
    }
}

fn unhex(text: &str) -> Option<[u8; 32]> {
    if text.len() != 64 || !text.is_ascii() {
        return None;
    }
    let byte = |at: usize| u8::from_str_radix(text.get(at * 2..at * 2 + 2)?, 16).ok();
    let bytes: Option<Vec<u8>> = (0..32).map(byte).collect();
    bytes?.try_into().ok()
}

/// Attempts at a statement before its author is told: it may have to be signed anew once, and the gateway may be busy.
const ATTEMPTS_MAX: u32 = 6;

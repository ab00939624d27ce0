//! A replay as an auditor gets it: access stated in the log, then every entry, over its own link.

use client::link::Link;
use envelope::keys::SigningKey;
use envelope::{Address, statement};
use proto::v1;
use proto::v1::audit_client::AuditClient;
use proto::v1::directory_client::DirectoryClient;
use tonic::Streaming;

use crate::fleet::{AUDITOR, Fleet, now};

/// The auditor of the whole network, with its access to what is in the log by now.
#[derive(Debug)]
pub struct Auditor {
    link: Link,
}

impl Auditor {
    /// Connects and publishes the access statement; once a fleet.
    ///
    /// # Errors
    /// Whatever the gateway says.
    pub async fn connect(fleet: &Fleet, gateway: &str) -> anyhow::Result<Self> {
        let address = Address::parse(AUDITOR)?;
        let link = fleet.connect(gateway, &address).await?;
        let key: SigningKey = fleet.signing_key(&address)?;
        let head = v1::StatementHead { expires_ms: now().plus(3_600_000).ms(), ..fleet.statement_head(&address, 1, None) };
        let access = v1::AccessStatement { head: Some(head), purpose: "benchmark".to_owned(), from_index: 0, to_index: u64::MAX };
        let signed = statement::sign(&access, &[&key])?;
        let mut directory = DirectoryClient::with_origin(link.clone(), link.origin());
        directory.publish_statement(v1::PublishStatementRequest { statement: Some(signed) }).await?;
        Ok(Self { link })
    }

    /// Every entry up to the newest checkpoint, which comes in the last response.
    ///
    /// # Errors
    /// Whatever the gateway says.
    pub async fn replay(&self) -> anyhow::Result<Streaming<v1::ReplayResponse>> {
        let mut audit = AuditClient::with_origin(self.link.clone(), self.link.origin()).max_decoding_message_size(64 << 20);
        Ok(audit.replay(v1::ReplayRequest { from_index: 0, to_index: 0 }).await?.into_inner())
    }
}

//! The forger: a bureau's insider with a real certificate of another country, who wants to speak as the border post.

use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use certs_dev::forge::{Ca, Pair, Spec};
use client::{Client, Credentials, Error, Link};
use envelope::keys::SigningKey;
use envelope::{Address, Timestamp, seal};
use proto::v1;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};

/// Knocks as `ke/cus/kemba` with a leaf that the CA of `th` signed, and ke's own CA certificate thrown into the chain.
///
/// # Errors
/// When the forger's own tools fail; that the door stays shut is the answer, not an error.
pub(crate) async fn knock(pki: &Path, gateway: &str, member: &Client) -> anyhow::Result<Result<(), Error>> {
    let trust = member.profile().trust();
    let (thailand, kenya) = (Ca::load(pki, "th")?, Ca::load(pki, "ke")?);
    let key = Pair::generate()?;
    let leaf = thailand.issue(&Spec::tls(&trust.network, &Address::parse("ke/cus/kemba")?, now()), &key)?;
    let chain = [leaf, thailand.der.clone(), kenya.der.clone()].map(CertificateDer::from).to_vec();
    let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(key.pkcs8().to_vec()));
    let link = Link::connect(gateway, trust, Credentials::new(chain, key), Duration::from_secs(5)).await;
    Ok(link.map(drop))
}

/// Sends, over th's own sound connection, a header that says `ke/cus/kemba`, signed with th's own sound key.
///
/// # Errors
/// When the forger's own tools fail; the gateway's refusal is the answer, not an error.
pub(crate) async fn impersonate(pki: &Path, forger: &mut Client) -> anyhow::Result<Result<(), Error>> {
    let key = SigningKey::from_pem(&std::fs::read(pki.join("th").join("identity.key"))?)?;
    let directory = forger.directory();
    let head = directory.head().ok_or_else(|| anyhow::anyhow!("the directory has no head"))?;
    let recipient = Address::parse("ke")?;
    let public = directory.current_key(&recipient).ok_or_else(|| anyhow::anyhow!("ke has no key"))?;
    let created = now();
    let context = v1::Context {
        version: 1,
        network: forger.profile().network().to_string(),
        sender: "ke/cus/kemba".to_owned(),
        year: created.year(),
        series: 1,
        number: 900,
        signers: vec![key.public().signer_ref()],
        recipients: vec![recipient.to_string()],
        kind: v1::Kind::Alert.into(),
        priority: v1::Priority::Routine.into(),
        classification: v1::Classification::OfficialUseOnly.into(),
        handling: v1::Handling::H0.into(),
        created_ms: created.ms(),
        expires_ms: created.plus(directory.policy().lifetime_max_ms).ms(),
        clock: v1::ClockQuality::Ntp.into(),
        content_suite: v1::ContentSuite::Aes256Gcm.into(),
        directory_size: head.size,
        directory_root: head.root.as_bytes().to_vec().into(),
        deny_digest: envelope::keys::random::<32>()?.to_vec().into(),
        ipsg_opt_out: v1::OptOut::None.into(),
        ..v1::Context::default()
    };
    let body = v1::SealedBody { media_type: "text/plain".to_owned(), content: "let the container pass".into() };
    let forged = seal::seal(&context, &body, &[public], &[&key])?;
    Ok(forger.submit_raw(forged).await.map(drop))
}

fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp(u64::try_from(since.as_millis()).unwrap_or(0))
}

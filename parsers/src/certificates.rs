//! Certificates, chains and revocation lists.

use std::collections::BTreeSet;
use std::sync::LazyLock;

use envelope::crl::Crl;
use envelope::identity::{Anchors, NothingRevoked, Role, ca_certificate};
use envelope::{Network, Timestamp};

use crate::seeds::{GOLDEN, cases, frame, list, network, parts};

/// The certificate of a CA.
pub(crate) fn certificate(bytes: &[u8]) -> bool {
    let Ok(facts) = ca_certificate(bytes) else { return false };
    assert_eq!(Ok(&facts), ca_certificate(bytes).as_ref());
    assert_eq!(Network::parse(facts.network.as_str()).as_ref(), Ok(&facts.network));
    true
}

pub(crate) fn certificate_seeds() -> Vec<Vec<u8>> {
    let vectors = cases("chain").into_iter().flat_map(|case| [list(&case["chain"]), list(&case["roots"])].concat());
    let golden = GOLDEN.roots.iter().chain(&GOLDEN.cas).cloned();
    vectors.chain(golden).collect::<BTreeSet<_>>().into_iter().collect()
}

/// The roots of every network in the vectors.
static ANCHORS: LazyLock<Vec<Anchors>> = LazyLock::new(|| {
    let vectors = cases("chain").into_iter().map(|case| (case["network"].as_str().unwrap_or_default().to_owned(), list(&case["roots"])));
    let sets: BTreeSet<(String, Vec<Vec<u8>>)> = vectors.chain([(network().to_string(), GOLDEN.roots.clone())]).collect();
    let anchors = |(network, roots): (String, Vec<Vec<u8>>)| Anchors::new(Network::parse(&network).ok()?, &roots).ok();
    sets.into_iter().filter_map(anchors).collect()
});

/// Every certificate in the seeds.
static CERTIFICATES: LazyLock<BTreeSet<Vec<u8>>> =
    LazyLock::new(|| chain_seeds().iter().flat_map(|seed| parts(seed).into_iter().skip(1).map(<[u8]>::to_vec)).collect());

/// A chain, judged for each role: a time of eight bytes, then the certificates.
pub(crate) fn chain(bytes: &[u8]) -> bool {
    let parts = parts(bytes);
    let Some((now, chain)) = parts.split_first() else { return false };
    let Ok(now) = <[u8; 8]>::try_from(*now) else { return false };
    let now = Timestamp(u64::from_be_bytes(now));
    let mut believed = false;
    for anchors in ANCHORS.iter() {
        let roles = [Role::Tls, Role::NodeTls, Role::Identity].map(|role| anchors.judge(role, chain, now, &NothingRevoked));
        assert!(roles.iter().filter(|judged| judged.is_ok()).count() <= 1, "a certificate has two roles");
        for certified in roles.into_iter().flatten() {
            assert!(chain.iter().all(|der| CERTIFICATES.contains(*der)), "a certificate that no ca signed is believed");
            assert_eq!(certified.links.len(), chain.len());
            assert!(certified.not_before.secs() <= now.secs() && now.secs() <= certified.not_after.secs());
            believed = true;
        }
    }
    believed
}

pub(crate) fn chain_seeds() -> Vec<Vec<u8>> {
    let seed = |now: u64, chain: Vec<Vec<u8>>| frame(&[vec![now.to_be_bytes().to_vec()], chain].concat());
    let vectors = cases("chain").into_iter().map(|case| seed(case["now_ms"].as_u64().unwrap_or(0), list(&case["chain"])));
    let at = GOLDEN.entries[0].0.at.ms();
    vectors.chain(GOLDEN.chains.iter().map(|chain| seed(at, chain.clone()))).filter(|seed| seed.len() < 8192).collect()
}

/// A revocation list, opened under every CA of the golden store.
pub(crate) fn crl(bytes: &[u8]) -> bool {
    let mut believed = false;
    for issuer in GOLDEN.cas.iter().collect::<BTreeSet<_>>() {
        let Ok(crl) = Crl::open(bytes, issuer, Timestamp(u64::from(u32::MAX) * 1000)) else { continue };
        assert!(GOLDEN.lists.iter().any(|list| list == bytes), "a revocation list that no ca signed is believed");
        assert_eq!(crl.sha256, tlog::sha256(bytes));
        assert!(crl.number.first() != Some(&0) && crl.serials.iter().all(|serial| (1..=20).contains(&serial.len())));
        believed = true;
    }
    believed
}

pub(crate) fn crl_seeds() -> Vec<Vec<u8>> {
    GOLDEN.lists.clone()
}

//! The stagehand of the certificate tests: a small network of CAs in memory, and one way to be judged.
//!
//! It does not know which certificates are good.

#![allow(clippy::unwrap_used, dead_code, unreachable_pub, missing_docs)]

use certs_dev::forge::{Ca, Certifiable, Pair, Spec, generate_ed25519};
use envelope::address::{Address, Network};
use envelope::identity::{Anchors, Certified, IdentityError, NothingRevoked, Role};
use envelope::time::Timestamp;

/// 2026-11-22T19:16:00Z
pub const NOW: Timestamp = Timestamp(1_795_374_960_000);
pub const DAY_MS: u64 = 86_400_000;

pub struct Stage {
    pub network: Network,
    pub root: Ca,
    pub ke: Ca,
    pub th: Ca,
    pub ug: Ca,
    /// Path length 1.
    pub cn: Ca,
    /// Below cn.
    pub hk: Ca,
    pub node: Ca,
}

impl Stage {
    pub fn new() -> Self {
        let network = Network::parse("ecowire.test").unwrap();
        let spec = |path, path_len| Spec::ca(&network, path, path_len, NOW);
        let root = Ca::root(&spec("", None)).unwrap();
        let below = |path| root.subordinate(&spec(path, Some(0))).unwrap();
        let cn = root.subordinate(&spec("cn", Some(1))).unwrap();
        let hk = cn.subordinate(&spec("cn/hk", Some(0))).unwrap();
        let (ke, th, ug, node) = (below("ke"), below("th"), below("ug"), below("node"));
        Self { ke, th, ug, node, cn, hk, root, network }
    }

    pub fn ca_spec(&self, path: &str, path_len: Option<u8>) -> Spec {
        Spec::ca(&self.network, path, path_len, NOW)
    }

    /// The profile's specification of a leaf.
    pub fn spec(&self, role: Role, address: &str) -> Spec {
        let address = at(address);
        match role {
            Role::Tls => Spec::tls(&self.network, &address, NOW),
            Role::NodeTls => Spec::node_tls(&self.network, &address, NOW),
            Role::Identity => Spec::identity(&self.network, &address, NOW),
        }
    }

    /// A leaf with a new key of the profile.
    pub fn leaf(&self, ca: &Ca, role: Role, address: &str) -> Vec<u8> {
        self.forge(ca, role, &self.spec(role, address))
    }

    /// A leaf that says what `spec` says, with the kind of key that `role` has.
    pub fn forge(&self, ca: &Ca, role: Role, spec: &Spec) -> Vec<u8> {
        match role {
            Role::Identity => ca.issue(spec, &Certifiable(generate_ed25519().unwrap().0.public())),
            Role::Tls | Role::NodeTls => ca.issue(spec, &Pair::generate().unwrap()),
        }
        .unwrap()
    }

    pub fn anchors(&self) -> Anchors {
        Anchors::new(self.network.clone(), &[&self.root.der]).unwrap()
    }

    pub fn judge(&self, role: Role, chain: &[&[u8]]) -> Result<Certified, IdentityError> {
        self.anchors().judge(role, chain, NOW, &NothingRevoked)
    }

    /// The reason for which the chain is refused.
    pub fn refusal(&self, role: Role, chain: &[&[u8]]) -> IdentityError {
        self.judge(role, chain).unwrap_err()
    }

    /// Judges a participant's TLS leaf by ke's CA, after `change` was made to its specification.
    pub fn changed(&self, role: Role, change: impl FnOnce(&mut Spec)) -> Result<Certified, IdentityError> {
        let (ca, address) = if role == Role::NodeTls { (&self.node, "node/dev-1") } else { (&self.ke, "ke/cus/kemba") };
        let mut spec = self.spec(role, address);
        change(&mut spec);
        self.judge(role, &[&self.forge(ca, role, &spec), &ca.der])
    }
}

pub fn at(address: &str) -> Address {
    Address::parse(address).unwrap()
}

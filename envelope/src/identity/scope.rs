//! Which CA may issue for whom: the subtree rules of SPEC.md.
//!
//! It does not know certificates; only the paths that they carry. X.509 name constraints are not used for this: their
//! URI form cannot express a path.

use std::fmt;

use crate::address::{Address, Class};

/// What a CA answers for, read from its SAN.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Scope {
    /// `spiffe://<network>`
    Root,
    /// `spiffe://<network>/node`
    Operator,
    /// `spiffe://<network>/<cc>`
    Country(Address),
    /// `spiffe://<network>/<cc>/<x>`
    SubBureau(Address),
}

impl Scope {
    /// Reads what follows `spiffe://<network>`: empty, or `/` and the path. Nothing else names a CA.
    pub(super) fn parse(rest: &str) -> Option<Self> {
        if rest.is_empty() {
            return Some(Self::Root);
        }
        let path = rest.strip_prefix('/')?;
        if path == "node" {
            return Some(Self::Operator);
        }
        let address = Address::parse(path).ok()?;
        match address.class() {
            Class::Ncb => Some(Self::Country(address)),
            Class::SubBureau => Some(Self::SubBureau(address)),
            _ => None,
        }
    }

    /// The path without its leading slash; the root's is empty.
    pub(super) fn path(&self) -> &str {
        match self {
            Self::Root => "",
            Self::Operator => "node",
            Self::Country(address) | Self::SubBureau(address) => address.as_str(),
        }
    }

    /// Whether this CA may certify `ca`.
    pub(super) fn may_issue_ca(&self, ca: &Self) -> bool {
        match (self, ca) {
            (Self::Root, Self::Country(_) | Self::Operator) => true,
            (Self::Country(country), Self::SubBureau(bureau)) => bureau.is_below(country.as_str()),
            _ => false,
        }
    }

    /// Whether this CA may certify a leaf of `address`.
    pub(super) fn may_issue_leaf(&self, address: &Address) -> bool {
        match self {
            Self::Root => {
                matches!(address.class(), Class::Ipsg | Class::Service | Class::Organisation | Class::Auditor)
            }
            Self::Operator => address.class() == Class::Node,
            Self::Country(country) => {
                address == country || address.is_below(country.as_str()) || address.as_str().strip_prefix("aud/") == Some(country.as_str())
            }
            Self::SubBureau(bureau) => address == bureau || address.is_below(bureau.as_str()),
        }
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Root => f.write_str("the network root"),
            other => f.write_str(other.path()),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    /// Which of the CAs may issue for `address`.
    fn check(address: &str, expected: &[&str]) {
        let address = Address::parse(address).unwrap();
        let issuers: Vec<_> = ["", "/node", "/ke", "/th", "/cn", "/cn/hk", "/cn/mo"]
            .into_iter()
            .filter(|path| Scope::parse(path).unwrap().may_issue_leaf(&address))
            .collect();
        assert_eq!(issuers, expected, "{address}");
    }

    #[test]
    fn leaves() {
        check("ke", &["/ke"]);
        check("ke/cus/kemba", &["/ke"]);
        check("cn/hk", &["/cn", "/cn/hk"]);
        check("cn/hk/cus", &["/cn", "/cn/hk"]);
        check("cn/hk-x", &["/cn"]);
        check("cn/mo", &["/cn", "/cn/mo"]);
        check("aud/ke", &["", "/ke"]);
        check("aud/ke/x", &[""]);
        check("aud/network", &[""]);
        check("ipsg/ens", &[""]);
        check("svc/imaf", &[""]);
        check("org/cites", &[""]);
        check("node/dev-1", &["/node"]);
        check("ug", &[]);
        check("grp/wg", &[]);
        check("case/x", &[]);
        check("all/ncb", &[]);
    }

    #[test]
    fn every_pair_of_letters_issues_for_itself_only() {
        let letters = 'a'..='z';
        let all: Vec<_> = letters.clone().flat_map(|a| letters.clone().map(move |b| format!("{a}{b}"))).collect();
        let ke = Scope::parse("/ke").unwrap();
        for code in &all {
            let address = Address::parse(&format!("{code}/cus/x")).unwrap();
            assert_eq!(ke.may_issue_leaf(&address), code == "ke", "{code}");
            let own = Scope::parse(&format!("/{code}")).unwrap();
            assert!(own.may_issue_leaf(&address) && !Scope::Root.may_issue_leaf(&address), "{code}");
            assert!(Scope::Root.may_issue_ca(&own) && !own.may_issue_ca(&ke), "{code}");
        }
    }

    #[test]
    fn cas() {
        let scope = |path| Scope::parse(path).unwrap();
        let paths = ["", "/node", "/ke", "/cn", "/cn/hk", "/cn/mo"];
        let mut allowed = Vec::new();
        for issuer in paths {
            for subject in paths {
                if scope(issuer).may_issue_ca(&scope(subject)) {
                    allowed.push((issuer, subject));
                }
            }
        }
        assert_eq!(allowed, [("", "/node"), ("", "/ke"), ("", "/cn"), ("/cn", "/cn/hk"), ("/cn", "/cn/mo")]);
    }

    #[test]
    fn what_names_no_ca() {
        for bad in ["/", "/k", "/ke-x", "/KE", "/ke/", "/ke/cus/x", "/ipsg", "/ipsg/ens", "/node/x", "/nodes", "ke", "//ke"] {
            assert_eq!(Scope::parse(bad), None, "{bad}");
        }
    }
}

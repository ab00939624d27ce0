//! Addresses, networks, references, padding.

use envelope::seal::padded_len;
use envelope::{Address, Network};
use serde_json::json;

use crate::{Files, NETWORK};

pub(crate) fn names(files: &mut Files) {
    for (text, class) in [
        ("ke", "NCB"),
        ("zz", "NCB"),
        ("cn/hk", "SUB_BUREAU"),
        ("ke/cus/kemba", "ENDPOINT"),
        ("cn/hk/cus/x-1", "ENDPOINT"),
        ("ipsg/ens", "IPSG"),
        ("ipsg/rb/nairobi", "IPSG"),
        ("svc/imaf", "SERVICE"),
        ("org/cites", "ORGANISATION"),
        ("aud/ke", "AUDITOR"),
        ("node/dev-1", "NODE"),
        ("grp/wg/wildlife", "GROUP"),
        ("case/0", "GROUP"),
        ("all/ncb", "GROUP"),
    ] {
        let address = Address::parse(text).unwrap();
        let ncb = address.own_ncb().map_or(String::new(), |ncb| ncb.to_string());
        let spiffe_id = address.spiffe_id(&Network::parse(NETWORK).unwrap());
        files.good("address", json!({"text": text}), json!({"class": class, "own_ncb": ncb, "spiffe_id": spiffe_id}));
    }
    let longest = format!("ke/{}", "a".repeat(62));
    for (text, what) in [
        ("", "empty"),
        ("KE", "upper case"),
        ("ke/", "a slash at the end"),
        ("/ke", "a slash at the start"),
        ("ke//x", "an empty segment"),
        ("ke/-x", "a dash at the start"),
        ("ke/x-", "a dash at the end"),
        ("ke/a_b", "an underscore"),
        ("ke/a.b", "a dot"),
        ("ke/../th", "a way up"),
        ("ke/%63us", "a percent"),
        ("ke/cus/kemba?x", "a query"),
        ("ke/\u{e9}", "no ASCII"),
        ("ke/\u{661}", "a digit that is no ASCII"),
        ("ke/a\0", "a zero byte"),
        ("ke/a\n", "a newline at the end"),
        (" ke", "a space"),
        ("k", "one letter"),
        ("k1", "a country with a digit"),
        ("ken", "no class"),
        ("ipsg", "a class alone"),
        ("node", "a class alone"),
        ("ke/a/b/c/d", "five segments"),
        (longest.as_str(), "65 bytes"),
    ] {
        files.bad("address", what, json!({"text": text}));
    }
    for text in ["ecowire.test", "a", "i-247.example", "0.0", "a.-b"] {
        Network::parse(text).unwrap();
        files.good("network", json!({"text": text}), json!({}));
    }
    let long = "a".repeat(65);
    for text in ["", ".a", "a.", "a..b", "A", "a/b", "a:1", "-a", "a-", "a b", "a\n", long.as_str()] {
        files.bad("network", "", json!({"text": text}));
    }
    for text in [
        "KE.CUS.KEMBA/2026/000417",
        "ke.cus.kemba/2026/000417",
        "KE/2026.2/000001",
        "IPSG.ENS/2026/1234567",
        "KE/9999.4294967295/18446744073709551615",
    ] {
        let one: envelope::Reference = text.parse().unwrap();
        let gives = json!({"sender": one.sender.as_str(), "year": one.year, "series": one.series, "number": one.number, "canonical": one.to_string()});
        files.good("reference", json!({"text": text}), gives);
    }
    for text in [
        "",
        "KE",
        "KE/2026",
        "KE/2026/0",
        "KE/2026/000000",
        "KE/2026.1/000001",
        "KE/2026.0/000001",
        "KE/2026/1",
        "KE/2026/0000001",
        "KE/2026/000001/2",
        "K/2026/000001",
        "KE/26/000001",
        "KE/1999/000001",
        "KE/10000/000001",
        "KE/2026/+00001",
        "KE/2026/000001 ",
        "KE/2026.4294967296/000001",
        "KE/2026/18446744073709551616",
        "KE/02026/000001",
        "KE/2026.02/000001",
    ] {
        files.bad("reference", "", json!({"text": text}));
    }
    for length in [0, 1, 255, 256, 257, 300, 511, 512, 513, 1000, 4096, 4097, 65_535, 262_144, 262_300] {
        files.good("padding", json!({"length": length}), json!({"padded": padded_len(length)}));
    }
}

//! Lists of records in CSV, and hot lists: files of members, and what a bureau seals to its posts.

use std::sync::LazyLock;

use client::hotlist::Pack;
use client::respond::List;
use content::keys::Key;

pub(crate) fn csv_list(bytes: &[u8]) -> bool {
    let Ok(list) = List::parse(bytes) else { return false };
    for entry in list.entries() {
        assert!(!entry.keys.is_empty() && !entry.record.is_empty(), "a record that nobody finds: {entry:?}");
        for key in &entry.keys {
            assert_eq!(Key::new(key.kind(), key.text()).as_ref(), Some(key), "a spelling that is spelled in another way");
        }
    }
    true
}

pub(crate) fn csv_list_seeds() -> Vec<Vec<u8>> {
    [
        "owner,record,kind,source,imo,mmsi,name,name,note\r\nke,KE-7,vessel,notice,IMO 9074729,,Océan Star,\"Lucky, 7\",\"a \"\"b\"\"\"\r\n",
        "owner,plate,passport,container\nth,kaa 123-x,,\nnp,,a1,csqu 305438-3\n\nke,\"two\nlines\",,",
    ]
    .map(|text| text.as_bytes().to_vec())
    .to_vec()
}

pub(crate) fn hotlist(bytes: &[u8]) -> bool {
    let Ok(pack) = Pack::parse(bytes) else { return false };
    // A time with fewer digits than ours can make the one at the bound longer than a message.
    if let Ok(again) = pack.to_json() {
        assert_eq!(Pack::parse(&again).as_ref(), Ok(&pack), "a hot list that reads itself differently");
    }
    true
}

pub(crate) fn hotlist_seeds() -> Vec<Vec<u8>> {
    vec![PACK.as_bytes().to_vec()]
}

static PACK: LazyLock<String> = LazyLock::new(|| {
    let (salt, hashes) = ("A".repeat(43) + "=", ["AAAAAAAAAAAAAAAA", "BBBBBBBBBBBBBBBB"].concat());
    format!(
        r#"{{"name":"ships","version":3,"source":"svc/vessels","created":"2026-11-24T10:00:00.000Z","expires":"2026-12-01T10:00:00.000Z","salt":"{salt}","memoryKib":65536,"passes":3,"groups":[{{"kind":"imo","owner":"th","hashes":"{hashes}"}},{{"kind":"name","owner":"ke","hashes":"AAAAAAAAAAAAAAAA"}}]}}"#
    )
});

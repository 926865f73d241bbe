//! The example bytes of `docs/formats.md`. No later version may change what the code makes here.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::collections::BTreeMap;

use hex_literal::hex;
use suibi_journal::{
    AuditEntry, AuditKind, Body, ChainId, Change, Content, Cursor, DeviceInfo, Entry, Extra,
    Extras, FeedPage, Hash, Head, InviteInfo, Receipt, Refusal, Rights, encode_answers,
    encode_audit, encode_batch, encode_devices, encode_heads, encode_invites, extra, rescue,
};
use support::at;

/// A note, its edit and its deletion, in one chain.
fn story() -> [Entry; 3] {
    let first = Entry::new(
        Change {
            chain: "00112233445566778899aabbccddeeff".parse().unwrap(),
            seq: 1,
            previous: None,
            note: "019aae3f-2f60-7abc-8def-0123456789ab".parse().unwrap(),
            parents: vec![],
            time: at("2026-11-23T09:05:00.000+08:00"),
            content: Hash::ZERO,
        },
        Content {
            salt: *b"salt of 16 bytes",
            body: Body::Text("买牛奶 @shop".to_owned()),
            extras: Extras::new(),
        },
    );
    let after = |entry: &Entry, content| {
        let change = Change {
            seq: entry.change().seq + 1,
            previous: Some(entry.hash()),
            parents: vec![entry.hash()],
            ..entry.change().clone()
        };
        Entry::new(change, content)
    };
    let extras = Extras::from([
        (extra::STAR.to_owned(), Extra::Bool(true)),
        (extra::SOURCE.to_owned(), Extra::Text("192.0.2.7:40112".to_owned())),
    ]);
    let body = Body::Text("买牛奶和茶 @shop".to_owned());
    let edit = after(&first, Content { salt: *b"another 16 bytes", body, extras });
    let content = Content { salt: [0xff; 16], body: Body::Deleted, extras: Extras::new() };
    let deletion = after(&edit, content);
    [first, edit, deletion]
}

/// A device that is at work, and a foreign one that was cut off.
fn devices() -> [DeviceInfo; 2] {
    let laptop = DeviceInfo {
        id: "a1b2c3d4".to_owned(),
        name: "laptop".to_owned(),
        journal: "notes".to_owned(),
        rights: Rights::ALL,
        joined: 1_795_395_900_000,
        seen: Some(1_795_396_000_000),
        revoked: None,
        foreign: false,
    };
    let sensor = DeviceInfo {
        id: "07".to_owned(),
        name: "温度计".to_owned(),
        rights: Rights::DROP,
        seen: None,
        revoked: Some(1_795_396_000_000),
        foreign: true,
        ..laptop.clone()
    };
    [laptop, sensor]
}

/// An invite that waits, and one that was used.
fn invites() -> [InviteInfo; 2] {
    let open = InviteInfo {
        id: "5e6f7081".to_owned(),
        journal: "notes".to_owned(),
        rights: Rights::READ_WRITE,
        name: None,
        made: 1_795_395_900_000,
        expires: 1_795_396_800_000,
        used: None,
    };
    let name = Some("phone".to_owned());
    let used = InviteInfo { name, used: Some(1_795_396_000_000), ..open.clone() };
    [open, used]
}

fn audit() -> [AuditEntry; 2] {
    let joined = AuditEntry {
        at: 1_795_396_000_000,
        what: AuditKind::Joined,
        device: "phone".to_owned(),
        journal: "notes".to_owned(),
        address: "192.0.2.7:40112".to_owned(),
        detail: "read,write".to_owned(),
    };
    let refused = AuditEntry {
        what: AuditKind::Refused("revoked".to_owned()),
        journal: String::new(),
        address: String::new(),
        detail: String::new(),
        ..joined.clone()
    };
    [joined, refused]
}

fn purge() -> Content {
    let written = Extra::Text("2026-11-24T08:00:00.000+08:00".to_owned());
    let extras = Extras::from([(extra::WRITTEN.to_owned(), written)]);
    Content { salt: *b"purge: 16 bytes.", body: Body::Purged, extras }
}

fn examples() -> BTreeMap<&'static str, Vec<u8>> {
    let [first, edit, deletion] = story();
    let cursor = Cursor::START.next(1, first.hash());
    let receipt = Receipt { chain: first.change().chain, seq: 1, position: 1, hash: first.hash() };
    let refusals = [
        Refusal::Gap { have_seq: 1, have_hash: Some(first.hash()) },
        Refusal::Fork { have_seq: 0, have_hash: None },
        Refusal::TooLarge,
        Refusal::Invalid("seq is missing".to_owned()),
    ];
    let answers: Vec<_> = [Ok(receipt)].into_iter().chain(refusals.map(Err)).collect();
    let head = |chain, device: &str, entry: &Entry| Head {
        chain,
        device: device.to_owned(),
        seq: entry.change().seq,
        hash: entry.hash(),
    };
    let heads = [
        head(ChainId::from_bytes([0xee; 16]), "服务器", &first),
        head(first.change().chain, "laptop", &deletion),
    ];
    let page = FeedPage { entries: vec![(1, first.clone())], next: cursor, remaining: 2 };
    let erased = Entry::from_bytes(first.change_bytes(), None).unwrap();
    let rescued = rescue(&[first.clone(), edit.clone()]);
    BTreeMap::from([
        ("content", first.content_bytes().unwrap().to_vec()),
        ("change", first.change_bytes().to_vec()),
        ("change hash", first.hash().as_bytes().to_vec()),
        ("edit content", edit.content_bytes().unwrap().to_vec()),
        ("edit", edit.change_bytes().to_vec()),
        ("deletion content", deletion.content_bytes().unwrap().to_vec()),
        ("deletion hash", deletion.hash().as_bytes().to_vec()),
        ("rescued chain", rescued[0].change().chain.as_bytes().to_vec()),
        ("rescued edit", rescued[1].change_bytes().to_vec()),
        ("purge content", purge().encode()),
        ("batch", encode_batch(&[first, erased])),
        ("answers", encode_answers(&answers)),
        ("cursor", cursor.encode()),
        ("page", page.encode()),
        ("heads", encode_heads(&heads)),
        ("devices", encode_devices(&devices())),
        ("invites", encode_invites(&invites())),
        ("audit", encode_audit(&audit())),
    ])
}

#[test]
fn the_bytes_of_version_1_stay_as_they_are() {
    let examples = examples();
    assert_eq!(
        examples["content"],
        hex!(
            "a30001015073616c74206f66203136206279746573026fe4b9b0e7899be5a5b620407368"
            "6f70"
        )
    );
    assert_eq!(
        examples["change"],
        hex!(
            "a60001015000112233445566778899aabbccddeeff02010450019aae3f2f607abc8def01"
            "23456789ab06781d323032362d31312d32335430393a30353a30302e3030302b30383a30"
            "30075820c2ea0fe0cc5b77eea323a6cfe212ff1412c707d600144c6511ad9062a4af67bb"
        )
    );
    assert_eq!(
        examples["change hash"],
        hex!("4e909c38c165b8d0f0462917c8dbe579ad2cfd5eff2a5fa8ea524bd5318f390b")
    );
    assert_eq!(
        examples["edit content"],
        hex!(
            "a400010150616e6f746865722031362062797465730275e4b9b0e7899be5a5b6e5928ce8"
            "8cb6204073686f7003a26473746172f566736f757263656f3139322e302e322e373a3430"
            "313132"
        )
    );
    assert_eq!(
        examples["edit"],
        hex!(
            "a80001015000112233445566778899aabbccddeeff02020358204e909c38c165b8d0f046"
            "2917c8dbe579ad2cfd5eff2a5fa8ea524bd5318f390b0450019aae3f2f607abc8def0123"
            "456789ab058158204e909c38c165b8d0f0462917c8dbe579ad2cfd5eff2a5fa8ea524bd5"
            "318f390b06781d323032362d31312d32335430393a30353a30302e3030302b30383a3030"
            "075820cbe6b3ce13a68912876e3ce402e785bff3c884cca5d67424e26a20216f2ad275"
        )
    );
    assert_eq!(
        examples["deletion content"],
        hex!("a300010150ffffffffffffffffffffffffffffffff02f6")
    );
    assert_eq!(
        examples["deletion hash"],
        hex!("de0b2851782e0a38662a0c4153118f61f6fe958a9f2f2fceac72976a87f2ac35")
    );
    assert_eq!(examples["rescued chain"], hex!("63ca6335bb5f9b96ae2c9b733042ab50"));
    assert_eq!(
        examples["rescued edit"],
        hex!(
            "a80001015063ca6335bb5f9b96ae2c9b733042ab5002020358202215a16a296429503c63"
            "aeb2d1638203e3ad7a4037be3ba0c87ffc6c021c21cf0450019aae3f2f607abc8def0123"
            "456789ab058158202215a16a296429503c63aeb2d1638203e3ad7a4037be3ba0c87ffc6c"
            "021c21cf06781d323032362d31312d32335430393a30353a30302e3030302b30383a3030"
            "075820cbe6b3ce13a68912876e3ce402e785bff3c884cca5d67424e26a20216f2ad275"
        )
    );
    assert_eq!(
        examples["purge content"],
        hex!(
            "a40001015070757267653a2031362062797465732e02f403a1677772697474656e781d32"
            "3032362d31312d32345430383a30303a30302e3030302b30383a3030"
        )
    );
    assert_eq!(
        examples["cursor"],
        hex!("82015820a700e86cd31e82af49f1b9f4a97d398d3e7b0b6865c67d5cb163ee791d767767")
    );
    assert_eq!(
        examples["answers"],
        hex!(
            "85005000112233445566778899aabbccddeeff010158204e909c38c165b8d0f0462917c8"
            "dbe579ad2cfd5eff2a5fa8ea524bd5318f390b83010158204e909c38c165b8d0f0462917"
            "c8dbe579ad2cfd5eff2a5fa8ea524bd5318f390b830200f6810382046e73657120697320"
            "6d697373696e67"
        )
    );
    assert_eq!(
        examples["heads"],
        hex!(
            "845000112233445566778899aabbccddeeff666c6170746f70035820de0b2851782e0a38"
            "662a0c4153118f61f6fe958a9f2f2fceac72976a87f2ac358450eeeeeeeeeeeeeeeeeeee"
            "eeeeeeeeeeee69e69c8de58aa1e599a80158204e909c38c165b8d0f0462917c8dbe579ad"
            "2cfd5eff2a5fa8ea524bd5318f390b"
        )
    );
    assert_eq!(
        examples["devices"],
        hex!(
            "a60068613162326333643401666c6170746f7002656e6f7465730307041b000001a205ef"
            "5260051b000001a205f0d900a7006230370169e6b8a9e5baa6e8aea102656e6f74657303"
            "02041b000001a205ef5260061b000001a205f0d90007f5"
        )
    );
    assert_eq!(
        examples["invites"],
        hex!(
            "a50068356536663730383101656e6f7465730203041b000001a205ef5260051b000001a2"
            "05fd0e00a70068356536663730383101656e6f7465730203036570686f6e65041b000001"
            "a205ef5260051b000001a205fd0e00061b000001a205f0d900"
        )
    );
    assert_eq!(
        examples["audit"],
        hex!(
            "a6001b000001a205f0d9000103026570686f6e6503656e6f746573046f3139322e302e32"
            "2e373a3430313132056a726561642c7772697465a4001b000001a205f0d9000100026570"
            "686f6e6506677265766f6b6564"
        )
    );
    // These two hold the change and the content above.
    let [change, content] = [&examples["change"][..], &examples["content"]];
    let erased = [&hex!("82 58 6c")[..], change, &hex!("f6")].concat();
    let whole = [&hex!("82 58 6c")[..], change, &hex!("58 26"), content].concat();
    assert_eq!(examples["batch"], [whole, erased].concat());
    let cursor = &examples["cursor"][1..];
    let about = [&hex!("83")[..], cursor, &hex!("02")].concat();
    let item = [&hex!("83 01 58 6c")[..], change, &hex!("58 26"), content].concat();
    assert_eq!(examples["page"], [about, item].concat());
}

/// The blocks of the page that are marked `hex NAME`; what follows a `#` in a line is a remark.
fn blocks(page: &str) -> BTreeMap<String, Vec<u8>> {
    let mut blocks = BTreeMap::new();
    let mut open: Option<(String, String)> = None;
    for line in page.lines() {
        if let Some((name, mut digits)) = open.take() {
            if line == "```" {
                let bytes = digits.as_bytes().chunks(2).map(|pair| {
                    u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap()
                });
                assert!(blocks.insert(name, bytes.collect()).is_none(), "a block comes twice");
            } else {
                let hex = line.split('#').next().unwrap_or_default();
                digits.extend(hex.chars().filter(|c| !c.is_whitespace()));
                open = Some((name, digits));
            }
        } else if let Some(name) = line.strip_prefix("```hex ") {
            open = Some((name.to_owned(), String::new()));
        }
    }
    blocks
}

#[test]
fn the_page_shows_the_bytes_that_the_code_makes() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/formats.md");
    let shown = blocks(&std::fs::read_to_string(path).unwrap());
    for (name, bytes) in examples() {
        let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(shown.get(name), Some(&bytes), "block `{name}` should be\n{hex}");
    }
    assert_eq!(shown.len(), examples().len(), "a block that nothing checks");
}

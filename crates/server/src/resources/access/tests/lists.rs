//! The lists in each of their forms, as the documentation shows them.

use super::*;

#[test]
fn cbor_says_the_same_as_json() {
    let mut scene = Scene::new();
    scene.join("laptop", Rights::READ_WRITE);
    scene.join("sensor", Rights::DROP);
    let mut cbor = |path: &str| {
        let response = scene.local(get(path).accept(ContentFormat::CBOR_SEQ));
        assert_eq!(response.format(), Some(ContentFormat::CBOR_SEQ));
        response.payload
    };
    let devices = decode_devices(&cbor("/devices")).unwrap();
    let invites = decode_invites(&cbor("/invites")).unwrap();
    let audit = decode_audit(&cbor("/audit")).unwrap();
    let names: Vec<_> = devices.iter().map(|device| device.name.clone()).collect();
    assert_eq!(names, scene.all(LOCAL, "/devices", "name"));
    let ids: Vec<_> = invites.iter().map(|invite| invite.id.clone()).collect();
    assert_eq!(ids, scene.all(LOCAL, "/invites", "id"));
    let details: Vec<_> = audit.iter().map(|entry| entry.detail.clone()).collect();
    assert_eq!(details, scene.all(LOCAL, "/audit", "detail"));
    assert_eq!(devices[1].rights, Rights::DROP);
}

#[test]
fn no_secret_is_in_a_list_or_in_the_trail() {
    let mut scene = Scene::new();
    let (invite, _) = scene.invite(Rights::READ_WRITE);
    scene.join("laptop", Rights::ALL);
    let foreign = ForeignRequest { journal: None, rights: Rights::DROP, name: "sensor".to_owned() };
    let answer = scene.local(post("/devices", foreign.encode()));
    let answer = ForeignAnswer::decode(&answer.payload).unwrap();
    let kept = scene.store.access().unwrap();
    let secrets: Vec<Vec<u8>> = kept
        .devices
        .iter()
        .map(|row| row.secret.to_vec())
        .chain([invite.secret.to_vec(), answer.secret.to_vec(), answer.salt.to_vec()])
        .collect();
    for path in ["/devices", "/invites", "/journals", "/audit"] {
        for format in [ContentFormat::TEXT_PLAIN, ContentFormat::JSON, ContentFormat::CBOR_SEQ] {
            let payload = scene.local(get(path).accept(format)).payload;
            for secret in &secrets {
                assert!(!payload.windows(secret.len()).any(|window| window == secret), "{path}");
                assert!(!String::from_utf8_lossy(&payload).contains(&to_hex(secret)), "{path}");
            }
        }
    }
}

#[test]
fn a_list_without_anything_says_so() {
    let mut scene = Scene::new();
    assert_eq!(scene.local(get("/devices")).text(), "no devices yet\n");
    assert_eq!(scene.local(get("/invites")).text(), "no invites\n");
    assert_eq!(scene.local(get("/audit")).text(), "");
    assert_eq!(scene.local(get("/journals")).text(), "NAME   DEVICES\nnotes  0\n");
}

const PROTOCOL: &str = include_str!("../../../../../../docs/protocol.md");

#[test]
fn the_documentation_shows_the_json_shapes() {
    let mut scene = Scene::new();
    let wanted = InviteRequest {
        journal: None,
        rights: Rights::READ_WRITE,
        lasts: None,
        name: Some("小米手机".to_owned()),
    };
    scene.invite_as(LOCAL, &wanted);
    let (laptop, _) = scene.join("laptop", Rights::READ_WRITE);
    scene.local(request(Code::DELETE, &format!("/devices/{}", to_hex(&laptop.id))));
    for (path, list) in [
        ("/devices", "devices"),
        ("/invites", "invites"),
        ("/journals", "journals"),
        ("/audit", "entries"),
    ] {
        let (_, rest) = PROTOCOL.split_once(&format!("- `{path}`: `")).unwrap();
        let documented: Value = serde_json::from_str(rest.split_once('`').unwrap().0).unwrap();
        let page = scene.json(LOCAL, path);
        assert_eq!(page["version"], documented["version"]);
        assert_eq!(kinds(&page[list][0]), kinds(&documented[list][0]), "{path}");
        assert_eq!(documented.as_object().unwrap().len(), 2);
    }
}

#[test]
fn the_documentation_shows_the_tables() {
    use suibi_journal::{DeviceInfo, InviteInfo};
    let device = |id: &str, name: &str, rights, joined| DeviceInfo {
        id: id.to_owned(),
        name: name.to_owned(),
        journal: "notes".to_owned(),
        rights,
        joined: at(joined),
        seen: None,
        revoked: None,
        foreign: false,
    };
    let devices = [
        DeviceInfo {
            seen: Some(at("2026-11-23T12:04")),
            ..device("07d1e2c3", "laptop", Rights::READ_WRITE, "2026-11-23T09:05")
        },
        DeviceInfo {
            revoked: Some(at("2026-11-23T11:30")),
            ..device("5e0c91fa", "小米手机", Rights::READ_WRITE, "2026-11-23T09:10")
        },
        DeviceInfo {
            seen: Some(at("2026-11-23T12:05")),
            foreign: true,
            ..device("a1b2c3d4", "sensor", Rights::DROP, "2026-11-23T09:12")
        },
    ];
    assert_eq!(crate::resources::devices::text(&devices), block("devices.txt"));

    let invite = |id: &str, rights, made, expires| InviteInfo {
        id: id.to_owned(),
        journal: "notes".to_owned(),
        rights,
        name: None,
        made: at(made),
        expires: at(expires),
        used: None,
    };
    let invites = [
        InviteInfo {
            used: Some(at("2026-11-23T09:06")),
            ..invite("07d1e2c3", Rights::READ_WRITE, "2026-11-23T09:05", "2026-11-23T09:20")
        },
        InviteInfo {
            journal: "family".to_owned(),
            name: Some("小米手机".to_owned()),
            ..invite("5e0c91fa", Rights::READ_WRITE, "2026-11-23T12:04", "2026-11-23T12:19")
        },
        invite("a1b2c3d4", Rights::DROP, "2026-11-22T12:00", "2026-11-22T12:15"),
    ];
    let now = at("2026-11-23T12:05");
    assert_eq!(crate::resources::invites::text(&invites, now), block("invites.txt"));

    let entry = |time, what, device: &str, address: &str, detail: &str| AuditEntry {
        at: at(time),
        what,
        device: device.to_owned(),
        journal: "family".to_owned(),
        address: address.to_owned(),
        detail: detail.to_owned(),
    };
    let used = "this invite was used already, at 2026-11-23 12:05:02 +08:00";
    let entries = [
        entry(
            "2026-11-23T12:04:31",
            AuditKind::Invited,
            "小米手机",
            "127.0.0.1:40112",
            "invite 5e0c91fa, read,write, until 2026-11-23 12:19, by the owner",
        ),
        entry(
            "2026-11-23T12:05:02",
            AuditKind::Joined,
            "小米手机",
            "192.0.2.7:40112",
            "with invite 5e0c91fa, read,write",
        ),
        entry(
            "2026-11-23T12:06:40",
            AuditKind::Refused(used.to_owned()),
            "小米手机",
            "192.0.2.9:51000",
            "",
        ),
        entry(
            "2026-11-23T12:30:00",
            AuditKind::Renamed,
            "Xiaomi",
            "127.0.0.1:40117",
            "was 小米手机, by the owner",
        ),
    ];
    assert_eq!(crate::resources::audit::text(&entries), block("audit.txt"));
}

/// The block of this name in the documentation.
fn block(name: &str) -> &str {
    let (_, rest) = PROTOCOL.split_once(&format!("```{name}\n")).expect(name);
    rest.split_once("```").unwrap().0
}

/// The time that the server's clock shows so.
fn at(text: &str) -> i64 {
    let civil: jiff::civil::DateTime = text.parse().unwrap();
    civil.to_zoned(jiff::tz::TimeZone::system()).unwrap().timestamp().as_millisecond()
}

/// The members of an object, each with its kind.
fn kinds(value: &Value) -> Vec<(String, &'static str)> {
    let kind = |value: &Value| match value {
        Value::Null => "null",
        Value::Bool(_) => "bool",
        Value::Number(_) => "number",
        Value::String(_) => "text",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    };
    value.as_object().unwrap().iter().map(|(name, value)| (name.clone(), kind(value))).collect()
}

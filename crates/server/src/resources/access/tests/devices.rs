//! `/devices`: names, ends, and keys for other programs.

use super::*;

#[test]
fn a_device_is_renamed_and_the_name_is_its_own() {
    let mut scene = Scene::new();
    let (laptop, _) = scene.join("laptop", Rights::READ_WRITE);
    scene.join("phone", Rights::READ_WRITE);
    let path = format!("/devices/{}", to_hex(&laptop.id));
    let to = |name: &str| request(Code::PUT, &path).payload(name.to_owned());
    let renamed = scene.local(to("办公室"));
    refused(&renamed, Code::CHANGED, "laptop is now called 办公室");
    refused(&scene.local(to("办公室")), Code::CHANGED, "办公室 is now called 办公室");
    assert_eq!(scene.all(LOCAL, "/devices", "name"), ["办公室", "phone"]);
    assert_eq!(scene.store.access().unwrap().devices[0].name, "办公室");
    let text = "a device of this journal is called \"phone\" already; choose another name";
    refused(&scene.local(to("phone")), Code::CONFLICT, text);
    let text = "a name has 1 to 64 bytes, no control characters, and no space at its ends";
    refused(&scene.local(to("a\nb")), Code::BAD_REQUEST, text);
    let not_utf8 = request(Code::PUT, &path).payload(vec![0xff]);
    refused(&scene.local(not_utf8), Code::BAD_REQUEST, "the name is not UTF-8");
    assert_eq!(scene.all(LOCAL, "/audit", "what")[4..], ["renamed"]);
    assert_eq!(scene.all(LOCAL, "/audit", "detail")[4], "was laptop, by the owner");

    scene.local(request(Code::DELETE, &path));
    let response = scene.local(to("laptop"));
    let text = "this device was revoked, at T, and keeps its name";
    assert_eq!((response.code, timeless(&response.text()).as_str()), (Code::CONFLICT, text));
}

#[test]
fn a_device_is_revoked_once_and_an_admin_may_revoke_itself() {
    let mut scene = Scene::new();
    let (laptop, admin) = scene.join("laptop", Rights::ALL);
    let path = format!("/devices/{}", to_hex(&laptop.id));
    let response = scene.ask(admin, request(Code::DELETE, &path));
    refused(&response, Code::DELETED, "laptop is revoked; its notes stay");
    let again = scene.local(request(Code::DELETE, &path));
    assert_eq!(again.code, Code::DELETED);
    assert_eq!(timeless(&again.text()), "laptop was revoked already, at T");
    assert!(scene.store.access().unwrap().devices[0].revoked.is_some());
    assert_eq!(scene.all(LOCAL, "/audit", "what"), ["invited", "joined", "revoked"]);
    assert_eq!(scene.all(LOCAL, "/audit", "detail")[2], "by laptop");

    let text = "this is the server's own device, which cannot be renamed or revoked";
    let local = format!("/devices/{}", to_hex(b"loca"));
    for own in [request(Code::DELETE, &local), request(Code::PUT, &local).payload("x")] {
        refused(&scene.local(own), Code::FORBIDDEN, text);
    }
    refused(
        &scene.local(request(Code::DELETE, "/devices/laptop")),
        Code::NOT_FOUND,
        "there is no device laptop; /devices lists them",
    );
}

#[test]
fn a_foreign_client_gets_a_context_that_is_told_once() {
    let mut scene = Scene::new();
    let (_, admin) = scene.join("laptop", Rights::ALL);
    let wanted = ForeignRequest { journal: None, rights: Rights::DROP, name: "sensor".to_owned() };
    let response = scene.ask(admin, post("/devices", wanted.encode()));
    assert_eq!(response.code, Code::CREATED, "{}", response.text());
    let answer = ForeignAnswer::decode(&response.payload).unwrap();
    assert_eq!(answer.server_id, b"s");
    let row = scene.registry.device_by_id(&to_hex(&answer.id)).unwrap();
    assert_eq!(*row.secret, answer.secret);
    assert_eq!(row.salt.as_deref(), Some(&answer.salt[..]));
    assert_eq!((row.rights, row.name.as_str()), (Rights::DROP, "sensor"));
    assert_eq!(scene.store.access().unwrap().devices[1].salt, Some(answer.salt.to_vec()));
    assert_eq!(scene.json(LOCAL, "/devices")["devices"][1]["foreign"], true);
    assert_eq!(scene.all(LOCAL, "/audit", "what")[2..], ["exported"]);

    let text = "a device of this journal is called \"sensor\" already; choose another name";
    refused(&scene.local(post("/devices", wanted.encode())), Code::CONFLICT, text);
    let nowhere = ForeignRequest { journal: Some("nowhere".to_owned()), ..wanted };
    let text = "there is no journal \"nowhere\"; an invite to it makes it";
    refused(&scene.local(post("/devices", nowhere.encode())), Code::NOT_FOUND, text);
}

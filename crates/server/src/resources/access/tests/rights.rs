//! Who may ask for what, of all these resources.

use super::*;

#[test]
fn an_admin_sees_and_manages_its_own_journal_and_the_owner_all() {
    let mut scene = Scene::new();
    let (_, admin) = scene.join("laptop", Rights::ALL);
    let wanted = InviteRequest {
        journal: Some("family".to_owned()),
        rights: Rights::ALL,
        lasts: None,
        name: None,
    };
    let family = scene.invite_as(LOCAL, &wanted);
    let subject = scene.of(&family.id);
    let tablet = scene.ask(subject, join_request(&own_secret(), "tablet"));
    let tablet = to_hex(&JoinAnswer::decode(&tablet.payload).unwrap().id);

    assert_eq!(scene.all(LOCAL, "/devices", "name"), ["laptop", "tablet"]);
    assert_eq!(scene.all(admin, "/devices", "name"), ["laptop"]);
    assert_eq!(scene.all(LOCAL, "/invites", "journal"), ["notes", "family"]);
    assert_eq!(scene.all(admin, "/invites", "journal"), ["notes"]);
    assert_eq!(scene.all(LOCAL, "/journals", "name"), ["notes", "family"]);
    assert_eq!(scene.all(admin, "/journals", "name"), ["notes"]);
    assert_eq!(
        scene.all(LOCAL, "/audit", "journal"),
        ["notes", "notes", "family", "family", "family"]
    );
    assert_eq!(scene.all(admin, "/audit", "journal"), ["notes", "notes"]);
    assert_eq!(scene.all(admin, "/audit?limit=1", "what"), ["joined"]);
    assert_eq!(scene.all(LOCAL, "/audit?limit=2", "what"), ["invited", "joined"]);

    let path = format!("/devices/{tablet}");
    let text = format!("there is no device {tablet}; /devices lists them");
    for foreign in [request(Code::DELETE, &path), request(Code::PUT, &path).payload("mine")] {
        refused(&scene.ask(admin, foreign), Code::NOT_FOUND, &text);
    }
    let withdrawn =
        scene.ask(admin, request(Code::DELETE, &format!("/invites/{}", to_hex(&family.id))));
    assert_eq!(withdrawn.code, Code::DELETED);
    assert_eq!(scene.all(LOCAL, "/invites", "journal"), ["notes", "family"]);
    assert_eq!(scene.local(request(Code::DELETE, &path)).code, Code::DELETED);
}

#[test]
fn only_an_admin_administers_and_an_invite_is_good_for_joining_alone() {
    let mut scene = Scene::new();
    let (_, writer) = scene.join("laptop", Rights::READ_WRITE);
    let (_, invite) = scene.invite(Rights::READ_WRITE);
    let anyone = Caller::anyone(SocketAddr::from(([127, 0, 0, 1], 9)));
    let requests = || {
        let lists = ["/devices", "/invites", "/journals", "/audit"].map(get);
        let posts = ["/devices", "/invites"].map(|path| post(path, Vec::new()));
        let one = [
            request(Code::PUT, "/devices/00"),
            request(Code::DELETE, "/devices/00"),
            request(Code::DELETE, "/invites/00"),
        ];
        lists.into_iter().chain(posts).chain(one)
    };
    for request in requests() {
        let path = request.path_segments();
        assert_eq!(scene.ask(writer, request.clone()).code, Code::FORBIDDEN, "{path:?}");
        assert_eq!(scene.ask(invite, request.clone()).code, Code::FORBIDDEN, "{path:?}");
        assert_eq!(scene.ask_as(&anyone, request).code, Code::FORBIDDEN, "{path:?}");
    }
    for subject in [writer, LOCAL] {
        let response = scene.ask(subject, join_request(&own_secret(), "again"));
        assert_eq!(response.code, Code::FORBIDDEN);
    }
    assert_eq!(scene.ask_as(&anyone, join_request(&own_secret(), "x")).code, Code::FORBIDDEN);
}

#[test]
fn what_cannot_be_is_refused_with_its_reason() {
    let mut scene = Scene::new();
    let wanted = |lasts, name: Option<&str>| {
        let name = name.map(str::to_owned);
        InviteRequest { journal: None, rights: Rights::READ_WRITE, lasts: Some(lasts), name }
    };
    for lasts in [0, 59, 7 * 24 * 3600 + 1, u64::MAX] {
        let text = format!("an invite lasts 60 to 604800 seconds (7 days), not {lasts}");
        let response = scene.local(post("/invites", wanted(lasts, None).encode()));
        refused(&response, Code::BAD_REQUEST, &text);
    }
    for lasts in [60, 7 * 24 * 3600] {
        scene.invite_as(LOCAL, &wanted(lasts, None));
    }
    let text = "a name has 1 to 64 bytes, no control characters, and no space at its ends";
    let named = wanted(60, Some("\u{1b}[2J"));
    refused(&scene.local(post("/invites", named.encode())), Code::BAD_REQUEST, text);
    refused(
        &scene.local(post("/invites", vec![0xa0])),
        Code::BAD_REQUEST,
        "the request cannot be read: the version of the request is missing",
    );
    let json = post("/invites", b"{}".to_vec()).content_format(ContentFormat::JSON);
    refused(
        &scene.local(json),
        Code::UNSUPPORTED_CONTENT_FORMAT,
        "format 50 is not taken; send 60 (application/cbor)",
    );
    refused(
        &scene.local(get("/devices").accept(ContentFormat::CBOR)),
        Code::NOT_ACCEPTABLE,
        "format 60 is not offered; there is 0 (text/plain), 50 (application/json), 63 (application/cbor-seq)",
    );
    refused(
        &scene.local(get("/audit?limit=many")),
        Code::BAD_REQUEST,
        "limit=\"many\" is no number of entries",
    );

    let (_, subject) = scene.invite(Rights::READ_WRITE);
    refused(&scene.ask(subject, join_request(&own_secret(), "")), Code::BAD_REQUEST, text);
    // A point of small order: the shared value would be zero whatever our key is.
    let none =
        JoinRequest { public: [0; 32], name: "laptop".to_owned(), time: Clock::System.millis() };
    refused(
        &scene.ask(subject, post("/join", none.encode())),
        Code::BAD_REQUEST,
        "this public key is no good (RFC 7748, section 6.1); join with a newer program",
    );
    assert_eq!(scene.all(LOCAL, "/devices", "name"), [""; 0]);
    // The invite is as good as before.
    assert_eq!(scene.ask(subject, join_request(&own_secret(), "laptop")).code, Code::CREATED);
}

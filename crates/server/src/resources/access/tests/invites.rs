//! `/invites` and `/journals`: what is opened to whom.

use super::*;

#[test]
fn a_journal_is_made_by_the_first_invite_to_it_and_by_the_owner_alone() {
    let mut scene = Scene::new();
    let (_, admin) = scene.join("laptop", Rights::ALL);
    let wanted = |journal: &str| InviteRequest {
        journal: Some(journal.to_owned()),
        rights: Rights::READ_WRITE,
        lasts: Some(3600),
        name: None,
    };
    assert!(scene.invite_as(LOCAL, &wanted("family")).is_new_journal);
    let second = scene.invite_as(LOCAL, &wanted("family"));
    assert_eq!((second.is_new_journal, second.expires - second.time), (false, HOUR));
    assert_eq!(scene.all(LOCAL, "/journals", "name"), ["notes", "family"]);
    assert!(scene.all(LOCAL, "/audit", "what").contains(&"journal-added".to_owned()));

    let text =
        "this device manages its own journal, \"notes\", and no other; ask the owner of the server";
    for journal in ["family", "nowhere"] {
        let response = scene.ask(admin, post("/invites", wanted(journal).encode()));
        refused(&response, Code::FORBIDDEN, text);
        let foreign = ForeignRequest {
            journal: Some(journal.to_owned()),
            rights: Rights::DROP,
            name: "sensor".to_owned(),
        };
        let response = scene.ask(admin, post("/devices", foreign.encode()));
        refused(&response, Code::FORBIDDEN, text);
    }
    assert!(!scene.invite_as(admin, &wanted("notes")).is_new_journal);
    let bad = scene.local(post("/invites", wanted(" family").encode()));
    let text = "a name has 1 to 64 bytes, no control characters, and no space at its ends";
    refused(&bad, Code::BAD_REQUEST, text);
}

#[test]
fn an_invite_that_is_withdrawn_opens_nothing() {
    let mut scene = Scene::new();
    let (invite, subject) = scene.invite(Rights::READ_WRITE);
    let path = format!("/invites/{}", to_hex(&invite.id));
    for text in ["is withdrawn", "there is no invite"] {
        let response = scene.local(request(Code::DELETE, &path));
        assert_eq!(response.code, Code::DELETED);
        assert!(response.text().contains(text), "{}", response.text());
    }
    let address = SocketAddr::from(([192, 0, 2, 7], 40112));
    assert!(scene.registry.caller(0, subject, address).is_none());
    assert_eq!(scene.all(LOCAL, "/audit", "what"), ["invited", "withdrawn"]);
}

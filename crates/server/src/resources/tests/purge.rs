//! `DELETE /notes/{id}?purge=yes`.

use suibi_journal::{AuditKind, Refusal, Rights};

use super::*;
use crate::caller::Who;

fn admin() -> Scene {
    let mut scene = Scene::new();
    scene.caller.who = Who::Device { number: 3, name: "laptop".into() };
    scene.caller.rights = Rights::ALL;
    scene.caller.journal_name = "notes".into();
    scene
}

#[test]
fn an_admin_purges_a_note_and_the_trail_says_so() {
    let mut scene = admin();
    let path = scene.post("a secret");
    let id = path.strip_prefix("/notes/").unwrap().to_owned();

    let response = scene.ask(request(Code::DELETE, &format!("{path}?purge=yes")));
    assert_eq!(response.code, Code::DELETED, "{}", response.text());
    let receipt = response.text();
    assert!(receipt.starts_with("#2 · "), "{receipt}");
    assert_eq!(scene.get(&path).code, Code::NOT_FOUND);
    let page = scene.get("/feed");
    assert_eq!(page.code, Code::CONTENT);
    assert!(!page.payload.windows(8).any(|bytes| bytes == b"a secret"));
    let trail = scene.reader.audit(10).unwrap();
    assert_eq!(trail.len(), 1);
    assert_eq!(trail[0].what, AuditKind::Purged);
    let told = [&trail[0].device, &trail[0].journal, &trail[0].address, &trail[0].detail];
    assert_eq!(told, ["laptop", "notes", "192.0.2.7:4711", &format!("note {id}")]);

    // The answer was lost.
    let again = scene.ask(request(Code::DELETE, &format!("{path}?purge=yes")));
    assert_eq!((again.code, again.text()), (Code::DELETED, receipt));
    assert_eq!(scene.reader.audit(10).unwrap().len(), 1, "it was done once");
    // Nothing can be written to it, and to delete it is as good as done.
    refused(
        &scene.ask(put(&path, "again")),
        Code::CONFLICT,
        "this note was purged, nothing can be written to it; write a new one",
    );
    assert_eq!(scene.ask(request(Code::DELETE, &path)).code, Code::DELETED);
}

#[test]
fn others_are_told_that_they_may_not_and_mistakes_what_is_wrong() {
    let mut scene = admin();
    let path = scene.post("kept");
    let purge = format!("{path}?purge=yes");
    scene.caller.rights = Rights::READ_WRITE;
    refused(
        &scene.ask(request(Code::DELETE, &purge)),
        Code::FORBIDDEN,
        "this device has no right \"admin\"; ask the owner of the server",
    );
    scene.caller.who = Who::Anyone;
    refused(
        &scene.ask(request(Code::DELETE, &purge)),
        Code::FORBIDDEN,
        "this needs the right \"admin\", which nobody has over an unprotected listener",
    );

    scene.caller.rights = Rights::ALL;
    let bad = Code::BAD_REQUEST;
    refused(
        &scene.ask(request(Code::DELETE, &format!("{path}?purge=no"))),
        bad,
        "purge=\"no\" is not known; purge=yes is",
    );
    let mut conditional = request(Code::DELETE, &purge);
    conditional.options.add(OptionNumber::IF_MATCH, vec![1; 8]);
    refused(&scene.ask(conditional), bad, "a purge knows no conditions");
    let unknown = "00000000-0000-7000-8000-000000000000";
    refused(
        &scene.ask(request(Code::DELETE, &format!("/notes/{unknown}?purge=yes"))),
        Code::NOT_FOUND,
        &format!("there is no note {unknown}"),
    );
    refused(
        &scene.ask(request(Code::PUT, &purge).payload("text")),
        bad,
        "unknown query argument \"purge\"; none is known here",
    );
    assert_eq!(scene.get(&path).text(), "kept");
    assert!(scene.reader.audit(10).unwrap().is_empty());
}

#[test]
fn a_pushed_purge_is_taken_from_an_admin_alone() {
    let mut scene = admin();
    let path = scene.post("kept or not");
    let note: NoteId = path.strip_prefix("/notes/").unwrap().parse().unwrap();
    let change = Change {
        chain: ChainId::from_bytes([9; 16]),
        seq: 1,
        previous: None,
        note,
        parents: Vec::new(),
        time: "2026-11-23T09:05:00.000+08:00".parse().unwrap(),
        content: Hash::ZERO,
    };
    let content = Content { salt: [9; 16], body: Body::Purged, extras: Extras::new() };
    let batch = encode_batch(&[Entry::new(change, content)]);
    let push = |scene: &mut Scene, rights| {
        scene.caller.rights = rights;
        let response = scene.ask(
            request(Code::POST, "/feed")
                .content_format(ContentFormat::CBOR_SEQ)
                .payload(batch.clone()),
        );
        decode_answers(&response.payload).unwrap().remove(0)
    };
    let reason = "only a device with the right admin can purge a note".to_owned();
    assert_eq!(push(&mut scene, Rights::READ_WRITE), Err(Refusal::Invalid(reason)));
    assert_eq!(scene.get(&path).text(), "kept or not");
    assert!(push(&mut scene, Rights::ALL).is_ok());
    assert_eq!(scene.get(&path).code, Code::NOT_FOUND);
}

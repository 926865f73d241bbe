//! `/join`: an invite becomes a device, once.

use super::*;

#[test]
fn an_invite_becomes_a_device_and_both_sides_derive_the_same_credential() {
    let mut scene = Scene::new();
    let (invite, subject) = scene.invite(Rights::READ_WRITE);
    assert_eq!((invite.journal.as_str(), invite.is_new_journal), ("notes", false));
    assert_eq!(invite.expires - invite.time, 15 * 60_000);

    let own = own_secret();
    let response = scene.ask(subject, join_request(&own, "小米手机"));
    assert_eq!(response.code, Code::CREATED, "{}", response.text());
    let answer = JoinAnswer::decode(&response.payload).unwrap();
    assert_eq!(response.location_segments(), ["devices", &to_hex(&answer.id)]);
    assert_eq!((answer.name.as_str(), answer.journal.as_str()), ("小米手机", "notes"));
    assert_eq!((answer.rights, answer.server.as_str()), (Rights::READ_WRITE, "server"));
    assert!(answer.time.abs_diff(Clock::System.millis()) < 60_000);

    let row = scene.registry.device_by_id(&to_hex(&answer.id)).unwrap().clone();
    let transcript = Transcript {
        invite: KeyId::from_slice(&invite.id).unwrap(),
        device: KeyId::from_slice(&answer.id).unwrap(),
        joiner: own.public(),
        server: answer.public,
    };
    let secret = Secret::from_bytes(&invite.secret).unwrap();
    let derived = credential(&secret, &own, &answer.public, &transcript).unwrap();
    assert_eq!(derived.as_bytes(), &*row.secret);
    assert_eq!(scene.registry.epoch(row.number), Some(answer.epoch));
    // It is on disk, and what would derive it again is not.
    let kept = scene.store.access().unwrap();
    assert_eq!(kept.devices, [row]);
    assert_eq!(kept.invites[0].joiner.as_ref().unwrap().own_public, answer.public);

    assert_eq!(scene.all(LOCAL, "/devices", "name"), ["小米手机"]);
    assert_ne!(scene.all(LOCAL, "/invites", "used"), [""]);
    assert_eq!(scene.all(LOCAL, "/audit", "what"), ["invited", "joined"]);
    assert_eq!(scene.all(LOCAL, "/audit", "device"), ["", "小米手机"]);
    assert_eq!(scene.all(LOCAL, "/audit", "address")[1], "192.0.2.7:40112");
}

#[test]
fn a_lost_answer_is_given_again_to_the_same_joiner_and_to_nobody_else() {
    let mut scene = Scene::new();
    let (_, subject) = scene.invite(Rights::READ_WRITE);
    let own = own_secret();
    let first = scene.ask(subject, join_request(&own, "laptop"));
    // Whatever it would like to be called by now.
    let again = scene.ask(subject, join_request(&own, "another name"));
    let [first, again] = [first, again].map(|response| {
        let answer = JoinAnswer::decode(&response.payload).unwrap();
        JoinAnswer { time: 0, ..answer }
    });
    assert_eq!(again, first);
    assert_eq!(scene.all(LOCAL, "/devices", "name"), ["laptop"]);

    let stranger = scene.ask(subject, join_request(&own_secret(), "thief"));
    assert_eq!(stranger.code, Code::CONFLICT);
    let text = "this invite was used already, at T";
    assert_eq!(timeless(&stranger.text()), text);
    assert_eq!(scene.all(LOCAL, "/devices", "name"), ["laptop"]);
}

#[test]
fn an_invite_answers_for_a_day_after_its_use_even_if_it_has_ended() {
    let own = own_secret();
    let mut scene = Scene::new();
    let subject = scene.old_invite(22 * HOUR, Some((&own, 23 * HOUR)));
    let answer = scene.ask(subject, join_request(&own, "laptop"));
    assert_eq!(answer.code, Code::CREATED, "{}", answer.text());
    let answer = JoinAnswer::decode(&answer.payload).unwrap();
    assert_eq!((answer.public, answer.name.as_str()), ([9; 32], "old laptop"));

    let mut scene = Scene::new();
    let subject = scene.old_invite(24 * HOUR, Some((&own, 25 * HOUR)));
    assert_eq!(scene.ask(subject, join_request(&own, "laptop")).code, Code::CONFLICT);
}

#[test]
fn an_invite_that_has_ended_says_when_by_which_clock() {
    let mut scene = Scene::new();
    let subject = scene.old_invite(HOUR, None);
    let late = scene.ask(subject, join_request(&own_secret(), "laptop"));
    assert_eq!(late.code, Code::FORBIDDEN);
    let text = "this invite ended at T by the server's clock, which now shows T";
    assert_eq!(timeless(&late.text()), text);

    let time = Clock::System.millis() - 365 * 24 * HOUR;
    let wrong = JoinRequest { public: own_secret().public(), name: "laptop".to_owned(), time };
    let late = scene.ask(subject, post("/join", wrong.encode()));
    let text = "this invite ended at T by the server's clock, which now shows T (yours shows T)";
    assert_eq!(timeless(&late.text()), text);
    assert!(
        late.text().contains(&format!("yours shows {}", crate::resources::table::moment(time)))
    );
    assert_eq!(scene.all(LOCAL, "/devices", "name"), [""; 0]);
}

#[test]
fn a_revoked_device_does_not_come_back_by_asking_again() {
    let mut scene = Scene::new();
    let (_, subject) = scene.invite(Rights::READ_WRITE);
    let own = own_secret();
    let joined = scene.ask(subject, join_request(&own, "laptop"));
    let id = to_hex(&JoinAnswer::decode(&joined.payload).unwrap().id);
    assert_eq!(scene.local(request(Code::DELETE, &format!("/devices/{id}"))).code, Code::DELETED);
    let again = scene.ask(subject, join_request(&own, "laptop"));
    let text = "the device that joined with this invite was revoked, at T; ask for a new invite";
    assert_eq!((again.code, timeless(&again.text()).as_str()), (Code::FORBIDDEN, text));
}

#[test]
fn a_name_that_is_taken_gets_a_number() {
    let mut scene = Scene::new();
    let names: Vec<_> = (0..3).map(|_| scene.join("laptop", Rights::READ_WRITE).0.name).collect();
    assert_eq!(names, ["laptop", "laptop 2", "laptop 3"]);
    assert_eq!(scene.join("server", Rights::READ_WRITE).0.name, "server 2");
    let long = "水".repeat(21);
    assert_eq!(scene.join(&long, Rights::READ_WRITE).0.name, long);
    assert_eq!(scene.join(&long, Rights::READ_WRITE).0.name, format!("{} 2", "水".repeat(20)));

    // Its notes have the name still.
    let id = scene.all(LOCAL, "/devices", "id")[1].clone();
    scene.local(request(Code::DELETE, &format!("/devices/{id}")));
    assert_eq!(scene.join("laptop 2", Rights::READ_WRITE).0.name, "laptop 2 2");

    // Elsewhere it is free; and the name in an invite goes before the device's own.
    let wanted = InviteRequest {
        journal: Some("family".to_owned()),
        rights: Rights::READ_WRITE,
        lasts: None,
        name: Some("laptop".to_owned()),
    };
    let invite = scene.invite_as(LOCAL, &wanted);
    let subject = scene.of(&invite.id);
    let joined = scene.ask(subject, join_request(&own_secret(), "whatever"));
    let joined = JoinAnswer::decode(&joined.payload).unwrap();
    assert_eq!((joined.name.as_str(), joined.journal.as_str()), ("laptop", "family"));
}

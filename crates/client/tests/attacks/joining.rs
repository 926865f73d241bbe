//! Joins with somebody on the path. What an invite is good for, and when not any more, is tried in
//! tests/loopback/join.rs.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use suibi_client::{JoinError, Membership, join};
use suibi_coap::{Message, Request, Response};
use suibi_journal::admission::{JoinAnswer, JoinRequest};
use suibi_net::relay::Direction;
use suibi_oscore::{
    Context, JoinSecret, KeyId, OscoreOption, Parameters, RequestId, SERVER_ID, Secret, Transcript,
    credential, invite_key,
};

use crate::recorder::protected;
use crate::scene::{Scene, deliver, seed};
use crate::support::PATIENCE;

/// What somebody has who knows a Master Secret: both sides of every conversation under it.
struct Thief<'a>(&'a Secret);

impl Thief<'_> {
    fn context(&self, kid: KeyId, id_context: &[u8], is_server: bool) -> Context {
        let (sender, recipient) = if is_server { (SERVER_ID, kid) } else { (kid, SERVER_ID) };
        Context::derive(&Parameters {
            secret: self.0,
            salt: b"",
            id_context: Some(id_context),
            sender,
            recipient,
        })
    }

    fn request(&self, datagram: &[u8]) -> Option<(Request, RequestId)> {
        let (message, option) = protected(datagram)?;
        let Message { code: method, options, payload, .. } = message;
        let outer = Request { method, options, payload };
        let context = self.context(option.kid?, option.kid_context.as_ref()?.as_slice(), true);
        context.verify_request(&outer, &option).ok()
    }

    fn answer(&self, asked: &OscoreOption, datagram: &[u8]) -> Option<Response> {
        let (message, _) = protected(datagram)?;
        let Message { code, options, payload, .. } = message;
        let outer = Response { code, options, payload };
        let kid = asked.kid?;
        let context = self.context(kid, asked.kid_context.as_ref()?.as_slice(), false);
        let asked = RequestId { kid, piv: asked.partial_iv? };
        context.unprotect_response(&outer, asked, None).ok().map(|(response, _)| response)
    }
}

#[test]
fn a_join_recorded_whole_and_the_line_leaked_later_open_nothing_that_the_device_sends() {
    let scene = Scene::new();
    let line = scene.line("read,write");
    let membership = scene.world.join("phone", &line).membership;
    let join = scene.take();
    deliver(&mut scene.process("phone"), "a secret");
    let later = scene.take_requests();
    assert!(!later.is_empty());

    // The line opens the join itself.
    let key = invite_key(&line.secret);
    let thief = Thief(&key);
    let (mut said, mut heard) = (None, None);
    let mut asked = None;
    for one in &join {
        match one.direction {
            Direction::Up => {
                if let Some((request, _)) = thief.request(&one.bytes) {
                    said = Some(JoinRequest::decode(&request.payload).unwrap());
                    asked = protected(&one.bytes).map(|(_, option)| option);
                }
            }
            Direction::Down => {
                let answer = asked.as_ref().and_then(|asked| thief.answer(asked, &one.bytes));
                if let Some(answer) = answer.filter(|answer| answer.code.is_success()) {
                    heard = Some(JoinAnswer::decode(&answer.payload).unwrap());
                }
            }
        }
    }
    let (said, heard) = (said.unwrap(), heard.unwrap());
    assert_eq!((said.name.as_str(), &heard.id[..]), ("phone", membership.id.as_slice()));

    // With all that, he tries what comes to mind.
    let own = JoinSecret::from_bytes(seed());
    let transcript =
        |joiner, server| Transcript { invite: line.id, device: membership.id, joiner, server };
    let as_joiner = transcript(own.public(), heard.public);
    let as_server = transcript(said.public, own.public());
    let guesses = [
        Some(line.secret.clone()),
        Some(key.clone()),
        Some(invite_key(&key)),
        Secret::from_bytes(&said.public),
        Secret::from_bytes(&heard.public),
        credential(&line.secret, &own, &heard.public, &as_joiner),
        credential(&line.secret, &own, &said.public, &as_server),
        credential(&key, &own, &heard.public, &as_joiner),
        // The right transcript, and not the keys that belong to it: there is no such credential.
        credential(&line.secret, &own, &heard.public, &transcript(said.public, heard.public)),
    ];
    assert_eq!(guesses.iter().filter(|guess| guess.is_some()).count(), 8);
    for guess in guesses.iter().flatten() {
        assert!(later.iter().all(|datagram| Thief(guess).request(datagram).is_none()));
        // Nor do the datagrams of the join that were the device's own already.
        let of_device = join.iter().filter(|one| {
            protected(&one.bytes).is_some_and(|(_, option)| option.kid == Some(membership.id))
        });
        let mut tried = 0;
        for one in of_device {
            tried += 1;
            assert!(Thief(guess).request(&one.bytes).is_none());
        }
        assert!(tried > 0, "the first use of the credential is part of a join");
    }
    // That this is how one would have to try: who has the credential can.
    let opened = later.iter().filter_map(|datagram| Thief(&membership.secret).request(datagram));
    let opened: Vec<_> = opened.map(|(request, _)| request.payload).collect();
    let text = b"a secret";
    assert!(opened.iter().any(|body| body.windows(text.len()).any(|part| part == text)));
}

#[test]
fn a_join_whose_answers_are_dropped_is_one_device_in_the_end_and_no_strangers() {
    let mut scene = Scene::new();
    let line = scene.line("read,write");
    // The challenge passes, and no answer to the join.
    let down = Arc::new(AtomicUsize::new(0));
    scene.hands(move |direction, _, datagram| {
        let is_first = direction == Direction::Down && down.fetch_add(1, Ordering::SeqCst) == 0;
        if direction == Direction::Up || is_first { vec![(direction, datagram)] } else { vec![] }
    });
    let dir = scene.world.dir("phone");
    let error = join(&dir, &line, "phone", Duration::from_millis(900)).unwrap_err();
    assert!(matches!(error, JoinError::NoAnswer { .. }), "{error:?}");
    let before = scene.facts();
    assert_eq!((before.devices, before.invites), (1, 1), "the server has let it in");
    let recorded = scene.take_requests();

    // Who repeats what he has recorded, and who has the line as well.
    scene.honest();
    for answer in scene.stranger().send(&recorded) {
        assert!(protected(&answer).is_some());
    }
    let error = join(&scene.world.dir("thief"), &line, "thief", PATIENCE).unwrap_err();
    assert!(matches!(error, JoinError::Used { .. }), "{error}");
    assert_eq!(Membership::load(&scene.world.dir("thief")).unwrap(), None);

    // After a restart even, the joiner is let in as the one that he was before.
    scene.restart();
    let membership = scene.world.join("phone", &line).membership;
    let devices = scene.world.admin("server").devices().unwrap();
    assert_eq!(devices.len(), 1);
    assert_eq!(devices[0].id, membership.id.to_string());
    deliver(&mut scene.process("phone"), "in");
    assert_eq!(scene.notes(), ["in"]);
}

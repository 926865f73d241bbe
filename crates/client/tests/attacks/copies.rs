//! Old copies and second copies of what is on the disks: no key and nonce comes again, and nobody is locked out.
//! What becomes of chains that fork that way is tried in tests/loopback/joined.rs.

use std::fs;

use suibi_coap::{Code, Message, MessageId, Request, Response, Token, Type, wire};
use suibi_journal::admission::{ForeignAnswer, ForeignRequest};
use suibi_oscore::{Context, KeyId, Parameters, RequestId, Secret};

use crate::recorder::protected;
use crate::scene::{Scene, add, deliver, everything};
use crate::support::{PATIENCE, copy, texts};

#[test]
fn a_client_that_was_copied_and_runs_twice_uses_no_nonce_twice() {
    let mut scene = Scene::new();
    scene.join("phone", "read,write");
    deliver(&mut scene.process("phone"), "before");
    copy(&scene.world.dir("phone"), &scene.world.dir("clone"));
    let (mut phone, mut clone) = (scene.process("phone"), scene.process("clone"));
    for n in 0..5 {
        // Two that write one chain: what is acknowledged is kept, what is not is refused by name and stays.
        for (who, client) in [("phone", &mut phone), ("clone", &mut clone)] {
            let added = add(client, &format!("{who} {n}"));
            match added.trouble {
                None => assert!(added.receipt.is_some() || !added.refused.is_empty(), "{who} {n}"),
                // A machine that has too much to do. It goes with the next.
                Some(trouble) => assert!(trouble.is_offline(), "{trouble}"),
            }
        }
    }
    // New processes on both, after a restart of the server as well.
    scene.restart();
    for _ in 0..2 {
        drop((phone, clone));
        (phone, clone) = (scene.process("phone"), scene.process("clone"));
        phone.sync(PATIENCE, |_| {}).unwrap();
        clone.sync(PATIENCE, |_| {}).unwrap();
    }
    let on_server = scene.notes();
    let here = |client: &suibi_client::Client| texts(&mut *client.reader().unwrap());
    for n in 0..5 {
        for (who, client) in [("phone", &phone), ("clone", &clone)] {
            let text = format!("{who} {n}");
            let count = |notes: &[String]| notes.iter().filter(|note| **note == text).count();
            assert_eq!(count(&here(client)), 1, "{text} is lost or doubled where it was written");
            assert!(count(&on_server) <= 1, "{text} is doubled on the server");
        }
    }
    assert!(on_server.contains(&"phone 0".to_owned()));
}

#[test]
fn a_client_restored_from_an_older_copy_uses_no_nonce_twice_and_goes_on() {
    let mut scene = Scene::new();
    scene.join("phone", "read,write");
    deliver(&mut scene.process("phone"), "one");
    copy(&scene.world.dir("phone"), &scene.world.dir("backup"));
    // Each time the same backup, as if the disk were rolled back again and again.
    let mut expected = vec!["one".to_owned()];
    for n in 0..4 {
        if n % 2 == 1 {
            scene.restart();
        }
        let mut phone = scene.process("phone");
        everything(&mut phone);
        let text = format!("round {n}");
        deliver(&mut phone, &text);
        expected.push(text);
        drop(phone);
        fs::remove_dir_all(scene.world.dir("phone")).unwrap();
        copy(&scene.world.dir("backup"), &scene.world.dir("phone"));
    }
    assert_eq!(scene.notes(), expected);
    let mut phone = scene.process("phone");
    everything(&mut phone);
    assert_eq!(texts(&mut *phone.reader().unwrap()), expected);
}

#[test]
fn a_server_restored_from_an_older_copy_uses_no_nonce_twice_and_gets_back_what_devices_have() {
    let mut scene = Scene::new();
    scene.join("phone", "read,write");
    scene.join("laptop", "read,write");
    let mut phone = scene.process("phone");
    let mut laptop = scene.process("laptop");
    deliver(&mut phone, "one");
    everything(&mut laptop);
    let (data, backup) = (scene.world.dir("server"), scene.world.dir("backup"));
    scene.stop();
    copy(&data, &backup);
    scene.start();
    let mut expected = vec!["one".to_owned()];
    for n in 0..3 {
        // What is acknowledged now is not in the backup.
        let new = [format!("phone {n}"), format!("laptop {n}")];
        deliver(&mut phone, &new[0]);
        deliver(&mut laptop, &new[1]);
        expected.extend(new);
        let acknowledged = scene.take_requests();
        scene.stop();
        fs::remove_dir_all(&data).unwrap();
        copy(&backup, &data);
        scene.start();

        // What was recorded does not come back by itself, but from those who have it.
        let _ = scene.stranger().send(&acknowledged);
        assert_eq!(scene.notes(), ["one"]);
        everything(&mut phone);
        everything(&mut laptop);
        everything(&mut phone);
        expected.sort();
        assert_eq!(scene.notes(), expected);
        for client in [&phone, &laptop] {
            assert_eq!(texts(&mut *client.reader().unwrap()), expected);
        }
    }
}

/// A client that has one context for its life (RFC 8613 Appendix B.1), and keeps its numbers.
struct Foreign {
    context: Context,
    sent: u16,
}

impl Foreign {
    fn new(told: &ForeignAnswer) -> Self {
        let context = Context::derive(&Parameters {
            secret: &Secret::from_bytes(&told.secret).unwrap(),
            salt: &told.salt,
            id_context: None,
            sender: KeyId::from_slice(&told.id).unwrap(),
            recipient: KeyId::from_slice(&told.server_id).unwrap(),
        });
        Self { context, sent: 0 }
    }

    fn protect(&mut self, request: &Request) -> (Vec<u8>, RequestId) {
        let (outer, id) = self.context.protect_request(request, false).unwrap();
        let Request { method: code, options, payload } = outer;
        self.sent += 1;
        let token = Token::new(&self.sent.to_be_bytes()).unwrap();
        let (kind, number) = (Type::Confirmable, MessageId(self.sent));
        let message = Message { kind, code, id: number, token, options, payload };
        (wire::encode(&message).to_vec(), id)
    }

    fn unprotect(&self, asked: RequestId, datagram: &[u8]) -> Response {
        let (Message { code, options, payload, .. }, _) = protected(datagram).unwrap();
        let outer = Response { code, options, payload };
        self.context.unprotect_response(&outer, asked, None).unwrap().0
    }

    /// Adds a note, after a start of the server with the Echo value that it asks for.
    fn add(&mut self, scene: &Scene, text: &str) -> Code {
        let request = Request::new(Code::POST).path("/notes").payload(text.to_owned());
        let socket = scene.stranger();
        let mut response = Response::new(Code::UNAUTHORIZED);
        for _ in 0..2 {
            let request = match response.echo_value() {
                Some(echo) => request.clone().echo(echo),
                None => request.clone(),
            };
            let (datagram, asked) = self.protect(&request);
            response = self.unprotect(asked, &socket.ask(&datagram));
            if response.code != Code::UNAUTHORIZED {
                break;
            }
        }
        response.code
    }
}

/// Its keys are the same for ever, so here it is numbers alone that keep nonces apart: those of the server are not to
/// come again even when it is put back to an older copy and runs again within the same second.
#[test]
fn a_server_restored_in_no_time_uses_no_nonce_twice_towards_a_foreign_client() {
    let mut scene = Scene::new();
    // Something for the recorder to see.
    scene.join("phone", "read,write");
    let rights = "write".parse().unwrap();
    let request = ForeignRequest { journal: None, rights, name: "lamp".to_owned() };
    let told = scene.world.admin("server").export(&request).unwrap();
    let mut lamp = Foreign::new(&told);
    assert_eq!(lamp.add(&scene, "zero"), Code::CREATED);
    let (data, backup) = (scene.world.dir("server"), scene.world.dir("backup"));
    scene.stop();
    copy(&data, &backup);
    for n in 0..6 {
        fs::remove_dir_all(&data).unwrap();
        copy(&backup, &data);
        scene.start();
        assert_eq!(lamp.add(&scene, &format!("round {n}")), Code::CREATED);
        scene.stop();
    }
    scene.start();
    assert_eq!(scene.notes(), ["round 5", "zero"]);
}

//! Whatever happens, and however much is logged: no secret is in it.

#![allow(clippy::unwrap_used, reason = "a test may")]

mod support;

use std::fmt::Write as _;
use std::io;
use std::sync::{Arc, Mutex};

use suibi_coap::{Code, Request};
use suibi_server::{Config, Listen};
use suibi_store::{JournalId, Store as _};
use support::{Running, add_device, store};
use tracing_subscriber::fmt::MakeWriter;

#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Log {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

#[test]
fn no_secret_is_ever_written_down() {
    let log = Log::default();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing::Level::TRACE)
        .with_ansi(false)
        .with_writer(log.clone())
        .finish();
    tracing::subscriber::set_global_default(subscriber).unwrap();
    tracing::trace!("the log is read");
    let mut seen = String::new();

    let dir = tempfile::tempdir().unwrap();
    let rights = "read,write,admin";
    let phone = add_device(dir.path(), "phone", JournalId::FIRST, rights);
    let mut config = Config::new(dir.path());
    config.listen.push(Listen { address: "127.0.0.1:0".to_owned() });
    let server = Running::start(config.clone());
    let local = server.local();
    let context = phone.process(None);
    let mut client = server.device(&context);
    client.post("a note");
    let mut answers = vec![client.get("/devices"), client.get("/invites"), client.get("/audit")];
    answers.push(client.ask(Request::new(Code::DELETE).path("/devices/nobody")));
    answers.push(client.ask(Request::new(Code::POST).path("/join").payload("nonsense")));
    for answer in answers {
        write!(seen, "{answer:?} {}", answer.text()).unwrap();
    }
    let running = suibi_server::running(dir.path()).unwrap();
    write!(seen, "{context:?} {running:#?} {config:?}").unwrap();
    server.stop();
    write!(seen, "{:#?}", store(dir.path()).access().unwrap()).unwrap();
    seen.push_str(&String::from_utf8(log.0.lock().unwrap().clone()).unwrap());

    assert!(seen.contains("the log is read"), "nothing was logged at all");
    for secret in [phone.secret.as_bytes(), local.secret.as_bytes()] {
        // Some bytes of it are as bad as all.
        let part = &secret[4..12];
        let hex: String = part.iter().map(|byte| format!("{byte:02x}")).collect();
        let list = format!("{part:?}");
        let list = list.trim_matches(['[', ']']);
        let lines = list.replace(", ", ",\n");
        for form in [hex.as_str(), &hex.to_uppercase(), list, &lines] {
            assert!(!seen.contains(form), "{form}");
        }
    }
}

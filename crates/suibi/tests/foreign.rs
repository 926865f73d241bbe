//! Programs that others wrote, against a real server: libcoap's client and aiocoap on a CoAP
//! listener, over UDP and over TCP, a ten-line Python program and `nc -u` on a plain one.
//!
//! `scripts/test` installs them and says with `SUIBI_TEST_PYTHON` which Python has aiocoap. A missing
//! one is a failure, never a skipped test.

#![allow(clippy::unwrap_used, reason = "a test may")]

mod machinery;

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Duration;

use machinery::fixed::FixedClient;
use machinery::{Finished, Home, PATIENCE, Server, assert_each_once, long_text, run, wait_until};
use suibi_coap::{Code, Event, Request};
use tempfile::TempDir;

const LONG: usize = 100 << 10;

fn coap_client(arguments: &[&str]) -> Command {
    let mut command = Command::new("coap-client-notls");
    // -B bounds how long it waits; it never gives up by itself sooner.
    command.args(["-B", "20"]).args(arguments);
    command
}

#[track_caller]
fn run_coap_client(arguments: &[&str]) -> Finished {
    run(&mut coap_client(arguments), b"", PATIENCE).expect_success()
}

/// The Python that has aiocoap.
fn python() -> PathBuf {
    let target = Path::new(env!("CARGO_BIN_EXE_suibi")).ancestors().nth(2).unwrap();
    let python = match std::env::var_os("SUIBI_TEST_PYTHON") {
        Some(python) => PathBuf::from(python),
        None => target.join("foreign/bin/python"),
    };
    assert!(python.exists(), "{} is missing: scripts/test installs it", python.display());
    python
}

/// Runs a script of `tests/foreign` and returns what it printed.
#[track_caller]
fn run_script(script: &str, arguments: &[&str]) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/foreign").join(script);
    let mut command = Command::new(python());
    command.arg(path).args(arguments);
    run(&mut command, b"", PATIENCE).expect_success().out
}

#[track_caller]
fn assert_error_free(finished: &Finished) {
    for code in ["4.0", "4.1", "5.0"] {
        assert!(!finished.err.contains(code) && !finished.out.starts_with(code), "{finished:#?}");
    }
}

#[test]
fn libcoap_discovers_posts_and_lists() {
    let data = tempfile::tempdir().unwrap();
    let server = Server::start(data.path());
    let base = format!("coap://{}", server.address());

    let core = run_coap_client(&["-m", "get", &format!("{base}/.well-known/core")]).out;
    for resource in ["</notes>", "</feed>"] {
        assert!(core.contains(resource), "{core}");
    }
    for text in ["first", "第二条 with two languages"] {
        let posted = run_coap_client(&["-m", "post", "-e", text, &format!("{base}/notes")]);
        assert_error_free(&posted);
    }
    let listed = run_coap_client(&["-m", "get", &format!("{base}/notes")]).out;
    assert!(listed.contains("first") && listed.contains("第二条 with two languages"), "{listed}");
    assert_each_once(&server.notes(), &["first".into(), "第二条 with two languages".into()]);
}

#[test]
fn libcoap_edits_and_deletes() {
    let data = tempfile::tempdir().unwrap();
    let server = Server::start(data.path());
    let note = format!("coap://{}/notes/01940000-0000-7000-8000-00000000c0a9", server.address());
    assert_error_free(&run_coap_client(&["-m", "put", "-e", "as written", &note]));
    assert_each_once(&server.notes(), &["as written".into()]);
    assert_error_free(&run_coap_client(&["-m", "put", "-e", "as edited", &note]));
    assert_eq!(run_coap_client(&["-m", "get", &note]).out.trim_end(), "as edited");
    assert_error_free(&run_coap_client(&["-m", "delete", &note]));
    assert_each_once(&server.notes(), &[]);
}

#[test]
fn libcoap_uploads_and_fetches_a_long_note() {
    let data = tempfile::tempdir().unwrap();
    let server = Server::start(data.path());
    let scratch = tempfile::tempdir().unwrap();
    let (up, down) = (scratch.path().join("up"), scratch.path().join("down"));
    let text = long_text(LONG);
    fs::write(&up, &text).unwrap();
    let note = format!("coap://{}/notes/01940000-0000-7000-8000-00000000c0a8", server.address());
    let up = up.to_str().unwrap();
    assert_error_free(&run_coap_client(&["-b", "1024", "-m", "put", "-f", up, &note]));
    let fetched = ["-b", "1024", "-m", "get", "-o", down.to_str().unwrap(), &note];
    assert_error_free(&run_coap_client(&fetched));
    assert!(fs::read_to_string(&down).unwrap() == text, "something else came back");
    // The same through POST, which names the note itself, and in small blocks.
    let notes = format!("coap://{}/notes", server.address());
    assert_error_free(&run_coap_client(&["-b", "256", "-m", "post", "-f", up, &notes]));
    assert!(server.notes() == [text.clone(), text], "not both are there");
}

#[test]
fn libcoap_observes() {
    let data = tempfile::tempdir().unwrap();
    let server = Server::start(data.path());
    let notes = format!("coap://{}/notes", server.address());
    let observer = thread::spawn({
        let notes = notes.clone();
        move || run_coap_client(&["-s", "6", "-B", "8", "-m", "get", &notes])
    });
    // It cannot tell when it is registered, so notes are written while it runs.
    for number in 0..4 {
        thread::sleep(Duration::from_millis(1_000));
        let text = format!("while observed {number}");
        assert_error_free(&run_coap_client(&["-m", "post", "-e", &text, &notes]));
    }
    let seen = observer.join().unwrap();
    assert!(seen.out.contains("while observed 3"), "{seen:#?}");
}

#[test]
fn libcoap_does_the_same_over_tcp() {
    let data = tempfile::tempdir().unwrap();
    let server = Server::start(data.path());
    let notes = format!("coap+tcp://{}/notes", server.address());
    let scratch = tempfile::tempdir().unwrap();
    let (up, down) = (scratch.path().join("up"), scratch.path().join("down"));
    // Four times as long as over UDP, and whole.
    let text = long_text(4 * LONG);
    fs::write(&up, &text).unwrap();
    let note = format!("{notes}/01940000-0000-7000-8000-00000000c0a8");
    assert_error_free(&run_coap_client(&["-m", "put", "-f", up.to_str().unwrap(), &note]));
    assert_error_free(&run_coap_client(&["-m", "get", "-o", down.to_str().unwrap(), &note]));
    assert!(fs::read_to_string(&down).unwrap() == text, "something else came back");

    let observer = thread::spawn({
        let newest = format!("{notes}?limit=1");
        move || run_coap_client(&["-s", "4", "-B", "6", "-m", "get", &newest])
    });
    for number in 0..3 {
        thread::sleep(Duration::from_millis(1_000));
        let text = format!("while observed {number}");
        assert_error_free(&run_coap_client(&["-m", "post", "-e", &text, &notes]));
    }
    let seen = observer.join().unwrap();
    assert!(seen.out.contains("while observed 2"), "{}", seen.err);
    assert_eq!(server.notes().len(), 4);
}

#[test]
fn aiocoap_posts_lists_observes_uploads_and_fetches() {
    let data = tempfile::tempdir().unwrap();
    let server = Server::start(data.path());
    let said = run_script("aiocoap_client.py", &[&format!("coap://{}", server.address())]);
    assert!(said.trim_end().ends_with("all well"), "{said}");
    assert_made_by_aiocoap(&server);
}

#[test]
fn aiocoap_does_the_same_over_tcp() {
    let data = tempfile::tempdir().unwrap();
    let server = Server::start(data.path());
    let said = run_script("aiocoap_client.py", &[&format!("coap+tcp://{}", server.address())]);
    assert!(said.trim_end().ends_with("all well"), "{said}");
    assert_made_by_aiocoap(&server);
}

#[track_caller]
fn assert_made_by_aiocoap(server: &Server) {
    let notes = server.notes();
    for text in ["posted by aiocoap", "second, observed", "made once"] {
        assert_eq!(notes.iter().filter(|note| *note == text).count(), 1, "{text}: {notes:?}");
    }
    assert!(notes.iter().any(|note| note.len() == LONG));
}

fn plain_server(data: &Path) -> (Server, SocketAddr) {
    let arguments = ["--insecure-coap", "127.0.0.1:0", "--plain", "127.0.0.1:0"];
    let server = Server::start_with(data, &arguments);
    let plain = server.plain[0];
    (server, plain)
}

#[test]
fn a_ten_line_socket_program_is_a_client() {
    let data = tempfile::tempdir().unwrap();
    let (server, plain) = plain_server(data.path());
    let port = plain.port().to_string();
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/foreign/plain_client.py");
    let mut command = Command::new("python3");
    command.arg(&script).args(["127.0.0.1", &port]);
    let first = run(&mut command, "from the ten lines\n再来一条\n".as_bytes(), PATIENCE);
    let first = first.expect_success();
    assert!(first.out.contains("(no notes yet)"), "{first:#?}");
    assert_each_once(&server.notes(), &["from the ten lines".into(), "再来一条".into()]);
    let second = run(&mut command, b"", PATIENCE).expect_success();
    assert!(second.out.contains("from the ten lines"), "{second:#?}");
    assert!(second.out.contains("再来一条"), "{second:#?}");
}

#[test]
fn netcat_is_a_client() {
    let data = tempfile::tempdir().unwrap();
    let (server, plain) = plain_server(data.path());
    let port = plain.port().to_string();
    // It sends what it reads as one datagram, and ends one second after the last word.
    let netcat = |input: &str| {
        let mut command = Command::new("nc");
        command.args(["-u", "-w", "1", "127.0.0.1", &port]);
        run(&mut command, input.as_bytes(), PATIENCE).out
    };
    assert_eq!(netcat("from netcat\n"), "from netcat\n");
    assert_each_once(&server.notes(), &["from netcat".into()]);
    assert!(netcat("r").contains("from netcat"));
    assert_each_once(&server.notes(), &["from netcat".into()]);
}

#[test]
fn a_shell_is_a_client() {
    let data = tempfile::tempdir().unwrap();
    let (server, plain) = plain_server(data.path());
    let line = format!("printf 'from a shell' >/dev/udp/127.0.0.1/{}", plain.port());
    let status = Command::new("bash").args(["-c", &line]).stdin(Stdio::null()).status().unwrap();
    assert!(status.success());
    wait_until("it is kept", || !server.notes().is_empty());
    assert_each_once(&server.notes(), &["from a shell".into()]);
}

/// aiocoap's OSCORE server, with one fixed context for a client of ours.
struct AiocoapServer {
    child: Child,
    address: SocketAddr,
    _files: TempDir,
}

const SECRET: [u8; 16] = *b"0123456789abcdef";
const SALT: [u8; 8] = *b"saltsalt";

impl AiocoapServer {
    #[track_caller]
    fn start() -> Self {
        let files = tempfile::tempdir().unwrap();
        let write = |name: &str, text: String| fs::write(files.path().join(name), text).unwrap();
        fs::create_dir(files.path().join("ours")).unwrap();
        write("server.json", r#"{":ours": {"oscore": {"basedir": "ours/"}}}"#.into());
        write(
            "ours/settings.json",
            r#"{"sender-id_ascii": "theirs", "recipient-id_ascii": "ours",
                "algorithm": "AES-CCM-16-64-128", "kdf-hashfun": "sha256", "window": 32}"#
                .into(),
        );
        let hex = |bytes: &[u8]| bytes.iter().map(|b| format!("{b:02x}")).collect::<String>();
        let (secret, salt) = (hex(&SECRET), hex(&SALT));
        write("ours/secret.json", format!(r#"{{"secret_hex": "{secret}", "salt_hex": "{salt}"}}"#));
        let script =
            Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/foreign/aiocoap_oscore_server.py");
        let mut child = Command::new(python())
            .arg(script)
            .arg(files.path().join("server.json"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let port: u16 = line.trim().strip_prefix("listening on ").unwrap().parse().unwrap();
        Self { child, address: ([127, 0, 0, 1], port).into(), _files: files }
    }
}

impl Drop for AiocoapServer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn our_client_speaks_oscore_with_aiocoap() {
    let server = AiocoapServer::start();
    let mut client = FixedClient::connect(server.address, &SECRET, &SALT, [b"ours", b"theirs"]);

    let long = long_text(LONG);
    let put = Request::new(Code::PUT).path("/note").payload(long.clone());
    assert_eq!(client.ask(put).code, Code::CHANGED);
    let got = client.ask(Request::new(Code::GET).path("/note"));
    assert!(got.code == Code::CONTENT && got.payload == long, "{:?}", got.code);
    let missing = client.ask(Request::new(Code::GET).path("/nothing"));
    assert_eq!(missing.code, Code::NOT_FOUND);

    client.observe(Request::new(Code::GET).path("/count"));
    let Event::Response { response, .. } = client.next() else { panic!("no registration") };
    assert_eq!(response.payload, "0");
    for count in 1..=3 {
        assert_eq!(client.ask(Request::new(Code::PUT).path("/count")).code, Code::CHANGED);
        wait_until("the notification is there", || {
            matches!(client.next(), Event::Notification { response, .. }
                if response.payload == count.to_string())
        });
    }
}

#[test]
fn aiocoap_does_the_same_under_oscore() {
    aiocoap_under_oscore("coap");
}

#[test]
fn aiocoap_does_the_same_under_oscore_over_tcp() {
    aiocoap_under_oscore("coap+tcp");
}

#[track_caller]
fn aiocoap_under_oscore(scheme: &str) {
    let data = tempfile::tempdir().unwrap();
    let server = Server::start_with(data.path(), &["--listen", "127.0.0.1:0"]);
    let files = tempfile::tempdir().unwrap();
    let exported = Home::new().suibi(&[
        "--data-dir",
        data.path().to_str().unwrap(),
        "devices",
        "export",
        "aiocoap",
        "--format",
        "aiocoap",
        "--dir",
        files.path().to_str().unwrap(),
    ]);
    exported.expect_success();
    let credentials = files.path().join("client.json");
    let address = format!("{scheme}://{}", server.oscore[0]);
    let arguments = [&address, credentials.to_str().unwrap()];
    let said = run_script("aiocoap_client.py", &arguments);
    assert!(said.trim_end().ends_with("all well"), "{said}");
}

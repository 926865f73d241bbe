//! Nothing is acknowledged, and nothing leaves, before it is on disk: what the kernel was asked to do, in its order, by
//! `suibi serve` and `suibi TEXT` themselves.
//!
//! `strace` stops a process at the beginning and at the end of each call. So in its log a flush whose end stands before the
//! beginning of a send had returned when the send was asked for.

#![allow(clippy::unwrap_used, reason = "a test may")]

#[path = "durable_first/log.rs"]
mod log;
mod machinery;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use log::{Log, find};
use machinery::{Home, PATIENCE, Server, Wire, run, run_by, wait_until};

/// The calls that write, flush and send, whichever of them a later version takes.
const CALLS: &str = "trace=write,pwrite64,writev,pwritev,pwritev2,fsync,fdatasync,sync_file_range,msync,\
                     sendto,sendmsg,sendmmsg";

/// `program` under `strace`, which writes to `log`.
#[track_caller]
fn traced(program: &Command, log: &Path) -> Command {
    let can_trace = run(Command::new("strace").args(["-o", "/dev/null", "true"]), b"", PATIENCE);
    assert!(
        can_trace.status.success(),
        "strace cannot trace here: in a container, allow ptrace (--cap-add=SYS_PTRACE); {can_trace:#?}"
    );
    let mut command = Command::new("strace");
    // Of all threads, with the paths of files; every string whole, each byte of it as two digits.
    command.args(["-f", "-y", "-xx", "-s", "100000", "-e", CALLS, "-o"]).arg(log);
    run_by(command, program)
}

/// A server under `strace`. To end it, the signal has to go to the server, not to `strace`.
struct TracedServer {
    server: Server,
    log: PathBuf,
}

impl TracedServer {
    #[track_caller]
    fn start(data: &Path, log: PathBuf) -> Self {
        let command = Server::command(data, &["--insecure-coap", "127.0.0.1:0"]);
        Self { server: Server::spawn(&mut traced(&command, &log)), log }
    }

    /// Each line of the log begins with who it is about, and the first is about the main thread.
    fn signal(&self, signal: &str) {
        let log = fs::read_to_string(&self.log).unwrap_or_default();
        if let Some(id) = log.split_whitespace().next() {
            let _ = Command::new("kill").args([signal, id]).status();
        }
    }

    #[track_caller]
    fn stop(mut self) -> String {
        self.signal("-TERM");
        wait_until("the server has stopped", || !self.server.is_running());
        fs::read_to_string(&self.log).unwrap()
    }
}

impl Drop for TracedServer {
    fn drop(&mut self) {
        if self.server.is_running() {
            self.signal("-KILL");
        }
    }
}

/// How the answer to a request with this token begins: any type, 2.01, any message id, the token.
fn is_answer(bytes: &[u8], token: &[u8]) -> bool {
    const CREATED: u8 = 0x41;
    find(bytes, token).any(|at| at >= 4 && bytes[at - 3] == CREATED)
}

#[test]
fn a_server_acknowledges_a_note_after_its_log_was_flushed() {
    let (data, dir) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let traced = TracedServer::start(data.path(), dir.path().join("strace"));
    let address = traced.server.address();
    // Eight clients at once, so that a commit holds several notes and several wait for the next one.
    let clients: Vec<_> = (0..8)
        .map(|client| {
            std::thread::spawn(move || {
                let mut wire = Wire::connect(address);
                let posts = (0..5).map(|number| {
                    let text = format!("[note {number} of client {client}]");
                    let answer = wire.post(&text).expect("an answer");
                    assert_eq!(answer.header.get_code(), "2.01");
                    (text, answer.get_token().to_vec())
                });
                posts.collect::<Vec<_>>()
            })
        })
        .collect();
    let posts: Vec<_> = clients.into_iter().flat_map(|client| client.join().unwrap()).collect();
    let text = traced.stop();

    let unproven = |log: &Log| -> Vec<String> {
        let proof = |(text, token): &(String, Vec<u8>)| {
            log.is_flushed_before("server.db-wal", text.as_bytes(), |sent| is_answer(sent, token))
        };
        posts.iter().filter_map(|post| proof(post).err()).collect()
    };
    assert_eq!(unproven(&Log::parse(&text)), Vec::<String>::new());

    // The same log without its flushes proves nothing about any note.
    let without = text.lines().filter(|line| !line.contains("sync"));
    let without = without.collect::<Vec<_>>().join("\n");
    assert_eq!(unproven(&Log::parse(&without)).len(), posts.len());
}

#[test]
fn a_client_sends_a_note_after_its_own_log_was_flushed() {
    let (data, dir) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let _server = Server::start_encrypted(data.path());
    let home = Home::of_owner(data.path());
    home.save("the replica is made");
    let path = dir.path().join("strace");
    for number in 0..20 {
        // What is sent is encrypted; but no other datagram is as long as this note.
        let text = format!("[note {number}]{}", " many words".repeat(50));
        let mut command = traced(&home.command(&["add", &text]), &path);
        run(&mut command, b"", PATIENCE).expect_success();
        let log = fs::read_to_string(&path).unwrap();
        let is_note = |sent: &[u8]| sent.len() >= text.len();
        let proof = Log::parse(&log).is_flushed_before("-wal", text.as_bytes(), is_note);
        match proof {
            Ok(()) => return,
            // On a machine that is busy enough, the time to answer was over before anything was sent.
            Err(why) if why.contains(log::NOT_SENT) => {}
            Err(why) => panic!("{why}"),
        }
    }
    panic!("it sends nothing");
}

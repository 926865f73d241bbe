//! `suibi serve` as a process of its own.

use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex, mpsc};
use std::time::{Duration, Instant};

use super::home::hermetic;
use super::{PATIENCE, Wire, texts_of_json, wire};

/// A server that is ready. It is killed when this is dropped.
#[derive(Debug)]
pub(crate) struct Server {
    child: Child,
    said: Arc<Mutex<Vec<String>>>,
    /// The addresses of its OSCORE listeners; one on loopback is always among them.
    pub(crate) oscore: Vec<SocketAddr>,
    /// The addresses of its unprotected CoAP listeners, in the order in which they were named.
    pub(crate) coap: Vec<SocketAddr>,
    /// The addresses of its plain listeners.
    pub(crate) plain: Vec<SocketAddr>,
}

impl Server {
    /// A server on `data_dir` with one CoAP listener on a port that the system picks.
    #[track_caller]
    pub(crate) fn start(data_dir: &Path) -> Self {
        Self::start_with(data_dir, &["--insecure-coap", "127.0.0.1:0"])
    }

    /// A server on `data_dir` with one CoAP listener at `address`.
    #[track_caller]
    pub(crate) fn start_at(data_dir: &Path, address: SocketAddr) -> Self {
        Self::start_with(data_dir, &["--insecure-coap", &address.to_string()])
    }

    /// A server on `data_dir` with these further arguments.
    #[track_caller]
    pub(crate) fn start_with(data_dir: &Path, arguments: &[&str]) -> Self {
        Self::spawn(&mut Self::command(data_dir, arguments))
    }

    /// The command that [`Server::start_with`] runs.
    pub(crate) fn command(data_dir: &Path, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_suibi"));
        hermetic(&mut command, data_dir)
            .arg("serve")
            .arg("--data-dir")
            .arg(data_dir)
            .args(arguments);
        command
    }

    /// Starts `command`, which is or becomes `suibi serve`, and waits until it is ready.
    #[track_caller]
    pub(crate) fn spawn(command: &mut Command) -> Self {
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("cannot run {command:?}: {error}"));
        let stderr = BufReader::new(child.stderr.take().unwrap());
        let said = Arc::new(Mutex::new(Vec::new()));
        let (sender, lines) = mpsc::channel();
        let keep = Arc::clone(&said);
        std::thread::spawn(move || {
            for line in stderr.lines().map_while(Result::ok) {
                keep.lock().unwrap().push(line.clone());
                let _ = sender.send(line);
            }
        });
        let mut server =
            Self { child, said, oscore: Vec::new(), coap: Vec::new(), plain: Vec::new() };
        let start = Instant::now();
        loop {
            let left = PATIENCE.saturating_sub(start.elapsed());
            let Ok(line) = lines.recv_timeout(left) else {
                panic!("the server does not become ready; it says {:#?}", server.said())
            };
            if line.trim_start().starts_with("ready") {
                return server;
            }
            let Some(address) = address_in(&line) else { continue };
            match line.split_whitespace().next() {
                Some("plain") => server.plain.push(address),
                Some("oscore") => server.oscore.push(address),
                Some("coap") => server.coap.push(address),
                _ => {}
            }
        }
    }

    /// A server on `data_dir` that devices can join, on a loopback port that the system picks.
    #[track_caller]
    pub(crate) fn start_encrypted(data_dir: &Path) -> Self {
        Self::start_with(data_dir, &["--listen", "127.0.0.1:0"])
    }

    /// The address of its first unprotected CoAP listener.
    pub(crate) fn address(&self) -> SocketAddr {
        self.coap[0]
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// What it has written to standard error so far.
    pub(crate) fn said(&self) -> Vec<String> {
        self.said.lock().unwrap().clone()
    }

    pub(crate) fn is_running(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }

    /// Kills it as a power cut would, without a chance to finish anything.
    pub(crate) fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Asks it to end, as a person does with Ctrl-C.
    ///
    /// # Panics
    ///
    /// When it has not ended after the 2 s that it promises, with room for a busy machine.
    #[track_caller]
    pub(crate) fn stop(mut self) -> ExitStatus {
        let id = self.child.id().to_string();
        assert!(Command::new("kill").args(["-TERM", &id]).status().unwrap().success());
        let start = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status;
            }
            assert!(
                start.elapsed() < Duration::from_secs(20),
                "it does not stop: {:#?}",
                self.said()
            );
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// The texts of all notes, as the server itself lists them.
    #[track_caller]
    pub(crate) fn notes(&self) -> Vec<String> {
        notes_at(self.address())
    }

    /// Processor time that all its threads have taken so far.
    pub(crate) fn cpu(&self) -> Duration {
        let mut nanoseconds = 0;
        for task in std::fs::read_dir(format!("/proc/{}/task", self.id())).unwrap() {
            // A thread may end between being listed and being read.
            if let Ok(stat) = std::fs::read_to_string(task.unwrap().path().join("schedstat")) {
                nanoseconds += stat.split_whitespace().next().unwrap().parse::<u64>().unwrap();
            }
        }
        Duration::from_nanos(nanoseconds)
    }

    /// Datagrams that came to its CoAP listener and found its socket full, so that it never saw them.
    pub(crate) fn unseen(&self) -> u64 {
        let port = format!(":{:04X}", self.address().port());
        let sockets = std::fs::read_to_string("/proc/net/udp").unwrap();
        let mut words = sockets.lines().map(str::split_whitespace);
        let socket = words.find(|words| words.clone().nth(1).is_some_and(|at| at.ends_with(&port)));
        socket.unwrap().last().unwrap().parse().unwrap()
    }

    /// Resident memory in KiB.
    pub(crate) fn memory_kib(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.id())).unwrap();
        let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
        line.split_whitespace().nth(1).unwrap().parse().unwrap()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            eprintln!("the server said: {:#?}", self.said());
        }
    }
}

/// The texts of all notes that the server at `address` lists.
#[track_caller]
pub(crate) fn notes_at(address: SocketAddr) -> Vec<String> {
    let body = Wire::connect(address).fetch(&["notes"], &["limit=1000000"], Some(wire::JSON));
    texts_of_json(&String::from_utf8(body).unwrap())
}

/// The first socket address among the words of a line, if there is one.
fn address_in(line: &str) -> Option<SocketAddr> {
    line.split(|c: char| c.is_whitespace() || c == ',' || c == '(' || c == ')').find_map(|word| {
        let word = word.trim_start_matches("coap://").trim_start_matches("udp://");
        word.trim_end_matches(['.', ';', '/']).parse().ok()
    })
}

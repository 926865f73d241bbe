//! What one command asks of the kernel, from its start to its end: files, flushes, threads. Each was once more than it had
//! to be, and none of them depends on how busy the machine is.

#![allow(clippy::unwrap_used, reason = "a test may")]

mod machinery;

use std::fs;
use std::path::Path;
use std::process::Command;

use machinery::{BOUND, Home, PATIENCE, Server, run, run_by};

/// What a command did.
#[derive(Debug, Default)]
struct Trace {
    /// What it flushed, in order: `wal`, `directory`, or the whole path.
    flushed: Vec<String>,
    /// What it opened, or tried to.
    opened: Vec<String>,
    /// Threads and processes beside the first.
    threads: usize,
}

/// `suibi ARGUMENTS…` on this device, under `strace`.
#[track_caller]
fn traced(home: &Home, arguments: &[&str]) -> Trace {
    trace(home, &home.command(arguments))
}

#[track_caller]
fn trace(home: &Home, program: &Command) -> Trace {
    let log = home.path().join("strace.log");
    let mut command = Command::new("strace");
    // Those with a question mark are not there on every processor.
    let calls = "trace=?open,openat,fsync,fdatasync,?sync_file_range,?sync_file_range2,msync,\
                 clone,?clone3,?fork,?vfork";
    command.args(["-f", "-y", "-e", calls, "-e", "signal=none", "-o"]).arg(&log);
    let finished = run(&mut run_by(command, program), b"", BOUND.max(PATIENCE));
    assert!(
        finished.status.success(),
        "strace has to be allowed to trace (in a container: --cap-add=SYS_PTRACE); {finished:#?}"
    );
    read(&fs::read_to_string(&log).unwrap())
}

fn read(log: &str) -> Trace {
    let mut trace = Trace::default();
    for line in log.lines() {
        // `4711 fsync(5</home/x.db-wal>) = 0`; the second half of a call that was interrupted begins with `<...`.
        let Some((_, call)) = line.split_once(' ') else { continue };
        let Some((name, arguments)) = call.trim_start().split_once('(') else { continue };
        match name {
            _ if name.starts_with("<...") => {}
            "open" | "openat" => {
                trace.opened.extend(arguments.split('"').nth(1).map(str::to_owned));
            }
            "clone" | "clone3" | "fork" | "vfork" => trace.threads += 1,
            _ => {
                let path = arguments.split(['<', '>']).nth(1).unwrap_or(arguments);
                let what = match () {
                    () if path.ends_with("-wal") => "wal",
                    () if Path::new(path).is_dir() => "directory",
                    () => path,
                };
                trace.flushed.push(what.to_owned());
            }
        }
    }
    trace
}

impl Trace {
    /// How often a file was opened whose name ends like this.
    fn opened(&self, end: &str) -> usize {
        self.opened.iter().filter(|path| path.ends_with(end)).count()
    }
}

/// Of a few runs the one that did least: on a busy machine a server may need longer than a command waits for it.
#[track_caller]
fn least_flushes(home: &Home, arguments: &[&str], wanted: &[&str]) {
    let mut seen = Vec::new();
    for _ in 0..5 {
        let trace = traced(home, arguments);
        if trace.flushed == wanted {
            return;
        }
        seen.push(trace.flushed);
    }
    panic!("`suibi {}` flushes {seen:#?} instead of {wanted:?}", arguments.join(" "));
}

/// A device that has joined a server and written before.
fn joined(server: &Server, data: &Path) -> Home {
    let home = Home::new();
    let line = Home::of_owner(data).invite(server, &[]);
    home.join(&line, "phone");
    for text in ["one", "two"] {
        home.suibi(&[text]).expect_success();
    }
    home
}

#[test]
fn a_note_to_a_joined_server_is_flushed_once_and_opens_each_file_once() {
    let data = tempfile::tempdir().unwrap();
    let server = Server::start_encrypted(data.path());
    let home = joined(&server, data.path());

    let trace = traced(&home, &["three"]);

    // The log, and with its first flush its name; the receipt is not waited for.
    assert_eq!(trace.flushed, ["wal", "directory"]);
    assert_eq!(trace.threads, 0);
    for (end, times) in [("notes.db", 1), ("notes.db-wal", 1), ("notes.db-shm", 1)] {
        assert_eq!(trace.opened(end), times, "{end}: {:#?}", trace.opened);
    }
    assert_eq!(trace.opened("-index.db"), 0, "{:#?}", trace.opened);
}

#[test]
fn which_time_zone_it_is_stands_in_one_file() {
    let home = Home::new();
    let mut command = home.command(&["one"]);
    command.env_remove("TZ");
    let trace = trace(&home, &command);
    assert!(trace.opened("/etc/localtime") > 0, "{:#?}", trace.opened);
    // Where there is none, names are looked for.
    if fs::read("/etc/localtime").is_ok() {
        assert_eq!(trace.opened("/etc/localtime"), 1, "{:#?}", trace.opened);
        assert!(!trace.opened.iter().any(|path| path.contains("zoneinfo")), "{:#?}", trace.opened);
    }
}

#[test]
fn a_listing_flushes_nothing_when_there_is_no_news() {
    let data = tempfile::tempdir().unwrap();
    let server = Server::start_encrypted(data.path());
    let home = joined(&server, data.path());
    home.suibi(&["log"]).expect_success();
    least_flushes(&home, &["log"], &[]);
}

#[test]
fn a_note_with_nobody_else_around_is_flushed_once_here_and_once_by_the_server_of_its_own_process() {
    let home = Home::new();
    for text in ["one", "two"] {
        home.suibi(&[text]).expect_success();
    }
    least_flushes(&home, &["three"], &["wal", "directory", "wal", "directory"]);
}

#[test]
fn of_a_server_of_its_own_process_that_was_killed_nothing_is_believed_that_may_not_be_on_the_disk()
{
    let home = Home::new();
    let lock = home.path().join("data/suibi/server.lock");
    // Where a command did not wait for a slow disk, there is no log to be doubted yet.
    let is_emptied = (0..5).any(|_| {
        home.suibi(&["before"]).expect_success();
        // What a killed one leaves.
        fs::write(&lock, "pid 4711\n").unwrap();
        traced(&home, &["after"]).flushed.iter().any(|what| what.ends_with("server.db"))
    });
    assert!(is_emptied);
}

#[test]
fn help_and_version_ask_only_which_language_to_speak() {
    let home = Home::new();
    let settings = home.path().join("config/suibi/config.toml");
    for argument in ["--help", "--version"] {
        let trace = traced(&home, &[argument]);
        let (home, settings) = (home.path().to_str().unwrap(), settings.to_str().unwrap());
        let touched = |path: &&String| path.starts_with(home) && *path != settings;
        assert_eq!(trace.opened.iter().find(touched), None);
        assert_eq!(trace.threads, 0);
    }
}

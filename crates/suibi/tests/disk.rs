//! A disk that is full, and one that cannot be written: a clear word each, nothing acknowledged that
//! is not kept, nothing lost that was.

#![allow(clippy::unwrap_used, reason = "a test may")]

mod machinery;

use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use machinery::wire::GET;
use machinery::{BOUND, Home, Server, Wire, assert_each_once, run, run_by, told};

/// The largest file that the limited server may write, in KiB. Large enough to start, too small to
/// go on for long.
const LIMIT_KIB: u32 = 1_024;

/// Runs a program with a limit on the size of each file, so that writing past it fails as it does on
/// a full disk. The signal that the limit sends besides must not end the program.
fn limited(program: &Command) -> Command {
    limited_to(LIMIT_KIB, program)
}

fn limited_to(kib: u32, program: &Command) -> Command {
    let mut command = Command::new("bash");
    command.arg("-c").arg(format!("ulimit -f {kib}; exec \"$@\"")).arg("bash");
    run_by(command, program)
}

#[test]
fn a_full_disk_refuses_notes_serves_the_old_ones_and_loses_none() {
    let data = tempfile::tempdir().unwrap();
    let arguments = ["--insecure-coap", "127.0.0.1:0"];
    let mut server = Server::spawn(&mut limited(&Server::command(data.path(), &arguments)));
    let mut wire = Wire::connect(server.address());
    let mut acknowledged = Vec::new();
    let mut refusals = 0;
    for number in 0..20_000 {
        let text = format!("note {number} {}", "x".repeat(900));
        let answer = wire.post(&text).expect("a full disk is no reason for silence");
        match answer.header.get_code().as_str() {
            "2.01" => acknowledged.push(text),
            code => {
                assert!(code.starts_with("5."), "{code}");
                assert!(!answer.payload.is_empty(), "{code} without a word");
                println!("{code} {}", String::from_utf8_lossy(&answer.payload));
                refusals += 1;
            }
        }
        if refusals == 20 {
            break;
        }
    }
    assert_eq!(refusals, 20, "the disk was never full after {} notes", acknowledged.len());
    assert!(acknowledged.len() > 10, "{}", acknowledged.len());
    // Reading goes on.
    assert_each_once(&server.notes(), &acknowledged);
    let status = wire.request(GET, &["status"], &[]);
    wire.expect(&status, "2.05");
    assert!(server.is_running());
    assert!(server.stop().success());

    // With room again, all is as if nothing had been.
    let server = Server::start(data.path());
    assert_each_once(&server.notes(), &acknowledged);
    let mut wire = Wire::connect(server.address());
    assert_eq!(wire.post("room again").unwrap().header.get_code(), "2.01");
    acknowledged.push("room again".into());
    assert_each_once(&server.notes(), &acknowledged);
}

#[test]
fn a_client_on_a_full_disk_says_so_and_acknowledges_nothing_that_it_has_not() {
    let data = tempfile::tempdir().unwrap();
    let server = Server::start(data.path());
    let home = Home::with_server(server.address());
    let mut said_saved = Vec::new();
    let mut refused = false;
    for number in 0..200 {
        let text = format!("note {number} {}", "x".repeat(60_000));
        let add = run(&mut limited(&home.command(&["-"])), text.as_bytes(), BOUND);
        if add.status.success() {
            said_saved.push(text);
        } else {
            println!("{}", add.err);
            add.expect_refusal(&[1, 5, 6]);
            refused = true;
            break;
        }
    }
    assert!(refused, "the disk was never full");
    home.sync().expect_success();
    assert_each_once(&home.log(), &said_saved);
    assert_each_once(&server.notes(), &said_saved);
}

/// A user for whom the permission bits of `dir` count: root is not one, so it becomes nobody.
struct Ordinary {
    program: PathBuf,
    become_nobody: bool,
}

impl Ordinary {
    /// `scratch` is a directory that everybody may enter.
    fn new(scratch: &Path) -> Self {
        let become_nobody = fs::metadata("/proc/self").unwrap().uid() == 0;
        // Where the program was built may be out of reach for others.
        let program = scratch.join("suibi");
        fs::copy(env!("CARGO_BIN_EXE_suibi"), &program).unwrap();
        fs::set_permissions(scratch, Permissions::from_mode(0o755)).unwrap();
        fs::set_permissions(&program, Permissions::from_mode(0o755)).unwrap();
        Self { program, become_nobody }
    }

    /// `command`, run as that user.
    fn command(&self, command: &Command) -> Command {
        let mut ordinary = if self.become_nobody {
            let mut setpriv = Command::new("setpriv");
            setpriv.args(["--reuid=65534", "--regid=65534", "--clear-groups", "--"]);
            setpriv.arg(&self.program);
            setpriv
        } else {
            Command::new(&self.program)
        };
        ordinary.args(command.get_args()).env_clear().current_dir("/");
        for (name, value) in command.get_envs() {
            if let Some(value) = value {
                ordinary.env(name, value);
            }
        }
        ordinary
    }

    /// Makes everything under `dir` readable for everybody and writable for nobody, or writable
    /// again for the owner.
    fn set_writable(dir: &Path, writable: bool) {
        let (for_dir, for_file) = if writable { (0o755, 0o644) } else { (0o555, 0o444) };
        for entry in fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                Self::set_writable(&path, writable);
            } else {
                fs::set_permissions(&path, Permissions::from_mode(for_file)).unwrap();
            }
        }
        fs::set_permissions(dir, Permissions::from_mode(for_dir)).unwrap();
    }
}

#[test]
fn a_data_directory_that_cannot_be_written_is_refused_with_a_word_and_unharmed() {
    let scratch = tempfile::tempdir().unwrap();
    let ordinary = Ordinary::new(scratch.path());
    let data = scratch.path().join("data");
    fs::create_dir(&data).unwrap();
    let arguments = ["--insecure-coap", "127.0.0.1:0"];

    let server = Server::start(&data);
    assert_eq!(
        Wire::connect(server.address()).post("there before").unwrap().header.get_code(),
        "2.01"
    );
    assert!(server.stop().success());

    Ordinary::set_writable(&data, false);
    let probe = data.join("probe");
    let touch = if ordinary.become_nobody {
        let mut setpriv = Command::new("setpriv");
        setpriv.args(["--reuid=65534", "--regid=65534", "--clear-groups", "--", "touch"]);
        setpriv
    } else {
        Command::new("touch")
    }
    .arg(&probe)
    .stderr(Stdio::null())
    .status()
    .unwrap();
    assert!(
        !touch.success(),
        "the directory can be written after all; the test would show nothing"
    );

    let refused = run(&mut ordinary.command(&Server::command(&data, &arguments)), b"", BOUND)
        .expect_refusal(&[1, 2, 5, 6]);
    println!("{}", refused.err);
    assert!(!refused.err.contains("ready"), "{refused:#?}");

    Ordinary::set_writable(&data, true);
    let server = Server::start(&data);
    assert_each_once(&server.notes(), &["there before".to_owned()]);
}

#[test]
fn a_home_that_cannot_be_written_keeps_nothing_and_says_so() {
    let scratch = tempfile::tempdir().unwrap();
    let ordinary = Ordinary::new(scratch.path());
    let home = Home::new();
    fs::set_permissions(home.path(), Permissions::from_mode(0o555)).unwrap();
    for arguments in [&["add", "a note"][..], &["-"]] {
        let add = run(&mut ordinary.command(&home.command(arguments)), b"a note\n", BOUND)
            .expect_refusal(&[1, 2, 5, 6]);
        println!("{}", add.err);
        assert!(!add.out.contains("saved") && !add.out.contains("kept"), "{add:#?}");
    }
    assert_eq!(fs::read_dir(home.path()).unwrap().count(), 0);
    fs::set_permissions(home.path(), Permissions::from_mode(0o755)).unwrap();
}

#[test]
fn a_join_on_a_full_disk_says_so_and_is_taken_up_when_there_is_room() {
    let data = tempfile::tempdir().unwrap();
    let server = Server::start_encrypted(data.path());
    let line = Home::of_owner(data.path()).invite(&server, &[]);
    let home = Home::new();
    let mut all = String::new();
    // Too small for the first file, then for the replica.
    for kib in [0, 20] {
        let join = home.command(&["join", "--name", "laptop", &line]);
        let refused = run(&mut limited_to(kib, &join), b"", BOUND).expect_refusal(&[6]);
        all.push_str(&format!("\n{}", told(&home, &refused)));
    }
    insta::assert_snapshot!(all, @"

    --- 6
    error: the file ~/data/suibi/join.pending cannot be used
    caused by: File too large (os error 27)
    hint: nothing was lost; when that is mended, join with the same line again

    --- 6
    error: the notes kept on this device cannot be used
    caused by: the disk is full
    hint: nothing was lost; make room on the disk, then join with the same line again
    ");
    home.join(&line, "laptop");
    assert!(home.suibi(&["status"]).expect_success().out.contains("laptop\n"));
}

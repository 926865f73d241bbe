//! Running a program and not waiting for ever.

use std::io::{Read, Write as _};
use std::process::{Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

/// A program that has ended.
#[derive(Debug)]
pub(crate) struct Finished {
    pub(crate) status: ExitStatus,
    pub(crate) out: String,
    pub(crate) err: String,
    pub(crate) took: Duration,
}

impl Finished {
    /// It ended well.
    #[track_caller]
    pub(crate) fn expect_success(self) -> Self {
        assert!(self.status.success(), "it failed: {self:#?}");
        self
    }

    /// It ended with this exit code, said why in words, and did not panic.
    #[track_caller]
    pub(crate) fn expect_refusal(self, codes: &[i32]) -> Self {
        let code = self.status.code();
        assert!(code.is_some_and(|code| codes.contains(&code)), "not {codes:?}: {self:#?}");
        assert!(!self.err.trim().is_empty(), "no word why: {self:#?}");
        assert!(!self.err.contains("panicked"), "{self:#?}");
        self
    }
}

/// Runs `command` with `input` as its standard input to its end.
///
/// # Panics
///
/// When it has not ended after `bound`; it is killed then.
#[track_caller]
pub(crate) fn run(command: &mut Command, input: &[u8], bound: Duration) -> Finished {
    let start = Instant::now();
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| panic!("cannot run {command:?}: {error}"));
    let mut stdin = child.stdin.take().unwrap();
    let input = input.to_vec();
    // A program that does not read its input ends the writer with an error, which is its right.
    let writer = thread::spawn(move || drop(stdin.write_all(&input)));
    let out = read_all(child.stdout.take().unwrap());
    let err = read_all(child.stderr.take().unwrap());
    let status = loop {
        match child.try_wait().unwrap() {
            Some(status) => break Some(status),
            None if start.elapsed() > bound => {
                child.kill().unwrap();
                child.wait().unwrap();
                break None;
            }
            None => thread::sleep(Duration::from_millis(2)),
        }
    };
    let took = start.elapsed();
    writer.join().unwrap();
    let (out, err) = (out.join().unwrap(), err.join().unwrap());
    let Some(status) = status else {
        panic!("no end after {bound:?}: {command:?}\nstdout: {out}\nstderr: {err}")
    };
    Finished { status, out, err, took }
}

/// What `runner`, a program that starts another one, makes of `program`: with its arguments, its environment and nothing
/// else, in its directory.
pub(crate) fn run_by(mut runner: Command, program: &Command) -> Command {
    runner.arg(program.get_program()).args(program.get_args()).env_clear();
    runner.envs(program.get_envs().filter_map(|(name, value)| Some((name, value?))));
    if let Some(dir) = program.get_current_dir() {
        runner.current_dir(dir);
    }
    runner
}

fn read_all(mut pipe: impl Read + Send + 'static) -> thread::JoinHandle<String> {
    thread::spawn(move || {
        let mut bytes = Vec::new();
        let _ = pipe.read_to_end(&mut bytes);
        String::from_utf8_lossy(&bytes).into_owned()
    })
}

//! `suibi watch` as a process of its own.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Instant;

use super::{Home, texts_of_json, wait_until};

/// A device that shows what arrives. It is killed when this is dropped.
#[derive(Debug)]
pub(crate) struct Watch {
    child: Child,
    shown: Arc<Mutex<Vec<(String, Instant)>>>,
    said: Arc<Mutex<Vec<String>>>,
}

impl Watch {
    /// Starts it, and waits until it listens.
    #[track_caller]
    pub(crate) fn start(home: &Home) -> Self {
        let mut command = home.command(&["watch", "--json"]);
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let (shown, said) = (Arc::<Mutex<Vec<_>>>::default(), Arc::<Mutex<Vec<_>>>::default());
        let out = BufReader::new(child.stdout.take().unwrap());
        let keep = Arc::clone(&shown);
        std::thread::spawn(move || {
            for line in out.lines().map_while(Result::ok) {
                let now = Instant::now();
                keep.lock().unwrap().extend(texts_of_json(&line).into_iter().map(|t| (t, now)));
            }
        });
        let err = BufReader::new(child.stderr.take().unwrap());
        let keep = Arc::clone(&said);
        std::thread::spawn(move || {
            for line in err.lines().map_while(Result::ok) {
                keep.lock().unwrap().push(line);
            }
        });
        let watch = Self { child, shown, said };
        wait_until("it listens", || {
            watch.said.lock().unwrap().iter().any(|s| s.contains("waiting"))
        });
        watch
    }

    /// What was shown so far, and when.
    pub(crate) fn shown(&self) -> Vec<(String, Instant)> {
        self.shown.lock().unwrap().clone()
    }

    /// Waits until this is shown.
    #[track_caller]
    pub(crate) fn wait_for(&self, text: &str) {
        wait_until(text, || self.shown.lock().unwrap().iter().any(|(shown, _)| shown == text));
    }

    /// Sends a signal, by name: STOP, CONT.
    #[track_caller]
    pub(crate) fn signal(&self, name: &str) {
        let id = self.child.id().to_string();
        assert!(Command::new("kill").args(["-s", name, &id]).status().unwrap().success());
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            eprintln!("the watch said: {:#?}", self.said.lock().unwrap());
        }
    }
}

//! Worlds: devices and a server, with everything that runs in them but sockets and clocks, in a bad network, on
//! disks whose power fails, restored from backups and cloned, with wrong clocks. In the end nothing that was
//! acknowledged is missing, nothing is there twice, and everybody reads the same.
//!
//! ```text
//! SUIBI_WORLDS=100000 cargo test -p suibi-sim --test worlds -- --nocapture    many more, and a tally; SUIBI_FIRST=N
//!                                                                             begins with that seed
//! SUIBI_SEED=4711     cargo test -p suibi-sim --test worlds -- --nocapture    one, with what happens in it
//! ```

#![allow(clippy::unwrap_used, reason = "a test says what went wrong by stopping")]

mod doom;
mod hub;
mod laptop;
mod life;

use std::env;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::Instant;

use life::{Tally, live};

/// Worlds in each run of the tests.
const WORLDS: u64 = 1_000;

#[test]
fn in_every_world_everything_acknowledged_is_everywhere_once_in_the_end() {
    if let Ok(seed) = env::var("SUIBI_SEED") {
        let seed = seed.parse().unwrap();
        let tally = live(seed, true).unwrap_or_else(|what| panic!("SUIBI_SEED={seed}: {what}"));
        eprintln!("{tally:?}");
        return;
    }
    let count = env::var("SUIBI_WORLDS").map_or(WORLDS, |count| count.parse().unwrap());
    // Many worlds by hand begin where others ended.
    let first = env::var("SUIBI_FIRST").map_or(1, |first| first.parse().unwrap());
    let (next, is_over) = (AtomicU64::new(first), AtomicBool::new(false));
    let found = Mutex::new((Tally::default(), Vec::new()));
    let begun = Instant::now();
    thread::scope(|scope| {
        for _ in 0..thread::available_parallelism().map_or(1, usize::from) {
            scope.spawn(|| {
                while !is_over.load(Ordering::Relaxed) {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= first + count {
                        break;
                    }
                    let lived = catch_unwind(AssertUnwindSafe(|| live(seed, false)));
                    let mut found = found.lock().unwrap();
                    match lived.unwrap_or_else(|_| Err("a panic, see above".to_owned())) {
                        Ok(tally) => found.0.add(tally),
                        Err(what) => {
                            let what = format!("SUIBI_SEED={seed}: {what}");
                            eprintln!("{what}");
                            found.1.push(what);
                        }
                    }
                    if found.1.len() >= 10 {
                        is_over.store(true, Ordering::Relaxed);
                    }
                }
            });
        }
    });
    let (tally, trouble) = found.into_inner().unwrap();
    let minutes = begun.elapsed().as_secs_f64() / 60.0;
    eprintln!("{count} worlds, {:.0} a minute: {tally:?}", count as f64 / minutes);
    assert!(trouble.is_empty(), "{}", trouble.join("\n"));
    if count >= WORLDS {
        let Tally { changes, deaths, restores, clones, rescued, recovered, twice, .. } = tally;
        let all = [changes, deaths, restores, clones, rescued, recovered];
        assert!(all.iter().all(|count| *count > 0), "something never happened: {tally:?}");
        assert!(twice * 100 < rescued, "too much is there twice: {tally:?}");
    }
}

//! Daily notes over the network.
//!
//! `main` only hands over: what the words mean is in [`cli`], where values come from in [`settings`],
//! how notes look in [`render`].

#[cfg(test)]
#[path = "../build/catalogue.rs"]
mod catalogue;
mod cli;
mod clock;
mod day_words;
mod errors;
mod failure;
mod happened;
mod lang;
mod numbers;
mod prompt;
mod render;
mod say;
mod session;
mod settings;
mod story;
mod tasks;
mod ui;

use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

fn main() -> ExitCode {
    // A file that reaches its limit (`ulimit -f`) is a write that fails and is reported, as on a full disk; by
    // default it would be a death without a word. Nobody reads the flag, it is only not the default. Should this
    // fail, the death is the worst that follows.
    let _ =
        signal_hook::flag::register(signal_hook::consts::SIGXFSZ, Arc::new(AtomicBool::new(false)));
    cli::run(std::env::args_os().skip(1).collect())
}

//! Daily notes over the network.
//!
//! `main` only hands over: what the words mean is in [`cli`], where values come from in [`settings`],
//! how notes look in [`render`].

mod cli;
mod clock;
mod day_words;
mod failure;
mod prompt;
mod render;
mod session;
mod settings;
mod ui;

use std::process::ExitCode;

fn main() -> ExitCode {
    cli::run(std::env::args_os().skip(1).collect())
}

//! How far long work is: a bar on a terminal, and only when it takes longer than a blink.
//!
//! ```text
//! ━━━━━━━━━━━━━╸────────── 51,200 of 100,000 changes · 48,312/s · 1s left
//! ```

use std::io::{self, IsTerminal as _};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::say;
use crate::ui::Ui;

/// What is done within this needs no bar.
const BLINK: Duration = Duration::from_millis(200);

/// How often it is drawn, and how often it moves when nothing does.
const DRAWN_PER_SECOND: u8 = 10;
const TICK: Duration = Duration::from_millis(200);

/// A bar that shows itself when it is time. Its copies are the same bar.
#[derive(Debug, Clone)]
pub(crate) struct Progress {
    bar: Option<ProgressBar>,
    begun: Instant,
    is_shown: bool,
}

impl Progress {
    /// One that nobody sees yet; nobody ever, where talk is not wanted or there is no terminal.
    pub(crate) fn new(ui: &Ui) -> Self {
        let is_wanted = !ui.quiet && io::stderr().is_terminal();
        let bar =
            is_wanted.then(|| ProgressBar::with_draw_target(None, ProgressDrawTarget::hidden()));
        Self { bar, begun: Instant::now(), is_shown: false }
    }

    /// So much of so much is done, in changes.
    pub(crate) fn tell(&mut self, done: u64, of: u64) {
        let Some(bar) = &self.bar else { return };
        bar.set_length(of.max(done));
        bar.set_position(done);
        if !self.is_shown && self.begun.elapsed() >= BLINK {
            self.is_shown = true;
            bar.set_style(
                ProgressStyle::with_template(&say::sync::Bar.to_string())
                    .expect("the template is right")
                    .progress_chars("━╸─"),
            );
            bar.set_draw_target(ProgressDrawTarget::stderr_with_hz(DRAWN_PER_SECOND));
            bar.enable_steady_tick(TICK);
        }
    }

    /// The line is free again.
    pub(crate) fn finish(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

//! `… | suibi`: each line that is not empty is a note.

use std::io::{self, BufRead as _};
use std::time::{Duration, Instant};

use super::{Context, add};
use crate::failure::{Exit, Failure};
use crate::render::saved;
use crate::render::style::HINT;
use crate::say;
use crate::session::{self, Session};

/// How long the end waits for the server's word about the last lines.
const LAST_WORD_WITHIN: Duration = Duration::from_millis(800);

pub(super) fn run(context: &mut Context) -> Result<Exit, Failure> {
    let mut session = session::open(&context.settings)?;
    // The background delivers in batches while lines still come.
    let events = session.live()?;
    let mut kept = 0_u64;
    let mut said = 0_u64;
    let mut refused = 0_u64;
    let mut is_recoding_needed = false;
    let mut input = io::stdin().lock();
    for number in 1_u64.. {
        let mut bytes = Vec::new();
        if input.read_until(b'\n', &mut bytes)? == 0 {
            break;
        }
        let line = match add::readable(bytes) {
            Ok(line) => line,
            Err(why) => {
                context.ui.complain(say::add::LineRefused { number, why });
                refused += 1;
                is_recoding_needed = true;
                continue;
            }
        };
        let text = line.trim();
        if text.is_empty() {
            continue;
        }
        match add::check(text) {
            Ok(()) => {
                let dated = add::dated(text)?;
                session.add(dated.text, dated.time)?;
                kept += 1;
                said += u64::from(dated.is_dated);
            }
            Err(why) => {
                context.ui.complain(say::add::LineRefused { number, why });
                refused += 1;
            }
        }
    }
    if is_recoding_needed {
        context.ui.complain(format_args!(
            "{HINT}{}{HINT:#} {}",
            say::failure::Hint,
            say::add::Recode
        ));
    }
    let waiting = wait_for_the_server(&mut session, || while events.try_recv().is_ok() {})?;
    session.stop_live();
    if kept == 0 && refused == 0 {
        context.ui.say(say::add::NothingCameIn);
    } else if kept > 0 {
        context.ui.say(saved::summary(kept, waiting));
        if said > 0 {
            context.ui.say(say::when::SeveralDated { notes: said });
        }
    }
    Ok(match (refused, waiting) {
        (0, 0) => Exit::Done,
        (0, _) if context.require_server => Exit::KeptLocally,
        (0, _) => Exit::Done,
        _ => Exit::Usage,
    })
}

/// How many notes still wait when the server has confirmed all, or has said nothing new for a while.
fn wait_for_the_server(session: &mut Session, mut hear: impl FnMut()) -> Result<u64, Failure> {
    let mut waiting = session.waiting()?;
    let mut until = Instant::now() + LAST_WORD_WITHIN;
    while waiting > 0 && Instant::now() < until {
        std::thread::sleep(Duration::from_millis(1));
        hear();
        let now = session.waiting()?;
        if now < waiting {
            until = Instant::now() + LAST_WORD_WITHIN;
        }
        waiting = now;
    }
    Ok(waiting)
}

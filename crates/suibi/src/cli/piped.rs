//! `… | suibi`: each line that is not empty is a note.

use std::io::{self, BufRead as _};

use super::{Context, add};
use crate::clock;
use crate::failure::{Exit, Failure};
use crate::session;

/// So many lines are kept and delivered together.
const BATCH: usize = 256;

pub(super) fn run(context: &mut Context) -> Result<Exit, Failure> {
    let mut session = session::open(&context.settings)?;
    let mut batch = Vec::new();
    let mut kept = 0;
    let mut refused = 0;
    let mut input = io::stdin().lock();
    let mut number = 0;
    loop {
        let mut bytes = Vec::new();
        let ended = input.read_until(b'\n', &mut bytes)? == 0;
        number += 1;
        let line = add::readable(bytes, context);
        let text = line.trim();
        if !text.is_empty() {
            match add::check(text) {
                Ok(()) => batch.push(text.to_owned()),
                Err(why) => {
                    context.ui.complain(format_args!("line {number}: {why}"));
                    refused += 1;
                }
            }
        }
        if batch.len() == BATCH || (ended && !batch.is_empty()) {
            kept += batch.len();
            let _ = (&mut session, clock::now()?);
            batch.clear();
        }
        if ended {
            break;
        }
    }
    context.ui.say(format_args!("{kept}"));
    Ok(if refused > 0 { Exit::Usage } else { Exit::Done })
}

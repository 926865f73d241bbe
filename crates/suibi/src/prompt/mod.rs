//! The prompt: recent days first, then each line is a note.

mod line;

use crate::cli::Context;
use crate::failure::{Exit, Failure};

pub(crate) fn run(_context: &mut Context) -> Result<Exit, Failure> {
    let _ = (line::Line::parse(""), line::HELP);
    unimplemented!()
}

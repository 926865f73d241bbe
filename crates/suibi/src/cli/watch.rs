use clap::Args;

use super::Context;
use crate::failure::{Exit, Failure};

#[derive(Debug, Args)]
pub(super) struct WatchArgs {}

pub(super) fn run(_args: WatchArgs, _context: &mut Context) -> Result<Exit, Failure> {
    unimplemented!()
}

use clap::Args;

use super::Context;
use crate::failure::{Exit, Failure};

#[derive(Debug, Args)]
pub(super) struct SyncArgs {}

pub(super) fn run(_args: SyncArgs, _context: &mut Context) -> Result<Exit, Failure> {
    unimplemented!()
}

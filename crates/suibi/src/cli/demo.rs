use clap::Args;

use super::Context;
use crate::failure::{Exit, Failure};

#[derive(Debug, Args)]
pub(super) struct DemoArgs {}

pub(super) fn run(_args: DemoArgs, _context: &mut Context) -> Result<Exit, Failure> {
    unimplemented!()
}

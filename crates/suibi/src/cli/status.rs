use super::Context;
use crate::failure::{Exit, Failure};
pub(super) fn run(_context: &mut Context) -> Result<Exit, Failure> {
    unimplemented!()
}

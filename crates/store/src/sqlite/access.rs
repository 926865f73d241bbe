//! Who may use the store: journals, devices, invites, and the trail of what became of them.

use rusqlite::Connection;

use crate::{Access, StoreError};

/// Everything, as one state of the file has it.
pub(crate) fn read(_conn: &mut Connection) -> Result<Access, StoreError> {
    unimplemented!()
}

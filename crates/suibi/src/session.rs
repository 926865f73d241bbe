//! The journal as a command sees it: this device's replica, and the server behind it.

use suibi_journal::{Note, NoteTime, Query};

use crate::failure::Failure;
use crate::settings::Settings;
use crate::ui::Ui;

/// An open journal.
pub(crate) struct Session {}

/// What became of a note.
pub(crate) struct Added {
    pub(crate) note: Note,
    /// Notes of this device that the server has not confirmed yet.
    pub(crate) waiting: u64,
}

/// Opens this device's replica.
pub(crate) fn open(settings: &Settings) -> Result<Session, Failure> {
    settings.server()?;
    settings.data_dir()?;
    settings.device()?;
    Ok(Session {})
}

impl Session {
    pub(crate) fn refresh(&mut self, _ui: &Ui) {}

    pub(crate) fn notes(&mut self, _query: &Query) -> Result<Vec<Note>, Failure> {
        Ok(Vec::new())
    }

    pub(crate) fn tags(&mut self) -> Result<Vec<(String, u64)>, Failure> {
        Ok(Vec::new())
    }

    pub(crate) fn add(&mut self, _text: &str, _time: NoteTime) -> Result<Added, Failure> {
        unimplemented!()
    }
}

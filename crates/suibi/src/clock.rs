//! What time it is here, with the offset that a note keeps.

use suibi_journal::{Day, NoteTime};

use crate::failure::Failure;

/// The environment variable that is taken as the present moment, for tests and examples.
const NOW: &str = "SUIBI_NOW";

/// The present moment at this machine's offset (`TZ` is honoured).
///
/// # Errors
///
/// `SUIBI_NOW` that is no time.
pub(crate) fn now() -> Result<NoteTime, Failure> {
    if let Some(text) = std::env::var_os(NOW) {
        return text.to_string_lossy().parse().map_err(|error| {
            Failure::usage(format!("{NOW} is not a time such as 2026-11-23T09:05:00.000+08:00"))
                .because(&error)
        });
    }
    NoteTime::of(&jiff::Zoned::now()).map_err(|error| {
        Failure::usage("this machine's clock shows a time that no note can have").because(&error)
    })
}

/// The civil day that it is here.
pub(crate) fn today() -> Result<Day, Failure> {
    Ok(now()?.day())
}

//! The few colours, all from the terminal's own sixteen, so that they fit its theme.

use anstyle::{AnsiColor, Style};

/// A day's header line.
pub(crate) const DAY: Style = Style::new().bold();
/// Times, sources, and other things beside the text.
pub(crate) const DIM: Style = Style::new().dimmed();
/// The short number of a note in a listing.
pub(crate) const NUMBER: Style = AnsiColor::Blue.on_default();
/// The star of a note.
pub(crate) const STAR: Style = AnsiColor::Yellow.on_default();
/// A tag inside a text.
pub(crate) const TAG: Style = AnsiColor::Cyan.on_default();
/// What was searched for, inside a text.
pub(crate) const HIT: Style = AnsiColor::Magenta.on_default().bold();
/// The mark of something that is safe on the server.
pub(crate) const GOOD: Style = AnsiColor::Green.on_default();
/// The mark of something that still waits.
pub(crate) const WAITING: Style = AnsiColor::Yellow.on_default();
/// What is there no more.
pub(crate) const GONE: Style = AnsiColor::Red.on_default();
/// `error:`.
pub(crate) const ERROR: Style = AnsiColor::Red.on_default().bold();
/// `hint:` and `caused by:`.
pub(crate) const HINT: Style = Style::new().bold();
/// The sign in front of the line that is being typed.
pub(crate) const PROMPT: Style = AnsiColor::Cyan.on_default().bold();

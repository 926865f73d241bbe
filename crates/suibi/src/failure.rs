//! How a command ends when it does not end well: an exit code, and words that help.

use std::error::Error;
use std::fmt;
use std::io;

use crate::errors::told;
use crate::say::failure as say;

/// What the shell is told. The numbers are documented in `docs/cli.md` and never change meaning.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Exit {
    /// Done.
    Done = 0,
    /// A listing or search that found no note.
    NothingMatched = 1,
    /// The command line or the configuration cannot be understood.
    Usage = 2,
    /// Kept on this device, not on the server, and `--require-server` was asked for.
    KeptLocally = 3,
    /// The server does not let this device in, or not do this.
    NotAllowed = 4,
    /// No server in reach, or an address that cannot be used.
    Network = 5,
    /// A file of the data directory cannot be read or written.
    Data = 6,
    /// Left with Ctrl-C.
    Interrupted = 130,
}

impl Exit {
    pub(crate) const ALL: [Self; 8] = [
        Self::Done,
        Self::NothingMatched,
        Self::Usage,
        Self::KeptLocally,
        Self::NotAllowed,
        Self::Network,
        Self::Data,
        Self::Interrupted,
    ];
}

/// Why a command ends without having done what was asked.
///
/// Shown as `error:`, a `caused by:` for each cause, and `hint:` for the next thing to try.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) exit: Exit,
    what: String,
    causes: Vec<String>,
    hint: Option<String>,
}

impl Failure {
    pub(crate) fn new(exit: Exit, what: impl fmt::Display) -> Self {
        Self { exit, what: what.to_string(), causes: Vec::new(), hint: None }
    }

    pub(crate) fn usage(what: impl fmt::Display) -> Self {
        Self::new(Exit::Usage, what)
    }

    /// Adds `error` and everything below it as causes, leaving out what only repeats the line above.
    pub(crate) fn because(mut self, error: &(dyn Error + 'static)) -> Self {
        let mut next = Some(error);
        while let Some(error) = next {
            let text = told(error);
            let above = self.causes.last().unwrap_or(&self.what);
            if !above.contains(&text) {
                self.causes.push(text);
            }
            next = error.source();
        }
        self
    }

    /// [`Failure::because`] for an error whose own text is the failure's.
    pub(crate) fn because_of(self, error: &(dyn Error + 'static)) -> Self {
        match error.source() {
            Some(source) => self.because(source),
            None => self,
        }
    }

    pub(crate) fn hint(mut self, hint: impl fmt::Display) -> Self {
        self.hint = Some(hint.to_string());
        self
    }

    /// The hint where there is none better.
    pub(crate) fn hint_unless(self, hint: impl fmt::Display) -> Self {
        if self.hint.is_some() { self } else { self.hint(hint) }
    }

    /// An end about which everything has been said.
    pub(crate) fn silent(exit: Exit) -> Self {
        Self::new(exit, String::new())
    }

    /// What failed with its causes in one line, and the hint.
    pub(crate) fn parts(&self) -> (String, Option<&str>) {
        let what: Vec<&str> =
            std::iter::once(&self.what).chain(&self.causes).map(String::as_str).collect();
        (what.join(": "), self.hint.as_deref())
    }

    /// Whether there is nothing to show.
    pub(crate) fn is_silent(&self) -> bool {
        self.what.is_empty()
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        use crate::render::style::{ERROR, HINT};
        write!(f, "{ERROR}{}{ERROR:#} {}", say::Error, self.what)?;
        for cause in &self.causes {
            write!(f, "\n{HINT}{}{HINT:#} {cause}", say::Cause)?;
        }
        if let Some(hint) = &self.hint {
            write!(f, "\n{HINT}{}{HINT:#} {hint}", say::Hint)?;
        }
        Ok(())
    }
}

/// Standard output or input failed. A reader that went away (`suibi log | head`) is no failure of ours.
impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        if error.kind() == io::ErrorKind::BrokenPipe {
            return Self::silent(Exit::Done);
        }
        Self::new(Exit::Data, say::CannotReadOrWrite).because(&error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_names_each_cause_once_and_the_way_out() {
        let inner = io::Error::other("disk on fire");
        let failure = Failure::new(Exit::Data, "cannot keep the note")
            .because(&inner)
            .because(&inner)
            .hint("buy a bucket");
        let plain = anstream::adapter::strip_str(&failure.to_string()).to_string();
        assert_eq!(
            plain,
            "error: cannot keep the note\ncaused by: disk on fire\nhint: buy a bucket"
        );
    }
}

//! What a line at the prompt means.

use crate::say::prompt as say;

/// A line at the prompt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Line {
    /// Nothing but spaces.
    Empty,
    /// To be kept.
    Note(String),
    Help,
    /// Today's notes; what else narrows them.
    Today(String),
    On(String),
    Search(String),
    /// The notes; what narrows them, or how many of the newest.
    Log(String),
    Undo,
    /// Something is done with notes, which these words name.
    With(Deed, Vec<String>),
    Sync,
    Status,
    Quit,
    /// A command that lacks its words, or has some that it cannot take; with a sentence about it.
    Misused(String),
    /// `/word` that is no command. Nothing is kept.
    Unknown(String),
}

/// What can be done with notes at the prompt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Deed {
    Show,
    Star,
    Unstar,
    Remove,
    Restore,
}

impl Line {
    /// Lines that start with `/` are commands, with `//` notes that start with `/`; the words of the
    /// exercise count alone on a line; everything else is a note.
    pub(super) fn parse(line: &str) -> Self {
        let trimmed = line.trim();
        match trimmed {
            "" => return Self::Empty,
            "?" | "？" | "h" => return Self::Help,
            "q" | "quit" => return Self::Quit,
            "r" => return Self::Log(String::new()),
            "s" => return Self::Sync,
            _ => {}
        }
        if trimmed.starts_with("//") {
            return Self::Note(trimmed[1..].to_owned());
        }
        let Some(command) = trimmed.strip_prefix('/') else {
            return Self::Note(trimmed.to_owned());
        };
        let (word, rest) = command.split_once(char::is_whitespace).unwrap_or((command, ""));
        let rest = rest.trim();
        match (word, rest) {
            ("help" | "h" | "?", "") => Self::Help,
            ("today" | "t", filter) => Self::Today(filter.to_owned()),
            ("undo" | "u", "") => Self::Undo,
            ("show" | "star" | "unstar" | "rm" | "restore", "") => {
                Self::Misused(say::WhichNote.to_string())
            }
            ("show", notes) => Self::With(Deed::Show, words(notes)),
            ("star", notes) => Self::With(Deed::Star, words(notes)),
            ("unstar", notes) => Self::With(Deed::Unstar, words(notes)),
            ("rm", notes) => Self::With(Deed::Remove, words(notes)),
            ("restore", notes) => Self::With(Deed::Restore, words(notes)),
            ("sync" | "s", "") => Self::Sync,
            ("status", "") => Self::Status,
            ("quit" | "q" | "exit", "") => Self::Quit,
            ("log" | "list" | "r", filter) => Self::Log(filter.to_owned()),
            ("search" | "/", "") => Self::Misused(say::SearchWords.to_string()),
            ("search", words) => Self::Search(words.to_owned()),
            ("on", "") => Self::Misused(say::OnDay.to_string()),
            ("on", day) => Self::On(day.to_owned()),
            (
                "help" | "h" | "?" | "undo" | "u" | "sync" | "s" | "status" | "quit" | "q" | "exit",
                _,
            ) => Self::Misused(say::Alone.to_string()),
            _ => Self::Unknown(word.to_owned()),
        }
    }
}

/// Words, without the quotes that a shell would have taken away.
fn words(text: &str) -> Vec<String> {
    text.split_whitespace().map(|word| word.trim_matches(['\'', '"']).to_owned()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lang::tests::in_chinese;
    use crate::render::wrap::columns;

    #[test]
    fn commands_notes_and_the_words_of_the_exercise() {
        for (line, wanted) in [
            ("  ", Line::Empty),
            ("bought milk", Line::Note("bought milk".into())),
            (" 今天很好 ", Line::Note("今天很好".into())),
            ("?", Line::Help),
            ("h", Line::Help),
            ("q", Line::Quit),
            ("quit", Line::Quit),
            ("r", Line::Log(String::new())),
            ("s", Line::Sync),
            ("r u there", Line::Note("r u there".into())),
            ("quit smoking", Line::Note("quit smoking".into())),
            ("/today", Line::Today(String::new())),
            ("/t #shop", Line::Today("#shop".into())),
            ("/search milk eggs", Line::Search("milk eggs".into())),
            ("/search", Line::Misused(say::SearchWords.to_string())),
            ("/on yesterday", Line::On("yesterday".into())),
            ("/log", Line::Log(String::new())),
            ("/log 20", Line::Log("20".into())),
            ("/log last week #shop", Line::Log("last week #shop".into())),
            ("/undo", Line::Undo),
            ("/undo it", Line::Misused(say::Alone.to_string())),
            ("/rm 3 '#7'", Line::With(Deed::Remove, vec!["3".into(), "#7".into()])),
            ("/quit", Line::Quit),
            ("/quit now", Line::Misused(say::Alone.to_string())),
            ("/usr/bin is full", Line::Unknown("usr/bin".into())),
            ("//usr/bin is full", Line::Note("/usr/bin is full".into())),
            ("/", Line::Unknown(String::new())),
        ] {
            assert_eq!(Line::parse(line), wanted, "{line:?}");
        }
    }

    #[test]
    fn help_fits_a_small_terminal() {
        let fits = || say::Help.to_string().lines().all(|line| columns(line) < 80);
        assert!(fits() && in_chinese(fits));
    }
}

//! What a line at the prompt means.

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
    Misused(&'static str),
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
                Self::Misused("which note? its number in the last listing, as in /rm 3, or last")
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
            ("search" | "/", "") => Self::Misused("/search needs words, as in /search milk"),
            ("search", words) => Self::Search(words.to_owned()),
            ("on", "") => Self::Misused("/on needs a day, as in /on yesterday or /on 11-23"),
            ("on", day) => Self::On(day.to_owned()),
            (
                "help" | "h" | "?" | "undo" | "u" | "sync" | "s" | "status" | "quit" | "q" | "exit",
                _,
            ) => Self::Misused("that command stands alone on its line"),
            _ => Self::Unknown(word.to_owned()),
        }
    }
}

/// Words, without the quotes that a shell would have taken away.
fn words(text: &str) -> Vec<String> {
    text.split_whitespace().map(|word| word.trim_matches(['\'', '"']).to_owned()).collect()
}

/// What `/help` prints.
pub(super) const HELP: &str = "  Each line is a note. Tags are #tag and @tag.

  /today            today's notes            ?  h   this help
  /on WHEN          one day's notes          r      all notes
  /search WORDS     notes with these words   s      exchange notes now
  /log [N]          all notes, or newest N   q      leave
                    each takes #tag, --not WORD, --since WHEN, -n N …
  /undo             take back the last thing
  /rm N  /show N    the note numbered N in the last listing; so /restore N,
  /star N           /unstar N
  /sync             exchange notes now       Ctrl-C clears the line
  /status           where the notes are      Ctrl-D leaves
  //text            a note that begins with /";

#[cfg(test)]
mod tests {
    use super::*;

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
            ("/search", Line::Misused("/search needs words, as in /search milk")),
            ("/on yesterday", Line::On("yesterday".into())),
            ("/log", Line::Log(String::new())),
            ("/log 20", Line::Log("20".into())),
            ("/log last week #shop", Line::Log("last week #shop".into())),
            ("/undo", Line::Undo),
            ("/undo it", Line::Misused("that command stands alone on its line")),
            ("/rm 3 '#7'", Line::With(Deed::Remove, vec!["3".into(), "#7".into()])),
            ("/quit", Line::Quit),
            ("/quit now", Line::Misused("that command stands alone on its line")),
            ("/usr/bin is full", Line::Unknown("usr/bin".into())),
            ("//usr/bin is full", Line::Note("/usr/bin is full".into())),
            ("/", Line::Unknown(String::new())),
        ] {
            assert_eq!(Line::parse(line), wanted, "{line:?}");
        }
    }

    #[test]
    fn help_fits_a_small_terminal() {
        assert!(HELP.lines().all(|line| line.chars().count() < 80));
    }
}

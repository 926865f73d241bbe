//! Where words go: data to standard output, talk to standard error, colours only where they can be seen.

use std::fmt::Display;
use std::io::{self, BufRead as _, BufWriter, IsTerminal, Write};

use anstream::{AutoStream, ColorChoice};

/// Both streams, and what the person asked of them.
pub(crate) struct Ui {
    out: BufWriter<AutoStream<io::Stdout>>,
    color: ColorChoice,
    pub(crate) json: bool,
    pub(crate) quiet: bool,
}

impl Ui {
    pub(crate) fn new(color: ColorChoice, json: bool, quiet: bool) -> Self {
        let out = BufWriter::new(AutoStream::new(io::stdout(), color));
        Self { out, color, json, quiet }
    }

    /// Standard output, buffered; [`Ui::flush`] ends it.
    pub(crate) fn out(&mut self) -> &mut impl Write {
        &mut self.out
    }

    pub(crate) fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }

    /// One line of talk, silenced by `--quiet`.
    pub(crate) fn say(&self, line: impl Display) {
        if !self.quiet {
            self.complain(line);
        }
    }

    /// One line of talk that `--quiet` does not silence. When nobody can read it, that is nobody's fault.
    pub(crate) fn complain(&self, line: impl Display) {
        let _ = writeln!(AutoStream::new(io::stderr(), self.color), "{line}");
    }

    /// A question, on the line on which the answer is typed.
    pub(crate) fn ask(&self, question: impl Display) {
        let mut stream = AutoStream::new(io::stderr(), self.color);
        let _ = write!(stream, "{question}").and_then(|()| stream.flush());
    }

    /// Whether somebody is there who can answer.
    pub(crate) fn can_ask(&self) -> bool {
        io::stdin().is_terminal() && io::stderr().is_terminal()
    }

    /// Whether the answer to a question is yes; no is what goes without saying.
    ///
    /// # Errors
    ///
    /// A terminal that cannot be read.
    pub(crate) fn confirm(&self, question: impl Display) -> io::Result<bool> {
        self.ask(question);
        let mut answer = String::new();
        io::stdin().lock().read_line(&mut answer)?;
        Ok(matches!(answer.trim().to_lowercase().as_str(), "y" | "yes" | "是" | "好"))
    }

    /// Columns and rows of the terminal that shows the talk, if one does.
    pub(crate) fn talk_size(&self) -> Option<(usize, usize)> {
        if !io::stderr().is_terminal() {
            return None;
        }
        let (width, height) = terminal_size::terminal_size_of(io::stderr())?;
        Some((usize::from(width.0), usize::from(height.0)))
    }

    /// Whether talk may have colours.
    pub(crate) fn talk_has_colours(&self) -> bool {
        AutoStream::new(io::stderr(), self.color).current_choice() != ColorChoice::Never
    }

    pub(crate) fn is_terminal(&self) -> bool {
        io::stdout().is_terminal()
    }

    /// Columns of the terminal, or `None` where the output is no terminal and nothing is wrapped.
    pub(crate) fn width(&self) -> Option<usize> {
        if !self.is_terminal() {
            return None;
        }
        let (width, _) = terminal_size::terminal_size_of(io::stdout())?;
        Some(usize::from(width.0)).filter(|width| *width >= 20)
    }

    /// One JSON document on standard output, ended by a newline.
    pub(crate) fn json(&mut self, value: &impl serde::Serialize) -> io::Result<()> {
        serde_json::to_writer_pretty(&mut self.out, value).map_err(io::Error::from)?;
        writeln!(self.out)
    }

    /// One JSON document on one line, at once, for streams such as `watch --json`.
    pub(crate) fn json_line(&mut self, value: &impl serde::Serialize) -> io::Result<()> {
        serde_json::to_writer(&mut self.out, value).map_err(io::Error::from)?;
        writeln!(self.out)?;
        self.out.flush()
    }
}

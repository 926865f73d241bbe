//! The line being typed: editing, Ctrl-C, and printing above it.

use std::sync::{Arc, Mutex, PoisonError};

use rustyline::config::Configurer as _;
use rustyline::error::ReadlineError;
use rustyline::history::MemHistory;
use rustyline::{
    Cmd, ConditionalEventHandler, Config, Event, EventContext, EventHandler, ExternalPrinter as _,
    KeyEvent, RepeatCount,
};

use crate::failure::Failure;
use crate::render::style::PROMPT;

/// What stands before the line.
const SIGN: &str = "› ";

/// What was typed.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Typed {
    Line(String),
    /// Ctrl-C; whether there was something on the line.
    Cleared(bool),
    /// Ctrl-D, or the terminal is gone.
    End,
}

/// The editor. Lines that were typed come back with the arrow keys; they are a diary, so no file has them.
pub(super) struct Editor {
    editor: rustyline::Editor<(), MemHistory>,
    cleared: Arc<Mutex<String>>,
}

/// Keeps what stood on the line when Ctrl-C cleared it.
struct KeepLine(Arc<Mutex<String>>);

impl ConditionalEventHandler for KeepLine {
    fn handle(
        &self,
        _: &Event,
        _: RepeatCount,
        _: bool,
        context: &EventContext<'_>,
    ) -> Option<Cmd> {
        context.line().clone_into(&mut lock(&self.0));
        Some(Cmd::Interrupt)
    }
}

impl Editor {
    pub(super) fn new() -> Result<Self, Failure> {
        let config = Config::builder().auto_add_history(false).build();
        let mut editor = rustyline::Editor::with_history(config, MemHistory::new())
            .map_err(|error| no_terminal(&error))?;
        editor.set_max_history_size(1000).map_err(|error| no_terminal(&error))?;
        let cleared = Arc::new(Mutex::new(String::new()));
        let keep = KeepLine(Arc::clone(&cleared));
        editor.bind_sequence(KeyEvent::ctrl('C'), EventHandler::Conditional(Box::new(keep)));
        Ok(Self { editor, cleared })
    }

    /// Prints text above the line, from any thread; straight to the terminal where there is no line.
    pub(super) fn printer(&mut self) -> Box<dyn FnMut(String) + Send> {
        match self.editor.create_external_printer() {
            Ok(mut printer) => Box::new(move |text| {
                // The terminal is gone, and with it whoever would read it.
                let _ = printer.print(text);
            }),
            Err(_) => Box::new(|text| anstream::print!("{text}")),
        }
    }

    /// One line from the person.
    ///
    /// # Errors
    ///
    /// A terminal that cannot be read.
    pub(super) fn read(&mut self) -> Result<Typed, Failure> {
        let sign = (SIGN, format!("{PROMPT}{SIGN}{PROMPT:#}"));
        match self.editor.readline(&sign) {
            Ok(line) => {
                self.remember(&line);
                Ok(Typed::Line(line))
            }
            Err(ReadlineError::Interrupted) => {
                let line = std::mem::take(&mut *lock(&self.cleared));
                self.remember(&line);
                Ok(Typed::Cleared(!line.trim().is_empty()))
            }
            Err(ReadlineError::Eof) => Ok(Typed::End),
            Err(error) => Err(no_terminal(&error)),
        }
    }

    fn remember(&mut self, line: &str) {
        if !line.trim().is_empty() {
            // In memory only; at worst an arrow key brings one line less.
            let _ = self.editor.add_history_entry(line);
        }
    }
}

fn lock(text: &Mutex<String>) -> std::sync::MutexGuard<'_, String> {
    text.lock().unwrap_or_else(PoisonError::into_inner)
}

fn no_terminal(error: &ReadlineError) -> Failure {
    Failure::new(crate::failure::Exit::Data, crate::say::prompt::NoTerminal).because(error)
}

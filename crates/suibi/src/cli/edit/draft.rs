//! The file in which a person edits a note: safe from crashes, and from everybody else's eyes.
//!
//! ```text
//! DATA-DIR/drafts/019a0b5e-8c68-7000-8000-000000000001/note.md
//! ```

use std::fs::{self, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use signal_hook::consts::{SIGINT, SIGQUIT};
use suibi_store::create_directory;

use super::add;
use crate::failure::{Exit, Failure};
use crate::say::edit as say;
use crate::story::Story;

/// More texts of one note than this are not kept beside each other.
const MOST_DRAFTS: usize = 100;

/// Editors for whoever has named none, the friendliest first.
const EDITORS: [&str; 4] = ["sensible-editor", "nano", "vim", "vi"];

/// A text on its way, in a directory of its own, since editors leave copies beside it.
#[derive(Debug)]
pub(super) struct Draft {
    directory: PathBuf,
    file: PathBuf,
    earlier: Option<PathBuf>,
}

impl Draft {
    /// A file with the text of the note.
    pub(super) fn new(data_dir: &Path, story: &Story) -> Result<Self, Failure> {
        let mut text = story.text().to_owned();
        if !text.ends_with('\n') {
            text.push('\n');
        }
        Self::with(data_dir, story, &text).map_err(|error| unusable(data_dir, &error))
    }

    /// Keeps a text that could not be written, and says where.
    pub(super) fn kept(data_dir: &Path, story: &Story, text: &str) -> Result<PathBuf, Failure> {
        let draft =
            Self::with(data_dir, story, text).map_err(|error| unusable(data_dir, &error))?;
        Ok(draft.file)
    }

    fn with(data_dir: &Path, story: &Story, text: &str) -> io::Result<Self> {
        let drafts = data_dir.join("drafts");
        create_directory(&drafts)?;
        let mut earlier = None;
        for number in 1..=MOST_DRAFTS {
            let name = match number {
                1 => story.id.to_string(),
                number => format!("{}-{number}", story.id),
            };
            let directory = drafts.join(name);
            let file = directory.join("note.md");
            match fs::create_dir(&directory) {
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                    earlier = Some(file).filter(|file| file.exists()).or(earlier);
                    continue;
                }
                made => made?,
            }
            let mut options = OpenOptions::new();
            let mut written = options.write(true).create_new(true).mode(0o600).open(&file)?;
            written.write_all(text.as_bytes())?;
            written.sync_all()?;
            return Ok(Self { directory, file, earlier });
        }
        Err(io::Error::other(say::FullOfTexts { dir: drafts.display() }.to_string()))
    }

    /// A text of the same note that was never written.
    pub(super) fn earlier(&self) -> Option<&Path> {
        self.earlier.as_deref()
    }

    /// Lets the person edit it, and reads what came of it.
    ///
    /// # Errors
    ///
    /// No editor, or one that ended badly, or no text; what was changed until then is kept, and the failure says where.
    pub(super) fn edit(&self) -> Result<String, Failure> {
        let before = fs::read(&self.file).unwrap_or_default();
        let editor = editor();
        let ended = editor.as_deref().map(|editor| run(editor, &self.file));
        let after = fs::read(&self.file);
        let kept = || match after.as_ref().is_ok_and(|after| *after != before) {
            true => Some(say::YourTextIsKept { file: self.file.display() }),
            false => {
                self.remove();
                None
            }
        };
        let failed = |failure: Failure, hint: String| match kept() {
            Some(kept) => failure.hint(kept),
            None => failure.hint(hint),
        };
        let name = say::NameAnEditor.to_string();
        match ended {
            None => {
                return Err(failed(Failure::usage(say::NoEditor), name));
            }
            Some(Err(error)) => {
                let failure = Failure::usage(say::EditorCannotRun);
                return Err(failed(failure.because(&error), name));
            }
            Some(Ok(status)) if !status.success() => {
                let what = say::EditorEndedBadly { status };
                let hint = match status.code() {
                    // What `sh` says of a program that it does not find or may not run.
                    Some(126 | 127) => name,
                    _ => say::WithoutEditor.to_string(),
                };
                return Err(failed(Failure::new(Exit::NothingMatched, what), hint));
            }
            Some(Ok(_)) => {}
        }
        let text = add::readable(after?)
            .map_err(|failure| failure.hint(say::YourTextIsKept { file: self.file.display() }))?;
        Ok(text.trim_end_matches(['\n', '\r']).to_owned())
    }

    /// It is written, or was not meant.
    pub(super) fn discard(self) {
        self.remove();
    }

    /// It stays; where.
    pub(super) fn keep(self) -> PathBuf {
        self.file
    }

    fn remove(&self) {
        // At worst a copy stays where only its owner can read it.
        if let Err(error) = fs::remove_dir_all(&self.directory) {
            tracing::warn!(%error, directory = %self.directory.display(), "a draft stays");
        }
    }
}

/// What the person wants to edit with.
fn editor() -> Option<String> {
    let named = ["VISUAL", "EDITOR"].into_iter().filter_map(|name| std::env::var(name).ok());
    let named = named.map(|editor| editor.trim().to_owned()).find(|editor| !editor.is_empty());
    named.or_else(|| {
        let path = std::env::var_os("PATH")?;
        let is_there =
            |name: &&str| std::env::split_paths(&path).any(|dir| dir.join(name).is_file());
        EDITORS.into_iter().find(is_there).map(str::to_owned)
    })
}

/// Runs the editor as a shell would, so that `EDITOR="code --wait"` works. Ctrl-C is the editor's meanwhile.
fn run(editor: &str, file: &Path) -> io::Result<ExitStatus> {
    let ours = Arc::new(AtomicBool::new(false));
    for signal in [SIGINT, SIGQUIT] {
        signal_hook::flag::register_conditional_default(signal, Arc::clone(&ours))?;
    }
    let status =
        Command::new("sh").arg("-c").arg(format!("{editor} \"$@\"")).arg(editor).arg(file).status();
    ours.store(true, Ordering::Relaxed);
    status
}

/// Lets the person edit a file that is there.
///
/// # Errors
///
/// No editor, or one that ended badly.
pub(in crate::cli) fn open_in_editor(file: &Path) -> Result<(), Failure> {
    let editor = editor().ok_or_else(|| Failure::usage(say::NoEditor).hint(say::SetEditor))?;
    match run(&editor, file) {
        Err(error) => Err(Failure::usage(say::EditorCannotRun).because(&error)),
        Ok(status) if status.success() => Ok(()),
        Ok(status) => {
            Err(Failure::new(Exit::NothingMatched, say::EditorFailed { status })
                .hint(say::SetEditor))
        }
    }
}

fn unusable(data_dir: &Path, error: &io::Error) -> Failure {
    Failure::new(Exit::Data, say::NowhereToKeep { dir: data_dir.display() }).because(error)
}

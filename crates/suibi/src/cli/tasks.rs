//! `suibi tasks` and `suibi tick`: what is to do, and what is done.

use std::fmt::Write as _;
use std::io::Write as _;

use clap::Args;
use serde::Serialize;
use suibi_journal::{Note, NoteId, NoteName, Query};

use super::Context;
use super::edit::{changed_meanwhile, check};
use super::names::{NOTE_HELP, find, names, note_word};
use super::remove::{finish, together};
use crate::clock;
use crate::failure::{Exit, Failure};
use crate::numbers::{self, Listed, Numbers};
use crate::render::json::{NoteJson, VERSION};
use crate::render::listing::{Listing, with_tags};
use crate::render::saved::done;
use crate::render::story::beginning;
use crate::render::style::{DIM, GOOD, NUMBER};
use crate::render::wrap::{harmless, wrap};
use crate::say::tasks as say;
use crate::session::{self, Session};
use crate::tasks::{Task, tasks, ticked};

/// Columns of the words of a task that is done now.
const TEXT_COLUMNS: usize = 72;

/// Columns before the words of a task, after its number.
const BOX: usize = "[ ] ".len();

/// `suibi tasks`.
#[derive(Debug, Args)]
pub(super) struct TasksArgs {
    /// Those that are done
    #[arg(long, conflicts_with = "all")]
    done: bool,
    /// All, done or not
    #[arg(long)]
    all: bool,
}

/// `suibi tick`.
#[derive(Debug, Args)]
#[command(after_help = NOTE_HELP)]
pub(super) struct TickArgs {
    /// Which: numbers of `suibi tasks`, or notes with one open task
    #[arg(required = true, value_name = "N", value_parser = note_word)]
    tasks: Vec<String>,
}

/// Which tasks are listed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Which {
    Open,
    Done,
    All,
}

/// What `tasks` prints with `--json`.
#[derive(Debug, Serialize)]
struct TasksJson {
    version: u32,
    tasks: Vec<TaskJson>,
}

#[derive(Debug, Serialize)]
struct TaskJson {
    task: String,
    done: bool,
    /// In the note, from 1.
    line: usize,
    note: NoteJson,
}

pub(super) fn list(args: TasksArgs, context: &mut Context) -> Result<Exit, Failure> {
    let mut session = session::open(&context.settings)?;
    session.refresh(&context.ui);
    let which = match (args.done, args.all) {
        (true, _) => Which::Done,
        (_, true) => Which::All,
        _ => Which::Open,
    };
    let numbers = show(which, &mut session, context)?;
    let Some(numbers) = numbers else { return Ok(Exit::NothingMatched) };
    if context.ui.is_terminal()
        && !context.ui.json
        && let Err(error) = numbers.keep(session.data_dir(), clock::now()?.millis())
    {
        tracing::debug!(%error, "the numbers are for the eyes only");
    }
    Ok(Exit::Done)
}

/// Lists them; their numbers, if there are any.
pub(crate) fn show(
    which: Which,
    session: &mut Session,
    context: &mut Context,
) -> Result<Option<Numbers>, Failure> {
    let mut found: Vec<(Note, Task)> = Vec::new();
    session.each(&Query::default(), |note| {
        let wanted = |task: &Task| which == Which::All || task.is_done == (which == Which::Done);
        let its = tasks(&note.text).into_iter().filter(wanted);
        found.extend(its.map(|task| (note.clone(), task)));
    })?;
    let ui = &mut context.ui;
    if ui.json {
        let tasks = found.iter().map(|(note, task)| TaskJson {
            task: task.text.clone(),
            done: task.is_done,
            line: task.line + 1,
            note: note.into(),
        });
        ui.json(&TasksJson { version: VERSION, tasks: tasks.collect() })?;
    } else {
        let listing = Listing {
            today: clock::today()?,
            width: ui.width(),
            source: false,
            marks: ui.is_terminal(),
        };
        ui.out().write_all(page(&found, &listing).as_bytes())?;
    }
    ui.flush()?;
    if found.is_empty() {
        match which {
            Which::Open => ui.say(say::NoneOpen),
            Which::Done => ui.say(say::NoneDone),
            Which::All => ui.say(say::NoneAtAll),
        }
        return Ok(None);
    }
    let listed = found.into_iter().map(|(note, task)| Listed { note: note.id, task: Some(task) });
    Ok(Some(Numbers::of(listed)))
}

/// Under their days; with numbers on a terminal, as Markdown elsewhere.
fn page(found: &[(Note, Task)], listing: &Listing) -> String {
    let digits = found.len().min(numbers::MOST).to_string().len().max(2);
    let mut text = String::new();
    let mut day = None;
    for (at, (note, task)) in found.iter().enumerate() {
        if day != Some(note.time.day()) {
            if day.is_some() {
                text.push('\n');
            }
            day = Some(note.time.day());
            text.push_str(&listing.header(note.time.day()));
            text.push('\n');
        }
        let number = match at < numbers::MOST {
            true => (at + 1).to_string(),
            false => String::new(),
        };
        let (number, indent) = match listing.marks {
            true => (format!("{NUMBER}{number:>digits$}{NUMBER:#}  "), digits + 2 + BOX),
            false => ("- ".to_owned(), 2 + BOX),
        };
        let mark = match task.is_done {
            true => format!("{GOOD}[x]{GOOD:#}"),
            false => "[ ]".to_owned(),
        };
        let words = harmless(&task.text);
        let lines = match listing.width {
            Some(width) => wrap(&words, width.saturating_sub(indent).max(10)),
            None => vec![words],
        };
        let _ = write!(text, "{number}{mark} ");
        for (at, line) in lines.iter().enumerate() {
            if at > 0 {
                let _ = write!(text, "\n{:indent$}", "");
            }
            match task.is_done {
                true => {
                    let _ = write!(text, "{DIM}{line}{DIM:#}");
                }
                false => text.push_str(&with_tags(line)),
            }
        }
        text.push('\n');
    }
    text
}

pub(super) fn tick(args: TickArgs, context: &mut Context) -> Result<Exit, Failure> {
    let mut session = session::open(&context.settings)?;
    session.refresh(&context.ui);
    tick_all(&args.tasks, &mut session, context)
}

/// Ticks off what these words name.
pub(crate) fn tick_all(
    words: &[String],
    session: &mut Session,
    context: &mut Context,
) -> Result<Exit, Failure> {
    // All are found before anything is written, and each note is written once: so one undo takes back all.
    let mut wanted: Vec<(NoteId, Vec<(Task, String)>)> = Vec::new();
    for name in names(words)? {
        let (note, task) = task(&name, session)?;
        let task = (task, name.to_string());
        match wanted.iter_mut().find(|(known, _)| *known == note) {
            Some((_, tasks)) => tasks.push(task),
            None => wanted.push((note, vec![task])),
        }
    }
    let mut after = Vec::new();
    for (note, its) in wanted {
        let story = session.story(note)?.expect("a note that was found is there");
        check(&story)?;
        let mut text = story.text().to_owned();
        let mut done_now = Vec::new();
        for (task, name) in its {
            match ticked(&text, &task) {
                Some(after) => {
                    text = after;
                    done_now.push(task);
                }
                None if tasks(&text).contains(&Task { is_done: true, ..task }) => {
                    context.ui.say(say::IsTicked { name });
                }
                None => {
                    return Err(Failure::new(Exit::NothingMatched, say::Changed { name })
                        .hint(say::ChangedHint));
                }
            }
        }
        if done_now.is_empty() {
            continue;
        }
        let Some(wrote) = session.edit(&story, &text)? else {
            return Err(changed_meanwhile(&story, session)?);
        };
        if let Some(trouble) = &wrote.trouble {
            context.ui.complain(trouble);
        }
        if !context.ui.json {
            context.ui.say(done(say::Ticked, &wrote.story.note(), wrote.waiting));
            for task in done_now {
                context.ui.say(format_args!("  {}", beginning(&task.text, TEXT_COLUMNS)));
            }
        }
        after.push(wrote);
    }
    together(&after, session);
    finish(after, session, context)
}

/// The task of this number in the last listing; else the one open task of the note.
fn task(name: &NoteName, session: &mut Session) -> Result<(NoteId, Task), Failure> {
    if let NoteName::Number { position, .. } = name
        && let Some(Listed { note, task: Some(task) }) = session.listed(*position)?
    {
        return Ok((note, task));
    }
    let story = find(name, session)?;
    let mut open: Vec<Task> =
        tasks(story.text()).into_iter().filter(|task| !task.is_done).collect();
    let count = open.len();
    match (open.pop(), count) {
        (Some(task), 1) => Ok((story.id, task)),
        (None, _) => Err(Failure::new(Exit::NothingMatched, say::NoTask { name: story.name() })),
        _ => Err(Failure::usage(say::Several { name: story.name(), count }).hint(say::SeveralHint)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::render::wrap::columns;

    fn note(time: &str, text: &str) -> Note {
        Note {
            id: NoteId::new(0, [0; 10]),
            time: time.parse().unwrap(),
            text: text.to_owned(),
            conflict: false,
            undeleted: false,
            starred: false,
            heads: Vec::new(),
            device: "laptop".to_owned(),
            source: None,
            receipt: None,
            waiting: false,
        }
    }

    #[test]
    fn tasks_stand_under_their_days() {
        let notes = [
            note(
                "2026-11-22T09:05:00.000+08:00",
                "for the weekend\n- [ ] call mum @home\n- [x] 买牛奶",
            ),
            note(
                "2026-11-23T09:05:00.000+08:00",
                "- [ ] 给妈妈打电话，问她周末要不要一起去看电影再吃饭",
            ),
        ];
        let found: Vec<_> = notes
            .iter()
            .flat_map(|note| tasks(&note.text).into_iter().map(|task| (note.clone(), task)))
            .collect();
        let seen = |marks, width| {
            let today = "2026-11-23".parse().unwrap();
            let listing = Listing { today, width, source: false, marks };
            let plain = anstream::adapter::strip_str(&page(&found, &listing)).to_string();
            assert!(width.is_none_or(|width| plain.lines().all(|line| columns(line) <= width)));
            plain
        };
        insta::assert_snapshot!(seen(true, Some(40)), @"
        2026-11-22 Sunday · yesterday
         1  [ ] call mum @home
         2  [x] 买牛奶

        2026-11-23 Monday · today
         3  [ ] 给妈妈打电话，问她周末要不要一起
                去看电影再吃饭
        ");
        insta::assert_snapshot!(seen(false, None), @"
        2026-11-22 Sunday · yesterday
        - [ ] call mum @home
        - [x] 买牛奶

        2026-11-23 Monday · today
        - [ ] 给妈妈打电话，问她周末要不要一起去看电影再吃饭
        ");
    }
}

//! The prompt: recent days first, then each line is a note.
//!
//! ```text
//!  this thread                         the news thread               the client's background
//!  read a line ── Written ──────────>  News: what to say  <── LiveEvent ── deliver, observe, pull
//!      ^                                     │
//!      └────────── above the line ───────────┘
//! ```

mod editor;
mod line;
mod news;

use std::fmt::Display;
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::thread;
use std::time::{Duration, Instant};

use suibi_client::LiveEvent;
use suibi_journal::{Note, Query};

use crate::cli::filter::{self, Filter, NoFilter};
use crate::cli::{Context, add, names, remove, search, star, status, sync, undo};
use crate::clock;
use crate::failure::{Exit, Failure};
use crate::happened::Happened;
use crate::numbers::{self, Numbers};
use crate::render::listing::Listing;
use crate::render::story;
use crate::render::style::DIM;
use crate::say::{self as all, list, prompt as say};
use crate::session::{self, Session, Written};
use editor::{Editor, Typed};
use line::{Deed, Line};
use news::News;

/// So many notes are shown at the start.
const RECENT: usize = 20;

/// How long `/status` waits for the server.
const STATUS_WITHIN: Duration = Duration::from_secs(1);

/// How long leaving waits for the last receipts.
const LAST_WORD_WITHIN: Duration = Duration::from_millis(500);

/// What the news thread hears.
enum Heard {
    Written(Written),
    Notes(Vec<Happened>),
    Live(LiveEvent),
}

/// Runs the prompt until the person leaves.
pub(crate) fn run(context: &mut Context) -> Result<Exit, Failure> {
    let mut session = session::open(&context.settings)?;
    session.refresh(&context.ui);
    let mut prompt = Prompt { session, context };
    prompt.greet()?;
    let mut editor = Editor::new()?;
    let news = prompt.start_news(&mut editor)?;
    let exit = prompt.talk(&mut editor, &news)?;
    prompt.leave()?;
    Ok(exit)
}

struct Prompt<'a> {
    session: Session,
    context: &'a mut Context,
}

impl Prompt<'_> {
    fn listing(&self) -> Result<Listing, Failure> {
        let ui = &self.context.ui;
        Ok(Listing { today: clock::today()?, width: ui.width(), source: false, marks: true })
    }

    /// The recent notes, and what a newcomer should know.
    fn greet(&mut self) -> Result<(), Failure> {
        let recent = Query { limit: Some(RECENT), ..Query::default() };
        let notes = self.session.notes(&recent)?;
        if notes.len() == RECENT {
            anstream::println!("{DIM}{}{DIM:#}\n", say::Earlier);
        }
        if notes.is_empty() {
            let data_dir = self.context.settings.data_dir()?;
            anstream::println!("{}", all::first_run::EachLine);
            anstream::println!("{}", all::first_run::InTheShell);
            anstream::println!("{}", all::first_run::Place { path: data_dir.display() });
        }
        self.print(&notes, &Query::default())?;
        anstream::println!("{}", status::place(&self.session, named(self.context)?.as_deref()));
        anstream::println!("{DIM}{}{DIM:#}", say::Helps);
        Ok(())
    }

    /// Starts the background, and the thread that tells about it above the line.
    fn start_news(&mut self, editor: &mut Editor) -> Result<Sender<Heard>, Failure> {
        let events = self.session.live()?;
        let listing = self.listing()?;
        let (sender, receiver) = mpsc::channel();
        let forward = sender.clone();
        let mut witness = self.session.witness()?;
        thread::spawn(move || {
            for event in events {
                let heard = match event {
                    LiveEvent::NewNotes(notes) => Heard::Notes(witness.of_notes(notes)),
                    LiveEvent::Gone(gone) => Heard::Notes(witness.of_gone(&gone)),
                    event => Heard::Live(event),
                };
                if forward.send(heard).is_err() {
                    break;
                }
            }
        });
        let mut print = printer(editor);
        // It ends with the process: somebody who leaves is not kept waiting for it.
        thread::spawn(move || {
            let mut news = News::default();
            loop {
                let now = Instant::now();
                let until = news.poll_timeout().unwrap_or(now + Duration::from_secs(3600));
                let lines = match receiver.recv_timeout(until.saturating_duration_since(now)) {
                    Ok(Heard::Written(written)) => news.handle_written(Instant::now(), written),
                    Ok(Heard::Live(event)) => news.handle_event(event),
                    Ok(Heard::Notes(happened)) => {
                        let today = clock::today().unwrap_or(listing.today);
                        news::arrived(&happened, &Listing { today, ..listing })
                    }
                    Err(RecvTimeoutError::Timeout) => news.handle_timeout(Instant::now()),
                    Err(RecvTimeoutError::Disconnected) => break,
                };
                for line in lines {
                    print(line);
                }
            }
        });
        Ok(sender)
    }

    /// Line by line, until the end.
    fn talk(&mut self, editor: &mut Editor, news: &Sender<Heard>) -> Result<Exit, Failure> {
        let mut was_cleared = false;
        loop {
            let line = match editor.read()? {
                Typed::End => return Ok(Exit::Done),
                Typed::Cleared(_) if was_cleared => return Ok(Exit::Interrupted),
                Typed::Cleared(had_text) => {
                    was_cleared = true;
                    match had_text {
                        true => anstream::println!("{DIM}{}{DIM:#}", say::LeaveOrBack),
                        false => anstream::println!("{DIM}{}{DIM:#}", say::Leave),
                    }
                    continue;
                }
                Typed::Line(line) => line,
            };
            was_cleared = false;
            let line = Line::parse(&line);
            if line == Line::Quit {
                return Ok(Exit::Done);
            }
            // A command that fails is no reason to leave: the next line may work.
            if let Err(failure) = self.take(line, news) {
                anstream::eprintln!("{failure}");
            }
        }
    }

    fn take(&mut self, line: Line, news: &Sender<Heard>) -> Result<(), Failure> {
        match line {
            Line::Empty | Line::Quit => {}
            Line::Note(text) => {
                add::check(&text)?;
                let dated = add::dated(&text)?;
                let mut written = self.session.add(dated.text, dated.time)?;
                written.is_dated = dated.is_dated;
                if dated.moved {
                    anstream::println!("{DIM}{}{DIM:#}", add::moved(dated.time));
                }
                // The thread is there as long as we are.
                let _ = news.send(Heard::Written(written));
            }
            Line::Help => {
                for line in say::Help.to_string().lines() {
                    anstream::println!("  {line}");
                }
            }
            Line::Today(line) => {
                let (words, args) = filter::read_line(&line)?;
                let filter = args.today(&words).map_err(no_filter)?.filter()?;
                match line.is_empty() {
                    true => self.list(&filter, &say::NothingToday)?,
                    false => self.list(&filter, &list::NoneMatch)?,
                }
            }
            Line::On(line) => {
                let (words, args) = filter::read_line(&line)?;
                let filter = args.with_words(&words).map_err(no_filter)?.filter()?;
                let day = filter.query.since.filter(|day| filter.query == Query::on(*day));
                match day {
                    Some(day) => self.list(&filter, &list::NoneOn { day })?,
                    None => self.list(&filter, &list::NoneMatch)?,
                }
            }
            Line::Search(line) => {
                let (words, args) = filter::read_line(&line)?;
                let text = search::line(&words);
                let empty = all::search::NoneWith { words: search::typed(&text) }.to_string();
                self.list(&args.with_text(text).filter()?, &empty)?;
            }
            Line::Log(line) => {
                let (words, args) = filter::read_line(&line)?;
                let filter = args.with_count(&words).map_err(no_filter)?.filter()?;
                match line.is_empty() {
                    true => self.list(&filter, &say::NoneYet)?,
                    false => self.list(&filter, &list::NoneMatch)?,
                }
            }
            Line::Undo => {
                undo::undo(&mut self.session, self.context)?;
            }
            Line::With(deed, words) => self.with(deed, &words)?,
            Line::Sync => {
                let moved = self.session.sync(|_| {})?;
                anstream::println!("{}", sync::line(&moved, self.session.rights()));
            }
            Line::Status => {
                let named = named(self.context)?;
                let status = self.session.status(STATUS_WITHIN)?;
                anstream::print!("{}", status::text(&self.session, named.as_deref(), &status));
            }
            Line::Misused(why) => anstream::println!("{DIM}{why}{DIM:#}"),
            Line::Unknown(word) => anstream::println!("{DIM}{}{DIM:#}", say::Unknown { word }),
        }
        Ok(())
    }

    fn list(&mut self, filter: &Filter, empty: &dyn Display) -> Result<(), Failure> {
        let folds = self.context.settings.folds()?;
        let query = &Query { folds, ..filter.query.clone() };
        let mut notes = self.session.notes(query)?;
        if filter.reverse {
            notes.reverse();
        }
        if notes.is_empty() {
            anstream::println!("{DIM}{empty}{DIM:#}");
            if let Some(words) = search::suggestion(query, &mut self.session)? {
                anstream::println!("{}", all::search::DidYouMeanHere { words });
            }
        } else {
            self.print(&notes, query)?;
        }
        Ok(())
    }

    /// Notes with their numbers, which are good for the next commands.
    fn print(&mut self, notes: &[Note], query: &Query) -> Result<(), Failure> {
        let listing = self.listing()?;
        let sought = search::sought(query, notes);
        if notes.len() > numbers::MOST {
            anstream::println!("{}", listing.render_piece(notes, 0, &sought));
            return Ok(());
        }
        anstream::println!("{}", listing.render_numbered(notes, &sought));
        self.session.set_numbers(Numbers::new(notes.iter().map(|note| note.id)));
        Ok(())
    }

    /// Does something with the notes that these words name.
    fn with(&mut self, deed: Deed, words: &[String]) -> Result<(), Failure> {
        let names = names::names(words)?;
        let stories = names::find_all(&names, &mut self.session)?;
        let listing = self.listing()?;
        let (session, context) = (&mut self.session, &mut *self.context);
        match deed {
            Deed::Show => {
                for story in &stories {
                    anstream::println!("{}", story::whole(story, &listing));
                }
                return Ok(());
            }
            Deed::Star => star::mark(true, stories, session, context)?,
            Deed::Unstar => star::mark(false, stories, session, context)?,
            Deed::Remove => remove::remove_all(stories, session, context)?,
            Deed::Restore => remove::restore_all(stories, session, context)?,
        };
        Ok(())
    }

    /// Gives the last lines a moment to reach the server, and says what waits.
    fn leave(&mut self) -> Result<(), Failure> {
        let until = Instant::now() + LAST_WORD_WITHIN;
        let mut waiting = self.session.waiting()?;
        while waiting > 0 && Instant::now() < until {
            thread::sleep(Duration::from_millis(2));
            waiting = self.session.waiting()?;
        }
        self.session.stop_live();
        if waiting > 0 {
            anstream::println!("{}", say::StillHere { notes: waiting });
        }
        Ok(())
    }
}

fn no_filter(no: NoFilter) -> Failure {
    Failure::usage(no.why).hint(all::when::Hint)
}

/// The unprotected listener that goes before everything else, if one is set.
fn named(context: &Context) -> Result<Option<String>, Failure> {
    Ok(context.settings.server()?.map(|server| server.to_string()))
}

/// Prints a line above the one being typed, without colours where there are none.
fn printer(editor: &mut Editor) -> impl FnMut(String) + Send + use<> {
    let plain = anstream::AutoStream::choice(&std::io::stdout()) == anstream::ColorChoice::Never;
    let mut print = editor.printer();
    move |line| {
        let line = if plain { anstream::adapter::strip_str(&line).to_string() } else { line };
        print(format!("{line}\n"));
    }
}

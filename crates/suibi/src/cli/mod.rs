//! The command line: which command it is, and what all commands share.
//!
//! A new command is a file here, a variant of [`Command`], a name in [`shape::COMMANDS`] and a snapshot.

pub(crate) mod add;
mod audit;
mod backup;
mod config;
mod demo;
mod devices;
mod doctor;
mod edit;
pub(crate) mod filter;
mod help;
mod help_zh;
mod info;
mod invite;
mod join;
pub(crate) mod list;
mod man;
pub(crate) mod names;
mod owner;
pub(crate) mod past;
mod piped;
mod progress;
mod purge;
pub(crate) mod remove;
pub(crate) mod search;
mod serve;
mod shape;
mod shells;
mod show;
pub(crate) mod star;
pub(crate) mod stats;
pub(crate) mod status;
pub(crate) mod sync;
mod tags;
pub(crate) mod tasks;
pub(crate) mod undo;
mod verify;
mod watch;

use std::ffi::OsString;
use std::io::{self, IsTerminal as _, Write as _};
use std::process::ExitCode;

use anstream::ColorChoice;
use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{Args, Parser, Subcommand, ValueEnum};

use suibi_journal::Rights;

use crate::failure::{Exit, Failure};
use crate::lang;
use crate::prompt;
use crate::render::style::HINT;
use crate::say;
use crate::settings::{Key, Settings};
use crate::ui::Ui;
use shape::Shape;

/// Daily notes over the network
#[derive(Debug, Parser)]
#[command(
    name = "suibi",
    version,
    override_usage = "suibi                    the prompt: recent days, then each line is a note\n       \
                      suibi TEXT…              write a note\n       \
                      suibi -                  all of standard input is one note\n       \
                      … | suibi                each line is a note\n       \
                      suibi [OPTIONS] COMMAND  one of the commands below",
    after_help = EXAMPLES,
    max_term_width = 100
)]
struct Cli {
    #[command(flatten)]
    global: Global,
    #[command(subcommand)]
    command: Option<Command>,
}

const EXAMPLES: &str = "\
Examples:
  suibi bought milk @shop     a note with a tag; quote what the shell would eat
  suibi 今天天气很好          any language
  suibi today                 what you wrote today
  suibi search milk           every note with that word
  suibi -- list of things     a note that begins with a command's name";

/// Options of every command; they come before the text of a note.
#[derive(Debug, Default, Args)]
#[command(next_help_heading = "Everywhere")]
struct Global {
    /// Talk to this unprotected listener, coap://HOST:PORT, and to no other
    #[arg(long, global = true, value_name = "URI")]
    server: Option<String>,
    /// Allow --server beyond this machine; the way there is not encrypted
    #[arg(long, global = true)]
    insecure: bool,
    /// Keep the journal's files in this directory
    #[arg(long, global = true, value_name = "DIR")]
    data_dir: Option<String>,
    /// Print JSON (docs/cli.md describes it)
    #[arg(long, global = true)]
    json: bool,
    /// When to use colours
    #[arg(long, global = true, value_name = "WHEN")]
    color: Option<ColorWhen>,
    /// Speak this language: en, zh, or auto for that of the locale
    #[arg(long, global = true, value_name = "LANG")]
    lang: Option<String>,
    /// End with code 3 when a note is kept here but not yet on the server
    #[arg(long, global = true)]
    require_server: bool,
    /// Say nothing but errors
    #[arg(short, long, global = true)]
    quiet: bool,
    /// Tell more about what happens; twice for still more
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    verbose: u8,
}

/// When to use colours.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum ColorWhen {
    Auto,
    Always,
    Never,
}

/// Everything that suibi does.
#[derive(Debug, Subcommand)]
enum Command {
    /// Write a note
    Add(add::AddArgs),
    /// Print the notes, oldest first
    #[command(visible_alias = "list")]
    Log(list::LogArgs),
    /// Print today's notes
    Today(list::DayArgs),
    /// Print one day's notes
    On(list::OnArgs),
    /// Print the notes in which all these words stand
    Search(search::SearchArgs),
    /// Print all about a note: its text, who wrote it when, receipts, versions
    Show(show::ShowArgs),
    /// Print what became of a note: each change, when and by whom
    History(show::HistoryArgs),
    /// Give a note another text, in your editor or from the command line
    Edit(edit::EditArgs),
    /// Delete notes; restore brings them back
    Rm(remove::RemoveArgs),
    /// Bring deleted notes back
    Restore(remove::RestoreArgs),
    /// Take back what was done last on this device
    Undo(undo::UndoArgs),
    /// Mark notes with a star
    Star(star::StarArgs),
    /// Take the star away again
    Unstar(star::StarArgs),
    /// Erase a note for good, everywhere
    Purge(purge::PurgeArgs),
    /// Print the tags and how many notes have each
    Tags,
    /// Print what is still to do: the lines with a box, - [ ]
    Tasks(tasks::TasksArgs),
    /// Tick tasks off
    Tick(tasks::TickArgs),
    /// Print what was written on this day in earlier years
    OnThisDay(past::OnThisDayArgs),
    /// Print a note that you may have forgotten
    Random(past::RandomArgs),
    /// Print how much you wrote, and when: the year as a map, streaks, words, hours
    Stats(stats::StatsArgs),
    /// Exchange notes with the server now
    Sync,
    /// Say where the notes are and whether the server answers
    Status,
    /// Say what is here: notes, days, size, devices, places
    Info,
    /// Look for what is wrong; prints a report that can be shown to others
    Doctor,
    /// Prove that nothing is missing, or name what is
    Verify(verify::VerifyArgs),
    /// Copy everything into one file, check such a file, put it back
    Backup(backup::BackupArgs),
    /// Print notes as they arrive, until Ctrl-C
    Watch(watch::WatchArgs),
    /// Be a server for other devices
    Serve(serve::ServeArgs),
    /// Let one more device in: prints a line, and a QR code of it
    Invite(invite::InviteArgs),
    /// Make this machine a device of the server that printed the line
    Join(join::JoinArgs),
    /// Print who has joined; rename a device, cut it off, make keys for other programs
    Devices(devices::DevicesArgs),
    /// Print who joined, who was cut off, who was refused, and when
    Audit(audit::AuditArgs),
    /// See it work: a server, two devices, a bad network, ninety seconds at most
    Demo(demo::DemoArgs),
    /// Look at settings and change them
    #[command(subcommand)]
    Config(config::ConfigCommand),
    /// Print what your shell reads at its start: no notes in its history, completions
    Init(shells::InitArgs),
    /// Print the completions of a shell, for a package
    Completions(shells::CompletionsArgs),
    /// Show a manual page, or write all of them into a directory
    Man(man::ManArgs),
}

/// What a command needs besides its own arguments.
pub(crate) struct Context {
    pub(crate) settings: Settings,
    pub(crate) ui: Ui,
    pub(crate) require_server: bool,
}

/// Runs the program with the words after its name.
pub(crate) fn run(args: Vec<OsString>) -> ExitCode {
    let given = args.clone();
    let ended = shape::shape(args).and_then(|shape| match shape {
        Shape::Words(words) => words_are_a_note(words),
        Shape::Command(args) => match parse(&args, &given)? {
            Some(cli) => dispatch(cli),
            None => Ok(Exit::Done),
        },
    });
    let exit = match ended {
        Ok(exit) => exit,
        Err(failure) => {
            if !failure.is_silent() {
                complain(&failure);
            }
            failure.exit
        }
    };
    ExitCode::from(exit as u8)
}

/// A line on standard error. When nobody can read it (a full disk may be behind it), the exit code says it still.
fn complain(line: impl std::fmt::Display) {
    let _ = writeln!(anstream::stderr(), "{line}");
}

/// The short way of `suibi TEXT…`: no command line is built for it.
fn words_are_a_note(words: Vec<OsString>) -> Result<Exit, Failure> {
    if words.is_empty() {
        return dispatch(Cli { global: Global::default(), command: None });
    }
    let mut context = context(&Global::default())?;
    add::run_words(words, &mut context)
}

/// Help and version are printed here; `None` says that this was all.
fn parse(args: &[OsString], given: &[OsString]) -> Result<Option<Cli>, Failure> {
    let whole = std::iter::once(OsString::from("suibi")).chain(args.iter().cloned());
    let whole: Vec<OsString> = whole.collect();
    let error = match Cli::try_parse_from(&whole) {
        Ok(cli) => return Ok(Some(cli)),
        Err(error) => error,
    };
    if !error.use_stderr() {
        help::print(&error, &whole)?;
        return Ok(None);
    }
    if misfit(&error)
        && let Some(offer) = shape::offer_note(given)
    {
        // What a note's name looks like, say.
        return Err(match std::error::Error::source(&error) {
            Some(why) => offer.because(why),
            None => offer,
        });
    }
    help::complain(&error, &whole)?;
    if given.len() > 1 && begins_with_a_stranger(&error, given) {
        let words = shape::quoted(given);
        complain(format_args!(
            "{HINT}{}{HINT:#} {}",
            say::failure::Hint,
            say::shape::WriteHint { words }
        ));
    }
    if error.kind() == ErrorKind::MissingRequiredArgument
        && given.first().is_some_and(|first| !first.to_string_lossy().starts_with('-'))
    {
        let words = shape::quoted(given);
        complain(format_args!(
            "{HINT}{}{HINT:#} {}",
            say::failure::Hint,
            say::shape::HelpHint { command: &words, words: &words }
        ));
    }
    Err(Failure::silent(Exit::Usage))
}

/// Whether the first word looks like an option and is none: `suibi -5 degrees outside`.
fn begins_with_a_stranger(error: &clap::Error, given: &[OsString]) -> bool {
    matches!(
        error.get(ContextKind::InvalidArg),
        Some(ContextValue::String(name)) if given.first().is_some_and(|first| {
            first.to_string_lossy().starts_with(name.as_str())
        })
    )
}

/// Whether words, not options, are what clap could not place.
fn misfit(error: &clap::Error) -> bool {
    let words = matches!(
        error.kind(),
        ErrorKind::UnknownArgument
            | ErrorKind::InvalidSubcommand
            | ErrorKind::TooManyValues
            | ErrorKind::InvalidValue
            | ErrorKind::ValueValidation
    );
    let option = matches!(
        error.get(ContextKind::InvalidArg),
        Some(ContextValue::String(name)) if name.starts_with('-')
    );
    words && !option
}

/// What a device may do, after `it may`.
fn may(rights: Rights) -> String {
    if rights.is_drop() {
        return say::rights::MayDrop.to_string();
    }
    let words = [
        (rights.read, say::rights::Read.to_string()),
        (rights.write, say::rights::Write.to_string()),
        (rights.admin, say::rights::Administer.to_string()),
    ];
    let words: Vec<String> =
        words.into_iter().filter(|(has, _)| *has).map(|(_, word)| word).collect();
    match words.as_slice() {
        [] => say::rights::Nothing.to_string(),
        [only] => say::rights::Only { what: only }.to_string(),
        [first, last] => say::rights::Two { first, last }.to_string(),
        [all @ .., last] => {
            let first = all.join(&say::rights::Comma.to_string());
            say::rights::Two { first, last }.to_string()
        }
    }
}

/// The same for a table.
fn rights_in_short(rights: Rights) -> String {
    if rights.is_drop() {
        say::rights::Drop.to_string()
    } else {
        rights.to_string().replace(',', ", ")
    }
}

/// How many notes: `-n N`.
fn count(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(0) => Err(say::list::LimitOfNone.to_string()),
        Ok(count) => Ok(count),
        Err(_) => Err(say::list::LimitNoNumber.to_string()),
    }
}

fn context(global: &Global) -> Result<Context, Failure> {
    let mut settings = Settings::load()?;
    // After `verify` and `backup` the bare word names no server.
    settings.flag(Key::Server, global.server.clone().filter(|server| !server.is_empty()));
    settings.flag(Key::Lang, global.lang.clone());
    lang::settle(&settings)?;
    settings.flag(Key::DataDir, global.data_dir.clone());
    settings.flag(Key::Insecure, global.insecure.then(|| "true".to_owned()));
    let color = match global.color {
        Some(ColorWhen::Auto) => ColorChoice::Auto,
        Some(ColorWhen::Always) => ColorChoice::Always,
        Some(ColorWhen::Never) => ColorChoice::Never,
        None => match settings.text(Key::Color)?.as_deref() {
            Some("always") => ColorChoice::Always,
            Some("never") => ColorChoice::Never,
            _ => ColorChoice::Auto,
        },
    };
    color.write_global();
    let ui = Ui::new(color, global.json, global.quiet);
    for name in settings.strangers() {
        ui.say(say::settings::Stranger { name, file: settings.path().display() });
    }
    if global.verbose > 0 || std::env::var_os("SUIBI_LOG").is_some() {
        start_log(global.verbose);
    }
    Ok(Context { settings, ui, require_server: global.require_server })
}

/// Log lines on standard error; `SUIBI_LOG` has the filter language of `tracing-subscriber`.
fn start_log(verbose: u8) {
    let level = match verbose {
        0 => "warn",
        1 => "info",
        2 => "debug",
        _ => "trace",
    };
    let filter = tracing_subscriber::EnvFilter::try_from_env("SUIBI_LOG")
        .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new(level));
    // A second start would be our own slip and costs only log lines.
    let _ = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(io::stderr)
        .with_ansi(io::stderr().is_terminal())
        .try_init();
}

/// The whole command line, as help, manual pages and completions tell of it.
fn tree() -> clap::Command {
    help::command()
}

fn dispatch(cli: Cli) -> Result<Exit, Failure> {
    // What a shell reads at its start needs no settings, and bears it that they are wrong.
    match &cli.command {
        Some(Command::Init(args)) => return shells::init(args),
        Some(Command::Completions(args)) => return shells::completions(args, tree()),
        Some(Command::Man(args)) => return man::run(args, tree()),
        Some(Command::Config(config::ConfigCommand::Edit)) => return config::edit(),
        Some(Command::Config(config::ConfigCommand::Path)) => return config::path(),
        _ => {}
    }
    let mut context = context(&cli.global)?;
    let exit = match cli.command {
        None if io::stdin().is_terminal() => prompt::run(&mut context),
        None => piped::run(&mut context),
        Some(Command::Add(args)) => add::run(args, &mut context),
        Some(Command::Log(args)) => list::log(args, &mut context),
        Some(Command::Today(args)) => list::today(args, &mut context),
        Some(Command::On(args)) => list::on(args, &mut context),
        Some(Command::Search(args)) => search::search(args, &mut context),
        Some(Command::Show(args)) => show::show(args, &mut context),
        Some(Command::History(args)) => show::history(args, &mut context),
        Some(Command::Edit(args)) => edit::run(args, &mut context),
        Some(Command::Rm(args)) => remove::remove(args, &mut context),
        Some(Command::Restore(args)) => remove::restore(args, &mut context),
        Some(Command::Undo(args)) => undo::run(args, &mut context),
        Some(Command::Star(args)) => star::star(args, &mut context),
        Some(Command::Unstar(args)) => star::unstar(args, &mut context),
        Some(Command::Purge(args)) => purge::run(args, &mut context),
        Some(Command::Tags) => tags::run(&mut context),
        Some(Command::Tasks(args)) => tasks::list(args, &mut context),
        Some(Command::Tick(args)) => tasks::tick(args, &mut context),
        Some(Command::OnThisDay(args)) => past::on_this_day(args, &mut context),
        Some(Command::Random(args)) => past::random(args, &mut context),
        Some(Command::Stats(args)) => stats::run(args, &mut context),
        Some(Command::Sync) => sync::run(&mut context),
        Some(Command::Status) => status::run(&mut context),
        Some(Command::Info) => info::run(&mut context),
        Some(Command::Doctor) => doctor::run(&mut context),
        Some(Command::Verify(args)) => verify::run(args, &mut context),
        Some(Command::Backup(args)) => backup::run(args, &mut context),
        Some(Command::Watch(args)) => watch::run(args, &mut context),
        Some(Command::Serve(args)) => serve::run(args, &mut context),
        Some(Command::Invite(args)) => invite::run(args, &mut context),
        Some(Command::Join(args)) => join::run(args, &mut context),
        Some(Command::Devices(args)) => devices::run(args, &mut context),
        Some(Command::Audit(args)) => audit::run(args, &mut context),
        Some(Command::Demo(args)) => demo::run(args, &mut context),
        Some(Command::Config(command)) => config::run(command, &context.settings, &mut context.ui),
        Some(Command::Init(_) | Command::Completions(_) | Command::Man(_)) => Ok(Exit::Done),
    }?;
    context.ui.flush()?;
    Ok(exit)
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn rights_in_words() {
        let said = |text: &str| {
            let rights: Rights = text.parse().unwrap();
            format!("{} / {}", may(rights), rights_in_short(rights))
        };
        assert_eq!(said("read,write"), "read and write / read, write");
        assert_eq!(said("read"), "read only / read");
        assert_eq!(said("write"), "add notes and see none (a drop) / add (a drop)");
        let all = "read, write and administer / read, write, admin";
        assert_eq!(said("read,write,admin"), all);
        assert_eq!(said("admin,write"), "write and administer / write, admin");
    }

    #[test]
    fn the_tables_of_the_first_word_rule_match_the_command_line() {
        let mut command = Cli::command();
        command.clone().debug_assert();
        command.build();
        let mut names: Vec<&str> = command
            .get_subcommands()
            .flat_map(|sub| std::iter::once(sub.get_name()).chain(sub.get_all_aliases()))
            .collect();
        let mut listed = shape::COMMANDS.to_vec();
        names.sort_unstable();
        listed.sort_unstable();
        assert_eq!(names, listed);
        assert!(shape::RESERVED.iter().all(|word| !listed.contains(word)));

        let mut options: Vec<String> = command
            .get_arguments()
            .filter_map(|arg| arg.get_long())
            .map(|name| format!("--{name}"))
            .collect();
        let mut with_value: Vec<String> = command
            .get_arguments()
            .filter(|arg| arg.get_action().takes_values())
            .filter_map(|arg| arg.get_long())
            .map(|name| format!("--{name}"))
            .collect();
        let mut known = shape::OPTIONS.to_vec();
        let mut known_with_value = shape::WITH_VALUE.to_vec();
        options.sort_unstable();
        known.sort_unstable();
        with_value.sort_unstable();
        known_with_value.sort_unstable();
        assert_eq!(options, known);
        assert_eq!(with_value, known_with_value);
    }
}

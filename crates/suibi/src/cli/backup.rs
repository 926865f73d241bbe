//! `suibi backup`: everything in one file, and back.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use serde::Serialize;
use suibi_client::{EMBEDDED_REPLICA, Membership};
use suibi_server::{database, running};
use suibi_store::backup::{self, About, Checked, Role};
use suibi_store::{StoreError, create_directory, private};
use zeroize::Zeroizing;

use super::Context;
use super::progress::Progress;
use crate::clock;
use crate::failure::{Exit, Failure};
use crate::render::json::VERSION;
use crate::render::of;
use crate::render::style::{DIM, GONE, GOOD, WAITING};
use crate::render::wrap::harmless;
use crate::session;
use crate::settings::Settings;

/// So many problems are told one by one; `--json` has all of them.
const MOST_TOLD: usize = 20;

/// `suibi backup`.
#[derive(Debug, Args)]
#[command(after_help = "\
A backup is one file with everything: of a server all its journals and who may
do what there; of a device that has joined one its notes, also those that wait
for the server, and its credential. Keep it where only you can read it.

Examples:
  suibi backup create /media/disk/suibi-2026-11-23.backup
  suibi backup check /media/disk/suibi-2026-11-23.backup
  suibi backup restore /media/disk/suibi-2026-11-23.backup

A server that was put back to an older state gets from its devices what it
lacks, as soon as they come by.")]
pub(super) struct BackupArgs {
    #[command(subcommand)]
    command: BackupCommand,
}

/// What to do with a backup.
#[derive(Debug, Subcommand)]
enum BackupCommand {
    /// Copy everything into a new file, while others go on writing, and check it
    Create {
        /// Of the server that keeps its data here
        // Its id is that of the global option, which it replaces here; see `verify`.
        #[arg(
            id = "server",
            long = "server",
            num_args = 0..=1,
            require_equals = true,
            default_missing_value = "",
            hide_possible_values = true,
            value_name = "URI",
            conflicts_with = "replica"
        )]
        server: Option<String>,
        /// Of this device's own notes and its membership
        #[arg(long)]
        replica: bool,
        /// The new file
        #[arg(value_name = "FILE")]
        file: PathBuf,
    },
    /// Check every change in a backup, and say what is in it
    Check {
        /// The backup
        #[arg(value_name = "FILE")]
        file: PathBuf,
    },
    /// Put a backup back, where nothing is
    Restore {
        /// The backup
        #[arg(value_name = "FILE")]
        file: PathBuf,
    },
}

/// What `backup create` and `backup check` print with `--json`.
#[derive(Debug, Serialize)]
struct CheckedJson {
    version: u32,
    ok: bool,
    file: String,
    role: &'static str,
    made: Option<String>,
    program: String,
    bytes: u64,
    changes: u64,
    chains: u64,
    notes: u64,
    purged: u64,
    problems: Vec<String>,
}

/// What `backup restore` prints with `--json`.
#[derive(Debug, Serialize)]
struct RestoredJson {
    version: u32,
    file: String,
    role: &'static str,
    made: Option<String>,
    program: String,
    path: String,
}

pub(super) fn run(args: BackupArgs, context: &mut Context) -> Result<Exit, Failure> {
    match args.command {
        BackupCommand::Create { server, replica, file } => {
            let wanted = match (server.as_deref(), replica) {
                (None, false) => None,
                (None, true) => Some(Role::Replica),
                (Some(""), _) => Some(Role::Server),
                (Some(_), _) => {
                    return Err(Failure::usage(
                        "a backup is made of files on this machine, --server URI does not go with it",
                    )
                    .hint("on the machine where the server runs: suibi backup create --server FILE"));
                }
            };
            create(wanted, &file, context)
        }
        BackupCommand::Check { file } => check(&file, context),
        BackupCommand::Restore { file } => restore(&file, context),
    }
}

/// What is copied.
struct Source {
    role: Role,
    db: PathBuf,
    membership: Option<Zeroizing<String>>,
}

fn create(wanted: Option<Role>, file: &Path, context: &mut Context) -> Result<Exit, Failure> {
    let source = source(wanted, &context.settings)?;
    if file.exists() {
        return Err(Failure::usage(format!(
            "{} is there already; nothing was done",
            file.display()
        ))
        .hint("choose another name: a backup never replaces a file"));
    }
    if source.role == Role::Server {
        deliver(context);
    }
    let about = About {
        role: source.role,
        made: clock::now()?.millis(),
        program: env!("CARGO_PKG_VERSION").to_owned(),
        file: name_of(&source.db),
        membership: source.membership,
    };
    backup::create(&source.db, file, about).map_err(|error| {
        let what = format!("no backup was made of {}", source.db.display());
        Failure::new(Exit::Data, what).because(&error).hint(match error {
            StoreError::Full => "make room, or choose a file on another disk",
            _ => "suibi verify tells how the notes here are; another FILE may do",
        })
    })?;
    let checked = look(file, context)?;
    let is_clean = checked.verified.is_clean();
    tell(file, &checked, "made, and checked", context)?;
    if is_clean && !context.ui.json {
        let secret = match checked.about.role {
            Role::Server => "the keys of all devices are",
            Role::Replica if checked.about.membership.is_some() => "this device's key is",
            Role::Replica => return Ok(Exit::Done),
        };
        context
            .ui
            .say(format_args!("{DIM}{secret} in it: keep it where only you can read it{DIM:#}"));
    }
    Ok(if is_clean { Exit::Done } else { Exit::NothingMatched })
}

/// What there is to copy: what this machine has joined, or what it serves; where both are, one has to be chosen.
fn source(wanted: Option<Role>, settings: &Settings) -> Result<Source, Failure> {
    let data_dir = settings.journal_dir()?;
    let server = Some(database(&data_dir)).filter(|db| db.exists());
    let membership = Membership::load(&data_dir).map_err(|error| {
        Failure::new(Exit::Data, "what this machine has joined cannot be read").because(&error)
    })?;
    let replica = match &membership {
        Some(membership) => Some(data_dir.join(&membership.replica)),
        None => Some(data_dir.join(EMBEDDED_REPLICA)).filter(|db| db.exists()),
    };
    let nothing = |what: &str| {
        Failure::new(Exit::NothingMatched, format!("{} holds no {what}", data_dir.display()))
            .hint("--data-dir names another directory")
    };
    let role = match (wanted, &server, &membership) {
        (Some(role), ..) => role,
        (None, Some(_), Some(joined)) => {
            return Err(Failure::usage(format!(
                "{} holds two things: a server's data, and the notes of {} that it has joined",
                data_dir.display(),
                joined.address
            ))
            .hint("say which: suibi backup create --server FILE, or --replica FILE"));
        }
        (None, None, Some(_)) => Role::Replica,
        (None, Some(_), None) => Role::Server,
        (None, None, None) => return Err(nothing("notes yet")),
    };
    match role {
        Role::Server => {
            let db = server.ok_or_else(|| nothing("data of a server"))?;
            Ok(Source { role, db, membership: None })
        }
        Role::Replica => {
            let db =
                replica.filter(|db| db.exists()).ok_or_else(|| nothing("notes of a device"))?;
            let membership = membership.map(|_| read_membership(&data_dir)).transpose()?;
            Ok(Source { role, db, membership })
        }
    }
}

fn read_membership(data_dir: &Path) -> Result<Zeroizing<String>, Failure> {
    let path = Membership::path(data_dir);
    fs::read_to_string(&path).map(Zeroizing::new).map_err(|error| {
        Failure::new(Exit::Data, format!("{} cannot be read", path.display())).because(&error)
    })
}

/// Takes what this machine itself has written to its own server, so that the copy has it.
fn deliver(context: &Context) {
    let Ok(mut session) = session::open(&context.settings) else { return };
    if !session.is_embedded() || session.waiting().is_ok_and(|waiting| waiting == 0) {
        return;
    }
    if let Err(failure) = session.sync(|_| {}) {
        context.ui.complain(format_args!(
            "{WAITING}!{WAITING:#} notes that wait for the server are not in this backup\n{failure}"
        ));
    }
}

fn check(file: &Path, context: &mut Context) -> Result<Exit, Failure> {
    let checked = look(file, context)?;
    tell(file, &checked, "every change is right", context)?;
    Ok(if checked.verified.is_clean() { Exit::Done } else { Exit::NothingMatched })
}

/// Looks through a backup, with a bar where that takes a while.
fn look(file: &Path, context: &Context) -> Result<Checked, Failure> {
    let mut progress = Progress::new(&context.ui);
    let checked = backup::check(file, &mut |done, of| progress.tell(done, of));
    progress.finish();
    checked.map_err(|error| unreadable(file, &error))
}

fn unreadable(file: &Path, error: &StoreError) -> Failure {
    let what = format!("{} cannot be used as a backup", file.display());
    let failure = Failure::new(Exit::Data, what).because(error);
    match error {
        StoreError::Newer { .. } => failure.hint("a newer suibi has made it; use that one"),
        StoreError::Foreign(_) => failure.hint("suibi backup create makes one"),
        _ => failure,
    }
}

fn tell(file: &Path, checked: &Checked, good: &str, context: &mut Context) -> Result<(), Failure> {
    let Checked { about, bytes, verified, .. } = checked;
    let ui = &mut context.ui;
    if ui.json {
        ui.json(&CheckedJson {
            version: VERSION,
            ok: verified.is_clean(),
            file: file.display().to_string(),
            role: about.role.word(),
            made: made(about),
            program: about.program.clone(),
            bytes: *bytes,
            changes: verified.changes,
            chains: verified.chains,
            notes: verified.notes,
            purged: verified.purged,
            problems: verified.problems.iter().map(ToString::to_string).collect(),
        })?;
        return Ok(());
    }
    let count = verified.problems.len();
    let verdict = match count {
        0 => format!("{GOOD}✓{GOOD:#} {}: {good}", file.display()),
        1 => format!("{GONE}✗{GONE:#} {}: 1 problem", file.display()),
        many => format!("{GONE}✗{GONE:#} {}: {many} problems", file.display()),
    };
    writeln!(ui.out(), "{verdict}")?;
    let whose = match (about.role, &about.membership) {
        (Role::Server, _) => "a server's data",
        (Role::Replica, Some(_)) => "a device's notes and its membership",
        (Role::Replica, None) => "a device's notes",
    };
    writeln!(
        ui.out(),
        "  {whose}, {}: {}, {}, {}",
        clock::minute(about.made),
        of(verified.changes, "change"),
        of(verified.notes, "note"),
        size(*bytes)
    )?;
    for problem in verified.problems.iter().take(MOST_TOLD) {
        writeln!(ui.out(), "  {}", harmless(&problem.to_string()))?;
    }
    if count > MOST_TOLD {
        writeln!(ui.out(), "  {DIM}… and {} more: --json{DIM:#}", count - MOST_TOLD)?;
    }
    ui.flush()?;
    Ok(())
}

fn restore(file: &Path, context: &mut Context) -> Result<Exit, Failure> {
    let data_dir = context.settings.journal_dir()?;
    let checked = look(file, context)?;
    let about = &checked.about;
    if !checked.verified.is_clean() {
        tell(file, &checked, "", context)?;
        return Err(Failure::new(Exit::Data, "the backup is damaged; nothing was restored")
            .hint("an older one may be whole: suibi backup check FILE"));
    }
    let is_running = running(&data_dir).map_err(|error| {
        Failure::new(Exit::Data, "cannot see whether a server runs here").because(&error)
    })?;
    if let Some(process) = is_running.filter(|_| about.role == Role::Server) {
        let which = process.pid.map(|pid| format!(" (process {pid})")).unwrap_or_default();
        return Err(taken(&data_dir, &format!("a server runs on its data{which}")));
    }
    if !is_file_name(&about.file) {
        return Err(unreadable(file, &StoreError::Foreign(about.file.clone())));
    }
    let to = data_dir.join(&about.file);
    if to.exists() {
        return Err(taken(&data_dir, &format!("{} is there", about.file)));
    }
    let membership = Membership::path(&data_dir);
    if about.membership.is_some() && membership.exists() {
        return Err(taken(&data_dir, "it has joined a server"));
    }
    create_directory(&data_dir).map_err(|error| unusable(&data_dir, &error))?;
    let about = backup::restore(file, &to).map_err(|error| {
        Failure::new(Exit::Data, format!("nothing was restored to {}", data_dir.display()))
            .because(&error)
    })?;
    if let Some(text) = &about.membership {
        private::replace(&membership, text.as_bytes())
            .map_err(|error| unusable(&membership, &error))?;
        Membership::load(&data_dir).map_err(|error| {
            Failure::new(Exit::Data, "the notes are restored, and their membership makes no sense")
                .because(&error)
                .hint("suibi join --again LINE joins anew, and takes them along")
        })?;
    }
    let ui = &mut context.ui;
    if ui.json {
        ui.json(&RestoredJson {
            version: VERSION,
            file: file.display().to_string(),
            role: about.role.word(),
            made: made(&about),
            program: about.program.clone(),
            path: to.display().to_string(),
        })?;
        return Ok(Exit::Done);
    }
    ui.say(format_args!(
        "{GOOD}✓{GOOD:#} restored to {}, as of {}: {}",
        to.display(),
        clock::minute(about.made),
        of(checked.verified.notes, "note")
    ));
    ui.say(match (about.role, &about.membership) {
        (Role::Server, _) => {
            "  start it: suibi serve; its devices give back what is newer when they come by"
        }
        (Role::Replica, Some(_)) => {
            "  this machine is the device that it was; what is newer comes from the server: suibi sync"
        }
        (Role::Replica, None) => "  what is newer comes from the server: suibi sync",
    });
    Ok(Exit::Done)
}

fn taken(data_dir: &Path, why: &str) -> Failure {
    Failure::usage(format!("{why} in {}; nothing was restored", data_dir.display()))
        .hint("a backup goes where nothing is: --data-dir names an empty place, or move the files there away")
}

fn unusable(path: &Path, error: &std::io::Error) -> Failure {
    Failure::new(Exit::Data, format!("{} cannot be written", path.display())).because(error)
}

fn made(about: &About) -> Option<String> {
    clock::at(about.made).map(|time| time.to_string())
}

fn name_of(db: &Path) -> String {
    db.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
}

/// Whatever a file says, nothing is written elsewhere.
fn is_file_name(name: &str) -> bool {
    !name.is_empty() && !name.contains('/') && !name.starts_with('.') && name.ends_with(".db")
}

/// `2.1 MB`.
fn size(bytes: u64) -> String {
    const UNITS: [&str; 4] = ["bytes", "kB", "MB", "GB"];
    let mut size = bytes as f64;
    let mut unit = 0;
    while size >= 1000.0 && unit + 1 < UNITS.len() {
        size /= 1000.0;
        unit += 1;
    }
    if unit == 0 { format!("{bytes} bytes") } else { format!("{size:.1} {}", UNITS[unit]) }
}

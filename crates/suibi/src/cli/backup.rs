//! `suibi backup`: everything in one file, and back.

use std::fmt::Display;
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
use crate::render::style::{DIM, GONE, GOOD, WAITING};
use crate::render::wrap::harmless;
use crate::say::{backup as say, common};
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
                    return Err(Failure::usage(say::ServerUri).hint(say::ServerUriHint));
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
        return Err(Failure::usage(say::IsThere { file: file.display() }).hint(say::IsThereHint));
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
        let what = say::NotMade { file: source.db.display() };
        Failure::new(Exit::Data, what).because(&error).hint(match error {
            StoreError::Full => say::FullHint.to_string(),
            _ => say::NotMadeHint.to_string(),
        })
    })?;
    let checked = look(file, context)?;
    let is_clean = checked.verified.is_clean();
    tell(file, &checked, &say::Made, context)?;
    if is_clean && !context.ui.json {
        let secret = match checked.about.role {
            Role::Server => say::KeysOfAll.to_string(),
            Role::Replica if checked.about.membership.is_some() => say::KeyOfThis.to_string(),
            Role::Replica => return Ok(Exit::Done),
        };
        context.ui.say(format_args!("{DIM}{secret}{DIM:#}"));
    }
    Ok(if is_clean { Exit::Done } else { Exit::NothingMatched })
}

/// What there is to copy: what this machine has joined, or what it serves; where both are, one has to be chosen.
fn source(wanted: Option<Role>, settings: &Settings) -> Result<Source, Failure> {
    let data_dir = settings.journal_dir()?;
    let server = Some(database(&data_dir)).filter(|db| db.exists());
    let membership = Membership::load(&data_dir)
        .map_err(|error| Failure::new(Exit::Data, say::Membership).because(&error))?;
    let replica = match &membership {
        Some(membership) => Some(data_dir.join(&membership.replica)),
        None => Some(data_dir.join(EMBEDDED_REPLICA)).filter(|db| db.exists()),
    };
    let dir = data_dir.display();
    let nothing = |what: String| Failure::new(Exit::NothingMatched, what).hint(say::NoDataHint);
    let role = match (wanted, &server, &membership) {
        (Some(role), ..) => role,
        (None, Some(_), Some(joined)) => {
            let what = say::TwoThings { dir, address: &joined.address };
            return Err(Failure::usage(what).hint(say::TwoThingsHint));
        }
        (None, None, Some(_)) => Role::Replica,
        (None, Some(_), None) => Role::Server,
        (None, None, None) => return Err(nothing(say::NoNotes { dir }.to_string())),
    };
    match role {
        Role::Server => {
            let db = server.ok_or_else(|| nothing(say::NoServer { dir: &dir }.to_string()))?;
            Ok(Source { role, db, membership: None })
        }
        Role::Replica => {
            let db = replica
                .filter(|db| db.exists())
                .ok_or_else(|| nothing(say::NoDevice { dir: &dir }.to_string()))?;
            let membership = membership.map(|_| read_membership(&data_dir)).transpose()?;
            Ok(Source { role, db, membership })
        }
    }
}

fn read_membership(data_dir: &Path) -> Result<Zeroizing<String>, Failure> {
    let path = Membership::path(data_dir);
    fs::read_to_string(&path).map(Zeroizing::new).map_err(|error| {
        Failure::new(Exit::Data, say::CannotRead { file: path.display() }).because(&error)
    })
}

/// Takes what this machine itself has written to its own server, so that the copy has it.
fn deliver(context: &Context) {
    let Ok(mut session) = session::open(&context.settings) else { return };
    if !session.is_embedded() || session.waiting().is_ok_and(|waiting| waiting == 0) {
        return;
    }
    if let Err(failure) = session.sync(|_| {}) {
        let what = say::NotInIt;
        context.ui.complain(format_args!("{WAITING}!{WAITING:#} {what}\n{failure}"));
    }
}

fn check(file: &Path, context: &mut Context) -> Result<Exit, Failure> {
    let checked = look(file, context)?;
    tell(file, &checked, &say::Right, context)?;
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
    let what = say::Unusable { file: file.display() };
    let failure = Failure::new(Exit::Data, what).because(error);
    match error {
        StoreError::Newer { .. } => failure.hint(say::NewerHint),
        StoreError::Foreign(_) => failure.hint(say::ForeignHint),
        _ => failure,
    }
}

fn tell(
    file: &Path,
    checked: &Checked,
    good: &dyn Display,
    context: &mut Context,
) -> Result<(), Failure> {
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
        count => format!("{GONE}✗{GONE:#} {}: {}", file.display(), common::Problems { count }),
    };
    writeln!(ui.out(), "{verdict}")?;
    let whose = match (about.role, &about.membership) {
        (Role::Server, _) => say::OfServer.to_string(),
        (Role::Replica, Some(_)) => say::OfMember.to_string(),
        (Role::Replica, None) => say::OfDevice.to_string(),
    };
    let contents = say::Contents {
        whose,
        when: clock::minute(about.made),
        changes: common::Changes { count: verified.changes },
        notes: common::Notes { count: verified.notes },
        size: size(*bytes),
    };
    writeln!(ui.out(), "  {contents}")?;
    for problem in verified.problems.iter().take(MOST_TOLD) {
        writeln!(ui.out(), "  {}", harmless(&problem.to_string()))?;
    }
    if count > MOST_TOLD {
        writeln!(ui.out(), "  {DIM}{}{DIM:#}", say::More { count: count - MOST_TOLD })?;
    }
    ui.flush()?;
    Ok(())
}

fn restore(file: &Path, context: &mut Context) -> Result<Exit, Failure> {
    let data_dir = context.settings.journal_dir()?;
    let checked = look(file, context)?;
    let about = &checked.about;
    if !checked.verified.is_clean() {
        tell(file, &checked, &"", context)?;
        return Err(Failure::new(Exit::Data, say::Damaged).hint(say::DamagedHint));
    }
    let is_running = running(&data_dir)
        .map_err(|error| Failure::new(Exit::Data, say::CannotSee).because(&error))?;
    if let Some(process) = is_running.filter(|_| about.role == Role::Server) {
        let which = process.pid.map(|id| crate::say::owner::Process { id }.to_string());
        let which = which.unwrap_or_default();
        return Err(taken(say::ServerRuns { which, dir: data_dir.display() }));
    }
    if !is_file_name(&about.file) {
        return Err(unreadable(file, &StoreError::Foreign(about.file.clone())));
    }
    let to = data_dir.join(&about.file);
    if to.exists() {
        return Err(taken(say::FileIsThere { file: &about.file, dir: data_dir.display() }));
    }
    let membership = Membership::path(&data_dir);
    if about.membership.is_some() && membership.exists() {
        return Err(taken(say::HasJoined { dir: data_dir.display() }));
    }
    create_directory(&data_dir).map_err(|error| unusable(&data_dir, &error))?;
    let about = backup::restore(file, &to).map_err(|error| {
        Failure::new(Exit::Data, say::NotRestored { dir: data_dir.display() }).because(&error)
    })?;
    if let Some(text) = &about.membership {
        private::replace(&membership, text.as_bytes())
            .map_err(|error| unusable(&membership, &error))?;
        Membership::load(&data_dir).map_err(|error| {
            Failure::new(Exit::Data, say::MembershipWrong)
                .because(&error)
                .hint(say::MembershipWrongHint)
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
    let restored = say::Restored {
        path: to.display(),
        when: clock::minute(about.made),
        notes: common::Notes { count: checked.verified.notes },
    };
    ui.say(format_args!("{GOOD}✓{GOOD:#} {restored}"));
    match (about.role, &about.membership) {
        (Role::Server, _) => ui.say(format_args!("  {}", say::NextServer)),
        (Role::Replica, Some(_)) => ui.say(format_args!("  {}", say::NextMember)),
        (Role::Replica, None) => ui.say(format_args!("  {}", say::NextDevice)),
    }
    Ok(Exit::Done)
}

fn taken(why: impl Display) -> Failure {
    Failure::usage(why).hint(say::TakenHint)
}

fn unusable(path: &Path, error: &std::io::Error) -> Failure {
    Failure::new(Exit::Data, say::CannotWrite { path: path.display() }).because(error)
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
    const UNITS: [&str; 4] = ["", "kB", "MB", "GB"];
    let mut size = bytes as f64;
    let mut unit = 0;
    while size >= 1000.0 && unit + 1 < UNITS.len() {
        size /= 1000.0;
        unit += 1;
    }
    if unit == 0 { say::Bytes { bytes }.to_string() } else { format!("{size:.1} {}", UNITS[unit]) }
}

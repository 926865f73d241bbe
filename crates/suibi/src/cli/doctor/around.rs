//! What is around suibi: system, time, language, terminal, settings, the directory of the data.

use std::env;
use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use rustix::fs::Access;

use super::{Area, Finding, Level, say, size};
use crate::cli::Context;
use crate::clock;
use crate::failure::Failure;
use crate::lang::{self, Language};
use crate::settings::{Key, Origin, Settings};

/// With less than this the disk is full soon, in bytes.
const LITTLE_ROOM: u64 = 100_000_000;

/// From so many columns on nothing has to be cut off.
const COLUMNS: u16 = 40;

pub(super) fn look(context: &Context) -> Vec<Finding> {
    let mut findings = vec![program(), system(), time(), language(), terminal()];
    settings(&context.settings, &mut findings);
    match context.settings.data_dir() {
        Ok(path) => data(&path, &mut findings),
        Err(failure) => findings.push(Finding::trouble(Area::Data, &failure)),
    }
    findings
}

fn program() -> Finding {
    let version = env!("CARGO_PKG_VERSION");
    let architecture = format!("{}-{}", env::consts::ARCH, env::consts::OS);
    Finding::fine(Area::Program, say::ProgramIs { version, architecture })
}

/// `Debian GNU/Linux 12 (bookworm), 6.1.0-32-amd64`.
fn system() -> Finding {
    let release = fs::read_to_string("/etc/os-release").unwrap_or_default();
    let name = release.lines().find_map(|line| line.strip_prefix("PRETTY_NAME="));
    let name = name.map_or(env::consts::OS, |name| name.trim_matches('"'));
    let kernel = rustix::system::uname();
    Finding::fine(Area::System, format!("{name}, {}", kernel.release().to_string_lossy()))
}

fn time() -> Finding {
    let now = match clock::now() {
        Ok(now) => now,
        Err(failure) => return Finding::trouble(Area::Time, &failure),
    };
    match zone() {
        Some(name) => Finding::fine(Area::Time, format!("{now}, {name}")),
        None => Finding::warning(Area::Time, say::ZoneUnknown { now }, say::ZoneUnknownHint),
    }
}

/// The name of the time zone: `TZ`, or where `/etc/localtime` leads to.
fn zone() -> Option<String> {
    if let Ok(name) = env::var("TZ") {
        return Some(name).filter(|name| !name.is_empty());
    }
    let leads_to = fs::canonicalize("/etc/localtime").ok()?;
    let leads_to = leads_to.to_string_lossy();
    let name = leads_to.split_once("zoneinfo/").map_or(&*leads_to, |(_, name)| name);
    Some(name.to_owned())
}

fn language() -> Finding {
    let locale = ["LC_ALL", "LC_CTYPE", "LANG"]
        .into_iter()
        .find_map(|name| env::var(name).ok().filter(|value| !value.is_empty()))
        .unwrap_or_else(|| "C".to_owned());
    let language = match lang::current() {
        Language::English => say::English.to_string(),
        Language::Chinese => say::Chinese.to_string(),
    };
    let lower = locale.to_lowercase();
    match lower.ends_with("utf-8") || lower.ends_with("utf8") || lower.contains("utf-8@") {
        true => Finding::fine(Area::Language, say::LanguageIs { language, locale }),
        false => Finding::warning(
            Area::Language,
            say::LanguageNotUtf8 { language, locale },
            say::LanguageNotUtf8Hint,
        ),
    }
}

fn terminal() -> Finding {
    let Some((width, height)) = terminal_size::terminal_size_of(io::stderr()) else {
        return Finding::fine(Area::Terminal, say::TerminalNone);
    };
    let (name, columns, rows) = (env::var("TERM").unwrap_or_default(), width.0, height.0);
    let what = say::TerminalIs { name, columns, rows };
    match columns < COLUMNS {
        true => Finding::warning(Area::Terminal, what, say::TerminalNarrowHint),
        false => Finding::fine(Area::Terminal, what),
    }
}

/// Which are set, and by whom; wrong ones with what is wrong.
fn settings(settings: &Settings, findings: &mut Vec<Finding>) {
    let path = settings.path().display();
    let mut list = Vec::new();
    let before = findings.len();
    for key in Key::ALL {
        match settings.find(key) {
            Ok(Some(found)) => {
                let value = found.values.join(" ");
                let origin = match found.origin {
                    Origin::File(_) => path.to_string(),
                    origin => origin.to_string(),
                };
                list.push(format!("{} = {value} ({origin})", key.name()));
            }
            Ok(None) => {}
            Err(failure) => findings.push(Finding::trouble(Area::Settings, &failure)),
        }
    }
    for name in settings.strangers() {
        let path = path.to_string();
        findings.push(Finding::warning(
            Area::Settings,
            say::SettingsStranger { name, path },
            say::SettingsStrangerHint,
        ));
    }
    match list.is_empty() {
        false => {
            let what = say::SettingsAre { list: list.join(", ") };
            findings.insert(before, Finding::fine(Area::Settings, what));
        }
        true if findings.len() == before => {
            findings.push(Finding::fine(Area::Settings, say::SettingsNone { path }));
        }
        true => {}
    }
}

fn data(path: &Path, findings: &mut Vec<Finding>) {
    let shown = path.display();
    let found = match fs::metadata(path) {
        Ok(found) => found,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            findings.push(Finding::fine(Area::Data, say::DataNone { path: shown }));
            return;
        }
        Err(error) => {
            let failure = Failure::usage(shown).because(&error);
            findings.push(Finding::trouble(Area::Data, &failure));
            return;
        }
    };
    let bits = found.permissions().mode() & 0o777;
    let mode = format!("{bits:04o}");
    let free = rustix::fs::statvfs(path).ok().map(|disk| disk.f_bavail * disk.f_frsize);
    let room = size(free.unwrap_or_default());
    findings.push(Finding::fine(Area::Data, say::DataIs { path: shown, mode: &mode, free: &room }));
    if rustix::fs::access(path, Access::WRITE_OK | Access::EXEC_OK).is_err() {
        findings.push(Finding {
            level: Level::Trouble,
            ..Finding::warning(
                Area::Data,
                say::DataFixed { path: path.display() },
                say::DataFixedHint,
            )
        });
    }
    if bits & 0o077 != 0 {
        let closed = "700";
        findings.push(Finding::warning(
            Area::Data,
            say::DataOpen { path: path.display(), mode },
            say::DataOpenHint { path: path.display(), mode: closed },
        ));
    }
    if free.is_some_and(|free| free < LITTLE_ROOM) {
        let what = say::DataFull { path: path.display(), free: room };
        findings.push(Finding::warning(Area::Data, what, say::DataFullHint));
    }
    let Ok(files) = fs::read_dir(path) else { return };
    for file in files.flatten() {
        let Ok(about) = file.metadata() else { continue };
        let bits = about.permissions().mode() & 0o777;
        if about.is_file() && bits & 0o077 != 0 {
            let path = file.path();
            let (mode, closed) = (format!("{bits:04o}"), "600");
            findings.push(Finding::warning(
                Area::Data,
                say::DataOpen { path: path.display(), mode },
                say::DataOpenHint { path: path.display(), mode: closed },
            ));
        }
    }
}

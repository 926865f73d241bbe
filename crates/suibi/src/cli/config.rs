//! `suibi config`: what is set, and by whom.

mod file;

use std::io::Write as _;

use clap::Subcommand;
use serde::Serialize;

use crate::failure::{Exit, Failure};
use crate::render::json::VERSION;
use crate::render::style::{DIM, HINT};
use crate::say::config as say;
use crate::settings::{FOLDS, Found, Key, Kind, Origin, ServerAddress, Settings};
use crate::ui::Ui;

pub(super) use file::{edit, path};

/// What to do with the configuration.
#[derive(Debug, Subcommand)]
pub(crate) enum ConfigCommand {
    /// Print one setting's value; who set it goes to standard error
    Get {
        /// Its name, such as `server`
        key: String,
    },
    /// Write one setting into config.toml, comments kept
    Set {
        /// Its name, such as `server`
        key: String,
        /// Its value; several for a list
        #[arg(required = true, num_args = 1..)]
        values: Vec<String>,
    },
    /// Take one setting out of config.toml
    Unset {
        /// Its name, such as `server`
        key: String,
    },
    /// Print every setting, its value, and who set it
    List,
    /// Open config.toml in your editor, and check it afterwards
    Edit,
    /// Print where config.toml is, or would be
    Path,
}

/// One setting, with `--json`.
#[derive(Debug, Serialize)]
struct SettingJson {
    key: &'static str,
    value: serde_json::Value,
    origin: String,
}

/// All settings, with `--json`.
#[derive(Debug, Serialize)]
struct SettingsJson {
    version: u32,
    settings: Vec<SettingJson>,
}

pub(super) fn run(
    command: ConfigCommand,
    settings: &Settings,
    ui: &mut Ui,
) -> Result<Exit, Failure> {
    match command {
        ConfigCommand::Get { key } => get(file::named(&key)?, settings, ui),
        ConfigCommand::List => list(settings, ui),
        ConfigCommand::Edit => edit(),
        ConfigCommand::Path => path(),
        ConfigCommand::Set { key, values } => {
            let key = file::named(&key)?;
            settings.store(key, &values)?;
            ui.say(say::SetIn { file: settings.path().display() });
            if let Some(found) = settings.find(key)?
                && matches!(found.origin, Origin::Environment(_))
            {
                ui.say(say::GoesBefore { origin: found.origin });
            }
            if key == Key::Server && !settings.switch(Key::Insecure)? && is_beyond(&values) {
                let label = crate::say::failure::Hint;
                ui.say(format_args!("{HINT}{label}{HINT:#} {}", say::BeyondHint));
            }
            Ok(Exit::Done)
        }
        ConfigCommand::Unset { key } => {
            let key = file::named(&key)?;
            if !settings.forget(key)? {
                ui.say(say::WasNotSet { key: key.name(), file: settings.path().display() });
                return Ok(Exit::NothingMatched);
            }
            ui.say(say::TakenOut { file: settings.path().display() });
            Ok(Exit::Done)
        }
    }
}

/// Whether these are the address of a server that is not on this machine.
fn is_beyond(values: &[String]) -> bool {
    let addresses = values.iter().filter_map(|value| ServerAddress::parse(value).ok());
    addresses.into_iter().any(|address| !address.is_loopback())
}

fn get(key: Key, settings: &Settings, ui: &mut Ui) -> Result<Exit, Failure> {
    let Some(found) = effective(key, settings)? else {
        ui.say(say::NotSet { key: key.name() });
        return Ok(Exit::NothingMatched);
    };
    if ui.json {
        ui.json(&setting_json(key, found))?;
    } else {
        for value in &found.values {
            writeln!(ui.out(), "{value}")?;
        }
        ui.flush()?;
        ui.say(format_args!("{DIM}{}{DIM:#}", say::From { origin: found.origin }));
    }
    Ok(Exit::Done)
}

fn list(settings: &Settings, ui: &mut Ui) -> Result<Exit, Failure> {
    let mut rows = Vec::new();
    for key in Key::ALL {
        if let Some(found) = effective(key, settings)? {
            rows.push((key, found));
        }
    }
    if ui.json {
        let settings = rows.into_iter().map(|(key, found)| setting_json(key, found)).collect();
        ui.json(&SettingsJson { version: VERSION, settings })?;
        return Ok(Exit::Done);
    }
    for (key, found) in rows {
        let (name, values) = (key.name(), found.values.join(" "));
        writeln!(ui.out(), "{name} = {values}  {DIM}# {}{DIM:#}", found.origin)?;
    }
    ui.flush()?;
    ui.say(format_args!("{DIM}{}{DIM:#}", say::File { file: settings.path().display() }));
    Ok(Exit::Done)
}

/// The value that counts, with the defaults that the program would take.
fn effective(key: Key, settings: &Settings) -> Result<Option<Found>, Failure> {
    if let Some(found) = settings.find(key)? {
        return Ok(Some(found));
    }
    let default = match key {
        Key::Server | Key::Listen | Key::InsecureCoap | Key::Plain => return Ok(None),
        Key::DataDir => settings.data_dir()?.display().to_string(),
        Key::Device => settings.device()?,
        Key::Insecure | Key::PlainAnyone => "false".to_owned(),
        Key::Fold => {
            let values = FOLDS[..FOLDS.len() - 1].iter().map(|fold| (*fold).to_owned()).collect();
            return Ok(Some(Found { values, origin: Origin::Default }));
        }
        Key::Color | Key::Lang | Key::PlainReply => "auto".to_owned(),
        Key::PlainWords => "course".to_owned(),
        Key::PlainMax => "1024".to_owned(),
    };
    Ok(Some(Found { values: vec![default], origin: Origin::Default }))
}

fn setting_json(key: Key, found: Found) -> SettingJson {
    let first = found.values.first().cloned().unwrap_or_default();
    let value = match key.kind() {
        Kind::List | Kind::Words(_) => found.values.into(),
        Kind::Switch => matches!(first.as_str(), "true" | "1" | "yes" | "on").into(),
        Kind::Number(..) => first.parse::<u64>().map_or(first.into(), Into::into),
        _ => first.into(),
    };
    SettingJson { key: key.name(), value, origin: found.origin.word() }
}

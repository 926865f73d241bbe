//! `suibi devices`: who may do what.

mod export;

use std::io::Write as _;

use clap::{Args, Subcommand};
use serde::Serialize;
use suibi_journal::DeviceInfo;

use super::owner::Owner;
use super::{Context, shape};
use crate::clock;
use crate::failure::{Exit, Failure};
use crate::render::json::{VERSION, rights_json};
use crate::render::style::GOOD;
use crate::render::table::table;
use crate::render::wrap::harmless;
use crate::say::{common, devices as say};

/// `suibi devices`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  suibi devices                        who has joined, and what each may do
  suibi devices rename phone 手机
  suibi devices revoke 'old laptop'    its next datagram is refused
  suibi devices export kettle --format libcoap --rights write --dir kettle

Where two devices have one name, the id in the last column says which.")]
pub(super) struct DevicesArgs {
    #[command(subcommand)]
    command: Option<DevicesCommand>,
}

/// What to do with them.
#[derive(Debug, Subcommand)]
enum DevicesCommand {
    /// Give a device another name; the notes that it wrote follow
    Rename {
        /// Its name now, or its id
        #[arg(value_name = "OLD")]
        old: String,
        /// Its name from now on
        #[arg(value_name = "NEW")]
        new: String,
    },
    /// Cut a device off, at once; what it wrote stays
    Revoke {
        /// Its name, or its id
        #[arg(value_name = "NAME|ID")]
        device: String,
        /// Do not ask
        #[arg(short, long)]
        yes: bool,
    },
    /// Make keys for a program of another make that speaks OSCORE
    Export(export::ExportArgs),
}

/// What `devices` prints with `--json`.
#[derive(Debug, Serialize)]
struct DevicesJson {
    version: u32,
    devices: Vec<DeviceJson>,
}

/// What `devices rename` and `devices revoke` print with `--json`.
#[derive(Debug, Serialize)]
struct OneDeviceJson {
    version: u32,
    device: DeviceJson,
}

/// One device.
#[derive(Debug, Serialize)]
struct DeviceJson {
    id: String,
    name: String,
    journal: String,
    rights: Vec<&'static str>,
    joined: Option<String>,
    seen: Option<String>,
    revoked: Option<String>,
    foreign: bool,
}

impl From<DeviceInfo> for DeviceJson {
    fn from(device: DeviceInfo) -> Self {
        let time = |millis| clock::at(millis).map(|time| time.to_string());
        Self {
            id: device.id,
            name: device.name,
            journal: device.journal,
            rights: rights_json(device.rights),
            joined: time(device.joined),
            seen: device.seen.and_then(time),
            revoked: device.revoked.and_then(time),
            foreign: device.foreign,
        }
    }
}

pub(super) fn run(args: DevicesArgs, context: &mut Context) -> Result<Exit, Failure> {
    match args.command {
        None => list(context),
        Some(DevicesCommand::Rename { old, new }) => rename(&old, &new, context),
        Some(DevicesCommand::Revoke { device, yes }) => revoke(&device, yes, context),
        Some(DevicesCommand::Export(args)) => export::run(args, context),
    }
}

fn list(context: &mut Context) -> Result<Exit, Failure> {
    let devices = Owner::of_any_server(context)?.devices()?;
    let ui = &mut context.ui;
    let is_empty = devices.is_empty();
    if ui.json {
        let devices = devices.into_iter().map(DeviceJson::from).collect();
        ui.json(&DevicesJson { version: VERSION, devices })?;
    } else if !is_empty {
        let text = text(&devices, clock::now()?.millis());
        ui.out().write_all(text.as_bytes())?;
    }
    ui.flush()?;
    if is_empty {
        ui.say(say::NoneYet);
        return Ok(Exit::NothingMatched);
    }
    Ok(Exit::Done)
}

/// A row for each; those that were cut off at the end.
fn text(devices: &[DeviceInfo], now: i64) -> String {
    let mut devices: Vec<&DeviceInfo> = devices.iter().collect();
    devices.sort_by_key(|device| device.revoked.is_some());
    let several = devices.windows(2).any(|pair| pair[0].journal != pair[1].journal);
    let rows: Vec<[String; 6]> = devices
        .iter()
        .map(|device| {
            let journal = if several { device.journal.clone() } else { String::new() };
            let seen = match (device.revoked, device.seen) {
                (Some(at), _) => say::CutOffAt { when: clock::minute(at) }.to_string(),
                (None, Some(at)) => match now.saturating_sub(at) {
                    ..60_000 => say::JustNow.to_string(),
                    ago => say::Ago { time: clock::stretch(ago) }.to_string(),
                },
                (None, None) => "-".to_owned(),
            };
            let rights = super::rights_in_short(device.rights);
            let rights = match device.foreign {
                true => say::Foreign { rights }.to_string(),
                false => rights,
            };
            [
                device.name.clone(),
                journal,
                rights,
                clock::minute(device.joined),
                seen,
                device.id.clone(),
            ]
        })
        .collect();
    let heading = [
        say::Name.to_string(),
        say::Journal.to_string(),
        say::May.to_string(),
        say::Joined.to_string(),
        say::LastHeard.to_string(),
        say::Id.to_string(),
    ];
    table(heading.each_ref().map(String::as_str), &rows)
}

fn rename(old: &str, new: &str, context: &mut Context) -> Result<Exit, Failure> {
    let mut owner = Owner::of_any_server(context)?;
    let mut device = find(old, owner.devices()?)?;
    owner.rename(&device.id, new)?;
    let ui = &mut context.ui;
    if ui.json {
        new.clone_into(&mut device.name);
        ui.json(&OneDeviceJson { version: VERSION, device: device.into() })?;
    } else {
        let renamed = say::Renamed { old: harmless(&device.name), new: harmless(new) };
        ui.say(format_args!("{GOOD}✓{GOOD:#} {renamed}"));
    }
    Ok(Exit::Done)
}

fn revoke(wanted: &str, yes: bool, context: &mut Context) -> Result<Exit, Failure> {
    let mut owner = Owner::of_any_server(context)?;
    let mut device = find(wanted, owner.devices()?)?;
    let name = harmless(&device.name);
    if let Some(at) = device.revoked {
        context.ui.say(say::AlreadyCutOff { name, when: clock::minute(at) });
        return Ok(Exit::Done);
    }
    if !yes && !is_meant(&device, context)? {
        context.ui.say(common::NothingDone);
        return Ok(Exit::NothingMatched);
    }
    owner.revoke(&device.id)?;
    let ui = &mut context.ui;
    if ui.json {
        device.revoked = Some(clock::now()?.millis());
        ui.json(&OneDeviceJson { version: VERSION, device: device.into() })?;
    } else {
        ui.say(format_args!("{GOOD}✓{GOOD:#} {}", say::CutOff { name }));
    }
    Ok(Exit::Done)
}

/// Asks whether this device is to be cut off.
///
/// # Errors
///
/// Where nobody can be asked.
fn is_meant(device: &DeviceInfo, context: &Context) -> Result<bool, Failure> {
    let name = harmless(&device.name);
    if !context.ui.can_ask() {
        let hint = say::NobodyHint { name: shape::quoted(&[device.name.clone().into()]) };
        return Err(Failure::usage(say::Nobody { name }).hint(hint));
    }
    let (may, when) = (super::may(device.rights), clock::minute(device.joined));
    Ok(context.ui.confirm(format_args!("{} ", say::Question { name, may, when }))?)
}

/// The one device of this name or id. One that was cut off is meant only where no other has the name.
fn find(wanted: &str, devices: Vec<DeviceInfo>) -> Result<DeviceInfo, Failure> {
    let id = wanted.to_ascii_lowercase();
    let mut named: Vec<DeviceInfo> =
        devices.into_iter().filter(|device| device.name == wanted || device.id == id).collect();
    if let Some(at) = named.iter().position(|device| device.id == id) {
        return Ok(named.swap_remove(at));
    }
    if named.iter().any(|device| device.revoked.is_none()) {
        named.retain(|device| device.revoked.is_none());
    }
    match named.len() {
        0 => Err(Failure::new(Exit::NothingMatched, say::NotFound { name: wanted })
            .hint(say::NotFoundHint)),
        1 => Ok(named.remove(0)),
        many => {
            let ids: Vec<&str> = named.iter().map(|device| device.id.as_str()).collect();
            Err(Failure::usage(say::Several { count: many, name: wanted })
                .hint(say::SeveralHint { ids: ids.join(", ") }))
        }
    }
}

#[cfg(test)]
mod tests {
    use suibi_journal::Rights;

    use super::*;

    const MINUTE: i64 = 60_000;
    /// 2026-11-23 09:05 UTC.
    const NOW: i64 = 1_795_424_700_000;

    fn device(id: &str, name: &str, rights: Rights) -> DeviceInfo {
        DeviceInfo {
            id: id.to_owned(),
            name: name.to_owned(),
            journal: "notes".to_owned(),
            rights,
            joined: NOW - 3 * 24 * 60 * MINUTE,
            seen: None,
            revoked: None,
            foreign: false,
        }
    }

    #[test]
    fn a_name_means_one_device_or_its_id_is_asked_for() {
        let devices = || {
            vec![
                device("0a0b0c0d", "laptop", Rights::READ_WRITE),
                DeviceInfo { revoked: Some(NOW), ..device("11111111", "phone", Rights::DROP) },
                device("22222222", "phone", Rights::DROP),
                device("33333333", "22222222", Rights::DROP),
                device("44444444", "twin", Rights::DROP),
                device("55555555", "twin", Rights::DROP),
            ]
        };
        let found = |wanted| find(wanted, devices()).map(|device| device.id);
        assert_eq!(found("laptop").unwrap(), "0a0b0c0d");
        assert_eq!(found("0A0B0C0D").unwrap(), "0a0b0c0d");
        assert_eq!(found("phone").unwrap(), "22222222");
        assert_eq!(found("11111111").unwrap(), "11111111");
        assert_eq!(found("22222222").unwrap(), "22222222", "an id goes before a name");
        let two = anstream::adapter::strip_str(&found("twin").unwrap_err().to_string()).to_string();
        insta::assert_snapshot!(two, @"
        error: 2 devices are called twin; nothing was done
        hint: say which by its id: 44444444, 55555555
        ");
        assert_eq!(found("nobody").unwrap_err().exit, Exit::NothingMatched);
    }
}

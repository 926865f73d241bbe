//! `suibi invite`: a line, and a picture of it, with which one more device joins.

mod card;
pub(super) mod host;

use std::io::Write as _;
use std::time::Duration;

use clap::Args;
use serde::Serialize;
use suibi_journal::Rights;
use suibi_journal::admission::{InviteAnswer, InviteRequest};
use suibi_oscore::{InviteLine, KeyId, Secret};
use zeroize::Zeroizing;

use super::Context;
use super::owner::Owner;
use crate::clock;
use crate::failure::{Exit, Failure};
use crate::render::json::{VERSION, rights_json};
use crate::render::qr::Paint;
use crate::say::invite as say;
use card::Card;

/// `suibi invite`.
#[derive(Debug, Args)]
#[command(after_help = "\
The line goes to standard output, everything else to standard error. It lets in
one device, whichever has it first: hand it over as you would a key. The server
has to run: suibi serve.

Examples:
  suibi invite                                  a laptop or a phone of your own
  suibi invite --rights write --name sensor     a drop: adds notes, sees none
  suibi invite --journal family --expires 2d    another journal, kept apart
  suibi invite --host notes.example.org         where others find the server")]
pub(super) struct InviteArgs {
    /// The journal that it joins; a new name makes one [default: yours]
    #[arg(long, value_name = "NAME")]
    journal: Option<String>,
    /// What it may do: read,write; read; or write (a drop); with admin it invites and revokes
    #[arg(long, value_name = "RIGHTS", default_value = "read,write")]
    rights: Rights,
    /// How long the line is good for, 1m to 7d
    #[arg(long, value_name = "TIME", default_value = "15m", value_parser = stretch)]
    expires: Duration,
    /// What the device is called [default: its own choice]
    #[arg(long, value_name = "DEVICE")]
    name: Option<String>,
    /// Where the device finds the server [default: this machine's address]
    #[arg(long, value_name = "HOST[:PORT]")]
    host: Option<String>,
}

/// What `invite` prints with `--json`. The line is a secret, so there is no `Debug`.
#[derive(Serialize)]
struct InviteJson<'a> {
    version: u32,
    line: &'a str,
    id: String,
    journal: String,
    rights: Vec<&'static str>,
    name: Option<String>,
    expires: Option<String>,
}

pub(super) fn run(args: InviteArgs, context: &mut Context) -> Result<Exit, Failure> {
    // Before anything is made: a line that nobody can use is none.
    let mut owner = Owner::of_a_server_that_runs(context)?;
    let host = owner.host(args.host.as_deref())?;
    let answer = owner.invite(&InviteRequest {
        journal: args.journal,
        rights: args.rights,
        lasts: Some(args.expires.as_secs()),
        name: args.name,
    })?;
    let id = KeyId::from_slice(&answer.id).expect("an answer's id has been checked");
    let line = Zeroizing::new(
        InviteLine {
            host: host.name.clone(),
            port: host.port,
            id,
            secret: Secret::from_bytes(&answer.secret).expect("16 bytes are a secret"),
        }
        .to_string(),
    );
    // The two clocks may differ: what is left is true on both.
    let left = answer.expires.saturating_sub(answer.time);
    let ends = clock::now()?.millis().saturating_add(left);
    let ui = &mut context.ui;
    if ui.json {
        let InviteAnswer { journal, rights, name, .. } = answer;
        ui.json(&InviteJson {
            version: VERSION,
            line: &line,
            id: id.to_string(),
            journal,
            rights: rights_json(rights),
            name,
            expires: clock::at(ends).map(|time| time.to_string()),
        })?;
        return Ok(Exit::Done);
    }
    let card = Card {
        line,
        needs_forwarding: owner.is_on_loopback_only(),
        host,
        journal: answer.journal,
        is_new_journal: answer.is_new_journal,
        name: answer.name,
        may: super::may(answer.rights),
        lasts: clock::stretch(left),
        until: say::Until { when: clock::moment(ends)? }.to_string(),
    };
    let background = std::env::var("COLORFGBG").ok();
    let paint = Paint::choose(ui.talk_has_colours(), background.as_deref());
    for row in card.lines(ui.talk_size(), ui.is_terminal(), paint) {
        ui.say(row);
    }
    writeln!(ui.out(), "{}", &*card.line)?;
    Ok(Exit::Done)
}

/// `90s`, `15m`, `2h`, `7d`.
fn stretch(text: &str) -> Result<Duration, String> {
    let wrong = || say::HowLong.to_string();
    let text = text.trim();
    let unit = text.chars().next_back().ok_or_else(wrong)?;
    let seconds_each = match unit {
        's' => 1,
        'm' => 60,
        'h' => 60 * 60,
        'd' => 24 * 60 * 60,
        _ => return Err(wrong()),
    };
    let number: u64 = text[..text.len() - 1].trim_end().parse().map_err(|_| wrong())?;
    match number.checked_mul(seconds_each) {
        None | Some(0) => Err(wrong()),
        Some(60..=604_800) => Ok(Duration::from_secs(number * seconds_each)),
        Some(_) => Err(say::HowLongRange.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stretches_as_people_write_them() {
        for (text, wanted) in
            [("90s", 90), ("15m", 900), ("2h", 7_200), ("7d", 604_800), (" 1 d ", 86_400)]
        {
            assert_eq!(stretch(text), Ok(Duration::from_secs(wanted)), "{text}");
        }
        for text in
            ["", "15", "m", "0m", "-1m", "1.5h", "15分", "99999999999999999999d", "1w", "59s", "8d"]
        {
            assert!(stretch(text).is_err(), "{text}");
        }
    }
}

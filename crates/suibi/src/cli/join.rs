//! `suibi join`: this machine becomes a device of a server elsewhere.

use std::fmt::Display;
use std::io::{self, BufRead as _, IsTerminal as _, Read as _};
use std::time::Duration;

use clap::Args;
use serde::Serialize;
use suibi_client::{ClientError, JoinError, Joined, join, join_again};
use suibi_oscore::{InviteLine, InviteLineError};
use suibi_store::StoreError;
use zeroize::Zeroizing;

use super::{Context, shape, sync};
use crate::clock;
use crate::errors::{join_hint, told};
use crate::failure::{Exit, Failure};
use crate::render::json::{VERSION, rights_json};
use crate::render::style::{DAY, DIM, GOOD, HINT, WAITING};
use crate::render::wrap::harmless;
use crate::say::{common, join as say};
use crate::session;
use crate::settings::Key;
use crate::ui::Ui;

/// So long all the waits for the server may take together.
const ANSWER_WITHIN: Duration = Duration::from_secs(10);

/// Nobody pastes more than this for a line of a hundred characters.
const MAX_INPUT_BYTES: u64 = 64 << 10;

/// `suibi join`.
#[derive(Debug, Args)]
#[command(
    override_usage = "suibi join [OPTIONS] [LINE]",
    after_help = "\
Without LINE, or with -, it is read from standard input, and so stays out of the
shell's history. What this machine wrote before goes along. A join that was cut
short is taken up by the same line again.

Examples:
  suibi join                              asks for the line
  suibi join --name phone < line.txt      from a file
  ssh server suibi invite | suibi join    straight from the server"
)]
pub(super) struct JoinArgs {
    /// What suibi invite printed on the server: suibi://…
    #[arg(value_name = "LINE")]
    line: Vec<String>,
    /// What this device is called there [default: the machine's name]
    #[arg(long, value_name = "DEVICE")]
    name: Option<String>,
    /// Leave the server that was joined before, for the one of the line
    #[arg(long)]
    again: bool,
}

/// What `join` prints with `--json`.
#[derive(Debug, Serialize)]
struct JoinJson {
    version: u32,
    address: String,
    server: String,
    journal: String,
    device: String,
    rights: Vec<&'static str>,
    carried: u64,
    left_behind: u64,
    /// Milliseconds by which the server's clock is ahead of ours, when that is worth a word.
    clock_off: Option<i64>,
    /// Changes that wait for the server still.
    waiting: Option<u64>,
}

pub(super) fn run(args: JoinArgs, context: &mut Context) -> Result<Exit, Failure> {
    let text = Zeroizing::new(match args.line.as_slice() {
        [] => read_line(context)?,
        [dash] if dash == "-" => read_line(context)?,
        words => words.join(" "),
    });
    let line: InviteLine = text.parse().map_err(|error| wrong_line(error, &args.line))?;
    let settings = &context.settings;
    let data_dir = settings.journal_dir()?;
    let device = match &args.name {
        Some(name) => name.clone(),
        None => settings.device()?,
    };
    if io::stderr().is_terminal() {
        context.ui.say(format_args!("{DIM}{}{DIM:#}", say::Asking { place: place(&line) }));
    }
    let joined = match args.again {
        true => join_again(&data_dir, &line, &device, ANSWER_WITHIN),
        false => join(&data_dir, &line, &device, ANSWER_WITHIN),
    }
    .map_err(|error| failure(&error))?;
    let name = about_the_name(&device, &joined.membership.device, args.name.is_some());
    tell(&joined, name, context)?;
    // What is joined stays joined, whatever comes of the first exchange.
    let waiting = match session::open(&context.settings)
        .and_then(|mut session| sync::exchange(&mut session, &context.ui))
    {
        Ok(moved) => {
            context.ui.say(sync::line(&moved, joined.membership.rights));
            Some(moved.waiting)
        }
        Err(failure) => {
            let what = say::NotExchanged;
            context.ui.complain(format_args!("{WAITING}!{WAITING:#} {what}\n{failure}"));
            None
        }
    };
    if context.ui.json {
        let Joined { membership, carried, left_behind, clock_off } = joined;
        context.ui.json(&JoinJson {
            version: VERSION,
            address: membership.address,
            server: membership.server,
            journal: membership.journal,
            device: membership.device,
            rights: rights_json(membership.rights),
            carried,
            left_behind,
            clock_off: clock_off.and_then(|off| i64::try_from(off.as_millis()).ok()),
            waiting,
        })?;
    }
    Ok(Exit::Done)
}

/// From standard input. A terminal is asked for it, and keeps it out of every history.
fn read_line(context: &Context) -> Result<String, Failure> {
    let mut text = String::new();
    if io::stdin().is_terminal() {
        context.ui.ask(format_args!("{DAY}{}{DAY:#} {}\n", say::Paste, say::PasteWhich));
        io::stdin().lock().read_line(&mut text)?;
    } else {
        let mut bytes = Vec::new();
        io::stdin().lock().take(MAX_INPUT_BYTES).read_to_end(&mut bytes)?;
        // What is no text is no line either, and is told so.
        text = String::from_utf8_lossy(&bytes).into_owned();
    }
    if text.trim().is_empty() {
        return Err(Failure::usage(say::NoLine).hint(say::NoLineHint));
    }
    Ok(text)
}

/// What the person has in hands now, and what they should know about it.
fn tell(joined: &Joined, name: Option<String>, context: &Context) -> Result<(), Failure> {
    let ui = &context.ui;
    let membership = &joined.membership;
    let place = say::Joined { address: &membership.address };
    ui.say(format_args!(
        "{GOOD}✓{GOOD:#} {place} {DAY}{}{DAY:#}{}",
        harmless(&membership.device),
        say::Encrypted,
    ));
    let journal =
        say::Journal { journal: harmless(&membership.journal), may: super::may(membership.rights) };
    ui.say(format_args!("  {journal}"));
    if let Some(name) = name {
        ui.say(format_args!("  {name}"));
    }
    match (joined.carried, membership.rights.write) {
        (0, _) => {}
        (notes, true) => ui.say(format_args!("  {}", say::GoAlong { notes })),
        (notes, false) => {
            ui.say(format_args!("{WAITING}!{WAITING:#} {}", say::Stay { notes }));
        }
    }
    if joined.left_behind > 0 {
        let dir = context.settings.journal_dir()?;
        let what = say::LeftBehind { notes: joined.left_behind, dir: dir.display() };
        ui.say(format_args!("{WAITING}!{WAITING:#} {what}"));
    }
    if let Some(off) = joined.clock_off {
        let millis = i64::try_from(off.as_millis()).unwrap_or(i64::MAX);
        let (here, how) = (clock::minute(clock::now()?.millis()), clock::stretch(millis));
        let what = match millis > 0 {
            true => say::ClockBehind { here, how }.to_string(),
            false => say::ClockAhead { here, how }.to_string(),
        };
        warn(ui, what, say::ClockHint);
    }
    if let Some(server) = context.settings.find(Key::Server)? {
        let what = say::SettingFirst { value: server.values.join(" "), origin: server.origin };
        warn(ui, what, "suibi config unset server");
    }
    Ok(())
}

fn warn(ui: &Ui, what: impl Display, hint: impl Display) {
    let label = crate::say::failure::Hint;
    ui.say(format_args!("{WAITING}!{WAITING:#} {what}\n{HINT}{label}{HINT:#} {hint}"));
}

/// What the person should know when the server gave another name than was asked for: `suibi devices` will show that one.
/// A name that was not asked for in so many words may well be replaced by that of the invite, silently.
fn about_the_name(asked: &str, given: &str, in_words: bool) -> Option<String> {
    let (wanted, name) = (harmless(asked), harmless(given));
    let is_number = |text: &str| text.parse::<u32>().is_ok();
    let numbered = given.rsplit_once(' ').filter(|(_, number)| is_number(number));
    match numbered {
        _ if asked == given => None,
        Some((stem, _)) if stem == asked => Some(say::WasTaken { wanted, name }.to_string()),
        _ if in_words => Some(say::OtherName { name, wanted }.to_string()),
        _ => None,
    }
}

fn place(line: &InviteLine) -> String {
    match line.host.contains(':') {
        true => format!("[{}]:{}", line.host, line.port),
        false => format!("{}:{}", line.host, line.port),
    }
}

/// What is wrong with the line, before anybody was asked.
fn wrong_line(error: InviteLineError, words: &[String]) -> Failure {
    match error {
        InviteLineError::NotAnInvite => {
            let failure = Failure::usage(say::NoInvite);
            let words: Vec<std::ffi::OsString> = std::iter::once("join")
                .chain(words.iter().map(String::as_str))
                .map(Into::into)
                .collect();
            match words.len() {
                // It was piped in or pasted.
                1 => failure.hint(say::NoInviteHint),
                _ => {
                    let more = common::AddHint { words: shape::quoted(&words) };
                    failure.hint(common::And { what: say::NoInviteHint, more })
                }
            }
        }
        InviteLineError::Incomplete { .. } => Failure::usage(say::CutOff).hint(say::CopyAgain),
        InviteLineError::Mistyped => Failure::usage(say::Mistyped).hint(say::CopyAgain),
        InviteLineError::NewerVersion => Failure::usage(say::Newer).hint(say::NewerHint),
    }
}

/// Why the join did not happen.
pub(super) fn failure(error: &JoinError) -> Failure {
    let exit = match error {
        JoinError::AlreadyJoined(_) | JoinError::Device(_) | JoinError::OwnServer => Exit::Usage,
        JoinError::Used { .. }
        | JoinError::Expired { .. }
        | JoinError::NotOurs { .. }
        | JoinError::Refused { .. } => Exit::NotAllowed,
        JoinError::NoAnswer { .. }
        | JoinError::NotConfirmed { .. }
        | JoinError::Unreachable { .. }
        | JoinError::LoopbackElsewhere { .. }
        | JoinError::Offline { .. }
        | JoinError::Unresolvable { .. }
        | JoinError::Busy { .. }
        | JoinError::Nonsense(_) => Exit::Network,
        JoinError::InProgress | JoinError::Carry(_) | JoinError::Files(_) | JoinError::Local(_) => {
            Exit::Data
        }
    };
    if let JoinError::Local(ClientError::Store(error)) = error {
        let failure = session::store_failure(error);
        return match error {
            StoreError::Full => failure.hint(say::FullHint),
            _ => failure,
        };
    }
    let what = told(error);
    // The hint says it, and how.
    let what = what.trim_end_matches("; ask for a new one");
    Failure::new(exit, what).because_of(error).hint(join_hint(error))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_name_than_the_one_asked_for_is_told() {
        let told = |asked, given, in_words| about_the_name(asked, given, in_words);
        for (asked, given, in_words, wanted) in [
            ("laptop", "laptop", true, None),
            (
                "laptop",
                "laptop 2",
                false,
                Some("«laptop» was taken: this device is «laptop 2» there"),
            ),
            (
                "手机 2",
                "手机 2 3",
                true,
                Some("«手机 2» was taken: this device is «手机 2 3» there"),
            ),
            ("laptop", "thermometer", false, None),
            ("laptop", "sensor 7", false, None),
            ("laptop", "sensor", true, Some("the server calls it «sensor», not «laptop»")),
        ] {
            assert_eq!(told(asked, given, in_words).as_deref(), wanted, "{asked} {given}");
        }
    }
}

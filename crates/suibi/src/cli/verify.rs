//! `suibi verify`: proof that nothing is missing, or what is.

use std::fmt::Display;
use std::io::Write as _;
use std::time::Duration;

use clap::Args;
use serde::Serialize;
use suibi_client::{Checked, Problem, ReceiptCheck, Scope, Side, Verification};
use suibi_journal::NoteName;

use super::progress::Progress;
use super::{Context, names};
use crate::failure::{Exit, Failure};
use crate::render::json::VERSION;
use crate::render::story::beginning;
use crate::render::style::{DIM, GONE, GOOD, HINT, WAITING};
use crate::render::wrap::harmless;
use crate::say::{common, failure, verify as say};
use crate::session::{self, Session};
use crate::story::minute;

/// So long the network may take altogether, for the ends of the chains and for everything.
const ENDS_WITHIN: Duration = Duration::from_secs(30);
const ALL_WITHIN: Duration = Duration::from_secs(24 * 3600);

/// So many problems are told one by one; `--json` has all of them.
const MOST_TOLD: usize = 20;

/// Columns of a note's text.
const TEXT_COLUMNS: usize = 40;

/// `suibi verify`.
#[derive(Debug, Args)]
#[command(
    override_usage = "suibi verify [OPTIONS]\n       suibi verify [OPTIONS] RECEIPT",
    after_help = "\
Without RECEIPT, every change that this device has is checked: its hash, its
place in its chain, and that the notes are what their changes say. With
--server, that the server has all of them, and this device all of the server's;
with --all, everything that the server has is read and checked once more.

RECEIPT is what was printed when the note was saved, today or years ago, or one
half of it: 'suibi verify 1284 3f9ac1', 'suibi verify 3f9ac1'.

Exit code 0: nothing is missing. 1: something is, and what it says is what."
)]
pub(super) struct VerifyArgs {
    /// Compare with the server, too; URI names one without protection
    // Its id is that of the global option, which it replaces here: after `verify` the bare word is enough.
    #[arg(
        id = "server",
        long = "server",
        value_name = "URI",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = ""
    )]
    server: Option<String>,
    /// Besides, read everything from the server once more
    #[arg(long)]
    all: bool,
    /// Check one receipt, such as 1284 or 3f9ac1
    #[arg(value_name = "RECEIPT", num_args = 0..=3, value_parser = receipt_word, conflicts_with = "all")]
    receipt: Vec<String>,
}

/// What `verify` prints with `--json`.
#[derive(Debug, Serialize)]
struct VerifyJson {
    version: u32,
    ok: bool,
    here: CheckedJson,
    server: Option<CheckedJson>,
    waiting: u64,
    problems: Vec<ProblemJson>,
    /// So many more are wrong here, which are not told one by one.
    more_problems: u64,
}

/// How much was checked.
#[derive(Debug, Serialize)]
struct CheckedJson {
    changes: u64,
    chains: u64,
    notes: u64,
    purged: u64,
}

impl From<Checked> for CheckedJson {
    fn from(Checked { changes, chains, notes, purged }: Checked) -> Self {
        Self { changes, chains, notes, purged }
    }
}

/// Something that is wrong.
#[derive(Debug, Serialize)]
struct ProblemJson {
    side: &'static str,
    device: Option<String>,
    chain: Option<String>,
    /// The first place and the last.
    seqs: Option<[u64; 2]>,
    position: Option<u64>,
    what: String,
    remedy: Option<String>,
}

impl From<&Problem> for ProblemJson {
    fn from(problem: &Problem) -> Self {
        Self {
            side: match problem.side {
                Side::Here => "here",
                Side::Server => "server",
            },
            device: problem.device.clone(),
            chain: problem.chain.map(|chain| chain.to_string()),
            seqs: problem.seqs.map(|(first, last)| [first, last]),
            position: problem.position,
            what: problem.what.clone(),
            remedy: problem.remedy.clone(),
        }
    }
}

/// What `verify RECEIPT` prints with `--json`.
#[derive(Debug, Serialize)]
struct ReceiptJson {
    version: u32,
    ok: bool,
    position: Option<u64>,
    hash: Option<String>,
    here: Option<HereJson>,
    server: Option<ThereJson>,
    trouble: Option<String>,
}

/// The change on this device.
#[derive(Debug, Serialize)]
struct HereJson {
    note: String,
    device: String,
    chain: String,
    seq: u64,
    hash: String,
    position: Option<u64>,
}

/// The change on the server.
#[derive(Debug, Serialize)]
struct ThereJson {
    chain: String,
    seq: u64,
    hash: String,
    position: u64,
}

/// A word of RECEIPT, for clap.
fn receipt_word(text: &str) -> Result<String, String> {
    let word = names::note_word(text)?;
    match NoteName::parse(text) {
        Ok(NoteName::Last | NoteName::Id(_)) => Err(say::ReceiptForm.to_string()),
        _ => Ok(word),
    }
}

pub(super) fn run(args: VerifyArgs, context: &mut Context) -> Result<Exit, Failure> {
    let mut session = session::open(&context.settings)?;
    if !args.receipt.is_empty() {
        return one_receipt(&args.receipt.join(" "), &mut session, context);
    }
    let (scope, within) = match (args.all, args.server.is_some()) {
        (true, _) => (Scope::All, ALL_WITHIN),
        (false, true) => (Scope::Server, ENDS_WITHIN),
        (false, false) => (Scope::Local, ENDS_WITHIN),
    };
    let mut progress = Progress::new(&context.ui);
    let verified = session.verify(scope, within, &mut |done, of| progress.tell(done, of));
    progress.finish();
    let verified = verified?;
    let is_clean = verified.problems.is_empty();
    let ui = &mut context.ui;
    if ui.json {
        ui.json(&VerifyJson {
            version: VERSION,
            ok: is_clean,
            here: verified.here.into(),
            server: verified.server.map(CheckedJson::from),
            waiting: verified.waiting,
            problems: verified.problems.iter().map(ProblemJson::from).collect(),
            more_problems: verified.more_problems,
        })?;
    } else {
        ui.out().write_all(text(&verified, scope).as_bytes())?;
    }
    ui.flush()?;
    Ok(if is_clean { Exit::Done } else { Exit::NothingMatched })
}

/// A line for each side, and below it what is wrong there.
fn text(verified: &Verification, scope: Scope) -> String {
    let Checked { changes, chains, notes, purged } = verified.here;
    let here = say::Here {
        changes: common::Changes { count: changes },
        chains: common::Chains { count: chains },
        notes: common::Notes { count: notes },
    };
    let here = match purged {
        0 => here.to_string(),
        purged => say::HerePurged { here, purged }.to_string(),
    };
    let mut text = side(&here, &say::HereRight { what: &here }, Side::Here, verified);
    if let Some(server) = verified.server {
        let changes = common::Changes { count: server.changes };
        let chains = common::Chains { count: server.chains };
        text.push_str(&match scope {
            Scope::All => {
                let what = say::ServerAgain { changes, chains }.to_string();
                side(&what, &say::ServerRight { what: &what }, Side::Server, verified)
            }
            _ => {
                let what = say::Server { changes, chains }.to_string();
                side(&what, &say::ServerSame { what: &what }, Side::Server, verified)
            }
        });
    }
    if verified.waiting > 0 {
        let wait = say::Wait { changes: verified.waiting };
        text.push_str(&format!("{WAITING}·{WAITING:#} {wait}\n"));
    }
    if verified.server.is_none() && verified.problems.is_empty() {
        text.push_str(&format!("{DIM}{}{DIM:#}\n", say::WithServer));
    }
    text
}

fn side(what: &str, good: &dyn Display, side: Side, verified: &Verification) -> String {
    let problems: Vec<&Problem> =
        verified.problems.iter().filter(|problem| problem.side == side).collect();
    if problems.is_empty() {
        return format!("{GOOD}✓{GOOD:#} {good}\n");
    }
    // Of a replica that is quite destroyed not everything is told, in JSON neither.
    let untold = if side == Side::Here { verified.more_problems } else { 0 };
    let count = common::Problems { count: problems.len() as u64 + untold };
    let mut text = format!("{GONE}✗{GONE:#} {}\n", say::Problems { what, problems: count });
    for problem in problems.iter().take(MOST_TOLD) {
        text.push_str(&format!("  {}\n", harmless(&problem.to_string())));
        if let Some(remedy) = &problem.remedy {
            text.push_str(&format!("  {HINT}{}{HINT:#} {}\n", failure::Hint, harmless(remedy)));
        }
    }
    if problems.len() > MOST_TOLD {
        let more = problems.len() - MOST_TOLD;
        text.push_str(&format!("  {DIM}{}{DIM:#}\n", say::More { count: more }));
    }
    if untold > 0 {
        text.push_str(&format!("  {DIM}{}{DIM:#}\n", say::OnlyCounted { count: untold }));
    }
    text
}

fn one_receipt(
    receipt: &str,
    session: &mut Session,
    context: &mut Context,
) -> Result<Exit, Failure> {
    let check = session.verify_receipt(receipt, ENDS_WITHIN)?;
    let exit = match (&check.server, &check.here) {
        (Ok(Some(_)), _) => Exit::Done,
        (Ok(None), _) | (Err(_), None) => Exit::NothingMatched,
        (Err(_), Some(_)) => Exit::Network,
    };
    if context.ui.json {
        context.ui.json(&json(&check))?;
        return Ok(exit);
    }
    let what = match &check.here {
        Some(here) => {
            let story = session.story(here.note)?;
            let text = story.map(|story| match story.is_purged() {
                true => say::Erased.to_string(),
                false => {
                    format!(
                        "{}  {}",
                        minute(story.folded.time),
                        beginning(story.text(), TEXT_COLUMNS)
                    )
                }
            });
            let place = say::Place { seq: here.seq, device: harmless(&here.device) };
            format!("{place}\n  {}", text.unwrap_or_default())
        }
        None => String::new(),
    };
    let ui = &mut context.ui;
    let spelled = spelled(&check);
    let (verdict, hint) = match (&check.server, &check.here) {
        (Ok(Some(there)), here) => {
            let moved = position(&check).is_some_and(|position| position != there.position);
            let receipt = &spelled;
            let kept = match moved {
                true => say::OnServerMoved { receipt, position: there.position }.to_string(),
                false => say::OnServer { receipt }.to_string(),
            };
            let missing = here.is_none().then(|| say::NotHereYet.to_string());
            (format!("{GOOD}✓{GOOD:#} {kept}"), missing)
        }
        (Ok(None), Some(_)) => (
            format!("{GONE}✗{GONE:#} {}", say::OnlyHere { receipt: &spelled }),
            Some(say::OnlyHereHint.to_string()),
        ),
        (Ok(None), None) => (
            format!("{GONE}✗{GONE:#} {}", say::Nowhere { receipt: &spelled }),
            Some(say::NowhereHint.to_string()),
        ),
        (Err(error), here) => {
            let (receipt, why) = (&spelled, session::chain(error));
            let what = match here.is_some() {
                true => say::HereNotAsked { receipt, why }.to_string(),
                false => say::NotHereNotAsked { receipt, why }.to_string(),
            };
            (format!("{WAITING}!{WAITING:#} {what}"), Some(say::StatusHint.to_string()))
        }
    };
    writeln!(ui.out(), "{verdict}")?;
    if !what.is_empty() {
        writeln!(ui.out(), "  {what}")?;
    }
    ui.flush()?;
    if let Some(hint) = hint {
        ui.complain(format_args!("{HINT}{}{HINT:#} {hint}", failure::Hint));
    }
    Ok(exit)
}

/// The position that the receipt names. Decimal digits alone may be those of a hash, and then they are none.
fn position(check: &ReceiptCheck) -> Option<u64> {
    let there = check.server.as_ref().ok().and_then(Option::as_ref);
    let found = there.map(|there| there.position);
    let found = found.or_else(|| check.here.as_ref().and_then(|here| here.position));
    let may_be_hash = |position: u64| check.hash.as_deref() == Some(&position.to_string());
    check
        .position
        .filter(|position| !may_be_hash(*position) || found.is_none_or(|found| found == *position))
}

/// The receipt as far as it is known.
fn spelled(check: &ReceiptCheck) -> String {
    let there = check.server.as_ref().ok().and_then(Option::as_ref);
    let hash = there.map(|there| there.hash.short());
    let hash =
        hash.or_else(|| check.here.as_ref().map(|here| here.hash.short())).or(check.hash.clone());
    let position = position(check).or(there.map(|there| there.position));
    match (position, hash) {
        (Some(position), Some(hash)) => format!("#{position} · {hash}"),
        (Some(position), None) => format!("#{position}"),
        (None, hash) => hash.unwrap_or_default(),
    }
}

fn json(check: &ReceiptCheck) -> ReceiptJson {
    let there = check.server.as_ref().ok().and_then(Option::as_ref);
    ReceiptJson {
        version: VERSION,
        ok: check.is_kept(),
        position: position(check),
        hash: check.hash.clone(),
        here: check.here.as_ref().map(|here| HereJson {
            note: here.note.to_string(),
            device: here.device.clone(),
            chain: here.chain.to_string(),
            seq: here.seq,
            hash: here.hash.to_string(),
            position: here.position,
        }),
        server: there.map(|there| ThereJson {
            chain: there.chain.to_string(),
            seq: there.seq,
            hash: there.hash.to_string(),
            position: there.position,
        }),
        trouble: check.server.as_ref().err().map(|error| session::chain(error)),
    }
}

#[cfg(test)]
mod tests {
    use suibi_journal::{ChainId, Hash, Receipt};

    use super::*;

    #[test]
    fn digits_of_a_hash_that_look_like_a_number_are_no_position() {
        let hash: Hash = format!("145681{}", "a".repeat(58)).parse().unwrap();
        let kept =
            |position| Receipt { chain: ChainId::from_bytes([1; 16]), seq: 1, position, hash };
        let check = |position, digits: Option<&str>, there| ReceiptCheck {
            position: Some(position),
            hash: digits.map(str::to_owned),
            here: None,
            server: Ok(there),
        };
        let by_hash = check(145_681, Some("145681"), Some(kept(7)));
        assert_eq!((position(&by_hash), spelled(&by_hash).as_str()), (None, "#7 · 145681"));
        let by_number = check(145_681, Some("145681"), Some(kept(145_681)));
        assert_eq!(position(&by_number), Some(145_681));
        // A whole receipt of a server that was put back since.
        let moved = check(5, Some("145681"), Some(kept(7)));
        assert_eq!((position(&moved), spelled(&moved).as_str()), (Some(5), "#5 · 145681"));
        assert_eq!(position(&check(145_681, Some("145681"), None)), Some(145_681));
    }
}

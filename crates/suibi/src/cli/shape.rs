//! The first-word rule: is this a command, or a note?
//!
//! - A first word that is a command is one. `suibi -- list` and `suibi add list` write the word.
//! - Any other first word begins a note, and everything after it belongs to the note.
//! - Options come before the note. One of ours among its words is more likely a slip than prose, so
//!   nothing is done then, and the message says how to write it.

use std::ffi::{OsStr, OsString};

use crate::failure::Failure;
use crate::say::{common, shape as say};

/// Commands with their other names. A test holds this against what clap knows.
pub(super) const COMMANDS: &[&str] = &[
    "add",
    "log",
    "list",
    "today",
    "on",
    "search",
    "show",
    "history",
    "edit",
    "rm",
    "restore",
    "undo",
    "star",
    "unstar",
    "purge",
    "tags",
    "tasks",
    "tick",
    "on-this-day",
    "random",
    "stats",
    "sync",
    "status",
    "info",
    "doctor",
    "verify",
    "backup",
    "watch",
    "serve",
    "invite",
    "join",
    "devices",
    "audit",
    "demo",
    "config",
    "init",
    "completions",
    "man",
    "help",
];

/// Words that later versions will give a meaning to; a note that begins with one says so with `add`.
pub(super) const RESERVED: &[&str] = &["import", "export"];

/// Global options that take their value from the next word.
pub(super) const WITH_VALUE: &[&str] = &["--server", "--data-dir", "--color", "--lang"];

/// Global options, as they would stand among the words of a note by mistake.
pub(super) const OPTIONS: &[&str] = &[
    "--server",
    "--insecure",
    "--data-dir",
    "--json",
    "--color",
    "--lang",
    "--quiet",
    "--verbose",
    "--require-server",
    "--help",
    "--version",
];

/// What the words after `suibi` are.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Shape {
    /// Only the words of a note: the short way, without the whole command line being built.
    Words(Vec<OsString>),
    /// A command line in its full form.
    Command(Vec<OsString>),
}

/// Sorts the words after the program's name.
///
/// # Errors
///
/// A reserved first word, or an option of ours in the middle of a note.
pub(super) fn shape(args: Vec<OsString>) -> Result<Shape, Failure> {
    let mut at = 0;
    while let Some(arg) = args.get(at) {
        match arg.to_str() {
            Some("--") => {
                let words = args[at + 1..].to_vec();
                return Ok(note(&args[..at], words));
            }
            Some("-") if args.len() == at + 1 => {
                return Ok(command(&args[..at], &["add", "--stdin"], &[]));
            }
            Some(option) if option.starts_with('-') && option.len() > 1 && !is_item(option) => {
                at += if WITH_VALUE.contains(&option) { 2 } else { 1 };
            }
            Some("add") => {
                refuse_options(&args[at + 1..], "suibi")?;
                return Ok(Shape::Command(with_item(args, at + 1)));
            }
            Some("edit") => {
                let note = args.get(at + 1).map(std::slice::from_ref).unwrap_or_default();
                let words = args.get(at + 2..).unwrap_or_default();
                refuse_options(words, &format!("suibi edit {}", quoted(note)))?;
                return Ok(Shape::Command(with_item(args, at + 2)));
            }
            Some("search") => {
                let mut args = args;
                mark_without(&mut args[at..]);
                return Ok(Shape::Command(args));
            }
            Some("verify") => return Ok(Shape::Command(one_server(args, at))),
            Some(word) if COMMANDS.contains(&word) => return Ok(Shape::Command(args)),
            Some(word) if RESERVED.contains(&word) => return Err(reserved(word, &args[at..])),
            _ => {
                refuse_options(&args[at..], "suibi")?;
                let words = args[at..].to_vec();
                return Ok(note(&args[..at], words));
            }
        }
    }
    Ok(Shape::Command(args))
}

/// `- [ ] call mum` is an item of a list, no row of options.
fn is_item(word: &str) -> bool {
    word.starts_with("- ")
}

/// The same words, told to clap as words from the first item of a list on, which may stand at `from` or later.
fn with_item(mut args: Vec<OsString>, from: usize) -> Vec<OsString> {
    let words = args.get(from..).unwrap_or_default();
    let is_text = |arg: &OsString| arg == "--" || arg.to_str().is_some_and(is_item);
    if let Some(item) = words.iter().position(is_text)
        && words[item] != "--"
    {
        args.insert(from + item, "--".into());
    }
    args
}

/// `-milk` in a search is a word that must not be there, no row of options: with another sign it is none for clap.
pub(super) fn mark_without(words: &mut [OsString]) {
    let mut words = words.iter_mut();
    while let Some(arg) = words.next() {
        let Some(word) = arg.to_str() else { continue };
        let Some(rest) = word.strip_prefix('-') else { continue };
        let is_option = match rest.chars().next() {
            None => true,
            Some('-') if rest == "-" => break,
            Some('-') => true,
            Some('n') if rest.len() == 1 => {
                // Its value is no word.
                words.next();
                true
            }
            Some('n') => rest[1..].starts_with(|c: char| c.is_ascii_digit() || c == '='),
            _ => rest.chars().all(|c| "qvhV".contains(c)),
        };
        if !is_option {
            *arg = format!("{}{rest}", super::search::MINUS).into();
        }
    }
}

fn note(options: &[OsString], words: Vec<OsString>) -> Shape {
    if options.is_empty() {
        return Shape::Words(words);
    }
    if words.is_empty() {
        return Shape::Command(options.to_vec());
    }
    command(options, &["add", "--"], &words)
}

fn command(options: &[OsString], middle: &[&str], words: &[OsString]) -> Shape {
    let middle = middle.iter().map(OsString::from);
    Shape::Command(options.iter().cloned().chain(middle).chain(words.iter().cloned()).collect())
}

/// After `verify` the bare word `--server` asks for the server that counts; where one was named before, that is it.
fn one_server(args: Vec<OsString>, at: usize) -> Vec<OsString> {
    let (before, after) = args.split_at(at);
    let names = |arg: &OsString| arg.to_string_lossy().split('=').next() == Some("--server");
    let is_named = before.iter().any(names);
    let stays = |arg: &&OsString| !(is_named && *arg == "--server");
    before.iter().chain(after.iter().filter(stays)).cloned().collect()
}

/// Options before the first word of the note are clap's; from there on they are refused, up to a `--`. `way` is what
/// goes before the words when the text is spelled out.
fn refuse_options(args: &[OsString], way: &str) -> Result<(), Failure> {
    let mut in_note = false;
    for arg in args {
        let arg = arg.to_string_lossy();
        if arg == "--" {
            return Ok(());
        }
        let name = arg.split('=').next().unwrap_or_default();
        if in_note && OPTIONS.contains(&name) {
            let hint = say::AmongWordsHint { name, way, words: quoted(args) };
            return Err(Failure::usage(say::AmongWords { name }).hint(hint));
        }
        in_note |= !arg.starts_with('-');
    }
    Ok(())
}

fn reserved(word: &str, args: &[OsString]) -> Failure {
    Failure::usage(say::Reserved { word }).hint(common::AddHint { words: quoted(args) })
}

/// What to say when the words after a command do not fit it, or `None` where an option is the trouble.
pub(super) fn offer_note(args: &[OsString]) -> Option<Failure> {
    let at =
        args.iter().position(|arg| COMMANDS.iter().any(|command| arg == OsStr::new(command)))?;
    let (word, rest) = args[at..].split_first()?;
    if rest.is_empty() || rest.iter().any(|arg| arg.to_string_lossy().starts_with('-')) {
        return None;
    }
    let word = word.to_string_lossy();
    Some(
        Failure::usage(say::DoesNotFit {
            word,
            rest: rest.join(OsStr::new(" ")).to_string_lossy(),
        })
        .hint(common::AddHint { words: quoted(&args[at..]) }),
    )
}

/// The words as a shell takes them.
pub(super) fn quoted(args: &[OsString]) -> String {
    let plain = |c: char| c.is_alphanumeric() || "-_./:,@+%=。，".contains(c);
    let quote = |arg: &OsString| {
        let arg = arg.to_string_lossy();
        if !arg.is_empty() && arg.chars().all(plain) {
            return arg.into_owned();
        }
        format!("'{}'", arg.replace('\'', r"'\''"))
    };
    args.iter().map(quote).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(line: &str) -> Vec<OsString> {
        line.split_whitespace().map(OsString::from).collect()
    }

    fn shaped(line: &str) -> String {
        match shape(words(line)) {
            Ok(Shape::Words(words)) => format!("note: {}", quoted(&words)),
            Ok(Shape::Command(args)) => format!("command: {}", quoted(&args)),
            Err(_) => "refused".to_owned(),
        }
    }

    #[test]
    fn an_item_of_a_list_is_text() {
        let words = |words: &[&str]| words.iter().map(OsString::from).collect::<Vec<_>>();
        for (line, wanted) in [
            (&["- [ ] tea"][..], Shape::Words(words(&["- [ ] tea"]))),
            (
                &["add", "- [ ] tea", "- x"],
                Shape::Command(words(&["add", "--", "- [ ] tea", "- x"])),
            ),
            (&["add", "--", "- x"], Shape::Command(words(&["add", "--", "- x"]))),
            (&["edit", "last", "- x"], Shape::Command(words(&["edit", "last", "--", "- x"]))),
        ] {
            assert_eq!(shape(words(line)).unwrap(), wanted);
        }
    }

    #[test]
    fn the_first_word_decides() {
        for (line, wanted) in [
            ("", "command: "),
            ("had an idea", "note: had an idea"),
            ("今天 很好", "note: 今天 很好"),
            ("today", "command: today"),
            ("today was good", "command: today was good"),
            ("-- list", "note: list"),
            ("add list", "command: add list"),
            ("-", "command: add --stdin"),
            ("--json -", "command: --json add --stdin"),
            ("- milk", "note: - milk"),
            ("--server coap://h milk", "command: --server coap://h add -- milk"),
            ("--server=coap://h log", "command: --server=coap://h log"),
            ("-q --data-dir log milk", "command: -q --data-dir log add -- milk"),
            ("-q -- --json", "command: -q add -- --json"),
            ("import", "refused"),
            ("milk --json", "refused"),
            ("edit 1284 milk --json", "refused"),
            ("edit 1284 --json milk", "command: edit 1284 --json milk"),
            ("edit 1284 -- milk --json", "command: edit 1284 -- milk --json"),
            ("verify --server 1284", "command: verify --server 1284"),
            ("--server coap://h verify --server", "command: --server coap://h verify"),
            ("add milk --server=x", "refused"),
            ("add --json milk", "command: add --json milk"),
            ("add -- milk --json", "command: add -- milk --json"),
            ("a -b c --d", "note: a -b c --d"),
        ] {
            assert_eq!(shaped(line), wanted, "suibi {line}");
        }
    }

    #[test]
    fn what_is_offered_can_be_pasted() {
        let args = [OsString::from("today"), OsString::from("it's"), OsString::from("a #tag")];
        let offer = offer_note(&args).unwrap().to_string();
        assert!(offer.contains(r"suibi add today 'it'\''s' 'a #tag'"), "{offer}");
        assert!(offer_note(&words("log --sorce")).is_none());
        assert!(offer_note(&words("log")).is_none());
    }
}

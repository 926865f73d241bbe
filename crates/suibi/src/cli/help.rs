//! Help, and what is said about a command line that cannot be understood, in Chinese.
//!
//! The English texts stand where clap takes them from: at each command and each option. Their Chinese ones are in
//! [`super::help_zh`], found by the English, so that a text that changes has no translation until somebody looks at it;
//! a test names each that is missing. All of this is looked at only when help is printed.

use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{Arg, Command, CommandFactory as _};

use super::Cli;
use super::help_zh::{HELP, OWN, USAGE};
use crate::errors::told;
use crate::lang::{self, Language};
use crate::render::style::{ERROR, HINT};
use crate::render::wrap::{columns, wrap};
use crate::say;

/// Columns where there is no terminal, and at most.
const WIDEST: usize = 100;

/// The whole command line, its texts in the language of this run.
pub(crate) fn command() -> Command {
    match lang::current() {
        Language::English => Cli::command(),
        Language::Chinese => in_chinese(Cli::command(), ""),
    }
}

/// Help or version that was asked for with these words: printed as clap has it, or in Chinese.
pub(super) fn print(error: &clap::Error, words: &[std::ffi::OsString]) -> std::io::Result<()> {
    if lang::current() == Language::English {
        return error.print();
    }
    // Chinese has no spaces at which clap could break a line: it shall not try.
    let again = command().term_width(0).try_get_matches_from(words);
    let Err(error) = again else { return Ok(()) };
    let text = chinese_words(&error.render().ansi().to_string());
    match error.use_stderr() {
        true => anstream::eprint!("{text}"),
        false => anstream::print!("{text}"),
    }
    Ok(())
}

/// What is wrong with the command line.
pub(super) fn complain(error: &clap::Error, words: &[std::ffi::OsString]) -> std::io::Result<()> {
    if lang::current() == Language::English {
        return error.print();
    }
    if error.kind() == ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand {
        return print(error, words);
    }
    let Some(what) = trouble(error) else { return error.print() };
    let mut text = format!("{ERROR}{}{ERROR:#} {what}\n", say::failure::Error);
    if let Some(tip) = tip(error) {
        text.push_str(&format!("\n  {HINT}{}{HINT:#} {tip}\n", say::failure::Hint));
    }
    if let Some(ContextValue::StyledStr(usage)) = error.get(ContextKind::Usage) {
        text.push_str(&format!("\n{}\n", chinese_words(&usage.ansi().to_string())));
    }
    text.push_str("\n更多说明见 '--help'。\n");
    anstream::eprint!("{text}");
    Ok(())
}

/// The texts of a command and of all below it; `path` is the words before it.
fn in_chinese(command: Command, path: &str) -> Command {
    let path = format!("{path} {}", command.get_name());
    let path = path.trim();
    let about = command.get_about().and_then(|text| chinese(&text.to_string()));
    let after = command.get_after_help().and_then(|text| chinese(&text.to_string()));
    let mut command = command;
    if let Some(about) = about {
        command = command.about(about);
    }
    if let Some(after) = after {
        command = command.after_help(after);
    }
    if let Some((_, usage)) = USAGE.iter().find(|(name, _)| *name == path) {
        command = command.override_usage(*usage);
    }
    command.mut_args(argument).mut_subcommands(|below| in_chinese(below, path))
}

fn argument(arg: Arg) -> Arg {
    let help = arg.get_help().and_then(|text| chinese(&text.to_string()));
    let heading = arg.get_help_heading().and_then(chinese);
    let arg = match help {
        Some(help) => arg.help(help),
        None => arg,
    };
    match heading {
        Some(heading) => arg.help_heading(heading),
        None => arg,
    }
}

/// The Chinese of a text of ours. Each has one, which a test ensures.
fn chinese(english: &str) -> Option<&'static str> {
    HELP.iter().find(|(text, _)| *text == english).map(|(_, chinese)| *chinese)
}

/// Clap's own words in what it has rendered, and lines folded at the width of the terminal.
fn chinese_words(text: &str) -> String {
    let mut text = text.to_owned();
    for (english, chinese) in OWN {
        text = text.replace(english, chinese);
    }
    let width = terminal_size::terminal_size().map_or(WIDEST, |(width, _)| usize::from(width.0));
    let width = width.clamp(40, WIDEST);
    let folded: Vec<String> = text.lines().map(|line| fold(line, width)).collect();
    folded.join("\n") + if text.ends_with('\n') { "\n" } else { "" }
}

/// One line of help; what is too long for it goes on below where its text begins.
fn fold(line: &str, width: usize) -> String {
    let plain = anstream::adapter::strip_str(line).to_string();
    if columns(&plain) <= width {
        return line.to_owned();
    }
    let begin = plain.len() - plain.trim_start().len();
    let column = plain[begin..].rfind("  ").map_or(begin, |at| begin + at + 2);
    let text = &plain[column..];
    let indent = columns(&plain[..column]);
    let Some(before) = line.strip_suffix(text).filter(|_| indent + 20 <= width) else {
        return line.to_owned();
    };
    let pieces = wrap(text, width - indent);
    format!("{before}{}", pieces.join(&format!("\n{:indent$}", "")))
}

/// What is wrong, in a sentence; none for what cannot come from a command line.
fn trouble(error: &clap::Error) -> Option<String> {
    let text = |kind| match error.get(kind) {
        Some(ContextValue::String(text)) => text.clone(),
        Some(ContextValue::Strings(texts)) => texts.join(" "),
        Some(ContextValue::Number(number)) => number.to_string(),
        _ => String::new(),
    };
    let (arg, value) = (text(ContextKind::InvalidArg), text(ContextKind::InvalidValue));
    Some(match error.kind() {
        ErrorKind::UnknownArgument => format!("不认识参数 '{arg}'"),
        ErrorKind::InvalidSubcommand => {
            format!("不认识子命令 '{}'", text(ContextKind::InvalidSubcommand))
        }
        ErrorKind::InvalidValue if value.is_empty() => format!("'{arg}' 需要一个值"),
        ErrorKind::InvalidValue => format!("'{arg}' 的值 '{value}' 无效"),
        ErrorKind::ValueValidation => {
            let why = std::error::Error::source(error).map(told).unwrap_or_default();
            format!("'{arg}' 的值 '{value}' 无效：{why}")
        }
        ErrorKind::NoEquals => format!("'{arg}' 与它的值之间需要等号"),
        ErrorKind::TooManyValues => format!("'{arg}' 多了一个值 '{value}'"),
        ErrorKind::TooFewValues | ErrorKind::WrongNumberOfValues => {
            format!("'{arg}' 的值的个数不对")
        }
        ErrorKind::ArgumentConflict => match text(ContextKind::PriorArg) {
            prior if prior.is_empty() || prior == arg => format!("'{arg}' 只能用一次"),
            prior => format!("'{arg}' 不能与 '{prior}' 同时使用"),
        },
        ErrorKind::MissingRequiredArgument => format!("缺少必需的参数：{arg}"),
        ErrorKind::MissingSubcommand => "缺少子命令".to_owned(),
        ErrorKind::InvalidUtf8 => "参数不是 UTF-8".to_owned(),
        _ => return None,
    })
}

/// What may have been meant.
fn tip(error: &clap::Error) -> Option<String> {
    let kinds =
        [ContextKind::SuggestedArg, ContextKind::SuggestedValue, ContextKind::SuggestedSubcommand];
    let suggested = kinds.into_iter().find_map(|kind| match error.get(kind)? {
        ContextValue::String(text) => Some(text.clone()),
        ContextValue::Strings(texts) if !texts.is_empty() => Some(texts.join("、")),
        _ => None,
    });
    if let Some(suggested) = suggested {
        return Some(format!("是不是 '{suggested}'？"));
    }
    match error.get(ContextKind::ValidValue)? {
        ContextValue::Strings(valid) if !valid.is_empty() => {
            Some(format!("可选的值：{}", valid.join("、")))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::lang::tests::in_chinese as speaking_chinese;

    /// Every text of ours in a command and below it.
    fn texts(command: &Command, found: &mut BTreeSet<String>) {
        let about = command.get_about().into_iter().chain(command.get_after_help());
        found.extend(about.map(ToString::to_string));
        for arg in command.get_arguments() {
            found.extend(arg.get_help().map(ToString::to_string));
            found.extend(arg.get_help_heading().map(str::to_owned));
        }
        command.get_subcommands().for_each(|below| texts(below, found));
    }

    #[test]
    fn every_text_of_help_has_its_chinese_and_no_chinese_is_left_over() {
        let mut english = BTreeSet::new();
        texts(&Cli::command(), &mut english);
        let known: BTreeSet<String> = HELP.iter().map(|(text, _)| (*text).to_owned()).collect();
        assert_eq!(known.len(), HELP.len(), "a text stands twice in help_zh.rs");
        let missing: Vec<_> = english.difference(&known).collect();
        assert!(missing.is_empty(), "these lack their Chinese in help_zh.rs: {missing:#?}");
        let unused: Vec<_> = known.difference(&english).collect();
        assert!(unused.is_empty(), "nobody says these in English any more: {unused:#?}");
    }

    #[test]
    fn lines_of_help_are_folded_below_where_they_begin() {
        let line = "  -n, --limit <N>  只列出最新的若干条，其余的一概不列，想看全部就不要用它";
        assert_eq!(
            fold(line, 50),
            "  -n, --limit <N>  只列出最新的若干条，其余的一概\n                   不列，想看全部就不要用它"
        );
        assert_eq!(fold("短", 40), "短");
    }

    #[test]
    fn a_command_line_that_makes_no_sense_is_told_so_in_chinese() {
        for (line, wanted) in [
            ("log --sorce", "不认识参数 '--sorce'"),
            ("log -n", "'--limit <N>' 需要一个值"),
            ("log -n 0", "'--limit <N>' 的值 '0' 无效：一条也不要就不用查了；N 至少是 1"),
            ("search", "缺少必需的参数：<WORDS>..."),
            ("--color red log", "'--color <WHEN>' 的值 'red' 无效"),
        ] {
            let words = std::iter::once("suibi").chain(line.split(' '));
            let told = speaking_chinese(|| {
                trouble(&<Cli as clap::Parser>::try_parse_from(words).unwrap_err())
            });
            assert_eq!(told.as_deref(), Some(wanted), "{line}");
        }
    }
}

//! `suibi man`: manual pages, made from what the command line says of itself.

use std::fs;
use std::io::{self, IsTerminal as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Command as Process, Stdio};

use clap::{Args, Command};
use clap_mangen::Man;
use clap_mangen::roff::{Roff, bold, roman};

use super::shape;
use crate::failure::{Exit, Failure};
use crate::say::man as say;
use crate::settings::Key;

/// `suibi man`.
#[derive(Debug, Args)]
pub(super) struct ManArgs {
    /// Write all pages into this directory, suibi.1, suibi-add.1 and so on
    #[arg(long, value_name = "DIR", conflicts_with = "command")]
    out: Option<PathBuf>,
    /// The page of one command; suibi's own page without
    #[arg(value_name = "COMMAND")]
    command: Vec<String>,
}

pub(super) fn run(args: &ManArgs, tree: Command) -> Result<Exit, Failure> {
    // Pages about `help` would say what every page says.
    let mut tree = tree.disable_help_subcommand(true);
    tree.build();
    if let Some(directory) = &args.out {
        return write_all(&tree, directory).map_err(|error| {
            let directory = directory.display();
            Failure::new(Exit::Data, say::CannotWrite { directory }).because(&error)
        });
    }
    let mut command = &tree;
    for word in &args.command {
        command = command.find_subcommand(word).ok_or_else(|| no_page(&args.command))?;
    }
    let page = page(command)?;
    if !(io::stdout().is_terminal() && shown_by_man(&page)) {
        io::stdout().write_all(&page)?;
    }
    Ok(Exit::Done)
}

fn no_page(words: &[String]) -> Failure {
    let words: Vec<_> = std::iter::once("man".to_owned()).chain(words.iter().cloned()).collect();
    let words: Vec<_> = words.into_iter().map(Into::into).collect();
    Failure::usage(say::NoPage { words: shape::quoted(&words[1..]) })
        .hint(say::WriteAsNote { words: shape::quoted(&words) })
}

fn write_all(command: &Command, directory: &Path) -> io::Result<Exit> {
    fs::create_dir_all(directory)?;
    let name = Man::new(command.clone()).get_filename();
    fs::write(directory.join(name), page(command)?)?;
    for command in command.get_subcommands() {
        write_all(command, directory)?;
    }
    Ok(Exit::Done)
}

/// Whether `man` has shown it; a machine may have none.
fn shown_by_man(page: &[u8]) -> bool {
    let shown = || {
        let mut man = Process::new("man").args(["-l", "-"]).stdin(Stdio::piped()).spawn()?;
        let mut input = man.stdin.take().expect("it was asked for");
        let written = input.write_all(page);
        drop(input);
        let status = man.wait()?;
        written.map(|()| status.success())
    };
    shown().unwrap_or(false)
}

/// One page in the language of `man`.
fn page(command: &Command) -> io::Result<Vec<u8>> {
    let is_whole = command.get_name() == "suibi";
    let man = Man::new(command.clone())
        .source(concat!("suibi ", env!("CARGO_PKG_VERSION")))
        .manual("suibi");
    let mut page = Vec::new();
    man.render_title(&mut page)?;
    man.render_name_section(&mut page)?;
    ways_to_call(command).to_writer(&mut page)?;
    man.render_description_section(&mut page)?;
    man.render_options_section(&mut page)?;
    if command.has_subcommands() {
        man.render_subcommands_section(&mut page)?;
    }
    if let Some(more) = command.get_after_help() {
        as_it_stands(if is_whole { "EXAMPLES" } else { "NOTES" }, &more.to_string())
            .to_writer(&mut page)?;
    }
    match is_whole {
        true => surroundings().to_writer(&mut page)?,
        false => Roff::new()
            .control("SH", ["SEE ALSO"])
            .text([bold("suibi"), roman("(1)")])
            .to_writer(&mut page)?,
    }
    Ok(page)
}

/// The first lines of `--help`. A synopsis of `man`'s own would name every option, and not the ways to write a note.
fn ways_to_call(command: &Command) -> Roff {
    let usage = command.clone().render_usage().to_string();
    let ways = usage.split_once(':').map_or(usage.as_str(), |(_, ways)| ways);
    as_it_stands("SYNOPSIS", ways)
}

fn as_it_stands(heading: &str, text: &str) -> Roff {
    let mut roff = Roff::new();
    roff.control("SH", [heading]).control("nf", []);
    // What calls itself examples needs no second heading.
    let lines = text.trim_end().lines();
    for line in lines.skip_while(|line| {
        line.trim().is_empty() || heading == "EXAMPLES" && line.trim_end().ends_with([':', '：'])
    }) {
        roff.text([roman(line.trim())]);
    }
    roff.control("fi", []);
    roff
}

/// What is the same for all commands: exit codes, variables, files.
fn surroundings() -> Roff {
    let mut roff = Roff::new();
    roff.control("SH", ["EXIT STATUS"]);
    for exit in Exit::ALL {
        roff.control("TP", []).text([bold((exit as u8).to_string())]).text([roman(meaning(exit))]);
    }
    roff.control("SH", ["ENVIRONMENT"]);
    for key in Key::ALL {
        roff.control("TP", []).text([bold(key.variable())]).text([
            roman(say::TheSetting.to_string()),
            roman(" "),
            bold(key.name()),
        ]);
    }
    let rows = |roff: &mut Roff, rows: &[(&str, String)]| {
        for (name, what) in rows {
            roff.control("TP", []).text([bold(*name)]).text([roman(what)]);
        }
    };
    let variables = [
        ("SUIBI_CONFIG", say::OtherConfiguration.to_string()),
        ("SUIBI_LOG", say::LogLines.to_string()),
        ("VISUAL, EDITOR", say::Editor.to_string()),
        ("NO_COLOR, CLICOLOR, CLICOLOR_FORCE", say::Colours.to_string()),
        ("TZ", say::TimeZone.to_string()),
    ];
    rows(&mut roff, &variables);
    roff.control("SH", ["FILES"]);
    let files = [
        ("~/.config/suibi/config.toml", say::SettingsFile.to_string()),
        ("~/.local/share/suibi/", say::DataFiles.to_string()),
    ];
    rows(&mut roff, &files);
    roff
}

fn meaning(exit: Exit) -> String {
    match exit {
        Exit::Done => say::ExitDone.to_string(),
        Exit::NothingMatched => say::ExitNothingMatched.to_string(),
        Exit::Usage => say::ExitUsage.to_string(),
        Exit::KeptLocally => say::ExitKeptLocally.to_string(),
        Exit::NotAllowed => say::ExitNotAllowed.to_string(),
        Exit::Network => say::ExitNetwork.to_string(),
        Exit::Data => say::ExitData.to_string(),
        Exit::Interrupted => say::ExitInterrupted.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_command_has_a_page_that_names_it() {
        let directory = tempfile::tempdir().unwrap();
        let args = ManArgs { out: Some(directory.path().to_owned()), command: Vec::new() };
        run(&args, super::super::tree()).unwrap();

        let mut pages: Vec<_> = fs::read_dir(directory.path())
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        pages.sort();
        for name in shape::COMMANDS.iter().filter(|name| !["help", "list"].contains(name)) {
            assert!(pages.contains(&format!("suibi-{name}.1")), "{name}: {pages:#?}");
        }
        for name in pages {
            let page = fs::read_to_string(directory.path().join(&name)).unwrap();
            let title = name.trim_end_matches(".1");
            assert!(page.contains(&format!(".TH {title} 1")), "{name}:\n{page}");
            assert!(page.contains(".SH NAME") && page.contains(".SH SYNOPSIS"), "{name}:\n{page}");
        }
    }
}

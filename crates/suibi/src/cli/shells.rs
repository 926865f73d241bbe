//! `suibi init` and `suibi completions`: what bash, zsh and fish are told.
//!
//! ```text
//! suibi init bash         a few lines for ~/.bashrc: history, completions once they are needed, another name
//! suibi completions bash  all that there is to complete, for the shell or for a package
//! ```

use std::io::{self, IsTerminal as _, Write as _};

use clap::builder::PossibleValuesParser;
use clap::{Args, Command, ValueEnum};
use clap_complete::generate;

use crate::failure::{Exit, Failure};
use crate::render::style::HINT;
use crate::say::shells as say;
use crate::settings::Key;

/// A shell that can be told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Shell {
    Bash,
    Zsh,
    Fish,
}

/// `suibi completions`.
#[derive(Debug, Args)]
pub(super) struct CompletionsArgs {
    /// The shell that is to understand it
    #[arg(value_name = "SHELL")]
    shell: Shell,
}

/// `suibi init`.
#[derive(Debug, Args)]
#[command(after_help = "\
bash, in ~/.bashrc                    eval \"$(suibi init bash)\"
zsh, in ~/.zshrc, after compinit      eval \"$(suibi init zsh)\"
fish, in ~/.config/fish/config.fish   suibi init fish | source")]
pub(super) struct InitArgs {
    /// The shell that is to understand it
    #[arg(value_name = "SHELL")]
    shell: Shell,
    /// A shorter name for suibi, such as n; its notes stay out of the history, too
    #[arg(long, value_name = "NAME", value_parser = another_name)]
    alias: Option<String>,
}

/// What all shells take for a name without quotes.
fn another_name(name: &str) -> Result<String, String> {
    let is_plain = name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '-');
    let begins = name.starts_with(|c: char| c.is_ascii_alphabetic());
    match is_plain && begins && name != "suibi" {
        true => Ok(name.to_owned()),
        false => Err(say::NameNoGood.to_string()),
    }
}

pub(super) fn completions(args: &CompletionsArgs, tree: Command) -> Result<Exit, Failure> {
    let mut tree = with_settings(tree);
    // The generators panic where a write fails, so it is made before it is printed.
    let mut script = Vec::new();
    match args.shell {
        Shell::Bash => generate(clap_complete::Shell::Bash, &mut tree, "suibi", &mut script),
        Shell::Zsh => generate(clap_complete::Shell::Zsh, &mut tree, "suibi", &mut script),
        Shell::Fish => {
            generate(clap_complete::Shell::Fish, &mut tree, "suibi", &mut script);
            script.extend(words_for_fish(&tree).into_bytes());
        }
    }
    io::stdout().write_all(&script)?;
    Ok(Exit::Done)
}

/// The names of settings are completed, too. (When a command line is read, `data_dir` is as good as `data-dir`.)
fn with_settings(tree: Command) -> Command {
    let named = |command: Command| {
        command.mut_arg("key", |arg| {
            arg.value_parser(PossibleValuesParser::new(Key::ALL.map(Key::name)))
        })
    };
    tree.mut_subcommand("config", |config| {
        ["get", "set", "unset"]
            .into_iter()
            .fold(config, |config, name| config.mut_subcommand(name, named))
    })
}

/// Words that a command takes without an option: what is made for fish leaves them out.
fn words_for_fish(tree: &Command) -> String {
    let mut lines = String::new();
    for command in tree.get_subcommands().filter(|command| command.get_name() != "help") {
        let inner = command.get_subcommands().map(|inner| (inner, Some(inner.get_name())));
        for (at, name) in std::iter::once((command, None)).chain(inner) {
            let words: Vec<_> = at
                .get_positionals()
                .flat_map(|arg| arg.get_possible_values())
                .map(|value| value.get_name().to_owned())
                .collect();
            if words.is_empty() {
                continue;
            }
            let within = name
                .map(|name| format!("; and __fish_seen_subcommand_from {name}"))
                .unwrap_or_default();
            lines.push_str(&format!(
                "complete -c suibi -n \"__fish_suibi_using_subcommand {}{within}\" -f -a \"{}\"\n",
                command.get_name(),
                words.join(" ")
            ));
        }
    }
    lines
}

pub(super) fn init(args: &InitArgs) -> Result<Exit, Failure> {
    io::stdout().write_all(script(args.shell, args.alias.as_deref()).as_bytes())?;
    if io::stdout().is_terminal() {
        let (line, file) = match args.shell {
            Shell::Bash => ("eval \"$(suibi init bash)\"", "~/.bashrc".to_owned()),
            Shell::Zsh => ("eval \"$(suibi init zsh)\"", say::Zshrc.to_string()),
            Shell::Fish => ("suibi init fish | source", "~/.config/fish/config.fish".to_owned()),
        };
        let hint = crate::say::failure::Hint;
        super::complain(format_args!("{HINT}{hint}{HINT:#} {}", say::NotForYou { file, line }));
    }
    Ok(Exit::Done)
}

/// The lines for the shell. `@NAMES@` in them is every name of suibi, with `|` or a blank between.
fn script(shell: Shell, alias: Option<&str>) -> String {
    let (lines, between) = match shell {
        Shell::Bash => (include_str!("shells/init.bash"), " "),
        Shell::Zsh => (include_str!("shells/init.zsh"), "|"),
        Shell::Fish => (include_str!("shells/init.fish"), "|"),
    };
    let names: Vec<&str> = std::iter::once("suibi").chain(alias).collect();
    let mut script = lines.replace("@NAMES@", &names.join(between));
    if let Some(name) = alias {
        script.push_str(&match shell {
            Shell::Bash => format!(
                "alias {name}=suibi\ncomplete -o bashdefault -o default -F _suibi_complete {name}\n"
            ),
            Shell::Zsh => format!("alias {name}=suibi\n"),
            Shell::Fish => format!("alias {name} suibi\n"),
        });
    }
    script
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_name_is_one_that_needs_no_quotes() {
        for name in ["n", "note", "my-notes", "n2"] {
            assert_eq!(another_name(name).as_deref(), Ok(name));
        }
        for name in ["", "suibi", "2n", "-n", "a b", "n;rm", "笔记", "n'"] {
            assert!(another_name(name).is_err(), "{name}");
        }
    }

    #[test]
    fn every_name_stands_in_every_script() {
        for shell in [Shell::Bash, Shell::Zsh, Shell::Fish] {
            let (plain, with_alias) = (script(shell, None), script(shell, Some("jot")));
            assert!(!plain.contains("@NAMES@"), "{plain}");
            assert!(!plain.contains("jot") && with_alias.matches("jot").count() >= 2);
        }
    }
}

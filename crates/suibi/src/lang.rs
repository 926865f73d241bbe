//! Which language this run speaks: English or Simplified Chinese.
//!
//! What it says is in the catalogues `lang/en/*.ftl` and `lang/zh/*.ftl`; `build.rs` makes [`crate::say`] of them. The
//! texts of help stand in English where clap takes them from, and in Chinese in `cli/help.rs`.
//!
//! Asked in this order: `--lang`, `SUIBI_LANG`, `lang` in `config.toml`, and then, or where that is `auto`, the locale:
//! `LC_ALL`, `LC_MESSAGES`, `LANG`, the first that is not empty.

use std::env;
use std::fmt;
use std::sync::atomic::{AtomicU8, Ordering};

use crate::failure::Failure;
use crate::settings::{Key, Settings};

/// A language that every message is there in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Language {
    English,
    Chinese,
}

/// What the setting can be: the locale decides, English, Simplified Chinese.
pub(crate) const CHOICES: &[&str] = &["auto", "en", "zh"];

const UNKNOWN: u8 = 0;
const ENGLISH: u8 = 1;
const CHINESE: u8 = 2;

static CHOSEN: AtomicU8 = AtomicU8::new(UNKNOWN);

/// The language of this run.
#[cfg(not(test))]
pub(crate) fn current() -> Language {
    match CHOSEN.load(Ordering::Relaxed) {
        ENGLISH => Language::English,
        CHINESE => Language::Chinese,
        _ => {
            early();
            current()
        }
    }
}

/// In tests it is a matter of the test, whatever the person who runs it speaks.
#[cfg(test)]
pub(crate) fn current() -> Language {
    tests::SPOKEN.get()
}

fn choose(language: Language) {
    let chosen = match language {
        Language::English => ENGLISH,
        Language::Chinese => CHINESE,
    };
    CHOSEN.store(chosen, Ordering::Relaxed);
}

/// Takes the language from the settings, flags included.
///
/// # Errors
///
/// A value that is none of [`CHOICES`].
pub(crate) fn settle(settings: &Settings) -> Result<(), Failure> {
    choose(match settings.text(Key::Lang)?.as_deref() {
        Some("en") => Language::English,
        Some("zh") => Language::Chinese,
        _ => of_locale(),
    });
    Ok(())
}

/// For what is said before there are settings: help, and a command line that cannot be understood. What is wrong with
/// the settings is told elsewhere.
#[cfg_attr(test, expect(dead_code, reason = "tests choose their language themselves"))]
fn early() {
    // Should the settings have something to say, they say it in this language.
    choose(of_locale());
    let Ok(mut settings) = Settings::load() else { return };
    let mut args = env::args_os().skip(1).map(|arg| arg.to_string_lossy().into_owned());
    while let Some(arg) = args.next() {
        let value = match arg.as_str() {
            "--" => break,
            "--lang" => args.next(),
            arg => arg.strip_prefix("--lang=").map(str::to_owned),
        };
        settings.flag(Key::Lang, value);
    }
    let _ = settle(&settings);
}

fn of_locale() -> Language {
    let locale = ["LC_ALL", "LC_MESSAGES", "LANG"]
        .into_iter()
        .find_map(|name| env::var(name).ok().filter(|value| !value.is_empty()));
    spoken_in(locale.as_deref().unwrap_or_default())
}

/// The language for a locale such as `zh_CN.UTF-8`. Whoever reads traditional Chinese reads the simplified one sooner
/// than English. Where the terminal is said to show another encoding than UTF-8, Chinese would be rubbish there.
fn spoken_in(locale: &str) -> Language {
    let (name, encoding) = locale.split_once('.').unwrap_or((locale, "UTF-8"));
    let encoding = encoding.split('@').next().unwrap_or_default();
    let language = name.split(['_', '-', '@']).next().unwrap_or_default();
    let is_utf8 = ["utf-8", "utf8"].iter().any(|utf8| encoding.eq_ignore_ascii_case(utf8));
    match language.eq_ignore_ascii_case("zh") && is_utf8 {
        true => Language::Chinese,
        false => Language::English,
    }
}

/// A number by which a message chooses its words.
pub(crate) trait Number: fmt::Display {
    fn number(&self) -> u64;
}

impl Number for u64 {
    fn number(&self) -> u64 {
        *self
    }
}

impl Number for u32 {
    fn number(&self) -> u64 {
        u64::from(*self)
    }
}

impl Number for usize {
    fn number(&self) -> u64 {
        u64::try_from(*self).unwrap_or(u64::MAX)
    }
}

impl<N: Number> Number for &N {
    fn number(&self) -> u64 {
        (*self).number()
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use std::cell::Cell;

    use super::*;
    use crate::catalogue;

    thread_local! {
        pub(super) static SPOKEN: Cell<Language> = const { Cell::new(Language::English) };
    }

    /// What `told` is in Chinese.
    pub(crate) fn in_chinese<T>(told: impl FnOnce() -> T) -> T {
        SPOKEN.set(Language::Chinese);
        let told = told();
        SPOKEN.set(Language::English);
        told
    }

    #[test]
    fn a_locale_names_a_language_and_what_the_terminal_can_show() {
        for (locale, wanted) in [
            ("", Language::English),
            ("C", Language::English),
            ("C.UTF-8", Language::English),
            ("POSIX", Language::English),
            ("en_GB.UTF-8", Language::English),
            ("de_DE.UTF-8@euro", Language::English),
            ("zh_CN.UTF-8", Language::Chinese),
            ("zh_CN.utf8", Language::Chinese),
            ("zh_CN.UTF-8@pinyin", Language::Chinese),
            ("zh-Hans", Language::Chinese),
            ("zh", Language::Chinese),
            ("zh_TW.UTF-8", Language::Chinese),
            ("zh_CN.GB18030", Language::English),
            ("zha_CN.UTF-8", Language::English),
        ] {
            assert_eq!(spoken_in(locale), wanted, "{locale}");
        }
    }

    /// The literals of a source before its tests, each with the line on which it begins. Comments, and with them the
    /// texts of help, are none.
    fn literals(source: &str) -> Vec<(usize, String)> {
        let mut found = Vec::new();
        let mut rest = source.split("#[cfg(test)]").next().unwrap();
        while let Some(at) = rest.find(['"', '/', '\'']) {
            let before = rest.as_ptr() as usize - source.as_ptr() as usize + at;
            let line = source[..before].matches('\n').count() + 1;
            let (here, after) = rest.split_at(at);
            rest = &after[1..];
            match after.as_bytes()[0] {
                b'/' if rest.starts_with('/') => {
                    rest = rest.split_once('\n').map_or("", |(_, after)| after);
                }
                // A quote as a character, and not the end of a lifetime.
                b'\'' if rest.starts_with("\"'") => rest = &rest[2..],
                b'\'' if rest.starts_with("\\\"'") => rest = &rest[3..],
                b'"' => {
                    let raw = here.ends_with("r#");
                    let mut end = 0;
                    while !(rest[end..].starts_with('"')
                        && (!raw || rest[end..].starts_with("\"#")))
                    {
                        let is_escape = !raw && rest[end..].starts_with('\\');
                        end += if is_escape {
                            2
                        } else {
                            rest[end..].chars().next().unwrap().len_utf8()
                        };
                    }
                    found.push((line, rest[..end].to_owned()));
                    rest = &rest[end + 1..];
                }
                _ => {}
            }
        }
        found
    }

    /// Whether words follow one another in it as in a sentence; what stands in braces does not count.
    fn is_a_sentence(literal: &str) -> bool {
        let mut depth = 0;
        let bare: String = literal
            .chars()
            .filter(|c| {
                depth += i32::from(*c == '{');
                let is_outside = depth == 0;
                depth -= i32::from(*c == '}');
                is_outside
            })
            .collect();
        let words: Vec<&str> = bare.split(' ').collect();
        let is_word = |word: &&str| word.len() > 1 && word.bytes().all(|b| b.is_ascii_lowercase());
        words.windows(2).any(|pair| pair.iter().all(is_word))
    }

    /// What is said, is said in both languages: no sentence stands in the code.
    #[test]
    fn every_sentence_is_in_the_catalogues() {
        let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
        let mut folders = vec![root.clone()];
        let mut told = Vec::new();
        let mut seen = 0;
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    folders.push(path);
                    continue;
                }
                let name = path.strip_prefix(&root).unwrap().display().to_string();
                if !name.ends_with(".rs") || MAY_SAY.iter().any(|(file, _)| *file == name) {
                    continue;
                }
                let source = std::fs::read_to_string(&path).unwrap();
                let lines: Vec<&str> = source.lines().collect();
                for (line, literal) in literals(&source) {
                    seen += 1;
                    let near = lines[line.saturating_sub(4)..line].join(" ");
                    let is_ours =
                        ["expect(", "reason =", "tracing::", "_help", "_usage", ": &str = "];
                    let is_exempt = is_ours.iter().any(|mark| near.contains(mark))
                        || NO_SENTENCE.contains(&(name.as_str(), literal.as_str()));
                    if is_a_sentence(&literal) && !literal.starts_with("suibi ") && !is_exempt {
                        told.push(format!("{name}:{line}: {literal}"));
                    }
                }
            }
        }
        assert!(seen > 500, "{seen}");
        assert!(told.is_empty(), "these belong into lang/en and lang/zh:\n{}", told.join("\n"));
    }

    /// Files that say something by themselves, and why they may.
    const MAY_SAY: &[(&str, &str)] = &[
        ("cli/help_zh.rs", "help: both languages stand there side by side"),
        ("cli/demo.rs", "the notes that the demo writes are in two languages anyway"),
        ("errors.rs", "Chinese words for the errors of the crates below, whose English is there"),
    ];

    /// Literals that look like a sentence, and are none that somebody reads.
    const NO_SENTENCE: &[(&str, &str)] = &[
        ("settings.rs", "command line"),        // a word of the JSON
        ("cli/join.rs", "; ask for a new one"), // taken off an error's text
        ("cli/invite/card.rs", "    {DAY}suibi join{DAY:#}"), // a command
        ("render/json.rs", "a note cannot be read"), // ends the document; the failure itself is told
    ];

    #[test]
    fn sentences_are_told_from_other_literals() {
        for sentence in ["no notes on {day}", "the server does not answer", "{a} and more of it"] {
            assert!(is_a_sentence(sentence), "{sentence}");
        }
        for other in
            ["suibi", "{hour:02}:{minute:02}", "--data-dir", "on {day}", "  {DIM}… {x}", ""]
        {
            assert!(!is_a_sentence(other), "{other}");
        }
        let source =
            "a(\"one two\"); // \"three four\"\nb('\"', r#\"five \"six\" seven\"#, \"x\\\"y\");";
        let found: Vec<_> =
            literals(source).into_iter().map(|(line, text)| format!("{line} {text}")).collect();
        assert_eq!(found, ["1 one two", "2 five \"six\" seven", "2 x\\\"y"]);
    }

    fn made_of(english: &str, chinese: &str) -> Result<String, String> {
        let file = |text: &str| vec![("a".to_owned(), text.to_owned())];
        catalogue::code(&file(english), &file(chinese)).map_err(|problems| problems.join("\n"))
    }

    #[test]
    fn catalogues_that_do_not_fit_one_another_are_refused() {
        for (english, chinese, wanted) in [
            ("one = 1\n", "", "lang/zh/a.ftl lacks `one`"),
            ("", "one = 一\n", "lang/en/a.ftl lacks `one`"),
            ("one = { $a }\n", "one = 一\n", "`one` of a.ftl: only one language shows a"),
            ("one = 1\n", "one = { $b }\n", "`one` of a.ftl: only one language shows b"),
            ("one = 1\none = 2\n", "one = 一\n", "lang/en/a.ftl has `one` twice"),
            ("one = { one }\n", "one = 一\n", "`one` of a.ftl: only { $argument }"),
            (
                "one = { $a ->\n    [one] 1\n   *[other] n\n}\n",
                "one = { $a ->\n    [one] 1\n   *[other] n\n}\n",
                "`one` of a.ftl: what is [one]?",
            ),
            ("one = {\n", "one = 一\n", "lang/en/a.ftl:"),
        ] {
            let told = made_of(english, chinese).unwrap_err();
            assert!(told.contains(wanted), "{told}");
        }
        // Chinese needs no plural, so that it may show a number by which English chooses, or leave it out.
        made_of("one = { $a ->\n    [one] it waits\n   *[other] they wait\n}\n", "one = 等着\n")
            .unwrap();
    }
}

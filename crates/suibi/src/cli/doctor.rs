//! `suibi doctor`: what there is to know when something does not work, to read and to paste.
//!
//! Each thing that is looked at is a [`Finding`]. None stops the others, and none has a note's text, a tag or a secret
//! in it; the home directory is `~`.

mod around;
mod journal;
mod reach;

use std::env;
use std::io::Write as _;
use std::path::Path;

use serde::Serialize;

use super::Context;
use crate::failure::{Exit, Failure};
use crate::render::json::VERSION;
use crate::render::style::{DIM, ERROR, GOOD, HINT, WAITING};
use crate::render::wrap::{columns, hanging, harmless};
use crate::say::doctor as say;

pub(super) use journal::disk_bytes;

/// How good that is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
enum Level {
    /// As it should be.
    Ok,
    /// It works, and could be better.
    Warning,
    /// It does not work.
    Trouble,
}

/// What was looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum Area {
    Program,
    System,
    Time,
    Language,
    Terminal,
    Settings,
    Data,
    Notes,
    Index,
    Server,
    Clock,
    Repairs,
}

impl Area {
    fn label(self) -> String {
        match self {
            Self::Program => say::Program.to_string(),
            Self::System => say::System.to_string(),
            Self::Time => say::Time.to_string(),
            Self::Language => say::Language.to_string(),
            Self::Terminal => say::Terminal.to_string(),
            Self::Settings => say::Settings.to_string(),
            Self::Data => say::Data.to_string(),
            Self::Notes => say::Notes.to_string(),
            Self::Index => say::Index.to_string(),
            Self::Server => say::Server.to_string(),
            Self::Clock => say::Clock.to_string(),
            Self::Repairs => say::Repairs.to_string(),
        }
    }
}

/// One thing that was found.
#[derive(Debug, Serialize)]
struct Finding {
    area: Area,
    level: Level,
    what: String,
    hint: Option<String>,
}

impl Finding {
    fn fine(area: Area, what: impl ToString) -> Self {
        Self { area, level: Level::Ok, what: what.to_string(), hint: None }
    }

    fn warning(area: Area, what: impl ToString, hint: impl ToString) -> Self {
        let hint = Some(hint.to_string());
        Self { area, level: Level::Warning, what: what.to_string(), hint }
    }

    fn trouble(area: Area, failure: &Failure) -> Self {
        let (what, hint) = failure.parts();
        Self { area, level: Level::Trouble, what, hint: hint.map(str::to_owned) }
    }

    /// Fit to be shown to others: the home directory is nobody's business, and what a peer said steers no terminal.
    fn to_paste(&self, home: Option<&str>) -> Self {
        let clean = |text: &str| {
            let text = home.map_or_else(|| text.to_owned(), |home| text.replace(home, "~"));
            harmless(&text).replace('\n', " ")
        };
        let Self { area, level, what, hint } = self;
        Self { area: *area, level: *level, what: clean(what), hint: hint.as_deref().map(clean) }
    }
}

/// What `doctor` prints with `--json`.
#[derive(Debug, Serialize)]
struct ReportJson {
    version: u32,
    suibi: &'static str,
    ok: bool,
    findings: Vec<Finding>,
}

pub(super) fn run(context: &mut Context) -> Result<Exit, Failure> {
    let mut findings = around::look(context);
    journal::look(context, &mut findings);
    let home = env::var("HOME").ok().filter(|home| Path::new(home).parent().is_some());
    let findings: Vec<_> =
        findings.iter().map(|finding| finding.to_paste(home.as_deref())).collect();
    let worst = findings.iter().map(|finding| finding.level).max().unwrap_or(Level::Ok);

    let ui = &mut context.ui;
    if ui.json {
        let ok = worst < Level::Trouble;
        ui.json(&ReportJson { version: VERSION, suibi: env!("CARGO_PKG_VERSION"), ok, findings })?;
    } else {
        let text = text(&findings, ui.width());
        ui.out().write_all(text.as_bytes())?;
        ui.flush()?;
        match worst {
            Level::Ok => ui.say(say::SummaryWell),
            Level::Warning => ui.say(say::SummaryWarned),
            Level::Trouble => ui.say(say::SummaryWrong),
        }
    }
    Ok(match worst {
        Level::Trouble => Exit::NothingMatched,
        Level::Ok | Level::Warning => Exit::Done,
    })
}

fn text(findings: &[Finding], width: Option<usize>) -> String {
    let labels: Vec<_> = findings.iter().map(|finding| finding.area.label()).collect();
    let widest = labels.iter().map(|label| columns(label)).max().unwrap_or(0);
    let mut text = String::new();
    for (at, (finding, label)) in findings.iter().zip(&labels).enumerate() {
        let mark = match finding.level {
            Level::Ok => format!("{GOOD}✓{GOOD:#}"),
            Level::Warning => format!("{WAITING}!{WAITING:#}"),
            Level::Trouble => format!("{ERROR}✗{ERROR:#}"),
        };
        let is_again = at > 0 && findings[at - 1].area == finding.area;
        let label = if is_again { "" } else { label.as_str() };
        let padding = " ".repeat(widest - columns(label));
        let begin = format!("{mark} {DIM}{label}{DIM:#}{padding}  ");
        text.push_str(&hanging(&begin, widest + 4, &finding.what, width));
        if let Some(hint) = &finding.hint {
            let padding = " ".repeat(widest + 4);
            let word = crate::say::failure::Hint;
            let indent = widest + 5 + columns(&word.to_string());
            text.push_str(&hanging(
                &format!("{padding}{HINT}{word}{HINT:#} "),
                indent,
                hint,
                width,
            ));
        }
    }
    text
}

/// `12.4 MB`.
pub(super) fn size(bytes: u64) -> String {
    let mut number = bytes as f64;
    let mut unit = "bytes";
    for larger in ["kB", "MB", "GB", "TB"] {
        if number < 1000.0 {
            break;
        }
        number /= 1000.0;
        unit = larger;
    }
    match unit {
        "bytes" => format!("{bytes} {unit}"),
        _ if number < 10.0 => format!("{number:.1} {unit}"),
        _ => format!("{number:.0} {unit}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lang::tests::in_chinese;

    #[test]
    fn sizes_in_the_unit_that_fits() {
        for (bytes, wanted) in [
            (0, "0 bytes"),
            (999, "999 bytes"),
            (1_000, "1.0 kB"),
            (12_400, "12 kB"),
            (7_500_000, "7.5 MB"),
            (12_000_000_000, "12 GB"),
            (5_000_000_000_000_000, "5000 TB"),
        ] {
            assert_eq!(size(bytes), wanted);
        }
    }

    #[test]
    fn a_report_can_be_shown_to_others() {
        let finding = Finding::warning(
            Area::Data,
            "/home/lin/notes\x1b[31m is open\nto all",
            "chmod 700 /home/lin/notes",
        );
        let finding = finding.to_paste(Some("/home/lin"));
        assert_eq!(finding.what, "~/notes␛[31m is open to all");
        assert_eq!(finding.hint.as_deref(), Some("chmod 700 ~/notes"));
    }

    #[test]
    fn each_finding_has_its_line_and_its_hint_stands_below() {
        let findings = |width| {
            let failure = Failure::new(Exit::Data, "the disk is on fire").hint("buy a bucket");
            let lines = [
                Finding::fine(Area::Terminal, say::TerminalNone),
                Finding::warning(Area::Clock, say::ClockAhead { time: "3 h" }, say::ClockHint),
                Finding::trouble(Area::Notes, &failure),
                Finding::fine(Area::Notes, "…"),
            ];
            anstream::adapter::strip_str(&text(&lines, width)).to_string()
        };
        insta::assert_snapshot!(findings(Some(60)), @"
        ✓ terminal  none, the output goes elsewhere
        ! clock     3 h ahead of the server's
                    hint: notes keep the time of the device that
                          wrote them; let the system set its clock
                          (timedatectl set-ntp true)
        ✗ notes     the disk is on fire
                    hint: buy a bucket
        ✓           …
        ");
        insta::assert_snapshot!(in_chinese(|| findings(None)), @"
        ✓ 终端  没有，输出到了别处
        ! 时钟  比服务器快 3 h
                提示： 随笔的时间取自写它的设备；请让系统自动校时（timedatectl set-ntp true）
        ✗ 随笔  the disk is on fire
                提示： buy a bucket
        ✓       …
        ");
    }
}

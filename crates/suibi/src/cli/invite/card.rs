//! What a person is shown of an invite: the code, and beside or below it what it is good for.

use zeroize::Zeroizing;

use super::host::{Chosen, Host};
use crate::render::qr::{Paint, Qr};
use crate::render::style::{DAY, DIM};
use crate::render::wrap::{columns, padded, wrap};
use crate::say::invite as say;

/// The line itself stands below, and the shell's next prompt below that.
const ROWS_BELOW: usize = 2;

/// Text beside the code is at least so wide, or it stands below it.
const NARROWEST: usize = 30;

/// Columns where there is no terminal.
const UNFOLDED: usize = 100;

/// Between the code and the text.
const GAP: usize = 2;

/// What an invite is good for, in words.
pub(super) struct Card {
    pub(super) line: Zeroizing<String>,
    pub(super) host: Host,
    /// Whether the server listens on loopback alone, so that somebody else has to carry datagrams to it.
    pub(super) needs_forwarding: bool,
    pub(super) journal: String,
    pub(super) is_new_journal: bool,
    pub(super) name: Option<String>,
    pub(super) may: String,
    /// `15 min`.
    pub(super) lasts: String,
    /// `until 14:05`.
    pub(super) until: String,
}

impl Card {
    /// The lines for a terminal of so many columns and rows. There is no code without one, since nobody scans a file;
    /// and none where `shows_the_line` is false, since that line goes into a pipe and needs no other way.
    pub(super) fn lines(
        &self,
        size: Option<(usize, usize)>,
        shows_the_line: bool,
        paint: Paint,
    ) -> Vec<String> {
        let alone = say::Alone.to_string();
        let with_code = say::WithCode.to_string();
        let Some((width, height)) = size else { return self.text_above(UNFOLDED, &alone) };
        if !shows_the_line {
            return self.text_above(width, &say::Elsewhere.to_string());
        }
        let room = (width, height.saturating_sub(ROWS_BELOW));
        let Some(code) = Qr::of(&self.line) else { return self.text_above(width, &alone) };
        let Some(code_lines) = code.lines(room, paint) else {
            let (columns, rows) = code.smallest();
            let rows = rows + ROWS_BELOW;
            let small = format!("{DIM}{}{DIM:#}", say::TooSmall { width, height, columns, rows });
            let mut lines = self.text_above(width, &alone);
            lines.insert(lines.len() - 1, small);
            return lines;
        };
        let code_width = columns(&anstream::adapter::strip_str(&code_lines[0]).to_string());
        let beside = width.saturating_sub(code_width + GAP);
        if beside < NARROWEST {
            return code_lines.into_iter().chain(self.text_above(width, &with_code)).collect();
        }
        let text = self.text(beside, &with_code);
        let above = code_lines.len().saturating_sub(text.len()) / 2;
        let blank = " ".repeat(code_width);
        let rows = code_lines.len().max(text.len());
        (0..rows)
            .map(|row| {
                let code = code_lines.get(row).unwrap_or(&blank);
                match row.checked_sub(above).and_then(|row| text.get(row)) {
                    Some(text) if !text.is_empty() => format!("{code}{:GAP$}{text}", ""),
                    _ => code.clone(),
                }
            })
            .collect()
    }

    /// The text and an empty line, so that the line of the invite stands by itself.
    fn text_above(&self, width: usize, how: &str) -> Vec<String> {
        let mut lines = self.text(width, how);
        lines.push(String::new());
        lines
    }

    fn text(&self, width: usize, how: &str) -> Vec<String> {
        let mut lines = wrap(how, width);
        lines.push(String::new());
        lines.push(format!("    {DAY}suibi join{DAY:#}"));
        lines.push(String::new());
        let journal = match self.is_new_journal {
            true => say::NewJournal { journal: &self.journal }.to_string(),
            false => self.journal.clone(),
        };
        let once = say::Once { until: &self.until, lasts: &self.lasts };
        let mut facts = vec![(say::LabelJournal.to_string(), journal)];
        facts.extend(self.name.clone().map(|name| (say::LabelDevice.to_string(), name)));
        facts.push((say::LabelMay.to_string(), self.may.clone()));
        facts.push((say::LabelValid.to_string(), once.to_string()));
        facts.push((say::LabelServer.to_string(), self.host.to_string()));
        for (label, fact) in facts {
            for (index, piece) in wrap(&fact, width.saturating_sub(9)).into_iter().enumerate() {
                let label = padded(if index == 0 { &label } else { "" }, 7);
                lines.push(format!("{DIM}{label}{DIM:#}  {piece}"));
            }
        }
        let about = self.about_the_host();
        if !about.is_empty() {
            lines.push(String::new());
        }
        for sentence in about {
            lines.extend(wrap(&sentence, width).iter().map(|line| format!("{DIM}{line}{DIM:#}")));
        }
        lines
    }

    /// What the owner should know about the name in the line, a line for each sentence.
    fn about_the_host(&self) -> Vec<String> {
        let host = &self.host;
        if host.is_loopback() {
            return vec![say::OnlyThisMachine.to_string()];
        }
        if self.needs_forwarding {
            return vec![say::Forwarding { host }.to_string()];
        }
        let whose = match host.chosen {
            Chosen::Outward if host.is_private() => say::OwnAddressNear.to_string(),
            Chosen::Outward => say::OwnAddress.to_string(),
            Chosen::Listener if host.is_private() => say::ListensNear.to_string(),
            Chosen::Listener | Chosen::Named | Chosen::Joined => return Vec::new(),
        };
        vec![whose, say::Another.to_string()]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn card() -> Card {
        let host = Host { chosen: Chosen::Outward, ..Host::parse("192.168.1.5", 5683).unwrap() };
        Card {
            line: "suibi://192.168.1.5:5683/#ABcdEfGHIjklmnopqRSTuvwXYZ012345-_".to_owned().into(),
            host,
            needs_forwarding: false,
            journal: "notes".to_owned(),
            is_new_journal: false,
            name: None,
            may: "read and write".to_owned(),
            lasts: "15 min".to_owned(),
            until: "until 14:05".to_owned(),
        }
    }

    fn seen(card: &Card, size: (usize, usize)) -> String {
        anstream::adapter::strip_str(&card.lines(Some(size), true, Paint::OnLight).join("\n"))
            .to_string()
    }

    #[test]
    fn at_80_by_24_the_text_stands_beside_the_code() {
        let seen = seen(&card(), (80, 24));
        insta::assert_snapshot!(seen);
        assert!(seen.lines().count() <= 22);
        assert!(seen.lines().all(|line| columns(line) <= 80), "{seen}");
    }

    #[test]
    fn where_it_is_narrow_the_text_stands_below() {
        let seen = seen(&card(), (50, 60));
        assert!(seen.lines().all(|line| columns(line) <= 50), "{seen}");
        assert!(seen.lines().next().unwrap().trim().is_empty(), "{seen}");
        assert!(seen.contains("\nScan the code, or copy the line below."), "{seen}");
    }

    #[test]
    fn where_it_is_too_small_the_line_is_all() {
        let card = Card {
            name: Some("手机".to_owned()),
            is_new_journal: true,
            journal: "家".to_owned(),
            may: "add notes, see none (a drop)".to_owned(),
            ..card()
        };
        insta::assert_snapshot!(seen(&card, (60, 12)), @"
        Copy the line below. On the other device:

            suibi join

        journal  家, a new one
        device   手机
        may      add notes, see none (a drop)
        valid    once, until 14:05 (15 min)
        server   192.168.1.5

        That is this machine's own address, good inside its network.
        Another one: --host NAME
        For a QR code this terminal is too small: 60x12, it takes 37x21.
        ");
    }

    #[test]
    fn where_the_line_goes_elsewhere_there_is_no_word_about_a_code() {
        for size in [Some((80, 24)), Some((40, 5)), None] {
            let lines = card().lines(size, false, Paint::OnLight).join("\n");
            let seen = anstream::adapter::strip_str(&lines).to_string();
            assert!(!seen.contains("code") && !seen.contains("too small"), "{size:?}: {seen}");
            assert!(seen.contains("    suibi join\n"), "{size:?}: {seen}");
            assert_eq!(seen.contains("below"), size.is_none(), "{size:?}: {seen}");
        }
    }

    #[test]
    fn the_owner_is_told_who_finds_the_server_there() {
        let about = |text: &str, chosen, needs_forwarding| {
            let host = Host { chosen, ..Host::parse(text, 5683).unwrap() };
            Card { host, needs_forwarding, ..card() }.about_the_host().join(" ")
        };
        insta::assert_snapshot!(
            [
                about("192.168.1.5", Chosen::Outward, false),
                about("198.51.100.7", Chosen::Outward, false),
                about("10.0.0.7", Chosen::Listener, false),
                about("notes.example.org", Chosen::Named, false),
                about("notes.example.org", Chosen::Named, true),
                about("127.0.0.1", Chosen::Named, true),
            ]
            .join("\n"),
            @"
            That is this machine's own address, good inside its network. Another one: --host NAME
            That is this machine's own address. Another one: --host NAME
            That is where the server listens, good inside its network. Another one: --host NAME

            The server listens on loopback only: something has to carry datagrams from notes.example.org to it.
            Only this machine finds it there.
            "
        );
    }
}

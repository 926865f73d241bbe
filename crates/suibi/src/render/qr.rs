//! A QR code in half blocks: two modules above each other in one character cell.
//!
//! ```text
//!  ▀ the upper one   ▄ the lower one   █ both   (space) none
//! ```

use std::fmt::Write as _;

use anstyle::{Ansi256Color, Style};
use qrcode::{Color, EcLevel, QrCode};

/// Light modules around the code that a reader needs to find it (ISO/IEC 18004 §9.1).
const QUIET: usize = 4;

/// With fewer, readers still find it; for terminals that have no room for [`QUIET`].
const QUIET_AT_LEAST: usize = 2;

/// Black on white of the fixed part of the 256 colours, which no theme changes.
const INK: Style =
    Ansi256Color(16).on_default().bg_color(Some(anstyle::Color::Ansi256(Ansi256Color(231))));

/// Which characters make a module dark.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Paint {
    /// Colours are understood: dark modules are black blocks on white, whatever the terminal's theme.
    Colours,
    /// No colours, a dark background: light modules are blocks, dark ones are left open.
    OnDark,
    /// No colours, a light background: dark modules are blocks.
    OnLight,
}

impl Paint {
    /// Without colours nobody tells what the background is; some terminals say so in `COLORFGBG`, most are dark.
    pub(crate) fn choose(has_colours: bool, colorfgbg: Option<&str>) -> Self {
        let background = colorfgbg.and_then(|value| value.rsplit(';').next());
        match (has_colours, background) {
            (true, _) => Self::Colours,
            (false, Some("7" | "15")) => Self::OnLight,
            (false, _) => Self::OnDark,
        }
    }
}

/// A QR code.
pub(crate) struct Qr {
    code: QrCode,
}

impl Qr {
    /// The smallest code that holds `text`, with as much error correction as fits into it. `None` where no code is
    /// large enough (more than 2,953 bytes).
    pub(crate) fn of(text: &str) -> Option<Self> {
        let mut code = QrCode::with_error_correction_level(text, EcLevel::L).ok()?;
        for level in [EcLevel::M, EcLevel::Q, EcLevel::H] {
            match QrCode::with_version(text, code.version(), level) {
                Ok(better) => code = better,
                Err(_) => break,
            }
        }
        Some(Self { code })
    }

    /// The lines of it, as wide as [`Qr::size`] says, when they fit into so many columns and rows.
    pub(crate) fn lines(&self, room: (usize, usize), paint: Paint) -> Option<Vec<String>> {
        let fits = |quiet: &usize| {
            let (columns, rows) = self.size(*quiet);
            columns <= room.0 && rows <= room.1
        };
        let quiet = (QUIET_AT_LEAST..=QUIET).rev().find(fits)?;
        let (columns, rows) = self.size(quiet);
        Some((0..rows).map(|row| self.line(row, columns, quiet, paint)).collect())
    }

    /// The fewest columns and rows that it takes.
    pub(crate) fn smallest(&self) -> (usize, usize) {
        self.size(QUIET_AT_LEAST)
    }

    /// Columns and rows with so many light modules around it.
    fn size(&self, quiet: usize) -> (usize, usize) {
        let side = self.code.width() + 2 * quiet;
        (side, side.div_ceil(2))
    }

    fn line(&self, row: usize, columns: usize, quiet: usize, paint: Paint) -> String {
        let mut line = String::new();
        if paint == Paint::Colours {
            let _ = write!(line, "{INK}");
        }
        for column in 0..columns {
            let mut upper = self.is_dark(column, 2 * row, quiet);
            let mut lower = self.is_dark(column, 2 * row + 1, quiet);
            if paint == Paint::OnDark {
                (upper, lower) = (!upper, !lower);
            }
            line.push(match (upper, lower) {
                (true, true) => '█',
                (true, false) => '▀',
                (false, true) => '▄',
                (false, false) => ' ',
            });
        }
        if paint == Paint::Colours {
            let _ = write!(line, "{INK:#}");
        }
        line
    }

    /// What is outside of the code is light.
    fn is_dark(&self, x: usize, y: usize, quiet: usize) -> bool {
        let inside = |at: usize| at.checked_sub(quiet).filter(|at| *at < self.code.width());
        match (inside(x), inside(y)) {
            (Some(x), Some(y)) => self.code[(x, y)] == Color::Dark,
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::render::wrap::columns;

    const ROOM: (usize, usize) = (80, 22);

    fn plain(lines: &[String]) -> String {
        anstream::adapter::strip_str(&lines.join("\n")).to_string()
    }

    #[test]
    fn a_short_text_as_it_looks_on_a_light_terminal() {
        let lines = Qr::of("suibi").unwrap().lines(ROOM, Paint::OnLight).unwrap();
        let framed: Vec<String> = lines.iter().map(|line| format!("|{line}|")).collect();
        insta::assert_snapshot!(framed.join("\n"));
    }

    #[test]
    fn on_a_dark_terminal_blocks_and_gaps_change_places() {
        let qr = Qr::of("suibi").unwrap();
        let light = plain(&qr.lines(ROOM, Paint::OnLight).unwrap());
        let dark = plain(&qr.lines(ROOM, Paint::OnDark).unwrap());
        let turned = dark.chars().map(|c| match c {
            '█' => ' ',
            ' ' => '█',
            '▀' => '▄',
            '▄' => '▀',
            c => c,
        });
        assert_eq!(light, turned.collect::<String>());
        assert_eq!(light, plain(&qr.lines(ROOM, Paint::Colours).unwrap()));
    }

    #[test]
    fn the_line_of_an_invite_fits_into_80_by_24_with_two_rows_to_spare() {
        let code = "ABcdEfGHIjklmnopqRSTuvwXYZ012345-_";
        for host in
            ["192.168.100.200:5683", "notes.example.org:5683", "[2001:db8:1:2:3:4:5:6]:5683"]
        {
            let qr = Qr::of(&format!("suibi://{host}/#{code}")).unwrap();
            let lines = qr.lines(ROOM, Paint::Colours).unwrap();
            assert!(lines.len() <= ROOM.1, "{host}: {} rows", lines.len());
            let width = columns(&plain(&lines[..1]));
            assert!(lines.iter().all(|line| columns(&plain(std::slice::from_ref(line))) == width));
        }
    }

    #[test]
    fn where_there_is_no_room_there_is_no_code() {
        let qr = Qr::of("suibi://192.168.1.5:5683/#ABcdEfGHIjklmnopqRSTuvwXYZ012345-_").unwrap();
        let (columns, rows) = qr.smallest();
        assert_eq!((columns, rows), (37, 19));
        assert!(qr.lines((columns, rows), Paint::Colours).is_some());
        assert!(qr.lines((columns - 1, rows), Paint::Colours).is_none());
        assert!(qr.lines((columns, rows - 1), Paint::Colours).is_none());
    }

    #[test]
    fn the_background_is_dark_unless_the_terminal_says_otherwise() {
        assert_eq!(Paint::choose(true, Some("0;15")), Paint::Colours);
        assert_eq!(Paint::choose(false, None), Paint::OnDark);
        assert_eq!(Paint::choose(false, Some("15;0")), Paint::OnDark);
        assert_eq!(Paint::choose(false, Some("0;default;15")), Paint::OnLight);
    }
}

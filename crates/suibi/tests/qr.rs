//! The QR code of an invite, read by another program from a picture of the terminal.

#![allow(clippy::unwrap_used, reason = "a test may")]

mod machinery;

use std::fs;
use std::process::Command;

use machinery::{BOUND, Home, Server, Terminal, run};

/// The size of a character cell in pixels; it is twice as high as it is wide nearly everywhere.
const CELL: (usize, usize) = (8, 16);

/// How a terminal shows text that asks for no colour: (text, background), from black 0 to white 255.
const DARK: (u8, u8) = (200, 20);
const LIGHT: (u8, u8) = (40, 250);

/// Paints what `tmux capture-pane -e` tells, as a grey picture (Netpbm's PGM).
fn paint(screen: &str, columns: usize, theme: (u8, u8)) -> Vec<u8> {
    let rows: Vec<&str> = screen.lines().collect();
    let (wide, high) = (columns * CELL.0, rows.len() * CELL.1);
    let mut pixels = vec![theme.1; wide * high];
    let mut colours = theme;
    for (row, line) in rows.iter().enumerate() {
        let mut column = 0;
        let mut rest = *line;
        while let Some(c) = rest.chars().next() {
            if let Some(after) = rest.strip_prefix("\x1b[") {
                let (codes, after) = after.split_once('m').expect("only colours are set");
                colours = apply(codes, colours, theme);
                rest = after;
                continue;
            }
            rest = &rest[c.len_utf8()..];
            for y in 0..CELL.1 {
                for x in 0..CELL.0 {
                    let is_ink = match c {
                        ' ' => false,
                        '█' => true,
                        '▀' => y < CELL.1 / 2,
                        '▄' => y >= CELL.1 / 2,
                        // A letter: some strokes.
                        _ => (2..CELL.1 - 2).contains(&y) && (x + y) % 3 == 0,
                    };
                    let at = (row * CELL.1 + y) * wide + column * CELL.0 + x;
                    pixels[at] = if is_ink { colours.0 } else { colours.1 };
                }
            }
            column += 1;
        }
    }
    let mut picture = format!("P5 {wide} {high} 255\n").into_bytes();
    picture.extend(pixels);
    picture
}

/// The colours after one SGR sequence: those that suibi uses around a code, everything else is a grey.
fn apply(codes: &str, (mut text, mut back): (u8, u8), theme: (u8, u8)) -> (u8, u8) {
    let fixed = |code: Option<&str>| match code {
        Some("16") => 0,
        Some("231") => 255,
        _ => 128,
    };
    let mut codes = codes.split([';', ':']);
    while let Some(code) = codes.next() {
        match code {
            "" | "0" => (text, back) = theme,
            "38" if codes.next() == Some("5") => text = fixed(codes.next()),
            "48" if codes.next() == Some("5") => back = fixed(codes.next()),
            "39" => text = theme.0,
            "49" => back = theme.1,
            _ => {}
        }
    }
    (text, back)
}

/// What the code says, read by zbarimg.
#[track_caller]
fn read(home: &Home, picture: &[u8]) -> String {
    let path = home.path().join("terminal.pgm");
    fs::write(&path, picture).unwrap();
    let mut command = Command::new("zbarimg");
    command.args(["--quiet", "--raw", "--nodbus", "-Sdisable", "-Sqrcode.enable"]).arg(&path);
    run(&mut command, b"", BOUND).out.trim_end().to_owned()
}

#[test]
fn the_code_on_the_screen_says_what_the_line_says() {
    let data = tempfile::tempdir().unwrap();
    let _server = Server::start_encrypted(data.path());
    let no_colour = ("NO_COLOR", "1");
    for (theme, environment) in [
        (DARK, &[][..]),
        (LIGHT, &[]),
        (DARK, &[no_colour]),
        (LIGHT, &[no_colour, ("COLORFGBG", "0;15")]),
    ] {
        let home = Home::of_owner(data.path());
        let command = "invite --host 203.0.113.205";
        let terminal = Terminal::open_with(&home, command, (80, 24), environment);
        let screen = terminal.expect("ended 0");
        let line = screen.lines().find(|line| line.starts_with("suibi://")).unwrap();
        assert!(line.starts_with("suibi://203.0.113.205:"), "{screen}");
        let picture = terminal.picture();
        let decoded = read(&home, &paint(&picture, 80, theme));
        assert_eq!(decoded, line, "{environment:?} {theme:?}\n{screen}");
        // All of it is on one screen of 24 rows, with the prompt of the shell below.
        assert!(picture.lines().count() <= 24 && picture.contains("ended 0"), "{screen}");
    }
}

#[test]
fn what_is_no_code_is_not_read_as_one() {
    let home = Home::new();
    let text = "suibi://203.0.113.205:5683/#".repeat(2);
    assert_eq!(read(&home, &paint(&text, 80, DARK)), "");
}

#[test]
fn a_terminal_that_is_too_small_is_told_so_and_gets_the_line() {
    let data = tempfile::tempdir().unwrap();
    let _server = Server::start_encrypted(data.path());
    let home = Home::of_owner(data.path());
    let terminal = Terminal::open_with(&home, "invite --host 203.0.113.205", (70, 16), &[]);
    let screen = terminal.expect("ended 0");
    assert!(screen.contains("this terminal is too small: 70x16"), "{screen}");
    assert!(screen.contains("\nsuibi://203.0.113.205:"), "{screen}");
    assert!(!screen.contains('▀'), "{screen}");
}

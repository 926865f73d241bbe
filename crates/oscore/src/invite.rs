//! The line that lets a device join, as it is printed, scanned and pasted.

use std::{fmt, str::FromStr};

use base64::{
    Engine,
    engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig, URL_SAFE_NO_PAD},
};
use sha2::{Digest, Sha256};
use thiserror::Error;
use zeroize::Zeroize;

use crate::{KeyId, Secret};

const SCHEME: &str = "suibi://";
const VERSION: u8 = 1;
const ID_LEN: usize = 4;
const SECRET_LEN: usize = 16;
const CHECK_LEN: usize = 4;
const CODE_LEN: usize = 1 + ID_LEN + SECRET_LEN + CHECK_LEN;
/// Characters of the code behind the `#`.
const CODE_CHARACTERS: usize = (CODE_LEN * 4).div_ceil(3);
/// The port of a line that names none.
const DEFAULT_PORT: u16 = 5683;

/// `suibi://HOST:PORT/#CODE`, the whole of what a device needs in order to join.
///
/// ```text
/// CODE = base64url, no padding, 34 characters, of
///
///   0         1             5                             21            25
///   ├ version ┼──── id ─────┼─────────── secret ───────────┼─── check ───┤
///   │    1    │   4 bytes   │          16 bytes            │   4 bytes   │
/// ```
///
/// The check is the start of the SHA-256 of all before it; it finds slips of the hand and is no
/// protection. The host is not part of it: who reaches the server by another name may write that
/// name into the line. In every later version the last four bytes are to be such a check too, so
/// that a newer line can be told from a mistyped one.
///
/// A line is read tolerantly: in quotes, with line breaks, the scheme in capitals or missing.
///
/// The line is a secret until it has been used; `Debug` does not show the code.
#[derive(Debug, Clone, PartialEq)]
pub struct InviteLine {
    /// A name or an address; IPv6 addresses without their brackets.
    pub host: String,
    /// The port of the OSCORE listener.
    pub port: u16,
    /// The id of the invite, 4 bytes.
    pub id: KeyId,
    /// The secret of the invite, 16 bytes.
    pub secret: Secret,
}

/// Why a text is not an invite that can be used; the texts say what to do about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum InviteLineError {
    /// Something else altogether.
    #[error(
        "this is not an invite; it is a line that starts with suibi:// (`suibi invite` on the \
         server makes one)"
    )]
    NotAnInvite,
    /// Its end is missing.
    #[error(
        "the line is cut off: {found} of the {CODE_CHARACTERS} characters after the # are there; \
         copy all of it, from suibi:// to the last character"
    )]
    Incomplete {
        /// How many characters of the code there are.
        found: usize,
    },
    /// Its parts are there, and do not fit each other.
    #[error(
        "a character of the line is wrong, missing or too much; copy it again instead of typing \
         it, or scan the QR code"
    )]
    Mistyped,
    /// Made by a suibi that knows more than this one.
    #[error("the invite was made by a newer suibi; update suibi on this device, then join again")]
    NewerVersion,
}

impl fmt::Display for InviteLine {
    /// The line, with its secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut bytes = Vec::with_capacity(CODE_LEN);
        bytes.push(VERSION);
        bytes.extend_from_slice(self.id.as_slice());
        bytes.extend_from_slice(self.secret.as_bytes());
        debug_assert_eq!(bytes.len(), CODE_LEN - CHECK_LEN, "an id of 4 bytes, a secret of 16");
        let check = check(&bytes);
        bytes.extend_from_slice(&check);
        let mut code = URL_SAFE_NO_PAD.encode(&bytes);
        bytes.zeroize();
        let Self { host, port, .. } = self;
        let done = if host.contains(':') {
            write!(f, "{SCHEME}[{host}]:{port}/#{code}")
        } else {
            write!(f, "{SCHEME}{host}:{port}/#{code}")
        };
        code.zeroize();
        done
    }
}

impl FromStr for InviteLine {
    type Err = InviteLineError;

    fn from_str(text: &str) -> Result<Self, InviteLineError> {
        let text: String = text.chars().filter(|c| !is_space(*c)).collect();
        let text = text.trim_matches(is_wrapping);
        // What stands before the scheme, like the command that the line belongs to, does no harm.
        let scheme = text.to_ascii_lowercase().find(SCHEME);
        let has_scheme = scheme.is_some();
        let rest = scheme.map_or(text, |at| &text[at + SCHEME.len()..]);
        let Some((place, code)) = rest.split_once('#') else {
            let cut = has_scheme || is_start_of_scheme(text);
            return Err(if cut {
                InviteLineError::Incomplete { found: 0 }
            } else {
                InviteLineError::NotAnInvite
            });
        };
        let place = place.strip_suffix('/').unwrap_or(place);
        if place.contains("://") || (!has_scheme && place.contains('/')) {
            return Err(InviteLineError::NotAnInvite);
        }
        let mut bytes = decode(code)?;
        let id = KeyId::from_slice(&bytes[1..1 + ID_LEN]).expect("4 bytes are a key id");
        let secret =
            Secret::from_bytes(&bytes[1 + ID_LEN..][..SECRET_LEN]).expect("16 bytes are a secret");
        bytes.zeroize();
        let (host, port) = host_and_port(place).ok_or(InviteLineError::Mistyped)?;
        Ok(Self { host, port, id, secret })
    }
}

/// The bytes of the code, complete and checked.
fn decode(code: &str) -> Result<Vec<u8>, InviteLineError> {
    // Where a sentence goes on, or a program that shortens lines left out the rest.
    let end = code.find(|c| is_wrapping(c) || matches!(c, '.' | '…')).unwrap_or(code.len());
    let code = &code[..end];
    if !code.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_')) {
        return Err(InviteLineError::Mistyped);
    }
    // Bits behind the last byte do not matter here: they fail below, as a mistyped version 1.
    let lenient = GeneralPurpose::new(
        &base64::alphabet::URL_SAFE,
        GeneralPurposeConfig::new()
            .with_decode_allow_trailing_bits(true)
            .with_decode_padding_mode(base64::engine::DecodePaddingMode::RequireNone),
    );
    let mut bytes = lenient.decode(code).unwrap_or_default();
    let is_checked = bytes
        .split_last_chunk::<CHECK_LEN>()
        .is_some_and(|(start, end)| !start.is_empty() && check(start) == *end);
    let version = bytes.first().copied();
    if is_checked && version > Some(VERSION) {
        bytes.zeroize();
        return Err(InviteLineError::NewerVersion);
    }
    if code.len() < CODE_CHARACTERS {
        bytes.zeroize();
        return Err(InviteLineError::Incomplete { found: code.len() });
    }
    let is_canonical = URL_SAFE_NO_PAD.encode(&bytes) == code;
    if !is_checked || !is_canonical || version != Some(VERSION) || bytes.len() != CODE_LEN {
        bytes.zeroize();
        return Err(InviteLineError::Mistyped);
    }
    Ok(bytes)
}

/// Parts `host`, `host:port`, `[address]` and `[address]:port`.
fn host_and_port(place: &str) -> Option<(String, u16)> {
    let (host, port) = match place.strip_prefix('[') {
        Some(rest) => {
            let (host, port) = rest.split_once(']')?;
            host.parse::<std::net::Ipv6Addr>().ok()?;
            (host, port.strip_prefix(':').or(port.is_empty().then_some("")))
        }
        None => match place.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (place, Some("")),
        },
    };
    let port = match port? {
        "" => DEFAULT_PORT,
        port if port.bytes().all(|byte| byte.is_ascii_digit()) => port.parse().ok()?,
        _ => return None,
    };
    let is_host = !host.is_empty() && !host.contains(['/', '?', '@', '\\', '%', '[', ']']);
    (is_host && port != 0).then(|| (host.to_owned(), port))
}

fn check(bytes: &[u8]) -> [u8; CHECK_LEN] {
    let hash = Sha256::new().chain_update(b"suibi invite").chain_update(bytes).finalize();
    *hash.first_chunk().expect("a hash has 32 bytes")
}

/// White space, and what chat programs put between characters to break lines.
fn is_space(character: char) -> bool {
    character.is_whitespace()
        || character.is_control()
        || matches!(character, '\u{200b}'..='\u{200f}' | '\u{2060}' | '\u{feff}' | '\u{ad}')
}

/// What a line is put in by people and programs.
fn is_wrapping(character: char) -> bool {
    matches!(
        character,
        '"' | '\''
            | '`'
            | '<'
            | '>'
            | '('
            | ')'
            | ','
            | ';'
            | '“'
            | '”'
            | '„'
            | '‘'
            | '’'
            | '«'
            | '»'
            | '「'
            | '」'
            | '『'
            | '』'
            | '《'
            | '》'
            | '（'
            | '）'
            | '，'
            | '。'
            | '；'
    )
}

/// Whether nothing but the beginning of the scheme was copied.
fn is_start_of_scheme(text: &str) -> bool {
    text.len() >= "suibi:".len()
        && SCHEME.get(..text.len()).is_some_and(|start| start.eq_ignore_ascii_case(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    const LINE: &str = "suibi://notes.example:5683/#AQECAwQQERITFBUWFxgZGhscHR4feh7y4Q";

    fn line() -> InviteLine {
        InviteLine {
            host: "notes.example".to_owned(),
            port: 5683,
            id: KeyId::from_slice(&[1, 2, 3, 4]).unwrap(),
            secret: Secret::from_bytes(&std::array::from_fn::<u8, 16, _>(|i| 16 + i as u8))
                .unwrap(),
        }
    }

    fn error(text: &str) -> InviteLineError {
        text.parse::<InviteLine>().expect_err(text)
    }

    #[test]
    fn the_line_is_what_it_always_was() {
        assert_eq!(line().to_string(), LINE);
        assert_eq!(LINE.parse(), Ok(line()));
    }

    #[test]
    fn a_line_is_read_however_it_was_carried() {
        let (start, end) = LINE.split_at(40);
        for text in [
            format!("  {LINE}\n"),
            format!("'{LINE}'"),
            format!("\"{LINE}\","),
            format!("「{LINE}」。"),
            format!("<{LINE}>."),
            format!("{start}\r\n   {end}"),
            format!("{start}\u{200b}{end}"),
            format!("suibi join {LINE}"),
            LINE.replace("suibi", "SuiBi"),
            LINE.replace("suibi://", ""),
            LINE.replace("/#", "#"),
            LINE.replace(":5683", ""),
        ] {
            assert_eq!(text.parse(), Ok(line()), "{text}");
        }
    }

    #[test]
    fn addresses_of_both_kinds_are_hosts() {
        for (host, port, shown) in
            [("192.0.2.7", 1, "192.0.2.7:1/"), ("2001:db8::7", 65535, "[2001:db8::7]:65535/")]
        {
            let line = InviteLine { host: host.to_owned(), port, ..line() };
            assert!(line.to_string().contains(&format!("//{shown}#")));
            assert_eq!(line.to_string().parse(), Ok(line));
        }
        let bare =
            LINE.replace("notes.example:5683", "[2001:db8::7]").parse::<InviteLine>().unwrap();
        assert_eq!((bare.host.as_str(), bare.port), ("2001:db8::7", 5683));
    }

    #[test]
    fn a_line_cut_off_anywhere_says_so() {
        let code_at = LINE.find('#').unwrap() + 1;
        for len in "suibi:".len()..LINE.len() {
            let found = len.saturating_sub(code_at);
            assert_eq!(error(&LINE[..len]), InviteLineError::Incomplete { found }, "{len}");
        }
        let shortened = format!("{}…", &LINE[..40]);
        assert_eq!(error(&shortened), InviteLineError::Incomplete { found: 40 - code_at });
    }

    #[test]
    fn any_other_character_is_noticed() {
        let code_at = LINE.find('#').unwrap() + 1;
        for at in code_at..LINE.len() {
            for other in ('0'..='z').filter(|c| c.is_ascii_alphanumeric()).chain(['-', '_', '+']) {
                let mut mistyped = LINE.to_owned();
                mistyped.replace_range(at..=at, other.encode_utf8(&mut [0; 4]));
                if mistyped != LINE {
                    assert_eq!(error(&mistyped), InviteLineError::Mistyped, "{mistyped}");
                }
            }
        }
        assert_eq!(error(&format!("{LINE}A")), InviteLineError::Mistyped);
        for place in
            ["notes.example:0", "notes.example:70000", "notes.example:5x", "", "[::1", "[x]:1"]
        {
            assert_eq!(
                error(&LINE.replace("notes.example:5683", place)),
                InviteLineError::Mistyped,
                "{place}"
            );
        }
    }

    #[test]
    fn two_neighbours_in_the_wrong_order_are_noticed() {
        let code_at = LINE.find('#').unwrap() + 1;
        for at in code_at..LINE.len() - 1 {
            let mut characters: Vec<char> = LINE.chars().collect();
            characters.swap(at, at + 1);
            let swapped: String = characters.into_iter().collect();
            if swapped != LINE {
                assert_eq!(error(&swapped), InviteLineError::Mistyped, "{swapped}");
            }
        }
    }

    #[test]
    fn a_line_of_a_later_version_is_known_as_one() {
        for len in [CODE_LEN - CHECK_LEN, 40, 12] {
            let mut bytes = vec![7; len];
            bytes[0] = VERSION + 1;
            let end = check(&bytes);
            bytes.extend_from_slice(&end);
            let later = format!("suibi://h:1/#{}", URL_SAFE_NO_PAD.encode(&bytes));
            assert_eq!(error(&later), InviteLineError::NewerVersion);
            // And the version before the first is none.
            bytes[0] = 0;
            let end = check(&bytes[..len]);
            bytes[len..].copy_from_slice(&end);
            let none = format!("suibi://h:1/#{}", URL_SAFE_NO_PAD.encode(&bytes));
            assert_ne!(error(&none), InviteLineError::NewerVersion);
        }
    }

    #[test]
    fn other_texts_are_no_invites() {
        for text in ["", "hello", "https://example.org/#AQEC", "example.org/path", "a/b#c", "suib"]
        {
            assert_eq!(error(text), InviteLineError::NotAnInvite, "{text}");
        }
    }

    #[test]
    fn rude_texts_do_no_harm() {
        for text in [
            "#",
            "suibi://#",
            "suibi://[]:1/#AQ",
            "suibi://h/#é",
            "ſuibi://x#",
            "…",
            "suibi://:1/#=",
        ] {
            error(text);
        }
    }

    #[test]
    fn errors_say_what_to_do() {
        let texts = [
            InviteLineError::NotAnInvite,
            InviteLineError::Incomplete { found: 12 },
            InviteLineError::Mistyped,
            InviteLineError::NewerVersion,
        ]
        .map(|error| error.to_string());
        assert_eq!(
            texts,
            [
                "this is not an invite; it is a line that starts with suibi:// (`suibi invite` on \
                 the server makes one)",
                "the line is cut off: 12 of the 34 characters after the # are there; copy all of \
                 it, from suibi:// to the last character",
                "a character of the line is wrong, missing or too much; copy it again instead of \
                 typing it, or scan the QR code",
                "the invite was made by a newer suibi; update suibi on this device, then join \
                 again",
            ]
        );
    }

    #[test]
    fn debug_does_not_show_the_code() {
        let shown = format!("{:?}", line());
        assert!(shown.contains("Secret(16 bytes)") && !shown.contains("AQEC"), "{shown}");
    }
}

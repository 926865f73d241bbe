//! `ADDR,reply=never,words=compat,max=4096,anyone`: one plain listener as it is written.

use crate::failure::Failure;
use crate::say::serve as say;
use crate::settings::{Key, Settings};

/// One plain listener, with what holds for all of them filled in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct PlainSpec {
    pub(super) address: String,
    /// `course` or `compat`.
    pub(super) words: String,
    /// `auto`, `always` or `never`.
    pub(super) reply: String,
    /// The longest history datagram, in bytes.
    pub(super) max_bytes: usize,
    /// Whether other machines may reach it.
    pub(super) anyone: bool,
}

impl PlainSpec {
    /// Every plain listener that is configured.
    ///
    /// # Errors
    ///
    /// An option that is none, or a value that it cannot have.
    pub(super) fn all(settings: &Settings) -> Result<Vec<Self>, Failure> {
        let max = settings.text(Key::PlainMax)?.and_then(|text| text.parse().ok());
        let common = Self {
            address: String::new(),
            words: settings.text(Key::PlainWords)?.unwrap_or_else(|| "course".to_owned()),
            reply: settings.text(Key::PlainReply)?.unwrap_or_else(|| "auto".to_owned()),
            max_bytes: max.unwrap_or(1024),
            anyone: settings.switch(Key::PlainAnyone)?,
        };
        settings.list(Key::Plain)?.iter().map(|text| common.refine(text)).collect()
    }

    /// This listener's own options over the common ones.
    fn refine(&self, text: &str) -> Result<Self, Failure> {
        let mut parts = text.split(',').map(str::trim);
        let mut spec = self.clone();
        spec.address = parts.next().unwrap_or_default().to_owned();
        for part in parts {
            let (name, value) = part.split_once('=').unwrap_or((part, "true"));
            let wrong =
                |why: String| Failure::usage(say::Plain { text, part, why }).hint(say::PlainHint);
            let key = match name {
                "words" => Key::PlainWords,
                "reply" => Key::PlainReply,
                "max" => Key::PlainMax,
                "anyone" => Key::PlainAnyone,
                _ => return Err(wrong(say::NoOption.to_string())),
            };
            key.check(value).map_err(wrong)?;
            match key {
                Key::PlainWords => value.clone_into(&mut spec.words),
                Key::PlainReply => value.clone_into(&mut spec.reply),
                Key::PlainMax => spec.max_bytes = value.parse().expect("check has parsed it"),
                _ => spec.anyone = matches!(value, "true" | "1" | "yes" | "on"),
            }
        }
        Ok(spec)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn common() -> PlainSpec {
        PlainSpec {
            address: String::new(),
            words: "course".to_owned(),
            reply: "auto".to_owned(),
            max_bytes: 1024,
            anyone: false,
        }
    }

    #[test]
    fn options_after_an_address_hold_for_that_listener() {
        let spec = common().refine("[::1]:4242,reply=never,words=compat,max=65507,anyone").unwrap();
        assert_eq!(
            spec,
            PlainSpec {
                address: "[::1]:4242".to_owned(),
                words: "compat".to_owned(),
                reply: "never".to_owned(),
                max_bytes: 65_507,
                anyone: true,
            }
        );
        assert_eq!(
            common().refine(":4242").unwrap(),
            PlainSpec { address: ":4242".to_owned(), ..common() }
        );
    }

    #[test]
    fn what_is_no_option_is_refused() {
        for text in ["h:1,colour=red", "h:1,reply=maybe", "h:1,max=70000", "h:1,max", "h:1,"] {
            assert!(common().refine(text).is_err(), "{text}");
        }
    }
}

//! Where a value comes from: flag > environment > `config.toml` > default.

use std::collections::BTreeMap;
use std::env;
use std::ffi::OsString;
use std::fmt;
use std::fs;
use std::io;
use std::net::IpAddr;
use std::path::{Path, PathBuf};

use suibi_journal::Folds;
use toml_edit::{DocumentMut, Item, Value};

use crate::failure::{Exit, Failure};
use crate::lang;
use crate::say::settings as say;

/// Everything that can be configured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Key {
    Server,
    Insecure,
    DataDir,
    Device,
    Color,
    Lang,
    Fold,
    Listen,
    InsecureCoap,
    Plain,
    PlainWords,
    PlainReply,
    PlainMax,
    PlainAnyone,
}

/// What values a key takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Text,
    /// One of these words.
    Choice(&'static [&'static str]),
    /// `true` or `false`.
    Switch,
    /// A whole number from the first to the second.
    Number(u64, u64),
    /// Several texts: an array in TOML, separated by spaces elsewhere.
    List,
    /// Several of these words, of which the last means none of the others; as a list.
    Words(&'static [&'static str]),
    /// An address such as `coap://HOST:PORT`.
    Server,
}

/// What a search can take for the same; `none`: nothing of it.
pub(crate) const FOLDS: &[&str] = &["script", "width", "pinyin", "none"];

/// Smallest and largest answer of a plain listener, in bytes: what a UDP datagram can carry.
pub(crate) const PLAIN_MAX: (u64, u64) = (16, 65_507);

impl Key {
    pub(crate) const ALL: [Self; 14] = [
        Self::Server,
        Self::Insecure,
        Self::DataDir,
        Self::Device,
        Self::Color,
        Self::Lang,
        Self::Fold,
        Self::Listen,
        Self::InsecureCoap,
        Self::Plain,
        Self::PlainWords,
        Self::PlainReply,
        Self::PlainMax,
        Self::PlainAnyone,
    ];

    /// Its name in `config.toml`, and as a flag with `--` before it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Server => "server",
            Self::Insecure => "insecure",
            Self::DataDir => "data-dir",
            Self::Device => "device",
            Self::Color => "color",
            Self::Lang => "lang",
            Self::Fold => "fold",
            Self::Listen => "listen",
            Self::InsecureCoap => "insecure-coap",
            Self::Plain => "plain",
            Self::PlainWords => "plain-words",
            Self::PlainReply => "plain-reply",
            Self::PlainMax => "plain-max",
            Self::PlainAnyone => "plain-anyone",
        }
    }

    /// Its environment variable: `SUIBI_` and the name.
    pub(crate) fn variable(self) -> String {
        format!("SUIBI_{}", self.name().to_uppercase().replace('-', "_"))
    }

    pub(crate) fn kind(self) -> Kind {
        match self {
            Self::Server => Kind::Server,
            Self::DataDir | Self::Device => Kind::Text,
            Self::Insecure | Self::PlainAnyone => Kind::Switch,
            Self::Color => Kind::Choice(&["auto", "always", "never"]),
            Self::Lang => Kind::Choice(lang::CHOICES),
            Self::Fold => Kind::Words(FOLDS),
            Self::Listen | Self::InsecureCoap | Self::Plain => Kind::List,
            Self::PlainWords => Kind::Choice(&["course", "compat"]),
            Self::PlainReply => Kind::Choice(&["auto", "always", "never"]),
            Self::PlainMax => Kind::Number(PLAIN_MAX.0, PLAIN_MAX.1),
        }
    }

    /// The key of that name, with `_` as good as `-`.
    ///
    /// # Errors
    ///
    /// No such key; the hint lists them.
    pub(crate) fn named(name: &str) -> Result<Self, Failure> {
        let wanted = name.replace('_', "-");
        Self::ALL.into_iter().find(|key| key.name() == wanted).ok_or_else(|| {
            let names: Vec<_> = Self::ALL.iter().map(|key| key.name()).collect();
            Failure::usage(say::NoSuch { name }).hint(say::NoSuchHint { names: names.join(", ") })
        })
    }

    /// Whether `value` is one that this key can have; a sentence if not.
    pub(crate) fn check(self, value: &str) -> Result<(), String> {
        match self.kind() {
            Kind::Text if value.trim().is_empty() => Err(say::Empty.to_string()),
            Kind::Text | Kind::List => Ok(()),
            Kind::Server => ServerAddress::parse(value).map(|_| ()),
            Kind::Switch => parse_switch(value).map(|_| ()),
            Kind::Choice(words) | Kind::Words(words) if words.contains(&value) => Ok(()),
            Kind::Choice(words) | Kind::Words(words) => {
                Err(say::OneOf { words: words.join(", ") }.to_string())
            }
            Kind::Number(low, high) => match value.parse::<u64>() {
                Ok(number) if (low..=high).contains(&number) => Ok(()),
                _ => Err(say::Number { low, high }.to_string()),
            },
        }
    }
}

fn parse_switch(value: &str) -> Result<bool, String> {
    match value {
        "true" | "1" | "yes" | "on" => Ok(true),
        "false" | "0" | "no" | "off" | "" => Ok(false),
        _ => Err(say::Switch.to_string()),
    }
}

/// Who said so.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Origin {
    Flag,
    Environment(String),
    File(PathBuf),
    Default,
}

impl Origin {
    /// For programs: the same in every language.
    pub(crate) fn word(&self) -> String {
        match self {
            Self::Flag => "command line".to_owned(),
            Self::Environment(name) => name.clone(),
            Self::File(path) => path.display().to_string(),
            Self::Default => "default".to_owned(),
        }
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Flag => say::Flag.fmt(f),
            Self::Environment(name) => f.write_str(name),
            Self::File(path) => write!(f, "{}", path.display()),
            Self::Default => say::Default.fmt(f),
        }
    }
}

/// A value and who said so.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Found {
    /// One value, or those of a list.
    pub(crate) values: Vec<String>,
    pub(crate) origin: Origin,
}

/// All settings of this run.
#[derive(Debug)]
pub(crate) struct Settings {
    flags: BTreeMap<Key, Vec<String>>,
    file: BTreeMap<Key, Vec<String>>,
    path: PathBuf,
    strangers: Vec<String>,
}

impl Settings {
    /// The configuration file and the environment, without flags yet. No file is no trouble.
    ///
    /// # Errors
    ///
    /// A configuration file that cannot be read or understood, no home directory.
    pub(crate) fn load() -> Result<Self, Failure> {
        let path = config_path()?;
        let mut settings = Self {
            flags: BTreeMap::new(),
            file: BTreeMap::new(),
            path: path.clone(),
            strangers: Vec::new(),
        };
        let Some(document) = read_document(&path)? else { return Ok(settings) };
        for (name, item) in document.iter() {
            match Key::named(name) {
                Ok(key) => {
                    let values = texts(item).ok_or_else(|| {
                        Failure::usage(say::NoPlainValue { name, file: path.display() })
                    })?;
                    settings.file.insert(key, values);
                }
                Err(_) => settings.strangers.push(name.to_owned()),
            }
        }
        Ok(settings)
    }

    /// Takes a value from the command line.
    pub(crate) fn flag(&mut self, key: Key, values: impl IntoIterator<Item = String>) {
        let values: Vec<String> = values.into_iter().collect();
        if !values.is_empty() {
            self.flags.insert(key, values);
        }
    }

    /// Where the configuration file is or would be, without a look at it.
    ///
    /// # Errors
    ///
    /// No home directory.
    pub(crate) fn place() -> Result<PathBuf, Failure> {
        config_path()
    }

    /// The same of these settings.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Names in the configuration file that mean nothing.
    pub(crate) fn strangers(&self) -> &[String] {
        &self.strangers
    }

    /// The value of `key`, checked, with its origin; `None` when nobody said anything.
    ///
    /// # Errors
    ///
    /// A value that the key cannot have; the message names where it stands.
    pub(crate) fn find(&self, key: Key) -> Result<Option<Found>, Failure> {
        let Some(found) = self.look_up(key) else { return Ok(None) };
        for value in &found.values {
            key.check(value).map_err(|why| {
                let failure = Failure::usage(say::NotOne { value, key: key.name(), why });
                match &found.origin {
                    // What was typed a moment ago need not be looked for.
                    Origin::Flag => failure,
                    origin => failure.hint(say::ComesFrom { origin }),
                }
            })?;
        }
        Ok(Some(found))
    }

    fn look_up(&self, key: Key) -> Option<Found> {
        if let Some(values) = self.flags.get(&key) {
            return Some(Found { values: values.clone(), origin: Origin::Flag });
        }
        let variable = key.variable();
        if let Some(value) = env::var_os(&variable).filter(|value| !value.is_empty()) {
            let value = value.to_string_lossy().into_owned();
            let values = match key.kind() {
                Kind::List | Kind::Words(_) => {
                    value.split_whitespace().map(str::to_owned).collect()
                }
                _ => vec![value],
            };
            return Some(Found { values, origin: Origin::Environment(variable) });
        }
        let values = self.file.get(&key)?.clone();
        Some(Found { values, origin: Origin::File(self.path.clone()) })
    }

    /// One text.
    pub(crate) fn text(&self, key: Key) -> Result<Option<String>, Failure> {
        Ok(self.find(key)?.and_then(|found| found.values.into_iter().next()))
    }

    /// Several texts, none when nobody said anything.
    pub(crate) fn list(&self, key: Key) -> Result<Vec<String>, Failure> {
        Ok(self.find(key)?.map(|found| found.values).unwrap_or_default())
    }

    /// On or off, off when nobody said anything.
    pub(crate) fn switch(&self, key: Key) -> Result<bool, Failure> {
        let text = self.text(key)?.unwrap_or_default();
        Ok(parse_switch(&text).expect("find has checked it"))
    }

    /// What a search takes for the same; everything when nobody said anything.
    pub(crate) fn folds(&self) -> Result<Folds, Failure> {
        let Some(found) = self.find(Key::Fold)? else { return Ok(Folds::default()) };
        let has = |word: &str| found.values.iter().any(|value| value == word);
        Ok(Folds { script: has("script"), width: has("width"), pinyin: has("pinyin") })
    }

    /// The server to talk to; `None` means the embedded one.
    ///
    /// # Errors
    ///
    /// An address beyond this machine without `--insecure`: the way there is not encrypted.
    pub(crate) fn server(&self) -> Result<Option<ServerAddress>, Failure> {
        let Some(text) = self.text(Key::Server)? else { return Ok(None) };
        let address = ServerAddress::parse(&text).expect("find has checked it");
        if !address.is_loopback() && !self.switch(Key::Insecure)? {
            return Err(Failure::usage(say::Beyond { address }).hint(say::BeyondHint));
        }
        Ok(Some(address))
    }

    /// The directory of the journal's files.
    pub(crate) fn data_dir(&self) -> Result<PathBuf, Failure> {
        if let Some(path) = self.text(Key::DataDir)? {
            return Ok(PathBuf::from(path));
        }
        Ok(base_dir("XDG_DATA_HOME", ".local/share")?.join("suibi"))
    }

    /// [`Settings::data_dir`] for a command that is going to use it.
    ///
    /// # Errors
    ///
    /// Something there that is no directory.
    pub(crate) fn journal_dir(&self) -> Result<PathBuf, Failure> {
        let path = self.data_dir()?;
        if fs::metadata(&path).is_ok_and(|found| !found.is_dir()) {
            let what = say::NotADirectory { path: path.display() };
            return Err(Failure::new(Exit::Data, what).hint(say::NotADirectoryHint));
        }
        Ok(path)
    }

    /// What other devices call this one: set, or the machine's own name.
    pub(crate) fn device(&self) -> Result<String, Failure> {
        if let Some(name) = self.text(Key::Device)? {
            return Ok(name);
        }
        Ok(machine_name())
    }

    /// Writes `key` into the configuration file, keeping its comments and order.
    ///
    /// # Errors
    ///
    /// Values that the key cannot have, a file that cannot be written.
    pub(crate) fn store(&self, key: Key, values: &[String]) -> Result<(), Failure> {
        for value in values {
            key.check(value)
                .map_err(|why| Failure::usage(say::NotOne { value, key: key.name(), why }))?;
        }
        let value = match (key.kind(), values) {
            (Kind::List | Kind::Words(_), values) => {
                Value::from_iter(values.iter().map(String::as_str))
            }
            (Kind::Switch, [value]) => Value::from(parse_switch(value) == Ok(true)),
            (Kind::Number(..), [value]) => {
                Value::from(value.parse::<i64>().expect("check has parsed it"))
            }
            (_, [value]) => Value::from(value.as_str()),
            _ => return Err(Failure::usage(say::OneValue { key: key.name() })),
        };
        let mut document = read_document(&self.path)?.unwrap_or_default();
        match document.get_mut(key.name()).and_then(Item::as_value_mut) {
            Some(old) => {
                let decor = old.decor().clone();
                *old = value;
                *old.decor_mut() = decor;
            }
            None => {
                document.insert(key.name(), Item::Value(value));
            }
        }
        self.write(&document)
    }

    /// Takes `key` out of the configuration file; whether it was there.
    pub(crate) fn forget(&self, key: Key) -> Result<bool, Failure> {
        let Some(mut document) = read_document(&self.path)? else { return Ok(false) };
        let was_there = document.remove(key.name()).is_some();
        if was_there {
            self.write(&document)?;
        }
        Ok(was_there)
    }

    /// Beside the old file first, so that a crash leaves one or the other whole.
    fn write(&self, document: &DocumentMut) -> Result<(), Failure> {
        let fail = |error: io::Error| {
            Failure::new(Exit::Data, say::CannotWrite { path: self.path.display() }).because(&error)
        };
        if let Some(directory) = self.path.parent() {
            fs::create_dir_all(directory).map_err(fail)?;
        }
        let beside = self.path.with_extension("toml.new");
        fs::write(&beside, document.to_string()).map_err(fail)?;
        fs::rename(&beside, &self.path).map_err(fail)
    }
}

fn read_document(path: &Path) -> Result<Option<DocumentMut>, Failure> {
    let text = match fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => {
            return Err(Failure::usage(say::CannotRead { path: path.display() }).because(&error));
        }
    };
    text.parse().map(Some).map_err(|error: toml_edit::TomlError| {
        Failure::usage(say::NotToml { path: path.display() }).because(&error)
    })
}

fn texts(item: &Item) -> Option<Vec<String>> {
    let one = |value: &Value| match value {
        Value::String(text) => Some(text.value().clone()),
        Value::Integer(number) => Some(number.value().to_string()),
        Value::Boolean(switch) => Some(switch.value().to_string()),
        _ => None,
    };
    match item.as_value()? {
        Value::Array(array) => array.iter().map(one).collect(),
        value => Some(vec![one(value)?]),
    }
}

fn config_path() -> Result<PathBuf, Failure> {
    if let Some(path) = env::var_os("SUIBI_CONFIG").filter(|path| !path.is_empty()) {
        return Ok(PathBuf::from(path));
    }
    Ok(base_dir("XDG_CONFIG_HOME", ".config")?.join("suibi").join("config.toml"))
}

/// A directory of the XDG base directory specification; relative values are to be ignored, it says.
fn base_dir(variable: &str, below_home: &str) -> Result<PathBuf, Failure> {
    let absolute = |value: OsString| Some(PathBuf::from(value)).filter(|path| path.is_absolute());
    if let Some(path) = env::var_os(variable).and_then(absolute) {
        return Ok(path);
    }
    env::var_os("HOME")
        .and_then(absolute)
        .map(|home| home.join(below_home))
        .ok_or_else(|| Failure::usage(say::NoHome).hint(say::NoHomeHint))
}

fn machine_name() -> String {
    fs::read_to_string("/proc/sys/kernel/hostname")
        .ok()
        .or_else(|| env::var("HOSTNAME").ok())
        .map(|name| name.trim().to_owned())
        .filter(|name| !name.is_empty())
        .unwrap_or_else(|| say::ThisDevice.to_string())
}

/// `coap://HOST:PORT`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ServerAddress {
    host: String,
    port: u16,
}

/// Where CoAP listens when nobody says otherwise (RFC 7252 §6.1).
const COAP_PORT: u16 = 5683;

impl ServerAddress {
    /// `coap://HOST`, `coap://HOST:PORT`, the same without `coap://`, an IPv6 address in brackets.
    ///
    /// # Errors
    ///
    /// A sentence that says what is wrong.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let wanted = || say::AddressForm.to_string();
        if text.starts_with("coaps://") {
            return Err(say::NoCoaps.to_string());
        }
        let rest = text.strip_prefix("coap://").unwrap_or(text);
        if rest.contains("://") {
            return Err(wanted());
        }
        let rest = rest.strip_suffix('/').unwrap_or(rest);
        let (host, port) = if let Some(rest) = rest.strip_prefix('[') {
            let (host, after) = rest.split_once(']').ok_or_else(wanted)?;
            host.parse::<std::net::Ipv6Addr>().map_err(|_| wanted())?;
            let port = if after.is_empty() {
                None
            } else {
                Some(after.strip_prefix(':').ok_or_else(wanted)?)
            };
            (host, port)
        } else {
            match rest.split_once(':') {
                Some((host, port)) => (host, Some(port)),
                None => (rest, None),
            }
        };
        let host_is_plain =
            host.chars().all(|c| c.is_alphanumeric() || matches!(c, '.' | '-' | '_' | ':'));
        if host.is_empty() || !host_is_plain {
            return Err(wanted());
        }
        let port = match port {
            None => COAP_PORT,
            Some(port) => match port.parse() {
                Ok(0) | Err(_) => {
                    return Err(say::NoPort { port }.to_string());
                }
                Ok(port) => port,
            },
        };
        Ok(Self { host: host.to_owned(), port })
    }

    /// Whether the way there stays on this machine.
    pub(crate) fn is_loopback(&self) -> bool {
        self.host == "localhost"
            || self.host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
    }

    /// `HOST:PORT`.
    pub(crate) fn authority(&self) -> String {
        if self.host.contains(':') {
            return format!("[{}]:{}", self.host, self.port);
        }
        format!("{}:{}", self.host, self.port)
    }
}

impl fmt::Display for ServerAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "coap://{}", self.authority())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_of_servers() {
        for (text, wanted) in [
            ("coap://127.0.0.1:4242", "coap://127.0.0.1:4242"),
            ("coap://localhost", "coap://localhost:5683"),
            ("notes.example:99/", "coap://notes.example:99"),
            ("coap://[::1]:5683", "coap://[::1]:5683"),
            ("[::1]", "coap://[::1]:5683"),
        ] {
            assert_eq!(ServerAddress::parse(text).unwrap().to_string(), wanted);
        }
        for text in [
            "",
            "coap://",
            "coap://h:",
            "h:0",
            "h:70000",
            "coaps://h",
            "http://h",
            "[::1",
            "[x]:1",
            "a b",
        ] {
            assert!(ServerAddress::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn only_this_machine_is_loopback() {
        for (text, wanted) in [
            ("localhost", true),
            ("127.9.9.9", true),
            ("[::1]", true),
            ("10.0.0.1", false),
            ("localhost.evil.org", false),
        ] {
            assert_eq!(ServerAddress::parse(text).unwrap().is_loopback(), wanted, "{text}");
        }
    }

    #[test]
    fn values_are_checked_by_kind() {
        assert!(Key::PlainMax.check("65507").is_ok());
        assert!(Key::PlainMax.check("65508").is_err());
        assert!(Key::PlainWords.check("compat").is_ok());
        assert!(Key::PlainWords.check("Compat").is_err());
        assert!(Key::PlainAnyone.check("maybe").is_err());
        assert!(Key::Device.check(" ").is_err());
        for key in Key::ALL {
            assert_eq!(Key::named(key.name()).unwrap(), key);
        }
    }
}

//! The plain dialect: one datagram is one message, so that any ten-line socket program is a client.
//!
//! A machine without socket and clock: [`Plain::handle_datagram`] says what a datagram asks for, and the
//! caller does it. The nine rules stand in `docs/protocol.md`; the tests below carry their numbers.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use bytes::Bytes;
use suibi_coap::Peer;

use crate::encoding::Encoding;
use crate::limits::{Bucket, Rate};
use crate::recent::Recent;

/// What one plain listener is told to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlainRules {
    /// Which words ask for the history.
    pub words: Words,
    /// Whether notes are answered.
    pub reply: Reply,
    /// The longest history datagram, in bytes. Default: 1,024; at most [`MAX_DATAGRAM_BYTES`].
    pub max_bytes: usize,
}

impl Default for PlainRules {
    fn default() -> Self {
        Self { words: Words::Course, reply: Reply::Auto, max_bytes: 1024 }
    }
}

/// The most that one UDP datagram over IPv4 carries.
pub const MAX_DATAGRAM_BYTES: usize = 65_507;

/// The words that are no notes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Words {
    /// `r` and `sync`.
    #[default]
    Course,
    /// Those, and the ones that old clients made up for themselves.
    Compat,
}

/// Whether notes are answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Reply {
    /// As the first datagram of an address shows: one that begins by asking for the history reads nothing else.
    #[default]
    Auto,
    /// Every datagram gets its answer.
    Always,
    /// Only requests for the history do.
    Never,
}

/// What a datagram asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// Keep a note. The echo, where there is one, may leave only when the note is durable.
    Keep {
        /// The note.
        text: String,
        /// How its bytes were read.
        encoding: Encoding,
        /// Who wrote it, kept with the note.
        source: SocketAddr,
        /// The answer once it is durable; `None` for a client that does not listen.
        echo: Option<Bytes>,
    },
    /// Answer with [`history`].
    History(HistoryStyle),
    /// Answer with these bytes.
    Reply(Bytes),
    /// Neither keep nor answer.
    Nothing,
}

/// How a history should look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HistoryStyle {
    /// The encoding in which that address writes.
    pub encoding: Encoding,
    /// The most bytes that the datagram may have.
    pub max_bytes: usize,
    /// Whether it ends with a line feed: it does when the request did, as `nc` sends it.
    pub line_feed: bool,
}

/// Addresses that are remembered, each with its kind and encoding.
const MAX_SESSIONS: usize = 4096;
/// After so long without a word an address may be forgotten for another one. Shorter, and somebody who
/// types slowly would be taken for a newcomer.
const SESSION_IDLE: Duration = Duration::from_secs(3600);
/// After so long the port probably belongs to another program.
const SESSION_LIFETIME: Duration = Duration::from_secs(24 * 3600);

/// Datagrams a second from one address, and so many at once, on loopback: against two programs that
/// answer each other for ever, never in the way of a person or a script.
const LOOPBACK_RATE: Rate = Rate { burst: 20_000, every: Duration::from_micros(100) };
/// Beyond loopback an address may be forged, so that our answers go to somebody who did not ask; all ports of a host count together.
const DISTANT_RATE: Rate = Rate { burst: 100, every: Duration::from_millis(50) };

const HELP: &str = "suibi: each datagram is a note, and comes back once it is on disk.\n\
    r or sync: the newest notes. h, help or ?: this text.\n\
    q, quit, exit, e or bye: nothing to do, only stop sending.\n";

/// The machine behind one plain listener.
#[derive(Debug)]
pub struct Plain {
    rules: PlainRules,
    sessions: Recent<SocketAddr, Session>,
    rates: Recent<SocketAddr, Bucket>,
    /// For those from beyond loopback who came when the table was full of others.
    strangers: Bucket,
}

/// What is known of an address.
#[derive(Debug, Clone, Copy)]
struct Session {
    silent: bool,
    encoding: Encoding,
}

impl Plain {
    /// A machine that has met nobody.
    pub fn new(now: Instant, rules: PlainRules) -> Self {
        Self {
            rules,
            sessions: Recent::new(MAX_SESSIONS, SESSION_IDLE, SESSION_LIFETIME),
            rates: Recent::new(MAX_SESSIONS, Duration::from_secs(60), SESSION_LIFETIME),
            strangers: Bucket::new(now, DISTANT_RATE),
        }
    }

    /// A datagram came: what is to be done?
    pub fn handle_datagram(&mut self, now: Instant, peer: Peer, datagram: &[u8]) -> Action {
        // Port 0 can not be answered, and is never a real sender.
        if peer.address.port() == 0 || !self.has_room(now, peer.address) {
            return Action::Nothing;
        }
        let message = datagram.trim_ascii_line_end();
        let (text, encoding) = Encoding::decode(message);
        let session = self.session(now, peer.address, message, encoding);
        let answering = match self.rules.reply {
            Reply::Auto => !session.silent,
            Reply::Always => true,
            Reply::Never => false,
        };
        let history = Action::History(HistoryStyle {
            encoding: session.encoding,
            max_bytes: self.rules.max_bytes,
            line_feed: message.len() < datagram.len(),
        });
        let if_answering = |action| if answering { action } else { Action::Nothing };
        match Word::of(message, self.rules.words) {
            Word::History { .. } => history,
            Word::Empty => if_answering(history),
            Word::Bye => if_answering(Action::Reply(Bytes::copy_from_slice(datagram))),
            Word::Help => {
                let help = session.encoding.cut(HELP, self.rules.max_bytes);
                if_answering(Action::Reply(Bytes::from_static(help.as_bytes())))
            }
            Word::None => Action::Keep {
                text: text.into_owned(),
                encoding,
                source: peer.address,
                echo: answering.then(|| Bytes::copy_from_slice(datagram)),
            },
        }
    }

    /// What is known of this address, the present message included.
    fn session(
        &mut self,
        now: Instant,
        address: SocketAddr,
        message: &[u8],
        encoding: Encoding,
    ) -> Session {
        let mut session = self.sessions.get(now, &address).copied().unwrap_or_else(|| {
            let word = Word::of(message, self.rules.words);
            let silent = matches!(word, Word::History { begins_silence: true });
            Session { silent, encoding: Encoding::Utf8 }
        });
        // Plain ASCII tells nothing, and unknown bytes are no encoding to answer in.
        if !message.is_ascii() && encoding != Encoding::Latin1 {
            session.encoding = encoding;
        }
        // Where the table is full of busy addresses, this one stays a newcomer with each datagram.
        self.sessions.insert(now, address, session);
        session
    }

    /// Whether the address has not sent too much of late.
    fn has_room(&mut self, now: Instant, address: SocketAddr) -> bool {
        let (key, rate) = if address.ip().is_loopback() {
            (address, LOOPBACK_RATE)
        } else {
            (SocketAddr::new(address.ip(), 0), DISTANT_RATE)
        };
        let mut bucket =
            self.rates.get(now, &key).copied().unwrap_or_else(|| Bucket::new(now, rate));
        let has_room = bucket.take(now);
        if self.rates.insert(now, key, bucket) {
            has_room
        } else {
            address.ip().is_loopback() || self.strangers.take(now)
        }
    }
}

/// The words that are no notes, compared whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Word {
    /// `begins_silence`: a client that says this first listens to nothing but histories.
    History {
        begins_silence: bool,
    },
    Bye,
    Help,
    Empty,
    None,
}

impl Word {
    fn of(message: &[u8], words: Words) -> Self {
        let compat = words == Words::Compat;
        match message {
            b"" => Self::Empty,
            b"r" | b"sync" => Self::History { begins_silence: true },
            b"pre" | b"syn" | b"history" | b"test" | b"-login" | b"HANDSHAKE_54857" if compat => {
                Self::History { begins_silence: true }
            }
            b"p" | b"P" | b"R" | b"s" | b"l" | b"list" | b"diary" | b"read" | b"hi" | b"-r"
            | b"open"
                if compat =>
            {
                Self::History { begins_silence: false }
            }
            b"q" | b"quit" | b"exit" | b"e" | b"bye" => Self::Bye,
            b"h" | b"help" | b"?" => Self::Help,
            _ => Self::None,
        }
    }
}

/// The history datagram: of `text`, oldest line first, the newest whole lines that fit.
///
/// A single line that is too long is cut at its end, between two characters.
pub fn history(text: &str, style: HistoryStyle) -> Bytes {
    let HistoryStyle { encoding, max_bytes, line_feed } = style;
    let max_bytes = max_bytes - usize::from(line_feed && max_bytes > 0);
    let text = if text.is_empty() { "(no notes yet)" } else { text.trim_ascii_line_end() };
    let mut start = text.len();
    let mut room = max_bytes;
    for line in text.rsplit('\n') {
        let separator = usize::from(start < text.len());
        let len = encoding.encode(line).len() + separator;
        if len > room {
            break;
        }
        room -= len;
        start -= line.len() + separator;
    }
    let fitting = if start == text.len() {
        let newest = text.rsplit('\n').next().unwrap_or_default();
        encoding.cut(newest, max_bytes)
    } else {
        &text[start..]
    };
    let mut datagram = encoding.encode(fitting).into_owned();
    if line_feed {
        datagram.push(b'\n');
    }
    datagram.into()
}

/// Without the carriage returns and line feeds at the end.
trait TrimLineEnd {
    fn trim_ascii_line_end(&self) -> &Self;
}

impl TrimLineEnd for [u8] {
    fn trim_ascii_line_end(&self) -> &Self {
        let end = self.iter().rposition(|byte| !matches!(byte, b'\r' | b'\n'));
        &self[..end.map_or(0, |last| last + 1)]
    }
}

impl TrimLineEnd for str {
    fn trim_ascii_line_end(&self) -> &Self {
        self.trim_end_matches(['\r', '\n'])
    }
}

#[cfg(test)]
mod tests;

//! Who asks, and what they may do.

use std::net::SocketAddr;
use std::sync::Arc;

use suibi_coap::{Code, Subject};
use suibi_journal::Rights;
use suibi_store::JournalId;

use crate::problem::Problem;

/// Who asks, as far as the door can tell, and what they may do.
#[derive(Debug, Clone)]
pub(crate) struct Caller {
    /// Where the request came from.
    pub(crate) address: SocketAddr,
    pub(crate) who: Who,
    /// The journal that they speak of.
    pub(crate) journal: JournalId,
    /// Its name; empty for those who administer nothing.
    pub(crate) journal_name: Arc<str>,
    /// Whether lists tell of all journals: the owner, who has named none.
    pub(crate) is_of_all: bool,
    pub(crate) rights: Rights,
}

/// Who it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Who {
    /// Nobody knows: an unprotected door.
    Anyone,
    /// The owner's own commands on this machine.
    Local,
    /// A device that has joined.
    Device {
        /// Its number in the [`Registry`](crate::registry::Registry).
        number: u32,
        name: Arc<str>,
    },
    /// Somebody who has an invite, by its number, and wants to join.
    Invite(u32),
}

/// Where a note comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Source {
    /// A device, by its name.
    Device(Arc<str>),
    /// Somebody at this address.
    Address(SocketAddr),
}

impl Source {
    /// The name, or the address, as it is kept.
    pub(crate) fn text(&self) -> String {
        match self {
            Self::Device(name) => name.as_ref().to_owned(),
            // Written for each note, and by hand: to format it takes over a thousand instructions.
            Self::Address(SocketAddr::V4(address)) => {
                let mut text = String::with_capacity("255.255.255.255:65535".len());
                let mut before = "";
                for octet in address.ip().octets() {
                    text.push_str(before);
                    push_decimal(&mut text, octet.into());
                    before = ".";
                }
                text.push(':');
                push_decimal(&mut text, address.port());
                text
            }
            Self::Address(address) => address.to_string(),
        }
    }
}

fn push_decimal(text: &mut String, number: u16) {
    let len = number.checked_ilog10().unwrap_or(0);
    for place in (0..=len).rev() {
        let digit = number / 10_u16.pow(place) % 10;
        text.push(char::from(b'0' + digit as u8));
    }
}

/// What a request needs a right for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Need {
    /// Nothing: any device may ask.
    Nothing,
    /// To read notes.
    Read,
    /// To change notes.
    Write,
    /// To add notes: what a drop may do as well.
    Add,
    /// To say who may do what.
    Admin,
    /// An invite, which is good for nothing else.
    Join,
}

impl Caller {
    /// Whoever comes to an unprotected door: they read and write the first journal.
    pub(crate) fn anyone(address: SocketAddr) -> Self {
        Self {
            address,
            who: Who::Anyone,
            journal: JournalId::FIRST,
            journal_name: Arc::default(),
            is_of_all: false,
            rights: Rights::READ_WRITE,
        }
    }

    /// What is kept with a note that comes in here.
    pub(crate) fn source(&self) -> Source {
        match &self.who {
            Who::Device { name, .. } => Source::Device(Arc::clone(name)),
            _ => Source::Address(self.address),
        }
    }

    /// The name that the credential gives; the others may choose one.
    pub(crate) fn device(&self) -> Option<&str> {
        match &self.who {
            Who::Device { name, .. } => Some(name),
            _ => None,
        }
    }

    /// The owner's own commands on this machine.
    pub(crate) fn is_local(&self) -> bool {
        self.who == Who::Local
    }

    /// Whether this journal is theirs to administer.
    pub(crate) fn manages(&self, journal: JournalId) -> bool {
        self.is_of_all || self.journal == journal
    }

    /// Whether it may add notes and see none.
    pub(crate) fn is_drop(&self) -> bool {
        self.rights.is_drop()
    }

    /// Whether the rights are enough.
    pub(crate) fn is_allowed(&self, need: Need) -> bool {
        let Rights { read, write, admin } = self.rights;
        let is_invite = matches!(self.who, Who::Invite(_));
        match need {
            Need::Join => is_invite,
            _ if is_invite => false,
            Need::Nothing => true,
            Need::Read => read,
            Need::Write => read && write,
            Need::Add => write,
            Need::Admin => admin,
        }
    }

    /// Whether the rights are enough, or in 4.03 why not.
    pub(crate) fn may(&self, need: Need) -> Result<(), Problem> {
        if self.is_allowed(need) {
            return Ok(());
        }
        let text = match (need, &self.who) {
            (_, Who::Invite(_)) => "an invite can only be used to join: suibi join LINE",
            (Need::Join, Who::Anyone) => {
                "joining needs an invite and an encrypted listener: suibi serve --listen ADDR"
            }
            (Need::Join, _) => "this device has joined already; joining needs an invite of its own",
            (Need::Admin, Who::Anyone) => {
                "this needs the right \"admin\", which nobody has over an unprotected listener"
            }
            (Need::Admin, _) => "this device has no right \"admin\"; ask the owner of the server",
            (Need::Read | Need::Write, _) if self.is_drop() => {
                "this device can only add notes; ask the owner of the server for more"
            }
            (Need::Read, _) => "this device has no right to read; ask the owner of the server",
            _ => "this device has no right to write; ask the owner of the server",
        };
        Err(Problem::new(Code::FORBIDDEN, text))
    }

    /// Whom limits are counted for.
    pub(crate) fn subject(&self) -> Option<Subject> {
        match self.who {
            Who::Anyone => None,
            Who::Local => Some(LOCAL),
            Who::Device { number, .. } => Some(of_device(number)),
            Who::Invite(number) => Some(of_invite(number)),
        }
    }
}

/// The owner's own commands.
pub(crate) const LOCAL: Subject = Subject(0);

/// A device as the Protection names it.
pub(crate) fn of_device(number: u32) -> Subject {
    Subject(1 << 32 | u64::from(number))
}

/// An invite as the Protection names it.
pub(crate) fn of_invite(number: u32) -> Subject {
    Subject(2 << 32 | u64::from(number))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn caller(who: Who, rights: &str) -> Caller {
        let rights = rights.parse().unwrap_or_default();
        Caller { who, rights, ..Caller::anyone(SocketAddr::from(([192, 0, 2, 1], 5))) }
    }

    fn device(rights: &str) -> Caller {
        caller(Who::Device { number: 7, name: "phone".into() }, rights)
    }

    #[test]
    fn every_right_opens_what_it_is_for_and_nothing_else() {
        use Need::*;
        let all = [Nothing, Read, Write, Add, Admin, Join];
        let allowed = |caller: &Caller| -> Vec<Need> {
            all.into_iter().filter(|need| caller.may(*need).is_ok()).collect()
        };
        assert_eq!(allowed(&device("read")), [Nothing, Read]);
        assert_eq!(allowed(&device("write")), [Nothing, Add]);
        assert_eq!(allowed(&device("read,write")), [Nothing, Read, Write, Add]);
        assert_eq!(allowed(&device("admin")), [Nothing, Admin]);
        assert_eq!(allowed(&device("read,admin")), [Nothing, Read, Admin]);
        assert_eq!(
            allowed(&caller(Who::Local, "read,write,admin")),
            [Nothing, Read, Write, Add, Admin]
        );
        // Whatever else an invite may come to say of itself.
        assert_eq!(allowed(&caller(Who::Invite(7), "read,write,admin")), [Join]);
        let anyone = Caller::anyone(SocketAddr::from(([127, 0, 0, 1], 5)));
        assert_eq!(allowed(&anyone), [Nothing, Read, Write, Add]);
    }

    #[test]
    fn a_device_is_known_by_its_name_and_others_by_their_address() {
        assert_eq!(device("read").source().text(), "phone");
        assert_eq!(device("read").device(), Some("phone"));
        let local = caller(Who::Local, "read");
        assert_eq!((local.source().text().as_str(), local.device()), ("192.0.2.1:5", None));
    }

    #[test]
    fn an_address_reads_as_it_does_everywhere() {
        for address in [
            "0.0.0.0:0",
            "127.0.0.1:9",
            "192.0.2.10:65535",
            "255.100.9.99:10000",
            "[2001:db8::1]:5683",
        ] {
            assert_eq!(Source::Address(address.parse().unwrap()).text(), address);
        }
    }

    #[test]
    fn no_two_have_one_subject() {
        let all =
            [LOCAL, of_device(0), of_device(1), of_invite(0), of_invite(1), of_device(u32::MAX)];
        let different: std::collections::BTreeSet<_> = all.into_iter().collect();
        assert_eq!(different.len(), all.len());
    }
}

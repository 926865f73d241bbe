//! Messages about the connection itself (RFC 8323 §5).
//!
//! Each of these codes has option numbers of its own, so that none of them may be looked at as an
//! option of a request or response. Elective ones of which we make no use: Custody in pings and
//! pongs (what was worked off is told by a response), Alternative-Address in releases (whoever
//! connects again looks the address up again).

use bytes::Bytes;

use crate::{
    Code, Message, MessageId, OptionNumber, Options, Token, Type,
    option::{decode_uint, encode_uint},
};

/// In a CSM: the longest message that the sender takes, in bytes (§5.3.1).
const MAX_MESSAGE_SIZE: OptionNumber = OptionNumber(2);
/// In a CSM: the sender can put blocks together (§5.3.2).
const BLOCK_WISE_TRANSFER: OptionNumber = OptionNumber(4);
/// In a release: for how long not to come back, in seconds (§5.5).
const HOLD_OFF: OptionNumber = OptionNumber(4);
/// In an abort: the option of our CSM that was not understood (§5.6).
const BAD_CSM_OPTION: OptionNumber = OptionNumber(2);

/// What a peer says of itself (Capabilities and Settings Message, §5.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Csm {
    /// The longest message that it takes, in bytes.
    pub(crate) max_message: usize,
    pub(crate) has_blocks: bool,
}

impl Csm {
    /// What holds for a peer that has said nothing yet (§5.3.1).
    pub(crate) const BASE: Self = Self { max_message: 1152, has_blocks: false };

    pub(crate) fn message(self) -> Message {
        let mut message = signal(Code::CSM);
        let max = u32::try_from(self.max_message).unwrap_or(u32::MAX);
        message.options.set_uint(MAX_MESSAGE_SIZE, max);
        if self.has_blocks {
            message.options.set(BLOCK_WISE_TRANSFER, Bytes::new());
        }
        message
    }

    /// Learns from one more CSM; what it does not speak of stays as it was.
    fn learn(&mut self, options: &Options) -> Result<(), BadOption> {
        if let Some(value) = options.get(MAX_MESSAGE_SIZE) {
            let max = decode_uint(value).ok_or(BadOption(MAX_MESSAGE_SIZE))?;
            self.max_message = usize::try_from(max).unwrap_or(usize::MAX);
        }
        self.has_blocks |= options.has(BLOCK_WISE_TRANSFER);
        Ok(())
    }
}

/// What a signalling message says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Signal {
    /// What the peer says of itself, all that it said before included.
    Csm(Csm),
    Ping,
    Pong,
    Release {
        hold_off: Option<u32>,
    },
    Abort {
        text: String,
        bad_csm_option: Option<u16>,
    },
    /// A code that we know nothing of, and nothing in it that we would have to know.
    Unknown,
}

/// A critical option that is not understood, or a value that makes no sense: the connection is to
/// be aborted (§5.2, §5.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct BadOption(pub(crate) OptionNumber);

impl Signal {
    /// Reads a message with a code of class 7, knowing what its sender has said of itself.
    pub(crate) fn decode(message: &Message, known: Csm) -> Result<Self, BadOption> {
        let options = &message.options;
        // There is no critical option yet (§5.3 to §5.6), so that all there are are unknown.
        if let Some((number, _)) = options.iter().find(|(number, _)| number.is_critical()) {
            return Err(BadOption(number));
        }
        Ok(match message.code {
            Code::CSM => {
                let mut csm = known;
                csm.learn(options)?;
                Self::Csm(csm)
            }
            Code::PING => Self::Ping,
            Code::PONG => Self::Pong,
            Code::RELEASE => Self::Release { hold_off: options.uint(HOLD_OFF) },
            Code::ABORT => Self::Abort {
                text: crate::request::text(&message.payload),
                bad_csm_option: options
                    .uint(BAD_CSM_OPTION)
                    .and_then(|number| u16::try_from(number).ok()),
            },
            _ => Self::Unknown,
        })
    }
}

pub(crate) fn ping(token: Token) -> Message {
    Message { token, ..signal(Code::PING) }
}

/// The answer to a ping has its token (§5.4).
pub(crate) fn pong(token: Token) -> Message {
    Message { token, ..signal(Code::PONG) }
}

pub(crate) fn release() -> Message {
    signal(Code::RELEASE)
}

/// With a sentence for a person.
pub(crate) fn abort(text: &str, bad_csm_option: Option<OptionNumber>) -> Message {
    let mut message = signal(Code::ABORT);
    if let Some(OptionNumber(number)) = bad_csm_option {
        message.options.set(BAD_CSM_OPTION, encode_uint(u32::from(number)));
    }
    message.payload = Bytes::copy_from_slice(text.as_bytes());
    message
}

fn signal(code: Code) -> Message {
    let mut message = Message::empty(Type::NonConfirmable, MessageId(0));
    message.code = code;
    message
}

#[cfg(test)]
mod tests {
    use hex_literal::hex;

    use super::*;
    use crate::frame;

    fn decode(bytes: &[u8]) -> Result<Signal, BadOption> {
        let mut bytes = bytes;
        let message = frame::Decoder::new(100).decode(&mut bytes).unwrap().unwrap();
        assert!(bytes.is_empty() && message.code.is_signal());
        Signal::decode(&message, Csm::BASE)
    }

    #[test]
    fn capabilities_add_up() {
        let all = Csm { max_message: 0x12345, has_blocks: true };
        assert_eq!(frame::encode(&all.message())[..], hex!("50 e1 23 01 23 45 20"));
        assert_eq!(decode(&hex!("50 e1 23 01 23 45 20")), Ok(Signal::Csm(all)));
        assert_eq!(decode(&hex!("00 e1")), Ok(Signal::Csm(Csm::BASE)));
        let more = Csm { max_message: 0x100, has_blocks: false }.message();
        let both = Csm { max_message: 0x100, has_blocks: true };
        assert_eq!(Signal::decode(&more, all), Ok(Signal::Csm(both)));
    }

    #[test]
    fn what_must_be_known_and_is_not_is_named() {
        assert_eq!(decode(&hex!("10 e1 80")), Ok(Signal::Csm(Csm::BASE)));
        for code in 0xe0..=0xff {
            assert_eq!(decode(&[0x10, code, 0x30]), Err(BadOption(OptionNumber(3))));
        }
        assert_eq!(decode(&hex!("60 e1 25 0102030405")), Err(BadOption(MAX_MESSAGE_SIZE)));
    }

    #[test]
    fn the_options_of_the_others_are_their_own() {
        assert_eq!(decode(&hex!("11 e2 aa 20")), Ok(Signal::Ping));
        assert_eq!(decode(&hex!("11 e3 aa 20")), Ok(Signal::Pong));
        let release = decode(&hex!("50 e4 21 61 22 0100"));
        assert_eq!(release, Ok(Signal::Release { hold_off: Some(256) }));
        let aborted = Signal::Abort { text: "no".to_owned(), bad_csm_option: Some(3) };
        assert_eq!(decode(&hex!("50 e5 21 03 ff 6e6f")), Ok(aborted));
        assert_eq!(decode(&hex!("10 e9 20")), Ok(Signal::Unknown));
        let written = frame::encode(&abort("no", Some(OptionNumber(3))));
        assert_eq!(written[..], hex!("50 e5 21 03 ff 6e6f"));
    }
}

//! A CoAP client that shares no line with ours: `coap-lite` for the bytes, and as much of RFC 7252,
//! 7641 and 7959 as a small device would have.

use std::net::{SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

use coap_lite::{CoapOption, MessageClass, MessageType, Packet};

use super::PATIENCE;

/// The options whose numbers the tests name.
pub(crate) mod option {
    pub(crate) const IF_MATCH: u16 = 1;
    pub(crate) const IF_NONE_MATCH: u16 = 5;
    pub(crate) const OBSERVE: u16 = 6;
    pub(crate) const CONTENT_FORMAT: u16 = 12;
    pub(crate) const ACCEPT: u16 = 17;
    pub(crate) const BLOCK2: u16 = 23;
    pub(crate) const BLOCK1: u16 = 27;
}

/// Content format `application/json` (RFC 7252 §12.3).
pub(crate) const JSON: u16 = 50;

pub(crate) const GET: u8 = 1;
pub(crate) const POST: u8 = 2;
pub(crate) const PUT: u8 = 3;
pub(crate) const DELETE: u8 = 4;
pub(crate) const FETCH: u8 = 5;

/// 1,024 bytes, the largest block there is (RFC 7959 §2.2).
const BLOCK_SZX: u32 = 6;
const BLOCK_LEN: usize = 1024;

/// One socket, connected to one server.
#[derive(Debug)]
pub(crate) struct Wire {
    pub(crate) socket: UdpSocket,
    message_id: u16,
    token: u32,
    /// How long to wait before the same bytes are sent again; doubled each time.
    pub(crate) retry_after: Duration,
    /// How often something is sent before it counts as unanswered.
    pub(crate) tries: u32,
    /// Notifications that came while something else was waited for.
    pub(crate) notifications: Vec<Packet>,
}

impl Wire {
    pub(crate) fn connect(server: SocketAddr) -> Self {
        let any = if server.is_ipv4() { "127.0.0.1:0" } else { "[::1]:0" };
        let socket = UdpSocket::bind(any).unwrap();
        socket.connect(server).unwrap();
        let port = socket.local_addr().unwrap().port();
        Self {
            socket,
            message_id: port,
            token: u32::from(port) << 16,
            retry_after: Duration::from_secs(1),
            tries: 6,
            notifications: Vec::new(),
        }
    }

    /// A confirmable request, ready to be filled in.
    pub(crate) fn request(&mut self, method: u8, path: &[&str], queries: &[&str]) -> Packet {
        self.message_id = self.message_id.wrapping_add(1);
        self.token = self.token.wrapping_add(1);
        request(self.message_id, &self.token.to_be_bytes(), method, path, queries)
    }

    /// Sends a request until it is answered; `None` when it is not.
    pub(crate) fn ask(&mut self, request: &Packet) -> Option<Packet> {
        let bytes = request.to_bytes_unlimited().unwrap();
        let mut wait = self.retry_after;
        let mut acknowledged = false;
        for _ in 0..self.tries {
            if !acknowledged {
                // The server may be down; the error belongs to an earlier datagram.
                let _ = self.socket.send(&bytes);
            }
            let until = Instant::now() + wait;
            wait *= 2;
            while let Some(packet) = self.receive_until(until) {
                if packet.get_token() == request.get_token() && is_response(&packet) {
                    return Some(packet);
                }
                if packet.header.message_id == request.header.message_id {
                    match packet.header.get_type() {
                        MessageType::Acknowledgement => acknowledged = true,
                        MessageType::Reset => return None,
                        _ => {}
                    }
                } else if is_response(&packet) {
                    self.notifications.push(packet);
                }
            }
        }
        None
    }

    /// Sends a request and expects an answer with this code.
    #[track_caller]
    pub(crate) fn expect(&mut self, request: &Packet, code: &str) -> Packet {
        let Some(answer) = self.ask(request) else { panic!("no answer to {request:?}") };
        let said = String::from_utf8_lossy(&answer.payload).into_owned();
        assert_eq!(answer.header.get_code(), code, "{said}");
        answer
    }

    /// `POST /notes` with a text that fits one datagram.
    pub(crate) fn post(&mut self, text: &str) -> Option<Packet> {
        let mut request = self.request(POST, &["notes"], &[]);
        request.add_option(CoapOption::ContentFormat, Vec::new());
        request.payload = text.as_bytes().to_vec();
        self.ask(&request)
    }

    /// A whole resource, block by block when it is large.
    #[track_caller]
    pub(crate) fn fetch(
        &mut self,
        path: &[&str],
        queries: &[&str],
        accept: Option<u16>,
    ) -> Vec<u8> {
        let mut body = Vec::new();
        loop {
            let mut request = self.request(GET, path, queries);
            if let Some(accept) = accept {
                request.add_option(CoapOption::Accept, uint(u32::from(accept)));
            }
            let number = u32::try_from(body.len() / BLOCK_LEN).unwrap();
            request.add_option(CoapOption::Block2, uint(number << 4 | BLOCK_SZX));
            let answer = self.expect(&request, "2.05");
            body.extend_from_slice(&answer.payload);
            match block(&answer, CoapOption::Block2) {
                Some((_, true)) => assert_eq!(body.len() % BLOCK_LEN, 0, "a block is short"),
                _ => return body,
            }
        }
    }

    /// Sends a body in blocks (RFC 7959 §2.5); the answer to the last one.
    #[track_caller]
    pub(crate) fn upload(&mut self, method: u8, path: &[&str], body: &[u8]) -> Packet {
        let blocks = body.chunks(BLOCK_LEN).count();
        for (number, block) in body.chunks(BLOCK_LEN).enumerate() {
            let more = number + 1 < blocks;
            let mut request = self.request(method, path, &[]);
            request.add_option(CoapOption::ContentFormat, Vec::new());
            let value = u32::try_from(number).unwrap() << 4 | u32::from(more) << 3 | BLOCK_SZX;
            request.add_option(CoapOption::Block1, uint(value));
            request.payload = block.to_vec();
            let Some(answer) = self.ask(&request) else { panic!("no answer to block {number}") };
            if !more || answer.header.get_code() != "2.31" {
                return answer;
            }
        }
        unreachable!("a body has a last block")
    }

    /// The next message for this socket; confirmable ones are acknowledged.
    pub(crate) fn receive_until(&mut self, until: Instant) -> Option<Packet> {
        let mut buf = vec![0; 65_536];
        loop {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return None;
            }
            self.socket.set_read_timeout(Some(left)).unwrap();
            // An error is a timeout, or ICMP that tells of an earlier datagram.
            let Ok(len) = self.socket.recv(&mut buf) else { continue };
            let packet = Packet::from_bytes(&buf[..len])
                .unwrap_or_else(|error| panic!("{error:?} in {:02x?}", &buf[..len]));
            if packet.header.get_type() == MessageType::Confirmable {
                let _ = self.socket.send(&acknowledgement(packet.header.message_id));
            }
            return Some(packet);
        }
    }

    /// The server answers; nothing else is asked of it.
    #[track_caller]
    pub(crate) fn expect_alive(&mut self) {
        let request = self.request(GET, &["feed", "head"], &[]);
        self.expect(&request, "2.05");
    }
}

/// The server at `address` answers.
#[track_caller]
pub(crate) fn expect_alive(address: SocketAddr) {
    let start = Instant::now();
    Wire::connect(address).expect_alive();
    assert!(start.elapsed() < PATIENCE);
}

pub(crate) fn request(
    message_id: u16,
    token: &[u8],
    method: u8,
    path: &[&str],
    queries: &[&str],
) -> Packet {
    let mut packet = Packet::new();
    packet.header.message_id = message_id;
    packet.header.set_type(MessageType::Confirmable);
    packet.header.code = MessageClass::from(method);
    packet.set_token(token.to_vec());
    for segment in path {
        packet.add_option(CoapOption::UriPath, segment.as_bytes().to_vec());
    }
    for query in queries {
        packet.add_option(CoapOption::UriQuery, query.as_bytes().to_vec());
    }
    packet
}

/// An empty acknowledgement (RFC 7252 §4.2).
pub(crate) fn acknowledgement(message_id: u16) -> [u8; 4] {
    let [high, low] = message_id.to_be_bytes();
    [0x60, 0, high, low]
}

/// Number and "more" of a block option (RFC 7959 §2.2).
pub(crate) fn block(packet: &Packet, which: CoapOption) -> Option<(u32, bool)> {
    let value = packet.get_first_option(which)?;
    let value = value.iter().fold(0, |value, byte| value << 8 | u32::from(*byte));
    Some((value >> 4, value & 8 != 0))
}

/// An option value of the kind uint: big-endian, without leading zeros (RFC 7252 §3.2).
pub(crate) fn uint(value: u32) -> Vec<u8> {
    value.to_be_bytes().into_iter().skip_while(|byte| *byte == 0).collect()
}

/// The path of what was created, or nothing.
pub(crate) fn location(packet: &Packet) -> Vec<String> {
    let segments = packet.get_option(CoapOption::LocationPath).into_iter().flatten();
    segments.map(|segment| String::from_utf8(segment.clone()).unwrap()).collect()
}

fn is_response(packet: &Packet) -> bool {
    matches!(packet.header.code, MessageClass::Response(_))
}

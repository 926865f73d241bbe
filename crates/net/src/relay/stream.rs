//! Streams on their way through a [`Relay`](super::Relay): each is a connection from the client and one to the server,
//! and what comes in at one end leaves at the other when it is due.

use std::collections::VecDeque;
use std::io::{self, Read as _, Write as _};
use std::net::Shutdown;
use std::time::{Duration, Instant};

use mio::net::TcpStream;
use socket2::SockRef;

use super::line::{SEGMENT_LEN, SEGMENT_OVERHEAD, Window};
use super::{Direction, Shared};

/// What is read at a time where no rate says otherwise.
const CHUNK_LEN: usize = 64 << 10;

/// The most that is held back of one direction of one stream. Over a delay of 25 ms it lets 160 MB a second pass.
const MAX_HELD_LEN: usize = 4 << 20;

/// What the dice make of a stream: nothing of it is lost, but what they throw away comes this much later, and all
/// behind it waits.
const SENT_AGAIN_AFTER: Duration = Duration::from_millis(200);

/// The longest that is read or written in one turn, so that one stream does not hold up everybody else.
const TURN_LEN: usize = 1 << 20;

/// One end.
#[derive(Debug)]
pub(super) struct End {
    pub(super) socket: TcpStream,
    /// Something may be there to read, room may be there to write: so it is until the system says otherwise.
    pub(super) is_readable: bool,
    pub(super) is_writable: bool,
}

impl End {
    fn new(socket: TcpStream) -> Self {
        // If it fails, an early end looks like an orderly one; but it ends.
        let _ = SockRef::from(&socket).set_linger(Some(Duration::ZERO));
        Self { socket, is_readable: false, is_writable: false }
    }
}

/// A connection through the relay. Dropped before its end, it is reset at both ends.
#[derive(Debug)]
pub(super) struct Stream {
    pub(super) client: End,
    pub(super) server: End,
    /// The server's end stands.
    is_connected: bool,
    /// A handshake would have taken until then.
    shaken_at: Instant,
    up: Half,
    down: Half,
}

impl Stream {
    pub(super) fn new(client: TcpStream, server: TcpStream, now: Instant, shared: &Shared) -> Self {
        Self {
            client: End::new(client),
            server: End::new(server),
            is_connected: false,
            shaken_at: now + shared.round_trip(),
            up: Half::new(Direction::Up),
            down: Half::new(Direction::Down),
        }
    }

    /// Carries what can be carried; returns whether it is still open.
    pub(super) fn carry(&mut self, now: Instant, shared: &mut Shared, buf: &mut [u8]) -> bool {
        let Self { client, server, up, down, shaken_at, .. } = self;
        if !self.is_connected {
            match connected(server) {
                Ok(true) => self.is_connected = true,
                Ok(false) => return true,
                Err(_) => return false,
            }
        }
        let begun = now.max(*shaken_at);
        let outcome = up
            .carry(now, begun, client, server, shared, buf)
            .and_then(|()| down.carry(now, begun, server, client, shared, buf));
        let is_over = up.is_written && down.is_written;
        if is_over {
            // An orderly end, unlike any other; what is on its way to the ends gets there.
            for end in [client, server] {
                let _ = SockRef::from(&end.socket).set_linger(None);
            }
        }
        outcome.is_ok() && !is_over
    }

    /// When to come again although nothing happens at the sockets. The past: at once.
    pub(super) fn due(&self) -> Option<Instant> {
        if !self.is_connected {
            return None;
        }
        let up = self.up.due(&self.client, &self.server);
        let down = self.down.due(&self.server, &self.client);
        up.into_iter().chain(down).min()
    }
}

fn connected(server: &End) -> io::Result<bool> {
    if let Some(error) = server.socket.take_error()? {
        return Err(error);
    }
    match server.socket.peer_addr() {
        Ok(_) => Ok(server.is_writable),
        Err(error) if error.kind() == io::ErrorKind::NotConnected => Ok(false),
        Err(error) => Err(error),
    }
}

/// One direction.
#[derive(Debug)]
struct Half {
    direction: Direction,
    /// What was read, and when it leaves, in this order. Nothing in it is the end.
    held: VecDeque<(Instant, Vec<u8>)>,
    held_len: usize,
    /// How much of the first has left.
    written: usize,
    window: Window,
    /// A segment for which the queue had no room.
    again: Option<Vec<u8>>,
    /// Nothing is read before.
    wait_until: Option<Instant>,
    is_read: bool,
    is_written: bool,
}

impl Half {
    fn new(direction: Direction) -> Self {
        Self {
            direction,
            held: VecDeque::new(),
            held_len: 0,
            written: 0,
            window: Window::new(),
            again: None,
            wait_until: None,
            is_read: false,
            is_written: false,
        }
    }

    fn carry(
        &mut self,
        now: Instant,
        begun: Instant,
        from: &mut End,
        to: &mut End,
        shared: &mut Shared,
        buf: &mut [u8],
    ) -> io::Result<()> {
        self.deliver(now, to)?;
        self.take(now, begun, from, shared, buf)?;
        self.deliver(now, to)
    }

    /// Reads what the line takes.
    fn take(
        &mut self,
        now: Instant,
        begun: Instant,
        from: &mut End,
        shared: &mut Shared,
        buf: &mut [u8],
    ) -> io::Result<()> {
        if self.wait_until.is_some_and(|at| at > now) {
            return Ok(());
        }
        self.wait_until = None;
        let is_narrow = shared.rate(self.direction).is_some();
        let chunk_len = if is_narrow { SEGMENT_LEN } else { CHUNK_LEN };
        let mut taken = 0;
        while !self.is_read && taken < TURN_LEN && self.has_room() {
            if is_narrow && let Some(at) = self.window.closed_until(now) {
                self.wait_until = Some(at);
                return Ok(());
            }
            let bytes = match self.again.take() {
                Some(bytes) => bytes,
                None if !from.is_readable => return Ok(()),
                None => match from.socket.read(&mut buf[..chunk_len]) {
                    Ok(0) => {
                        self.is_read = true;
                        let last = self.held.back().map_or(now, |(due, _)| *due);
                        let delay = shared.delay(self.direction);
                        self.held.push_back(((begun + delay).max(last), Vec::new()));
                        return Ok(());
                    }
                    Ok(len) => buf[..len].to_vec(),
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                        from.is_readable = false;
                        return Ok(());
                    }
                    Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                    Err(error) => return Err(error),
                },
            };
            taken += bytes.len();
            let len = bytes.len() as u64;
            let Some(passed) = shared.admit(self.direction, begun, len + SEGMENT_OVERHEAD) else {
                self.window.lost();
                self.again = Some(bytes);
                self.wait_until = Some(now + shared.recovery(self.direction));
                return Ok(());
            };
            let mut due = passed + shared.delay(self.direction);
            if shared.throw_stream(self.direction) {
                due += SENT_AGAIN_AFTER;
            }
            let last = self.held.back().map_or(due, |(due, _)| *due);
            let due = due.max(last);
            shared.stats.stream_bytes += len;
            if is_narrow {
                self.window.sent(due + shared.delay(self.direction.back()), len);
            }
            self.held_len += bytes.len();
            self.held.push_back((due, bytes));
        }
        Ok(())
    }

    fn has_room(&self) -> bool {
        self.held_len < MAX_HELD_LEN
    }

    /// Writes what is due.
    fn deliver(&mut self, now: Instant, to: &mut End) -> io::Result<()> {
        while let Some((due, bytes)) = self.held.front()
            && *due <= now
            && to.is_writable
        {
            if bytes.is_empty() {
                self.is_written = true;
                self.held.pop_front();
                return to.socket.shutdown(Shutdown::Write);
            }
            match to.socket.write(&bytes[self.written..]) {
                Ok(len) => {
                    self.written += len;
                    if self.written == bytes.len() {
                        self.held_len -= bytes.len();
                        self.written = 0;
                        self.held.pop_front();
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => to.is_writable = false,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    fn due(&self, from: &End, to: &End) -> Option<Instant> {
        let write = self.held.front().map(|(due, _)| *due).filter(|_| to.is_writable);
        let may_read = !self.is_read && self.has_room();
        let read = match self.wait_until {
            Some(at) => Some(at).filter(|_| may_read),
            // More than one turn may take is there: at once.
            None if may_read && (from.is_readable || self.again.is_some()) => Some(Instant::now()),
            None => None,
        };
        write.into_iter().chain(read).min()
    }
}

//! The thread of a [`Relay`](super::Relay): its sockets, and what waits for its time.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use mio::net::{TcpListener, TcpStream, UdpSocket};
use mio::{Events, Interest, Poll, Token, Waker};
use socket2::SockRef;

use super::stream::{End, Stream};
use super::{Direction, Hands, MAX_CLIENTS, MAX_HELD, MAX_STREAMS, Passage, Shared, lock};

/// One more than any UDP payload has.
const BUFFER_LEN: usize = 65_536;

/// How often to look for a port number that is free for datagrams and streams alike.
const ATTEMPTS: usize = 32;

const FRONT: Token = Token(0);
const WAKE: Token = Token(1);
const LISTENER: Token = Token(2);

/// From here on each client has two numbers, of which it needs one, and each stream has two: an
/// even one for the client's end, the next one for the server's.
const FIRST_FREE: usize = 4;

/// What the outside of a relay is made of.
pub(super) struct Sockets {
    poll: Poll,
    front: UdpSocket,
    listener: TcpListener,
    pub(super) address: SocketAddr,
}

impl Sockets {
    /// A port that is ours for UDP and for TCP.
    pub(super) fn bind(ip: IpAddr) -> io::Result<Self> {
        let poll = Poll::new()?;
        for attempt in 1.. {
            let mut front = UdpSocket::bind(SocketAddr::new(ip, 0))?;
            let address = front.local_addr()?;
            let mut listener = match TcpListener::bind(address) {
                Err(error) if error.kind() == io::ErrorKind::AddrInUse && attempt < ATTEMPTS => {
                    continue;
                }
                bound => bound?,
            };
            poll.registry().register(&mut front, FRONT, Interest::READABLE)?;
            poll.registry().register(&mut listener, LISTENER, Interest::READABLE)?;
            return Ok(Self { poll, front, listener, address });
        }
        unreachable!("the last attempt returns")
    }

    pub(super) fn waker(&self) -> io::Result<Waker> {
        Waker::new(self.poll.registry(), WAKE)
    }
}

/// A datagram on its way. Ordered by when it is due, then by when it came.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Held {
    due: Instant,
    order: u64,
    direction: Direction,
    client: SocketAddr,
    bytes: Vec<u8>,
}

#[derive(Debug)]
struct Client {
    token: Token,
    upstream: UdpSocket,
    heard: Instant,
}

/// The thread's side.
pub(super) struct Path {
    poll: Poll,
    front: UdpSocket,
    /// None while streams are refused.
    listener: Option<TcpListener>,
    address: SocketAddr,
    shared: Arc<Mutex<Shared>>,
    clients: BTreeMap<SocketAddr, Client>,
    tokens: BTreeMap<Token, SocketAddr>,
    /// The ports of before the last change, which nobody listens to, and nobody else may have.
    dead: Vec<UdpSocket>,
    /// By the number of the client's end.
    streams: BTreeMap<usize, Stream>,
    next_token: usize,
    held: BinaryHeap<Reverse<Held>>,
    order: u64,
    buf: Vec<u8>,
    hands: Hands,
}

impl Path {
    pub(super) fn new(sockets: Sockets, shared: Arc<Mutex<Shared>>, hands: Hands) -> Self {
        let Sockets { poll, front, listener, address } = sockets;
        Self {
            poll,
            front,
            listener: Some(listener),
            address,
            shared,
            clients: BTreeMap::new(),
            tokens: BTreeMap::new(),
            dead: Vec::new(),
            streams: BTreeMap::new(),
            next_token: FIRST_FREE,
            held: BinaryHeap::new(),
            order: 0,
            buf: vec![0; BUFFER_LEN],
            hands,
        }
    }

    pub(super) fn run(mut self) {
        let mut events = Events::with_capacity(64);
        loop {
            let timeout = self.due().map(|due| due.saturating_duration_since(Instant::now()));
            match self.poll.poll(&mut events, timeout) {
                Ok(()) => {}
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => {
                    tracing::warn!(%error, "the relay ends");
                    return;
                }
            }
            if lock(&self.shared).stop {
                return;
            }
            self.obey();
            for event in &events {
                match event.token() {
                    FRONT => self.on_front_readable(),
                    LISTENER => self.on_stream(),
                    WAKE => {}
                    Token(number) if self.streams.contains_key(&(number & !1)) => {
                        let Some(end) = self.end(number) else { continue };
                        end.is_readable |= event.is_readable() || event.is_read_closed();
                        end.is_writable |= event.is_writable() || event.is_write_closed();
                    }
                    token => self.on_upstream_readable(token),
                }
            }
            self.send_due();
            self.carry_streams();
        }
    }

    /// When something is to be done although nothing comes.
    fn due(&self) -> Option<Instant> {
        let shared = lock(&self.shared);
        let held = self.held.peek().map(|held| held.0.due);
        // Where all stands still, nothing is due.
        let moves = shared.line.tcp == Passage::Open;
        let streams = self.streams.values().filter(|_| moves).filter_map(Stream::due).min();
        [held, streams, shared.rebind_at].into_iter().flatten().min()
    }

    /// What the owner wants of the line, and what its clock says.
    fn obey(&mut self) {
        let now = Instant::now();
        let mut shared = lock(&self.shared);
        let tcp = shared.line.tcp;
        let cuts = std::mem::take(&mut shared.cuts) || tcp == Passage::Refused;
        let rebinds = shared.rebind_at.is_some_and(|at| at <= now);
        if rebinds {
            shared.rebind_at = shared.line.rebind_every.map(|every| now + every);
            shared.stats.rebinds += 1;
        }
        drop(shared);
        // First of all, so that who was reset finds nobody there.
        if tcp == Passage::Refused {
            self.listener = None;
        } else if self.listener.is_none() {
            // When somebody else took the number meanwhile, it stays refused.
            self.listener = self.listen().ok();
        }
        if cuts {
            self.streams.clear();
        }
        if rebinds {
            self.rebind();
        }
    }

    fn listen(&self) -> io::Result<TcpListener> {
        let mut listener = TcpListener::bind(self.address)?;
        self.poll.registry().register(&mut listener, LISTENER, Interest::READABLE)?;
        Ok(listener)
    }

    /// Takes everybody's port away; the next datagram makes a new one.
    fn rebind(&mut self) {
        self.dead.clear();
        self.tokens.clear();
        for (_, mut client) in std::mem::take(&mut self.clients) {
            // Whether it is still polled or not: nobody knows its token any more.
            let _ = self.poll.registry().deregister(&mut client.upstream);
            self.dead.push(client.upstream);
        }
    }

    fn on_front_readable(&mut self) {
        loop {
            match self.front.recv_from(&mut self.buf) {
                Ok((len, client)) => {
                    if self.meet(client).is_ok() {
                        self.carry(Direction::Up, client, len);
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                // An ICMP error about something sent earlier; the path just loses it.
                Err(_) => {}
            }
        }
    }

    fn on_upstream_readable(&mut self, token: Token) {
        let Some(&client) = self.tokens.get(&token) else { return };
        while let Some(known) = self.clients.get(&client) {
            match known.upstream.recv_from(&mut self.buf) {
                Ok((len, from)) => {
                    // Whoever else knows the port has no business here.
                    if from == lock(&self.shared).target {
                        self.carry(Direction::Down, client, len);
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                Err(_) => {}
            }
        }
    }

    /// Makes sure that `client` has a socket towards the target.
    fn meet(&mut self, client: SocketAddr) -> io::Result<()> {
        let now = Instant::now();
        if let Some(known) = self.clients.get_mut(&client) {
            known.heard = now;
            return Ok(());
        }
        if self.clients.len() >= MAX_CLIENTS {
            let oldest = self.clients.iter().min_by_key(|(_, known)| known.heard);
            if let Some(oldest) = oldest.map(|(address, _)| *address)
                && let Some(gone) = self.clients.remove(&oldest)
            {
                self.tokens.remove(&gone.token);
            }
        }
        let mut upstream = UdpSocket::bind(SocketAddr::new(self.address.ip(), 0))?;
        let token = Token(self.next_number());
        self.poll.registry().register(&mut upstream, token, Interest::READABLE)?;
        self.tokens.insert(token, client);
        self.clients.insert(client, Client { token, upstream, heard: now });
        Ok(())
    }

    fn next_number(&mut self) -> usize {
        let number = self.next_token;
        self.next_token += 2;
        number
    }

    /// Decides what happens to the first `len` bytes of the buffer.
    fn carry(&mut self, direction: Direction, client: SocketAddr, len: usize) {
        for (direction, bytes) in (self.hands)(direction, client, self.buf[..len].to_vec()) {
            self.throw(direction, client, bytes);
        }
    }

    fn throw(&mut self, direction: Direction, client: SocketAddr, bytes: Vec<u8>) {
        let now = Instant::now();
        let copies = lock(&self.shared).throw(direction, now, bytes.len());
        for due in copies.into_iter().flatten() {
            let bytes = bytes.clone();
            let held = Held { due, order: self.order, direction, client, bytes };
            self.order += 1;
            if due <= now {
                self.send(&held);
            } else if self.held.len() < MAX_HELD {
                self.held.push(Reverse(held));
            } else {
                lock(&self.shared).stats.dropped += 1;
            }
        }
    }

    fn send_due(&mut self) {
        let now = Instant::now();
        while self.held.peek().is_some_and(|held| held.0.due <= now) {
            if let Some(Reverse(held)) = self.held.pop() {
                self.send(&held);
            }
        }
    }

    /// A datagram that cannot be sent is lost: that is what this network is like.
    fn send(&mut self, held: &Held) {
        let _ = match held.direction {
            Direction::Up => {
                let target = lock(&self.shared).target;
                // Its port may have been taken away while this was on its way.
                match self.meet(held.client).map(|()| self.clients.get(&held.client)) {
                    Ok(Some(known)) => known.upstream.send_to(&held.bytes, target),
                    _ => return,
                }
            }
            Direction::Down => self.front.send_to(&held.bytes, held.client),
        };
    }

    /// Somebody wants to connect.
    fn on_stream(&mut self) {
        while let Some(listener) = &self.listener {
            let socket = match listener.accept() {
                Ok((socket, _)) => socket,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                // Nobody more; or no file descriptor, and then somebody has to wait.
                Err(_) => return,
            };
            // Without a way on, or without room, it is reset.
            let _ = SockRef::from(&socket).set_linger(Some(Duration::ZERO));
            if self.streams.len() < MAX_STREAMS {
                let _ = self.open(socket);
            }
        }
    }

    fn open(&mut self, mut client: TcpStream) -> io::Result<()> {
        let mut shared = lock(&self.shared);
        let mut server = TcpStream::connect(shared.target)?;
        shared.stats.streams += 1;
        // What the ends wait for is up to them.
        client.set_nodelay(true)?;
        server.set_nodelay(true)?;
        drop(shared);
        let number = self.next_number();
        let both = Interest::READABLE | Interest::WRITABLE;
        self.poll.registry().register(&mut client, Token(number), both)?;
        self.poll.registry().register(&mut server, Token(number + 1), both)?;
        let stream = Stream::new(client, server, Instant::now(), &lock(&self.shared));
        self.streams.insert(number, stream);
        Ok(())
    }

    fn end(&mut self, number: usize) -> Option<&mut End> {
        let stream = self.streams.get_mut(&(number & !1))?;
        Some(if number & 1 == 0 { &mut stream.client } else { &mut stream.server })
    }

    fn carry_streams(&mut self) {
        let mut shared = lock(&self.shared);
        if shared.line.tcp != Passage::Open {
            return;
        }
        let now = Instant::now();
        let buf = &mut self.buf;
        self.streams.retain(|_, stream| stream.carry(now, &mut shared, buf));
    }
}

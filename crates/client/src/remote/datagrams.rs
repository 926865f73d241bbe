//! The datagrams of a [`Remote`](super::Remote): a CoAP endpoint, and a socket to each address of the server.

use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use mio::{Interest, Registry, Token};
use suibi_coap::{
    Config, Endpoint, Event, Protection, Request, RequestId, RttEstimate, Stats, Transmit,
};
use suibi_net::{ReceiveBatch, Received, UdpSocket};

/// What is assumed of a peer on this machine that was never met: the RFC's 2 s are for the open Internet.
const LOOPBACK_RTT: Duration = Duration::from_millis(5);

pub(super) struct Datagrams {
    endpoint: Endpoint,
    links: Vec<Link>,
    batch: ReceiveBatch,
}

/// A connected socket to one of the server's addresses.
struct Link {
    address: SocketAddr,
    socket: UdpSocket,
    queue: VecDeque<Transmit>,
    /// How often nobody was there, since the link was made.
    unreachable: u32,
    /// When something came last.
    heard: Option<Instant>,
}

impl Datagrams {
    pub(super) fn new(seed: [u8; 32]) -> Self {
        let endpoint = Endpoint::new(Config::own(), seed);
        Self { endpoint, links: Vec::new(), batch: ReceiveBatch::new() }
    }

    /// Begins anew under this protection, with no address.
    pub(super) fn protect(&mut self, seed: [u8; 32], protection: Option<Box<dyn Protection>>) {
        self.endpoint = Endpoint::new(Config::own(), seed);
        self.endpoint.set_protection(protection);
        self.links.clear();
    }

    /// A socket to one more address.
    pub(super) fn open(&mut self, registry: &Registry, address: SocketAddr) -> io::Result<()> {
        let mut socket = UdpSocket::connect(address)?;
        registry.register(&mut socket, Token(self.links.len()), Interest::READABLE)?;
        if address.ip().is_loopback() {
            self.endpoint.assume_rtt(address.into(), LOOPBACK_RTT);
        }
        let queue = VecDeque::new();
        self.links.push(Link { address, socket, queue, unreachable: 0, heard: None });
        Ok(())
    }

    pub(super) fn close(&mut self, registry: &Registry) {
        for mut link in self.links.drain(..) {
            // Closing the socket does the same; an error changes nothing.
            let _ = registry.deregister(&mut link.socket);
        }
    }

    /// The addresses, in the order in which they were opened.
    pub(super) fn addresses(&self) -> impl ExactSizeIterator<Item = SocketAddr> + '_ {
        self.links.iter().map(|link| link.address)
    }

    /// Whether this machine would still send from the addresses that the sockets have.
    pub(super) fn are_at_home(&self) -> bool {
        self.links.iter().all(|link| {
            UdpSocket::connect(link.address)
                .is_ok_and(|probe| probe.local_address().ip() == link.socket.local_address().ip())
        })
    }

    pub(super) fn request(&mut self, now: Instant, link: usize, request: Request) -> RequestId {
        let address = self.links[link].address;
        self.endpoint.request(now, address.into(), request)
    }

    pub(super) fn cancel(&mut self, now: Instant, id: RequestId) {
        self.endpoint.cancel(now, id);
    }

    pub(super) fn poll_event(&mut self) -> Option<Event> {
        self.endpoint.poll_event()
    }

    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        self.endpoint.poll_timeout()
    }

    pub(super) fn handle_timeout(&mut self, now: Instant) {
        self.endpoint.handle_timeout(now);
    }

    /// How often nobody was there.
    pub(super) fn unreachable(&self, link: usize) -> u32 {
        self.links[link].unreachable
    }

    /// When something came last, from any address.
    pub(super) fn heard(&self) -> Option<Instant> {
        self.links.iter().filter_map(|link| link.heard).max()
    }

    pub(super) fn rtt(&self, address: SocketAddr) -> Option<RttEstimate> {
        self.endpoint.rtt(address.into())
    }

    pub(super) fn set_rtt(&mut self, address: SocketAddr, estimate: RttEstimate) {
        self.endpoint.set_rtt(address.into(), estimate);
    }

    pub(super) fn stats(&self) -> Stats {
        self.endpoint.stats()
    }

    pub(super) fn receive(&mut self) -> io::Result<()> {
        for link in &mut self.links {
            loop {
                match link.socket.receive(&mut self.batch)? {
                    Received::Datagrams(_) => {
                        let now = Instant::now();
                        link.heard = Some(now);
                        for (_, bytes) in self.batch.iter() {
                            // The socket is connected: nobody else is heard.
                            self.endpoint.handle_datagram(now, link.address.into(), bytes);
                        }
                    }
                    Received::Unreachable(_) => {
                        link.unreachable += 1;
                        self.endpoint.handle_unreachable(Instant::now(), link.address.into());
                    }
                    Received::Nothing => break,
                }
            }
        }
        Ok(())
    }

    pub(super) fn transmit(&mut self) -> io::Result<()> {
        while let Some(transmit) = self.endpoint.poll_transmit() {
            // What goes to an address that we left is not sent any more.
            if let Some(link) = self.links.iter_mut().find(|l| l.address == transmit.peer.address) {
                link.queue.push_back(transmit);
            }
        }
        for link in &mut self.links {
            let sent = link.socket.send(&mut link.queue)?;
            for _ in sent.refused {
                link.unreachable += 1;
                self.endpoint.handle_unreachable(Instant::now(), link.address.into());
            }
            // A full buffer drops what it cannot take, as the path would; retransmission is for that.
            link.queue.clear();
        }
        Ok(())
    }
}

//! A client over TCP that waits for its answers.

use std::collections::VecDeque;
use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use suibi_coap::{
    Connection, End, Event, Protection, Request, RequestError, RequestId, Response, StreamConfig,
};

use super::{PATIENCE, created, get, post, random};

/// How long one look at the socket lasts.
const LOOK: Duration = Duration::from_millis(5);

pub(crate) struct StreamClient {
    pub(crate) connection: Connection,
    stream: TcpStream,
    events: VecDeque<Event>,
}

impl StreamClient {
    pub(crate) fn new(server: SocketAddr, protection: Option<Box<dyn Protection>>) -> Self {
        let stream = TcpStream::connect(server).unwrap();
        stream.set_nodelay(true).unwrap();
        stream.set_read_timeout(Some(LOOK)).unwrap();
        let (now, config) = (Instant::now(), StreamConfig::default());
        let mut connection = Connection::new(now, config, server.into(), random());
        connection.set_protection(protection);
        Self { connection, stream, events: VecDeque::new() }
    }

    pub(crate) fn send(&mut self, request: Request) -> RequestId {
        self.connection.request(Instant::now(), request)
    }

    #[track_caller]
    pub(crate) fn ask(&mut self, request: Request) -> Response {
        let id = self.send(request);
        self.answer(id)
    }

    #[track_caller]
    pub(crate) fn get(&mut self, path: &str) -> Response {
        self.ask(get(path))
    }

    #[track_caller]
    pub(crate) fn post(&mut self, text: &str) -> Response {
        created(self.ask(post(text)))
    }

    #[track_caller]
    pub(crate) fn answer(&mut self, wanted: RequestId) -> Response {
        self.wait_for(|event| match event {
            Event::Response { id, response } if *id == wanted => Some(response.clone()),
            Event::Failed { id, error } if *id == wanted => panic!("{error}"),
            _ => None,
        })
    }

    #[track_caller]
    pub(crate) fn notification(&mut self, wanted: RequestId) -> Response {
        self.wait_for(|event| match event {
            Event::Notification { id, response } if *id == wanted => Some(response.clone()),
            _ => None,
        })
    }

    /// What becomes of a request that is not answered.
    #[track_caller]
    pub(crate) fn failure(&mut self, wanted: RequestId) -> RequestError {
        self.wait_for(|event| match event {
            Event::Failed { id, error } if *id == wanted => Some(*error),
            _ => None,
        })
    }

    /// Waits for the end.
    #[track_caller]
    pub(crate) fn end(&mut self) -> End {
        let start = Instant::now();
        loop {
            if let Some(end) = self.connection.ended() {
                return end.clone();
            }
            assert!(start.elapsed() < PATIENCE, "it goes on");
            self.turn();
        }
    }

    #[track_caller]
    fn wait_for<T>(&mut self, mut wanted: impl FnMut(&Event) -> Option<T>) -> T {
        let start = Instant::now();
        loop {
            let found = self.events.iter().position(|event| wanted(event).is_some());
            if let Some(event) = found.and_then(|at| self.events.remove(at)) {
                return wanted(&event).expect("it was wanted just now");
            }
            assert!(start.elapsed() < PATIENCE, "nothing came");
            self.turn();
        }
    }

    pub(crate) fn turn(&mut self) {
        let mut buf = vec![0; 64 << 10];
        while let Some(bytes) = self.connection.poll_transmit() {
            // Whoever has closed the stream may still have said something before.
            let _ = self.stream.write_all(&bytes);
        }
        match self.stream.read(&mut buf) {
            Ok(0) => self.connection.handle_closed(Instant::now()),
            Ok(count) => self.connection.handle_bytes(Instant::now(), &buf[..count]),
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {}
            Err(_) => self.connection.handle_closed(Instant::now()),
        }
        self.connection.handle_timeout(Instant::now());
        self.events.extend(std::iter::from_fn(|| self.connection.poll_event()));
    }
}

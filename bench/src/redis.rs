//! The load for Redis: a list of notes, each appended by a command of its own.

use std::collections::VecDeque;
use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use mio::net::TcpStream;
use mio::{Events, Interest, Poll, Token};

use crate::feed;
use crate::load::{Loaded, Shape};
use crate::{Failure, cpu};

/// How long the last answers may take after the last command.
const PATIENCE: Duration = Duration::from_secs(20);

/// One connection, and its commands that are not answered yet, oldest first.
struct Connection {
    stream: TcpStream,
    unsent: Vec<u8>,
    received: Vec<u8>,
    waiting: VecDeque<Instant>,
}

/// Loads a server for `turn` with as many connections as `shape` says, each with a number of commands under way
/// ("pipelined"), then asks whether exactly the acknowledged notes are there.
///
/// # Errors
/// When an answer is wrong or does not come, or a note is not there.
pub(crate) fn run(target: SocketAddr, shape: Shape, turn: Duration) -> Result<Loaded, Failure> {
    let mut poll = Poll::new()?;
    let mut connections = Vec::new();
    for token in 0..shape.sockets {
        let mut stream = TcpStream::connect(target)?;
        stream.set_nodelay(true)?;
        let interest = Interest::READABLE | Interest::WRITABLE;
        poll.registry().register(&mut stream, Token(token), interest)?;
        let (unsent, received) = (Vec::new(), Vec::new());
        connections.push(Connection { stream, unsent, received, waiting: VecDeque::new() });
    }
    let (mut loaded, mut next_number) = (Loaded::default(), 0);
    let mut events = Events::with_capacity(shape.sockets);
    let (start, cpu_before) = (Instant::now(), cpu::of_this_thread()?);
    loop {
        poll.poll(&mut events, Some(Duration::from_millis(50)))?;
        let ending = start.elapsed() >= turn;
        for event in &events {
            let Token(index) = event.token();
            let connection = &mut connections[index];
            if event.is_readable() {
                connection.take_answers(&mut loaded)?;
            }
            while !ending && connection.waiting.len() < shape.each {
                connection.ask(next_number);
                next_number += 1;
            }
            connection.send()?;
        }
        if ending && connections.iter().all(|connection| connection.waiting.is_empty()) {
            break;
        }
        if start.elapsed() > turn + PATIENCE {
            return Err("Redis does not answer".into());
        }
    }
    loaded.wall = start.elapsed();
    loaded.cpu = cpu::of_this_thread()? - cpu_before;
    loaded.answer_micros.sort_unstable();
    Ok(loaded)
}

impl Connection {
    fn ask(&mut self, number: u32) {
        let text = feed::text(number);
        let command = format!("*3\r\n$5\r\nRPUSH\r\n$5\r\nnotes\r\n${}\r\n{text}\r\n", text.len());
        self.unsent.extend_from_slice(command.as_bytes());
        self.waiting.push_back(Instant::now());
    }

    fn send(&mut self) -> Result<(), Failure> {
        while !self.unsent.is_empty() {
            match self.stream.write(&self.unsent) {
                Ok(sent) => drop(self.unsent.drain(..sent)),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                // Until the connection is there.
                Err(error) if error.kind() == io::ErrorKind::NotConnected => break,
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    fn take_answers(&mut self, loaded: &mut Loaded) -> Result<(), Failure> {
        let mut buf = [0; 16 << 10];
        loop {
            match self.stream.read(&mut buf) {
                Ok(0) => return Err("Redis has hung up".into()),
                Ok(len) => self.received.extend_from_slice(&buf[..len]),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) => return Err(error.into()),
            }
        }
        let now = Instant::now();
        let mut rest = &self.received[..];
        while let Some(end) = rest.windows(2).position(|pair| pair == b"\r\n") {
            length_in(&rest[..end])?;
            let asked = self.waiting.pop_front().ok_or("an answer to nothing")?;
            loaded.requests += 1;
            loaded.answer_micros.push(u32::try_from((now - asked).as_micros())?);
            rest = &rest[end + 2..];
        }
        self.received = rest.to_vec();
        Ok(())
    }
}

/// The number of an answer such as `:12`, the list's new length.
fn length_in(line: &[u8]) -> Result<u64, Failure> {
    let text = String::from_utf8_lossy(line);
    let number = text.strip_prefix(':').and_then(|number| number.parse().ok());
    number.ok_or_else(|| format!("Redis says {text}").into())
}

/// Whether the notes with the numbers below `notes` are there, each once.
///
/// # Errors
/// When they are not.
pub(crate) fn verify(target: SocketAddr, notes: u64) -> Result<(), Failure> {
    let stream = std::net::TcpStream::connect(target)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    let mut answers = BufReader::new(stream.try_clone()?);
    let mut line = String::new();
    (&stream).write_all(b"*2\r\n$4\r\nLLEN\r\n$5\r\nnotes\r\n")?;
    answers.read_line(&mut line)?;
    if length_in(line.trim_end().as_bytes())? != notes {
        return Err(format!("Redis has {} notes, not {notes}", line.trim_end()).into());
    }
    (&stream).write_all(b"*4\r\n$6\r\nLRANGE\r\n$5\r\nnotes\r\n$1\r\n0\r\n$2\r\n-1\r\n")?;
    line.clear();
    answers.read_line(&mut line)?;
    let mut missing = vec![true; usize::try_from(notes)?];
    let mut note = vec![0; feed::NOTE_LEN + 2];
    for _ in 0..notes {
        line.clear();
        answers.read_line(&mut line)?;
        answers.read_exact(&mut note)?;
        let number = std::str::from_utf8(&note[..feed::NOTE_LEN]).ok().and_then(feed::number_of);
        let place = number.and_then(|number| missing.get_mut(number as usize));
        match place {
            Some(missing) if *missing => *missing = false,
            _ => {
                return Err(format!(
                    "Redis has a note twice, or one that nobody wrote: {number:?}"
                )
                .into());
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_a_length_or_a_failure() {
        assert_eq!(length_in(b":12").unwrap(), 12);
        assert!(length_in(b"-ERR out of memory").is_err());
    }
}

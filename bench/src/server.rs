//! A server as a child process.

use std::io::{BufRead as _, BufReader};
use std::net::{SocketAddr, TcpStream, UdpSocket};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use suibi_server::LocalCredential;

use crate::message::{PING, PONG};
use crate::{Failure, bare};

const LOOPBACK: &str = "127.0.0.1:0";

/// A server that is ready. It is killed when this is dropped.
pub(crate) struct Server {
    child: Child,
    pub(crate) address: SocketAddr,
}

impl Server {
    /// Starts `suibi serve` on `data`, with one listener on loopback: an unprotected one.
    pub(crate) fn suibi(program: &Path, data: &Path) -> Result<Self, Failure> {
        Self::suibi_with(program, data, ["--insecure-coap", LOOPBACK])
    }

    /// The same with a protected one at this address.
    pub(crate) fn protected_at(
        program: &Path,
        data: &Path,
        address: &str,
    ) -> Result<Self, Failure> {
        Self::suibi_with(program, data, ["--listen", address])
    }

    /// The same on loopback, and the credential of the machine's owner.
    pub(crate) fn protected(
        program: &Path,
        data: &Path,
    ) -> Result<(Self, LocalCredential), Failure> {
        let server = Self::protected_at(program, data, LOOPBACK)?;
        let owner = suibi_server::running(data)?.and_then(|running| running.local);
        Ok((server, owner.ok_or("the server says nothing of its owner")?))
    }

    fn suibi_with(program: &Path, data: &Path, listener: [&str; 2]) -> Result<Self, Failure> {
        let mut command = Command::new(program);
        command.arg("serve").arg("--data-dir").arg(data);
        command.args(listener);
        Self::start(&mut command)
    }

    /// Starts the bare echo of this program; see [`crate::bare`].
    pub(crate) fn bare(journal: Option<&Path>) -> Result<Self, Failure> {
        let mut command = Command::new(std::env::current_exe()?);
        command.arg("bare").args(journal);
        Self::start(&mut command)
    }

    /// The same, for datagrams that come and go as one.
    pub(crate) fn bare_joined() -> Result<Self, Failure> {
        let mut command = Command::new(std::env::current_exe()?);
        command.args(["bare", bare::JOINED]);
        Self::start(&mut command)
    }

    /// Starts a server that says nothing; it is ready when it answers a CoAP ping.
    pub(crate) fn answers_pings(command: &mut Command, port: u16) -> Result<Self, Failure> {
        let socket = UdpSocket::bind("127.0.0.1:0")?;
        socket.set_read_timeout(Some(Duration::from_millis(20)))?;
        Self::silent(command, port, |address| {
            let mut buf = [0; 16];
            // Nobody listens there yet, perhaps, and that may be an error.
            let _ = socket.send_to(&PING, address);
            socket.recv(&mut buf).is_ok_and(|len| buf[..len] == PONG)
        })
    }

    /// Starts a server that says nothing; it is ready when it accepts a connection.
    pub(crate) fn accepts(command: &mut Command, port: u16) -> Result<Self, Failure> {
        Self::silent(command, port, |address| {
            std::thread::sleep(Duration::from_millis(20));
            TcpStream::connect(address).is_ok()
        })
    }

    fn silent(
        command: &mut Command,
        port: u16,
        is_ready: impl Fn(SocketAddr) -> bool,
    ) -> Result<Self, Failure> {
        let address = SocketAddr::from(([127, 0, 0, 1], port));
        let command = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let mut server = Self { child: command.spawn()?, address };
        let start = Instant::now();
        while start.elapsed() < Duration::from_secs(20) {
            if let Some(status) = server.child.try_wait()? {
                return Err(format!("the server ends at once, {status}").into());
            }
            if is_ready(address) {
                return Ok(server);
            }
        }
        Err("the server does not become ready".into())
    }

    /// Starts a server that says its address and then that it is ready, on standard error.
    pub(crate) fn start(command: &mut Command) -> Result<Self, Failure> {
        let mut child = command.stdin(Stdio::null()).stderr(Stdio::piped()).spawn()?;
        let mut lines = BufReader::new(child.stderr.take().ok_or("no pipe")?).lines();
        let mut said = String::new();
        let mut address = None;
        for line in lines.by_ref() {
            let line = line?;
            if line.trim_start().starts_with("ready") {
                break;
            }
            address = address.or_else(|| address_in(&line));
            said.push_str(&line);
            said.push('\n');
        }
        // The pipe is read on, or a talkative server would stop.
        std::thread::spawn(move || lines.for_each(drop));
        match address {
            Some(address) => Ok(Self { child, address }),
            None => {
                child.kill()?;
                child.wait()?;
                Err(format!("the server did not become ready; it said:\n{said}").into())
            }
        }
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Ends it as a person would.
    pub(crate) fn stop(mut self) -> Result<(), Failure> {
        Command::new("kill").args(["-TERM", &self.child.id().to_string()]).status()?;
        let start = Instant::now();
        while start.elapsed() < Duration::from_secs(30) {
            if let Some(status) = self.child.try_wait()? {
                return status.success().then_some(()).ok_or_else(|| status.to_string().into());
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        Err("the server does not stop".into())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The first socket address among the words of a line, if there is one.
fn address_in(line: &str) -> Option<SocketAddr> {
    line.split(|c: char| c.is_whitespace() || c == ',' || c == '(' || c == ')').find_map(|word| {
        let word = word.trim_start_matches("coap://");
        word.trim_end_matches(['.', ';', '/']).parse().ok()
    })
}

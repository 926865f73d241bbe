//! The limits: programs that do nothing but what cannot be left out, with the fewest system calls there are.

use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::net::UdpSocket;
use std::os::fd::AsFd as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::Failure;
use crate::kernel::{self, Received};

/// What an argument says instead of a file: datagrams of one flow come and go as one.
pub(crate) const JOINED: &str = "--joined";

/// One of these programs, by its first argument; `None` when it is none of them.
pub(crate) fn run(arguments: &[String]) -> Option<Result<(), Failure>> {
    let (first, rest) = arguments.split_first()?;
    match (first.as_str(), rest) {
        ("bare", []) => Some(serve(None, false)),
        ("bare", [joined]) if joined == JOINED => Some(serve(None, true)),
        ("bare", [journal]) => Some(serve(Some(Path::new(journal)), false)),
        ("bare-add", [file, address, text]) => Some(add(&PathBuf::from(file), address, text)),
        _ => None,
    }
}

/// Echoes datagrams until it is killed. With a `journal`, each batch is appended to that file and
/// synced before it is echoed.
fn serve(journal: Option<&Path>, joined: bool) -> Result<(), Failure> {
    let socket = UdpSocket::bind("127.0.0.1:0")?;
    kernel::hold_bursts(socket.as_fd())?;
    let mut journal = journal.map(File::create).transpose()?;
    eprintln!("coap {}", socket.local_addr()?);
    eprintln!("ready");
    let mut received = if joined {
        kernel::join_received(socket.as_fd())?;
        Received::joined()
    } else {
        Received::new()
    };
    loop {
        match received.receive(socket.as_fd()) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error.into()),
        }
        if let Some(journal) = &mut journal {
            for datagram in received.datagrams() {
                journal.write_all(datagram)?;
            }
            journal.sync_data()?;
        }
        received.echo(socket.as_fd())?;
    }
}

/// A note and its receipt: what `suibi TEXT` cannot leave out. The text is appended to a file and
/// synced, sent to a [`serve`] that appends and syncs it, too, and what comes back is appended.
///
/// The receipt need not be synced: without it, the note is only sent once more.
fn add(file: &Path, address: &str, text: &str) -> Result<(), Failure> {
    let mut file = OpenOptions::new().create(true).append(true).open(file)?;
    file.write_all(text.as_bytes())?;
    file.sync_data()?;
    let socket = UdpSocket::bind("127.0.0.1:0")?;
    socket.connect(address)?;
    socket.set_read_timeout(Some(Duration::from_secs(2)))?;
    socket.send(text.as_bytes())?;
    let mut receipt = [0; 1_024];
    let len = socket.recv(&mut receipt)?;
    if &receipt[..len] != text.as_bytes() {
        return Err("the receipt is for something else".into());
    }
    file.write_all(&receipt[..len])?;
    println!("saved");
    Ok(())
}

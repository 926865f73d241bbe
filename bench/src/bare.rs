//! The limits: a server that does nothing but answer, with the fewest system calls there are.

use std::fs::File;
use std::io::{self, Write as _};
use std::net::UdpSocket;
use std::os::fd::AsFd as _;
use std::path::Path;

use crate::Failure;
use crate::kernel::Received;

/// Echoes datagrams until it is killed. With a `journal`, each batch is appended to that file and
/// synced before it is echoed.
pub(crate) fn serve(journal: Option<&Path>) -> Result<(), Failure> {
    let socket = UdpSocket::bind("127.0.0.1:0")?;
    let mut journal = journal.map(File::create).transpose()?;
    eprintln!("coap {}", socket.local_addr()?);
    eprintln!("ready");
    let mut received = Received::new();
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

//! Sockets: datagrams in batches, streams, and addresses as people write them; and the clock on the wall.
//!
//! [`UdpSocket`] carries what a sans-IO machine wants carried. A server binds and drives it like this
//! (waiting is the caller's affair, with [`mio`] or [`UdpSocket::wait`]):
//!
//! ```no_run
//! use std::collections::VecDeque;
//! use suibi_net::{Received, ReceiveBatch, UdpSocket, resolve};
//!
//! let address = resolve("127.0.0.1:0", 5683)?[0];
//! let mut socket = UdpSocket::bind(address)?;
//! let mut batch = ReceiveBatch::new();
//! let mut answers = VecDeque::new();
//! loop {
//!     socket.wait(None)?;
//!     while let Received::Datagrams(_) = socket.receive(&mut batch)? {
//!         for (peer, bytes) in batch.iter() {
//!             let bytes = bytes::Bytes::copy_from_slice(bytes);
//!             answers.push_back(suibi_coap::Transmit { peer, bytes });
//!         }
//!     }
//!     socket.send(&mut answers)?;
//! }
//! # #[allow(unreachable_code)] Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! Only Linux is spoken here: the batch calls and the packet information differ elsewhere.

pub mod clock;
mod kernel;
pub mod relay;
mod resolve;
mod tcp;
mod udp;

pub use kernel::{ReceiveBatch, effective_user};
pub use resolve::{AddressError, resolve};
pub use tcp::{StreamReceived, TcpListener, TcpStream};
pub use udp::{Received, Sent, UdpSocket};

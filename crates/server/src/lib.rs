//! Hosts journals: the doors and the resources behind them.
//!
//! ```text
//!   sockets ── net thread ──────┬── changes ──► writer thread ── one commit for all that waited
//!              (one readiness   │                     │
//!               call, no disk)  └── questions ─► reader thread ── and the index in quiet moments
//!                     ▲                               │
//!                     └──────────── answers ──────────┘
//! ```
//!
//! What the net thread decides is in `core`, which knows no socket, thread or clock.
//!
//! ```no_run
//! use suibi_server::{Config, Listen, Server, StopSignal};
//!
//! let mut config = Config::new("/var/lib/suibi");
//! config.listen.push(Listen { address: ":5683".to_owned() });
//! let server = Server::bind(config)?;
//! for listener in server.listeners() {
//!     eprintln!("{listener}");
//! }
//! server.run(StopSignal::on_termination()?)?;
//! # Ok::<(), suibi_server::ServeError>(())
//! ```

mod caller;
mod clock;
mod config;
mod core;
mod door;
pub mod encoding;
mod error;
mod files;
mod freshness;
mod gate;
mod handover;
mod limits;
mod listen;
mod lock;
#[doc(hidden)]
pub mod machine;
mod net_thread;
mod observers;
pub mod plain;
mod problem;
mod reader;
mod recent;
mod recovered;
mod registry;
mod resources;
mod server;
mod stop;
mod writer;

pub use config::{
    COAP_PORT, ChoiceError, Config, Listen, ListenerInfo, ListenerKind, PLAIN_PORT, PlainListen,
    Reach,
};
pub use error::{ServeError, ServeErrorKind};
pub use files::database;
pub use limits::Rate;
pub use lock::{LocalCredential, Running, running};
pub use server::{Server, ServerHandle};
pub use stop::StopSignal;

//! Clients and real servers over loopback.

#![allow(clippy::unwrap_used, reason = "tests may unwrap, their helpers too")]

mod client;
mod embedded;
mod live;
mod remote;
mod support;

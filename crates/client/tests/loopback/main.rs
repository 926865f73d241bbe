//! Clients and real servers over loopback.

#![allow(clippy::unwrap_used, reason = "tests may unwrap, their helpers too")]

mod client;
mod damage;
mod embedded;
mod join;
mod joined;
mod live;
mod notes;
mod purge;
mod remote;
mod support;
mod transports;

//! Sockets and the clock.

pub mod relay;

//! Sockets and the clock.

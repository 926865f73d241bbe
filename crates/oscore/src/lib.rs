//! OSCORE (RFC 8613) without sockets or clocks, and how devices come to share a secret.

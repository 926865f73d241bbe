//! CoAP (RFC 7252) without sockets or clocks.

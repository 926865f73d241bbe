//! Large bodies in slices (RFC 7959).

/// What a response must know about its request to be cut into slices.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Slicing {}

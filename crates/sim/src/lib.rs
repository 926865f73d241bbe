//! Simulated time and network, for tests only.
//!
//! A [`World`] holds nodes of one type and a [`Link`] for each direction between two of them.

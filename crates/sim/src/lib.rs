//! Simulated time and network, for tests only.

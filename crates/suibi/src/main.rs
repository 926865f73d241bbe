//! Daily notes over the network.
fn main() {}

//! Hosts journals: the doors and the resources behind them.

pub mod encoding;
pub mod plain;
mod recent;

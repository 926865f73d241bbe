//! Hosts journals: the doors and the resources behind them.

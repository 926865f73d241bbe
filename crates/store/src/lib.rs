//! Keeping journals: the store and its SQLite engine.

//! The replica, its outbox and the sync.

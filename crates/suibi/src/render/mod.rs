//! How notes look: for people in [`listing`], for programs in [`json`].

pub(crate) mod changes;
pub(crate) mod heat;
pub(crate) mod json;
pub(crate) mod listing;
pub(crate) mod qr;
pub(crate) mod saved;
pub(crate) mod story;
pub(crate) mod style;
pub(crate) mod table;
pub(crate) mod wrap;

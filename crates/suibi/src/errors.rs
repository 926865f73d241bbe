//! What errors of the crates below say, in the language of this run.
//!
//! Those crates know no language but English, and their errors have types: here each type that a person may see gets its
//! Chinese words. What is not listed is told in English.

use std::error::Error;

use suibi_journal::Refusal;

use crate::lang::{self, Language};
use crate::say::errors as say;

/// The text of this error, without its causes.
pub(crate) fn told(error: &(dyn Error + 'static)) -> String {
    error.to_string()
}

/// Why the server does not take a change.
pub(crate) fn refusal(refusal: &Refusal) -> String {
    if lang::current() == Language::English {
        return refusal.to_string();
    }
    match refusal {
        Refusal::Gap { .. } => say::RefusedGap.to_string(),
        Refusal::Fork { .. } => say::RefusedFork.to_string(),
        Refusal::TooLarge => say::RefusedTooLarge.to_string(),
        Refusal::Invalid(why) => why.clone(),
    }
}

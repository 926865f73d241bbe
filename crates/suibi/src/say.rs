//! Everything that suibi says, in the language of this run: a module for each file of `lang/en` and `lang/zh`, a type
//! for each message, which shows itself.
//!
//! `context.ui.say(say::list::Waiting { notes: 2 })`; where a `String` is needed, `.to_string()`.

include!(concat!(env!("OUT_DIR"), "/say.rs"));

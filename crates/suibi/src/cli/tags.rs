//! `suibi tags`: which tags there are, the most used first.

use std::io::Write as _;

use super::Context;
use crate::failure::{Exit, Failure};
use crate::render::json::TagsJson;
use crate::render::style::{DIM, TAG};
use crate::say;
use crate::session;

pub(super) fn run(context: &mut Context) -> Result<Exit, Failure> {
    let mut session = session::open(&context.settings)?;
    session.refresh(&context.ui);
    let mut tags = session.tags()?;
    tags.sort_by(|(a, some), (b, others)| others.cmp(some).then_with(|| a.cmp(b)));
    let ui = &mut context.ui;
    if ui.json {
        ui.json(&TagsJson::new(&tags))?;
    } else {
        let digits = tags.first().map_or(1, |(_, most)| most.to_string().len());
        for (tag, notes) in &tags {
            writeln!(ui.out(), "{DIM}{notes:>digits$}{DIM:#}  {TAG}{tag}{TAG:#}")?;
        }
    }
    ui.flush()?;
    if tags.is_empty() {
        ui.say(say::tags::NoneYet);
        return Ok(Exit::NothingMatched);
    }
    Ok(Exit::Done)
}

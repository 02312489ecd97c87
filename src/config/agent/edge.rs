//! `[agent.NAME.edge]`: what a call does when its money runs low, before it says goodbye.
//!
//! The rungs between plenty and the goodbye each give something up: attention, length, memory. Which of them an agent
//! may give up is for its owner to say; that the goodbye comes before the cap is not.

use crate::call::rules::Edge;
use crate::config::section::Section;

/// The shortest answer worth asking for, in milliseconds: least and most.
const MIN_ANSWER_MS: (u64, u64) = (8_000, 20_000);

/// Tokens of the model's sound in a second (facts: section 5.1).
const TOKENS_PER_SECOND: u64 = 20;

/// Reads the section; whatever is wrong keeps its default.
pub(super) fn edge(section: &Section<'_>) -> Edge {
    let usual = Edge::default();
    let edge = Edge {
        tell: section.flag("tell").unwrap_or(usual.tell),
        shorten: section.flag("shorten").unwrap_or(usual.shorten),
        shrink: section.flag("shrink").unwrap_or(usual.shrink),
        cheaper: section.flag("cheaper_model").unwrap_or(usual.cheaper),
        min_output_tokens: min_answer(section).unwrap_or(usual.min_output_tokens),
    };
    section.finish();
    edge
}

/// The shortest answer worth asking for, in tokens of sound, a started one counted whole.
fn min_answer(section: &Section<'_>) -> Option<u32> {
    let millis = section.time("min_answer")?;
    let (least, most) = MIN_ANSWER_MS;
    if !(least..=most).contains(&millis) {
        let fix = "write \"8s\": a shorter answer stops in the middle of a sentence, a longer one leaves no room for it";
        section.mistake("min_answer", "must be from 8s to 20s", fix);
        return None;
    }
    u32::try_from((millis * TOKENS_PER_SECOND).div_ceil(1000)).ok()
}

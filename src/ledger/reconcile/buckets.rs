//! Bucket by bucket: what the provider adds up over a span of time, beside the sum of our answers in it.
//!
//! A bucket does not name calls. Where one differs, the calls that had an answer in it are named; and since an answer near a border may
//! count here for us and there for the provider, all of them together are compared as well.

use super::rows::Bucket;
use super::{Answer, Compared, Difference, Differing, Tokens};
use crate::pricing::{ModelPrice, Usage};
use jiff::Timestamp;
use std::collections::{BTreeMap, BTreeSet};

/// Compares buckets with the answers in them.
pub fn buckets(all: &[Bucket], answers: &[Answer]) -> Compared {
    let mut compared = Compared::default();
    let mut spans: BTreeMap<(i64, i64, &str), Tokens> = BTreeMap::new();
    for bucket in all {
        let model = bucket.model.as_deref().unwrap_or_default();
        if !answers.is_empty() && !answers.iter().any(|answer| is_of(model, answer)) {
            compared.left_out += 1;
            continue;
        }
        let tokens = spans
            .entry((bucket.start_ms, bucket.end_ms, model))
            .or_default();
        *tokens = tokens.plus(bucket.tokens);
    }
    let mut listed = BTreeSet::new();
    let (mut sum, mut inside) = (Tokens::default(), Vec::new());
    for ((start_ms, end_ms, model), tokens) in &spans {
        let here: Vec<(usize, &Answer)> = answers
            .iter()
            .enumerate()
            .filter(|(_, answer)| (*start_ms..*end_ms).contains(&answer.unix_ms))
            .filter(|(_, answer)| is_of(model, answer))
            .collect();
        compared.theirs += 1;
        sum = sum.plus(*tokens);
        let own: Vec<&Answer> = here.iter().map(|(_, answer)| *answer).collect();
        let part = span(*start_ms, *end_ms, model);
        compared.differing.extend(beside(part, tokens, &own));
        for (at, answer) in here {
            if listed.insert(at) {
                inside.push(answer);
            }
        }
    }
    compared.ours = answers.len();
    if spans.len() > 1 {
        compared
            .differing
            .extend(beside("all of them".to_string(), &sum, &inside));
    }
    let outside = answers.iter().enumerate();
    let outside = outside.filter(|(at, _)| !listed.contains(at));
    compared
        .differing
        .extend(outside.map(|(_, answer)| Differing {
            call: answer.call.clone(),
            part: format!("answer {}", answer.turn),
            what: "is in no bucket".to_string(),
            theirs: "nothing".to_string(),
            ours: format!("{} USD", answer.cost),
            difference: Some(Difference::of(crate::units::Usd::ZERO, answer.cost)),
        }));
    compared
}

/// Whether an answer is of a model: of this name, or of a dated version of it. Any, if there is none.
fn is_of(model: &str, answer: &Answer) -> bool {
    let dated = |long: &str, short: &str| {
        long.strip_prefix(short)
            .is_some_and(|rest| rest.starts_with("-20"))
    };
    let ours = answer.model_id.as_str();
    model.is_empty() || model == ours || dated(model, ours) || dated(ours, model)
}

fn span(start_ms: i64, end_ms: i64, model: &str) -> String {
    let moment = |unix_ms: i64| {
        let moment = Timestamp::from_millisecond(unix_ms).unwrap_or_default();
        moment.strftime("%Y-%m-%d %H:%M").to_string()
    };
    let (start, end) = (moment(start_ms), moment(end_ms));
    let end = end.strip_prefix(&start[..11]).unwrap_or(&end);
    format!("{start} to {end} {model}").trim_end().to_string()
}

fn beside(part: String, tokens: &Tokens, answers: &[&Answer]) -> Option<Differing> {
    let reported = answers.iter().filter_map(|answer| answer.usage.as_ref());
    let ours = reported.fold(Usage::default(), |sum, usage| plus(&sum, usage));
    let (what, theirs, own) = tokens.differing(&ours)?;
    let price: Option<ModelPrice> = answers.iter().find_map(|answer| answer.price);
    let difference = price.map(|price| {
        let theirs = price.cost(&tokens.usage(&ours));
        Difference::of(theirs, price.cost(&ours))
    });
    let mut calls: Vec<&str> = answers.iter().map(|answer| answer.call.as_str()).collect();
    calls.sort_unstable();
    calls.dedup();
    Some(Differing {
        call: calls.join(" "),
        part,
        what,
        theirs,
        ours: own,
        difference,
    })
}

fn plus(one: &Usage, other: &Usage) -> Usage {
    let add = u64::saturating_add;
    Usage {
        text_in: add(one.text_in, other.text_in),
        audio_in: add(one.audio_in, other.audio_in),
        image_in: add(one.image_in, other.image_in),
        cached_text: add(one.cached_text, other.cached_text),
        cached_audio: add(one.cached_audio, other.cached_audio),
        cached_image: add(one.cached_image, other.cached_image),
        unknown_in: add(one.unknown_in, other.unknown_in),
        text_out: add(one.text_out, other.text_out),
        audio_out: add(one.audio_out, other.audio_out),
        unknown_out: add(one.unknown_out, other.unknown_out),
    }
}

//! Answer by answer: each of ours beside the provider's row of the same name.

use super::rows::ResponseRow;
use super::{Answer, Compared, Difference, Differing};
use crate::units::Usd;
use std::collections::BTreeMap;

/// Compares rows with answers. Those `expected` must have a row; a row may also be of another answer among `all`, on another day.
pub fn responses(
    rows: &[ResponseRow],
    all: &[Answer],
    expected: impl Fn(&Answer) -> bool,
) -> Compared {
    let mut ours: BTreeMap<&str, &Answer> = BTreeMap::new();
    for answer in all.iter().filter(|answer| !answer.response.is_empty()) {
        ours.insert(&answer.response, answer);
    }
    let mut theirs: BTreeMap<&str, &ResponseRow> = BTreeMap::new();
    let mut compared = Compared::default();
    for row in rows {
        if theirs.insert(&row.response, row).is_some() {
            let call = ours.get(row.response.as_str());
            compared.differing.push(Differing {
                call: call.map_or_else(String::new, |answer| answer.call.clone()),
                part: row.response.clone(),
                what: "is listed twice".to_string(),
                theirs: "2 rows".to_string(),
                ours: "1 answer".to_string(),
                difference: row.cost.map(|cost| Difference::of(cost, Usd::ZERO)),
            });
        }
    }
    for (name, row) in &theirs {
        match ours.get(name) {
            None => compared.differing.push(unknown(row)),
            Some(answer) if expected(answer) => {
                compared.theirs += 1;
                compared.differing.extend(beside(row, answer));
            }
            Some(_) => compared.left_out += 1,
        }
    }
    for answer in all.iter().filter(|answer| expected(answer)) {
        compared.ours += 1;
        if !theirs.contains_key(answer.response.as_str()) {
            compared.differing.push(unlisted(answer));
        }
    }
    compared
        .differing
        .sort_by(|one, other| (&one.call, &one.part).cmp(&(&other.call, &other.part)));
    compared
}

fn part(answer: &Answer) -> String {
    format!("answer {} {}", answer.turn, answer.response)
        .trim_end()
        .to_string()
}

fn unknown(row: &ResponseRow) -> Differing {
    let written = row.tokens.output.or(row.tokens.audio_out);
    let read = row.tokens.input.or(row.tokens.audio_in);
    let told = |count: Option<u64>| count.map_or_else(|| "?".to_string(), |n| n.to_string());
    Differing {
        call: String::new(),
        part: row.response.clone(),
        what: "is in no call of ours".to_string(),
        theirs: format!("{} read, {} written", told(read), told(written)),
        ours: "nothing".to_string(),
        difference: row.cost.map(|cost| Difference::of(cost, Usd::ZERO)),
    }
}

fn unlisted(answer: &Answer) -> Differing {
    let what = match answer.usage {
        Some(_) => "is not listed by the provider",
        None => "was charged at its bound, and is not listed",
    };
    Differing {
        call: answer.call.clone(),
        part: part(answer),
        what: what.to_string(),
        theirs: "nothing".to_string(),
        ours: format!("{} USD", answer.cost),
        difference: Some(Difference::of(Usd::ZERO, answer.cost)),
    }
}

fn beside(row: &ResponseRow, answer: &Answer) -> Option<Differing> {
    let ours = answer.usage.unwrap_or_default();
    let usage = row.tokens.usage(&ours);
    let computed = answer.price.map(|price| price.cost(&usage));
    let theirs = row.cost.or(computed);
    let difference = theirs.map(|theirs| Difference::of(theirs, answer.cost));
    let differing = |what: String, theirs: String, ours: String| Differing {
        call: answer.call.clone(),
        part: part(answer),
        what,
        theirs,
        ours,
        difference,
    };
    if answer.usage.is_none() {
        let theirs = theirs.map_or_else(|| "a report".to_string(), |cost| format!("{cost} USD"));
        let what = "was charged at its bound, and is listed".to_string();
        return Some(differing(what, theirs, format!("{} USD", answer.cost)));
    }
    if let Some((what, theirs, ours)) = row.tokens.differing(&ours) {
        return Some(differing(what, theirs, ours));
    }
    let cost = row.cost.filter(|cost| *cost != answer.cost)?;
    Some(differing(
        "dollars".to_string(),
        cost.to_string(),
        answer.cost.to_string(),
    ))
}

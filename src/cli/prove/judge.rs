//! Whether a call went as it should: as its scenario expects, and as was promised of every call.

use super::Outcome;
use crate::call::record::{Fact, What};
use crate::sim::phone::Ending;
use crate::sim::scenario::{Expect, Scenario};
use crate::units::Usd;
use std::ops::RangeInclusive;

/// Every expectation of the scenario that was not met: its line, what was expected, and what was.
pub fn judge(scenario: &Scenario, outcome: &Outcome) -> Vec<String> {
    let expected = scenario.expect.iter();
    expected
        .filter_map(|expected| {
            let told = unmet(&expected.what, outcome)?;
            Some(format!("line {}: {told}", expected.line))
        })
        .collect()
}

/// What is wrong with a call whatever it was about: with an honest provider, none of this may ever happen.
pub fn broken_promises(outcome: &Outcome) -> Vec<String> {
    let mut broken = outcome.broken.clone();
    let spent = outcome.spent();
    let mut must = |holds: bool, told: String| {
        if !holds {
            broken.push(told);
        }
    };
    let recorded: Usd = outcome.facts.iter().map(|fact| fact.what.cost()).sum();
    must(
        recorded == spent,
        format!("the facts add up to ${recorded}, and the call cost ${spent}"),
    );
    must(
        spent <= outcome.allowed(),
        format!(
            "the call cost ${spent}, with a cap of ${}",
            outcome.allowed()
        ),
    );
    if let Some(summary) = outcome.summary() {
        let (settled, billed) = (outcome.settled, outcome.billed());
        must(
            settled == Some(spent),
            format!("the budgets were told {settled:?}, and the call cost ${spent}"),
        );
        let (took, tools) = (outcome.took, summary.cost.tools);
        must(
            took.tools <= tools,
            format!("functions took ${}, and we counted ${tools}", took.tools),
        );
        let counted = summary.cost.model.plus(summary.cost.transcription);
        must(
            billed <= counted,
            format!("the model bills ${billed}, and we counted ${counted}"),
        );
        let (carrier, counted) = (outcome.phone.billed_minutes, summary.minutes);
        must(
            carrier <= counted,
            format!("the carrier bills {carrier} minutes, and we counted {counted}"),
        );
    } else {
        must(
            outcome.facts.is_empty() && outcome.billed().is_zero(),
            "the call began and never ended".to_string(),
        );
    }
    for violation in &outcome.phone.violations {
        must(false, format!("the carrier complains: {violation}"));
    }
    broken
}

/// What happened, in words that must be the same in virtual time and over sockets: every fact but those that come at a time of their
/// own, so that a few milliseconds can move, add or leave them out. Those are the moment when the model is ready, transcriptions, minutes,
/// and what was never reported.
pub fn course(outcome: &Outcome) -> Vec<String> {
    let in_words = |fact: &Fact| {
        let word = fact.what.word();
        match &fact.what {
            What::Ready
            | What::Asked { .. }
            | What::Listening
            | What::Transcribed { .. }
            | What::Minute { .. }
            | What::Unreported { .. } => None,
            What::Warned(cause) | What::WrappingUp(cause) => {
                Some(format!("{word} {}", cause.word()))
            }
            What::Turn(turn) if turn.goodbye => Some(format!("{word} goodbye")),
            What::Complained(code) => Some(format!("{word} {}", code.as_str())),
            What::Ended(summary) => {
                let ending = summary.ending.map(|ending| {
                    let cause = ending.cause().unwrap_or("");
                    format!("{} {cause}", ending.word())
                });
                Some(format!("{word} {}", ending.unwrap_or_default()))
            }
            _ => Some(word.to_string()),
        }
    };
    outcome.facts.iter().filter_map(in_words).collect()
}

/// `None` when it was met.
fn unmet(expect: &Expect, outcome: &Outcome) -> Option<String> {
    let summary = outcome.summary();
    let phone = &outcome.phone;
    let ending = summary.and_then(|summary| summary.ending);
    match expect {
        Expect::Ending(wanted) => {
            let rejected = (phone.ending == Some(Ending::Rejected)).then_some("refused");
            let got = ending.map(|ending| ending.word()).or(rejected);
            differs("ending", wanted, got.unwrap_or("nothing"))
        }
        Expect::Cause(wanted) => {
            let got = ending.and_then(|ending| ending.cause());
            differs("cause", wanted, got.unwrap_or("none"))
        }
        Expect::Turns(wanted) => {
            let got = summary.map_or(0, |summary| summary.turns.into());
            outside("turns", wanted, got, "")
        }
        Expect::Interruptions(wanted) => {
            let got = summary.map_or(0, |summary| summary.interruptions.into());
            outside("interruptions", wanted, got, "")
        }
        Expect::Minutes(wanted) => outside("minutes", wanted, phone.billed_minutes, ""),
        Expect::DurationMs(wanted) => outside("duration", wanted, phone.duration_ms, " ms"),
        Expect::SpentAtMost(most) => {
            let got = outcome.spent();
            (got > *most).then(|| format!("spent: expected at most ${most}, got ${got}"))
        }
        Expect::Heard(wanted) => {
            let word = |heard| if heard { "something" } else { "nothing" };
            let got = phone.first_heard_ms.is_some();
            differs("heard", word(*wanted), word(got))
        }
        Expect::Said(None) => {
            let said = phone.says.first()?;
            Some(format!("said: expected nothing, got {said:?}"))
        }
        Expect::Said(Some(words)) => {
            let said = phone.says.iter().any(|said| said.contains(words));
            (!said).then(|| format!("said: expected {words:?}, got {:?}", phone.says))
        }
        Expect::Facts(wanted) => {
            let got: Vec<&str> = outcome.facts.iter().map(|fact| fact.what.word()).collect();
            let mut rest = got.iter();
            let missing = wanted
                .iter()
                .find(|wanted| !rest.any(|got| got == wanted))?;
            Some(format!(
                "facts: expected {}, got {}: no `{missing}` in its place",
                wanted.join(" "),
                got.join(" ")
            ))
        }
    }
}

fn differs(what: &str, wanted: &str, got: &str) -> Option<String> {
    (wanted != got).then(|| format!("{what}: expected {wanted}, got {got}"))
}

fn outside(what: &str, wanted: &RangeInclusive<u64>, got: u64, unit: &str) -> Option<String> {
    let (least, most) = (wanted.start(), wanted.end());
    (!wanted.contains(&got))
        .then(|| format!("{what}: expected {least}{unit} to {most}{unit}, got {got}{unit}"))
}

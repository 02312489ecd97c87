//! What many calls came to: the worst of each hazard, and the sums.
//!
//! The judge is not our own count but the other sides': the simulated model's invoice, the minutes the phone was connected and the
//! sentences the carrier said, at their prices. Amounts are compared to the nano-dollar, and a difference has a sign.

use super::draw::Drawn;
use super::hazards::Hazard;
use super::judge::broken_promises;
use super::{Outcome, crowd};
use crate::call::record::{Cause, Ending, Fact, Goodbye, What};
use crate::pricing::PriceBook;
use crate::sim::phone;
use crate::units::Usd;
use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// So many failures are told; the others are counted.
const MOST_TOLD: usize = 20;

/// What one call came to.
#[derive(Clone, Debug)]
pub struct Seen {
    /// What was billed beyond the cap, in nano-dollars; negative: below it.
    pub over_cap: i64,
    /// What was billed beyond what we charged, in nano-dollars.
    pub over_charged: i64,
    /// Of a call that the cap on spend ended: how much of the cap was charged, in thousandths.
    pub used: Option<u64>,
    /// Who said the last words, or why nobody did.
    pub goodbye: Result<Goodbye, String>,
    /// Answers reported until something was noticed: a broken bound, or a model that counts as lost.
    pub noticed: Option<u32>,
    /// How long the line was open, in milliseconds.
    pub lasted_ms: u64,
    /// Whether it was turned away before it was answered.
    pub refused: bool,
    /// Of a call that was wound up while the caller stayed: whether the model's goodbye was heard whole, or what became of it.
    pub farewell: Option<Result<(), String>>,
    /// What happened besides talking, in words.
    pub happened: Vec<String>,
    /// What was promised of every call and did not hold, in words.
    pub broken: Vec<String>,
}

/// Makes one call and judges it; of a crowd, each of its calls.
///
/// # Errors
/// A call that could not be made, never ended or panicked.
pub fn see(hazard: &Hazard, book: &PriceBook, seed: u64) -> Result<Vec<Seen>, String> {
    let made = catch_unwind(AssertUnwindSafe(|| {
        if hazard.crowd {
            return crowd::see(hazard, book, seed);
        }
        let drawn = Drawn::new(hazard, book, seed)?;
        let (minute, say) = (drawn.minute, drawn.say);
        let mut seen = seen(&drawn.make()?, minute, say);
        if seen.refused {
            seen.broken.push("the call was refused".to_string());
        }
        Ok::<_, String>(vec![seen])
    }));
    made.unwrap_or_else(|_| Err("it panicked".to_string()))
}

/// What the carrier bills for a call at these prices of a started minute and of a sentence.
pub(super) fn carrier_bill(phone: &phone::Report, minute: Usd, say: Usd) -> Usd {
    let sentences = u64::try_from(phone.says.len()).unwrap_or(u64::MAX);
    minute
        .times(phone.billed_minutes)
        .plus(say.times(sentences))
}

/// Judges a call whose carrier takes so much for a started minute and for a sentence.
pub(super) fn seen(outcome: &Outcome, minute: Usd, say: Usd) -> Seen {
    let phone = &outcome.phone;
    let took = outcome.took;
    let beside = (took.tools)
        .plus(took.other_line)
        .plus(say.times(took.sentences));
    let invoice = outcome
        .billed()
        .plus(carrier_bill(phone, minute, say))
        .plus(beside);
    let charged = outcome.settled.unwrap_or(Usd::ZERO);
    let ending = outcome.summary().and_then(|summary| summary.ending);
    let by_spend = ending.is_some_and(|ending| {
        matches!(
            ending,
            Ending::SaidGoodbye(Cause::Spend) | Ending::CutOff(Cause::Spend)
        )
    });
    let mut broken = broken_promises(outcome);
    broken.extend(unheard(outcome));
    Seen {
        over_cap: difference(invoice, outcome.allowed()),
        over_charged: difference(invoice, charged),
        used: (charged.nanos().saturating_mul(1_000))
            .checked_div(outcome.cap.nanos())
            .filter(|_| by_spend),
        goodbye: last_words(outcome),
        noticed: noticed(outcome),
        lasted_ms: phone.duration_ms,
        refused: outcome.facts.is_empty(),
        farewell: farewell(outcome),
        happened: outcome.facts.iter().filter_map(beyond_talk).collect(),
        broken,
    }
}

/// What shows that a hazard was really met: one that nobody meets proves nothing.
fn beyond_talk(fact: &Fact) -> Option<String> {
    let word = fact.what.word();
    match &fact.what {
        What::Renewed { why, .. } => Some(format!("{word} {}", why.word())),
        What::Tool { outcome, .. } => Some(format!("{word} {}", outcome.word())),
        What::Ended(summary) if summary.ending == Some(Ending::AgentHungUp) => {
            Some("agent-hung-up".to_string())
        }
        What::Overheard
        | What::Held(_)
        | What::Resumed { .. }
        | What::Transferring { .. }
        | What::Transferred
        | What::NotTransferred
        | What::Leg { .. }
        | What::ModelLost(_) => Some(word.to_string()),
        _ => None,
    }
}

/// `a - b` in nano-dollars.
pub fn difference(a: Usd, b: Usd) -> i64 {
    let whole = |amount: Usd| i64::try_from(amount.nanos()).unwrap_or(i64::MAX);
    whole(a.less(b)) - whole(b.less(a))
}

fn last_words(outcome: &Outcome) -> Result<Goodbye, String> {
    let Some(summary) = outcome.summary() else {
        return Err("refused".to_string());
    };
    match (summary.goodbye, summary.ending) {
        (Goodbye::None, Some(ending)) => {
            let cause = ending.cause().map(|cause| format!(" {cause}"));
            Err(ending.word().to_string() + &cause.unwrap_or_default())
        }
        (Goodbye::None, None) => Err("no ending".to_string()),
        (said, _) => Ok(said),
    }
}

/// A goodbye that is said to have been heard, and was not.
fn unheard(outcome: &Outcome) -> Option<String> {
    let phone = &outcome.phone;
    let heard = match outcome.summary()?.goodbye {
        Goodbye::Model => phone
            .stretches
            .last()
            .is_some_and(|last| last.played == last.sent && !last.cut),
        Goodbye::Carrier => {
            !phone.says.is_empty() || phone.ending == Some(phone::Ending::CallerHungUp)
        }
        Goodbye::None => true,
    };
    (!heard).then(|| "the goodbye was not heard whole".to_string())
}

/// Whether the model's goodbye was heard whole, of a call that was wound up and whose caller was still there at its end.
fn farewell(outcome: &Outcome) -> Option<Result<(), String>> {
    let wound_up = |fact: &Fact| matches!(fact.what, What::WrappingUp(_));
    let left = outcome.phone.ending == Some(phone::Ending::CallerHungUp);
    if left || !outcome.facts.iter().any(wound_up) {
        return None;
    }
    Some(match last_words(outcome) {
        Ok(Goodbye::Model) if unheard(outcome).is_none() => Ok(()),
        Ok(Goodbye::Model) => Err("cut".to_string()),
        Ok(_) => Err("the carrier's sentence".to_string()),
        Err(why) => Err(why),
    })
}

fn noticed(outcome: &Outcome) -> Option<u32> {
    let mut turns = 0;
    for fact in &outcome.facts {
        match fact.what {
            What::Turn(_) => turns += 1,
            What::BoundBroken { .. } | What::ModelLost(_) => return Some(turns),
            _ => {}
        }
    }
    None
}

/// Everything that calls of one hazard came to.
#[derive(Clone, Debug, Default)]
pub struct Tally {
    /// Calls made.
    pub calls: u64,
    /// How long their lines were open, in milliseconds.
    pub lasted_ms: u64,
    /// The largest [`Seen::over_cap`]; `None`: no call came to an end.
    pub over_cap: Option<i64>,
    /// The largest [`Seen::over_charged`].
    pub over_charged: Option<i64>,
    /// Calls that cost more than their cap.
    pub dearer: u64,
    /// Calls that were charged less than they cost.
    pub undercharged: u64,
    /// Calls of which something promised did not hold.
    pub broken: u64,
    /// What became of the goodbyes of calls that were wound up.
    pub farewells: Farewells,
    /// What happened besides talking, with how often.
    pub happened: BTreeMap<String, u64>,
    used: Vec<u64>,
    model: u64,
    carrier: u64,
    none: BTreeMap<String, u64>,
    noticed: Vec<u32>,
    failures: BTreeMap<u64, String>,
}

/// What became of the goodbyes of calls that were wound up while the caller stayed.
#[derive(Clone, Debug, Default)]
pub struct Farewells {
    /// The model's, heard whole.
    pub heard: u64,
    /// Anything else, with how often.
    pub others: BTreeMap<String, u64>,
}

/// So many of a thousand goodbyes must be heard whole.
const WHOLE_PERMILLE: u64 = 999;

/// With fewer calls than these, one that was not heard would say nothing.
const ENOUGH: u64 = 1_000;

impl Farewells {
    /// Adds what was counted elsewhere.
    pub fn merge(&mut self, other: Farewells) {
        self.heard += other.heard;
        for (why, count) in other.others {
            *self.others.entry(why).or_default() += count;
        }
    }

    /// Calls that were wound up.
    pub fn calls(&self) -> u64 {
        self.heard + self.others.values().sum::<u64>()
    }

    /// Whether enough were heard whole, or there are too few calls to tell.
    pub fn is_kept(&self) -> bool {
        let calls = self.calls();
        calls < ENOUGH || self.heard * 1_000 >= calls * WHOLE_PERMILLE
    }

    /// All of it in words.
    pub fn told(&self) -> String {
        let (heard, calls) = (self.heard, self.calls());
        // Rounded down: 99.9 % is not what a hair less is.
        let part = heard * 100_000 / calls.max(1);
        let verdict = match (self.is_kept(), calls < ENOUGH) {
            (_, true) => "too few to tell",
            (true, _) => "kept",
            (false, _) => "NOT KEPT",
        };
        let others = self.others.iter();
        let others: Vec<String> = others
            .map(|(why, count)| format!("{why} {count}"))
            .collect();
        let others = match others.is_empty() {
            true => String::new(),
            false => format!("; the others: {}", others.join(", ")),
        };
        format!(
            "goodbyes heard whole, of calls that were wound up while the caller stayed and the model serves goodbyes:\n  {heard} of {calls}, {}.{:03} % (99.9 % at the least: {verdict}){others}",
            part / 1_000,
            part % 1_000
        )
    }
}

impl Tally {
    /// Counts the calls of one seed.
    pub fn add(&mut self, seed: u64, calls: Result<Vec<Seen>, String>) {
        match calls {
            Ok(calls) => calls.into_iter().for_each(|seen| self.add_seen(seed, seen)),
            Err(why) => {
                self.calls += 1;
                self.broken += 1;
                self.fail(seed, why);
            }
        }
    }

    fn add_seen(&mut self, seed: u64, seen: Seen) {
        self.calls += 1;
        match seen.farewell {
            Some(Ok(())) => self.farewells.heard += 1,
            Some(Err(why)) => *self.farewells.others.entry(why).or_default() += 1,
            None => {}
        }
        self.lasted_ms += seen.lasted_ms;
        if !seen.refused {
            self.over_cap = self.over_cap.max(Some(seen.over_cap));
            self.over_charged = self.over_charged.max(Some(seen.over_charged));
        }
        for word in seen.happened {
            *self.happened.entry(word).or_default() += 1;
        }
        self.used.extend(seen.used);
        self.noticed.extend(seen.noticed);
        match seen.goodbye {
            Ok(Goodbye::Model) => self.model += 1,
            Ok(_) => self.carrier += 1,
            Err(reason) => *self.none.entry(reason).or_default() += 1,
        }
        let mut told = seen.broken;
        self.broken += u64::from(!told.is_empty());
        if seen.over_cap > 0 {
            self.dearer += 1;
            told.push(format!("{} nano-dollars above the cap", seen.over_cap));
        }
        if seen.over_charged > 0 {
            self.undercharged += 1;
            told.push(format!("{} nano-dollars uncharged", seen.over_charged));
        }
        if !told.is_empty() {
            self.fail(seed, told.join("; "));
        }
    }

    fn fail(&mut self, seed: u64, why: String) {
        self.failures.entry(seed).or_insert(why);
        if self.failures.len() > MOST_TOLD {
            self.failures.pop_last();
        }
    }

    /// Adds what another worker has counted.
    pub fn merge(&mut self, other: Tally) {
        self.calls += other.calls;
        self.lasted_ms += other.lasted_ms;
        self.farewells.merge(other.farewells);
        self.over_cap = self.over_cap.max(other.over_cap);
        self.over_charged = self.over_charged.max(other.over_charged);
        self.dearer += other.dearer;
        self.undercharged += other.undercharged;
        self.broken += other.broken;
        for (word, count) in other.happened {
            *self.happened.entry(word).or_default() += count;
        }
        self.used.extend(other.used);
        self.model += other.model;
        self.carrier += other.carrier;
        self.noticed.extend(other.noticed);
        for (reason, count) in other.none {
            *self.none.entry(reason).or_default() += count;
        }
        for (seed, why) in other.failures {
            self.fail(seed, why);
        }
    }

    /// Whether nothing was promised that did not hold.
    pub fn is_kept(&self) -> bool {
        self.dearer == 0 && self.undercharged == 0 && self.broken == 0
    }

    /// The first failures by seed, in words.
    pub fn failures(&self) -> impl Iterator<Item = (u64, &str)> {
        self.failures
            .iter()
            .map(|(seed, why)| (*seed, why.as_str()))
    }

    /// What stands above the first table.
    pub fn heads() -> String {
        format!(
            "{:<22}{:>7}{:>15}{:>15}{:>8}{:>6}{:>7}{:>8}{:>6}{:>8}",
            "scenario",
            "calls",
            "invoice-cap",
            "inv-charged",
            "used",
            "of",
            "model",
            "carrier",
            "none",
            "broken"
        )
    }

    /// The line of the first table.
    pub fn row(&self, name: &str) -> String {
        let mut used = self.used.clone();
        let used = median(&mut used).map_or("-".to_string(), |permille| {
            format!("{}.{}%", permille / 10, permille % 10)
        });
        let none: u64 = self.none.values().sum();
        format!(
            "{name:<22}{:>7}{:>15}{:>15}{used:>8}{:>6}{:>7}{:>8}{none:>6}{:>8}",
            self.calls,
            signed(self.over_cap),
            signed(self.over_charged),
            self.used.len(),
            self.model,
            self.carrier,
            self.broken,
        )
    }

    /// The line of the second table.
    pub fn broken_row(&self, name: &str) -> String {
        let mut noticed = self.noticed.clone();
        let worst = noticed.iter().max().copied();
        let told = |count: Option<u32>| count.map_or("-".to_string(), |count| count.to_string());
        let beyond = |worst: Option<i64>| {
            let nanos = worst.and_then(|worst| u64::try_from(worst).ok());
            Usd::from_nanos(nanos.unwrap_or(0)).to_string()
        };
        format!(
            "{name:<22}{:>7}{:>9}{:>8}{:>7}{:>11}{:>14}{:>13}{:>14}",
            self.calls,
            self.noticed.len(),
            told(median(&mut noticed)),
            told(worst),
            self.dearer,
            beyond(self.over_cap),
            self.undercharged,
            beyond(self.over_charged),
        )
    }

    /// Why there was no goodbye, with how often.
    pub fn silences(&self) -> impl Iterator<Item = (&str, u64)> {
        self.none.iter().map(|(why, count)| (why.as_str(), *count))
    }
}

fn signed(nanos: Option<i64>) -> String {
    nanos.map_or("-".to_string(), |nanos| nanos.to_string())
}

fn median<T: Ord + Copy>(all: &mut [T]) -> Option<T> {
    all.sort_unstable();
    all.get(all.len() / 2).copied()
}

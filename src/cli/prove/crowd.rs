//! Many calls at once on budgets that are far too small for all of them.
//!
//! Each call keeps its own cap, and still their sum could be anything. What the budgets of a day, of an agent and of a caller promise
//! is that no two calls are granted the same dollar; here they try to be, event by event, with models and callers of every kind.

use super::Outcome;
use super::draw::{Lot, between, pick};
use super::hazards::{HAZARDS, Hazard};
use super::stage::Stage;
use super::tally::{Seen, carrier_bill, seen};
use crate::budget;
use crate::pricing::PriceBook;
use crate::units::Usd;
use std::collections::BTreeMap;

/// Calls of a crowd, at the least and at the most.
const CALLS: (u64, u64) = (5, 40);

/// How many calls a crowd has, about; what a share of all calls is divided by.
pub const ABOUT: u64 = 20;

/// Within so many milliseconds all of them have rung.
const ALL_RUNG_MS: u64 = 40_000;

/// Makes the calls of one crowd and judges each, and all of them together.
///
/// # Errors
/// A crowd that could not be drawn, or a call that never ends.
pub fn see(hazard: &Hazard, book: &PriceBook, seed: u64) -> Result<Vec<Seen>, String> {
    let mut lot = Lot::new(hazard, book, seed, None)?;
    let count = CALLS.0 + lot.dice.up_to(CALLS.1 - CALLS.0);
    let half = Usd::from_nanos(lot.cap.nanos() * count / 2);
    for purse in purses(&mut lot.settings.budget) {
        // One that is large enough leaves the others to be the small one.
        if lot.dice.up_to(1) == 0 {
            *purse = between(&mut lot.dice, lot.smallest, half.max(lot.smallest));
        }
    }
    let limits = lot.settings.budget.clone();
    let callers = 1 + lot.dice.up_to(count - 1);
    let manners: Vec<_> = (HAZARDS.iter())
        .filter(|hazard| !hazard.breaks && !hazard.crowd)
        .collect();
    let mut roles = Vec::new();
    for number in 0..count {
        let own = manners[pick(&mut lot.dice, manners.len())];
        let mut phone = Stage::phone(number + 1);
        phone.seed = lot.dice.roll() >> 32;
        phone.from = format!("+1415555{:04}", 1 + lot.dice.up_to(callers - 1));
        let rings_ms = lot.dice.up_to(ALL_RUNG_MS);
        roles.push(lot.role(own, phone, rings_ms)?);
    }
    let from: Vec<String> = roles.iter().map(|role| role.phone.from.clone()).collect();
    let stage = Stage::of(lot.settings)?;
    let outcomes = stage.call_all(roles)?;
    let mut all: Vec<Seen> = (outcomes.iter())
        .map(|outcome| seen(outcome, lot.minute, lot.say))
        .collect();
    let bill = |outcome: &Outcome| {
        outcome
            .billed()
            .plus(carrier_bill(&outcome.phone, lot.minute, lot.say))
    };
    let bills: Vec<Usd> = outcomes.iter().map(bill).collect();
    let settled: Vec<Usd> = outcomes
        .iter()
        .filter_map(|outcome| outcome.settled)
        .collect();
    let mut wrong = over_budget(&limits, &from, &bills);
    let (spent, sum) = (stage.budget().spent(), settled.into_iter().sum::<Usd>());
    if spent != sum {
        wrong.push(format!(
            "the budgets were charged ${spent}, and the calls cost ${sum}"
        ));
    }
    let reserved = stage.budget().reserved();
    if !reserved.is_zero() {
        wrong.push(format!(
            "${reserved} is still reserved when all calls are over"
        ));
    }
    if let Some(first) = all.first_mut() {
        first.broken.extend(wrong);
    }
    Ok(all)
}

/// The budgets of a day, of an agent and of a caller.
fn purses(budget: &mut budget::Settings) -> [&mut Usd; 3] {
    let budget::Settings {
        day,
        agent_day,
        caller_day,
        ..
    } = budget;
    [day, agent_day, caller_day]
}

/// Every budget that was billed more than it holds. There is one agent.
fn over_budget(limits: &budget::Settings, from: &[String], bills: &[Usd]) -> Vec<String> {
    let mut wrong = Vec::new();
    let mut hold = |what: &str, billed: Usd, limit: Usd| {
        if billed > limit {
            wrong.push(format!(
                "{what}: ${billed} was billed, with a budget of ${limit}"
            ));
        }
    };
    let sum: Usd = bills.iter().copied().sum();
    hold("the day", sum, limits.day);
    hold("the agent", sum, limits.agent_day);
    let mut callers: BTreeMap<&String, Usd> = BTreeMap::new();
    for (from, billed) in from.iter().zip(bills) {
        let caller = callers.entry(from).or_default();
        *caller = caller.plus(*billed);
    }
    for billed in callers.into_values() {
        hold("a caller", billed, limits.caller_day);
    }
    wrong
}

/// How large a share of so many calls is, in crowds.
pub fn crowds(calls: u64) -> u64 {
    calls.div_ceil(ABOUT)
}

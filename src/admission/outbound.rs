//! May this call be placed?
//!
//! Whoever can make a server dial can spend its money on the number of their choice, so the answer is no until somebody has written
//! down where it may dial and what a minute there costs. After that a call that goes out is admitted like one that comes in: the same
//! lines, the same budgets, the same rate, which counts the one who is called.

use super::{Admission, Admitted, Agent, Slot, new_call_id, unix_s};
use crate::call::Ticket;
use crate::call::rules::Rules;
use crate::units::{Phone, Usd};
use std::sync::Arc;

/// A call that somebody wants placed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wish {
    /// Who is to talk.
    pub agent: String,
    /// Who is to be called.
    pub to: Phone,
    /// Whose number they are to see: one of the agent's own; its first, unless it says.
    pub from: Option<Phone>,
}

/// A call that may be placed.
#[derive(Debug)]
pub struct Placeable {
    /// As for a call that comes in; the account is that of the one who is called.
    pub admitted: Admitted,
    /// Whose number they see.
    pub from: Phone,
    /// The carrier listens who answers, for a fee that is part of the call.
    pub detects: bool,
}

/// Why a call is not placed. Nothing has been dialled or spent then.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Undialled {
    /// The number is no international number.
    NotANumber,
    /// There is no such agent.
    NoSuchAgent(String),
    /// The caller's number is not the agent's.
    NotItsNumber(String),
    /// The agent has no number of its own that could be shown.
    NoNumber(String),
    /// Nobody has allowed numbers that begin like this.
    NotAllowed,
    /// Nobody has named a price for numbers that begin like this.
    Unpriced,
    /// The agent's cap does not pay for the smallest talk at the price of this number: what it would take.
    TooDear(Usd),
    /// The server is shutting down.
    Draining,
    /// This number was called too often within an hour.
    TooOften,
    /// All lines are taken.
    Busy,
    /// A budget of today has too little left.
    OverBudget,
}

impl Undialled {
    /// The word for it in logs and metrics.
    pub fn word(&self) -> &'static str {
        match self {
            Undialled::NotANumber => "not-a-number",
            Undialled::NoSuchAgent(_) => "no-such-agent",
            Undialled::NotItsNumber(_) => "not-its-number",
            Undialled::NoNumber(_) => "no-number",
            Undialled::NotAllowed => "not-allowed",
            Undialled::Unpriced => "unpriced",
            Undialled::TooDear(_) => "too-dear",
            Undialled::Draining => "draining",
            Undialled::TooOften => "too-often",
            Undialled::Busy => "busy",
            Undialled::OverBudget => "over-budget",
        }
    }

    /// What is wrong, and what to do about it, for whoever wanted the call.
    pub fn words(&self) -> (String, String) {
        let (error, fix) = match self {
            Undialled::NotANumber => (
                "`to` is not a number in the international form".to_string(),
                "write it as +14155550123: a plus, the country, the number, digits only".to_string(),
            ),
            Undialled::NoSuchAgent(name) => (
                format!("there is no agent {name:?}"),
                "name one of the [agent.*] of the configuration".to_string(),
            ),
            Undialled::NotItsNumber(agent) => (
                format!("`from` is not a number of {agent}'s"),
                format!("use one of [agent.{agent}] numbers, or leave `from` out"),
            ),
            Undialled::NoNumber(agent) => (
                format!("{agent} has no number of its own that could be shown"),
                format!("add one to [agent.{agent}] numbers, or name one in `from`"),
            ),
            Undialled::NotAllowed => (
                "calls to this number are not allowed".to_string(),
                "add what it begins with to [limits] dial_prefixes; islands, Alaska, Hawaii and premium numbers of +1 must be written out".to_string(),
            ),
            Undialled::Unpriced => (
                "nobody has named the price of a minute to this number".to_string(),
                "add what it begins with to [carrier.twilio.outbound_per_minute_usd]; islands, Alaska, Hawaii and premium numbers of +1 must be written out".to_string(),
            ),
            Undialled::TooDear(smallest) => (
                format!("the agent's cap does not pay for a greeting, one answer and a goodbye at the price of this number, {smallest} USD"),
                "raise the agent's cap.spend.end".to_string(),
            ),
            Undialled::Draining => (
                "the server is shutting down".to_string(),
                "try again when it is back".to_string(),
            ),
            Undialled::TooOften => (
                "this number was called too often within an hour".to_string(),
                "wait, or raise [limits] per_caller_per_hour".to_string(),
            ),
            Undialled::Busy => (
                "all lines are taken".to_string(),
                "wait, or raise [limits] calls".to_string(),
            ),
            Undialled::OverBudget => (
                "a budget of today has too little left for a greeting, an answer and a goodbye".to_string(),
                "wait for midnight UTC, or raise [budget]".to_string(),
            ),
        };
        (error, fix)
    }
}

impl Admission {
    /// Decides whether a call may be placed, and reserves what it needs before anybody is dialled.
    ///
    /// # Errors
    /// [`Undialled`] says why not; nothing is counted then but the attempt.
    pub fn dial(&self, wish: &Wish) -> Result<Placeable, Undialled> {
        if !wish.to.is_e164() {
            return Err(Undialled::NotANumber);
        }
        let named = |agent: &&Arc<Agent>| *agent.name == *wish.agent;
        let Some(agent) = self.agents.iter().find(named) else {
            return Err(Undialled::NoSuchAgent(wish.agent.clone()));
        };
        let from = shown(agent, wish.from.as_ref())?;
        if !self.limits.dial_prefixes.allows(&wish.to) {
            return Err(Undialled::NotAllowed);
        }
        let minute = self.outbound.minute(&wish.to).ok_or(Undialled::Unpriced)?;
        if self.is_draining() {
            return Err(Undialled::Draining);
        }
        let callee = self.salt.account(wish.to.reveal());
        if !self.may_call_again(&callee) {
            return Err(Undialled::TooOften);
        }
        let slot = Slot::take(&self.on_the_line, self.limits.calls).ok_or(Undialled::Busy)?;
        let model = agent.models.first().cloned();
        let model = model.ok_or_else(|| Undialled::NoSuchAgent(wish.agent.clone()))?;
        let fee = self.outbound.detection.unwrap_or_default();
        let rules = rules(&model.rules, minute, fee)?;
        let grant = self.first_part(&agent.name, &callee, &rules);
        let grant = grant.ok_or(Undialled::OverBudget)?;
        let ticket = Ticket {
            call: new_call_id(),
            rules: Arc::new(rules),
            others: agent.models[1..]
                .iter()
                .map(|other| Arc::new(priced(&other.rules, minute, fee)))
                .collect(),
            began_unix_s: unix_s(),
            granted: grant.amount(),
        };
        let admitted = Admitted {
            ticket,
            agent: agent.clone(),
            model,
            account: callee,
            grant,
            slot,
        };
        Ok(Placeable {
            admitted,
            from,
            detects: self.outbound.detection.is_some(),
        })
    }
}

/// The number that the one who is called will see.
fn shown(agent: &Agent, wanted: Option<&Phone>) -> Result<Phone, Undialled> {
    let name = || agent.name.to_string();
    let mut own = agent.numbers.iter().filter(|number| *number != "*");
    match wanted {
        None => (own.next())
            .map(|number| Phone::from(number.as_str()))
            .ok_or_else(|| Undialled::NoNumber(name())),
        Some(wanted) => {
            // Who answers every number has every number; the carrier refuses one that is not the account's.
            let is_any = wanted.is_e164() && agent.numbers.iter().any(|number| number == "*");
            match is_any || own.any(|number| number == wanted.reveal()) {
                true => Ok(wanted.clone()),
                false => Err(Undialled::NotItsNumber(name())),
            }
        }
    }
}

/// The same rules with minutes of this price, and this fee.
fn priced(usual: &Rules, minute: Usd, fee: Usd) -> Rules {
    Rules {
        minute,
        fee,
        ..usual.clone()
    }
}

/// What a call may do whose minutes cost this much, besides this fee.
fn rules(usual: &Rules, minute: Usd, fee: Usd) -> Result<Rules, Undialled> {
    let rules = priced(usual, minute, fee);
    let smallest = rules.smallest_cap();
    match smallest <= rules.spend.end {
        true => Ok(rules),
        false => Err(Undialled::TooDear(smallest)),
    }
}

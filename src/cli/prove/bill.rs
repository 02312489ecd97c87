//! What thirty minutes cost: the same conversation under every context policy, by the provider's own invoice.
//!
//! Every answer reads the conversation again, so how much of it a model is left with decides what a long call costs. Each policy that
//! an agent can be configured to is played in virtual time through the real core, once with the provider's cache and once without, and
//! the invoice is laid out minute by minute. A policy that forgets is cheap for nothing: so it is also counted how many of the turns
//! the model still has in words when the caller hangs up.

use super::command::in_parallel;
use super::stage::Stage;
use super::{Outcome, draw, judge};
use crate::call::record::What;
use crate::cli::world::{self, Plan};
use crate::sim::dice::Dice;
use crate::sim::phone::{Act, Step, When};
use crate::units::Usd;
use std::collections::BTreeMap;
use std::io::{self, Write};

/// How long the conversation is, in minutes.
pub const MINUTES: u64 = 30;

/// The first of the minutes that are compared with each other: by then every policy has found its way.
pub const SETTLED: usize = 10;

/// A turn of the caller begins so often, in milliseconds.
const TURN_MS: u64 = 12_000;

/// The caller and the agent each speak for so long of it: 35 parts in a hundred.
const SPEECH_MS: u64 = 4_200;

/// What the simulated model says in an answer of that length: a word for every four tokens of sound.
const ANSWER: &str = "You said: one two three four five six seven eight nine ten one two three four five six seven eight nine ten";

/// A minute in milliseconds.
const MINUTE_MS: u64 = 60_000;

/// How much of a conversation a model is left with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Policy {
    /// What it is called.
    pub name: &'static str,
    /// The settings that make it, as a plan has them.
    settings: &'static [(&'static str, &'static str)],
}

/// The policy of an agent whose settings say nothing about it.
pub const USUAL: &str = "words";

/// The policies; the first is the one that every other is held against, the last the one of an agent that says nothing.
pub const POLICIES: [Policy; 4] = [
    // A retention ratio of 0.8 is always asked for; at the older models' window it has nothing to do within thirty minutes.
    Policy {
        name: "untouched",
        settings: &[("edge.shrink", "false"), ("context_tokens", "28000")],
    },
    Policy {
        name: "limit of 2000",
        settings: &[("edge.shrink", "false"), ("context_tokens", "2000")],
    },
    Policy {
        name: "words within 2000",
        settings: &[("model.main.words_tokens", "0")],
    },
    Policy {
        name: USUAL,
        settings: &[],
    },
];

/// What one conversation came to.
#[derive(Clone, Debug)]
pub struct Bill {
    /// The policy.
    pub policy: &'static str,
    /// Whether the provider's cache was granted.
    pub cached: bool,
    /// What each minute cost: answers and transcription by the invoice, and the carrier.
    pub minutes: Vec<Usd>,
    /// Turns, the caller's and the agent's.
    pub turns: u64,
    /// Of those, the turns whose words the model had in the end.
    pub known: u64,
    /// How often old sound was replaced.
    pub replaced: u64,
    /// What went wrong.
    pub failures: Vec<String>,
}

impl Bill {
    /// What so many minutes cost.
    pub fn after(&self, minutes: usize) -> Usd {
        self.minutes.iter().take(minutes).copied().sum()
    }

    /// Of the minutes after the tenth: the cheapest, the mean, and the dearest.
    pub fn later(&self) -> (Usd, Usd, Usd) {
        let later = self.minutes.get(SETTLED..).unwrap_or_default();
        let all: Usd = later.iter().copied().sum();
        let mean = Usd::from_nanos(all.nanos() / later.len().max(1) as u64);
        let cheapest = later.iter().min().copied().unwrap_or_default();
        let dearest = later.iter().max().copied().unwrap_or_default();
        (cheapest, mean, dearest)
    }

    /// Whether the model had every word of the conversation in the end.
    pub fn is_whole(&self) -> bool {
        self.turns > 0 && self.known == self.turns
    }
}

/// Plays the conversation with this model under every policy, without the provider's cache and with it.
pub fn measure(model: &'static str) -> Vec<Bill> {
    let jobs: Vec<(Policy, bool)> = [false, true]
        .into_iter()
        .flat_map(|cached| POLICIES.map(|policy| (policy, cached)))
        .collect();
    let mut bills = in_parallel(jobs.len() as u64, |job| {
        let (policy, cached) = jobs[job as usize];
        (job, play(model, policy, cached))
    });
    bills.sort_by_key(|(job, _)| *job);
    bills.into_iter().map(|(_, bill)| bill).collect()
}

/// Whether nothing went wrong, and the policy of an agent that says nothing keeps every word and is the cheapest that does.
pub fn is_kept(bills: &[Bill]) -> bool {
    let total = |bill: &Bill| bill.after(MINUTES as usize);
    let is_cheapest = |usual: &Bill| {
        let rivals = bills.iter().filter(|bill| bill.cached == usual.cached);
        let mut whole = rivals.filter(|bill| bill.is_whole());
        usual.is_whole() && whole.all(|bill| total(usual) <= total(bill))
    };
    let mut usual = bills.iter().filter(|bill| bill.policy == USUAL);
    bills.iter().all(|bill| bill.failures.is_empty()) && usual.all(is_cheapest)
}

/// Plays the conversation once.
fn play(model: &str, policy: Policy, cached: bool) -> Bill {
    let bill = Bill {
        policy: policy.name,
        cached,
        minutes: Vec::new(),
        turns: 0,
        known: 0,
        replaced: 0,
        failures: Vec::new(),
    };
    match talk(model, policy, cached) {
        Ok(outcome) => billed(&outcome, bill),
        Err(why) => Bill {
            failures: vec![why],
            ..bill
        },
    }
}

fn plan(model: &str, policy: Policy) -> Plan {
    let instructions = "You answer the phone for Acme. Say that you are an automated assistant.";
    let settings = [
        ("model.main.model", model),
        ("instructions", instructions),
        // What the sound is turned into costs nothing.
        ("audio", "pcmu"),
        // Nothing but the caller ends it.
        ("cap.spend.warn", "200"),
        ("cap.spend.end", "201"),
        ("cap.duration.warn", "58m"),
        ("cap.duration.end", "59m"),
    ];
    let own = |(key, value): &(&str, &str)| ((*key).to_string(), (*value).to_string());
    Plan {
        settings: settings.iter().chain(policy.settings).map(own).collect(),
        ..Plan::default()
    }
}

fn talk(model: &str, policy: Policy, cached: bool) -> Result<Outcome, String> {
    let words = format!("diary latency=500ms answer={SPEECH_MS}ms greeting=3000ms");
    let mut setup = world::model_setup(&words)?;
    setup.cache = cached;
    let stage = Stage::new(&plan(model, policy))?;
    let mut phone = Stage::phone(1);
    phone.keep_sound = false;
    let mut dice = Dice::new(1);
    for turn in 0..MINUTES * MINUTE_MS / TURN_MS {
        // The greeting is over by then.
        let ms = 5_000 + turn * TURN_MS;
        phone.script.push(Step {
            when: When::At { ms },
            act: Act::Say(draw::speech(&mut dice, SPEECH_MS)),
        });
    }
    phone.script.push(Step {
        when: When::At {
            ms: MINUTES * MINUTE_MS - 1_000,
        },
        act: Act::HangUp,
    });
    stage.call_with(phone, setup)
}

/// Lays the invoice out minute by minute, and counts what the model knew in the end.
fn billed(outcome: &Outcome, mut bill: Bill) -> Bill {
    bill.failures = judge::broken_promises(outcome);
    let invoiced: BTreeMap<&str, u64> = (outcome.invoices.iter())
        .flat_map(|invoice| &invoice.responses)
        .map(|answer| (&*answer.response, answer.nanos))
        .collect();
    bill.minutes = vec![Usd::ZERO; MINUTES as usize];
    let (mut laid_out, mut carrier) = (Usd::ZERO, Usd::ZERO);
    for fact in &outcome.facts {
        let cost = match &fact.what {
            What::Turn(turn) => {
                let nanos = invoiced.get(turn.response.as_str());
                Usd::from_nanos(nanos.copied().unwrap_or(0))
            }
            What::Transcribed { cost, .. } => *cost,
            What::Minute { cost, .. } => {
                carrier = carrier.plus(*cost);
                *cost
            }
            What::Condensed { .. } => {
                bill.replaced += 1;
                continue;
            }
            _ => continue,
        };
        // What is reported after the caller has hung up belongs to the last minute.
        let minute = (fact.at.millis() / MINUTE_MS).min(MINUTES - 1);
        let sum = &mut bill.minutes[minute as usize];
        *sum = sum.plus(cost);
        laid_out = laid_out.plus(cost);
    }
    let billed = outcome.billed().plus(carrier);
    if laid_out != billed {
        let why = format!("${billed} was billed, and ${laid_out} found its minute");
        bill.failures.push(why);
    }
    let texts = outcome.remembered.join("\n");
    let turns: Vec<_> = (outcome.invoices.iter())
        .flat_map(|invoice| &invoice.transcriptions)
        .collect();
    let heard = turns.iter().filter(|turn| {
        let words = format!("The caller of {} counts one two", turn.item);
        texts.contains(&words)
    });
    bill.turns = 2 * turns.len() as u64;
    bill.known = (heard.count() + texts.matches(ANSWER).count()) as u64;
    bill
}

/// Writes both tables: minute by minute, and what it comes to.
///
/// # Errors
/// When `out` cannot be written to.
pub fn tell(model: &str, bills: &[Bill], out: &mut dyn Write) -> io::Result<()> {
    writeln!(
        out,
        "\n{MINUTES} minutes with {model}, list prices: a turn every {} s, caller and agent speak {} ms of it each. US dollars, rounded\n\
         up to a tenth of a cent, answers, transcription and carrier: what it has cost by then.\n",
        TURN_MS / 1_000,
        SPEECH_MS
    )?;
    write!(out, "{:<7}", "")?;
    for bill in bills {
        let cache = if bill.cached {
            "cached"
        } else {
            "never cached"
        };
        write!(out, "{cache:>18}")?;
    }
    write!(out, "\n{:<7}", "minute")?;
    for bill in bills {
        write!(out, "{:>18}", bill.policy)?;
    }
    writeln!(out)?;
    for minute in 1..=MINUTES as usize {
        write!(out, "{minute:>6} ")?;
        for bill in bills {
            write!(out, "{:>18}", shortly(bill.after(minute)))?;
        }
        writeln!(out)?;
    }
    writeln!(
        out,
        "\n{:<18}{:<14}{:>8}{:>11}{:>28}{:>10}{:>13}",
        "policy",
        "cache",
        "total",
        "untouched",
        "a minute after the tenth",
        "replaced",
        "turns known"
    )?;
    for bill in bills {
        let untouched = bills.iter().find(|other| other.cached == bill.cached);
        let untouched = untouched.map_or(Usd::ZERO, |other| other.after(MINUTES as usize));
        let total = bill.after(MINUTES as usize);
        let (cheapest, mean, dearest) = bill.later();
        let minutes = format!(
            "{} ({} to {})",
            shortly(mean),
            shortly(cheapest),
            shortly(dearest)
        );
        writeln!(
            out,
            "{:<18}{:<14}{:>8}{:>10}%{minutes:>28}{:>10}{:>13}",
            bill.policy,
            if bill.cached { "as it can" } else { "never" },
            shortly(total),
            total.nanos() * 100 / untouched.nanos().max(1),
            bill.replaced,
            format!("{}/{}", bill.known, bill.turns),
        )?;
        for failure in &bill.failures {
            writeln!(out, "  {failure}")?;
        }
    }
    Ok(())
}

/// Dollars to a tenth of a cent, rounded up.
fn shortly(amount: Usd) -> String {
    const MILL: u64 = 1_000_000;
    let mills = amount.nanos().div_ceil(MILL);
    format!("{}.{:03}", mills / 1_000, mills % 1_000)
}

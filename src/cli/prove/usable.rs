//! What a cap is good for: how much of it a caller gets before the goodbye, and for how long they can talk.
//!
//! A cap that is never exceeded is easily had by hanging up at once. So the same few cases are measured every time: an honest model,
//! the settings as they come, list prices, an ordinary talk, and nothing but the cap on spend to end it. What is wanted of each
//! stands beside what was measured.

use super::command::in_parallel;
use super::stage::Stage;
use super::{Outcome, draw};
use crate::call::record::{Cause, Ending, Goodbye, What};
use crate::cli::world::{self, Plan};
use crate::sim::dice::Dice;
use crate::sim::phone::{Act, Step, When};
use crate::units::Usd;
use std::io::{self, Write};

/// A turn of the caller begins so often, in milliseconds.
const TURN_MS: u64 = 12_000;

/// A caller and an agent each speak for so long of it: 35 parts in a hundred.
const SPEECH_MS: u64 = 4_200;

/// An answer that somebody has listened to is at least this long.
const LONG_ANSWER_MS: u64 = 10_000;

/// What is talked about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Talk {
    /// Turn by turn, until the money is used up.
    Ordinary,
    /// One question, and a model that answers at length; so many milliseconds of it must be heard.
    OneQuestion,
    /// So many answers, and then nothing is asked.
    Questions(u32),
}

/// What a case is wanted to reach.
#[derive(Clone, Copy, Debug, Default)]
struct Targets {
    /// The median share of the cap, in thousandths.
    share: Option<u64>,
    /// The median time until the goodbye, in milliseconds.
    lasts_ms: Option<u64>,
}

/// One line of the table, not yet measured.
struct Row {
    model: &'static str,
    cap_micros: u64,
    cached: bool,
    talk: Talk,
    targets: Targets,
}

const fn row(
    model: &'static str,
    cap_micros: u64,
    cached: bool,
    (share, lasts_ms): (Option<u64>, Option<u64>),
) -> Row {
    let targets = Targets { share, lasts_ms };
    Row {
        model,
        cap_micros,
        cached,
        talk: Talk::Ordinary,
        targets,
    }
}

const fn claim(model: &'static str, cap_micros: u64, talk: Talk) -> Row {
    Row {
        talk,
        ..row(model, cap_micros, true, (None, None))
    }
}

const LARGE: &str = "gpt-realtime-2.1";
const SMALL: &str = "gpt-realtime-2.1-mini";

/// The cases; those with the provider's cache first.
const ROWS: [Row; 10] = [
    row(LARGE, 250_000, true, (Some(800), None)),
    row(LARGE, 500_000, true, (Some(870), Some(270_000))),
    row(LARGE, 1_000_000, true, (Some(930), None)),
    row(SMALL, 250_000, true, (Some(880), None)),
    row(LARGE, 250_000, false, (None, None)),
    row(LARGE, 500_000, false, (None, Some(138_000))),
    row(LARGE, 1_000_000, false, (None, None)),
    row(SMALL, 250_000, false, (None, None)),
    claim(LARGE, 80_000, Talk::OneQuestion),
    claim(SMALL, 50_000, Talk::Questions(2)),
];

/// A cap that must be refused before anybody calls.
const REFUSED: (&str, u64) = (LARGE, 50_000);

/// Something wanted of a case, and what was measured.
#[derive(Clone, Debug)]
pub struct Target {
    /// What, in words.
    pub what: &'static str,
    /// At least this.
    pub wanted: u64,
    /// This it is.
    pub measured: u64,
    /// How the two are written: they are this many times what is meant.
    scale: u64,
    unit: &'static str,
}

impl Target {
    /// Whether as much was measured as is wanted.
    pub fn is_reached(&self) -> bool {
        self.measured >= self.wanted
    }

    fn told(&self) -> String {
        let one = |n: u64| {
            format!(
                "{}.{}{}",
                n / self.scale,
                n % self.scale * 10 / self.scale,
                self.unit
            )
        };
        let verdict = match self.is_reached() {
            true => "reached",
            false => "below target",
        };
        let (what, wanted, measured) = (self.what, one(self.wanted), one(self.measured));
        format!("{what} {measured} of {wanted}: {verdict}")
    }
}

/// What one case came to.
#[derive(Clone, Debug)]
pub struct Case {
    /// The model.
    pub model: &'static str,
    /// The cap on spend.
    pub cap: Usd,
    /// Whether the provider's cache was granted.
    pub cached: bool,
    /// Calls made.
    pub calls: u64,
    /// Calls that the cap on spend ended, with a goodbye.
    pub ended: u64,
    /// Of those, the median share of the cap that was charged, in thousandths.
    pub share: Option<u64>,
    /// One call in ten was charged no more than this share.
    pub share_tenth: Option<u64>,
    /// The median time from the answer until the goodbye began, in milliseconds.
    pub lasts_ms: Option<u64>,
    /// The median number of answers, the greeting among them and the goodbye not.
    pub answers: Option<u64>,
    /// What is wanted of it.
    pub targets: Vec<Target>,
    /// What went wrong: calls that could not be made, or cost more than their cap.
    pub failures: Vec<String>,
}

impl Case {
    /// Whether everything that is wanted of it was reached.
    pub fn is_reached(&self) -> bool {
        self.failures.is_empty() && self.targets.iter().all(Target::is_reached)
    }
}

/// What one call came to.
struct Talked {
    charged: Usd,
    /// When the goodbye began, if the cap on spend was its cause and it was said.
    goodbye_ms: Option<u64>,
    answers: u64,
    /// Whether the case's claim holds.
    holds: bool,
    broken: Vec<String>,
}

/// Makes so many calls of each case, from seeds that never change.
pub fn measure(calls: u64) -> Vec<Case> {
    let calls = calls.max(1);
    let jobs = calls * ROWS.len() as u64;
    let mut talks: Vec<Vec<_>> = ROWS.iter().map(|_| Vec::new()).collect();
    let made = in_parallel(jobs, |job| {
        let row = &ROWS[(job / calls) as usize];
        (job, talk(row, 1 + job % calls))
    });
    for (job, talk) in made {
        talks[(job / calls) as usize].push((job % calls, talk));
    }
    let mut cases: Vec<Case> = (ROWS.iter().zip(talks))
        .map(|(row, talks)| case(row, talks))
        .collect();
    cases.push(refused());
    cases
}

/// Writes the table.
///
/// # Errors
/// When `out` cannot be written to.
pub fn tell(cases: &[Case], out: &mut dyn Write) -> io::Result<()> {
    writeln!(
        out,
        "\nWhat a cap is good for: ordinary talk with an honest model, the settings as they come, list prices, and only the cap on\nspend to end it. Charged shares of the cap; seconds until the goodbye began; answers before it.\n"
    )?;
    writeln!(
        out,
        "{:<22}{:>6}{:>7}{:>7}{:>7}{:>8}{:>8}{:>7}{:>9}  wanted",
        "model", "cap", "cache", "calls", "ended", "median", "10th", "secs", "answers"
    )?;
    for case in cases {
        let dash = || "-".to_string();
        let percent =
            |share: Option<u64>| share.map_or_else(dash, |n| format!("{}.{}%", n / 10, n % 10));
        let whole = |n: Option<u64>| n.map_or_else(dash, |n| n.to_string());
        let wanted: Vec<String> = case.targets.iter().map(Target::told).collect();
        writeln!(
            out,
            "{:<22}{:>6}{:>7}{:>7}{:>7}{:>8}{:>8}{:>7}{:>9}  {}",
            case.model,
            format!("${}", case.cap),
            if case.cached { "yes" } else { "never" },
            case.calls,
            case.ended,
            percent(case.share),
            percent(case.share_tenth),
            whole(case.lasts_ms.map(|ms| ms / 1_000)),
            whole(case.answers),
            wanted.join("; "),
        )?;
        for failure in &case.failures {
            writeln!(out, "  {failure}")?;
        }
    }
    Ok(())
}

fn plan(model: &str, cap: Usd) -> Plan {
    let text = |key: &str, value: String| (key.to_string(), value);
    let instructions = "You answer the phone for Acme. Say that you are an automated assistant.";
    Plan {
        settings: vec![
            text("model.main.model", model.to_string()),
            text("instructions", instructions.to_string()),
            // What the sound is turned into costs nothing.
            text("audio", "pcmu".to_string()),
            text(
                "cap.spend.warn",
                Usd::from_nanos(cap.nanos() / 5 * 4).to_string(),
            ),
            text("cap.spend.end", cap.to_string()),
            text("cap.duration.warn", "58m".to_string()),
            text("cap.duration.end", "59m".to_string()),
        ],
        ..Plan::default()
    }
}

/// One call of a case.
fn talk(row: &Row, seed: u64) -> Result<Talked, String> {
    let cap = Usd::from_micros(row.cap_micros);
    let mut dice = Dice::new(Dice::new(seed).roll());
    let about = |dice: &mut Dice, ms: u64| ms * 4 / 5 + dice.up_to(ms * 2 / 5);
    let answer_ms = match row.talk {
        Talk::OneQuestion => 30_000,
        Talk::Ordinary | Talk::Questions(_) => about(&mut dice, SPEECH_MS),
    };
    let words = format!(
        "latency={}ms answer={answer_ms}ms greeting={}ms goodbye={}ms",
        about(&mut dice, 500),
        about(&mut dice, 3_000),
        about(&mut dice, 4_000)
    );
    let mut model = world::model_setup(&words)?;
    model.cache = row.cached;
    let stage = Stage::new(&plan(row.model, cap))?;
    let mut phone = Stage::phone(seed);
    phone.keep_sound = false;
    let turns = match row.talk {
        Talk::Ordinary => 59 * 60_000 / TURN_MS,
        Talk::OneQuestion => 1,
        Talk::Questions(count) => u64::from(count),
    };
    for turn in 0..turns {
        // The greeting is over by then.
        let ms = 5_000 + turn * TURN_MS + dice.up_to(1_500);
        let speech_ms = about(&mut dice, SPEECH_MS);
        phone.script.push(Step {
            when: When::At { ms },
            act: Act::Say(draw::speech(&mut dice, speech_ms)),
        });
    }
    let outcome = stage.call_with(phone, model)?;
    Ok(talked(row.talk, &outcome))
}

fn talked(talk: Talk, outcome: &Outcome) -> Talked {
    let mut answers = 0;
    let mut longest_ms = 0;
    let mut began_ms = None;
    for fact in &outcome.facts {
        match &fact.what {
            What::Turn(turn) if !turn.goodbye => {
                answers += 1;
                // The first is the greeting.
                let tokens = turn.usage.map_or(0, |usage| usage.audio_out);
                longest_ms = longest_ms.max(if answers > 1 { tokens * 50 } else { 0 });
            }
            What::WrappingUp(_) => began_ms = began_ms.or(Some(fact.at.millis())),
            _ => {}
        }
    }
    let summary = outcome.summary();
    let said = summary.is_some_and(|summary| summary.goodbye == Goodbye::Model);
    let ending = summary.and_then(|summary| summary.ending);
    let by_cap = ending == Some(Ending::SaidGoodbye(Cause::Spend));
    let mut broken = super::judge::broken_promises(outcome);
    if outcome.facts.is_empty() {
        broken.push("the call was refused".to_string());
    }
    Talked {
        charged: outcome.settled.unwrap_or(Usd::ZERO),
        goodbye_ms: began_ms.filter(|_| by_cap),
        answers,
        holds: match talk {
            Talk::Ordinary => by_cap,
            Talk::OneQuestion => said && answers >= 2 && longest_ms >= LONG_ANSWER_MS,
            Talk::Questions(count) => said && answers > u64::from(count),
        },
        broken,
    }
}

fn case(row: &Row, talks: Vec<(u64, Result<Talked, String>)>) -> Case {
    let calls = talks.len() as u64;
    let (mut shares, mut lasts, mut answers, mut failures) = (vec![], vec![], vec![], vec![]);
    let mut held = 0;
    for (seed, talk) in talks {
        match talk {
            Ok(talk) => {
                held += u64::from(talk.holds);
                answers.push(talk.answers);
                lasts.extend(talk.goodbye_ms);
                let share = talk.charged.nanos() / row.cap_micros.max(1);
                shares.extend(talk.goodbye_ms.map(|_| share));
                failures.extend(
                    talk.broken
                        .into_iter()
                        .map(|why| format!("call {seed}: {why}")),
                );
            }
            Err(why) => failures.push(format!("call {seed}: {why}")),
        }
    }
    failures.truncate(5);
    let ended = shares.len() as u64;
    let share = part(&mut shares, 2);
    let lasts_ms = part(&mut lasts, 2);
    let target = |what, wanted: Option<u64>, measured, scale, unit| {
        wanted.map(|wanted| Target {
            what,
            wanted,
            measured,
            scale,
            unit,
        })
    };
    let permille = held * 1_000 / calls.max(1);
    let claimed = match row.talk {
        Talk::Ordinary => None,
        Talk::OneQuestion => Some("a greeting, an answer of 10 s, a goodbye:"),
        Talk::Questions(_) => Some("a greeting, two answers, a goodbye:"),
    };
    let targets = [
        target("share", row.targets.share, share.unwrap_or(0), 10, "%"),
        target(
            "lasts",
            row.targets.lasts_ms,
            lasts_ms.unwrap_or(0),
            1_000,
            " s",
        ),
        claimed.and_then(|what| target(what, Some(1_000), permille, 10, "%")),
    ];
    Case {
        model: row.model,
        cap: Usd::from_micros(row.cap_micros),
        cached: row.cached,
        calls,
        ended,
        share,
        share_tenth: part(&mut shares, 10),
        lasts_ms,
        answers: part(&mut answers, 2),
        targets: targets.into_iter().flatten().collect(),
        failures,
    }
}

/// The cap that is too small to be of any use: the settings are refused.
fn refused() -> Case {
    let (model, cap_micros) = REFUSED;
    let cap = Usd::from_micros(cap_micros);
    let refused = Stage::settings(&plan(model, cap)).is_err();
    Case {
        model,
        cap,
        cached: false,
        calls: 0,
        ended: 0,
        share: None,
        share_tenth: None,
        lasts_ms: None,
        answers: None,
        targets: vec![Target {
            what: "refused before anybody calls:",
            wanted: 1_000,
            measured: if refused { 1_000 } else { 0 },
            scale: 10,
            unit: "%",
        }],
        failures: Vec::new(),
    }
}

/// The value at one part in so many of the sorted list; two is the median.
fn part(all: &mut [u64], parts: usize) -> Option<u64> {
    all.sort_unstable();
    all.get(all.len() / parts).copied()
}

//! A call written as text: who is on the line, what the caller does, how the model behaves, and what must come of it.
//!
//! One file is one call, and reads like one. Whoever runs it, in virtual time or over sockets, gets plain data; nothing
//! here knows a server. A mistake is reported with its line, and all mistakes at once.
//!
//! | line | meaning |
//! |---|---|
//! | `agent KEY VALUE` | overrides a setting; `spend`, `duration` and `silence` take `END` or `END warn WARN` |
//! | `model WORDS` | the simulated model's behaviour, in its own words; `model unreachable`: there is none |
//! | `line delay 40ms jitter 10ms lost 5` | the line each way; of a thousand frames so many are lost |
//! | `caller WHEN says speech 2.0s` | `WHEN`: seconds from the answer, `interrupts after 800ms`, `replies after 500ms` |
//! | `caller WHEN says hello.wav` | a recording instead of a made-up voice; also `presses 5` and `hangs-up` |
//! | `runs virtual` or `runs sockets` | where it makes sense; both without this line |
//! | `expect …` | see [`Expect`] |

#[cfg(test)]
mod tests;

use super::phone::{Act, Line, Step, When};
use super::voice;
use crate::units::Usd;
use std::collections::BTreeMap;
use std::fmt;
use std::ops::RangeInclusive;
use std::sync::Arc;

/// A call, ready to be made.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Scenario {
    /// The comment at the top of the file.
    pub about: String,
    /// Where it makes sense.
    pub runs: Runs,
    /// Settings of the agent: names as in the configuration, with `cap.` before those of a cap, and values as text.
    pub agent: Vec<(String, String)>,
    /// Words of the simulated model's behaviour, as written.
    pub model: String,
    /// Nobody answers at the model's address.
    pub model_unreachable: bool,
    /// The line between carrier and server.
    pub line: Line,
    /// What the caller does.
    pub caller: Vec<Planned>,
    /// What must come of it.
    pub expect: Vec<Expected>,
}

/// Where a scenario makes sense.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Runs {
    /// In virtual time and over sockets.
    #[default]
    Both,
    /// In virtual time only.
    Virtual,
    /// Over sockets only.
    Sockets,
}

/// One thing the caller will do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Planned {
    /// When.
    pub when: When,
    /// What.
    pub what: What,
}

/// What a caller can do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum What {
    /// Says nothing in particular.
    Speech {
        /// For so many milliseconds.
        ms: u64,
    },
    /// Says what is in this file, named relative to the scenario.
    File(String),
    /// Presses a key.
    Press(char),
    /// Hangs up.
    HangUp,
}

/// Something that must come of the call, and the line that says so.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Expected {
    /// Counted from one.
    pub line: usize,
    /// What.
    pub what: Expect,
}

/// What can be expected of a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Expect {
    /// `ending said-goodbye`: one of [`ENDINGS`].
    Ending(String),
    /// `cause spend`: one of [`CAUSES`].
    Cause(String),
    /// `turns 2..4`: answers that were paid for.
    Turns(RangeInclusive<u64>),
    /// `interruptions 1`.
    Interruptions(RangeInclusive<u64>),
    /// `minutes 1`: what the carrier bills.
    Minutes(RangeInclusive<u64>),
    /// `duration 58s..62s`: from the answer to the end, in milliseconds.
    DurationMs(RangeInclusive<u64>),
    /// `spent <= 0.50`: everything included.
    SpentAtMost(Usd),
    /// `heard something` or `heard nothing`: whether the model's voice reached the caller.
    Heard(bool),
    /// `said "…"`: the carrier's own voice said a sentence with these words in it; `said nothing`: it said none.
    Said(Option<String>),
    /// `facts answered turn ended`: these, in this order; others may lie between.
    Facts(Vec<String>),
}

/// The ways a call can end.
pub const ENDINGS: &[&str] = &[
    "caller-hung-up",
    "agent-hung-up",
    "transferred",
    "said-goodbye",
    "cut-off",
    "refused",
    "stopped",
    "lost",
];

/// The caps and orders that make a call wrap up.
pub const CAUSES: &[&str] = &["duration", "spend", "silence", "budget", "drain"];

/// Settings of an agent that a scenario may override; the caps are not among them, for they are written apart.
const SETTINGS: &[&str] = &[
    "greeting",
    "goodbye",
    "goodbye_sentence",
    "trouble_sentence",
    "max_output_tokens",
    "context_tokens",
    "transcription",
    "answer_timeout",
    "audio",
    "barge_in",
    "lead",
];

/// A line that is not understood.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mistake {
    /// Counted from one.
    pub line: usize,
    /// What is wrong, in words.
    pub message: String,
}

impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}: {}", self.line, self.message)
    }
}

/// The most lines a scenario may have.
const MOST_LINES: usize = 1000;

/// The longest a caller speaks at once, in milliseconds.
const LONGEST_SPEECH_MS: u64 = 600_000;

impl Scenario {
    /// Reads a scenario.
    ///
    /// # Errors
    /// Every line that is not understood.
    pub fn parse(text: &str) -> Result<Scenario, Vec<Mistake>> {
        let mut scenario = Scenario::default();
        let mut mistakes = Vec::new();
        let comments = text.lines().map_while(|line| line.trim().strip_prefix('#'));
        scenario.about = comments.map(str::trim).collect::<Vec<_>>().join(" ");
        for (line, content) in (1..).zip(text.lines().take(MOST_LINES + 1)) {
            let read = words(content).and_then(|words| {
                let words: Vec<&str> = words.iter().map(String::as_str).collect();
                match line > MOST_LINES {
                    true => Err(format!("longer than {MOST_LINES} lines")),
                    false => scenario.read(line, &words),
                }
            });
            mistakes.extend(read.err().map(|message| Mistake { line, message }));
        }
        if mistakes.is_empty() {
            Ok(scenario)
        } else {
            Err(mistakes)
        }
    }

    /// The caller's script, with every sound made or loaded. `load` reads a file as samples of 8 kHz.
    ///
    /// # Errors
    /// What `load` says of the first file that cannot be read.
    pub fn script(
        &self,
        load: &dyn Fn(&str) -> Result<Vec<i16>, String>,
    ) -> Result<Vec<Step>, String> {
        // Most callers say the same few lengths again and again, and a voice takes longer to make than to use.
        let mut made: BTreeMap<u64, Arc<[i16]>> = BTreeMap::new();
        let step = |planned: &Planned| {
            let act = match &planned.what {
                What::Speech { ms } => {
                    let speech = made.entry(*ms);
                    Act::Say(
                        speech
                            .or_insert_with(|| voice::speech(*ms, 1).into())
                            .clone(),
                    )
                }
                What::File(name) => Act::Say(Arc::from(load(name)?)),
                What::Press(digit) => Act::Press(*digit),
                What::HangUp => Act::HangUp,
            };
            let when = planned.when;
            Ok(Step { when, act })
        };
        self.caller.iter().map(step).collect()
    }

    fn read(&mut self, line: usize, words: &[&str]) -> Result<(), String> {
        match words {
            [] => {}
            ["agent", rest @ ..] => self.agent(rest)?,
            ["model", "unreachable"] => self.model_unreachable = true,
            ["model", rest @ ..] if !rest.is_empty() => {
                let gap = if self.model.is_empty() { "" } else { " " };
                self.model = format!("{}{gap}{}", self.model, rest.join(" "));
            }
            ["line", rest @ ..] if !rest.is_empty() => self.line(rest)?,
            ["caller", rest @ ..] => self.caller.push(planned(rest)?),
            ["runs", "virtual"] => self.runs = Runs::Virtual,
            ["runs", "sockets"] => self.runs = Runs::Sockets,
            ["expect", rest @ ..] => {
                let what = expect(rest)?;
                self.expect.push(Expected { line, what });
            }
            [first, ..] if ["model", "line", "runs"].contains(first) => {
                return Err(format!("`{first}` says too little, or something unknown"));
            }
            [first, ..] => {
                return Err(format!(
                    "`{first}` is none of agent, model, line, caller, runs and expect"
                ));
            }
        }
        Ok(())
    }

    fn agent(&mut self, words: &[&str]) -> Result<(), String> {
        let (key, end, warn) = match words {
            [key @ ("spend" | "duration" | "silence"), end] => (*key, *end, None),
            [key @ ("spend" | "duration" | "silence"), end, "warn", warn] => {
                (*key, *end, Some(*warn))
            }
            [key, value] if SETTINGS.contains(key) => {
                self.agent.push((key.to_string(), value.to_string()));
                return Ok(());
            }
            [key, ..] if SETTINGS.contains(key) => {
                return Err(format!(
                    "`{key}` takes one value, in quotes if it has spaces"
                ));
            }
            _ => {
                return Err(format!(
                    "an agent has spend, duration, silence, {}",
                    SETTINGS.join(", ")
                ));
            }
        };
        for (which, value) in [Some(("end", end)), warn.map(|warn| ("warn", warn))]
            .into_iter()
            .flatten()
        {
            match key {
                "spend" => usd(value).map(drop)?,
                _ => millis(value).map(drop)?,
            }
            self.agent
                .push((format!("cap.{key}.{which}"), value.to_owned()));
        }
        Ok(())
    }

    fn line(&mut self, words: &[&str]) -> Result<(), String> {
        let (pairs, odd) = words.as_chunks::<2>();
        if !odd.is_empty() {
            return Err(format!("`{}` lacks a value", odd[0]));
        }
        for [key, value] in pairs {
            match *key {
                "delay" => self.line.delay_ms = millis(value)?.min(10_000),
                "jitter" => self.line.jitter_ms = millis(value)?.min(10_000),
                "lost" => {
                    let lost = value.parse().ok().filter(|lost| *lost <= 1000);
                    self.line.lost_permille =
                        lost.ok_or(format!("`{value}` is not so many of a thousand"))?;
                }
                other => return Err(format!("a line has delay, jitter and lost, not `{other}`")),
            }
        }
        Ok(())
    }
}

fn planned(words: &[&str]) -> Result<Planned, String> {
    let (when, what) = match words {
        ["interrupts", "after", time, what @ ..] => {
            let after_ms = millis(time)?;
            (When::Interrupts { after_ms }, what)
        }
        ["replies", "after", time, what @ ..] => {
            let after_ms = millis(time)?;
            (When::Replies { after_ms }, what)
        }
        [time, what @ ..] => {
            let ms = decimal_milli(time).ok_or_else(|| {
                format!("`{time}` is neither seconds such as 1.5, nor `interrupts after`, nor `replies after`")
            })?;
            (When::At { ms }, what)
        }
        [] => return Err("what does the caller do, and when?".to_owned()),
    };
    let what = match what {
        ["says", "speech", time] => {
            let ms = millis(time)?;
            if ms > LONGEST_SPEECH_MS {
                return Err("nobody speaks longer than ten minutes".to_owned());
            }
            What::Speech { ms }
        }
        ["says", file] if file.ends_with(".wav") => What::File(file.to_string()),
        ["presses", key] => match key.chars().next() {
            Some(digit) if key.len() == 1 && "0123456789*#ABCD".contains(digit) => {
                What::Press(digit)
            }
            _ => return Err(format!("`{key}` is not a key of a phone")),
        },
        ["hangs-up"] => What::HangUp,
        _ => {
            return Err(
                "a caller `says speech 2.0s`, `says file.wav`, `presses 5` or `hangs-up`"
                    .to_owned(),
            );
        }
    };
    Ok(Planned { when, what })
}

fn expect(words: &[&str]) -> Result<Expect, String> {
    let one_of = |word: &str, list: &[&str]| match list.contains(&word) {
        true => Ok(word.to_owned()),
        false => Err(format!("`{word}` is none of {}", list.join(", "))),
    };
    let count = |word: &str| {
        word.parse()
            .map_err(|_| format!("`{word}` is not a number"))
    };
    Ok(match words {
        ["ending", word] => Expect::Ending(one_of(word, ENDINGS)?),
        ["cause", word] => Expect::Cause(one_of(word, CAUSES)?),
        ["turns", counts] => Expect::Turns(range(counts, count)?),
        ["interruptions", counts] => Expect::Interruptions(range(counts, count)?),
        ["minutes", counts] => Expect::Minutes(range(counts, count)?),
        ["duration", times] => Expect::DurationMs(range(times, millis)?),
        ["spent", "<=", most] => Expect::SpentAtMost(usd(most)?),
        ["heard", "something"] => Expect::Heard(true),
        ["heard", "nothing"] => Expect::Heard(false),
        ["said", "nothing"] => Expect::Said(None),
        ["said", sentence] => Expect::Said(Some(sentence.to_string())),
        ["facts", facts @ ..] if !facts.is_empty() => Expect::Facts(facts.iter().map(|f| f.to_string()).collect()),
        _ => return Err("one can expect ending, cause, turns, interruptions, minutes, duration, spent <=, heard, said and facts".to_owned()),
    })
}

fn range(
    text: &str,
    read: impl Fn(&str) -> Result<u64, String>,
) -> Result<RangeInclusive<u64>, String> {
    let (least, most) = text.split_once("..").unwrap_or((text, text));
    let range = read(least)?..=read(most)?;
    if range.is_empty() {
        return Err(format!("nothing is within {text}"));
    }
    Ok(range)
}

fn usd(text: &str) -> Result<Usd, String> {
    Usd::parse(text).map_err(|wrong| format!("`{text}`: {wrong}"))
}

/// Reads `800ms`, `2.5s` or `5m`.
fn millis(text: &str) -> Result<u64, String> {
    let read = if let Some(whole) = text.strip_suffix("ms") {
        whole.parse().ok()
    } else if let Some(seconds) = text.strip_suffix('s') {
        decimal_milli(seconds)
    } else {
        let minutes = text.strip_suffix('m').and_then(|m| m.parse::<u64>().ok());
        minutes.and_then(|minutes| minutes.checked_mul(60_000))
    };
    read.ok_or_else(|| format!("`{text}` is not a time such as 800ms, 2.5s or 5m"))
}

/// Reads a decimal as thousandths, exactly: `1.5` is 1500.
fn decimal_milli(text: &str) -> Option<u64> {
    let (whole, part) = text.split_once('.').unwrap_or((text, "0"));
    if part.is_empty()
        || part.len() > 3
        || !(whole.bytes().chain(part.bytes())).all(|b| b.is_ascii_digit())
    {
        return None;
    }
    let part: u64 = format!("{part:0<3}").parse().ok()?;
    whole
        .parse::<u64>()
        .ok()?
        .checked_mul(1000)?
        .checked_add(part)
}

/// The words of a line, up to a `#`; what is in double quotes is one word.
fn words(line: &str) -> Result<Vec<String>, String> {
    let mut words = Vec::new();
    let mut rest = line.trim_start();
    while !rest.is_empty() && !rest.starts_with('#') {
        let (word, after) = match rest.strip_prefix('"') {
            Some(quoted) => quoted
                .split_once('"')
                .ok_or("a quotation mark is never closed")?,
            None => rest.split_at(rest.find(char::is_whitespace).unwrap_or(rest.len())),
        };
        words.push(word.to_owned());
        rest = after.trim_start();
    }
    Ok(words)
}

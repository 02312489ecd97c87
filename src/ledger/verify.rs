//! Making a call's bill again out of its lines, and saying which of them cannot be as they were written.
//!
//! Two kinds of doubt are answered. Was a line changed, removed or put in afterwards? The hashes say. And was the call charged rightly?
//! Each cost follows from what was reported and from the prices in the first line, and the costs add up to what was spent.

use super::chain::{Entry, beginning};
use super::entries::{
    money, nanos, number, read_model_price, read_transcription_price, read_transcription_usage,
    read_usage, word,
};
use super::recovery;
use crate::pricing::{ModelPrice, TranscriptionPrice};
use crate::units::Usd;
use serde_json::Value;
use std::collections::BTreeMap;
use std::fmt;

/// Something that is not as it should be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// Our name for the call.
    pub call: String,
    /// The place of the line.
    pub seq: u64,
    /// What the line is about.
    pub event: String,
    /// What is wrong with it.
    pub what: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Finding {
            call,
            seq,
            event,
            what,
        } = self;
        write!(f, "{call} line {seq} ({event}): {what}")
    }
}

/// Verifies calls, each with all its lines in their order.
pub fn verify(entries: &[Entry]) -> Vec<Finding> {
    let mut findings = Vec::new();
    for call in entries.chunk_by(|one, next| one.call == next.call) {
        chain(call, &mut findings);
        let mut audit = Audit::default();
        for (at, entry) in call.iter().enumerate() {
            audit.take(entry, &call[..at]);
        }
        findings.append(&mut audit.close());
    }
    findings
}

fn finding(entry: &Entry, what: String) -> Finding {
    Finding {
        call: entry.call.to_string(),
        seq: entry.seq,
        event: entry.event.clone(),
        what,
    }
}

/// Whether each line follows from the one before it.
fn chain(call: &[Entry], findings: &mut Vec<Finding>) {
    let mut previous = call.first().map(|first| beginning(&first.call));
    let mut expected = 1;
    for entry in call {
        if entry.seq != expected {
            let missing = match entry.seq.saturating_sub(1) {
                last if last <= expected => format!("line {expected} before it is missing"),
                last => format!("lines {expected} to {last} before it are missing"),
            };
            findings.push(finding(entry, missing));
            // Without the line before it, nothing can be said of this one.
            previous = None;
        }
        if let Some(previous) = &previous
            && entry.expected_hash(previous) != entry.hash
        {
            let what = "was altered, or the hash of the line before it was: its hash does not fit";
            findings.push(finding(entry, what.to_string()));
        }
        previous = Some(entry.hash.clone());
        expected = entry.seq.saturating_add(1);
    }
}

/// The prices of a call.
#[derive(Clone, Copy, Debug)]
struct Prices {
    model: ModelPrice,
    transcription: Option<TranscriptionPrice>,
    minute: Usd,
    say: Usd,
    /// What the carrier takes once, until it did. Ledgers of before have none.
    fee: Usd,
}

impl Prices {
    fn read(opened: &Value) -> Option<Prices> {
        let prices = opened.get("prices")?;
        let transcription = prices.get("transcription")?;
        Some(Prices {
            model: read_model_price(prices.get("model")?)?,
            transcription: match transcription {
                Value::Null => None,
                price => Some(read_transcription_price(price)?),
            },
            minute: Usd::from_nanos(number(prices, "minute_nanos")?),
            say: Usd::from_nanos(number(prices, "say_nanos")?),
            fee: money(prices, "fee_nanos"),
        })
    }
}

/// A call's bill, as far as its lines have been read.
#[derive(Debug, Default)]
struct Audit {
    findings: Vec<Finding>,
    prices: Option<Prices>,
    granted: Usd,
    /// What each model costs that may take over.
    by_model: Value,
    model: Usd,
    transcription: Usd,
    carrier: Usd,
    tools: Usd,
    minutes: u64,
    /// What each tool that was called and has not answered costs.
    called: BTreeMap<String, Vec<Usd>>,
    /// What each answer that is asked for and not reported can cost.
    open: BTreeMap<u64, Usd>,
    /// The provider broke an assumption, and that was recorded.
    is_broken: bool,
    is_over: bool,
    /// The first line at which more was spent than was granted.
    overrun: Option<Finding>,
}

impl Audit {
    fn take(&mut self, entry: &Entry, before: &[Entry]) {
        let body = entry.json();
        let event = entry.event.as_str();
        let is_first = before.is_empty();
        if is_first != matches!(event, "call.opened") && !(is_first && event == "call.refused") {
            let what = match is_first {
                true => "is not how a call begins",
                false => "is not in the middle of a call",
            };
            self.complain(entry, what.to_string());
        }
        if self.is_over && !matches!(event, "call.carrier_record" | "call.withdrawn") {
            self.complain(entry, "comes after the end of the call".to_string());
        }
        let spent_before = self.spent();
        match event {
            "call.opened" => self.opened(entry, &body),
            "call.granted" => self.granted = self.granted.plus(money(&body, "amount_nanos")),
            "call.withdrawn" => self.granted = self.granted.less(money(&body, "amount_nanos")),
            "call.asked" => {
                let nonce = number(&body, "nonce").unwrap_or_default();
                self.open.insert(nonce, money(&body, "bound_nanos"));
            }
            "call.turn" => self.turn(entry, &body),
            "call.transcribed" => self.transcribed(entry, &body),
            "call.minute" => self.minute(entry, &body),
            "call.fee" => {
                let fee = self.prices.as_mut();
                let fee = fee.map(|prices| std::mem::take(&mut prices.fee));
                self.carrier = self.carrier.plus(self.cost(entry, &body, fee));
            }
            "call.sentence" => {
                let say = self.prices.map(|prices| prices.say);
                self.carrier = self.carrier.plus(self.cost(entry, &body, say));
            }
            "call.renewed" => self.renewed(entry, &body),
            "call.tool_called" => {
                let bound = money(&body, "bound_nanos");
                let name = word(&body, "name").to_string();
                self.called.entry(name).or_default().push(bound);
            }
            "call.tool" => self.tool(entry, &body),
            "call.leg" => self.carrier = self.carrier.plus(self.cost(entry, &body, None)),
            "call.unreported" => self.unreported(entry, &body),
            "call.bound_broken" => self.is_broken = true,
            "call.ended" => self.ended(entry, &body),
            "call.lost" => self.lost(entry, &body, before),
            "call.refused" => self.is_over = true,
            _ => {}
        }
        self.add_up(entry, &body, spent_before);
    }

    fn complain(&mut self, entry: &Entry, what: String) {
        self.findings.push(finding(entry, what));
    }

    fn spent(&self) -> Usd {
        let talk = self.model.plus(self.transcription);
        talk.plus(self.carrier).plus(self.tools)
    }

    /// Another model answers from here on, at its own price.
    fn renewed(&mut self, entry: &Entry, body: &Value) {
        let of_model = self.by_model.get(word(body, "model"));
        let model = of_model.and_then(|prices| read_model_price(prices.get("model")?));
        let transcription = of_model.and_then(|prices| prices.get("transcription"));
        match (&mut self.prices, model) {
            (Some(prices), Some(model)) => {
                prices.model = model;
                prices.transcription = transcription.and_then(read_transcription_price);
            }
            _ => self.complain(entry, "is of a model without a price".to_string()),
        }
    }

    /// What was called costs its price or nothing.
    fn tool(&mut self, entry: &Entry, body: &Value) {
        let bounds = self.called.get_mut(word(body, "name"));
        let bound = bounds.and_then(Vec::pop).unwrap_or_default();
        let cost = self.cost(entry, body, None);
        if cost != bound && !cost.is_zero() {
            let what = format!("costs {cost} USD, and its price is {bound}");
            self.complain(entry, what);
        }
        self.tools = self.tools.plus(cost);
    }

    fn opened(&mut self, entry: &Entry, body: &Value) {
        self.granted = money(body, "granted_nanos");
        self.prices = Prices::read(body);
        self.by_model = body.pointer("/prices/models").cloned().unwrap_or_default();
        if self.prices.is_none() {
            self.complain(entry, "does not say what things cost".to_string());
        }
    }

    /// The recorded cost of a line, held against what it must be where that is known.
    fn cost(&mut self, entry: &Entry, body: &Value, expected: Option<Usd>) -> Usd {
        let recorded = money(body, "cost_nanos");
        if let Some(expected) = expected.map(|expected| Usd::from_nanos(nanos(expected)))
            && expected != recorded
        {
            let what = format!("costs {expected} USD, and {recorded} was recorded");
            self.complain(entry, what);
        }
        recorded
    }

    fn turn(&mut self, entry: &Entry, body: &Value) {
        let nonce = number(body, "nonce");
        let bound = nonce.and_then(|nonce| self.open.remove(&nonce));
        if nonce.is_some() && bound.is_none() {
            self.complain(entry, "answers what was not asked, or twice".to_string());
        }
        let expected = match body.get("usage").filter(|usage| !usage.is_null()) {
            Some(usage) => match (read_usage(usage), self.prices) {
                (Some(usage), Some(prices)) => Some(prices.model.cost(&usage)),
                _ => {
                    self.complain(entry, "has a usage that cannot be read".to_string());
                    None
                }
            },
            // Unreported: charged at the most it could be. What nobody asked for has no bound on record.
            None => bound,
        };
        self.model = self.model.plus(self.cost(entry, body, expected));
    }

    fn transcribed(&mut self, entry: &Entry, body: &Value) {
        let price = self.prices.and_then(|prices| prices.transcription);
        let usage = body.get("usage").and_then(read_transcription_usage);
        let expected = price.zip(usage).map(|(price, usage)| price.cost(&usage));
        self.transcription = self.transcription.plus(self.cost(entry, body, expected));
    }

    fn minute(&mut self, entry: &Entry, body: &Value) {
        self.minutes += 1;
        if number(body, "minute") != Some(self.minutes) {
            let what = format!("is minute {} of the call", self.minutes);
            self.complain(entry, what);
        }
        let minute = self.prices.map(|prices| prices.minute);
        self.carrier = self.carrier.plus(self.cost(entry, body, minute));
    }

    fn unreported(&mut self, entry: &Entry, body: &Value) {
        let model = money(body, "model_nanos");
        // Requests that were refused are no longer open, and their refusal is not told by their number.
        let most: Usd = std::mem::take(&mut self.open).into_values().sum();
        if model > most {
            let what =
                format!("charges {model} USD for answers that could cost {most} at the most");
            self.complain(entry, what);
        }
        self.model = self.model.plus(model);
        self.transcription = self.transcription.plus(money(body, "transcription_nanos"));
    }

    fn ended(&mut self, entry: &Entry, body: &Value) {
        self.is_over = true;
        for (key, expected) in [
            ("model_nanos", self.model),
            ("transcription_nanos", self.transcription),
            ("carrier_nanos", self.carrier),
            ("tools_nanos", self.tools),
        ] {
            let recorded = money(body, key);
            if recorded != expected {
                let part = key.trim_end_matches("_nanos");
                let what = format!("says {recorded} USD for {part}, and the lines say {expected}");
                self.complain(entry, what);
            }
        }
        if number(body, "minutes") != Some(self.minutes) {
            let what = format!("counts other minutes than the {} recorded", self.minutes);
            self.complain(entry, what);
        }
    }

    fn lost(&mut self, entry: &Entry, body: &Value, before: &[Entry]) {
        self.is_over = true;
        let is_whole = body.get("is_whole").and_then(Value::as_bool);
        let duration_s = number(body, "carrier_duration_s");
        let lost = recovery::charge(before, is_whole.unwrap_or_default(), duration_s);
        let (_, expected) = lost.line();
        if expected != *body {
            let what = format!(
                "charges {} USD, and its lines say {}",
                money(body, "spent_nanos"),
                lost.spent()
            );
            self.complain(entry, what);
        }
    }

    /// Whether what was spent is what it was before and what this line cost, and is granted.
    fn add_up(&mut self, entry: &Entry, body: &Value, before: Usd) {
        // Lines of the call's own loop; others do not know what was spent.
        if number(body, "at_ms").is_none() {
            return;
        }
        let (recorded, expected) = (money(body, "spent_nanos"), self.spent());
        if recorded != expected {
            let what = format!(
                "says that {recorded} USD were spent: it was {before} before, and {expected} with this line"
            );
            self.complain(entry, what);
        }
        if expected > self.granted && self.overrun.is_none() {
            let what = format!("{expected} USD were spent of {} granted", self.granted);
            self.overrun = Some(finding(entry, what));
        }
    }

    /// A broken bound is told by the line after the one that cost it: so whether a grant was rightly overrun is known at the end.
    fn close(self) -> Vec<Finding> {
        let mut findings = self.findings;
        findings.extend(self.overrun.filter(|_| !self.is_broken));
        findings
    }
}

//! A call's statement: what each line cost, what it was for, and what they come to.
//!
//! A call that is over says in its last line what it cost. One that is still going on does not, and neither says what a single line
//! cost; both are found here, from the lines alone.

use super::books::Parts;
use super::chain::Entry;
use super::entries::{CarrierRecord, money, number};
use crate::units::Usd;
use serde_json::Value;

/// What a call's lines come to so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SoFar {
    /// What it cost.
    pub cost: Parts,
    /// Started minutes.
    pub minutes: u64,
    /// The time of its last line in the call, in milliseconds.
    pub at_ms: u64,
    /// What the budgets have set aside for it.
    pub granted: Usd,
    /// The number of its answers.
    pub turns: u64,
}

/// What a line itself cost; `None`: it is not about money. A loss costs what nothing had accounted for before it.
pub fn cost(entry: &Entry) -> Option<Usd> {
    let body = entry.json();
    match entry.event.as_str() {
        "call.turn" | "call.transcribed" | "call.fee" | "call.minute" | "call.sentence"
        | "call.tool" | "call.leg" => Some(money(&body, "cost_nanos")),
        "call.unreported" => Some(sum(&body, ["model_nanos", "transcription_nanos"])),
        "call.lost" => Some(sum(&body, ["unreported_nanos", "ran_on_nanos"])),
        _ => None,
    }
}

fn sum(body: &Value, keys: [&str; 2]) -> Usd {
    keys.iter().map(|key| money(body, key)).sum()
}

impl SoFar {
    /// Adds up all lines of a call.
    pub fn of(entries: &[Entry]) -> SoFar {
        let mut so_far = SoFar::default();
        for entry in entries {
            so_far.take(entry);
        }
        so_far
    }

    /// Adds the next line.
    pub fn take(&mut self, entry: &Entry) {
        let body = entry.json();
        let cost = cost(entry).unwrap_or_default();
        let parts = &mut self.cost;
        parts.spent = parts.spent.plus(cost);
        match entry.event.as_str() {
            "call.opened" => self.granted = money(&body, "granted_nanos"),
            "call.granted" => self.granted = self.granted.plus(money(&body, "amount_nanos")),
            "call.withdrawn" => self.granted = self.granted.less(money(&body, "amount_nanos")),
            "call.turn" => {
                parts.model = parts.model.plus(cost);
                self.turns += 1;
            }
            "call.transcribed" => parts.transcription = parts.transcription.plus(cost),
            "call.minute" => {
                parts.carrier = parts.carrier.plus(cost);
                self.minutes += 1;
            }
            "call.fee" | "call.sentence" | "call.leg" => parts.carrier = parts.carrier.plus(cost),
            "call.tool" => parts.tools = parts.tools.plus(cost),
            "call.unreported" => {
                parts.model = parts.model.plus(money(&body, "model_nanos"));
                let transcription = money(&body, "transcription_nanos");
                parts.transcription = parts.transcription.plus(transcription);
            }
            "call.lost" => {
                parts.unreported = money(&body, "unreported_nanos");
                parts.ran_on = money(&body, "ran_on_nanos");
                self.minutes += number(&body, "ran_on_minutes").unwrap_or_default();
            }
            "call.ended" => parts.unheard = money(&body, "unheard_nanos"),
            _ => {}
        }
        self.at_ms = number(&body, "at_ms").unwrap_or(self.at_ms);
    }
}

/// What the carrier has said of a call, in the order in which it did.
pub fn carrier_records(entries: &[Entry]) -> Vec<CarrierRecord> {
    let records = entries
        .iter()
        .filter(|entry| entry.event == "call.carrier_record");
    let read = records.map(|entry| {
        let body = entry.json();
        CarrierRecord {
            duration_s: number(&body, "duration_s"),
            minutes: number(&body, "minutes"),
            price: number(&body, "price_nanos").map(Usd::from_nanos),
        }
    });
    read.collect()
}

//! Call by call: the carrier's minutes and prices beside ours.
//!
//! The price in a carrier's log is that of the connection; the media stream is billed beside it and is in no call's line. So it is held
//! against a minute of the connection alone.

use super::rows::CarrierRow;
use super::{Compared, Difference, Differing};
use crate::ledger::books::CallRow;
use crate::units::{Phone, Usd};
use std::collections::BTreeMap;

/// What a started minute of a connection costs, without the media stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CallRates {
    /// To a local number.
    pub minute: Usd,
    /// To a toll-free one.
    pub tollfree_minute: Usd,
    /// The media stream beside it.
    pub media_minute: Usd,
}

impl CallRates {
    /// What this many minutes of a call cost.
    pub fn price(&self, call: &CallRow, minutes: u64) -> Usd {
        // The beginning of a masked number is its own.
        let minute = match Phone::from(call.to.as_str()).is_toll_free() {
            // A call that we placed was opened with the price of the number that was dialled.
            _ if call.is_dialled => call.minute.less(self.media_minute),
            true => self.tollfree_minute,
            false => self.minute,
        };
        minute.times(minutes)
    }
}

/// Compares the carrier's log with our calls. Those `expected` must have a row, if they were answered.
pub fn carrier_calls(
    rows: &[CarrierRow],
    all: &[CallRow],
    rates: CallRates,
    expected: impl Fn(&CallRow) -> bool,
) -> Compared {
    let ours: BTreeMap<&str, &CallRow> = all
        .iter()
        .map(|call| (call.carrier_call.as_str(), call))
        .collect();
    let theirs: BTreeMap<&str, &CarrierRow> = rows
        .iter()
        .map(|row| (row.carrier_call.as_str(), row))
        .collect();
    let mut compared = Compared::default();
    for (name, row) in &theirs {
        match ours.get(name) {
            None => compared.differing.push(unknown(row)),
            Some(call) if expected(call) => {
                compared.theirs += 1;
                compared.differing.extend(beside(row, call, rates));
            }
            Some(_) => compared.left_out += 1,
        }
    }
    for call in all.iter().filter(|call| expected(call)) {
        compared.ours += 1;
        if call.minutes > 0 && !theirs.contains_key(call.carrier_call.as_str()) {
            compared.differing.push(Differing {
                calls: vec![call.call.clone()],
                part: call.carrier_call.clone(),
                what: "is not listed by the carrier".to_string(),
                theirs: "nothing".to_string(),
                ours: minutes(call.minutes),
                difference: Some(Difference::of(Usd::ZERO, rates.price(call, call.minutes))),
            });
        }
    }
    compared
        .differing
        .sort_by(|one, other| (&one.calls, &one.part).cmp(&(&other.calls, &other.part)));
    compared
}

fn minutes(count: u64) -> String {
    match count {
        1 => "1 minute".to_string(),
        _ => format!("{count} minutes"),
    }
}

fn unknown(row: &CarrierRow) -> Differing {
    Differing {
        calls: Vec::new(),
        part: row.carrier_call.clone(),
        what: "is no call of ours".to_string(),
        theirs: minutes(row.duration_s.div_ceil(60)),
        ours: "nothing".to_string(),
        difference: row.price.map(|price| Difference::of(price, Usd::ZERO)),
    }
}

fn beside(row: &CarrierRow, call: &CallRow, rates: CallRates) -> Option<Differing> {
    let billed = row.duration_s.div_ceil(60);
    let own = rates.price(call, call.minutes);
    let price = row.price.unwrap_or_else(|| rates.price(call, billed));
    if billed == call.minutes && price == own {
        return None;
    }
    let (what, theirs, ours) = if billed == call.minutes {
        ("price", format!("{price} USD"), format!("{own} USD"))
    } else {
        let theirs = format!("{}, {price} USD", minutes(billed));
        (
            "minutes",
            theirs,
            format!("{}, {own} USD", minutes(call.minutes)),
        )
    };
    Some(Differing {
        calls: vec![call.call.clone()],
        part: call.carrier_call.clone(),
        what: what.to_string(),
        theirs,
        ours,
        difference: Some(Difference::of(price, own)),
    })
}

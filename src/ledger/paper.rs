//! The books as others read them: JSON in which a dollar is an exact number, and one row a call for spreadsheets.
//!
//! The command line and the API print the same. Money is `*_usd`, a decimal printed from the integer as in the log, so that what a program
//! adds up here is what it adds up there.

use super::books::{By, CallRow, Parts, SpendRow};
use super::chain::Entry;
use super::entries::CarrierRecord;
use super::transcripts::Said;
use super::{csv, statement};
use crate::units::Usd;
use jiff::Timestamp;
use jiff::civil::Date;
use serde::ser::{Error as _, SerializeMap};
use serde::{Serialize, Serializer};
use serde_json::Value;
use serde_json::value::RawValue;

/// An amount as a JSON number, to the last digit.
#[derive(Clone, Copy, Debug)]
pub struct Dollars(pub Usd);

impl Serialize for Dollars {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        raw(self.0.to_string(), serializer)
    }
}

/// Milliseconds as a JSON number of seconds, to the last digit.
#[derive(Clone, Copy, Debug)]
pub struct Seconds(pub u64);

impl Serialize for Seconds {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        raw(seconds(self.0), serializer)
    }
}

fn raw<S: Serializer>(number: String, serializer: S) -> Result<S::Ok, S::Error> {
    let number = RawValue::from_string(number).map_err(S::Error::custom)?;
    number.serialize(serializer)
}

/// Milliseconds as seconds: `16.522`.
pub fn seconds(millis: u64) -> String {
    format!("{}.{:03}", millis / 1000, millis % 1000)
}

/// A moment as the log writes it; empty for one that no calendar has.
pub fn moment(unix_ms: i64) -> String {
    let moment = Timestamp::from_millisecond(unix_ms);
    moment.map_or_else(|_| String::new(), |moment| format!("{moment:.3}"))
}

/// [`Parts`].
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Costs {
    spent_usd: Dollars,
    model_usd: Dollars,
    transcription_usd: Dollars,
    carrier_usd: Dollars,
    tools_usd: Dollars,
    unreported_usd: Dollars,
    ran_on_usd: Dollars,
    unheard_usd: Dollars,
}

impl From<&Parts> for Costs {
    fn from(parts: &Parts) -> Costs {
        Costs {
            spent_usd: Dollars(parts.spent),
            model_usd: Dollars(parts.model),
            transcription_usd: Dollars(parts.transcription),
            carrier_usd: Dollars(parts.carrier),
            tools_usd: Dollars(parts.tools),
            unreported_usd: Dollars(parts.unreported),
            ran_on_usd: Dollars(parts.ran_on),
            unheard_usd: Dollars(parts.unheard),
        }
    }
}

/// A call in a line.
#[derive(Debug, Serialize)]
pub struct CallPaper<'a> {
    call: &'a str,
    carrier_call: &'a str,
    opened: String,
    over: Option<String>,
    live: bool,
    agent: &'a str,
    model: &'a str,
    from: &'a str,
    to: &'a str,
    account: &'a str,
    ending: Option<&'a str>,
    cause: Option<&'a str>,
    duration_s: Seconds,
    minutes: u64,
    cap_usd: Dollars,
    #[serde(flatten)]
    cost: Costs,
}

impl<'a> From<&'a CallRow> for CallPaper<'a> {
    fn from(row: &'a CallRow) -> CallPaper<'a> {
        CallPaper {
            call: &row.call,
            carrier_call: &row.carrier_call,
            opened: moment(row.opened_ms),
            over: row.over_ms.map(moment),
            live: row.is_live(),
            agent: &row.agent,
            model: &row.model,
            from: &row.from,
            to: &row.to,
            account: &row.account,
            ending: row.ending.as_deref(),
            cause: row.cause.as_deref(),
            duration_s: Seconds(row.duration_ms),
            minutes: row.minutes,
            cap_usd: Dollars(row.cap),
            cost: Costs::from(&row.cost),
        }
    }
}

/// A call, all its lines, and what the carrier said of it.
#[derive(Debug, Serialize)]
pub struct StatementPaper<'a> {
    #[serde(flatten)]
    call: CallPaper<'a>,
    granted_usd: Dollars,
    turns: u64,
    carrier_records: Vec<RecordPaper>,
    entries: Vec<EntryPaper<'a>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    transcript: Vec<SaidPaper>,
}

/// One line of what was said. It holds people's words, so there is no printing it for a developer.
#[derive(Serialize)]
struct SaidPaper {
    who: String,
    heard: String,
    unheard: String,
    at_ms: u64,
}

impl std::fmt::Debug for SaidPaper {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} at {} ms", self.who, self.at_ms)
    }
}

/// What the carrier said.
#[derive(Debug, Serialize)]
struct RecordPaper {
    duration_s: Option<u64>,
    minutes: Option<u64>,
    price_usd: Option<Dollars>,
}

impl From<CarrierRecord> for RecordPaper {
    fn from(record: CarrierRecord) -> RecordPaper {
        RecordPaper {
            duration_s: record.duration_s,
            minutes: record.minutes,
            price_usd: record.price.map(Dollars),
        }
    }
}

impl<'a> StatementPaper<'a> {
    /// Of this call and its lines.
    pub fn new(row: &'a CallRow, entries: &'a [Entry]) -> StatementPaper<'a> {
        let so_far = statement::SoFar::of(entries);
        let records = statement::carrier_records(entries);
        StatementPaper {
            call: CallPaper::from(row),
            granted_usd: Dollars(so_far.granted),
            turns: so_far.turns,
            carrier_records: records.into_iter().map(RecordPaper::from).collect(),
            entries: entries.iter().map(EntryPaper).collect(),
            transcript: Vec::new(),
        }
    }

    /// With what was said, if anybody has kept it.
    pub fn with_transcript(mut self, transcript: Vec<Said>) -> StatementPaper<'a> {
        let lines = transcript.into_iter().map(|said| SaidPaper {
            who: said.who,
            heard: said.heard,
            unheard: said.unheard,
            at_ms: said.at_ms,
        });
        self.transcript = lines.collect();
        self
    }
}

/// A line: its place, when, what, its hash, and all that its body says.
#[derive(Debug)]
struct EntryPaper<'a>(&'a Entry);

impl Serialize for EntryPaper<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let EntryPaper(entry) = self;
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("seq", &entry.seq)?;
        map.serialize_entry("time", &moment(entry.unix_ms))?;
        map.serialize_entry("event", &entry.event)?;
        if let Value::Object(body) = entry.json() {
            for (key, value) in &body {
                in_dollars(&mut map, key, value)?;
            }
        }
        map.serialize_entry("hash", &entry.hash)?;
        map.end()
    }
}

/// A body, with its amounts in dollars.
struct Body<'a>(&'a Value);

impl Serialize for Body<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Value::Object(body) = self.0 else {
            return self.0.serialize(serializer);
        };
        let mut map = serializer.serialize_map(Some(body.len()))?;
        for (key, value) in body {
            in_dollars(&mut map, key, value)?;
        }
        map.end()
    }
}

/// `cost_nanos` becomes `cost_usd`, and `burn_nanos_per_min` becomes `burn_usd_per_min`.
fn in_dollars<M: SerializeMap>(map: &mut M, key: &str, value: &Value) -> Result<(), M::Error> {
    match value.as_u64().filter(|_| key.contains("_nanos")) {
        Some(nanos) => {
            let amount = Dollars(Usd::from_nanos(nanos));
            map.serialize_entry(&key.replace("_nanos", "_usd"), &amount)
        }
        None => map.serialize_entry(key, &Body(value)),
    }
}

/// What was spent under one key.
#[derive(Debug, Serialize)]
pub struct SpendPaper<'a> {
    key: &'a str,
    calls: u64,
    #[serde(flatten)]
    cost: Costs,
}

impl<'a> From<&'a SpendRow> for SpendPaper<'a> {
    fn from(row: &'a SpendRow) -> SpendPaper<'a> {
        SpendPaper {
            key: &row.key,
            calls: row.calls,
            cost: Costs::from(&row.cost),
        }
    }
}

/// What was spent in a span of days, by one kind of key.
#[derive(Debug, Serialize)]
pub struct SpendPage<'a> {
    by: &'static str,
    since: String,
    until: String,
    spend: Vec<SpendPaper<'a>>,
    /// Rows that were left out; the total counts them.
    left_out: usize,
    total: Total,
}

#[derive(Debug, Serialize)]
struct Total {
    calls: u64,
    #[serde(flatten)]
    cost: Costs,
}

impl<'a> SpendPage<'a> {
    /// Of these rows, all of them.
    pub fn new(by: By, days: (Date, Date), rows: &'a [SpendRow]) -> SpendPage<'a> {
        let total = SpendRow::total(rows);
        SpendPage {
            by: by.word(),
            since: days.0.to_string(),
            until: days.1.to_string(),
            spend: rows.iter().map(SpendPaper::from).collect(),
            left_out: 0,
            total: Total {
                calls: total.calls,
                cost: Costs::from(&total.cost),
            },
        }
    }

    /// At most so many rows: the first.
    pub fn at_most(mut self, rows: usize) -> SpendPage<'a> {
        self.left_out = self.spend.len().saturating_sub(rows);
        self.spend.truncate(rows);
        self
    }
}

/// The first record of an export: what its columns hold.
pub const COLUMNS: [&str; 22] = [
    "call",
    "carrier_call",
    "opened",
    "over",
    "agent",
    "model",
    "from",
    "to",
    "account",
    "ending",
    "cause",
    "duration_s",
    "minutes",
    "cap_usd",
    "spent_usd",
    "model_usd",
    "transcription_usd",
    "carrier_usd",
    "tools_usd",
    "unreported_usd",
    "ran_on_usd",
    "unheard_usd",
];

/// Adds a call as a record under [`COLUMNS`].
pub fn record(out: &mut String, row: &CallRow) {
    let cost = &row.cost;
    let amounts = [
        row.cap,
        cost.spent,
        cost.model,
        cost.transcription,
        cost.carrier,
        cost.tools,
        cost.unreported,
        cost.ran_on,
        cost.unheard,
    ]
    .map(|amount| amount.to_string());
    let (opened, over) = (moment(row.opened_ms), row.over_ms.map(moment));
    let (duration, minutes) = (seconds(row.duration_ms), row.minutes.to_string());
    let words = [
        &row.call,
        &row.carrier_call,
        &opened,
        over.as_deref().unwrap_or_default(),
        &row.agent,
        &row.model,
        &row.from,
        &row.to,
        &row.account,
        row.ending.as_deref().unwrap_or_default(),
        row.cause.as_deref().unwrap_or_default(),
        &duration,
        &minutes,
    ];
    let amounts = amounts.iter().map(String::as_str);
    csv::write(out, words.into_iter().chain(amounts));
}

//! What others export, read: records of named fields, whatever the file's form.
//!
//! Two kinds of usage export exist. One has a row for each response; the other has buckets of time (`start_time`, `end_time`, and counts,
//! as `GET /v1/organization/usage/completions` answers, or the older activity file with `n_context_tokens_total`). Either may be CSV, JSON
//! or JSON lines. Fields nobody asks for are ignored; fields that are missing are told together with those that were found.

use super::Tokens;
use crate::ledger::csv;
use crate::units::Usd;
use jiff::civil::{Date, DateTime};
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

/// Why an export cannot be compared.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unreadable(pub String);

impl fmt::Display for Unreadable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A usage export.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Export {
    /// A row for each response.
    Responses(Vec<ResponseRow>),
    /// Buckets of time.
    Buckets(Vec<Bucket>),
}

/// What the provider says of one response.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResponseRow {
    /// Its name.
    pub response: String,
    /// What it consumed.
    pub tokens: Tokens,
    /// What it cost, where the row says.
    pub cost: Option<Usd>,
}

/// What the provider says of one span of time, perhaps of one model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bucket {
    /// Its beginning, in milliseconds since 1970.
    pub start_ms: i64,
    /// Its end, itself excluded.
    pub end_ms: i64,
    /// Of this model only.
    pub model: Option<String>,
    /// What was consumed.
    pub tokens: Tokens,
}

/// What the carrier says of one call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CarrierRow {
    /// Its name for the call.
    pub carrier_call: String,
    /// How long it was, in seconds.
    pub duration_s: u64,
    /// What it cost; `None`: the carrier has not said yet.
    pub price: Option<Usd>,
}

/// A record: what its fields hold.
type Record = BTreeMap<String, String>;

/// Names that a field goes by, the first one ours.
type Names = &'static [&'static str];

const RESPONSE: Names = &["response_id", "response", "id"];
const START: Names = &[
    "start_time",
    "start",
    "aggregation_timestamp",
    "timestamp",
    "usage_date",
    "date",
];
const END: Names = &["end_time", "end"];
const MODEL: Names = &["model", "snapshot_id"];
const COST: Names = &["cost_usd", "amount_usd", "amount.value", "cost"];
const INPUT: Names = &[
    "input_tokens",
    "n_context_tokens_total",
    "context_tokens_total",
    "prompt_tokens",
];
const OUTPUT: Names = &[
    "output_tokens",
    "n_generated_tokens_total",
    "generated_tokens_total",
    "completion_tokens",
];
const CACHED: Names = &[
    "input_cached_tokens",
    "input_token_details.cached_tokens",
    "n_cached_context_tokens_total",
    "cached_context_tokens_total",
    "cached_tokens",
];
const TEXT_IN: Names = &["input_text_tokens", "input_token_details.text_tokens"];
const AUDIO_IN: Names = &["input_audio_tokens", "input_token_details.audio_tokens"];
const IMAGE_IN: Names = &["input_image_tokens", "input_token_details.image_tokens"];
const CACHED_TEXT: Names = &[
    "input_cached_text_tokens",
    "input_token_details.cached_tokens_details.text_tokens",
];
const CACHED_AUDIO: Names = &[
    "input_cached_audio_tokens",
    "input_token_details.cached_tokens_details.audio_tokens",
];
const TEXT_OUT: Names = &["output_text_tokens", "output_token_details.text_tokens"];
const AUDIO_OUT: Names = &["output_audio_tokens", "output_token_details.audio_tokens"];
const CARRIER_CALL: Names = &["callsid", "sid"];
const DURATION: Names = &["duration", "callduration"];
const PRICE: Names = &["price"];
const UNIT: Names = &["priceunit"];

/// A field's content, if it is there and not empty.
fn field<'r>(record: &'r Record, names: Names) -> Option<&'r str> {
    let mut found = names.iter().filter_map(|name| record.get(*name));
    found.find(|text| !text.is_empty()).map(String::as_str)
}

fn has(records: &[Record], names: Names) -> bool {
    records
        .iter()
        .any(|record| names.iter().any(|name| record.contains_key(*name)))
}

fn whole(record: &Record, names: Names) -> Result<Option<u64>, Unreadable> {
    let Some(text) = field(record, names) else {
        return Ok(None);
    };
    // Tables of numbers are written as 120.0 by some programs.
    let digits = text.trim().trim_end_matches(".0");
    match digits.parse() {
        Ok(number) => Ok(Some(number)),
        Err(_) => Err(Unreadable(format!(
            "{}: {text:?} is not a whole number",
            names[0]
        ))),
    }
}

/// An amount; the carrier writes what it charges with a minus.
fn amount(record: &Record, names: Names) -> Result<Option<Usd>, Unreadable> {
    let Some(text) = field(record, names) else {
        return Ok(None);
    };
    let plain = text.trim().trim_start_matches('-').trim_start_matches('$');
    match (plain, Usd::parse(plain)) {
        ("null", _) => Ok(None),
        (_, Ok(amount)) => Ok(Some(amount)),
        (_, Err(why)) => Err(Unreadable(format!("{}: {text:?} is {why}", names[0]))),
    }
}

fn tokens(record: &Record) -> Result<Tokens, Unreadable> {
    Ok(Tokens {
        input: whole(record, INPUT)?,
        output: whole(record, OUTPUT)?,
        cached: whole(record, CACHED)?,
        text_in: whole(record, TEXT_IN)?,
        audio_in: whole(record, AUDIO_IN)?,
        image_in: whole(record, IMAGE_IN)?,
        cached_text: whole(record, CACHED_TEXT)?,
        cached_audio: whole(record, CACHED_AUDIO)?,
        text_out: whole(record, TEXT_OUT)?,
        audio_out: whole(record, AUDIO_OUT)?,
    })
}

/// Reads the provider's export.
///
/// # Errors
/// It is neither CSV nor JSON, a count is no number, or columns are missing: which ones, and which there are.
pub fn usage_export(text: &str) -> Result<Export, Unreadable> {
    let records = records(text)?;
    if records.is_empty() {
        return Ok(Export::Buckets(Vec::new()));
    }
    let has_counts = [INPUT, AUDIO_IN].iter().any(|names| has(&records, names))
        && [OUTPUT, AUDIO_OUT].iter().any(|names| has(&records, names));
    if has_counts && has(&records, RESPONSE) {
        let rows = records.iter().map(|record| {
            let response = field(record, RESPONSE);
            let response =
                response.ok_or_else(|| Unreadable("a row without a response id".to_string()))?;
            Ok(ResponseRow {
                response: response.to_string(),
                tokens: tokens(record)?,
                cost: amount(record, COST)?,
            })
        });
        return rows.collect::<Result<_, _>>().map(Export::Responses);
    }
    if has_counts && has(&records, START) {
        return buckets(&records).map(Export::Buckets);
    }
    Err(missing(
        &records,
        "a response id (response_id) or a span of time (start_time and end_time), with counts of tokens (input_tokens and output_tokens, \
         or input_audio_tokens and output_audio_tokens)",
    ))
}

fn missing(records: &[Record], needed: &str) -> Unreadable {
    let found: BTreeSet<&str> = records
        .iter()
        .flat_map(|record| record.keys().map(String::as_str))
        .collect();
    let found: Vec<&str> = found.into_iter().take(40).collect();
    Unreadable(format!(
        "columns are missing. Found: {}. Needed: {needed}",
        found.join(", ")
    ))
}

/// A moment: seconds since 1970, or as ISO 8601 has it; and the end of it, where it is a day.
fn moment(text: &str) -> Option<(i64, Option<i64>)> {
    if let Ok(seconds) = text.trim_end_matches(".0").parse::<i64>() {
        return Some((seconds.saturating_mul(1000), None));
    }
    if let Ok(moment) = text.parse::<Timestamp>() {
        return Some((moment.as_millisecond(), None));
    }
    let midnight = |day: Date| {
        let zoned = day.to_zoned(TimeZone::UTC).ok()?;
        Some(zoned.timestamp().as_millisecond())
    };
    if let (10, Ok(day)) = (text.len(), text.parse::<Date>()) {
        return Some((midnight(day)?, midnight(day.tomorrow().ok()?)));
    }
    let moment = text
        .parse::<DateTime>()
        .ok()?
        .to_zoned(TimeZone::UTC)
        .ok()?;
    Some((moment.timestamp().as_millisecond(), None))
}

/// The end of the day (UTC) of a moment.
fn end_of_day(unix_ms: i64) -> i64 {
    let moment = Timestamp::from_millisecond(unix_ms).unwrap_or_default();
    let day = moment
        .to_zoned(TimeZone::UTC)
        .date()
        .saturating_add(1.day());
    let midnight = day.to_zoned(TimeZone::UTC);
    midnight.map_or(i64::MAX, |midnight| midnight.timestamp().as_millisecond())
}

fn buckets(records: &[Record]) -> Result<Vec<Bucket>, Unreadable> {
    let mut starts = Vec::new();
    for record in records {
        let text = field(record, START)
            .ok_or_else(|| missing(std::slice::from_ref(record), "start_time"))?;
        let start = moment(text)
            .ok_or_else(|| Unreadable(format!("start_time: {text:?} is not a moment")))?;
        starts.push(start);
    }
    let order: BTreeSet<i64> = starts.iter().map(|(start, _)| *start).collect();
    let mut buckets = Vec::new();
    for (record, (start_ms, end_of_it)) in records.iter().zip(starts) {
        let written = field(record, END).map(|text| {
            let end = moment(text).map(|(end, _)| end);
            end.ok_or_else(|| Unreadable(format!("end_time: {text:?} is not a moment")))
        });
        // The older activity file tells beginnings alone.
        let next = || order.range(start_ms + 1..).next().copied();
        let end_of_day = end_of_day(start_ms);
        let end_ms = match (written.transpose()?, end_of_it) {
            (Some(end), _) | (None, Some(end)) => end,
            (None, None) => next().map_or(end_of_day, |next| next.min(end_of_day)),
        };
        buckets.push(Bucket {
            start_ms,
            end_ms,
            model: field(record, MODEL).map(str::to_string),
            tokens: tokens(record)?,
        });
    }
    Ok(buckets)
}

/// Reads the carrier's call log, a CSV file.
///
/// # Errors
/// As [`usage_export`].
pub fn carrier_log(text: &str) -> Result<Vec<CarrierRow>, Unreadable> {
    let mut records = records(text)?;
    for record in &mut records {
        // `Call Sid`, `call_sid` and `CallSid` are one name.
        let plain = |name: &String| name.to_lowercase().replace([' ', '_'], "");
        *record = record
            .iter()
            .map(|(name, text)| (plain(name), text.clone()))
            .collect();
    }
    if !records.is_empty() && !(has(&records, CARRIER_CALL) && has(&records, DURATION)) {
        let needed = "Call Sid, and Duration in seconds; Price, if the prices are to be compared";
        return Err(missing(&records, needed));
    }
    let rows = records.iter().map(|record| {
        let in_dollars = field(record, UNIT).is_none_or(|unit| unit.eq_ignore_ascii_case("usd"));
        let named = field(record, CARRIER_CALL);
        Ok(CarrierRow {
            carrier_call: named
                .ok_or_else(|| Unreadable("a row without a Call Sid".to_string()))?
                .to_string(),
            duration_s: whole(record, DURATION)?.unwrap_or_default(),
            price: amount(record, PRICE)?.filter(|_| in_dollars),
        })
    });
    rows.collect()
}

fn records(text: &str) -> Result<Vec<Record>, Unreadable> {
    let text = text.trim_start_matches('\u{feff}').trim();
    if text.starts_with(['{', '[']) {
        let mut records = Vec::new();
        for value in serde_json::Deserializer::from_str(text).into_iter::<Value>() {
            let value = value.map_err(|error| Unreadable(format!("is not JSON: {error}")))?;
            unfold(&value, &Record::new(), &mut records);
        }
        return Ok(records);
    }
    let rows = csv::read(text)
        .map_err(|line| Unreadable(format!("is not CSV: a quotation on line {line} goes wrong")))?;
    let mut rows = rows.into_iter();
    let heads: Vec<String> = rows.next().unwrap_or_default();
    let named = rows.map(|row| {
        let heads = heads.iter().map(|head| head.trim().to_string());
        heads
            .zip(row.into_iter().map(|cell| cell.trim().to_string()))
            .collect()
    });
    Ok(named.collect())
}

/// Takes pages, buckets and arrays apart, down to records; what a bucket says holds for its results.
fn unfold(value: &Value, around: &Record, records: &mut Vec<Record>) {
    match value {
        Value::Array(all) => {
            for one in all {
                unfold(one, around, records);
            }
        }
        Value::Object(object) => {
            let mut record = around.clone();
            flatten("", value, &mut record);
            match object.get("data").or_else(|| object.get("results")) {
                Some(inner @ Value::Array(_)) => {
                    let is_page = object.contains_key("data");
                    let around = if is_page { around.clone() } else { record };
                    unfold(inner, &around, records);
                }
                _ => records.push(record),
            }
        }
        _ => {}
    }
}

/// A record's fields by their paths, without the wrappers that events put around a response.
fn flatten(path: &str, value: &Value, record: &mut Record) {
    match value {
        Value::Object(object) => {
            for (key, inner) in object {
                let path = match path {
                    "" | "response" | "usage" | "response.usage" => key.clone(),
                    path => format!("{path}.{key}"),
                };
                // What is inside a response is more about it than what is around it: an event has an id of its own.
                flatten(&path, inner, record);
            }
        }
        Value::String(text) => {
            record.insert(path.to_string(), text.clone());
        }
        Value::Number(number) => {
            record.insert(path.to_string(), number.to_string());
        }
        Value::Array(_) | Value::Null | Value::Bool(_) => {}
    }
}

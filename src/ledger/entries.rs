//! What a line says: each thing that happens to a call, as JSON that can be computed with in a year.
//!
//! A line holds everything that its cost follows from: the usage as it was reported, and, in a call's first line, every price that will
//! be used. So whoever has the lines of a call can make its bill again without our settings and without our price book.

use crate::call::record::{Fact, Refusal, Summary, Turn, What};
use crate::call::rules::Rules;
use crate::pricing::{ModelPrice, TranscriptionPrice, TranscriptionUsage, Usage};
use crate::realtime::Loss;
use crate::units::{CallId, Id, Phone, Usd};
use serde_json::{Map, Value, json};
use std::sync::Arc;

/// A call that is about to begin.
#[derive(Clone, Debug)]
pub struct Opened {
    /// Our name for it.
    pub call: CallId,
    /// Whose call it is, one of [`crate::carrier::CARRIERS`].
    pub carrier: &'static str,
    /// The carrier's name for it.
    pub carrier_call: Id,
    /// Who answers.
    pub agent: Arc<str>,
    /// With which `[model.NAME]`.
    pub model: Arc<str>,
    /// The provider's name for that model.
    pub model_id: String,
    /// Who calls; only its masked form is written down.
    pub from: Phone,
    /// Who was called; only its masked form is written down.
    pub to: Phone,
    /// The caller's account in the budgets.
    pub account: Arc<str>,
    /// What the call may do, and every price.
    pub rules: Arc<Rules>,
    /// The same for the agent's other models, which may take over.
    pub others: Vec<Arc<Rules>>,
    /// What the budgets have set aside for it.
    pub granted: Usd,
}

/// A call that was turned away.
#[derive(Clone, Debug)]
pub struct Turned {
    /// A name for it.
    pub call: CallId,
    /// Whose call it was.
    pub carrier: &'static str,
    /// The carrier's name for it.
    pub carrier_call: Id,
    /// Whose number was called, if anybody's.
    pub agent: Option<Arc<str>>,
    /// Who called; only its masked form is written down.
    pub from: Phone,
    /// Who was called; only its masked form is written down.
    pub to: Phone,
    /// Why.
    pub refusal: Refusal,
}

/// What the carrier says of a call when it is over: never an edit, always a line of its own.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CarrierRecord {
    /// How long it lasted, in seconds.
    pub duration_s: Option<u64>,
    /// The minutes that were billed.
    pub minutes: Option<u64>,
    /// What the carrier charged.
    pub price: Option<Usd>,
}

/// What happened, and everything about it.
pub(super) type Line = (String, Value);

pub(super) fn opened(opened: &Opened, boot: &str, journal: &str) -> Line {
    let rules = &opened.rules;
    let body = json!({
        "carrier": opened.carrier,
        "carrier_call": opened.carrier_call.as_str(),
        "agent": &*opened.agent,
        "model": &*opened.model,
        "model_id": opened.model_id,
        "from": opened.from.to_string(),
        "to": opened.to.to_string(),
        "account": &*opened.account,
        "cap_nanos": nanos(rules.spend.end),
        "cap_ms": rules.duration_ms.end,
        "granted_nanos": nanos(opened.granted),
        "prices": {
            "model": model_price(&rules.model),
            "transcription": rules.transcription.as_ref().map(transcription_price),
            "minute_nanos": nanos(rules.minute),
            "say_nanos": nanos(rules.say),
            "fee_nanos": nanos(rules.fee),
            "models": prices_by_model(opened),
        },
        "boot": boot,
        "journal": journal,
    });
    ("call.opened".to_string(), body)
}

/// What each of the agent's models costs: another one may take over.
fn prices_by_model(opened: &Opened) -> Value {
    let all = std::iter::once(&opened.rules).chain(&opened.others);
    let each = all.map(|rules| {
        let prices = json!({
            "model": model_price(&rules.model),
            "transcription": rules.transcription.as_ref().map(transcription_price),
        });
        (rules.model_name.to_string(), prices)
    });
    Value::Object(each.collect())
}

pub(super) fn refused(turned: &Turned) -> Line {
    let body = json!({
        "carrier": turned.carrier,
        "carrier_call": turned.carrier_call.as_str(),
        "agent": turned.agent.as_deref(),
        "from": turned.from.to_string(),
        "to": turned.to.to_string(),
        "cause": turned.refusal.word(),
    });
    ("call.refused".to_string(), body)
}

/// A call whose first line was written and that never began.
pub(super) fn unbegun() -> Line {
    let body = json!({ "cause": Refusal::Unrecorded.word() });
    ("call.refused".to_string(), body)
}

/// A call that we placed has a name at the carrier, which its first line could not know.
pub(super) fn dialled(carrier_call: &Id) -> Line {
    let body = json!({ "carrier_call": carrier_call.as_str() });
    ("call.dialled".to_string(), body)
}

/// A call that we placed and that never began: nobody answered, or the carrier would not dial. Free of charge.
pub(super) fn unanswered(cause: &str) -> Line {
    let body = json!({ "cause": cause });
    ("call.refused".to_string(), body)
}

pub(super) fn granted(amount: Usd) -> Line {
    amount_line("call.granted", amount)
}

/// A grant that came too late to be used.
pub(super) fn withdrawn(amount: Usd) -> Line {
    amount_line("call.withdrawn", amount)
}

fn amount_line(event: &str, amount: Usd) -> Line {
    let body = json!({ "amount_nanos": nanos(amount) });
    (event.to_string(), body)
}

pub(super) fn carrier_record(record: &CarrierRecord) -> Line {
    let body = json!({
        "duration_s": record.duration_s,
        "minutes": record.minutes,
        "price_nanos": record.price.map(nanos),
    });
    ("call.carrier_record".to_string(), body)
}

pub(super) fn fact(fact: &Fact) -> Line {
    let mut body = match what(&fact.what) {
        Value::Object(body) => body,
        _ => Map::new(),
    };
    body.insert("at_ms".to_string(), fact.at.millis().into());
    body.insert("spent_nanos".to_string(), nanos(fact.spent).into());
    body.insert("reserved_nanos".to_string(), nanos(fact.reserved).into());
    let event = format!("call.{}", fact.what.word().replace('-', "_"));
    (event, Value::Object(body))
}

fn what(what: &What) -> Value {
    match what {
        What::Answered { limit_s } => json!({ "limit_s": limit_s }),
        What::Ready
        | What::Listening
        | What::Digit
        | What::Overheard
        | What::Transferred
        | What::NotTransferred => json!({}),
        What::Held(_)
        | What::Resumed { .. }
        | What::AnsweredBy(_)
        | What::Renewed { .. }
        | What::ToolCalled { .. }
        | What::Tool { .. }
        | What::Transferring { .. }
        | What::Leg { .. } => act(what),
        What::FirstWord { after_ms } => json!({ "after_ms": after_ms }),
        What::Asked {
            nonce,
            max_output_tokens,
            bound,
        } => json!({
            "nonce": nonce,
            "max_output_tokens": max_output_tokens,
            "bound_nanos": nanos(*bound),
        }),
        What::Turn(it) => turn(it),
        What::Transcribed { usage, cost } => json!({
            "usage": usage.as_ref().map(transcription_usage),
            "cost_nanos": nanos(*cost),
        }),
        What::Minute { minute, cost } => json!({ "minute": minute, "cost_nanos": nanos(*cost) }),
        What::Sentence { cost } | What::Fee { cost } => json!({ "cost_nanos": nanos(*cost) }),
        What::Unreported {
            model,
            transcription,
        } => json!({
            "model_nanos": nanos(*model),
            "transcription_nanos": nanos(*transcription),
        }),
        What::Warned(cause) | What::WrappingUp(cause) => json!({ "cause": cause.word() }),
        What::Interrupted {
            heard_ms,
            unheard_ms,
        } => json!({ "heard_ms": heard_ms, "unheard_ms": unheard_ms }),
        What::Condensed { items } => json!({ "items": items }),
        What::BoundBroken { cost, bound } => json!({
            "cost_nanos": nanos(*cost),
            "bound_nanos": nanos(*bound),
        }),
        What::Complained(code) => json!({ "code": code.as_str() }),
        What::ModelLost(loss) => lost(loss),
        What::Ended(summary) => ended(summary),
    }
}

/// What a call does besides talking.
fn act(what: &What) -> Value {
    match what {
        What::Held(hold) => json!({ "hold": hold.word() }),
        What::Resumed { held_ms, turns } => json!({ "held_ms": held_ms, "turns_spared": turns }),
        What::AnsweredBy(answerer) => json!({ "answerer": answerer.word() }),
        What::Renewed {
            why,
            model,
            replayed_bytes,
            gap_ms,
        } => json!({
            "why": why.word(),
            "model": &**model,
            "replayed_bytes": replayed_bytes,
            "gap_ms": gap_ms,
        }),
        What::ToolCalled { name, bound } => {
            json!({ "name": &**name, "bound_nanos": nanos(*bound) })
        }
        What::Tool {
            name,
            outcome,
            cost,
            took_ms,
        } => json!({
            "name": &**name,
            "outcome": outcome.word(),
            "cost_nanos": nanos(*cost),
            "took_ms": took_ms,
        }),
        What::Transferring {
            label,
            limit_s,
            bound,
        } => json!({ "label": &**label, "limit_s": limit_s, "bound_nanos": nanos(*bound) }),
        What::Leg { talked_s, cost } => {
            json!({ "talked_s": talked_s, "cost_nanos": nanos(*cost) })
        }
        // All others are about the talk itself.
        _ => json!({}),
    }
}

fn turn(turn: &Turn) -> Value {
    json!({
        "turn": turn.turn,
        "nonce": turn.nonce,
        "response": turn.response.as_str(),
        "usage": turn.usage.as_ref().map(usage),
        "cost_nanos": nanos(turn.cost),
        "goodbye": turn.goodbye,
        "burn_nanos_per_min": nanos(turn.burn_per_minute),
        "seconds_left": turn.seconds_left,
    })
}

/// The reason only: what was tried may name an address.
fn lost(loss: &Loss) -> Value {
    let (reason, code) = match loss {
        Loss::Unreachable(_) => ("unreachable", ""),
        Loss::Refused(code) => ("refused", code.as_str()),
        Loss::Expired => ("expired", ""),
        Loss::Dropped => ("dropped", ""),
        Loss::Slow => ("slow", ""),
        Loss::Garbled => ("garbled", ""),
    };
    json!({ "reason": reason, "code": code })
}

fn ended(summary: &Summary) -> Value {
    json!({
        "ending": summary.ending.map(|ending| ending.word()),
        "cause": summary.ending.and_then(|ending| ending.cause()),
        "answered": summary.answered,
        "duration_ms": summary.duration_ms,
        "minutes": summary.minutes,
        "turns": summary.turns,
        "interruptions": summary.interruptions,
        "goodbye": summary.goodbye.word(),
        "model_nanos": nanos(summary.cost.model),
        "transcription_nanos": nanos(summary.cost.transcription),
        "carrier_nanos": nanos(summary.cost.carrier),
        "tools_nanos": nanos(summary.cost.tools),
        "unheard_nanos": nanos(summary.unheard),
    })
}

/// A struct of whole numbers, to JSON and back, field by field.
macro_rules! numbers {
    ($to:ident, $from:ident, $type:ident, $($field:ident),+) => {
        fn $to(it: &$type) -> Value {
            json!({ $(stringify!($field): it.$field),+ })
        }
        /// `None`: a number is missing.
        pub(super) fn $from(value: &Value) -> Option<$type> {
            Some($type { $($field: value.get(stringify!($field))?.as_u64()?),+ })
        }
    };
}

numbers!(
    usage,
    read_usage,
    Usage,
    text_in,
    audio_in,
    image_in,
    cached_text,
    cached_audio,
    cached_image,
    unknown_in,
    text_out,
    audio_out,
    unknown_out
);
// Nano-dollars a token.
numbers!(
    model_price,
    read_model_price,
    ModelPrice,
    text_in,
    cached_text,
    audio_in,
    cached_audio,
    image_in,
    cached_image,
    text_out,
    audio_out
);

fn transcription_usage(usage: &TranscriptionUsage) -> Value {
    match usage {
        TranscriptionUsage::Tokens {
            text_in,
            audio_in,
            text_out,
        } => json!({ "text_in": text_in, "audio_in": audio_in, "text_out": text_out }),
        TranscriptionUsage::Duration { millis } => json!({ "millis": millis }),
    }
}

pub(super) fn read_transcription_usage(value: &Value) -> Option<TranscriptionUsage> {
    if let Some(millis) = number(value, "millis") {
        return Some(TranscriptionUsage::Duration { millis });
    }
    Some(TranscriptionUsage::Tokens {
        text_in: number(value, "text_in")?,
        audio_in: number(value, "audio_in")?,
        text_out: number(value, "text_out")?,
    })
}

fn transcription_price(price: &TranscriptionPrice) -> Value {
    match price {
        TranscriptionPrice::Tokens {
            text_in,
            audio_in,
            text_out,
        } => json!({ "text_in": text_in, "audio_in": audio_in, "text_out": text_out }),
        TranscriptionPrice::PerMinute(minute) => json!({ "per_minute_nanos": nanos(*minute) }),
    }
}

pub(super) fn read_transcription_price(value: &Value) -> Option<TranscriptionPrice> {
    if let Some(minute) = number(value, "per_minute_nanos") {
        return Some(TranscriptionPrice::PerMinute(Usd::from_nanos(minute)));
    }
    Some(TranscriptionPrice::Tokens {
        text_in: number(value, "text_in")?,
        audio_in: number(value, "audio_in")?,
        text_out: number(value, "text_out")?,
    })
}

/// A million dollars. A report may claim any number; sums of thousands of such claims still fit the store's integers.
const MOST: u64 = 1_000_000_000_000_000;

/// An amount as it is written down.
pub(super) fn nanos(amount: Usd) -> u64 {
    amount.nanos().min(MOST)
}

/// A whole number in a body.
pub(super) fn number(body: &Value, key: &str) -> Option<u64> {
    body.get(key)?.as_u64()
}

/// An amount of money in a body; nothing where it is missing.
pub(super) fn money(body: &Value, key: &str) -> Usd {
    Usd::from_nanos(number(body, key).unwrap_or_default())
}

/// A word in a body; empty where it is missing.
pub(super) fn word<'a>(body: &'a Value, key: &str) -> &'a str {
    body.get(key).and_then(Value::as_str).unwrap_or_default()
}

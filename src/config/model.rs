//! `[model.NAME]`: where a speech model is, how to talk to it, and what it costs.

use super::outside::{Outside, address};
use super::section::Section;
use super::tree::Value;
use crate::audio::Format;
use crate::pricing::{ModelPrice, PriceBook, TranscriptionPrice};
use crate::realtime::{DIALECTS, TurnDetection};
use crate::units::{Secret, Usd};
use std::collections::BTreeMap;
use std::sync::Arc;

/// A model as written, before an agent gives it a voice. Where a mistake was noted, something stands in its place.
pub(super) struct Plan {
    pub(super) name: Arc<str>,
    pub(super) dialect: &'static str,
    pub(super) url: String,
    pub(super) model: String,
    pub(super) api_key: Secret,
    pub(super) audio: Format,
    pub(super) transcription: Option<(String, TranscriptionPrice)>,
    /// `None`: unknown, and that mistake was noted.
    pub(super) price: Option<ModelPrice>,
    pub(super) max_output_tokens: u32,
    pub(super) context_tokens: u32,
    pub(super) keep_turns: u32,
    pub(super) answer_timeout_ms: u64,
    pub(super) turn_detection: TurnDetection,
}

/// The dialects that later versions will speak.
const LATER_DIALECTS: [&str; 2] = ["openai-beta", "azure"];

/// An answer is at least 8 seconds long or not worth asking for, and at most what every model allows (facts: section 1.3).
const OUTPUT_TOKENS: (u64, u64) = (160, 4096);

/// Less forgets the question that is being answered; more does not fit the older models (facts: section 1.3).
const CONTEXT_TOKENS: (u64, u64) = (500, 28_000);

/// What one answer may have to read again of the conversation, in tokens, where nobody says.
pub const USUAL_CONTEXT_TOKENS: u32 = 2000;

/// Who writes down what the caller says, where nobody says.
pub const USUAL_TRANSCRIPTION: &str = "gpt-4o-mini-transcribe";

/// Turns whose sound is kept; twenty are more than most calls have.
const KEEP_TURNS: (u64, u64) = (0, 20);

pub(super) fn models(
    root: &Section<'_>,
    prices: &PriceBook,
    outside: &Outside<'_>,
) -> BTreeMap<String, Plan> {
    let family = root.family("model");
    if family.is_empty() {
        root.mistake("model", "there is no model", "add a section [model.main]");
    }
    let plans = family.into_iter().map(|(name, section)| {
        let plan = plan(name, &section, prices, outside);
        section.finish();
        (name.to_string(), plan)
    });
    plans.collect()
}

fn plan(name: &str, section: &Section<'_>, prices: &PriceBook, outside: &Outside<'_>) -> Plan {
    let url = section
        .text("url")
        .unwrap_or_else(|| "wss://api.openai.com/v1/realtime".to_string());
    let formats = [
        ("pcm16", Format::Pcm16 { rate: 24_000 }),
        ("pcmu", Format::Pcmu),
    ];
    let (model, price) = model(section, prices);
    let whole = |key, (least, most), default: u32| {
        let written = section.whole(key, least, most);
        written
            .and_then(|n| u32::try_from(n).ok())
            .unwrap_or(default)
    };
    Plan {
        name: name.into(),
        dialect: dialect(section),
        url: address(section, "url", url.trim(), ("wss", "ws")).unwrap_or_default(),
        model,
        api_key: api_key(section, outside).unwrap_or_else(|| String::new().into()),
        audio: section.choice("audio", &formats).unwrap_or(formats[0].1),
        transcription: transcription(section, prices),
        price,
        max_output_tokens: whole("max_output_tokens", OUTPUT_TOKENS, 1024),
        context_tokens: whole("context_tokens", CONTEXT_TOKENS, USUAL_CONTEXT_TOKENS),
        keep_turns: whole("keep_turns", KEEP_TURNS, 2),
        answer_timeout_ms: answer_timeout(section),
        turn_detection: turn_detection(&section.section("turn_detection")),
    }
}

fn api_key(section: &Section<'_>, outside: &Outside<'_>) -> Option<Secret> {
    let variable = section.text("api_key_env");
    let variable = variable.unwrap_or_else(|| "OPENAI_API_KEY".to_string());
    let named = |byte: u8| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'_';
    if variable.is_empty() || !variable.bytes().all(named) {
        // Not repeated: it may be the key itself.
        let what = "is not the name of a variable: capital letters, digits and _";
        section.mistake(
            "api_key_env",
            what,
            "name the variable that holds the key, never the key",
        );
        return outside.secret(section, "api_key_file", &variable);
    }
    outside.required_secret(section, "api_key_file", &variable)
}

fn dialect(section: &Section<'_>) -> &'static str {
    let spoken = DIALECTS.iter().map(|(name, _)| *name);
    let all: Vec<_> = spoken
        .chain(LATER_DIALECTS)
        .map(|name| (name, name))
        .collect();
    match section.choice("dialect", &all) {
        Some(later) if LATER_DIALECTS.contains(&later) => {
            section.not_yet("dialect", &format!("the dialect {later:?}"));
            DIALECTS[0].0
        }
        Some(name) => name,
        None => DIALECTS[0].0,
    }
}

fn model(section: &Section<'_>, prices: &PriceBook) -> (String, Option<ModelPrice>) {
    let Some(model) = section.text("model") else {
        if !section.has("model") {
            section.mistake("model", "is missing", "write it as \"gpt-realtime-2.1\"");
        }
        return (String::new(), None);
    };
    let price = prices.find_model(&model).copied();
    if price.is_none() {
        no_price(section, "model", &model, prices.models.keys());
    }
    (model, price)
}

fn transcription(
    section: &Section<'_>,
    prices: &PriceBook,
) -> Option<(String, TranscriptionPrice)> {
    let model = section
        .text("transcription")
        .unwrap_or_else(|| USUAL_TRANSCRIPTION.to_string());
    if model.is_empty() {
        return None;
    }
    let price = prices.find_transcription(&model).copied();
    if price.is_none() {
        no_price(
            section,
            "transcription",
            &model,
            prices.transcriptions.keys(),
        );
    }
    Some((model, price?))
}

/// What has no price cannot be capped.
fn no_price<'n>(
    section: &Section<'_>,
    key: &str,
    model: &str,
    known: impl Iterator<Item = &'n String>,
) {
    let what = format!("{model:?} has no price, so nobody could say what a call costs");
    let fix = match super::nearest(model, known.map(String::as_str)) {
        Some(name) => format!(
            "did you mean {name:?}? If not, add it to a copy of config/prices.toml and name that in [prices] file"
        ),
        None => "add it to a copy of config/prices.toml and name that in [prices] file".to_string(),
    };
    section.mistake(key, &what, &fix);
}

fn answer_timeout(section: &Section<'_>) -> u64 {
    let written = section.time("answer_timeout").unwrap_or(8_000);
    if !(1_000..=60_000).contains(&written) {
        section.mistake(
            "answer_timeout",
            "must be from 1s to 60s",
            "write \"8s\": nobody waits longer on the phone",
        );
    }
    written
}

fn turn_detection(section: &Section<'_>) -> TurnDetection {
    let whole = |key, least, most, default: u32| {
        let written = section.whole(key, least, most);
        written
            .and_then(|n| u32::try_from(n).ok())
            .unwrap_or(default)
    };
    let detection = TurnDetection {
        threshold_milli: threshold(section),
        prefix_padding_ms: whole("prefix_padding_ms", 0, 5_000, 300),
        silence_duration_ms: whole("silence_duration_ms", 100, 10_000, 500),
        // The agent's `barge_in` says.
        interrupt_response: true,
    };
    section.later(
        "type",
        "any turn detection but server_vad",
        |value| matches!(value, Value::Text(text) | Value::Bare(text) if text == "server_vad"),
    );
    section.finish();
    detection
}

/// A decimal from 0 to 1 in thousandths. Read like money, which is exact.
fn threshold(section: &Section<'_>) -> u32 {
    const THOUSANDTH: u64 = 1_000_000;
    let Some(decimal) = section.money("threshold").map(Usd::nanos) else {
        return 500;
    };
    if decimal > 1000 * THOUSANDTH || decimal % THOUSANDTH != 0 {
        let what = "must be from 0 to 1, in steps of a thousandth";
        section.mistake("threshold", what, "write 0.5, or more for a noisy line");
    }
    u32::try_from(decimal / THOUSANDTH).unwrap_or(500)
}

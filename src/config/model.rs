//! `[model.NAME]`: where a speech model is, how to talk to it, and what it costs.

use super::outside::{Outside, address};
use super::section::Section;
use super::tree::Value;
use crate::audio::Format;
use crate::pricing::{ModelPrice, PriceBook, TranscriptionPrice};
use crate::realtime::{Capabilities, DIALECTS, Profile, TurnDetection};
use crate::units::{Secret, Usd};
use std::collections::BTreeMap;
use std::sync::Arc;

/// A model as written, before an agent gives it a voice. Where a mistake was noted, something stands in its place.
pub(super) struct Plan {
    pub(super) name: Arc<str>,
    pub(super) dialect: &'static str,
    pub(super) url: String,
    pub(super) model: String,
    /// Its name in the price book.
    pub(super) priced_as: String,
    pub(super) can: Capabilities,
    pub(super) api_key: Secret,
    pub(super) audio: Format,
    pub(super) transcription: Option<(String, TranscriptionPrice)>,
    /// `None`: unknown, and that mistake was noted.
    pub(super) price: Option<ModelPrice>,
    pub(super) max_output_tokens: u32,
    pub(super) context_tokens: u32,
    pub(super) words_tokens: u32,
    pub(super) keep_turns: u32,
    pub(super) answer_timeout_ms: u64,
    pub(super) turn_detection: TurnDetection,
}

impl Plan {
    /// What is kept free for the words of old sound, if it is replaced by them.
    pub(super) fn words_tokens(&self, shrinks: bool) -> u32 {
        match self.transcription {
            Some(_) if shrinks => self.words_tokens,
            Some(_) | None => 0,
        }
    }

    /// What the provider is asked to keep of the conversation: sound and words.
    pub(super) fn post_instructions(&self, shrinks: bool) -> Option<u32> {
        let all = self
            .context_tokens
            .saturating_add(self.words_tokens(shrinks));
        let most = u32::try_from(CONTEXT_TOKENS.1).unwrap_or(u32::MAX);
        self.can.truncation.then_some(all.min(most))
    }
}

/// An answer is at least 8 seconds long or not worth asking for, and at most what every model allows (facts: section 1.3).
const OUTPUT_TOKENS: (u64, u64) = (160, 4096);

/// Less forgets the question that is being answered; more does not fit the older models (facts: section 1.3).
const CONTEXT_TOKENS: (u64, u64) = (500, 28_000);

/// Sound that one answer may have to read again of the conversation, in tokens, where nobody says.
pub const USUAL_CONTEXT_TOKENS: u32 = 2000;

/// Words of old sound: none, or as much as fits beside the least of sound.
const WORDS_TOKENS: (u64, u64) = (0, CONTEXT_TOKENS.1 - CONTEXT_TOKENS.0);

/// What is kept free for the words of old sound, in tokens, where nobody says: those of an hour of brisk talk, which is as long as a
/// session lasts. To read them costs what it costs to read as much sound as is kept.
const USUAL_WORDS_TOKENS: u32 = 16_000;

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
    let profile = dialect(section);
    let formats = [
        ("pcm16", Format::Pcm16 { rate: 24_000 }),
        ("pcmu", Format::Pcmu),
    ];
    let (model, priced_as, price) = model(section, prices);
    let whole = |key, (least, most), default: u32| {
        let written = section.whole(key, least, most);
        written
            .and_then(|n| u32::try_from(n).ok())
            .unwrap_or(default)
    };
    Plan {
        name: name.into(),
        dialect: profile.name,
        url: url(section, profile).unwrap_or_default(),
        model,
        priced_as,
        can: capabilities(&section.section("can"), profile),
        api_key: api_key(section, profile, outside).unwrap_or_else(|| String::new().into()),
        audio: section.choice("audio", &formats).unwrap_or(formats[0].1),
        transcription: transcription(section, prices),
        price,
        max_output_tokens: whole("max_output_tokens", OUTPUT_TOKENS, 1024),
        context_tokens: whole("context_tokens", CONTEXT_TOKENS, USUAL_CONTEXT_TOKENS),
        words_tokens: whole("words_tokens", WORDS_TOKENS, USUAL_WORDS_TOKENS),
        keep_turns: whole("keep_turns", KEEP_TURNS, 2),
        answer_timeout_ms: answer_timeout(section),
        turn_detection: turn_detection(&section.section("turn_detection")),
    }
}

/// Where it is spoken, with the API version that belongs to some of these addresses.
fn url(section: &Section<'_>, profile: &Profile) -> Option<String> {
    let version = section.text("api_version");
    let written = match (section.text("url"), profile.url) {
        (Some(written), _) => written,
        (None, Some(usual)) => usual.to_string(),
        (None, None) => {
            if !section.has("url") {
                let what = format!("is missing: {} is at no common address", profile.name);
                section.mistake("url", &what, "write the server's own address");
            }
            return None;
        }
    };
    let url = address(section, "url", written.trim(), ("wss", "ws"))?;
    if let Some((what, fix)) = (profile.refuses)(&url) {
        section.mistake("url", what, fix);
        return None;
    }
    let Some(version) = version else {
        return Some(url);
    };
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.');
    if !(profile.versioned)(&url) {
        let what = "does not belong to this address";
        section.mistake("api_version", what, "take it out");
    } else if version.is_empty() || !version.bytes().all(plain) {
        let what = "is not a version: letters, digits, - and . only";
        section.mistake("api_version", what, "write it as \"2025-04-01-preview\"");
    }
    Some(format!("{url}?api-version={version}"))
}

/// What the other side can do: the operator knows the server, and may say that it can do less than its dialect.
fn capabilities(section: &Section<'_>, profile: &Profile) -> Capabilities {
    let can = profile.can;
    let flag = |key: &'static str, declared: bool| match section.flag(key) {
        Some(true) if !declared => {
            let what = format!("the dialect {} cannot do this", profile.name);
            section.mistake(key, &what, "take it out: only false can be added here");
            false
        }
        written => written.unwrap_or(declared),
    };
    let can = Capabilities {
        own_responses: flag("own_responses", can.own_responses),
        max_output: flag("max_output", can.max_output),
        out_of_band: flag("out_of_band", can.out_of_band),
        usage: flag("usage", can.usage),
        truncation: flag("truncation", can.truncation),
    };
    section.finish();
    if !can.carry_a_cap() {
        let (key, what) = match can.own_responses {
            false => (
                "own_responses",
                "a server that answers by itself cannot be held to a cap on spending",
            ),
            true => (
                "max_output",
                "a server that does not keep to the length of an answer cannot be held to a cap on spending",
            ),
        };
        section.mistake(key, what, "use another server: every call has such a cap");
    }
    if !can.usage {
        let what = "without reports of usage every answer is charged at its bound, which is always more than it cost";
        section.warn("usage", what);
    }
    if !can.out_of_band {
        let what = "without answers beside the conversation the model says no goodbye: the carrier says its sentence, and what was set aside for the goodbye is charged";
        section.warn("out_of_band", what);
    }
    can
}

fn api_key(section: &Section<'_>, profile: &Profile, outside: &Outside<'_>) -> Option<Secret> {
    let variable = section.text("api_key_env");
    let variable = variable.unwrap_or_else(|| profile.key_env.to_string());
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

fn dialect(section: &Section<'_>) -> &'static Profile {
    let all: Vec<_> = DIALECTS
        .iter()
        .map(|profile| (profile.name, profile))
        .collect();
    section.choice("dialect", &all).unwrap_or(&DIALECTS[0])
}

/// The model's name at its address, its name in the price book, and its price.
fn model(section: &Section<'_>, prices: &PriceBook) -> (String, String, Option<ModelPrice>) {
    let priced_as = section.text("priced_as");
    let Some(model) = section.text("model") else {
        if !section.has("model") {
            section.mistake("model", "is missing", "write it as \"gpt-realtime-2.1\"");
        }
        return (String::new(), String::new(), None);
    };
    let (key, name) = match priced_as {
        Some(name) => ("priced_as", name),
        None => ("model", model.clone()),
    };
    let price = prices.find_model(&name).copied();
    if price.is_none() {
        no_price(section, key, &name, prices.models.keys());
    }
    (model, name, price)
}

fn transcription(
    section: &Section<'_>,
    prices: &PriceBook,
) -> Option<(String, TranscriptionPrice)> {
    let model = section
        .text("transcription")
        .unwrap_or_else(|| USUAL_TRANSCRIPTION.to_string());
    let priced_as = section.text("transcription_priced_as");
    if model.is_empty() {
        return None;
    }
    let (key, name) = match &priced_as {
        Some(name) => ("transcription_priced_as", name),
        None => ("transcription", &model),
    };
    let price = prices.find_transcription(name).copied();
    if price.is_none() {
        no_price(section, key, name, prices.transcriptions.keys());
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

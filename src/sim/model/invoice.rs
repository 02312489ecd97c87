//! What the provider bills for one session, with arithmetic of its own.
//!
//! A server that computes its spend and a test that checks it must not share the sum. This one starts from the text of
//! the price list and ends in nano-dollars: a dollar per million tokens is a thousand of them per token, so token
//! prices are whole numbers and nothing is rounded. A started second of transcription is rounded up, against the server.

use crate::units::Usd;
use std::collections::BTreeMap;
use std::fmt;
use toml::{Table, Value};

/// Tokens of one response; the cached ones are part of those read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tokens {
    /// Text read.
    pub text_in: u64,
    /// Audio read.
    pub audio_in: u64,
    /// Image tokens read.
    pub image_in: u64,
    /// Text read from the cache.
    pub cached_text: u64,
    /// Audio read from the cache.
    pub cached_audio: u64,
    /// Image tokens read from the cache.
    pub cached_image: u64,
    /// Text written.
    pub text_out: u64,
    /// Audio spoken.
    pub audio_out: u64,
}

impl Tokens {
    /// Half of everything, for a provider that reports less than it bills.
    pub fn halved(self) -> Tokens {
        Tokens {
            text_in: self.text_in / 2,
            audio_in: self.audio_in / 2,
            image_in: self.image_in / 2,
            cached_text: self.cached_text / 2,
            cached_audio: self.cached_audio / 2,
            cached_image: self.cached_image / 2,
            text_out: self.text_out / 2,
            audio_out: self.audio_out / 2,
        }
    }
}

/// One response on the invoice.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResponseBill {
    /// Its id.
    pub response: String,
    /// Its status, or `in_progress` when the session closed while it ran.
    pub status: &'static str,
    /// Whether it was beside the conversation.
    pub beside: bool,
    /// The `metadata` it was asked with, as JSON.
    pub metadata: String,
    /// What it consumed.
    pub tokens: Tokens,
    /// What that costs.
    pub nanos: u64,
}

/// One transcription on the invoice.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TranscriptionBill {
    /// The caller's item.
    pub item: String,
    /// Sound transcribed, in milliseconds.
    pub millis: u64,
    /// What that costs.
    pub nanos: u64,
}

/// Everything one session is billed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Invoice {
    /// The model.
    pub model: String,
    /// Each response, in the order they ended; then those that still run.
    pub responses: Vec<ResponseBill>,
    /// Each transcription.
    pub transcriptions: Vec<TranscriptionBill>,
}

impl Invoice {
    /// Nano-dollars for responses.
    pub fn responses_nanos(&self) -> u64 {
        self.responses.iter().map(|bill| bill.nanos).sum()
    }

    /// Nano-dollars for transcription.
    pub fn transcription_nanos(&self) -> u64 {
        self.transcriptions.iter().map(|bill| bill.nanos).sum()
    }

    /// Everything.
    pub fn total(&self) -> Usd {
        Usd::from_nanos(self.responses_nanos() + self.transcription_nanos())
    }
}

/// A line for each response, and the sum.
impl fmt::Display for Invoice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for bill in &self.responses {
            let t = bill.tokens;
            writeln!(
                f,
                "{} {:<11}{} in {}+{} (cached {}+{}) out {}+{} text+audio tokens: ${}",
                bill.response,
                bill.status,
                if bill.beside { " beside" } else { "" },
                t.text_in + t.image_in,
                t.audio_in,
                t.cached_text + t.cached_image,
                t.cached_audio,
                t.text_out,
                t.audio_out,
                Usd::from_nanos(bill.nanos)
            )?;
        }
        write!(
            f,
            "{}: {} responses ${}, {} transcriptions ${}, total ${}",
            self.model,
            self.responses.len(),
            Usd::from_nanos(self.responses_nanos()),
            self.transcriptions.len(),
            Usd::from_nanos(self.transcription_nanos()),
            self.total()
        )
    }
}

/// The provider's price list, from the text of `prices.toml`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Prices {
    /// Nano-dollars per token, by model and by the list's own name of the rate.
    models: BTreeMap<String, BTreeMap<&'static str, u64>>,
    transcriptions: BTreeMap<String, Rate>,
}

/// How a transcription is billed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rate {
    /// Nano-dollars per token.
    Tokens {
        /// Audio read.
        audio_in: u64,
        /// Text written.
        text_out: u64,
    },
    /// Nano-dollars per minute, by the started second.
    Minute(u64),
}

const RATES: [&str; 8] = [
    "text_in",
    "cached_text",
    "text_out",
    "audio_in",
    "cached_audio",
    "audio_out",
    "image_in",
    "cached_image",
];

impl Prices {
    /// Reads `[model."…"]` and `[transcription."…"]`; what is not a rate in them is left alone.
    ///
    /// # Errors
    /// Says which entry is no price.
    pub fn parse(text: &str) -> Result<Prices, String> {
        let list: Table = text.parse().map_err(|e| format!("the price list: {e}"))?;
        let mut prices = Prices::default();
        for (name, entry) in section(&list, "model") {
            let mut rates = BTreeMap::new();
            for key in RATES {
                // A list may leave images out where a model sees none; every other rate must stand there.
                let rate = match entry.get(key) {
                    None if key.contains("image") => 0,
                    value => per_token(name, key, value)?,
                };
                rates.insert(key, rate);
            }
            prices.models.insert(name.clone(), rates);
        }
        for (name, entry) in section(&list, "transcription") {
            let by_minute = entry.get("unit").and_then(Value::as_str) == Some("minute");
            let rate = if by_minute {
                let per_minute = decimal(entry.get("usd"), 9);
                Rate::Minute(per_minute.ok_or_else(|| format!("{name}: usd is not a price"))?)
            } else {
                Rate::Tokens {
                    audio_in: per_token(name, "audio_in", entry.get("audio_in"))?,
                    text_out: per_token(name, "text_out", entry.get("text_out"))?,
                }
            };
            prices.transcriptions.insert(name.clone(), rate);
        }
        Ok(prices)
    }

    /// Whether there is such a model.
    pub fn has(&self, model: &str) -> bool {
        self.models.contains_key(model)
    }

    /// How this model transcribes, if it does.
    pub fn transcription(&self, model: &str) -> Option<Rate> {
        self.transcriptions.get(model).copied()
    }

    /// Nano-dollars for these tokens.
    pub fn response(&self, model: &str, t: Tokens) -> u64 {
        let rate = |key| {
            let rates = self.models.get(model);
            rates.and_then(|r| r.get(key)).copied().unwrap_or(0)
        };
        (t.text_in - t.cached_text) * rate("text_in")
            + t.cached_text * rate("cached_text")
            + (t.audio_in - t.cached_audio) * rate("audio_in")
            + t.cached_audio * rate("cached_audio")
            + (t.image_in - t.cached_image) * rate("image_in")
            + t.cached_image * rate("cached_image")
            + t.text_out * rate("text_out")
            + t.audio_out * rate("audio_out")
    }
}

fn section<'a>(list: &'a Table, name: &str) -> impl Iterator<Item = (&'a String, &'a Table)> {
    let entries = list.get(name).and_then(Value::as_table);
    entries
        .into_iter()
        .flatten()
        .filter_map(|(name, entry)| Some((name, entry.as_table()?)))
}

/// Dollars per million tokens, in nano-dollars per token: three more decimals.
fn per_token(model: &str, key: &str, value: Option<&Value>) -> Result<u64, String> {
    decimal(value, 3).ok_or_else(|| format!("{model}: {key} is not a price"))
}

/// A decimal shifted left by so many places; `None` when digits are left over.
fn decimal(value: Option<&Value>, places: usize) -> Option<u64> {
    let text = match value? {
        Value::String(text) => text.clone(),
        Value::Integer(whole) => whole.to_string(),
        Value::Float(number) => number.to_string(),
        _ => return None,
    };
    let (whole, part) = text.split_once('.').unwrap_or((&text, ""));
    let part = part.trim_end_matches('0');
    if part.len() > places {
        return None;
    }
    let digits = format!("{whole}{part:0<places$}");
    if digits.bytes().all(|b| b.is_ascii_digit()) {
        digits.parse().ok()
    } else {
        None
    }
}

/// What a turn's transcription costs, and its `usage` on the wire.
pub fn transcription(rate: Rate, millis: u64, text_tokens: u64) -> (u64, serde_json::Value) {
    match rate {
        Rate::Tokens { audio_in, text_out } => {
            let audio = millis / 100;
            let nanos = audio * audio_in + text_tokens * text_out;
            let usage = serde_json::json!({
                "type": "tokens", "total_tokens": audio + text_tokens, "input_tokens": audio,
                "input_token_details": {"text_tokens": 0, "audio_tokens": audio},
                "output_tokens": text_tokens,
            });
            (nanos, usage)
        }
        Rate::Minute(per_minute) => {
            let seconds = millis.div_ceil(1000);
            let nanos = (seconds * per_minute).div_ceil(60);
            (
                nanos,
                serde_json::json!({"type": "duration", "seconds": seconds}),
            )
        }
    }
}

#[cfg(test)]
pub const PRICES: &str = r#"
[model."gpt-realtime-2.1"]
unit = "1M tokens"
text_in = "4.00"
cached_text = 0.4
text_out = "24.00"
audio_in = 32
cached_audio = "0.40"
audio_out = "64.00"
image_in = "5.00"
cached_image = "0.50"
[model."gpt-realtime"]
text_in = "4.00"
cached_text = "0.40"
text_out = "16.00"
audio_in = "32.00"
cached_audio = "0.40"
audio_out = "64.00"
[transcription."gpt-4o-mini-transcribe"]
unit = "1M tokens"
text_in = "1.25"
audio_in = "3.00"
text_out = "5.00"
[transcription."whisper-1"]
unit = "minute"
usd = 0.006
[transcription."gpt-realtime-whisper"]
unit = "minute"
usd = "0.017"
"#;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_golden_turns_cost_what_the_provider_charged() {
        let prices = Prices::parse(PRICES).unwrap();
        let turns = [
            (15, 27, 0, 18, 42, 3_900_000),
            (43, 96, 64, 18, 43, 4_261_600),
            (63, 124, 0, 17, 98, 10_764_000),
        ];
        for (text_in, audio_in, cached_audio, text_out, audio_out, nanos) in turns {
            let tokens = Tokens {
                text_in,
                audio_in,
                cached_audio,
                text_out,
                audio_out,
                ..Tokens::default()
            };
            assert_eq!(prices.response("gpt-realtime", tokens), nanos);
        }
        let whisper = prices.transcription("gpt-realtime-whisper").unwrap();
        assert_eq!(transcription(whisper, 2_796, 9).0, 850_000);
        let mini = prices.transcription("gpt-4o-mini-transcribe").unwrap();
        assert_eq!(transcription(mini, 1_790, 9).0, 17 * 3_000 + 9 * 5_000);
    }

    #[test]
    fn a_list_that_is_no_list_is_refused() {
        assert!(Prices::parse("model = [").is_err());
        for wrong in ["\"free\"", "-1", "0.0001", "true"] {
            let text = PRICES.replacen("\"4.00\"", wrong, 1);
            assert!(Prices::parse(&text).unwrap_err().contains("text_in"));
        }
    }
}

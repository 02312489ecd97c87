//! The shapes of what the provider sends: ids, errors, usage, response objects.
//!
//! Every key that a real session was seen to send stands here even when it is null, for clients differ in which of them
//! they insist on.

use super::invoice::Tokens;
use serde_json::{Value, json};

/// Makes ids that never repeat in a session and never differ between two runs of it.
#[derive(Debug)]
pub struct Ids {
    seed: u64,
    made: u64,
}

impl Ids {
    /// From a seed.
    pub fn new(seed: u64) -> Self {
        Ids { seed, made: 0 }
    }

    /// The next id with this prefix, such as `item`.
    pub fn next(&mut self, prefix: &str) -> String {
        let number = self.number();
        format!("{prefix}_{:010x}{:06x}", number >> 24, self.made)
    }

    /// What the provider calls obfuscation: noise as long as it likes, against those who guess words from lengths.
    pub fn noise(&mut self) -> String {
        let number = self.number();
        format!("{number:016x}")[..4 + (number % 12) as usize].to_string()
    }

    fn number(&mut self) -> u64 {
        self.made += 1;
        let mut z = self
            .seed
            .wrapping_add(self.made.wrapping_mul(0x9E37_79B9_7F4A_7C15));
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }
}

/// Why an event of the client was refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// The provider's code, if it has one for this.
    pub code: Option<&'static str>,
    /// In words.
    pub message: String,
    /// The path of what is wrong.
    pub param: Option<String>,
}

impl Fault {
    /// With a code and words.
    pub fn new(code: &'static str, message: impl Into<String>) -> Self {
        Fault {
            code: Some(code),
            message: message.into(),
            param: None,
        }
    }

    /// About the thing at this path.
    pub fn at(mut self, param: impl Into<String>) -> Self {
        self.param = Some(param.into());
        self
    }

    /// The `error` event; `about` is the `event_id` of what was refused.
    pub fn event(&self, about: Option<&str>) -> Value {
        json!({"type": "error", "error": {
            "type": "invalid_request_error", "code": self.code, "message": self.message,
            "param": self.param, "event_id": about,
        }})
    }
}

/// A text as JSON.
pub fn quoted(text: &str) -> String {
    let plain = |byte: u8| byte >= 0x20 && byte != b'"' && byte != b'\\';
    match text.bytes().all(plain) {
        true => format!("\"{text}\""),
        false => Value::from(text).to_string(),
    }
}

/// `usage` with all of its sub-fields.
pub fn usage(t: Tokens) -> Value {
    let (read, written) = (
        t.text_in + t.audio_in + t.image_in,
        t.text_out + t.audio_out,
    );
    json!({
        "total_tokens": read + written, "input_tokens": read, "output_tokens": written,
        "input_token_details": {
            "text_tokens": t.text_in, "audio_tokens": t.audio_in, "image_tokens": t.image_in,
            "cached_tokens": t.cached_text + t.cached_audio + t.cached_image,
            "cached_tokens_details": {
                "text_tokens": t.cached_text, "audio_tokens": t.cached_audio, "image_tokens": t.cached_image,
            },
        },
        "output_token_details": {"text_tokens": t.text_out, "audio_tokens": t.audio_out},
    })
}

/// `status_details` of a response that failed.
pub fn failure(code: &str) -> Value {
    let class = if code == "server_error" {
        "server_error"
    } else {
        code
    };
    json!({"type": "failed", "error": {
        "type": class, "code": code, "message": "The simulated model was told to fail.",
    }})
}

/// Words that stand for what was said: the simulator understands nothing, and says so by counting.
pub fn words(what: &str, count: u64) -> Vec<String> {
    const COUNTING: [&str; 10] = [
        "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten",
    ];
    (0..count)
        .map(|n| match n {
            0 => what.to_string(),
            _ => format!(" {}", COUNTING[(n as usize - 1) % COUNTING.len()]),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_short_never_repeat_and_are_the_same_in_every_run() {
        let (mut one, mut other) = (Ids::new(7), Ids::new(7));
        let mut seen = std::collections::BTreeSet::new();
        for _ in 0..5_000 {
            let id = one.next("item");
            assert_eq!(id, other.next("item"));
            assert!(id.len() <= 32);
            assert!(seen.insert(id));
        }
    }
}

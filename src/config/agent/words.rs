//! What an agent is told and what it says, and whether a provider will take it.
//!
//! Every word of it is read again before each answer or set aside for from the first moment, so a long one costs money
//! long before anybody hears it.

use crate::config::section::Section;

/// The voices OpenAI lists (facts: section 1.3); custom ones begin with `voice_`.
const VOICES: [&str; 10] = [
    "alloy", "ash", "ballad", "coral", "echo", "sage", "shimmer", "verse", "marin", "cedar",
];

/// What instructions and tools may weigh together at the provider, in tokens (facts: section 1.3).
const SETTINGS_TOKENS: usize = 16_384;

/// Letters in a token of ordinary text; only to tell when the provider will surely refuse.
const BYTES_PER_TOKEN: usize = 4;

/// The longest goodbye instructions and sentences, in bytes: both are set aside for at a token a byte.
const LONGEST_SENTENCE: usize = 1000;

/// Everything an agent says or is told.
pub(super) struct Words {
    pub(super) voice: String,
    pub(super) instructions: String,
    pub(super) greeting: String,
    pub(super) goodbye: String,
    pub(super) goodbye_sentence: String,
    pub(super) trouble_sentence: String,
}

impl Words {
    pub(super) fn read(section: &Section<'_>) -> Words {
        let or = |key, default: &str| section.text(key).unwrap_or_else(|| default.to_string());
        let language = or("language", "English");
        let goodbye = format!(
            "The time for this call is over. In {language}, say so kindly in one short sentence, thank the caller, \
             and say goodbye. Ask nothing and promise nothing."
        );
        let words = Words {
            voice: or("voice", "marin"),
            instructions: or("instructions", ""),
            greeting: or("greeting", "Greet the caller and ask how you can help."),
            goodbye: or("goodbye", &goodbye),
            goodbye_sentence: or(
                "goodbye_sentence",
                "I am sorry, our time for this call is over. Thank you for calling. Goodbye.",
            ),
            trouble_sentence: or(
                "trouble_sentence",
                "I am sorry, there is a technical problem on our side. Please call again later. Goodbye.",
            ),
        };
        words.check(section);
        if language != "English" {
            for key in ["goodbye_sentence", "trouble_sentence"] {
                if !section.has(key) {
                    section.warn(
                        key,
                        &format!("is still English, and the language is {language}"),
                    );
                }
            }
        }
        words
    }

    fn check(&self, section: &Section<'_>) {
        let bytes = self.instructions.len();
        if self.instructions.trim().is_empty() && !section.has("instructions") {
            section.mistake(
                "instructions",
                "is missing",
                "say who the agent is and what it may do",
            );
        } else if self.instructions.trim().is_empty() {
            section.mistake(
                "instructions",
                "is empty",
                "say who the agent is and what it may do",
            );
        } else if bytes > SETTINGS_TOKENS * BYTES_PER_TOKEN {
            let what =
                format!("{bytes} bytes are more than the {SETTINGS_TOKENS} tokens a model takes");
            section.mistake(
                "instructions",
                &what,
                "shorten them: every answer pays for them again",
            );
        } else if bytes > SETTINGS_TOKENS {
            section.warn(
                "instructions",
                &format!(
                    "{bytes} bytes may be more than the {SETTINGS_TOKENS} tokens a model takes"
                ),
            );
        }
        for (key, text, empty) in [
            ("greeting", &self.greeting, true),
            ("goodbye", &self.goodbye, false),
            ("goodbye_sentence", &self.goodbye_sentence, false),
            ("trouble_sentence", &self.trouble_sentence, false),
        ] {
            if text.len() > LONGEST_SENTENCE {
                let what = format!("is longer than {LONGEST_SENTENCE} bytes");
                section.mistake(key, &what, "shorten it");
            }
            if text.trim().is_empty() && !empty {
                section.mistake(
                    key,
                    "is empty",
                    "write it, or leave the key out for the default",
                );
            }
        }
        if !VOICES.contains(&self.voice.as_str()) && !self.voice.starts_with("voice_") {
            let what = format!(
                "{:?} is not a voice we know: {}",
                self.voice,
                VOICES.join(", ")
            );
            section.warn("voice", &what);
        }
    }
}

//! The numbers people argue about: every cap, timeout and margin of a call, in one place.

use crate::audio::FRAME_MS;
use crate::pricing::{ModelPrice, TranscriptionPrice};
use crate::units::Usd;
use std::sync::Arc;

/// A limit with a warning before it: one shape for duration, spend and silence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cap<T> {
    /// From here on the model is told.
    pub warn: T,
    /// Beyond this it never goes.
    pub end: T,
}

/// What one call may do and what things cost while it does.
#[derive(Clone, Debug)]
pub struct Rules {
    /// Dollars, everything included.
    pub spend: Cap<Usd>,
    /// Milliseconds from the answer.
    pub duration_ms: Cap<u64>,
    /// Milliseconds without a word from the caller while nothing is being played.
    pub silence_ms: Cap<u64>,
    /// What is said to the model when the call begins, so that the first word is the agent's; empty: the caller begins.
    pub greeting: Arc<str>,
    /// The language and manner of the goodbye: instructions of the one answer that has no memory.
    pub goodbye: Arc<str>,
    /// What the carrier says when no goodbye of the model could be heard.
    pub goodbye_sentence: Arc<str>,
    /// What the carrier says when the model's side failed.
    pub trouble_sentence: Arc<str>,
    /// The most an answer may be long, in tokens.
    pub max_output_tokens: u32,
    /// What the settings weigh in the model's memory, in tokens: at most one for each byte of instructions and tools.
    pub settings_tokens: u64,
    /// Whether the model's provider cuts its own answer when the caller speaks (`barge_in = "at_once"`).
    pub provider_interrupts: bool,
    /// How far ahead of the carrier's play-out we send, in milliseconds.
    pub lead_ms: u64,
    /// How much sound one message to the carrier holds, in milliseconds.
    pub message_ms: u64,
    /// The model's price.
    pub model: ModelPrice,
    /// The price of transcribing the caller; `None`: nobody transcribes.
    pub transcription: Option<TranscriptionPrice>,
    /// A started minute at the carrier, voice and media.
    pub minute: Usd,
    /// One sentence said by the carrier's own voice.
    pub say: Usd,
    /// Seconds within which the model must begin to answer, in milliseconds.
    pub answer_timeout_ms: u64,
    /// The margins below, which no agent sets.
    pub margins: Margins,
}

/// Margins that hold for every agent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Margins {
    /// An answer shorter than this is not worth asking for: 8 seconds of speech.
    pub min_output_tokens: u32,
    /// The goodbye may be this long: 10 seconds of speech.
    pub goodbye_tokens: u32,
    /// The longest that a goodbye takes until it is heard.
    pub goodbye_max_ms: u64,
    /// From the last word to the line being closed.
    pub hangup_ms: u64,
    /// No sound of the goodbye by then: the carrier says it.
    pub goodbye_start_ms: u64,
    /// The longest that a sentence of the carrier's own voice takes.
    pub sentence_ms: u64,
    /// The model must be reached and configured by then.
    pub model_ready_ms: u64,
    /// The media stream must open by then.
    pub stream_open_ms: u64,
    /// Caller sound kept while the model is not ready; older sound is forgotten.
    pub ear_ms: u64,
    /// Beyond the cap on duration: when the carrier's own limit ends the call.
    pub carrier_limit_ms: u64,
}

impl Default for Margins {
    fn default() -> Self {
        Margins {
            min_output_tokens: 160,
            goodbye_tokens: 200,
            goodbye_max_ms: 10_000,
            hangup_ms: 2_000,
            goodbye_start_ms: 2_000,
            sentence_ms: 7_000,
            model_ready_ms: 8_000,
            stream_open_ms: 15_000,
            ear_ms: 10_000,
            carrier_limit_ms: 10_000,
        }
    }
}

impl Margins {
    /// The longest that a call takes to end politely: the goodbye, or waiting for one in vain and the carrier's sentence; and the
    /// hang-up.
    pub fn ending_ms(&self) -> u64 {
        self.goodbye_max_ms
            .max(self.goodbye_start_ms + self.sentence_ms)
            + self.hangup_ms
    }
}

impl Rules {
    /// Whole frames in one message to the carrier.
    pub fn message_frames_ms(&self) -> u64 {
        (self.message_ms / FRAME_MS).max(1) * FRAME_MS
    }

    /// What is set aside for the goodbye: the one answer without memory, and the carrier's sentence in case nobody hears it.
    ///
    /// `(bytes of its instructions + 14) x text_in + goodbye_tokens x audio_out + say`
    pub fn goodbye_bound(&self) -> Usd {
        let read = (self.goodbye.len() as u64).saturating_add(ITEM_TOKENS);
        let written = u64::from(self.margins.goodbye_tokens);
        tokens(read, self.model.text_in)
            .plus(tokens(written, self.model.dearest_out()))
            .plus(self.say)
    }

    /// The smallest cap with which a call makes sense: a greeting, one answer, and a goodbye within the first minute.
    ///
    /// It is the sum of
    /// - a started minute at the carrier,
    /// - the goodbye that is set aside ([`Rules::goodbye_bound`]),
    /// - the greeting: settings and the note that asks for it (at least 60 tokens) as text read, and the shortest answer
    ///   worth asking for (`min_output_tokens`) spoken,
    /// - one answer: ten seconds of the caller as audio read and as transcription, the settings, the note and the greeting
    ///   read again with 14 tokens for each of the two items since, and again `min_output_tokens` spoken.
    pub fn smallest_cap(&self) -> Usd {
        let note = (self.greeting.len() as u64)
            .saturating_add(ITEM_TOKENS)
            .max(NOTE_TOKENS);
        let settings = self.settings_tokens.saturating_add(note);
        let shortest = u64::from(self.margins.min_output_tokens);
        let spoken = tokens(shortest, self.model.dearest_out());
        let greeting = tokens(settings, self.model.text_in).plus(spoken);
        let heard = QUESTION_MS.div_ceil(1000) * CALLER_TOKENS_PER_SECOND;
        let transcribed = self
            .transcription
            .map_or(Usd::ZERO, |price| price.bound(QUESTION_MS));
        let answer = tokens(settings.saturating_add(2 * ITEM_TOKENS), self.model.text_in)
            .plus(tokens(heard.saturating_add(shortest), self.model.audio_in))
            .plus(transcribed)
            .plus(spoken);
        self.minute
            .plus(self.goodbye_bound())
            .plus(greeting)
            .plus(answer)
    }
}

/// What an item of the conversation adds beyond its words and sound, at most (facts: section 5.1).
pub const ITEM_TOKENS: u64 = 14;

/// A second of the caller's sound in the model's memory (facts: section 5.1).
pub const CALLER_TOKENS_PER_SECOND: u64 = 10;

/// The note that asks for the greeting weighs at least this in [`Rules::smallest_cap`].
const NOTE_TOKENS: u64 = 60;

/// The caller's one question in [`Rules::smallest_cap`].
const QUESTION_MS: u64 = 10_000;

fn tokens(count: u64, rate: u64) -> Usd {
    Usd::from_nanos(rate).times(count)
}

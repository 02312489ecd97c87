//! Usage times price book is cost; integers only.
//!
//! A provider lists dollars per million tokens, or per minute. One dollar per million tokens is a thousand nano-dollars
//! per token, so every listed token price is a whole number of nano-dollars and no cent is ever rounded away.

use crate::units::Usd;

/// What one response consumed, as its `usage` says (facts: `response.done`, `usage`). Counts are tokens.
///
/// The cached counts are part of the input counts, not beside them. Tokens that a report does not attribute to a
/// modality stand in `unknown_in` and `unknown_out` and are charged at the dearest rate of their direction.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Text read, cached or not; instructions and tools are text.
    pub text_in: u64,
    /// Audio read, cached or not.
    pub audio_in: u64,
    /// Image tokens read, cached or not.
    pub image_in: u64,
    /// The part of `text_in` that was served from the cache.
    pub cached_text: u64,
    /// The part of `audio_in` that was served from the cache.
    pub cached_audio: u64,
    /// The part of `image_in` that was served from the cache.
    pub cached_image: u64,
    /// Input that the report does not attribute to a modality.
    pub unknown_in: u64,
    /// Text written, reasoning included.
    pub text_out: u64,
    /// Audio spoken.
    pub audio_out: u64,
    /// Output that the report does not attribute to a modality.
    pub unknown_out: u64,
}

/// What transcribing one turn of the caller consumed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TranscriptionUsage {
    /// Billed by tokens.
    Tokens {
        /// Prompt text read.
        text_in: u64,
        /// Audio read.
        audio_in: u64,
        /// Text written.
        text_out: u64,
    },
    /// Billed by time, in milliseconds (a report in whole seconds is multiplied out).
    Duration {
        /// Milliseconds of audio transcribed.
        millis: u64,
    },
}

/// Nano-dollars per token, by what the token is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ModelPrice {
    /// Text read.
    pub text_in: u64,
    /// Text read from the cache.
    pub cached_text: u64,
    /// Audio read.
    pub audio_in: u64,
    /// Audio read from the cache.
    pub cached_audio: u64,
    /// Images read; zero tokens are ever allowed where the list has no price.
    pub image_in: u64,
    /// Images read from the cache.
    pub cached_image: u64,
    /// Text written.
    pub text_out: u64,
    /// Audio spoken.
    pub audio_out: u64,
}

/// How transcription of the caller is billed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TranscriptionPrice {
    /// Nano-dollars per token.
    Tokens {
        /// Prompt text read.
        text_in: u64,
        /// Audio read.
        audio_in: u64,
        /// Text written.
        text_out: u64,
    },
    /// Per started second of audio.
    PerMinute(Usd),
}

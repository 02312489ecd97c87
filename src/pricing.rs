//! Usage times price book is cost; integers only.
//!
//! A provider lists dollars per million tokens, or per minute. One dollar per million tokens is a thousand nano-dollars
//! per token, so every listed token price is a whole number of nano-dollars and no cent is ever rounded away.

mod book;
pub mod prefixes;

pub use book::{BUILT_IN, Listing, PriceBook};
pub use prefixes::{Allowed, Outbound, Prefix, PrefixPrices};

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
    /// Images read; zero where the list has no price, and then charged at the dearest input rate.
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

/// Nano-dollars for `count` tokens at `rate` nano-dollars each; [`Usd::MAX`] when that does not fit.
fn at(count: u64, rate: u64) -> Usd {
    Usd::from_nanos(rate).times(count)
}

impl ModelPrice {
    /// What a response cost that consumed this. Saturates at [`Usd::MAX`], which no cap allows.
    ///
    /// Where a report is odd, the dearer reading is taken: a cached count above its input count is charged whole, and
    /// image tokens of a model whose list has no price for images are charged at the dearest input rate.
    pub fn cost(&self, usage: &Usage) -> Usd {
        let dearest = self.dearest_in();
        let (image_in, cached_image) = match self.image_in {
            0 => (dearest, dearest),
            listed => (listed, self.cached_image),
        };
        [
            at(
                usage.text_in.saturating_sub(usage.cached_text),
                self.text_in,
            ),
            at(usage.cached_text, self.cached_text),
            at(
                usage.audio_in.saturating_sub(usage.cached_audio),
                self.audio_in,
            ),
            at(usage.cached_audio, self.cached_audio),
            at(usage.image_in.saturating_sub(usage.cached_image), image_in),
            at(usage.cached_image, cached_image),
            at(usage.unknown_in, dearest),
            at(usage.text_out, self.text_out),
            at(usage.audio_out, self.audio_out),
            at(usage.unknown_out, self.dearest_out()),
        ]
        .into_iter()
        .sum()
    }

    /// The most that a token read can cost, in nano-dollars.
    pub fn dearest_in(&self) -> u64 {
        [
            self.text_in,
            self.cached_text,
            self.audio_in,
            self.cached_audio,
            self.image_in,
            self.cached_image,
        ]
        .into_iter()
        .fold(0, u64::max)
    }

    /// The most that a token written can cost, in nano-dollars.
    pub fn dearest_out(&self) -> u64 {
        self.text_out.max(self.audio_out)
    }
}

/// How long one token of the caller's sound lasts (facts: section 5.1, measured: 10 tokens a second).
const MS_PER_TOKEN: u64 = 100;

impl TranscriptionPrice {
    /// What transcribing a turn cost. Saturates at [`Usd::MAX`].
    ///
    /// A report in another unit than the price list's is charged at its dearest reading: a duration, at the most that
    /// so much sound can cost in tokens; tokens, as the longest sound that any of their counts could stand for.
    pub fn cost(&self, usage: &TranscriptionUsage) -> Usd {
        match (*self, *usage) {
            (
                TranscriptionPrice::Tokens {
                    text_in,
                    audio_in,
                    text_out,
                },
                TranscriptionUsage::Tokens {
                    text_in: prompt,
                    audio_in: sound,
                    text_out: words,
                },
            ) => at(prompt, text_in)
                .plus(at(sound, audio_in))
                .plus(at(words, text_out)),
            (_, TranscriptionUsage::Duration { millis }) => self.bound(millis),
            (
                TranscriptionPrice::PerMinute(_),
                TranscriptionUsage::Tokens {
                    text_in,
                    audio_in,
                    text_out,
                },
            ) => {
                let longest = text_in.saturating_add(audio_in).max(text_out);
                self.bound(longest.saturating_mul(MS_PER_TOKEN))
            }
        }
    }

    /// The most that transcribing this many milliseconds of sound can cost.
    ///
    /// By tokens: ten tokens heard and at most ten written in a second, started tenths counted whole. By the minute:
    /// started seconds, the sum rounded up to a nano-dollar.
    pub fn bound(&self, audio_ms: u64) -> Usd {
        match *self {
            TranscriptionPrice::Tokens {
                audio_in, text_out, ..
            } => {
                let tokens = audio_ms.div_ceil(MS_PER_TOKEN);
                at(tokens, audio_in).plus(at(tokens, text_out))
            }
            TranscriptionPrice::PerMinute(minute) => {
                let seconds = u128::from(audio_ms.div_ceil(1000));
                let nanos = (u128::from(minute.nanos()) * seconds).div_ceil(60);
                Usd::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn price(id: &str) -> ModelPrice {
        *PriceBook::built_in()
            .find_model(id)
            .expect("is in the book")
    }

    fn transcription(id: &str) -> TranscriptionPrice {
        *PriceBook::built_in()
            .find_transcription(id)
            .expect("is in the book")
    }

    #[test]
    fn three_real_turns_cost_what_they_cost_to_the_nano_dollar() {
        // text_in, audio_in, cached_audio, text_out, audio_out, nano-dollars (facts: section 5.1).
        for (text_in, audio_in, cached_audio, text_out, audio_out, nanos) in [
            (15, 27, 0, 18, 42, 3_900_000),
            (43, 96, 64, 18, 43, 4_261_600),
            (63, 124, 0, 17, 98, 10_764_000),
        ] {
            let usage = Usage {
                text_in,
                audio_in,
                cached_audio,
                text_out,
                audio_out,
                ..Usage::default()
            };
            assert_eq!(price("gpt-realtime").cost(&usage), Usd::from_nanos(nanos));
        }
    }

    #[test]
    fn three_seconds_of_transcription_by_the_minute_cost_850_millionths() {
        let usage = TranscriptionUsage::Duration { millis: 3000 };
        let price = transcription("gpt-realtime-whisper");
        assert_eq!(price.cost(&usage), Usd::from_micros(850));
        // A started second is a whole one, and a part of a nano-dollar is a whole one.
        assert_eq!(price.bound(2001), Usd::from_micros(850));
        assert_eq!(price.bound(1000), Usd::from_nanos(283_334));
    }

    #[test]
    fn transcription_by_tokens_counts_each_kind_and_is_bounded_by_the_clock() {
        let price = transcription("gpt-4o-mini-transcribe");
        let usage = TranscriptionUsage::Tokens {
            text_in: 0,
            audio_in: 17,
            text_out: 9,
        };
        assert_eq!(price.cost(&usage), Usd::from_micros(17 * 3 + 9 * 5));
        assert_eq!(price.bound(1_601), Usd::from_micros(17 * 3 + 17 * 5));
    }

    #[test]
    fn a_report_in_the_wrong_unit_is_charged_at_its_dearest_reading() {
        let seconds = TranscriptionUsage::Duration { millis: 1000 };
        assert_eq!(
            transcription("gpt-4o-mini-transcribe").cost(&seconds),
            Usd::from_micros(80)
        );
        let tokens = TranscriptionUsage::Tokens {
            text_in: 2,
            audio_in: 28,
            text_out: 9,
        };
        assert_eq!(
            transcription("gpt-realtime-whisper").cost(&tokens),
            Usd::from_micros(850)
        );
    }

    #[test]
    fn tokens_of_no_known_kind_cost_the_dearest_rate_of_their_direction() {
        let usage = Usage {
            unknown_in: 10,
            unknown_out: 10,
            ..Usage::default()
        };
        let cost = price("gpt-realtime-2.1").cost(&usage);
        assert_eq!(cost, Usd::from_micros(10 * 32 + 10 * 64));
        let image = Usage {
            image_in: 10,
            cached_image: 10,
            ..Usage::default()
        };
        let cost = price("gpt-4o-mini-realtime-preview").cost(&image);
        assert_eq!(cost, Usd::from_micros(10 * 10));
    }

    #[test]
    fn an_absurd_report_saturates_and_never_costs_less_than_its_parts() {
        let usage = Usage {
            text_in: u64::MAX,
            audio_out: u64::MAX,
            cached_text: 7,
            ..Usage::default()
        };
        assert_eq!(price("gpt-realtime-2.1").cost(&usage), Usd::MAX);
        let more_cached_than_read = Usage {
            cached_audio: 64,
            ..Usage::default()
        };
        assert_eq!(
            price("gpt-realtime-2.1").cost(&more_cached_than_read),
            Usd::from_nanos(64 * 400)
        );
        let price = transcription("whisper-1");
        assert_eq!(
            TranscriptionPrice::PerMinute(Usd::MAX).bound(u64::MAX),
            Usd::MAX
        );
        assert!(price.bound(u64::MAX) > Usd::from_micros(1));
    }
}

//! What a session remembers, in tokens, by what it costs to read them again.

use super::rules::Rules;
use crate::pricing::{ModelPrice, Usage};
use crate::units::Usd;

/// Tokens that mark the borders of an item, at most.
pub const ITEM_TOKENS: u64 = 14;

/// Tokens in the model's memory, by what it costs to read them again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Memory {
    /// Text.
    pub text: u64,
    /// Audio, and whatever cannot be told: charged as audio, the dearer of the two.
    pub audio: u64,
}

impl Memory {
    /// What a session remembers that has just begun.
    pub fn of_settings(rules: &Rules) -> Memory {
        Memory {
            text: rules.settings_tokens,
            audio: ITEM_TOKENS,
        }
    }

    /// Both.
    pub fn and(self, more: Memory) -> Memory {
        Memory {
            text: self.text.saturating_add(more.text),
            audio: self.audio.saturating_add(more.audio),
        }
    }

    /// The larger of the two, each part by itself.
    pub fn or(self, other: Memory) -> Memory {
        Memory {
            text: self.text.max(other.text),
            audio: self.audio.max(other.audio),
        }
    }

    /// What reading all of it costs.
    pub fn cost(self, price: &ModelPrice) -> Usd {
        price.cost(&Usage {
            text_in: self.text,
            unknown_in: self.audio,
            ..Usage::default()
        })
    }
}

/// What it has cost to keep old sound, and what replacing it would cost: the reading of what comes after it, which the provider's cache
/// would not serve once.
///
/// Who replaces when the first has reached the second pays the least in the long run where both stay as they are, and at most twice the
/// least whatever the cache does next.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Holding {
    /// Tokens of sound that are not old, as the first report since then read them.
    kept: Option<u64>,
    /// What the rest has cost since then.
    paid: Usd,
    /// What losing the cache would cost once, as of the last report.
    lost: Usd,
}

impl Holding {
    /// Nothing is old, or nothing will be when the next answer is asked for.
    pub fn begin(&mut self) {
        *self = Holding::default();
    }

    /// An answer has read all that is remembered; one that read no sound was never computed, or there is none. What is old comes first,
    /// and so does what the cache serves.
    pub fn read(&mut self, usage: &Usage, price: &ModelPrice) {
        if usage.audio_in == 0 {
            return;
        }
        let kept = self.kept.unwrap_or(usage.audio_in).min(usage.audio_in);
        self.kept = Some(kept);
        let old = usage.audio_in - kept;
        let cached = usage.cached_audio.min(usage.audio_in);
        let sound = |audio_in, cached_audio| {
            price.cost(&Usage {
                audio_in,
                cached_audio,
                ..Usage::default()
            })
        };
        self.paid = self.paid.plus(sound(old, cached.min(old)));
        let served = cached.saturating_sub(old);
        self.lost = sound(served, 0).less(sound(served, served));
    }

    /// Whether keeping it has cost as much as replacing it would.
    pub fn is_dear(&self) -> bool {
        !self.paid.is_zero() && self.paid >= self.lost
    }
}

/// What a session of a model that remembers so much text, as so many items, can take for its next answer.
pub fn first_answer_bound(rules: &Rules, (bytes, items): (usize, u64), tokens: u64) -> Usd {
    let told = Memory {
        text: bytes as u64,
        audio: items.saturating_mul(ITEM_TOKENS),
    };
    let read = Memory::of_settings(rules).and(told).cost(&rules.model);
    read.plus(speech(&rules.model, tokens))
}

/// The most that the goodbye can cost: it reads its own instructions and nothing of the conversation.
pub fn goodbye_of(rules: &Rules) -> Usd {
    if !rules.out_of_band {
        return Usd::ZERO;
    }
    let read = Memory {
        text: rules.goodbye.len() as u64,
        audio: ITEM_TOKENS,
    };
    let spoken = speech(&rules.model, u64::from(rules.margins.goodbye_tokens));
    read.cost(&rules.model).plus(spoken)
}

/// An answer's tokens at the dearest rate they can have.
pub fn speech(price: &ModelPrice, tokens: u64) -> Usd {
    price.cost(&Usage {
        unknown_out: tokens,
        ..Usage::default()
    })
}

/// What an answer adds to the memory: all that it wrote, which is an item.
pub fn written(usage: &Usage) -> Memory {
    let spoken = usage.audio_out.saturating_add(usage.unknown_out);
    Memory {
        text: usage.text_out,
        audio: spoken.saturating_add(ITEM_TOKENS),
    }
}

/// The memory as an answer leaves it: all that it read, and all that it wrote.
pub fn memory_after(usage: &Usage) -> Memory {
    let heard = usage.audio_in.saturating_add(usage.image_in);
    let read = Memory {
        text: usage.text_in,
        audio: heard.saturating_add(usage.unknown_in),
    };
    read.and(written(usage))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Sound at $32 a million tokens, and at $0.40 from the cache.
    const PRICE: ModelPrice = ModelPrice {
        text_in: 4_000,
        cached_text: 400,
        text_out: 24_000,
        audio_in: 32_000,
        cached_audio: 400,
        audio_out: 64_000,
        image_in: 0,
        cached_image: 0,
    };

    /// After how many answers it is dear to keep what is old, when each turn leaves 100 tokens and the cache serves it all but what is new.
    fn answers_until_dear(is_cached: bool) -> Option<u64> {
        let mut holding = Holding::default();
        (1..100).find(|answer| {
            let audio_in = 200 + 100 * answer;
            let usage = Usage {
                audio_in,
                cached_audio: if is_cached { audio_in - 100 } else { 0 },
                ..Usage::default()
            };
            holding.read(&usage, &PRICE);
            holding.is_dear()
        })
    }

    #[test]
    fn old_sound_is_dear_when_keeping_it_has_cost_what_losing_the_cache_once_would() {
        // Of the 300 tokens read first, 200 come from the cache: losing them costs 200 x 31.6. Each answer reads 100 more that are
        // old, at 0.4 each: 40, 80, 120, ... come to 6,320 and more with the eighteenth.
        assert_eq!(answers_until_dear(true), Some(1 + 18));
        assert_eq!(answers_until_dear(false), Some(1 + 1));
    }

    #[test]
    fn one_answer_without_the_cache_may_be_enough_and_a_new_beginning_forgets_it() {
        let mut holding = Holding::default();
        let usage = |audio_in, cached_audio| Usage {
            audio_in,
            cached_audio,
            ..Usage::default()
        };
        holding.read(&usage(300, 200), &PRICE);
        holding.read(&usage(400, 300), &PRICE);
        assert!(!holding.is_dear());
        // Cut short before it was computed.
        holding.read(&usage(0, 0), &PRICE);
        holding.read(&usage(400, 300), &PRICE);
        assert!(!holding.is_dear());
        holding.read(&usage(500, 0), &PRICE);
        assert!(holding.is_dear());
        holding.begin();
        assert!(!holding.is_dear());
    }
}

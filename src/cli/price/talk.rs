//! An ordinary talk, answer by answer: what the model reads, and how much of that it may have read before.
//!
//! Every answer reads the instructions and the conversation again. A limit on the conversation keeps that from growing
//! without end; the provider's cache makes most of it cheap, as long as nothing before it has changed. Both are arithmetic on
//! whole tokens, and neither needs anybody to talk.

use crate::pricing::{TranscriptionUsage, Usage};
use std::collections::VecDeque;

/// A turn every 12 seconds.
pub(super) const TURNS_PER_MINUTE: u64 = 5;

/// How much of the time either side speaks: 4.2 seconds of a turn.
pub(super) const SHARE_PERCENT: u64 = 35;

/// How fast either side speaks.
pub(super) const WORDS_PER_MINUTE: u64 = 150;

/// Tokens in a minute of the caller's sound and of the model's (facts: section 5.1).
pub(super) const TOKENS_HEARD: u64 = 600;
pub(super) const TOKENS_SPOKEN: u64 = 1200;

/// What instructions of a few paragraphs weigh, in tokens.
pub(super) const SETTINGS: u64 = 500;

/// A turn's tokens of sound and of words; three words are about four tokens.
const HEARD: u64 = TOKENS_HEARD * SHARE_PERCENT / 100 / TURNS_PER_MINUTE;
const SPOKEN: u64 = TOKENS_SPOKEN * SHARE_PERCENT / 100 / TURNS_PER_MINUTE;
const WORDS: u64 = WORDS_PER_MINUTE * SHARE_PERCENT * 4 / 3 / 100 / TURNS_PER_MINUTE;

/// What the model writes beside its words: answers of this length were measured to write 17 or 18 tokens (facts: section 5.1).
const MARKS: u64 = 3;

/// What an item adds to the memory beside sound and words, of the 1 to 14 that were measured.
const ITEM: u64 = 10;

/// Cached tokens come in multiples of this (facts: section 5.1).
const CACHE_BLOCK: u64 = 64;

/// Where a conversation that has outgrown its limit is cut back to, in percent: what our sessions ask for.
const RETAINED_PERCENT: u64 = 80;

/// Text and sound, in tokens.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Tokens {
    text: u64,
    audio: u64,
}

impl Tokens {
    fn plus(self, other: Tokens) -> Tokens {
        Tokens {
            text: self.text + other.text,
            audio: self.audio + other.audio,
        }
    }
}

/// The talk, as an endless list of what each answer consumes, with as much from the cache as the cache may grant.
#[derive(Clone, Debug)]
pub(super) struct Talk {
    /// What is kept of the conversation at the most, in tokens; `None`: all of it.
    limit: Option<u64>,
    items: VecDeque<Tokens>,
    /// What the provider has read before and finds again at the beginning of the next request.
    known: Tokens,
}

impl Talk {
    /// A talk that has not begun, with a model that keeps at most `limit` tokens of it.
    pub(super) fn new(limit: Option<u64>) -> Self {
        Talk {
            limit,
            items: VecDeque::new(),
            known: Tokens::default(),
        }
    }

    fn conversation(&self) -> Tokens {
        self.items
            .iter()
            .copied()
            .fold(Tokens::default(), Tokens::plus)
    }

    /// Forgets the oldest items of a conversation that is longer than its limit. Whatever comes after a gap is new to the
    /// cache: of what it knew, the instructions alone are left.
    fn forget(&mut self) {
        let weight = |tokens: Tokens| tokens.text + tokens.audio;
        let Some(limit) = self.limit else { return };
        if weight(self.conversation()) <= limit {
            return;
        }
        // The newest item is the question, without which there is nothing to answer.
        while self.items.len() > 1 && weight(self.conversation()) > limit * RETAINED_PERCENT / 100 {
            self.items.pop_front();
        }
        self.known = Tokens {
            text: self.known.text.min(SETTINGS),
            audio: 0,
        };
    }
}

impl Iterator for Talk {
    type Item = Usage;

    fn next(&mut self) -> Option<Usage> {
        self.items.push_back(Tokens {
            text: ITEM,
            audio: HEARD,
        });
        self.forget();
        let settings = Tokens {
            text: SETTINGS,
            audio: 0,
        };
        let read = settings.plus(self.conversation());
        let usage = Usage {
            text_in: read.text,
            audio_in: read.audio,
            cached_text: self.known.text / CACHE_BLOCK * CACHE_BLOCK,
            cached_audio: self.known.audio / CACHE_BLOCK * CACHE_BLOCK,
            text_out: WORDS + MARKS,
            audio_out: SPOKEN,
            ..Usage::default()
        };
        let answer = Tokens {
            text: WORDS + MARKS + ITEM,
            audio: SPOKEN,
        };
        self.items.push_back(answer);
        self.known = read.plus(answer);
        Some(usage)
    }
}

/// The same answer where nothing is granted from the cache.
pub(super) fn uncached(usage: Usage) -> Usage {
    Usage {
        cached_text: 0,
        cached_audio: 0,
        ..usage
    }
}

/// What transcribing the caller's part of one turn consumes.
pub(super) const TRANSCRIPTION: TranscriptionUsage = TranscriptionUsage::Tokens {
    text_in: 0,
    audio_in: HEARD,
    text_out: WORDS,
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_answer_reads_the_turn_before_it_too() {
        let mut talk = Talk::new(None);
        let first = talk.next().expect("endless");
        assert_eq!((first.text_in, first.audio_in), (510, 42));
        assert_eq!((first.text_out, first.audio_out), (17, 84));
        assert_eq!((first.cached_text, first.cached_audio), (0, 0));
        let second = talk.next().expect("endless");
        assert_eq!((second.text_in, second.audio_in), (510 + 37, 42 + 126));
        // Whole blocks of 64 of 537 tokens of text and 126 of sound.
        assert_eq!((second.cached_text, second.cached_audio), (512, 64));
    }

    #[test]
    fn a_limit_holds_and_a_cut_costs_the_cache() {
        let limit = 2000;
        let (mut before, mut cuts) = (0, 0);
        for (number, usage) in Talk::new(Some(limit)).take(500).enumerate() {
            let kept = usage.text_in - SETTINGS + usage.audio_in;
            assert!(kept <= limit, "{number}: {kept}");
            if kept < before {
                cuts += 1;
                assert!(kept <= limit * RETAINED_PERCENT / 100);
                // 448 are the whole blocks of the instructions.
                assert_eq!((usage.cached_text, usage.cached_audio), (448, 0));
            }
            before = kept;
        }
        assert!(
            (100..250).contains(&cuts),
            "every third answer or so: {cuts}"
        );
    }

    #[test]
    fn never_more_is_cached_than_read() {
        for limit in [None, Some(100), Some(500), Some(2000), Some(28_000)] {
            for usage in Talk::new(limit).take(300) {
                assert!(usage.cached_text <= usage.text_in);
                assert!(usage.cached_audio <= usage.audio_in);
            }
        }
    }
}

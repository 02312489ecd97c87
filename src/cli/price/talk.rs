//! An ordinary talk, answer by answer: what the model reads, and how much of that it may have read before.
//!
//! Every answer reads the instructions and the conversation again. What a policy leaves of the conversation keeps that from growing;
//! the provider's cache makes most of it cheap, as long as nothing before it has changed. Both are arithmetic on whole tokens, and
//! neither needs anybody to talk.

use crate::call::answering::WORTHWHILE_ITEMS;
use crate::call::memory::Holding;
use crate::pricing::{ModelPrice, TranscriptionUsage, Usage};
use crate::units::Usd;
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

/// The window of the older models, beside their longest answer (facts: section 1.3). The newer ones have four times as much.
pub(super) const WINDOW: u64 = 28_000;

/// Turns whose sound is kept where older sound is replaced by its words.
const KEPT_TURNS: usize = 2;

/// What stands before the words of a note, and who says a line of it, in tokens.
const OPENING: u64 = 8;
const SPEAKER: u64 = 3;

/// How much of the talk a model is left with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Policy {
    /// All of it, until the model's window is full.
    Untouched,
    /// Beyond so many tokens the oldest are forgotten (`truncation` with a retention ratio).
    Limit(u64),
    /// Sound older than the last turns is replaced by its words as soon as there is any.
    TurnByTurn,
    /// It is replaced when that pays, as our calls do it, and at the latest at three quarters of so many tokens of sound.
    Words(u64),
}

impl Policy {
    /// Whether the model knows every word of the talk in the end.
    pub(super) fn is_whole(self, minutes: u64) -> bool {
        match self {
            Policy::Limit(most) => most >= minutes * TURNS_PER_MINUTE * TURN.weight(),
            Policy::Untouched | Policy::TurnByTurn | Policy::Words(_) => true,
        }
    }
}

/// How the provider's cache behaves. What was changed is never served, nor anything behind it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Cache {
    /// It serves nothing.
    Never,
    /// It serves what it knows, but for one answer in so many.
    Missed(u64),
    /// It serves what it knows.
    Always,
}

/// Text and sound, in tokens.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Tokens {
    text: u64,
    audio: u64,
}

/// A question and an answer as items: each with its own borders.
const QUESTION: Tokens = Tokens {
    text: ITEM,
    audio: HEARD,
};
const ANSWER: Tokens = Tokens {
    text: WORDS + MARKS + ITEM,
    audio: SPOKEN,
};
const TURN: Tokens = QUESTION.plus(ANSWER);

impl Tokens {
    const fn plus(self, other: Tokens) -> Tokens {
        Tokens {
            text: self.text + other.text,
            audio: self.audio + other.audio,
        }
    }

    const fn weight(self) -> u64 {
        self.text + self.audio
    }

    fn or_less(self, other: Tokens) -> Tokens {
        Tokens {
            text: self.text.min(other.text),
            audio: self.audio.min(other.audio),
        }
    }
}

/// The talk, as an endless list of what each answer consumes.
#[derive(Clone, Debug)]
pub(super) struct Talk<'a> {
    price: &'a ModelPrice,
    policy: Policy,
    cache: Cache,
    /// Notes that stand for old sound: instructions, and behind them these.
    notes: Tokens,
    /// Questions and answers.
    items: VecDeque<Tokens>,
    /// What the provider has read before and finds again at the beginning of the next request.
    known: Tokens,
    holding: Holding,
    answers: u64,
}

impl<'a> Talk<'a> {
    /// A talk that has not begun, with a model of this price.
    pub(super) fn new(price: &'a ModelPrice, policy: Policy, cache: Cache) -> Self {
        Talk {
            price,
            policy,
            cache,
            notes: Tokens::default(),
            items: VecDeque::new(),
            known: Tokens::default(),
            holding: Holding::default(),
            answers: 0,
        }
    }

    fn conversation(&self) -> Tokens {
        self.items.iter().copied().fold(self.notes, Tokens::plus)
    }

    fn settings() -> Tokens {
        Tokens {
            text: SETTINGS,
            audio: 0,
        }
    }

    /// Forgets the oldest items of a conversation that is longer than its limit. Whatever comes after a gap is new to the
    /// cache: of what it knew, the instructions alone are left.
    fn forget(&mut self) {
        let limit = match self.policy {
            Policy::Limit(limit) => limit,
            Policy::Untouched | Policy::TurnByTurn | Policy::Words(_) => return,
        };
        if self.conversation().weight() <= limit {
            return;
        }
        // The newest item is the question, without which there is nothing to answer.
        let kept = limit * RETAINED_PERCENT / 100;
        while self.items.len() > 1 && self.conversation().weight() > kept {
            self.items.pop_front();
        }
        self.known = self.known.or_less(Talk::settings());
    }

    /// Replaces old sound by its words, by the rule our calls have.
    fn replace(&mut self, usage: &Usage) {
        self.holding.read(usage, self.price);
        let old = self.items.len().saturating_sub(2 * KEPT_TURNS);
        if old == 0 {
            self.holding.begin();
        }
        let is_due = match self.policy {
            Policy::Untouched | Policy::Limit(_) => false,
            Policy::TurnByTurn => old > 0,
            Policy::Words(most) => {
                let is_full = self.conversation().audio * 4 > most * 3;
                let is_dear = self.holding.is_dear() && old >= WORTHWHILE_ITEMS;
                old > 0 && (is_full || is_dear)
            }
        };
        if !is_due {
            return;
        }
        let lines = self.items.drain(..old).count() as u64;
        self.known = self.known.or_less(Talk::settings().plus(self.notes));
        self.notes.text += ITEM + OPENING + lines * (WORDS + SPEAKER);
        self.holding.begin();
    }

    /// As much of what the provider knows as its cache serves this time.
    fn served(&self) -> Tokens {
        let served = match self.cache {
            Cache::Never => Tokens::default(),
            Cache::Missed(every) if self.answers.is_multiple_of(every) => Tokens::default(),
            Cache::Missed(_) | Cache::Always => self.known,
        };
        Tokens {
            text: served.text / CACHE_BLOCK * CACHE_BLOCK,
            audio: served.audio / CACHE_BLOCK * CACHE_BLOCK,
        }
    }
}

impl Iterator for Talk<'_> {
    type Item = Usage;

    fn next(&mut self) -> Option<Usage> {
        self.answers += 1;
        self.items.push_back(QUESTION);
        self.forget();
        let read = Talk::settings().plus(self.conversation());
        let served = self.served();
        let usage = Usage {
            text_in: read.text,
            audio_in: read.audio,
            cached_text: served.text,
            cached_audio: served.audio,
            text_out: WORDS + MARKS,
            audio_out: SPOKEN,
            ..Usage::default()
        };
        self.items.push_back(ANSWER);
        self.known = read.plus(ANSWER);
        self.replace(&usage);
        Some(usage)
    }
}

/// What the model has cost when each minute is over, the first one first.
pub(super) fn minutes(price: &ModelPrice, policy: Policy, cache: Cache, count: u64) -> Vec<Usd> {
    let mut talk = Talk::new(price, policy, cache);
    let mut so_far = Usd::ZERO;
    let minutes = (0..count).map(|_| {
        let turns = talk.by_ref().take(TURNS_PER_MINUTE as usize);
        so_far = turns.fold(so_far, |sum, usage| sum.plus(price.cost(&usage)));
        so_far
    });
    minutes.collect()
}

/// What so many minutes cost of a model that remembers nothing at all: the sound that is heard and said, once.
pub(super) fn at_least(price: &ModelPrice, minutes: u64) -> Usd {
    let once = Usage {
        audio_in: HEARD,
        text_out: WORDS + MARKS,
        audio_out: SPOKEN,
        ..Usage::default()
    };
    price.cost(&once).times(minutes * TURNS_PER_MINUTE)
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
    use crate::pricing::PriceBook;

    const ALL: [Policy; 5] = [
        Policy::Untouched,
        Policy::Limit(WINDOW),
        Policy::Limit(2000),
        Policy::TurnByTurn,
        Policy::Words(2000),
    ];

    fn price() -> ModelPrice {
        let book = PriceBook::built_in();
        *book.find_model("gpt-realtime-2.1").expect("is there")
    }

    #[test]
    fn each_answer_reads_the_turn_before_it_too() {
        let price = price();
        let mut talk = Talk::new(&price, Policy::Untouched, Cache::Always);
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
        let (price, limit) = (price(), 2000);
        let (mut before, mut cuts) = (0, 0);
        let talk = Talk::new(&price, Policy::Limit(limit), Cache::Always);
        for (number, usage) in talk.take(500).enumerate() {
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
    fn words_take_the_place_of_old_sound_and_what_stood_before_them_stays_cached() {
        let price = price();
        let talk = Talk::new(&price, Policy::Words(2000), Cache::Always);
        let (mut before, mut replaced, mut notes) = (Usage::default(), 0, 0);
        for usage in talk.take(150) {
            if usage.audio_in < before.audio_in {
                replaced += 1;
                assert_eq!(usage.audio_in, 2 * TURN.audio + HEARD);
                // The instructions and the notes there were come from the cache, and nothing behind them.
                assert_eq!(usage.cached_audio, 0);
                assert_eq!(
                    usage.cached_text,
                    (SETTINGS + notes) / CACHE_BLOCK * CACHE_BLOCK
                );
                notes = usage.text_in - SETTINGS - 2 * TURN.text - ITEM;
            }
            assert!(usage.audio_in <= 2000);
            before = usage;
        }
        assert!((10..20).contains(&replaced), "{replaced}");
        // Words of two speakers in each of the turns that are no longer sound, with room for who said them.
        assert!(notes > 2 * WORDS * 130, "{notes}");
    }

    #[test]
    fn never_more_is_cached_than_read_and_a_cache_never_makes_a_talk_dearer() {
        let price = price();
        for policy in ALL {
            for usage in Talk::new(&price, policy, Cache::Always).take(300) {
                assert!(usage.cached_text <= usage.text_in);
                assert!(usage.cached_audio <= usage.audio_in);
            }
            let cost = |cache| minutes(&price, policy, cache, 30)[29];
            assert!(cost(Cache::Always) <= cost(Cache::Missed(10)));
            assert!(cost(Cache::Missed(10)) <= cost(Cache::Never));
            assert!(at_least(&price, 30) < cost(Cache::Always));
        }
    }

    #[test]
    fn words_are_the_cheapest_way_to_keep_every_word_while_the_cache_serves_and_nearly_so_where_not()
     {
        let book = PriceBook::built_in();
        let mut dearer = Vec::new();
        for (id, listing) in &book.models {
            // Where nothing is ever cached it waits for a second turn, to see whether there is a cache by now.
            for (cache, most) in [
                (Cache::Never, 1_060),
                (Cache::Missed(2), 1_070),
                (Cache::Missed(10), 1_030),
                (Cache::Always, 1_000),
            ] {
                let cost = |policy| minutes(&listing.price, policy, cache, 30)[29].nanos();
                let ours = cost(Policy::Words(2000));
                for policy in ALL.iter().filter(|policy| policy.is_whole(30)) {
                    let permille = ours * 1_000 / cost(*policy);
                    if permille > most {
                        dearer.push(format!("{id} {policy:?} {cache:?}: {permille}"));
                    }
                }
            }
        }
        assert!(dearer.is_empty(), "{dearer:#?}");
    }
}

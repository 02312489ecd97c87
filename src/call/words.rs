//! What was said so far, in words: what old sound is replaced by, what another session is told, and the transcript.
//!
//! A minute of sound weighs hundreds of tokens, its words a tenth of that at an eighth of the price. But every change of what was said
//! before throws the provider's cache away from there on, so it is done rarely and for many turns at once (see
//! [`Call::make_room`](super::Call)): one note takes the place of everything older than the last few turns. A session that takes over
//! from another cannot be given sound at all; it is told the same words, as far as they were heard.

mod old;
mod told;

pub use old::Old;
pub use told::{Told, Who};

use super::tools::ToolCall;
use crate::realtime::Item;
use crate::units::Id;
use std::collections::VecDeque;

/// Utterances remembered: an hour of brisk talk. Older ones that could not be replaced stay sound.
const MOST: usize = 1_024;

/// So many are replaced or told at once at most; the rest at the next occasion.
const MOST_AT_ONCE: usize = 64;

/// Of one utterance, so many bytes are kept at most: some minutes of speech.
const MOST_BYTES: usize = 4_096;

/// Of what is no longer sound in the model's memory, so many bytes are kept, for a session that takes over.
const KEPT_BYTES: usize = 16_384;

/// Of a tool's answer, so many bytes are told to a session that takes over.
const MOST_OF_A_TOOL: usize = 1_024;

/// A transcript waits for the words of one utterance until so many more have been said.
const MOST_AHEAD: usize = 4;

/// Bytes of text in a token, for what a replay may be long: less than in English, about as many as in Chinese.
const BYTES_PER_TOKEN: u64 = 3;

/// One item of the conversation.
#[derive(Clone, Debug)]
struct Utterance {
    item: Id,
    speaker: Speaker,
    words: Option<String>,
    /// No more words of it will come.
    whole: bool,
    /// Milliseconds the model has sent of it.
    received_ms: u64,
    /// Milliseconds that were heard, when the caller cut in.
    heard_ms: Option<u64>,
    /// It is sound, in the memory of the session that holds the floor.
    is_sound: bool,
    /// The standby session has been told.
    is_replayed: bool,
    /// It stands in the transcript.
    is_told: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Speaker {
    Caller,
    Agent,
    /// A function that was called, its arguments among the words.
    Tool {
        name: String,
        output: Option<String>,
    },
}

/// Everything said, oldest first.
#[derive(Clone, Debug, Default)]
pub struct Words {
    utterances: VecDeque<Utterance>,
    /// Words of an item that none of its sound has come of: they run ahead.
    ahead: Option<(Id, String)>,
}

impl Words {
    /// A turn of the caller became an item.
    pub fn caller_spoke(&mut self, item: &Id) {
        self.utterance(item, Speaker::Caller);
    }

    /// The caller told something in words: keys they pressed.
    pub fn caller_wrote(&mut self, item: &Id, words: &str) {
        let known = self.utterance(item, Speaker::Caller);
        known.words = Some(words.to_string());
        known.whole = true;
        known.is_sound = false;
    }

    /// So much of an item of the agent has come in all.
    pub fn agent_spoke(&mut self, item: &Id, until_ms: u64) {
        let ahead = self.ahead.take_if(|(ahead, _)| ahead == item);
        let known = self.utterance(item, Speaker::Agent);
        known.received_ms = known.received_ms.max(until_ms);
        if let Some((_, words)) = ahead {
            known.words.get_or_insert(words);
        }
    }

    /// A function was called.
    pub fn tool_called(&mut self, call: &ToolCall) {
        let (name, output) = (call.name.clone(), None);
        let known = self.utterance(&call.tool_call, Speaker::Tool { name, output });
        known.words = Some(clip(&call.arguments, MOST_BYTES).to_string());
        known.whole = true;
        known.is_sound = false;
    }

    /// A function has answered, and the session that holds the floor was told.
    pub fn tool_answered(&mut self, tool_call: &Id, answer: &str) {
        if let Some(known) = self.find(tool_call)
            && let Speaker::Tool { output, .. } = &mut known.speaker
        {
            *output = Some(clip(answer, MOST_BYTES).to_string());
        }
    }

    /// More words of an item of the agent. The first of them come before any of its sound.
    pub fn saying(&mut self, item: &Id, more: &str) {
        let words = match self.find(item) {
            Some(known) if known.whole => return,
            Some(known) => known.words.get_or_insert_default(),
            None => {
                let ahead = self.ahead.take().filter(|(ahead, _)| ahead == item);
                let ahead = ahead.unwrap_or_else(|| (item.clone(), String::new()));
                &mut self.ahead.insert(ahead).1
            }
        };
        if words.len() + more.len() <= MOST_BYTES {
            words.push_str(more);
        }
    }

    /// The words of an item are known.
    pub fn said(&mut self, item: &Id, words: &str) {
        if let Some(known) = self.find(item) {
            known.words = Some(clip(words, MOST_BYTES).trim().to_string());
            known.whole = true;
        }
    }

    /// Nobody will tell the words of this item.
    pub fn not_told(&mut self, item: &Id) {
        if let Some(known) = self.find(item) {
            known.whole = true;
        }
    }

    /// The caller cut in when so much of an item had been heard.
    pub fn cut(&mut self, item: &Id, heard_ms: u64) {
        if let Some(known) = self.find(item) {
            known.heard_ms = Some(heard_ms);
        }
    }

    /// The item is gone from the model's memory, and nothing of it was heard.
    pub fn forget(&mut self, item: &Id) {
        if let Some(known) = self.find(item) {
            known.heard_ms = Some(0);
            known.is_sound = false;
        }
    }

    /// Whether the session that holds the floor keeps this item as sound.
    pub fn is_sound(&self, item: &Id) -> bool {
        self.utterances
            .iter()
            .rev()
            .any(|known| known.item == *item && known.is_sound)
    }

    /// Whether it is part of what was said at all: our own sounds are not.
    pub fn is_known(&self, item: &Id) -> bool {
        self.utterances.iter().any(|known| known.item == *item)
    }

    /// Whether the last turn of the caller is known in words. True where there was none.
    pub fn last_turn_is_known(&self) -> bool {
        let mut turns = self.utterances.iter().rev();
        turns
            .find(|known| known.speaker == Speaker::Caller)
            .is_none_or(|known| known.whole)
    }

    /// Whether nobody can say what the caller's last turn was.
    pub fn last_turn_is_lost(&self) -> bool {
        let mut turns = self.utterances.iter().rev();
        turns
            .find(|known| known.speaker == Speaker::Caller)
            .is_some_and(|known| known.words.is_none())
    }

    /// Lets go of the oldest that is no sound any more, beyond what a session that takes over could be told.
    fn let_go(&mut self) {
        let bytes = |known: &Utterance| known.words.as_ref().map_or(0, String::len);
        let done = |known: &Utterance| !known.is_sound && known.is_told;
        let mut kept: usize = self.utterances.iter().filter(|k| done(k)).map(bytes).sum();
        while kept > KEPT_BYTES
            && let Some(place) = self.utterances.iter().position(done)
        {
            kept -= bytes(&self.utterances[place]);
            self.utterances.remove(place);
        }
    }

    /// What a session that has just been opened is told: at most `most_tokens` of the newest, oldest first. Not what is being played
    /// now, unless `all`: of that, nobody knows yet how much will be heard. What was told once is not told again.
    pub fn replay(
        &mut self,
        most_tokens: u64,
        all: bool,
        is_playing: impl Fn(&Id) -> bool,
    ) -> Vec<Item> {
        let mut left = usize::try_from(most_tokens * BYTES_PER_TOKEN).unwrap_or(usize::MAX);
        let mut from = self.utterances.len();
        let first = from.saturating_sub(MOST_AT_ONCE);
        while from > first
            && let Some(before) = from.checked_sub(1)
            && let Some(rest) = left.checked_sub(self.utterances[before].weight())
        {
            (from, left) = (before, rest);
        }
        let mut items = Vec::new();
        for known in self.utterances.range_mut(from..) {
            if !all && (is_playing(&known.item) || !known.is_settled()) {
                break;
            }
            if !std::mem::replace(&mut known.is_replayed, true) {
                known.replay(&mut items);
            }
        }
        items
    }

    /// What a replay of everything would weigh, in bytes and in items.
    pub fn weight(&self, most_tokens: u64) -> (usize, u64) {
        let items: Vec<Item> = self.clone().replay(most_tokens, true, |_| false);
        (items.iter().map(weight).sum(), items.len() as u64)
    }

    /// The standby session is gone: what it was told, nobody knows.
    pub fn forget_replay(&mut self) {
        for known in &mut self.utterances {
            known.is_replayed = false;
        }
    }

    /// Another session holds the floor now, which has heard nothing.
    pub fn session_changed(&mut self) {
        for known in &mut self.utterances {
            known.is_sound = false;
            known.is_replayed = false;
            known.whole = true;
        }
    }

    /// The next entry of the transcript, once it is known; `last`: nothing more will be said, and what is not known will not be.
    pub fn transcript(&mut self, last: bool, is_playing: impl Fn(&Id) -> bool) -> Option<Told> {
        let place = self.utterances.iter().position(|known| !known.is_told)?;
        let ahead = self.utterances.len() - place;
        let known = &mut self.utterances[place];
        let waits = is_playing(&known.item) || !known.is_settled();
        if waits && !last && ahead <= MOST_AHEAD {
            return None;
        }
        known.is_told = true;
        let who = match known.speaker {
            Speaker::Caller => Who::Caller,
            Speaker::Agent => Who::Agent,
            Speaker::Tool { .. } => return self.transcript(last, is_playing),
        };
        let (heard, unheard) = known.heard();
        let (heard, unheard) = (heard.trim().to_string(), unheard.trim().to_string());
        if heard.is_empty() && unheard.is_empty() {
            return self.transcript(last, is_playing);
        }
        Some(Told {
            who,
            heard,
            unheard,
        })
    }

    /// Nobody keeps a transcript.
    pub fn untold(&mut self) {
        // Asked after every input: only what is new since the last time is looked at.
        let new = self.utterances.iter_mut().rev();
        for known in new.take_while(|known| !known.is_told) {
            known.is_told = true;
        }
    }

    fn find(&mut self, item: &Id) -> Option<&mut Utterance> {
        self.utterances
            .iter_mut()
            .rev()
            .find(|known| known.item == *item)
    }

    fn utterance(&mut self, item: &Id, speaker: Speaker) -> &mut Utterance {
        let place = self
            .utterances
            .iter()
            .rposition(|known| known.item == *item);
        let place = place.unwrap_or_else(|| {
            if self.utterances.len() == MOST {
                self.utterances.pop_front();
            }
            self.utterances.push_back(Utterance {
                item: item.clone(),
                speaker,
                words: None,
                whole: false,
                received_ms: 0,
                heard_ms: None,
                is_sound: true,
                is_replayed: false,
                is_told: false,
            });
            self.utterances.len() - 1
        });
        &mut self.utterances[place]
    }
}

impl Utterance {
    /// The words that were heard, and dots where there were more; `None`: none.
    fn kept(&self) -> Option<String> {
        let (heard, unheard) = self.heard();
        let more = if unheard.is_empty() { "" } else { "…" };
        (!heard.is_empty()).then(|| format!("{heard}{more}"))
    }

    /// What was heard of the words, and what was not: the same share of the words as of the sound.
    fn heard(&self) -> (&str, &str) {
        let words = self.words.as_deref().unwrap_or_default();
        let heard = match (&self.speaker, self.heard_ms) {
            (Speaker::Agent, Some(heard_ms)) => {
                let share = u128::from(heard_ms) * words.len() as u128;
                let heard = share / u128::from(self.received_ms.max(heard_ms).max(1));
                usize::try_from(heard).unwrap_or(words.len())
            }
            (Speaker::Caller | Speaker::Tool { .. }, _) | (Speaker::Agent, None) => words.len(),
        };
        let kept = clip(words, heard);
        (kept.trim_end(), &words[kept.len()..])
    }

    /// All that will ever be known of it is known.
    fn is_settled(&self) -> bool {
        match &self.speaker {
            Speaker::Caller | Speaker::Agent => self.whole,
            Speaker::Tool { output, .. } => output.is_some(),
        }
    }

    /// Bytes of it in a replay.
    fn weight(&self) -> usize {
        let mut items = Vec::new();
        self.replay(&mut items);
        items.iter().map(weight).sum()
    }

    fn replay(&self, items: &mut Vec<Item>) {
        let words = self.kept();
        match (&self.speaker, words) {
            (Speaker::Caller, Some(words)) => items.push(Item::User(words)),
            (Speaker::Agent, Some(words)) => items.push(Item::Assistant(words)),
            (Speaker::Caller | Speaker::Agent, None) => {}
            (Speaker::Tool { output: None, .. }, _) => {}
            (
                Speaker::Tool {
                    name,
                    output: Some(output),
                },
                arguments,
            ) => {
                let (tool_call, name) = (self.item.clone(), name.clone());
                let output = clip(output, MOST_OF_A_TOOL).to_string();
                // Half of some arguments would be no JSON.
                let arguments = arguments.filter(|all| all.len() <= MOST_OF_A_TOOL);
                let arguments = arguments.unwrap_or_else(|| "{}".to_string());
                items.push(Item::ToolCall {
                    tool_call: tool_call.clone(),
                    name,
                    arguments,
                });
                items.push(Item::ToolOutput { tool_call, output });
            }
        }
    }
}

/// Bytes of text in an item.
pub fn weight(item: &Item) -> usize {
    match item {
        Item::System(text) | Item::User(text) | Item::Assistant(text) => text.len(),
        Item::ToolCall {
            tool_call,
            name,
            arguments,
        } => tool_call.as_str().len() + name.len() + arguments.len(),
        Item::ToolOutput { tool_call, output } => tool_call.as_str().len() + output.len(),
    }
}

/// The beginning of a text, of at most so many bytes, without half a word where there are words.
pub(super) fn clip(text: &str, most: usize) -> &str {
    if text.len() <= most {
        return text;
    }
    let mut end = most;
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    let cut = &text[..end];
    match cut.rfind(char::is_whitespace) {
        Some(gap) if !text[end..].starts_with(char::is_whitespace) => &cut[..gap],
        Some(_) | None => cut,
    }
}

#[cfg(test)]
mod tests;

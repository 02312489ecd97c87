//! What was said so far, in words: what old sound is replaced by, so that the model need not read all of it again.
//!
//! A minute of sound weighs hundreds of tokens, its words a tenth of that at an eighth of the price. But every change of what was said
//! before throws the provider's cache away from there on, so it is done rarely and for many turns at once (see
//! [`Call::make_room`](super::Call)): one note takes the place of everything older than the last few turns.

use crate::units::Id;
use std::collections::VecDeque;

/// Utterances remembered: an hour of brisk talk. Older ones that could not be replaced stay sound.
const MOST: usize = 1_024;

/// So many are replaced at once at most; the rest at the next occasion.
const MOST_AT_ONCE: usize = 64;

/// Of one utterance, so many bytes are kept at most: some minutes of speech.
const MOST_BYTES: usize = 4_096;

/// What the note begins with.
const OPENING: &str = "Earlier in this call, in words:";

/// One item of the conversation that is sound.
#[derive(Clone, Debug)]
struct Utterance {
    item: Id,
    speaker: Speaker,
    words: Option<String>,
    /// Milliseconds the model has sent of it.
    received_ms: u64,
    /// Milliseconds that were heard, when the caller cut in.
    heard_ms: Option<u64>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Speaker {
    Caller,
    Agent,
}

/// Everything said that is still sound in the model's memory, oldest first.
#[derive(Clone, Debug, Default)]
pub struct Words {
    utterances: VecDeque<Utterance>,
}

/// Old sound, and the note that says the same.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Old {
    /// The items that the note replaces, oldest first.
    pub items: Vec<Id>,
    /// The note; empty where nothing was said.
    pub note: String,
}

impl Words {
    /// A turn of the caller became an item.
    pub fn caller_spoke(&mut self, item: &Id) {
        self.utterance(item, Speaker::Caller);
    }

    /// So much of an item of the agent has come in all.
    pub fn agent_spoke(&mut self, item: &Id, until_ms: u64) {
        let known = self.utterance(item, Speaker::Agent);
        known.received_ms = known.received_ms.max(until_ms);
    }

    /// The words of an item are known.
    pub fn said(&mut self, item: &Id, words: &str) {
        if let Some(known) = self.find(item) {
            known.words = Some(clip(words, MOST_BYTES).trim().to_string());
        }
    }

    /// The caller cut in when so much of an item had been heard.
    pub fn cut(&mut self, item: &Id, heard_ms: u64) {
        if let Some(known) = self.find(item) {
            known.heard_ms = Some(heard_ms);
        }
    }

    /// The item is gone from the model's memory.
    pub fn forget(&mut self, item: &Id) {
        self.utterances.retain(|known| known.item != *item);
    }

    /// Items that are older than the last `keep` turns of the caller and could be replaced.
    pub fn old_items(&self, keep: u32) -> usize {
        let old = self.old(keep);
        old.filter(|known| known.words.is_some()).count()
    }

    /// Takes all that is older than the last `keep` turns of the caller and known in words. What is not known in words stays sound.
    pub fn take_old(&mut self, keep: u32) -> Option<Old> {
        let old: Vec<Utterance> = self
            .old(keep)
            .filter(|known| known.words.is_some())
            .take(MOST_AT_ONCE)
            .cloned()
            .collect();
        if old.is_empty() {
            return None;
        }
        let lines: Vec<String> = old.iter().filter_map(Utterance::line).collect();
        let note = if lines.is_empty() {
            String::new()
        } else {
            format!("{OPENING}\n{}", lines.join("\n"))
        };
        let items: Vec<Id> = old.into_iter().map(|known| known.item).collect();
        self.utterances.retain(|known| !items.contains(&known.item));
        Some(Old { items, note })
    }

    /// All that came before the last `keep` turns of the caller.
    fn old(&self, keep: u32) -> impl Iterator<Item = &Utterance> {
        let turns = self.utterances.iter().enumerate().rev();
        let mut turns = turns.filter(|(_, known)| known.speaker == Speaker::Caller);
        let until = match usize::try_from(keep).unwrap_or(usize::MAX) {
            0 => self.utterances.len(),
            keep => turns.nth(keep - 1).map_or(0, |(place, _)| place),
        };
        self.utterances.range(..until)
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
                received_ms: 0,
                heard_ms: None,
            });
            self.utterances.len() - 1
        });
        &mut self.utterances[place]
    }
}

impl Utterance {
    /// It as a line of the note. Of what the agent said, only as much as was heard: the same share of the words as of the sound.
    fn line(&self) -> Option<String> {
        let words = self.words.as_deref()?;
        let (who, heard) = match (self.speaker, self.heard_ms) {
            (Speaker::Caller, _) => ("Caller", words.len()),
            (Speaker::Agent, None) => ("You", words.len()),
            (Speaker::Agent, Some(heard_ms)) => {
                let share = u128::from(heard_ms) * words.len() as u128;
                let heard = share / u128::from(self.received_ms.max(heard_ms).max(1));
                ("You", usize::try_from(heard).unwrap_or(words.len()))
            }
        };
        let kept = clip(words, heard).trim_end();
        let more = if kept.len() < words.len() { "…" } else { "" };
        (!kept.is_empty()).then(|| format!("{who}: {kept}{more}"))
    }
}

/// The beginning of a text, of at most so many bytes, without half a word where there are words.
fn clip(text: &str, most: usize) -> &str {
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
mod tests {
    use super::*;

    /// Three turns: the first two answered, the second answer cut short.
    fn talk() -> Words {
        let mut words = Words::default();
        words.caller_spoke(&"you-1".into());
        words.agent_spoke(&"me-1".into(), 2_000);
        words.said(&"me-1".into(), "Good evening.");
        words.said(&"you-1".into(), " Hello? ");
        words.caller_spoke(&"you-2".into());
        words.said(&"you-2".into(), "Are you there?");
        words.agent_spoke(&"me-2".into(), 500);
        words.cut(&"me-2".into(), 400);
        words.agent_spoke(&"me-2".into(), 1_000);
        words.said(&"me-2".into(), "Of course I am here.");
        words.caller_spoke(&"you-3".into());
        words
    }

    #[test]
    fn what_is_older_than_the_last_turns_becomes_one_note_and_is_taken_once() {
        let mut words = talk();
        assert_eq!((words.old_items(1), words.old_items(2)), (4, 2));
        assert_eq!(words.take_old(3), None);
        let old = words.take_old(2).unwrap();
        assert_eq!(old.items, ["you-1".into(), "me-1".into()]);
        assert_eq!(
            old.note,
            "Earlier in this call, in words:\nCaller: Hello?\nYou: Good evening."
        );
        assert_eq!(words.take_old(2), None);
    }

    #[test]
    fn of_what_was_cut_short_only_the_words_that_were_heard_are_kept() {
        let mut words = talk();
        words.take_old(2);
        let old = words.take_old(1).unwrap();
        assert_eq!(
            old.note,
            "Earlier in this call, in words:\nCaller: Are you there?\nYou: Of…"
        );
    }

    #[test]
    fn what_nobody_has_put_into_words_stays_sound() {
        let mut words = talk();
        words.caller_spoke(&"you-4".into());
        words.said(&"you-4".into(), "");
        words.forget(&"me-2".into());
        let old = words.take_old(0).unwrap();
        assert_eq!(
            old.items,
            [
                "you-1".into(),
                "me-1".into(),
                "you-2".into(),
                "you-4".into()
            ]
        );
        assert_eq!(words.take_old(0), None);
        assert_eq!(words.utterances.len(), 1, "you-3 has no words yet");
    }

    #[test]
    fn a_text_is_clipped_between_words_and_never_inside_a_letter() {
        assert_eq!(clip("the Öl", 5), "the");
        assert_eq!(clip("ÖÖÖ", 3), "Ö");
        assert_eq!(clip("one two", 3), "one");
        assert_eq!(clip("one", 9), "one");
    }
}

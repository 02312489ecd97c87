//! Old sound, and the note that takes its place.
//!
//! One note takes the place of many turns: each change costs a reading without the provider's cache, and a note has borders of its own.
//! Notes that were written earlier stay as they are, so that what the cache knows of them it knows for good.

use super::{MOST_AT_ONCE, Speaker, Utterance, Words};
use crate::units::Id;

/// What the note begins with.
const OPENING: &str = "Earlier in this call, in words:";

/// What stands for a turn of the caller that nobody could put into words.
const UNCLEAR: &str = "(unclear)";

/// Old sound, and the note that says the same.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Old {
    /// The items that the note replaces, oldest first.
    pub items: Vec<Id>,
    /// The note; empty where nothing was said.
    pub note: String,
}

impl Words {
    /// Items that are older than the last `keep` turns of the caller and could be replaced.
    pub fn old_items(&self, keep: u32) -> usize {
        self.old(keep).filter(|known| known.is_in_words()).count()
    }

    /// Takes all that is older than the last `keep` turns of the caller and known in words. What is not known in words stays sound.
    pub fn take_old(&mut self, keep: u32) -> Option<Old> {
        self.take(keep, Utterance::is_in_words)
    }

    /// Takes all that is older than the last `keep` turns of the caller, also what nobody has put into words: of that, the note says no
    /// more than that something was said.
    pub fn take_all_old(&mut self, keep: u32) -> Option<Old> {
        self.take(keep, |_| true)
    }

    fn take(&mut self, keep: u32, is_taken: impl Fn(&Utterance) -> bool) -> Option<Old> {
        let old: Vec<Utterance> = (self.old(keep))
            .filter(|known| is_taken(known))
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
        for known in &mut self.utterances {
            known.is_sound &= !items.contains(&known.item);
        }
        self.let_go();
        Some(Old { items, note })
    }

    /// All sound that came before the last `keep` turns of the caller.
    fn old(&self, keep: u32) -> impl Iterator<Item = &Utterance> {
        let sounds = self.utterances.iter().enumerate();
        let turns = sounds.filter(|(_, known)| known.is_sound && known.speaker == Speaker::Caller);
        let mut turns = turns.rev();
        let until = match usize::try_from(keep).unwrap_or(usize::MAX) {
            0 => self.utterances.len(),
            keep => turns.nth(keep - 1).map_or(0, |(place, _)| place),
        };
        self.utterances
            .range(..until)
            .filter(|known| known.is_sound)
    }
}

impl Utterance {
    /// All its words are known.
    fn is_in_words(&self) -> bool {
        self.whole && self.words.is_some()
    }

    /// It as a line of the note. Of what the agent said, only as much as was heard.
    fn line(&self) -> Option<String> {
        let who = match self.speaker {
            Speaker::Caller => "Caller",
            Speaker::Agent => "You",
            Speaker::Tool { .. } => return None,
        };
        let kept = match (&self.speaker, &self.words) {
            (Speaker::Caller, None) => UNCLEAR.to_string(),
            _ => self.kept()?,
        };
        Some(format!("{who}: {kept}"))
    }
}

//! What a call tells of itself: facts, the transcript, and its numbers at the end.

use super::record::{Ending, Fact, Summary, What};
use super::{Call, Output};
use crate::units::Id;

impl Call {
    /// Whoever keeps a transcript is told what is known by now.
    pub(super) fn tell_transcript(&mut self, out: &mut Vec<Output>) {
        if !self.rules.manner.transcript {
            return self.words.untold();
        }
        let (over, playback) = (self.is_over(), &self.playback);
        let playing = |item: &Id| playback.number(item).is_some();
        while let Some(told) = self.words.transcript(over, playing) {
            out.push(Output::Transcript(told));
        }
    }

    pub(super) fn record(&mut self, what: What, out: &mut Vec<Output>) {
        let fact = Fact {
            at: self.now,
            spent: self.spent(),
            reserved: self.meter.reserved(),
            what,
        };
        self.covered = fact.spent.plus(fact.reserved);
        out.push(Output::Record(fact));
    }

    pub(super) fn summary(&self, ending: Ending) -> Summary {
        Summary {
            ending: Some(ending),
            answered: self.answered.is_some(),
            duration_ms: self.over_ms,
            minutes: self.meter.minutes(),
            turns: self.turns.count,
            interruptions: self.interruptions,
            goodbye: self.goodbye,
            cost: self.meter.cost(),
            unheard: self.unheard,
        }
    }
}

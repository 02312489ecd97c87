//! Our own voice, coming back from the caller's telephone, is not the caller.
//!
//! A telephone returns what it plays, 10 to 40 dB softer and up to 600 ms later. So while we have been loud within that
//! time, a step must be louder than the loudest echo that this line has shown before it counts. How much softer the echo
//! is gets learnt from the moments in which only we speak, slowly, and beginning with the least that lines do.

use super::steps;
use std::collections::VecDeque;

/// The level of nothing, in dB below full scale.
pub(super) const SILENCE: f32 = -96.0;
/// How long an echo may take, in steps.
const LATEST: usize = steps(608) as usize;
/// Softer sound of ours makes no echo worth guarding against, in dB below full scale.
const FAINT: f32 = -50.0;
/// How much softer an echo is at the least before anything was learnt, in dB (ITU-T G.131 and G.168 expect 6 to 15 of
/// the network alone, before any canceller).
const LOSS: f32 = 12.0;
/// What may be learnt, in dB.
const LOSSES: (f32, f32) = (6.0, 30.0);
/// What comes this much above the loudest echo is the caller, in dB.
const MARGIN: f32 = 4.0;
/// Once the caller was louder than any echo, softer syllables around that count too, for this many steps.
const CARRIED: u32 = steps(160);
/// How long is listened before something is learnt, in steps: two seconds in which only we speak.
const LESSON: u32 = steps(2000);
/// The most that a lesson raises the loss, in dB, and the most that it lowers it: being too careful costs less than
/// interrupting oneself.
const UP: f32 = 2.0;
const DOWN: f32 = 4.0;

/// What guards one line against its echo.
pub(super) struct Guard {
    /// Our level in the last steps, the newest last.
    ours: VecDeque<f32>,
    /// How much softer than we an echo is at the least.
    loss: f32,
    /// Steps for which the caller is taken to go on.
    carried: u32,
    /// Steps of the lesson so far, and the loudest of ours and of theirs within it.
    lesson: (u32, f32, f32),
}

impl Default for Guard {
    fn default() -> Self {
        Guard {
            ours: VecDeque::from([SILENCE; LATEST]),
            loss: LOSS,
            carried: 0,
            lesson: (0, SILENCE, SILENCE),
        }
    }
}

impl Guard {
    /// Whether a step that sounds like a voice, or does not, is the caller's; `ours` is what was played meanwhile.
    pub(super) fn passes(&mut self, level: f32, ours: f32, is_voice: bool) -> bool {
        self.ours.pop_front();
        self.ours.push_back(ours);
        let loudest = self.ours.iter().copied().fold(SILENCE, f32::max);
        if loudest < FAINT {
            self.carried = 0;
            return is_voice;
        }
        if is_voice && level > loudest - self.loss + MARGIN {
            self.carried = CARRIED;
            // Both speak: nothing can be learnt from this.
            self.lesson = (0, SILENCE, SILENCE);
            return true;
        }
        self.carried = self.carried.saturating_sub(1);
        if self.carried == 0 {
            self.learn(level, loudest);
        }
        is_voice && self.carried > 0
    }

    fn learn(&mut self, level: f32, loudest: f32) {
        let (taken, ours, theirs) = self.lesson;
        self.lesson = (taken + 1, ours.max(loudest), theirs.max(level));
        if self.lesson.0 < LESSON {
            return;
        }
        let (_, ours, theirs) = std::mem::replace(&mut self.lesson, (0, SILENCE, SILENCE));
        let change = (ours - theirs - self.loss).clamp(-DOWN, UP);
        self.loss = (self.loss + change).clamp(LOSSES.0, LOSSES.1);
    }
}

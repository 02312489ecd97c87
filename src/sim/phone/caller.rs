//! What the person on the phone does: speaks, presses keys and hangs up, by the clock or in answer to the agent.
//!
//! Steps by the clock stand for themselves. A step in answer to the agent waits for its turn: it is looked at only when
//! every step before it in the list is done and said, so that a list reads as a conversation.

use super::track::{Ear, Track};
use std::sync::Arc;

/// One thing the caller does.
#[derive(Clone, Debug, PartialEq)]
pub struct Step {
    /// When.
    pub when: When,
    /// What.
    pub act: Act,
}

/// When the caller does it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum When {
    /// So many milliseconds after the call was answered.
    At {
        /// Milliseconds.
        ms: u64,
    },
    /// When the agent has just begun to talk and has talked so long: an interruption.
    Interrupts {
        /// Milliseconds.
        after_ms: u64,
    },
    /// When everything before it was done and said so long ago, whatever the agent does.
    Follows {
        /// Milliseconds.
        after_ms: u64,
    },
    /// When the agent has talked and been silent so long: a reply.
    Replies {
        /// Milliseconds.
        after_ms: u64,
    },
}

/// What the caller does.
#[derive(Clone, Debug, PartialEq)]
pub enum Act {
    /// Speaks: samples at 8 kHz.
    Say(Arc<[i16]>),
    /// Presses a key: `0` to `9`, `*`, `#`, `A` to `D`.
    Press(char),
    /// Hangs up.
    HangUp,
}

/// The caller's mind and mouth. All times are samples of 8 kHz since the phone began to ring.
#[derive(Debug)]
pub(super) struct Caller {
    steps: Vec<Step>,
    done: Vec<bool>,
    /// The first step that is not done.
    first: usize,
    /// When the next step by the clock is due.
    clock: Option<u64>,
    answered: Option<u64>,
    saying: Vec<(u64, Arc<[i16]>)>,
    armed: Option<(usize, u64)>,
    now: u64,
}

impl Caller {
    pub(super) fn new(steps: Vec<Step>) -> Self {
        Caller {
            done: vec![false; steps.len()],
            steps,
            first: 0,
            clock: None,
            answered: None,
            saying: Vec::new(),
            armed: None,
            now: 0,
        }
    }

    /// Somebody answered.
    pub(super) fn answered(&mut self, at: u64) {
        if self.answered.is_none() {
            self.answered = Some(at);
            self.look_at_the_clock();
        }
    }

    /// When the next step by the clock is due.
    pub(super) fn next(&self) -> Option<u64> {
        self.clock
    }

    /// What the caller does now, having heard what `ear` heard.
    pub(super) fn acts(&mut self, ear: &Ear) -> Vec<Act> {
        let Some(answered) = self.answered else {
            return Vec::new();
        };
        let mut acts = Vec::new();
        let by_clock = self.clock.is_some_and(|at| self.now >= at);
        for index in self.first..self.steps.len() {
            // Behind the first that is not done only the clock makes anybody act.
            if !by_clock && index > self.first {
                break;
            }
            let due = match self.steps[index].when {
                _ if self.done[index] => false,
                When::At { ms } => self.now >= answered.saturating_add(ms.saturating_mul(8)),
                When::Interrupts { after_ms } => self.armed(index).is_some_and(|armed| {
                    let since = ear.talking_since(self.now).filter(|since| *since >= armed);
                    since.is_some_and(|since| self.now - since >= after_ms.saturating_mul(8))
                }),
                When::Follows { after_ms } => self
                    .armed(index)
                    .is_some_and(|armed| self.now - armed >= after_ms.saturating_mul(8)),
                When::Replies { after_ms } => self.armed(index).is_some_and(|armed| {
                    let last = ear.last().filter(|last| *last >= armed);
                    last.is_some_and(|last| self.now - last >= after_ms.saturating_mul(8))
                }),
            };
            if due {
                self.done(index);
                if let Act::Say(sound) = &self.steps[index].act {
                    self.saying.push((self.now, sound.clone()));
                }
                acts.push(self.steps[index].act.clone());
            }
        }
        acts
    }

    /// A step is done.
    fn done(&mut self, index: usize) {
        self.done[index] = true;
        while self.done.get(self.first) == Some(&true) {
            self.first += 1;
        }
        self.look_at_the_clock();
    }

    /// Notes when the next step by the clock is due.
    fn look_at_the_clock(&mut self) {
        let Some(answered) = self.answered else {
            return;
        };
        let steps = self.steps.iter().zip(&self.done);
        self.clock = steps
            .filter_map(|(step, done)| match step.when {
                When::At { ms } if !done => Some(answered.saturating_add(ms.saturating_mul(8))),
                _ => None,
            })
            .min();
    }

    /// Since when the step of this index has been next in turn; `None` while it is not.
    fn armed(&mut self, index: usize) -> Option<u64> {
        let in_turn = self.saying.is_empty() && index == self.first;
        match self.armed {
            Some((armed, since)) if armed == index => Some(since),
            _ if in_turn => {
                self.armed = Some((index, self.now));
                Some(self.now)
            }
            _ => None,
        }
    }

    /// Speaks until the sample `until`; silence where there is nothing to say.
    pub(super) fn speak(&mut self, until: u64, spoken: &mut Track) {
        if self.saying.is_empty() {
            spoken.silence(until.saturating_sub(self.now));
            self.now = self.now.max(until);
            return;
        }
        if let [(since, sound)] = &self.saying[..] {
            let there = usize::try_from(self.now - since).unwrap_or(usize::MAX);
            let rest = sound.get(there..).unwrap_or_default();
            let room = usize::try_from(until.saturating_sub(self.now)).unwrap_or(usize::MAX);
            let said = &rest[..rest.len().min(room)];
            spoken.push(said);
            spoken.silence((room - said.len()) as u64);
            self.now = self.now.max(until);
        }
        while self.now < until {
            let now = self.now;
            let sample = self.saying.iter().fold(0_i16, |sum, (since, sound)| {
                let index = usize::try_from(now - since).unwrap_or(usize::MAX);
                sum.saturating_add(sound.get(index).copied().unwrap_or(0))
            });
            spoken.push(&[sample]);
            self.now += 1;
        }
        let now = self.now;
        self.saying
            .retain(|(since, sound)| now - since < sound.len() as u64);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn step(when: When, act: Act) -> Step {
        Step { when, act }
    }

    #[test]
    fn an_interruption_waits_until_the_words_before_it_are_said_and_the_agent_begins_anew() {
        let say = |count| Act::Say(vec![7; count].into());
        let mut caller = Caller::new(vec![
            step(When::At { ms: 10 }, say(80)),
            step(When::Interrupts { after_ms: 30 }, say(8)),
        ]);
        let (mut ear, mut spoken) = (Ear::default(), Track::keeping(true));
        caller.answered(0);
        assert_eq!(caller.next(), Some(80));
        let mut interrupted = None;
        for frame in 1..40_u64 {
            // The agent talks while the caller does, is silent for half a second, and talks again.
            let talks = frame <= 2 || frame >= 30;
            ear.hear((frame - 1) * 160, &[if talks { 5000 } else { 0 }; 160]);
            caller.speak(frame * 160, &mut spoken);
            if caller.acts(&ear).contains(&say(8)) {
                interrupted = Some(frame);
            }
        }
        assert_eq!(
            interrupted,
            Some(31),
            "29 * 20 ms + 30 ms, seen at the next frame"
        );
        assert_eq!(spoken.samples().iter().filter(|s| **s == 7).count(), 88);
    }

    #[test]
    fn a_reply_comes_when_the_agent_has_talked_and_fallen_silent() {
        let mut caller = Caller::new(vec![step(When::Replies { after_ms: 100 }, Act::HangUp)]);
        let (mut ear, mut spoken) = (Ear::default(), Track::keeping(false));
        caller.answered(0);
        for frame in 1..100_u64 {
            ear.hear(
                (frame - 1) * 160,
                &[if frame == 20 { 5000 } else { 0 }; 160],
            );
            caller.speak(frame * 160, &mut spoken);
            if caller.acts(&ear) == [Act::HangUp] {
                return assert_eq!(
                    frame, 25,
                    "silence is never taken for a turn before the agent spoke"
                );
            }
        }
        panic!("the caller never hung up");
    }
}

//! The way between phone and server: everything arrives later than it was sent, never in another order.
//!
//! A media stream is a WebSocket, so sound is delayed and bunched up but not shuffled: whatever is sent after something
//! late is late as well. What a line loses is lost before it reaches the carrier, as radio and RTP do, and shows as a
//! gap in the timestamps.

use crate::sim::dice::Dice;
use std::collections::VecDeque;

/// How good the line is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Line {
    /// From the phone to the server, and the same back, in milliseconds.
    pub delay_ms: u64,
    /// At most this many milliseconds more, by chance.
    pub jitter_ms: u64,
    /// Of a thousand frames of the caller's sound, so many never reach the carrier.
    pub lost_permille: u16,
}

/// One direction: what is on its way, oldest first.
#[derive(Debug)]
pub(super) struct Lane<T> {
    line: Line,
    dice: Dice,
    under_way: VecDeque<(u64, T)>,
    last_ms: u64,
}

impl<T> Lane<T> {
    pub(super) fn new(line: Line, seed: u64) -> Self {
        Lane {
            line,
            dice: Dice::new(seed),
            under_way: VecDeque::new(),
            last_ms: 0,
        }
    }

    /// Sends at `now_ms`; it arrives after the line's delay.
    pub(super) fn send(&mut self, now_ms: u64, what: T) {
        let delay_ms = self.line.delay_ms + self.dice.up_to(self.line.jitter_ms);
        self.put(now_ms.saturating_add(delay_ms), what);
    }

    /// Hands over without a line in between, after all that is under way.
    pub(super) fn put(&mut self, due_ms: u64, what: T) {
        self.last_ms = self.last_ms.max(due_ms);
        self.under_way.push_back((self.last_ms, what));
    }

    /// Whether chance takes this frame.
    pub(super) fn loses(&mut self) -> bool {
        self.line.lost_permille > 0 && self.dice.up_to(999) < u64::from(self.line.lost_permille)
    }

    /// When the next thing arrives.
    pub(super) fn due_ms(&self) -> Option<u64> {
        self.under_way.front().map(|(due_ms, _)| *due_ms)
    }

    /// What has arrived by `now_ms`.
    pub(super) fn arrive(&mut self, now_ms: u64) -> Option<T> {
        if self.due_ms()? > now_ms {
            return None;
        }
        self.under_way.pop_front().map(|(_, what)| what)
    }

    /// Forgets what is under way, but for what `keep` says.
    pub(super) fn retain(&mut self, keep: impl Fn(&T) -> bool) {
        self.under_way.retain(|(_, what)| keep(what));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_sent_later_never_arrives_earlier() {
        let line = Line {
            delay_ms: 40,
            jitter_ms: 50,
            lost_permille: 0,
        };
        let mut lane = Lane::new(line, 3);
        (0..50).for_each(|index| lane.send(index * 20, index));
        let (mut last_ms, mut extra_ms) = (0, 0);
        for index in 0..50 {
            let due_ms = lane.due_ms().expect("still under way");
            assert!(due_ms >= last_ms && due_ms >= index * 20 + 40);
            assert_eq!(lane.arrive(due_ms - 1), None);
            assert_eq!(lane.arrive(due_ms), Some(index));
            extra_ms = extra_ms.max(due_ms - index * 20 - 40);
            last_ms = due_ms;
        }
        assert!((20..=50).contains(&extra_ms), "{extra_ms}");
    }
}

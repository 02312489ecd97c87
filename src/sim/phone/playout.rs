//! The carrier's play-out buffer: what was queued, what was really played, and which marks go back when.
//!
//! A server may send sound faster than real time; the carrier queues it and plays it at the pace of speech. A mark goes
//! back once everything before it was played, and at once when nothing waits. `clear` forgets the queue and sends back
//! every mark in it, played or not. A call is right about what its caller heard only if it agrees with this file.
//!
//! Time is counted in samples of 8 kHz since the phone began to ring, so that nothing is ever rounded.

use super::track::{Ear, Track};
use std::collections::VecDeque;

/// Ten minutes: beyond that the carrier throws sound away (its error 31931).
const MOST: usize = 600 * 8000;

/// The sound between two marks, and what became of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Stretch {
    /// The mark that closed it; `None` while, or because, no mark followed the sound.
    pub mark: Option<String>,
    /// Samples that the server sent.
    pub sent: u64,
    /// Samples of them that were played.
    pub played: u64,
    /// When the first of them was played, in samples since the phone began to ring.
    pub from: Option<u64>,
    /// Whether a `clear`, or the end of the stream, took what was not played.
    pub cut: bool,
}

/// A `clear`: what it took, and what had been played before it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cleared {
    /// When the server's word came, before the line's delay; in milliseconds since the phone began to ring.
    pub came_ms: u64,
    /// When the carrier obeyed, in milliseconds since the phone began to ring.
    pub at_ms: u64,
    /// Stretches that had come before.
    pub after: usize,
    /// Samples that were queued and will never be played.
    pub dropped: u64,
    /// The stretch it cut in two or took whole, first of those that were queued; an index into the stretches.
    pub stretch: Option<usize>,
}

#[derive(Debug)]
enum Piece {
    Sound {
        samples: Vec<i16>,
        played: usize,
        stretch: usize,
    },
    Mark {
        stretch: usize,
    },
}

/// The buffer of one call.
#[derive(Debug, Default)]
pub struct PlayOut {
    now: u64,
    waiting: usize,
    queue: VecDeque<Piece>,
    stretches: Vec<Stretch>,
    open: Option<usize>,
    clears: Vec<Cleared>,
}

impl PlayOut {
    /// Queues sound; `false` when ten minutes wait already, and this was thrown away.
    pub fn sound(&mut self, samples: Vec<i16>) -> bool {
        if self.waiting + samples.len() > MOST {
            return false;
        }
        let stretch = self.stretch();
        self.stretches[stretch].sent += samples.len() as u64;
        self.waiting += samples.len();
        self.queue.push_back(Piece::Sound {
            samples,
            played: 0,
            stretch,
        });
        true
    }

    /// Queues a mark behind all sound so far.
    pub fn mark(&mut self, name: String) {
        let stretch = self.stretch();
        self.stretches[stretch].mark = Some(name);
        self.open = None;
        self.queue.push_back(Piece::Mark { stretch });
    }

    /// Plays until the sample `until`; silence where nothing waits. Each mark that was reached, with its sample.
    pub fn play(&mut self, until: u64, heard: &mut Track, ear: &mut Ear) -> Vec<(u64, String)> {
        let mut reached = Vec::new();
        loop {
            match self.queue.front_mut() {
                Some(Piece::Mark { stretch }) => {
                    let name = self.stretches[*stretch].mark.clone();
                    reached.extend(name.map(|name| (self.now, name)));
                    self.queue.pop_front();
                }
                _ if self.now >= until => return reached,
                Some(Piece::Sound {
                    samples,
                    played,
                    stretch,
                }) => {
                    let room = usize::try_from(until - self.now).unwrap_or(usize::MAX);
                    let rest = &samples[*played..];
                    let now = &rest[..rest.len().min(room)];
                    heard.push(now);
                    ear.hear(self.now, now);
                    self.stretches[*stretch].from.get_or_insert(self.now);
                    self.now += now.len() as u64;
                    self.waiting -= now.len();
                    self.stretches[*stretch].played += now.len() as u64;
                    *played += now.len();
                    if *played == samples.len() {
                        self.queue.pop_front();
                    }
                }
                None => {
                    heard.silence(until - self.now);
                    self.now = until;
                }
            }
        }
    }

    /// Forgets the queue. The marks that were in it, oldest first: they go back at once.
    /// `came_ms`: when the word came that is obeyed now.
    pub fn clear(&mut self, came_ms: u64) -> Vec<String> {
        let mut marks = Vec::new();
        let mut first = None;
        let dropped = self.waiting as u64;
        for piece in std::mem::take(&mut self.queue) {
            let (Piece::Sound { stretch, .. } | Piece::Mark { stretch }) = piece;
            first = first.or(Some(stretch));
            let cut = &mut self.stretches[stretch];
            cut.cut |= cut.played < cut.sent;
            if matches!(piece, Piece::Mark { .. }) {
                marks.extend(cut.mark.clone());
            }
        }
        self.waiting = 0;
        self.open = None;
        self.clears.push(Cleared {
            came_ms,
            at_ms: self.now / 8,
            after: self.stretches.len(),
            dropped,
            stretch: first,
        });
        marks
    }

    /// The stream is over: what waits will not be played, and nobody asks for its marks. How much that was, in samples.
    pub fn stop(&mut self) -> u64 {
        let dropped = self.waiting as u64;
        self.clear(0);
        self.clears.pop();
        dropped
    }

    /// At which sample the next mark is reached, if one waits.
    pub fn next_mark(&self) -> Option<u64> {
        let mut at = self.now;
        for piece in &self.queue {
            match piece {
                Piece::Sound {
                    samples, played, ..
                } => at += (samples.len() - played) as u64,
                Piece::Mark { .. } => return Some(at),
            }
        }
        None
    }

    /// Every stretch of sound, in the order sent.
    pub fn stretches(&self) -> &[Stretch] {
        &self.stretches
    }

    /// Every `clear`, in the order obeyed.
    pub fn clears(&self) -> &[Cleared] {
        &self.clears
    }

    fn stretch(&mut self) -> usize {
        *self.open.get_or_insert_with(|| {
            self.stretches.push(Stretch::default());
            self.stretches.len() - 1
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A buffer, and all that comes out of it.
    fn bench() -> (PlayOut, Track, Ear) {
        (PlayOut::default(), Track::keeping(true), Ear::default())
    }

    #[test]
    fn sound_is_played_once_in_order_and_silence_fills_the_rest() {
        let (mut buffer, mut heard, mut ear) = bench();
        buffer.play(10, &mut heard, &mut ear);
        buffer.sound(vec![1; 4]);
        buffer.sound(vec![2; 3]);
        buffer.play(13, &mut heard, &mut ear);
        buffer.play(20, &mut heard, &mut ear);
        let expected = [&[0; 10][..], &[1; 4], &[2; 3], &[0; 3]].concat();
        assert_eq!(heard.samples(), expected);
    }

    #[test]
    fn a_mark_goes_back_when_all_before_it_was_played_and_at_once_when_nothing_waits() {
        let (mut buffer, mut heard, mut ear) = bench();
        buffer.mark("empty".to_owned());
        assert_eq!(buffer.next_mark(), Some(0));
        assert_eq!(
            buffer.play(0, &mut heard, &mut ear),
            [(0, "empty".to_owned())]
        );
        buffer.sound(vec![9; 160]);
        buffer.mark("one".to_owned());
        buffer.sound(vec![9; 40]);
        buffer.mark("two".to_owned());
        assert_eq!(buffer.next_mark(), Some(160));
        assert_eq!(buffer.play(159, &mut heard, &mut ear), []);
        assert_eq!(
            buffer.play(300, &mut heard, &mut ear),
            [(160, "one".to_owned()), (200, "two".to_owned())]
        );
    }

    #[test]
    fn a_clear_drops_the_queue_returns_its_marks_and_remembers_what_was_played() {
        let (mut buffer, mut heard, mut ear) = bench();
        for name in ["1:20", "1:40"] {
            buffer.sound(vec![9; 160]);
            buffer.mark(name.to_owned());
        }
        buffer.play(200, &mut heard, &mut ear);
        assert_eq!(buffer.clear(24), ["1:40"]);
        assert_eq!(buffer.play(400, &mut heard, &mut ear), []);
        assert_eq!(
            heard.samples()[200..],
            [0; 200],
            "nothing plays after a clear"
        );
        let cut = &buffer.stretches()[1];
        assert_eq!((cut.sent, cut.played, cut.cut), (160, 40, true));
        assert_eq!(cut.from, Some(160));
        let cleared = Cleared {
            came_ms: 24,
            at_ms: 25,
            after: 2,
            dropped: 120,
            stretch: Some(1),
        };
        assert_eq!(buffer.clears(), [cleared]);
    }

    #[test]
    fn more_than_ten_minutes_are_thrown_away() {
        let (mut buffer, _, _) = bench();
        assert!(buffer.sound(vec![0; MOST]));
        assert!(!buffer.sound(vec![0; 1]));
    }
}

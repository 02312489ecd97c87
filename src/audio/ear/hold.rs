//! Whether nobody is on the line: music, ringing, or a fax machine.
//!
//! Music is told by how still its partials stand ([`super::spectrum`]). The other two are signals with a rhythm of their
//! own, and only the rhythm tells ringing from a dial tone, an engaged tone or the beep of an answering machine.

use super::Hold;
use super::spectrum::{Signal, Tones};
use super::steps;

/// Sound that has stood as still as this for a while is music: of an hour of speech by nine people none came above 0.55.
const STILL: f32 = 0.58;
/// For how long it must have, in steps.
const LASTING: u32 = steps(320);
/// How loud music is at the least, in dB below full scale, at its loudest of late.
const SOFTEST: f32 = -45.0;
/// A level that varies by less than this, in dB, is a hum or a tone, not music.
const LIVELY: f32 = 0.8;
/// How much of the past one step replaces in what is known of the level: about a second.
const OF_LATE: f32 = 0.016;

/// One ring lasts 0.4 s (Britain) to 2 s (North America), and a little may be lost at its ends.
const RING: (u32, u32) = (steps(320), steps(2600));
/// The silence after it is longer than that of any other tone of an exchange, which repeat within a second.
const AFTER_RING: u32 = steps(1500);
/// A calling fax sounds for half a second (T.30: 0.425 to 0.575) and is silent for three.
const CALLING: (u32, u32) = (steps(350), steps(750));
const AFTER_CALLING: u32 = steps(900);
/// An answering fax sounds for 2.6 to 4 s.
const ANSWERING: u32 = steps(1200);
/// How long a signal may be missing without having ended, in steps.
const DROPPED: u32 = 3;

/// What has been on one line.
pub(super) struct Line {
    /// The level of late, and how far it has strayed from that.
    mean: f32,
    stray: f32,
    /// The loudest of late.
    peak: f32,
    /// Steps for which it has been still.
    still: u32,
    /// The signal that sounds or sounded last, for how many steps it did, and for how many it has not.
    signal: Option<(Signal, u32, u32)>,
}

impl Default for Line {
    fn default() -> Self {
        Line {
            mean: -96.0,
            stray: 0.0,
            peak: -96.0,
            still: 0,
            signal: None,
        }
    }
}

impl Line {
    /// Takes a step; says what is on the line when it is none of the caller's doing.
    pub(super) fn push(&mut self, tones: &Tones, level: f32, is_speech: bool) -> Option<Hold> {
        if is_speech {
            self.signal = None;
        }
        self.rhythm(tones.signal).or_else(|| {
            self.stray += OF_LATE * ((level - self.mean).abs() - self.stray);
            self.mean += OF_LATE * (level - self.mean);
            self.peak = level.max(self.peak - 0.1);
            let is_music = tones.still_long > STILL
                && tones.signal.is_none()
                && self.peak > SOFTEST
                && self.stray > LIVELY;
            self.still = if is_music { self.still + 1 } else { 0 };
            (self.still >= LASTING).then_some(Hold::Music)
        })
    }

    /// What the signals and the silences between them amount to.
    fn rhythm(&mut self, now: Option<Signal>) -> Option<Hold> {
        self.signal = match (self.signal, now) {
            (Some((was, on, off)), Some(is)) if was == is && off <= DROPPED => {
                Some((is, on + off + 1, 0))
            }
            (_, Some(is)) => Some((is, 1, 0)),
            (Some((was, on, off)), None) => Some((was, on, off + 1)),
            (None, None) => None,
        };
        let (signal, on, off) = self.signal?;
        match signal {
            Signal::Ring if on >= RING.0 && on <= RING.1 && off == AFTER_RING => {
                Some(Hold::Ringback)
            }
            Signal::Calling if on >= CALLING.0 && on <= CALLING.1 && off == AFTER_CALLING => {
                Some(Hold::Fax)
            }
            Signal::Answering if on == ANSWERING => Some(Hold::Fax),
            _ => None,
        }
    }
}

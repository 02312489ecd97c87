//! Whether nobody is on the line: music, ringing, or a fax machine.
//!
//! Music is told by how still its partials stand ([`super::spectrum`]). The other two are signals with a rhythm of their
//! own, and only the rhythm tells ringing from a dial tone, an engaged tone or the beep of an answering machine.

use super::Hold;
use super::echo::SILENCE;
use super::spectrum::{Signal, Tones};
use super::steps;

/// Sound that has stood as still as this for a while is music: of an hour of speech by nine people none came above 0.55.
const STILL: f32 = 0.58;
/// For how long it must have, in steps.
const LASTING: i32 = steps(320) as i32;
/// How much longer after somebody spoke: by then they have either gone on, or were none.
const AFTER_SPEECH: i32 = steps(700) as i32;
/// How loud music is at the least, in dB below full scale, at its loudest of late.
const SOFTEST: f32 = -45.0;
/// A level that varies by less than this, in dB, is a hum or a tone, not music.
const LIVELY: f32 = 0.35;
/// Softer steps have no level to vary.
const FAINT: f32 = -50.0;
/// How much of the past one step replaces in the level of this moment (0.1 s, longer than a period of any hum), in that
/// of a while (half a second), and in how far the two are apart (a second).
const AT_ONCE: f32 = 0.15;
const SLOWLY: f32 = 0.03;
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
/// For how many steps the end of a signal still shows in the window of the spectrum.
const FADING: u32 = 9;
/// Between two soundings of a signal it is softer by this much, in dB.
const SILENT: f32 = 15.0;

/// What has been on one line.
pub(super) struct Line {
    /// The level of this moment and that of a while, and how far the one strays from the other.
    now: f32,
    mean: f32,
    stray: f32,
    /// The loudest of late.
    peak: f32,
    /// Steps for which it has been still; below zero after somebody spoke.
    still: i32,
    /// The signal that sounds or sounded last.
    signal: Option<Sounded>,
}

/// A signal that sounds or has sounded.
#[derive(Clone, Copy)]
struct Sounded {
    signal: Signal,
    /// For how many steps it has sounded, and for how many it has been silent since.
    on: u32,
    off: u32,
    /// How loud it was.
    level: f32,
}

impl Default for Line {
    fn default() -> Self {
        Line {
            now: SILENCE,
            mean: SILENCE,
            stray: 0.0,
            peak: SILENCE,
            still: 0,
            signal: None,
        }
    }
}

impl Line {
    /// Takes a step; says what is on the line when it is none of the caller's doing.
    pub(super) fn push(&mut self, tones: &Tones, level: f32, is_speech: bool) -> Option<Hold> {
        self.follow(tones.signal, level, is_speech);
        self.rhythm().or_else(|| self.music(tones, level))
    }

    /// Somebody spoke: what was on the line is over, and must prove itself again.
    pub(super) fn resumed(&mut self) {
        self.still = -AFTER_SPEECH;
        self.signal = None;
    }

    fn music(&mut self, tones: &Tones, level: f32) -> Option<Hold> {
        if level < FAINT {
            self.mean = SILENCE;
        } else if self.mean == SILENCE {
            (self.now, self.mean, self.stray) = (level, level, 0.0);
        } else {
            self.now += AT_ONCE * (level - self.now);
            self.mean += SLOWLY * (level - self.mean);
            self.stray += OF_LATE * ((self.now - self.mean).abs() - self.stray);
        }
        self.peak = level.max(self.peak - 0.1);
        let is_signal = |s: &Sounded| s.on >= CALLING.0 && s.off < AFTER_RING;
        let is_music = tones.still_long > STILL
            && !self.signal.as_ref().is_some_and(is_signal)
            && self.peak > SOFTEST
            && self.stray > LIVELY;
        self.still = if is_music {
            self.still + 1
        } else {
            self.still.min(0)
        };
        (self.still >= LASTING).then_some(Hold::Music)
    }

    /// Counts for how long a signal has sounded and been silent. Any other sound ends its rhythm.
    fn follow(&mut self, now: Option<Signal>, level: f32, is_speech: bool) {
        self.signal = match (self.signal, now) {
            (Some(s), Some(is)) if s.signal == is && s.off <= DROPPED => Some(Sounded {
                on: s.on + s.off + 1,
                off: 0,
                level: level.max(s.level),
                ..s
            }),
            (_, Some(signal)) => Some(Sounded {
                signal,
                on: 1,
                off: 0,
                level,
            }),
            (Some(s), None) if is_speech || (s.off > FADING && level > s.level - SILENT) => None,
            (Some(s), None) => Some(Sounded {
                off: s.off + 1,
                ..s
            }),
            (None, None) => None,
        };
    }

    /// What the signals and the silences between them amount to.
    fn rhythm(&self) -> Option<Hold> {
        let Sounded {
            signal, on, off, ..
        } = self.signal?;
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

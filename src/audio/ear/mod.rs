//! What our own ear makes of the caller's sound.
//!
//! The provider's detector takes a cough for a turn and hold music for a conversation, and each of its mistakes costs an
//! answer. This ear decides three things locally: whether somebody speaks and means it ([`voice`]), whether what arrives
//! is only our own voice coming back ([`echo`]), and whether nobody is there at all but a machine that plays or rings
//! ([`hold`]). It tells of changes only. A decision takes a few tenths of a second; the call goes on meanwhile.

mod echo;
mod hold;
mod spectrum;
mod voice;

use super::{Format, Transcoder};
use echo::Guard;
use hold::Line;
use spectrum::Spectrum;
use std::collections::VecDeque;
use voice::Voice;

/// What the caller's sound has turned into.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Heard {
    /// Somebody speaks, and has for long enough to mean it.
    Speech,
    /// They have stopped.
    Quiet,
    /// Nobody is at the other end for now.
    Hold(Hold),
}

/// What is on a line that nobody speaks on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Hold {
    /// Music.
    Music,
    /// The other end is ringing.
    Ringback,
    /// A fax machine.
    Fax,
}

/// What the ear listens for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EarSettings {
    /// How much speech, in milliseconds, must be heard within a window two thirds longer before it counts. At most
    /// [`LONGEST_SPEECH_MS`].
    pub min_speech_ms: u64,
    /// Whether to tell when music, ringing or a fax machine is on the line, and when speech ends that.
    pub hold: bool,
    /// Whether to tell when somebody begins and stops to speak. Without it, speech is told of only as the end of a hold.
    pub confirm: bool,
}

impl Default for EarSettings {
    /// A spoken "yes" has about 300 ms that a detector can hear; most coughs have less than 240 ms of voice.
    fn default() -> Self {
        EarSettings {
            min_speech_ms: 240,
            hold: true,
            confirm: true,
        }
    }
}

/// No setting can ask for more speech than this, in milliseconds.
pub const LONGEST_SPEECH_MS: u64 = 1000;

/// What the telephone carries, in samples per second.
const RATE: u32 = 8000;
/// Samples judged at a time: 16 ms, the frame of the voice detector.
const STEP: usize = 128;
/// The same in milliseconds.
const STEP_MS: u64 = 16;
/// This many milliseconds in steps.
const fn steps(ms: u64) -> u32 {
    (ms / STEP_MS) as u32
}

/// The window within which the least speech must fall is this many times as long, in thirds.
const WINDOW_THIRDS: u64 = 5;
/// While on hold it is twice as long, for each step is judged more strictly.
const HOLD_WINDOW_THIRDS: u64 = 6;
/// How long nobody must have spoken before it is quiet.
const QUIET: u32 = steps(500);

/// What is on the line is not a hold when more steps than this of the last two seconds sounded like speech: people do so
/// for half of the time and more, music for less than a tenth.
const BABBLE: u32 = 25;
const PAST: u32 = steps(2000);

/// The level of a sound in dB below full scale; at least -96, which is silence.
fn level(samples: &[f32]) -> f32 {
    let power: f32 = samples.iter().map(|s| s * s).sum();
    10.0 * (power / samples.len().max(1) as f32 / (32768.0 * 32768.0) + 2.5e-10).log10()
}

/// What the ear last told.
#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Quiet,
    Speech,
    Hold(Hold),
}

/// Listens to one caller.
pub struct Ear {
    settings: EarSettings,
    caller: Steps,
    ours: Steps,
    /// Levels of what we send that the caller has not been played yet, a step each.
    ahead: VecDeque<f32>,
    spectrum: Box<Spectrum>,
    voice: Box<Voice>,
    guard: Guard,
    line: Line,
    /// Which of the last steps were speech; the newest is the lowest bit.
    speech: u128,
    state: State,
}

/// We are never more than this much ahead of what is played: ten seconds.
const AHEAD_MOST: usize = 625;

impl Ear {
    /// An ear for a caller whose sound, and ours, has this format.
    pub fn new(format: Format, mut settings: EarSettings) -> Self {
        settings.min_speech_ms = settings.min_speech_ms.clamp(STEP_MS, LONGEST_SPEECH_MS);
        Ear {
            settings,
            caller: Steps::new(format),
            ours: Steps::new(format),
            ahead: VecDeque::new(),
            spectrum: Box::default(),
            voice: Box::default(),
            guard: Guard::default(),
            line: Line::default(),
            speech: 0,
            state: State::Quiet,
        }
    }

    /// We send this to the caller; it is played when all that was sent before it has been.
    pub fn played(&mut self, sound: &[u8]) {
        let ahead = &mut self.ahead;
        self.ours.push(sound, |step| {
            if ahead.len() < AHEAD_MOST {
                ahead.push_back(level(step));
            }
        });
    }

    /// What was sent and not yet played is thrown away.
    pub fn cleared(&mut self) {
        self.ahead.clear();
        self.ours.clear();
    }

    /// The caller's sound as it arrives, in pieces of any size; tells what it has turned into.
    pub fn hear(&mut self, sound: &[u8], out: &mut impl FnMut(Heard)) {
        let mut caller = std::mem::take(&mut self.caller);
        caller.push(sound, |step| {
            if let Some(heard) = self.step(step) {
                out(heard);
            }
        });
        self.caller = caller;
    }

    /// One step of the caller's sound.
    fn step(&mut self, samples: &[f32; STEP]) -> Option<Heard> {
        let level = level(samples);
        let likely = self.voice.push(samples);
        let tones = self.spectrum.push(samples, level);
        let holding = matches!(self.state, State::Hold(_));
        let is_voice = voice::is_speech(likely, level, &tones, holding);
        let ours = self.ahead.pop_front().unwrap_or(echo::SILENCE);
        let is_speech = self.guard.passes(level, ours, is_voice);
        self.speech = self.speech << 1 | u128::from(is_speech);
        let kind = self.line.push(&tones, level, is_speech);

        let next = match kind {
            _ if holding && self.speaks(HOLD_WINDOW_THIRDS) => {
                self.line.resumed();
                State::Speech
            }
            Some(kind) if self.settings.hold && self.spoken(PAST) <= BABBLE => State::Hold(kind),
            _ if self.state == State::Quiet && self.speaks(WINDOW_THIRDS) => State::Speech,
            _ if self.state == State::Speech && self.spoken(QUIET) == 0 => State::Quiet,
            _ => self.state,
        };
        let before = std::mem::replace(&mut self.state, next);
        let told = match next {
            State::Quiet => Heard::Quiet,
            State::Speech => Heard::Speech,
            State::Hold(kind) => Heard::Hold(kind),
        };
        let wanted = self.settings.confirm || holding || matches!(next, State::Hold(_));
        (before != next && wanted).then_some(told)
    }

    /// Whether enough was spoken, within a window so many thirds as long as what is enough.
    fn speaks(&self, thirds: u64) -> bool {
        let enough = self.settings.min_speech_ms;
        self.spoken(steps(enough * thirds / 3)) >= steps(enough).max(1)
    }

    /// How many of so many last steps were speech.
    fn spoken(&self, steps: u32) -> u32 {
        (self.speech & !(u128::MAX << steps.clamp(1, 127))).count_ones()
    }
}

/// A stream of sound cut into steps of samples.
struct Steps {
    decoder: Transcoder,
    /// Samples as bytes; kept for its memory.
    bytes: Vec<u8>,
    step: [f32; STEP],
    /// Samples of the step that are there already.
    have: usize,
}

impl Default for Steps {
    fn default() -> Self {
        Steps::new(Format::Pcmu)
    }
}

impl Steps {
    fn new(format: Format) -> Self {
        Steps {
            decoder: Transcoder::new(format, Format::Pcm16 { rate: RATE }),
            bytes: Vec::new(),
            step: [0.0; STEP],
            have: 0,
        }
    }

    /// Calls `each` with every step that this sound completes.
    fn push(&mut self, sound: &[u8], mut each: impl FnMut(&[f32; STEP])) {
        self.bytes.clear();
        self.decoder.push(sound, &mut self.bytes);
        for &pair in self.bytes.as_chunks().0 {
            self.step[self.have] = f32::from(i16::from_le_bytes(pair));
            self.have += 1;
            if self.have == STEP {
                self.have = 0;
                each(&self.step);
            }
        }
    }

    /// Forgets the step that has begun.
    fn clear(&mut self) {
        self.have = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_ear_may_move_between_threads_and_takes_less_than_thirty_kilobytes() {
        fn moves<T: Send + 'static>() {}
        moves::<Ear>();
        let ear = Ear::new(Format::Pcma, EarSettings::default());
        let taken = size_of::<Ear>()
            + size_of::<Voice>()
            + ear.spectrum.size()
            + (ear.ahead.capacity() + AHEAD_MOST) * size_of::<f32>();
        assert!(taken < 30_000, "{taken}");
    }
}

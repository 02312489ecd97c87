//! Whether there is anything to hear on the line.
//!
//! A caller says nothing for most of a call, and sound that holds nothing need not be sent fifty times a second. What counts as nothing
//! must be judged in the frame itself, before anybody has listened to it, and must never be wrong about the first syllable: so it is
//! the loudest sample that counts, not the mean, against a floor that follows the noise of this line. A line that is never below the
//! threshold is never silent, which costs a little and delays nothing.
//!
//! The scale is that of G.711 itself, which is a logarithm: a step of 16 codes is 6 dB. It takes one comparison a sample.

use super::Format;
use super::g711::Law;

/// What is on the line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// Nothing that anybody could make out.
    Silent,
    /// Something.
    Sounding,
}

/// Below this (-43 dB of full scale at the loudest sample), nothing on a telephone line is a voice.
const NOTHING: u8 = 0x18;

/// Above this (-28 dB), everything may be one, however noisy the line.
const SOMETHING: u8 = 0x38;

/// A voice is at least so much above the noise of its line: 6 dB.
const ABOVE_NOISE: u8 = 0x10;

/// Samples that are judged together: 20 ms at 8 kHz.
const BLOCK_MS: u64 = 20;

/// The noise of a line is the quietest block of the last two to four seconds.
const WINDOW: u32 = 100;

/// Listens to one line.
#[derive(Clone, Debug)]
pub struct LevelMeter {
    format: Format,
    /// The loudest code of the quietest block: of the window before, and of this one so far.
    quietest: [u8; 2],
    blocks: u32,
    level: Level,
}

impl LevelMeter {
    /// For a line of this format, of which nothing is known: it counts as sounding.
    pub fn new(format: Format) -> Self {
        LevelMeter {
            format,
            quietest: [0; 2],
            blocks: 0,
            level: Level::Sounding,
        }
    }

    /// Hears some more, and tells if that changes what is on the line. Silence is only what is silent from beginning to end.
    pub fn hear(&mut self, sound: &[u8]) -> Option<Level> {
        let block = (self.format.bytes(BLOCK_MS) as usize).max(1);
        let mut level = None;
        for block in sound.chunks(block) {
            let loudest = loudest(self.format, block);
            level = level.max(Some(self.judge(loudest)));
        }
        let changed = level.filter(|level| *level != self.level);
        self.level = level.unwrap_or(self.level);
        changed
    }

    fn judge(&mut self, loudest: u8) -> Level {
        let noise = self.quietest[0].min(self.quietest[1]);
        let threshold = (noise + ABOVE_NOISE).clamp(NOTHING, SOMETHING);
        self.quietest[1] = match self.blocks {
            0 => loudest,
            _ => self.quietest[1].min(loudest),
        };
        self.blocks += 1;
        if self.blocks == WINDOW {
            self.quietest[0] = self.quietest[1];
            self.blocks = 0;
        }
        if loudest > threshold {
            Level::Sounding
        } else {
            Level::Silent
        }
    }
}

/// The loudest sample, as mu-law without its sign: 0 is nothing, 127 is all there is.
fn loudest(format: Format, sound: &[u8]) -> u8 {
    let codes = |flipped: u8| sound.iter().map(|code| (code ^ flipped) & 0x7F).max();
    match format {
        Format::Pcmu => codes(0x7F),
        // One law's codes are the other's, but for the quietest.
        Format::Pcma => codes(0x55),
        Format::Pcm16 { .. } => {
            let samples = sound.as_chunks().0.iter();
            let loudest = samples.map(|&pair| i16::from_le_bytes(pair).saturating_abs());
            loudest.max().map(|sample| !Law::Mu.encode(sample) & 0x7F)
        }
    }
    .unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::f64::consts::TAU;

    /// A tone of this level, in dB of full scale.
    fn tone(ms: usize, db: f64) -> Vec<u8> {
        let loud = 32_767.0 * 10f64.powf(db / 20.0);
        (0..ms * 8)
            .map(|n| {
                Law::Mu.encode((loud * (TAU * 400.0 * n as f64 / 8_000.0).sin()).round() as i16)
            })
            .collect()
    }

    fn meter() -> LevelMeter {
        LevelMeter::new(Format::Pcmu)
    }

    #[test]
    fn a_line_that_carries_nothing_is_silent_and_one_sample_of_a_voice_ends_that() {
        let mut meter = meter();
        assert_eq!(meter.hear(&[0xFF; 160]), Some(Level::Silent));
        assert_eq!(meter.hear(&[0x7F; 160]), None, "the other zero");
        let mut frame = [0xFF; 160];
        frame[159] = Law::Mu.encode(-900);
        assert_eq!(meter.hear(&frame), Some(Level::Sounding));
        assert_eq!(meter.hear(&frame), None);
        assert_eq!(meter.hear(&[0xFF; 160]), Some(Level::Silent));
    }

    #[test]
    fn a_voice_within_a_long_message_makes_all_of_it_sound() {
        let mut message = tone(100, -60.0);
        assert_eq!(meter().hear(&message), Some(Level::Silent));
        message[320..480].copy_from_slice(&tone(20, -30.0));
        let mut meter = meter();
        meter.hear(&[0xFF; 160]);
        assert_eq!(meter.hear(&message), Some(Level::Sounding));
    }

    #[test]
    fn the_noise_of_a_line_is_silence_once_it_is_known_and_a_voice_above_it_is_not() {
        let (noise, voice) = (tone(20, -40.0), tone(20, -26.0));
        let mut meter = meter();
        let changes: Vec<_> = (0..300).filter_map(|_| meter.hear(&noise)).collect();
        assert_eq!(changes, [Level::Silent]);
        assert_eq!(meter.hear(&voice), Some(Level::Sounding));
    }

    #[test]
    fn who_talks_without_a_pause_is_never_taken_for_noise() {
        let voice = tone(20, -24.0);
        let mut meter = meter();
        assert!((0..3_000).all(|_| meter.hear(&voice).is_none()));
    }

    #[test]
    fn every_format_is_judged_alike() {
        for db in [-60.0, -20.0] {
            let samples: Vec<i16> = tone(20, db).iter().map(|&c| Law::Mu.decode(c)).collect();
            let mut a_law = Vec::new();
            Law::A.encode_all(&samples, &mut a_law);
            let linear: Vec<u8> = samples.iter().flat_map(|s| s.to_le_bytes()).collect();
            let expected = (db < -40.0).then_some(Level::Silent);
            for (format, sound) in [
                (Format::Pcma, &a_law),
                (Format::Pcm16 { rate: 8_000 }, &linear),
            ] {
                assert_eq!(
                    LevelMeter::new(format).hear(sound),
                    expected,
                    "{format:?} {db}"
                );
            }
        }
    }
}

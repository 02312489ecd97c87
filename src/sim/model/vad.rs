//! Hears where the caller begins and stops to speak, from the sound itself.
//!
//! The clock is the sound that was appended, never the time it was appended at: a burst and a real-time stream of the
//! same sound are the same turns. Energy of 20 ms frames decides, against a threshold that rises with the line's own
//! noise, with fewer decibels needed to go on speaking than to begin; that is enough for telephone speech.

use crate::audio::FRAME_MS;

/// Loud frames, of the last [`ONSET_OF`], that begin a turn: a click is not speech.
const ONSET: u32 = 3;
const ONSET_OF: u32 = 5;
/// What a threshold of 1.0 means, as a part of full scale: the default of 0.5 is -42 dBFS, some 20 dB under speech.
const FULL_THRESHOLD: f32 = 0.016;
/// Speech must exceed the line's noise by this factor (8 dB).
const OVER_NOISE: f32 = 2.5;
/// Speech goes on until it is quieter than this part of what began it.
const RELEASE: f32 = 0.6;
/// Sound kept of a turn, or without turn detection; beyond it a turn is closed, and older sound forgotten.
const KEPT_MS: u64 = 300_000;
/// How often a storm commits.
const STORM_MS: u64 = 200;

/// How to listen: the session's `turn_detection`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Listening {
    /// From 0 to 1.
    pub threshold: f32,
    /// Sound kept from before the first loud frame, in milliseconds.
    pub prefix_ms: u64,
    /// Silence that ends a turn, in milliseconds.
    pub silence_ms: u64,
}

/// What was heard, on the clock of all sound appended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Heard {
    /// The caller began to speak; the prefix is included.
    Started {
        /// Milliseconds.
        at_ms: u64,
    },
    /// The caller stopped; the silence is included.
    Stopped {
        /// Milliseconds.
        at_ms: u64,
        /// The turn.
        samples: Vec<i16>,
    },
}

/// What was appended and not yet committed, and what it means.
#[derive(Debug)]
pub struct Ear {
    rate: u32,
    /// Milliseconds appended in another format, before this one.
    origin_ms: u64,
    /// Appended and kept; the first of them is sample number `base`.
    buffer: Vec<i16>,
    base: u64,
    /// Samples up to here have been listened to.
    judged: u64,
    recent: u32,
    quiet_ms: u64,
    noise: f32,
    /// Where the turn began that is being spoken.
    speech: Option<u64>,
}

impl Ear {
    /// An ear for sound of this rate; `origin_ms` of other sound came before.
    pub fn new(rate: u32, origin_ms: u64) -> Self {
        Ear {
            rate,
            origin_ms,
            buffer: Vec::new(),
            base: 0,
            judged: 0,
            recent: 0,
            quiet_ms: 0,
            noise: 0.0,
            speech: None,
        }
    }

    /// Milliseconds appended in the session.
    pub fn clock_ms(&self) -> u64 {
        self.ms(self.base + self.buffer.len() as u64)
    }

    /// Milliseconds that wait to be committed.
    pub fn waiting_ms(&self) -> f64 {
        self.buffer.len() as f64 * 1000.0 / f64::from(self.rate)
    }

    /// Takes everything that waits.
    pub fn take(&mut self) -> Vec<i16> {
        self.base += self.buffer.len() as u64;
        self.judged = self.base;
        self.speech = None;
        self.recent = 0;
        std::mem::take(&mut self.buffer)
    }

    /// Hears more sound. `None` listens to nothing and keeps everything.
    pub fn append(&mut self, samples: &[i16], how: Option<Listening>, storm: bool) -> Vec<Heard> {
        self.buffer.extend_from_slice(samples);
        let frame = FRAME_MS * self.per_ms();
        let mut heard = Vec::new();
        while self.judged + frame <= self.base + self.buffer.len() as u64 {
            let from = (self.judged - self.base) as usize;
            let level = level(&self.buffer[from..from + frame as usize]);
            self.judged += frame;
            match how {
                _ if storm => self.storm(&mut heard),
                Some(how) => self.judge(level, how, &mut heard),
                None => {}
            }
        }
        let keep = match how {
            Some(how) if self.speech.is_none() => {
                how.prefix_ms + u64::from(ONSET_OF + 1) * FRAME_MS
            }
            _ => KEPT_MS,
        };
        self.forget_all_but(keep.max(STORM_MS) * self.per_ms());
        heard
    }

    fn judge(&mut self, level: f32, how: Listening, heard: &mut Vec<Heard>) {
        let begin = (how.threshold * FULL_THRESHOLD).max(self.noise * OVER_NOISE);
        let bar = if self.speech.is_some() {
            begin * RELEASE
        } else {
            begin
        };
        let loud = level > bar;
        self.learn_noise(level);
        self.recent = (self.recent << 1 | u32::from(loud)) & ((1 << ONSET_OF) - 1);
        match self.speech {
            None if self.recent.count_ones() >= ONSET => {
                let frames = u64::from(u32::BITS - self.recent.leading_zeros());
                let back = (frames * FRAME_MS + how.prefix_ms) * self.per_ms();
                let start = self.judged.saturating_sub(back).max(self.base);
                self.speech = Some(start);
                self.quiet_ms = 0;
                heard.push(Heard::Started {
                    at_ms: self.ms(start),
                });
            }
            None => {}
            Some(start) => {
                self.quiet_ms = if loud { 0 } else { self.quiet_ms + FRAME_MS };
                let endless = self.judged - start >= KEPT_MS * self.per_ms();
                if self.quiet_ms >= how.silence_ms || endless {
                    self.stop(start, heard);
                }
            }
        }
    }

    /// Follows the quietest the line gets: down at once, up by two decibels a second.
    fn learn_noise(&mut self, level: f32) {
        self.noise = if level < self.noise {
            self.noise + (level - self.noise) * 0.3
        } else {
            (self.noise.max(0.000_3) * 1.005).min(level)
        };
    }

    fn storm(&mut self, heard: &mut Vec<Heard>) {
        if self.judged - self.base >= STORM_MS * self.per_ms() {
            heard.push(Heard::Started {
                at_ms: self.ms(self.base),
            });
            self.stop(self.base, heard);
        }
    }

    fn stop(&mut self, start: u64, heard: &mut Vec<Heard>) {
        let (from, to) = (
            start.saturating_sub(self.base) as usize,
            (self.judged - self.base) as usize,
        );
        let samples = self.buffer[from.min(to)..to].to_vec();
        self.buffer.drain(..to);
        self.base = self.judged;
        self.speech = None;
        self.recent = 0;
        heard.push(Heard::Stopped {
            at_ms: self.ms(self.judged),
            samples,
        });
    }

    fn forget_all_but(&mut self, keep: u64) {
        let judged = (self.judged - self.base) as usize;
        let excess = self.buffer.len().saturating_sub(keep as usize).min(judged);
        // A second at a time: dropping the front of a buffer at every append costs more than the memory.
        if excess >= self.rate as usize {
            self.buffer.drain(..excess);
            self.base += excess as u64;
        }
    }

    fn per_ms(&self) -> u64 {
        u64::from(self.rate) / 1000
    }

    fn ms(&self, sample: u64) -> u64 {
        self.origin_ms + sample / self.per_ms()
    }
}

/// Root of the mean square of the samples less their mean, as a part of full scale: a line's offset is not sound.
fn level(frame: &[i16]) -> f32 {
    // A frame has 480 samples at the most, so neither sum can overflow; whole numbers can be added in any order, and fast.
    let count = frame.len().max(1) as f64;
    let sum: i32 = frame.iter().map(|s| i32::from(*s)).sum();
    let square = |s: &i16| i64::from(i32::from(*s) * i32::from(*s));
    let squares: i64 = frame.iter().map(square).sum();
    let mean = f64::from(sum) / count;
    ((squares as f64 / count - mean * mean).max(0.0).sqrt() / 32_768.0) as f32
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sim::model::voice::{Kind, hum};

    const HOW: Listening = Listening {
        threshold: 0.5,
        prefix_ms: 300,
        silence_ms: 500,
    };

    fn noise(ms: u64, loudness: i32) -> Vec<i16> {
        let mut state = 7_u64;
        (0..ms * 8)
            .map(|_| {
                state = state
                    .wrapping_mul(6_364_136_223_846_793_005)
                    .wrapping_add(1);
                ((state >> 33) as i32 % (2 * loudness + 1) - loudness) as i16
            })
            .collect()
    }

    fn hear(sound: &[i16], piece: usize) -> Vec<(bool, u64, usize)> {
        let mut ear = Ear::new(8_000, 0);
        let mut all = Vec::new();
        for piece in sound.chunks(piece) {
            all.extend(ear.append(piece, Some(HOW), false));
        }
        all.into_iter()
            .map(|heard| match heard {
                Heard::Started { at_ms } => (true, at_ms, 0),
                Heard::Stopped { at_ms, samples } => (false, at_ms, samples.len()),
            })
            .collect()
    }

    #[test]
    fn a_turn_begins_with_its_prefix_and_ends_with_its_silence() {
        let sound = [
            noise(1_000, 20),
            hum(Kind::Remark, 1_200, 8_000),
            noise(1_500, 20),
        ]
        .concat();
        let heard = hear(&sound, 160);
        assert_eq!(heard.len(), 2, "{heard:?}");
        let (start, end) = (heard[0].1, heard[1].1);
        assert!((680..=760).contains(&start), "{start}");
        assert!((2_600..=2_720).contains(&end), "{end}");
        assert_eq!(heard[1].2 as u64, (end - start) * 8);
        // A burst, odd pieces and a real-time stream are the same turns.
        assert_eq!(heard, hear(&sound, sound.len()));
        assert_eq!(heard, hear(&sound, 331));
    }

    #[test]
    fn a_pause_between_words_does_not_end_a_turn_and_a_click_does_not_begin_one() {
        let word = hum(Kind::Remark, 400, 8_000);
        let sound = [
            noise(500, 20),
            vec![12_000; 40],
            noise(800, 20),
            word.clone(),
            noise(300, 20),
            word,
            noise(800, 20),
        ];
        assert_eq!(hear(&sound.concat(), 160).len(), 2);
    }

    #[test]
    fn quiet_speech_is_heard_over_a_quiet_line_and_a_noisy_line_is_not_speech() {
        let quiet: Vec<i16> = hum(Kind::Remark, 1_000, 8_000)
            .iter()
            .map(|s| s / 6)
            .collect();
        let sound = [noise(400, 20), quiet, noise(900, 20)].concat();
        assert_eq!(hear(&sound, 160).len(), 2);
        assert_eq!(hear(&noise(20_000, 200), 160), []);
    }

    #[test]
    fn a_storm_commits_whatever_it_hears() {
        let mut ear = Ear::new(8_000, 0);
        assert_eq!(ear.append(&vec![0; 8_000], Some(HOW), true).len(), 10);
    }
}

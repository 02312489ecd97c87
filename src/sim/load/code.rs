//! A stamp in the sound: who sent these 20 ms, and when.
//!
//! What a server does to a frame (resampling, re-framing, holding it back) is invisible in its bytes, but sound comes out
//! at the other end. So each frame of speech carries steps of level in its first 16 ms: 13 bits of call, 17 bits of
//! time and 10 bits that tell a broken stamp from a good one. Steps of three samples at 8 kHz, two levels only, survive mu-law, the
//! 2 ms filters between 8 and 24 kHz, and rougher ones; and three samples are whole groups of base64 in both formats, so
//! that a frame is written by copying text.

use crate::audio::g711::Law;
use base64_simd::STANDARD;
use std::sync::LazyLock;

/// The number of a call that is not known yet.
pub const NOBODY: u16 = (1 << CALL_BITS) - 1;

/// The most calls that numbers are enough for.
pub const MOST_CALLS: usize = NOBODY as usize;

const CALL_BITS: u32 = 13;
const TIME_BITS: u32 = 17;
const CHECK_BITS: u32 = 10;
/// Time is counted in 32 us, which is a shift; it repeats after 4.2 s, and what is later than that is lost.
const TICK_SHIFT: u32 = 5;
/// Repeats of one level would look like a drift to a filter that removes it, so the bits are mixed with these.
const WHITE: u64 = 0x96_3C5A_A569;
/// What a stamp begins with: up, down.
const BITS: u32 = CALL_BITS + TIME_BITS + CHECK_BITS;
const STEPS: u32 = BITS + 2;
/// Samples of 8 kHz that a step lasts.
const SPAN: u32 = 3;
/// Samples of 8 kHz in a frame.
const FRAME: usize = 160;
/// The two levels are this far from zero.
const LEVEL: i16 = 8_000;
/// A sample beyond this is a level, whatever filters and laws did to it.
const LOUD: i16 = 3_000;
/// A stamp begins after so many samples that are not loud: longer than a step, shorter than the gap between stamps.
const GAP: u8 = 12;
/// Samples that are kept of a stamp: one before its edge, and up to the middle of its last step and one more.
const KEPT: u32 = (STEPS - 1) * SPAN + 4;

/// Who, and when.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Code {
    /// The call's number, or [`NOBODY`].
    pub call: u16,
    time: u32,
}

impl Code {
    /// Sent now; microseconds of any clock that both ends read.
    pub fn new(call: u16, now_us: u64) -> Self {
        let time = (now_us >> TICK_SHIFT) & ((1 << TIME_BITS) - 1);
        Code {
            call: call & NOBODY,
            time: time as u32,
        }
    }

    /// How long ago it was sent, in microseconds, 32 at the most too much.
    pub fn age_us(self, now_us: u64) -> u64 {
        let sent_us = u64::from(self.time) << TICK_SHIFT;
        now_us.wrapping_sub(sent_us) & ((1 << (TIME_BITS + TICK_SHIFT)) - 1)
    }

    fn bits(self) -> u64 {
        let what = u64::from(self.call) << TIME_BITS | u64::from(self.time);
        (what << CHECK_BITS | check(what)) ^ WHITE
    }

    fn read(bits: u64) -> Option<Code> {
        let bits = bits ^ WHITE;
        let what = bits >> CHECK_BITS;
        (check(what) == bits & ((1 << CHECK_BITS) - 1)).then_some(Code {
            call: (what >> TIME_BITS) as u16,
            time: (what & ((1 << TIME_BITS) - 1)) as u32,
        })
    }

    /// Appends the base64 of 20 ms of this in mu-law: 216 characters, ended as base64 is.
    pub fn write_pcmu(self, text: &mut Vec<u8>) {
        self.write(&SOUND.pcmu, text);
    }

    /// Appends the base64 of 20 ms of this in 16 bits at 24 kHz: 1,280 characters.
    pub fn write_pcm(self, text: &mut Vec<u8>) {
        self.write(&SOUND.pcm, text);
    }

    fn write(self, sound: &Written, text: &mut Vec<u8>) {
        let bits = self.bits();
        text.extend_from_slice(&sound.start);
        for place in (0..BITS).rev() {
            let step = usize::from(bits >> place & 1 == 1);
            text.extend_from_slice(&sound.steps[step]);
        }
        text.extend_from_slice(&sound.rest);
    }

    /// The base64 of a frame of silence in mu-law.
    pub fn silence_pcmu() -> &'static [u8] {
        &SOUND.pcmu.silence
    }

    /// The samples of this, in mu-law: for a piece that is longer than a frame and has to be encoded as one.
    pub fn samples_pcmu(self, codes: &mut Vec<u8>) {
        let levels = [Law::Mu.encode(-LEVEL), Law::Mu.encode(LEVEL)];
        let end = codes.len() + FRAME;
        let bits = self.bits() | 0b10 << BITS;
        for place in (0..STEPS).rev() {
            let level = levels[usize::from(bits >> place & 1 == 1)];
            codes.extend_from_slice(&[level; SPAN as usize]);
        }
        codes.resize(end, Law::Mu.encode(0));
    }
}

/// Ten bits that change when any bit changes.
fn check(what: u64) -> u64 {
    what.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> (u64::BITS - CHECK_BITS)
}

/// One format's pieces of base64.
struct Written {
    start: Vec<u8>,
    steps: [Vec<u8>; 2],
    rest: Vec<u8>,
    silence: Vec<u8>,
}

struct Sound {
    pcmu: Written,
    pcm: Written,
}

static SOUND: LazyLock<Sound> = LazyLock::new(|| Sound {
    pcmu: Written::of(|level, samples| vec![Law::Mu.encode(level); samples]),
    pcm: Written::of(|level, samples| level.to_le_bytes().repeat(samples * 3)),
});

impl Written {
    fn of(sound: impl Fn(i16, usize) -> Vec<u8>) -> Written {
        let text = |level, samples| {
            STANDARD
                .encode_to_string(sound(level, samples))
                .into_bytes()
        };
        let steps = [text(-LEVEL, SPAN as usize), text(LEVEL, SPAN as usize)];
        Written {
            start: [&*steps[1], &*steps[0]].concat(),
            rest: text(0, FRAME - (STEPS * SPAN) as usize),
            silence: text(0, FRAME),
            steps,
        }
    }
}

/// What was found in a piece of sound.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Found {
    /// A stamp.
    Code(Code),
    /// Something loud that is no stamp, or a broken one.
    Noise,
}

/// Looks for stamps in a stream of 8 kHz, in pieces of any size.
#[derive(Debug, Default)]
pub struct Ear {
    /// How many more samples must not be loud before a stamp can begin.
    wait: u8,
    /// The signs of a stamp's samples so far; bit 0 is the sample before its edge.
    signs: u128,
    /// How many there are; 0: no stamp is being heard.
    kept: u32,
    /// Which of three samples of 24 kHz comes next.
    phase: u8,
}

impl Ear {
    /// Hears mu-law; says whether any of it was loud.
    pub fn hear_pcmu(&mut self, codes: &[u8], mut found: impl FnMut(Found)) -> bool {
        let mut loud = self.kept > 0;
        for &code in codes {
            loud |= self.hear(Law::Mu.decode(code), &mut found);
        }
        loud
    }

    /// Hears 16 bits at 24 kHz, little-endian; says whether any of it was loud.
    pub fn hear_pcm(&mut self, bytes: &[u8], mut found: impl FnMut(Found)) -> bool {
        let mut loud = self.kept > 0;
        let (samples, _) = bytes.as_chunks::<2>();
        let first = usize::from((3 - self.phase) % 3);
        for &sample in samples.iter().skip(first).step_by(3) {
            loud |= self.hear(i16::from_le_bytes(sample), &mut found);
        }
        self.phase = ((usize::from(self.phase) + samples.len()) % 3) as u8;
        loud
    }

    fn hear(&mut self, sample: i16, found: &mut impl FnMut(Found)) -> bool {
        if self.kept == 0 {
            let is_loud = !(-LOUD..=LOUD).contains(&sample);
            let begins = sample > LOUD && self.wait == 0;
            self.wait = if is_loud {
                GAP
            } else {
                self.wait.saturating_sub(1)
            };
            if begins {
                (self.signs, self.kept) = (0b10, 2);
            }
            return is_loud;
        }
        self.signs |= u128::from(sample > 0) << self.kept;
        self.kept += 1;
        if self.kept == KEPT {
            self.kept = 0;
            found(self.read());
        }
        true
    }

    /// Reads the signs in the middle of each step; filters may have moved the edge by a sample.
    fn read(&self) -> Found {
        for moved in [2, 1, 3] {
            let step = |n: u32| self.signs >> (moved + n * SPAN) & 1;
            if step(0) == 0 || step(1) == 1 {
                continue;
            }
            let bits = (2..STEPS).fold(0, |bits, n| bits << 1 | step(n) as u64);
            if let Some(code) = Code::read(bits) {
                return Found::Code(code);
            }
        }
        Found::Noise
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audio::{Format, Transcoder, resample_all};
    use proptest::prelude::*;

    const MODEL: Format = Format::Pcm16 { rate: 24_000 };

    fn codes() -> Vec<Code> {
        (0..400_u64)
            .map(|n| Code::new((n * 37 % 8_191) as u16, n * 20_011))
            .collect()
    }

    fn decoded(write: impl Fn(&mut Vec<u8>)) -> Vec<u8> {
        let mut text = Vec::new();
        write(&mut text);
        STANDARD.decode_to_vec(&text).expect("base64")
    }

    fn found(hear: impl FnOnce(&mut dyn FnMut(Found)) -> bool) -> Vec<Code> {
        let mut codes = Vec::new();
        hear(&mut |found| match found {
            Found::Code(code) => codes.push(code),
            Found::Noise => panic!("a broken stamp"),
        });
        codes
    }

    #[test]
    fn a_stamp_is_whole_within_its_own_frame_though_two_filters_of_2_ms_hold_it_back() {
        let mut up = Transcoder::new(Format::Pcmu, MODEL);
        let mut ear = Ear::default();
        for code in codes() {
            let frame = decoded(|text| code.write_pcmu(text));
            assert_eq!(frame.len(), 160);
            let mut same = Vec::new();
            code.samples_pcmu(&mut same);
            assert_eq!(frame, same);
            let mut sound = Vec::new();
            up.push(&frame, &mut sound);
            assert_eq!(found(|f| ear.hear_pcm(&sound, f)), [code]);
        }
    }

    #[test]
    fn the_models_stamps_reach_the_telephone() {
        let mut down = Transcoder::new(MODEL, Format::Pcmu);
        let mut ear = Ear::default();
        for code in codes() {
            let frame = decoded(|text| code.write_pcm(text));
            assert_eq!(frame.len(), 960);
            let mut sound = Vec::new();
            down.push(&frame, &mut sound);
            assert_eq!(found(|f| ear.hear_pcmu(&sound, f)), [code]);
        }
    }

    #[test]
    fn what_passes_untouched_or_through_another_resampler_is_read_as_well() {
        let all: Vec<u8> = codes()
            .iter()
            .flat_map(|code| decoded(|text| code.write_pcmu(text)))
            .collect();
        assert_eq!(found(|f| Ear::default().hear_pcmu(&all, f)), codes());
        let mut samples = Vec::new();
        Law::Mu.decode_all(&all, &mut samples);
        // By 16 kHz, and by straight lines between samples, as the simplest of servers do.
        let detour = resample_all(&resample_all(&samples, 8_000, 16_000), 16_000, 24_000);
        let lines = samples.windows(2).flat_map(|pair| {
            let (a, b) = (i32::from(pair[0]), i32::from(pair[1]));
            [a, (2 * a + b) / 3, (a + 2 * b) / 3].map(|sample| sample as i16)
        });
        for sound in [detour, lines.collect()] {
            let bytes: Vec<u8> = sound.iter().flat_map(|s| s.to_le_bytes()).collect();
            let mut heard = found(|f| Ear::default().hear_pcm(&bytes, f));
            heard.truncate(399);
            assert_eq!(heard, codes()[..399]);
        }
    }

    #[test]
    fn age_is_told_to_32_microseconds_and_silence_tells_nothing() {
        for sent_us in [0, 31, 32, 4_194_303, 1_000_000_007] {
            for age_us in [0, 1, 500, 80_000, 4_000_000] {
                let told = Code::new(5, sent_us).age_us(sent_us + age_us);
                assert!((age_us..age_us + 32).contains(&told), "{told} for {age_us}");
            }
        }
        let silence = STANDARD
            .decode_to_vec(Code::silence_pcmu())
            .expect("base64");
        assert!(!Ear::default().hear_pcmu(&silence, |_| panic!("nothing was said")));
    }

    proptest! {
        #[test]
        fn sound_of_any_kind_is_no_stamp_but_once_in_hundreds(sound in prop::collection::vec(any::<u8>(), 0..4000)) {
            let mut stamps = 0;
            Ear::default().hear_pcmu(&sound, |found| stamps += usize::from(found != Found::Noise));
            prop_assert!(stamps <= 2);
        }
    }
}

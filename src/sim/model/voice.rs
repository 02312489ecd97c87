//! The model's voice: the caller's own words back, or a sound that no caller makes.
//!
//! Parroting lets a test compare what went in with what came out, sample by sample, through both directions of the
//! line. What has nothing to repeat (a greeting, a goodbye) hums syllables at a pitch of its own, so that a recording
//! tells by ear, and by its spectrum, which of them was heard.

use crate::audio::Format;
use audio_codec_algorithms::{decode_alaw, decode_ulaw, encode_alaw, encode_ulaw};
use std::collections::HashMap;
use std::f32::consts::{PI, TAU};
use std::sync::{Arc, LazyLock, Mutex, PoisonError};

/// Sound that is not the caller's own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// The first answer, before the caller said anything.
    Greeting,
    /// A response beside the conversation.
    Goodbye,
    /// Any other answer to something that was not sound.
    Remark,
}

impl Kind {
    /// The fundamental, in Hz: inside the telephone's band with its harmonics, and apart from one another.
    pub const fn pitch_hz(self) -> f32 {
        match self {
            Kind::Greeting => 310.0,
            Kind::Goodbye => 190.0,
            Kind::Remark => 250.0,
        }
    }
}

/// A syllable and the gap behind it, in milliseconds.
const SYLLABLE_MS: u64 = 200;
const GAP_MS: u64 = 40;

/// Hums syllables for so long: five harmonics under an envelope, about -17 dBFS, audible on any line.
pub fn hum(kind: Kind, ms: u64, rate: u32) -> Vec<i16> {
    let per_ms = u64::from(rate) / 1000;
    let beat = (SYLLABLE_MS + GAP_MS) * per_ms;
    (0..ms * per_ms)
        .map(|n| {
            let (inside, syllable) = (n % beat, n / beat);
            let place = inside as f32 / (SYLLABLE_MS * per_ms) as f32;
            if place >= 1.0 {
                return 0;
            }
            // Every third syllable is higher, every fourth lower: a melody, not a tone.
            let bend = 1.0 + 0.06 * (syllable % 3) as f32 - 0.05 * (syllable % 4) as f32;
            let turn = TAU * kind.pitch_hz() * bend * inside as f32 / rate as f32;
            let wave: f32 = (1..=5).map(|h| (turn * h as f32).sin() / h as f32).sum();
            (wave * (PI * place).sin() * 7_000.0) as i16
        })
        .collect()
}

/// How long the melody of a hum is, in milliseconds: three heights and four depths make twelve syllables.
const MELODY_MS: u64 = 12 * (SYLLABLE_MS + GAP_MS);

/// Melodies as a wire's bytes.
type Melodies = HashMap<(Kind, Format), Arc<[u8]>>;

/// Those that were hummed before.
static MELODIES: LazyLock<Mutex<Melodies>> = LazyLock::new(Mutex::default);

/// One melody of a hum in a format; said again and again it is the hum of any length. Each is hummed once for all calls.
pub fn melody(kind: Kind, format: Format) -> Arc<[u8]> {
    let mut melodies = MELODIES.lock().unwrap_or_else(PoisonError::into_inner);
    let melody = melodies
        .entry((kind, format))
        .or_insert_with(|| encode(format, &hum(kind, MELODY_MS, format.rate())).into());
    melody.clone()
}

/// The nearest mu-law code of every sample, by its upper 14 bits: mu-law does not see the others.
static ULAW: LazyLock<Box<[u8]>> = LazyLock::new(|| {
    let steps = 0..1_u16 << 14;
    steps
        .map(|step| encode_ulaw((step << 2).cast_signed()))
        .collect()
});

/// Samples from a wire's bytes. An odd last byte of 16-bit sound is no sample.
pub fn decode(format: Format, bytes: &[u8]) -> Vec<i16> {
    match format {
        Format::Pcmu => bytes.iter().map(|b| decode_ulaw(*b)).collect(),
        Format::Pcma => bytes.iter().map(|b| decode_alaw(*b)).collect(),
        Format::Pcm16 { .. } => bytes
            .chunks_exact(2)
            .map(|pair| i16::from_le_bytes([pair[0], pair[1]]))
            .collect(),
    }
}

/// A wire's bytes from samples.
pub fn encode(format: Format, samples: &[i16]) -> Vec<u8> {
    match format {
        Format::Pcmu => {
            let codes = &**ULAW;
            let code = |s: &i16| codes[usize::from(s.cast_unsigned() >> 2)];
            samples.iter().map(code).collect()
        }
        Format::Pcma => samples.iter().map(|s| encode_alaw(*s)).collect(),
        Format::Pcm16 { .. } => samples.iter().flat_map(|s| s.to_le_bytes()).collect(),
    }
}

/// The same sound at another rate, at the same level: a windowed sinc of its own, so that an error in the server's
/// resampler is not undone by the same error here.
pub fn resample(samples: &[i16], from: u32, to: u32) -> Vec<i16> {
    if from == to || from == 0 {
        return samples.to_vec();
    }
    let step = from as f32 / to as f32;
    let cutoff = (1.0 / step).min(1.0) * 0.97;
    let reach = (16.0 / cutoff) as i64;
    let count = samples.len() as u64 * u64::from(to) / u64::from(from);
    (0..count)
        .map(|n| {
            // The whole and the broken part are taken apart in integers: a float would drift after a few seconds.
            let ticks = n * u64::from(from);
            let centre = (ticks / u64::from(to)) as i64;
            let rest = (ticks % u64::from(to)) as f32 / to as f32;
            let (mut sum, mut weight) = (0.0_f32, 0.0_f32);
            for offset in -reach..=reach {
                let distance = offset as f32 - rest;
                let window = 0.5 + 0.5 * (PI * distance / (reach as f32 + 1.0)).cos();
                let x = PI * distance * cutoff;
                let tap = window * if x.abs() < 1e-4 { 1.0 } else { x.sin() / x };
                let sample = usize::try_from(centre + offset)
                    .ok()
                    .and_then(|i| samples.get(i));
                sum += tap * f32::from(sample.copied().unwrap_or(0));
                weight += tap;
            }
            (sum / weight) as i16
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Pearson's correlation, the usual measure of "the same sound".
    fn correlation(a: &[i16], b: &[i16]) -> f64 {
        let sum = |f: &dyn Fn(f64, f64) -> f64| -> f64 {
            a.iter()
                .zip(b)
                .map(|(x, y)| f(f64::from(*x), f64::from(*y)))
                .sum()
        };
        sum(&|x, y| x * y) / (sum(&|x, _| x * x) * sum(&|_, y| y * y)).sqrt()
    }

    fn rms(samples: &[i16]) -> f64 {
        let sum: f64 = samples.iter().map(|s| f64::from(*s).powi(2)).sum();
        (sum / samples.len() as f64).sqrt()
    }

    #[test]
    fn every_hum_is_audible_and_lasts_as_long_as_asked() {
        for kind in [Kind::Greeting, Kind::Goodbye, Kind::Remark] {
            let sound = hum(kind, 1_500, 8_000);
            assert_eq!(sound.len(), 12_000);
            assert!(rms(&sound) > 2_000.0, "{kind:?} {}", rms(&sound));
        }
    }

    #[test]
    fn a_hum_of_any_length_is_its_melody_again_and_again() {
        let long = encode(Format::Pcmu, &hum(Kind::Remark, 7_000, 8_000));
        let melody = melody(Kind::Remark, Format::Pcmu);
        assert!(long.iter().eq(melody.iter().cycle().take(56_000)));
    }

    #[test]
    fn the_table_of_mu_law_says_what_the_crate_says() {
        let samples: Vec<i16> = (i16::MIN..=i16::MAX).collect();
        let codes = encode(Format::Pcmu, &samples);
        assert!(samples.iter().zip(codes).all(|(s, c)| encode_ulaw(*s) == c));
    }

    #[test]
    fn sound_survives_another_rate_and_back_at_the_same_level() {
        let before = hum(Kind::Remark, 1_000, 8_000);
        let after = resample(&resample(&before, 8_000, 24_000), 24_000, 8_000);
        assert_eq!(after.len(), before.len());
        assert!(correlation(&before, &after) > 0.999);
        assert!((rms(&after) / rms(&before) - 1.0).abs() < 0.02);
    }

    #[test]
    fn telephone_sound_is_read_and_written_back_unchanged() {
        for format in [Format::Pcmu, Format::Pcma] {
            let bytes: Vec<u8> = (0..=255).filter(|b| *b != 0x7F).collect();
            assert_eq!(encode(format, &decode(format, &bytes)), bytes, "{format:?}");
        }
    }
}

//! Something like a voice, made by arithmetic: enough to wake a speech detector, and the same on every run.
//!
//! Tests and demos need a caller who says something without a recording in the repository. A detector of speech looks
//! for what is here: a pitch between 120 and 220 Hz that wanders, harmonics that fall off, and about four syllables a
//! second. Nobody will understand a word of it.

use super::dice::Dice;
use std::f64::consts::TAU;

/// Samples per second: the telephone's.
pub const RATE: u32 = 8000;

/// Root mean square of the burst: -20 dB below full scale, an ordinary telephone voice.
const LEVEL: f64 = 3277.0;

/// Syllables per second.
const SYLLABLES: f64 = 4.0;

/// A burst of voice-like sound: `ms` milliseconds at 8 kHz, about -20 dBFS. The seed picks the speaker.
pub fn speech(ms: u64, seed: u64) -> Vec<i16> {
    let count = usize::try_from(ms.saturating_mul(u64::from(RATE)) / 1000).unwrap_or(0);
    let mut dice = Dice::new(seed);
    let pitch = 130.0 + dice.up_to(70) as f64;
    let sway = 0.6 + dice.up_to(10) as f64 / 10.0;
    let mut phase = 0.0_f64;
    let wave: Vec<f64> = (0..count)
        .map(|index| {
            let time = index as f64 / f64::from(RATE);
            phase += TAU * pitch * (1.0 + 0.08 * (TAU * sway * time).sin()) / f64::from(RATE);
            let voiced: f64 = (1..=12)
                .map(|harmonic| (phase * f64::from(harmonic)).sin() / f64::from(harmonic))
                .sum();
            let syllable = (TAU * SYLLABLES / 2.0 * time).sin();
            voiced * (0.15 + 0.85 * syllable * syllable)
        })
        .collect();
    let power = wave.iter().map(|s| s * s).sum::<f64>() / count.max(1) as f64;
    let gain = LEVEL / power.sqrt().max(1e-9);
    // `as` saturates, so the rare peak beyond full scale is clipped as a telephone would.
    wave.iter().map(|sample| (sample * gain) as i16).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rms(sound: &[i16]) -> f64 {
        (sound.iter().map(|&s| f64::from(s).powi(2)).sum::<f64>() / sound.len() as f64).sqrt()
    }

    #[test]
    fn a_burst_has_the_length_and_level_asked_for_and_never_goes_quiet_for_long() {
        let burst = speech(2000, 7);
        assert_eq!(burst.len(), 16_000);
        assert!((rms(&burst) - LEVEL).abs() < 60.0, "{}", rms(&burst));
        assert!(
            burst.chunks(800).all(|tenth| rms(tenth) > 600.0),
            "a detector would hear a pause"
        );
        assert!(speech(0, 1).is_empty());
    }

    #[test]
    fn a_seed_is_a_speaker() {
        assert_eq!(speech(300, 1), speech(300, 1));
        assert_ne!(speech(300, 1), speech(300, 2));
    }
}

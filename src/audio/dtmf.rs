//! The sound of a pressed key: two tones at once, one for its row and one for its column (ITU-T Q.23).
//!
//! Most media streams carry sound and nothing else, so a digit that the model wants to press must be made here, as a
//! telephone would make it.

use std::f32::consts::{PI, TAU};

/// How long a key is pressed, in milliseconds. Receivers must take anything from 40 ms on (ITU-T Q.24); carriers'
/// transcoders and packet loss eat some of it.
pub const TONE_MS: u64 = 100;
/// The silence between two keys, in milliseconds; the strictest receivers of Q.24 want 70 ms.
pub const GAP_MS: u64 = 100;
/// No key is held longer than this.
const LONGEST_MS: u64 = 10_000;

/// Samples per second of what is made here.
const RATE: f32 = 8000.0;
/// Frequencies of the rows, in Hz.
const ROWS: [f32; 4] = [697.0, 770.0, 852.0, 941.0];
/// Frequencies of the columns, in Hz.
const COLUMNS: [f32; 4] = [1209.0, 1336.0, 1477.0, 1633.0];
/// The keys, row by row.
const KEYS: [[char; 4]; 4] = [
    ['1', '2', '3', 'A'],
    ['4', '5', '6', 'B'],
    ['7', '8', '9', 'C'],
    ['*', '0', '#', 'D'],
];
/// The peak of a tone of -10 dBm0. A full-scale tone in mu-law, whose largest sample is 32 124, is +3.17 dBm0 (G.711),
/// hence 13.17 dB below it.
const PEAK: f32 = 7053.0;
/// How long a tone takes to rise and to fall, in milliseconds: too short to miss, too long to click.
const EDGE_MS: u64 = 4;

/// The sound of one key at 8 kHz, `ms` long (ten seconds at most); `None` when there is no such key.
pub fn tone(digit: char, ms: u64) -> Option<Vec<i16>> {
    let key = digit.to_ascii_uppercase();
    let row = KEYS.iter().position(|keys| keys.contains(&key))?;
    let column = KEYS[row].iter().position(|&k| k == key)?;
    let samples = 8 * ms.min(LONGEST_MS);
    let edge = (8 * EDGE_MS).min(samples / 2);
    let sound = (0..samples).map(|n| {
        let t = n as f32 / RATE;
        let from_end = n.min(samples - 1 - n);
        let gain = if from_end < edge {
            0.5 - 0.5 * (PI * from_end as f32 / edge as f32).cos()
        } else {
            1.0
        };
        let both = (TAU * ROWS[row] * t).sin() + (TAU * COLUMNS[column] * t).sin();
        (PEAK * gain * both).round() as i16
    });
    Some(sound.collect())
}

/// The sound of one key after another at 8 kHz, each with its silence behind it; `None` when one of them is not a key.
pub fn tones(digits: &str) -> Option<Vec<i16>> {
    let mut sound = Vec::new();
    for digit in digits.chars() {
        sound.extend(tone(digit, TONE_MS)?);
        sound.resize(sound.len() + 8 * GAP_MS as usize, 0);
    }
    Some(sound)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The peak of one frequency, by Goertzel's recurrence.
    fn peak(samples: &[i16], hz: f32) -> f32 {
        let w = TAU * hz / RATE;
        let (mut last, mut before) = (0.0, 0.0);
        for &s in samples {
            (last, before) = (f32::from(s) + 2.0 * w.cos() * last - before, last);
        }
        let power = last * last + before * before - 2.0 * w.cos() * last * before;
        2.0 * power.max(0.0).sqrt() / samples.len() as f32
    }

    #[test]
    fn every_key_sounds_its_row_and_its_column_and_no_other() {
        for (row, keys) in KEYS.iter().enumerate() {
            for (column, &key) in keys.iter().enumerate() {
                let sound = tone(key, TONE_MS).expect("a key");
                assert_eq!(sound.len(), 800);
                for (frequencies, right) in [(ROWS, row), (COLUMNS, column)] {
                    for (i, hz) in frequencies.into_iter().enumerate() {
                        let peak = peak(&sound, hz);
                        if i == right {
                            assert!((peak / PEAK - 1.0).abs() < 0.1, "{key}: {peak} at {hz}");
                        } else {
                            assert!(peak < PEAK / 8.0, "{key}: {peak} at {hz}");
                        }
                    }
                }
            }
        }
    }

    #[test]
    fn a_key_begins_and_ends_softly() {
        let sound = tone('5', TONE_MS).expect("a key");
        assert_eq!((sound[0], sound[799]), (0, 0));
        assert!(
            sound[..8]
                .iter()
                .chain(&sound[792..])
                .all(|s| s.abs() < 2500)
        );
        assert!(sound.iter().all(|s| f32::from(s.abs()) <= 2.0 * PEAK));
    }

    #[test]
    fn what_is_not_a_key_makes_no_sound() {
        for wrong in ['E', 'w', ' ', '+', '٣', '\0'] {
            assert_eq!(tone(wrong, TONE_MS), None, "{wrong:?}");
        }
        assert_eq!(tones("12x"), None);
        assert_eq!(tone('1', 0), Some(Vec::new()));
        assert_eq!(tone('1', u64::MAX).map(|s| s.len()), Some(80_000));
        assert_eq!(tone('a', 50), tone('A', 50));
    }

    #[test]
    fn keys_are_parted_by_silence() {
        let sound = tones("1#").expect("keys");
        assert_eq!(sound.len(), 2 * 1600);
        assert_eq!(sound[..800], tone('1', TONE_MS).expect("a key"));
        assert!(sound[800..1600].iter().all(|&s| s == 0));
        assert_eq!(sound[1600..2400], tone('#', TONE_MS).expect("a key"));
    }
}

//! How one measures that two sounds are the same.
//!
//! What was said is looked for in what was heard: first by its loudest quarter of a second, at every lag, then, where that fits, as a
//! whole. A single lag
//! has to fit all of it, so one frame lost, doubled or played late ruins the match from there on.

use audio_codec_algorithms::{decode_ulaw, encode_ulaw};

/// Samples in a frame of 20 ms.
pub const FRAME: usize = 160;

/// The part that is looked for first: a quarter of a second.
const PROBE: usize = 2000;

/// A frame this loud is speech: -36 dB below full scale.
const SPEECH: f64 = 500.0;

/// Where a sound was heard, and how like it.
#[derive(Clone, Copy, Debug)]
pub struct Match {
    /// The sample of what was heard at which it begins.
    pub at: usize,
    /// Pearson's correlation, over all of it.
    pub correlation: f64,
    /// How much louder it came back, in decibels.
    pub louder_db: f64,
}

/// What a telephone makes of a sound before any server sees it.
pub fn through_telephone(sound: &[i16]) -> Vec<i16> {
    sound
        .iter()
        .map(|sample| decode_ulaw(encode_ulaw(*sample)))
        .collect()
}

/// The sound without what is quiet at its ends but for a tenth of a second: quiet belongs to no turn.
pub fn trimmed(sound: &[i16]) -> &[i16] {
    let loud = |frame: &[i16]| rms(frame) >= SPEECH;
    let first = sound.chunks(FRAME).position(loud).unwrap_or(0);
    let last = sound.chunks(FRAME).rposition(loud).unwrap_or(0);
    let from = (first * FRAME).saturating_sub(800);
    &sound[from..((last + 1) * FRAME + 800).min(sound.len())]
}

/// Looks for `said` in `heard`; `None` when it is not there in full length.
pub fn find(said: &[i16], heard: &[i16]) -> Option<Match> {
    let chunks = said.len().checked_sub(PROBE)? / FRAME;
    let (place, probe) = (0..=chunks)
        .map(|n| (n * FRAME, &said[n * FRAME..n * FRAME + PROBE]))
        .max_by(|(_, a), (_, b)| rms(a).total_cmp(&rms(b)))?;
    let last = (heard.len() + place).checked_sub(said.len())?;
    let likenesses: Vec<f64> = (place..=last)
        .map(|at| likeness(probe, &heard[at..at + PROBE]))
        .collect();
    // A sound that repeats itself has several places that are nearly as good.
    let good = 0.9 * likenesses.iter().copied().fold(0.0, f64::max);
    (0..)
        .zip(likenesses)
        .filter(|(_, likeness)| *likeness > 0.0 && *likeness >= good)
        .map(|(at, _)| (at, &heard[at..at + said.len()]))
        .map(|(at, whole)| Match {
            at,
            correlation: correlation(said, whole),
            louder_db: 20.0 * (rms(whole) / rms(said)).log10(),
        })
        .max_by(|a, b| a.correlation.total_cmp(&b.correlation))
}

/// A cheaper [`correlation`], of whole numbers and without means: telephone sound has none to speak of.
fn likeness(a: &[i16], b: &[i16]) -> f64 {
    let (mut both, mut power) = (0_i64, 1_i64);
    for (x, y) in a.iter().zip(b) {
        both += i64::from(i32::from(*x) * i32::from(*y));
        power += i64::from(i32::from(*y) * i32::from(*y));
    }
    both as f64 / (power as f64).sqrt()
}

/// Pearson's correlation.
pub fn correlation(a: &[i16], b: &[i16]) -> f64 {
    let mean = |s: &[i16]| s.iter().map(|v| f64::from(*v)).sum::<f64>() / s.len() as f64;
    let (mean_a, mean_b) = (mean(a), mean(b));
    let (mut ab, mut aa, mut bb) = (0.0, 0.0, 0.0);
    for (x, y) in a.iter().zip(b) {
        let (x, y) = (f64::from(*x) - mean_a, f64::from(*y) - mean_b);
        ab += x * y;
        aa += x * x;
        bb += y * y;
    }
    ab / (aa * bb).sqrt().max(1.0)
}

/// Root of the mean square.
pub fn rms(sound: &[i16]) -> f64 {
    let sum: f64 = sound.iter().map(|sample| f64::from(*sample).powi(2)).sum();
    (sum / sound.len().max(1) as f64).sqrt()
}

/// How much more clicks there are at the joints of frames than elsewhere; 1 is none.
///
/// A click is a bend that the original does not have: the second difference of what was added on the way. It is averaged over all
/// samples that lie equally far into a frame of 20 ms; wherever the joints are, clicks at them make one of the 160 averages stand out.
pub fn clicks(said: &[i16], heard: &[i16]) -> f64 {
    let gain = rms(heard) / rms(said).max(1.0);
    let added: Vec<f64> = said
        .iter()
        .zip(heard)
        .map(|(s, h)| f64::from(*h) - gain * f64::from(*s))
        .collect();
    let mut bends = [0.0; FRAME];
    for (n, three) in added.windows(3).enumerate() {
        bends[n % FRAME] += (three[0] - 2.0 * three[1] + three[2]).abs();
    }
    bends.sort_by(f64::total_cmp);
    bends[FRAME - 1] / bends[FRAME / 2].max(1.0)
}

/// The longest stretch, in samples, of exact silence where the original speaks.
pub fn longest_hole(said: &[i16], heard: &[i16]) -> usize {
    let (mut longest, mut hole) = (0, 0);
    for (s, h) in said.iter().zip(heard) {
        // Quieter than this, a telephone's own steps may round to nothing.
        let silent = *h == 0 && (hole > 0 || s.unsigned_abs() > 64);
        hole = if silent { hole + 1 } else { 0 };
        longest = longest.max(hole);
    }
    longest
}

#[test]
fn a_lost_frame_a_click_and_a_hole_are_all_noticed() {
    let said = ringfence::sim::voice::speech(2000, 3);
    let mut heard = vec![0; 3210];
    heard.extend(&said);
    heard.extend([0; 900]);
    let found = find(&said, &heard).expect("found");
    assert_eq!((found.at, found.correlation > 0.9999), (3210, true));
    assert!(clicks(&said, &said) < 1.1 && longest_hole(&said, &said) < 8);

    let mut lost = heard.clone();
    lost.drain(9000..9160);
    assert!(find(&said, &lost).expect("found").correlation < 0.95);
    let clicked: Vec<i16> = (0..)
        .zip(&said)
        .map(|(n, s)| s + i16::from(n % 160 == 7) * 300)
        .collect();
    assert!(clicks(&said, &clicked) > 3.0);
    let mut holed = said.clone();
    holed[5000..5160].fill(0);
    assert!(longest_hole(&said, &holed) >= 80);
}

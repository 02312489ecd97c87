//! How likely it is that a person speaks, by a small neural network.
//!
//! The network (the crate `earshot`) was trained on sound of 16 kHz. Each sample of the telephone is given to it twice,
//! without a filter: the mirror image of the band that this leaves above 4 kHz resembles the hiss of a wide-band voice,
//! and the network is surer of telephone speech with it than without (measured on recordings in six languages: nine of
//! ten loud frames score above 0.9, against seven of ten through a proper filter). The network takes music for a voice,
//! which is why the spectrum has a veto.

use super::STEP;
use super::spectrum::Tones;
use earshot::Detector;

/// A step is speech from this score on, between 0 and 1.
const LIKELY: f32 = 0.6;
/// The same while on hold: music scores high too often.
const LIKELY_ON_HOLD: f32 = 0.82;
/// Nothing softer is speech, in dB below full scale: a telephone's speech is at -30 to -15, its noise below -55.
const SOFTEST: f32 = -45.0;
/// Sound whose partials stand as still as this is music. Vowels hold still for a tenth of a second, notes for longer.
const STILL: f32 = 0.8;

/// The detector of one caller.
#[derive(Default)]
pub(super) struct Voice {
    detector: Detector,
}

impl Voice {
    /// How likely it is that somebody speaks, between 0 and 1.
    pub(super) fn push(&mut self, samples: &[f32; STEP]) -> f32 {
        let mut doubled = [0; 2 * STEP];
        for (pair, &sample) in doubled.as_chunks_mut().0.iter_mut().zip(samples) {
            *pair = [sample as i16; 2];
        }
        self.detector.predict_i16(&doubled)
    }
}

/// Whether a step is speech.
pub(super) fn is_speech(likely: f32, level: f32, tones: &Tones, holding: bool) -> bool {
    let enough = if holding { LIKELY_ON_HOLD } else { LIKELY };
    likely > enough && level > SOFTEST && tones.still < STILL && tones.signal.is_none()
}

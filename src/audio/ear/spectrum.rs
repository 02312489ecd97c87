//! Which tones are in the sound, and how still they stand.
//!
//! A voice glides all the time; an instrument holds its note. So each step the spectrum is taken, a place counts as
//! *sounding* when it stands out from its neighbours, and for each place we keep how much of the time it has been
//! sounding of late. The mean of the steadiest places tells music from speech better than loudness, rhythm or pitch do
//! (the "continuous frequency activation" of Seyerlehner, Pohle, Schedl and Widmer, 2007). The same spectrum shows
//! whether the sound is nothing but one of the telephone's own signals.

use super::{RATE, STEP};
use realfft::num_complex::Complex32;
use realfft::{RealFftPlanner, RealToComplex};
use std::sync::{Arc, LazyLock};

/// Samples under the window: 128 ms, so that a bin is 7.8 Hz wide and notes a semitone apart are two places from 125 Hz on.
const WINDOW: usize = 1024;
const BINS: usize = WINDOW / 2 + 1;
/// Places watched: 195 to 2000 Hz, where instruments have their strong partials.
const LOW: usize = 25;
const HIGH: usize = 256;
const PLACES: usize = HIGH - LOW;
/// Neighbours on each side that a place must stand out from: 78 Hz.
const BESIDE: usize = 10;
/// By how much, in dB.
const OUT: f32 = 5.0;
/// How many of the steadiest places count.
const STEADIEST: usize = 12;
/// Softer steps sound nowhere, in dB below full scale.
const FAINT: f32 = -50.0;
/// How much of a place's past one step replaces, for the last moments (120 ms) and for the last while (1.2 s).
const SHORT: f32 = 0.125;
const LONG: f32 = 0.0132;

/// Telephones carry nothing beyond these, 200 to 3400 Hz; the energy between them is all there is.
const BAND: (usize, usize) = (26, 436);
/// This much of all energy in the places of a signal makes it one.
const MOST: f32 = 0.8;
/// How far from its nominal frequency a signal is looked for, in bins: 23 Hz.
const NEAR: usize = 3;

static PLAN: LazyLock<Arc<dyn RealToComplex<f32>>> =
    LazyLock::new(|| RealFftPlanner::new().plan_fft_forward(WINDOW));
static HANN: LazyLock<[f32; WINDOW]> = LazyLock::new(|| {
    std::array::from_fn(|n| {
        let angle = std::f32::consts::TAU * n as f32 / WINDOW as f32;
        0.5 - 0.5 * angle.cos()
    })
});

/// What a telephone exchange or a machine says without words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Signal {
    /// The tone of ringing: 440 and 480 Hz in North America, 425 in most of Europe, 400 and 450 in Britain (ITU-T E.180).
    Ring,
    /// A calling fax: 1100 Hz (ITU-T T.30, CNG).
    Calling,
    /// An answering fax: 2100 Hz (ITU-T T.30, CED).
    Answering,
}

/// What the spectrum shows at one step.
#[derive(Clone, Copy, Debug)]
pub(super) struct Tones {
    /// How still it has stood for a moment, between 0 and 1.
    pub still: f32,
    /// How still for a while.
    pub still_long: f32,
    /// The one signal that is all there is, if it is.
    pub signal: Option<Signal>,
}

/// The spectrum of one caller's sound.
pub(super) struct Spectrum {
    /// The last samples, oldest first.
    samples: [f32; WINDOW],
    /// How much of the time each place has been sounding, for a moment and for a while.
    short: [f32; PLACES],
    long: [f32; PLACES],
    /// Room for the transform.
    windowed: [f32; WINDOW],
    bins: [Complex32; BINS],
    scratch: Vec<Complex32>,
}

impl Default for Spectrum {
    fn default() -> Self {
        Spectrum {
            samples: [0.0; WINDOW],
            short: [0.0; PLACES],
            long: [0.0; PLACES],
            windowed: [0.0; WINDOW],
            bins: [Complex32::default(); BINS],
            scratch: PLAN.make_scratch_vec(),
        }
    }
}

impl Spectrum {
    /// Takes a step of this level in dB and says what the spectrum shows now.
    pub(super) fn push(&mut self, step: &[f32; STEP], level: f32) -> Tones {
        self.samples.copy_within(STEP.., 0);
        self.samples[WINDOW - STEP..].copy_from_slice(step);
        let power = self.power();
        let sounds = sounding(&power, level);
        for ((short, long), sounds) in self.short.iter_mut().zip(&mut self.long).zip(sounds) {
            let now = f32::from(u8::from(sounds));
            *short += SHORT * (now - *short);
            *long += LONG * (now - *long);
        }
        Tones {
            still: steadiest(self.short),
            still_long: steadiest(self.long),
            signal: if level > FAINT { signal(&power) } else { None },
        }
    }

    /// The memory it takes, in bytes.
    #[cfg(test)]
    pub(super) fn size(&self) -> usize {
        size_of::<Self>() + size_of_val(&self.scratch[..])
    }

    fn power(&mut self) -> [f32; BINS] {
        for ((out, sample), weight) in self.windowed.iter_mut().zip(&self.samples).zip(&*HANN) {
            *out = sample * weight;
        }
        let done = PLAN.process_with_scratch(&mut self.windowed, &mut self.bins, &mut self.scratch);
        // All lengths are the plan's own, which is all that can be wrong with them.
        match done {
            Ok(()) => std::array::from_fn(|bin| self.bins[bin].norm_sqr()),
            Err(_) => [0.0; BINS],
        }
    }
}

/// Which places stand out from their neighbours.
fn sounding(power: &[f32; BINS], level: f32) -> [bool; PLACES] {
    if level < FAINT {
        return [false; PLACES];
    }
    let mut db = [0.0; PLACES + 2 * BESIDE];
    for (db, power) in db.iter_mut().zip(&power[LOW - BESIDE..]) {
        *db = 10.0 * (power + 1.0).log10();
    }
    let mut sum: f32 = db[..2 * BESIDE].iter().sum();
    std::array::from_fn(|place| {
        sum += db[place + 2 * BESIDE];
        let stands_out = db[place + BESIDE] > sum / (2 * BESIDE + 1) as f32 + OUT;
        sum -= db[place];
        stands_out
    })
}

/// The mean of the steadiest places.
fn steadiest(mut places: [f32; PLACES]) -> f32 {
    let (_, _, least) = places.select_nth_unstable_by(PLACES - STEADIEST - 1, f32::total_cmp);
    least.iter().sum::<f32>() / STEADIEST as f32
}

/// The signal that is all there is.
fn signal(power: &[f32; BINS]) -> Option<Signal> {
    let all: f32 = power[BAND.0..BAND.1].iter().sum();
    let bin = |hz: usize| (hz * WINDOW + RATE as usize / 2) / RATE as usize;
    let holds = |low: usize, high: usize| {
        let there: f32 = power[bin(low) - NEAR..=bin(high) + NEAR].iter().sum();
        there > MOST * all
    };
    if all <= 0.0 {
        None
    } else if holds(400, 480) {
        Some(Signal::Ring)
    } else if holds(1100, 1100) {
        Some(Signal::Calling)
    } else if holds(2100, 2100) {
        Some(Signal::Answering)
    } else {
        None
    }
}

//! The same sound at another rate, as a stream.
//!
//! A resampler remembers the end of what it was given, so the pieces of a stream may be of any size and come out as if
//! they had been one. The pair that nearly every call needs, 8 and 24 kHz, has a filter of its own ([`super::fir`]); every
//! other pair is left to the crate `rubato`, whose filter is longer and whose cost matters less.

use super::fir::{Down, Up, round};
use rubato::audioadapter_buffers::direct::InterleavedSlice;
use rubato::{Async, FixedAsync, Resampler as _, SincInterpolationParameters, WindowFunction};

/// The slowest and the fastest rate there is, in samples per second. The settings refuse others; should one slip through,
/// the nearest of these takes its place, so that no rate can cost more memory than this one.
const RATES: (u32, u32) = (1000, 192_000);

fn possible(rate: u32) -> u32 {
    rate.clamp(RATES.0, RATES.1)
}

/// One direction of one call, from one rate to another.
pub struct Resampler {
    way: Way,
    /// Whether something was pushed since the last flush: if not, there is no tail to bring out.
    begun: bool,
}

enum Way {
    Same,
    Up(Box<Up>),
    Down(Box<Down>),
    Other(Box<Other>),
}

impl Resampler {
    /// From `from` to `to` samples per second.
    pub fn new(from: u32, to: u32) -> Self {
        let (from, to) = (possible(from), possible(to));
        let way = match (from, to) {
            _ if from == to => Way::Same,
            (8000, 24000) => Way::Up(Box::default()),
            (24000, 8000) => Way::Down(Box::default()),
            _ => Way::Other(Box::new(Other::new(from, to))),
        };
        Resampler { way, begun: false }
    }

    /// Appends what these samples make. From 8 to 24 kHz these are always three samples for each one, from 24 to 8 kHz one
    /// for each three since the start; other pairs come out every 5 ms.
    pub fn push(&mut self, samples: &[i16], out: &mut Vec<i16>) {
        self.begun |= !samples.is_empty();
        match &mut self.way {
            Way::Same => out.extend_from_slice(samples),
            Way::Up(up) => up.push(samples, out),
            Way::Down(down) => down.push(samples, out),
            Way::Other(other) => other.push(samples, out),
        }
    }

    /// Appends the tail that the filter still holds and forgets everything, so that the next sound starts clean.
    /// Without a push since the last flush there is no tail.
    pub fn flush(&mut self, out: &mut Vec<i16>) {
        if !std::mem::take(&mut self.begun) {
            return;
        }
        match &mut self.way {
            Way::Same => {}
            Way::Up(up) => up.flush(out),
            Way::Down(down) => down.flush(out),
            Way::Other(other) => other.flush(out),
        }
    }

    /// How many samples come out before the one that stands for the first sample that went in.
    pub fn delay(&self) -> usize {
        match &self.way {
            Way::Same => 0,
            Way::Up(_) => Up::DELAY,
            Way::Down(_) => Down::DELAY,
            Way::Other(other) => other.delay,
        }
    }
}

/// Any pair of rates, by rubato's windowed sinc.
struct Other {
    inner: Async<f32>,
    /// How many samples come out before the first that counts.
    delay: usize,
    from: u32,
    to: u32,
    /// Samples that wait until they are a chunk.
    waiting: Vec<f32>,
    /// How many samples a chunk has.
    chunk: usize,
    /// Room for what a chunk makes.
    made: Vec<f32>,
    /// Samples in since the last flush.
    taken: u64,
    /// Samples out since the last flush.
    given: u64,
}

impl Other {
    fn new(from: u32, to: u32) -> Self {
        // The filter is 80 samples of the slower side long: for 8 kHz a delay of 5 ms.
        let length = (80 * from.max(to) as usize / to as usize).next_multiple_of(8);
        let sinc =
            SincInterpolationParameters::new(length, WindowFunction::Hann2).oversampling_factor(64);
        // Chunks of 5 ms divide every carrier's frame, so that nothing waits at its end.
        let chunk = from as usize / 200;
        let ratio = f64::from(to) / f64::from(from);
        let inner = Async::new_sinc(ratio, 1.0, &sinc, chunk, 1, FixedAsync::Input)
            .expect("both rates are positive, and so is the chunk");
        Other {
            // Half the filter, to the nearest sample; and rubato's first sample already stands one step into the sound.
            delay: (length * to as usize + from as usize) / (2 * from as usize) - 1,
            from,
            to,
            waiting: Vec::with_capacity(chunk),
            chunk,
            made: vec![0.0; inner.output_frames_max()],
            inner,
            taken: 0,
            given: 0,
        }
    }

    fn push(&mut self, mut samples: &[i16], out: &mut Vec<i16>) {
        self.taken += samples.len() as u64;
        while !samples.is_empty() {
            let room = self.chunk - self.waiting.len();
            let (now, later) = samples.split_at(samples.len().min(room));
            self.waiting.extend(now.iter().map(|&s| f32::from(s)));
            samples = later;
            if self.waiting.len() == self.chunk {
                self.run(u64::MAX, out);
            }
        }
    }

    /// Brings out the delay and what the last, started chunk stands for, by pushing silence behind it.
    fn flush(&mut self, out: &mut Vec<i16>) {
        let sound = (self.taken * u64::from(self.to)).div_ceil(u64::from(self.from));
        let until = sound + self.delay as u64;
        while self.given < until {
            self.waiting.resize(self.chunk, 0.0);
            if self.run(until - self.given, out) == 0 {
                break;
            }
        }
        self.inner.reset();
        self.waiting.clear();
        (self.taken, self.given) = (0, 0);
    }

    /// Turns the chunk into at most so many samples; says how many.
    fn run(&mut self, most: u64, out: &mut Vec<i16>) -> u64 {
        let room = self.made.len();
        // Both buffers are as large as the resampler asks for, which is all that can be wrong with them.
        let made = match (
            InterleavedSlice::new(&self.waiting, 1, self.chunk),
            InterleavedSlice::new_mut(&mut self.made, 1, room),
        ) {
            (Ok(input), Ok(mut output)) => self
                .inner
                .process_into_buffer(&input, &mut output, None)
                .map_or(0, |(_, made)| made as u64),
            _ => 0,
        };
        self.waiting.clear();
        let made = made.min(most);
        out.extend(self.made[..made as usize].iter().map(|&x| round(x)));
        self.given += made;
        made
    }
}

/// A whole sound at another rate: nothing before it, nothing behind it, as long as it was, to the nearest sample.
pub fn resample_all(samples: &[i16], from: u32, to: u32) -> Vec<i16> {
    let mut resampler = Resampler::new(from, to);
    let mut out = Vec::new();
    resampler.push(samples, &mut out);
    resampler.flush(&mut out);
    out.drain(..resampler.delay().min(out.len()));
    let (from, to) = (possible(from) as usize, possible(to) as usize);
    out.resize((samples.len() * to + from / 2) / from, 0);
    out
}
#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use rubato::{Fft, FixedSync};
    use std::f64::consts::TAU;

    const PAIRS: [(u32, u32); 7] = [
        (8000, 8000),
        (8000, 24000),
        (24000, 8000),
        (8000, 16000),
        (16000, 8000),
        (24000, 16000),
        (44100, 8000),
    ];

    fn tone(hz: f64, rate: u32, samples: usize) -> Vec<i16> {
        (0..samples)
            .map(|n| (16000.0 * (TAU * hz * n as f64 / f64::from(rate)).sin()).round() as i16)
            .collect()
    }

    /// Fifty tones between 300 and 3400 Hz, loud together, that fade in and out: the same sound at any rate.
    fn babble(rate: u32, seconds: f64) -> Vec<i16> {
        let samples = (seconds * f64::from(rate)) as usize;
        let sound = (0..samples).map(|n| {
            let t = n as f64 / f64::from(rate);
            let tones = (0..50).map(|i| {
                let i = f64::from(i);
                (TAU * (300.0 + 62.0 * i) * t + i * i).sin()
            });
            let fade = (std::f64::consts::PI * t / seconds).sin();
            (2000.0 * fade * tones.sum::<f64>()).round() as i16
        });
        sound.collect()
    }

    /// How much of `heard` is `meant` and how much is not, in dB.
    fn signal_to_noise(meant: &[i16], heard: &[i16]) -> f64 {
        let power = |x: f64| x * x;
        let signal: f64 = meant.iter().map(|&s| power(f64::from(s))).sum();
        let noise: f64 = meant
            .iter()
            .zip(heard)
            .map(|(&m, &h)| power(f64::from(m) - f64::from(h)))
            .sum();
        10.0 * (signal / noise.max(1.0)).log10()
    }

    /// What rubato's own clip resampler, long and exact, makes of a sound.
    fn reference(samples: &[i16], from: u32, to: u32) -> Vec<i16> {
        let input: Vec<f32> = samples.iter().map(|&s| f32::from(s)).collect();
        let input = InterleavedSlice::new(&input, 1, samples.len()).expect("one channel");
        Fft::<f32>::new(from as usize, to as usize, 960, 1, FixedSync::Both)
            .expect("good rates")
            .process_all(&input, samples.len(), None)
            .expect("a whole clip")
            .take_data()
            .into_iter()
            .map(round)
            .collect()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(40))]

        #[test]
        fn pieces_of_any_size_sound_like_one(
            pair in 0..PAIRS.len(),
            sound in prop::collection::vec(any::<i16>(), 0..1500),
            cuts in prop::collection::vec(0..200_usize, 1..20),
        ) {
            let (from, to) = PAIRS[pair];
            let (mut whole, mut pieces) = (Vec::new(), Vec::new());
            let mut resampler = Resampler::new(from, to);
            resampler.push(&sound, &mut whole);
            resampler.flush(&mut whole);
            // The same resampler again: nothing of the first time may be left in it.
            let mut rest = &sound[..];
            for cut in cuts {
                let (now, later) = rest.split_at(cut.min(rest.len()));
                resampler.push(now, &mut pieces);
                rest = later;
            }
            resampler.push(rest, &mut pieces);
            resampler.flush(&mut pieces);
            prop_assert_eq!(whole, pieces);
        }

        #[test]
        fn three_for_one_going_up_and_one_for_three_going_down_at_every_moment(
            pieces in prop::collection::vec(0..250_usize, 1..30),
        ) {
            let (mut up, mut down) = (Resampler::new(8000, 24000), Resampler::new(24000, 8000));
            let (mut high, mut low, mut taken) = (Vec::new(), Vec::new(), 0);
            for piece in pieces {
                let sound = vec![77; piece];
                up.push(&sound, &mut high);
                down.push(&sound, &mut low);
                taken += piece;
                prop_assert_eq!(high.len(), taken * 3);
                prop_assert_eq!(low.len(), taken / 3);
            }
            let tail = usize::from(taken > 0);
            up.flush(&mut high);
            down.flush(&mut low);
            prop_assert_eq!(high.len(), taken * 3 + 48 * tail);
            prop_assert_eq!(low.len(), taken / 3 + 16 * tail);
        }
    }

    #[test]
    fn our_filter_says_what_rubato_says() {
        for (from, to) in [(8000, 24000), (24000, 8000)] {
            let sound = babble(from, 0.4);
            let (ours, theirs) = (resample_all(&sound, from, to), reference(&sound, from, to));
            let db = signal_to_noise(&theirs, &ours);
            assert!(db > 45.0, "{from} to {to}: {db:.1} dB");
        }
    }

    #[test]
    fn there_and_back_again_is_the_same_sound() {
        let sound = babble(8000, 0.4);
        let back = resample_all(&resample_all(&sound, 8000, 24000), 24000, 8000);
        let db = signal_to_noise(&sound, &back);
        assert!(db > 45.0, "{db:.1} dB");
    }

    /// What there is of one tone in a sound, which holds whole periods of it: its level in dB of [`tone`], how many
    /// samples late it is, and how far everything else lies below it, in dB.
    fn tone_in(samples: &[i16], hz: f64, rate: u32) -> (f64, f64, f64) {
        let (mut sine, mut cosine, mut power) = (0.0, 0.0, 0.0);
        for (n, &s) in samples.iter().enumerate() {
            let (sin, cos) = (TAU * hz * n as f64 / f64::from(rate)).sin_cos();
            sine += f64::from(s) * sin;
            cosine += f64::from(s) * cos;
            power += f64::from(s) * f64::from(s);
        }
        let half = samples.len() as f64 / 2.0;
        let amplitude = sine.hypot(cosine) / half;
        let rest = power / half - amplitude * amplitude;
        (
            20.0 * (amplitude / 16000.0).log10(),
            -cosine.atan2(sine) / TAU / hz * f64::from(rate),
            10.0 * (amplitude * amplitude / rest.max(1e-9)).log10(),
        )
    }

    #[test]
    fn other_pairs_carry_the_telephone_band_flat_clean_and_in_time() {
        for &(from, to) in &PAIRS[3..] {
            for hz in [300.0, 1000.0, 2000.0, 3000.0, 3400.0] {
                let out = resample_all(&tone(hz, from, from as usize / 5), from, to);
                let middle = &out[to as usize / 20..][..to as usize / 10];
                let (level_db, late, clean_db) = tone_in(middle, hz, to);
                let what = format!(
                    "{hz} Hz from {from} to {to}: {level_db:.2} dB, {late:.2} late, {clean_db:.1} dB"
                );
                assert!(
                    level_db.abs() < 0.2 && late.abs() < 0.6 && clean_db > 60.0,
                    "{what}"
                );
            }
        }
    }

    #[test]
    fn a_flush_without_a_sound_appends_nothing() {
        for (from, to) in PAIRS {
            let mut resampler = Resampler::new(from, to);
            let mut out = Vec::new();
            resampler.flush(&mut out);
            assert!(out.is_empty());
            resampler.push(&[1; 10], &mut out);
            resampler.flush(&mut out);
            let length = out.len();
            resampler.flush(&mut out);
            assert_eq!(out.len(), length);
        }
    }

    #[test]
    fn a_whole_sound_keeps_its_length() {
        for (from, to) in PAIRS {
            for samples in [0, 1, 2, 3, 100, 799, 800] {
                let expected = (samples as f64 * f64::from(to) / f64::from(from)).round();
                let out = resample_all(&vec![5; samples], from, to);
                assert_eq!(
                    out.len(),
                    expected as usize,
                    "{samples} from {from} to {to}"
                );
            }
        }
    }

    #[test]
    fn a_rate_that_nobody_has_does_not_bring_us_down() {
        for (from, to) in [(0, 8000), (8000, 0), (u32::MAX, 1), (44_100, 47_999)] {
            let mut resampler = Resampler::new(from, to);
            let mut out = Vec::new();
            resampler.push(&tone(100.0, 8000, 100), &mut out);
            resampler.flush(&mut out);
        }
    }
}

//! From the telephone's 8 kHz to the model's 24 kHz and back, by one short filter.
//!
//! Nearly every call needs exactly these two conversions, fifty times a second each, so they have a filter of their own
//! instead of a general one. It is a windowed sinc, symmetric (every frequency is delayed alike), 95 taps long at 24 kHz:
//! two milliseconds of delay, flat over the telephone band, and deep enough beyond it that the mirror of that band around
//! 8 kHz (from 4.6 kHz on) is gone.
//!
//! Going up, two of three inputs of the filter would be zeros; going down, two of three outputs would be thrown away.
//! Neither is computed: the taps are dealt to three phases of 32, each a filter at 8 kHz. The inner loop runs over
//! neighbouring outputs, not over the taps of one output, so that it fills vector registers without re-ordering a sum;
//! each output is therefore the same number however the stream was cut into pieces. It is compiled twice, once for
//! registers of 256 bits, and which one runs is decided on the processor it runs on ([`widest`]): the same sums in the same
//! order, and so the same numbers on both.

/// How many samples at 24 kHz belong to one at 8 kHz.
const RATIO: usize = 3;
/// Taps that one phase has.
const PHASE_TAPS: usize = 32;
/// Taps of the filter: one place of the three phases stays empty, which puts the middle on a whole sample.
const TAPS: usize = RATIO * PHASE_TAPS - 1;
/// Outputs (at 8 kHz) computed side by side.
const LANES: usize = 32;
/// Past samples that an output needs besides the newest one.
const PAST: usize = PHASE_TAPS - 1;
/// Past samples and one block of new ones.
const SPAN: usize = PAST + LANES;

/// Where the filter is about 6 dB down, in Hz. A little below the middle between the two bands: the 0.06 dB of ripple
/// that it costs at 3.4 kHz nobody hears, and from 4.6 kHz on it is 78 dB down.
const CUT_OFF_HZ: f64 = 3900.0;
/// The Kaiser window's trade between steepness and depth.
const BETA: f64 = 7.5;

/// One filter for each phase, the oldest sample's tap first.
type Phases = [[f32; PHASE_TAPS]; RATIO];

/// A three times louder filter, for between two samples of 8 kHz go two zeros. Its first place is empty: the delay is
/// 48 samples of 24 kHz, a whole number of samples on both sides.
static UP: Phases = {
    let taps = taps();
    let mut phases = [[0.0; PHASE_TAPS]; RATIO];
    let mut i = 0;
    while i < TAPS {
        let place = i + 1;
        phases[place % RATIO][PAST - place / RATIO] = (taps[i] * RATIO as f64) as f32;
        i += 1;
    }
    phases
};

/// Its last place is empty: an output appears with the third sample of its three and stands for the first one of the
/// three that came 15 outputs before.
static DOWN: Phases = {
    let taps = taps();
    let mut phases = [[0.0; PHASE_TAPS]; RATIO];
    let mut i = 0;
    while i < TAPS {
        phases[RATIO - 1 - i % RATIO][PAST - i / RATIO] = taps[i] as f32;
        i += 1;
    }
    phases
};

/// The filter at 24 kHz: a sinc under a Kaiser window, its sum one. Computed by the compiler.
const fn taps() -> [f64; TAPS] {
    let middle = TAPS / 2;
    let angle = std::f64::consts::TAU * CUT_OFF_HZ / 24000.0;
    let (step_sin, step_cos) = (sine(angle), sine(angle + std::f64::consts::FRAC_PI_2));
    let (mut sin, mut cos) = (0.0, 1.0);
    let mut taps = [0.0; TAPS];
    let mut total = 0.0;
    let mut i = 0;
    while i <= middle {
        let sinc = if i == 0 { angle } else { sin / i as f64 };
        let place = i as f64 / middle as f64;
        let tap = sinc * bessel(BETA * BETA / 4.0 * (1.0 - place * place));
        taps[middle + i] = tap;
        taps[middle - i] = tap;
        total += if i == 0 { tap } else { 2.0 * tap };
        (sin, cos) = (
            sin * step_cos + cos * step_sin,
            cos * step_cos - sin * step_sin,
        );
        i += 1;
    }
    let mut i = 0;
    while i < TAPS {
        taps[i] /= total;
        i += 1;
    }
    taps
}

/// The sine, by its series, for angles below a turn: the standard one cannot run in the compiler.
const fn sine(x: f64) -> f64 {
    let (mut term, mut sum, mut n) = (x, x, 1);
    while n < 40 {
        term *= -x * x / ((n + 1) * (n + 2)) as f64;
        sum += term;
        n += 2;
    }
    sum
}

/// The modified Bessel function of order zero, by its series, of a number whose half is squared already.
const fn bessel(quarter_square: f64) -> f64 {
    let (mut term, mut sum, mut n) = (1.0, 1.0, 1);
    while n < 60 {
        term *= quarter_square / (n * n) as f64;
        sum += term;
        n += 1;
    }
    sum
}

/// Adds one phase's share to a block of neighbouring outputs.
#[inline(always)]
fn add_phase(sums: &mut [f32; LANES], taps: &[f32; PHASE_TAPS], history: &[f32; SPAN]) {
    for (age, tap) in taps.iter().enumerate() {
        for (sum, sample) in sums.iter_mut().zip(&history[age..age + LANES]) {
            *sum += tap * sample;
        }
    }
}

/// The nearest sample; what is louder than a sample can be is cut.
#[inline(always)]
pub(super) fn round(x: f32) -> i16 {
    // Adding 1.5 * 2^23 leaves no bits for a fraction, so the addition rounds to the nearest whole number and the low 16
    // bits of the sum are that number: without the call that rounding costs on a processor with SSE2 only.
    (x.clamp(-32768.0, 32767.0) + 12_582_912.0).to_bits() as i16
}

/// Rounds a block.
#[inline(always)]
fn round_all(sums: &[f32; LANES], samples: &mut [i16; LANES]) {
    for (sample, &sum) in samples.iter_mut().zip(sums) {
        *sample = round(sum);
    }
}

/// Does this with the widest registers that the processor has. What it calls must be inlined, or is compiled for none of them.
#[inline(always)]
fn widest(work: impl FnOnce()) {
    struct Work<F>(F);
    impl<F: FnOnce()> pulp::NullaryFnOnce for Work<F> {
        type Output = ();
        #[inline(always)]
        fn call(self) {
            (self.0)();
        }
    }
    pulp::Arch::new().dispatch(Work(work));
}

/// 8 kHz to 24 kHz: three samples out for each one in, at once.
#[derive(Clone)]
pub struct Up {
    /// The last [`PAST`] samples, then room for a block.
    history: [f32; SPAN],
}

impl Up {
    /// How much later a sound leaves than it came, in samples at 24 kHz: 2 ms.
    pub const DELAY: usize = 48;

    /// A filter that has heard silence so far.
    pub fn new() -> Self {
        Up {
            history: [0.0; SPAN],
        }
    }

    /// Appends three samples for each of these.
    pub fn push(&mut self, samples: &[i16], out: &mut Vec<i16>) {
        widest(
            #[inline(always)]
            || self.run(samples, out),
        );
    }

    #[inline(always)]
    fn run(&mut self, samples: &[i16], out: &mut Vec<i16>) {
        out.reserve(samples.len() * RATIO);
        for block in samples.chunks(LANES) {
            for (place, &sample) in self.history[PAST..].iter_mut().zip(block) {
                *place = f32::from(sample);
            }
            // A short block leaves old samples behind itself: they only reach outputs that are not taken.
            let mut phases = [[0; LANES]; RATIO];
            for (made, taps) in phases.iter_mut().zip(&UP) {
                let mut sums = [0.0; LANES];
                add_phase(&mut sums, taps, &self.history);
                round_all(&sums, made);
            }
            let mut made = [0; RATIO * LANES];
            for (i, three) in made.as_chunks_mut::<RATIO>().0.iter_mut().enumerate() {
                *three = phases.each_ref().map(|phase| phase[i]);
            }
            out.extend_from_slice(&made[..RATIO * block.len()]);
            self.history.copy_within(block.len()..block.len() + PAST, 0);
        }
    }

    /// Appends what is still inside, 48 samples, and forgets everything.
    pub fn flush(&mut self, out: &mut Vec<i16>) {
        self.push(&[0; Self::DELAY / RATIO], out);
        *self = Self::new();
    }
}

impl Default for Up {
    fn default() -> Self {
        Self::new()
    }
}

/// 24 kHz to 8 kHz: one sample out with each third one in.
#[derive(Clone)]
pub struct Down {
    /// For each place among three samples: the last [`PAST`] ones that had it, then room for a block.
    history: [[f32; SPAN]; RATIO],
    /// The samples of the block that is being collected.
    block: [i16; RATIO * LANES],
    /// How many of them there are; between two pushes at most two.
    collected: usize,
}

impl Down {
    /// How many outputs come before the one that stands for the first sample: just under 2 ms.
    pub const DELAY: usize = 15;
    /// What a flush appends: the delay, and the one sample that may have been started.
    pub const TAIL: usize = 16;

    /// A filter that has heard silence so far.
    pub fn new() -> Self {
        Down {
            history: [[0.0; SPAN]; RATIO],
            block: [0; RATIO * LANES],
            collected: 0,
        }
    }

    /// Appends one sample for each three, those of earlier pushes included.
    pub fn push(&mut self, samples: &[i16], out: &mut Vec<i16>) {
        widest(
            #[inline(always)]
            || self.run(samples, out),
        );
    }

    #[inline(always)]
    fn run(&mut self, mut samples: &[i16], out: &mut Vec<i16>) {
        out.reserve((self.collected + samples.len()) / RATIO);
        while !samples.is_empty() {
            let room = &mut self.block[self.collected..];
            let (now, later) = samples.split_at(samples.len().min(room.len()));
            room[..now.len()].copy_from_slice(now);
            self.collected += now.len();
            samples = later;
            self.turn(out);
        }
    }

    /// Turns the whole threes of the block into outputs and keeps what is left over.
    #[inline(always)]
    fn turn(&mut self, out: &mut Vec<i16>) {
        let threes = self.collected / RATIO;
        let whole = threes * RATIO;
        // Converted as they lie, many at once; what is dealt out then is of one size with where it goes.
        let mut block = [0.0; RATIO * LANES];
        for (place, &sample) in block.iter_mut().zip(&self.block) {
            *place = f32::from(sample);
        }
        let [first, second, third] = self.history.each_mut().map(|history| &mut history[PAST..]);
        for (i, &three) in block.as_chunks::<RATIO>().0.iter().enumerate() {
            [first[i], second[i], third[i]] = three;
        }
        let mut sums = [0.0; LANES];
        for (history, taps) in self.history.iter().zip(&DOWN) {
            add_phase(&mut sums, taps, history);
        }
        let mut made = [0; LANES];
        round_all(&sums, &mut made);
        out.extend_from_slice(&made[..threes]);
        for history in &mut self.history {
            history.copy_within(threes..threes + PAST, 0);
        }
        self.block.copy_within(whole..self.collected, 0);
        self.collected -= whole;
    }

    /// Appends what is still inside, 16 samples, and forgets everything.
    pub fn flush(&mut self, out: &mut Vec<i16>) {
        self.push(&[0; Self::TAIL * RATIO], out);
        *self = Self::new();
    }
}

impl Default for Down {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::f64::consts::TAU;

    /// A tone, loud but not the loudest.
    fn tone(hz: f64, rate: f64, samples: usize) -> Vec<i16> {
        (0..samples)
            .map(|n| (16000.0 * (TAU * hz * n as f64 / rate).sin()).round() as i16)
            .collect()
    }

    /// How strong one frequency is, in dB of the tone above: a transform at one point, under a window that hides
    /// neighbours more than 100 Hz away.
    fn level_db(samples: &[i16], hz: f64, rate: f64) -> f64 {
        let (mut re, mut im, mut weight) = (0.0, 0.0, 0.0);
        for (n, &s) in samples.iter().enumerate() {
            let turn = TAU * n as f64 / samples.len() as f64;
            let w = 0.35875 - 0.48829 * turn.cos() + 0.14128 * (2.0 * turn).cos()
                - 0.01168 * (3.0 * turn).cos();
            let (sin, cos) = (TAU * hz * n as f64 / rate).sin_cos();
            re += w * f64::from(s) * cos;
            im += w * f64::from(s) * sin;
            weight += w;
        }
        20.0 * (2.0 * re.hypot(im) / weight / 16000.0).max(1e-9).log10()
    }

    fn up(samples: &[i16]) -> Vec<i16> {
        let mut out = Vec::new();
        Up::new().push(samples, &mut out);
        out
    }

    fn down(samples: &[i16]) -> Vec<i16> {
        let mut out = Vec::new();
        Down::new().push(samples, &mut out);
        out
    }

    /// Without the first 10 ms, in which the filter fills.
    fn settled(samples: &[i16], rate: usize) -> &[i16] {
        &samples[rate / 100..]
    }

    #[test]
    fn the_telephone_band_goes_up_unchanged_and_its_images_do_not_follow() {
        for hz in (300..=3400).step_by(100).map(f64::from) {
            let out = up(&tone(hz, 8000.0, 1200));
            let out = settled(&out, 24000);
            let level = level_db(out, hz, 24000.0);
            assert!(level.abs() < 0.075, "{hz} Hz is {level:.3} dB off");
            for image in [8000.0 - hz, 8000.0 + hz] {
                let level = level_db(out, image, 24000.0);
                assert!(
                    level < -70.0,
                    "{hz} Hz appears at {image} Hz: {level:.1} dB"
                );
            }
        }
    }

    #[test]
    fn the_telephone_band_goes_down_unchanged() {
        for hz in (300..=3400).step_by(100).map(f64::from) {
            let out = down(&tone(hz, 24000.0, 3600));
            let level = level_db(settled(&out, 8000), hz, 8000.0);
            assert!(level.abs() < 0.075, "{hz} Hz is {level:.3} dB off");
        }
    }

    #[test]
    fn what_a_telephone_cannot_carry_does_not_come_down_as_something_else() {
        for hz in (4600..12000).step_by(100).map(f64::from) {
            let out = down(&tone(hz, 24000.0, 3600));
            let alias = (hz - (hz / 8000.0).round() * 8000.0).abs();
            let level = level_db(settled(&out, 8000), alias, 8000.0);
            assert!(
                level < -70.0,
                "{hz} Hz comes down at {alias} Hz: {level:.1} dB"
            );
        }
    }

    #[test]
    fn a_click_arrives_two_milliseconds_later_in_the_middle_of_a_symmetric_answer() {
        let mut click = vec![0; 100];
        click[0] = 30000;
        let out = up(&click);
        let loudest = out.iter().enumerate().max_by_key(|(_, s)| s.abs());
        assert_eq!(loudest.map(|(n, _)| n), Some(Up::DELAY));
        const { assert!(Up::DELAY * 1000 <= 2 * 24000) };
        for n in 1..Up::DELAY {
            assert_eq!(out[Up::DELAY - n], out[Up::DELAY + n]);
        }
        let out = down(&click);
        let loudest = out.iter().enumerate().max_by_key(|(_, s)| s.abs());
        assert_eq!(loudest.map(|(n, _)| n), Some(Down::DELAY));
        const { assert!(Down::DELAY * 1000 <= 2 * 8000) };
    }

    #[test]
    fn silence_stays_silence_and_a_constant_stays_that_constant() {
        assert!(up(&[0; 500]).iter().all(|&s| s == 0));
        assert!(down(&[0; 500]).iter().all(|&s| s == 0));
        for level in [i16::MIN, -1234, 1234, i16::MAX] {
            let (up, down) = (up(&[level; 500]), down(&[level; 1500]));
            for &s in settled(&up, 24000).iter().chain(settled(&down, 8000)) {
                let off = (i32::from(s) - i32::from(level)).abs();
                assert!(
                    off <= i32::from(level).abs() / 2000 + 1,
                    "{level} became {s}"
                );
            }
        }
    }

    #[test]
    fn what_is_too_loud_is_cut_and_never_wraps_around() {
        let square: Vec<i16> = (0..800)
            .map(|n| if n / 10 % 2 == 0 { i16::MAX } else { i16::MIN })
            .collect();
        let out = up(&square);
        for (n, &s) in out.iter().enumerate().skip(2 * Up::DELAY) {
            // Only in the middle of a plateau, away from the swings around its edges, is the sign certain.
            let source = (n - Up::DELAY) / RATIO;
            if (3..7).contains(&(source % 10)) {
                assert_eq!(s > 0, square[source] > 0, "at {n}");
            }
        }
    }

    #[test]
    fn the_widest_registers_make_the_same_numbers() {
        let mut sound = tone(700.0, 8000.0, 4000);
        sound
            .iter_mut()
            .step_by(7)
            .for_each(|s| *s = s.wrapping_mul(31));
        let (mut ups, mut downs) = ([Up::new(), Up::new()], [Down::new(), Down::new()]);
        for length in [1, 2, 3, 31, 32, 33, 160, 480, 1000] {
            for piece in sound.chunks(length) {
                let (mut wide, mut narrow) = (Vec::new(), Vec::new());
                ups[0].push(piece, &mut wide);
                ups[1].run(piece, &mut narrow);
                downs[0].push(piece, &mut wide);
                downs[1].run(piece, &mut narrow);
                assert_eq!(wide, narrow);
            }
        }
    }

    #[test]
    fn rounding_is_to_the_nearest() {
        for (x, expected) in [
            (0.4, 0),
            (0.6, 1),
            (-0.6, -1),
            (-1.4, -1),
            (32767.4, 32767),
            (1e9, 32767),
            (-1e9, -32768),
        ] {
            assert_eq!(round(x), expected, "{x}");
        }
    }
}

//! Sound, and only sound: formats, frames, and one direction of one call turned from one format into another.
//!
//! No sockets and no time here. A [`Transcoder`] is a stream: bytes in, bytes out, in pieces of any size, with the
//! state of its filters kept between them, so that nobody can hear where one piece ended and the next began.

pub mod dtmf;
pub mod ear;
mod fir;
pub mod g711;
pub mod level;
pub mod moment;
pub mod resample;

pub use resample::resample_all;

use g711::Law;
use resample::Resampler;
use std::cell::Cell;

/// How long a frame lasts: the telephone's own packet.
pub const FRAME_MS: u64 = 20;

/// How samples become bytes on a wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Format {
    /// G.711 mu-law at 8 kHz, a byte a sample.
    Pcmu,
    /// G.711 A-law at 8 kHz, a byte a sample.
    Pcma,
    /// Signed 16-bit little-endian, mono.
    Pcm16 {
        /// Samples per second.
        rate: u32,
    },
}

impl Format {
    /// Samples per second.
    pub fn rate(self) -> u32 {
        match self {
            Format::Pcmu | Format::Pcma => 8000,
            Format::Pcm16 { rate } => rate,
        }
    }

    /// Bytes that one sample takes.
    pub fn sample_bytes(self) -> u64 {
        match self {
            Format::Pcmu | Format::Pcma => 1,
            Format::Pcm16 { .. } => 2,
        }
    }

    /// Bytes that this many milliseconds take.
    pub fn bytes(self, ms: u64) -> u64 {
        ms * u64::from(self.rate()) / 1000 * self.sample_bytes()
    }

    /// Whole milliseconds in this many bytes; a started millisecond does not count.
    pub fn ms(self, bytes: u64) -> u64 {
        bytes / self.sample_bytes() * 1000 / u64::from(self.rate())
    }

    /// The byte that sounds like nothing, repeated.
    pub fn silence(self) -> u8 {
        match self {
            Format::Pcmu => 0xFF,
            Format::Pcma => 0xD5,
            Format::Pcm16 { .. } => 0,
        }
    }
}

impl Format {
    /// The law by which its bytes are squeezed, if they are.
    fn law(self) -> Option<Law> {
        match self {
            Format::Pcmu => Some(Law::Mu),
            Format::Pcma => Some(Law::A),
            Format::Pcm16 { .. } => None,
        }
    }
}

/// One direction of one call: sound of one format in, of another out, in pieces of any size.
///
/// Both formats the same: every byte passes untouched. Otherwise the sound goes through 16-bit samples, and through a
/// filter when the rates differ; mu-law becomes A-law by the tables of G.711.
pub struct Transcoder {
    from: Format,
    to: Format,
    resampler: Resampler,
    /// The low byte of a sample whose high byte has not come yet.
    odd: Option<u8>,
}

/// Where a piece lies as samples, at the one rate and at the other.
#[derive(Default)]
struct Samples {
    read: Vec<i16>,
    resampled: Vec<i16>,
}

thread_local! {
    /// Empty between two pieces, so each thread needs one and not each call.
    static SAMPLES: Cell<Samples> = Cell::default();
}

impl Transcoder {
    /// From one format to another, having heard nothing yet.
    pub fn new(from: Format, to: Format) -> Self {
        Transcoder {
            from,
            to,
            resampler: Resampler::new(from.rate(), to.rate()),
            odd: None,
        }
    }

    /// Whether bytes leave as they came.
    pub fn is_pass_through(&self) -> bool {
        self.from == self.to
    }

    /// Appends to `out` what this sound makes. What a filter or half a sample keeps back comes with later pushes.
    ///
    /// From 24 to 8 kHz exactly one sample has come out for each three that went in since the start or the last flush;
    /// from 8 to 24 kHz exactly three for each one.
    pub fn push(&mut self, sound: &[u8], out: &mut Vec<u8>) {
        if self.is_pass_through() {
            out.extend_from_slice(sound);
            return;
        }
        let mut samples = SAMPLES.take();
        // A frame at a time: it bounds the memory of a call, however much sound comes at once.
        let frame = self.from.bytes(FRAME_MS).max(1) as usize;
        for piece in sound.chunks(frame) {
            match (self.from.law(), self.to.law()) {
                (Some(law), Some(_)) => law.convert_all(piece, out),
                (Some(law), None) => {
                    law.decode_all(piece, &mut samples.read);
                    self.turn(&mut samples, out);
                }
                (None, _) => {
                    self.read(piece, &mut samples.read);
                    self.turn(&mut samples, out);
                }
            }
        }
        SAMPLES.set(samples);
    }

    /// Appends to `out` the tail that the filter holds (2 ms between 8 and 24 kHz) and forgets everything, so that the
    /// next sound starts clean. Half a sample is dropped. After a flush, another one appends nothing.
    pub fn flush(&mut self, out: &mut Vec<u8>) {
        self.odd = None;
        let mut samples = SAMPLES.take();
        self.resampler.flush(&mut samples.resampled);
        self.write(&mut samples.resampled, out);
        SAMPLES.set(samples);
    }

    /// Reads little-endian samples, across the seams between pushes.
    fn read(&mut self, mut piece: &[u8], samples: &mut Vec<i16>) {
        if let (Some(low), [high, rest @ ..]) = (self.odd, piece) {
            samples.push(i16::from_le_bytes([low, *high]));
            self.odd = None;
            piece = rest;
        }
        let (pairs, odd) = piece.as_chunks();
        samples.extend(pairs.iter().map(|&pair| i16::from_le_bytes(pair)));
        if let [low] = odd {
            self.odd = Some(*low);
        }
    }

    /// Brings the samples to the other rate and writes them.
    fn turn(&mut self, samples: &mut Samples, out: &mut Vec<u8>) {
        self.resampler.push(&samples.read, &mut samples.resampled);
        samples.read.clear();
        self.write(&mut samples.resampled, out);
    }

    fn write(&self, resampled: &mut Vec<i16>, out: &mut Vec<u8>) {
        match self.to.law() {
            Some(law) => law.encode_all(resampled, out),
            None => out.extend(resampled.iter().flat_map(|s| s.to_le_bytes())),
        }
        resampled.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const TELEPHONE: Format = Format::Pcmu;
    const MODEL: Format = Format::Pcm16 { rate: 24000 };
    const FORMATS: [Format; 5] = [
        Format::Pcmu,
        Format::Pcma,
        Format::Pcm16 { rate: 8000 },
        Format::Pcm16 { rate: 16000 },
        MODEL,
    ];

    fn all(from: Format, to: Format, sound: &[u8]) -> Vec<u8> {
        let mut transcoder = Transcoder::new(from, to);
        let mut out = Vec::new();
        transcoder.push(sound, &mut out);
        transcoder.flush(&mut out);
        out
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]

        #[test]
        fn pieces_of_any_size_in_bytes_sound_like_one(
            from in prop::sample::select(&FORMATS[..]),
            to in prop::sample::select(&FORMATS[..]),
            sound in prop::collection::vec(any::<u8>(), 0..2500),
            cuts in prop::collection::vec(0..300_usize, 1..20),
        ) {
            let mut transcoder = Transcoder::new(from, to);
            let (mut out, mut rest) = (Vec::new(), &sound[..]);
            for cut in cuts {
                let (now, later) = rest.split_at(cut.min(rest.len()));
                transcoder.push(now, &mut out);
                rest = later;
            }
            transcoder.push(rest, &mut out);
            transcoder.flush(&mut out);
            prop_assert_eq!(&out, &all(from, to, &sound));
            // And after the flush it is as good as new.
            out.clear();
            transcoder.push(&sound, &mut out);
            transcoder.flush(&mut out);
            prop_assert_eq!(out, all(from, to, &sound));
        }

        #[test]
        fn the_same_format_on_both_sides_leaves_every_byte_alone(
            format in prop::sample::select(&FORMATS[..]),
            sound in prop::collection::vec(any::<u8>(), 0..700),
        ) {
            prop_assert!(Transcoder::new(format, format).is_pass_through());
            prop_assert_eq!(all(format, format, &sound), sound);
        }

        #[test]
        fn six_bytes_of_the_model_make_one_of_the_telephone_at_every_moment(
            pieces in prop::collection::vec(0..2000_usize, 1..12),
        ) {
            let mut transcoder = Transcoder::new(MODEL, TELEPHONE);
            let (mut out, mut taken) = (Vec::new(), 0);
            for piece in pieces {
                transcoder.push(&vec![3; piece], &mut out);
                taken += piece;
                prop_assert_eq!(out.len(), taken / 6);
            }
            let before = out.len();
            transcoder.flush(&mut out);
            // Half a sample alone is no sound, and has no tail.
            prop_assert_eq!(out.len() - before, if taken >= 2 { 16 } else { 0 });
        }
    }

    #[test]
    fn a_frame_of_the_telephone_is_a_frame_of_the_model() {
        let mut transcoder = Transcoder::new(TELEPHONE, MODEL);
        let mut out = Vec::new();
        transcoder.push(&[TELEPHONE.silence(); 160], &mut out);
        assert_eq!(out, vec![0; 960]);
        assert_eq!(MODEL.bytes(FRAME_MS), 960);
        assert_eq!(TELEPHONE.bytes(FRAME_MS), 160);
    }

    #[test]
    fn silence_is_silence_in_every_format() {
        for from in FORMATS {
            for to in FORMATS {
                let sound = vec![from.silence(); from.bytes(60) as usize];
                let out = all(from, to, &sound);
                let mut samples = Vec::new();
                match to.law() {
                    Some(law) => law.decode_all(&out, &mut samples),
                    None => {
                        samples.extend(out.as_chunks().0.iter().map(|&s| i16::from_le_bytes(s)))
                    }
                }
                // A-law has no zero: the nearest it has is 8 of 32 768, and a filter swings a little above it.
                assert!(samples.iter().all(|s| s.abs() <= 9), "{from:?} to {to:?}");
            }
        }
    }

    #[test]
    fn a_key_pressed_by_the_caller_reaches_the_model_and_comes_back() {
        let pressed = dtmf::tone('7', 100).expect("a key");
        let mut codes = Vec::new();
        Law::Mu.encode_all(&pressed, &mut codes);
        let back = all(MODEL, TELEPHONE, &all(TELEPHONE, MODEL, &codes));
        let mut heard = Vec::new();
        // 48 samples of 24 kHz up and 15 of 8 kHz down.
        Law::Mu.decode_all(&back[16 + 15..][..pressed.len()], &mut heard);
        let noise: f64 = pressed
            .iter()
            .zip(&heard)
            .map(|(&a, &b)| (f64::from(a) - f64::from(b)).powi(2))
            .sum();
        let signal: f64 = pressed.iter().map(|&a| f64::from(a).powi(2)).sum();
        // Twice through mu-law: about 35 dB is all that it carries.
        assert!(signal / noise > 1000.0, "{}", signal / noise);
    }
}

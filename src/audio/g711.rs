//! The two laws by which a telephone squeezes a sample into one byte: mu-law and A-law (ITU-T G.711).
//!
//! The arithmetic is the crate `audio-codec-algorithms`. Its decoding is already a table of 256 samples; its encoding
//! counts leading zeros for each sample, so we ask it once for every step a law can tell apart and look the answer up
//! afterwards. Both laws ignore the low bits of a 16-bit sample (mu-law keeps 14 bits, A-law 13), which makes the tables
//! 16 and 8 KiB: small enough to stay in the first-level cache while a call is carried.

use audio_codec_algorithms as codec;
use std::sync::LazyLock;

/// Which law.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Law {
    /// mu-law: North America and Japan, and what carriers' media streams speak.
    Mu,
    /// A-law: the rest of the world.
    A,
}

/// Low bits of a sample that mu-law does not see.
const MU_SHIFT: u32 = 2;
/// Low bits of a sample that A-law does not see.
const A_SHIFT: u32 = 3;

static MU: LazyLock<[u8; 1 << (16 - MU_SHIFT)]> =
    LazyLock::new(|| std::array::from_fn(|step| codec::encode_ulaw(sample(step, MU_SHIFT))));
static A: LazyLock<[u8; 1 << (16 - A_SHIFT)]> =
    LazyLock::new(|| std::array::from_fn(|step| codec::encode_alaw(sample(step, A_SHIFT))));

/// The first sample of a step: the sample's bits without the low ones, read as an unsigned number.
fn sample(step: usize, shift: u32) -> i16 {
    ((step << shift) as u16).cast_signed()
}

/// The step a sample belongs to: the inverse of [`sample`].
fn step(sample: i16, shift: u32) -> usize {
    usize::from(sample.cast_unsigned() >> shift)
}

impl Law {
    /// The sample that a code stands for.
    pub fn decode(self, code: u8) -> i16 {
        match self {
            Law::Mu => codec::decode_ulaw(code),
            Law::A => codec::decode_alaw(code),
        }
    }

    /// The code nearest to a sample.
    pub fn encode(self, sample: i16) -> u8 {
        match self {
            Law::Mu => MU[step(sample, MU_SHIFT)],
            Law::A => A[step(sample, A_SHIFT)],
        }
    }

    /// Appends the samples that these codes stand for.
    pub fn decode_all(self, codes: &[u8], samples: &mut Vec<i16>) {
        match self {
            Law::Mu => samples.extend(codes.iter().map(|&code| codec::decode_ulaw(code))),
            Law::A => samples.extend(codes.iter().map(|&code| codec::decode_alaw(code))),
        }
    }

    /// Appends the codes of these samples.
    pub fn encode_all(self, samples: &[i16], codes: &mut Vec<u8>) {
        match self {
            Law::Mu => {
                let table = &*MU;
                codes.extend(samples.iter().map(|&s| table[step(s, MU_SHIFT)]));
            }
            Law::A => {
                let table = &*A;
                codes.extend(samples.iter().map(|&s| table[step(s, A_SHIFT)]));
            }
        }
    }

    /// Appends the other law's codes for these codes of this law, by the tables 3 and 4 of G.711: a code that crosses
    /// and comes back is disturbed less than by going through samples.
    pub fn convert_all(self, codes: &[u8], other: &mut Vec<u8>) {
        match self {
            Law::Mu => other.extend(codes.iter().map(|&code| codec::convert_ulaw_to_alaw(code))),
            Law::A => other.extend(codes.iter().map(|&code| codec::convert_alaw_to_ulaw(code))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn every_sample() -> impl Iterator<Item = i16> {
        i16::MIN..=i16::MAX
    }

    #[test]
    fn every_sample_and_code_is_what_the_crate_says() {
        for s in every_sample() {
            assert_eq!(Law::Mu.encode(s), codec::encode_ulaw(s), "mu-law of {s}");
            assert_eq!(Law::A.encode(s), codec::encode_alaw(s), "A-law of {s}");
        }
        for code in 0..=u8::MAX {
            assert_eq!(Law::Mu.decode(code), codec::decode_ulaw(code));
            assert_eq!(Law::A.decode(code), codec::decode_alaw(code));
        }
    }

    #[test]
    fn many_at_once_are_the_same_as_one_by_one() {
        let samples: Vec<i16> = every_sample().collect();
        let codes: Vec<u8> = (0..=u8::MAX).collect();
        for law in [Law::Mu, Law::A] {
            let (mut encoded, mut decoded) = (Vec::new(), Vec::new());
            law.encode_all(&samples, &mut encoded);
            law.decode_all(&codes, &mut decoded);
            assert!(
                samples
                    .iter()
                    .zip(&encoded)
                    .all(|(&s, &c)| law.encode(s) == c)
            );
            assert!(
                codes
                    .iter()
                    .zip(&decoded)
                    .all(|(&c, &s)| law.decode(c) == s)
            );
        }
    }

    #[test]
    fn a_code_survives_the_round_trip_but_for_the_second_zero_of_mu_law() {
        for code in 0..=u8::MAX {
            assert_eq!(Law::A.encode(Law::A.decode(code)), code);
            // 0x7F is minus zero: it sounds like 0xFF and comes back as 0xFF.
            let expected = if code == 0x7F { 0xFF } else { code };
            assert_eq!(Law::Mu.encode(Law::Mu.decode(code)), expected);
        }
    }

    #[test]
    fn crossing_to_the_other_law_stays_within_its_coarser_step() {
        let codes: Vec<u8> = (0..=u8::MAX).collect();
        for (law, other) in [(Law::Mu, Law::A), (Law::A, Law::Mu)] {
            let mut converted = Vec::new();
            law.convert_all(&codes, &mut converted);
            for (&code, &crossed) in codes.iter().zip(&converted) {
                let (was, is) = (
                    i32::from(law.decode(code)),
                    i32::from(other.decode(crossed)),
                );
                // A step is a sixteenth of its segment, at least 16; the laws' steps are offset by up to one of them.
                assert!((was - is).abs() <= was.abs() / 16 + 16, "{was} became {is}");
            }
        }
    }
}

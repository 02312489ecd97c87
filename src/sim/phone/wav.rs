//! Sound files in and out: any ordinary WAV becomes the telephone's 8 kHz, and what was heard becomes a WAV.

use crate::sim::voice::RATE;
use hound::{SampleFormat, WavReader, WavSpec, WavWriter};
use std::path::Path;

/// The longest sound a caller says, in seconds of the file: a mistake in a path should not fill the memory.
const LONGEST_S: u64 = 600;

/// Reads a WAV file as samples of 8 kHz: any rate, 8, 16, 24 or 32 bit or float, several channels mixed into one.
///
/// # Errors
/// Says which file is not such a sound and why.
pub fn read(path: &Path) -> Result<Vec<i16>, String> {
    let wrong = |what: &dyn std::fmt::Display| format!("{}: {what}", path.display());
    let reader = WavReader::open(path).map_err(|error| wrong(&error))?;
    samples(reader).map_err(|what| wrong(&what))
}

/// Reads a WAV that is in memory, as [`read`] reads a file.
///
/// # Errors
/// Says why it is not such a sound.
pub fn read_bytes(bytes: &[u8]) -> Result<Vec<i16>, String> {
    let reader = WavReader::new(bytes).map_err(|error| error.to_string())?;
    samples(reader)
}

/// Reads a file of bare samples, 16 kHz, signed 16 bit, little-endian, mono, as samples of 8 kHz.
///
/// # Errors
/// Says which file could not be read and why.
pub fn read_raw_16k(path: &Path) -> Result<Vec<i16>, String> {
    let wrong = |what: &dyn std::fmt::Display| format!("{}: {what}", path.display());
    let bytes = std::fs::read(path).map_err(|error| wrong(&error))?;
    let (pairs, odd) = bytes.as_chunks::<2>();
    if pairs.is_empty() || !odd.is_empty() {
        return Err(wrong(&"not a file of 16-bit samples"));
    }
    let samples: Vec<i16> = pairs.iter().map(|pair| i16::from_le_bytes(*pair)).collect();
    Ok(to_telephone(&samples, 16_000))
}

/// Writes samples of 8 kHz as a WAV file: mono, 16 bit.
///
/// # Errors
/// Says which file could not be written and why.
pub fn write(path: &Path, samples: &[i16]) -> Result<(), String> {
    let wrong = |error: hound::Error| format!("{}: {error}", path.display());
    let spec = WavSpec {
        channels: 1,
        sample_rate: RATE,
        bits_per_sample: 16,
        sample_format: SampleFormat::Int,
    };
    let mut writer = WavWriter::create(path, spec).map_err(wrong)?;
    for &sample in samples {
        writer.write_sample(sample).map_err(wrong)?;
    }
    writer.finalize().map_err(wrong)
}

fn samples<R: std::io::Read>(mut reader: WavReader<R>) -> Result<Vec<i16>, String> {
    let spec = reader.spec();
    if !(1000..=192_000).contains(&spec.sample_rate) || spec.channels == 0 {
        return Err(format!(
            "{} channels at {} Hz",
            spec.channels, spec.sample_rate
        ));
    }
    if u64::from(reader.duration()) > LONGEST_S * u64::from(spec.sample_rate) {
        return Err(format!("longer than {LONGEST_S} seconds"));
    }
    let wrong = |error: hound::Error| error.to_string();
    // A sample of any width becomes one of 16 bits: narrower ones are widened, wider ones lose what no telephone carries.
    let all: Vec<i16> = match (spec.sample_format, spec.bits_per_sample) {
        (SampleFormat::Int, bits @ (8 | 16 | 24 | 32)) => reader
            .samples::<i32>()
            .map(|sample| sample.map(|s| ((i64::from(s) << 16) >> bits) as i16))
            .collect::<Result<_, _>>()
            .map_err(wrong)?,
        (SampleFormat::Float, 32) => reader
            .samples::<f32>()
            .map(|sample| sample.map(|s| (s * 32_767.0) as i16))
            .collect::<Result<_, _>>()
            .map_err(wrong)?,
        (format, bits) => return Err(format!("samples of {bits} bits, {format:?}")),
    };
    let channels = usize::from(spec.channels);
    let mixed: Vec<i16> = all
        .chunks_exact(channels)
        .map(|frame| {
            let sum: i64 = frame.iter().map(|&sample| i64::from(sample)).sum();
            (sum / channels as i64) as i16
        })
        .collect();
    Ok(to_telephone(&mixed, spec.sample_rate))
}

/// From any rate to the telephone's.
fn to_telephone(samples: &[i16], rate: u32) -> Vec<i16> {
    if rate == RATE {
        return samples.to_vec();
    }
    crate::audio::resample_all(samples, rate, RATE)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Cursor;

    fn file(spec: WavSpec, write: impl Fn(&mut WavWriter<&mut Cursor<Vec<u8>>>)) -> Vec<u8> {
        let mut bytes = Cursor::new(Vec::new());
        let mut writer = WavWriter::new(&mut bytes, spec).expect("a header");
        write(&mut writer);
        writer.finalize().expect("a file");
        bytes.into_inner()
    }

    fn spec(
        channels: u16,
        sample_rate: u32,
        bits_per_sample: u16,
        sample_format: SampleFormat,
    ) -> WavSpec {
        WavSpec {
            channels,
            sample_rate,
            bits_per_sample,
            sample_format,
        }
    }

    fn load(bytes: Vec<u8>) -> Result<Vec<i16>, String> {
        samples(WavReader::new(Cursor::new(bytes)).map_err(|error| error.to_string())?)
    }

    #[test]
    fn every_ordinary_width_is_read_at_the_same_loudness() {
        for bits in [8, 16, 24, 32] {
            let half = 1_i32 << (bits - 2);
            let bytes = file(spec(1, 8000, bits, SampleFormat::Int), |w| {
                for sample in [half, -half] {
                    w.write_sample(sample).expect("written");
                }
            });
            assert_eq!(load(bytes), Ok(vec![16_384, -16_384]), "{bits} bits");
        }
        let bytes = file(spec(1, 8000, 32, SampleFormat::Float), |w| {
            w.write_sample(0.5_f32).expect("written");
        });
        assert_eq!(load(bytes), Ok(vec![16_383]));
    }

    #[test]
    fn two_channels_are_mixed_and_other_rates_become_the_telephones() {
        let bytes = file(spec(2, 16_000, 16, SampleFormat::Int), |w| {
            for _ in 0..16_000 {
                w.write_sample(2000_i16).expect("written");
                w.write_sample(4000_i16).expect("written");
            }
        });
        let sound = load(bytes).expect("read");
        assert!((7900..=8100).contains(&sound.len()), "{}", sound.len());
        assert!((2900..=3100).contains(&sound[4000]), "{}", sound[4000]);
    }

    #[test]
    fn what_is_no_sound_is_refused_in_words() {
        assert!(load(b"hello".to_vec()).is_err());
        let missing = read(Path::new("no-such-file.wav")).expect_err("missing");
        assert!(missing.starts_with("no-such-file.wav: "), "{missing}");
    }
}

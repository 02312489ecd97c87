//! "One moment, please.": what the caller hears when the model's side is being replaced and that takes a while.
//!
//! It has to come from ourselves, for at that moment nobody else could say it. The sound is synthetic and in English: the
//! free program flite 2.2 spoke it (`flite -voice slt -t "One moment, please."`, the voice of CMU Arctic's SLT), and sox
//! made it telephone sound: the band from 150 to 3600 Hz, the silence cut off, -18 dB below full scale, edges faded,
//! 20 ms of silence on each side. An operator can have a recording of their own instead.

use super::g711::Law;
use super::resample_all;
use hound::{SampleFormat, WavReader};

/// The longest recording that is taken, in milliseconds.
pub const LONGEST_MS: u64 = 5000;

/// What a telephone carries, in samples per second.
const RATE: u32 = 8000;

/// Our own sentence, 8 kHz mu-law: a little over a second.
pub fn moment() -> &'static [u8] {
    include_bytes!("moment.ulaw")
}

/// Reads a WAV that is in memory (16 bits, one channel or two) as 8 kHz mu-law.
///
/// # Errors
/// Says why it is not such a sound, or that it lasts longer than [`LONGEST_MS`].
pub fn from_wav(bytes: &[u8]) -> Result<Vec<u8>, String> {
    let reader = WavReader::new(bytes).map_err(|error| format!("not a WAV file: {error}"))?;
    let spec = reader.spec();
    let rate = spec.sample_rate;
    if (spec.sample_format, spec.bits_per_sample) != (SampleFormat::Int, 16) {
        let bits = spec.bits_per_sample;
        return Err(format!(
            "its samples have {bits} bits, and only whole numbers of 16 are read"
        ));
    }
    if !(RATE..=96_000).contains(&rate) {
        return Err(format!(
            "{rate} samples per second, and only 8000 to 96000 are read"
        ));
    }
    let channels = usize::from(spec.channels);
    if !(1..=2).contains(&channels) {
        return Err(format!("{channels} channels, and only one or two are read"));
    }
    let length_ms = u64::from(reader.duration()) * 1000 / u64::from(rate);
    if length_ms > LONGEST_MS {
        return Err(format!(
            "it lasts {length_ms} ms, and {LONGEST_MS} is the most"
        ));
    }
    if length_ms == 0 {
        return Err("there is no sound in it".to_owned());
    }
    let samples: Vec<i16> = reader
        .into_samples()
        .collect::<Result<_, _>>()
        .map_err(|error| format!("it ends in the middle of its sound: {error}"))?;
    let mixed: Vec<i16> = samples
        .chunks_exact(channels)
        .map(|together| {
            let sum: i32 = together.iter().map(|&sample| i32::from(sample)).sum();
            (sum / channels as i32) as i16
        })
        .collect();
    let mut codes = Vec::new();
    Law::Mu.encode_all(&resample_all(&mixed, rate, RATE), &mut codes);
    Ok(codes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use hound::{WavSpec, WavWriter};
    use std::io::Cursor;

    fn db(codes: &[u8]) -> f64 {
        let sum: f64 = codes
            .iter()
            .map(|&code| f64::from(Law::Mu.decode(code)).powi(2))
            .sum();
        10.0 * (sum / codes.len() as f64 / 32768_f64.powi(2) + 1e-12).log10()
    }

    /// A tone of 440 Hz at half of what is possible, as a file.
    fn file(channels: u16, sample_rate: u32, bits_per_sample: u16, seconds: u32) -> Vec<u8> {
        let spec = WavSpec {
            channels,
            sample_rate,
            bits_per_sample,
            sample_format: SampleFormat::Int,
        };
        let mut bytes = Cursor::new(Vec::new());
        let mut writer = WavWriter::new(&mut bytes, spec).expect("a header");
        for n in 0..sample_rate * seconds {
            let angle = std::f64::consts::TAU * 440.0 * f64::from(n) / f64::from(sample_rate);
            let most = f64::from(1_u32 << (bits_per_sample - 2));
            for _ in 0..channels {
                writer
                    .write_sample((most * angle.sin()) as i32)
                    .expect("a sample");
            }
        }
        writer.finalize().expect("a file");
        bytes.into_inner()
    }

    #[test]
    fn our_sentence_is_short_as_loud_as_a_voice_and_soft_at_its_edges() {
        let sound = moment();
        assert!(
            (800 * 8..=1300 * 8).contains(&sound.len()),
            "{}",
            sound.len()
        );
        assert!((-20.0..=-16.0).contains(&db(sound)), "{}", db(sound));
        let edges = [&sound[..120], &sound[sound.len() - 120..]];
        assert!(edges.iter().all(|edge| db(edge) < -60.0));
        let loudest = sound
            .iter()
            .map(|&code| Law::Mu.decode(code).unsigned_abs())
            .max();
        assert!(loudest < Some(30_000), "{loudest:?}");
    }

    #[test]
    fn an_ordinary_recording_becomes_telephone_sound_of_the_same_length_and_level() {
        for (channels, rate) in [(1, 8000), (2, 8000), (1, 16_000), (2, 44_100), (1, 48_000)] {
            let sound = from_wav(&file(channels, rate, 16, 1)).expect("a recording");
            assert_eq!(sound.len(), 8000, "{channels} channels at {rate}");
            let level = db(&sound[800..7200]);
            assert!(
                (-9.5..=-8.5).contains(&level),
                "{channels} channels at {rate}: {level}"
            );
        }
    }

    #[test]
    fn what_is_no_ordinary_recording_is_refused_in_words() {
        let short = file(1, 8000, 16, 1);
        let refused = [
            (b"RIFF of something else".to_vec(), "not a WAV file"),
            (Vec::new(), "not a WAV file"),
            (file(1, 8000, 24, 1), "24 bits"),
            (file(3, 8000, 16, 1), "3 channels"),
            (file(1, 4000, 16, 1), "4000 samples per second"),
            (file(1, 8000, 16, 6), "6000 ms"),
            (file(1, 8000, 16, 0), "no sound"),
            (short[..short.len() / 2].to_vec(), "in the middle"),
        ];
        for (bytes, why) in refused {
            let said = from_wav(&bytes).expect_err(why);
            assert!(said.contains(why), "{said}");
        }
    }
}

//! Stages of sound: samples and bytes, no wire.

use super::Step;
use ringfence::audio::g711::Law;
use ringfence::audio::resample::{Resampler, resample_all};
use ringfence::audio::{Format, Transcoder};
use ringfence::sim::voice;
use std::hint::black_box;

/// Linear sound at the model's rate.
pub const LINEAR: Format = Format::Pcm16 { rate: 24_000 };

/// A voice, as 16-bit samples at 8 kHz.
fn voice(ms: u64) -> Vec<i16> {
    voice::speech(ms, 7)
}

/// The same at 24 kHz.
fn high_voice(ms: u64) -> Vec<i16> {
    resample_all(&voice(ms), 8_000, 24_000)
}

/// The same as the telephone's bytes.
pub fn telephone(ms: u64) -> Vec<u8> {
    let mut codes = Vec::new();
    Law::Mu.encode_all(&voice(ms), &mut codes);
    codes
}

/// The same as the model's bytes.
pub fn linear(ms: u64) -> Vec<u8> {
    high_voice(ms)
        .into_iter()
        .flat_map(i16::to_le_bytes)
        .collect()
}

pub fn mulaw_decode() -> Step {
    let (codes, mut samples) = (telephone(20), Vec::new());
    Box::new(move || {
        samples.clear();
        Law::Mu.decode_all(black_box(&codes), &mut samples);
        black_box(&samples);
    })
}

pub fn mulaw_encode() -> Step {
    let (samples, mut codes) = (voice(20), Vec::new());
    Box::new(move || {
        codes.clear();
        Law::Mu.encode_all(black_box(&samples), &mut codes);
        black_box(&codes);
    })
}

pub fn up() -> Step {
    filter(voice(20), 8_000, 24_000)
}

pub fn down() -> Step {
    filter(high_voice(20), 24_000, 8_000)
}

fn filter(samples: Vec<i16>, from: u32, to: u32) -> Step {
    let (mut filter, mut out) = (Resampler::new(from, to), Vec::new());
    Box::new(move || {
        out.clear();
        filter.push(black_box(&samples), &mut out);
        black_box(&out);
    })
}

pub fn transcode_up() -> Step {
    transcode(Format::Pcmu, LINEAR, telephone(20))
}

pub fn transcode_down() -> Step {
    transcode(LINEAR, Format::Pcmu, linear(100))
}

fn transcode(from: Format, to: Format, bytes: Vec<u8>) -> Step {
    let (mut transcoder, mut out) = (Transcoder::new(from, to), Vec::new());
    Box::new(move || {
        out.clear();
        transcoder.push(black_box(&bytes), &mut out);
        black_box(&out);
    })
}

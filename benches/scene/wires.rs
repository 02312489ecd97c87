//! Stages of the two wires: JSON and base64, as they come and go.

use super::Step;
use super::sound::{LINEAR, linear, telephone};
use base64_simd::STANDARD;
use ringfence::carrier::{self, CARRIERS, Carrier, Mark};
use ringfence::realtime::{self, Capabilities, DIALECTS, Dialect, Session, TurnDetection};
use ringfence::units::{Id, Secret};
use std::hint::black_box;
use std::sync::Arc;

/// The carrier's names for the account, the call and its stream.
pub const ACCOUNT: &str = "AC5ef872f6da5a21de157d80997a64bd33";
pub const CALL: &str = "CA4e9ad4f6ddfd80b1d6fef3fc3e4f6ad0";
pub const STREAM: &str = "MZ18ad3ab5a668481ce02b83e7395059f0";

/// Frames of the caller's that are made ready: twice as much as a stream may be set back before its clock counts as set anew, so
/// that they can be heard again and again.
pub const FRAMES: u64 = 1_000;

pub fn decode() -> Step {
    let (text, mut bytes) = (STANDARD.encode_to_string(telephone(20)), Vec::new());
    Box::new(move || {
        bytes.clear();
        let decoded = STANDARD.decode_append(black_box(text.as_bytes()), &mut bytes);
        black_box((&bytes, decoded.is_ok()));
    })
}

pub fn encode() -> Step {
    let (bytes, mut text) = (linear(20), String::new());
    Box::new(move || {
        text.clear();
        STANDARD.encode_append(black_box(&bytes), &mut text);
        black_box(&text);
    })
}

pub fn carrier() -> Arc<dyn Carrier> {
    let (_, new) = CARRIERS[0];
    Arc::from(new(carrier::Settings {
        public_url: "https://bot.example.com".into(),
        api_base: "https://api.example.com".into(),
        account: ACCOUNT.into(),
        auth_token: Secret::from("token".to_string()),
        verify_signature: true,
    }))
}

/// An open media stream.
pub fn stream() -> Box<dyn carrier::Stream> {
    let mut stream = carrier().stream(&Id::from(CALL));
    let start = format!(
        r#"{{"event":"start","sequenceNumber":"1","start":{{"accountSid":"{ACCOUNT}","streamSid":"{STREAM}","callSid":"{CALL}","tracks":["inbound"],"mediaFormat":{{"encoding":"audio/x-mulaw","sampleRate":8000,"channels":1}},"customParameters":{{}}}},"streamSid":"{STREAM}"}}"#
    );
    let started = stream.read(&start, &mut Vec::new());
    assert_eq!(started, Ok(Some(carrier::Event::Started)));
    stream
}

/// What a caller says, 20 ms a frame, as the carrier writes it.
pub fn media() -> Vec<String> {
    let voice = telephone(2_000);
    let mut payloads = voice
        .chunks(160)
        .map(|sound| STANDARD.encode_to_string(sound))
        .cycle();
    let frame = |number: u64| {
        let payload = payloads.next().unwrap_or_default();
        format!(
            r#"{{"event":"media","sequenceNumber":"{}","media":{{"track":"inbound","chunk":"{number}","timestamp":"{}","payload":"{payload}"}},"streamSid":"{STREAM}"}}"#,
            number + 1,
            number * 20
        )
    };
    (1..=FRAMES).map(frame).collect()
}

pub fn media_read() -> Step {
    let (mut stream, frames, mut next, mut sound) = (stream(), media(), 0, Vec::new());
    Box::new(move || {
        sound.clear();
        let event = stream.read(black_box(&frames[next]), &mut sound);
        assert!(matches!(event, Ok(Some(carrier::Event::Heard { ms: 20 }))));
        next = (next + 1) % frames.len();
    })
}

pub fn mark_read() -> Step {
    let mut stream = stream();
    let frame = format!(
        r#"{{"event":"mark","sequenceNumber":"4711","streamSid":"{STREAM}","mark":{{"name":"12:3400:g2"}}}}"#
    );
    Box::new(move || {
        let event = stream.read(black_box(&frame), &mut Vec::new());
        assert!(matches!(event, Ok(Some(carrier::Event::Played(_)))));
    })
}

pub fn media_write() -> Step {
    let (mut stream, sound) = (stream(), telephone(100));
    let mark = Mark {
        item: 12,
        until_ms: 3_400,
        generation: 2,
    };
    let play = carrier::Command::Play { mark, ms: 100 };
    Box::new(move || {
        stream.write(black_box(&play), black_box(&sound), &mut |frame| {
            black_box(frame);
        });
    })
}

/// What a session is asked for.
pub fn session() -> Session {
    Session {
        url: "wss://api.openai.com/v1/realtime".into(),
        model: "gpt-realtime-2.1".into(),
        priced_as: "gpt-realtime-2.1".into(),
        can: Capabilities::ALL,
        api_key: Secret::from("key".to_string()),
        voice: "marin".into(),
        instructions: "You answer the phone.".into(),
        audio: LINEAR,
        transcription: Some("gpt-4o-mini-transcribe".into()),
        max_output_tokens: 1_024,
        post_instructions: Some(2_000),
        tools: Vec::new(),
        turn_detection: TurnDetection {
            threshold_milli: 500,
            prefix_padding_ms: 300,
            silence_duration_ms: 500,
            interrupt_response: true,
        },
    }
}

fn codec() -> Box<dyn Dialect> {
    (DIALECTS[0].new)(Arc::new(session()))
}

/// A piece of an answer: `kind` is what it is of, and `delta` the piece.
pub fn piece(kind: &str, answer: u64, delta: &str) -> String {
    format!(
        r#"{{"type":"response.{kind}.delta","event_id":"event_D1x8Vq3ZrT5nYw2LkPmJb","response_id":"resp_D1x8Vq3ZrT5nYw2{answer:05}","item_id":"item_D1x8Vq3ZrT5nYw2{answer:05}","output_index":0,"content_index":0,"delta":"{delta}","obfuscation":"kZ0aPq"}}"#
    )
}

pub fn delta_read() -> Step {
    let frame = piece("output_audio", 1, &STANDARD.encode_to_string(linear(100)));
    let (mut codec, mut sound) = (codec(), Vec::new());
    Box::new(move || {
        sound.clear();
        let event = codec.read(black_box(&frame), &mut sound);
        assert!(matches!(event, Ok(Some(realtime::Event::Spoke { .. }))));
    })
}

pub fn words_read() -> Step {
    let frame = piece("output_audio_transcript", 1, " your order");
    let mut codec = codec();
    Box::new(move || {
        let event = codec.read(black_box(&frame), &mut Vec::new());
        assert!(matches!(event, Ok(Some(realtime::Event::Saying { .. }))));
    })
}

pub fn append_write() -> Step {
    let (mut codec, sound) = (codec(), linear(20));
    let append = realtime::Command::Append { ms: 20 };
    Box::new(move || {
        codec.write(black_box(&append), black_box(&sound), &mut |frame| {
            black_box(frame);
        });
    })
}

//! The media stream's own words, as the carrier writes and reads them.
//!
//! The carrier is strict with what a server sends: an unknown event, a field missing or one too many, or another
//! stream's id is its error 31951. So is this file; what it writes has the carrier's habits, such as numbers in strings.

use audio_codec_algorithms::{decode_ulaw, encode_ulaw};
use base64_simd::STANDARD;
use serde::Deserialize;
use serde_json::Value;
use std::borrow::Cow;
use std::sync::LazyLock;

/// What the server told the carrier.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Told {
    /// Play this, after what is queued.
    Sound(Vec<i16>),
    /// Say when all before this was played.
    Mark(String),
    /// Forget what is queued.
    Clear,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Frame<'a> {
    #[serde(borrow)]
    event: Cow<'a, str>,
    #[serde(borrow, rename = "streamSid")]
    stream_sid: Cow<'a, str>,
    #[serde(borrow)]
    media: Option<Media<'a>>,
    mark: Option<Mark>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Media<'a> {
    #[serde(borrow)]
    payload: Cow<'a, str>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Mark {
    name: String,
}

/// Reads a frame of the server's; what is wrong with it in words, for a 31951.
pub(super) fn read(text: &str, stream_sid: &str) -> Result<Told, String> {
    let frame: Frame = serde_json::from_str(text).map_err(|wrong| wrong.to_string())?;
    if frame.stream_sid != stream_sid {
        return Err(format!(
            "streamSid {:?} is of another stream",
            frame.stream_sid
        ));
    }
    match (&*frame.event, frame.media, frame.mark) {
        ("media", Some(media), None) => sound(&media.payload).map(Told::Sound),
        ("mark", None, Some(mark)) if mark.name.is_empty() => Err("a mark without a name".into()),
        ("mark", None, Some(mark)) => Ok(Told::Mark(mark.name)),
        ("clear", None, None) => Ok(Told::Clear),
        ("media" | "mark" | "clear", _, _) => Err(format!(
            "{:?} with a field missing or too many",
            frame.event
        )),
        (event, _, _) => Err(format!("unknown event {event:?}")),
    }
}

fn sound(payload: &str) -> Result<Vec<i16>, String> {
    let bytes = STANDARD
        .decode_to_vec(payload)
        .map_err(|_| "a payload that is not base64")?;
    if bytes.is_empty() {
        return Err("an empty payload".to_owned());
    }
    if bytes.starts_with(b"RIFF") {
        return Err("a WAV header inside a payload, which would be heard as noise".to_owned());
    }
    Ok(bytes.into_iter().map(decode_ulaw).collect())
}

/// The first frame of a stream.
pub(super) fn connected() -> String {
    r#"{"event":"connected","protocol":"Call","version":"1.0.0"}"#.to_owned()
}

/// Who is on this stream.
pub(super) struct Names<'a> {
    pub(super) stream_sid: &'a str,
    pub(super) account_sid: &'a str,
    pub(super) call_sid: &'a str,
}

/// The second frame, always number one.
pub(super) fn start(names: &Names<'_>, parameters: &[(String, String)]) -> String {
    let pairs = parameters
        .iter()
        .map(|(n, v)| (n.clone(), v.as_str().into()));
    let custom: serde_json::Map<String, Value> = pairs.collect();
    format!(
        r#"{{"event":"start","sequenceNumber":"1","streamSid":{sid},"start":{{"streamSid":{sid},"accountSid":{account},"callSid":{call},"tracks":["inbound"],"customParameters":{custom},"mediaFormat":{{"encoding":"audio/x-mulaw","sampleRate":8000,"channels":1}}}}}}"#,
        sid = quoted(names.stream_sid),
        account = quoted(names.account_sid),
        call = quoted(names.call_sid),
        custom = Value::Object(custom),
    )
}

/// A frame of the caller's sound.
pub(super) fn media(
    stream_sid: &str,
    number: u64,
    chunk: u64,
    at_ms: u64,
    sound: &[i16],
) -> String {
    let codes = &**ULAW;
    let code = |sample: &i16| codes[usize::from(sample.cast_unsigned() >> 2)];
    let bytes: Vec<u8> = sound.iter().map(code).collect();
    let mut frame = String::with_capacity(256 + bytes.len() * 4 / 3);
    frame.push_str(r#"{"event":"media","sequenceNumber":""#);
    push_number(&mut frame, number);
    frame.push_str(r#"","streamSid":"#);
    frame.push_str(&quoted(stream_sid));
    frame.push_str(r#","media":{"track":"inbound","chunk":""#);
    push_number(&mut frame, chunk);
    frame.push_str(r#"","timestamp":""#);
    push_number(&mut frame, at_ms);
    frame.push_str(r#"","payload":""#);
    STANDARD.encode_append(bytes, &mut frame);
    frame.push_str(r#""}}"#);
    frame
}

/// A number in digits; by hand, for three of them stand in every frame.
fn push_number(text: &mut String, number: u64) {
    if number >= 10 {
        push_number(text, number / 10);
    }
    text.push(char::from(b'0' + (number % 10) as u8));
}

/// The nearest code of every sample, by its upper 14 bits: mu-law does not see the others.
static ULAW: LazyLock<Box<[u8]>> = LazyLock::new(|| {
    let steps = 0..1_u16 << 14;
    steps
        .map(|step| encode_ulaw((step << 2).cast_signed()))
        .collect()
});

/// A key the caller pressed.
pub(super) fn digit(stream_sid: &str, number: u64, digit: char) -> String {
    format!(
        r#"{{"event":"dtmf","streamSid":{},"sequenceNumber":"{number}","dtmf":{{"track":"inbound_track","digit":{}}}}}"#,
        quoted(stream_sid),
        quoted(&digit.to_string()),
    )
}

/// A mark on its way back.
pub(super) fn mark(stream_sid: &str, number: u64, name: &str) -> String {
    format!(
        r#"{{"event":"mark","sequenceNumber":"{number}","streamSid":{},"mark":{{"name":{}}}}}"#,
        quoted(stream_sid),
        quoted(name),
    )
}

/// The last frame: the call has left the stream.
pub(super) fn stop(names: &Names<'_>, number: u64) -> String {
    format!(
        r#"{{"event":"stop","sequenceNumber":"{number}","streamSid":{},"stop":{{"accountSid":{},"callSid":{}}}}}"#,
        quoted(names.stream_sid),
        quoted(names.account_sid),
        quoted(names.call_sid),
    )
}

fn quoted(text: &str) -> String {
    let plain = |byte: u8| byte >= 0x20 && byte != b'"' && byte != b'\\';
    match text.bytes().all(plain) {
        true => format!("\"{text}\""),
        false => Value::from(text).to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_three_things_a_server_may_say_are_understood() {
        let media = r#"{"event":"media","streamSid":"MZ1","media":{"payload":"/38A"}}"#;
        assert_eq!(read(media, "MZ1"), Ok(Told::Sound(vec![0, 0, -32124])));
        let mark = r#"{"event":"mark","streamSid":"MZ1","mark":{"name":"1:200:g0"}}"#;
        assert_eq!(read(mark, "MZ1"), Ok(Told::Mark("1:200:g0".to_owned())));
        assert_eq!(
            read(r#"{"event":"clear","streamSid":"MZ1"}"#, "MZ1"),
            Ok(Told::Clear)
        );
    }

    #[test]
    fn anything_else_is_an_error_as_it_is_at_the_carrier() {
        for (text, word) in [
            ("hello", "expected"),
            (r#"{"event":"clear"}"#, "missing field"),
            (r#"{"event":"clear","streamSid":"MZ2"}"#, "another stream"),
            (
                r#"{"event":"clear","streamSid":"MZ1","extra":1}"#,
                "unknown field",
            ),
            (r#"{"event":"stop","streamSid":"MZ1"}"#, "unknown event"),
            (
                r#"{"event":"media","streamSid":"MZ1"}"#,
                "missing or too many",
            ),
            (
                r#"{"event":"clear","streamSid":"MZ1","mark":{"name":"x"}}"#,
                "too many",
            ),
            (
                r#"{"event":"mark","streamSid":"MZ1","mark":{"name":""}}"#,
                "without a name",
            ),
            (
                r#"{"event":"media","streamSid":"MZ1","media":{"payload":"/w==","track":"outbound"}}"#,
                "unknown field",
            ),
            (
                r#"{"event":"media","streamSid":"MZ1","media":{"payload":"?"}}"#,
                "base64",
            ),
            (
                r#"{"event":"media","streamSid":"MZ1","media":{"payload":""}}"#,
                "empty",
            ),
            (
                r#"{"event":"media","streamSid":"MZ1","media":{"payload":"UklGRg=="}}"#,
                "WAV",
            ),
        ] {
            let wrong = read(text, "MZ1").expect_err(text);
            assert!(wrong.contains(word), "{text}: {wrong}");
        }
    }

    #[test]
    fn numbers_travel_in_strings_and_the_format_in_numbers() {
        let names = Names {
            stream_sid: "MZ1",
            account_sid: "AC1",
            call_sid: "CA1",
        };
        let parameters = [("say".to_owned(), "a \"b\"".to_owned())];
        let start: Value = serde_json::from_str(&start(&names, &parameters)).expect("JSON");
        assert_eq!(start["start"]["customParameters"]["say"], "a \"b\"");
        assert_eq!(start["start"]["mediaFormat"]["sampleRate"], 8000);
        let media: Value = serde_json::from_str(&media("MZ1", 2, 1, 20, &[0; 160])).expect("JSON");
        assert_eq!(media["media"]["timestamp"], "20");
        assert_eq!(media["media"]["payload"].as_str().map(str::len), Some(216));
        for frame in [
            digit("MZ1", 3, '#'),
            mark("MZ1", 4, "m"),
            stop(&names, 5),
            connected(),
        ] {
            let frame: Value = serde_json::from_str(&frame).expect("JSON");
            assert!(frame["sequenceNumber"].is_null() || frame["sequenceNumber"].is_string());
        }
    }
}

//! Whether a session runs by our settings.
//!
//! A new session answers by itself and without limit, and `session.updated` is the only proof that it no longer does. What it echoes
//! is compared key by key with what we asked, wherever a difference could cost money or make the sound unintelligible.
//! What is not echoed is not in force.

use super::raw::{self, Raw};
use crate::audio::Format;
use crate::realtime::Session;
use serde::Deserialize;
use serde_json::value::RawValue;

#[derive(Default, Deserialize)]
struct Echo<'a> {
    #[serde(borrow)]
    audio: Raw<'a>,
    #[serde(borrow)]
    max_output_tokens: Raw<'a>,
    #[serde(borrow)]
    tools: Raw<'a>,
    #[serde(borrow)]
    truncation: Raw<'a>,
}

#[derive(Default, Deserialize)]
struct Audio<'a> {
    #[serde(borrow)]
    input: Raw<'a>,
    #[serde(borrow)]
    output: Raw<'a>,
}

/// One direction of the sound.
#[derive(Default, Deserialize)]
struct Direction<'a> {
    #[serde(borrow)]
    format: Raw<'a>,
    #[serde(borrow)]
    transcription: Raw<'a>,
    #[serde(borrow)]
    turn_detection: Raw<'a>,
}

#[derive(Default, Deserialize)]
struct WireFormat<'a> {
    #[serde(borrow, rename = "type")]
    kind: Raw<'a>,
    #[serde(borrow)]
    rate: Raw<'a>,
}

#[derive(Default, Deserialize)]
struct Transcription<'a> {
    #[serde(borrow)]
    model: Raw<'a>,
}

#[derive(Default, Deserialize)]
struct TurnDetection<'a> {
    #[serde(borrow)]
    create_response: Raw<'a>,
    #[serde(borrow)]
    idle_timeout_ms: Raw<'a>,
}

#[derive(Default, Deserialize)]
struct Tool<'a> {
    #[serde(borrow)]
    name: Raw<'a>,
}

#[derive(Default, Deserialize)]
struct Truncation<'a> {
    #[serde(borrow)]
    token_limits: Raw<'a>,
}

#[derive(Default, Deserialize)]
struct TokenLimits<'a> {
    #[serde(borrow)]
    post_instructions: Raw<'a>,
}

/// Compares the echo with what was asked; the first key that differs is the error.
pub(in crate::realtime) fn compare(asked: &Session, echo: Raw<'_>) -> Result<(), &'static str> {
    let echo: Echo = raw::object(echo);
    let audio: Audio = raw::object(echo.audio);
    let input: Direction = raw::object(audio.input);
    let output: Direction = raw::object(audio.output);
    let (own, idle) = turns(input.turn_detection);
    let length = raw::count(echo.max_output_tokens);
    let agrees = [
        ("create_response", own),
        ("idle_timeout_ms", idle),
        (
            "max_output_tokens",
            length == Some(u64::from(asked.max_output_tokens)),
        ),
        ("tools", tools(asked, echo.tools)),
        ("audio.input.format", format(asked.audio, input.format)),
        ("audio.output.format", format(asked.audio, output.format)),
        ("truncation", truncation(asked, echo.truncation)),
        ("transcription", transcription(asked, input.transcription)),
    ];
    first_difference(&agrees)
}

/// The first key that does not agree.
pub(in crate::realtime) fn first_difference(
    agrees: &[(&'static str, bool)],
) -> Result<(), &'static str> {
    match agrees.iter().find(|(_, agrees)| !agrees) {
        Some((key, _)) => Err(key),
        None => Ok(()),
    }
}

/// Whether answers are ours to ask for, and whether silence begins none.
pub(in crate::realtime) fn turns(echo: Raw<'_>) -> (bool, bool) {
    let turns: TurnDetection = raw::object(echo);
    (
        raw::is(turns.create_response, "false"),
        turns.idle_timeout_ms.is_none(),
    )
}

/// The same names, each as often, in any order.
pub(in crate::realtime) fn tools(asked: &Session, echo: Raw<'_>) -> bool {
    let echo: Vec<&RawValue> = match echo.map(|echo| serde_json::from_str(echo.get())) {
        None => Vec::new(),
        Some(Ok(tools)) => tools,
        Some(Err(_)) => return false,
    };
    let name = |tool: &&RawValue| raw::words(raw::object::<Tool>(Some(tool)).name);
    let mut echoed: Vec<String> = echo.iter().map(name).collect();
    let mut asked: Vec<&str> = asked.tools.iter().map(|tool| tool.name.as_str()).collect();
    echoed.sort_unstable();
    asked.sort_unstable();
    echoed == asked
}

/// The wire's name of a format.
pub(super) fn format_name(format: Format) -> &'static str {
    match format {
        Format::Pcmu => "audio/pcmu",
        Format::Pcma => "audio/pcma",
        Format::Pcm16 { .. } => "audio/pcm",
    }
}

/// A rate may be left out of the echo, for there is only one; another one may not be in it.
fn format(asked: Format, echo: Raw<'_>) -> bool {
    let echo: WireFormat = raw::object(echo);
    let rate = echo.rate.is_none() || raw::count(echo.rate) == Some(u64::from(asked.rate()));
    raw::text(echo.kind).as_deref() == Some(format_name(asked)) && rate
}

/// Where no limit was asked for, none was sent.
fn truncation(asked: &Session, echo: Raw<'_>) -> bool {
    let Some(limit) = asked.post_instructions else {
        return true;
    };
    let limits: TokenLimits = raw::object(raw::object::<Truncation>(echo).token_limits);
    raw::count(limits.post_instructions) == Some(u64::from(limit))
}

/// The model that was asked for, or none: each of them has a price of its own.
pub(in crate::realtime) fn transcription(asked: &Session, echo: Raw<'_>) -> bool {
    match &asked.transcription {
        None => echo.is_none(),
        Some(model) => {
            let echo: Transcription = raw::object(echo);
            raw::text(echo.model).as_deref() == Some(model)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::realtime::openai::tests::session;
    use serde_json::{Value, json};

    /// What the provider echoes when it took all of our settings.
    fn faithful() -> Value {
        json!({
            "type": "realtime", "object": "realtime.session", "id": "sess_1", "model": "gpt-realtime-2.1",
            "output_modalities": ["audio"], "instructions": "…", "tool_choice": "auto", "max_output_tokens": 1024,
            "tools": [{"type": "function", "name": "order-status", "description": "…", "parameters": {}}],
            "tracing": null, "prompt": null, "expires_at": 1_790_000_000, "include": null,
            "truncation": {"type": "retention_ratio", "retention_ratio": 0.8, "token_limits": {"post_instructions": 2000}},
            "audio": {
                "input": {
                    "format": {"type": "audio/pcm", "rate": 24000}, "noise_reduction": null,
                    "transcription": {"model": "gpt-4o-mini-transcribe", "language": null, "prompt": null},
                    "turn_detection": {"type": "server_vad", "threshold": 0.5, "prefix_padding_ms": 300,
                        "silence_duration_ms": 500, "idle_timeout_ms": null, "create_response": false, "interrupt_response": true},
                },
                "output": {"format": {"type": "audio/pcm", "rate": 24000}, "voice": "marin", "speed": 1.0},
            },
        })
    }

    fn compared(asked: &Session, echo: &Value) -> Result<(), &'static str> {
        let echo = serde_json::value::to_raw_value(echo).unwrap();
        compare(asked, Some(&echo))
    }

    #[test]
    fn a_faithful_echo_agrees() {
        assert_eq!(compared(&session(), &faithful()), Ok(()));
        let mut echo = faithful();
        let turns = &mut echo["audio"]["input"]["turn_detection"];
        turns.as_object_mut().unwrap().remove("idle_timeout_ms");
        let format = &mut echo["audio"]["output"]["format"];
        format.as_object_mut().unwrap().remove("rate");
        assert_eq!(compared(&session(), &echo), Ok(()), "defaults left out");
    }

    #[test]
    fn a_difference_that_could_cost_money_is_named() {
        let input = "/audio/input";
        for (at, value, key) in [
            (
                "/turn_detection/create_response",
                json!(true),
                "create_response",
            ),
            (
                "/turn_detection/create_response",
                json!(null),
                "create_response",
            ),
            ("/turn_detection", json!(null), "create_response"),
            (
                "/turn_detection/idle_timeout_ms",
                json!(8000),
                "idle_timeout_ms",
            ),
            ("/format/type", json!("audio/pcmu"), "audio.input.format"),
            ("/format/rate", json!(16000), "audio.input.format"),
            ("/transcription", json!(null), "transcription"),
            ("/transcription/model", json!("whisper-1"), "transcription"),
        ] {
            differs(&format!("{input}{at}"), value, key);
        }
        for (at, value, key) in [
            ("/max_output_tokens", json!("inf"), "max_output_tokens"),
            ("/max_output_tokens", json!(1025), "max_output_tokens"),
            ("/tools", json!([]), "tools"),
            ("/tools", json!(null), "tools"),
            ("/tools", json!({}), "tools"),
            ("/tools/0/name", json!("other"), "tools"),
            (
                "/tools",
                json!([{"name": "order-status"}, {"name": "order-status"}]),
                "tools",
            ),
            (
                "/audio/output/format",
                json!({"type": "audio/pcma"}),
                "audio.output.format",
            ),
            ("/audio/output", json!(null), "audio.output.format"),
            ("/truncation", json!("auto"), "truncation"),
            (
                "/truncation/token_limits/post_instructions",
                json!(2001),
                "truncation",
            ),
            ("/audio", json!("pcm16"), "create_response"),
            ("", json!(null), "create_response"),
        ] {
            differs(at, value, key);
        }
        assert_eq!(compare(&session(), None), Err("create_response"));
    }

    fn differs(at: &str, value: Value, key: &'static str) {
        let mut echo = faithful();
        *echo.pointer_mut(at).unwrap() = value.clone();
        assert_eq!(compared(&session(), &echo), Err(key), "{at} = {value}");
    }

    #[test]
    fn what_was_not_asked_for_must_not_be_there() {
        let mut asked = session();
        asked.transcription = None;
        assert_eq!(compared(&asked, &faithful()), Err("transcription"));
        let mut echo = faithful();
        echo["audio"]["input"]["transcription"] = json!(null);
        assert_eq!(compared(&asked, &echo), Ok(()));

        asked.post_instructions = None;
        echo["truncation"] = json!("auto");
        assert_eq!(compared(&asked, &echo), Ok(()));

        asked.tools.clear();
        assert_eq!(compared(&asked, &echo), Err("tools"));
        echo["tools"] = json!([]);
        assert_eq!(compared(&asked, &echo), Ok(()));
    }

    #[test]
    fn the_telephones_own_formats_need_no_rate() {
        for (format, name) in [(Format::Pcmu, "audio/pcmu"), (Format::Pcma, "audio/pcma")] {
            let mut asked = session();
            asked.audio = format;
            let mut echo = faithful();
            echo["audio"]["input"]["format"] = json!({"type": name});
            echo["audio"]["output"]["format"] = json!({"type": name, "rate": 8000});
            assert_eq!(compared(&asked, &echo), Ok(()));
        }
    }
}

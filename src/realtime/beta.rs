//! The protocol's older names, for servers that never left them.
//!
//! OpenAI shut this generation off in 2026; Azure's preview addresses, Qwen, StepFun and others still speak it. Its settings are
//! flat, its sound has other names, and an item is `created` where it is now `added` and `done`. Everything else, and so the
//! codec, is today's (facts: sections 2.2 and 2.3).

use super::openai::{self, OpenAi, Raw, Shape, echo, raw, write};
use super::{Address, Capabilities, Profile, Request, Session};
use crate::audio::Format;
use crate::units::Secret;
use serde::Deserialize;
use serde_json::{Value, json};

/// The dialect of compatible servers.
pub const PROFILE: Profile = Profile {
    name: "openai-beta",
    about: "OpenAI's Realtime protocol under its older names",
    key_env: "OPENAI_API_KEY",
    url: None,
    refuses: shut_off,
    versioned: |_| false,
    can: CAN,
    new: |session| Box::new(OpenAi::speaking(session, &SHAPE)),
};

/// The limit of the conversation's length came with the later generation.
const CAN: Capabilities = Capabilities {
    truncation: false,
    ..Capabilities::ALL
};

/// These names, at an address that is OpenAI's own in all but its host.
const SHAPE: Shape = shape(address);

/// These names, at addresses of another kind.
pub(super) const fn shape(address: fn(&Session) -> Address) -> Shape {
    Shape {
        address,
        event: today,
        words: "text",
        configure,
        compare,
        respond,
    }
}

/// Where these names are refused: OpenAI accepts the upgrade, says `beta_api_shape_disabled`, and closes (facts: section 1.2).
fn shut_off(url: &str) -> Option<(&'static str, &'static str)> {
    let host = url.split_once("://").map_or(url, |(_, rest)| rest);
    let host = host.split(['/', ':']).next().unwrap_or_default();
    let host = host.to_ascii_lowercase();
    let own = host == "api.openai.com" || host.ends_with(".api.openai.com");
    own.then_some((
        "OpenAI no longer speaks this dialect: it closes every session that begins in it",
        "write dialect = \"openai\", or the address of a server that still speaks it",
    ))
}

/// The header is what tells a server of both generations which one is meant; those of this one alone ignore it.
fn address(session: &Session) -> Address {
    let mut address = openai::address(session);
    let header = Secret::from("realtime=v1".to_string());
    address.headers.push(("OpenAI-Beta", header));
    address
}

fn today(kind: &str) -> &str {
    match kind {
        "conversation.item.created" => "conversation.item.added",
        "response.audio.delta" => "response.output_audio.delta",
        "response.audio.done" => "response.output_audio.done",
        "response.audio_transcript.delta" => "response.output_audio_transcript.delta",
        "response.audio_transcript.done" => "response.output_audio_transcript.done",
        other => other,
    }
}

/// The names of formats; linear sound has 24 kHz and says so nowhere.
fn format_name(format: Format) -> &'static str {
    match format {
        Format::Pcmu => "g711_ulaw",
        Format::Pcma => "g711_alaw",
        Format::Pcm16 { .. } => "pcm16",
    }
}

fn configure(session: &Session) -> Value {
    let today = write::configure(session);
    let (event, settings) = (&today["event_id"], &today["session"]);
    let input = &settings["audio"]["input"];
    let mut turns = input["turn_detection"].clone();
    if let Some(turns) = turns.as_object_mut() {
        // It came with the later generation, and one unknown key refuses all of the settings.
        turns.remove("idle_timeout_ms");
    }
    json!({
        "type": "session.update",
        "event_id": event,
        "session": {
            "modalities": ["audio", "text"],
            "instructions": settings["instructions"],
            "voice": session.voice,
            "input_audio_format": format_name(session.audio),
            "output_audio_format": format_name(session.audio),
            "input_audio_transcription": input["transcription"],
            "turn_detection": turns,
            "tools": settings["tools"],
            "tool_choice": settings["tool_choice"],
            "max_response_output_tokens": settings["max_output_tokens"],
        },
    })
}

fn respond(session: &Session, request: &Request) -> Value {
    let mut event = write::respond(session, request);
    if let Some(response) = event["response"].as_object_mut() {
        // It came with models that these servers do not have.
        response.remove("reasoning");
        let most = response.remove("max_output_tokens");
        response.insert("max_response_output_tokens".into(), json!(most));
        if response.remove("output_modalities").is_some() {
            response.insert("modalities".into(), json!(["audio", "text"]));
        }
    }
    event
}

#[derive(Default, Deserialize)]
struct Echo<'a> {
    #[serde(borrow)]
    max_response_output_tokens: Raw<'a>,
    #[serde(borrow)]
    tools: Raw<'a>,
    #[serde(borrow)]
    input_audio_format: Raw<'a>,
    #[serde(borrow)]
    output_audio_format: Raw<'a>,
    #[serde(borrow)]
    input_audio_transcription: Raw<'a>,
    #[serde(borrow)]
    turn_detection: Raw<'a>,
}

/// As strict as today's comparison, in the flat shape.
fn compare(asked: &Session, echo: Raw<'_>) -> Result<(), &'static str> {
    let echo: Echo = raw::object(echo);
    let format = |echo| raw::text(echo).as_deref() == Some(format_name(asked.audio));
    let length = raw::count(echo.max_response_output_tokens);
    let (own, idle) = echo::turns(echo.turn_detection);
    let agrees = [
        ("create_response", own),
        ("idle_timeout_ms", idle),
        (
            "max_response_output_tokens",
            length == Some(u64::from(asked.max_output_tokens)),
        ),
        ("tools", echo::tools(asked, echo.tools)),
        ("input_audio_format", format(echo.input_audio_format)),
        ("output_audio_format", format(echo.output_audio_format)),
        // There is no such key: whoever asks for it does not get it.
        ("truncation", asked.post_instructions.is_none()),
        (
            "input_audio_transcription",
            echo::transcription(asked, echo.input_audio_transcription),
        ),
    ];
    echo::first_difference(&agrees)
}

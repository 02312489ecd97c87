//! The older names of the protocol, for clients that still speak it.
//!
//! Before its general availability the protocol had flat settings, other names for half of its events, and one event
//! where there are now two. Some servers never left it. The session itself does not know: what a client sends is
//! put into today's words before it is read, and what is sent is put into the older ones behind it.

use super::wire::Fault;
use serde_json::{Map, Value, json};

/// Events of the server that have another name: the older one, and today's.
const EVENTS: &[(&str, &str)] = &[
    ("conversation.item.created", "conversation.item.added"),
    ("response.text.delta", "response.output_text.delta"),
    ("response.text.done", "response.output_text.done"),
    ("response.audio.delta", "response.output_audio.delta"),
    ("response.audio.done", "response.output_audio.done"),
    (
        "response.audio_transcript.delta",
        "response.output_audio_transcript.delta",
    ),
    (
        "response.audio_transcript.done",
        "response.output_audio_transcript.done",
    ),
];

/// Sound's formats: the older name, and today's.
const FORMATS: &[(&str, &str)] = &[
    ("pcm16", "audio/pcm"),
    ("g711_ulaw", "audio/pcmu"),
    ("g711_alaw", "audio/pcma"),
];

/// Settings of a session or a response that stand elsewhere today: the older key, and where.
const SETTINGS: &[(&str, &str)] = &[
    ("instructions", "/instructions"),
    ("tools", "/tools"),
    ("tool_choice", "/tool_choice"),
    ("max_response_output_tokens", "/max_output_tokens"),
    ("voice", "/audio/output/voice"),
    ("speed", "/audio/output/speed"),
    ("input_audio_transcription", "/audio/input/transcription"),
    (
        "input_audio_noise_reduction",
        "/audio/input/noise_reduction",
    ),
    ("turn_detection", "/audio/input/turn_detection"),
];

/// What only a response may say, and says today too.
const RESPONSE_ONLY: &[&str] = &["conversation", "metadata", "input"];

/// The older name of an event; `None`: it did not exist.
pub fn event_name(kind: &str) -> Option<&str> {
    if kind == "conversation.item.done" {
        return None;
    }
    let renamed = EVENTS.iter().find(|(_, today)| *today == kind);
    Some(renamed.map_or(kind, |(older, _)| older))
}

/// Puts what a client says into today's words.
pub fn read(mut event: Value) -> Result<Value, Fault> {
    match event["type"].as_str() {
        Some("session.update") => {
            let mut session = settings(&event["session"], "session", &[])?;
            session["type"] = "realtime".into();
            event["session"] = session;
        }
        Some("response.create") if !event["response"].is_null() => {
            let mut response = settings(&event["response"], "response", RESPONSE_ONLY)?;
            for item in response["input"].as_array_mut().into_iter().flatten() {
                read_item(item)?;
            }
            event["response"] = response;
        }
        Some("conversation.item.create") => read_item(&mut event["item"])?,
        _ => {}
    }
    Ok(event)
}

fn settings(given: &Value, path: &str, also: &[&str]) -> Result<Value, Fault> {
    let Some(given) = given.as_object() else {
        let said = format!("Invalid type for '{path}': expected an object.");
        return Err(Fault::new("invalid_type", said).at(path));
    };
    let mut today = json!({});
    for (key, value) in given {
        let path = format!("{path}.{key}");
        let wrong = || {
            let said = format!("Invalid value for '{path}'.");
            Fault::new("invalid_value", said).at(path.clone())
        };
        let unknown = |path: &str| {
            let said = format!("Unknown parameter: '{path}'.");
            Fault::new("unknown_parameter", said).at(path)
        };
        match key.as_str() {
            "modalities" => put(
                &mut today,
                "/output_modalities",
                modalities(value).ok_or_else(wrong)?,
            ),
            "temperature" => {
                let fits = |t: f64| (0.6..=1.2).contains(&t);
                value.as_f64().filter(|t| fits(*t)).ok_or_else(wrong)?;
            }
            "input_audio_format" | "output_audio_format" => {
                let side = key.split('_').next().unwrap_or_default();
                let format = format(value).ok_or_else(wrong)?;
                put(&mut today, &format!("/audio/{side}/format"), format);
            }
            // These came later.
            "turn_detection" if value.get("idle_timeout_ms").is_some() => {
                return Err(unknown(&format!("{path}.idle_timeout_ms")));
            }
            key if also.contains(&key) => today[key] = value.clone(),
            key => match SETTINGS.iter().find(|(older, _)| *older == key) {
                Some((_, place)) => put(&mut today, place, value.clone()),
                None => return Err(unknown(&path)),
            },
        }
    }
    Ok(today)
}

/// Sets what stands at a place, and makes the way there.
fn put(at: &mut Value, place: &str, value: Value) {
    let way = place.split('/').skip(1);
    let there = way.fold(at, |at, key| {
        if !at.is_object() {
            *at = Value::Object(Map::new());
        }
        &mut at[key]
    });
    *there = value;
}

/// Sound always came with its words then.
fn modalities(given: &Value) -> Option<Value> {
    let mut given: Vec<&str> = given
        .as_array()?
        .iter()
        .map(Value::as_str)
        .collect::<Option<_>>()?;
    given.sort_unstable();
    match given[..] {
        ["audio", "text"] => Some(json!(["audio"])),
        ["text"] => Some(json!(["text"])),
        _ => None,
    }
}

fn format(given: &Value) -> Option<Value> {
    let (_, today) = FORMATS.iter().find(|(older, _)| given == older)?;
    Some(match *today {
        "audio/pcm" => json!({"type": today, "rate": 24_000}),
        _ => json!({"type": today}),
    })
}

/// What the model said was `text` then, and is not known by today's name.
fn read_item(item: &mut Value) -> Result<(), Fault> {
    if item["role"] != "assistant" {
        return Ok(());
    }
    for part in item["content"].as_array_mut().into_iter().flatten() {
        if part["type"] != "text" {
            let path = "item.content[0].type";
            let said = format!("Invalid value: '{path}'.");
            return Err(Fault::new("invalid_value", said).at(path));
        }
        part["type"] = "output_text".into();
    }
    Ok(())
}

/// Puts an event of ours into the older words; `None`: it did not exist.
pub fn write(mut event: Value) -> Option<Value> {
    let kind = event_name(event["type"].as_str()?)?.to_string();
    match kind.as_str() {
        "session.created" | "session.updated" => event["session"] = session(&event["session"]),
        "response.created" | "response.done" => event["response"] = response(&event["response"]),
        // The call's name was told with its item only.
        "response.function_call_arguments.done" => {
            event.as_object_mut()?.remove("name");
        }
        _ if event.get("item").is_some() => write_item(&mut event["item"]),
        _ => {}
    }
    event["type"] = kind.into();
    Some(event)
}

fn session(today: &Value) -> Value {
    let mut older = json!({
        "object": today["object"], "id": today["id"], "model": today["model"],
        "expires_at": today["expires_at"], "temperature": 0.8,
    });
    flatten(today, &mut older);
    for (key, place) in SETTINGS {
        older[*key] = today.pointer(place).cloned().unwrap_or_default();
    }
    if let Some(turns) = older["turn_detection"].as_object_mut() {
        turns.remove("idle_timeout_ms");
    }
    older["input_audio_format"] = older_format(&today["audio"]["input"]["format"]);
    older
}

fn response(today: &Value) -> Value {
    let mut older = json!({"temperature": 0.8, "voice": today["audio"]["output"]["voice"]});
    for key in [
        "object",
        "id",
        "status",
        "status_details",
        "output",
        "conversation_id",
        "max_output_tokens",
        "usage",
        "metadata",
    ] {
        older[key] = today[key].clone();
    }
    flatten(today, &mut older);
    for item in older["output"].as_array_mut().into_iter().flatten() {
        write_item(item);
    }
    older
}

/// What a session and a response say alike.
fn flatten(today: &Value, older: &mut Value) {
    older["modalities"] = match today["output_modalities"] == json!(["text"]) {
        true => json!(["text"]),
        false => json!(["audio", "text"]),
    };
    older["output_audio_format"] = older_format(&today["audio"]["output"]["format"]);
}

fn older_format(today: &Value) -> Value {
    let found = FORMATS.iter().find(|(_, name)| today["type"] == *name);
    found.map_or(Value::Null, |(older, _)| (*older).into())
}

fn write_item(item: &mut Value) {
    item["object"] = "realtime.item".into();
    for part in item["content"].as_array_mut().into_iter().flatten() {
        if let Some(kind) = part["type"]
            .as_str()
            .and_then(|k| k.strip_prefix("output_"))
        {
            part["type"] = kind.to_string().into();
        }
    }
}

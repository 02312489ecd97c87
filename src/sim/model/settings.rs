//! A session's settings: the provider's defaults, and what `session.update` makes of them.
//!
//! The provider takes an update whole or not at all. One unknown key, and nothing of it is applied; what is applied is
//! echoed with everything else that is in force, and that echo is the only proof a client has. So the settings are kept
//! as the JSON they are echoed as, checked against a table of what may be said.

use super::shape::{RESPONSE, SESSION, merge};
use super::vad::Listening;
use super::wire::Fault;
use crate::audio::Format;
use serde_json::{Value, json};

/// The settings in force, as they are echoed.
#[derive(Clone, Debug)]
pub struct Settings(Value);

impl Settings {
    /// What a session begins with. It answers by itself, without limit; that is the provider's default.
    pub fn new(id: &str, model: &str, expires_at: u64) -> Self {
        let voice = if model.contains("2.1") {
            "marin"
        } else {
            "alloy"
        };
        Settings(json!({
            "type": "realtime", "object": "realtime.session", "id": id, "model": model,
            "output_modalities": ["audio"],
            "instructions": "You are a helpful, witty, and friendly voice. Talk quickly, and answer in the language of the user.",
            "tools": [], "tool_choice": "auto", "max_output_tokens": "inf", "tracing": null,
            "truncation": "auto", "prompt": null, "expires_at": expires_at,
            "audio": {
                "input": {
                    "format": {"type": "audio/pcm", "rate": 24000}, "transcription": null,
                    "noise_reduction": null, "turn_detection": detection("server_vad"),
                },
                "output": {"format": {"type": "audio/pcm", "rate": 24000}, "voice": voice, "speed": 1.0},
            },
            "include": null,
        }))
    }

    /// What is echoed.
    pub fn echo(&self) -> &Value {
        &self.0
    }

    /// Applies an update, or none of it. `spoken`: the model has already been heard, and its voice is settled.
    pub fn update(
        &mut self,
        patch: &Value,
        spoken: bool,
        transcribes: impl Fn(&str) -> bool,
    ) -> Result<(), Fault> {
        if patch.is_object() && patch.get("type").is_none() {
            return Err(missing("session.type"));
        }
        let mut next = self.0.clone();
        merge(&SESSION, &mut next, patch, "session")?;
        if next["model"] != self.0["model"] {
            let said = "The model of a session cannot be changed.";
            return Err(Fault::new("invalid_value", said).at("session.model"));
        }
        if spoken && next["audio"]["output"]["voice"] != self.0["audio"]["output"]["voice"] {
            let said = "Cannot update a conversation's voice if assistant audio is present.";
            return Err(Fault::new("cannot_update_voice", said).at("session.audio.output.voice"));
        }
        for side in ["input", "output"] {
            whole_format(&next["audio"][side], &format!("session.audio.{side}"))?;
        }
        modalities(&next, "session")?;
        let input = &mut next["audio"]["input"];
        complete(&mut input["turn_detection"], |given| {
            detection(given["type"].as_str().unwrap_or("server_vad"))
        });
        complete(
            &mut input["transcription"],
            |_| json!({"model": null, "language": null, "prompt": null}),
        );
        let path = "session.audio.input.transcription.model";
        match input["transcription"].get("model") {
            Some(Value::String(model)) if !transcribes(model) => {
                return Err(Fault::new("invalid_value", "Not a transcription model.").at(path));
            }
            Some(Value::Null) => return Err(missing(path)),
            _ => {}
        }
        self.0 = next;
        Ok(())
    }

    /// Answers by itself, without limit, whatever was asked.
    pub fn defy(&mut self) {
        self.0["max_output_tokens"] = "inf".into();
        if let Some(detection) = self.0["audio"]["input"]["turn_detection"].as_object_mut() {
            detection.insert("create_response".into(), true.into());
        }
    }

    /// What a `response.create` asks for: the session's settings with its own laid over them.
    pub fn with(&self, overrides: &Value) -> Result<Value, Fault> {
        let mut next = self.0.clone();
        merge(&RESPONSE, &mut next, overrides, "response")?;
        whole_format(&next["audio"]["output"], "response.audio.output")?;
        modalities(&next, "response")?;
        Ok(next)
    }

    /// The format of what is appended.
    pub fn input_format(&self) -> Format {
        format(&self.0["audio"]["input"])
    }

    /// How turns are heard; `None`: they are not.
    pub fn listening(&self) -> Option<Listening> {
        let how = self.detection()?;
        Some(Listening {
            threshold: how["threshold"].as_f64().unwrap_or(0.5) as f32,
            prefix_ms: how["prefix_padding_ms"].as_u64().unwrap_or(300),
            silence_ms: how["silence_duration_ms"].as_u64().unwrap_or(500),
        })
    }

    /// Whether it answers a turn by itself.
    pub fn answers(&self) -> bool {
        self.detection()
            .is_some_and(|how| how["create_response"] == true)
    }

    /// Whether it stops speaking when the caller begins.
    pub fn yields(&self) -> bool {
        self.detection()
            .is_some_and(|how| how["interrupt_response"] == true)
    }

    fn detection(&self) -> Option<&Value> {
        Some(&self.0["audio"]["input"]["turn_detection"]).filter(|how| how.is_object())
    }

    /// Who transcribes the caller.
    pub fn transcription(&self) -> Option<&str> {
        self.0["audio"]["input"]["transcription"]["model"].as_str()
    }

    /// How many tokens the conversation may keep, and how many are kept when it is cut.
    pub fn kept_tokens(&self) -> Option<(u64, u64)> {
        let limit = self.0["truncation"]["token_limits"]["post_instructions"].as_u64()?;
        let ratio = self.0["truncation"]["retention_ratio"]
            .as_f64()
            .unwrap_or(1.0);
        let milli = (ratio * 1000.0).round() as u64;
        Some((limit, limit * milli / 1000))
    }

    /// Whether a full conversation fails instead of being cut.
    pub fn never_truncates(&self) -> bool {
        self.0["truncation"] == "disabled"
    }
}

/// The format in a side's settings.
pub fn format(side: &Value) -> Format {
    match side["format"]["type"].as_str() {
        Some("audio/pcmu") => Format::Pcmu,
        Some("audio/pcma") => Format::Pcma,
        _ => Format::Pcm16 { rate: 24_000 },
    }
}

/// A limit of tokens; `None` is `"inf"`.
pub fn limit(settings: &Value) -> Option<u64> {
    settings["max_output_tokens"].as_u64()
}

fn detection(kind: &str) -> Value {
    if kind == "semantic_vad" {
        json!({"type": kind, "eagerness": "auto", "create_response": true, "interrupt_response": true})
    } else {
        json!({"type": kind, "threshold": 0.5, "prefix_padding_ms": 300, "silence_duration_ms": 200,
            "idle_timeout_ms": null, "create_response": true, "interrupt_response": true})
    }
}

/// Fills in what a partial object leaves out, and drops what does not belong to its kind.
fn complete(given: &mut Value, defaults: impl Fn(&Value) -> Value) {
    let mut full = defaults(given);
    let Some(fields) = given.as_object_mut() else {
        return;
    };
    let strict = full.get("type").is_some();
    for (key, value) in std::mem::take(fields) {
        if !strict || full.get(&key).is_some() {
            full[&key] = value;
        }
    }
    *given = full;
}

fn whole_format(side: &Value, path: &str) -> Result<(), Fault> {
    if side["format"]["type"] == "audio/pcm" && side["format"].get("rate").is_none() {
        return Err(missing(&format!("{path}.format.rate")));
    }
    if side["format"].get("type").is_none() {
        return Err(missing(&format!("{path}.format.type")));
    }
    Ok(())
}

fn modalities(settings: &Value, path: &str) -> Result<(), Fault> {
    let given = &settings["output_modalities"];
    if *given == json!(["audio"]) || *given == json!(["text"]) {
        return Ok(());
    }
    let said = "Invalid modalities: supported combinations are ['audio'] and ['text'].";
    Err(Fault::new("invalid_value", said).at(format!("{path}.output_modalities")))
}

fn missing(path: &str) -> Fault {
    let said = format!("Missing required parameter: '{path}'.");
    Fault::new("missing_required_parameter", said).at(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fresh() -> Settings {
        Settings::new("sess_1", "gpt-realtime-2.1", 3_600)
    }

    fn update(settings: &mut Settings, patch: &Value) -> Result<(), Fault> {
        settings.update(patch, false, |model| model == "whisper-1")
    }

    #[test]
    fn an_update_is_echoed_with_everything_else_that_is_in_force() {
        let mut settings = fresh();
        let patch = json!({"type": "realtime", "max_output_tokens": 200, "audio": {
            "input": {"format": {"type": "audio/pcmu"}, "transcription": {"model": "whisper-1"},
                "turn_detection": {"type": "server_vad", "create_response": false}},
            "output": {"voice": "cedar"}}});
        update(&mut settings, &patch).unwrap();
        let echo = settings.echo();
        assert_eq!(echo["max_output_tokens"], 200);
        assert_eq!(
            echo["audio"]["input"]["turn_detection"],
            json!({"type": "server_vad", "threshold": 0.5, "prefix_padding_ms": 300, "silence_duration_ms": 200,
                "idle_timeout_ms": null, "create_response": false, "interrupt_response": true})
        );
        assert_eq!(
            echo["audio"]["input"]["transcription"],
            json!({"model": "whisper-1", "language": null, "prompt": null})
        );
        assert_eq!(echo["audio"]["output"]["format"]["rate"], 24_000);
        assert_eq!(echo["truncation"], "auto");
        assert!(!settings.answers() && settings.yields());
    }

    #[test]
    fn one_wrong_key_refuses_the_whole_update_and_is_named_by_its_path() {
        let cases = [
            (
                json!({"type": "realtime", "instructions": "x", "temperature": 0.8}),
                "unknown_parameter",
                "session.temperature",
            ),
            (
                json!({"instructions": "x"}),
                "missing_required_parameter",
                "session.type",
            ),
            (
                json!({"type": "realtime", "instructions": "x", "audio": {"input": {"format": {"type": "audio/pcm"}}}}),
                "missing_required_parameter",
                "session.audio.input.format.rate",
            ),
            (
                json!({"type": "realtime", "instructions": "x", "max_output_tokens": 9_999}),
                "invalid_value",
                "session.max_output_tokens",
            ),
            (
                json!({"type": "realtime", "instructions": "x", "audio": {"input": {"turn_detection": {"create_response": 1}}}}),
                "invalid_type",
                "session.audio.input.turn_detection.create_response",
            ),
            (
                json!({"type": "realtime", "instructions": "x", "audio": {"input": {"transcription": {}}}}),
                "missing_required_parameter",
                "session.audio.input.transcription.model",
            ),
            (
                json!({"type": "realtime", "instructions": "x", "output_modalities": ["audio", "text"]}),
                "invalid_value",
                "session.output_modalities",
            ),
        ];
        for (patch, code, param) in cases {
            let mut settings = fresh();
            let fault = update(&mut settings, &patch).unwrap_err();
            assert_eq!(
                (fault.code, fault.param.as_deref()),
                (Some(code), Some(param))
            );
            assert_eq!(settings.echo(), fresh().echo());
        }
    }
}

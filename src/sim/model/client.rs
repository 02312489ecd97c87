//! What the client says, event by event.
//!
//! An event that is wrong is refused whole, with an `error` that names its `event_id`; the session goes on. Sound that
//! is appended is never acknowledged.

use super::behaviour::{Deletes, Update};
use super::diary::What;
use super::door::House;
use super::memory::{Item, not_found};
use super::settings::Settings;
use super::vad::Ear;
use super::wire::Fault;
use super::{Model, Task, older, voice};
use serde_json::{Value, json};

/// What most of what a client says is.
const APPEND: &str = "input_audio_buffer.append";

/// How most clients write it: nothing that is base64 needs to be escaped, so what stands between these two can be read at once.
const APPENDED: (&str, &str) = (r#"{"type":"input_audio_buffer.append","audio":""#, "\"}");

/// The longest id a client may give an item.
const ID_CHARS: usize = 32;

impl Model {
    /// Reads one frame.
    pub(super) fn read(&mut self, text: &str) {
        let (before, behind) = APPENDED;
        let sound = text
            .strip_prefix(before)
            .and_then(|rest| rest.strip_suffix(behind));
        // What is no base64 may be anything, and is read as the other events are.
        if sound.is_some_and(|sound| self.append(sound).is_ok()) {
            return;
        }
        let event: Value = match serde_json::from_str(text) {
            Ok(event) => event,
            Err(_) => {
                let said = "We could not parse the JSON body of your event.";
                return self.say(Fault::new("invalid_json", said).event(None));
            }
        };
        let about = event["event_id"].as_str().map(str::to_string);
        let event = match self.older {
            true => older::read(event),
            false => Ok(event),
        };
        if let Err(fault) = event.and_then(|event| self.follow(&event)) {
            self.note(|| {
                What::Complained(format!(
                    "{}: {}",
                    fault.code.unwrap_or("null"),
                    fault.message
                ))
            });
            self.say(fault.event(about.as_deref()));
        }
    }

    fn follow(&mut self, event: &Value) -> Result<(), Fault> {
        match text(event, "type")? {
            "session.update" => self.update(event),
            APPEND => self.append(text(event, "audio")?),
            "input_audio_buffer.commit" => self.commit_buffer(),
            "input_audio_buffer.clear" => {
                self.ear.take();
                self.next_turn = None;
                self.say(json!({"type": "input_audio_buffer.cleared"}));
                Ok(())
            }
            "conversation.item.create" => self.create(event),
            "conversation.item.retrieve" => {
                let id = text(event, "item_id")?;
                let found = self.memory.find(id).map(|item| item.wire.clone());
                let item = found.ok_or_else(|| not_found("item_retrieve_invalid_item_id", id))?;
                self.say(json!({"type": "conversation.item.retrieved", "item": item}));
                Ok(())
            }
            "conversation.item.truncate" => self.truncate(event),
            "conversation.item.delete" => self.delete(text(event, "item_id")?),
            "response.create" => {
                self.note(|| What::Asked);
                self.respond(&event["response"])
            }
            "response.cancel" => self.cancel(event["response_id"].as_str(), "client_cancelled"),
            other => {
                let said = format!("Unknown event type: '{other}'.");
                Err(Fault::new("unknown_event", said).at("type"))
            }
        }
    }

    fn update(&mut self, event: &Value) -> Result<(), Fault> {
        let update = self.setup.behaviour.update;
        match update {
            Update::Ignored => return Ok(()),
            Update::Rejected => {
                let said = "Unknown parameter: 'session.type'.";
                return Err(Fault::new("unknown_parameter", said).at("session.type"));
            }
            Update::Honest | Update::Differs => {}
        }
        if self.cannot_truncate() && event["session"].get("truncation").is_some() {
            let said = "Unknown parameter: 'session.truncation'.";
            return Err(Fault::new("unknown_parameter", said).at("session.truncation"));
        }
        let before = self.settings.input_format();
        let prices = &self.setup.prices;
        let spoken = self.memory.spoken();
        // The cloud looks for a deployment of that name when there is something to transcribe, and not before.
        let later = self.house == House::Azure;
        self.settings.update(&event["session"], spoken, |model| {
            later || prices.transcription(model).is_some()
        })?;
        if update == Update::Differs {
            Settings::defy(&mut self.settings);
        }
        let after = self.settings.input_format();
        (self.input_format, self.listening) = (after, self.settings.listening());
        if after != before {
            self.ear = Ear::new(after.rate(), self.ear.clock_ms());
            self.next_turn = None;
        }
        self.say(json!({"type": "session.updated", "session": self.settings.echo()}));
        Ok(())
    }

    fn append(&mut self, audio: &str) -> Result<(), Fault> {
        let bytes = base64_simd::STANDARD.decode_to_vec(audio).map_err(|_| {
            Fault::new("invalid_value", "Invalid 'audio'. Expected base64.").at("audio")
        })?;
        let samples = voice::decode(self.input_format, &bytes);
        self.note_sound(&samples);
        let storm = self.setup.behaviour.storm;
        for heard in self.ear.append(&samples, self.listening, storm) {
            self.heard(heard);
        }
        Ok(())
    }

    fn commit_buffer(&mut self) -> Result<(), Fault> {
        let ms = self.ear.waiting_ms();
        if ms < 100.0 {
            return Err(Fault::new(
                "input_audio_buffer_commit_empty",
                format!(
                    "Error committing input audio buffer: buffer too small. \
                     Expected at least 100ms of audio, but buffer only has {ms:.2}ms of audio."
                ),
            ));
        }
        let samples = self.ear.take();
        self.commit(samples);
        Ok(())
    }

    fn create(&mut self, event: &Value) -> Result<(), Fault> {
        let mut wire = event["item"].clone();
        check_item(&wire)?;
        let behind = event["previous_item_id"].as_str();
        if let Some(behind) = behind.filter(|_| self.setup.behaviour.inserts_refused) {
            return Err(not_found("item_not_found", behind).at("previous_item_id"));
        }
        let id = match wire["id"].as_str() {
            Some(id) => id.to_string(),
            None => self.ids.next("item"),
        };
        wire["id"] = id.clone().into();
        wire["status"] = "completed".into();
        if let Some(output) = wire["output"].as_str() {
            self.told.push(output.to_string());
        }
        let item = Item::written(id, wire.clone(), self.scale());
        let previous = self.memory.add(item, behind)?;
        self.note_told(&wire);
        for kind in ["conversation.item.added", "conversation.item.done"] {
            let event = json!({"type": kind, "previous_item_id": previous, "item": wire});
            self.acknowledge(event);
        }
        Ok(())
    }

    fn delete(&mut self, id: &str) -> Result<(), Fault> {
        let missing = || not_found("item_delete_invalid_item_id", id).at("item_id");
        self.memory.find(id).ok_or_else(missing)?;
        self.note(|| What::Deleted { item: id.into() });
        match self.setup.behaviour.deletes {
            Deletes::Honest => self.perform(Task::Forget(id.to_string())),
            Deletes::Late(ms) => self.plan(self.now + ms, Task::Forget(id.to_string())),
            Deletes::Never => {}
            Deletes::Refused => return Err(missing()),
        }
        Ok(())
    }

    fn truncate(&mut self, event: &Value) -> Result<(), Fault> {
        let id = text(event, "item_id")?;
        let whole = |key: &str| {
            event[key].as_u64().ok_or_else(|| {
                let said = format!("Invalid type for '{key}': expected an integer.");
                Fault::new("invalid_type", said).at(key)
            })
        };
        let (content, audio_end_ms) = (whole("content_index")?, whole("audio_end_ms")?);
        let had_ms = self.memory.find(id).map_or(0, |item| item.spoken_ms);
        self.memory.truncate(id, content, audio_end_ms)?;
        self.note(|| What::Truncated {
            item: id.into(),
            audio_end_ms,
            had_ms,
        });
        self.acknowledge(json!({
            "type": "conversation.item.truncated", "item_id": id,
            "content_index": content, "audio_end_ms": audio_end_ms,
        }));
        Ok(())
    }
}

fn text<'a>(event: &'a Value, key: &str) -> Result<&'a str, Fault> {
    event[key].as_str().ok_or_else(|| {
        let said = format!("Missing required parameter: '{key}'.");
        Fault::new("missing_required_parameter", said).at(key)
    })
}

/// Whether a client may add this.
pub(super) fn check_item(item: &Value) -> Result<(), Fault> {
    let wrong = |path: &str| {
        Err(Fault::new("invalid_value", format!("Invalid value: '{path}'.")).at(path.to_string()))
    };
    if item["id"]
        .as_str()
        .is_some_and(|id| id.is_empty() || id.len() > ID_CHARS)
    {
        return wrong("item.id");
    }
    match item["type"].as_str() {
        Some("function_call_output")
            if item["call_id"].is_string() && item["output"].is_string() =>
        {
            Ok(())
        }
        Some("function_call") if item["name"].is_string() && item["arguments"].is_string() => {
            Ok(())
        }
        Some("function_call_output" | "function_call") => wrong("item"),
        Some("message") => {
            let allowed: &[&str] = match item["role"].as_str() {
                Some("user") => &["input_text", "input_audio", "input_image"],
                Some("assistant") => &["output_text"],
                Some("system") => &["input_text"],
                _ => return wrong("item.role"),
            };
            let Some(parts) = item["content"].as_array() else {
                return wrong("item.content");
            };
            let known = |part: &Value| part["type"].as_str().is_some_and(|t| allowed.contains(&t));
            if parts.iter().all(known) {
                Ok(())
            } else {
                wrong("item.content[0].type")
            }
        }
        _ => wrong("item.type"),
    }
}

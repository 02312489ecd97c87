//! The caller's turns: heard, committed, transcribed, and perhaps answered unasked.
//!
//! The order of these events is the provider's: the id of a turn is told when it begins, its item exists when it is
//! committed, and what was said in it comes later, when another model has listened to it.

use super::behaviour::Transcription;
use super::diary::What;
use super::memory::Item;
use super::vad::Heard;
use super::wire::words;
use super::{Model, Task, TranscriptionBill, invoice};
use serde_json::{Value, json};

/// How long a transcription takes to fail, in milliseconds.
const FAILS_AFTER_MS: u64 = 600;

impl Model {
    /// Something was heard in what was appended.
    pub(super) fn heard(&mut self, heard: Heard) {
        match heard {
            Heard::Started { at_ms } => {
                let item = self.ids.next("item");
                self.next_turn = Some(item.clone());
                self.note(|| What::SpeechStarted);
                self.say(json!({
                    "type": "input_audio_buffer.speech_started", "audio_start_ms": at_ms, "item_id": item,
                }));
                if self.settings.yields() {
                    // Nothing to cancel is no error here: nobody asked.
                    let _ = self.cancel(None, "turn_detected");
                }
            }
            Heard::Stopped { at_ms, samples } => {
                self.say(json!({
                    "type": "input_audio_buffer.speech_stopped", "audio_end_ms": at_ms, "item_id": self.next_turn,
                }));
                self.commit(samples);
                if self.settings.answers() || self.setup.behaviour.self_answer {
                    // While another answer runs the provider keeps silent about it.
                    let _ = self.respond(&json!({}));
                }
            }
        }
    }

    /// Makes a turn of the caller an item of the conversation.
    pub(super) fn commit(&mut self, samples: Vec<i16>) {
        let id = self
            .next_turn
            .take()
            .unwrap_or_else(|| self.ids.next("item"));
        let previous = self.memory.last_id();
        self.note(|| What::Committed { item: id.clone() });
        self.say(json!({
            "type": "input_audio_buffer.committed", "previous_item_id": previous, "item_id": id,
        }));
        let wire = json!({
            "id": id, "type": "message", "status": "completed", "role": "user",
            "content": [{"type": "input_audio", "transcript": null}],
        });
        let rate = self.settings.input_format().rate();
        let millis = samples.len() as u64 * 1000 / u64::from(rate);
        let item = Item::heard(id.clone(), wire.clone(), samples, rate, millis);
        if self.memory.add(item, None).is_ok() {
            for kind in ["conversation.item.added", "conversation.item.done"] {
                self.say(json!({"type": kind, "previous_item_id": previous, "item": wire}));
            }
        }
        self.transcribe(&id, millis);
    }

    fn transcribe(&mut self, item: &str, millis: u64) {
        let prices = &self.setup.prices;
        let Some(model) = self.settings.transcription() else {
            return;
        };
        let rate = prices.transcription(self.stands_for(model));
        let base = |kind: &str| {
            json!({
                "type": format!("conversation.item.input_audio_transcription.{kind}"),
                "item_id": item, "content_index": 0,
            })
        };
        let Some(rate) = rate else {
            let event = failed(base("failed"), "DeploymentNotFound");
            return self.fail_transcription(item, event);
        };
        let tokens = match self.setup.behaviour.heavy {
            true => millis / 100,
            false => millis.div_ceil(400),
        };
        // Words that nobody else says can be looked for.
        let told = match self.setup.behaviour.diary {
            true => format!("The caller of {item} counts"),
            false => "The caller counts".to_string(),
        };
        let spoken = words(&told, tokens.max(1));
        let (nanos, usage) = invoice::transcription(rate, millis, spoken.len() as u64);
        let (after, event) = match self.setup.behaviour.transcription {
            Transcription::Off => return,
            Transcription::Failed => {
                let event = failed(base("failed"), "transcription_failed");
                return self.fail_transcription(item, event);
            }
            Transcription::Missing => (None, Value::Null),
            Transcription::After(ms) => {
                let mut event = base("completed");
                event["transcript"] = spoken.concat().into();
                event["usage"] = usage;
                (Some(ms), event)
            }
        };
        // The listening is paid for when it is done, whether or not anybody hears of it.
        self.invoice.transcriptions.push(TranscriptionBill {
            item: item.into(),
            millis,
            nanos,
        });
        if let Some(ms) = after {
            let task = Task::Transcribed {
                item: item.into(),
                event,
            };
            self.plan(self.now + ms, task);
        }
    }

    fn fail_transcription(&mut self, item: &str, event: Value) {
        let task = Task::Transcribed {
            item: item.into(),
            event,
        };
        self.plan(self.now + FAILS_AFTER_MS, task);
    }

    /// Says what a transcription came to.
    pub(super) fn transcribed(&mut self, item: &str, event: Value) {
        if let Some(said) = event["transcript"].as_str() {
            self.note(|| What::Words {
                item: item.into(),
                text: said.into(),
            });
            // The client may have put something else in its place meanwhile.
            let found = self.memory.find(item);
            if let Some(part) = found.and_then(|item| item.wire.pointer_mut("/content/0"))
                && part["type"] == "input_audio"
            {
                part["transcript"] = said.into();
            }
            let noise = self.ids.noise();
            self.say(json!({
                "type": "conversation.item.input_audio_transcription.delta", "item_id": item,
                "content_index": 0, "delta": said, "obfuscation": noise,
            }));
        }
        self.say(event);
    }
}

/// A transcription that failed, with a code.
fn failed(mut event: Value, code: &str) -> Value {
    event["error"] = json!({
        "type": "server_error", "code": code,
        "message": "The simulated model was told to fail.", "param": null,
    });
    event
}

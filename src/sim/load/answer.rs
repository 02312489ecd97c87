//! An answer of the model's: stamped sound, 100 ms at a time and as fast as it is heard, between the events of a real one.
//!
//! A provider generates faster than that, and a server then holds back what it was given; here it never has to, so what
//! a frame takes on its way is the server's doing.

use super::code::Code;
use super::hall::{Hall, Task};
use super::session::Session;
use super::websocket::{self, Kind};
use crate::audio::Format;
use crate::sim::model::invoice::Tokens;
use crate::sim::model::settings::{format, limit};
use crate::sim::model::wire::{Fault, usage};
use base64_simd::STANDARD;
use serde_json::{Value, json};

/// Sound in a piece, in milliseconds.
const PIECE_MS: u64 = 100;
/// Frames in a piece.
const FRAMES: u64 = 5;
/// How long a greeting or a goodbye is, in pieces.
const SHORT: u64 = 15;
/// Responses that may run beside the conversation at once.
const BESIDE: usize = 32;
/// What is said; a token each half a second.
const WORD: &str = " one";

/// A response that runs.
#[derive(Debug)]
pub(super) struct Answer {
    number: u32,
    id: String,
    item: String,
    previous: Option<String>,
    beside: bool,
    asked: Value,
    read: Tokens,
    is_pcmu: bool,
    /// Whether the limit cut it.
    cut: bool,
    pieces: u64,
    said: u64,
    /// What every delta of it begins with.
    start: Vec<u8>,
}

impl Answer {
    fn words(&self) -> u64 {
        self.said.div_ceil(5)
    }

    fn transcript(&self) -> String {
        WORD.repeat(self.words() as usize).trim_start().to_owned()
    }

    fn consumed(&self) -> Tokens {
        Tokens {
            text_out: self.words(),
            audio_out: self.said * PIECE_MS / 50,
            ..self.read
        }
    }

    fn wire(&self, status: &str) -> Value {
        let content = match status {
            "in_progress" => json!([]),
            _ => json!([{"type": "output_audio", "transcript": self.transcript()}]),
        };
        json!({"id": self.item, "type": "message", "status": status, "role": "assistant", "content": content})
    }

    fn event(&self, kind: &str, field: &str, value: Value) -> Value {
        let mut event = json!({"type": kind, "response_id": self.id, "item_id": self.item,
            "output_index": 0, "content_index": 0});
        if !field.is_empty() {
            event[field] = value;
        }
        event
    }

    fn part(&self) -> Value {
        json!({"type": "audio", "transcript": self.transcript()})
    }
}

impl Session {
    /// Begins an answer; its first sound goes out at once.
    pub(super) fn respond(&mut self, hall: &mut Hall, overrides: &Value) -> Result<(), Fault> {
        let nothing = json!({});
        let overrides = if overrides.is_null() {
            &nothing
        } else {
            overrides
        };
        let asked = self.settings.with(overrides)?;
        let beside = asked["conversation"] == "none";
        if let Some(active) = self.answers.iter().find(|answer| !answer.beside && !beside) {
            let said = format!(
                "Conversation already has an active response in progress: {}.",
                active.id
            );
            return Err(Fault::new("conversation_already_has_active_response", said));
        }
        if self.answers.len() > BESIDE {
            return Err(Fault::new(
                "rate_limit_exceeded",
                "Too many responses are in progress.",
            ));
        }
        let read = self.context(&asked);
        // A turn is answered at the length of a turn; anything else is a greeting or a goodbye.
        let wanted = match beside || self.call == super::code::NOBODY {
            true => SHORT,
            false => (hall.plan.spoken_frames() / FRAMES).max(1),
        };
        // Two tokens of sound a piece, one of text for five.
        let most = limit(&asked).map_or(u64::MAX, |tokens| tokens * 5 / 11);
        let (id, item) = (self.ids.next("resp"), self.ids.next("item"));
        let start = format!(
            r#"{{"type":"response.output_audio.delta","response_id":"{id}","item_id":"{item}","output_index":0,"content_index":0,"delta":""#
        );
        self.answered += 1;
        let answer = Answer {
            number: self.answered,
            previous: self.last_item(),
            is_pcmu: format(&asked["audio"]["output"]) == Format::Pcmu,
            id,
            item,
            beside,
            asked,
            read,
            cut: wanted > most,
            pieces: wanted.min(most),
            said: 0,
            start: start.into_bytes(),
        };
        self.open(hall, &answer);
        let number = answer.number;
        self.answers.push(answer);
        let now_us = hall.now_us();
        self.go_on(hall, number, now_us);
        Ok(())
    }

    fn open(&mut self, hall: &mut Hall, answer: &Answer) {
        let response = self.response(answer, "in_progress", Value::Null, Value::Null);
        self.say(
            hall,
            json!({"type": "response.created", "response": response}),
        );
        let item = answer.wire("in_progress");
        self.say(hall, json!({"type": "response.output_item.added", "response_id": answer.id, "output_index": 0, "item": item}));
        if !answer.beside {
            self.say(hall, json!({"type": "conversation.item.added", "previous_item_id": answer.previous, "item": item}));
        }
        let part = answer.part();
        self.say(
            hall,
            answer.event("response.content_part.added", "part", part),
        );
    }

    /// The next piece is due.
    pub fn piece_due(&mut self, hall: &mut Hall, number: u32, due_us: u64) {
        if !self.is_over() && self.answers.iter().any(|answer| answer.number == number) {
            let now_us = hall.now_us();
            if hall.tally.counts(now_us) {
                hall.tally.self_late.note(now_us - due_us);
            }
            self.go_on(hall, number, due_us);
            self.send();
        }
    }

    fn go_on(&mut self, hall: &mut Hall, number: u32, due_us: u64) {
        let Some(place) = self
            .answers
            .iter()
            .position(|answer| answer.number == number)
        else {
            return;
        };
        let mut answer = self.answers.remove(place);
        if answer.said < answer.pieces {
            if answer.said.is_multiple_of(5) {
                let kind = "response.output_audio_transcript.delta";
                self.say(hall, answer.event(kind, "delta", WORD.into()));
            }
            self.delta(hall, &answer);
            answer.said += 1;
        }
        if answer.said < answer.pieces {
            hall.plan_at(due_us + PIECE_MS * 1000, Task::Piece(self.index(), number));
            return self.answers.insert(place, answer);
        }
        match answer.cut {
            true => self.finish(
                hall,
                &answer,
                "incomplete",
                json!({"type": "incomplete", "reason": "max_output_tokens"}),
            ),
            false => self.finish(hall, &answer, "completed", Value::Null),
        }
    }

    fn delta(&mut self, hall: &mut Hall, answer: &Answer) {
        let now_us = hall.now_us();
        let code = Code::new(self.call, now_us);
        let mut text = std::mem::take(&mut hall.text);
        text.clear();
        text.extend_from_slice(&answer.start);
        if answer.is_pcmu {
            hall.sound.clear();
            for _ in 0..FRAMES {
                code.samples_pcmu(&mut hall.sound);
            }
            text.extend_from_slice(STANDARD.encode_to_string(&hall.sound).as_bytes());
        } else {
            for _ in 0..FRAMES {
                code.write_pcm(&mut text);
            }
        }
        text.extend_from_slice(br#"","event_id":""#);
        text.extend_from_slice(self.ids.next("event").as_bytes());
        text.extend_from_slice(br#""}"#);
        websocket::write(&mut self.out, Kind::Text, false, &text);
        hall.text = text;
        hall.tally.messages.from_model += 1;
        if hall.plan.is_honest(self.call) && hall.tally.counts(now_us) {
            hall.tally.down.sent += FRAMES;
        }
    }

    /// Stops the answer in the conversation; says whether there was one.
    pub(super) fn cancel_running(&mut self, hall: &mut Hall, reason: &str) -> bool {
        let Some(place) = self.answers.iter().position(|answer| !answer.beside) else {
            return false;
        };
        let answer = self.answers.remove(place);
        self.finish(
            hall,
            &answer,
            "cancelled",
            json!({"type": "cancelled", "reason": reason}),
        );
        true
    }

    fn finish(&mut self, hall: &mut Hall, answer: &Answer, status: &str, details: Value) {
        let item = answer.wire(if status == "completed" {
            "completed"
        } else {
            "incomplete"
        });
        self.say(
            hall,
            answer.event("response.output_audio.done", "", Value::Null),
        );
        let transcript = answer.transcript();
        self.say(
            hall,
            answer.event(
                "response.output_audio_transcript.done",
                "transcript",
                transcript.into(),
            ),
        );
        let part = answer.part();
        self.say(
            hall,
            answer.event("response.content_part.done", "part", part),
        );
        if !answer.beside {
            self.say(hall, json!({"type": "conversation.item.done", "previous_item_id": answer.previous, "item": item}));
        }
        self.say(hall, json!({"type": "response.output_item.done", "response_id": answer.id, "output_index": 0, "item": item}));
        let consumed = answer.consumed();
        if !answer.beside {
            self.remember(answer.item.clone(), consumed.text_out, consumed.audio_out);
        }
        hall.tally.nanos += hall.plan.prices.response(&self.model, consumed);
        let response = self.response(answer, status, details, usage(consumed));
        self.say(hall, json!({"type": "response.done", "response": response}));
        self.say(
            hall,
            json!({"type": "rate_limits.updated", "rate_limits": [
            {"name": "tokens", "limit": 800_000, "remaining": 799_000, "reset_seconds": 0.2}]}),
        );
    }

    /// The session is over: what was generated is billed.
    pub(super) fn bill_running(&mut self, hall: &mut Hall) {
        for answer in std::mem::take(&mut self.answers) {
            hall.tally.nanos += hall.plan.prices.response(&self.model, answer.consumed());
        }
    }

    /// The response object, with every key there is.
    fn response(&self, answer: &Answer, status: &str, details: Value, usage: Value) -> Value {
        let asked = &answer.asked;
        let output = match status {
            "in_progress" => json!([]),
            "completed" => json!([answer.wire("completed")]),
            _ => json!([answer.wire("incomplete")]),
        };
        let conversation = (!answer.beside).then_some(&self.conversation);
        let sound = &asked["audio"]["output"];
        json!({"object": "realtime.response", "id": answer.id, "status": status, "status_details": details,
            "output": output, "conversation_id": conversation, "output_modalities": asked["output_modalities"],
            "max_output_tokens": asked["max_output_tokens"],
            "audio": {"output": {"format": sound["format"], "voice": sound["voice"]}},
            "usage": usage, "metadata": asked["metadata"]})
    }
}

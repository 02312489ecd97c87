//! A running response: its events in the provider's order, faster than anybody can listen.
//!
//! Sound comes in pieces of a quarter of a second, words ahead of it. However a response ends, everything that was
//! opened is closed first, and one piece that was already on its way still arrives; only then comes `response.done`
//! with the bill, for what was generated and not for what was heard.

use super::behaviour::{Lost, Report};
use super::calls::Calling;
use super::diary::What;
use super::invoice::{ResponseBill, Tokens};
use super::memory::{Item, Weight};
use super::wire::{Fault, failure, quoted, usage};
use super::{Model, Out, Task, older};
use crate::audio::Format;
use serde_json::{Value, json};
use std::sync::Arc;

/// How much sound one delta holds: the average of a recorded session.
const PIECE_MS: u64 = 250;
/// How many words the transcript is ahead of the sound.
const AHEAD: u64 = 3;
/// Tokens the account may use in a minute, as `rate_limits.updated` says.
const RATE_LIMIT: u64 = 800_000;

/// What a response will be.
#[derive(Debug)]
pub enum Plan {
    /// Spoken.
    Speech {
        /// Bytes of the output's format, repeated as often as needed.
        sound: Arc<[u8]>,
        /// The output's format.
        format: Format,
        /// How long it is.
        total_ms: u64,
        /// What is said; a token each.
        words: Vec<String>,
        /// Whether the limit cut it.
        cut: bool,
    },
    /// Written.
    Text {
        /// What is written; a token each.
        words: Vec<String>,
        /// Whether the limit cut it.
        cut: bool,
    },
    /// Nothing is said: functions are called.
    Calls,
    /// It fails with this code.
    Fail(String),
    /// Nothing ever comes.
    Nothing,
}

/// A response that runs.
#[derive(Debug)]
pub struct Answer {
    /// Its id.
    pub id: String,
    /// The id of its item.
    pub item: String,
    /// The item before its own.
    pub previous: Option<String>,
    /// Whether it is beside the conversation.
    pub beside: bool,
    /// The settings it runs under.
    pub asked: Value,
    /// What it will be.
    pub plan: Plan,
    /// What it read.
    pub tokens: Tokens,
    /// Whether its item was begun.
    pub begun: bool,
    /// Sound sent, in milliseconds.
    pub said_ms: u64,
    /// Words sent.
    pub said_words: u64,
    /// Whether its item was ended before it was over.
    pub closed: bool,
    /// Functions it is going to call when it has said what it has to say.
    pub calls: Vec<Calling>,
    /// Functions it called.
    pub called: Vec<Calling>,
}

impl Answer {
    /// What was said so far.
    fn transcript(&self) -> String {
        match &self.plan {
            Plan::Speech { words, .. } | Plan::Text { words, .. } => {
                words[..self.said_words as usize].concat()
            }
            _ => String::new(),
        }
    }

    /// What it has read and generated so far.
    fn consumed(&self) -> Tokens {
        let called: u64 = self.called.iter().map(Calling::tokens).sum();
        Tokens {
            text_out: self.said_words + called,
            audio_out: self.said_ms.div_ceil(50),
            ..self.tokens
        }
    }

    /// What it has generated so far, in tokens.
    pub fn written(&self) -> u64 {
        let consumed = self.consumed();
        consumed.text_out + consumed.audio_out
    }

    /// The item as it stands.
    fn wire(&self, status: &str) -> Value {
        let content = match &self.plan {
            _ if status == "in_progress" => json!([]),
            Plan::Text { .. } => json!([{"type": "output_text", "text": self.transcript()}]),
            _ => json!([{"type": "output_audio", "transcript": self.transcript()}]),
        };
        json!({"id": self.item, "type": "message", "status": status, "role": "assistant", "content": content})
    }

    fn part(&self) -> Value {
        match self.plan {
            Plan::Text { .. } => json!({"type": "text", "text": self.transcript()}),
            _ => json!({"type": "audio", "transcript": self.transcript()}),
        }
    }

    /// An event about the item's content, with one more field.
    fn event(&self, kind: &str, field: &str, value: impl Into<Value>) -> Value {
        let mut event = json!({
            "type": kind, "response_id": self.id, "item_id": self.item, "output_index": 0, "content_index": 0,
        });
        if !field.is_empty() {
            event[field] = value.into();
        }
        event
    }
}

impl Model {
    /// Announces a response; its first sound comes after the latency.
    pub(super) fn begin_answer(&mut self, answer: Answer) {
        let response = self.object(&answer, "in_progress", Value::Null, Value::Null);
        self.say(json!({"type": "response.created", "response": response}));
        let due = self.now + self.setup.behaviour.latency_ms;
        self.plan(due, Task::Go(answer.id.clone()));
        self.answers.push(answer);
    }

    /// Goes on with a response: its next piece of sound, or all of what is no sound.
    pub(super) fn go_on(&mut self, id: &str) {
        let Some(place) = self.answers.iter().position(|answer| answer.id == id) else {
            return;
        };
        let mut answer = self.answers.remove(place);
        match &answer.plan {
            Plan::Nothing => return self.answers.insert(place, answer),
            Plan::Fail(code) => {
                let details = failure(code);
                return self.finish(answer, "failed", details);
            }
            Plan::Calls => return self.call(answer),
            Plan::Text { words, .. } => {
                let words = words.clone();
                self.open(&mut answer);
                for word in words {
                    self.delta(&answer, "response.output_text.delta", &quoted(&word));
                    answer.said_words += 1;
                }
            }
            Plan::Speech { .. } => {
                self.open(&mut answer);
                self.speak(&mut answer);
            }
        }
        match answer.plan {
            Plan::Speech { total_ms, .. } if answer.said_ms < total_ms => {
                let step = PIECE_MS * 1000 / self.setup.behaviour.speed_milli;
                self.plan(self.now + step.max(1), Task::Go(answer.id.clone()));
                self.answers.insert(place, answer);
            }
            Plan::Speech { cut: true, .. } | Plan::Text { cut: true, .. } => self.cut_short(answer),
            _ => self.call(answer),
        }
    }

    /// Ends a response that ran into its limit.
    pub(super) fn cut_short(&mut self, answer: Answer) {
        let details = json!({"type": "incomplete", "reason": "max_output_tokens"});
        self.finish(answer, "incomplete", details);
    }

    /// Cuts a response: the one named, or the one in the conversation.
    pub(super) fn cancel(&mut self, id: Option<&str>, reason: &str) -> Result<(), Fault> {
        let chosen = |answer: &Answer| match id {
            Some(id) => answer.id == id,
            None => !answer.beside,
        };
        let Some(place) = self.answers.iter().position(chosen) else {
            let said = "Cancellation failed: no active response found";
            return Err(Fault::new("response_cancel_not_active", said));
        };
        let mut answer = self.answers.remove(place);
        let cut = self.memory.find(&answer.item).is_some_and(|item| item.cut);
        if answer.begun && !cut {
            self.speak(&mut answer);
        }
        let details = json!({"type": "cancelled", "reason": reason});
        self.finish(answer, "cancelled", details);
        Ok(())
    }

    /// Begins the item of a response, once.
    fn open(&mut self, answer: &mut Answer) {
        if std::mem::replace(&mut answer.begun, true) {
            return;
        }
        let wire = answer.wire("in_progress");
        self.say(json!({
            "type": "response.output_item.added", "response_id": answer.id, "output_index": 0, "item": wire,
        }));
        if !answer.beside {
            let item = Item::begun(answer.item.clone(), wire.clone());
            answer.previous = self.memory.add(item, None).unwrap_or_default();
            self.say(json!({
                "type": "conversation.item.added", "previous_item_id": answer.previous, "item": wire,
            }));
        }
        self.say(answer.event("response.content_part.added", "part", answer.part()));
    }

    /// One piece of sound, and the words up to a little beyond it.
    fn speak(&mut self, answer: &mut Answer) {
        let Plan::Speech {
            sound,
            format,
            total_ms,
            words,
            ..
        } = &answer.plan
        else {
            return;
        };
        let until_ms = (answer.said_ms + PIECE_MS).min(*total_ms);
        if until_ms == answer.said_ms {
            return;
        }
        let (from, to) = (format.bytes(answer.said_ms), format.bytes(until_ms));
        let bytes = repeated(sound, *format, from as usize, to as usize);
        let due_words = (until_ms.div_ceil(50).div_ceil(4) + AHEAD).min(words.len() as u64);
        for word in &words[answer.said_words as usize..due_words as usize] {
            let kind = "response.output_audio_transcript.delta";
            self.delta(answer, kind, &quoted(word));
        }
        let delta = base64_simd::STANDARD.encode_to_string(&bytes);
        self.delta(
            answer,
            "response.output_audio.delta",
            &format!("\"{delta}\""),
        );
        let (first, last) = (answer.said_ms == 0, until_ms == *total_ms);
        answer.said_words = due_words;
        answer.said_ms = until_ms;
        self.note_spoken(answer, first, last);
        if let Some(item) = self.memory.find(&answer.item)
            && !item.cut
        {
            item.spoken_ms = until_ms;
            item.weight = Weight {
                text: answer.said_words,
                audio: until_ms.div_ceil(50),
                image: 0,
            };
        }
        if self.setup.behaviour.lost == Some(Lost::MidDelta) && answer.said_ms > PIECE_MS {
            self.end(Out::Drop);
        }
    }

    fn note_spoken(&mut self, answer: &Answer, first: bool, last: bool) {
        let item = || answer.item.clone();
        if first {
            self.note(|| What::Spoke { item: item() });
        }
        if last {
            self.note(|| What::SpokeAll { item: item() });
        }
    }

    /// A piece of an answer, as JSON. Written by hand, because most of what a model says is this.
    fn delta(&mut self, answer: &Answer, kind: &str, delta: &str) {
        let kind = match self.older {
            true => older::event_name(kind).unwrap_or(kind),
            false => kind,
        };
        let obfuscation = self.ids.noise();
        let (response, item) = (&answer.id, &answer.item);
        self.say_written(format!(
            r#"{{"type":"{kind}","response_id":"{response}","item_id":"{item}","output_index":0,"content_index":0,"delta":{delta},"obfuscation":"{obfuscation}""#
        ));
    }

    /// Closes what is open, and bills.
    pub(super) fn finish(&mut self, answer: Answer, status: &'static str, details: Value) {
        if self.over {
            // The connection broke while it ran: it stays on the invoice as far as it got.
            return self.answers.push(answer);
        }
        if answer.begun && !answer.closed {
            self.close_item(&answer, status);
        }
        self.note(|| What::Words {
            item: answer.item.clone(),
            text: answer.transcript(),
        });
        self.note(|| What::Done(status));
        let bill = self.bill(&answer, status);
        let report = self.setup.behaviour.usage;
        let told = match report {
            Report::Missing => Value::Null,
            Report::Shrunk => usage(bill.tokens.halved()),
            _ => usage(bill.tokens),
        };
        let left = RATE_LIMIT - usage_total(bill.tokens).min(RATE_LIMIT);
        self.invoice.responses.push(bill);
        let response = self.object(&answer, status, details, told);
        let done = json!({"type": "response.done", "response": response});
        match report {
            Report::Never => return,
            Report::Late(ms) => return self.plan(self.now + ms, Task::Say(done)),
            Report::Twice => self.say(done.clone()),
            Report::Honest | Report::Missing | Report::Shrunk => {}
        }
        self.say(done);
        // It is sometimes absent; nobody may wait for it.
        if !self.invoice.responses.len().is_multiple_of(4) {
            self.say(json!({"type": "rate_limits.updated", "rate_limits": [
                {"name": "tokens", "limit": RATE_LIMIT, "remaining": left, "reset_seconds": 0.2},
            ]}));
        }
    }

    /// Ends the item of what was said.
    pub(super) fn close_item(&mut self, answer: &Answer, status: &str) {
        let item_status = item_status(status);
        match &answer.plan {
            Plan::Text { .. } => {
                let done = "response.output_text.done";
                self.say(answer.event(done, "text", answer.transcript()));
            }
            _ => {
                self.say(answer.event("response.output_audio.done", "", Value::Null));
                let done = "response.output_audio_transcript.done";
                self.say(answer.event(done, "transcript", answer.transcript()));
            }
        }
        self.say(answer.event("response.content_part.done", "part", answer.part()));
        let wire = answer.wire(item_status);
        if let Some(item) = self.memory.find(&answer.item) {
            item.wire = wire.clone();
            if item.cut {
                item.wire["content"][0]["transcript"] = "".into();
            } else {
                let consumed = answer.consumed();
                item.weight.text = consumed.text_out;
            }
        }
        if !answer.beside {
            self.say(json!({
                "type": "conversation.item.done", "previous_item_id": answer.previous, "item": wire,
            }));
        }
        self.say(json!({
            "type": "response.output_item.done", "response_id": answer.id, "output_index": 0, "item": wire,
        }));
    }

    /// The response object, with every key there is.
    fn object(&self, answer: &Answer, status: &str, details: Value, usage: Value) -> Value {
        let asked = &answer.asked;
        let item_status = match answer.closed {
            true => "completed",
            false => item_status(status),
        };
        let said = (answer.begun && status != "in_progress").then(|| answer.wire(item_status));
        let called = answer.called.iter().map(Calling::wire);
        let output: Vec<Value> = said.into_iter().chain(called).collect();
        let conversation = (!answer.beside).then_some(&self.conversation);
        let sound = &asked["audio"]["output"];
        json!({
            "object": "realtime.response", "id": answer.id, "status": status, "status_details": details,
            "output": output, "conversation_id": conversation,
            "output_modalities": asked["output_modalities"], "max_output_tokens": asked["max_output_tokens"],
            "audio": {"output": {"format": sound["format"], "voice": sound["voice"]}},
            "usage": usage, "metadata": asked["metadata"],
        })
    }

    /// The line on the invoice.
    pub(super) fn bill(&self, answer: &Answer, status: &'static str) -> ResponseBill {
        let tokens = answer.consumed();
        ResponseBill {
            response: answer.id.clone(),
            status,
            beside: answer.beside,
            metadata: answer.asked["metadata"].to_string(),
            tokens,
            nanos: self.setup.prices.response(&self.invoice.model, tokens),
        }
    }
}

/// The status of an item in a response of this one.
fn item_status(response: &str) -> &'static str {
    match response {
        "completed" => "completed",
        _ => "incomplete",
    }
}

fn usage_total(t: Tokens) -> u64 {
    t.text_in + t.audio_in + t.image_in + t.text_out + t.audio_out
}

/// The bytes from one place to another of a sound that is said again and again; of none, silence.
fn repeated(sound: &[u8], format: Format, from: usize, to: usize) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(to - from);
    while !sound.is_empty() && from + bytes.len() < to {
        let at = (from + bytes.len()) % sound.len();
        let until = sound.len().min(at + to - from - bytes.len());
        bytes.extend_from_slice(&sound[at..until]);
    }
    bytes.resize(to - from, format.silence());
    bytes
}

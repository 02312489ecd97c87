//! One session with the model, lean: the settings are the real thing, the understanding is none.
//!
//! Whatever is said once a turn is written as [`crate::sim::model`] writes it, with the same tables of what a session may
//! be told. Whatever comes fifty times a second is looked at by hand: sound is heard for its stamps and its loudness,
//! which is all the turn detection there is.

use super::answer::Answer;
use super::code::{Ear, Found, NOBODY};
use super::hall::{Hall, Task};
use super::http::{self, Message};
use super::line::{Came, Line, Room};
use super::text::string_after;
use super::websocket::{self, Kind};
use crate::audio::Format;
use crate::sim::model::invoice::{self, Tokens};
use crate::sim::model::settings::Settings;
use crate::sim::model::wire::{Fault, Ids};
use base64_simd::STANDARD;
use serde_json::{Value, json};

/// How long a transcription takes.
const TRANSCRIBED_AFTER_US: u64 = 300_000;
/// Items that are remembered; a provider remembers more, and cuts as well.
const MOST_ITEMS: usize = 200;
/// The model when an address names none that has a price.
const USUAL: &str = "gpt-realtime-2.1";

/// What an item weighs, in tokens.
#[derive(Clone, Debug)]
pub(super) struct Item {
    id: String,
    text: u64,
    audio: u64,
}

/// A turn of the caller's.
#[derive(Debug)]
struct Turn {
    item: String,
    /// Samples of 8 kHz before it, and how many of them have been quiet since it was last loud.
    from: u64,
    quiet: u64,
}

/// A session.
#[derive(Debug)]
pub struct Session {
    index: u32,
    line: Option<Line>,
    is_open: bool,
    partial: Vec<u8>,
    pub(super) ids: Ids,
    pub(super) conversation: String,
    pub(super) settings: Settings,
    pub(super) model: String,
    is_pcmu: bool,
    silence_samples: Option<u64>,
    /// The call whose stamps are heard.
    pub(super) call: u16,
    ear: Ear,
    /// Samples of 8 kHz heard.
    heard: u64,
    turn: Option<Turn>,
    transcriptions: Vec<(u32, String, u64)>,
    transcribed: u32,
    pub(super) items: Vec<Item>,
    pub(super) answers: Vec<Answer>,
    pub(super) answered: u32,
    /// Events of one occasion, sent together.
    pub(super) out: Vec<u8>,
}

impl Session {
    /// A connection that was accepted.
    pub fn new(index: u32, line: Line, run: u64) -> Session {
        let mut ids = Ids::new(run ^ u64::from(index) << 32);
        Session {
            conversation: ids.next("conv"),
            settings: Settings::new(&ids.next("sess"), USUAL, 0),
            index,
            line: Some(line),
            is_open: false,
            partial: Vec::new(),
            ids,
            model: USUAL.to_owned(),
            is_pcmu: false,
            silence_samples: None,
            call: NOBODY,
            ear: Ear::default(),
            heard: 0,
            turn: None,
            transcriptions: Vec::new(),
            transcribed: 0,
            items: Vec::new(),
            answers: Vec::new(),
            answered: 0,
            out: Vec::new(),
        }
    }

    /// Whether it is over.
    pub fn is_over(&self) -> bool {
        self.line.is_none()
    }

    /// Something happened to its socket.
    pub fn ready(&mut self, hall: &mut Hall, room: &mut Room) {
        let Some(mut line) = self.line.take() else {
            return;
        };
        line.flush();
        loop {
            let came = line.fill(room);
            if !self.read(hall, &mut line, room, came) || came.over {
                // What it was billed for stays billed.
                return self.bill_running(hall);
            }
            if !came.more {
                break;
            }
        }
        self.line = Some(line);
    }

    /// Reads what came; says whether the connection goes on.
    fn read(&mut self, hall: &mut Hall, line: &mut Line, room: &mut Room, came: Came) -> bool {
        let mut at = 0;
        if !self.is_open {
            match Message::read(&room.plain[..came.bytes], false) {
                Ok(Some(request)) => {
                    at = request.end;
                    if !self.begin(hall, line, &request) {
                        return false;
                    }
                }
                Ok(None) => {}
                Err(_) => return false,
            }
        }
        while self.is_open {
            match websocket::next(&mut room.plain[..came.bytes], at) {
                Ok(Some(frame)) => {
                    at = frame.payload.end;
                    let payload = &room.plain[frame.payload.clone()];
                    match frame.kind {
                        Kind::Text if frame.last => self.message(hall, payload),
                        Kind::Text | Kind::More => {
                            self.partial.extend_from_slice(payload);
                            if frame.last {
                                let whole = std::mem::take(&mut self.partial);
                                self.message(hall, &whole);
                            }
                        }
                        Kind::Ping => websocket::write(&mut self.out, Kind::Pong, false, payload),
                        Kind::Close => {
                            websocket::write(&mut self.out, Kind::Close, false, payload);
                            line.send(&self.out);
                            line.close();
                            return false;
                        }
                        Kind::Pong | Kind::Binary => {}
                    }
                    if !self.out.is_empty() {
                        line.send(&self.out);
                        self.out.clear();
                    }
                }
                Ok(None) => break,
                Err(websocket::Broken) => return false,
            }
        }
        line.keep(&room.plain[at..came.bytes]);
        true
    }

    fn begin(&mut self, hall: &mut Hall, line: &mut Line, request: &Message) -> bool {
        let Some(key) = request.header("sec-websocket-key") else {
            line.send(&http::answer(426, "{}"));
            line.close();
            return false;
        };
        let answer = format!(
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: {}\r\n\r\n",
            websocket::accept(key)
        );
        line.send(answer.as_bytes());
        let (_, path) = request.asked();
        let query = path.split_once('?').map_or("", |(_, query)| query);
        let named = form_urlencoded::parse(query.as_bytes())
            .find(|(name, _)| name == "model")
            .map(|(_, model)| model.into_owned());
        if let Some(model) = named.filter(|model| hall.plan.prices.has(model)) {
            self.settings = Settings::new(&self.ids.next("sess"), &model, 0);
            self.model = model;
        }
        self.is_open = true;
        self.obey();
        let created = json!({"type": "session.created", "session": self.settings.echo()});
        self.say(hall, created);
        line.send(&self.out);
        self.out.clear();
        true
    }

    /// Takes from the settings what is needed for every frame.
    fn obey(&mut self) {
        self.is_pcmu = self.settings.input_format() == Format::Pcmu;
        let listening = self.settings.listening();
        self.silence_samples = listening.map(|how| how.silence_ms.max(60) * 8);
    }

    /// Writes an event.
    pub(super) fn say(&mut self, hall: &mut Hall, mut event: Value) {
        event["event_id"] = self.ids.next("event").into();
        websocket::write(
            &mut self.out,
            Kind::Text,
            false,
            event.to_string().as_bytes(),
        );
        hall.tally.messages.from_model += 1;
    }

    fn message(&mut self, hall: &mut Hall, text: &[u8]) {
        hall.tally.messages.to_model += 1;
        let start = &text[..text.len().min(400)];
        if let Some(at) = memchr::memmem::find(start, br#""audio":"#)
            && let Some(sound) = string_after(&text[at..], r#""audio":"#)
        {
            return self.sound(hall, sound, self.is_pcmu);
        }
        // A relay that passes the carrier's own frames on.
        if let Some(at) = memchr::memmem::find(start, br#""payload":"#)
            && let Some(sound) = string_after(&text[at..], r#""payload":"#)
        {
            return self.sound(hall, sound, true);
        }
        let Ok(event) = serde_json::from_slice::<Value>(text) else {
            let said = "We could not parse the JSON body of your event.";
            let fault = Fault::new("invalid_json", said).event(None);
            return self.say(hall, fault);
        };
        if event.get("type").is_none() && event.get("event").is_some() {
            return;
        }
        let about = event["event_id"].as_str();
        if let Err(fault) = self.follow(hall, &event) {
            hall.tally
                .violated(|| format!("the model refused: {}", fault.message));
            let event = fault.event(about);
            self.say(hall, event);
        }
    }

    fn sound(&mut self, hall: &mut Hall, base64: &[u8], is_pcmu: bool) {
        let now_us = hall.now_us();
        let mut sound = std::mem::take(&mut hall.sound);
        sound.clear();
        if STANDARD.decode_append(base64, &mut sound).is_err() {
            hall.sound = sound;
            return hall
                .tally
                .violated(|| "sound that is not base64".to_owned());
        }
        let (tally, plan, call) = (&mut hall.tally, &hall.plan, &mut self.call);
        let note = |found| {
            let Found::Code(code) = found else { return };
            if usize::from(code.call) >= plan.calls {
                return;
            }
            *call = code.call;
            let age_us = code.age_us(now_us);
            if plan.is_honest(code.call) && tally.counts(now_us - age_us.min(now_us)) {
                tally.up.arrived += 1;
                tally.up.took.note(age_us);
            }
        };
        let (loud, samples) = match is_pcmu {
            true => (self.ear.hear_pcmu(&sound, note), sound.len() as u64),
            false => (self.ear.hear_pcm(&sound, note), sound.len() as u64 / 6),
        };
        hall.sound = sound;
        self.heard += samples;
        self.listen(hall, loud, samples);
    }

    /// Turn detection: loud is speech, and so much quiet ends it.
    fn listen(&mut self, hall: &mut Hall, loud: bool, samples: u64) {
        let Some(silence) = self.silence_samples else {
            return;
        };
        match &mut self.turn {
            None if loud => {
                let item = self.ids.next("item");
                let from = self.heard - samples;
                self.turn = Some(Turn {
                    item: item.clone(),
                    from,
                    quiet: 0,
                });
                self.say(hall, json!({"type": "input_audio_buffer.speech_started", "audio_start_ms": from / 8, "item_id": item}));
                if self.settings.yields() {
                    self.cancel_running(hall, "turn_detected");
                }
            }
            None => {}
            Some(turn) if loud => turn.quiet = 0,
            Some(turn) => {
                turn.quiet += samples;
                if turn.quiet >= silence {
                    let item = turn.item.clone();
                    let end_ms = self.heard / 8;
                    self.say(hall, json!({"type": "input_audio_buffer.speech_stopped", "audio_end_ms": end_ms, "item_id": item}));
                    self.commit(hall);
                    if self.settings.answers() {
                        // While another answer runs the provider keeps silent about it.
                        let _ = self.respond(hall, &Value::Null);
                    }
                }
            }
        }
    }

    fn commit(&mut self, hall: &mut Hall) {
        let Some(turn) = self.turn.take() else {
            return;
        };
        let (id, millis) = (turn.item, (self.heard - turn.from) / 8);
        let previous = self.items.last().map(|item| item.id.clone());
        self.say(hall, json!({"type": "input_audio_buffer.committed", "previous_item_id": previous, "item_id": id}));
        let item = json!({"id": id, "type": "message", "status": "completed", "role": "user",
            "content": [{"type": "input_audio", "transcript": null}]});
        for kind in ["conversation.item.added", "conversation.item.done"] {
            self.say(
                hall,
                json!({"type": kind, "previous_item_id": previous, "item": item}),
            );
        }
        self.remember(id.clone(), 0, millis / 100);
        if self.settings.transcription().is_some() {
            self.transcribed += 1;
            self.transcriptions.push((self.transcribed, id, millis));
            let due_us = hall.now_us() + TRANSCRIBED_AFTER_US;
            hall.plan_at(due_us, Task::Transcribed(self.index, self.transcribed));
        }
    }

    pub(super) fn remember(&mut self, id: String, text: u64, audio: u64) {
        self.items.push(Item { id, text, audio });
        if self.items.len() > MOST_ITEMS {
            self.items.remove(0);
        }
    }

    /// What was said in a turn is known.
    pub fn transcribed(&mut self, hall: &mut Hall, number: u32) {
        let Some(place) = self
            .transcriptions
            .iter()
            .position(|(n, _, _)| *n == number)
        else {
            return;
        };
        let (_, item, millis) = self.transcriptions.remove(place);
        let rate = self.settings.transcription();
        let Some(rate) = rate.and_then(|model| hall.plan.prices.transcription(model)) else {
            return;
        };
        let said = "The caller counts one two three four five six";
        let (nanos, usage) = invoice::transcription(rate, millis, 9);
        hall.tally.nanos += nanos;
        let kind = "conversation.item.input_audio_transcription";
        self.say(hall, json!({"type": format!("{kind}.delta"), "item_id": item, "content_index": 0, "delta": said}));
        self.say(
            hall,
            json!({"type": format!("{kind}.completed"), "item_id": item, "content_index": 0,
            "transcript": said, "usage": usage}),
        );
        self.send();
    }

    /// Sends what was written outside of an occasion of its own.
    pub(super) fn send(&mut self) {
        if let Some(line) = &mut self.line {
            line.send(&self.out);
        }
        self.out.clear();
    }

    fn follow(&mut self, hall: &mut Hall, event: &Value) -> Result<(), Fault> {
        let id = || event["item_id"].as_str().unwrap_or_default().to_owned();
        match event["type"].as_str().unwrap_or_default() {
            "session.update" => {
                let prices = &hall.plan.prices;
                let known = |model: &str| prices.transcription(model).is_some();
                self.settings.update(&event["session"], false, known)?;
                self.obey();
                let updated = json!({"type": "session.updated", "session": self.settings.echo()});
                self.say(hall, updated);
            }
            "response.create" => self.respond(hall, &event["response"])?,
            "response.cancel" => {
                if !self.cancel_running(hall, "client_cancelled") {
                    let said = "Cancellation failed: no active response found";
                    return Err(Fault::new("response_cancel_not_active", said));
                }
            }
            "conversation.item.create" => self.create(hall, event["item"].clone()),
            "conversation.item.delete" => {
                let id = id();
                self.items.retain(|item| item.id != id);
                self.say(
                    hall,
                    json!({"type": "conversation.item.deleted", "item_id": id}),
                );
            }
            "conversation.item.truncate" => {
                let event = json!({"type": "conversation.item.truncated", "item_id": id(),
                    "content_index": event["content_index"], "audio_end_ms": event["audio_end_ms"]});
                self.say(hall, event);
            }
            "input_audio_buffer.commit" => self.commit(hall),
            "input_audio_buffer.clear" => {
                self.turn = None;
                self.say(hall, json!({"type": "input_audio_buffer.cleared"}));
            }
            other => {
                let said = format!("Unknown event type: '{other}'.");
                return Err(Fault::new("unknown_event", said).at("type"));
            }
        }
        Ok(())
    }

    fn create(&mut self, hall: &mut Hall, mut item: Value) {
        let id = match item["id"].as_str() {
            Some(id) => id.to_owned(),
            None => self.ids.next("item"),
        };
        item["id"] = id.clone().into();
        item["status"] = "completed".into();
        let previous = self.items.last().map(|item| item.id.clone());
        let parts = item["content"].as_array().into_iter().flatten();
        let letters: usize = parts
            .filter_map(|part| part["text"].as_str())
            .map(str::len)
            .sum();
        self.remember(id, letters as u64 / 4, 0);
        for kind in ["conversation.item.added", "conversation.item.done"] {
            self.say(
                hall,
                json!({"type": kind, "previous_item_id": previous, "item": item}),
            );
        }
    }

    /// What a response in the conversation reads.
    pub(super) fn context(&mut self, asked: &Value) -> Tokens {
        let instructions = asked["instructions"].as_str().unwrap_or_default();
        let text = instructions.len() as u64 / 4;
        if asked["conversation"] == "none" || asked["input"].is_array() {
            return Tokens {
                text_in: text,
                ..Tokens::default()
            };
        }
        let (limit, keep) = self.settings.kept_tokens().unwrap_or((28_000, 28_000));
        let weigh = |items: &[Item]| items.iter().map(|item| item.text + item.audio).sum::<u64>();
        if weigh(&self.items) > limit {
            while weigh(&self.items) > keep {
                self.items.remove(0);
            }
        }
        Tokens {
            text_in: text + self.items.iter().map(|item| item.text).sum::<u64>(),
            audio_in: self.items.iter().map(|item| item.audio).sum(),
            ..Tokens::default()
        }
    }

    /// The name of the last item.
    pub(super) fn last_item(&self) -> Option<String> {
        self.items.last().map(|item| item.id.clone())
    }

    /// Which session it is.
    pub(super) fn index(&self) -> u32 {
        self.index
    }
}

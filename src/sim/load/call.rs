//! One caller: asks what to do as a carrier does, opens the media stream, and talks and listens on it.
//!
//! It does what [`crate::sim::phone`] does and as little else as possible: what the agent says is not kept, only its
//! stamps are read, and what the caller says is stamped silence.

use super::code::{Code, Ear, Found, NOBODY};
use super::figures::Ending;
use super::hall::{Hall, Task};
use super::http::Message;
use super::line::{Line, Room};
use super::target::{Scheme, Target};
use super::text::{push_number, string_after};
use super::webhook::{Web, Wish};
use super::websocket::{self, Kind};
use super::{FRAME_US, TURN_US, token};
use base64_simd::STANDARD;
use std::collections::VecDeque;

/// How far a call has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// It has not begun.
    Waiting,
    /// Its webhook is being answered.
    Asking,
    /// Its stream is being opened.
    Opening,
    /// They talk.
    Live,
    /// The stream is closed, and the server is asked what comes after it.
    After,
    /// It has ended, and the server is told.
    Telling,
    /// Nothing more will happen.
    Over,
}

/// How long a server may take to answer or to open a stream.
const PATIENCE_US: u64 = 15_000_000;
/// The caller listens first: to a greeting, if there is one.
const LISTENS_US: u64 = 2_500_000;
/// A microsecond of mu-law is this part of a byte.
const US_PER_BYTE: u64 = 125;

/// A caller.
#[derive(Debug)]
pub struct Call {
    pub(super) index: u32,
    pub(super) sid: String,
    pub(super) stream_sid: String,
    pub(super) from: String,
    pub(super) stage: Stage,
    pub(super) ending: Option<Ending>,
    pub(super) web: Web,
    stream: Option<Line>,
    /// A message that has not come whole.
    partial: Vec<u8>,
    begun_us: u64,
    pub(super) opened_us: u64,
    parameters: Vec<(String, String)>,
    sequence: u64,
    frames: u64,
    /// Where in a turn of talk it is when the load begins.
    phase_us: u64,
    /// Frames of speech that are still to be said.
    to_say: u64,
    has_spoken: bool,
    has_heard: bool,
    ear: Ear,
    /// When everything that came will have been played.
    played_us: u64,
    marks: VecDeque<(u64, Vec<u8>)>,
}

impl Call {
    /// A caller who has not called yet.
    pub fn new(index: u32, hall: &Hall) -> Call {
        let calls = hall.plan.calls as u64;
        let place = u64::from(index);
        // Neighbours in the ramp are far apart in their turns, and all turns are evenly spread.
        let shuffled = place
            .wrapping_mul(0x9E37_79B9 | 1)
            .wrapping_add(hall.plan.seed)
            % calls;
        let number = hall.run.wrapping_add(place) % 10_000_000;
        Call {
            index,
            sid: format!("CA{:024x}{index:08x}", hall.run),
            stream_sid: format!("MZ{:024x}{index:08x}", hall.run),
            from: format!("+1415{number:07}"),
            stage: Stage::Waiting,
            ending: None,
            web: Web::default(),
            stream: None,
            partial: Vec::new(),
            begun_us: 0,
            opened_us: 0,
            parameters: Vec::new(),
            sequence: 0,
            frames: 0,
            phase_us: shuffled * TURN_US / calls,
            to_say: 0,
            has_spoken: false,
            has_heard: false,
            ear: Ear::default(),
            played_us: 0,
            marks: VecDeque::new(),
        }
    }

    /// Calls.
    pub fn begin(&mut self, hall: &mut Hall) {
        self.begun_us = hall.now_us();
        hall.plan_at(self.begun_us + PATIENCE_US, Task::Patience(self.index));
        let target = hall.plan.target.clone();
        match target.scheme {
            Scheme::Http | Scheme::Https => {
                self.stage = Stage::Asking;
                self.ask(hall, target, Wish::Document);
            }
            Scheme::Ws | Scheme::Wss => self.open(hall, &target, None),
        }
    }

    /// Opens the stream.
    pub(super) fn open_at(
        &mut self,
        hall: &mut Hall,
        url: &str,
        parameters: Vec<(String, String)>,
    ) {
        self.parameters = parameters;
        match hall.reach(url) {
            Ok(target) => {
                let signature = hall.plan.sign(url, &[]);
                self.open(hall, &target, Some(signature));
            }
            Err(unfit) => {
                hall.tally.violated(|| unfit.to_string());
                self.end(hall, Ending::Refused);
            }
        }
    }

    fn open(&mut self, hall: &mut Hall, target: &Target, signature: Option<String>) {
        self.stage = Stage::Opening;
        let line = hall.encryption(target).and_then(|tls| {
            Line::dial(
                target.address,
                tls,
                &hall.registry,
                token::stream(self.index),
            )
            .map_err(|error| error.to_string())
        });
        let mut line = match line {
            Ok(line) => line,
            Err(why) => {
                hall.tally.violated(|| why);
                return self.end(hall, Ending::Refused);
            }
        };
        let signed = signature.map(|signature| format!("X-Twilio-Signature: {signature}\r\n"));
        let request = format!(
            "GET {} HTTP/1.1\r\nHost: {}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {}\r\n{}\r\n",
            target.path,
            target.host,
            websocket::KEY,
            signed.unwrap_or_default()
        );
        line.send(request.as_bytes());
        self.stream = Some(line);
    }

    /// Something happened to the stream's socket.
    pub fn stream_ready(&mut self, hall: &mut Hall, room: &mut Room) {
        let Some(mut line) = self.stream.take() else {
            return;
        };
        line.flush();
        loop {
            let came = line.fill(room);
            let mut at = 0;
            if self.stage == Stage::Opening {
                match Message::read(&room.plain[..came.bytes], came.over) {
                    Ok(None) if !came.over => {}
                    Ok(Some(answer)) if answer.status() == 101 => {
                        at = answer.end;
                        self.opened(hall, &mut line);
                    }
                    _ => return self.end(hall, Ending::Refused),
                }
            }
            while self.stage == Stage::Live {
                match websocket::next(&mut room.plain[..came.bytes], at) {
                    Ok(Some(frame)) => {
                        at = frame.payload.end;
                        self.frame_came(hall, &mut line, &frame, &room.plain);
                    }
                    Ok(None) => break,
                    Err(websocket::Broken) => {
                        hall.tally
                            .violated(|| "a frame that is no WebSocket".to_owned());
                        return self.left(hall, line, Ending::Lost);
                    }
                }
            }
            match self.stage {
                Stage::Live | Stage::Opening => line.keep(&room.plain[at..came.bytes]),
                // What still comes after the end is not heard.
                _ if came.over => return,
                _ => {}
            }
            if came.over {
                return self.left(hall, line, Ending::Lost);
            }
            if !came.more {
                break;
            }
        }
        self.stream = Some(line);
    }

    fn opened(&mut self, hall: &mut Hall, line: &mut Line) {
        let now_us = hall.now_us();
        self.stage = Stage::Live;
        self.opened_us = now_us;
        hall.tally.setup.note(now_us - self.begun_us);
        let custom: serde_json::Map<_, _> = std::mem::take(&mut self.parameters)
            .into_iter()
            .map(|(name, value)| (name, value.into()))
            .collect();
        let (sid, account, call) = (&self.stream_sid, &hall.plan.account, &self.sid);
        let start = serde_json::json!({"event": "start", "sequenceNumber": "1", "streamSid": sid, "start": {
            "streamSid": sid, "accountSid": account, "callSid": call, "tracks": ["inbound"], "customParameters": custom,
            "mediaFormat": {"encoding": "audio/x-mulaw", "sampleRate": 8000, "channels": 1}}});
        let connected = r#"{"event":"connected","protocol":"Call","version":"1.0.0"}"#;
        self.sequence = 1;
        let mut frames = Vec::new();
        websocket::write(&mut frames, Kind::Text, true, connected.as_bytes());
        websocket::write(&mut frames, Kind::Text, true, start.to_string().as_bytes());
        hall.tally.messages.to_server += 2;
        line.send(&frames);
        // Frames of all calls are evenly spread over 20 ms.
        let calls = hall.plan.calls as u64;
        let phase_us = u64::from(self.index) * FRAME_US / calls;
        let first_us = (now_us / FRAME_US + 2) * FRAME_US + phase_us;
        hall.plan_at(first_us, Task::Frame(self.index));
    }

    /// A frame of the caller's sound is due.
    pub fn frame_due(&mut self, hall: &mut Hall, due_us: u64) {
        if self.stage != Stage::Live {
            return;
        }
        let Some(mut line) = self.stream.take() else {
            return;
        };
        let turn_us = (due_us + self.phase_us) % TURN_US;
        if turn_us < FRAME_US && due_us > self.opened_us + LISTENS_US {
            self.to_say = hall.plan.spoken_frames();
        }
        let now_us = hall.now_us();
        let counts = hall.tally.counts(now_us);
        if counts {
            hall.tally.self_late.note(now_us - due_us);
        }
        let code = (self.to_say > 0).then(|| Code::new(self.index as u16, now_us));
        self.write_media(&mut hall.text, code);
        if code.is_some() {
            self.to_say -= 1;
            self.has_spoken = true;
            hall.tally.up.sent += u64::from(counts);
        }
        hall.frames.clear();
        websocket::write(&mut hall.frames, Kind::Text, true, &hall.text);
        line.send(&hall.frames);
        hall.tally.messages.to_server += 1;
        hall.plan_at(due_us + FRAME_US, Task::Frame(self.index));
        self.stream = Some(line);
    }

    fn write_media(&mut self, text: &mut Vec<u8>, code: Option<Code>) {
        self.sequence += 1;
        self.frames += 1;
        text.clear();
        text.extend_from_slice(br#"{"event":"media","sequenceNumber":""#);
        push_number(text, self.sequence);
        text.extend_from_slice(br#"","streamSid":""#);
        text.extend_from_slice(self.stream_sid.as_bytes());
        text.extend_from_slice(br#"","media":{"track":"inbound","chunk":""#);
        push_number(text, self.frames);
        text.extend_from_slice(br#"","timestamp":""#);
        push_number(text, (self.frames - 1) * FRAME_US / 1000);
        text.extend_from_slice(br#"","payload":""#);
        match code {
            Some(code) => code.write_pcmu(text),
            None => text.extend_from_slice(Code::silence_pcmu()),
        }
        text.extend_from_slice(br#""}}"#);
    }

    fn frame_came(
        &mut self,
        hall: &mut Hall,
        line: &mut Line,
        frame: &websocket::Frame,
        plain: &[u8],
    ) {
        let payload = &plain[frame.payload.clone()];
        match frame.kind {
            Kind::Text if frame.last => self.message(hall, line, payload),
            Kind::Text | Kind::More => {
                self.partial.extend_from_slice(payload);
                if frame.last {
                    let whole = std::mem::take(&mut self.partial);
                    self.message(hall, line, &whole);
                }
            }
            Kind::Binary => hall.tally.violated(|| "a binary frame (31950)".to_owned()),
            Kind::Ping => {
                hall.frames.clear();
                websocket::write(&mut hall.frames, Kind::Pong, true, payload);
                line.send(&hall.frames);
            }
            Kind::Pong => {}
            Kind::Close => {
                hall.frames.clear();
                websocket::write(&mut hall.frames, Kind::Close, true, payload);
                line.send(&hall.frames);
                line.close();
                self.leave(hall, Ending::Server);
            }
        }
    }

    fn message(&mut self, hall: &mut Hall, line: &mut Line, text: &[u8]) {
        hall.tally.messages.from_server += 1;
        let now_us = hall.now_us();
        if let Some(payload) = string_after(text, r#""payload":"#) {
            return self.sound(hall, now_us, payload, false);
        }
        // Behind a relay it is the model that speaks. 100 ms are 6,400 characters of 16 bits, or 1,068 of mu-law.
        if let Some(delta) = string_after(text, r#""delta":"#) {
            if memchr::memmem::find(text, b"output_audio.delta").is_some() {
                self.sound(hall, now_us, delta, delta.len() > 3_000);
            }
            return;
        }
        match string_after(text, r#""event":"#) {
            Some(b"mark") => match string_after(text, r#""name":"#) {
                Some(name) if !name.is_empty() => {
                    let due_us = self.played_us.max(now_us);
                    self.marks.push_back((due_us, name.to_vec()));
                    hall.plan_at(due_us, Task::Mark(self.index));
                }
                _ => hall
                    .tally
                    .violated(|| "a mark without a name (31951)".to_owned()),
            },
            Some(b"clear") => {
                self.played_us = now_us;
                self.echo_marks(hall, line, u64::MAX);
            }
            None if string_after(text, r#""type":"#).is_some() => {}
            _ => hall
                .tally
                .violated(|| "an event that the carrier does not know (31951)".to_owned()),
        }
    }

    fn sound(&mut self, hall: &mut Hall, now_us: u64, base64: &[u8], is_pcm: bool) {
        let mut sound = std::mem::take(&mut hall.sound);
        sound.clear();
        if STANDARD.decode_append(base64, &mut sound).is_err() || sound.is_empty() {
            hall.sound = sound;
            return hall
                .tally
                .violated(|| "a payload that is no sound (31951)".to_owned());
        }
        let bytes = if is_pcm { sound.len() / 6 } else { sound.len() } as u64;
        self.played_us = self.played_us.max(now_us) + bytes * US_PER_BYTE;
        let (own, tally, plan) = (self.index as u16, &mut hall.tally, &hall.plan);
        let note = |found| {
            let Found::Code(code) = found else { return };
            if code.call == NOBODY {
                return;
            }
            if code.call != own {
                return tally.violated(|| "the sound of another call".to_owned());
            }
            let age_us = code.age_us(now_us);
            if plan.is_honest(own) && tally.counts(now_us - age_us.min(now_us)) {
                tally.down.arrived += 1;
                tally.down.took.note(age_us);
            }
        };
        let loud = match is_pcm {
            true => self.ear.hear_pcm(&sound, note),
            false => self.ear.hear_pcmu(&sound, note),
        };
        hall.sound = sound;
        if loud && !self.has_heard {
            self.has_heard = true;
            if !self.has_spoken {
                hall.tally.first_audio.note(now_us - self.opened_us);
            }
        }
    }

    /// A mark has been played.
    pub fn mark_due(&mut self, hall: &mut Hall) {
        if let Some(mut line) = self.stream.take() {
            let now_us = hall.now_us();
            self.echo_marks(hall, &mut line, now_us);
            self.stream = Some(line);
        }
    }

    fn echo_marks(&mut self, hall: &mut Hall, line: &mut Line, until_us: u64) {
        if self.stage != Stage::Live {
            return;
        }
        hall.frames.clear();
        while self
            .marks
            .front()
            .is_some_and(|(due_us, _)| *due_us <= until_us)
        {
            let Some((_, name)) = self.marks.pop_front() else {
                break;
            };
            self.sequence += 1;
            let text = &mut hall.text;
            text.clear();
            text.extend_from_slice(br#"{"event":"mark","sequenceNumber":""#);
            push_number(text, self.sequence);
            text.extend_from_slice(br#"","streamSid":""#);
            text.extend_from_slice(self.stream_sid.as_bytes());
            text.extend_from_slice(br#"","mark":{"name":""#);
            text.extend_from_slice(&name);
            text.extend_from_slice(br#""}}"#);
            websocket::write(&mut hall.frames, Kind::Text, true, text);
            hall.tally.messages.to_server += 1;
        }
        if !hall.frames.is_empty() {
            line.send(&hall.frames);
        }
    }

    /// The server has taken too long.
    pub fn patience_is_over(&mut self, hall: &mut Hall) {
        match self.stage {
            Stage::Asking | Stage::Opening => self.end(hall, Ending::Refused),
            Stage::After => self.end(hall, Ending::Server),
            Stage::Telling => self.over(),
            Stage::Waiting | Stage::Live | Stage::Over => {}
        }
    }

    /// The caller hangs up, or the carrier ends the call.
    pub fn hang_up(&mut self, hall: &mut Hall, ending: Ending) {
        match self.stage {
            Stage::Waiting => self.over(),
            Stage::Live => {
                if let Some(mut line) = self.stream.take() {
                    self.stop(hall, &mut line);
                    self.stream = Some(line);
                }
                self.end(hall, ending);
            }
            Stage::Asking | Stage::Opening => self.end(hall, Ending::Refused),
            Stage::After => self.end(hall, Ending::Server),
            Stage::Telling | Stage::Over => {}
        }
    }

    fn stop(&mut self, hall: &mut Hall, line: &mut Line) {
        let (sid, account, call) = (&self.stream_sid, &hall.plan.account, &self.sid);
        let number = (self.sequence + 1).to_string();
        let stop = serde_json::json!({"event": "stop", "sequenceNumber": number, "streamSid": sid,
            "stop": {"accountSid": account, "callSid": call}});
        hall.frames.clear();
        websocket::write(
            &mut hall.frames,
            Kind::Text,
            true,
            stop.to_string().as_bytes(),
        );
        websocket::write(&mut hall.frames, Kind::Close, true, &1000_u16.to_be_bytes());
        line.send(&hall.frames);
        line.close();
        hall.tally.messages.to_server += 1;
    }

    fn left(&mut self, hall: &mut Hall, line: Line, ending: Ending) {
        drop(line);
        if matches!(self.stage, Stage::Live | Stage::Opening) {
            self.leave(hall, ending);
        }
    }

    /// The stream is over; the call is not, where a document says what comes after it.
    fn leave(&mut self, hall: &mut Hall, ending: Ending) {
        self.ending = Some(ending);
        self.after(hall);
    }

    /// Ends the call, and tells the server so where it is a carrier's.
    pub(super) fn end(&mut self, hall: &mut Hall, ending: Ending) {
        if matches!(self.stage, Stage::Telling | Stage::Over) {
            return;
        }
        hall.tally.ended(self.ending.take().unwrap_or(ending));
        self.tell(hall);
    }

    /// Nothing more will happen.
    pub(super) fn over(&mut self) {
        self.stage = Stage::Over;
        self.web = Web::default();
        self.stream = None;
    }
}

//! One caller: asks what to do as a carrier does, opens the media stream, and talks and listens on it.
//!
//! It does what [`crate::sim::phone`] does and as little else as possible: what the agent says is not kept, only its
//! stamps are read, and what the caller says is stamped silence.

use super::code::{Code, Ear};
use super::figures::Ending;
use super::hall::{Hall, Task};
use super::hostile::Manner;
use super::http::Message;
use super::line::{Line, Room};
use super::target::{Scheme, Target};
use super::text::push_number;
use super::webhook::{Web, Wish};
use super::websocket::{self, Kind};
use super::{FRAME_US, TURN_US, token};
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
/// Between two calls of somebody who means no good.
const AGAIN_US: u64 = 3_000_000;
/// The caller listens first: to a greeting, if there is one.
const LISTENS_US: u64 = 2_500_000;

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
    manner: Manner,
    /// How often it has called.
    attempt: u32,
    pub(super) stream: Option<Line>,
    /// A message that has not come whole.
    pub(super) partial: Vec<u8>,
    begun_us: u64,
    pub(super) opened_us: u64,
    parameters: Vec<(String, String)>,
    pub(super) sequence: u64,
    frames: u64,
    /// Where in a turn of talk it is when the load begins.
    phase_us: u64,
    pub(super) has_spoken: bool,
    pub(super) has_heard: bool,
    pub(super) ear: Ear,
    /// When everything that came will have been played.
    pub(super) played_us: u64,
    pub(super) marks: VecDeque<(u64, Vec<u8>)>,
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
            sid: format!("CA{:016x}{:08x}{index:08x}", hall.run, 0),
            stream_sid: format!("MZ{:016x}{:08x}{index:08x}", hall.run, 0),
            from: format!("+1415{number:07}"),
            stage: Stage::Waiting,
            ending: None,
            web: Web::default(),
            manner: Manner::of(&hall.plan, index as u16),
            attempt: 0,
            stream: None,
            partial: Vec::new(),
            begun_us: 0,
            opened_us: 0,
            parameters: Vec::new(),
            sequence: 0,
            frames: 0,
            phase_us: shuffled * TURN_US / calls,
            has_spoken: false,
            has_heard: false,
            ear: Ear::default(),
            played_us: 0,
            marks: VecDeque::new(),
        }
    }

    /// Whether its figures count.
    pub fn is_honest(&self) -> bool {
        self.manner == Manner::Honest
    }

    /// Somebody who means no good calls again when a call is over.
    pub fn begin_again(&mut self, hall: &mut Hall) {
        let is_early = hall.now_us() < self.begun_us + AGAIN_US;
        if self.is_honest() || self.stage != Stage::Over || is_early {
            return;
        }
        let (index, attempt) = (self.index, self.attempt + 1);
        *self = Call::new(index, hall);
        self.attempt = attempt;
        self.sid = format!("CA{:016x}{attempt:08x}{index:08x}", hall.run);
        self.stream_sid = format!("MZ{:016x}{attempt:08x}{index:08x}", hall.run);
        self.begin(hall);
    }

    /// The server did what a carrier complains of; what it does to those who mean no good is its own affair.
    pub(super) fn violated(&self, hall: &mut Hall, what: impl FnOnce() -> String) {
        if self.is_honest() {
            hall.tally.violated(what);
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
                self.violated(hall, || unfit.to_string());
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
                self.violated(hall, || why);
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
        while self.manner.reads(self.frames) {
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
                        self.violated(hall, || "a frame that is no WebSocket".to_owned());
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
        if self.is_honest() {
            hall.tally.setup.note(now_us - self.begun_us);
        }
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
        let listened = due_us > self.opened_us + LISTENS_US;
        let in_turn = turn_us < hall.plan.spoken_frames() * FRAME_US;
        let speaks = listened && (in_turn || self.manner == Manner::TalksOver);
        let now_us = hall.now_us();
        let counts = hall.tally.counts(now_us);
        if counts {
            hall.tally.self_late.note(now_us - due_us);
        }
        let code = speaks.then(|| Code::new(self.index as u16, now_us));
        self.write_media(&mut hall.text, code);
        if code.is_some() {
            self.has_spoken = true;
            hall.tally.up.sent += u64::from(counts && self.is_honest());
        }
        hall.frames.clear();
        websocket::write(&mut hall.frames, Kind::Text, true, &hall.text);
        self.manner
            .spoil(self.frames, self.attempt, &mut hall.frames);
        if self.manner.drops(self.frames) {
            line.send(&hall.frames[..hall.frames.len() / 2]);
            return self.left(hall, line, Ending::Lost);
        }
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
    pub(super) fn leave(&mut self, hall: &mut Hall, ending: Ending) {
        self.ending = Some(ending);
        self.after(hall);
    }

    /// Ends the call, and tells the server so where it is a carrier's.
    pub(super) fn end(&mut self, hall: &mut Hall, ending: Ending) {
        if matches!(self.stage, Stage::Telling | Stage::Over) {
            return;
        }
        let ending = self.ending.take().unwrap_or(ending);
        if self.is_honest() {
            hall.tally.ended(ending);
        }
        self.tell(hall);
    }

    /// Nothing more will happen.
    pub(super) fn over(&mut self) {
        self.stage = Stage::Over;
        self.web = Web::default();
        self.stream = None;
    }
}

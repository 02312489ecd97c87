//! What a caller hears: the server's frames, read for their stamps and their marks, and kept for nothing else.

use super::call::{Call, Stage};
use super::code::{Found, NOBODY};
use super::figures::Ending;
use super::hall::{Hall, Task};
use super::line::Line;
use super::text::{push_number, string_after};
use super::websocket::{self, Kind};
use base64_simd::STANDARD;

/// A byte of mu-law is heard so long.
const US_PER_BYTE: u64 = 125;

impl Call {
    pub(super) fn frame_came(
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
            Kind::Binary => self.violated(hall, || "a binary frame (31950)".to_owned()),
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
                _ => self.violated(hall, || "a mark without a name (31951)".to_owned()),
            },
            Some(b"clear") => {
                self.played_us = now_us;
                self.echo_marks(hall, line, u64::MAX);
            }
            None if string_after(text, r#""type":"#).is_some() => {}
            _ => self.violated(hall, || {
                "an event that the carrier does not know (31951)".to_owned()
            }),
        }
    }

    fn sound(&mut self, hall: &mut Hall, now_us: u64, base64: &[u8], is_pcm: bool) {
        let mut sound = std::mem::take(&mut hall.sound);
        sound.clear();
        if STANDARD.decode_append(base64, &mut sound).is_err() || sound.is_empty() {
            hall.sound = sound;
            return self.violated(hall, || "a payload that is no sound (31951)".to_owned());
        }
        let bytes = if is_pcm { sound.len() / 6 } else { sound.len() } as u64;
        self.played_us = self.played_us.max(now_us) + bytes * US_PER_BYTE;
        let (own, tally, plan) = (self.index as u16, &mut hall.tally, &hall.plan);
        let mut crossed = false;
        let note = |found| {
            let Found::Code(code) = found else { return };
            if code.call == NOBODY {
                return;
            }
            if code.call != own {
                crossed = true;
                return;
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
        if crossed {
            self.violated(hall, || "the sound of another call".to_owned());
        }
        if loud && !self.has_heard {
            self.has_heard = true;
            if !self.has_spoken && self.is_honest() {
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
}

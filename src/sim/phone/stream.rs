//! The half of a phone that is on the stream: the caller's frames out, the agent's sound and marks in and back.

use super::wire::{self, Names, Told};
use super::{Incoming, Out, PER_MS, Phone, Stage, Stream, What};
use crate::sim::dice::Dice;

/// The most that a frame can hold: what the phone remembers of its caller's sound.
const MOST_FRAME_MS: u64 = 100;

impl Stream {
    /// When the frame that is being spoken is complete.
    pub(super) fn next_frame_ms(&self) -> u64 {
        self.opened_ms + (self.frames + 1) * self.frame_ms
    }

    fn next_number(&mut self) -> u64 {
        self.number += 1;
        self.number
    }
}

impl Phone {
    pub(super) fn stream_opened(&mut self) {
        if !matches!(self.stage, Stage::Opening { .. }) {
            return;
        }
        self.streams += 1;
        let mut dice = Dice::new(self.setup.seed.wrapping_add(self.streams));
        let stream = Stream {
            sid: format!("MZ{:016x}{:016x}", dice.roll(), dice.roll()),
            opened_ms: self.now_ms,
            frame_ms: self.setup.frame_ms.clamp(1, MOST_FRAME_MS),
            frames: 0,
            chunks: 0,
            number: 1,
            deaf: false,
        };
        let names = Names {
            stream_sid: &stream.sid,
            account_sid: &self.setup.account_sid,
            call_sid: &self.setup.call_sid,
        };
        let parameters = self
            .connect
            .as_ref()
            .map_or(&[][..], |connect| &connect.parameters);
        self.outgoing
            .send(self.now_ms, Out::Text(wire::connected()));
        self.outgoing
            .send(self.now_ms, Out::Text(wire::start(&names, parameters)));
        self.stream = Some(stream);
        self.stage = Stage::Streaming;
        self.note(What::StreamOpened);
    }

    pub(super) fn stream_refused(&mut self, http_status: u16) {
        if !matches!(self.stage, Stage::Opening { .. }) {
            return;
        }
        self.note(What::StreamRefused(http_status));
        match http_status {
            0 => self.violated(31901, "nobody answered at the stream's address"),
            status => self.violated(31920, format!("the stream was refused with {status}")),
        }
        self.after_stream();
    }

    /// A frame of the caller's sound is complete.
    pub(super) fn frame(&mut self) {
        let Some(stream) = &mut self.stream else {
            return;
        };
        let at_ms = stream.frames * stream.frame_ms;
        stream.frames += 1;
        if self.outgoing.loses() {
            return;
        }
        stream.chunks += 1;
        let sound = self.spoken.last((stream.frame_ms * PER_MS) as usize);
        let number = stream.next_number();
        let frame = wire::media(&stream.sid, number, stream.chunks, at_ms, sound);
        self.send(frame);
    }

    pub(super) fn send_mark(&mut self, at_ms: u64, name: &str) {
        let Some(stream) = &mut self.stream else {
            return;
        };
        let frame = wire::mark(&stream.sid, stream.number + 1, name);
        stream.number += 1;
        if !stream.deaf {
            self.outgoing.send(at_ms, Out::Text(frame));
        }
    }

    pub(super) fn send_digit(&mut self, digit: char) {
        if let Some(stream) = &mut self.stream {
            let number = stream.next_number();
            let frame = wire::digit(&stream.sid, number, digit);
            self.send(frame);
        }
    }

    /// Something came over the line from the server.
    pub(super) fn arrived(&mut self, incoming: Incoming) {
        if self.stage != Stage::Streaming {
            return;
        }
        match incoming {
            Incoming::Binary => self.violated(31950, "a binary frame"),
            Incoming::Text(text, came_ms) => {
                let sid = self.stream.as_ref().map_or("", |stream| &stream.sid);
                match wire::read(&text, sid) {
                    Ok(told) => self.told(told, came_ms),
                    Err(wrong) => self.violated(31951, wrong),
                }
            }
            Incoming::Closed(code) => {
                self.note(What::StreamClosed(code));
                match code {
                    Some(1000) => {}
                    Some(code) => {
                        self.violated(31921, format!("the stream was closed with {code}"))
                    }
                    None => self.violated(31921, "the stream broke"),
                }
                self.unplayed();
                self.stream = None;
                self.after_stream();
            }
        }
    }

    fn told(&mut self, told: Told, came_ms: u64) {
        match told {
            Told::Sound(samples) => {
                if !self.playout.sound(samples) {
                    self.violated(31931, "more than ten minutes of sound are queued");
                }
            }
            Told::Mark(name) => self.playout.mark(name),
            Told::Clear => {
                let marks = self.playout.clear(came_ms);
                let dropped = self
                    .playout
                    .clears()
                    .last()
                    .map_or(0, |clear| clear.dropped);
                self.note(What::Cleared {
                    dropped_ms: dropped / PER_MS,
                });
                for name in marks {
                    self.send_mark(self.now_ms, &name);
                }
            }
        }
    }

    /// The call leaves the stream: says so, and closes it.
    pub(super) fn leave_stream(&mut self) {
        let Some(mut stream) = self.stream.take() else {
            return;
        };
        self.unplayed();
        if !stream.deaf {
            let number = stream.next_number();
            let names = Names {
                stream_sid: &stream.sid,
                account_sid: &self.setup.account_sid,
                call_sid: &self.setup.call_sid,
            };
            let stop = wire::stop(&names, number);
            self.outgoing.send(self.now_ms, Out::Text(stop));
            self.outgoing.send(self.now_ms, Out::Close);
        }
    }

    fn unplayed(&mut self) {
        let dropped_ms = self.playout.stop() / PER_MS;
        if dropped_ms > 0 {
            self.note(What::Unplayed { dropped_ms });
        }
    }

    fn send(&mut self, frame: String) {
        if self.stream.as_ref().is_some_and(|stream| !stream.deaf) {
            self.outgoing.send(self.now_ms, Out::Text(frame));
        }
    }
}

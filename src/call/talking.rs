//! What follows from what either side says.
//!
//! Each event is one arm of a `match` here, and does little: it moves the state of the rooms below and says the commands that follow.
//! What becomes of answers is told in [`super::answering`].

use super::record::{Cause, Ending, Side, What};
use super::rules::GREETING_NOTE;
use super::timers::Timer;
use super::tools::ToolCall;
use super::{Call, Output, Phase, words};
use crate::audio::FRAME_MS;
use crate::carrier::{self, Command as ToCarrier};
use crate::realtime::{self, Code, Command as ToModel, Item, Loss};

/// Without any sound of the caller for so long, the line counts as quiet. (OpenAI's own telephone layer waits as long.)
const NO_SOUND_MS: u64 = 750;

impl Call {
    pub(super) fn carrier_said(&mut self, event: carrier::Event, out: &mut Vec<Output>) {
        match event {
            carrier::Event::Started => self.stream_opened(out),
            carrier::Event::Heard { ms } => self.heard(ms, out),
            carrier::Event::Digit(key) => self.key_pressed(key, out),
            carrier::Event::Played(mark) => {
                self.playback.played(self.now, mark);
                self.end_if_goodbye_was_heard(out);
            }
            carrier::Event::Stopped | carrier::Event::Lost if self.is_away() => {}
            carrier::Event::Stopped | carrier::Event::Lost if self.is_handed() => {
                self.handed_over(out);
            }
            carrier::Event::Stopped => self.close(Ending::CallerHungUp, out),
            carrier::Event::Lost => self.close(Ending::Lost(Side::Carrier), out),
            carrier::Event::AnsweredBy(answerer) => self.answered_by(answerer, out),
            // It was the caller who left.
            carrier::Event::NotTransferred if self.is_away() => {
                self.leg_ended(Some(0));
                self.close(Ending::CallerHungUp, out);
            }
            carrier::Event::NotTransferred => {
                let why = "The transfer did not work: nobody could be dialled.";
                self.transfer_fails(why, out);
            }
            carrier::Event::LegEnded { seconds } => self.leg_ended(seconds),
            carrier::Event::Ended { .. } => self.line_ended(out),
        }
    }

    fn stream_opened(&mut self, out: &mut Vec<Output>) {
        if self.answered.is_some() {
            return;
        }
        self.answered = Some(self.now);
        self.timers.clear(Timer::StreamOpen);
        let limit_s = self.rules.carrier_limit_s();
        self.record(What::Answered { limit_s }, out);
        out.push(Output::Carrier(ToCarrier::Limit { seconds: limit_s }));
        if self.lost_early {
            return self.say_trouble(out);
        }
        self.begin_talking(out);
    }

    fn is_away(&self) -> bool {
        matches!(self.phase, Phase::Away(_))
    }

    pub(super) fn begin_talking(&mut self, out: &mut Vec<Output>) {
        if self.phase != Phase::Connecting || !self.ready || self.answered.is_none() {
            return;
        }
        self.phase = Phase::Talking;
        self.last_word = self.now;
        if !self.rules.greeting.is_empty() {
            let note = format!("{GREETING_NOTE}{}", self.rules.greeting);
            self.tell(note, out);
            self.turns.owed = true;
        }
        self.tell_notes(out);
        self.hold_if_heard(out);
        self.listen(out);
    }

    /// Adds a note of ours to the conversation. Never new instructions: those would throw the provider's cache away.
    /// While nobody holds the floor it waits for whoever will.
    pub(super) fn tell(&mut self, note: String, out: &mut Vec<Output>) {
        if !self.ready {
            return self.notes.push(note);
        }
        self.add(Item::System(note), out);
    }

    /// Tells what had to wait for somebody to tell it to.
    pub(super) fn tell_notes(&mut self, out: &mut Vec<Output>) {
        for note in std::mem::take(&mut self.notes) {
            self.tell(note, out);
        }
    }

    /// Adds an item to the conversation.
    pub(super) fn add(&mut self, item: Item, out: &mut Vec<Output>) {
        self.meter.added_text(words::weight(&item));
        out.push(Output::Realtime(ToModel::Add(item)));
    }

    pub(super) fn warn(&mut self, cause: Cause, out: &mut Vec<Output>) {
        if self.phase != Phase::Talking || self.warned.contains(&cause) {
            return;
        }
        self.warned.push(cause);
        self.record(What::Warned(cause), out);
        if cause == Cause::Spend && !self.rules.edge.tell {
            return;
        }
        let note = match cause {
            Cause::Duration => {
                "The time for this call is nearly up. Answer briefly and bring it to a close."
            }
            Cause::Silence => {
                "The caller has been silent for a while. Ask briefly whether they are still there."
            }
            Cause::Spend | Cause::Budget | Cause::Drain => {
                "This call must end soon. Answer in one or two sentences and bring it to a close."
            }
        };
        self.tell(note.to_string(), out);
    }

    pub(super) fn nudge(&mut self, out: &mut Vec<Output>) {
        if self.phase == Phase::Talking {
            self.warn(Cause::Silence, out);
            self.nudged = true;
            self.turns.owed = true;
        }
    }

    pub(super) fn realtime_said(&mut self, event: realtime::Event, out: &mut Vec<Output>) {
        use realtime::Event;
        if self.lost_early || self.is_away() || self.sessions.is_lost() {
            return;
        }
        match event {
            Event::Created { expires_at_s } if !self.ready => {
                self.session_created(expires_at_s, out);
            }
            Event::Configured(Ok(())) => self.model_ready(out),
            Event::Configured(Err(key)) => {
                self.lose_model(Loss::Refused(Code::new(&format!("settings.{key}"))), out);
            }
            Event::SpeechStarted => self.caller_speaks(out),
            Event::SpeechStopped => self.turns.caller_speaks = false,
            Event::Committed { item } => self.turn_committed(item, out),
            Event::Transcribed { item, usage, text } => {
                self.words.said(&item, &text);
                self.transcribed(&item, usage.as_ref(), out);
            }
            Event::Said { item, text, .. } => self.words.said(&item, &text),
            Event::TranscriptionFailed { item } => {
                self.words.not_told(&item);
                self.transcribed(&item, None, out);
            }
            Event::ResponseStarted { response, nonce } => {
                self.response_started(response, nonce, out)
            }
            Event::Spoke {
                response,
                item,
                until_ms,
            } => self.spoke(&response, &item, until_ms, out),
            Event::SpokeAll { item, .. } => self.playback.complete(&item),
            Event::ResponseDone {
                response,
                nonce,
                status,
                usage,
            } => {
                self.response_reported(&response, nonce, &status, usage.as_ref(), out);
            }
            Event::Complained(complaint) => self.complained(complaint, out),
            Event::Lost(loss) => self.lose_model(loss, out),
            Event::Saying { item, text, .. } => self.words.saying(&item, &text),
            Event::ToolCalled {
                response,
                tool_call,
                name,
                arguments,
                ..
            } => {
                let call = ToolCall {
                    tool_call,
                    name,
                    arguments,
                };
                self.tool_called(&response, call, out);
            }
            // What an item weighs, only a report tells.
            Event::Created { .. }
            | Event::ItemAdded { .. }
            | Event::Truncated { .. }
            | Event::Deleted { .. } => {}
        }
    }

    fn model_ready(&mut self, out: &mut Vec<Output>) {
        if !std::mem::replace(&mut self.ready, true) {
            self.timers.clear(Timer::ModelReady);
            self.record(What::Ready, out);
            self.expect_renewal();
            self.begin_talking(out);
        }
    }

    /// Keeps the carrier's queue filled, and the alarms about silence set to the right moments.
    pub(super) fn watch(&mut self, out: &mut Vec<Output>) {
        if self.is_over() {
            return;
        }
        while let Some((mark, ms)) = self.playback.next_message(self.now) {
            out.push(Output::Carrier(ToCarrier::Play { mark, ms }));
            if !std::mem::replace(&mut self.first_word_said, true) {
                let after_ms = self.now.since(self.answered.unwrap_or(self.now));
                self.record(What::FirstWord { after_ms }, out);
            }
        }
        match self.playback.next_message_at() {
            // The caller's next frame comes within so long and will do as an alarm; ours rings only when it does not.
            Some(at) => {
                let at = at.plus(FRAME_MS).min(self.playback.dry_at());
                self.timers.set(Timer::Pace, at.max(self.now.plus(1)));
            }
            None => self.timers.clear(Timer::Pace),
        }
        self.expect_goodbye_heard();
        if self.turns.caller_speaks {
            let at = self.last_heard.max(self.last_word).plus(NO_SOUND_MS);
            self.timers.set(Timer::Hush, at.max(self.now.plus(1)));
        } else {
            self.timers.clear(Timer::Hush);
        }
        let quiet = self.phase == Phase::Talking
            && !self.turns.caller_speaks
            && !self.turns.owed
            && !self.turns.is_answering()
            && self.ready
            && !self.tools.is_busy()
            && self.leaving.is_none()
            && !self.playback.is_audible(self.now);
        self.timers.clear(Timer::SilenceWarn);
        self.timers.clear(Timer::SilenceEnd);
        let since = self.silent_since();
        let silence = self.rules.silence_ms;
        let (timer, after_ms) = if !self.warned.contains(&Cause::Silence) {
            (Timer::SilenceWarn, silence.warn)
        } else if self.nudged {
            (Timer::SilenceEnd, silence.end - silence.warn)
        } else {
            (Timer::SilenceEnd, silence.end)
        };
        if quiet {
            self.timers
                .set(timer, since.plus(after_ms).max(self.now.plus(1)));
        } else if self.phase == Phase::Talking && self.playback.dry_at() > self.now {
            // Nothing may happen between the last sound sent and the silence after it: look again when it has been played.
            self.timers
                .set(timer, self.playback.dry_at().plus(after_ms));
        }
    }
}

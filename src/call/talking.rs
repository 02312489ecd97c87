//! What follows from what either side says.
//!
//! Each event is one arm of a `match` here, and does little: it moves the state of the rooms below and says the commands that follow.
//! Whether an answer may be afforded is decided in one place, [`Call::say_what_is_owed`].

use super::meter::Reported;
use super::record::{Cause, Ending, Side, Turn, What};
use super::timers::Timer;
use super::{Call, Output, Phase};
use crate::carrier::{self, Command as ToCarrier};
use crate::pricing::Usage;
use crate::realtime::{
    self, Code, Command as ToModel, Complaint, Gravity, Item, Loss, Request, RequestKind, Status,
};
use crate::units::{CallTime, Id, Usd};

/// Answers that fail in a row before the model counts as lost.
const MAX_FAILURES: u32 = 3;

/// The pause before a failed answer is asked for again; doubled each time.
const RETRY_MS: u64 = 500;

impl Call {
    pub(super) fn carrier_said(&mut self, event: carrier::Event, out: &mut Vec<Output>) {
        match event {
            carrier::Event::Started => self.stream_opened(out),
            carrier::Event::Heard { ms } => {
                if matches!(self.phase, Phase::Connecting | Phase::Talking) {
                    let most = self.rules.margins.ear_ms;
                    self.waiting_ms = self.waiting_ms.saturating_add(ms).min(most);
                    self.listen(out);
                }
            }
            carrier::Event::Digit(_) => self.record(What::Digit, out),
            carrier::Event::Played(mark) => {
                self.playback.played(self.now, mark);
                self.end_if_goodbye_was_heard(out);
            }
            carrier::Event::Stopped => self.close(Ending::CallerHungUp, out),
            carrier::Event::Lost => self.close(Ending::Lost(Side::Carrier), out),
        }
    }

    fn stream_opened(&mut self, out: &mut Vec<Output>) {
        if self.answered.is_some() {
            return;
        }
        self.answered = Some(self.now);
        self.timers.clear(Timer::StreamOpen);
        self.record(What::Answered, out);
        let seconds = self.carrier_limit_seconds();
        out.push(Output::Carrier(ToCarrier::Limit { seconds }));
        if self.lost_early {
            return self.say_trouble(out);
        }
        self.begin_talking(out);
    }

    /// The carrier's own limit, should we vanish: a little after the cap on duration, but no more minutes than the cap on spend
    /// could pay for if nothing else were spent; a minute at the least, the shortest that carriers take.
    fn carrier_limit_seconds(&self) -> u64 {
        let by_clock = (self.rules.duration_ms.end + self.rules.margins.carrier_limit_ms) / 1000;
        let payable = self
            .rules
            .spend
            .end
            .nanos()
            .checked_div(self.rules.minute.nanos());
        by_clock
            .min(payable.unwrap_or(u64::MAX).saturating_mul(60))
            .max(60)
    }

    fn begin_talking(&mut self, out: &mut Vec<Output>) {
        if self.phase != Phase::Connecting || !self.ready || self.answered.is_none() {
            return;
        }
        self.phase = Phase::Talking;
        self.last_word = self.now;
        if !self.rules.greeting.is_empty() {
            let note = format!("The caller is on the line now. {}", self.rules.greeting);
            self.tell(note, out);
            self.turns.owed = true;
        }
        self.listen(out);
    }

    /// Sends on the caller's sound that waits, as far as its transcription can be afforded. While an answer is open it may wait: the
    /// answer's report will make room.
    fn listen(&mut self, out: &mut Vec<Output>) {
        if self.phase != Phase::Talking || self.waiting_ms == 0 {
            return;
        }
        let ms = self.waiting_ms;
        if self.fits(self.meter.forwarding(ms)) {
            self.waiting_ms = 0;
            self.meter.forwarded(ms);
            out.push(Output::Realtime(ToModel::Append { ms }));
        } else if !self.allowance.may_grow() && !self.turns.is_answering() {
            self.wrap_up(self.money_cause(), out);
        }
    }

    /// Adds a note of ours to the conversation. Never new instructions: those would throw the provider's cache away.
    fn tell(&mut self, note: String, out: &mut Vec<Output>) {
        self.meter.added_text(note.len());
        out.push(Output::Realtime(ToModel::Add(Item::System(note))));
    }

    pub(super) fn warn(&mut self, cause: Cause, out: &mut Vec<Output>) {
        if self.phase != Phase::Talking || self.warned.contains(&cause) {
            return;
        }
        self.warned.push(cause);
        self.record(What::Warned(cause), out);
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
        match event {
            Event::Created if !self.ready => out.push(Output::Realtime(ToModel::Configure)),
            Event::Configured(Ok(())) => self.model_ready(out),
            Event::Configured(Err(key)) => {
                self.lose_model(Loss::Refused(Code::new(&format!("settings.{key}"))), out);
            }
            Event::SpeechStarted => self.caller_speaks(out),
            Event::SpeechStopped => self.turns.caller_speaks = false,
            Event::Committed { item } => {
                self.meter.committed_item(&item);
                self.turns.caller_speaks = false;
                self.turns.owed = self.phase == Phase::Talking;
                self.caller_was_heard();
            }
            Event::Transcribed { item, usage, .. } => self.transcribed(&item, usage.as_ref(), out),
            Event::TranscriptionFailed { item } => self.transcribed(&item, None, out),
            Event::ResponseStarted { response, nonce } => {
                self.response_started(response, nonce, out)
            }
            Event::Spoke {
                response,
                item,
                until_ms,
            } => self.spoke(&response, &item, until_ms),
            Event::SpokeAll { item, .. } => self.playback.complete(&item),
            Event::ResponseDone {
                nonce,
                status,
                usage,
                ..
            } => {
                self.response_done(nonce, &status, usage.as_ref(), out);
            }
            Event::Complained(complaint) => self.complained(complaint, out),
            Event::Lost(loss) => self.lose_model(loss, out),
            // The settings offer no tools, and what was said is nobody's business yet.
            Event::Created
            | Event::ItemAdded { .. }
            | Event::Said { .. }
            | Event::ToolCalled { .. }
            | Event::Truncated { .. }
            | Event::Deleted { .. } => {}
        }
    }

    fn model_ready(&mut self, out: &mut Vec<Output>) {
        if !std::mem::replace(&mut self.ready, true) {
            self.timers.clear(Timer::ModelReady);
            self.record(What::Ready, out);
            self.begin_talking(out);
        }
    }

    fn caller_was_heard(&mut self) {
        self.last_word = self.now;
        self.nudged = false;
    }

    /// The caller speaks: whatever the agent was saying stops, and the model is told how much of it was heard.
    fn caller_speaks(&mut self, out: &mut Vec<Output>) {
        self.caller_was_heard();
        if self.phase != Phase::Talking {
            return;
        }
        self.turns.caller_speaks = true;
        if let Some(answer) = self.turns.open() {
            answer.unwanted = true;
            // The provider stops what it is saying by itself; what it has not begun to say, it would say into the caller's words.
            if !self.rules.provider_interrupts || answer.response.is_none() {
                let response = answer.response.clone();
                out.push(Output::Realtime(ToModel::Cancel { response }));
            }
        }
        if !self.playback.is_playing() {
            return;
        }
        out.push(Output::Carrier(ToCarrier::Clear));
        let cuts = self.playback.cut(self.now);
        let (mut heard_ms, mut unheard_ms) = (0, 0);
        for cut in cuts {
            heard_ms += cut.heard_ms;
            unheard_ms += cut.received_ms - cut.heard_ms;
            out.push(Output::Realtime(match cut.heard_ms {
                0 => ToModel::Delete { item: cut.item },
                heard_ms => ToModel::Truncate {
                    item: cut.item,
                    heard_ms,
                },
            }));
        }
        self.interruptions += 1;
        self.record(
            What::Interrupted {
                heard_ms,
                unheard_ms,
            },
            out,
        );
    }

    fn transcribed(
        &mut self,
        item: &Id,
        usage: Option<&crate::pricing::TranscriptionUsage>,
        out: &mut Vec<Output>,
    ) {
        if let Some((cost, bound)) = self.meter.transcribed(item, usage) {
            self.record(What::Transcribed { cost }, out);
            self.look_at_bound(cost, bound, out);
        }
    }

    fn response_started(&mut self, response: Id, nonce: Option<u64>, out: &mut Vec<Output>) {
        let late_ms = self.rules.answer_timeout_ms;
        match nonce.and_then(|nonce| self.turns.started(nonce, &response)) {
            Some(answer) if !answer.goodbye => {
                self.timers.set(Timer::Answer, self.now.plus(late_ms))
            }
            Some(_) => {}
            // A response that nobody asked for costs money that nobody reserved.
            None if nonce.is_none() => {
                out.push(Output::Realtime(ToModel::Cancel {
                    response: Some(response),
                }));
                let bound = Usd::ZERO;
                self.record(
                    What::BoundBroken {
                        cost: self.longest_answer(),
                        bound,
                    },
                    out,
                );
                self.wrap_up(Cause::Spend, out);
            }
            None => {}
        }
    }

    fn spoke(&mut self, response: &Id, item: &Id, until_ms: u64) {
        let late_ms = self.rules.answer_timeout_ms;
        match self.turns.of(response) {
            Some(answer) if !answer.unwanted => {
                answer.spoke = true;
                let late = if answer.goodbye {
                    None
                } else {
                    Some(self.now.plus(late_ms))
                };
                match late {
                    Some(at) => self.timers.set(Timer::Answer, at),
                    None => self.timers.clear(Timer::GoodbyeStart),
                }
                self.playback.receive(item, until_ms);
            }
            _ => self.playback.discard(item, until_ms),
        }
    }

    fn response_done(
        &mut self,
        nonce: Option<u64>,
        status: &Status,
        usage: Option<&Usage>,
        out: &mut Vec<Output>,
    ) {
        let Some(nonce) = nonce else {
            let cost = self
                .meter
                .stray(usage, u64::from(self.rules.max_output_tokens));
            self.record_turn(usage, cost, false, out);
            return self.look_at_bound(cost, Usd::ZERO, out);
        };
        let Reported::Settled { cost, bound } = self.meter.report(nonce, usage) else {
            return;
        };
        let Some(answer) = self.turns.closed(nonce) else {
            return;
        };
        self.playback.complete_all();
        self.record_turn(usage, cost, answer.goodbye, out);
        self.look_at_bound(cost, bound, out);
        if answer.goodbye {
            return self.goodbye_done(answer.spoke, out);
        }
        self.timers.clear(Timer::Answer);
        match status {
            Status::Failed(code) if !answer.unwanted && self.phase == Phase::Talking => {
                self.answer_failed(code.clone(), out);
            }
            Status::Failed(_) | Status::Completed | Status::Cancelled | Status::Incomplete => {
                self.turns.failures = 0;
            }
        }
    }

    fn record_turn(
        &mut self,
        usage: Option<&Usage>,
        cost: Usd,
        goodbye: bool,
        out: &mut Vec<Output>,
    ) {
        self.turns.count += 1;
        let burn = self.burn_per_minute();
        let money_left = self.rules.spend.end.less(self.spent()).nanos();
        let by_money = (money_left.saturating_mul(60))
            .checked_div(burn.nanos())
            .unwrap_or(u64::MAX);
        let by_clock = CallTime::from_millis(self.rules.duration_ms.end).since(self.now) / 1000;
        let turn = Turn {
            turn: self.turns.count,
            usage: usage.copied(),
            cost,
            goodbye,
            burn_per_minute: burn,
            seconds_left: by_clock.min(by_money),
        };
        self.record(What::Turn(turn), out);
    }

    /// What the last minute cost, or the call so far scaled to a minute.
    fn burn_per_minute(&mut self) -> Usd {
        let spent = self.spent();
        while self
            .spent_before
            .get(1)
            .is_some_and(|(at, _)| self.now.since(*at) >= 60_000)
        {
            self.spent_before.pop_front();
        }
        let (since, before) = *self
            .spent_before
            .front()
            .unwrap_or(&(CallTime::ZERO, Usd::ZERO));
        if self
            .spent_before
            .back()
            .is_none_or(|(at, _)| self.now.since(*at) >= 1_000)
        {
            self.spent_before.push_back((self.now, spent));
        }
        let elapsed_ms = self.now.since(since).max(1_000);
        Usd::from_nanos(spent.less(before).nanos().saturating_mul(60_000) / elapsed_ms)
    }

    fn look_at_bound(&mut self, cost: Usd, bound: Usd, out: &mut Vec<Output>) {
        if cost > bound {
            self.record(What::BoundBroken { cost, bound }, out);
            self.wrap_up(Cause::Spend, out);
        }
    }

    fn answer_failed(&mut self, code: Code, out: &mut Vec<Output>) {
        self.record(What::Complained(code.clone()), out);
        self.turns.failures += 1;
        if self.turns.failures >= MAX_FAILURES {
            return self.lose_model(Loss::Refused(code), out);
        }
        let pause_ms = RETRY_MS << self.turns.failures;
        self.timers.set(Timer::Retry, self.now.plus(pause_ms));
    }

    fn complained(&mut self, complaint: Complaint, out: &mut Vec<Output>) {
        let Complaint {
            gravity,
            code,
            about,
        } = complaint;
        if let Some(nonce) = about
            && self.meter.release(nonce)
        {
            let was_goodbye = self
                .turns
                .closed(nonce)
                .is_some_and(|answer| answer.goodbye);
            if was_goodbye {
                self.goodbye_done(false, out);
            } else if self.phase == Phase::Talking {
                self.timers.clear(Timer::Answer);
                self.answer_failed(code, out);
            }
            return;
        }
        match gravity {
            Gravity::Benign => {}
            Gravity::Ignored | Gravity::Retry if self.ready => {
                self.record(What::Complained(code), out)
            }
            // Settings that were refused whole leave a session that answers by itself, without limit.
            Gravity::Ignored | Gravity::Retry | Gravity::Fatal => {
                self.lose_model(Loss::Refused(code), out);
            }
        }
    }

    /// The one place where an answer is asked for: if somebody is owed one, nobody speaks, and all it can cost fits.
    pub(super) fn say_what_is_owed(&mut self, out: &mut Vec<Output>) {
        if self.phase != Phase::Talking || !self.turns.owed || !self.turns.is_free() {
            return;
        }
        if self.timers.is_set(Timer::Retry) {
            return;
        }
        let most = u64::from(self.rules.max_output_tokens);
        let fitting = self.meter.longest_answer(self.room()).min(most);
        if fitting < most && self.allowance.is_asked() {
            return;
        }
        if fitting < u64::from(self.rules.margins.min_output_tokens) {
            return self.wrap_up(self.money_cause(), out);
        }
        let nonce = self.turns.nonce();
        self.meter.ask(nonce, fitting);
        self.turns.asked(nonce, self.now, false);
        self.timers
            .set(Timer::Answer, self.now.plus(self.rules.answer_timeout_ms));
        let max_output_tokens = u32::try_from(fitting).unwrap_or(u32::MAX);
        let request = Request {
            nonce,
            max_output_tokens,
            kind: RequestKind::Answer,
        };
        out.push(Output::Realtime(ToModel::Respond(request)));
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
            Some(at) => self.timers.set(Timer::Pace, at.max(self.now.plus(1))),
            None => self.timers.clear(Timer::Pace),
        }
        let quiet = self.phase == Phase::Talking
            && !self.turns.caller_speaks
            && !self.turns.owed
            && !self.turns.is_answering()
            && !self.playback.is_audible(self.now);
        self.timers.clear(Timer::SilenceWarn);
        self.timers.clear(Timer::SilenceEnd);
        let since = self.last_word.max(self.playback.dry_at());
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

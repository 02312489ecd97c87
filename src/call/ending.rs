//! How a call is wound up, and what is last.
//!
//! The goodbye is said with money set aside for it since the answer. First nothing new may begin: the caller's sound is no longer sent
//! on, and what the model was saying is dropped. Then one answer is asked for that has no memory, so that its price does not depend
//! on what was said before. If it is not heard in time, the carrier says a sentence with its own voice. The line closes when the last
//! mark has come back, or when the time set aside is over.

use super::record::{Cause, Ending, Goodbye, Side, What};
use super::timers::Timer;
use super::{Ask, Call, Input, Order, Output, Phase};
use crate::carrier::Command as ToCarrier;
use crate::realtime::{Command as ToModel, Event, Request, RequestKind};
use crate::units::CallTime;

/// How much later than ours the real player may be, beyond the trip that closing the line takes as well.
const JITTER_MS: u64 = 200;

impl Call {
    /// Begins the goodbye. Later causes change nothing.
    pub(super) fn wrap_up(&mut self, cause: Cause, out: &mut Vec<Output>) {
        if !matches!(self.phase, Phase::Connecting | Phase::Talking) {
            return;
        }
        if !self.warned.contains(&cause) {
            self.warned.push(cause);
            self.record(What::Warned(cause), out);
        }
        self.record(What::WrappingUp(cause), out);
        self.phase = Phase::WrappingUp(cause);
        self.wrapping_since = self.now;
        self.waiting_ms = 0;
        for timer in [
            Timer::Answer,
            Timer::Retry,
            Timer::SilenceWarn,
            Timer::SilenceEnd,
        ] {
            self.timers.clear(timer);
        }
        if let Some(answer) = self.turns.open() {
            let response = answer.response.clone();
            out.push(Output::Realtime(ToModel::Cancel { response }));
        }
        self.turns.abandon();
        self.playback.stop_sending();
        self.drop_standby(out);
        if !self.is_handed() {
            self.stay();
            if !self.fall_back(cause, out) {
                self.say_goodbye(out);
            }
        }
    }

    /// The model says it, in an answer of its own; or else the carrier.
    pub(super) fn say_goodbye(&mut self, out: &mut Vec<Output>) {
        if self.rules.out_of_band
            && self.ready
            && self.answered.is_some()
            && self.fits(self.meter.goodbye_bound())
        {
            self.ask_for_goodbye(out);
        } else {
            self.carrier_says_goodbye(out);
        }
    }

    fn ask_for_goodbye(&mut self, out: &mut Vec<Output>) {
        let margins = self.rules.margins;
        let nonce = self.turns.nonce();
        let max_output_tokens = u64::from(margins.goodbye_tokens);
        let bound = self.meter.ask_goodbye(nonce, max_output_tokens);
        self.turns.asked(nonce, true);
        self.record_asked(nonce, max_output_tokens, bound, out);
        self.timers
            .set(Timer::GoodbyeStart, self.now.plus(margins.goodbye_start_ms));
        self.timers
            .set(Timer::GoodbyeEnd, self.now.plus(margins.goodbye_max_ms));
        let kind = RequestKind::Goodbye {
            instructions: self.rules.goodbye.clone(),
        };
        let request = Request {
            nonce,
            max_output_tokens: margins.goodbye_tokens,
            tools: false,
            kind,
        };
        out.push(Output::Realtime(ToModel::Respond(request)));
    }

    /// Nothing of the goodbye has come in time.
    pub(super) fn goodbye_is_late(&mut self, out: &mut Vec<Output>) {
        if matches!(self.phase, Phase::WrappingUp(_)) {
            self.carrier_says_goodbye(out);
        }
    }

    /// The goodbye is complete, or failed.
    pub(super) fn goodbye_done(&mut self, spoke: bool, out: &mut Vec<Output>) {
        if !matches!(self.phase, Phase::WrappingUp(_)) {
            return;
        }
        if !spoke {
            return self.carrier_says_goodbye(out);
        }
        self.goodbye_complete = true;
        self.end_if_goodbye_was_heard(out);
    }

    /// When the goodbye will have been heard although its last mark never came back: our own player has played it, and a trip there
    /// and back is over.
    pub(super) fn expect_goodbye_heard(&mut self) {
        if self.goodbye_complete && !self.playback.is_audible(self.playback.dry_at()) {
            let heard = self.playback.heard_at();
            let latest = self.wrapping_since.plus(self.rules.margins.goodbye_max_ms);
            self.timers
                .set(Timer::GoodbyeEnd, heard.min(latest).max(self.now.plus(1)));
        }
    }

    /// The time for the goodbye is over.
    pub(super) fn goodbye_is_over(&mut self, out: &mut Vec<Output>) {
        let Phase::WrappingUp(cause) = self.phase else {
            return;
        };
        // Its report may be late; its words were not.
        let said = self.goodbye_complete || self.turns.goodbye_spoke();
        // The real player may be a little later than ours, and closing the line cuts it short.
        let played = CallTime::from_millis(self.now.millis().saturating_sub(JITTER_MS));
        if said && !self.playback.is_audible(played) {
            self.goodbye = Goodbye::Model;
            return self.close(Ending::SaidGoodbye(cause), out);
        }
        self.cut_off(cause, out);
    }

    pub(super) fn end_if_goodbye_was_heard(&mut self, out: &mut Vec<Output>) {
        let Phase::WrappingUp(cause) = self.phase else {
            return;
        };
        if self.goodbye_complete && !self.playback.is_playing() {
            self.goodbye = Goodbye::Model;
            self.close(Ending::SaidGoodbye(cause), out);
        }
    }

    pub(super) fn carrier_says_goodbye(&mut self, out: &mut Vec<Output>) {
        let Phase::WrappingUp(cause) = self.phase else {
            return;
        };
        let sentence = self.rules.goodbye_sentence.to_string();
        let ending = if self.say_last_words(sentence, out) {
            Ending::SaidGoodbye(cause)
        } else {
            Ending::CutOff(cause)
        };
        self.close(ending, out);
    }

    /// Has the carrier say a sentence after the stream, if there is a caller to hear it, money and time for it.
    fn say_last_words(&mut self, sentence: String, out: &mut Vec<Output>) -> bool {
        let margins = self.rules.margins;
        let said = self.now.plus(margins.sentence_ms);
        // A goodbye that failed late leaves less time than was set aside: the sentence must not run into a minute nobody paid for.
        let paid = (self.meter.committed())
            .plus(self.meter.sentence())
            .plus(self.meter.minutes_until(said.plus(margins.hangup_ms)));
        let in_time = said.millis() <= self.carrier_end_ms() && paid <= self.allowance.limit();
        if self.answered.is_none() || self.last_words || !in_time {
            return false;
        }
        self.last_words = true;
        self.goodbye = Goodbye::Carrier;
        let cost = self.meter.said_by_carrier();
        self.record(What::Sentence { cost }, out);
        out.push(Output::Carrier(ToCarrier::LastWords(sentence)));
        true
    }

    /// The carrier's voice may still talk when our own clock has run out, until the carrier's limit ends the call.
    fn carrier_end_ms(&self) -> u64 {
        self.rules.duration_ms.end + self.rules.margins.carrier_limit_ms
    }

    pub(super) fn say_trouble(&mut self, out: &mut Vec<Output>) {
        let sentence = self.rules.trouble_sentence.to_string();
        self.say_last_words(sentence, out);
        self.close(Ending::Lost(Side::Realtime), out);
    }

    /// The cap on duration; or that of the talk with somebody else.
    pub(super) fn time_is_up(&mut self, out: &mut Vec<Output>) {
        match self.phase {
            Phase::Away(_) => {
                out.push(Output::Carrier(ToCarrier::Complete { after_ms: 0 }));
                self.close(Ending::Transferred, out);
            }
            _ => self.cut_off(Cause::Duration, out),
        }
    }

    /// The time set aside for ending politely is over.
    pub(super) fn cut_off(&mut self, cause: Cause, out: &mut Vec<Output>) {
        if !self.warned.contains(&cause) {
            self.warned.push(cause);
            self.record(What::Warned(cause), out);
        }
        self.close(Ending::CutOff(cause), out);
    }

    /// The call is over for the caller: nothing more is said, asked for or listened to. What is asked for and not reported may still
    /// be, for a moment: a report is cheaper than its bound.
    pub(super) fn close(&mut self, ending: Ending, out: &mut Vec<Output>) {
        let margins = self.rules.margins;
        let until = match (ending, self.last_words) {
            (Ending::CallerHungUp | Ending::Transferred, _) => self.now,
            (_, true) => self.now.plus(margins.sentence_ms + margins.hangup_ms),
            (_, false) => self.now.plus(margins.hangup_ms),
        };
        // The minute that the hang-up may still run into is charged too.
        // Where the carrier was asked to take the caller over, they may be talking already.
        let away = self.is_handed();
        while let Some((minute, cost)) = self.meter.minute(until, away) {
            self.record(What::Minute { minute, cost }, out);
        }
        self.charge_leg(out);
        let was_away = matches!(self.phase, Phase::Away(_));
        self.phase = Phase::Over(ending);
        self.over_ms = self.now.millis();
        self.timers = super::Timers::default();
        if self.ready
            && let Some(answer) = self.turns.open().filter(|answer| !answer.unwanted)
        {
            let response = answer.response.clone();
            out.push(Output::Realtime(ToModel::Cancel { response }));
        }
        self.turns.abandon();
        if !was_away {
            self.unheard = self.meter.speech_cost(self.playback.unheard_ms(self.now));
            out.push(Output::Carrier(ToCarrier::Close));
            self.drop_standby(out);
        }
        if !matches!(ending, Ending::CallerHungUp | Ending::Transferred) {
            let after_ms = until.since(self.now);
            out.push(Output::Carrier(ToCarrier::Complete { after_ms }));
        }
        self.timers
            .set(Timer::Reports, self.now.plus(margins.reports_ms));
        self.settle_if_all_is_told(out);
    }

    /// The call is over, and waits for reports: nothing else is news.
    pub(super) fn report_came(&mut self, input: Input, out: &mut Vec<Output>) {
        match input {
            Input::Realtime(Event::ResponseDone {
                response,
                nonce,
                status,
                usage,
            }) => self.response_reported(&response, nonce, &status, usage.as_ref(), out),
            Input::Realtime(Event::Committed { item }) => self.meter.committed_item(&item),
            Input::Realtime(Event::Transcribed { item, usage, .. }) => {
                self.transcribed(&item, usage.as_ref(), out);
            }
            Input::Realtime(Event::TranscriptionFailed { item }) => {
                self.transcribed(&item, None, out);
            }
            Input::Realtime(Event::Complained(complaint)) => self.complained(complaint, out),
            Input::Realtime(Event::Lost(_)) => self.ready = false,
            // Whoever hangs up a call that is over has no time for reports.
            Input::Order(Order::HangUp) => self.ready = false,
            Input::Carrier(_) | Input::Realtime(_) | Input::Budget(_) => {}
            Input::Tool(result) => self.tool_answered(result, out),
            Input::Standby(_) | Input::Ear(_) | Input::Level(_) => {}
            Input::Order(Order::WrapUp) => {}
            Input::Wake => {}
        }
        self.settle_if_all_is_told(out);
    }

    fn settle_if_all_is_told(&mut self, out: &mut Vec<Output>) {
        if !self.ready || !self.meter.awaits_reports() {
            self.settle(out);
        }
    }

    /// The last thing a call does. What was never reported is charged at the most it could have cost.
    pub(super) fn settle(&mut self, out: &mut Vec<Output>) {
        let Phase::Over(ending) = self.phase else {
            return;
        };
        self.timers = super::Timers::default();
        self.charge_unreported(out);
        self.charge_tools(out);
        self.tell_transcript(out);
        self.settled = true;
        out.push(Output::Realtime(ToModel::Close));
        out.push(Output::Budget(Ask::Settle(self.spent())));
        let summary = self.summary(ending);
        self.record(What::Ended(summary), out);
        out.push(Output::Close(ending));
    }
}

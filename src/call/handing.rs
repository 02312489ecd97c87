//! How the agent leaves a call by itself: it hangs up, or hands the caller over to somebody else.
//!
//! Either way its last words are heard first. Whom a caller may be handed to stands in the configuration: the model says a label and
//! never a number, so no caller can talk it into a premium one. A transfer has a cap of its own, for it is the carrier's minutes on two
//! lines that cost then, and it is set aside in the budgets before anybody is dialled.

use super::record::{Cause, Ending, Goodbye, Side, What};
use super::timers::Timer;
use super::tools::{Outcome, ToolCall, argument};
use super::{Ask, Call, Output, Phase, VERDICT_MS};
use crate::carrier::{Command as ToCarrier, Transfer};
use crate::realtime::Command as ToModel;
use crate::units::{CallTime, Usd};

/// Between the carrier taking the caller over and the other end answering, at most: a sentence and thirty seconds of ringing.
const RING_S: u64 = 45;

/// The two are parted so long before their last minute would be over.
const SPARE_S: u64 = 10;

/// Minutes of the caller's own line that a transfer may take besides the talk: while the other end rings, and one that is cut.
const MORE_MINUTES: u64 = 2;

/// After the other end has hung up, the carrier's word that the call is over is waited for.
const OVER_MS: u64 = 10_000;

/// The agent is about to leave.
#[derive(Clone, Debug)]
pub struct Leaving {
    /// What the model called; `None`: the edge of the budget.
    call: Option<ToolCall>,
    /// The caller heard something in the answer that called it.
    pub spoke: bool,
    /// The model was asked for last words.
    asked: bool,
    to: Option<Handing>,
}

/// A caller about to be handed over.
#[derive(Clone, Debug)]
struct Handing {
    destination: usize,
    limit_s: u64,
    bound: Usd,
    money: Money,
    /// The carrier has been asked to.
    sent: bool,
    /// How long the two talked, once that is known.
    talked_s: Option<u64>,
    /// Nobody will tell.
    unwatched: bool,
    /// The carrier has said that the call is over. Its word may overtake the end of the stream.
    over: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Money {
    Wanted,
    Asked,
    There,
}

impl Call {
    /// The model ends the call.
    pub(super) fn leave(&mut self, call: ToolCall, out: &mut Vec<Output>) {
        if self.leaving.is_some() {
            let why = "You are leaving the call already.";
            return self.tool_denied(call, Outcome::Denied, why, out);
        }
        self.leaving = Some(Leaving {
            call: Some(call),
            spoke: false,
            asked: false,
            to: None,
        });
    }

    /// The model hands the caller over.
    pub(super) fn transfer_asked(&mut self, call: ToolCall, out: &mut Vec<Output>) {
        let destinations = &self.rules.abilities.destinations;
        let label = argument(&call.arguments, "to");
        let place = label.and_then(|label| destinations.iter().position(|to| *to.label == *label));
        let Some(place) = place else {
            let labels: Vec<&str> = destinations.iter().map(|to| &*to.label).collect();
            let why = format!(
                "The caller cannot be handed over to that. You may say: {}.",
                labels.join(", ")
            );
            return self.tool_denied(call, Outcome::Misfit, &why, out);
        };
        match self.handing(place) {
            Some(to) if self.leaving.is_none() => {
                self.leaving = Some(Leaving {
                    call: Some(call),
                    spoke: false,
                    asked: false,
                    to: Some(to),
                });
                self.ask_for_transfer(out);
            }
            Some(_) => {
                let why = "You are leaving the call already.";
                self.tool_denied(call, Outcome::Denied, why, out);
            }
            None => {
                let why = "There is no money for a transfer in this call.";
                self.tool_denied(call, Outcome::Denied, why, out);
            }
        }
    }

    /// How long the caller may talk with this one, and what that can cost; `None`: not even a minute.
    fn handing(&self, destination: usize) -> Option<Handing> {
        let abilities = &self.rules.abilities;
        let own = self.rules.minute;
        let both = own.plus(abilities.destinations[destination].minute);
        let apart = own.times(MORE_MINUTES).plus(self.rules.say);
        let left = abilities.transfer.usd.less(apart).nanos();
        let payable = left.checked_div(both.nanos()).unwrap_or(u64::MAX);
        let minutes = payable.min(abilities.transfer.minutes);
        (minutes > 0).then(|| Handing {
            destination,
            limit_s: minutes.saturating_mul(60) - SPARE_S,
            bound: both.times(minutes).plus(apart),
            money: Money::Wanted,
            sent: false,
            talked_s: None,
            unwatched: false,
            over: false,
        })
    }

    /// Asks the budgets for what the transfer can cost, once they are not busy with another question.
    fn ask_for_transfer(&mut self, out: &mut Vec<Output>) {
        let Some(to) = self.handing_over().filter(|to| to.money == Money::Wanted) else {
            return;
        };
        let bound = to.bound;
        if self.allowance.is_asked() {
            return;
        }
        match self.allowance.ask_apart(bound) {
            Some(missing) => {
                self.set_money(Money::Asked);
                out.push(Output::Budget(Ask::TopUp(missing)));
                self.timers.set(Timer::Verdict, self.now.plus(VERDICT_MS));
            }
            None => self.transfer_granted(out),
        }
    }

    /// The budgets have answered, whatever they were asked.
    pub(super) fn look_at_transfer(&mut self, out: &mut Vec<Output>) {
        let Some(to) = self.handing_over() else {
            return;
        };
        match to.money {
            Money::Wanted => self.ask_for_transfer(out),
            Money::Asked if self.allowance.is_asked() => {}
            Money::Asked if self.allowance.has_apart(to.bound) => self.transfer_granted(out),
            Money::Asked => {
                self.transfer_fails("There is no money for a transfer just now.", out);
            }
            Money::There => {}
        }
    }

    fn transfer_granted(&mut self, out: &mut Vec<Output>) {
        self.set_money(Money::There);
        let Some(to) = self.handing_over() else {
            return;
        };
        let (bound, limit_s) = (to.bound, to.limit_s);
        let label = self.rules.abilities.destinations[to.destination]
            .label
            .clone();
        self.allowance.use_apart(bound);
        self.meter.keep_for_transfer(bound);
        let transferring = What::Transferring {
            label,
            limit_s,
            bound,
        };
        self.record(transferring, out);
    }

    fn set_money(&mut self, money: Money) {
        if let Some(to) = self
            .leaving
            .as_mut()
            .and_then(|leaving| leaving.to.as_mut())
        {
            to.money = money;
        }
    }

    fn handing_over(&self) -> Option<&Handing> {
        self.leaving.as_ref()?.to.as_ref()
    }

    /// Whether the carrier has been asked to take the caller over.
    pub(super) fn is_handed(&self) -> bool {
        self.handing_over().is_some_and(|to| to.sent)
    }

    /// Before the goodbye: if somebody is there to take the caller over, and there is money for it, they do.
    pub(super) fn fall_back(&mut self, cause: Cause, out: &mut Vec<Output>) -> bool {
        let by_edge = matches!(cause, Cause::Spend | Cause::Budget | Cause::Duration);
        let abilities = &self.rules.abilities;
        let label = abilities.fallback.clone().filter(|_| by_edge);
        let mut destinations = abilities.destinations.iter();
        let place = label.and_then(|label| destinations.position(|to| to.label == label));
        let Some(to) = place.and_then(|place| self.handing(place)) else {
            return false;
        };
        if self.answered.is_none() || std::mem::replace(&mut self.fell_back, true) {
            return false;
        }
        self.leaving = Some(Leaving {
            call: None,
            spoke: true,
            asked: true,
            to: Some(to),
        });
        self.ask_for_transfer(out);
        self.go_when_heard(out);
        true
    }

    /// Leaves once the last words have been heard and whatever else must be there is.
    pub(super) fn go_when_heard(&mut self, out: &mut Vec<Output>) {
        let Some(leaving) = &self.leaving else {
            return;
        };
        let by_model = leaving.call.is_some();
        let money = leaving.to.as_ref().map(|to| (to.money, to.sent));
        if matches!(money, Some((Money::Wanted | Money::Asked, _) | (_, true))) {
            return;
        }
        if by_model {
            if self.phase != Phase::Talking || self.turns.is_answering() || self.turns.owed {
                return;
            }
            if !leaving.spoke && !leaving.asked {
                return self.ask_for_last_words(out);
            }
            // They are asked for together with what other functions answer, and only by a model that is there.
            if !leaving.spoke && self.tools.is_busy() {
                return;
            }
            if self.playback.is_playing() && self.now < self.playback.heard_at() {
                let at = self.playback.heard_at().max(self.now.plus(1));
                return self.timers.set(Timer::LastWords, at);
            }
        }
        if money.is_some() {
            return self.hand_over(out);
        }
        if by_model {
            self.goodbye = Goodbye::Model;
            self.close(Ending::AgentHungUp, out);
        }
    }

    /// The model called and said nothing: it is asked for a sentence.
    fn ask_for_last_words(&mut self, out: &mut Vec<Output>) {
        let Some(leaving) = &mut self.leaving else {
            return;
        };
        leaving.asked = true;
        let words = match leaving.to {
            Some(_) => "Tell the caller in one short sentence that they are being connected now.",
            None => "Say goodbye to the caller now, in one short sentence. Then the line closes.",
        };
        if let Some(call) = leaving.call.clone() {
            self.tool_said(call, words.to_string());
            // At once: on a line without sound nothing else would come to wake the call.
            self.tell_answers(out);
            self.say_what_is_owed(out);
        }
    }

    /// The caller cut in: the agent stays.
    pub(super) fn stay(&mut self) {
        if self.is_handed() {
            return;
        }
        let Some(leaving) = self.leaving.take() else {
            return;
        };
        self.timers.clear(Timer::LastWords);
        self.release_transfer();
        if let Some(call) = leaving.call.filter(|_| !leaving.asked) {
            self.tool_said(call, "Not done: the caller spoke. Listen to them.".into());
        }
    }

    fn release_transfer(&mut self) {
        self.meter.keep_for_transfer(Usd::ZERO);
        self.allowance.release_apart();
    }

    fn hand_over(&mut self, out: &mut Vec<Output>) {
        let handing = self.handing_over();
        let Some((place, limit_s)) = handing.map(|to| (to.destination, to.limit_s)) else {
            return;
        };
        if let Some(to) = self
            .leaving
            .as_mut()
            .and_then(|leaving| leaving.to.as_mut())
        {
            to.sent = true;
        }
        let abilities = &self.rules.abilities;
        let destination = abilities.destinations[place].clone();
        let say = abilities.transfer_sentence.to_string();
        if !say.is_empty() {
            let cost = self.meter.said_by_carrier();
            self.record(What::Sentence { cost }, out);
        }
        let transfer = Transfer {
            to: destination.to,
            caller_id: None,
            say,
            limit_s,
            call_limit_s: self.now.millis().div_ceil(1_000) + limit_s + RING_S,
        };
        self.waiting_ms = 0;
        out.push(Output::Carrier(ToCarrier::Transfer(transfer)));
        let at = self.now.plus(self.rules.margins.transfer_ms);
        self.timers.set(Timer::Transfer, at);
    }

    /// The carrier did not take the caller over, or nobody pays for it.
    pub(super) fn transfer_fails(&mut self, why: &str, out: &mut Vec<Output>) {
        let Some(leaving) = self.leaving.take() else {
            return;
        };
        self.timers.clear(Timer::Transfer);
        self.release_transfer();
        self.record(What::NotTransferred, out);
        let call = leaving.call.filter(|_| self.phase == Phase::Talking);
        match call {
            Some(call) if !leaving.asked => self.tool_said(call, why.to_string()),
            Some(_) => {
                self.tell(why.to_string(), out);
                self.turns.owed = true;
            }
            None => {
                // What was set aside for the goodbye is for one that begins now.
                self.wrapping_since = self.now;
                self.say_goodbye(out);
            }
        }
    }

    /// The stream closed after the carrier was asked to take the caller over: they talk with somebody else, and we pay for it.
    pub(super) fn handed_over(&mut self, out: &mut Vec<Output>) {
        let limit_s = self.handing_over().map_or(0, |to| to.limit_s);
        self.phase = Phase::Away(self.now);
        self.timers = super::Timers::default();
        self.charge_unreported(out);
        self.turns.session_lost();
        self.unheard = self.meter.speech_cost(self.playback.unheard_ms(self.now));
        self.ready = false;
        self.drop_standby(out);
        out.push(Output::Realtime(ToModel::Close));
        out.push(Output::Carrier(ToCarrier::Close));
        self.end_ms = self.now.plus((limit_s + RING_S) * 1_000).millis();
        self.timers
            .set(Timer::DurationEnd, CallTime::from_millis(self.end_ms));
        self.count_minutes(out);
        self.record(What::Transferred, out);
        let told = self.handing_over().map(|to| (to.over, to.talked_s));
        match told {
            Some((true, _)) => self.close(Ending::Transferred, out),
            Some((false, told @ Some(_))) => self.leg_ended(told),
            _ => {}
        }
    }

    /// The carrier says that the call is over.
    pub(super) fn line_ended(&mut self, out: &mut Vec<Output>) {
        if matches!(self.phase, Phase::Away(_)) {
            return self.close(Ending::Transferred, out);
        }
        // Before a transfer, the stream says so itself, or breaks.
        if let Some(to) = self
            .leaving
            .as_mut()
            .and_then(|leaving| leaving.to.as_mut())
        {
            to.over = to.sent;
        }
    }

    /// Whoever the caller was handed to has hung up, or never answered.
    pub(super) fn leg_ended(&mut self, seconds: Option<u64>) {
        if let Some(to) = self
            .leaving
            .as_mut()
            .and_then(|leaving| leaving.to.as_mut())
            && to.sent
        {
            to.talked_s = to.talked_s.max(seconds);
        }
        if matches!(self.phase, Phase::Away(_)) {
            let at = self.now.plus(OVER_MS);
            self.timers.set(Timer::Transfer, at);
        }
    }

    /// Something did not come that should have after a transfer was asked for.
    pub(super) fn transfer_is_late(&mut self, out: &mut Vec<Output>) {
        match self.phase {
            // The other end has hung up, and the carrier closes the call by itself.
            Phase::Away(_) => self.close(Ending::Transferred, out),
            // Nobody knows whether they talk: what that can cost is charged, and the carrier asked to end it.
            _ => self.close(Ending::Lost(Side::Carrier), out),
        }
    }

    /// Nobody watches the two any more: the carrier's own limit parts them, and all that can cost is charged.
    pub(super) fn leave_them(&mut self, out: &mut Vec<Output>) {
        if let Some(to) = self
            .leaving
            .as_mut()
            .and_then(|leaving| leaving.to.as_mut())
        {
            to.unwatched = true;
        }
        self.close(Ending::Transferred, out);
    }

    /// What the other line cost: its started minutes, as far as somebody has told how long they talked, or as long as they can have.
    pub(super) fn charge_leg(&mut self, out: &mut Vec<Output>) {
        let Some(to) = self.handing_over().filter(|to| to.sent) else {
            return self.release_transfer();
        };
        let at_most_s = match self.phase {
            // The line closes a little later than it is asked to.
            Phase::Away(since) if !to.unwatched => {
                let until = self.now.plus(self.rules.margins.hangup_ms);
                Some(until.since(since).div_ceil(1_000))
            }
            _ => None,
        };
        let (talked_s, seconds) = (to.talked_s, to.talked_s.or(at_most_s));
        let minute = self.rules.abilities.destinations[to.destination].minute;
        let told = seconds.map(|seconds| minute.times(seconds.div_ceil(60)));
        let cost = told.unwrap_or(self.meter.kept_for_transfer());
        let cost = self.meter.transfer_done(cost);
        self.record(What::Leg { talked_s, cost }, out);
    }
}

//! One phone call as a value: give it what happened and when, and it tells you what to do.
//!
//! No IO, no clock, no tasks, no locks: a call that went wrong in the night is a list of inputs in the morning, and runs again the
//! same way. The shell around it (`bridge`) moves sound and performs outputs; every decision is made in this folder:
//!
//! | file | what it decides |
//! |---|---|
//! | [`rules`] | every cap, timeout and margin |
//! | [`timers`] | what is being waited for, and until when |
//! | [`playback`] | what the caller has actually heard |
//! | [`turns`] | who may speak |
//! | [`words`] | what old sound is replaced by |
//! | [`meter`] | what it has cost, and what one more answer could cost |
//! | [`listening`] | what transcribing the caller can cost |
//! | [`allowance`] | what may be spent |
//! | [`talking`] | what follows from what either side says |
//! | [`answering`] | when an answer is asked for, and what becomes of it |
//! | [`ending`] | how a call is wound up, and what is last |
//! | [`record`] | what can be said about it afterwards |

pub mod allowance;
pub mod answering;
pub mod ending;
pub mod invariants;
pub mod listening;
pub mod meter;
pub mod playback;
pub mod record;
pub mod rules;
pub mod talking;
#[cfg(test)]
mod tests;
pub mod timers;
pub mod tools;
pub mod turns;
pub mod words;

use crate::audio::ear::Heard;
use crate::units::{CallId, CallTime, Usd};
use crate::{carrier, realtime};
use allowance::Allowance;
use meter::Meter;
use playback::Playback;
use record::{Cause, Ending, Fact, Goodbye, Summary, What};
use rules::Rules;
use std::collections::VecDeque;
use std::sync::Arc;
use timers::{Timer, Timers};
use tools::{ToolCall, ToolResult};
use turns::Turns;
use words::Words;

/// A call that may begin: what admission hands over.
#[derive(Clone, Debug)]
pub struct Ticket {
    /// Our name for the call.
    pub call: CallId,
    /// What it may do.
    pub rules: Arc<Rules>,
    /// What the budgets above have granted already; it is on disk. At least what merely answering costs: a carrier minute and a
    /// sentence.
    pub granted: Usd,
}

/// What can happen to a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Input {
    /// Something at the carrier's side.
    Carrier(carrier::Event),
    /// Something at the model's side.
    Realtime(realtime::Event),
    /// Something at a model's side that does not hold the floor.
    Standby(realtime::Event),
    /// What our own ear makes of the caller's sound has changed.
    Ear(Heard),
    /// The budgets answered.
    Budget(Verdict),
    /// A function that the model called has answered, or failed.
    Tool(ToolResult),
    /// The operator wishes something.
    Order(Order),
    /// The alarm that [`Call::deadline`] named has rung.
    Wake,
}

/// What a call wants done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Output {
    /// By the carrier's side.
    Carrier(carrier::Command),
    /// By the model's side.
    Realtime(realtime::Command),
    /// By another model's side, which does not hold the floor.
    Standby(realtime::Command),
    /// From now on the standby session is the one that holds the floor; the one before is closed.
    TakeOver,
    /// Made here and played as this item, whenever it is asked for.
    Sound {
        /// Its number among the call's spoken items.
        item: u32,
        /// What it is.
        sound: Sound,
    },
    /// By a function of the agent's.
    Tool(ToolCall),
    /// By the budgets.
    Budget(Ask),
    /// Written down.
    Record(Fact),
    /// The call is over; nothing follows.
    Close(Ending),
}

/// A sound that we make ourselves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Sound {
    /// Keys of a telephone, pressed one after the other.
    Tones(String),
    /// "One moment, please."
    Moment,
}

/// What a call asks of the budgets above it (RFC 8506).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ask {
    /// Grant this much more.
    TopUp(Usd),
    /// This is what was used; the rest of the grant is free again.
    Settle(Usd),
}

/// What the budgets answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// This much more is granted, and on disk.
    Granted(Usd),
    /// There is no more.
    Refused,
}

/// What an operator may wish.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// Say goodbye and end.
    WrapUp,
    /// End at once.
    HangUp,
}

/// Where a call stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// The stream or the model is not ready yet.
    Connecting,
    /// Both are.
    Talking,
    /// The goodbye is being said.
    WrappingUp(Cause),
    /// Nothing more will happen.
    Over(Ending),
}

/// One phone call.
#[derive(Clone, Debug)]
pub struct Call {
    rules: Arc<Rules>,
    phase: Phase,
    now: CallTime,
    begun: bool,
    timers: Timers,
    playback: Playback,
    turns: Turns,
    words: Words,
    meter: Meter,
    allowance: Allowance,
    /// When the media stream opened.
    answered: Option<CallTime>,
    /// The model's settings are confirmed.
    ready: bool,
    /// Caller sound that waits for the model, in milliseconds.
    waiting_ms: u64,
    first_word_said: bool,
    /// The last moment that the caller's sound came.
    last_heard: CallTime,
    /// The last moment that somebody spoke.
    last_word: CallTime,
    /// In this silence, the caller was asked whether they are still there.
    nudged: bool,
    warned: Vec<Cause>,
    /// When the goodbye began.
    wrapping_since: CallTime,
    goodbye_complete: bool,
    goodbye: Goodbye,
    /// The carrier was told what to say after the stream.
    last_words: bool,
    /// The model was lost before there was anybody to tell.
    lost_early: bool,
    interruptions: u32,
    /// When the call was over for the caller, in milliseconds.
    over_ms: u64,
    /// What the speech cost that nobody heard.
    unheard: Usd,
    /// The budgets were told what the call cost; nothing follows.
    settled: bool,
    /// What the last fact covers: spent and reserved.
    covered: Usd,
    /// What had been spent on talk, once a second or less often, for the last minute.
    spent_before: VecDeque<(CallTime, Usd)>,
}

impl Call {
    /// A call whose webhook is being answered; [`Input::Wake`] at time zero begins it.
    pub fn new(ticket: Ticket) -> Self {
        let rules = ticket.rules;
        Call {
            phase: Phase::Connecting,
            now: CallTime::ZERO,
            begun: false,
            timers: Timers::default(),
            playback: Playback::new(rules.lead_ms, rules.message_frames_ms()),
            turns: Turns::default(),
            words: Words::default(),
            meter: Meter::new(&rules),
            allowance: Allowance::new(rules.spend.end, ticket.granted),
            answered: None,
            ready: false,
            waiting_ms: 0,
            first_word_said: false,
            last_heard: CallTime::ZERO,
            last_word: CallTime::ZERO,
            nudged: false,
            warned: Vec::new(),
            wrapping_since: CallTime::ZERO,
            goodbye_complete: false,
            goodbye: Goodbye::None,
            last_words: false,
            lost_early: false,
            interruptions: 0,
            over_ms: 0,
            unheard: Usd::ZERO,
            settled: false,
            covered: Usd::ZERO,
            spent_before: VecDeque::new(),
            rules,
        }
    }

    /// When to call back with [`Input::Wake`], and which alarm that will be.
    pub fn deadline(&self) -> Option<(CallTime, Timer)> {
        self.timers.next()
    }

    /// Where the call stands.
    pub fn phase(&self) -> Phase {
        self.phase
    }

    /// What the call has cost so far.
    pub fn spent(&self) -> Usd {
        self.meter.cost().total()
    }

    /// The sound of this item is wanted, under this number.
    pub fn item_number(&self, item: &crate::units::Id) -> Option<u32> {
        self.playback.number(item)
    }

    /// Takes one input. Total: never fails, blocks or panics, whatever the order of inputs.
    pub fn handle(&mut self, now: CallTime, input: Input, out: &mut Vec<Output>) {
        self.now = self.now.max(now);
        if !self.begun {
            self.begin(out);
        }
        if self.is_over() {
            return self.handle_over(input, out);
        }
        while !self.is_over()
            && let Some(timer) = self.timers.take_due(self.now)
        {
            self.ring(timer, out);
        }
        if !self.is_over() {
            match input {
                Input::Carrier(event) => self.carrier_said(event, out),
                Input::Realtime(event) => self.realtime_said(event, out),
                Input::Budget(verdict) => self.budget_said(verdict),
                Input::Standby(_) | Input::Ear(_) | Input::Tool(_) => {}
                Input::Order(Order::WrapUp) => self.wrap_up(Cause::Drain, out),
                Input::Order(Order::HangUp) => self.close(Ending::Stopped, out),
                Input::Wake => {}
            }
        }
        if !self.is_over() {
            self.keep_within_caps(out);
        }
        if !self.is_over() {
            self.say_what_is_owed(out);
            self.watch(out);
        }
    }

    /// The call is over; until all of it is settled it may wait for reports.
    fn handle_over(&mut self, input: Input, out: &mut Vec<Output>) {
        if self.settled {
            return;
        }
        if self.timers.take_due(self.now).is_some() {
            return self.settle(out);
        }
        self.report_came(input, out);
    }

    fn is_over(&self) -> bool {
        matches!(self.phase, Phase::Over(_))
    }

    fn begin(&mut self, out: &mut Vec<Output>) {
        self.begun = true;
        let Rules {
            duration_ms,
            margins,
            ..
        } = *self.rules;
        // Half of a very short call is left to talk in.
        let goodbye_ms = (margins.goodbye_max_ms + margins.hangup_ms).min(duration_ms.end / 2);
        let at = CallTime::from_millis;
        self.timers.set(Timer::DurationWarn, at(duration_ms.warn));
        self.timers
            .set(Timer::DurationGoodbye, at(duration_ms.end - goodbye_ms));
        self.timers.set(Timer::DurationEnd, at(duration_ms.end));
        self.timers
            .set(Timer::StreamOpen, self.now.plus(margins.stream_open_ms));
        self.timers
            .set(Timer::ModelReady, self.now.plus(margins.model_ready_ms));
        self.timers.set(Timer::Minute, CallTime::ZERO);
        self.set_minute_ahead();
        out.push(Output::Realtime(realtime::Command::Open { model: 0 }));
    }

    fn ring(&mut self, timer: Timer, out: &mut Vec<Output>) {
        match timer {
            Timer::StreamOpen => self.close(Ending::Lost(record::Side::Carrier), out),
            Timer::ModelReady | Timer::Answer => {
                let loss = realtime::Loss::Unreachable("no answer in time".into());
                self.lose_model(loss, out);
            }
            Timer::DurationWarn => self.warn(Cause::Duration, out),
            Timer::DurationGoodbye => self.wrap_up(Cause::Duration, out),
            Timer::DurationEnd => self.cut_off(Cause::Duration, out),
            Timer::Minute => self.count_minutes(out),
            // Nothing more to do than to look at the caps again, which every input ends with.
            Timer::MinuteAhead => self.set_minute_ahead(),
            Timer::SilenceWarn => self.nudge(out),
            Timer::SilenceEnd => self.wrap_up(Cause::Silence, out),
            Timer::Retry => self.turns.owed = true,
            Timer::Verdict => self.allowance.refused(),
            Timer::Pace => {}
            Timer::GoodbyeStart => self.goodbye_is_late(out),
            Timer::GoodbyeEnd => self.goodbye_is_over(out),
            Timer::Hush => self.hush(out),
            // Set only when the call is over, and taken there.
            Timer::Reports => {}
        }
    }

    fn count_minutes(&mut self, out: &mut Vec<Output>) {
        while let Some((minute, cost)) = self.meter.minute(self.now) {
            self.record(What::Minute { minute, cost }, out);
        }
        self.timers.set(Timer::Minute, meter::next_minute(self.now));
    }

    /// Before a minute begins it is asked whether the call can pay for it: early enough for a goodbye, the hang-up, and a shell
    /// that wakes late.
    fn set_minute_ahead(&mut self) {
        let early_ms = self.rules.margins.ending_ms() + LATENESS_MS;
        let mut at = meter::next_minute(self.now)
            .millis()
            .saturating_sub(early_ms);
        while at <= self.now.millis() {
            at += meter::MINUTE_MS;
        }
        self.timers
            .set(Timer::MinuteAhead, CallTime::from_millis(at));
    }

    /// What must not be spent on anything else: the goodbye while it is not asked for, the carrier's sentence while it is not
    /// said, and the minute that an ending begun now could run into.
    fn set_aside(&self) -> Usd {
        let goodbye = match self.phase {
            Phase::Connecting | Phase::Talking => self.meter.goodbye_bound(),
            Phase::WrappingUp(_) => Usd::ZERO,
            Phase::Over(_) => return Usd::ZERO,
        };
        let sentence = if self.last_words {
            Usd::ZERO
        } else {
            self.meter.sentence()
        };
        goodbye.plus(sentence).plus(self.minutes_aside())
    }

    /// The minutes that an ending begun now could run into.
    fn minutes_aside(&self) -> Usd {
        let ending_ms = self.rules.margins.ending_ms();
        self.meter.minutes_until(match self.phase {
            Phase::Connecting | Phase::Talking => self.now.plus(ending_ms + LATENESS_MS),
            Phase::WrappingUp(_) => self.wrapping_since.plus(ending_ms).max(self.now),
            Phase::Over(_) => self.now,
        })
    }

    /// What may still be committed to.
    fn room(&self) -> Usd {
        self.allowance
            .limit()
            .less(self.meter.committed().plus(self.set_aside()))
    }

    /// Whether committing to this much more keeps the promise.
    fn fits(&self, more: Usd) -> bool {
        self.meter.committed().plus(self.set_aside()).plus(more) <= self.allowance.limit()
    }

    /// The cause to name when the money ends: the cap, or the budget that did not fill the grant up to it.
    fn money_cause(&self) -> Cause {
        if self.allowance.is_short() {
            Cause::Budget
        } else {
            Cause::Spend
        }
    }

    fn keep_within_caps(&mut self, out: &mut Vec<Output>) {
        if !matches!(self.phase, Phase::Connecting | Phase::Talking) {
            return;
        }
        let used = self.meter.committed().plus(self.set_aside());
        let wanted = if self.turns.owed {
            used.plus(self.longest_answer())
        } else {
            used
        };
        if let Some(more) = self.allowance.ask(used, wanted) {
            out.push(Output::Budget(Ask::TopUp(more)));
            self.timers.set(Timer::Verdict, self.now.plus(VERDICT_MS));
        }
        if !self.fits(Usd::ZERO) {
            return self.wrap_up(self.money_cause(), out);
        }
        let last_grant =
            self.first_word_said && !self.turns.is_answering() && !self.allowance.may_grow();
        if self.spent() >= self.rules.spend.warn
            || (last_grant && !self.fits(self.shortest_answer().times(2)))
        {
            self.warn(Cause::Spend, out);
        }
    }

    fn shortest_answer(&self) -> Usd {
        self.meter.answer_bound(self.rules.shortest_answer())
    }

    fn longest_answer(&self) -> Usd {
        self.meter
            .answer_bound(u64::from(self.rules.max_output_tokens))
    }

    fn budget_said(&mut self, verdict: Verdict) {
        self.timers.clear(Timer::Verdict);
        match verdict {
            Verdict::Granted(more) => self.allowance.granted(more),
            Verdict::Refused => self.allowance.refused(),
        }
    }

    fn record(&mut self, what: What, out: &mut Vec<Output>) {
        let fact = Fact {
            at: self.now,
            spent: self.spent(),
            reserved: self.meter.reserved(),
            what,
        };
        self.covered = fact.spent.plus(fact.reserved);
        out.push(Output::Record(fact));
    }

    fn summary(&self, ending: Ending) -> Summary {
        Summary {
            ending: Some(ending),
            answered: self.answered.is_some(),
            duration_ms: self.over_ms,
            minutes: self.meter.minutes(),
            turns: self.turns.count,
            interruptions: self.interruptions,
            goodbye: self.goodbye,
            cost: self.meter.cost(),
            unheard: self.unheard,
        }
    }
}

/// A shell that wakes this much too late still finds time and money for the goodbye.
const LATENESS_MS: u64 = 500;

/// How long the budgets may take to answer.
const VERDICT_MS: u64 = 2_000;

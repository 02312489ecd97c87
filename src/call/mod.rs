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
//! | [`memory`] | what reading it all again costs |
//! | [`listening`] | what transcribing the caller can cost |
//! | [`allowance`] | what may be spent |
//! | [`caps`] | what is set aside, and what is left |
//! | [`sessions`] | which session holds the floor, and which takes over |
//! | [`talking`] | what follows from what either side says |
//! | [`hearing`] | what follows from what the caller does |
//! | [`answering`] | when an answer is asked for, and what becomes of it |
//! | [`sounds`] | what we say with sounds of our own |
//! | [`tools`] | the functions the model calls, and what becomes of them |
//! | [`handing`] | how the agent hangs up, or hands the caller over |
//! | [`ending`] | how a call is wound up, and what is last |
//! | [`telling`] | what is told of it, as it happens |
//! | [`record`] | what can be said about it afterwards |

pub mod allowance;
pub mod answering;
pub mod caps;
pub mod ending;
pub mod handing;
pub mod hearing;
pub mod invariants;
pub mod listening;
pub mod memory;
pub mod meter;
pub mod playback;
pub mod record;
pub mod rules;
pub mod sessions;
pub mod sounds;
pub mod talking;
pub mod telling;
#[cfg(test)]
mod tests;
pub mod timers;
pub mod tools;
pub mod turns;
pub mod words;

use crate::audio::ear::{Heard, Hold};
use crate::audio::level::Level;
use crate::units::{CallId, CallTime, Id, Usd};
use crate::{carrier, realtime};
use allowance::Allowance;
use handing::Leaving;
use meter::Meter;
use playback::Playback;
use record::{Cause, Ending, Fact, Goodbye};
use rules::Rules;
use sessions::Sessions;
use sounds::Sound;
use std::collections::VecDeque;
use std::sync::Arc;
use timers::{Timer, Timers};
use tools::{ToolCall, ToolResult, Tools};
use turns::Turns;
use words::{Told, Words};

/// A call that may begin: what admission hands over.
#[derive(Clone, Debug)]
pub struct Ticket {
    /// Our name for the call.
    pub call: CallId,
    /// What it may do.
    pub rules: Arc<Rules>,
    /// The same for the agent's other models, in the order in which they take over.
    pub others: Vec<Arc<Rules>>,
    /// When the call's time began, in seconds since 1970: providers name the end of a session so.
    pub began_unix_s: u64,
    /// What the budgets above have granted already; it is on disk. At least what merely answering costs: a carrier minute, a
    /// sentence, and what it takes once.
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
    /// There is something on the caller's line now, or nothing any more. Told after the sound that shows it.
    Level(Level),
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
    /// Kept in the transcript, and nowhere else.
    Transcript(Told),
    /// By the budgets.
    Budget(Ask),
    /// Written down.
    Record(Fact),
    /// The call is over; nothing follows.
    Close(Ending),
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
    /// The caller talks with somebody else, since then.
    Away(CallTime),
    /// Nothing more will happen.
    Over(Ending),
}

/// One phone call.
#[derive(Clone, Debug)]
pub struct Call {
    /// What it may do, with the model on the floor.
    rules: Arc<Rules>,
    /// The same for each of the agent's models.
    models: Vec<Arc<Rules>>,
    /// Which of them is on the floor.
    model: usize,
    sessions: Sessions,
    /// Sessions that have held the floor before this one.
    session: u32,
    began_unix_s: u64,
    phase: Phase,
    now: CallTime,
    begun: bool,
    timers: Timers,
    playback: Playback,
    turns: Turns,
    words: Words,
    tools: Tools,
    meter: Meter,
    allowance: Allowance,
    /// When the media stream opened.
    answered: Option<CallTime>,
    /// The model's settings are confirmed.
    ready: bool,
    /// Caller sound that waits for the model, in milliseconds.
    waiting_ms: u64,
    /// Caller sound that has come in all.
    heard_ms: u64,
    /// Where in it the line has become silent; `None`: it is not.
    silent_from_ms: Option<u64>,
    /// Where in it the last turn begins, and where it ended.
    turn_from_ms: u64,
    committed_ms: u64,
    /// The caller has begun to speak, and what they said is no item yet.
    turn_begun: bool,
    /// The agent has said something to the last turn.
    turn_answered: bool,
    /// The caller may be speaking over the agent; our own ear has not heard it yet.
    doubted: bool,
    /// Our own ear hears the caller speak.
    ear_hears: bool,
    /// Our own ear hears that nobody is there.
    ear_holds: Option<Hold>,
    /// Since when nobody is at the other end.
    holding: Option<CallTime>,
    /// What the model is to be told once there is one.
    notes: Vec<String>,
    /// Keys that were pressed and not told yet.
    keys: String,
    keys_of_the_call: u32,
    /// Sounds of our own that were played.
    own_sounds: u32,
    /// The agent is about to leave.
    leaving: Option<Leaving>,
    /// At the edge of the budget somebody was asked to take the caller over, once.
    fell_back: bool,
    /// When the call is over, whatever else happens: the cap on duration, or that of a transfer.
    end_ms: u64,
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
        let others = ticket.others.into_iter();
        Call {
            models: std::iter::once(rules.clone()).chain(others).collect(),
            model: 0,
            sessions: Sessions::default(),
            session: 0,
            began_unix_s: ticket.began_unix_s,
            phase: Phase::Connecting,
            now: CallTime::ZERO,
            begun: false,
            timers: Timers::default(),
            playback: Playback::new(rules.lead_ms, rules.message_frames_ms()),
            turns: Turns::default(),
            words: Words::default(),
            tools: Tools::default(),
            meter: Meter::new(&rules),
            allowance: Allowance::new(rules.spend.end, ticket.granted),
            answered: None,
            ready: false,
            waiting_ms: 0,
            heard_ms: 0,
            silent_from_ms: None,
            turn_from_ms: 0,
            committed_ms: 0,
            turn_begun: false,
            turn_answered: true,
            doubted: false,
            ear_hears: false,
            ear_holds: None,
            holding: None,
            notes: Vec::new(),
            keys: String::new(),
            keys_of_the_call: 0,
            own_sounds: 0,
            leaving: None,
            fell_back: false,
            end_ms: rules.duration_ms.end,
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

    /// Caller sound that has come in all, in milliseconds.
    pub fn heard_ms(&self) -> u64 {
        self.heard_ms
    }

    /// The sound of this item is wanted, under this number.
    pub fn item_number(&self, item: &Id) -> Option<u32> {
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
                Input::Standby(event) => self.standby_said(event, out),
                Input::Ear(heard) => self.ear_said(heard, out),
                Input::Level(level) => self.level_changed(level, out),
                Input::Budget(verdict) => self.budget_said(verdict),
                Input::Tool(result) => self.tool_answered(result, out),
                Input::Order(Order::WrapUp) if matches!(self.phase, Phase::Away(_)) => {
                    self.leave_them(out);
                }
                Input::Order(Order::WrapUp) => self.wrap_up(Cause::Drain, out),
                Input::Order(Order::HangUp) => self.close(Ending::Stopped, out),
                Input::Wake => {}
            }
        }
        if !self.is_over() {
            self.keep_within_caps(out);
        }
        if !self.is_over() {
            self.look_at_transfer(out);
            self.tell_answers(out);
            self.change_over(out);
            self.say_what_is_owed(out);
            self.go_when_heard(out);
            self.watch(out);
        }
        if !self.is_over() {
            self.tell_transcript(out);
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
            Timer::DurationEnd => self.time_is_up(out),
            Timer::Minute => self.count_minutes(out),
            // Nothing more to do than to look at the caps again, which every input ends with.
            Timer::MinuteAhead => self.set_minute_ahead(),
            Timer::SilenceWarn => self.nudge(out),
            Timer::SilenceEnd => self.wrap_up(Cause::Silence, out),
            Timer::Retry => self.turns.owed = true,
            Timer::Renew => self.renew(out),
            Timer::Reopen => self.reopen(out),
            Timer::StandbyReady => {
                self.standby_lost(
                    realtime::Loss::Unreachable("no session in time".into()),
                    out,
                );
            }
            Timer::Moment => self.ask_for_patience(out),
            Timer::GiveUp => self.floor_stays_empty(out),
            Timer::Tool => self.tools_are_late(out),
            Timer::Keys => self.keys_pressed(out),
            Timer::Transfer => self.transfer_is_late(out),
            // Looked at after every input.
            Timer::LastWords | Timer::Tones => {}
            Timer::Verdict => self.allowance.refused(),
            Timer::Pace => {}
            Timer::GoodbyeStart => self.goodbye_is_late(out),
            Timer::GoodbyeEnd => self.goodbye_is_over(out),
            Timer::Hush => self.hush(out),
            // Set only when the call is over, and taken there.
            Timer::Reports => {}
        }
    }
}

/// A shell that wakes this much too late still finds time and money for the goodbye.
const LATENESS_MS: u64 = 500;

/// How long the budgets may take to answer.
const VERDICT_MS: u64 = 2_000;

//! A phone at a carrier, as a value: it rings a server, follows its documents, and speaks the media stream's language.
//!
//! Give it what happened and when; [`Phone::poll`] tells what to send. It does what the carrier does, down to the
//! habits a server must live with: signed requests, numbers in strings, a play-out buffer, marks that come back late and
//! marks that come back for sound nobody heard. Everything the caller heard and said is kept sample by sample, so that
//! what a server believes about its caller can be compared with what was true.
//!
//! Times given and taken are milliseconds of any clock that never goes back. Inside, and in everything that is told
//! afterwards, time zero is [`Phone::start`].

pub mod call;
mod caller;
mod document;
mod leg;
pub mod line;
pub mod playout;
pub mod report;
pub mod rest;
mod setup;
pub mod sign;
mod stream;
#[cfg(test)]
mod tests;
pub mod timeline;
pub mod track;
pub mod twiml;
pub mod wav;
mod wire;

pub use caller::{Act, Step, When};
pub use leg::{Callee, CarrierEar, Leg, Pickup};
pub use line::Line;
pub use report::Report;
pub use setup::{Order, Out, Setup};
pub use timeline::{Ending, Moment, Violation, What};

use caller::Caller;
use line::Lane;
use playout::{Cleared, PlayOut, Stretch};
use std::collections::VecDeque;
use timeline::Timeline;
use track::{Ear, Track};
use twiml::Verb;

/// Where the call stands.
#[derive(Debug, PartialEq, Eq)]
enum Stage {
    /// Nobody has dialled yet.
    Idle,
    /// Somebody whom the server has called is rung.
    Ringing { until_ms: u64 },
    /// A server was asked what to do.
    Asking { until_ms: u64 },
    /// A stream is being opened.
    Opening { until_ms: u64 },
    /// The sound goes both ways.
    Streaming,
    /// The carrier speaks or is silent by itself.
    Waiting { until_ms: u64 },
    /// Somebody is rung for the caller.
    Dialling { until_ms: u64 },
    /// The caller talks to somebody else.
    Bridged { since_ms: u64, until_ms: u64 },
    /// The call is over, and the server is being told.
    Reporting { until_ms: u64 },
    /// Nothing more will happen.
    Over,
}

/// What arrives from the server's socket.
#[derive(Debug)]
enum Incoming {
    /// A text frame, and when it came.
    Text(String, u64),
    Binary,
    Closed(Option<u16>),
}

/// One media stream of the call.
#[derive(Debug)]
struct Stream {
    sid: String,
    opened_ms: u64,
    frame_ms: u64,
    frames: u64,
    chunks: u64,
    number: u64,
    /// The server has closed its end: nothing is sent any more.
    deaf: bool,
}

/// One call, seen from the carrier.
#[derive(Debug)]
pub struct Phone {
    setup: Setup,
    zero_ms: Option<u64>,
    now_ms: u64,
    stage: Stage,
    document: String,
    verbs: VecDeque<Verb>,
    requests: u32,
    connect: Option<twiml::Connect>,
    dialled: Option<twiml::Dial>,
    ear_ms: Option<u64>,
    answered_ms: Option<u64>,
    limit_s: Option<u64>,
    ended: Option<(u64, Ending)>,
    stream: Option<Stream>,
    streams: u64,
    incoming: Lane<Incoming>,
    outgoing: Lane<Out>,
    playout: PlayOut,
    caller: Caller,
    ear: Ear,
    heard: Track,
    spoken: Track,
    says: Vec<String>,
    violations: Vec<Violation>,
    timeline: Timeline,
}

/// How long a frame of the caller's sound lasts at a real carrier.
const FRAME_MS: u64 = 20;

/// Samples in a millisecond.
const PER_MS: u64 = 8;

/// A server that errs with every frame is written down so often, and no more.
const MOST_VIOLATIONS: usize = 100;

/// The carrier ends every call after four hours, if nobody says otherwise.
const DEFAULT_LIMIT_S: u64 = 14_400;

impl Phone {
    /// A phone that has not dialled yet.
    pub fn new(mut setup: Setup) -> Self {
        let script = std::mem::take(&mut setup.script);
        Phone {
            zero_ms: None,
            now_ms: 0,
            stage: Stage::Idle,
            document: setup.webhook.clone(),
            verbs: VecDeque::new(),
            requests: 0,
            connect: None,
            dialled: None,
            ear_ms: None,
            answered_ms: None,
            limit_s: setup.limit_s.or(Some(DEFAULT_LIMIT_S)),
            ended: None,
            stream: None,
            streams: 0,
            incoming: Lane::new(setup.line, setup.seed),
            outgoing: Lane::new(setup.line, !setup.seed),
            playout: PlayOut::default(),
            caller: Caller::new(script),
            ear: Ear::default(),
            heard: Track::keeping(setup.keep_sound),
            spoken: Track::keeping(setup.keep_sound),
            says: Vec::new(),
            violations: Vec::new(),
            timeline: Timeline::default(),
            setup,
        }
    }

    /// Dials: this is time zero.
    pub fn start(&mut self, now_ms: u64) {
        self.wake(now_ms);
        if self.zero_ms.is_none() {
            self.zero_ms = Some(now_ms);
            if self.setup.callee.is_some() {
                return self.ring();
            }
            let webhook = self.setup.webhook.clone();
            self.ask(webhook);
        }
    }

    /// The server answered a request with this HTTP status and body.
    pub fn http_answered(&mut self, now_ms: u64, status: u16, body: &str) {
        self.wake(now_ms);
        self.answer_came(status, body);
    }

    /// Nobody answered a request, or the answer could not be read.
    pub fn unanswered(&mut self, now_ms: u64) {
        self.wake(now_ms);
        self.no_answer_came();
    }

    /// The WebSocket is open.
    pub fn opened(&mut self, now_ms: u64) {
        self.wake(now_ms);
        self.stream_opened();
    }

    /// The WebSocket was refused with this HTTP status; zero when nobody answered at all.
    pub fn refused(&mut self, now_ms: u64, http_status: u16) {
        self.wake(now_ms);
        self.stream_refused(http_status);
    }

    /// The server sent a text frame.
    pub fn receive(&mut self, now_ms: u64, text: &str) {
        self.wake(now_ms);
        self.incoming
            .send(self.now_ms, Incoming::Text(text.to_owned(), self.now_ms));
        self.wake(now_ms);
    }

    /// The server sent a binary frame, which it must not.
    pub fn receive_binary(&mut self, now_ms: u64) {
        self.wake(now_ms);
        self.incoming.send(self.now_ms, Incoming::Binary);
        self.wake(now_ms);
    }

    /// The server closed the WebSocket with this code; `None`: the connection broke.
    pub fn closed(&mut self, now_ms: u64, code: Option<u16>) {
        self.wake(now_ms);
        if let Some(stream) = &mut self.stream {
            stream.deaf = true;
            self.outgoing.retain(|out| !matches!(out, Out::Text(_)));
        }
        self.incoming.send(self.now_ms, Incoming::Closed(code));
        self.wake(now_ms);
    }

    /// The server ordered something through the REST API.
    pub fn order(&mut self, now_ms: u64, order: Order) {
        self.wake(now_ms);
        match order {
            _ if self.ended.is_some() || self.zero_ms.is_none() => {}
            Order::Complete => self.end(Ending::Completed),
            Order::Limit { seconds } => {
                self.limit_s = Some(seconds);
                self.note(What::Limited(seconds));
            }
            Order::Document(document) => self.obey(&document),
        }
        self.wake(now_ms);
    }

    /// Time has passed: everything due by now happens, each at its own moment.
    pub fn wake(&mut self, now_ms: u64) {
        let Some(zero_ms) = self.zero_ms else {
            return;
        };
        let until_ms = now_ms.saturating_sub(zero_ms).max(self.now_ms);
        while let Some(due_ms) = self.next_ms().filter(|due_ms| *due_ms <= until_ms) {
            self.now_ms = due_ms.max(self.now_ms);
            self.happen();
        }
        self.now_ms = until_ms;
        self.sound();
    }

    /// When to call [`Phone::wake`] or [`Phone::poll`] next, on the clock of the caller; `None` when only news can help.
    pub fn deadline(&self) -> Option<u64> {
        let next_ms = [self.next_ms(), self.outgoing.due_ms()]
            .into_iter()
            .flatten()
            .min()?;
        Some(self.zero_ms?.saturating_add(next_ms))
    }

    /// The next thing to do, if one is due.
    pub fn poll(&mut self) -> Option<Out> {
        self.outgoing.arrive(self.now_ms)
    }

    /// What happened, in order.
    pub fn timeline(&self) -> &[Moment] {
        self.timeline.moments()
    }

    /// What the caller heard: 8 kHz from time zero to the end. The carrier's own voice is silent here; see [`Phone::says`].
    pub fn heard(&self) -> &[i16] {
        self.heard.samples()
    }

    /// What the caller said: 8 kHz from time zero to the end.
    pub fn spoken(&self) -> &[i16] {
        self.spoken.samples()
    }

    /// The sentences that the carrier said with its own voice.
    pub fn says(&self) -> &[String] {
        &self.says
    }

    /// What the carrier would complain about.
    pub fn violations(&self) -> &[Violation] {
        &self.violations
    }

    /// Every stretch of sound between two marks, with what was played of it.
    pub fn stretches(&self) -> &[Stretch] {
        self.playout.stretches()
    }

    /// Every `clear`, with what it took.
    pub fn clears(&self) -> &[Cleared] {
        self.playout.clears()
    }

    /// Samples really played of the sound whose marks begin with `prefix`: `"3:"` is all that was heard of item 3.
    ///
    /// Sound that no mark followed belongs to no prefix but the empty one.
    pub fn played(&self, prefix: &str) -> u64 {
        let named = |stretch: &&Stretch| stretch.mark.as_deref().unwrap_or("").starts_with(prefix);
        self.stretches()
            .iter()
            .filter(named)
            .map(|stretch| stretch.played)
            .sum()
    }

    /// When the agent was first heard, in milliseconds.
    pub fn first_heard_ms(&self) -> Option<u64> {
        self.ear.first().map(|at| at / PER_MS)
    }

    /// When the call was answered, in milliseconds.
    pub fn answered_ms(&self) -> Option<u64> {
        self.answered_ms
    }

    /// When and why it was over.
    pub fn ended(&self) -> Option<(u64, Ending)> {
        self.ended
    }

    /// The carrier's word for the state of the call, as its callbacks and its records have it.
    pub fn status(&self) -> &'static str {
        match (self.ended, self.answered_ms) {
            (None, None) => "ringing",
            (None, Some(_)) => "in-progress",
            (Some(_), Some(_)) => "completed",
            (Some((_, Ending::CallerHungUp | Ending::NobodyAnswered)), None) => "no-answer",
            (Some((_, Ending::ApplicationError | Ending::Failed)), None) => "failed",
            (Some((_, Ending::Completed)), None) => "canceled",
            (Some(_), None) => "busy",
        }
    }

    /// From the answer until now or the end, in milliseconds.
    pub fn duration_ms(&self) -> u64 {
        let until_ms = self.ended.map_or(self.now_ms, |(at_ms, _)| at_ms);
        self.answered_ms
            .map_or(0, |since_ms| until_ms.saturating_sub(since_ms))
    }

    /// Minutes the carrier bills: each started one, from the answer; none for a call that was not answered.
    pub fn billed_minutes(&self) -> u64 {
        let answered = u64::from(self.answered_ms.is_some());
        self.duration_ms().div_ceil(60_000).max(answered)
    }

    /// The next moment at which something happens by itself.
    fn next_ms(&self) -> Option<u64> {
        let stage_ms = match self.stage {
            Stage::Ringing { until_ms }
            | Stage::Dialling { until_ms }
            | Stage::Bridged { until_ms, .. }
            | Stage::Asking { until_ms }
            | Stage::Opening { until_ms }
            | Stage::Waiting { until_ms }
            | Stage::Reporting { until_ms } => Some(until_ms),
            Stage::Idle | Stage::Streaming | Stage::Over => None,
        };
        if self.ended.is_some() {
            return [stage_ms, self.incoming.due_ms()]
                .into_iter()
                .flatten()
                .min();
        }
        let frame_ms = self.stream.as_ref().map(Stream::next_frame_ms);
        let marks_ms = self.playout.next_mark().map(|at| at.div_ceil(PER_MS));
        let step_ms = self.caller.next().map(|at| at.div_ceil(PER_MS));
        [
            stage_ms,
            frame_ms,
            marks_ms,
            step_ms,
            self.ear_ms,
            self.limit_ms(),
            self.incoming.due_ms(),
        ]
        .into_iter()
        .flatten()
        .min()
    }

    /// When the carrier ends the call by itself.
    fn limit_ms(&self) -> Option<u64> {
        let limit_ms = self.limit_s?.saturating_mul(1000);
        Some(self.answered_ms?.saturating_add(limit_ms))
    }

    /// Everything that is due at this very moment.
    fn happen(&mut self) {
        self.sound();
        while let Some(incoming) = self.incoming.arrive(self.now_ms) {
            self.arrived(incoming);
            self.sound();
        }
        if self.ended.is_none() {
            self.act();
        }
        let frame_due = |stream: &Stream| stream.next_frame_ms() <= self.now_ms;
        if self.ended.is_none() && self.stream.as_ref().is_some_and(frame_due) {
            self.frame();
        }
        if self.ended.is_none()
            && self
                .limit_ms()
                .is_some_and(|limit_ms| limit_ms <= self.now_ms)
        {
            self.end(Ending::TimeLimit);
        }
        if self.ended.is_none() {
            self.ear_due();
        }
        self.stage_due();
    }

    /// Lets time pass for mouth and ear: plays, listens, and sends back the marks that were reached.
    fn sound(&mut self) {
        if self.ended.is_some() {
            return;
        }
        let until = self.now_ms * PER_MS;
        let reached = self.playout.play(until, &mut self.heard, &mut self.ear);
        for (at, name) in reached {
            self.send_mark(at.div_ceil(PER_MS), &name);
        }
        self.caller.speak(until, &mut self.spoken);
        if let Some((at, talks)) = self.ear.news(until) {
            let what = if talks {
                What::AgentSpeaks
            } else {
                What::AgentSilent
            };
            self.timeline.add(at / PER_MS, what);
        }
    }

    /// What the caller does now.
    fn act(&mut self) {
        for act in self.caller.acts(&self.ear) {
            match act {
                Act::Say(sound) => {
                    let ms = sound.len() as u64 / PER_MS;
                    self.note(What::CallerSpeaks { ms });
                }
                Act::Press(digit) => {
                    self.note(What::CallerPresses(digit));
                    self.send_digit(digit);
                }
                Act::HangUp => self.end(Ending::CallerHungUp),
            }
        }
    }

    fn note(&mut self, what: What) {
        self.timeline.add(self.now_ms, what);
    }

    fn violated(&mut self, code: u16, what: impl Into<String>) {
        if self.violations.len() >= MOST_VIOLATIONS {
            return;
        }
        let what = what.into();
        let violation = Violation { code, what };
        self.note(What::Violated(violation.clone()));
        self.violations.push(violation);
    }
}

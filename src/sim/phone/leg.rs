//! The half of a phone that others dial: a callee who is rung by the server, and somebody the caller is handed over to.
//!
//! Both ring for a while and then answer, or do not. What becomes of a callee is told to the server step by step, beside the call; who
//! was dialled for the caller is told when that is over, as the question what comes next.

use super::twiml::{self, Dial};
use super::{Ending, Out, PER_MS, Phone, Stage, What};

/// What becomes of a ring.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Pickup {
    /// Somebody answers.
    #[default]
    Answers,
    /// The line is busy.
    Busy,
    /// Nobody answers, and the carrier gives up.
    Never,
    /// There is no such number.
    Fails,
}

/// Whoever is dialled for the caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Leg {
    /// What becomes of the ring.
    pub pickup: Pickup,
    /// How long it rings, in milliseconds.
    pub ring_ms: u64,
    /// How long they talk, in milliseconds, unless somebody ends it earlier.
    pub talk_ms: u64,
}

impl Default for Leg {
    fn default() -> Self {
        Leg {
            pickup: Pickup::Answers,
            ring_ms: 500,
            talk_ms: 2_000,
        }
    }
}

/// Somebody whom the server has called.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Callee {
    /// What becomes of the ring.
    pub pickup: Pickup,
    /// How long it rings, in milliseconds.
    pub ring_ms: u64,
    /// The states that the server wants to be told, of `initiated`, `ringing` and `answered`; the end is told always.
    pub events: Vec<String>,
    /// What the carrier hears who answered.
    pub ear: Option<CarrierEar>,
}

/// The carrier listens who answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CarrierEar {
    /// Its word for who it was: `human`, `machine_start`.
    pub word: String,
    /// How long after the answer it has made up its mind, in milliseconds.
    pub after_ms: u64,
    /// Whom it tells.
    pub url: String,
}

impl Phone {
    /// The server has called somebody: it rings there.
    pub(super) fn ring(&mut self) {
        let Some(callee) = &self.setup.callee else {
            return;
        };
        let until_ms = self.now_ms.saturating_add(callee.ring_ms);
        self.stage = Stage::Ringing { until_ms };
        self.note(What::Rings);
        self.tell_state("initiated", "initiated");
        self.tell_state("ringing", "ringing");
    }

    /// It has rung long enough.
    pub(super) fn rung(&mut self) {
        let Some(callee) = self.setup.callee.clone() else {
            return;
        };
        match callee.pickup {
            Pickup::Busy => self.end(Ending::Busy),
            Pickup::Never => self.end(Ending::NobodyAnswered),
            Pickup::Fails => self.end(Ending::Failed),
            Pickup::Answers => {
                self.pick_up();
                self.tell_state("answered", "in-progress");
                self.ear_ms = callee
                    .ear
                    .map(|ear| self.now_ms.saturating_add(ear.after_ms));
                let webhook = self.setup.webhook.clone();
                self.ask(webhook);
            }
        }
    }

    /// The carrier has made up its mind about who answered.
    pub(super) fn ear_due(&mut self) {
        let is_due = self.ear_ms.is_some_and(|at_ms| at_ms <= self.now_ms);
        if !is_due {
            return;
        }
        self.ear_ms = None;
        let ear = self
            .setup
            .callee
            .as_ref()
            .and_then(|callee| callee.ear.clone());
        if let Some(CarrierEar { word, url, .. }) = ear {
            let setup = &self.setup;
            // Posted without a word about the state of the call, as by the carrier.
            let form = [
                ("AccountSid", &*setup.account_sid),
                ("CallSid", &*setup.call_sid),
                ("AnsweredBy", &*word),
                ("MachineDetectionDuration", "2500"),
            ];
            let form = form.map(|(name, value)| (name.to_owned(), value.to_owned()));
            let out = self.request(url, &form);
            self.tell(out);
        }
    }

    /// Tells a state of the call that the server wants to know, and does not wait for what it says.
    fn tell_state(&mut self, event: &str, state: &str) {
        let wanted = |callee: &Callee| callee.events.iter().any(|wanted| wanted == event);
        if !self.setup.callee.as_ref().is_some_and(wanted) {
            return;
        }
        if let Some(url) = self.setup.status_callback.clone() {
            let form = self.form(state, &[("CallbackSource", "call-progress-events")]);
            let out = self.request(url, &form);
            self.tell(out);
        }
    }

    fn tell(&mut self, out: Out) {
        if let Out::Http { url, headers, body } = out {
            self.outgoing
                .put(self.now_ms, Out::Tell { url, headers, body });
        }
    }

    /// The server's new document for a call that is going on: whatever was going on is over.
    pub(super) fn obey(&mut self, document: &str) {
        let verbs = match twiml::read(document) {
            Ok(verbs) => verbs,
            Err(wrong) => {
                self.violated(12100, wrong);
                return self.end(Ending::ApplicationError);
            }
        };
        if matches!(self.stage, Stage::Opening { .. }) {
            self.outgoing.put(self.now_ms, Out::Close);
        }
        self.leave_stream();
        self.connect = None;
        self.dialled = None;
        self.verbs = verbs.into();
        self.follow();
    }

    /// Somebody is dialled for the caller.
    pub(super) fn dial(&mut self, dial: Dial) {
        self.note(What::Dials);
        self.dialled = Some(dial);
        let until_ms = self.now_ms.saturating_add(self.setup.leg.ring_ms);
        self.stage = Stage::Dialling { until_ms };
    }

    /// Whoever was dialled for the caller has been rung long enough.
    pub(super) fn leg_rung(&mut self) {
        let leg = self.setup.leg;
        match leg.pickup {
            Pickup::Answers => {
                let limit_ms = self.dialled.as_ref().map_or(u64::MAX, |dial| dial.limit_ms);
                let talk_ms = leg.talk_ms.min(limit_ms);
                self.note(What::Bridged);
                let until_ms = self.now_ms.saturating_add(talk_ms);
                self.stage = Stage::Bridged {
                    since_ms: self.now_ms,
                    until_ms,
                };
            }
            Pickup::Busy => self.leg_over("busy", 0),
            Pickup::Never => self.leg_over("no-answer", 0),
            Pickup::Fails => self.leg_over("failed", 0),
        }
    }

    /// Whoever was dialled for the caller is gone: asks, or goes on.
    pub(super) fn leg_over(&mut self, state: &str, talked_ms: u64) {
        self.note(What::LegEnded);
        let seconds = talked_ms.div_ceil(1000).to_string();
        match self.dialled.take().and_then(|dial| dial.action) {
            Some(action) => {
                let leg = format!("{}l", self.setup.call_sid);
                let more = [
                    ("DialCallStatus", state),
                    ("DialCallDuration", &*seconds),
                    ("DialCallSid", &*leg),
                ];
                let url = twiml::resolve(&self.document, &action);
                self.ask_with(url, &more);
            }
            None => self.follow(),
        }
    }

    /// Somebody answers; from here on the carrier bills.
    pub(super) fn pick_up(&mut self) {
        if self.answered_ms.is_none() {
            self.answered_ms = Some(self.now_ms);
            self.caller.answered(self.now_ms * PER_MS);
            self.note(What::Answered);
        }
    }
}

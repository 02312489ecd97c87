//! What a call touches in virtual time: the phone, the model, the carrier's API, the budgets, and what is to be done later.
//!
//! It is to the core what the server's own desk is, with values in the place of sockets. The core's promises are checked here, input
//! by input, because here everything passes that the core is told and decides.

use super::beside::{Beside, Besides, Taking};
use super::house::{Attempt, Dialled, House, Place};
use crate::admission::Slot;
use crate::audio::ear::Heard;
use crate::bridge::line::Outside;
use crate::budget::Grant;
use crate::call::invariants::Checker;
use crate::call::record::{Ending, Fact};
use crate::call::tools::{ToolCall, ToolResult};
use crate::call::words::Told;
use crate::call::{Ask, Call, Input, Output, Phase, Verdict};
use crate::carrier::{self, RestRequest, Transfer};
use crate::cli::prove::Outcome;
use crate::realtime::{self, Address};
use crate::sim::phone::rest::Rest;
use crate::sim::phone::{self, Order, Phone, Report};
use crate::units::{CallTime, Secret, Usd};
use base64_simd::STANDARD;
use std::collections::{BTreeMap, VecDeque};

/// The longest that a caller whose model is gone is left without a word, in milliseconds.
const ALONE_MS: u64 = 12_000;

/// The close code for "done".
const NORMAL: u16 = 1000;

/// A call to be made among others.
pub struct Role {
    /// When the phone dials, in milliseconds on the clock of the stage.
    pub rings_ms: u64,
    /// Who calls.
    pub phone: phone::Setup,
    /// Of each of the agent's models, what becomes of the attempts to reach it; the last fate is that of all that follow.
    pub models: Vec<Vec<Dialled>>,
    /// What else there is.
    pub beside: Beside,
}

impl Role {
    /// Somebody who calls at once, and has nothing but models.
    pub fn of(phone: phone::Setup, models: Vec<Vec<Dialled>>) -> Role {
        Role {
            rings_ms: 0,
            phone,
            models,
            beside: Beside::default(),
        }
    }
}

/// What is to be done at a moment to come.
pub(super) enum Later {
    /// An attempt to reach a model comes to its end.
    Arrive(Attempt),
    Rest(RestRequest),
    /// A function answers.
    Tool(ToolResult),
    /// Our own ear has heard something.
    Ear(Heard),
    /// The carrier hands the caller over, or does not.
    Taken(Taking, Transfer),
    /// The caller and whoever they were handed to are parted.
    Parted,
    /// The carrier says so.
    Told(carrier::Event),
}

/// What is to be done, by the moment it is due.
#[derive(Default)]
pub(super) struct Agenda {
    due: BTreeMap<(u64, u64), Later>,
    count: u64,
}

impl Agenda {
    fn add(&mut self, at_ms: u64, later: Later) {
        self.count += 1;
        self.due.insert((at_ms, self.count), later);
    }

    pub(super) fn is_empty(&self) -> bool {
        self.due.is_empty()
    }

    pub(super) fn next_ms(&self) -> Option<u64> {
        self.due.first_key_value().map(|((at_ms, _), _)| *at_ms)
    }

    pub(super) fn due(&mut self, now_ms: u64) -> Option<Later> {
        self.next_ms().filter(|at_ms| *at_ms <= now_ms)?;
        self.due.pop_first().map(|(_, later)| later)
    }
}

/// The carrier's API for one call, and our key to it.
pub(super) struct Api {
    base: &'static str,
    authorization: String,
    call: String,
    rest: Rest,
}

impl Api {
    pub(super) fn new(base: &'static str, account: &str, auth_token: &Secret, call: &str) -> Self {
        let token = auth_token.reveal();
        let pair = STANDARD.encode_to_string(format!("{account}:{token}"));
        let mut rest = Rest::new(account, token);
        rest.begin(call);
        Api {
            base,
            authorization: format!("Basic {pair}"),
            call: call.to_owned(),
            rest,
        }
    }

    /// The API knows when the call is over.
    pub(super) fn follow(&mut self, phone: &Phone) {
        if phone.ended().is_some() {
            self.rest.end(&self.call);
        }
    }
}

/// Everything around the core.
pub(super) struct Desk {
    pub(super) now_ms: u64,
    rang_ms: u64,
    pub(super) phone: Phone,
    pub(super) api: Api,
    pub(super) later: Agenda,
    pub(super) verdicts: VecDeque<Verdict>,
    pub(super) last_words: Option<String>,
    pub(super) cap: Usd,
    pub(super) grant: Option<Grant>,
    pub(super) slot: Option<Slot>,
    pub(super) carrier_open: bool,
    pub(super) over: Option<Ending>,
    pub(super) house: House,
    besides: Besides,
    /// Since when nobody holds the floor, and the caller has not been told anything.
    alone: Option<CallTime>,
    settled: Option<Usd>,
    facts: Vec<Fact>,
    checker: Checker,
    input: Option<(CallTime, Input)>,
    broken: Vec<String>,
}

impl Desk {
    pub(super) fn new(role: Role, api: Api, seed: u64) -> Self {
        Desk {
            now_ms: role.rings_ms,
            rang_ms: role.rings_ms,
            phone: Phone::new(role.phone),
            api,
            later: Agenda::default(),
            verdicts: VecDeque::new(),
            last_words: None,
            cap: Usd::ZERO,
            grant: None,
            slot: None,
            carrier_open: false,
            over: None,
            house: House::new(role.models, seed),
            besides: Besides::new(role.beside),
            alone: None,
            settled: None,
            facts: Vec::new(),
            checker: Checker::default(),
            input: None,
            broken: Vec::new(),
        }
    }

    fn dial(&mut self, place: Place, address: &Address) {
        let model = super::model_at(&address.url);
        if let Some((after_ms, attempt)) = self.house.dial(place, model, address, self.now_ms) {
            self.later
                .add(self.now_ms + after_ms, Later::Arrive(attempt));
        }
    }

    /// The carrier takes the caller over: the stream stops, and the two talk unheard.
    pub(super) fn take(&mut self, transfer: &Transfer) {
        let since_ms = self
            .phone
            .answered_ms()
            .map_or(self.now_ms, |at| self.rang_ms + at);
        let ends_ms = self.besides.taken(transfer, since_ms, self.now_ms);
        self.phone.order(self.now_ms, Order::Complete);
        self.later.add(ends_ms, Later::Parted);
    }

    /// The two are parted, by whomever.
    pub(super) fn part(&mut self) {
        let (leg, ended) = self.besides.parted(self.now_ms);
        if let Some((after_ms, seconds)) = leg {
            let event = carrier::Event::LegEnded {
                seconds: Some(seconds),
            };
            self.later.add(self.now_ms + after_ms, Later::Told(event));
        }
        if let Some(after_ms) = ended {
            let event = carrier::Event::Ended { seconds: None };
            self.later.add(self.now_ms + after_ms, Later::Told(event));
        }
    }

    pub(super) fn close_carrier_with(&mut self, code: u16) {
        if std::mem::take(&mut self.carrier_open) {
            self.phone.closed(self.now_ms, Some(code));
        }
    }

    /// Asks the carrier's API.
    pub(super) fn request(&mut self, request: &RestRequest) {
        let ends = (request.form.iter()).any(|(_, value)| value == "completed");
        if ends && self.besides.is_away() {
            return self.part();
        }
        let Some(path) = request.url.strip_prefix(self.api.base) else {
            return;
        };
        let form = form_urlencoded::Serializer::new(String::new())
            .extend_pairs(&request.form)
            .finish();
        let key = Some(&*self.api.authorization);
        let answer = self.api.rest.answer(request.method, path, key, &form);
        if let Some((_, order)) = answer.order {
            self.phone.order(self.now_ms, order);
        }
    }

    /// A caller whose model is gone hears something soon: another one, or a word of patience, or why the call ends.
    fn look_whether_alone(&mut self, call: &Call, now: CallTime, outputs: &[Output]) {
        use crate::realtime::Command;
        for output in outputs {
            match output {
                Output::Realtime(Command::Close)
                    if matches!(call.phase(), Phase::Connecting | Phase::Talking) =>
                {
                    self.alone.get_or_insert(now);
                }
                // What had come of its last answer is still being heard.
                Output::Carrier(carrier::Command::Play { .. }) if self.alone.is_some() => {
                    self.alone = Some(now);
                }
                Output::TakeOver
                | Output::Sound { .. }
                | Output::Close(_)
                | Output::Carrier(carrier::Command::Close | carrier::Command::LastWords(_)) => {
                    let since = self.alone.take().filter(|_| self.is_listened_to());
                    let ms = since.map_or(0, |since| now.since(since));
                    if ms > ALONE_MS {
                        self.broken
                            .push(format!("at {now}: nobody had spoken for {ms} ms"));
                    }
                }
                _ => {}
            }
        }
    }

    /// The caller was answered, and has not hung up.
    fn is_listened_to(&self) -> bool {
        self.phone.answered_ms().is_some() && self.phone.ended().is_none()
    }

    pub(super) fn outcome(self, phone: Report) -> Outcome {
        let mut phone = phone;
        let took = self.besides.took;
        phone.billed_minutes = phone.billed_minutes.max(took.minutes);
        Outcome {
            facts: self.facts,
            cap: self.cap,
            settled: self.settled,
            phone,
            requests: self.api.rest.requests().to_vec(),
            invoices: self.house.invoices(),
            remembered: self.house.remembered(),
            took,
            broken: self.broken,
        }
    }
}

impl Outside for Desk {
    fn to_carrier(&mut self, frame: &str) {
        if self.carrier_open {
            self.phone.receive(self.now_ms, frame);
        }
    }

    fn to_model(&mut self, frame: &str) {
        self.house.receive(Place::Floor, self.now_ms, frame);
    }

    fn open_model(&mut self, address: Address) {
        self.dial(Place::Floor, &address);
    }

    fn close_model(&mut self) {
        self.house.close(Place::Floor, self.now_ms);
    }

    fn open_standby(&mut self, address: Address) {
        self.dial(Place::Standby, &address);
    }

    fn to_standby(&mut self, frame: &str) {
        self.house.receive(Place::Standby, self.now_ms, frame);
    }

    fn close_standby(&mut self) {
        self.house.close(Place::Standby, self.now_ms);
    }

    fn take_over(&mut self) {
        self.house.take_over(self.now_ms);
    }

    fn tool(&mut self, call: ToolCall) {
        for (after_ms, result) in self.besides.call(&call) {
            self.later.add(self.now_ms + after_ms, Later::Tool(result));
        }
    }

    fn transcript(&mut self, _told: Told) {}

    fn close_carrier(&mut self) {
        self.close_carrier_with(NORMAL);
    }

    // The phone sees a normal close: how a server words its complaints is seen over sockets.
    fn carrier_garbled(&mut self, _: &'static str) {}

    // Whom the caller is handed over to is played here, not by the phone.
    fn transfer(&mut self, _: RestRequest) {}

    fn rest(&mut self, request: RestRequest, after_ms: u64) {
        self.later.add(self.now_ms + after_ms, Later::Rest(request));
    }

    fn last_words(&mut self, sentence: String) {
        self.last_words = Some(sentence);
    }

    fn ask(&mut self, ask: Ask) {
        match ask {
            Ask::TopUp(more) => {
                let grant = self.grant.as_mut();
                let verdict = grant.map_or(Verdict::Refused, |grant| grant.top_up(more));
                self.verdicts.push_back(verdict);
            }
            Ask::Settle(used) => {
                self.settled = Some(used);
                if let Some(grant) = self.grant.take() {
                    grant.settle(used);
                }
            }
        }
    }

    fn record(&mut self, fact: Fact) {
        self.facts.push(fact);
    }

    fn over(&mut self, ending: Ending) {
        self.over = Some(ending);
        self.slot = None;
        self.house.close(Place::Floor, self.now_ms);
        self.house.close(Place::Standby, self.now_ms);
    }

    fn told(&mut self, now: CallTime, input: &Input) {
        let heard = match input {
            Input::Realtime(realtime::Event::SpeechStarted) => self.besides.hears(true),
            Input::Realtime(realtime::Event::SpeechStopped) => self.besides.hears(false),
            _ => Vec::new(),
        };
        for (after_ms, heard) in heard {
            self.later.add(self.now_ms + after_ms, Later::Ear(heard));
        }
        self.input = Some((now, input.clone()));
    }

    fn decided(&mut self, call: &Call, outputs: &[Output]) {
        let Some((now, input)) = self.input.take() else {
            return;
        };
        if let Err(what) = self.checker.check(call, now, &input, outputs) {
            self.broken
                .push(format!("at {now}, after {input:?}: {what}"));
        }
        for output in outputs {
            if let Output::Carrier(carrier::Command::Transfer(transfer)) = output {
                let (after_ms, taking) = self.besides.asked();
                let taken = Later::Taken(taking, transfer.clone());
                self.later.add(self.now_ms + after_ms, taken);
            }
        }
        self.look_whether_alone(call, now, outputs);
    }
}

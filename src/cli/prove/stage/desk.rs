//! What a call touches in virtual time: the phone, the model, the carrier's API, the budgets, and what is to be done later.
//!
//! It is to the core what the server's own desk is, with values in the place of sockets. The core's promises are checked here, input
//! by input, because here everything passes that the core is told and decides.

use crate::admission::Slot;
use crate::bridge::line::Outside;
use crate::budget::Grant;
use crate::call::invariants::Checker;
use crate::call::record::{Ending, Fact};
use crate::call::tools::ToolCall;
use crate::call::words::Told;
use crate::call::{Ask, Call, Input, Output, Verdict};
use crate::carrier::RestRequest;
use crate::cli::prove::Outcome;
use crate::realtime::Address;
use crate::sim::model::{self, Model};
use crate::sim::phone::rest::Rest;
use crate::sim::phone::{self, Phone, Report};
use crate::units::{CallTime, Secret, Usd};
use base64_simd::STANDARD;
use std::collections::{BTreeMap, VecDeque};

/// The close code for "done".
const NORMAL: u16 = 1000;

/// A call to be made among others.
pub struct Role {
    /// When the phone dials, in milliseconds on the clock of the stage.
    pub rings_ms: u64,
    /// Who calls.
    pub phone: phone::Setup,
    /// The model that answers; `None`: nobody does.
    pub model: Option<model::Setup>,
}

/// What is to be done at a moment to come.
pub(super) enum Later {
    Dial(Address),
    Rest(RestRequest),
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

/// One session with the model.
struct Session {
    opened_ms: u64,
    model: Model,
    open: bool,
}

/// Everything around the core.
pub(super) struct Desk {
    pub(super) now_ms: u64,
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
    setup: Option<model::Setup>,
    seed: u64,
    sessions: Vec<Session>,
    settled: Option<Usd>,
    facts: Vec<Fact>,
    checker: Checker,
    input: Option<(CallTime, Input)>,
    broken: Vec<String>,
}

impl Desk {
    pub(super) fn new(phone: Phone, api: Api, setup: Option<model::Setup>, seed: u64) -> Self {
        Desk {
            now_ms: 0,
            phone,
            api,
            later: Agenda::default(),
            verdicts: VecDeque::new(),
            last_words: None,
            cap: Usd::ZERO,
            grant: None,
            slot: None,
            carrier_open: false,
            over: None,
            setup,
            seed,
            sessions: Vec::new(),
            settled: None,
            facts: Vec::new(),
            checker: Checker::default(),
            input: None,
            broken: Vec::new(),
        }
    }

    /// Opens a session: an HTTP status that refused it is the error, or `None` when nobody was there.
    pub(super) fn dial(&mut self, address: &Address) -> Result<(), Option<u16>> {
        let setup = self.setup.clone().ok_or(None)?;
        let mut model = Model::new(setup, self.seed + self.sessions.len() as u64);
        let header = |wanted: &str| {
            let mut headers = address.headers.iter();
            let found = headers.find(|(name, _)| name.eq_ignore_ascii_case(wanted));
            found.map(|(_, value)| value.reveal())
        };
        let key = header("authorization").or_else(|| header("api-key"));
        let beta = header("openai-beta").is_some();
        model.connect(0, super::path_of(&address.url), key, beta)?;
        self.model_closed();
        self.sessions.push(Session {
            opened_ms: self.now_ms,
            model,
            open: true,
        });
        Ok(())
    }

    fn session(&mut self) -> Option<(&mut Model, u64)> {
        let now_ms = self.now_ms;
        let session = self.sessions.last_mut().filter(|session| session.open)?;
        Some((&mut session.model, now_ms - session.opened_ms))
    }

    pub(super) fn model_deadline(&self) -> Option<u64> {
        let session = self.sessions.last().filter(|session| session.open)?;
        Some(session.opened_ms + session.model.deadline()?)
    }

    pub(super) fn wake_model(&mut self) {
        if let Some((model, at_ms)) = self.session() {
            model.wake(at_ms);
        }
    }

    pub(super) fn model_says(&mut self) -> Option<model::Out> {
        self.session().and_then(|(model, _)| model.poll())
    }

    /// The model's socket is closed, by whomever.
    pub(super) fn model_closed(&mut self) {
        if let Some((model, at_ms)) = self.session() {
            model.hang_up(at_ms);
        }
        if let Some(session) = self.sessions.last_mut() {
            session.open = false;
        }
    }

    pub(super) fn close_carrier_with(&mut self, code: u16) {
        if std::mem::take(&mut self.carrier_open) {
            self.phone.closed(self.now_ms, Some(code));
        }
    }

    /// Asks the carrier's API.
    pub(super) fn request(&mut self, request: &RestRequest) {
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

    pub(super) fn outcome(self, phone: Report) -> Outcome {
        let invoices = self.sessions.iter();
        Outcome {
            facts: self.facts,
            cap: self.cap,
            settled: self.settled,
            phone,
            requests: self.api.rest.requests().to_vec(),
            invoices: invoices.map(|session| session.model.invoice()).collect(),
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
        if let Some((model, at_ms)) = self.session() {
            model.receive(at_ms, frame);
        }
    }

    fn open_model(&mut self, address: Address) {
        self.later.add(self.now_ms, Later::Dial(address));
    }

    fn open_standby(&mut self, _address: Address) {}

    fn to_standby(&mut self, _frame: &str) {}

    fn close_standby(&mut self) {}

    fn take_over(&mut self) {}

    fn transfer(&mut self, _request: RestRequest) {}

    fn tool(&mut self, _call: ToolCall) {}

    fn transcript(&mut self, _told: Told) {}

    // As in the server, an open socket is closed when the call is over or another one has been opened.
    fn close_model(&mut self) {}

    fn close_carrier(&mut self) {
        self.close_carrier_with(NORMAL);
    }

    // The phone sees a normal close: how a server words its complaints is seen over sockets.
    fn carrier_garbled(&mut self, _: &'static str) {}

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
        self.model_closed();
    }

    fn told(&mut self, now: CallTime, input: &Input) {
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
    }
}

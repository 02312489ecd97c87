//! A call in virtual time: the phone, the model and the server's core around one event loop, and no clock.
//!
//! Nothing here waits. Whatever happens next, at the phone, at the model or in the core, is looked up and the time set to it; what
//! follows from it happens in the same moment. Between the parties are the server's own codecs, signatures, documents, gate and budgets,
//! so a call that goes well here can only go wrong over sockets because of the sockets.

mod desk;

use super::Outcome;
use crate::admission::{self, Admission, Admitted, Refused, new_token};
use crate::bridge::dial::{DialError, Step};
use crate::bridge::line::{self, Line};
use crate::budget::Budget;
use crate::call::Input;
use crate::carrier::{self, CARRIERS, Carrier, Document, Event, Garbled, Request, Unwelcome};
use crate::cli::world::{self, Plan};
use crate::config;
use crate::realtime::Loss;
use crate::sim::model;
use crate::sim::phone::{self, Out, Phone, Report};
use crate::units::{CallTime, Id, Secret};
pub use desk::Role;
use desk::{Desk, Later};
use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::net::SocketAddr;
use std::sync::Arc;

/// Where the server would listen, the model be, and the carrier's API be. Nobody ever connects to them.
const SERVER: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 1);
const MODEL: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 2);
const REST: &str = "http://127.0.0.1:3";

/// So many steps in a row in which no time passes: somebody turns in a circle.
const MOST_AT_ONCE: u32 = 10_000;

/// A server without sockets, and a model beside it. Any number of calls can be made on it, from any number of threads.
pub struct Stage {
    name: &'static str,
    carrier: Arc<dyn Carrier>,
    account: String,
    auth_token: Secret,
    admission: Admission,
    budget: Arc<Budget>,
    model: Option<model::Setup>,
}

impl Stage {
    /// A stage with the settings that [`world::World`] has over sockets.
    ///
    /// # Errors
    /// The plan's settings that make no sense.
    pub fn new(plan: &Plan) -> Result<Stage, String> {
        let model = world::model_setup(&plan.model)?;
        let model = (!plan.model_unreachable).then_some(model);
        Stage::of(Stage::settings(plan)?, model)
    }

    /// The settings that [`world::World`] would have over sockets.
    ///
    /// # Errors
    /// The plan's settings that make no sense.
    pub fn settings(plan: &Plan) -> Result<config::Settings, String> {
        world::settings(plan, SERVER, MODEL, REST)
    }

    /// A stage with these settings; without a model, nobody answers at its address.
    ///
    /// # Errors
    /// Settings without a carrier that is known.
    pub fn of(settings: config::Settings, model: Option<model::Setup>) -> Result<Stage, String> {
        let config::Settings {
            carriers,
            agents,
            limits,
            budget,
            ..
        } = settings;
        let (name, own) = carriers
            .into_iter()
            .next()
            .ok_or("the plan has no carrier")?;
        let (_, new) = CARRIERS
            .iter()
            .find(|(known, _)| *known == name)
            .ok_or("the plan's carrier is unknown")?;
        let budget = Budget::new(budget);
        Ok(Stage {
            name,
            account: own.account.clone(),
            auth_token: own.auth_token.clone(),
            carrier: Arc::from(new(own)),
            admission: Admission::new(agents, limits, budget.clone()),
            budget,
            model,
        })
    }

    /// A phone that will call: each number is another caller with another call, whose chance is its own.
    pub fn phone(number: u64) -> phone::Setup {
        world::phone_number(number, SERVER)
    }

    /// The budgets above all calls on this stage.
    pub fn budget(&self) -> &Arc<Budget> {
        &self.budget
    }

    /// Makes a call, with the manners of the plan's model.
    ///
    /// # Errors
    /// Says where a call that never ends was stuck.
    pub fn call(&self, setup: phone::Setup) -> Result<Outcome, String> {
        self.call_with(setup, self.model.clone())
    }

    /// Makes a call with a model of its own; `None`: nobody answers at its address.
    ///
    /// # Errors
    /// Says where a call that never ends was stuck.
    pub fn call_with(
        &self,
        setup: phone::Setup,
        model: Option<model::Setup>,
    ) -> Result<Outcome, String> {
        let mut outcomes = self.call_all(vec![Role {
            rings_ms: 0,
            phone: setup,
            model,
        }])?;
        outcomes.pop().ok_or_else(|| "nobody called".to_string())
    }

    /// Makes calls that go on at the same time, and share the budgets: whichever has something to do first does it first. What came of
    /// each, in the order given.
    ///
    /// # Errors
    /// Says where a call that never ends was stuck.
    pub fn call_all(&self, roles: Vec<Role>) -> Result<Vec<Outcome>, String> {
        let mut shows: Vec<Show<'_>> = (roles.into_iter())
            .map(|role| Show::new(self, role))
            .collect();
        // What one does never changes when another is due: the budgets answer and never call.
        let mut due: BinaryHeap<_> = (shows.iter().enumerate())
            .map(|(index, show)| Reverse((show.next_ms(), index)))
            .collect();
        while let Some(Reverse((next_ms, index))) = due.pop() {
            let show = &mut shows[index];
            show.go_on(next_ms)?;
            if !show.is_over() {
                due.push(Reverse((show.next_ms(), index)));
            }
        }
        Ok(shows.into_iter().map(Show::outcome).collect())
    }
}

/// One call on the stage.
struct Show<'a> {
    stage: &'a Stage,
    carrier_call: Id,
    line: Option<Line>,
    /// When the webhook was answered: the call's own time zero.
    began_ms: u64,
    /// A media stream that has not yet named its call, and the sound it brought.
    stream: Option<Box<dyn carrier::Stream>>,
    token: String,
    document: Option<Document>,
    desk: Desk,
    done: bool,
    /// Steps in a row in which no time passed.
    at_once: u32,
}

impl<'a> Show<'a> {
    fn new(stage: &'a Stage, role: Role) -> Show<'a> {
        let call = role.phone.call_sid.clone();
        let seed = role.phone.seed;
        let api = desk::Api::new(REST, &stage.account, &stage.auth_token, &call);
        let mut desk = Desk::new(Phone::new(role.phone), api, role.model, seed);
        desk.now_ms = role.rings_ms;
        desk.phone.start(role.rings_ms);
        Show {
            stage,
            carrier_call: Id::from(call.as_str()),
            line: None,
            began_ms: 0,
            stream: None,
            token: String::new(),
            document: None,
            desk,
            done: false,
            at_once: 0,
        }
    }

    /// Everything that belongs to the call is over.
    fn is_over(&self) -> bool {
        self.done && !self.is_live() && self.desk.later.is_empty()
    }

    /// Lets time pass until something happens, and everything follow from it that does so in the same moment.
    fn go_on(&mut self, next_ms: Option<u64>) -> Result<(), String> {
        let now_ms = self.desk.now_ms;
        let Some(next_ms) = next_ms else {
            return Err(format!("at {now_ms} ms nothing would ever happen again"));
        };
        self.at_once = if next_ms > now_ms {
            0
        } else {
            self.at_once + 1
        };
        if self.at_once > MOST_AT_ONCE {
            return Err(format!("at {now_ms} ms the time stood still"));
        }
        self.wake(next_ms.max(now_ms));
        while self.step() {}
        Ok(())
    }

    /// The call has begun and is not over.
    fn is_live(&self) -> bool {
        self.line.is_some() && self.desk.over.is_none()
    }

    fn now(&self) -> CallTime {
        CallTime::from_millis(self.desk.now_ms - self.began_ms)
    }

    /// The next moment at which something happens by itself.
    fn next_ms(&self) -> Option<u64> {
        let line = self.line.as_ref().filter(|_| self.desk.over.is_none());
        let core = line.and_then(Line::deadline);
        let core_ms = core.map(|at| self.began_ms.saturating_add(at.millis()));
        [
            core_ms,
            self.desk.phone.deadline(),
            self.desk.model_deadline(),
            self.desk.later.next_ms(),
        ]
        .into_iter()
        .flatten()
        .min()
    }

    /// Time passes, for everybody. The core's alarms come first, as in the server.
    fn wake(&mut self, now_ms: u64) {
        self.desk.now_ms = now_ms;
        let now = self.now();
        if let Some(line) = self.line.as_mut().filter(|_| self.desk.over.is_none())
            && line.deadline().is_some_and(|at| at <= now)
        {
            line.handle(now, Input::Wake, &mut self.desk);
        }
        self.desk.phone.wake(now_ms);
        self.desk.wake_model();
    }

    /// Does the next thing of this moment; `false` when there is none.
    fn step(&mut self) -> bool {
        if let Some(out) = self.desk.phone.poll() {
            self.phone_wants(out);
        } else if let Some(out) = self.desk.model_says() {
            self.model_said(out);
        } else if let Some(later) = self.desk.later.due(self.desk.now_ms) {
            self.is_due(later);
        } else if let Some(verdict) = self.desk.verdicts.pop_front() {
            self.tell(Input::Budget(verdict));
        } else {
            return false;
        }
        self.desk.api.follow(&self.desk.phone);
        true
    }

    fn tell(&mut self, input: Input) {
        let now = self.now();
        if let Some(line) = self.line.as_mut().filter(|_| self.desk.over.is_none()) {
            line.handle(now, input, &mut self.desk);
        }
    }

    fn phone_wants(&mut self, out: Out) {
        match out {
            Out::Http { url, headers, body } => {
                let (status, body) = self.http(&url, &headers, &body);
                self.desk
                    .phone
                    .http_answered(self.desk.now_ms, status, &body);
            }
            Out::Open { url, headers } => match self.handshake(&url, &headers) {
                101 => {
                    self.stream = Some(self.stage.carrier.stream(&self.carrier_call));
                    self.desk.carrier_open = true;
                    self.desk.phone.opened(self.desk.now_ms);
                }
                status => self.desk.phone.refused(self.desk.now_ms, status),
            },
            Out::Text(frame) => self.carrier_frame(&frame),
            Out::Close => {
                self.desk.carrier_open = false;
                self.tell(Input::Carrier(Event::Lost));
            }
            Out::Tell { .. } => {} // only calls that go out are told of step by step
            Out::Done => self.done = true,
        }
    }

    fn carrier_frame(&mut self, frame: &str) {
        let now = self.now();
        let Some(line) = self.line.as_mut().filter(|_| self.desk.over.is_none()) else {
            return;
        };
        let Some(mut stream) = self.stream.take() else {
            return line.carrier_frame(now, frame, &mut self.desk);
        };
        match stream.read(frame, &mut Vec::new()) {
            Ok(Some(Event::Started)) => line.stream_opened(now, stream, &mut self.desk),
            Ok(_) => self.stream = Some(stream),
            // "Policy violation", as the server's door says.
            Err(Garbled(_)) => self.desk.close_carrier_with(1008),
        }
    }

    fn model_said(&mut self, out: model::Out) {
        let now = self.now();
        let closed = !matches!(out, model::Out::Text(_));
        if closed {
            self.desk.model_closed();
        }
        let Some(line) = self.line.as_mut().filter(|_| self.desk.over.is_none()) else {
            return;
        };
        match out {
            model::Out::Text(frame) => line.model_frame(now, &frame, &mut self.desk),
            model::Out::Close { code, reason } => {
                line.model_closed(now, Some(code), &reason, &mut self.desk);
            }
            model::Out::Drop => line.model_closed(now, None, "", &mut self.desk),
        }
    }

    fn is_due(&mut self, later: Later) {
        match later {
            Later::Rest(request) => self.desk.request(&request),
            Later::Dial(address) => {
                let dialled = self.desk.dial(&address);
                let now = self.now();
                let Some(line) = self.line.as_mut().filter(|_| self.desk.over.is_none()) else {
                    return;
                };
                match dialled {
                    Ok(()) => {}
                    Err(Some(status)) => line.model_refused(now, status, &mut self.desk),
                    Err(None) => {
                        let told = DialError::Failed(Step::Tcp).to_string();
                        line.model_lost(now, Loss::Unreachable(told), &mut self.desk);
                    }
                }
            }
        }
    }

    /// Answers the carrier's request, as the doors of the server do.
    fn http(&mut self, url: &str, headers: &[(&'static str, String)], body: &str) -> (u16, String) {
        let Some(door) = self.door(url) else {
            return (404, String::new());
        };
        let header = |name: &str| find(headers, name);
        let request = Request {
            method: "POST",
            path_and_query: path_of(url),
            body: body.as_bytes(),
            header: &header,
        };
        let carrier = self.stage.carrier.clone();
        let answer = match door.as_str() {
            "voice" => carrier.offer(request).map(|offer| self.offered(&offer)),
            "ended" => carrier
                .ended(request)
                .map(|_| carrier.farewell(self.desk.last_words.as_deref())),
            "status" => {
                return match carrier.status(request) {
                    Ok(_) => (204, String::new()),
                    Err(unwelcome) => turned_away(&unwelcome),
                };
            }
            _ => return (404, String::new()),
        };
        match answer {
            Ok(document) => (200, document.body),
            Err(unwelcome) => turned_away(&unwelcome),
        }
    }

    fn door(&self, url: &str) -> Option<String> {
        let own = format!("/{}/", self.stage.name);
        path_of(url).strip_prefix(&own).map(str::to_owned)
    }

    fn offered(&mut self, offer: &carrier::Offer) -> Document {
        if let Some(document) = &self.document {
            return document.clone();
        }
        let carrier = self.stage.carrier.clone();
        let document = match self.stage.admission.admit(offer) {
            Ok(admitted) => self.begin(admitted),
            Err(Refused {
                redirect: Some(url),
                ..
            }) => carrier.redirect(&url),
            Err(Refused { redirect: None, .. }) => carrier.reject(),
        };
        self.document = Some(document.clone());
        document
    }

    /// The call begins: its time zero is the answer to its webhook.
    fn begin(&mut self, admitted: Admitted) -> Document {
        let Admitted {
            ticket,
            agent,
            model,
            grant,
            slot,
            ..
        } = admitted;
        let carrier = self.stage.carrier.clone();
        self.token = new_token();
        let document = carrier.connect(&self.token);
        self.desk.cap = ticket.rules.spend.end;
        self.desk.grant = Some(grant);
        self.desk.slot = Some(slot);
        self.began_ms = self.desk.now_ms;
        let call = self.carrier_call.clone();
        let of_model = |model: &admission::Model| line::Model::of(&model.session, model.dialect);
        let Some(first) = of_model(&model) else {
            return carrier.reject();
        };
        let others = agent.models[1..].iter().filter_map(of_model).collect();
        self.line = Some(Line::new(
            ticket,
            carrier,
            call,
            first,
            others,
            agent.moment.clone(),
        ));
        self.tell(Input::Wake);
        document
    }

    /// The HTTP status that the handshake of a media stream is answered with.
    fn handshake(&self, url: &str, headers: &[(&'static str, String)]) -> u16 {
        let header = |name: &str| find(headers, name);
        let request = Request {
            method: "GET",
            path_and_query: path_of(url),
            body: &[],
            header: &header,
        };
        let named = self.door(url);
        let named = named
            .as_deref()
            .and_then(|door| door.strip_prefix("media/"));
        let fits = named == Some(&*self.token) && self.is_live() && self.stream.is_none();
        match self.stage.carrier.handshake(request) {
            Ok(()) if fits => 101,
            _ => 403,
        }
    }

    fn outcome(self) -> Outcome {
        let phone = Report::of(&self.desk.phone);
        self.desk.outcome(phone)
    }
}

fn turned_away(unwelcome: &Unwelcome) -> (u16, String) {
    match unwelcome {
        Unwelcome::Forged(_) => (403, String::new()),
        Unwelcome::Garbled(Garbled(what)) => (400, (*what).to_string()),
    }
}

fn find<'a>(headers: &'a [(&'static str, String)], wanted: &str) -> Option<&'a str> {
    let named = headers
        .iter()
        .find(|(name, _)| name.eq_ignore_ascii_case(wanted));
    named.map(|(_, value)| value.as_str())
}

/// Everything from the first `/` behind the host.
fn path_of(url: &str) -> &str {
    let host = url.find("://").map_or(0, |at| at + 3);
    url[host..].find('/').map_or("/", |at| &url[host + at..])
}

//! A call in virtual time: the phone, the model and the server's core around one event loop, and no clock.
//!
//! Nothing here waits. Whatever happens next, at the phone, at the model or in the core, is looked up and the time set to it; what
//! follows from it happens in the same moment. Between the parties are the server's own codecs, signatures, documents, gate and budgets,
//! so a call that goes well here can only go wrong over sockets because of the sockets.

mod beside;
mod desk;
mod doors;
mod house;

use super::Outcome;
use crate::admission::Admission;
use crate::bridge::dial::{DialError, Step};
use crate::bridge::line::Line;
use crate::budget::Budget;
use crate::call::Input;
use crate::carrier::{self, CARRIERS, Carrier, Document, Event, Garbled};
use crate::cli::world::{self, Plan};
use crate::config;
use crate::realtime::Loss;
use crate::sim::model;
use crate::sim::phone::{self, Out, Report};
use crate::units::{CallTime, Id, Secret};
use beside::Taking;
pub use beside::{Beside, Listens, Took};
pub use desk::Role;
use desk::{Desk, Later};
use doors::path_of;
use house::{Attempt, Place};
pub use house::{Dialled, Manners};
use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::net::SocketAddr;
use std::sync::Arc;

/// Where the server would listen, the model be, and the carrier's API be. Nobody ever connects to them.
const SERVER: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 1);
const MODEL: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 2);
const BACKUP: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 4);
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
    models: Vec<Vec<Dialled>>,
}

impl Stage {
    /// A stage with the settings that [`world::World`] has over sockets.
    ///
    /// # Errors
    /// The plan's settings that make no sense.
    pub fn new(plan: &Plan) -> Result<Stage, String> {
        let model = world::model_setup(&plan.model)?;
        let model = match plan.model_unreachable {
            true => Dialled::Nobody,
            false => Dialled::at_once(model),
        };
        let mut models = vec![vec![model]];
        if let Some(words) = &plan.backup {
            models.push(vec![Dialled::at_once(world::model_setup(words)?)]);
        }
        let mut stage = Stage::of(Stage::settings(plan)?)?;
        stage.models = models;
        Ok(stage)
    }

    /// The settings that [`world::World`] would have over sockets.
    ///
    /// # Errors
    /// The plan's settings that make no sense.
    pub fn settings(plan: &Plan) -> Result<config::Settings, String> {
        let backup = plan.backup.as_ref().map(|_| BACKUP);
        world::settings(&plan.with_backup_at(backup), SERVER, MODEL, REST)
    }

    /// A stage with these settings, on which nobody answers at a model's address.
    ///
    /// # Errors
    /// Settings without a carrier that is known.
    pub fn of(settings: config::Settings) -> Result<Stage, String> {
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
            models: Vec::new(),
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
        self.call_as(Role::of(setup, self.models.clone()))
    }

    /// Makes a call with a model of its own.
    ///
    /// # Errors
    /// Says where a call that never ends was stuck.
    pub fn call_with(&self, setup: phone::Setup, model: model::Setup) -> Result<Outcome, String> {
        self.call_as(Role::of(setup, vec![vec![Dialled::at_once(model)]]))
    }

    /// Makes a call with models of its own, and whatever is beside them.
    ///
    /// # Errors
    /// Says where a call that never ends was stuck.
    pub fn call_as(&self, role: Role) -> Result<Outcome, String> {
        let mut outcomes = self.call_all(vec![role])?;
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
        let mut desk = Desk::new(role, api, seed);
        desk.phone.start(desk.now_ms);
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
            self.desk.house.deadline(),
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
        self.desk.house.wake(now_ms);
    }

    /// Does the next thing of this moment; `false` when there is none.
    fn step(&mut self) -> bool {
        if let Some(out) = self.desk.phone.poll() {
            self.phone_wants(out);
        } else if let Some((place, out)) = self.desk.house.says(self.desk.now_ms) {
            self.model_said(place, out);
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

    fn model_said(&mut self, place: Place, out: model::Out) {
        let now = self.now();
        if !matches!(out, model::Out::Text(_)) {
            self.desk.house.close(place, self.desk.now_ms);
        }
        let Some(line) = self.line.as_mut().filter(|_| self.desk.over.is_none()) else {
            return;
        };
        let desk = &mut self.desk;
        match (place, out) {
            (Place::Floor, model::Out::Text(frame)) => line.model_frame(now, &frame, desk),
            (Place::Floor, model::Out::Close { code, reason }) => {
                line.model_closed(now, Some(code), &reason, desk);
            }
            (Place::Floor, model::Out::Drop) => line.model_closed(now, None, "", desk),
            (Place::Standby, model::Out::Text(frame)) => line.standby_frame(now, &frame, desk),
            (Place::Standby, model::Out::Close { code, reason }) => {
                line.standby_closed(now, Some(code), &reason, desk);
            }
            (Place::Standby, model::Out::Drop) => line.standby_closed(now, None, "", desk),
        }
    }

    fn is_due(&mut self, later: Later) {
        match later {
            Later::Rest(request) => self.desk.request(&request),
            Later::Arrive(attempt) => self.arrived(attempt),
            Later::Tool(result) => self.tell(Input::Tool(result)),
            Later::Ear(heard) => self.tell(Input::Ear(heard)),
            Later::Taken(taking, transfer) => self.handed_over(&taking, &transfer),
            Later::Parted => self.desk.part(),
            Later::Told(event) => self.tell(Input::Carrier(event)),
        }
    }

    fn arrived(&mut self, attempt: Attempt) {
        let place = attempt.place;
        let arrived = self.desk.house.arrive(attempt, self.desk.now_ms);
        let now = self.now();
        let Some(line) = self.line.as_mut().filter(|_| self.desk.over.is_none()) else {
            return;
        };
        let desk = &mut self.desk;
        let unreachable = || Loss::Unreachable(DialError::Failed(Step::Tcp).to_string());
        match (place, arrived) {
            (_, None | Some(Ok(()))) => {}
            (Place::Floor, Some(Err(Some(status)))) => line.model_refused(now, status, desk),
            (Place::Floor, Some(Err(None))) => line.model_lost(now, unreachable(), desk),
            (Place::Standby, Some(Err(Some(status)))) => line.standby_refused(now, status, desk),
            (Place::Standby, Some(Err(None))) => line.standby_lost(now, unreachable(), desk),
        }
    }

    /// The carrier hands the caller over, or does not. From then on its own phone is out of the play: the two talk unheard.
    fn handed_over(&mut self, taking: &Taking, transfer: &carrier::Transfer) {
        match taking {
            Taking::Lost => {}
            Taking::Taken if self.desk.phone.ended().is_none() => self.desk.take(transfer),
            Taking::Taken | Taking::Refused => {
                self.tell(Input::Carrier(Event::NotTransferred));
                // Of a caller who has hung up meanwhile, the carrier says so.
                if self.desk.phone.ended().is_some() {
                    self.tell(Input::Carrier(Event::Ended { seconds: None }));
                }
            }
        }
    }

    fn outcome(self) -> Outcome {
        let phone = Report::of(&self.desk.phone);
        self.desk.outcome(phone)
    }
}

/// Which of the agent's models lives at this address.
fn model_at(url: &str) -> usize {
    usize::from(url.contains(&BACKUP.to_string()))
}

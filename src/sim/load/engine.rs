//! The one loop: what is due, then whoever has something to say, then a wait for the next of either.

use super::alarm::Alarm;
use super::api::Api;
use super::call::{Call, Stage};
use super::figures::{Ending, Messages};
use super::hall::{Hall, Task};
use super::line::{Line, Room};
use super::report::{Cost, Report};
use super::session::Session;
use super::token::{self, Owner};
use super::watch::Used;
use super::{Outcome, Plan, Progress};
use mio::net::TcpListener;
use mio::{Events, Interest, Poll, Token};
use rustls::{Connection, ServerConnection};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

/// Calls whose streams may be opening at once: servers keep few places for strangers.
const MOST_OPENING: usize = 24;
/// From the last open stream to the first measured frame: a whole turn, for nobody joins one in its middle, and before the
/// last caller's turn has come fewer answers are heard than ever after.
const SETTLES_US: u64 = super::TURN_US;
/// From the last measured frame to the first hang-up: what is later than that is lost.
const DRAINS_US: u64 = 1_500_000;
/// How long all hang-ups together may take after the last.
const LEAVES_US: u64 = 12_000_000;
/// How often it is looked how far the run has come.
const LOOK_US: u64 = 50_000;
/// Between two hang-ups.
const HANG_UP_US: u64 = 500;
/// Stamps count in 32 us, and so do the bounds of what is measured.
const TICK_US: u64 = 32;

/// How far the run has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Ringing,
    Settling { from_us: u64 },
    Measuring,
    Draining { until_us: u64 },
    Leaving { until_us: u64 },
}

/// A run.
struct Engine {
    hall: Hall,
    poll: Poll,
    alarm: Alarm,
    room: Room,
    calls: Vec<Call>,
    begun: usize,
    sessions: Vec<Option<Session>>,
    apis: Vec<Option<Api>>,
    doors: [Option<TcpListener>; 2],
    phase: Phase,
    looked_us: u64,
    live: usize,
    before: (Messages, Option<Used>, u64),
    rss_before_kb: u64,
    rss_kb: u64,
    messages: Messages,
    cost: Option<Cost>,
}

/// Makes the calls, and tells what came of them.
///
/// # Errors
/// In words, when there is nothing to call with: no sockets, a port that is taken, no process to watch.
pub fn run(plan: Plan, progress: &mut dyn FnMut(Progress)) -> Result<Report, String> {
    let plan = Arc::new(plan);
    let mut engine = Engine::new(plan.clone()).map_err(|why| format!("cannot begin: {why}"))?;
    let outcome = engine.run(progress)?;
    Ok(Report::new(&plan, &outcome))
}

impl Engine {
    fn new(plan: Arc<Plan>) -> Result<Engine, String> {
        let poll = Poll::new().map_err(|error| error.to_string())?;
        let registry = poll
            .registry()
            .try_clone()
            .map_err(|error| error.to_string())?;
        let open = |address: Option<SocketAddr>, token: Token| {
            let Some(address) = address else {
                return Ok(None);
            };
            let taken = |error| format!("cannot listen on {address}: {error}");
            let mut door = TcpListener::bind(address).map_err(taken)?;
            registry
                .register(&mut door, token, Interest::READABLE)
                .map_err(taken)?;
            Ok::<_, String>(Some(door))
        };
        let doors = [
            open(plan.model_at, token::MODEL)?,
            open(plan.api_at, token::API)?,
        ];
        let alarm = Alarm::new(&registry, token::ALARM).map_err(|error| error.to_string())?;
        let since = SystemTime::now().duration_since(UNIX_EPOCH);
        let run = since.map_or(0, |since| since.as_millis() as u64);
        let hall = Hall::new(plan.clone(), registry, run ^ plan.seed << 48);
        let calls = (0..plan.calls as u32).map(|index| Call::new(index, &hall));
        let calls = calls.collect();
        Ok(Engine {
            calls,
            hall,
            poll,
            alarm,
            room: Room::new(),
            begun: 0,
            sessions: Vec::new(),
            apis: Vec::new(),
            doors,
            phase: Phase::Ringing,
            looked_us: 0,
            live: 0,
            before: Default::default(),
            rss_before_kb: 0,
            rss_kb: 0,
            messages: Messages::default(),
            cost: None,
        })
    }

    fn run(&mut self, progress: &mut dyn FnMut(Progress)) -> Result<Outcome, String> {
        if let Some(watched) = self.hall.plan.watch {
            let none = || format!("there is no process {} to watch", watched.pid);
            self.rss_before_kb = watched.rss_kb().ok_or_else(none)?;
        }
        let mut events = Events::with_capacity(1024);
        self.hall.plan_at(0, Task::Begin);
        loop {
            let now_us = self.hall.now_us();
            while let Some((due_us, task)) = self.hall.take_due(now_us) {
                self.perform(due_us, task);
            }
            if now_us >= self.looked_us + LOOK_US {
                self.looked_us = now_us;
                if self.look(now_us, progress) {
                    break;
                }
            }
            let due_us = self.hall.next_due_us().unwrap_or(u64::MAX);
            let due_us = due_us.min(self.looked_us + LOOK_US);
            let wait = self.alarm.set(self.hall.now_us(), due_us);
            match self.poll.poll(&mut events, Some(wait)) {
                Err(error) if error.kind() != std::io::ErrorKind::Interrupted => {
                    return Err(format!("cannot wait for sockets: {error}"));
                }
                _ => {}
            }
            for event in &events {
                self.ready(event.token());
            }
        }
        for session in self.sessions.iter_mut().flatten() {
            session.bill_running(&mut self.hall);
        }
        if let (Some(cost), Some(watched)) = (&mut self.cost, self.hall.plan.watch) {
            cost.rss_kb_after = watched.rss_kb().unwrap_or(0);
        }
        Ok(Outcome {
            tally: std::mem::take(&mut self.hall.tally),
            watched: self.cost,
            messages: self.messages,
        })
    }

    fn perform(&mut self, due_us: u64, task: Task) {
        let hall = &mut self.hall;
        match task {
            Task::Begin => self.begin_next(due_us),
            Task::Frame(call) => self.calls[call as usize].frame_due(hall, due_us),
            Task::Mark(call) => self.calls[call as usize].mark_due(hall),
            Task::Patience(call) => self.calls[call as usize].patience_is_over(hall),
            Task::HangUp(call) => self.calls[call as usize].hang_up(hall, Ending::Caller),
            Task::Piece(session, answer) => {
                if let Some(Some(session)) = self.sessions.get_mut(session as usize) {
                    session.piece_due(hall, answer, due_us);
                }
            }
            Task::Transcribed(session, turn) => {
                if let Some(Some(session)) = self.sessions.get_mut(session as usize) {
                    session.transcribed(hall, turn);
                }
            }
        }
    }

    /// The next caller calls, unless too many wait for their streams.
    fn begin_next(&mut self, due_us: u64) {
        if self.phase != Phase::Ringing || self.begun == self.calls.len() {
            return;
        }
        let is_opening = |call: &&Call| matches!(call.stage, Stage::Asking | Stage::Opening);
        let opening = self.calls[..self.begun].iter().filter(is_opening).count();
        if opening < MOST_OPENING {
            self.calls[self.begun].begin(&mut self.hall);
            self.begun += 1;
        }
        let next_us = (due_us + self.hall.plan.ramp_us).max(self.hall.now_us());
        self.hall.plan_at(next_us, Task::Begin);
    }

    fn ready(&mut self, token: Token) {
        match token {
            token::ALARM => {}
            token::MODEL => self.accept_model(),
            token::API => self.accept_api(),
            _ => self.owner_ready(token::owner(token)),
        }
    }

    fn owner_ready(&mut self, owner: Owner) {
        let (hall, room) = (&mut self.hall, &mut self.room);
        match owner {
            Owner::Stream(index) => {
                if let Some(call) = self.calls.get_mut(index) {
                    call.stream_ready(hall, room);
                }
            }
            Owner::Web(index) => {
                if let Some(call) = self.calls.get_mut(index) {
                    call.web_ready(hall, room);
                }
            }
            Owner::Session(index) => {
                if let Some(place) = self.sessions.get_mut(index)
                    && let Some(session) = place
                {
                    session.ready(hall, room);
                    if session.is_over() {
                        *place = None;
                    }
                }
            }
            Owner::Api(index) => {
                let Some(place) = self.apis.get_mut(index) else {
                    return;
                };
                let Some(api) = place else { return };
                let ended = api.ready(hall, room);
                if api.is_over() {
                    *place = None;
                }
                for call in ended {
                    self.calls[call as usize].hang_up(&mut self.hall, Ending::Server);
                }
            }
        }
    }

    fn accept_model(&mut self) {
        while let Some(door) = &self.doors[0] {
            let Ok((socket, _)) = door.accept() else {
                return;
            };
            let tls = match &self.hall.plan.model_tls {
                None => None,
                Some(config) => match ServerConnection::new(config.clone()) {
                    Ok(connection) => Some(Connection::Server(connection)),
                    Err(_) => continue,
                },
            };
            // Places are not used twice: what is still on the agenda for one must not reach another.
            let index = self.sessions.len() as u32;
            let line = Line::new(socket, tls, &self.hall.registry, token::session(index));
            let session = line.map(|line| Session::new(index, line, self.hall.run));
            self.sessions.push(session.ok());
        }
    }

    fn accept_api(&mut self) {
        while let Some(door) = &self.doors[1] {
            let Ok((socket, _)) = door.accept() else {
                return;
            };
            let index = self.apis.len() as u32;
            let line = Line::new(socket, None, &self.hall.registry, token::api(index));
            self.apis.push(line.ok().map(Api::new));
        }
    }

    /// Looks how far the run has come; says whether it is over.
    fn look(&mut self, now_us: u64, progress: &mut dyn FnMut(Progress)) -> bool {
        let lasts_us = self.hall.plan.lasts.as_micros() as u64;
        if !matches!(self.phase, Phase::Leaving { .. }) {
            let hall = &mut self.hall;
            self.calls
                .iter_mut()
                .for_each(|call| call.begin_again(hall));
        }
        let in_stage = |stages: &[Stage]| {
            let calls = self.calls.iter().filter(|call| call.is_honest());
            calls.filter(|call| stages.contains(&call.stage)).count()
        };
        let live = in_stage(&[Stage::Live]);
        let coming = in_stage(&[Stage::Waiting, Stage::Asking, Stage::Opening]);
        match self.phase {
            Phase::Ringing => {
                progress(Progress::Ringing(live, self.calls.len()));
                if coming == 0 && live == 0 {
                    self.leave(now_us);
                } else if coming == 0 {
                    let from_us = (now_us + SETTLES_US).next_multiple_of(TICK_US);
                    let until_us = (from_us + lasts_us).next_multiple_of(TICK_US);
                    self.hall.tally.window = Some((from_us, until_us));
                    self.phase = Phase::Settling { from_us };
                }
            }
            Phase::Settling { from_us } if now_us >= from_us => {
                // Those that mean no good cost as well.
                let all = self.calls.iter();
                self.live = all.filter(|call| call.stage == Stage::Live).count().max(1);
                self.before = self.snapshot(now_us);
                self.phase = Phase::Measuring;
            }
            Phase::Settling { .. } => {}
            Phase::Measuring => {
                let (from_us, until_us) = self.hall.tally.window.unwrap_or_default();
                let done_us = now_us.saturating_sub(from_us).min(lasts_us);
                progress(Progress::Measuring(done_us / 1000, lasts_us / 1000));
                if self.rss_kb == 0 && done_us >= lasts_us / 2 {
                    self.rss_kb = self.hall.plan.watch.and_then(|w| w.rss_kb()).unwrap_or(0);
                }
                if now_us >= until_us {
                    self.measured(now_us);
                    self.phase = Phase::Draining {
                        until_us: now_us + DRAINS_US,
                    };
                }
            }
            Phase::Draining { until_us } if now_us >= until_us => self.leave(now_us),
            Phase::Draining { .. } => {}
            Phase::Leaving { until_us } => {
                progress(Progress::HangingUp);
                let are_over = self.calls.iter().all(|call| call.stage == Stage::Over);
                return are_over || now_us >= until_us;
            }
        }
        false
    }

    fn snapshot(&self, now_us: u64) -> (Messages, Option<Used>, u64) {
        let used = self.hall.plan.watch.and_then(|watched| watched.used());
        (self.hall.tally.messages, used, now_us)
    }

    /// The measured time is over.
    fn measured(&mut self, now_us: u64) {
        let (messages, used, _) = self.snapshot(now_us);
        let (before, used_before, since_us) = self.before;
        self.messages = messages.since(before);
        if let (Some(watched), Some(used), Some(before)) = (self.hall.plan.watch, used, used_before)
        {
            let call_ms = self.live as u64 * (now_us - since_us) / 1000;
            let cpu_us = used.cpu_us.saturating_sub(before.cpu_us);
            let grown_kb = self.rss_kb.saturating_sub(self.rss_before_kb);
            self.cost = Some(Cost {
                pid: watched.pid,
                cpu_us_per_call_s: cpu_us * 1000 / call_ms.max(1),
                rss_kb_per_call: grown_kb / self.live as u64,
                rss_kb_before: self.rss_before_kb,
                rss_kb_after: 0,
                user_us: used.user_us - before.user_us,
                sys_us: used.sys_us - before.sys_us,
            });
        }
    }

    fn leave(&mut self, now_us: u64) {
        for index in 0..self.calls.len() as u64 {
            let due_us = now_us + index * HANG_UP_US;
            self.hall.plan_at(due_us, Task::HangUp(index as u32));
        }
        self.phase = Phase::Leaving {
            until_us: now_us + self.calls.len() as u64 * HANG_UP_US + LEAVES_US,
        };
    }
}

//! Where the models of a call live: who answers when one is dialled, and the sessions that came of it.
//!
//! A server may talk to two sessions at a time, one that holds the floor and one on standby. Every session that was ever opened stays
//! here, for its invoice is part of the call's however it ended.

use crate::realtime::Address;
use crate::sim::model::{self, Invoice, Model};

/// The Unix time, in seconds, at which every call on a stage begins. Any would do; the same one makes a seed the same call for ever.
pub(super) const BEGAN_UNIX_S: u64 = 1_800_000_000;

/// What becomes of one attempt to reach a model.
#[derive(Clone, Debug)]
pub enum Dialled {
    /// A session begins.
    Session(Box<Manners>),
    /// The handshake is answered with this HTTP status.
    Status(u16),
    /// Nobody is there.
    Nobody,
    /// Nothing at all happens.
    Silence,
}

/// One session to come.
#[derive(Clone, Debug)]
pub struct Manners {
    /// Its model.
    pub setup: model::Setup,
    /// Until it is open, in milliseconds.
    pub after_ms: u64,
    /// At this age, in milliseconds, it falls silent: nothing it says arrives any more.
    pub mute_ms: Option<u64>,
    /// Where its connection would break without a word, it is closed with this code.
    pub close_code: Option<u16>,
}

impl Dialled {
    /// A session that is open at once.
    pub fn at_once(setup: model::Setup) -> Dialled {
        Dialled::Session(Box::new(Manners {
            setup,
            after_ms: 0,
            mute_ms: None,
            close_code: None,
        }))
    }

    /// How long the attempt takes, in milliseconds; `None`: for ever.
    fn after_ms(&self) -> Option<u64> {
        match self {
            Dialled::Session(manners) => Some(manners.after_ms),
            Dialled::Status(_) | Dialled::Nobody => Some(0),
            Dialled::Silence => None,
        }
    }
}

/// Which of the two places a session has, or is dialled for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    Floor,
    Standby,
}

/// An attempt to reach a model that has not come to an end.
#[derive(Debug)]
pub(super) struct Attempt {
    pub(super) place: Place,
    number: u64,
    path: String,
    key: Option<String>,
    beta: bool,
    dialled: Dialled,
}

/// One session.
struct Session {
    opened_ms: u64,
    model: Model,
    mute_ms: Option<u64>,
    close_code: Option<u16>,
}

/// What is at one of the two places.
#[derive(Default)]
struct Side {
    session: Option<usize>,
    /// The number of the attempt that may still fill it.
    attempt: Option<u64>,
}

/// The agent's models and all sessions with them.
pub(super) struct House {
    /// Of each model, what becomes of the attempts to reach it, one after the other; the last one's fate is that of all that follow.
    models: Vec<Vec<Dialled>>,
    dials: Vec<usize>,
    seed: u64,
    began_ms: u64,
    sessions: Vec<Session>,
    sides: [Side; 2],
    attempts: u64,
}

impl House {
    pub(super) fn new(models: Vec<Vec<Dialled>>, seed: u64) -> House {
        House {
            dials: vec![0; models.len()],
            models,
            seed,
            began_ms: 0,
            sessions: Vec::new(),
            sides: [Side::default(), Side::default()],
            attempts: 0,
        }
    }

    /// The call's own time begins now.
    pub(super) fn begin(&mut self, now_ms: u64) {
        self.began_ms = now_ms;
    }

    fn side(&mut self, place: Place) -> &mut Side {
        &mut self.sides[place as usize]
    }

    /// Begins to reach the model of this number, in place of whatever was there; tells how long it takes, if it does not take for ever.
    pub(super) fn dial(
        &mut self,
        place: Place,
        model: usize,
        address: &Address,
        now_ms: u64,
    ) -> Option<(u64, Attempt)> {
        self.close(place, now_ms);
        let fates = self.models.get(model).filter(|fates| !fates.is_empty());
        let dialled = fates.map_or(Dialled::Nobody, |fates| {
            let next = self.dials[model].min(fates.len() - 1);
            fates[next].clone()
        });
        if let Some(dials) = self.dials.get_mut(model) {
            *dials += 1;
        }
        self.attempts += 1;
        let number = self.attempts;
        self.side(place).attempt = Some(number);
        let after_ms = dialled.after_ms()?;
        let header = |wanted: &str| {
            let mut headers = address.headers.iter();
            let found = headers.find(|(name, _)| name.eq_ignore_ascii_case(wanted));
            found.map(|(_, value)| value.reveal().to_string())
        };
        let attempt = Attempt {
            place,
            number,
            path: super::path_of(&address.url).to_string(),
            key: header("authorization").or_else(|| header("api-key")),
            beta: header("openai-beta").is_some(),
            dialled,
        };
        Some((after_ms, attempt))
    }

    /// An attempt comes to its end. `None`: nobody waits for it any more. The error is an HTTP status, or `None` where nobody was there.
    pub(super) fn arrive(
        &mut self,
        attempt: Attempt,
        now_ms: u64,
    ) -> Option<Result<(), Option<u16>>> {
        let side = self.side(attempt.place);
        if side.attempt != Some(attempt.number) {
            return None;
        }
        side.attempt = None;
        let manners = match attempt.dialled {
            Dialled::Session(manners) => *manners,
            Dialled::Status(status) => return Some(Err(Some(status))),
            Dialled::Nobody | Dialled::Silence => return Some(Err(None)),
        };
        let mut setup = manners.setup;
        setup.unix_s = BEGAN_UNIX_S + (now_ms - self.began_ms) / 1_000;
        let mut model = Model::new(setup, self.seed + self.sessions.len() as u64);
        if let Err(status) = model.connect(0, &attempt.path, attempt.key.as_deref(), attempt.beta) {
            return Some(Err(Some(status)));
        }
        let number = self.sessions.len();
        self.sessions.push(Session {
            opened_ms: now_ms,
            model,
            mute_ms: manners.mute_ms,
            close_code: manners.close_code,
        });
        self.side(attempt.place).session = Some(number);
        Some(Ok(()))
    }

    /// What is at this place is closed, by whomever.
    pub(super) fn close(&mut self, place: Place, now_ms: u64) {
        let side = self.side(place);
        side.attempt = None;
        if let Some(session) = side.session.take() {
            let session = &mut self.sessions[session];
            session.model.hang_up(now_ms - session.opened_ms);
        }
    }

    /// The session on standby holds the floor.
    pub(super) fn take_over(&mut self, now_ms: u64) {
        self.close(Place::Floor, now_ms);
        self.sides.swap(0, 1);
    }

    /// A text frame for a session, if there is one.
    pub(super) fn receive(&mut self, place: Place, now_ms: u64, frame: &str) {
        if let Some(session) = self.side(place).session {
            let session = &mut self.sessions[session];
            session.model.receive(now_ms - session.opened_ms, frame);
        }
    }

    pub(super) fn deadline(&self) -> Option<u64> {
        let open = self.sides.iter().filter_map(|side| side.session);
        let due = open.filter_map(|session| {
            let session = &self.sessions[session];
            Some(session.opened_ms + session.model.deadline()?)
        });
        due.min()
    }

    pub(super) fn wake(&mut self, now_ms: u64) {
        for side in &self.sides {
            if let Some(session) = side.session {
                let session = &mut self.sessions[session];
                session.model.wake(now_ms - session.opened_ms);
            }
        }
    }

    /// The next thing that arrives from either session.
    pub(super) fn says(&mut self, now_ms: u64) -> Option<(Place, model::Out)> {
        [Place::Floor, Place::Standby]
            .into_iter()
            .find_map(|place| Some((place, self.said(place, now_ms)?)))
    }

    fn said(&mut self, place: Place, now_ms: u64) -> Option<model::Out> {
        let session = self.side(place).session?;
        let session = &mut self.sessions[session];
        let age_ms = now_ms - session.opened_ms;
        let muted = session.mute_ms.is_some_and(|at_ms| age_ms >= at_ms);
        loop {
            match (session.model.poll()?, session.close_code) {
                (_, _) if muted => {}
                (model::Out::Drop, Some(code)) => {
                    let reason = String::new();
                    return Some(model::Out::Close { code, reason });
                }
                (out, _) => return Some(out),
            }
        }
    }

    /// What all of them remember of the conversation, in words.
    pub(super) fn remembered(&self) -> Vec<String> {
        let sessions = self.sessions.iter();
        sessions
            .flat_map(|session| session.model.remembers())
            .collect()
    }

    pub(super) fn invoices(&self) -> Vec<Invoice> {
        let sessions = self.sessions.iter();
        sessions.map(|session| session.model.invoice()).collect()
    }
}

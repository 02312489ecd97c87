//! What all callers and sessions of a load share: one clock, one agenda, one tally, and buffers to write in.

use super::Plan;
use super::figures::Tally;
use super::target::{Target, Unfit};
use mio::Registry;
use rustls::pki_types::ServerName;
use rustls::{ClientConnection, Connection};
use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::sync::Arc;
use std::time::Instant;

/// What is due for whom: a call or a session, by its place.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Task {
    /// A call begins.
    Begin,
    /// A call's next frame.
    Frame(u32),
    /// A mark of a call has been played.
    Mark(u32),
    /// A call has waited long enough for an answer or a stream.
    Patience(u32),
    /// A caller hangs up.
    HangUp(u32),
    /// The next piece of a session's answer.
    Piece(u32, u32),
    /// A session's transcription is ready.
    Transcribed(u32, u32),
}

/// What all share.
#[derive(Debug)]
pub struct Hall {
    /// What was asked for.
    pub plan: Arc<Plan>,
    /// What was counted.
    pub tally: Tally,
    /// Where sockets are watched.
    pub registry: Registry,
    /// A message being written; kept for its memory.
    pub text: Vec<u8>,
    /// Frames being written; kept for their memory.
    pub frames: Vec<u8>,
    /// Sound being read or written; kept for its memory.
    pub sound: Vec<u8>,
    /// Makes the names of one run differ from those of the next.
    pub run: u64,
    agenda: BinaryHeap<Reverse<(u64, Task)>>,
    began: Instant,
}

impl Hall {
    /// Opened now.
    pub fn new(plan: Arc<Plan>, registry: Registry, run: u64) -> Hall {
        Hall {
            plan,
            tally: Tally::default(),
            registry,
            text: Vec::new(),
            frames: Vec::new(),
            sound: Vec::new(),
            run,
            agenda: BinaryHeap::new(),
            began: Instant::now(),
        }
    }

    /// Microseconds since it was opened.
    pub fn now_us(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_micros()).unwrap_or(u64::MAX)
    }

    /// Puts something on the agenda.
    pub fn plan_at(&mut self, due_us: u64, task: Task) {
        self.agenda.push(Reverse((due_us, task)));
    }

    /// When the next thing is due.
    pub fn next_due_us(&self) -> Option<u64> {
        self.agenda.peek().map(|Reverse((due_us, _))| *due_us)
    }

    /// Takes what is due, and when it was.
    pub fn take_due(&mut self, now_us: u64) -> Option<(u64, Task)> {
        self.next_due_us().filter(|due_us| *due_us <= now_us)?;
        self.agenda.pop().map(|Reverse(due)| due)
    }

    /// Where an address of a server's document is, if it may be called.
    ///
    /// # Errors
    /// [`Unfit`] says why not.
    pub fn reach(&self, url: &str) -> Result<Target, Unfit> {
        Target::find(url, self.plan.anywhere)
    }

    /// The encryption to this target: none, or its beginning.
    ///
    /// # Errors
    /// In words, when there can be none.
    pub fn encryption(&self, target: &Target) -> Result<Option<Connection>, String> {
        if !target.scheme.is_encrypted() {
            return Ok(None);
        }
        let config = self.plan.client_tls.clone();
        let config = config.ok_or("there are no certificates on this machine to trust")?;
        let host = target
            .host
            .rsplit_once(':')
            .map_or(&*target.host, |(host, _)| host);
        let name = ServerName::try_from(host.trim_matches(['[', ']']).to_owned());
        let name = name.map_err(|_| format!("{host} is not a name that a certificate can have"))?;
        let connection = ClientConnection::new(config, name).map_err(|e| e.to_string())?;
        Ok(Some(Connection::Client(connection)))
    }
}

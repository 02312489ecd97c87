//! Thousands of callers in one thread, and the model they talk to as well: what a server costs, and when it begins to lose.
//!
//! The simulators beside this one are faithful and slow; this one does only what is needed to keep a server as busy as real
//! calls do. Because the same thread speaks at both ends, one clock times every frame of speech on its way in either
//! direction, by stamps in the sound itself ([`code`]). It tells how late it was itself, so that a slow load is not
//! mistaken for a slow server.

mod alarm;
mod answer;
mod api;
mod call;
pub mod code;
mod engine;
pub mod figures;
mod hall;
mod hostile;
mod http;
mod line;
mod listening;
pub mod report;
pub mod seek;
mod session;
pub mod target;
mod text;
pub mod watch;
mod webhook;
mod websocket;

pub use engine::run;
pub use report::Report;

use crate::sim::model::Prices;
use crate::sim::phone::sign;
use crate::units::Secret;
use figures::Tally;
use rustls::{ClientConfig, ServerConfig};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use target::Target;
use watch::Watched;

/// A frame of the telephone, in microseconds.
const FRAME_US: u64 = 20_000;
/// A turn of talk: the caller speaks, the agent answers, and nobody says anything for the rest.
const TURN_US: u64 = 12_000_000;

/// The largest part of a turn that the caller may speak, in thousandths: the answer is as long, and has to begin after it.
pub const MOST_TALK: u64 = 440;

/// What is wanted.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Whom to call.
    pub target: Target,
    /// Whether documents of the server may lead to other machines.
    pub anywhere: bool,
    /// How many calls at once; at most [`code::MOST_CALLS`].
    pub calls: usize,
    /// How long they are measured.
    pub lasts: Duration,
    /// How much of the time a caller speaks, in thousandths; at most [`MOST_TALK`].
    pub talk_milli: u64,
    /// How long after one call the next begins, in microseconds.
    pub ramp_us: u64,
    /// How many of a thousand callers mean no good.
    pub hostile_milli: u64,
    /// What makes one run differ from another.
    pub seed: u64,
    /// Where to play the model.
    pub model_at: Option<SocketAddr>,
    /// How the model's connections are encrypted; `None`: they are not.
    pub model_tls: Option<Arc<ServerConfig>>,
    /// Where to play the carrier's REST API.
    pub api_at: Option<SocketAddr>,
    /// How encrypted targets are trusted.
    pub client_tls: Option<Arc<ClientConfig>>,
    /// A process whose cost is wanted.
    pub watch: Option<Watched>,
    /// The carrier's account.
    pub account: String,
    /// What webhooks are signed with.
    pub auth_token: Secret,
    /// The number that is called.
    pub to: String,
    /// What the model bills by.
    pub prices: Arc<Prices>,
}

impl Plan {
    /// How many frames a caller speaks in a turn.
    fn spoken_frames(&self) -> u64 {
        TURN_US * self.talk_milli / 1000 / FRAME_US
    }

    /// Signs as the carrier does.
    fn sign(&self, url: &str, form: &[(String, String)]) -> String {
        sign::signature(self.auth_token.reveal(), url, form)
    }

    /// Whether this call is one whose figures count: evenly spread among the others are those that mean no good.
    fn is_honest(&self, call: u16) -> bool {
        let place = u64::from(call);
        let before = |place: u64| place * self.hostile_milli / 1000;
        usize::from(call) < self.calls && before(place + 1) == before(place)
    }

    /// How many files it needs to have open at once: a stream and a model's session for each call, what it asks while calls
    /// begin or end, and some for the program.
    pub fn files(&self) -> u64 {
        let each = 2 + u64::from(self.model_at.is_some());
        self.calls as u64 * each + 128
    }
}

/// How far a run has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// So many calls of all have an open stream.
    Ringing(usize, usize),
    /// So many milliseconds of all have been measured.
    Measuring(u64, u64),
    /// Everybody hangs up.
    HangingUp,
}

/// What became of a run.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// Everything that was counted.
    pub tally: Tally,
    /// What the watched process cost.
    pub watched: Option<report::Cost>,
    /// Messages while it was measured.
    pub messages: figures::Messages,
}

/// Names of connections, for the poll.
mod token {
    use mio::Token;

    /// The alarm.
    pub const ALARM: Token = Token(usize::MAX - 1);
    /// Where the model is reached.
    pub const MODEL: Token = Token(usize::MAX - 2);
    /// Where the REST API is reached.
    pub const API: Token = Token(usize::MAX - 3);

    /// Whose connection it is.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub enum Owner {
        /// A call's stream.
        Stream(usize),
        /// A call's request.
        Web(usize),
        /// A session.
        Session(usize),
        /// A connection to the API.
        Api(usize),
    }

    pub fn stream(index: u32) -> Token {
        Token(index as usize * 4)
    }

    pub fn web(index: u32) -> Token {
        Token(index as usize * 4 + 1)
    }

    pub fn session(index: u32) -> Token {
        Token(index as usize * 4 + 2)
    }

    pub fn api(index: u32) -> Token {
        Token(index as usize * 4 + 3)
    }

    pub fn owner(token: Token) -> Owner {
        let index = token.0 / 4;
        match token.0 % 4 {
            0 => Owner::Stream(index),
            1 => Owner::Web(index),
            2 => Owner::Session(index),
            _ => Owner::Api(index),
        }
    }
}

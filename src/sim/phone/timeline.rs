//! What happened on the phone, as a list that a person can read from top to bottom.

use std::fmt;

/// One thing that happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Moment {
    /// Milliseconds since the phone began to ring.
    pub at_ms: u64,
    /// What.
    pub what: What,
}

/// What can happen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum What {
    /// Somebody whom the server has called is rung.
    Rings,
    /// Somebody is dialled for the caller.
    Dials,
    /// The caller talks to whoever was dialled.
    Bridged,
    /// Whoever was dialled is gone, or never came.
    LegEnded,
    /// The carrier asked the server what to do.
    Asked(String),
    /// The call was answered; the carrier bills from here on.
    Answered,
    /// The media stream is open.
    StreamOpened,
    /// The media stream could not be opened: the HTTP status, or zero when nobody answered.
    StreamRefused(u16),
    /// The server closed the stream, with this code if any.
    StreamClosed(Option<u16>),
    /// The agent was heard to begin.
    AgentSpeaks,
    /// The agent was heard to stop.
    AgentSilent,
    /// The server had the queue thrown away.
    Cleared {
        /// Milliseconds of sound that will not be heard.
        dropped_ms: u64,
    },
    /// The stream ended with sound still waiting.
    Unplayed {
        /// Milliseconds of sound that will not be heard.
        dropped_ms: u64,
    },
    /// The caller began to speak.
    CallerSpeaks {
        /// How long, in milliseconds.
        ms: u64,
    },
    /// The caller pressed a key.
    CallerPresses(char),
    /// The carrier said a sentence with its own voice.
    CarrierSays(String),
    /// The carrier was told to end the call so many seconds after its answer.
    Limited(u64),
    /// The server did what the carrier complains about.
    Violated(Violation),
    /// The call is over.
    Ended(Ending),
}

/// Something the carrier would put into its error log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// The carrier's number for it, such as 31951.
    pub code: u16,
    /// What it was, in words.
    pub what: String,
}

/// Why the call is over, as the phone sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// The caller hung up.
    CallerHungUp,
    /// The server's document said so, or had nothing more to say.
    HungUp,
    /// Never answered, free of charge.
    Rejected,
    /// The server ended it through the REST API.
    Completed,
    /// Whom the server called was busy.
    Busy,
    /// Whom the server called did not answer.
    NobodyAnswered,
    /// Whom the server called cannot be reached at all.
    Failed,
    /// The carrier's own time limit ended it.
    TimeLimit,
    /// The server did not answer, or not in a way the carrier understands: "an application error has occurred".
    ApplicationError,
}

impl fmt::Display for Ending {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Ending::CallerHungUp => "caller-hung-up",
            Ending::HungUp => "hung-up",
            Ending::Rejected => "rejected",
            Ending::Completed => "completed",
            Ending::Busy => "busy",
            Ending::NobodyAnswered => "nobody-answered",
            Ending::Failed => "failed",
            Ending::TimeLimit => "time-limit",
            Ending::ApplicationError => "application-error",
        })
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.code, self.what)
    }
}

impl fmt::Display for What {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = |ms: &u64| format!("{}.{:03}s", ms / 1000, ms % 1000);
        match self {
            What::Asked(url) => write!(f, "carrier  asks {url}"),
            What::Rings => f.write_str("carrier  rings"),
            What::Dials => f.write_str("carrier  dials somebody else"),
            What::Bridged => f.write_str("somebody else answers"),
            What::LegEnded => f.write_str("somebody else is gone"),
            What::Answered => f.write_str("carrier  answers"),
            What::StreamOpened => f.write_str("stream   open"),
            What::StreamRefused(status) => write!(f, "stream   refused with {status}"),
            What::StreamClosed(Some(code)) => write!(f, "stream   closed with {code}"),
            What::StreamClosed(None) => f.write_str("stream   broken"),
            What::AgentSpeaks => f.write_str("agent    speaks"),
            What::AgentSilent => f.write_str("agent    is silent"),
            What::Cleared { dropped_ms } => {
                write!(f, "agent    cut, {} unheard", seconds(dropped_ms))
            }
            What::Unplayed { dropped_ms } => {
                write!(f, "stream   ended with {} unheard", seconds(dropped_ms))
            }
            What::CallerSpeaks { ms } => write!(f, "caller   speaks for {}", seconds(ms)),
            What::CallerPresses(digit) => write!(f, "caller   presses {digit}"),
            What::CarrierSays(text) => write!(f, "carrier  says {text:?}"),
            What::Limited(seconds) => write!(f, "carrier  will end the call after {seconds}s"),
            What::Violated(violation) => write!(f, "error    {violation}"),
            What::Ended(ending) => write!(f, "over     {ending}"),
        }
    }
}

impl fmt::Display for Moment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (whole, part) = (self.at_ms / 1000, self.at_ms % 1000);
        write!(f, "{whole:4}.{part:03}  {}", self.what)
    }
}

/// Moments in the order they happened, whatever the order they became known in.
#[derive(Clone, Debug, Default)]
pub(super) struct Timeline(Vec<Moment>);

impl Timeline {
    pub(super) fn add(&mut self, at_ms: u64, what: What) {
        let later = self.0.iter().rev().take_while(|m| m.at_ms > at_ms).count();
        self.0.insert(self.0.len() - later, Moment { at_ms, what });
    }

    pub(super) fn moments(&self) -> &[Moment] {
        &self.0
    }
}

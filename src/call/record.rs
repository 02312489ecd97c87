//! Everything that can be said about a call afterwards.
//!
//! A [`Fact`] is written once, when it becomes true, and never edited. Each says what it cost, so that the facts of a call add up to
//! its price to the nano-dollar.

use super::tools::Outcome;
use crate::audio::ear::Hold;
use crate::carrier::Answerer;
use crate::pricing::{TranscriptionUsage, Usage};
use crate::realtime::{Code, Loss};
use crate::units::{CallTime, Id, Usd};
use std::sync::Arc;

/// Why a call is wound up before its people wished.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Cause {
    /// The cap on duration.
    Duration,
    /// The cap on spend.
    Spend,
    /// Nobody spoke for too long.
    Silence,
    /// A budget above the call has no more to grant.
    Budget,
    /// The operator winds calls up: a shutdown, or one by hand.
    Drain,
}

/// One of the two sides of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Side {
    /// The phone company's.
    Carrier,
    /// The speech model's.
    Realtime,
    /// Ours: the process that carried the call is gone.
    Server,
}

/// Why another session holds the floor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Why {
    /// The one before was lost.
    Lost,
    /// The one before was old.
    Age,
    /// The one before was too dear for what is left.
    Cheaper,
}

/// Why a call was not begun. Nothing was billed by anybody.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Refusal {
    /// Nobody answers that number.
    UnknownNumber,
    /// As many calls as allowed are going on.
    Busy,
    /// The caller called too often.
    TooOften,
    /// A budget has too little left for even a short call.
    OverBudget,
    /// The server is shutting down.
    Draining,
    /// We did not receive this call but placed it, and calls that go out are not available.
    Outbound,
    /// The ledger cannot be written, and no dollar is spent that is not written down first.
    Unrecorded,
}

/// Why a call is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Ending {
    /// The caller hung up, or the carrier ended the call.
    CallerHungUp,
    /// The model ended the call, its last words heard.
    AgentHungUp,
    /// The caller was handed over to somebody else, and their talk is over.
    Transferred,
    /// Wound up, with a goodbye that was heard.
    SaidGoodbye(Cause),
    /// Wound up, and no goodbye could be heard whole.
    CutOff(Cause),
    /// Never begun.
    Refused(Refusal),
    /// The operator hung up.
    Stopped,
    /// One side broke.
    Lost(Side),
}

/// Who said the last words.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Goodbye {
    /// Nobody: the caller left first, or there was no time.
    #[default]
    None,
    /// The model, and it was heard whole.
    Model,
    /// The carrier's own voice, after the stream.
    Carrier,
}

/// One thing that happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fact {
    /// When.
    pub at: CallTime,
    /// What the call had cost by then, this included.
    pub spent: Usd,
    /// The most that it may owe besides, for what is asked for and not reported: with `spent`, what a call is charged whose process
    /// dies before its next fact.
    pub reserved: Usd,
    /// What it was.
    pub what: What,
}

/// The kinds of things that happen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum What {
    /// The media stream opened.
    Answered {
        /// After so many seconds the carrier ends the call by itself, should this process be gone.
        limit_s: u64,
    },
    /// The model was reached and its settings confirmed.
    Ready,
    /// The first sound of the agent was sent to the caller.
    FirstWord {
        /// Milliseconds since the media stream opened.
        after_ms: u64,
    },
    /// An answer is asked for.
    Asked {
        /// The number it is asked for under, never used twice in a call.
        nonce: u64,
        /// The most that it can be long, in tokens.
        max_output_tokens: u64,
        /// The most that it can cost.
        bound: Usd,
    },
    /// More of the caller is listened to than the last fact's reserve covers; this one covers it.
    Listening,
    /// The model answered, or stopped answering; this is what it cost.
    Turn(Turn),
    /// A turn of the caller was transcribed.
    Transcribed {
        /// What it consumed; `None`: the report did not say, and it is charged at its bound.
        usage: Option<TranscriptionUsage>,
        /// What that cost.
        cost: Usd,
    },
    /// The call began, and the carrier takes something for that alone.
    Fee {
        /// What it takes.
        cost: Usd,
    },
    /// A carrier minute began.
    Minute {
        /// Which, counted from one.
        minute: u64,
        /// What it costs.
        cost: Usd,
    },
    /// The carrier says a sentence after the stream.
    Sentence {
        /// What that costs.
        cost: Usd,
    },
    /// Something asked for was never reported on; it is charged at the most it could have cost.
    Unreported {
        /// The charge for answers.
        model: Usd,
        /// The charge for transcription.
        transcription: Usd,
    },
    /// The model was told that an end is near.
    Warned(Cause),
    /// The caller cut in.
    Interrupted {
        /// Milliseconds of the item that were heard.
        heard_ms: u64,
        /// Milliseconds that were generated and will not be heard.
        unheard_ms: u64,
    },
    /// Old sound was replaced by its words in the model's memory.
    Condensed {
        /// Items that were replaced.
        items: u64,
    },
    /// The caller pressed a key. Which one is the caller's business.
    Digit,
    /// The model's provider heard a turn that was none: nobody had spoken long enough to mean it.
    Overheard,
    /// Nobody is at the other end for now.
    Held(Hold),
    /// Somebody is there again.
    Resumed {
        /// Milliseconds that nobody was.
        held_ms: u64,
        /// Turns that the sound in between would have been taken for, estimated.
        turns: u64,
    },
    /// Who answered a call that we placed, as the carrier heard it.
    AnsweredBy(Answerer),
    /// Another session holds the floor.
    Renewed {
        /// Why.
        why: Why,
        /// The name of its model, `[model.NAME]`: answers cost from now on what it costs.
        model: Arc<str>,
        /// Bytes of text it was told of what had been said.
        replayed_bytes: u64,
        /// Milliseconds that nobody held the floor.
        gap_ms: u64,
    },
    /// A function is about to be called.
    ToolCalled {
        /// Which.
        name: Arc<str>,
        /// What it costs if it is.
        bound: Usd,
    },
    /// A function has answered, failed, or was not called.
    Tool {
        /// Which; `unknown`: the model made one up.
        name: Arc<str>,
        /// How it went.
        outcome: Outcome,
        /// What it cost.
        cost: Usd,
        /// Milliseconds from the call to the answer.
        took_ms: u64,
    },
    /// The caller is about to be handed over, and the money for it is kept.
    Transferring {
        /// To whom, by their label.
        label: Arc<str>,
        /// Seconds that the two may talk.
        limit_s: u64,
        /// The most that all of it can cost.
        bound: Usd,
    },
    /// The caller talks with somebody else.
    Transferred,
    /// The caller was not handed over.
    NotTransferred,
    /// The line to whom the caller was handed to is closed.
    Leg {
        /// Seconds they talked; `None`: nobody has told, and it is charged at its bound.
        talked_s: Option<u64>,
        /// What that line cost.
        cost: Usd,
    },
    /// The goodbye begins.
    WrappingUp(Cause),
    /// A report exceeded the most it could have been, or nobody asked for what it reports: an assumption of the cap is broken.
    BoundBroken {
        /// What was reported.
        cost: Usd,
        /// The most it could have been.
        bound: Usd,
    },
    /// The provider complained.
    Complained(Code),
    /// The model's side was lost.
    ModelLost(Loss),
    /// The call is over; always the last fact.
    Ended(Summary),
}

/// One answer of the model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Turn {
    /// Counted from one.
    pub turn: u32,
    /// The number it was asked for under; `None`: nobody asked.
    pub nonce: Option<u64>,
    /// The provider's name for it.
    pub response: Id,
    /// What it consumed; `None`: the report did not say, and it is charged at its bound.
    pub usage: Option<Usage>,
    /// What it cost.
    pub cost: Usd,
    /// The last words of the call.
    pub goodbye: bool,
    /// What a minute costs at the present rate: the carrier's, and the talk of the last one, or of the call so far.
    pub burn_per_minute: Usd,
    /// Seconds until the first of the caps, at that rate.
    pub seconds_left: u64,
}

/// A call in numbers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    /// Why it is over.
    pub ending: Option<Ending>,
    /// The media stream had opened.
    pub answered: bool,
    /// Milliseconds since the carrier began to bill.
    pub duration_ms: u64,
    /// Started minutes at the carrier.
    pub minutes: u64,
    /// Answers of the model.
    pub turns: u32,
    /// Times the caller cut in.
    pub interruptions: u32,
    /// Who said the last words.
    pub goodbye: Goodbye,
    /// What the call cost, by what it was for.
    pub cost: Cost,
    /// The part of the model's cost that paid for speech nobody heard.
    pub unheard: Usd,
}

/// What a call cost, by what it was for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Cost {
    /// Answers.
    pub model: Usd,
    /// Transcription of the caller.
    pub transcription: Usd,
    /// Started minutes, voice and media, sentences said by the carrier, what it takes once, and lines to others.
    pub carrier: Usd,
    /// Priced tools.
    pub tools: Usd,
}

impl Cost {
    /// All of it.
    pub fn total(&self) -> Usd {
        self.model
            .plus(self.transcription)
            .plus(self.carrier)
            .plus(self.tools)
    }
}

impl What {
    /// What this fact added to the cost of the call.
    pub fn cost(&self) -> Usd {
        match self {
            What::Turn(turn) => turn.cost,
            What::Tool { cost, .. } | What::Leg { cost, .. } => *cost,
            What::Transcribed { cost, .. }
            | What::Fee { cost }
            | What::Minute { cost, .. }
            | What::Sentence { cost } => *cost,
            What::Unreported {
                model,
                transcription,
            } => model.plus(*transcription),
            What::Answered { .. }
            | What::Ready
            | What::FirstWord { .. }
            | What::Asked { .. }
            | What::Listening
            | What::Warned(_)
            | What::Interrupted { .. }
            | What::Condensed { .. }
            | What::Digit
            | What::Overheard
            | What::Held(_)
            | What::Resumed { .. }
            | What::AnsweredBy(_)
            | What::Renewed { .. }
            | What::ToolCalled { .. }
            | What::Transferring { .. }
            | What::Transferred
            | What::NotTransferred
            | What::WrappingUp(_)
            | What::BoundBroken { .. }
            | What::Complained(_)
            | What::ModelLost(_)
            | What::Ended(_) => Usd::ZERO,
        }
    }
}

/// The words of the log, the scenarios and the ledger.
macro_rules! words {
    ($type:ty, $($variant:pat => $word:literal),+ $(,)?) => {
        impl $type {
            /// The word for it in logs and files.
            pub fn word(&self) -> &'static str {
                match self { $($variant => $word),+ }
            }
        }
    };
}

words!(Cause,
    Cause::Duration => "duration", Cause::Spend => "spend", Cause::Silence => "silence",
    Cause::Budget => "budget", Cause::Drain => "drain");
words!(Side, Side::Carrier => "carrier", Side::Realtime => "realtime", Side::Server => "server");
words!(Refusal,
    Refusal::UnknownNumber => "unknown-number", Refusal::Busy => "busy", Refusal::TooOften => "too-often",
    Refusal::OverBudget => "over-budget", Refusal::Draining => "draining", Refusal::Outbound => "outbound",
    Refusal::Unrecorded => "unrecorded");
words!(Goodbye, Goodbye::None => "none", Goodbye::Model => "model", Goodbye::Carrier => "carrier");
words!(Why, Why::Lost => "lost", Why::Age => "age", Why::Cheaper => "cheaper");
words!(Hold, Hold::Music => "music", Hold::Ringback => "ringback", Hold::Fax => "fax");
words!(Answerer,
    Answerer::Person => "person", Answerer::Machine => "machine", Answerer::Fax => "fax", Answerer::Unknown => "unknown");
words!(Ending,
    Ending::CallerHungUp => "caller-hung-up", Ending::AgentHungUp => "agent-hung-up", Ending::Transferred => "transferred", Ending::SaidGoodbye(_) => "said-goodbye", Ending::CutOff(_) => "cut-off",
    Ending::Refused(_) => "refused", Ending::Stopped => "stopped", Ending::Lost(_) => "lost");

impl Ending {
    /// The word for its cause, where it has one.
    pub fn cause(&self) -> Option<&'static str> {
        match self {
            Ending::SaidGoodbye(cause) | Ending::CutOff(cause) => Some(cause.word()),
            Ending::Refused(refusal) => Some(refusal.word()),
            Ending::Lost(side) => Some(side.word()),
            Ending::CallerHungUp | Ending::AgentHungUp | Ending::Transferred | Ending::Stopped => {
                None
            }
        }
    }
}

impl What {
    /// The word for it: `event` in the log, without its `call.`.
    pub fn word(&self) -> &'static str {
        match self {
            What::Answered { .. } => "answered",
            What::Ready => "ready",
            What::FirstWord { .. } => "first-word",
            What::Asked { .. } => "asked",
            What::Listening => "listening",
            What::Turn(_) => "turn",
            What::Transcribed { .. } => "transcribed",
            What::Fee { .. } => "fee",
            What::Minute { .. } => "minute",
            What::Sentence { .. } => "sentence",
            What::Unreported { .. } => "unreported",
            What::Warned(_) => "warned",
            What::Interrupted { .. } => "interrupted",
            What::Condensed { .. } => "condensed",
            What::Digit => "digit",
            What::Overheard => "overheard",
            What::Held(_) => "held",
            What::Resumed { .. } => "resumed",
            What::AnsweredBy(_) => "answered-by",
            What::Renewed { .. } => "renewed",
            What::ToolCalled { .. } => "tool-called",
            What::Tool { .. } => "tool",
            What::Transferring { .. } => "transferring",
            What::Transferred => "transferred",
            What::NotTransferred => "not-transferred",
            What::Leg { .. } => "leg",
            What::WrappingUp(_) => "wrapping-up",
            What::BoundBroken { .. } => "bound-broken",
            What::Complained(_) => "complained",
            What::ModelLost(_) => "model-lost",
            What::Ended(_) => "ended",
        }
    }
}

//! How speech models talk.
//!
//! A Realtime session is a WebSocket of JSON events. This floor turns them into a few words ([`Event`]) and our few words
//! ([`Command`]) into them, for each [`Dialect`] there is. It is pure: it opens no socket and keeps no time.
//!
//! To add a dialect: write one file, and add one line to [`DIALECTS`].

pub mod azure;
pub mod beta;
pub mod openai;
mod profile;

pub use profile::{Capabilities, NewDialect, Profile};

use crate::audio::Format;
use crate::pricing::{TranscriptionUsage, Usage};
use crate::units::{Id, Secret};
use std::sync::Arc;

/// The dialects we speak; the first is the one that is spoken where nobody says.
pub const DIALECTS: &[Profile] = &[openai::PROFILE, beta::PROFILE, azure::PROFILE];

/// The dialect of this name.
pub fn dialect(name: &str) -> Option<&'static Profile> {
    DIALECTS.iter().find(|known| known.name == name)
}

/// What we ask of a session: everything its `session.update` names.
#[derive(Clone, Debug)]
pub struct Session {
    /// `wss://…/v1/realtime`, without a query but for an API version.
    pub url: String,
    /// The model's id, or the name of its deployment.
    pub model: String,
    /// The model's name in the price book: what it is, whatever it is called there.
    pub priced_as: String,
    /// What the other side can do: what its dialect can, less what the operator took away.
    pub can: Capabilities,
    /// The key to open it with.
    pub api_key: Secret,
    /// The model's voice.
    pub voice: String,
    /// What the model is told to be.
    pub instructions: String,
    /// The sound's format, both ways.
    pub audio: Format,
    /// The model that transcribes the caller, if any.
    pub transcription: Option<String>,
    /// The most that any answer may be long, in tokens.
    pub max_output_tokens: u32,
    /// The most the conversation may be long, instructions apart, in tokens; `None` where the provider has no such limit.
    pub post_instructions: Option<u32>,
    /// What the model may call.
    pub tools: Vec<Tool>,
    /// How the provider hears the end of a turn.
    pub turn_detection: TurnDetection,
}

/// A function the model may call.
#[derive(Clone, Debug, PartialEq)]
pub struct Tool {
    /// Its name.
    pub name: String,
    /// What it does, for the model.
    pub description: String,
    /// JSON Schema of its arguments.
    pub parameters: serde_json::Value,
}

/// How the provider hears where a turn of the caller begins and ends. It never answers by itself: that is ours.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TurnDetection {
    /// Energy above which sound is speech, in thousandths (500 is 0.5).
    pub threshold_milli: u32,
    /// Sound kept from before speech began.
    pub prefix_padding_ms: u32,
    /// Silence that ends a turn.
    pub silence_duration_ms: u32,
    /// Whether the provider itself cuts a running answer when the caller speaks.
    pub interrupt_response: bool,
}

/// What happened at the model's side.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// The session exists, with the provider's defaults: nothing may be sent to it but its settings.
    Created {
        /// When the provider will end it, in seconds since 1970, where it says so.
        expires_at_s: Option<u64>,
    },
    /// The session's settings are in force, and are what we asked for (`Ok`), or the named one is not.
    Configured(Result<(), &'static str>),
    /// The caller began to speak.
    SpeechStarted,
    /// The caller stopped.
    SpeechStopped,
    /// A turn of the caller was closed and became this item of the conversation.
    Committed {
        /// The caller's item.
        item: Id,
    },
    /// An item was added to the conversation.
    ItemAdded {
        /// The item.
        item: Id,
    },
    /// What the caller said in that item.
    Transcribed {
        /// The caller's item.
        item: Id,
        /// The words.
        text: String,
        /// What it consumed; `None` when the report does not say.
        usage: Option<TranscriptionUsage>,
    },
    /// What the caller said in that item could not be told.
    TranscriptionFailed {
        /// The caller's item.
        item: Id,
    },
    /// A response began. `nonce` is the one we gave it; `None`: nobody asked for it.
    ResponseStarted {
        /// The response.
        response: Id,
        /// Which of our requests it answers.
        nonce: Option<u64>,
    },
    /// More sound of an item of the answer: so many whole milliseconds of it have come in all.
    Spoke {
        /// The response it belongs to.
        response: Id,
        /// The item.
        item: Id,
        /// Whole milliseconds received of the item so far.
        until_ms: u64,
    },
    /// The sound of that item is complete.
    SpokeAll {
        /// The response it belongs to.
        response: Id,
        /// The item.
        item: Id,
    },
    /// More words of that item; they run ahead of its sound.
    Saying {
        /// The response it belongs to.
        response: Id,
        /// The item.
        item: Id,
        /// The next words.
        text: String,
    },
    /// The words of that item, whole.
    Said {
        /// The response it belongs to.
        response: Id,
        /// The item.
        item: Id,
        /// The words.
        text: String,
    },
    /// The model calls a function.
    ToolCalled {
        /// The response it belongs to.
        response: Id,
        /// The item.
        item: Id,
        /// The provider's name for this call of the function.
        tool_call: Id,
        /// Which function.
        name: String,
        /// Its arguments: JSON, as the model wrote it.
        arguments: String,
    },
    /// A response is over, however it ended; this is its only bill.
    ResponseDone {
        /// The response.
        response: Id,
        /// Which of our requests it answers.
        nonce: Option<u64>,
        /// How it ended.
        status: Status,
        /// What it consumed; `None` when the report does not say.
        usage: Option<Usage>,
    },
    /// The item is shortened in the model's memory.
    Truncated {
        /// The item.
        item: Id,
    },
    /// The item is gone from the model's memory.
    Deleted {
        /// The item.
        item: Id,
    },
    /// The provider complains.
    Complained(Complaint),
    /// The session is over or was never reached.
    Lost(Loss),
}

/// How a response ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Status {
    /// It said all it had to say.
    Completed,
    /// It was cut, by the caller's speech or by us.
    Cancelled,
    /// It ran into `max_output_tokens` or a filter.
    Incomplete,
    /// It failed, with the provider's code.
    Failed(Code),
}

/// A provider's code for what went wrong: letters, digits, `_`, `-` and `.` only, at most 64 of them. Its prose is never kept,
/// for the one about a bad key quotes part of the key.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Code(Arc<str>);

impl Code {
    /// Keeps of `text` what a code may consist of.
    pub fn new(text: &str) -> Self {
        let plain = |c: &char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
        Code(
            text.chars()
                .filter(plain)
                .take(64)
                .collect::<String>()
                .into(),
        )
    }

    /// The code's text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// An `error` event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Complaint {
    /// What it means for the session.
    pub gravity: Gravity,
    /// The provider's code.
    pub code: Code,
    /// The request of ours it is about, from the `event_id` we gave that request.
    pub about: Option<u64>,
}

/// What an error means for the session (facts: section 3.6).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Gravity {
    /// Changes nothing.
    Benign,
    /// One of our events was refused whole; the session lives.
    Ignored,
    /// This session is over or useless; another one may work.
    Retry,
    /// No session of this model will work until somebody mends the account or the settings.
    Fatal,
}

/// How a session was lost.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Loss {
    /// Nobody answered at the address: what was tried, in words.
    Unreachable(String),
    /// The provider will not serve us: a bad key, an unknown model, no quota.
    Refused(Code),
    /// The session reached its maximum age.
    Expired,
    /// The connection broke.
    Dropped,
    /// A queue to it was full: it reads slower than the caller speaks.
    Slow,
    /// It did not speak the protocol.
    Garbled,
}

/// What we tell the model's side.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// Reach the model and open a session.
    Open {
        /// Which of the agent's models, counted from zero, best first.
        model: usize,
    },
    /// Send the settings.
    Configure,
    /// Send on the last `ms` of the caller's sound, whether or not some of it was sent on before.
    Append {
        /// Milliseconds.
        ms: u64,
    },
    /// Send on silence, as if the caller were on the line and said nothing.
    AppendSilence {
        /// Milliseconds.
        ms: u64,
    },
    /// Forget the caller's sound that was sent and not yet committed.
    ClearInput,
    /// Add to the conversation.
    Add(Item),
    /// Add to the conversation, behind this item of it.
    Insert {
        /// The item it stands behind.
        after: Id,
        /// What to add.
        item: Item,
    },
    /// Ask for an answer.
    Respond(Request),
    /// Cut the running answer short.
    Cancel {
        /// Which; `None` is the one of the conversation.
        response: Option<Id>,
    },
    /// Make the model remember only this much of what it said.
    Truncate {
        /// The item.
        item: Id,
        /// Milliseconds that were heard.
        heard_ms: u64,
    },
    /// Make the model forget an item.
    Delete {
        /// The item.
        item: Id,
    },
    /// Close the session.
    Close,
}

/// An item that we add to the conversation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Item {
    /// A note of ours: what the model should know now.
    System(String),
    /// Words of the caller.
    User(String),
    /// Words the model said, in another session.
    Assistant(String),
    /// A function the model called, in another session.
    ToolCall {
        /// The provider's name for that call of the function.
        tool_call: Id,
        /// Which function.
        name: String,
        /// Its arguments: JSON, as the model wrote it.
        arguments: String,
    },
    /// What came of a function the model called.
    ToolOutput {
        /// The provider's name for that call of the function.
        tool_call: Id,
        /// The outcome, in words or JSON.
        output: String,
    },
}

/// A `response.create`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// Ours, never repeated in a call; it comes back with the response and with an error about it.
    pub nonce: u64,
    /// The most that the answer may be long.
    pub max_output_tokens: u32,
    /// Whether it may call tools.
    pub tools: bool,
    /// In or beside the conversation.
    pub kind: RequestKind,
}

impl Request {
    /// Whether it is to be answered beside the conversation.
    pub fn is_beside(&self) -> bool {
        matches!(self.kind, RequestKind::Goodbye { .. })
    }
}

/// Which memory an answer has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RequestKind {
    /// An answer in the conversation.
    Answer,
    /// Beside the conversation, with no memory, no tools and instructions of its own: what it costs depends on nothing said before.
    Goodbye {
        /// What to say.
        instructions: Arc<str>,
    },
}

/// A frame that does not follow the protocol: what was wrong, in words for a log. Never quotes the frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Garbled(pub &'static str);

/// How to open the socket: what a WebSocket handshake needs.
#[derive(Clone, Debug)]
pub struct Address {
    /// The whole address, query included.
    pub url: String,
    /// Name and value of each header; values are secret.
    pub headers: Vec<(&'static str, Secret)>,
}

/// One session's codec: keeps what the wire makes one remember (what was asked, how much of each item has come).
pub trait Dialect: Send {
    /// Where and how to connect.
    fn address(&self) -> Address;
    /// The sound's format, both ways.
    fn format(&self) -> Format;
    /// Reads one text frame. Sound is appended to `sound`. `None`: nothing the call must know.
    fn read(&mut self, frame: &str, sound: &mut Vec<u8>) -> Result<Option<Event>, Garbled>;
    /// What a close frame, or the lack of one, means; `code` and `reason` as the peer sent them.
    fn closed(&mut self, code: Option<u16>, reason: &str) -> Loss;
    /// What an HTTP answer other than 101 means.
    fn refused(&self, http_status: u16) -> Loss;
    /// Writes a command's frames, one call of `out` a frame. `sound` is what an `Append` appends.
    fn write(&mut self, command: &Command, sound: &[u8], out: &mut dyn FnMut(&str));
}

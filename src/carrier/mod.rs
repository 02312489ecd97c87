//! How phone companies talk: bytes to words and back.
//!
//! Two conversations belong to one call. The first is HTTP: a signed webhook asks what to do, and a document answers
//! (that is [`Carrier`]). The second is a WebSocket that carries the sound (that is [`Stream`]). Both are pure: requests
//! to the carrier's own API are described here as data and performed elsewhere.
//!
//! To add a carrier: write one file with its two implementations, and add one line to [`CARRIERS`].

pub mod twilio;

use crate::units::{CallId, Id, Phone, Secret, Usd};
use std::fmt;

/// Makes a carrier from its settings.
pub type NewCarrier = fn(Settings) -> Box<dyn Carrier>;

/// The carriers we can talk to: its name in the configuration and in the doors' paths, and how to make it.
pub const CARRIERS: &[(&str, NewCarrier)] =
    &[("twilio", |settings| Box::new(twilio::Twilio::new(settings)))];

/// What a carrier must know about us, parsed from `[carrier.NAME]`.
#[derive(Clone, Debug)]
pub struct Settings {
    /// How the carrier reaches us, without a slash at the end: `https://bot.example.com`.
    pub public_url: String,
    /// Where its REST API is.
    pub api_base: String,
    /// Our account there.
    pub account: String,
    /// What it signs with and what we authenticate with.
    pub auth_token: Secret,
    /// `false` accepts unsigned requests; the configuration allows it on loopback only.
    pub verify_signature: bool,
}

/// What the carrier's media stream tells us.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// The stream is open and has named its call.
    Started,
    /// The caller's sound: this many more milliseconds of it, gaps filled with silence.
    Heard {
        /// Milliseconds.
        ms: u64,
    },
    /// The caller pressed a key.
    Digit(char),
    /// Everything up to this mark was played, or thrown away by a `clear`.
    Played(Mark),
    /// The caller hung up, or the carrier ended the stream.
    Stopped,
    /// The stream broke: the socket failed, was closed without a `stop`, or spoke nonsense.
    Lost,
    /// Who answered a call that we placed, as the carrier heard it.
    AnsweredBy(Answerer),
    /// The carrier would not hand the caller over: nobody was dialled, and the stream is still open.
    NotTransferred,
    /// Whoever the caller was handed over to has hung up, or never answered.
    LegEnded {
        /// How long the two talked; zero when nobody answered, `None` when the carrier does not say.
        seconds: Option<u64>,
    },
    /// The carrier's own word that the call is over. The stream may have closed long before, or not at all.
    Ended {
        /// How long the whole call lasted, where the carrier says so.
        seconds: Option<u64>,
    },
}

/// Who, or what, answered a call that we placed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Answerer {
    /// Somebody.
    Person,
    /// A voicemail or an answering machine.
    Machine,
    /// A fax.
    Fax,
    /// The carrier could not tell.
    Unknown,
}

/// Handing the caller over to somebody else.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transfer {
    /// Who is dialled. Always out of the configuration, never out of a model's mouth.
    pub to: Phone,
    /// Whose number they see; `None`: the caller's, as carriers do it.
    pub caller_id: Option<Phone>,
    /// What the caller hears first, in the carrier's own voice; empty: nothing.
    pub say: String,
    /// How long the two may talk, in seconds.
    pub limit_s: u64,
    /// The carrier's own limit on the whole call from now on, in seconds from its answer.
    pub call_limit_s: u64,
}

/// What we tell the carrier about a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// Play the next `ms` of the queued sound of `mark.item`, then this mark.
    Play {
        /// What will have been played when the mark comes back.
        mark: Mark,
        /// Milliseconds to play.
        ms: u64,
    },
    /// Throw away what is queued and not yet played.
    Clear,
    /// Ask the carrier to end the call by itself this many seconds after its answer, even if we vanish.
    Limit {
        /// Seconds from the answer.
        seconds: u64,
    },
    /// Hand the caller over. The stream closes when the carrier does so.
    Transfer(Transfer),
    /// Say this sentence with the carrier's own voice once the stream has closed.
    LastWords(String),
    /// Close the stream, so that the carrier ends the call.
    Close,
    /// Ask the carrier to end the call: belt and braces after [`Command::Close`].
    Complete {
        /// Milliseconds to wait first, so that the carrier can end it by itself, its last words said.
        after_ms: u64,
    },
}

/// A point in what we play: its name on the wire tells item, position and generation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Mark {
    /// Which of this call's spoken items, counted from one.
    pub item: u32,
    /// Milliseconds of that item that have been played when the mark comes back.
    pub until_ms: u64,
    /// How many times this call's queue had been cleared when the mark was sent.
    pub generation: u32,
}

impl fmt::Display for Mark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:g{}", self.item, self.until_ms, self.generation)
    }
}

impl Mark {
    /// Reads the name of a mark; `None` when we never sent such a name.
    pub fn parse(name: &str) -> Option<Mark> {
        let mut parts = name.split(':');
        let mark = Mark {
            item: parts.next()?.parse().ok()?,
            until_ms: parts.next()?.parse().ok()?,
            generation: parts.next()?.strip_prefix('g')?.parse().ok()?,
        };
        parts.next().is_none().then_some(mark)
    }
}

/// An HTTP request of the carrier, as it arrived: nothing decoded, nothing trusted.
#[derive(Clone, Copy)]
pub struct Request<'a> {
    /// `GET` or `POST`.
    pub method: &'a str,
    /// Path and query exactly as sent, from the first `/`.
    pub path_and_query: &'a str,
    /// The raw body; empty for a `GET`.
    pub body: &'a [u8],
    /// Finds a header by its lower-case name.
    pub header: &'a dyn Fn(&str) -> Option<&'a str>,
}

/// Why a carrier's request was not believed. Answered with 403 and logged; it costs nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Forged {
    /// There is no signature.
    Unsigned,
    /// The signature does not fit the request.
    WrongSignature,
    /// The request is signed by a scheme we do not verify.
    UnknownScheme,
    /// The request is for an account that is not ours.
    ForeignAccount,
}

/// A request or frame that was signed well and still makes no sense: what was wrong, in words for a log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Garbled(pub &'static str);

/// Why a webhook was not taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unwelcome {
    /// Not from the carrier.
    Forged(Forged),
    /// From the carrier, and not understood.
    Garbled(Garbled),
}

/// How well the carrier vouches for the caller's number (STIR/SHAKEN).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Attestation {
    /// Nobody vouches for it.
    None,
    /// The originating carrier knows the customer, or the gateway only (levels B and C).
    Partial,
    /// The originating carrier knows the customer and the right to the number (level A).
    Full,
}

/// A call that somebody offers us: what the webhook says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Offer {
    /// The carrier's name for the call.
    pub carrier_call: Id,
    /// Who calls, as claimed.
    pub from: Phone,
    /// The number that was called.
    pub to: Phone,
    /// How well `from` is vouched for.
    pub attestation: Attestation,
    /// The carrier calls us (`true`), or we asked it to call out (`false`).
    pub inbound: bool,
}

impl Offer {
    /// The number of whoever is at the other end.
    pub fn other_end(&self) -> &Phone {
        if self.inbound { &self.from } else { &self.to }
    }
}

/// What a status callback says of a call. It may come twice, and out of order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Status {
    /// The carrier's name for the call.
    pub carrier_call: Id,
    /// The carrier's word for its state: `completed`, `busy`, `no-answer`, …
    pub state: String,
    /// Whether that is a state no call leaves again.
    pub is_over: bool,
    /// How long it lasted, in seconds, where the carrier says so.
    pub duration_s: Option<u64>,
    /// Started minutes that are billed, where the carrier says so.
    pub billed_minutes: Option<u64>,
    /// When the carrier sent it, in seconds since 1970, where it says so.
    pub sent_at_s: Option<i64>,
    /// Which of the call's callbacks it is, counted by the carrier, where it says so: later ones are newer.
    pub sequence: Option<u64>,
    /// Who answered a call that we placed, where the carrier was asked to listen and has made up its mind.
    pub answered_by: Option<Answerer>,
}

/// What the carrier says when it asks what comes next: a stream has closed, or somebody who was dialled for the caller has hung up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ended {
    /// The carrier's name for the call.
    pub carrier_call: Id,
    /// The caller was handed over to somebody, and that is over now.
    pub leg: Option<Leg>,
}

/// The other half of a call that was handed over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Leg {
    /// The carrier's word for how it ended: `completed`, `busy`, `no-answer`, `failed`, `canceled`.
    pub state: String,
    /// How long the two talked, in seconds, a started one counted whole; zero when nobody answered, `None` when nobody says.
    pub seconds: Option<u64>,
}

/// What the carrier's own books say of a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CallRecord {
    /// The carrier's word for its state, as in [`Status`].
    pub state: String,
    /// Whether that is a state no call leaves again.
    pub is_over: bool,
    /// How long it lasted, in seconds; `None` while it lasts.
    pub duration_s: Option<u64>,
    /// What the carrier charges for the connection, without the media stream, transfers and sentences, which it bills as items
    /// of their own. `None`: not rated yet, which may take minutes after the end, or see `unpriced`.
    pub price: Option<Usd>,
    /// Why there is no price although the carrier names one, in words for a log.
    pub unpriced: Option<&'static str>,
}

/// A call that the carrier is to place for us.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dial {
    /// Our name for it, by which the carrier's questions about it are known.
    pub call: CallId,
    /// Who is called.
    pub to: Phone,
    /// Whose number they see; it must be one of the account's.
    pub from: Phone,
    /// How long it may ring, in seconds.
    pub ring_s: u64,
    /// The carrier's own limit on the call, in seconds from its answer.
    pub limit_s: u64,
    /// The carrier is to listen who answers, and to tell.
    pub detect: bool,
}

/// A number of ours at the carrier.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Number {
    /// The carrier's name for it.
    pub id: Id,
    /// Whom the carrier asks when it is called.
    pub wiring: Wiring,
    /// What has been set besides and is asked instead of the wiring, in words.
    pub overrides: Vec<String>,
}

/// Whom the carrier asks when a number is called. An empty address: nobody.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Wiring {
    /// What to do with a call.
    pub voice: String,
    /// What to do with it when `voice` does not answer.
    pub fallback: String,
    /// Whom it tells that a call is over.
    pub status: String,
    /// How all three are asked, where the carrier can be told: `POST`.
    pub method: String,
}

/// An answer to a carrier's HTTP request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Document {
    /// Its `Content-Type`.
    pub content_type: &'static str,
    /// Its text.
    pub body: String,
}

/// A request to the carrier's own API, described and not performed. Authenticated with account and token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RestRequest {
    /// `POST` or `GET`.
    pub method: &'static str,
    /// The whole address.
    pub url: String,
    /// The form to post.
    pub form: Vec<(&'static str, String)>,
    /// What it is for, in words for a log.
    pub purpose: &'static str,
    /// Twice is once: it may be sent again when nobody knows whether it was obeyed. What dials somebody is not repeatable.
    pub is_repeatable: bool,
}

/// What the carrier's answer to a [`RestRequest`] means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RestOutcome {
    /// Done.
    Done,
    /// The call was over already, which is what we wanted.
    AlreadyOver,
    /// Worth another try after a pause.
    TryAgain,
    /// Will not work however often it is tried.
    Refused,
}

/// The HTTP side of one carrier.
pub trait Carrier: Send + Sync {
    /// Verifies a webhook and reads the call it offers.
    fn offer(&self, request: Request<'_>) -> Result<Offer, Unwelcome>;
    /// Verifies and reads the question what comes next (`/ended`).
    fn ended(&self, request: Request<'_>) -> Result<Ended, Unwelcome>;
    /// Verifies and reads a status callback.
    fn status(&self, request: Request<'_>) -> Result<Status, Unwelcome>;
    /// Verifies the handshake of a media stream.
    fn handshake(&self, request: Request<'_>) -> Result<(), Forged>;
    /// "Answer, and connect the sound to the stream behind `token`."
    fn connect(&self, token: &str) -> Document;
    /// "Do not answer": free of charge.
    fn reject(&self) -> Document;
    /// "Do not answer; send the caller there instead."
    fn redirect(&self, url: &str) -> Document;
    /// "Say this, if anything, and hang up."
    fn farewell(&self, sentence: Option<&str>) -> Document;
    /// The REST request that performs a command on a live call; `None` for those that travel on the stream.
    fn rest(&self, carrier_call: &Id, command: &Command) -> Option<RestRequest>;
    /// What an HTTP status and body from the REST API mean.
    fn rest_outcome(&self, status: u16, body: &str) -> RestOutcome;
    /// The request that has a call placed. Whoever answers it is not asked what to do but at [`Carrier::offer`], like a caller.
    fn dial(&self, dial: &Dial) -> RestRequest;
    /// Reads the answer to [`Carrier::dial`]: the carrier's name for the call.
    ///
    /// # Errors
    /// When it names no call.
    fn dialled(&self, body: &str) -> Result<Id, Garbled>;
    /// Our name for the call that a webhook or a callback is about, if we placed it. To be believed as far as the request is.
    fn placed(&self, request: Request<'_>) -> Option<CallId>;
    /// What the REST API says about a request that it refused, in its own words, for whoever made it.
    fn complaint(&self, body: &str) -> Option<String>;
    /// The request that asks whom the carrier asks about a number of ours.
    fn ask_number(&self, number: &Phone) -> RestRequest;
    /// Reads the answer to [`Carrier::ask_number`]; `None`: the account has no such number.
    ///
    /// # Errors
    /// When it is no list of numbers.
    fn number(&self, number: &Phone, body: &str) -> Result<Option<Number>, Garbled>;
    /// The request that changes it.
    fn wire_number(&self, number: &Id, wiring: &Wiring) -> RestRequest;
    /// The wiring that leads to this server, with this fallback.
    fn own_wiring(&self, fallback: &str) -> Wiring;
    /// The request that asks for the carrier's own record of a call, live or over.
    fn ask_record(&self, carrier_call: &Id) -> RestRequest;
    /// Reads the answer to [`Carrier::ask_record`].
    ///
    /// # Errors
    /// When it is no record, is about another call, or names an amount or a time that cannot be one.
    fn record(&self, carrier_call: &Id, body: &str) -> Result<CallRecord, Garbled>;
    /// A codec for one media stream, which must be of this call.
    fn stream(&self, carrier_call: &Id) -> Box<dyn Stream>;
}

/// The WebSocket side of one call: keeps what the wire makes one remember (stream id, gaps in the timestamps).
pub trait Stream: Send {
    /// The sound's format on this wire.
    fn format(&self) -> crate::audio::Format;
    /// Reads one text frame. Sound, with its gaps filled, is appended to `sound`. `None`: nothing the call must know.
    fn read(&mut self, frame: &str, sound: &mut Vec<u8>) -> Result<Option<Event>, Garbled>;
    /// Writes the frames for a command into `out`, one call of `out` a frame. `sound` is what a `Play` plays.
    fn write(&mut self, command: &Command, sound: &[u8], out: &mut dyn FnMut(&str));
}

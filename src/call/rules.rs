//! The numbers people argue about: every cap, timeout and margin of a call, in one place.

use super::tools::Tool;
use crate::audio::FRAME_MS;
use crate::pricing::{ModelPrice, TranscriptionPrice};
use crate::units::{CallTime, Id, Phone, Usd};
use std::sync::Arc;

use super::meter::Meter;

/// A limit with a warning before it: one shape for duration, spend and silence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cap<T> {
    /// From here on the model is told.
    pub warn: T,
    /// Beyond this it never goes.
    pub end: T,
}

/// What one call may do and what things cost while it does.
#[derive(Clone, Debug)]
pub struct Rules {
    /// Dollars, everything included.
    pub spend: Cap<Usd>,
    /// Milliseconds from the answer.
    pub duration_ms: Cap<u64>,
    /// Milliseconds without a word from the caller while nothing is being played.
    pub silence_ms: Cap<u64>,
    /// What is said to the model when the call begins, so that the first word is the agent's; empty: the caller begins.
    pub greeting: Arc<str>,
    /// The language and manner of the goodbye: instructions of the one answer that has no memory.
    pub goodbye: Arc<str>,
    /// What the carrier says when no goodbye of the model could be heard.
    pub goodbye_sentence: Arc<str>,
    /// What the carrier says when the model's side failed.
    pub trouble_sentence: Arc<str>,
    /// The most an answer may be long, in tokens.
    pub max_output_tokens: u32,
    /// What the settings weigh in the model's memory, in tokens: at most one for each byte of instructions and tools.
    pub settings_tokens: u64,
    /// Sound that the provider keeps from before it hears speech, in milliseconds (`prefix_padding_ms`).
    pub prefix_padding_ms: u64,
    /// Whether the model's provider cuts its own answer when the caller speaks (`barge_in = "at_once"`).
    pub provider_interrupts: bool,
    /// How far ahead of the carrier's play-out we send, in milliseconds.
    pub lead_ms: u64,
    /// How much sound one message to the carrier holds, in milliseconds.
    pub message_ms: u64,
    /// The model's price.
    pub model: ModelPrice,
    /// The price of transcribing the caller; `None`: nobody transcribes.
    pub transcription: Option<TranscriptionPrice>,
    /// A started minute at the carrier, voice and media.
    pub minute: Usd,
    /// One sentence said by the carrier's own voice.
    pub say: Usd,
    /// What the carrier takes once for this call, besides its minutes: for listening who answers.
    pub fee: Usd,
    /// Seconds within which the model must begin to answer, in milliseconds.
    pub answer_timeout_ms: u64,
    /// What the call gives up, rung by rung, before it says goodbye.
    pub edge: Edge,
    /// Sound that one answer may have to read again, in tokens: from three quarters of it on, old sound is replaced by its text.
    pub context_tokens: u64,
    /// What the provider keeps of the conversation beyond that, in tokens, for the words of old sound; zero: nothing, and text counts
    /// as sound does.
    pub words_tokens: u64,
    /// Turns whose sound the model keeps before it may be replaced by its text.
    pub keep_turns: u32,
    /// The name of the model these rules are for, `[model.NAME]`.
    pub model_name: Arc<str>,
    /// What the model may do besides talking.
    pub abilities: Abilities,
    /// How the agent listens.
    pub manner: Manner,
    /// How a session is replaced by another one.
    pub renewal: Renewal,
    /// The provider gives answers beside the conversation; where it does not, the carrier says the goodbye.
    pub out_of_band: bool,
    /// How long the line lasts that asks the caller for patience, in milliseconds; zero: there is none.
    pub moment_ms: u64,
    /// The margins below, which no agent sets.
    pub margins: Margins,
}

/// What the model may do besides talking.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Abilities {
    /// The agent's own functions.
    pub tools: Vec<Tool>,
    /// It may end the call.
    pub end_call: bool,
    /// It may press keys.
    pub send_digits: bool,
    /// It may call functions so often in one call, these included.
    pub most_calls: u32,
    /// It may hand the caller over.
    pub is_transfer_offered: bool,
    /// The caller may be handed over to these, and to nobody else.
    pub destinations: Vec<Destination>,
    /// What handing over may cost and how long it may last.
    pub transfer: TransferCap,
    /// The caller is handed over to this one at the edge of the budget, instead of the goodbye.
    pub fallback: Option<Arc<str>>,
    /// What the carrier says before it dials somebody.
    pub transfer_sentence: Arc<str>,
}

impl Abilities {
    /// Whether there is anything that the model may call.
    pub fn is_any(&self) -> bool {
        self.end_call || self.send_digits || !self.tools.is_empty() || self.is_transfer_offered
    }
}

/// Somebody the caller may be handed over to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Destination {
    /// What the model calls them.
    pub label: Arc<str>,
    /// Their number. The model never sees it.
    pub to: Phone,
    /// A started minute of the line to them.
    pub minute: Usd,
}

/// What a transfer may cost, both lines together, and how long it may last.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TransferCap {
    /// Minutes that the two may talk.
    pub minutes: u64,
    /// Dollars.
    pub usd: Usd,
}

/// How the agent listens.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Manner {
    /// The agent goes on talking until our own ear has heard speech (`barge_in = "confirm"`).
    pub confirm: bool,
    /// Nothing is sent on while there is music, ringing or a fax on the line.
    pub hold: bool,
    /// What to do when a machine answers a call that we placed.
    pub on_machine: OnMachine,
    /// What was said is told, word by word, to whoever keeps it.
    pub transcript: bool,
    /// While the caller is silent, so much of their silence is sent on at a time, in milliseconds; zero: every frame as it comes.
    pub coalesce_ms: u64,
}

/// What to do when a machine answers a call that we placed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnMachine {
    /// End the call.
    #[default]
    HangUp,
    /// Talk to it.
    Talk,
}

/// How a session is replaced by another one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Renewal {
    /// A session is replaced when it is so old, in milliseconds; `None`: only before its provider ends it.
    pub after_ms: Option<u64>,
    /// What the next one is told may weigh so many tokens.
    pub max_tokens: u64,
}

impl Default for Renewal {
    fn default() -> Self {
        Renewal {
            after_ms: None,
            max_tokens: 1_500,
        }
    }
}

/// The ladder at the edge of the budget: which rungs an agent takes before the goodbye.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Edge {
    /// The model is told when the end is near.
    pub tell: bool,
    /// Answers become shorter when the money runs low; if not, one that does not fit whole is the goodbye.
    pub shorten: bool,
    /// Old sound is replaced by its text to make room.
    pub shrink: bool,
    /// The agent's next, cheaper model takes over when this one has become too dear.
    pub cheaper: bool,
    /// An answer shorter than this, in tokens, is not worth asking for; [`Margins::min_output_tokens`] at the least.
    pub min_output_tokens: u32,
}

impl Default for Edge {
    fn default() -> Self {
        Edge {
            tell: true,
            shorten: true,
            shrink: true,
            cheaper: true,
            min_output_tokens: Margins::default().min_output_tokens,
        }
    }
}

/// Margins that hold for every agent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Margins {
    /// An answer shorter than this is not worth asking for: 8 seconds of speech.
    pub min_output_tokens: u32,
    /// The goodbye may be this long: 10 seconds of speech.
    pub goodbye_tokens: u32,
    /// The longest that a goodbye takes until it is heard.
    pub goodbye_max_ms: u64,
    /// From the last word to the line being closed.
    pub hangup_ms: u64,
    /// No sound of the goodbye by then: the carrier says it.
    pub goodbye_start_ms: u64,
    /// The longest that a sentence of the carrier's own voice takes.
    pub sentence_ms: u64,
    /// After a call is over, its reports are waited for so long.
    pub reports_ms: u64,
    /// The model must be reached and configured by then.
    pub model_ready_ms: u64,
    /// Another session must be by then, while a caller is waiting.
    pub standby_ready_ms: u64,
    /// With nobody on the floor for so long the caller is told that there is a problem; half of it at the beginning of a call, where
    /// they have waited for the first session already.
    pub floor_empty_ms: u64,
    /// With nobody on the floor for so long, the caller is asked for patience.
    pub moment_ms: u64,
    /// How long before its provider ends it a session is replaced.
    pub renew_ahead_ms: u64,
    /// Caller sound that another session hears again, so that the first syllable is not lost.
    pub pre_roll_ms: u64,
    /// Of the sound that was sent on, so much is kept for a session that must hear it again.
    pub again_ms: u64,
    /// The carrier must have taken the caller over by then.
    pub transfer_ms: u64,
    /// The media stream must open by then.
    pub stream_open_ms: u64,
    /// Caller sound kept while the model is not ready; older sound is forgotten.
    pub ear_ms: u64,
    /// Beyond the cap on duration: when the carrier's own limit ends the call.
    pub carrier_limit_ms: u64,
}

impl Default for Margins {
    fn default() -> Self {
        Margins {
            min_output_tokens: 160,
            goodbye_tokens: 200,
            goodbye_max_ms: 10_000,
            hangup_ms: 2_000,
            goodbye_start_ms: 2_000,
            sentence_ms: 7_000,
            reports_ms: 2_000,
            model_ready_ms: 8_000,
            standby_ready_ms: 4_000,
            floor_empty_ms: 8_000,
            moment_ms: 1_200,
            renew_ahead_ms: 120_000,
            pre_roll_ms: 500,
            again_ms: 5_000,
            transfer_ms: 10_000,
            stream_open_ms: 15_000,
            ear_ms: 10_000,
            carrier_limit_ms: 10_000,
        }
    }
}

impl Margins {
    /// The longest that a call takes to end politely: the goodbye, or waiting for one in vain and the carrier's sentence; and the
    /// hang-up.
    pub fn ending_ms(&self) -> u64 {
        self.goodbye_max_ms
            .max(self.goodbye_start_ms + self.sentence_ms)
            + self.hangup_ms
    }
}

impl Rules {
    /// The carrier's own limit on the call, in seconds, should we vanish: a little after the cap on duration, but no more minutes than
    /// the cap on spend could pay for if nothing else were spent; a minute at the least, the shortest that carriers take.
    pub fn carrier_limit_s(&self) -> u64 {
        let by_clock = (self.duration_ms.end + self.margins.carrier_limit_ms) / 1000;
        let payable = self.spend.end.less(self.fee).nanos();
        let payable = payable.checked_div(self.minute.nanos());
        by_clock
            .min(payable.unwrap_or(u64::MAX).saturating_mul(60))
            .max(60)
    }

    /// Whole frames in one message to the carrier.
    pub fn message_frames_ms(&self) -> u64 {
        (self.message_ms / FRAME_MS).max(1) * FRAME_MS
    }

    /// An answer shorter than this is not worth asking for, in tokens.
    pub fn shortest_answer(&self) -> u64 {
        let least = self.margins.min_output_tokens;
        u64::from(self.edge.min_output_tokens.max(least))
    }

    /// What is set aside for the goodbye: the one answer without memory, and the carrier's sentence in case nobody hears it.
    pub fn goodbye_bound(&self) -> Usd {
        Meter::new(self).goodbye_bound().plus(self.say)
    }

    /// The smallest cap with which a call makes sense: a greeting, one answer to ten seconds of question, each of the shortest length
    /// worth asking for, and a goodbye, within the first minute and at the dearest. The meter itself is asked, so what is promised
    /// here is what the call will find.
    pub fn smallest_cap(&self) -> Usd {
        // Where answers are never shortened, each must fit whole.
        let shortest = match self.edge.shorten {
            true => self.shortest_answer(),
            false => u64::from(self.max_output_tokens),
        };
        let mut meter = Meter::new(self);
        meter.begun();
        meter.minute(CallTime::ZERO, false);
        meter.added_text(self.greeting.len() + GREETING_NOTE.len());
        meter.ask(1, shortest);
        // Without a usage the greeting is charged, and remembered, as the most it could have been.
        meter.report(1, None, true);
        for _ in 0..QUESTION_MS / FRAME_MS {
            meter.forwarded(FRAME_MS);
        }
        meter.committed_item(&Id::from("question"));
        meter
            .committed()
            .plus(self.goodbye_bound())
            .plus(meter.room_for(shortest))
    }
}

/// What precedes the greeting's own words in the note that asks for it.
pub const GREETING_NOTE: &str = "The caller is on the line now. ";

/// The caller's one question in [`Rules::smallest_cap`].
const QUESTION_MS: u64 = 10_000;

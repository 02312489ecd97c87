//! A speech model that understands nothing, keeps the provider's protocol to the letter, and bills like it.
//!
//! One [`Model`] is one Realtime session as a value: text frames in, text frames out, a deadline, an invoice. It reads no
//! clock and opens no socket, so an hour of conversation is tested in milliseconds; [`serve`] puts it behind a socket.
//! It answers with the caller's own words, because those can be compared with what went in. It shares no code with the
//! server that it is there to contradict.

mod answer;
mod behaviour;
mod calls;
#[cfg(test)]
mod claims;
mod client;
pub mod diary;
mod door;
#[cfg(test)]
mod hostile;
pub(super) mod invoice;
mod memory;
mod older;
mod request;
pub mod serve;
pub(super) mod settings;
mod shape;
#[cfg(test)]
mod talk;
mod turns;
mod vad;
mod voice;
pub(super) mod wire;

pub use behaviour::{Behaviour, Deletes, Goodbye, Lost, Report, Transcription, Update};
pub use invoice::{Invoice, Prices, Rate, ResponseBill, Tokens, TranscriptionBill};

use crate::audio::Format;
use answer::Answer;
use behaviour::Call;
use door::House;
use memory::Memory;
use serde_json::{Value, json};
use settings::Settings;
use std::collections::{BTreeMap, VecDeque};
use std::fmt::Write as _;
use std::sync::Arc;
use vad::{Ear, Listening};
use wire::{Fault, Ids};

/// What a session is opened with.
#[derive(Clone, Debug)]
pub struct Setup {
    /// The price list; a model that is not in it does not exist.
    pub prices: Arc<Prices>,
    /// How the model behaves.
    pub behaviour: Behaviour,
    /// The only key that is accepted; `None` accepts any that is not empty.
    pub accept_key: Option<String>,
    /// Whether what was read before is billed at the cached rate.
    pub cache: bool,
    /// The Unix time, in seconds, at the session's millisecond zero: what `expires_at` is counted from.
    pub unix_s: u64,
}

impl Setup {
    /// An honest provider with this price list (the text of `prices.toml`) and these words of behaviour.
    ///
    /// # Errors
    /// Says what is wrong with either text.
    pub fn parse(prices_toml: &str, behaviour: &str) -> Result<Setup, String> {
        Ok(Setup {
            prices: Arc::new(Prices::parse(prices_toml)?),
            behaviour: Behaviour::parse(behaviour)?,
            accept_key: None,
            cache: true,
            unix_s: 0,
        })
    }
}

/// What the model does with its socket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Out {
    /// Sends a text frame.
    Text(String),
    /// Closes properly; nothing follows.
    Close {
        /// The close code.
        code: u16,
        /// The reason.
        reason: String,
    },
    /// Breaks the connection without a word; nothing follows.
    Drop,
}

/// What is to be done later.
#[derive(Debug)]
enum Task {
    /// Send this.
    Say(Value),
    /// Go on with the response of this id.
    Go(String),
    /// Say what the caller said in an item.
    Transcribed { item: String, event: Value },
    /// Forget an item, and say so.
    Forget(String),
    /// The session is as old as it may become.
    Expire,
    /// The connection breaks.
    Lose,
}

/// One Realtime session.
#[derive(Debug)]
pub struct Model {
    setup: Setup,
    ids: Ids,
    now: u64,
    over: bool,
    /// Whose address the client came to, and whether the older words are spoken there.
    house: House,
    older: bool,
    conversation: String,
    settings: Settings,
    ear: Ear,
    /// How what is appended is written, and how it is listened to: as the settings say, which are JSON and slow to look into.
    input_format: Format,
    listening: Option<Listening>,
    /// The id the turn being spoken will have.
    next_turn: Option<String>,
    memory: Memory,
    /// Responses that run.
    answers: Vec<Answer>,
    /// Functions that are still to be called, one an answer.
    tools: VecDeque<Call>,
    /// What it was told that its functions answered, in order.
    told: Vec<String>,
    /// Turns of the caller that were answered.
    turns: u64,
    invoice: Invoice,
    agenda: BTreeMap<(u64, u64), Task>,
    planned: u64,
    out: VecDeque<Out>,
    /// It hears and says nothing any more.
    mute: bool,
    noted: Vec<diary::Noted>,
    appended: Vec<i16>,
}

impl Model {
    /// A session nobody has connected to yet. The same setup, seed and inputs give the same outputs.
    pub fn new(setup: Setup, seed: u64) -> Self {
        let mut ids = Ids::new(seed);
        let settings = Settings::new(&ids.next("sess"), "", 0);
        Model {
            conversation: ids.next("conv"),
            ear: Ear::new(24_000, 0),
            input_format: settings.input_format(),
            listening: settings.listening(),
            tools: setup.behaviour.tools.iter().cloned().collect(),
            told: Vec::new(),
            turns: 0,
            ids,
            setup,
            settings,
            now: 0,
            over: true,
            house: House::default(),
            older: false,
            next_turn: None,
            memory: Memory::default(),
            answers: Vec::new(),
            invoice: Invoice::default(),
            agenda: BTreeMap::new(),
            planned: 0,
            out: VecDeque::new(),
            mute: false,
            noted: Vec::new(),
            appended: Vec::new(),
        }
    }

    fn begin(&mut self, model: &str) {
        let lasts = self.setup.behaviour.expire_ms;
        let expires_at = self.setup.unix_s + (self.now + lasts) / 1000;
        self.settings = Settings::new(&self.ids.next("sess"), model, expires_at);
        self.listening = self.settings.listening();
        self.invoice.model = model.to_string();
        self.plan(self.now + lasts, Task::Expire);
        if let Some(Lost::At(ms)) = self.setup.behaviour.lost {
            self.plan(self.now + ms, Task::Lose);
        }
        self.say(json!({"type": "session.created", "session": self.settings.echo()}));
        if self.older {
            let conversation = json!({"id": self.conversation, "object": "realtime.conversation"});
            self.say(json!({"type": "conversation.created", "conversation": conversation}));
        }
        self.surprise("session.mood.updated");
    }

    /// Takes a text frame of the client.
    pub fn receive(&mut self, now_ms: u64, text: &str) {
        self.wake(now_ms);
        if self.is_well() {
            self.read(text);
        }
    }

    /// Does what is due.
    pub fn wake(&mut self, now_ms: u64) {
        while let Some(entry) = self.agenda.first_entry()
            && entry.key().0 <= now_ms
            && !self.over
        {
            // Each at its own time, so that a late caller gets the same events as a punctual one.
            self.now = self.now.max(entry.key().0);
            let task = entry.remove();
            self.perform(task);
        }
        self.now = self.now.max(now_ms);
    }

    fn perform(&mut self, task: Task) {
        match task {
            Task::Say(event) => self.say(event),
            Task::Go(response) => self.go_on(&response),
            Task::Transcribed { item, event } => self.transcribed(&item, event),
            // It may have been dropped meanwhile, and is as good as deleted then.
            Task::Forget(item) => {
                let _ = self.memory.delete(&item);
                self.acknowledge(json!({"type": "conversation.item.deleted", "item_id": item}));
            }
            Task::Lose => self.end(Out::Drop),
            Task::Expire => {
                let said = "Your session hit the maximum duration of 60 minutes.";
                self.say(Fault::new("session_expired", said).event(None));
                self.end(Out::Close {
                    code: 1001,
                    reason: said.to_string(),
                });
            }
        }
    }

    /// When to call [`Model::wake`].
    pub fn deadline(&self) -> Option<u64> {
        let first = self.agenda.first_key_value().map(|((due, _), _)| *due);
        first.filter(|_| !self.over)
    }

    /// The next thing to do with the socket.
    pub fn poll(&mut self) -> Option<Out> {
        self.out.pop_front()
    }

    /// The client is gone. What ran is billed as far as it got.
    pub fn hang_up(&mut self, now_ms: u64) {
        self.wake(now_ms);
        self.over = true;
    }

    /// Whether the session is over, by whichever side.
    pub fn is_over(&self) -> bool {
        self.over
    }

    /// What the session is billed so far, running responses included.
    pub fn invoice(&self) -> Invoice {
        let mut invoice = self.invoice.clone();
        let running = self
            .answers
            .iter()
            .map(|answer| self.bill(answer, "in_progress"));
        invoice.responses.extend(running);
        invoice
    }

    /// What it remembers of the conversation, in words, item by item.
    pub fn remembers(&self) -> Vec<String> {
        self.memory.words().map(str::to_string).collect()
    }

    /// How this provider weighs text.
    fn scale(&self) -> memory::Scale {
        if self.setup.behaviour.heavy {
            memory::heavy_tokens
        } else {
            memory::text_tokens
        }
    }

    /// Sends an event, now.
    fn say(&mut self, event: Value) {
        let event = match self.older {
            true => older::write(event),
            false => Some(event),
        };
        let Some(mut event) = event.filter(|_| self.is_well()) else {
            return;
        };
        event["event_id"] = self.ids.next("event").into();
        if self.setup.behaviour.unknown_events {
            event["x_unheard_of"] = json!({"key": [1, null]});
        }
        self.out.push_back(Out::Text(event.to_string()));
    }

    /// Sends an event that was written by hand, but for its end.
    fn say_written(&mut self, mut event: String) {
        if !self.is_well() {
            return;
        }
        let surprise = match self.setup.behaviour.unknown_events {
            true => r#","x_unheard_of":{"key":[1,null]}"#,
            false => "",
        };
        let id = self.ids.next("event");
        let _ = write!(event, r#"{surprise},"event_id":"{id}"}}"#);
        self.out.push_back(Out::Text(event));
    }

    /// Sends that an item is created, cut or deleted: now, or late.
    fn acknowledge(&mut self, event: Value) {
        match self.setup.behaviour.acks_late_ms {
            _ if self.setup.behaviour.acks_never => {}
            0 => self.say(event),
            late => self.plan(self.now + late, Task::Say(event)),
        }
    }

    /// Sends an event nobody knows, if the behaviour wants that.
    fn surprise(&mut self, kind: &str) {
        if self.setup.behaviour.unknown_events {
            self.say(json!({"type": kind, "value": {"deep": [true, 1.5, "x"]}}));
        }
    }

    fn plan(&mut self, due: u64, task: Task) {
        self.planned += 1;
        self.agenda.insert((due, self.planned), task);
    }

    fn end(&mut self, how: Out) {
        if !self.over {
            self.out.push_back(how);
        }
        self.over = true;
    }
}

//! What a session keeps of itself when it is asked to: whom it served, what it heard, was told, said and forgot, and when.
//!
//! An invoice shows what a call cost. Whether a caller was cut off at the right word, or lost a frame when one session took over from
//! another, only the model's own side can tell; so a test has it keep a diary, and holds that against the phone's.

use super::{Invoice, Model, Out};
use serde_json::Value;
use std::time::Instant;

/// One thing that happened to a session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Noted {
    /// Milliseconds since it was opened.
    pub at_ms: u64,
    /// What.
    pub what: What,
}

/// What can happen to a session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum What {
    /// It heard the caller begin to speak, and said so.
    SpeechStarted,
    /// A turn of the caller became this item.
    Committed {
        /// The item.
        item: String,
    },
    /// A response was asked for.
    Asked,
    /// The first sound of an item of its own was sent.
    Spoke {
        /// The item.
        item: String,
    },
    /// All sound of an item of its own was sent.
    SpokeAll {
        /// The item.
        item: String,
    },
    /// A response ended in this way.
    Done(&'static str),
    /// An item was cut.
    Truncated {
        /// The item.
        item: String,
        /// Milliseconds that are left of it.
        audio_end_ms: u64,
        /// Milliseconds that there were.
        had_ms: u64,
    },
    /// An item was deleted.
    Deleted {
        /// The item.
        item: String,
    },
    /// The client wrote an item.
    Told {
        /// Whose words it is to stand for.
        role: String,
        /// The words.
        text: String,
    },
    /// It was said what the caller said, or what it said itself.
    Words {
        /// The item.
        item: String,
        /// The words.
        text: String,
    },
    /// It complained, with this code and these words.
    Complained(String),
    /// It was struck.
    Struck(Strike),
}

/// How a session is lost on command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Strike {
    /// The connection breaks.
    Drop,
    /// It closes with this code.
    Close(u16),
    /// It stays connected, hears nothing any more and says nothing.
    Mute,
}

/// A session's diary.
#[derive(Clone, Debug)]
pub struct Diary {
    /// The instructions it was given: they tell whom it served.
    pub instructions: String,
    /// When it was opened: its millisecond zero.
    pub began: Instant,
    /// What happened, in order.
    pub noted: Vec<Noted>,
    /// All sound that was appended, at the rate of the input's format.
    pub heard: Vec<i16>,
    /// What it was billed.
    pub invoice: Invoice,
}

impl Model {
    /// Writes into the diary, if one is kept.
    pub(super) fn note(&mut self, what: impl FnOnce() -> What) {
        if self.setup.behaviour.diary && self.is_well() {
            let (at_ms, what) = (self.now, what());
            self.noted.push(Noted { at_ms, what });
        }
    }

    /// What the client has written.
    pub(super) fn note_told(&mut self, item: &Value) {
        self.note(|| What::Told {
            role: item["role"].as_str().unwrap_or_default().into(),
            text: item["content"][0]["text"]
                .as_str()
                .unwrap_or_default()
                .into(),
        });
    }

    /// Keeps what was appended.
    pub(super) fn note_sound(&mut self, samples: &[i16]) {
        if self.setup.behaviour.diary {
            self.appended.extend_from_slice(samples);
        }
    }

    /// The diary so far; `began` is when the session was opened.
    pub fn diary(&self, began: Instant) -> Diary {
        Diary {
            instructions: self.instructions().to_string(),
            began,
            noted: self.noted.clone(),
            heard: self.appended.clone(),
            invoice: self.invoice(),
        }
    }

    /// The instructions in force.
    pub fn instructions(&self) -> &str {
        self.settings.echo()["instructions"]
            .as_str()
            .unwrap_or_default()
    }

    /// The session is lost, now and in this way.
    pub fn strike(&mut self, now_ms: u64, how: Strike) {
        self.wake(now_ms);
        if self.over || self.mute {
            return;
        }
        self.note(|| What::Struck(how));
        match how {
            Strike::Drop => self.end(Out::Drop),
            Strike::Close(code) => {
                let reason = "The simulated model was told to close.".to_string();
                self.end(Out::Close { code, reason });
            }
            Strike::Mute => self.mute = true,
        }
    }

    /// Whether it can still be struck: it is connected, and neither over nor mute.
    pub fn is_well(&self) -> bool {
        !self.over && !self.mute
    }
}

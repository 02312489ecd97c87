//! What is left of a call when it is over: who ended it, what it cost in minutes, and every sound.

use super::playout::{Cleared, Stretch};
use super::{Ending, Moment, Phone, Violation, wav};
use std::path::Path;

/// A call that is over.
#[derive(Clone, Debug)]
pub struct Report {
    /// The carrier's name for the call.
    pub call_sid: String,
    /// What happened, in order; a moment prints as one line.
    pub timeline: Vec<Moment>,
    /// What the caller heard, 8 kHz since the phone began to ring.
    pub heard: Vec<i16>,
    /// What the caller said, on the same time line.
    pub spoken: Vec<i16>,
    /// Why it was over; `None` when it was given up before.
    pub ending: Option<Ending>,
    /// When it was answered, in milliseconds since the phone began to ring.
    pub answered_ms: Option<u64>,
    /// When the agent was first heard, in milliseconds since the phone began to ring.
    pub first_heard_ms: Option<u64>,
    /// From the answer to the end, in milliseconds.
    pub duration_ms: u64,
    /// Started minutes, from the answer.
    pub billed_minutes: u64,
    /// Sentences of the carrier's own voice.
    pub says: Vec<String>,
    /// What the carrier would complain about.
    pub violations: Vec<Violation>,
    /// Every stretch of the agent's sound between two marks, with what was played of it.
    pub stretches: Vec<Stretch>,
    /// Every time the queue was thrown away.
    pub clears: Vec<Cleared>,
}

impl Report {
    /// What this phone has to tell.
    pub fn of(phone: &Phone) -> Self {
        Report {
            call_sid: phone.setup.call_sid.clone(),
            timeline: phone.timeline().to_vec(),
            heard: phone.heard().to_vec(),
            spoken: phone.spoken().to_vec(),
            ending: phone.ended().map(|(_, ending)| ending),
            answered_ms: phone.answered_ms(),
            first_heard_ms: phone.first_heard_ms(),
            duration_ms: phone.duration_ms(),
            billed_minutes: phone.billed_minutes(),
            says: phone.says().to_vec(),
            violations: phone.violations().to_vec(),
            stretches: phone.stretches().to_vec(),
            clears: phone.clears().to_vec(),
        }
    }

    /// Writes what the caller heard as a WAV file: 8 kHz, mono, 16 bit.
    ///
    /// # Errors
    /// Says which file could not be written and why.
    pub fn write_wav(&self, path: &Path) -> Result<(), String> {
        wav::write(path, &self.heard)
    }
}

//! What the caller does, as far as it can be heard: speaking, cutting in, pressing keys, and not being there at all.
//!
//! The provider hears where a turn begins and ends. Two things it cannot know: whether a noise over the agent's own voice is meant to
//! stop it, and that the music on the line is nobody. For these there is an ear of our own, where the agent wants one.

use super::record::{Ending, What};
use super::rules::OnMachine;
use super::timers::Timer;
use super::{Call, Output, Phase};
use crate::audio::ear::{Heard, Hold};
use crate::audio::level::Level;
use crate::carrier::{Answerer, Command as ToCarrier};
use crate::realtime::{Command as ToModel, Item};
use crate::units::{CallTime, Id};

/// Silence that ends a turn, whatever the provider's patience.
const HUSH_MS: u64 = 1_000;

/// So much silence is sent on as it comes: a pause in speech is shorter, and the end of a turn is heard in it.
const SILENT_MS: u64 = 1_000;

/// Keys belong together that are pressed within so long of each other.
const KEYS_MS: u64 = 1_500;

/// Keys that are told at once.
const MOST_KEYS: usize = 32;

/// Keys of one call; what comes beyond is a flood.
const MOST_KEYS_OF_A_CALL: u32 = 200;

/// What music would have been taken for: a turn in so long. An estimate, for the log.
const HELD_TURN_MS: u64 = 10_000;

/// Nobody waits on hold for longer before silence counts: the music may have stopped, and the line be dead.
const HELD_MOST_MS: u64 = 300_000;

/// What is told to a model that has reached a machine.
const MACHINE: &str = "A machine has answered, not a person. When it has finished speaking, leave one short message and end the call.";

impl Call {
    /// Sends on the caller's sound that waits, as far as its transcription can be afforded. While an answer is open it may wait: the
    /// answer's report will make room.
    pub(super) fn listen(&mut self, out: &mut Vec<Output>) {
        if self.phase != Phase::Talking || !self.ready || self.waiting_ms == 0 {
            return;
        }
        if self.holding.is_some() || self.is_handed() || self.may_wait() {
            return;
        }
        let ms = self.waiting_ms;
        if self.fits(self.meter.forwarding(ms)) {
            self.waiting_ms = 0;
            self.forward(ToModel::Append { ms }, ms, out);
        } else if !self.allowance.may_grow() && !self.turns.is_answering() {
            self.wrap_up(self.money_cause(), out);
        }
    }

    /// Whether what waits may wait for more: the line has been silent for so long that the provider, too, hears nobody, and a few
    /// longer messages tell it as much as many short ones.
    fn may_wait(&self) -> bool {
        let silent = |from: u64| self.heard_ms.saturating_sub(from) >= SILENT_MS;
        self.waiting_ms < self.rules.manner.coalesce_ms
            && !self.turns.caller_speaks
            && self.silent_from_ms.is_some_and(silent)
    }

    /// Something is on the line, or nothing any more. What waits goes out with the first sound.
    pub(super) fn level_changed(&mut self, level: Level, out: &mut Vec<Output>) {
        self.silent_from_ms = match level {
            Level::Silent => Some(self.heard_ms),
            Level::Sounding => None,
        };
        self.listen(out);
    }

    /// Sends on sound, once a fact covers what listening to it may cost.
    fn forward(&mut self, command: ToModel, ms: u64, out: &mut Vec<Output>) {
        self.meter.forwarded(ms);
        if self.meter.committed() > self.covered {
            self.record(What::Listening, out);
        }
        out.push(Output::Realtime(command));
    }

    /// More of the caller's sound has come.
    pub(super) fn heard(&mut self, ms: u64, out: &mut Vec<Output>) {
        self.last_heard = self.now;
        if !matches!(self.phase, Phase::Connecting | Phase::Talking) {
            return;
        }
        self.heard_ms = self.heard_ms.saturating_add(ms);
        let margins = self.rules.margins;
        let most = match self.holding {
            // When somebody speaks again, so much of what came before is sent on too.
            Some(_) => margins.pre_roll_ms,
            None => margins.ear_ms,
        };
        self.waiting_ms = self.waiting_ms.saturating_add(ms).min(most);
        self.listen(out);
    }

    /// The caller's sound stopped coming in the middle of speech, as it does when a line drops packets. The provider would wait for the
    /// end of the turn for ever, for its clock is the sound itself: a second of silence ends it.
    pub(super) fn hush(&mut self, out: &mut Vec<Output>) {
        if self.phase != Phase::Talking || !self.turns.caller_speaks {
            return;
        }
        self.turns.caller_speaks = false;
        if self.ready && self.fits(self.meter.forwarding(HUSH_MS)) {
            self.forward(ToModel::AppendSilence { ms: HUSH_MS }, HUSH_MS, out);
        }
    }

    pub(super) fn caller_was_heard(&mut self) {
        self.last_word = self.now;
        self.nudged = false;
    }

    /// The provider hears the caller speak.
    pub(super) fn caller_speaks(&mut self, out: &mut Vec<Output>) {
        self.caller_was_heard();
        if self.phase != Phase::Talking {
            return;
        }
        self.turns.caller_speaks = true;
        let sent_ms = self.heard_ms.saturating_sub(self.waiting_ms);
        self.turn_from_ms = sent_ms.saturating_sub(self.rules.margins.pre_roll_ms);
        self.turn_begun = true;
        let talks = self.playback.is_playing() || self.turns.wants_to_speak();
        self.doubted = self.rules.manner.confirm && talks && !self.ear_hears;
        if !self.doubted {
            self.cut_in(self.rules.provider_interrupts, out);
        }
    }

    /// A turn of the caller became an item of the conversation.
    pub(super) fn turn_committed(&mut self, item: Id, out: &mut Vec<Output>) {
        self.meter.committed_item(&item);
        self.turns.caller_speaks = false;
        self.committed_ms = self.heard_ms.saturating_sub(self.waiting_ms);
        if !std::mem::take(&mut self.turn_begun) {
            // Where it began was never said, and only so much is kept of what nobody spoke in.
            let pre_roll_ms = self.rules.margins.pre_roll_ms;
            self.turn_from_ms = self.committed_ms.saturating_sub(pre_roll_ms);
        }
        let over_us = self.playback.is_audible(self.now) || self.turns.wants_to_speak();
        if std::mem::take(&mut self.doubted) && over_us {
            // A cough, a door: the agent has gone on talking, and nobody is owed an answer.
            if self.phase == Phase::Talking {
                out.push(Output::Realtime(ToModel::Delete { item }));
            }
            return self.record(What::Overheard, out);
        }
        self.words.caller_spoke(&item);
        self.turn_answered = false;
        self.turns.owed = self.phase == Phase::Talking;
        self.caller_was_heard();
    }

    /// What our own ear makes of the caller's sound has changed.
    pub(super) fn ear_said(&mut self, heard: Heard, out: &mut Vec<Output>) {
        self.ear_hears = heard == Heard::Speech;
        self.ear_holds = match heard {
            Heard::Hold(hold) => Some(hold),
            Heard::Speech => None,
            Heard::Quiet => self.ear_holds,
        };
        match heard {
            Heard::Speech => {
                if self.holding.is_some() {
                    self.resume(out);
                }
                if std::mem::take(&mut self.doubted) && self.phase == Phase::Talking {
                    self.cut_in(false, out);
                }
            }
            Heard::Quiet => {}
            Heard::Hold(hold) => self.hold(hold, out),
        }
    }

    /// There is somebody now who could listen to what our ear has heard before.
    pub(super) fn hold_if_heard(&mut self, out: &mut Vec<Output>) {
        if let Some(hold) = self.ear_holds {
            self.hold(hold, out);
        }
    }

    /// Nobody is at the other end for now: what they play is not sent on, so that it makes no turns.
    fn hold(&mut self, hold: Hold, out: &mut Vec<Output>) {
        let listens = self.rules.manner.hold && self.phase == Phase::Talking && self.ready;
        if !listens || self.holding.is_some() {
            return;
        }
        self.holding = Some(self.now);
        self.turns.caller_speaks = false;
        self.turn_begun = false;
        self.doubted = false;
        self.waiting_ms = 0;
        out.push(Output::Realtime(ToModel::ClearInput));
        self.record(What::Held(hold), out);
    }

    /// Somebody speaks again.
    fn resume(&mut self, out: &mut Vec<Output>) {
        let Some(since) = self.holding.take() else {
            return;
        };
        let held_ms = self.now.since(since);
        let turns = held_ms / HELD_TURN_MS;
        self.caller_was_heard();
        self.record(What::Resumed { held_ms, turns }, out);
        self.listen(out);
    }

    /// The caller means it: whatever the agent was saying stops, and the model is told how much of it was heard. `by_provider`: it has
    /// stopped what it was saying by itself.
    pub(super) fn cut_in(&mut self, by_provider: bool, out: &mut Vec<Output>) {
        self.stay();
        if let Some(answer) = self.turns.open() {
            answer.unwanted = true;
            // What it has not begun to say, it would say into the caller's words.
            if self.ready && (!by_provider || answer.response.is_none()) {
                let response = answer.response.clone();
                out.push(Output::Realtime(ToModel::Cancel { response }));
            }
        }
        if !self.playback.is_playing() {
            return;
        }
        out.push(Output::Carrier(ToCarrier::Clear));
        let cuts = self.playback.cut(self.now);
        // All of it may have been played, and only its marks be late.
        if cuts.is_empty() {
            return;
        }
        let (mut heard_ms, mut unheard_ms, mut only_told) = (0, 0, false);
        for cut in cuts {
            heard_ms += cut.heard_ms;
            unheard_ms += cut.received_ms - cut.heard_ms;
            let in_memory = self.ready && self.words.is_sound(&cut.item);
            only_told |= self.ready && !in_memory && self.words.is_known(&cut.item);
            let command = match cut.heard_ms {
                0 => {
                    self.words.forget(&cut.item);
                    ToModel::Delete { item: cut.item }
                }
                heard_ms => {
                    self.words.cut(&cut.item, heard_ms);
                    ToModel::Truncate {
                        item: cut.item,
                        heard_ms,
                    }
                }
            };
            if in_memory {
                out.push(Output::Realtime(command));
            }
        }
        if only_told {
            self.tell_cut(out);
        }
        self.interruptions += 1;
        self.record(
            What::Interrupted {
                heard_ms,
                unheard_ms,
            },
            out,
        );
    }

    /// The caller pressed a key. Those that belong together are told together.
    pub(super) fn key_pressed(&mut self, key: char, out: &mut Vec<Output>) {
        self.caller_was_heard();
        self.keys_of_the_call += 1;
        if self.keys_of_the_call > MOST_KEYS_OF_A_CALL || self.keys.len() >= MOST_KEYS {
            return;
        }
        self.record(What::Digit, out);
        if self.phase != Phase::Talking {
            return;
        }
        self.keys.push(key);
        let pause_ms = if key == '#' { 1 } else { KEYS_MS };
        self.timers.set(Timer::Keys, self.now.plus(pause_ms));
    }

    /// No more keys: the model is told which, as if the caller had said so.
    pub(super) fn keys_pressed(&mut self, out: &mut Vec<Output>) {
        if self.phase != Phase::Talking || self.keys.is_empty() {
            return;
        }
        if !self.ready {
            return self.timers.set(Timer::Keys, self.now.plus(KEYS_MS));
        }
        let keys: Vec<String> = self.keys.drain(..).map(String::from).collect();
        let words = format!("(The caller pressed these keys: {})", keys.join(" "));
        self.cut_in(false, out);
        let name = format!("keys-{}", self.keys_of_the_call);
        self.words.caller_wrote(&Id::from(name.as_str()), &words);
        self.add(Item::User(words), out);
        self.turns.owed = true;
    }

    /// Who answered a call that we placed.
    pub(super) fn answered_by(&mut self, answerer: Answerer, out: &mut Vec<Output>) {
        self.record(What::AnsweredBy(answerer), out);
        match (answerer, self.rules.manner.on_machine) {
            (Answerer::Person | Answerer::Unknown, _) => {}
            (Answerer::Machine, OnMachine::Talk) => {
                // A model that is not there yet is told when it is.
                match self.phase {
                    Phase::Talking => self.tell(MACHINE.to_string(), out),
                    Phase::Connecting => self.notes.push(MACHINE.to_string()),
                    Phase::WrappingUp(_) | Phase::Away(_) | Phase::Over(_) => {}
                }
            }
            (Answerer::Machine, OnMachine::HangUp) | (Answerer::Fax, _) => {
                if matches!(self.phase, Phase::Connecting | Phase::Talking) {
                    self.close(Ending::AgentHungUp, out);
                }
            }
        }
    }

    /// Since when nobody has said anything, as far as silence counts: while the other end plays music, not for some minutes.
    pub(super) fn silent_since(&self) -> CallTime {
        match self.holding {
            Some(since) => since.plus(HELD_MOST_MS),
            None => self.last_word.max(self.playback.dry_at()),
        }
    }
}

//! Sounds that we make ourselves, queued and heard like speech.

use super::timers::Timer;
use super::{Call, Output, Phase};
use crate::audio::dtmf;
use crate::units::Id;

/// A sound that we make ourselves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Sound {
    /// Keys of a telephone, pressed one after the other.
    Tones(String),
    /// "One moment, please."
    Moment {
        /// How long it lasts, in milliseconds.
        ms: u64,
    },
}

impl Call {
    /// Nobody has held the floor for a while: the caller is asked for patience, once nothing else is being heard.
    pub(super) fn ask_for_patience(&mut self, out: &mut Vec<Output>) {
        let waits = matches!(self.phase, Phase::Connecting | Phase::Talking);
        if !self.sessions.is_waited_for() || !waits {
            return;
        }
        if self.answered.is_none() {
            // There is nobody to hear it yet.
            let at = self.now.plus(self.rules.margins.moment_ms);
            return self.timers.set(Timer::Moment, at);
        }
        if self.playback.is_audible(self.now) {
            let at = self.playback.dry_at().max(self.now.plus(100));
            return self.timers.set(Timer::Moment, at);
        }
        if self.rules.moment_ms > 0 {
            let ms = self.rules.moment_ms;
            self.play_own(Sound::Moment { ms }, out);
        }
    }

    /// Queues a sound of our own, like speech; tells its name in the playback.
    pub(super) fn play_own(&mut self, sound: Sound, out: &mut Vec<Output>) -> Id {
        self.own_sounds += 1;
        let item = Id::from(format!("own-{}", self.own_sounds).as_str());
        self.playback.receive(&item, sound.ms());
        self.playback.complete(&item);
        if let Some(number) = self.playback.number(&item) {
            let item = number;
            out.push(Output::Sound { item, sound });
        }
        item
    }
}

impl Sound {
    /// How long it lasts, in milliseconds.
    pub fn ms(&self) -> u64 {
        match self {
            Sound::Tones(digits) => digits.chars().count() as u64 * (dtmf::TONE_MS + dtmf::GAP_MS),
            Sound::Moment { ms } => *ms,
        }
    }
}

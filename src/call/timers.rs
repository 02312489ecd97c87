//! The named alarms of a call, and which of them rings next.
//!
//! Everything a call waits for has a name here, so that "what is it waiting for?" always has an answer. An alarm is set to a
//! moment, not to a delay; setting it again moves it.

use crate::units::CallTime;

/// What a call can be waiting for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Timer {
    /// The media stream should have opened by now.
    StreamOpen,
    /// The model should have been reached and configured by now.
    ModelReady,
    /// The cap on duration is near: tell the model.
    DurationWarn,
    /// Begin the goodbye, so that it is heard before the cap on duration.
    DurationGoodbye,
    /// The cap on duration.
    DurationEnd,
    /// A carrier minute is about to begin: is there money for it?
    MinuteAhead,
    /// A carrier minute begins.
    Minute,
    /// The caller has been silent for long: ask whether they are still there.
    SilenceWarn,
    /// The caller has been silent for too long.
    SilenceEnd,
    /// The caller was speaking when their sound stopped coming.
    Hush,
    /// The model should have begun to answer by now.
    Answer,
    /// Ask again for an answer that failed.
    Retry,
    /// The session on the floor is old.
    Renew,
    /// Open another session, after a pause.
    Reopen,
    /// The session on standby should have been configured by now.
    StandbyReady,
    /// Nobody has held the floor for a while.
    Moment,
    /// Nobody has held the floor for so long that nobody will.
    GiveUp,
    /// A function that was called should have answered by now.
    Tool,
    /// Keys that we press should have been heard by now.
    Tones,
    /// No more keys belong to those that were pressed.
    Keys,
    /// The agent's last words should have been heard by now.
    LastWords,
    /// The carrier should have taken the caller over by now, or closed the call behind them.
    Transfer,
    /// The budget should have answered by now.
    Verdict,
    /// The carrier's queue wants more sound.
    Pace,
    /// The goodbye should have begun by now.
    GoodbyeStart,
    /// The goodbye should have been heard by now.
    GoodbyeEnd,
    /// The call is over: what is not reported by now is charged at its bound.
    Reports,
}

const COUNT: usize = Timer::Reports as usize + 1;

const ALL: [Timer; COUNT] = [
    Timer::StreamOpen,
    Timer::ModelReady,
    Timer::DurationWarn,
    Timer::DurationGoodbye,
    Timer::DurationEnd,
    Timer::MinuteAhead,
    Timer::Minute,
    Timer::SilenceWarn,
    Timer::SilenceEnd,
    Timer::Hush,
    Timer::Answer,
    Timer::Retry,
    Timer::Renew,
    Timer::Reopen,
    Timer::StandbyReady,
    Timer::Moment,
    Timer::GiveUp,
    Timer::Tool,
    Timer::Tones,
    Timer::Keys,
    Timer::LastWords,
    Timer::Transfer,
    Timer::Verdict,
    Timer::Pace,
    Timer::GoodbyeStart,
    Timer::GoodbyeEnd,
    Timer::Reports,
];

/// When each alarm rings.
#[derive(Clone, Debug)]
pub struct Timers {
    at: [CallTime; COUNT],
}

impl Default for Timers {
    fn default() -> Self {
        Timers {
            at: [CallTime::NEVER; COUNT],
        }
    }
}

impl Timers {
    /// Sets or moves an alarm.
    pub fn set(&mut self, timer: Timer, at: CallTime) {
        self.at[timer as usize] = at;
    }

    /// Takes an alarm back.
    pub fn clear(&mut self, timer: Timer) {
        self.at[timer as usize] = CallTime::NEVER;
    }

    /// Whether the alarm is set.
    pub fn is_set(&self, timer: Timer) -> bool {
        self.at[timer as usize] != CallTime::NEVER
    }

    /// The alarm that rings next. Of two at the same moment, the one named first above.
    pub fn next(&self) -> Option<(CallTime, Timer)> {
        let first = ALL
            .into_iter()
            .min_by_key(|timer| self.at[*timer as usize])?;
        let at = self.at[first as usize];
        (at != CallTime::NEVER).then_some((at, first))
    }

    /// Takes the next alarm that is due.
    pub fn take_due(&mut self, now: CallTime) -> Option<Timer> {
        let (at, timer) = self.next()?;
        (at <= now).then(|| {
            self.clear(timer);
            timer
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_earliest_alarm_rings_first_and_once() {
        let mut timers = Timers::default();
        assert_eq!(timers.next(), None);
        timers.set(Timer::Pace, CallTime::from_millis(30));
        timers.set(Timer::Answer, CallTime::from_millis(20));
        timers.set(Timer::Minute, CallTime::from_millis(30));
        assert_eq!(timers.take_due(CallTime::from_millis(19)), None);
        let rung: Vec<_> =
            std::iter::from_fn(|| timers.take_due(CallTime::from_millis(30))).collect();
        assert_eq!(rung, [Timer::Answer, Timer::Minute, Timer::Pace]);
        assert_eq!(timers.next(), None);
    }

    #[test]
    fn every_alarm_stands_in_its_own_place() {
        for (place, timer) in ALL.into_iter().enumerate() {
            assert_eq!(timer as usize, place);
        }
    }
}

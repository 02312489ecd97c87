//! What the caps allow: what is set aside, what is left, and when the call has had its share.

use super::record::{Cause, What};
use super::timers::Timer;
use super::{Ask, Call, LATENESS_MS, Output, Phase, VERDICT_MS, Verdict, meter};
use crate::units::{CallTime, Usd};

/// So long an answer may be open, at most as a rule, and the call's ending after it.
const OPEN_MS: u64 = 30_000;

impl Call {
    pub(super) fn count_minutes(&mut self, out: &mut Vec<Output>) {
        if let Some(cost) = self.meter.begun() {
            self.record(What::Fee { cost }, out);
        }
        let away = matches!(self.phase, Phase::Away(_));
        while let Some((minute, cost)) = self.meter.minute(self.now, away) {
            self.record(What::Minute { minute, cost }, out);
        }
        self.timers.set(Timer::Minute, meter::next_minute(self.now));
    }

    /// Before a minute begins it is asked whether the call can pay for it: early enough for a goodbye, the hang-up, and a shell
    /// that wakes late.
    pub(super) fn set_minute_ahead(&mut self) {
        let early_ms = self.rules.margins.ending_ms() + LATENESS_MS;
        let mut at = meter::next_minute(self.now)
            .millis()
            .saturating_sub(early_ms);
        while at <= self.now.millis() {
            at += meter::MINUTE_MS;
        }
        self.timers
            .set(Timer::MinuteAhead, CallTime::from_millis(at));
    }

    /// What must not be spent on anything else: the goodbye while it is not asked for, the carrier's sentence while it is not
    /// said, and the minute that an ending begun now could run into.
    pub(super) fn set_aside(&self) -> Usd {
        let goodbye = match self.phase {
            Phase::Connecting | Phase::Talking => self.meter.goodbye_bound(),
            Phase::WrappingUp(_) => Usd::ZERO,
            Phase::Away(_) | Phase::Over(_) => return Usd::ZERO,
        };
        let sentence = if self.last_words {
            Usd::ZERO
        } else {
            self.meter.sentence()
        };
        goodbye.plus(sentence).plus(self.minutes_aside())
    }

    /// The minutes that an ending begun now could run into.
    pub(super) fn minutes_aside(&self) -> Usd {
        let ending_ms = self.rules.margins.ending_ms();
        self.meter.minutes_until(match self.phase {
            Phase::Connecting | Phase::Talking => self.now.plus(ending_ms + LATENESS_MS),
            Phase::WrappingUp(_) => self.wrapping_since.plus(ending_ms).max(self.now),
            Phase::Away(_) | Phase::Over(_) => self.now,
        })
    }

    /// What may still be committed to.
    pub(super) fn room(&self) -> Usd {
        self.allowance
            .limit()
            .less(self.meter.committed().plus(self.set_aside()))
    }

    /// What may be committed to besides a minute that begins before an answer asked for now is reported.
    pub(super) fn room_ahead(&self) -> Usd {
        let ahead = self.now.plus(OPEN_MS);
        let minute = self.meter.minutes_until(ahead).less(self.minutes_aside());
        self.room().less(minute)
    }

    /// Whether committing to this much more keeps the promise.
    pub(super) fn fits(&self, more: Usd) -> bool {
        self.meter.committed().plus(self.set_aside()).plus(more) <= self.allowance.limit()
    }

    /// The cause to name when the money ends: the cap, or the budget that did not fill the grant up to it.
    pub(super) fn money_cause(&self) -> Cause {
        if self.allowance.is_short() {
            Cause::Budget
        } else {
            Cause::Spend
        }
    }

    pub(super) fn keep_within_caps(&mut self, out: &mut Vec<Output>) {
        if !matches!(self.phase, Phase::Connecting | Phase::Talking) {
            return;
        }
        let used = self.meter.committed().plus(self.set_aside());
        let wanted = if self.turns.owed {
            used.plus(self.longest_answer())
        } else {
            used
        };
        if let Some(more) = self.allowance.ask(used, wanted) {
            out.push(Output::Budget(Ask::TopUp(more)));
            self.timers.set(Timer::Verdict, self.now.plus(VERDICT_MS));
        }
        if used > self.allowance.limit() {
            return self.wrap_up(self.money_cause(), out);
        }
        let last_grant =
            self.first_word_said && !self.turns.is_answering() && !self.allowance.may_grow();
        if self.spent() >= self.rules.spend.warn
            || (last_grant && !self.fits(self.shortest_answer().times(2)))
        {
            self.warn(Cause::Spend, out);
        }
    }

    pub(super) fn shortest_answer(&self) -> Usd {
        self.meter.answer_bound(self.rules.shortest_answer())
    }

    pub(super) fn longest_answer(&self) -> Usd {
        self.meter
            .answer_bound(u64::from(self.rules.max_output_tokens))
    }

    pub(super) fn budget_said(&mut self, verdict: Verdict) {
        self.timers.clear(Timer::Verdict);
        match verdict {
            Verdict::Granted(more) => self.allowance.granted(more),
            Verdict::Refused => self.allowance.refused(),
        }
    }
}

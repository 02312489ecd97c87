//! What the call may spend: its cap, and how much of it the budgets above have granted so far.
//!
//! The words are those of RFC 8506: money is granted in parts, more is asked for when half of it is used, and a grant that is not
//! enlarged is the last one. A budget that refuses, or does not answer, therefore ends the call before its grant is overrun.

use crate::units::Usd;

/// The call's own allowance.
#[derive(Clone, Debug)]
pub struct Allowance {
    cap: Usd,
    granted: Usd,
    /// An answer of the budget is awaited.
    asked: bool,
    /// The budget said no: this grant is the last one.
    last: bool,
    /// How much to ask for at a time.
    part: Usd,
    /// Granted for a transfer, beyond the cap.
    apart: Usd,
    /// The part of it that is in use.
    apart_used: Usd,
    /// What is asked for is for a transfer.
    asked_apart: bool,
}

impl Allowance {
    /// An allowance of at most `cap`, of which `granted` is ours already.
    pub fn new(cap: Usd, granted: Usd) -> Self {
        // A quarter at a time: few questions for one call, little of a shared budget tied up by many.
        let part = Usd::from_nanos((cap.nanos() / 4).max(1));
        Allowance {
            cap,
            granted: granted.min(cap),
            asked: false,
            last: false,
            part,
            apart: Usd::ZERO,
            apart_used: Usd::ZERO,
            asked_apart: false,
        }
    }

    /// The most that the call may have cost at its end, as things are.
    pub fn limit(&self) -> Usd {
        self.granted.plus(self.apart_used)
    }

    /// The most that the limit may yet become.
    pub fn most(&self) -> Usd {
        let own = if self.last { self.granted } else { self.cap };
        own.plus(self.apart_used)
    }

    /// What to ask for so that a transfer of this cost can be paid, beside the cap; `None`: it is there already.
    pub fn ask_apart(&mut self, bound: Usd) -> Option<Usd> {
        let missing = bound.less(self.apart);
        if missing.is_zero() {
            return None;
        }
        self.asked = true;
        self.asked_apart = true;
        Some(missing)
    }

    /// Whether a transfer of this cost can be paid.
    pub fn has_apart(&self, bound: Usd) -> bool {
        self.apart >= bound
    }

    /// A transfer of this cost begins.
    pub fn use_apart(&mut self, bound: Usd) {
        self.apart_used = bound.min(self.apart);
    }

    /// It does not take place.
    pub fn release_apart(&mut self) {
        self.apart_used = Usd::ZERO;
    }

    /// Whether more than is granted now may yet be granted.
    pub fn may_grow(&self) -> bool {
        self.granted < self.cap && !self.last
    }

    /// Whether the grant, and not the cap, is what limits the call.
    pub fn is_short(&self) -> bool {
        self.granted < self.cap
    }

    /// How much more to ask for, now that `used` is spent or spoken for: once half of the grant is used, or at once when
    /// something waits for it.
    pub fn ask(&mut self, used: Usd, wanted: Usd) -> Option<Usd> {
        let (used, wanted) = (used.less(self.apart_used), wanted.less(self.apart_used));
        let half_used = used.nanos() >= self.granted.nanos() / 2;
        if self.asked || !self.may_grow() || !(half_used || wanted > self.granted) {
            return None;
        }
        self.asked = true;
        let missing = wanted.less(self.granted);
        Some(self.part.max(missing).min(self.cap.less(self.granted)))
    }

    /// Whether an answer of the budget is awaited.
    pub fn is_asked(&self) -> bool {
        self.asked
    }

    /// The budget granted this much more.
    pub fn granted(&mut self, more: Usd) {
        if !std::mem::take(&mut self.asked) {
            return;
        }
        if std::mem::take(&mut self.asked_apart) {
            self.apart = self.apart.plus(more);
        } else {
            self.granted = self.granted.plus(more).min(self.cap);
        }
    }

    /// The budget has no more, or has not answered.
    pub fn refused(&mut self) {
        self.asked = false;
        // What there is no more of for a transfer, there may be for a sentence.
        self.last |= !std::mem::take(&mut self.asked_apart);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn cents(cents: u64) -> Usd {
        Usd::from_micros(cents * 10_000)
    }

    #[test]
    fn more_is_asked_for_once_half_of_the_grant_is_used() {
        let mut allowance = Allowance::new(cents(40), cents(20));
        assert_eq!(allowance.ask(cents(9), cents(9)), None);
        assert_eq!(allowance.ask(cents(10), cents(10)), Some(cents(10)));
        assert_eq!(
            allowance.ask(cents(10), cents(10)),
            None,
            "one question at a time"
        );
        allowance.granted(cents(10));
        assert_eq!(allowance.limit(), cents(30));
    }

    #[test]
    fn what_waits_for_money_asks_for_all_it_needs_and_never_beyond_the_cap() {
        let mut allowance = Allowance::new(cents(40), cents(10));
        assert_eq!(allowance.ask(cents(1), cents(35)), Some(cents(25)));
        allowance.granted(cents(90));
        assert_eq!(allowance.limit(), cents(40));
        assert!(!allowance.is_short());
    }

    #[test]
    fn a_refused_budget_is_not_asked_again_and_an_unasked_grant_is_nothing() {
        let mut allowance = Allowance::new(cents(40), cents(10));
        allowance.granted(cents(5));
        assert_eq!(allowance.limit(), cents(10));
        assert!(allowance.ask(cents(6), cents(6)).is_some());
        allowance.refused();
        assert_eq!(allowance.ask(cents(9), cents(39)), None);
        assert!(allowance.is_short() && !allowance.may_grow());
    }
}

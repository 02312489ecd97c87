//! What another session costs, and whether a cheaper model should have the floor.

use super::{GO_ON, MOST_SESSIONS};
use crate::call::record::Why;
use crate::call::timers::Timer;
use crate::call::{Call, Output, memory};

impl Call {
    /// Whether a session of this model could be told what was said and give one short answer, and the goodbye be said.
    pub(super) fn can_afford(&self, model: usize) -> bool {
        let Some(rules) = self.models.get(model) else {
            return false;
        };
        let (bytes, items) = self.words.weight(rules.renewal.max_tokens);
        let told = (bytes + GO_ON.len(), items + 1);
        let first = memory::first_answer_bound(rules, told, rules.shortest_answer());
        let goodbye = memory::goodbye_of(rules).less(self.meter.goodbye_bound());
        let used = self.meter.committed().plus(self.set_aside());
        used.plus(goodbye).plus(first) <= self.allowance.most()
    }

    /// The agent's next model that would answer for less than the one on the floor, if the call can pay for it.
    fn cheaper_model(&self) -> Option<usize> {
        let here = self.shortest_answer();
        let mut others = self.model + 1..self.models.len();
        others.find(|model| {
            let rules = &self.models[*model];
            let told = self.words.weight(rules.renewal.max_tokens);
            let first = memory::first_answer_bound(rules, told, rules.shortest_answer());
            !self.sessions.refused.contains(model) && first < here && self.can_afford(*model)
        })
    }

    /// The money runs low: the agent's next, cheaper model is made ready. Tells whether one is, or will be.
    pub(in crate::call) fn prepare_cheaper(&mut self, out: &mut Vec<Output>) -> bool {
        if let Some(standby) = &self.sessions.standby {
            return standby.why == Why::Cheaper;
        }
        if !self.rules.edge.cheaper || self.sessions.opened >= MOST_SESSIONS {
            return false;
        }
        let Some(model) = self.cheaper_model() else {
            return false;
        };
        self.open_standby(model, Why::Cheaper, out);
        true
    }

    /// The answer that is owed does not fit on this model. Tells whether another one will give it.
    pub(in crate::call) fn turn_to_cheaper(&mut self, out: &mut Vec<Output>) -> bool {
        if !self.prepare_cheaper(out) {
            return false;
        }
        let standby = self.sessions.standby.as_ref();
        if !standby.is_some_and(|standby| standby.ready) {
            self.wait_for_standby();
        } else {
            self.take_over(out);
            // At its price, the answer may fit.
            self.say_what_is_owed(out);
        }
        true
    }

    /// Somebody is owed an answer that only the session on standby can give.
    fn wait_for_standby(&mut self) {
        if self.timers.is_set(Timer::Moment) || self.sessions.waits {
            return;
        }
        self.sessions.waits = true;
        let margins = self.rules.margins;
        self.timers
            .set(Timer::Moment, self.now.plus(margins.moment_ms));
        self.timers
            .set(Timer::StandbyReady, self.now.plus(margins.standby_ready_ms));
    }
}

//! Answers: asked for, begun, heard, billed.
//!
//! The one place where an answer is asked for, [`Call::say_what_is_owed`], stands first; below it is what may become of one. An answer
//! is over only when its own report says so, however long nobody has wanted to hear it.

use super::meter::Reported;
use super::record::{Cause, Turn, What};
use super::timers::Timer;
use super::words::Old;
use super::{Call, Output, Phase};
use crate::pricing::{TranscriptionUsage, Usage};
use crate::realtime::{
    Code, Command as ToModel, Complaint, Gravity, Item, Loss, Request, RequestKind, Status,
};
use crate::units::{CallTime, Id, Usd};

/// Answers that fail in a row before the model counts as lost.
const MAX_FAILURES: u32 = 3;

/// A rate is told as if at least so long had passed: one answer in the first second is not sixty a minute.
const LEAST_BURN_MS: u64 = 10_000;

/// With room for fewer of the shortest answers than this, the memory is made smaller. Its bound falls with the next report only: until
/// then there must be money for an answer, what the caller says before it, and perhaps a minute.
const SHORT_ANSWERS: u64 = 5;

/// So many items are replaced at once, two turns, where nothing presses: what lies between two replacements shows whether the provider's
/// cache serves.
pub const WORTHWHILE_ITEMS: usize = 4;

/// The pause before a failed answer is asked for again; doubled each time.
const RETRY_MS: u64 = 500;

impl Call {
    /// The one place where an answer is asked for: if somebody is owed one, nobody speaks, and all it can cost fits.
    pub(super) fn say_what_is_owed(&mut self, out: &mut Vec<Output>) {
        if self.phase != Phase::Talking || !self.turns.owed || !self.turns.is_free() {
            return;
        }
        if !self.ready || self.is_handed() {
            return;
        }
        if self.timers.is_set(Timer::Retry) {
            return;
        }
        let most = u64::from(self.rules.max_output_tokens);
        let least = if self.rules.edge.shorten {
            self.rules.shortest_answer()
        } else {
            most
        };
        // An answer that takes all there is leaves nothing for a minute that begins before it is reported, and so ends the call there.
        // A shorter one does not, if there is money for both.
        let whole = self.meter.longest_answer(self.room()).min(most);
        let beside = self.meter.longest_answer(self.room_ahead()).min(most);
        let fitting = if beside >= least { beside } else { whole };
        if fitting < most && self.allowance.is_asked() {
            return;
        }
        if fitting < least && self.turn_to_cheaper(out) {
            return;
        }
        if fitting < least {
            return self.wrap_up(self.money_cause(), out);
        }
        let nonce = self.turns.nonce();
        let bound = self.meter.ask(nonce, fitting);
        self.turns.asked(nonce, false);
        self.record_asked(nonce, fitting, bound, out);
        self.timers
            .set(Timer::Answer, self.now.plus(self.rules.answer_timeout_ms));
        let max_output_tokens = u32::try_from(fitting).unwrap_or(u32::MAX);
        let request = Request {
            nonce,
            max_output_tokens,
            tools: self.may_call(),
            kind: RequestKind::Answer,
        };
        out.push(Output::Realtime(ToModel::Respond(request)));
    }

    /// Before anything is asked for it is written down what it may cost: should the process die, that is charged.
    pub(super) fn record_asked(
        &mut self,
        nonce: u64,
        max_output_tokens: u64,
        bound: Usd,
        out: &mut Vec<Output>,
    ) {
        let asked = What::Asked {
            nonce,
            max_output_tokens,
            bound,
        };
        self.record(asked, out);
    }

    pub(super) fn response_started(
        &mut self,
        response: Id,
        nonce: Option<u64>,
        out: &mut Vec<Output>,
    ) {
        let asked =
            |nonce: &u64| self.turns.is_ours(*nonce) && !self.turns.is_second(*nonce, &response);
        let Some(nonce) = nonce.filter(asked) else {
            return self.stray_started(response, out);
        };
        let talking = self.phase == Phase::Talking;
        if let Some(answer) = self.turns.started(nonce, &response)
            && talking
            && !answer.unwanted
        {
            let at = self.now.plus(self.rules.answer_timeout_ms);
            self.timers.set(Timer::Answer, at);
        }
    }

    /// A response that nobody asked for costs money that nobody reserved: it is cut short, and spoken for until its report comes.
    fn stray_started(&mut self, response: Id, out: &mut Vec<Output>) {
        if self.turns.nonce_of(&response).is_some() {
            return;
        }
        let nonce = self.turns.nonce();
        let max_output_tokens = u64::from(self.rules.max_output_tokens);
        let bound = self.meter.ask(nonce, max_output_tokens);
        self.turns.asked(nonce, false);
        self.record_asked(nonce, max_output_tokens, bound, out);
        self.turns.started(nonce, &response);
        if let Some(answer) = self.turns.of(&response) {
            answer.unwanted = true;
        }
        let cost = self.longest_answer();
        let bound = Usd::ZERO;
        out.push(Output::Realtime(ToModel::Cancel {
            response: Some(response),
        }));
        self.record(What::BoundBroken { cost, bound }, out);
        self.wrap_up(Cause::Spend, out);
    }

    pub(super) fn spoke(&mut self, response: &Id, item: &Id, until_ms: u64, out: &mut Vec<Output>) {
        match self.turns.of(response) {
            Some(answer) if !answer.unwanted => {
                answer.spoke = true;
                self.turn_answered = true;
                if answer.goodbye {
                    self.timers.clear(Timer::GoodbyeStart);
                } else {
                    let at = self.now.plus(self.rules.answer_timeout_ms);
                    self.timers.set(Timer::Answer, at);
                    self.words.agent_spoke(item, until_ms);
                }
                self.playback.receive(item, until_ms);
            }
            // Speech that will not be heard must not be remembered as said.
            _ => {
                if self.playback.discard(item, until_ms) && self.phase == Phase::Talking {
                    out.push(Output::Realtime(ToModel::Delete { item: item.clone() }));
                }
            }
        }
    }

    /// A response is over. One that does not repeat its nonce may be known by its name.
    pub(super) fn response_reported(
        &mut self,
        response: &Id,
        nonce: Option<u64>,
        status: &Status,
        usage: Option<&Usage>,
        out: &mut Vec<Output>,
    ) {
        let asked =
            |nonce: &u64| self.turns.is_ours(*nonce) && !self.turns.is_second(*nonce, response);
        let nonce = nonce.filter(asked).or(self.turns.nonce_of(response));
        self.response_done(response, nonce, status, usage, out);
    }

    fn response_done(
        &mut self,
        response: &Id,
        nonce: Option<u64>,
        status: &Status,
        usage: Option<&Usage>,
        out: &mut Vec<Output>,
    ) {
        let Some(nonce) = nonce else {
            return self.stray_done(response, usage, out);
        };
        let complete = matches!(status, Status::Completed | Status::Incomplete);
        let (cost, bound) = match self.meter.report(nonce, usage, complete) {
            Reported::Settled { cost, bound } => (cost, bound),
            Reported::Known => return,
            Reported::Unasked => return self.stray_done(response, usage, out),
        };
        let Some(answer) = self.turns.closed(nonce) else {
            return;
        };
        self.turns.was_reported(nonce, response);
        // What comes after an answer that was given up is another answer's.
        if !answer.unwanted {
            self.playback.complete_all();
        }
        self.record_turn((response, Some(nonce)), usage, cost, answer.goodbye, out);
        self.look_at_bound(cost, bound, out);
        if answer.goodbye {
            return self.goodbye_done(answer.spoke, out);
        }
        if let Some(leaving) = &mut self.leaving {
            leaving.spoke |= answer.spoke && !answer.unwanted;
        }
        self.timers.clear(Timer::Answer);
        match status {
            Status::Failed(code) if !answer.unwanted && self.phase == Phase::Talking => {
                self.answer_failed(code.clone(), out);
            }
            Status::Failed(_) | Status::Completed | Status::Cancelled | Status::Incomplete => {
                self.turns.failures = 0;
                self.sessions.answered();
                self.make_room(out);
            }
        }
    }

    /// Replaces old sound by its words, when that pays. While the provider's cache serves what was read before, reading it again
    /// costs next to nothing, and any change of it costs one reading of all that follows; so it waits until keeping the old sound has
    /// cost as much as that, until the money runs short, for every answer must be payable as if nothing were cached, or until there is
    /// nearly as much sound as there may be.
    ///
    /// The bound of an answer falls with the first report after the replacement, and not before: how much sound an item holds is known
    /// to the provider alone.
    fn make_room(&mut self, out: &mut Vec<Output>) {
        if self.phase != Phase::Talking || self.turns.is_answering() || !self.ready {
            return;
        }
        let used = self.meter.committed().plus(self.set_aside());
        let room = self.allowance.most().less(used);
        let longest = self.meter.longest_answer(room);
        if longest < self.rules.shortest_answer() * 2 {
            self.prepare_cheaper(out);
        }
        if !self.rules.edge.shrink {
            return;
        }
        let Some(old) = self.take_old(longest < self.rules.shortest_answer() * SHORT_ANSWERS)
        else {
            return;
        };
        self.meter.nothing_old();
        if let Some(last) = old.items.last().filter(|_| !old.note.is_empty()) {
            self.meter.added_text(old.note.len());
            out.push(Output::Realtime(ToModel::Insert {
                after: last.clone(),
                item: Item::System(old.note),
            }));
        }
        let items = old.items.len() as u64;
        let delete = |item| Output::Realtime(ToModel::Delete { item });
        out.extend(old.items.into_iter().map(delete));
        self.record(What::Condensed { items }, out);
    }

    /// The old sound that is to be replaced now, if any. What nobody could put into words stays, until there is twice as much sound as
    /// there may be.
    fn take_old(&mut self, is_short: bool) -> Option<Old> {
        let (keep, most) = (self.rules.keep_turns, self.rules.context_tokens);
        let old_items = self.words.old_items(keep);
        if old_items == 0 {
            self.meter.nothing_old();
        }
        let memory = self.meter.memory();
        let all = memory.audio.saturating_add(memory.text);
        let sound = match self.rules.words_tokens {
            // No room is kept for words: the provider forgets sound and text alike beyond the one limit.
            0 if all.saturating_mul(4) > most.saturating_mul(3) => {
                return self.words.take_old(keep);
            }
            0 => 0,
            _ => memory.audio,
        };
        if sound > most {
            let keep = keep.min(1);
            let old = self.words.take_old(keep);
            return match old {
                None if sound > most.saturating_mul(2) => self.words.take_all_old(keep),
                old => old,
            };
        }
        let is_full = sound.saturating_mul(4) > most.saturating_mul(3);
        let is_dear = self.meter.is_holding_dear() && old_items >= WORTHWHILE_ITEMS;
        (is_short || is_full || is_dear).then(|| self.words.take_old(keep))?
    }

    pub(super) fn stray_done(
        &mut self,
        response: &Id,
        usage: Option<&Usage>,
        out: &mut Vec<Output>,
    ) {
        let most = u64::from(self.rules.max_output_tokens);
        let cost = self.meter.stray(usage, most);
        self.record_turn((response, None), usage, cost, false, out);
        self.look_at_bound(cost, Usd::ZERO, out);
    }

    fn record_turn(
        &mut self,
        (response, nonce): (&Id, Option<u64>),
        usage: Option<&Usage>,
        cost: Usd,
        goodbye: bool,
        out: &mut Vec<Output>,
    ) {
        self.turns.count += 1;
        let burn = self.burn_per_minute();
        let money_left = self.rules.spend.end.less(self.spent()).nanos();
        let by_money = (money_left.saturating_mul(60))
            .checked_div(burn.nanos())
            .unwrap_or(u64::MAX);
        let by_clock = CallTime::from_millis(self.rules.duration_ms.end).since(self.now) / 1000;
        let turn = Turn {
            turn: self.turns.count,
            nonce,
            response: response.clone(),
            usage: usage.copied(),
            cost,
            goodbye,
            burn_per_minute: burn,
            seconds_left: by_clock.min(by_money),
        };
        self.record(What::Turn(turn), out);
    }

    /// What a minute costs now: the carrier's, and what the last minute of talk came to, or the call so far scaled to a minute. The
    /// carrier's comes in steps, so it is counted as what it is, and not as a fortune in the first second.
    fn burn_per_minute(&mut self) -> Usd {
        let talk = self.spent().less(self.meter.cost().carrier);
        while self
            .spent_before
            .get(1)
            .is_some_and(|(at, _)| self.now.since(*at) >= 60_000)
        {
            self.spent_before.pop_front();
        }
        if self.spent_before.is_empty() {
            self.spent_before.push_back((CallTime::ZERO, Usd::ZERO));
        }
        let (since, before) = self.spent_before[0];
        if self
            .spent_before
            .back()
            .is_none_or(|(at, _)| self.now.since(*at) >= 1_000)
        {
            self.spent_before.push_back((self.now, talk));
        }
        let elapsed_ms = self.now.since(since).max(LEAST_BURN_MS);
        let burned = talk.less(before).nanos().saturating_mul(60_000) / elapsed_ms;
        Usd::from_nanos(burned).plus(self.rules.minute)
    }

    pub(super) fn look_at_bound(&mut self, cost: Usd, bound: Usd, out: &mut Vec<Output>) {
        if cost > bound {
            self.record(What::BoundBroken { cost, bound }, out);
            self.wrap_up(Cause::Spend, out);
        }
    }

    fn answer_failed(&mut self, code: Code, out: &mut Vec<Output>) {
        self.record(What::Complained(code.clone()), out);
        self.turns.failures += 1;
        if self.turns.failures >= MAX_FAILURES {
            return self.lose_model(Loss::Refused(code), out);
        }
        let pause_ms = RETRY_MS << self.turns.failures;
        self.timers.set(Timer::Retry, self.now.plus(pause_ms));
    }

    pub(super) fn complained(&mut self, complaint: Complaint, out: &mut Vec<Output>) {
        let Complaint {
            gravity,
            code,
            about,
        } = complaint;
        // What has begun is billed by its own report, whatever is said about it.
        if let Some(nonce) = about
            && !self.turns.has_begun(nonce)
            && self.meter.release(nonce)
        {
            let was_goodbye = self
                .turns
                .closed(nonce)
                .is_some_and(|answer| answer.goodbye);
            if was_goodbye {
                self.goodbye_done(false, out);
            } else if gravity == Gravity::Fatal {
                self.lose_model(Loss::Refused(code), out);
            } else if self.phase == Phase::Talking {
                self.timers.clear(Timer::Answer);
                self.answer_failed(code, out);
            }
            return;
        }
        match gravity {
            Gravity::Benign => {}
            Gravity::Ignored | Gravity::Retry if self.ready => {
                self.record(What::Complained(code), out)
            }
            // Settings that were refused whole leave a session that answers by itself, without limit.
            Gravity::Ignored | Gravity::Retry | Gravity::Fatal => {
                self.lose_model(Loss::Refused(code), out);
            }
        }
    }

    pub(super) fn transcribed(
        &mut self,
        item: &Id,
        usage: Option<&TranscriptionUsage>,
        out: &mut Vec<Output>,
    ) {
        if let Some((cost, bound)) = self.meter.transcribed(item, usage) {
            let usage = usage.copied();
            self.record(What::Transcribed { usage, cost }, out);
            self.look_at_bound(cost, bound, out);
        }
    }
}

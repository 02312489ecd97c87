//! Which session holds the floor, and which one is to take over.
//!
//! A session ends after an hour, or when its provider stumbles, and the call must not. So there may be two: the one on the floor, which
//! alone hears the caller and is asked for answers, and one on standby, which is opened, configured and told in words what was said.
//! They are exchanged where nobody can hear it: between two turns if there is time, at once if the floor is empty. The same path serves
//! a loss, old age, and a cheaper model at the edge of the budget.

mod afford;

use super::record::{What, Why};
use super::timers::Timer;
use super::{Call, Output, Phase, words};
use crate::realtime::{Code, Command as ToModel, Event, Gravity, Loss};
use crate::units::{CallTime, Id};

/// Sessions tried in a row, without an answer from any.
const MOST_TRIES: u32 = 4;

/// Sessions of one call, whatever happens.
const MOST_SESSIONS: u32 = 24;

/// The pause before the second try; doubled each time.
const BACKOFF_MS: u64 = 250;

/// When a renewal failed, it is tried again so much later.
const RENEW_AGAIN_MS: u64 = 15_000;

/// So near its end a session is replaced even while it is heard.
const URGENT_MS: u64 = 20_000;

/// What a model is told that takes over in the middle of a sentence.
const GO_ON: &str = "The connection was lost for a moment while you were speaking. Go on where you stopped, without repeating yourself.";

/// A session that is opened and does not hold the floor.
#[derive(Clone, Debug)]
struct Standby {
    model: usize,
    why: Why,
    ready: bool,
    expires: Option<CallTime>,
    /// Bytes and items that it has been told.
    told: Vec<usize>,
}

/// The sessions of one call.
#[derive(Clone, Debug, Default)]
pub struct Sessions {
    standby: Option<Standby>,
    /// Since when nobody holds the floor.
    lost_at: Option<CallTime>,
    /// When the provider ends the session that holds it.
    expires: Option<CallTime>,
    /// The model to try next.
    next: usize,
    /// Sessions tried since the last answer.
    tries: u32,
    opened: u32,
    /// Models that will not serve us.
    refused: Vec<usize>,
    /// The answer that was lost had begun to speak.
    mid_sentence: bool,
    /// An answer is owed that waits for the session on standby.
    waits: bool,
}

impl Sessions {
    /// Nobody holds the floor, and another session is on its way.
    pub fn is_lost(&self) -> bool {
        self.lost_at.is_some()
    }

    /// Somebody waits for a session that is not there yet.
    pub fn is_waited_for(&self) -> bool {
        self.is_lost() || (self.waits && self.standby.is_some())
    }

    /// A session works: what went wrong before it counts no more.
    pub fn answered(&mut self) {
        self.tries = 0;
    }
}

impl Call {
    /// The session on the floor has begun: when will its provider end it?
    pub(super) fn session_created(&mut self, expires_at_s: Option<u64>, out: &mut Vec<Output>) {
        self.sessions.expires = self.expiry(expires_at_s);
        out.push(Output::Realtime(ToModel::Configure));
    }

    fn expiry(&self, expires_at_s: Option<u64>) -> Option<CallTime> {
        let left_s = expires_at_s?.checked_sub(self.began_unix_s)?;
        Some(CallTime::from_millis(left_s.saturating_mul(1_000)))
    }

    /// Sets the alarm for the renewal of the session on the floor, if it will not outlive the call.
    pub(super) fn expect_renewal(&mut self) {
        let ahead_ms = self.rules.margins.renew_ahead_ms;
        let by_provider = self.sessions.expires.map(|at| {
            // A session that lives for minutes only is replaced half-way.
            let left_ms = at.since(self.now);
            CallTime::from_millis(at.millis() - ahead_ms.min(left_ms / 2))
        });
        let by_provider = by_provider.filter(|_| {
            let at = self.sessions.expires.map_or(u64::MAX, CallTime::millis);
            at <= self.end_ms
        });
        let by_age = self.rules.renewal.after_ms.map(|ms| self.now.plus(ms));
        match by_provider.into_iter().chain(by_age).min() {
            Some(at) => self.timers.set(Timer::Renew, at.max(self.now.plus(1))),
            None => self.timers.clear(Timer::Renew),
        }
    }

    /// The session on the floor is old: another one of the same model is made ready while it still talks.
    pub(super) fn renew(&mut self, out: &mut Vec<Output>) {
        let again = self.now.plus(RENEW_AGAIN_MS);
        if self.phase != Phase::Talking || self.sessions.standby.is_some() || !self.ready {
            return self.timers.set(Timer::Renew, again);
        }
        if self.sessions.opened >= MOST_SESSIONS || !self.can_afford(self.model) {
            return;
        }
        self.open_standby(self.model, Why::Age, out);
    }

    /// The model's side is gone.
    pub(super) fn lose_model(&mut self, loss: Loss, out: &mut Vec<Output>) {
        if self.lost_early || self.sessions.is_lost() {
            return;
        }
        let refused = matches!(loss, Loss::Refused(_));
        self.record(What::ModelLost(loss), out);
        self.ready = false;
        if self.is_handed() {
            // The carrier has been asked to take the caller over: nobody needs a model any more.
            out.push(Output::Realtime(ToModel::Close));
            return self.charge_unreported(out);
        }
        for timer in [Timer::ModelReady, Timer::Answer, Timer::Retry, Timer::Renew] {
            self.timers.clear(timer);
        }
        match self.phase {
            Phase::WrappingUp(_) if self.goodbye_complete || self.leaving.is_some() => {}
            Phase::WrappingUp(_) => self.carrier_says_goodbye(out),
            Phase::Connecting | Phase::Talking => self.fail_over(refused, out),
            Phase::Away(_) | Phase::Over(_) => {}
        }
    }

    /// Another session is to take the floor, as soon as there is one.
    fn fail_over(&mut self, refused: bool, out: &mut Vec<Output>) {
        if refused {
            self.sessions.refused.push(self.model);
        }
        self.sessions.lost_at = Some(self.now);
        self.close_session(out);
        out.push(Output::Realtime(ToModel::Close));
        let margins = self.rules.margins;
        let patience_ms = match self.phase {
            Phase::Talking => margins.floor_empty_ms,
            _ => margins.floor_empty_ms / 2,
        };
        for (timer, ms) in [
            (Timer::GiveUp, patience_ms),
            (Timer::Moment, margins.moment_ms),
        ] {
            self.timers.set(timer, self.now.plus(ms));
        }
        match &self.sessions.standby {
            Some(standby) if standby.ready => self.take_over(out),
            Some(_) => {}
            None => self.try_another(out),
        }
    }

    /// What the session was asked for and did not report is charged at its bound: nobody will tell.
    fn close_session(&mut self, out: &mut Vec<Output>) {
        self.charge_unreported(out);
        let (wanted, spoke) = self.turns.session_lost();
        self.sessions.mid_sentence = wanted && spoke;
        self.turns.owed |= wanted;
        self.playback.complete_all();
    }

    fn try_another(&mut self, out: &mut Vec<Output>) {
        let tries = self.sessions.tries;
        self.sessions.tries += 1;
        let exhausted = tries >= MOST_TRIES || self.sessions.opened >= MOST_SESSIONS;
        let Some(model) = self.next_model(tries).filter(|_| !exhausted) else {
            return self.give_up(out);
        };
        if !self.can_afford(model) {
            return self.wrap_up(self.money_cause(), out);
        }
        self.sessions.next = model;
        if tries == 0 {
            self.open_standby(model, Why::Lost, out);
        } else {
            let pause_ms = BACKOFF_MS << (tries - 1);
            self.timers.set(Timer::Reopen, self.now.plus(pause_ms));
        }
    }

    /// The pause is over.
    pub(super) fn reopen(&mut self, out: &mut Vec<Output>) {
        if self.sessions.is_lost() && self.sessions.standby.is_none() {
            self.open_standby(self.sessions.next, Why::Lost, out);
        }
    }

    /// First the same model, then the agent's next ones; never one that has refused us.
    fn next_model(&self, tries: u32) -> Option<usize> {
        let all = self.models.len();
        let order = (0..all).map(|step| (self.model + step) % all);
        let left: Vec<usize> = order
            .filter(|model| !self.sessions.refused.contains(model))
            .collect();
        (!left.is_empty()).then(|| left[tries as usize % left.len()])
    }

    /// Nobody has taken the floor for longer than a caller can be asked to wait.
    pub(super) fn floor_stays_empty(&mut self, out: &mut Vec<Output>) {
        if self.sessions.is_lost() {
            self.drop_standby(out);
            self.give_up(out);
        }
    }

    /// No model serves this call.
    fn give_up(&mut self, out: &mut Vec<Output>) {
        if self.answered.is_some() && self.playback.is_audible(self.now) {
            // What is being heard is heard to its end.
            let at = self.playback.dry_at().max(self.now.plus(1));
            return self.timers.set(Timer::GiveUp, at);
        }
        if self.answered.is_some() {
            return self.say_trouble(out);
        }
        self.lost_early = true;
        self.timers.clear(Timer::ModelReady);
        self.timers.clear(Timer::GiveUp);
    }

    fn open_standby(&mut self, model: usize, why: Why, out: &mut Vec<Output>) {
        self.sessions.opened += 1;
        self.sessions.standby = Some(Standby {
            model,
            why,
            ready: false,
            expires: None,
            told: Vec::new(),
        });
        let margins = self.models[model].margins;
        let patience_ms = match why {
            Why::Lost => margins.standby_ready_ms,
            Why::Age | Why::Cheaper => margins.model_ready_ms,
        };
        self.timers
            .set(Timer::StandbyReady, self.now.plus(patience_ms));
        out.push(Output::Standby(ToModel::Open { model }));
    }

    /// Something at the side of the session on standby.
    pub(super) fn standby_said(&mut self, event: Event, out: &mut Vec<Output>) {
        let expires = match &event {
            Event::Created { expires_at_s } => self.expiry(*expires_at_s),
            _ => None,
        };
        let Some(standby) = &mut self.sessions.standby else {
            return;
        };
        match event {
            Event::Created { .. } if !standby.ready => {
                standby.expires = expires;
                out.push(Output::Standby(ToModel::Configure));
            }
            Event::Configured(Ok(())) => self.standby_ready(out),
            Event::Configured(Err(key)) => {
                let loss = Loss::Refused(Code::new(&format!("settings.{key}")));
                self.standby_lost(loss, out);
            }
            Event::Lost(loss) => self.standby_lost(loss, out),
            Event::Complained(complaint) => match complaint.gravity {
                Gravity::Benign => {}
                Gravity::Ignored if standby.ready => {
                    self.record(What::Complained(complaint.code), out);
                }
                Gravity::Retry => self.standby_lost(Loss::Dropped, out),
                Gravity::Ignored | Gravity::Fatal => {
                    self.standby_lost(Loss::Refused(complaint.code), out);
                }
            },
            // Nobody asked it for anything.
            Event::ResponseDone {
                response, usage, ..
            } => self.stray_done(&response, usage.as_ref(), out),
            Event::ResponseStarted { response, .. } => {
                self.stray_done(&response, None, out);
                self.standby_lost(Loss::Garbled, out);
            }
            _ => {}
        }
    }

    fn standby_ready(&mut self, out: &mut Vec<Output>) {
        let lost = self.sessions.is_lost();
        let Some(standby) = &mut self.sessions.standby else {
            return;
        };
        if std::mem::replace(&mut standby.ready, true) {
            return;
        }
        self.timers.clear(Timer::StandbyReady);
        if lost {
            return self.take_over(out);
        }
        // What is being heard now is told when it has been heard.
        let most = self.models[standby.model].renewal.max_tokens;
        let playback = &self.playback;
        let playing = |item: &Id| playback.number(item).is_some();
        for item in self.words.replay(most, false, playing) {
            standby.told.push(words::weight(&item));
            out.push(Output::Standby(ToModel::Add(item)));
        }
    }

    /// The session on standby is gone, or never came.
    pub(super) fn standby_lost(&mut self, loss: Loss, out: &mut Vec<Output>) {
        let Some(standby) = self.sessions.standby.take() else {
            return;
        };
        let refused = matches!(loss, Loss::Refused(_));
        self.record(What::ModelLost(loss), out);
        self.forget_standby(out);
        // A model that holds the floor works, whatever another session of it says.
        if (refused && standby.why != Why::Age) || standby.why == Why::Cheaper {
            self.sessions.refused.push(standby.model);
        }
        if self.sessions.is_lost() {
            self.try_another(out);
        } else if standby.why == Why::Age {
            let again = self.now.plus(RENEW_AGAIN_MS);
            self.timers.set(Timer::Renew, again);
        }
    }

    /// The session on standby is of no more use.
    pub(super) fn drop_standby(&mut self, out: &mut Vec<Output>) {
        for timer in [Timer::Renew, Timer::Reopen, Timer::Moment, Timer::GiveUp] {
            self.timers.clear(timer);
        }
        if self.sessions.standby.take().is_some() {
            self.forget_standby(out);
        }
    }

    fn forget_standby(&mut self, out: &mut Vec<Output>) {
        self.timers.clear(Timer::StandbyReady);
        self.words.forget_replay();
        out.push(Output::Standby(ToModel::Close));
    }

    /// Exchanges the sessions at a turn's edge: nobody speaks, nothing is owed, and everything said is known in words.
    pub(super) fn change_over(&mut self, out: &mut Vec<Output>) {
        let Some(standby) = &self.sessions.standby else {
            return;
        };
        if !standby.ready || standby.why != Why::Age || self.phase != Phase::Talking {
            return;
        }
        let expires = self.sessions.expires;
        let urgent = expires.is_some_and(|at| at.since(self.now) < URGENT_MS);
        let free = self.turns.is_free() && !self.turns.is_answering() && !self.tools.is_busy();
        let told = self.rules.transcription.is_none() || self.words.last_turn_is_known();
        let edge = told && !self.turns.owed && !self.playback.is_playing();
        if free && (edge || urgent) && self.leaving.is_none() {
            self.take_over(out);
        }
    }

    /// From here on the session that was on standby holds the floor.
    fn take_over(&mut self, out: &mut Vec<Output>) {
        let Some(standby) = self.sessions.standby.take() else {
            return;
        };
        let lost_at = self.sessions.lost_at.take();
        if lost_at.is_none() {
            self.close_session(out);
        }
        let again_ms = self.heard_again_ms(lost_at.is_some() || self.turns.owed);
        self.timers.clear(Timer::StandbyReady);
        self.timers.clear(Timer::Moment);
        self.timers.clear(Timer::GiveUp);
        self.sessions.waits = false;
        self.model = standby.model;
        self.rules = self.models[standby.model].clone();
        self.meter.begin_session(&self.rules);
        out.push(Output::TakeOver);
        self.ready = true;
        self.session += 1;
        let mut replayed = 0;
        for bytes in standby.told {
            self.meter.added_text(bytes);
            replayed += bytes;
        }
        for item in self
            .words
            .replay(self.rules.renewal.max_tokens, true, |_| false)
        {
            let bytes = words::weight(&item);
            self.meter.added_text(bytes);
            replayed += bytes;
            out.push(Output::Realtime(ToModel::Add(item)));
        }
        self.words.session_changed();
        self.turns.caller_speaks = false;
        self.doubted = false;
        self.sessions.expires = standby.expires;
        let renewed = What::Renewed {
            why: standby.why,
            model: self.rules.model_name.clone(),
            replayed_bytes: replayed as u64,
            gap_ms: lost_at.map_or(0, |at| self.now.since(at)),
        };
        self.record(renewed, out);
        self.expect_renewal();
        if self.phase == Phase::Connecting {
            self.record(What::Ready, out);
            return self.begin_talking(out);
        }
        self.tell_notes(out);
        if std::mem::take(&mut self.sessions.mid_sentence) {
            self.tell(GO_ON.to_string(), out);
        }
        self.hold_if_heard(out);
        // While nobody is at the other end, nothing that came before is anybody's turn.
        if self.holding.is_none() {
            self.waiting_ms = (self.waiting_ms + again_ms).min(self.rules.margins.ear_ms);
        }
        self.listen(out);
    }

    /// How much of the caller's sound that was sent already another session must hear again: a turn that was begun, or is not known in
    /// words; and always a little, for a syllable may just have begun.
    fn heard_again_ms(&mut self, lost: bool) -> u64 {
        let sent_ms = self.heard_ms.saturating_sub(self.waiting_ms);
        let unknown = self.words.last_turn_is_lost() && !self.turn_answered;
        if lost && (self.turn_begun || unknown) {
            if unknown {
                // It will be heard again as a turn, and answered then.
                self.turns.owed = false;
            }
            let since = sent_ms.saturating_sub(self.turn_from_ms);
            return since.min(self.rules.margins.again_ms);
        }
        let since = sent_ms.saturating_sub(self.committed_ms);
        self.rules.margins.pre_roll_ms.min(since)
    }

    /// How much of the caller's sound that was sent already another session may have to hear again, whatever happens next: an open or
    /// unanswered turn from its beginning, and a little before whatever comes.
    pub fn kept_ms(&self) -> u64 {
        let margins = self.rules.margins;
        if !self.turn_begun && self.turn_answered {
            return margins.pre_roll_ms;
        }
        let sent_ms = self.heard_ms.saturating_sub(self.waiting_ms);
        let since = sent_ms.saturating_sub(self.turn_from_ms);
        since.clamp(margins.pre_roll_ms, margins.again_ms)
    }

    /// The model heard more of an item than the caller did, and it cannot be shortened: it stands there in words.
    pub(super) fn tell_cut(&mut self, out: &mut Vec<Output>) {
        let note = "The caller cut in: they did not hear the end of what you said last.";
        self.tell(note.to_string(), out);
    }

    /// What was asked for and will never be reported, charged at the most it could have cost.
    pub(super) fn charge_unreported(&mut self, out: &mut Vec<Output>) {
        let (model, transcription) = self.meter.close();
        if !model.plus(transcription).is_zero() {
            let unreported = What::Unreported {
                model,
                transcription,
            };
            self.record(unreported, out);
        }
    }
}

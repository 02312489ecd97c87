//! From a seat to a call: written down, its task started, its carrier told where the sound goes.
//!
//! A call that comes in is written down here, before its webhook is answered, for the carrier bills from the answer on. One that we
//! placed was written down before it was dialled, and is billed already.

use super::Doors;
use super::parked::Parked;
use super::voice::refuse;
use crate::admission::{Admitted, Model, Refused, Slot, new_token, unix_s};
use crate::bridge::clock::Clock;
use crate::bridge::line::{self, Line};
use crate::bridge::switchboard::Seat;
use crate::bridge::{World, carry};
use crate::call::record::Refusal;
use crate::carrier::{self, Document, Offer};
use crate::ledger::{Opened, Recorder};
use crate::observe::Labels;
use crate::tools::Caller;
use crate::units::Usd;
use futures_util::FutureExt;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use tokio::runtime::Handle;
use tokio::sync::watch;
use tracing::Instrument;

/// How long before its webhook a call that we placed may have been answered, in milliseconds. The carrier bills from the answer and
/// asks us a moment later; a clock that is ahead ends a call early, one that is behind pays for a minute more than it knows of.
const ANSWERED_BEFORE_MS: u64 = 2_000;

/// A call that has a seat, and no task yet.
pub(super) struct Seated {
    admitted: Admitted,
    first: line::Model,
    labels: Arc<Labels>,
    seat: Seat,
    worker: Handle,
    document: Document,
    answer: watch::Sender<Option<Document>>,
    /// Where its lines are written, if its first line is: then we placed it.
    recorder: Option<Recorder>,
}

impl Seated {
    /// Lists a call that comes in, so that the same call offered again finds it. `None`: there is nobody who speaks its model's dialect,
    /// which the configuration does not allow.
    pub(super) fn inbound(doors: &Doors, offer: &Offer, admitted: Admitted) -> Option<Seated> {
        let first = of_model(&admitted.model)?;
        Some(Seated::new(doors, offer, admitted, first, None))
    }

    /// Lists a call that we placed and that somebody has answered.
    pub(super) fn placed(doors: &Doors, offer: &Offer, parked: Parked) -> Option<Seated> {
        let first = of_model(&parked.admitted.model)?;
        let mut admitted = parked.admitted;
        // Its time begins with the answer, and not with the dialling.
        admitted.ticket.began_unix_s = unix_s().saturating_sub(ANSWERED_BEFORE_MS / 1_000);
        let recorder = Some(parked.recorder);
        let seated = Seated::new(doors, offer, admitted, first, recorder);
        let listed = doors.switchboard.find(&offer.carrier_call);
        if let Some((listed, answerer)) = listed.zip(parked.answerer) {
            listed.tell(carrier::Event::AnsweredBy(answerer));
        }
        Some(seated)
    }

    fn new(
        doors: &Doors,
        offer: &Offer,
        admitted: Admitted,
        first: line::Model,
        recorder: Option<Recorder>,
    ) -> Seated {
        let labels = Arc::new(Labels {
            call: admitted.ticket.call.clone(),
            carrier_call: offer.carrier_call.clone(),
            agent: admitted.agent.name.clone(),
            cap: admitted.ticket.rules.spend.end,
        });
        tell_offer(offer, &labels, &admitted);
        let token = new_token();
        let document = doors.carrier.connect(&token);
        let (answer, answered) = watch::channel(None);
        let worker = doors.workers.next();
        let switchboard = &doors.switchboard;
        let seat = switchboard.seat(labels.clone(), token, answered, &worker);
        Seated {
            admitted,
            first,
            labels,
            seat,
            worker,
            document,
            answer,
            recorder,
        }
    }
}

/// Writes the call and its grant down, unless that is done, starts its task, and tells the carrier where its sound goes.
pub(super) async fn begin(doors: Arc<Doors>, offer: Offer, seated: Seated) -> Document {
    let Seated {
        admitted,
        first,
        labels,
        seat,
        worker,
        document,
        answer,
        recorder,
    } = seated;
    let is_billed = recorder.is_some();
    let recorder = match recorder {
        Some(recorder) => Ok(recorder),
        None => doors.ledger.begin(&opened(&doors, &offer, &admitted)).await,
    };
    let Ok(recorder) = recorder else {
        let refusal = unseat(&doors, &offer, admitted);
        answer.send_replace(Some(refusal.clone()));
        return refusal;
    };
    let carrier = doors.carrier.clone();
    let caller = Caller {
        call: labels.call.clone(),
        carrier_call: labels.carrier_call.clone(),
        agent: labels.agent.clone(),
        number: offer.other_end().clone(),
    };
    let agent = &admitted.agent;
    let others = agent.models[1..].iter().filter_map(of_model).collect();
    let call = offer.carrier_call.clone();
    let scribe = doors.ledger.scribe(&labels.call, agent.keeps);
    let (ticket, moment) = (admitted.ticket, agent.moment.clone());
    let line = Line::new(ticket, carrier.clone(), call, first, others, moment);
    let line = Box::new(line);
    let world = World {
        observer: doors.observer.clone(),
        labels: labels.clone(),
        carrier,
        requests: doors.requests.clone(),
        grant: admitted.grant,
        recorder,
        scribe,
        toolbox: doors.toolbox.clone(),
        caller,
    };
    // Whatever is logged on the way, by whichever room, names the call.
    let span = tracing::info_span!(
        "call",
        call = labels.call.as_str(),
        carrier_call = labels.carrier_call.as_str()
    );
    let clock = match is_billed {
        true => Clock::started_before(ANSWERED_BEFORE_MS),
        false => Clock::start(),
    };
    let carried = carry(line, clock, seat, world).boxed().instrument(span);
    worker.spawn(see_through(doors, labels, admitted.slot, carried));
    answer.send_replace(Some(document.clone()));
    document
}

/// Carries a call to its end, and frees its line.
async fn see_through(
    doors: Arc<Doors>,
    labels: Arc<Labels>,
    slot: Slot,
    carried: impl Future<Output = ()>,
) {
    // One call's bug must not leave its entry, and so its callers, behind.
    if AssertUnwindSafe(carried).catch_unwind().await.is_err() {
        tracing::error!(
            event = "call.panicked",
            call = labels.call.as_str(),
            carrier_call = labels.carrier_call.as_str()
        );
        // If this fails as well, it is an open call, and is closed at the next start.
        let _ = doors.ledger.give_up(&labels.call).await;
    }
    drop(slot);
    doors.switchboard.forget(&labels.carrier_call).await;
}

/// A model, as a line needs it. The configuration takes only dialects that exist.
fn of_model(model: &Model) -> Option<line::Model> {
    line::Model::of(&model.session, model.dialect)
}

fn opened(doors: &Doors, offer: &Offer, admitted: &Admitted) -> Opened {
    Opened {
        call: admitted.ticket.call.clone(),
        carrier: doors.name,
        carrier_call: offer.carrier_call.clone(),
        agent: admitted.agent.name.clone(),
        model: admitted.model.name.clone(),
        model_id: admitted.model.session.model.clone(),
        from: offer.from.clone(),
        to: offer.to.clone(),
        account: admitted.account.clone(),
        rules: admitted.ticket.rules.clone(),
        others: admitted.ticket.others.clone(),
        granted: admitted.grant.amount(),
    }
}

/// A call that could not be written down is refused after all, and has cost nothing.
fn unseat(doors: &Doors, offer: &Offer, admitted: Admitted) -> Document {
    let refused = Refused {
        agent: Some(admitted.agent.name.clone()),
        refusal: Refusal::Unrecorded,
        redirect: admitted.agent.redirect.clone(),
    };
    admitted.grant.settle(Usd::ZERO);
    let _alone = doors.switchboard.one_at_a_time();
    let refusal = refuse(doors, offer, &refused, &admitted.ticket.call);
    doors.switchboard.unseat(&offer.carrier_call);
    doors
        .switchboard
        .refuse(offer.carrier_call.clone(), refusal.clone());
    refusal
}

fn tell_offer(offer: &Offer, labels: &Labels, admitted: &Admitted) {
    tracing::info!(
        event = "call.offered",
        call = labels.call.as_str(),
        carrier_call = labels.carrier_call.as_str(),
        agent = &*labels.agent,
        model = &*admitted.model.name,
        from = %offer.from,
        to = %offer.to,
        attestation = ?offer.attestation,
        spent_usd = %Usd::ZERO,
        cap_usd = %labels.cap,
        left_usd = %labels.cap,
        granted_usd = %admitted.grant.amount(),
    );
}

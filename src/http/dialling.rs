//! Placing a call: admitted, written down, dialled, and waited for.
//!
//! The order is what keeps a dollar from being spent that nobody knows of: first the budgets, then the ledger, and only then the
//! carrier. A request that dials is sent once; when nobody knows whether it was obeyed, the call stays expected until the carrier
//! speaks of it or our patience ends, and then it is charged a minute, because somebody may have answered.

use super::Doors;
use super::parked::{Parked, Parking};
use crate::admission::{Placeable, Undialled, Wish};
use crate::carrier::{Command, Dial, Status};
use crate::ledger::Opened;
use crate::units::{CallId, Id, Phone, Usd};
use std::sync::Arc;
use std::time::Duration;

/// How long a call may ring, in seconds: six times, about.
const RING_S: u64 = 30;

/// How long after that the carrier may take to say that nobody answered.
const PATIENCE: Duration = Duration::from_secs(RING_S + 30);

/// How long the carrier may take to tell what became of a call that nobody spoke of.
const RECORD_PATIENCE: Duration = Duration::from_secs(10);

/// A call that was placed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dialled {
    /// Our name for it.
    pub call: CallId,
    /// The carrier's.
    pub carrier_call: Id,
}

/// Why a call was not placed, or may not have been.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Failed {
    /// We would not.
    Undialled(Undialled),
    /// The ledger cannot be written, and nothing is spent that is not written down first.
    Unrecorded,
    /// The carrier would not; what it said.
    Refused(String),
    /// Nobody knows. Should it ring, it is taken like any other.
    Unknown(CallId),
}

/// Places a call. When this returns, the ledger knows of it.
///
/// # Errors
/// [`Failed`]: but for [`Failed::Unknown`] nobody was dialled and nothing is spent.
pub async fn place(doors: &Arc<Doors>, wish: &Wish) -> Result<Dialled, Failed> {
    let placeable = doors.admission.dial(wish).map_err(|undialled| {
        tell_undialled(wish, undialled.word());
        Failed::Undialled(undialled)
    })?;
    let Placeable {
        admitted,
        from,
        detects,
    } = placeable;
    let call = admitted.ticket.call.clone();
    let rules = admitted.ticket.rules.clone();
    let dial = Dial {
        call: call.clone(),
        to: wish.to.clone(),
        from: from.clone(),
        ring_s: RING_S,
        limit_s: rules.carrier_limit_s(),
        detect: detects,
    };
    let opened = Opened {
        call: call.clone(),
        carrier: doors.name,
        // Not known before the carrier has been asked, and nobody is asked before this is on disk.
        carrier_call: Id::from(""),
        agent: admitted.agent.name.clone(),
        model: admitted.model.name.clone(),
        model_id: admitted.model.session.model.clone(),
        from,
        to: wish.to.clone(),
        account: admitted.account.clone(),
        rules,
        others: admitted.ticket.others.clone(),
        granted: admitted.grant.amount(),
    };
    let Ok(recorder) = doors.ledger.begin(&opened).await else {
        tell_undialled(wish, "unrecorded");
        admitted.grant.settle(Usd::ZERO);
        return Err(Failed::Unrecorded);
    };
    tell_dialled(&opened);
    // Parked first: a webhook may be faster than the answer to the request.
    doors.parking.park(Parked {
        admitted,
        recorder,
        answerer: None,
        carrier_call: None,
    });
    if doors.parking.is_closing() {
        release(&doors.parking, &call, "draining");
        return Err(Failed::Undialled(Undialled::Draining));
    }
    tokio::spawn(wait(doors.clone(), call.clone()));
    request(doors, &dial).await
}

/// Asks the carrier.
async fn request(doors: &Arc<Doors>, dial: &Dial) -> Result<Dialled, Failed> {
    let call = &dial.call;
    let request = doors.carrier.dial(dial);
    match doors.requests.ask(request, &*doors.carrier).await {
        Ok(body) => match doors.carrier.dialled(&body) {
            Ok(carrier_call) => {
                doors.parking.name(call, &carrier_call);
                Ok(Dialled {
                    call: call.clone(),
                    carrier_call,
                })
            }
            Err(garbled) => {
                let call_name = call.as_str();
                tracing::warn!(
                    event = "carrier.garbled",
                    call = call_name,
                    what = garbled.0
                );
                Err(Failed::Unknown(call.clone()))
            }
        },
        Err(unanswered) if unanswered.had_no_effect => {
            release(&doors.parking, call, "carrier-refused");
            let said = doors.carrier.complaint(&unanswered.body);
            Err(Failed::Refused(
                said.unwrap_or_else(|| unanswered.to_string()),
            ))
        }
        Err(_) => Err(Failed::Unknown(call.clone())),
    }
}

/// What a status callback means for a call that is not yet answered. `false`: the call is not parked here.
pub async fn told(doors: &Doors, call: &CallId, status: &Status) -> bool {
    if let Some(answerer) = status.answered_by
        && doors.parking.note(call, answerer)
        && !status.is_over
    {
        return true;
    }
    if !status.is_over {
        doors.parking.name(call, &status.carrier_call);
        return false;
    }
    let Some(parked) = doors.parking.collect(call, &status.carrier_call) else {
        return false;
    };
    match was_answered(&status.state) {
        true => unheard(doors, parked, status.duration_s).await,
        false => unanswered(parked, &status.state),
    }
    true
}

/// Only a call that was answered is ever completed.
fn was_answered(state: &str) -> bool {
    state == "completed"
}

/// Waits for the call to be taken out by somebody else, and does it itself when patience ends or the server stops.
async fn wait(doors: Arc<Doors>, call: CallId) {
    tokio::select! {
        () = tokio::time::sleep(PATIENCE) => {}
        () = doors.parking.closing() => {}
    }
    let Some(parked) = doors.parking.take(&call) else {
        return;
    };
    let Some(carrier_call) = parked.carrier_call.clone() else {
        return unheard(&doors, parked, None).await;
    };
    let record = tokio::time::timeout(RECORD_PATIENCE, end(&doors, &carrier_call));
    match record.await.ok().flatten() {
        Some((state, _)) if !was_answered(&state) => unanswered(parked, &state),
        Some((_, duration_s)) => unheard(&doors, parked, duration_s).await,
        None => unheard(&doors, parked, None).await,
    }
}

/// Has the carrier end a call, and tells what became of it and how many seconds it lasted, if the carrier says.
async fn end(doors: &Doors, carrier_call: &Id) -> Option<(String, Option<u64>)> {
    let complete = Command::Complete { after_ms: 0 };
    if let Some(request) = doors.carrier.rest(carrier_call, &complete) {
        doors.requests.perform(request, &*doors.carrier).await;
    }
    let record = doors.carrier.ask_record(carrier_call);
    let body = doors.requests.ask(record, &*doors.carrier).await.ok()?;
    let record = doors.carrier.record(carrier_call, &body).ok()?;
    record.is_over.then_some((record.state, record.duration_s))
}

/// Gives everything back that was reserved for a call that was not dialled after all.
fn release(parking: &Parking, call: &CallId, cause: &str) {
    if let Some(parked) = parking.take(call) {
        unanswered(parked, cause);
    }
}

/// Nobody answered, which is free.
fn unanswered(parked: Parked, cause: &str) {
    let admitted = parked.admitted;
    tracing::info!(
        event = "call.unanswered",
        call = admitted.ticket.call.as_str(),
        carrier_call = parked.carrier_call.as_ref().map_or("", Id::as_str),
        agent = &*admitted.agent.name,
        spent_usd = %Usd::ZERO,
        cap_usd = %admitted.ticket.rules.spend.end,
        left_usd = %admitted.ticket.rules.spend.end,
        cause,
    );
    parked.recorder.unanswered(cause);
    admitted.grant.settle(Usd::ZERO);
}

/// Somebody answered, or may have, and the carrier never asked us what to do: charged for the minutes it says, or for one.
async fn unheard(doors: &Doors, parked: Parked, duration_s: Option<u64>) {
    let Parked {
        admitted, recorder, ..
    } = parked;
    // The last one who writes; what follows is added to a call that nobody carries.
    drop(recorder);
    match doors
        .ledger
        .close_placed(&admitted.ticket.call, duration_s)
        .await
    {
        Ok(lost) => admitted.grant.settle(lost.spent()),
        // It is an open call, and is closed at the next start. A grant that is never settled counts as used.
        Err(_) => drop(admitted.grant),
    }
}

fn tell_undialled(wish: &Wish, cause: &'static str) {
    tracing::info!(event = "call.undialled", agent = wish.agent, to = %wish.to, cause);
    metrics::counter!("ringfence_calls_undialled_total", "cause" => cause).increment(1);
}

fn tell_dialled(opened: &Opened) {
    let cap = opened.rules.spend.end;
    let (from, to): (&Phone, &Phone) = (&opened.from, &opened.to);
    tracing::info!(
        event = "call.dialled",
        call = opened.call.as_str(),
        agent = &*opened.agent,
        model = &*opened.model,
        %from,
        %to,
        spent_usd = %Usd::ZERO,
        cap_usd = %cap,
        left_usd = %cap,
        granted_usd = %opened.granted,
        minute_usd = %opened.rules.minute,
    );
}

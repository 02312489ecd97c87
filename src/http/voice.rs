//! The carrier's webhooks: a call is offered, a stream has ended, a call is over.

use super::seated::{Seated, begin};
use super::{Doors, as_arrived, dialling, why_forged};
use crate::admission::{Refused, new_call_id};
use crate::call::record::Refusal;
use crate::carrier::{self, Document, Ended, Offer, Status, Unwelcome};
use crate::ledger::Turned;
use crate::observe::Labels;
use crate::units::{CallId, Usd};
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, Method, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use std::sync::Arc;
use tokio::sync::watch;

/// What is said to a caller whose call's own process is no longer there to say it.
const INTERRUPTED: &str = "We are sorry, the call was interrupted. Goodbye.";

/// `POST /{carrier}/voice`: somebody calls. Answered with what to do, at once and always the same for one call.
pub async fn offered(
    State(doors): State<Arc<Doors>>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let (read, placed) = as_arrived(&method, &uri, &headers, &body, |request| {
        (doors.carrier.offer(request), doors.carrier.placed(request))
    });
    let offer = match read {
        Ok(offer) => offer,
        Err(unwelcome) => return turn_away("voice", &unwelcome),
    };
    match decide(&doors, &offer, placed.as_ref()) {
        Decided::Answer(answer) => document(answer),
        Decided::Await(mut answer) => {
            let answered = answer.wait_for(Option::is_some).await;
            let answered = answered.ok().and_then(|answer| answer.clone());
            document(answered.unwrap_or_else(|| doors.carrier.reject()))
        }
        Decided::Begin(seated) => {
            // A task of its own: a carrier that does not wait for the answer must not leave half a call behind.
            let beginning = tokio::spawn(begin(doors.clone(), offer, *seated));
            document(beginning.await.unwrap_or_else(|_| doors.carrier.reject()))
        }
    }
}

/// What becomes of an offered call.
enum Decided {
    /// This is the answer.
    Answer(Document),
    /// The answer is what the same call is being answered already.
    Await(watch::Receiver<Option<Document>>),
    /// It has a seat, and begins when that is written down.
    Begin(Box<Seated>),
}

fn decide(doors: &Doors, offer: &Offer, placed: Option<&CallId>) -> Decided {
    let _alone = doors.switchboard.one_at_a_time();
    if let Some(listed) = doors.switchboard.find(&offer.carrier_call) {
        let Labels {
            call,
            carrier_call,
            agent,
            cap,
        } = &*listed.labels;
        tracing::info!(
            event = "call.offered_again",
            call = call.as_str(),
            carrier_call = carrier_call.as_str(),
            agent = &**agent,
            spent_usd = %Usd::ZERO,
            cap_usd = %cap,
            left_usd = %cap,
        );
        return Decided::Await(listed.answer);
    }
    if let Some(refusal) = doors.switchboard.find_refused(&offer.carrier_call) {
        return Decided::Answer(refusal);
    }
    let placed = placed.filter(|_| !offer.inbound);
    let placed = placed.and_then(|call| doors.parking.collect(call, &offer.carrier_call));
    if let Some(parked) = placed {
        return seated(doors, Seated::placed(doors, offer, parked));
    }
    match doors.admission.admit(offer) {
        Ok(admitted) => seated(doors, Seated::inbound(doors, offer, admitted)),
        Err(refused) => {
            let refusal = refuse(doors, offer, &refused, &new_call_id());
            let carrier_call = offer.carrier_call.clone();
            doors.switchboard.refuse(carrier_call, refusal.clone());
            Decided::Answer(refusal)
        }
    }
}

/// Begins a call that has a seat.
fn seated(doors: &Doors, seated: Option<Seated>) -> Decided {
    match seated {
        Some(seated) => Decided::Begin(Box::new(seated)),
        None => Decided::Answer(doors.carrier.reject()),
    }
}

pub(super) fn refuse(doors: &Doors, offer: &Offer, refused: &Refused, call: &CallId) -> Document {
    let help = match refused.refusal {
        Refusal::UnknownNumber => "no [agent.*] lists this number in `numbers`; add it, or \"*\"",
        Refusal::Busy => "limits.calls are on the line",
        Refusal::TooOften => {
            "limits.per_caller_per_hour is reached; callers nobody vouches for share one bucket"
        }
        Refusal::OverBudget => {
            "a budget of today has too little left for a greeting, an answer and a goodbye"
        }
        Refusal::Draining => "the server is shutting down",
        Refusal::Outbound => {
            "this process has not placed this call, or has given it up: nobody has reserved what it would cost"
        }
        Refusal::Unrecorded => {
            "the ledger cannot be written, and no dollar is spent that is not written down first; see ledger.failing"
        }
    };
    tracing::info!(
        event = "call.refused",
        call = call.as_str(),
        agent = refused.agent.as_deref().unwrap_or(""),
        spent_usd = %Usd::ZERO,
        cap_usd = %Usd::ZERO,
        left_usd = %Usd::ZERO,
        carrier_call = offer.carrier_call.as_str(),
        from = %offer.from,
        to = %offer.to,
        cause = refused.refusal.word(),
        help,
    );
    metrics::counter!("ringfence_calls_refused_total", "cause" => refused.refusal.word())
        .increment(1);
    // One that could not be written down has lines of its own already, as far as it has any.
    if refused.refusal != Refusal::Unrecorded {
        doors.ledger.refused(&Turned {
            call: call.clone(),
            carrier: doors.name,
            carrier_call: offer.carrier_call.clone(),
            agent: refused.agent.clone(),
            from: offer.from.clone(),
            to: offer.to.clone(),
            refusal: refused.refusal,
        });
    }
    if refused.refusal == Refusal::Outbound {
        // Answered already, by whoever was called: it can only be ended.
        return doors.carrier.farewell(None);
    }
    match &refused.redirect {
        Some(url) => doors.carrier.redirect(url),
        None => doors.carrier.reject(),
    }
}

/// `POST /{carrier}/ended`: the stream is closed; says the call's last words, if any, and ends it. Any process can answer: one that
/// does not know the call is not the one that carried it, and that one is gone, or it would have ended the call itself.
pub async fn ended(
    State(doors): State<Arc<Doors>>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let read = as_arrived(&method, &uri, &headers, &body, |request| {
        doors.carrier.ended(request)
    });
    let Ended { carrier_call, leg } = match read {
        Ok(ended) => ended,
        Err(unwelcome) => return turn_away("ended", &unwelcome),
    };
    let listed = doors.switchboard.find(&carrier_call);
    if let Some(leg) = &leg {
        let is_told = listed.as_ref().is_some_and(|listed| {
            let seconds = leg.seconds;
            listed.tell(carrier::Event::LegEnded { seconds })
        });
        tracing::info!(
            event = "carrier.leg_ended",
            carrier_call = carrier_call.as_str(),
            state = leg.state,
            duration_s = leg.seconds,
            is_told,
        );
    }
    let sentence = match listed {
        // The two have said goodbye to each other.
        _ if leg.is_some_and(|leg| leg.seconds != Some(0)) => None,
        Some(listed) => listed.last_words.get().cloned().flatten(),
        // A call that was settled has nothing left to pay a sentence with; one that was lost was charged for it.
        None if doors.ledger.has_ended(&carrier_call).await => None,
        None => Some(INTERRUPTED.to_string()),
    };
    document(doors.carrier.farewell(sentence.as_deref()))
}

/// `POST /{carrier}/status`: the carrier's own account of a call that is over.
pub async fn status(
    State(doors): State<Arc<Doors>>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let (read, placed) = as_arrived(&method, &uri, &headers, &body, |request| {
        (doors.carrier.status(request), doors.carrier.placed(request))
    });
    match read {
        Ok(status) => {
            tracing::info!(
                event = "carrier.status",
                carrier_call = status.carrier_call.as_str(),
                state = status.state,
                duration_s = status.duration_s.unwrap_or_default(),
            );
            let is_parked = match &placed {
                Some(call) => dialling::told(&doors, call, &status).await,
                None => false,
            };
            if !is_parked {
                tell(&doors, &status);
            }
            if status.is_over {
                tokio::spawn(doors.true_up.clone().told(status));
            }
            StatusCode::NO_CONTENT.into_response()
        }
        Err(unwelcome) => turn_away("status", &unwelcome),
    }
}

/// What the carrier says of a call at this door is news for the call itself, while there is one.
fn tell(doors: &Doors, status: &Status) {
    let Some(listed) = doors.switchboard.find(&status.carrier_call) else {
        return;
    };
    if let Some(answerer) = status.answered_by {
        listed.tell(carrier::Event::AnsweredBy(answerer));
    }
    if status.is_over {
        let seconds = status.duration_s;
        listed.tell(carrier::Event::Ended { seconds });
    }
}

fn turn_away(door: &'static str, unwelcome: &Unwelcome) -> Response {
    match unwelcome {
        Unwelcome::Forged(forged) => {
            let (what, help) = why_forged(*forged);
            tracing::warn!(event = "request.refused", door, what, help);
            StatusCode::FORBIDDEN.into_response()
        }
        Unwelcome::Garbled(garbled) => {
            tracing::warn!(event = "request.garbled", door, what = garbled.0);
            (StatusCode::BAD_REQUEST, garbled.0).into_response()
        }
    }
}

fn document(document: Document) -> Response {
    (
        [(header::CONTENT_TYPE, document.content_type)],
        document.body,
    )
        .into_response()
}

//! The carrier's webhooks: a call is offered, a stream has ended, a call is over.

use super::{Doors, as_arrived, new_dialect, why_forged};
use crate::admission::{Admitted, Refused, new_call_id, new_token};
use crate::bridge::clock::Clock;
use crate::bridge::line::Line;
use crate::bridge::switchboard::Seat;
use crate::bridge::{World, carry};
use crate::budget::Grant;
use crate::call::record::Refusal;
use crate::carrier::{self, Document, Ended, Offer, Status, Unwelcome};
use crate::ledger::{Opened, Turned};
use crate::observe::Labels;
use crate::realtime::NewDialect;
use crate::units::{CallId, Usd};
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, Method, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use futures_util::FutureExt;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use tokio::sync::watch;
use tracing::Instrument;

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
    let read = as_arrived(&method, &uri, &headers, &body, |request| {
        doors.carrier.offer(request)
    });
    let offer = match read {
        Ok(offer) => offer,
        Err(unwelcome) => return turn_away("voice", &unwelcome),
    };
    match decide(&doors, &offer) {
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

/// A call that has a seat and is not yet written down.
struct Seated {
    admitted: Admitted,
    new_dialect: NewDialect,
    labels: Arc<Labels>,
    seat: Seat,
    document: Document,
    answer: watch::Sender<Option<Document>>,
}

fn decide(doors: &Doors, offer: &Offer) -> Decided {
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
    match doors.admission.admit(offer) {
        Ok(admitted) => seat(doors, offer, admitted),
        Err(refused) => {
            let refusal = refuse(doors, offer, &refused, &new_call_id());
            let carrier_call = offer.carrier_call.clone();
            doors.switchboard.refuse(carrier_call, refusal.clone());
            Decided::Answer(refusal)
        }
    }
}

/// Lists the call, so that the same call offered again finds it.
fn seat(doors: &Doors, offer: &Offer, admitted: Admitted) -> Decided {
    let Some(new_dialect) = new_dialect(admitted.model.dialect) else {
        // The configuration takes only dialects that exist.
        return Decided::Answer(doors.carrier.reject());
    };
    let labels = Arc::new(Labels {
        call: admitted.ticket.call.clone(),
        carrier_call: offer.carrier_call.clone(),
        agent: admitted.agent.name.clone(),
        cap: admitted.ticket.rules.spend.end,
    });
    tell_offer(offer, &labels, &admitted.model.name, &admitted.grant);
    let token = new_token();
    let document = doors.carrier.connect(&token);
    let (answer, answered) = watch::channel(None);
    let seat = doors.switchboard.seat(labels.clone(), token, answered);
    Decided::Begin(Box::new(Seated {
        admitted,
        new_dialect,
        labels,
        seat,
        document,
        answer,
    }))
}

/// Writes the call and its grant down, starts its task, and tells the carrier where its sound goes.
async fn begin(doors: Arc<Doors>, offer: Offer, seated: Seated) -> Document {
    let Seated {
        admitted,
        new_dialect,
        labels,
        seat,
        document,
        answer,
    } = seated;
    let opened = opened(&doors, &offer, &admitted);
    let Ok(recorder) = doors.ledger.begin(&opened).await else {
        let refusal = unseat(&doors, &offer, admitted);
        answer.send_replace(Some(refusal.clone()));
        return refusal;
    };
    let carrier = doors.carrier.clone();
    let line = Line::new(
        admitted.ticket,
        carrier.clone(),
        offer.carrier_call.clone(),
        admitted.model.session,
        new_dialect,
    );
    let world = World {
        observer: doors.observer.clone(),
        labels: labels.clone(),
        carrier,
        requests: doors.requests.clone(),
        grant: admitted.grant,
        recorder,
    };
    // Whatever is logged on the way, by whichever room, names the call.
    let span = tracing::info_span!(
        "call",
        call = labels.call.as_str(),
        carrier_call = labels.carrier_call.as_str()
    );
    let carried = carry(line, Clock::start(), seat, world).instrument(span);
    tokio::spawn(async move {
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
        drop(admitted.slot);
        doors.switchboard.forget(&labels.carrier_call).await;
    });
    answer.send_replace(Some(document.clone()));
    document
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

fn tell_offer(offer: &Offer, labels: &Labels, model: &str, grant: &Grant) {
    tracing::info!(
        event = "call.offered",
        call = labels.call.as_str(),
        carrier_call = labels.carrier_call.as_str(),
        agent = &*labels.agent,
        model,
        from = %offer.from,
        to = %offer.to,
        attestation = ?offer.attestation,
        spent_usd = %Usd::ZERO,
        cap_usd = %labels.cap,
        left_usd = %labels.cap,
        granted_usd = %grant.amount(),
    );
}

fn refuse(doors: &Doors, offer: &Offer, refused: &Refused, call: &CallId) -> Document {
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
        Refusal::Outbound => "calls that go out are not available in this version",
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
        _ if leg.is_some_and(|leg| leg.seconds > 0) => None,
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
    let read = as_arrived(&method, &uri, &headers, &body, |request| {
        doors.carrier.status(request)
    });
    match read {
        Ok(status) => {
            tracing::info!(
                event = "carrier.status",
                carrier_call = status.carrier_call.as_str(),
                state = status.state,
                duration_s = status.duration_s.unwrap_or_default(),
            );
            tell(&doors, &status);
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

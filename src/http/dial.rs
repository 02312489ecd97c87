//! The door through which programs place calls: `POST /api/v1/calls`.
//!
//! One request dials at most once. Whoever is not sure that a request arrived sends it again with the same `Idempotency-Key`, and is
//! told what came of it the first time; a telephone that rings twice is worse than an error.

use super::dialling::{Dialled, Failed, place};
use super::{Doors, is_admin};
use crate::admission::{Undialled, Wish};
use crate::units::{Phone, Secret};
use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use serde::Deserialize;
use serde_json::{Value, json};
use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::Instant;

/// Answers that are remembered for whoever asks again.
const REMEMBERED: usize = 1_024;

/// For how long.
const MEMORY: Duration = Duration::from_secs(24 * 60 * 60);

/// The longest key; a UUID has 36 characters.
const LONGEST_KEY: usize = 200;

/// An answer: its status and its JSON.
type Answer = (StatusCode, Value);

/// What is being done, or was, under one key.
struct Known {
    wish: Wish,
    answer: watch::Receiver<Option<Answer>>,
    until: Instant,
}

/// Answers by their keys, the oldest first.
#[derive(Default)]
struct Memory {
    known: HashMap<String, Known>,
    order: VecDeque<String>,
}

/// What the door needs.
pub struct Dials {
    doors: Arc<Doors>,
    admin_token: Secret,
    memory: Mutex<Memory>,
}

/// What a request says.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Paper {
    to: String,
    agent: String,
    #[serde(default)]
    from: Option<String>,
}

impl Dials {
    /// A door for who has this token, to the calls of this carrier.
    pub fn new(doors: Arc<Doors>, admin_token: Secret) -> Dials {
        Dials {
            doors,
            admin_token,
            memory: Mutex::default(),
        }
    }

    /// The door.
    pub fn router(self) -> Router {
        Router::new()
            .route("/api/v1/calls", post(dial))
            .with_state(Arc::new(self))
    }

    /// Places the call, or finds what became of the same request before.
    async fn answer(&self, wish: Wish, key: Option<String>) -> Answer {
        let (tell, mut answer) = watch::channel(None);
        let recalled = match key {
            Some(key) => self.recall(key, &wish, &answer),
            None => Recalled::New,
        };
        match recalled {
            Recalled::Other => {
                let error = "this Idempotency-Key was used for another call";
                return wrong(StatusCode::CONFLICT, error, "use a new one for each call");
            }
            Recalled::Same(known) => answer = known,
            Recalled::New => {
                let doors = self.doors.clone();
                // A task of its own: whoever does not wait for the answer must not leave half a call behind.
                tokio::spawn(async move {
                    let placed = place(&doors, &wish).await;
                    tell.send_replace(Some(paper(placed)));
                });
            }
        }
        let answered = answer.wait_for(Option::is_some).await;
        let answered = answered.ok().and_then(|answer| answer.clone());
        answered.unwrap_or_else(|| {
            let error = "something went wrong in this server";
            wrong(
                StatusCode::INTERNAL_SERVER_ERROR,
                error,
                "see its log; the call may have been placed",
            )
        })
    }

    /// Looks a key up, and remembers it.
    fn recall(
        &self,
        key: String,
        wish: &Wish,
        answer: &watch::Receiver<Option<Answer>>,
    ) -> Recalled {
        let now = Instant::now();
        let mut memory = self.memory.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = memory.known.get(&key).filter(|known| known.until > now) {
            return match known.wish == *wish {
                true => Recalled::Same(known.answer.clone()),
                false => Recalled::Other,
            };
        }
        if memory.order.len() >= REMEMBERED
            && let Some(oldest) = memory.order.pop_front()
        {
            memory.known.remove(&oldest);
        }
        let known = Known {
            wish: wish.clone(),
            answer: answer.clone(),
            until: now + MEMORY,
        };
        if memory.known.insert(key.clone(), known).is_none() {
            memory.order.push_back(key);
        }
        Recalled::New
    }
}

/// What is known of a key.
enum Recalled {
    /// Nothing.
    New,
    /// The same call was asked for; this is, or will be, the answer.
    Same(watch::Receiver<Option<Answer>>),
    /// Another call was asked for.
    Other,
}

/// `POST /api/v1/calls`: places a call.
async fn dial(State(dials): State<Arc<Dials>>, headers: HeaderMap, body: Bytes) -> Response {
    if !is_admin(&headers, &dials.admin_token) {
        let error = "the admin token is expected";
        let answer = wrong(StatusCode::UNAUTHORIZED, error, "Authorization: Bearer …");
        return ([(header::WWW_AUTHENTICATE, "Bearer")], response(&answer)).into_response();
    }
    let wish = match read(&body) {
        Ok(wish) => wish,
        Err(error) => {
            let fix = r#"send {"to": "+14155550123", "agent": "front-desk"}"#;
            return response(&wrong(StatusCode::BAD_REQUEST, &error, fix));
        }
    };
    let key = headers.get("idempotency-key");
    let key = key.map(|key| key.to_str().ok().map(str::to_string));
    let key = match key {
        None => None,
        Some(Some(key)) if (1..=LONGEST_KEY).contains(&key.len()) => Some(key),
        Some(_) => {
            let error = "the Idempotency-Key cannot be one";
            let fix = "use 1 to 200 printable characters";
            return response(&wrong(StatusCode::BAD_REQUEST, error, fix));
        }
    };
    response(&dials.answer(wish, key).await)
}

fn read(body: &[u8]) -> Result<Wish, String> {
    let paper: Paper =
        serde_json::from_slice(body).map_err(|error| format!("the body: {error}"))?;
    Ok(Wish {
        agent: paper.agent,
        to: Phone::from(paper.to.trim()),
        from: paper.from.map(|from| Phone::from(from.trim())),
    })
}

/// What came of it, on paper.
fn paper(placed: Result<Dialled, Failed>) -> Answer {
    match placed {
        Ok(Dialled { call, carrier_call }) => {
            let paper = json!({ "call": call.as_str(), "carrier_call": carrier_call.as_str() });
            (StatusCode::CREATED, paper)
        }
        Err(Failed::Undialled(undialled)) => {
            let (error, fix) = undialled.words();
            wrong(status_of(&undialled), &error, &fix)
        }
        Err(Failed::Unrecorded) => wrong(
            StatusCode::SERVICE_UNAVAILABLE,
            "the ledger cannot be written, and no dollar is spent that is not written down first",
            "see ledger.failing in the server's log",
        ),
        Err(Failed::Refused(said)) => wrong(
            StatusCode::BAD_GATEWAY,
            &format!("the carrier would not place the call: {said}"),
            "nobody was dialled and nothing was spent; see what the carrier says",
        ),
        Err(Failed::Unknown(call)) => {
            let error = "the carrier did not say whether it has placed the call";
            let fix = "do not send it again: if it rings it is taken, and the ledger will tell";
            let (status, mut paper) = wrong(StatusCode::GATEWAY_TIMEOUT, error, fix);
            paper["call"] = call.as_str().into();
            (status, paper)
        }
    }
}

fn status_of(undialled: &Undialled) -> StatusCode {
    match undialled {
        Undialled::NotANumber | Undialled::NotItsNumber(_) | Undialled::NoNumber(_) => {
            StatusCode::BAD_REQUEST
        }
        Undialled::NoSuchAgent(_) => StatusCode::NOT_FOUND,
        Undialled::NotAllowed | Undialled::Unpriced => StatusCode::FORBIDDEN,
        Undialled::TooDear(_) | Undialled::OverBudget => StatusCode::PAYMENT_REQUIRED,
        Undialled::TooOften => StatusCode::TOO_MANY_REQUESTS,
        Undialled::Draining | Undialled::Busy => StatusCode::SERVICE_UNAVAILABLE,
    }
}

fn wrong(status: StatusCode, error: &str, fix: &str) -> Answer {
    (status, json!({ "error": error, "fix": fix }))
}

fn response((status, paper): &Answer) -> Response {
    let headers = [
        (header::CONTENT_TYPE, "application/json"),
        (header::CACHE_CONTROL, "no-store"),
    ];
    (*status, headers, paper.to_string()).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_names_who_is_called_and_who_talks_and_nothing_unknown() {
        let wish = read(br#"{"to":" +14155550123 ","agent":"desk"}"#).unwrap();
        assert_eq!((wish.to.reveal(), &*wish.agent), ("+14155550123", "desk"));
        for body in [
            "",
            "[]",
            "{}",
            r#"{"to":"+1"}"#,
            r#"{"to":"+1","agent":"a","cap":9}"#,
        ] {
            assert!(read(body.as_bytes()).is_err(), "{body}");
        }
    }

    #[test]
    fn every_refusal_says_what_is_wrong_and_what_to_do() {
        for undialled in [
            Undialled::NotANumber,
            Undialled::NoSuchAgent("x".to_string()),
            Undialled::NotAllowed,
            Undialled::Unpriced,
            Undialled::Draining,
            Undialled::TooOften,
            Undialled::Busy,
            Undialled::OverBudget,
        ] {
            let (status, paper) = paper(Err(Failed::Undialled(undialled)));
            assert!(status.is_client_error() || status == StatusCode::SERVICE_UNAVAILABLE);
            assert!(
                paper["error"].is_string() && paper["fix"].is_string(),
                "{paper}"
            );
        }
    }
}

//! A stand-in for the carrier's REST API: enough of it to arm a time limit, to end a call, and to ask what became of it.
//!
//! A server that closes its stream asks this API to end the call as well, and arms a limit here that outlives it. What it
//! asked is written down, and what it asks of a live call happens to the phone. The record of a call tells what the
//! phone tells; only its price is late, as at the carrier. [`Rest`] is the API as a value, [`RestServer`] the same on a
//! socket of the loopback.

use super::{Order, Phone};
use crate::units::Usd;
use base64_simd::STANDARD;
use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::mpsc;

/// A request that would change a call, and how it was answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recorded {
    /// The call it was about.
    pub call_sid: String,
    /// What was asked.
    pub form: Vec<(String, String)>,
    /// The HTTP status of the answer.
    pub status: u16,
}

/// An answer of the API.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// JSON.
    pub body: String,
    /// What it means for the phone of a live call, and which.
    pub order: Option<(String, Order)>,
}

/// The API of one account.
#[derive(Debug)]
pub struct Rest {
    account_sid: String,
    authorization: String,
    calls: BTreeMap<String, Entry>,
    /// The calls that are over, the oldest first.
    over: VecDeque<String>,
    requests: Vec<Recorded>,
}

/// What the carrier's books say of a call.
#[derive(Clone, Debug)]
struct Entry {
    status: &'static str,
    is_over: bool,
    duration_s: u64,
    minutes: u64,
    /// Somebody has read it since it was over.
    was_read: bool,
}

/// Calls that are over and still known; older ones are forgotten.
const KEPT: usize = 10_000;

/// A started minute of a call to a local US number (facts: carriers, section 4).
const MINUTE: Usd = Usd::from_micros(8_500);

impl Rest {
    /// The API of this account, without calls.
    pub fn new(account_sid: &str, auth_token: &str) -> Self {
        let pair = STANDARD.encode_to_string(format!("{account_sid}:{auth_token}"));
        Rest {
            account_sid: account_sid.to_owned(),
            authorization: format!("Basic {pair}"),
            calls: BTreeMap::new(),
            over: VecDeque::new(),
            requests: Vec::new(),
        }
    }

    /// A call began.
    pub fn begin(&mut self, call_sid: &str) {
        let ringing = Entry {
            status: "ringing",
            is_over: false,
            duration_s: 0,
            minutes: 0,
            was_read: false,
        };
        self.calls.insert(call_sid.to_owned(), ringing);
    }

    /// Takes over what a phone knows of its call, if that began here: its state, its length and its end.
    pub fn follow(&mut self, phone: &Phone) {
        let sid = &phone.setup.call_sid;
        let Some(entry) = self.calls.get_mut(sid).filter(|entry| !entry.is_over) else {
            return;
        };
        entry.status = phone.status();
        entry.duration_s = phone.duration_ms().div_ceil(1000);
        entry.minutes = phone.billed_minutes();
        if phone.ended().is_some() {
            self.close(&sid.clone());
        }
    }

    /// A call is over, whatever its phone said last; changing it now answers 404, code 20404.
    pub fn end(&mut self, call_sid: &str) {
        if let Some(entry) = self.calls.get_mut(call_sid).filter(|entry| !entry.is_over) {
            entry.status = "completed";
            self.close(call_sid);
        }
    }

    fn close(&mut self, call_sid: &str) {
        if let Some(entry) = self.calls.get_mut(call_sid) {
            entry.is_over = true;
            self.over.push_back(call_sid.to_owned());
        }
        if self.over.len() > KEPT
            && let Some(oldest) = self.over.pop_front()
        {
            self.calls.remove(&oldest);
        }
    }

    /// Every request that would change a call, in order.
    pub fn requests(&self) -> &[Recorded] {
        &self.requests
    }

    /// Answers a request. `authorization` is the header of that name.
    pub fn answer(
        &mut self,
        method: &str,
        path: &str,
        authorization: Option<&str>,
        body: &str,
    ) -> Answer {
        if authorization != Some(&self.authorization) {
            return refusal(401, 20003, "Authenticate");
        }
        let calls = format!("/2010-04-01/Accounts/{}/Calls/", self.account_sid);
        let sid = path
            .strip_prefix(&calls)
            .and_then(|rest| rest.strip_suffix(".json"));
        let sid = match (sid, method) {
            (Some(sid), "POST") => sid,
            (Some(sid), "GET") => return self.record(sid),
            _ => return refusal(404, 20404, "The requested resource was not found"),
        };
        let form: Vec<(String, String)> = form_urlencoded::parse(body.as_bytes())
            .into_owned()
            .collect();
        let answer = self.update(sid, &form);
        self.requests.push(Recorded {
            call_sid: sid.to_owned(),
            form,
            status: answer.status,
        });
        answer
    }

    /// The record of a call. It is rated only after somebody has read it unrated: at the carrier that takes minutes.
    fn record(&mut self, sid: &str) -> Answer {
        let Some(entry) = self.calls.get_mut(sid) else {
            return refusal(404, 20404, "The requested resource was not found");
        };
        let is_rated = entry.is_over && std::mem::replace(&mut entry.was_read, entry.is_over);
        let price = is_rated.then(|| format!("-{}", MINUTE.times(entry.minutes)));
        let duration = entry.is_over.then(|| entry.duration_s.to_string());
        let body = serde_json::json!({
            "sid": sid,
            "account_sid": self.account_sid,
            "api_version": "2010-04-01",
            "direction": "inbound",
            "status": entry.status,
            "duration": duration,
            "price": price,
            "price_unit": "USD",
        });
        Answer {
            status: 200,
            body: body.to_string(),
            order: None,
        }
    }

    fn update(&self, sid: &str, form: &[(String, String)]) -> Answer {
        if self.calls.get(sid).is_none_or(|entry| entry.is_over) {
            return refusal(404, 20404, "The requested resource was not found");
        }
        let order = match form {
            [(name, value)] if name == "Status" && value == "completed" => Some(Order::Complete),
            [(name, value)] if name == "TimeLimit" => value
                .parse()
                .ok()
                .filter(|seconds| (60..=86_400).contains(seconds))
                .map(|seconds| Order::Limit { seconds }),
            _ => None,
        };
        let Some(order) = order else {
            return refusal(
                400,
                20001,
                "Only Status=completed and TimeLimit=60..86400 are understood here",
            );
        };
        let status = if order == Order::Complete {
            "completed"
        } else {
            "in-progress"
        };
        Answer {
            status: 200,
            body: serde_json::json!({ "sid": sid, "status": status }).to_string(),
            order: Some((sid.to_owned(), order)),
        }
    }
}

fn refusal(status: u16, code: u32, message: &str) -> Answer {
    Answer {
        status,
        body: serde_json::json!({ "status": status, "code": code, "message": message }).to_string(),
        order: None,
    }
}

/// Orders that may wait for one phone; a server that sends more than this at once is told to try again.
const WAITING: usize = 16;

/// The API on a socket of the loopback. Clones share it; it lives as long as the runtime it was started on.
#[derive(Clone)]
pub struct RestServer {
    base: String,
    shared: Arc<Mutex<Shared>>,
}

struct Shared {
    rest: Rest,
    phones: BTreeMap<String, mpsc::Sender<Order>>,
}

impl RestServer {
    /// Opens a port of the loopback and answers on it.
    ///
    /// # Errors
    /// Says why no port could be opened.
    pub async fn start(account_sid: &str, auth_token: &str) -> Result<Self, String> {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0")
            .await
            .map_err(|e| e.to_string())?;
        let address = listener.local_addr().map_err(|error| error.to_string())?;
        let server = RestServer {
            base: format!("http://{address}"),
            shared: Arc::new(Mutex::new(Shared {
                rest: Rest::new(account_sid, auth_token),
                phones: BTreeMap::new(),
            })),
        };
        let answering = server.clone();
        let router =
            axum::Router::new().fallback(move |request| answer(answering.clone(), request));
        tokio::spawn(async move { axum::serve(listener, router).await });
        Ok(server)
    }

    /// Where it answers: what a server is configured with in place of the carrier's own address.
    pub fn base(&self) -> &str {
        &self.base
    }

    /// A call began; what is ordered about it comes out here.
    pub fn enter(&self, call_sid: &str) -> mpsc::Receiver<Order> {
        let (sender, receiver) = mpsc::channel(WAITING);
        let mut shared = self.lock();
        shared.rest.begin(call_sid);
        shared.phones.insert(call_sid.to_owned(), sender);
        receiver
    }

    /// Takes over what a phone knows of its call.
    pub fn follow(&self, phone: &Phone) {
        self.lock().rest.follow(phone);
    }

    /// A call is over.
    pub fn leave(&self, call_sid: &str) {
        let mut shared = self.lock();
        shared.rest.end(call_sid);
        shared.phones.remove(call_sid);
    }

    /// Every request that would change a call, in order.
    pub fn requests(&self) -> Vec<Recorded> {
        self.lock().rest.requests().to_vec()
    }

    fn lock(&self) -> MutexGuard<'_, Shared> {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn answer(
    server: RestServer,
    request: axum::extract::Request,
) -> (axum::http::StatusCode, String) {
    use axum::http::{StatusCode, header::AUTHORIZATION};
    let (head, body) = request.into_parts();
    let Ok(body) = axum::body::to_bytes(body, 64 * 1024).await else {
        return (StatusCode::PAYLOAD_TOO_LARGE, String::new());
    };
    let authorization = head
        .headers
        .get(AUTHORIZATION)
        .and_then(|value| value.to_str().ok());
    let body = String::from_utf8_lossy(&body);
    let mut shared = server.lock();
    let answer = shared
        .rest
        .answer(head.method.as_str(), head.uri.path(), authorization, &body);
    if let Some((sid, order)) = answer.order
        && let Some(phone) = shared.phones.get(&sid)
        && phone.try_send(order).is_err()
    {
        return (StatusCode::TOO_MANY_REQUESTS, String::new());
    }
    let status = StatusCode::from_u16(answer.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    (status, answer.body)
}

#[cfg(test)]
mod tests {
    use super::super::Setup;
    use super::*;
    use serde_json::{Value, json};

    const PATH: &str = "/2010-04-01/Accounts/AC1/Calls/CA1.json";
    /// `AC1:secret`.
    const KEY: Option<&str> = Some("Basic QUMxOnNlY3JldA==");

    #[test]
    fn a_live_call_is_limited_and_ended_and_then_gone() {
        let mut rest = Rest::new("AC1", "secret");
        rest.begin("CA1");
        let mut post = |body| rest.answer("POST", PATH, KEY, body);
        let limited = post("TimeLimit=330").order;
        assert_eq!(
            limited,
            Some(("CA1".to_owned(), Order::Limit { seconds: 330 }))
        );
        assert_eq!(
            post("Status=completed").order,
            Some(("CA1".to_owned(), Order::Complete))
        );
        assert_eq!(post("TimeLimit=59").status, 400);
        assert_eq!(post("Twiml=%3CResponse/%3E").status, 400);
        rest.end("CA1");
        let gone = rest.answer("POST", PATH, KEY, "Status=completed");
        assert_eq!((gone.status, gone.body.contains("20404")), (404, true));
        let statuses: Vec<u16> = rest
            .requests()
            .iter()
            .map(|request| request.status)
            .collect();
        assert_eq!(statuses, [200, 200, 400, 400, 404]);
    }

    fn read(rest: &mut Rest) -> (u16, Value) {
        let answer = rest.answer("GET", PATH, KEY, "");
        let record = serde_json::from_str(&answer.body).expect("is JSON");
        (answer.status, record)
    }

    #[test]
    fn the_record_of_a_call_follows_the_phone_and_is_rated_late() {
        let mut rest = Rest::new("AC1", "secret");
        let mut phone = Phone::new(Setup::new("http://here/voice", "AC1", "secret", "CA1"));
        rest.begin("CA1");
        let mut at = |phone: &mut Phone, now_ms: u64, what: &dyn Fn(&mut Phone)| {
            phone.wake(now_ms);
            what(phone);
            rest.follow(phone);
            let (status, record) = read(&mut rest);
            let told = ["status", "duration", "price"].map(|key| record[key].to_string());
            (status, told.join(" "))
        };
        let told = |status, text: &str| (status, text.to_owned());
        let ringing = at(&mut phone, 0, &|phone| phone.start(0));
        assert_eq!(ringing, told(200, r#""ringing" null null"#));
        let pause = r#"<Response><Pause length="300"/></Response>"#;
        let answered = at(&mut phone, 10, &|phone| phone.http_answered(10, 200, pause));
        assert_eq!(answered, told(200, r#""in-progress" null null"#));
        let over = at(&mut phone, 60_500, &|phone| {
            phone.order(60_500, Order::Complete)
        });
        assert_eq!(over, told(200, r#""completed" "61" null"#));
        let rated = at(&mut phone, 70_000, &|_| {});
        assert_eq!(rated, told(200, r#""completed" "61" "-0.017""#));
        assert!(rest.requests().is_empty(), "reading changes nothing");
    }

    #[test]
    fn a_call_nobody_answered_costs_nothing() {
        let mut rest = Rest::new("AC1", "secret");
        let mut phone = Phone::new(Setup::new("http://here/voice", "AC1", "secret", "CA1"));
        rest.begin("CA1");
        phone.start(0);
        phone.http_answered(10, 200, r#"<Response><Reject reason="busy"/></Response>"#);
        rest.follow(&phone);
        let _unrated = read(&mut rest);
        let (_, record) = read(&mut rest);
        assert_eq!(record["status"], "busy");
        assert_eq!(
            (&record["duration"], &record["price"]),
            (&json!("0"), &json!("-0.00"))
        );
    }

    #[test]
    fn only_so_many_calls_are_remembered() {
        let mut rest = Rest::new("AC1", "secret");
        for number in 0..=KEPT {
            let sid = format!("CA{number}");
            rest.begin(&sid);
            rest.end(&sid);
        }
        let status = |rest: &mut Rest, number: usize| {
            let path = PATH.replace("CA1", &format!("CA{number}"));
            rest.answer("GET", &path, KEY, "").status
        };
        assert_eq!((status(&mut rest, 0), status(&mut rest, 1)), (404, 200));
    }

    #[test]
    fn strangers_and_strange_paths_are_refused() {
        let mut rest = Rest::new("AC1", "secret");
        rest.begin("CA1");
        assert_eq!(
            rest.answer("POST", PATH, None, "Status=completed").status,
            401
        );
        assert_eq!(
            rest.answer("POST", PATH, Some("Basic eA=="), "Status=completed")
                .status,
            401
        );
        assert_eq!(rest.answer("GET", PATH, None, "").status, 401);
        assert_eq!(rest.answer("DELETE", PATH, KEY, "").status, 404);
        let unknown = PATH.replace("CA1", "CA2");
        assert_eq!(rest.answer("GET", &unknown, KEY, "").status, 404);
        assert_eq!(
            rest.answer("POST", "/2010-04-01/Accounts/AC2/Calls/CA1.json", KEY, "")
                .status,
            404
        );
    }
}

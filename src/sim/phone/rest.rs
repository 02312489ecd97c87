//! A stand-in for the carrier's REST API: enough of it to arm a time limit, to end a call, to hand one over, to place one, to ask
//! what became of it, and to see and change whom a number asks.
//!
//! A server that closes its stream asks this API to end the call as well, and arms a limit here that outlives it. What it
//! asked is written down, and what it asks of a live call happens to the phone. The record of a call tells what the
//! phone tells; only its price is late, as at the carrier. [`Rest`] is the API as a value, [`RestServer`] the same on a
//! socket of the loopback.

mod numbers;
mod server;

pub use numbers::OwnNumber;
pub use server::{Answering, RestServer};

use super::{CarrierEar, Order, Phone};
use crate::units::Usd;
use base64_simd::STANDARD;
use numbers::Numbers;
use std::collections::{BTreeMap, VecDeque};

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
    /// The call that is to be placed.
    pub placed: Option<Placed>,
}

/// A call that the server wants placed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Placed {
    /// The name it was given.
    pub call_sid: String,
    /// Who is called.
    pub to: String,
    /// Whose number they see.
    pub from: String,
    /// Whom to ask what to do when somebody answers.
    pub url: String,
    /// Whom to tell what becomes of it.
    pub status_callback: Option<String>,
    /// The states it wants to be told of.
    pub events: Vec<String>,
    /// The limit it begins with, in seconds.
    pub limit_s: Option<u64>,
    /// Whom to tell who answered, if the carrier is to listen.
    pub ear: Option<CarrierEar>,
}

/// The API of one account.
#[derive(Debug)]
pub struct Rest {
    account_sid: String,
    auth_token: String,
    authorization: String,
    calls: BTreeMap<String, Entry>,
    /// The calls that are over, the oldest first.
    over: VecDeque<String>,
    requests: Vec<Recorded>,
    numbers: Numbers,
    placed: u64,
}

/// What the carrier's books say of a call.
#[derive(Clone, Debug)]
struct Entry {
    status: &'static str,
    direction: &'static str,
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
            auth_token: auth_token.to_owned(),
            authorization: format!("Basic {pair}"),
            calls: BTreeMap::new(),
            over: VecDeque::new(),
            requests: Vec::new(),
            numbers: Numbers::default(),
            placed: 0,
        }
    }

    /// The account, and what it signs with.
    fn keys(&self) -> (String, String) {
        (self.account_sid.clone(), self.auth_token.clone())
    }

    /// The account has this number.
    pub fn own(&mut self, number: OwnNumber) {
        self.numbers.own(number);
    }

    /// How a number of the account is set.
    pub fn number(&self, number: &str) -> Option<&OwnNumber> {
        self.numbers.find(number)
    }

    /// A call began.
    pub fn begin(&mut self, call_sid: &str) {
        self.enter(call_sid, "inbound");
    }

    fn enter(&mut self, call_sid: &str, direction: &'static str) {
        // One that was placed here is known already.
        if self.calls.contains_key(call_sid) {
            return;
        }
        let ringing = Entry {
            status: "ringing",
            direction,
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
        let (path, query) = path.split_once('?').unwrap_or((path, ""));
        let account = format!("/2010-04-01/Accounts/{}/", self.account_sid);
        let Some(what) = path.strip_prefix(&account) else {
            return refusal(404, 20404, "The requested resource was not found");
        };
        let form = pairs(body);
        let named = |folder: &str| what.strip_prefix(folder)?.strip_suffix(".json");
        if method == "GET" {
            return match (what, named("Calls/")) {
                ("IncomingPhoneNumbers.json", _) => self.numbers.list(&pairs(query)),
                (_, Some(sid)) => self.record(sid),
                _ => refusal(404, 20404, "The requested resource was not found"),
            };
        }
        let (sid, answer) = match (method, what) {
            ("POST", "Calls.json") => ("", self.place(&form)),
            ("POST", _) => match (named("Calls/"), named("IncomingPhoneNumbers/")) {
                (Some(sid), _) => (sid, self.update(sid, &form)),
                (_, Some(sid)) => return self.numbers.change(sid, &form),
                _ => return refusal(404, 20404, "The requested resource was not found"),
            },
            _ => return refusal(404, 20404, "The requested resource was not found"),
        };
        self.requests.push(Recorded {
            call_sid: sid.to_owned(),
            form,
            status: answer.status,
        });
        answer
    }

    /// Places a call.
    fn place(&mut self, form: &[(String, String)]) -> Answer {
        let field = |name: &str| {
            let found = form.iter().find(|(known, _)| known == name);
            found.map(|(_, value)| value.clone())
        };
        let (Some(to), Some(from), Some(url)) = (field("To"), field("From"), field("Url")) else {
            return refusal(400, 21205, "To, From and Url are expected");
        };
        let digits = |number: &str| {
            number
                .strip_prefix('+')
                .is_some_and(|digits| digits.bytes().all(|byte| byte.is_ascii_digit()))
        };
        if !digits(&to) || !digits(&from) {
            return refusal(400, 21211, "a number is not a valid phone number");
        }
        let limit_s = field("TimeLimit").map(|limit| limit.parse().ok());
        if limit_s == Some(None) {
            return refusal(400, 21221, "TimeLimit is not a number of seconds");
        }
        self.placed += 1;
        let call_sid = format!("CAd{:031x}", self.placed);
        self.enter(&call_sid, "outbound-api");
        let listens = field("MachineDetection").is_some() && field("AsyncAmd").is_some();
        let events = form
            .iter()
            .filter(|(name, _)| name == "StatusCallbackEvent");
        let body = serde_json::json!({
            "sid": call_sid, "status": "queued", "direction": "outbound-api", "to": to, "from": from,
        });
        let placed = Placed {
            call_sid,
            to,
            from,
            url,
            status_callback: field("StatusCallback"),
            events: events.map(|(_, event)| event.clone()).collect(),
            limit_s: limit_s.flatten(),
            ear: field("AsyncAmdStatusCallback")
                .filter(|_| listens)
                .map(|url| CarrierEar {
                    word: "human".to_owned(),
                    after_ms: 500,
                    url,
                }),
        };
        Answer {
            status: 201,
            body: body.to_string(),
            order: None,
            placed: Some(placed),
        }
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
            "direction": entry.direction,
            "status": entry.status,
            "duration": duration,
            "price": price,
            "price_unit": "USD",
        });
        Answer {
            status: 200,
            body: body.to_string(),
            order: None,
            placed: None,
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
            [(name, document), rest @ ..] if name == "Twiml" => {
                let is_alone = rest.iter().all(|(name, _)| name == "TimeLimit");
                (is_alone && document.chars().count() <= LONGEST_DOCUMENT)
                    .then(|| Order::Document(document.clone()))
            }
            _ => None,
        };
        let Some(order) = order else {
            return refusal(
                400,
                20001,
                "Only Status=completed, TimeLimit=60..86400 and Twiml of 4000 characters are understood here",
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
            placed: None,
        }
    }
}

/// The longest document that a request may hold.
const LONGEST_DOCUMENT: usize = 4_000;

/// The fields of a form or a query.
fn pairs(text: &str) -> Vec<(String, String)> {
    form_urlencoded::parse(text.as_bytes())
        .into_owned()
        .collect()
}

fn refusal(status: u16, code: u32, message: &str) -> Answer {
    Answer {
        status,
        body: serde_json::json!({ "status": status, "code": code, "message": message }).to_string(),
        order: None,
        placed: None,
    }
}

#[cfg(test)]
mod tests;

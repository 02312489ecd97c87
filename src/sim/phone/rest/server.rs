//! The API on a socket of the loopback, with phones behind it: those that call, and those that it is asked to call.

use super::{Answer, OwnNumber, Placed, Recorded, Rest};
use crate::sim::phone::call::{Wires, call};
use crate::sim::phone::{Callee, Leg, Order, Phone, Pickup, Report, Setup, Step};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::mpsc;

/// What whoever is called does, and what the carrier does with the request.
#[derive(Clone, Debug, Default)]
pub struct Answering {
    /// What becomes of the ring.
    pub pickup: Pickup,
    /// How long it rings, in milliseconds.
    pub ring_ms: u64,
    /// What they say and do once they have answered.
    pub script: Vec<Step>,
    /// What the carrier hears who answered; a person, unless it says.
    pub word: Option<String>,
    /// What whoever they are handed over to does.
    pub leg: Leg,
    /// The carrier refuses to place the call, or to hand somebody over to them, with this status and body.
    pub refused: Option<(u16, String)>,
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
    /// How the phones reach the server that are called from here.
    wires: Option<Wires>,
    answering: BTreeMap<String, Answering>,
    reports: Vec<Report>,
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
                wires: None,
                answering: BTreeMap::new(),
                reports: Vec::new(),
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

    /// From now on it can place calls: phones that reach the server over these wires, and take orders of this very API.
    pub fn call_over(&self, wires: &Wires) {
        self.lock().wires = Some(wires.clone());
    }

    /// What whoever has this number does when called; others answer at once and say nothing.
    pub fn expect(&self, number: &str, answering: Answering) {
        self.lock().answering.insert(number.to_owned(), answering);
    }

    /// The calls placed from here that are over.
    pub fn reports(&self) -> Vec<Report> {
        self.lock().reports.clone()
    }

    /// The account has this number.
    pub fn own(&self, number: OwnNumber) {
        self.lock().rest.own(number);
    }

    /// How a number of the account is set.
    pub fn number(&self, number: &str) -> Option<OwnNumber> {
        self.lock().rest.number(number).cloned()
    }

    /// Refuses to place a call, or to hand one over, where that is planned for whoever would be dialled.
    fn refused(&self, method: &str, body: &str) -> Option<(u16, String)> {
        if method != "POST" {
            return None;
        }
        let shared = self.lock();
        let form = super::pairs(body);
        let dials = |number: &String| {
            form.iter().any(|(name, value)| match &**name {
                "To" => value == number,
                "Twiml" => value.contains(&**number),
                _ => false,
            })
        };
        let mut known = shared.answering.iter();
        let (_, answering) = known.find(|(number, _)| dials(number))?;
        answering.refused.clone()
    }

    /// Rings whoever is called.
    fn place(&self, placed: Placed) {
        let (wires, answering, keys) = {
            let shared = self.lock();
            let answering = shared.answering.get(&placed.to).cloned();
            let Some(wires) = shared.wires.clone() else {
                return;
            };
            let wires = wires.with_rest(self.clone());
            (wires, answering.unwrap_or_default(), shared.rest.keys())
        };
        let setup = setup(placed, answering, &keys);
        let server = self.clone();
        tokio::spawn(async move {
            // An address that makes no sense is the server's business, and is seen there.
            if let Ok(report) = call(setup, &wires).await {
                server.lock().reports.push(report);
            }
        });
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
    let path = head.uri.path_and_query().map_or("/", |path| path.as_str());
    let method = head.method.as_str();
    let code = |status| StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    if let Some((status, body)) = server.refused(method, &body) {
        return (code(status), body);
    }
    let Answer {
        status,
        body,
        order,
        placed,
    } = {
        let mut shared = server.lock();
        let answer = shared.rest.answer(method, path, authorization, &body);
        if let Some((sid, order)) = &answer.order
            && let Some(phone) = shared.phones.get(sid)
            && phone.try_send(order.clone()).is_err()
        {
            return (StatusCode::TOO_MANY_REQUESTS, String::new());
        }
        answer
    };
    debug_assert!(order.is_none() || placed.is_none());
    if let Some(placed) = placed {
        server.place(placed);
    }
    (code(status), body)
}

/// A phone that is called.
fn setup(placed: Placed, answering: Answering, (account, token): &(String, String)) -> Setup {
    let mut setup = Setup::new(&placed.url, account, token, &placed.call_sid);
    setup.status_callback = placed.status_callback;
    setup.from = placed.from;
    setup.to = placed.to;
    setup.stir_verstat = None;
    setup.script = answering.script;
    setup.leg = answering.leg;
    setup.limit_s = placed.limit_s;
    setup.callee = Some(Callee {
        pickup: answering.pickup,
        ring_ms: answering.ring_ms,
        events: placed.events,
        ear: placed.ear.map(|mut ear| {
            ear.word = answering.word.unwrap_or(ear.word);
            ear
        }),
    });
    setup
}

//! A house that may dial, and somebody who asks it to.

use super::house::{House, plan, until};
use ringfence::cli::world::Plan;
use ringfence::ledger::Books;
use ringfence::ledger::books::{CallRow, Filter};
use ringfence::sim::phone::Report;
use serde_json::Value;

/// The agent's own number.
pub const OURS: &str = "+15005550006";

/// Somebody who may be called.
pub const CALLEE: &str = "+14155550123";

/// A plan that may dial numbers of +1, whose agent has a number of its own.
pub fn outbound(settings: &[(&str, &str)]) -> Plan {
    let ours = format!("[\"{OURS}\"]");
    let mut all = vec![("limits.dial_prefixes", "[\"+1\"]"), ("numbers", &*ours)];
    all.extend(settings);
    Plan {
        more: "[carrier.twilio.outbound_per_minute_usd]\n\"+1\" = 0.0140\n".to_string(),
        ..plan("greeting=600ms", &all)
    }
}

/// A house, and the key to its API.
pub struct Desk {
    pub house: House,
    http: reqwest::Client,
}

impl Desk {
    pub async fn open(plan: &Plan) -> Desk {
        Desk {
            house: House::open(plan).await,
            http: reqwest::Client::new(),
        }
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.house.world.server.address)
    }

    pub fn token(&self) -> String {
        let made = &self.house.world.server.made_admin_token;
        made.clone().expect("a token that was made")
    }

    /// Asks for a call: the status and the answer.
    pub async fn dial(&self, body: &str, key: Option<&str>) -> (u16, Value) {
        let mut request = (self.http)
            .post(format!("{}/api/v1/calls", self.url()))
            .bearer_auth(self.token())
            .body(body.to_string());
        if let Some(key) = key {
            request = request.header("Idempotency-Key", key);
        }
        let answer = request.send().await.expect("an answer");
        let status = answer.status().as_u16();
        let text = answer.text().await.expect("a body");
        (status, serde_json::from_str(&text).expect("JSON"))
    }

    /// Asks for a call to this number.
    pub async fn call(&self, to: &str) -> (u16, Value) {
        let body = format!(r#"{{"to":"{to}","agent":"desk"}}"#);
        self.dial(&body, None).await
    }

    /// Waits until whoever was called has hung up, or never answered.
    pub async fn report(&self) -> Report {
        let rest = &self.house.world.rest;
        until("the phone is over", || !rest.reports().is_empty()).await;
        rest.reports().remove(0)
    }

    /// Waits until no line is taken, and tells what the ledger has.
    pub async fn rows(&self) -> Vec<CallRow> {
        let server = &self.house.world.server;
        until("the lines are free", || server.calls() == 0).await;
        server.ledger.flush().await.expect("on disk");
        let mut books = Books::open(server.ledger.path()).await.expect("books");
        books.calls(&Filter::default()).await.expect("rows")
    }

    /// Nothing is spent and nothing is promised.
    pub fn is_free(&self) -> bool {
        let budget = &self.house.world.server.budget;
        budget.spent().is_zero() && budget.reserved().is_zero()
    }

    /// How many calls the carrier was asked to place.
    pub fn placed(&self) -> usize {
        let requests = self.house.world.rest.requests();
        let places = |form: &Vec<(String, String)>| form.iter().any(|(name, _)| name == "To");
        requests
            .iter()
            .filter(|request| places(&request.form))
            .count()
    }
}

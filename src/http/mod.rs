//! The doors: where carriers come in, where health is asked for, and where the books are read.
//!
//! A door checks who is there, and hands on; it decides nothing about a call. Every body and frame has a maximum size, and whoever
//! cannot prove to be the carrier gets 403 and costs nothing.

pub mod api;
pub mod dial;
pub mod dialling;
pub mod health;
pub mod media;
pub mod parked;
mod seated;
pub mod true_up;
pub mod voice;

use crate::admission::Admission;
use crate::bridge::switchboard::Switchboard;
use crate::bridge::workers::Workers;
use crate::budget::Budget;
use crate::carrier::{Carrier, Forged, Request};
use crate::ledger::Ledger;
use crate::observe::Observer;
use crate::requests::Requests;
use crate::tools::Toolbox;
use crate::units::Secret;
use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::http::{HeaderMap, Method, Uri, header};
use axum::routing::{any, get, post};
use metrics_exporter_prometheus::PrometheusHandle;
use parked::Parking;
use std::sync::Arc;
use subtle::ConstantTimeEq;
use tokio::sync::{Semaphore, watch};
use true_up::TrueUp;

/// The largest webhook body: carriers post a few kilobytes.
const MAX_BODY: usize = 64 * 1024;

/// One carrier's doors: everything they need.
pub struct Doors {
    /// The carrier's name, which is also the first part of the doors' paths.
    pub name: &'static str,
    /// Its language.
    pub carrier: Arc<dyn Carrier>,
    /// What performs its requests.
    pub requests: Requests,
    /// Who may come in.
    pub admission: Arc<Admission>,
    /// Who is in.
    pub switchboard: Arc<Switchboard>,
    /// The threads that carry calls.
    pub workers: Arc<Workers>,
    /// Who was dialled and has not answered.
    pub parking: Arc<Parking>,
    /// What the model may call.
    pub toolbox: Arc<Toolbox>,
    /// Who writes it down.
    pub observer: Observer,
    /// Where it is kept.
    pub ledger: Ledger,
    /// What becomes of the carrier's own account of calls.
    pub true_up: Arc<TrueUp>,
    /// Places for sockets that have not yet named their call.
    pub pending: Arc<Semaphore>,
}

/// What health depends on.
#[derive(Clone)]
pub struct Health {
    /// Says whether new calls are taken.
    pub admission: Arc<Admission>,
    /// Says whether the ledger cannot be written, so that no call can begin.
    pub ledger_failing: watch::Receiver<bool>,
    /// Renders the metrics.
    pub metrics: PrometheusHandle,
    /// Says what is promised to calls that are going on.
    pub budget: Arc<Budget>,
    /// What opens the doors that are neither the carriers' nor health.
    pub admin_token: Secret,
}

/// All doors of the server.
pub fn router(carriers: Vec<Arc<Doors>>, health: Health) -> Router {
    let mut router = Router::new()
        .route("/healthz", get(health::alive))
        .route("/readyz", get(health::ready))
        .route("/metrics", get(health::metrics))
        .with_state(health.clone());
    if let Some(doors) = carriers.first() {
        let ledger = doors.ledger.clone();
        router = router.merge(api::Api::new(ledger, health.admin_token.clone()).router());
        router = router.merge(dial::Dials::new(doors.clone(), health.admin_token).router());
    }
    for doors in carriers {
        let name = doors.name;
        let own = Router::new()
            .route(&format!("/{name}/voice"), post(voice::offered))
            .route(&format!("/{name}/ended"), post(voice::ended))
            .route(&format!("/{name}/status"), post(voice::status))
            .route(&format!("/{name}/media/{{token}}"), any(media::opened))
            .layer(DefaultBodyLimit::max(MAX_BODY))
            .with_state(doors);
        router = router.merge(own);
    }
    router
}

/// Whether the request carries the admin token: `Authorization: Bearer …`.
fn is_admin(headers: &HeaderMap, token: &Secret) -> bool {
    let given = headers
        .get(header::AUTHORIZATION)
        .and_then(|value| value.to_str().ok());
    let given = given
        .and_then(|value| value.strip_prefix("Bearer "))
        .unwrap_or_default();
    bool::from(given.as_bytes().ct_eq(token.reveal().as_bytes()))
}

/// Hands a request to `read` as it arrived.
fn as_arrived<T>(
    method: &Method,
    uri: &Uri,
    headers: &HeaderMap,
    body: &[u8],
    read: impl FnOnce(Request<'_>) -> T,
) -> T {
    let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let path_and_query = uri.path_and_query().map_or("/", |path| path.as_str());
    read(Request {
        method: method.as_str(),
        path_and_query,
        body,
        header: &header,
    })
}

/// What to say in the log about a request that was not believed, and what to do about it.
fn why_forged(forged: Forged) -> (&'static str, &'static str) {
    match forged {
        Forged::Unsigned => ("unsigned", "somebody who is not the carrier; nothing to do"),
        Forged::WrongSignature => (
            "wrong signature",
            "if this was the carrier: is server.public_url exactly the address in its settings, and the auth token its primary one?",
        ),
        Forged::UnknownScheme => (
            "unknown signature scheme",
            "switch the carrier's webhook signatures back to HMAC-SHA1",
        ),
        Forged::ForeignAccount => (
            "foreign account",
            "is the configured account the one that owns the number?",
        ),
    }
}

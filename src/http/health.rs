//! Is it alive, does it take calls, and what does it measure?

use super::Health;
use axum::extract::State;
use axum::http::StatusCode;

/// `GET /healthz`: the process answers.
pub async fn alive() -> &'static str {
    "ok\n"
}

/// `GET /readyz`: new calls are taken.
pub async fn ready(State(health): State<Health>) -> (StatusCode, &'static str) {
    if health.admission.is_draining() {
        (StatusCode::SERVICE_UNAVAILABLE, "draining\n")
    } else {
        (StatusCode::OK, "ready\n")
    }
}

/// `GET /metrics`: Prometheus' text format.
pub async fn metrics(State(health): State<Health>) -> String {
    health.metrics.render()
}

//! Is it alive, does it take calls, and what does it measure?

use super::{Health, is_admin};
use crate::observe::{dollars, path};
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use metrics::gauge;

/// `GET /healthz`: the process answers.
pub async fn alive() -> &'static str {
    "ok\n"
}

/// `GET /readyz`: new calls are taken.
pub async fn ready(State(health): State<Health>) -> (StatusCode, &'static str) {
    if health.admission.is_draining() {
        (StatusCode::SERVICE_UNAVAILABLE, "draining\n")
    } else if *health.ledger_failing.borrow() {
        // Whatever cannot be written down is not begun.
        (
            StatusCode::SERVICE_UNAVAILABLE,
            "the ledger cannot be written\n",
        )
    } else {
        (StatusCode::OK, "ready\n")
    }
}

/// `GET /metrics`: Prometheus' text format, for who has the admin token.
pub async fn metrics(
    State(health): State<Health>,
    headers: HeaderMap,
) -> Result<String, (StatusCode, &'static str)> {
    if !is_admin(&headers, &health.admin_token) {
        let help = "the admin token is expected: Authorization: Bearer …\n";
        return Err((StatusCode::UNAUTHORIZED, help));
    }
    gauge!("ringfence_reserved_usd").set(dollars(health.budget.reserved()));
    Ok(health.metrics.render() + &path::render())
}

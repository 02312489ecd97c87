//! An agent that may act, and a shop whose functions answer well or badly.

use super::house::plan;
use axum::Router;
use axum::extract::Request;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use ringfence::call::record::{Fact, What};
use ringfence::call::tools::Outcome;
use ringfence::cli::world::Plan;
use ringfence::sim::phone::{Act, Step, When};
use std::sync::{Arc, Mutex};
use tokio::net::TcpListener;

/// Sales, as the configuration has them.
pub const SALES: &str = "+14155550009";

/// An agent with these tools and settings, on a model with these manners.
pub fn agent(model: &str, tools: &str, settings: &[(&str, &str)], more: &str) -> Plan {
    let mut all = vec![("tools", tools)];
    all.extend(settings);
    Plan {
        more: more.to_string(),
        ..plan(&format!("greeting=600ms latency=200ms {model}"), &all)
    }
}

/// Somebody to hand callers to.
pub fn with_sales() -> String {
    format!(
        "[agent.desk.transfer]\nsales = \"{SALES}\"\n[carrier.twilio.outbound_per_minute_usd]\n\"+1\" = 0.0140\n"
    )
}

/// When the agent has been silent for half a second, the caller says this.
pub fn says(sound: &[i16]) -> Step {
    Step {
        when: When::Replies { after_ms: 500 },
        act: Act::Say(sound.into()),
    }
}

/// When the agent has said something and been silent, the caller hangs up.
pub fn hangs_up() -> Step {
    Step {
        when: When::Replies { after_ms: 1_000 },
        act: Act::HangUp,
    }
}

/// What became of the functions of a call.
pub fn outcomes(facts: &[Fact]) -> Vec<(String, Outcome)> {
    let tools = facts.iter().filter_map(|fact| match &fact.what {
        What::Tool { name, outcome, .. } => Some((name.to_string(), *outcome)),
        _ => None,
    });
    tools.collect()
}

/// A server of functions on this machine.
pub struct Shop {
    at: String,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Shop {
    pub async fn open() -> Shop {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let at = format!("http://{}", listener.local_addr().expect("an address"));
        let asked: Arc<Mutex<Vec<String>>> = Arc::default();
        let seen = asked.clone();
        let doors = Router::new().fallback(move |request| serve(request, seen.clone()));
        tokio::spawn(async { axum::serve(listener, doors).await });
        Shop { at, asked }
    }

    /// A function at this path, as a configuration has it.
    pub fn tool(&self, path: &str) -> String {
        let at = &self.at;
        format!(
            r#"
[tool.orders]
description = "Look up an order by its number."
url = "{at}{path}"
timeout = "1s"
[tool.orders.parameters]
type = "object"
required = ["order"]
properties.order = {{ type = "string", maxLength = 10 }}
"#
        )
    }

    /// The paths that were asked for, and with what.
    pub fn asked(&self) -> Vec<String> {
        self.asked.lock().expect("a list").clone()
    }
}

async fn serve(request: Request, seen: Arc<Mutex<Vec<String>>>) -> Response {
    let path = request.uri().path().to_string();
    let body = axum::body::to_bytes(request.into_body(), 100_000).await;
    let body = String::from_utf8_lossy(&body.expect("a body")).to_string();
    seen.lock().expect("a list").push(format!("{path} {body}"));
    match &*path {
        "/hangs" => std::future::pending().await,
        "/long" => "x".repeat(10_000_000).into_response(),
        "/page" => ([(CONTENT_TYPE, "text/html")], "<p>Hello").into_response(),
        _ => "{\"state\":\"sent\"}".into_response(),
    }
}

//! A shop whose functions answer well or badly, and a box of tools made from a configuration as anybody would write it.

use axum::Router;
use axum::body::{Body, Bytes, to_bytes};
use axum::extract::{Request, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use futures_util::stream;
use ringfence::call::tools::{Outcome, ToolCall};
use ringfence::tools::{Caller, Toolbox};
use ringfence::units::{CallId, Id, Phone};
use std::convert::Infallible;
use std::sync::{Arc, Mutex};
use tokio::net::TcpListener;
use tokio::sync::mpsc;

/// Everything a configuration needs but tools.
const REST: &str = r#"
[server]
public_url = "https://bot.acme.test"
[model.main]
model = "gpt-realtime-2.1"
[agent.front-desk]
numbers = ["*"]
instructions = "You answer the phone for Acme."
"#;

/// What stands in the environment.
const VARIABLES: [(&str, &str); 4] = [
    ("OPENAI_API_KEY", "sk-1"),
    ("TWILIO_ACCOUNT_SID", "AC0123456789abcdef0123456789abcdef"),
    ("TWILIO_AUTH_TOKEN", "token-1"),
    ("ORDERS_TOKEN", "Bearer orders-very-secret"),
];

/// The tools of a configuration; `AT` in it is where a server is.
pub async fn toolbox(text: &str, at: &str) -> Toolbox {
    ringfence::app::install_cryptography();
    let text = format!("{REST}{}", text.replace("AT", at));
    let variables = VARIABLES.map(|(name, value)| (name.to_string(), value.to_string()));
    let settings = ringfence::config::parse("tools.toml", &text, variables);
    let settings = settings.unwrap_or_else(|mistakes| {
        let told: Vec<String> = mistakes.iter().map(ToString::to_string).collect();
        panic!("{}", told.join("\n"))
    });
    Toolbox::open(settings.tools).await.expect("a toolbox")
}

pub fn about() -> Caller {
    Caller {
        call: CallId::from("rf-1"),
        carrier_call: Id::from("CA1"),
        agent: "front-desk".into(),
        number: Phone::from("+14155550123"),
    }
}

/// Calls a tool as the model would.
pub async fn ask(toolbox: &Toolbox, name: &str, arguments: &str) -> (Outcome, String) {
    let call = ToolCall {
        tool_call: Id::from("fc-1"),
        name: name.to_string(),
        arguments: arguments.to_string(),
    };
    let result = toolbox.call(call, &about()).await;
    assert_eq!(result.tool_call, Id::from("fc-1"));
    (result.outcome, result.output)
}

/// A server of functions on this machine.
pub struct Shop {
    pub at: String,
    seen: Arc<Mutex<Vec<String>>>,
    /// One word for each endless answer that somebody stopped reading.
    pub closed: mpsc::UnboundedReceiver<()>,
}

#[derive(Clone)]
struct Desk {
    seen: Arc<Mutex<Vec<String>>>,
    closed: mpsc::UnboundedSender<()>,
}

/// Tells when it is dropped.
struct Told(mpsc::UnboundedSender<()>);

impl Drop for Told {
    fn drop(&mut self) {
        let _ = self.0.send(());
    }
}

impl Shop {
    pub async fn open() -> Shop {
        let (told, closed) = mpsc::unbounded_channel();
        let seen: Arc<Mutex<Vec<String>>> = Arc::default();
        let desk = Desk {
            seen: seen.clone(),
            closed: told,
        };
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let at = format!("http://{}", listener.local_addr().expect("an address"));
        let doors = Router::new().fallback(serve).with_state(desk);
        tokio::spawn(async { axum::serve(listener, doors).await });
        Shop { at, seen, closed }
    }

    /// What it was asked, in order: method, path and query, body, and the headers that matter.
    pub fn seen(&self) -> Vec<String> {
        self.seen.lock().expect("a list").clone()
    }
}

async fn serve(State(desk): State<Desk>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let body = to_bytes(body, 100_000).await.expect("a body");
    let interesting = |name: &&str| name.starts_with("x-") || *name == "authorization";
    let mut headers: Vec<String> = parts
        .headers
        .iter()
        .filter(|(name, _)| interesting(&name.as_str()))
        .map(|(name, value)| format!("{name}={}", value.to_str().expect("text")))
        .collect();
    headers.sort();
    let body = String::from_utf8_lossy(&body);
    let asked = format!(
        "{} {} {body} {}",
        parts.method,
        parts.uri,
        headers.join(" ")
    );
    desk.seen.lock().expect("a list").push(asked);
    answer(parts.uri.path(), &parts.uri, desk.closed).await
}

async fn answer(path: &str, uri: &axum::http::Uri, closed: mpsc::UnboundedSender<()>) -> Response {
    let html = [(header::CONTENT_TYPE, "text/html; charset=utf-8")];
    match path {
        "/hang" => std::future::pending().await,
        "/endless" => {
            let told = Told(closed);
            let chunks = stream::repeat_with(move || {
                let _ = &told;
                Ok::<_, Infallible>(Bytes::from_static(&[b'x'; 1000]))
            });
            Body::from_stream(chunks).into_response()
        }
        "/page" => (html, "<p>Hello").into_response(),
        "/hidden-page" => "<!doctype html><p>Hello".into_response(),
        "/broken" => {
            let body = format!("{{\"error\":\"{}\"}}", "no such order ".repeat(100));
            (StatusCode::INTERNAL_SERVER_ERROR, body).into_response()
        }
        "/broken-page" => (StatusCode::BAD_GATEWAY, html, "<p>Sorry").into_response(),
        "/moved" => {
            let to = uri.query().unwrap_or_default().to_string();
            (StatusCode::TEMPORARY_REDIRECT, [(header::LOCATION, to)]).into_response()
        }
        "/picture" => ([(header::CONTENT_TYPE, "image/png")], vec![0_u8; 10]).into_response(),
        "/latin" => ([(header::CONTENT_TYPE, "text/plain")], b"caf\xe9".to_vec()).into_response(),
        "/nothing" => StatusCode::NO_CONTENT.into_response(),
        _ => "{\"state\":\"sent\"}".into_response(),
    }
}

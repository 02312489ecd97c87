//! A server of tools as the protocol describes one (Streamable HTTP, revision 2025-06-18), written here from the
//! specification alone: it answers in JSON or in a stream of events, forgets sessions, and misbehaves when asked to.

use axum::Router;
use axum::body::{Bytes, to_bytes};
use axum::extract::{Request, State};
use axum::http::{HeaderMap, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};
use std::sync::{Arc, Mutex};
use tokio::net::TcpListener;

/// How it answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flavour {
    Json,
    Events,
}

/// The server, and what was asked of it.
#[derive(Clone)]
pub struct Server {
    pub at: String,
    flavour: Flavour,
    memory: Arc<Mutex<Memory>>,
}

#[derive(Default)]
struct Memory {
    sessions: u32,
    /// The one session that is not forgotten.
    live: Option<String>,
    methods: Vec<String>,
}

impl Server {
    pub async fn open(flavour: Flavour) -> Server {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let server = Server {
            at: format!("http://{}", listener.local_addr().expect("an address")),
            flavour,
            memory: Arc::default(),
        };
        let doors = Router::new().fallback(serve).with_state(server.clone());
        tokio::spawn(async { axum::serve(listener, doors).await });
        server
    }

    /// Loses its session, as a server does that was started anew.
    pub fn forget(&self) {
        self.memory.lock().expect("a memory").live = None;
    }

    /// What was asked, in order.
    pub fn asked(&self) -> Vec<String> {
        self.memory.lock().expect("a memory").methods.clone()
    }

    /// How many sessions were begun.
    pub fn sessions(&self) -> u32 {
        self.memory.lock().expect("a memory").sessions
    }

    fn begin(&self) -> String {
        let mut memory = self.memory.lock().expect("a memory");
        memory.sessions += 1;
        let session = format!("session-{}", memory.sessions);
        memory.live = Some(session.clone());
        session
    }

    fn knows(&self, headers: &HeaderMap) -> bool {
        let named = headers
            .get("mcp-session-id")
            .and_then(|id| id.to_str().ok());
        named.is_some() && named == self.memory.lock().expect("a memory").live.as_deref()
    }

    fn reply(&self, id: &Value, result: (&str, Value)) -> Response {
        let (kind, result) = result;
        let message = json!({"jsonrpc": "2.0", "id": id, kind: result}).to_string();
        match self.flavour {
            Flavour::Json => {
                ([(header::CONTENT_TYPE, "application/json")], message).into_response()
            }
            Flavour::Events => {
                let news = json!({
                    "jsonrpc": "2.0",
                    "method": "notifications/message",
                    "params": {"level": "info", "data": "thinking"}
                });
                let events = format!("event: message\ndata: {news}\n\ndata: {message}\n\n");
                ([(header::CONTENT_TYPE, "text/event-stream")], events).into_response()
            }
        }
    }
}

async fn serve(State(server): State<Server>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let authorization = parts.headers.get("authorization");
    if authorization.is_none_or(|value| value != "Bearer orders-very-secret") {
        return StatusCode::UNAUTHORIZED.into_response();
    }
    match parts.method {
        Method::POST => {}
        Method::DELETE => return StatusCode::OK.into_response(),
        _ => return StatusCode::METHOD_NOT_ALLOWED.into_response(),
    }
    let body: Bytes = to_bytes(body, 100_000).await.expect("a body");
    let message: Value = serde_json::from_slice(&body).expect("JSON");
    let method = message["method"].as_str().unwrap_or("").to_string();
    let (id, params) = (&message["id"], &message["params"]);
    {
        let mut memory = server.memory.lock().expect("a memory");
        memory.methods.push(method.clone());
    }
    if method == "initialize" {
        let session = server.begin();
        let result = json!({
            "protocolVersion": "2025-06-18",
            "capabilities": {"tools": {}},
            "serverInfo": {"name": "shop", "version": "1"}
        });
        let mut reply = server.reply(id, ("result", result));
        let session = session.parse().expect("a header");
        reply.headers_mut().insert("mcp-session-id", session);
        return reply;
    }
    if !server.knows(&parts.headers) {
        return StatusCode::NOT_FOUND.into_response();
    }
    match method.as_str() {
        "tools/list" => server.reply(id, ("result", list(params))),
        "tools/call" => called(&server, id, params).await,
        _ => StatusCode::ACCEPTED.into_response(),
    }
}

/// Two pages of tools.
fn list(params: &Value) -> Value {
    let tool = |name: &str, schema: Value| json!({"name": name, "description": "ä".repeat(2000), "inputSchema": schema});
    let free = json!({"type": "object"});
    if params["cursor"].is_null() {
        let what = json!({
            "type": "object",
            "required": ["what"],
            "properties": {"what": {"type": "string"}}
        });
        let circle = json!({"type": "object", "$ref": "#"});
        return json!({
            "tools": [tool("find item", what), tool("circle", circle)],
            "nextCursor": "2"
        });
    }
    let names = ["fail", "complain", "hang", "huge", "mixed", "find_item"];
    json!({"tools": names.map(|name| tool(name, free.clone()))})
}

async fn called(server: &Server, id: &Value, params: &Value) -> Response {
    let text = |text: &str| json!({"type": "text", "text": text});
    let content = match params["name"].as_str().unwrap_or("") {
        "hang" => std::future::pending().await,
        "huge" => json!([text(&"x".repeat(10 << 20))]),
        "mixed" => json!([
            text("one"),
            {"type": "image", "data": "AAAA", "mimeType": "image/png"},
            {"type": "resource", "resource": {"uri": "file:///a", "text": "two"}},
        ]),
        "fail" => {
            let result = json!({"content": [text("out of stock")], "isError": true});
            return server.reply(id, ("result", result));
        }
        "complain" => {
            let error = json!({"code": -32602, "message": "no such item"});
            return server.reply(id, ("error", error));
        }
        _ => json!([text(&format!(
            "{} {}",
            params["arguments"], params["_meta"]["ringfence/call"]
        ))]),
    };
    server.reply(id, ("result", json!({"content": content})))
}

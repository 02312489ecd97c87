//! `[tool.NAME]` and `[mcp.NAME]`: what a model may have done outside the call, where that is, and what it may take.
//!
//! What a function's arguments must be is compiled here, so that a schema which is none is found before anybody calls;
//! and every limit has a default, so that none is missing because nobody thought of it.

use super::outside::{Outside, address};
use super::section::Section;
use super::tree::{Node, Value as Written};
use crate::call::tools::{BUILT_IN, Tool as Terms};
use crate::realtime::Tool;
use crate::tools::{Function, Headers, Limits, Offer, Schema, Server, Settings, Template};
use crate::units::{Secret, Usd};
use reqwest::Method;
use reqwest::header::{HeaderName, HeaderValue};
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use std::time::Duration;

/// A function is the provider's, and has at most so many letters there.
const LONGEST_NAME: usize = 64;

/// The names of a server's tools begin with its own.
const LONGEST_SERVER_NAME: usize = 32;

/// The longest description, in bytes: the model reads it before every answer.
const LONGEST_DESCRIPTION: usize = 1024;

/// What the protocols themselves, or we, say in a request.
const RESERVED: [&str; 11] = [
    "accept",
    "connection",
    "content-length",
    "content-type",
    "host",
    "last-event-id",
    "mcp-protocol-version",
    "mcp-session-id",
    "te",
    "transfer-encoding",
    "upgrade",
];

const METHODS: [(&str, usize); 5] = [
    ("GET", 0),
    ("POST", 1),
    ("PUT", 2),
    ("PATCH", 3),
    ("DELETE", 4),
];

/// Reads both families. Where a mistake was noted, a tool is left out, or something stands in its place.
pub(super) fn tools(root: &Section<'_>, outside: &Outside<'_>) -> Settings {
    let mut settings = Settings::default();
    let mut taken: BTreeMap<String, String> = BTreeMap::new();
    for (name, section) in root.family("tool") {
        named(name, LONGEST_NAME, &section);
        taken.insert(name.to_string(), format!("[tool.{name}]"));
        settings.functions.extend(function(name, &section, outside));
        section.finish();
    }
    for (name, section) in root.family("mcp") {
        named(name, LONGEST_SERVER_NAME, &section);
        let server = server(name, &section, outside);
        let tools = server.tools.iter().flatten();
        let tools = tools.map(|tool| server.name_of(tool));
        for name in std::iter::once(name.to_string()).chain(tools) {
            let here = format!("[{}]", section.header());
            if let Some(owner) = taken.insert(name.clone(), here) {
                let what = format!("{name:?} is the name of a tool of {owner} already");
                section.mistake("", &what, "rename one of the sections");
            }
        }
        settings.servers.push(server);
        section.finish();
    }
    settings
}

fn named(name: &str, longest: usize, section: &Section<'_>) {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    if name.is_empty() || name.len() > longest || !name.bytes().all(plain) {
        let what = format!("a name here is at most {longest} letters, digits, - and _");
        section.mistake("", &what, "rename the section");
    }
    if BUILT_IN.contains(&name) {
        let what = format!("{name} is what Ringfence itself does");
        section.mistake("", &what, "rename the section");
    }
}

fn function(name: &str, section: &Section<'_>, outside: &Outside<'_>) -> Option<Function> {
    let description = description(section);
    let url = url(section);
    let method = method(section);
    let limits = limits(section);
    let price = section.money("price_usd").unwrap_or(Usd::ZERO);
    let headers = headers(section, outside);
    let caller = section.flag("caller").unwrap_or(false);
    let (parameters, schema) = parameters(section)?;
    let url = template(section, &url?, &parameters)?;
    Some(Function {
        offer: Offer {
            terms: Terms {
                name: name.to_string(),
                price,
                timeout_ms: millis(limits.timeout),
            },
            tool: Tool {
                name: name.to_string(),
                description: description?,
                parameters,
            },
        },
        schema,
        method,
        url,
        headers,
        caller,
        limits,
    })
}

fn server(name: &str, section: &Section<'_>, outside: &Outside<'_>) -> Server {
    let url = url(section);
    let limits = limits(section);
    let price = section.money("price_usd").unwrap_or(Usd::ZERO);
    let headers = headers(section, outside);
    let tools = section.texts("tools");
    let most = crate::tools::MOST_TOOLS_OF_A_SERVER;
    match tools.as_deref() {
        Some([]) => {
            let fix = "name at least one, or take it out for all of them";
            section.mistake("tools", "is empty", fix);
        }
        Some(tools) if tools.len() > most => {
            let what = format!("names {} tools, of {most} at most", tools.len());
            section.mistake(
                "tools",
                &what,
                "name those that are needed on the telephone",
            );
        }
        _ => {}
    }
    Server {
        name: name.to_string(),
        url: url.unwrap_or_default(),
        headers,
        tools,
        price,
        limits,
    }
}

fn description(section: &Section<'_>) -> Option<String> {
    let fix = "say what it does and when to use it: the model knows nothing else of it";
    let Some(text) = section.text("description") else {
        if !section.has("description") {
            section.mistake("description", "is missing", fix);
        }
        return None;
    };
    let text = text.trim();
    if text.is_empty() {
        section.mistake("description", "is empty", fix);
    }
    if text.len() > LONGEST_DESCRIPTION {
        let what = format!("has {} bytes, of {LONGEST_DESCRIPTION} at most", text.len());
        let fix = "shorten it: the model reads it before every answer";
        section.mistake("description", &what, fix);
    }
    Some(text.to_string())
}

fn url(section: &Section<'_>) -> Option<String> {
    let Some(text) = section.text("url") else {
        if !section.has("url") {
            section.mistake("url", "is missing", "write it as https://host/path");
        }
        return None;
    };
    let text = text.trim().to_string();
    // A slash at its end is kept, for some servers insist on it.
    address(section, "url", &text, ("https", "http")).map(|_| text)
}

fn method(section: &Section<'_>) -> Method {
    match section.choice("method", &METHODS) {
        Some(0) => Method::GET,
        Some(2) => Method::PUT,
        Some(3) => Method::PATCH,
        Some(4) => Method::DELETE,
        _ => Method::POST,
    }
}

fn limits(section: &Section<'_>) -> Limits {
    let timeout_ms = section.time("timeout").unwrap_or(4000);
    if !(100..=30_000).contains(&timeout_ms) {
        let fix = "write \"4s\": the caller waits meanwhile";
        section.mistake("timeout", "must be from 100ms to 30s", fix);
    }
    let whole = |key, least, most, default: usize| {
        let written = section.whole(key, least, most);
        written
            .and_then(|n| usize::try_from(n).ok())
            .unwrap_or(default)
    };
    Limits {
        timeout: Duration::from_millis(timeout_ms),
        max_answer_bytes: whole("max_answer_bytes", 256, 16_384, 4096),
        max_at_once: whole("max_at_once", 1, 1000, 16),
    }
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

/// `headers = { Authorization = "env:ORDERS_TOKEN" }`. No value is repeated in a mistake.
fn headers(section: &Section<'_>, outside: &Outside<'_>) -> Headers {
    let mut headers = Headers::new();
    let Some(node) = section.written("headers") else {
        return headers;
    };
    let Written::Table(pairs) = &node.value else {
        let fix = "write it as { Authorization = \"env:ORDERS_TOKEN\" }";
        section.mistake("headers", "must be names and values", fix);
        return headers;
    };
    for (name, node) in pairs {
        let wrong = |what: &str, fix: &str| {
            section.mistake("headers", &format!("{name:?} {what}"), fix);
        };
        let known = HeaderName::from_bytes(name.as_bytes());
        let Ok(header) = known else {
            wrong("is not the name of a header", "use letters, digits and -");
            continue;
        };
        if RESERVED.contains(&header.as_str()) || header.as_str().starts_with("x-ringfence-") {
            wrong("is said by Ringfence itself", "take it out");
            continue;
        }
        let (Written::Text(text) | Written::Bare(text)) = &node.value else {
            wrong("must be text", "put its value in quotes");
            continue;
        };
        let value = match text.strip_prefix("env:") {
            None => text.trim(),
            Some(variable) => match outside.variable(variable.trim()) {
                Some(value) => value,
                None => {
                    let fix = format!("set it: [{}] sends it as {name}", section.header());
                    outside.mistake(variable.trim(), "is not set", &fix);
                    continue;
                }
            },
        };
        if value.is_empty() || !value.is_ascii() || HeaderValue::from_str(value).is_err() {
            let fix = "put the value there and nothing else";
            wrong(
                "has no value, or one with breaks or letters beyond ASCII",
                fix,
            );
            continue;
        }
        headers.push((header, Secret::from(value.to_string())));
    }
    headers
}

/// JSON Schema, written as TOML.
fn parameters(section: &Section<'_>) -> Option<(Value, Schema)> {
    let parameters = match section.written("parameters") {
        None => serde_json::json!({"type": "object", "properties": {}}),
        Some(node) => json(node)
            .map_err(|what| section.mistake("parameters", &what, "write JSON Schema, as TOML"))
            .ok()?,
    };
    match Schema::compile(&parameters) {
        Ok(schema) => Some((parameters, schema)),
        Err(what) => {
            section.mistake("parameters", &what, "write JSON Schema, as TOML");
            None
        }
    }
}

/// The address, whose places only arguments fill that are always there.
fn template(section: &Section<'_>, url: &str, parameters: &Value) -> Option<Template> {
    let template = Template::parse(url)
        .map_err(|what| section.mistake("url", what, "write it as https://host/orders/{order}"))
        .ok()?;
    for name in template.arguments() {
        let required = parameters["required"].as_array();
        let is_required = required.is_some_and(|names| names.iter().any(|one| one == name));
        if !is_required || parameters["properties"].get(name).is_none() {
            let what = format!("{{{name}}} is not an argument that is always there");
            let fix = format!(
                "add it to properties and to required of [{}.parameters]",
                section.header()
            );
            section.mistake("url", &what, &fix);
        }
    }
    Some(template)
}

/// A value of the file as JSON.
fn json(node: &Node) -> Result<Value, String> {
    let wrong = || format!("{}: is nothing that JSON has", node.place);
    match &node.value {
        Written::Table(pairs) => {
            let pairs = pairs
                .iter()
                .map(|(key, node)| Ok((key.clone(), json(node)?)));
            pairs.collect::<Result<Map<_, _>, _>>().map(Value::Object)
        }
        Written::List(items) => items
            .iter()
            .map(json)
            .collect::<Result<_, _>>()
            .map(Value::Array),
        Written::Text(text) | Written::Bare(text) => Ok(Value::String(text.clone())),
        Written::Flag(flag) => Ok(Value::Bool(*flag)),
        Written::Number(digits) => {
            // TOML takes +1 and 1_000, and numbers that JSON has no word for.
            let digits = digits.trim_start_matches('+').replace('_', "");
            serde_json::from_str(&digits).map_err(|_| wrong())
        }
        Written::Other => Err(wrong()),
    }
}

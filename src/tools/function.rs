//! Asks one function of your own over HTTP, once.
//!
//! Nobody but the function knows whether asking it twice would do its work twice, so nothing is repeated. Of what comes
//! back as much is read as could be told to the model, and then the connection is closed on the rest.

use super::answer::{Answer, cut, is_web_page};
use super::{Caller, Function, Template, Unable, sensitive};
use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use reqwest::{Client, Method, RequestBuilder, Response, StatusCode};
use serde_json::{Map, Value};

/// The most of a refusal's own words that the model is told, in bytes.
const LONGEST_REASON: usize = 200;

/// One function, and how to ask it.
#[derive(Debug)]
pub(super) struct Endpoint {
    client: Client,
    method: Method,
    url: Template,
    headers: HeaderMap,
    caller: bool,
    max_answer_bytes: usize,
}

/// What was read of a body.
struct Body {
    text: String,
    /// What it is labelled as, in lower case and without parameters; empty where it is not.
    kind: String,
}

impl Endpoint {
    pub(super) fn new(client: Client, function: Function) -> Result<Endpoint, Unable> {
        Ok(Endpoint {
            client,
            headers: sensitive(&function.headers)?,
            method: function.method,
            url: function.url,
            caller: function.caller,
            max_answer_bytes: function.limits.max_answer_bytes,
        })
    }

    /// Sends the arguments, and tells what came back. Has no timeout of its own.
    pub(super) async fn ask(&self, arguments: Map<String, Value>, about: &Caller) -> Answer {
        let request = match self.request(arguments, about) {
            Ok(request) => request,
            Err(why) => return Answer::misfit(why),
        };
        let mut response = match request.send().await {
            Ok(response) => response,
            // The error names the address, arguments included, and so is never printed.
            Err(error) if error.is_connect() => return Answer::unreachable(),
            Err(_) => return Answer::broken(),
        };
        let status = response.status();
        let most = match status.is_success() {
            // Twice, because what is no text grows or shrinks when it is made into some.
            true => self.max_answer_bytes * 2 + 1024,
            false => 1024,
        };
        let Ok(body) = read(&mut response, most).await else {
            return Answer::broken();
        };
        match status {
            status if !status.is_success() => refused(status, body),
            _ if body.is_web_page() => Answer::web_page(),
            _ if body.is_text() => Answer::done(body.text),
            _ => {
                let text = format!("The tool answered with {} instead of text.", body.kind);
                Answer::failed("not text", text)
            }
        }
    }

    fn request(
        &self,
        mut arguments: Map<String, Value>,
        about: &Caller,
    ) -> Result<RequestBuilder, String> {
        let mut url = self.url.fill(&mut arguments)?;
        let has_body = !matches!(self.method, Method::GET | Method::DELETE);
        if !has_body && !arguments.is_empty() {
            let mut query = url.query_pairs_mut();
            for (name, value) in &arguments {
                match value {
                    Value::Null => continue,
                    Value::String(text) => query.append_pair(name, text),
                    other => query.append_pair(name, &other.to_string()),
                };
            }
        }
        let mut headers = self.headers.clone();
        let mut tell = |name: &'static str, text: &str, is_sensitive: bool| {
            // A carrier's id that is no header's value is left out: it would be a strange one.
            if let Ok(mut value) = HeaderValue::from_str(text) {
                value.set_sensitive(is_sensitive);
                headers.insert(HeaderName::from_static(name), value);
            }
        };
        tell("x-ringfence-call", about.call.as_str(), false);
        tell(
            "x-ringfence-carrier-call",
            about.carrier_call.as_str(),
            false,
        );
        tell("x-ringfence-agent", &about.agent, false);
        if self.caller && about.number.is_e164() {
            tell("x-ringfence-caller", about.number.reveal(), true);
        }
        let request = self
            .client
            .request(self.method.clone(), url)
            .headers(headers);
        Ok(match has_body {
            true => request.json(&arguments),
            false => request,
        })
    }
}

/// Reads so much of a body and no more.
async fn read(response: &mut Response, most: usize) -> Result<Body, reqwest::Error> {
    let kind = response.headers().get(CONTENT_TYPE);
    let kind = kind.and_then(|kind| kind.to_str().ok()).unwrap_or("");
    let kind = kind.split(';').next().unwrap_or("").trim();
    let mut kind = kind.to_ascii_lowercase();
    cut(&mut kind, 64);
    let mut bytes = Vec::new();
    while bytes.len() < most
        && let Some(chunk) = response.chunk().await?
    {
        let room = most - bytes.len();
        bytes.extend_from_slice(&chunk[..chunk.len().min(room)]);
    }
    let text = String::from_utf8_lossy(&bytes).into_owned();
    Ok(Body { text, kind })
}

impl Body {
    fn is_web_page(&self) -> bool {
        matches!(self.kind.as_str(), "text/html" | "application/xhtml+xml")
            || is_web_page(&self.text)
    }

    /// Whether it is labelled as something that can be read out, or not at all.
    fn is_text(&self) -> bool {
        let kind = self.kind.as_str();
        let parts = ["json", "xml", "yaml", "x-www-form-urlencoded", "csv"];
        kind.is_empty() || kind.starts_with("text/") || parts.iter().any(|part| kind.contains(part))
    }
}

/// What is said of an answer that is none: its status in words, and the beginning of its own.
fn refused(status: StatusCode, body: Body) -> Answer {
    if status.is_redirection() {
        let text = "The tool has moved elsewhere and cannot be asked.";
        return Answer::failed("a redirect", text);
    }
    let reason = status.canonical_reason().unwrap_or("no known status");
    let mut said = format!("The tool answered {}, {reason}.", status.as_u16());
    let mut own = body.text.trim().to_string();
    if !own.is_empty() && body.is_text() && !body.is_web_page() {
        cut(&mut own, LONGEST_REASON);
        said.push_str(" It said: ");
        said.push_str(&own);
    }
    let why = match status.as_u16() {
        401 | 403 => "not authorized",
        400..500 => "a client error",
        _ => "a server error",
    };
    Answer::failed(why, said)
}

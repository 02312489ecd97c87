//! Tools of a server that speaks the Model Context Protocol, offered as if they were functions of our own.
//!
//! The speech model's provider could speak to such a server by itself, and nobody could say what that will cost. So we
//! speak to it: each of its tools is one of the agent's, its arguments are checked here, and its answer is cut here.

use super::answer::{Answer, cut, is_web_page};
use super::{
    Caller, MOST_TOOLS_OF_A_SERVER, Offer, Schema, Server, Terms, Tool, Unable, sensitive,
};
use reqwest::Client;
use reqwest::header::{HeaderName, HeaderValue};
use rmcp::model::{
    CallToolRequestParams, CallToolResult, ClientCapabilities, ClientConfig, ContentBlock,
    Implementation, JsonObject, MetaObject, PaginatedRequestParams, RequestMetaObject,
    ResourceContents,
};
use rmcp::service::{
    ClientInitializeError, RoleClient, RunningService, ServiceError, serve_client,
};
use rmcp::transport::common::client_side_sse::ExponentialBackoff;
use rmcp::transport::streamable_http_client::{
    StreamableHttpClientTransport, StreamableHttpClientTransportConfig, StreamableHttpError,
};
use serde_json::{Map, Value};
use std::collections::HashMap;
use std::error::Error;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Mutex;

/// How long a server may take to say what it offers.
const LIST_PATIENCE: Duration = Duration::from_secs(5);

/// How often it is asked.
const LIST_TRIES: usize = 2;

/// The most pages of its list that are read.
const MOST_PAGES: usize = 16;

/// The most of one message that is read, in bytes: a list of tools, or an answer before it is cut. A longer one is none.
const LARGEST_MESSAGE: usize = 512 << 10;

/// The longest description of a tool, in bytes: the model reads it before every answer.
const LONGEST_DESCRIPTION: usize = 1024;

/// The most of a complaint that the model is told, in bytes.
const LONGEST_REASON: usize = 200;

/// A session that lives as long as somebody holds on to it: who gives it up takes it from nobody who still waits in it.
type Shared = Arc<RunningService<RoleClient, ClientConfig>>;

/// One server, and the session with it while there is one. All calls share it.
pub(super) struct Session {
    client: Client,
    server: Server,
    headers: HashMap<HeaderName, HeaderValue>,
    running: Mutex<Option<Shared>>,
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Session({})", self.server.name)
    }
}

/// A tool that a server has.
pub(super) enum Listed {
    /// It is offered.
    Kept(Box<(String, (Offer, Schema))>),
    /// It is not.
    Left {
        /// What the server calls it.
        tool: String,
        /// In words for whoever runs this.
        why: String,
    },
}

impl Session {
    pub(super) fn new(client: Client, server: Server) -> Result<Session, Unable> {
        let headers = sensitive(&server.headers)?;
        let headers = headers
            .into_iter()
            .filter_map(|(name, value)| Some((name?, value)));
        Ok(Session {
            client,
            headers: headers.collect(),
            server,
            running: Mutex::default(),
        })
    }

    pub(super) fn server(&self) -> &Server {
        &self.server
    }

    /// Asks the server what it offers.
    ///
    /// # Errors
    /// Why there is no answer, in words for a log. What the server itself says is never among them.
    pub(super) async fn list(&self) -> Result<Vec<Listed>, String> {
        let mut why = String::new();
        for _ in 0..LIST_TRIES {
            match tokio::time::timeout(LIST_PATIENCE, self.pages()).await {
                Ok(Ok(tools)) => return Ok(self.chosen(tools)),
                Ok(Err(wrong)) => why = wrong.to_string(),
                Err(_) => why = format!("no answer within {} s", LIST_PATIENCE.as_secs()),
            }
        }
        Err(why)
    }

    async fn pages(&self) -> Result<Vec<rmcp::model::Tool>, &'static str> {
        let session = self.session().await?;
        let mut tools = Vec::new();
        let mut cursor = None;
        for _ in 0..MOST_PAGES {
            let asked = PaginatedRequestParams::default().with_cursor(cursor);
            let page = match session.peer().list_tools(Some(asked)).await {
                Ok(page) => page,
                Err(error) => {
                    self.give_up(&session).await;
                    return Err(in_words(&error));
                }
            };
            tools.extend(page.tools);
            cursor = page.next_cursor;
            if cursor.is_none() {
                return Ok(tools);
            }
        }
        Err("its list of tools has no end")
    }

    /// Which of its tools are offered, and as what.
    fn chosen(&self, tools: Vec<rmcp::model::Tool>) -> Vec<Listed> {
        let left = |tool: &str, why: &str| Listed::Left {
            tool: tool.to_string(),
            why: why.to_string(),
        };
        let mut listed = Vec::new();
        if let Some(allowed) = &self.server.tools {
            let has = |name: &&String| !tools.iter().any(|tool| tool.name == name.as_str());
            let missing = allowed.iter().filter(has);
            listed.extend(missing.map(|name| left(name, "the server has no such tool")));
        }
        let allowed = |tool: &rmcp::model::Tool| match &self.server.tools {
            Some(allowed) => allowed.iter().any(|name| *name == tool.name),
            None => true,
        };
        let mut offered = 0;
        for tool in tools.into_iter().filter(allowed) {
            if offered == MOST_TOOLS_OF_A_SERVER {
                let why = format!(
                    "only {MOST_TOOLS_OF_A_SERVER} tools of a server are offered; name those in tools"
                );
                listed.push(left(&tool.name, &why));
                break;
            }
            listed.push(match self.offer(&tool) {
                Ok(offer) => {
                    offered += 1;
                    Listed::Kept(Box::new((tool.name.into_owned(), offer)))
                }
                Err(why) => left(&tool.name, &format!("its schema {why}")),
            });
        }
        listed
    }

    fn offer(&self, tool: &rmcp::model::Tool) -> Result<(Offer, Schema), String> {
        let parameters = Value::Object(tool.input_schema.as_ref().clone());
        let schema = Schema::compile(&parameters)?;
        let name = self.server.name_of(&tool.name);
        let described = tool.description.as_deref().or(tool.title.as_deref());
        let mut description = described.unwrap_or(&tool.name).to_string();
        cut(&mut description, LONGEST_DESCRIPTION);
        let offer = Offer {
            terms: Terms {
                name: name.clone(),
                price: self.server.price,
                timeout_ms: u64::try_from(self.server.limits.timeout.as_millis())
                    .unwrap_or(u64::MAX),
            },
            tool: Tool {
                name,
                description,
                parameters,
            },
        };
        Ok((offer, schema))
    }

    /// Calls a tool. Has no timeout of its own.
    pub(super) async fn ask(
        &self,
        tool: &str,
        arguments: Map<String, Value>,
        about: &Caller,
    ) -> Answer {
        let Ok(session) = self.session().await else {
            return Answer::unreachable();
        };
        let mut asked = CallToolRequestParams::new(tool.to_string()).with_arguments(arguments);
        asked.meta = Some(meta(about));
        match session.peer().call_tool(asked).await {
            Ok(result) => answer(result, self.server.limits.max_answer_bytes),
            Err(ServiceError::McpError(complaint)) => {
                let mut said = complaint.message.into_owned();
                cut(&mut said, LONGEST_REASON);
                Answer::failed("an error of the server", format!("The tool failed: {said}"))
            }
            Err(error) => match in_words(&error) {
                TOO_LONG => {
                    let text = "The tool answered far too much to be read.";
                    Answer::failed(TOO_LONG, text)
                }
                WEB_PAGE => Answer::web_page(),
                // Said of one answer that broke off, too: whether the session is over is asked when it is used next.
                CLOSED => Answer::broken(),
                _ => {
                    self.give_up(&session).await;
                    Answer::broken()
                }
            },
        }
    }

    /// Lets the next call begin another session than this one.
    async fn give_up(&self, session: &Shared) {
        let mut running = self.running.lock().await;
        running.take_if(|running| Arc::ptr_eq(running, session));
    }

    /// The session, begun if there is none. Who waits for somebody else to begin it gives up at a timeout of its own.
    async fn session(&self) -> Result<Shared, &'static str> {
        let mut running = self.running.lock().await;
        if let Some(running) = &*running
            && !running.is_closed()
            && !running.is_transport_closed()
        {
            return Ok(running.clone());
        }
        let mut config = StreamableHttpClientTransportConfig::with_uri(self.server.url.as_str())
            .custom_headers(self.headers.clone())
            .max_concurrent_requests(self.server.limits.max_at_once)
            .max_sse_event_size(LARGEST_MESSAGE)
            .max_json_response_size(LARGEST_MESSAGE)
            .max_error_response_size(0);
        let mut pauses = ExponentialBackoff::default();
        pauses.max_delay = Some(Duration::from_secs(60));
        config.retry_config = Arc::new(pauses);
        let transport = StreamableHttpClientTransport::with_client(self.client.clone(), config);
        let us = Implementation::new("ringfence", env!("CARGO_PKG_VERSION"));
        let us = ClientConfig::new(ClientCapabilities::default(), us);
        let begun = serve_client(us, transport).await;
        // What the error says may quote the server, so only what kind it is of is told.
        let begun = begun.map_err(|error| {
            let words = match &error {
                ClientInitializeError::TransportError { error, .. } => chain(error.error.as_ref()),
                ClientInitializeError::JsonRpcError(_) => Some(ITS_ERROR),
                _ => None,
            };
            words.unwrap_or("no session could be begun")
        })?;
        let begun = Arc::new(begun);
        *running = Some(begun.clone());
        Ok(begun)
    }
}

const TOO_LONG: &str = "the answer is too long";
const WEB_PAGE: &str = "a web page";
const ITS_ERROR: &str = "the server answered with an error";
const CLOSED: &str = "the connection closed";

/// What went wrong, in our words: those of the error may quote what the server said.
fn in_words(error: &ServiceError) -> &'static str {
    match error {
        ServiceError::McpError(_) => ITS_ERROR,
        ServiceError::TransportSend(wrong) => {
            chain(wrong.error.as_ref()).unwrap_or("the connection broke")
        }
        ServiceError::TransportClosed => CLOSED,
        ServiceError::UnexpectedResponse => "an answer of another kind",
        ServiceError::Cancelled { .. } => "the server took the request back",
        ServiceError::Timeout { .. } => "timed out",
        _ => "the connection broke",
    }
}

/// The first of an error's causes that we have words for.
fn chain(error: &(dyn Error + 'static)) -> Option<&'static str> {
    let mut next = Some(error);
    while let Some(error) = next {
        let words = match error.downcast_ref::<StreamableHttpError<reqwest::Error>>() {
            Some(StreamableHttpError::ResponseBodyTooLarge { .. }) => Some(TOO_LONG),
            Some(StreamableHttpError::UnexpectedContentType(Some(kind)))
                if kind.contains("html") =>
            {
                Some(WEB_PAGE)
            }
            Some(StreamableHttpError::UnexpectedContentType(_)) => {
                Some("an answer of another kind")
            }
            Some(
                StreamableHttpError::AuthRequired(_) | StreamableHttpError::InsufficientScope(_),
            ) => Some("not authorized"),
            // Without a challenge, the status is in the words alone.
            Some(StreamableHttpError::UnexpectedServerResponse(said))
                if said.starts_with("HTTP 401") || said.starts_with("HTTP 403") =>
            {
                Some("not authorized")
            }
            Some(StreamableHttpError::HttpStatus(_)) => Some("a server error"),
            Some(StreamableHttpError::Client(error)) if error.is_connect() => {
                Some("could not connect")
            }
            _ => None,
        };
        if words.is_some() {
            return words;
        }
        next = error.source();
    }
    None
}

/// Which call this is about, as the protocol's `_meta`.
fn meta(about: &Caller) -> RequestMetaObject {
    let pairs = [
        ("ringfence/call", about.call.as_str()),
        ("ringfence/carrier-call", about.carrier_call.as_str()),
        ("ringfence/agent", &about.agent),
    ];
    let pairs = pairs.map(|(key, value)| (key.to_string(), Value::from(value)));
    RequestMetaObject(MetaObject(JsonObject::from_iter(pairs)))
}

/// What a result says, in words.
fn answer(result: CallToolResult, most: usize) -> Answer {
    let mut text = String::new();
    for block in &result.content {
        // A little more than will be told, so that it is noticed where the text is cut.
        if text.len() > most {
            break;
        }
        if !text.is_empty() {
            text.push('\n');
        }
        match block {
            ContentBlock::Text(block) => text.push_str(&block.text),
            ContentBlock::Image(_) => text.push_str("[an image]"),
            ContentBlock::Audio(_) => text.push_str("[a sound]"),
            ContentBlock::ResourceLink(link) => {
                text.push_str(&format!("[a link: {}]", link.name));
            }
            ContentBlock::Resource(embedded) => match &embedded.resource {
                ResourceContents::TextResourceContents { text: own, .. } => text.push_str(own),
                _ => text.push_str("[a file]"),
            },
            _ => text.push_str("[something that is not text]"),
        }
    }
    if text.trim().is_empty()
        && let Some(structured) = &result.structured_content
    {
        text = structured.to_string();
    }
    match result.is_error {
        Some(true) if text.trim().is_empty() => {
            Answer::failed("an error of the tool", "The tool failed.")
        }
        Some(true) => Answer::failed("an error of the tool", text),
        _ if is_web_page(&text) => Answer::web_page(),
        _ => Answer::done(text),
    }
}

//! What the model may have done outside the call: functions of your own, over HTTP or MCP.
//!
//! A tool is somebody else's server, asked on behalf of a model that may ask for anything. So nothing is sent that does
//! not fit the tool's schema, nothing is waited for beyond its timeout, little is read of what comes back, and whatever
//! goes wrong is one sentence for the model and one line in the log: the call goes on, and no other call notices.

mod answer;
mod function;
mod mcp;
mod schema;
mod template;

pub use schema::{LARGEST_SCHEMA, Schema};
pub use template::Template;

use crate::call::tools::{Outcome, Tool as Terms, ToolCall, ToolResult};
use crate::realtime::Tool;
use crate::units::{CallId, Id, Phone, Secret, Usd};
use answer::{Answer, clip};
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use reqwest::{Client, Method, redirect};
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::Semaphore;

/// The most tools that one MCP server can offer: each is read again before every answer.
pub const MOST_TOOLS_OF_A_SERVER: usize = 32;

/// What every tool has.
#[derive(Clone, Debug)]
pub struct Offer {
    /// As the model is told of it.
    pub tool: Tool,
    /// As the call must know it.
    pub terms: Terms,
}

/// What a tool may take of us.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// It answers by then or not at all.
    pub timeout: Duration,
    /// The most bytes of an answer that the model is told.
    pub max_answer_bytes: usize,
    /// How many calls of it may be under way at once, in the whole process.
    pub max_at_once: usize,
}

/// What a request carries besides, by name. The values are never printed.
pub type Headers = Vec<(HeaderName, Secret)>;

/// A function of your own: `[tool.NAME]`.
#[derive(Clone, Debug)]
pub struct Function {
    /// Its name, its description and its price.
    pub offer: Offer,
    /// What its arguments must be.
    pub schema: Schema,
    /// How it is asked: with GET and DELETE its arguments are the query, otherwise a JSON body.
    pub method: Method,
    /// Where it is.
    pub url: Template,
    /// What is sent with each request.
    pub headers: Headers,
    /// Whether it is told the caller's number.
    pub caller: bool,
    /// What it may take.
    pub limits: Limits,
}

/// A server of tools: `[mcp.NAME]`.
#[derive(Clone, Debug)]
pub struct Server {
    /// Its name here; the names of its tools begin with it.
    pub name: String,
    /// Where it is.
    pub url: String,
    /// What is sent with each request.
    pub headers: Headers,
    /// The only tools of it that are offered; `None`: all, up to [`MOST_TOOLS_OF_A_SERVER`].
    pub tools: Option<Vec<String>>,
    /// What calling any of them once costs.
    pub price: Usd,
    /// What they may take: `max_at_once` together, the others each.
    pub limits: Limits,
}

impl Server {
    /// What the model calls a tool of this server: letters, digits, `_` and `-`, at most 64 of them.
    pub fn name_of(&self, tool: &str) -> String {
        let plain = |c: char| match c {
            c if c.is_ascii_alphanumeric() || c == '-' => c,
            _ => '_',
        };
        let whole = self.name.chars().chain(['_']).chain(tool.chars());
        whole.map(plain).take(64).collect()
    }
}

/// All tools there may be.
#[derive(Clone, Debug, Default)]
pub struct Settings {
    /// Functions of your own.
    pub functions: Vec<Function>,
    /// Servers of tools. What they offer is known when they have been asked.
    pub servers: Vec<Server>,
}

impl Settings {
    /// The function of this name.
    pub fn function(&self, name: &str) -> Option<&Offer> {
        let mut offers = self.functions.iter().map(|function| &function.offer);
        offers.find(|offer| offer.tool.name == name)
    }

    /// Whether an agent may name this: a function, a server (for all its tools), or what may be a tool of a server.
    pub fn may_offer(&self, name: &str) -> bool {
        let by = |server: &Server| match &server.tools {
            _ if server.name == name => true,
            Some(tools) => tools.iter().any(|tool| server.name_of(tool) == name),
            None => name
                .strip_prefix(&server.name)
                .is_some_and(|rest| rest.len() > 1 && rest.starts_with('_')),
        };
        self.function(name).is_some() || self.servers.iter().any(by)
    }

    /// Every name that is known before any server was asked, for hints about misspellings.
    pub fn names(&self) -> Vec<String> {
        let functions = self.functions.iter().map(|f| f.offer.tool.name.clone());
        let servers = self.servers.iter().flat_map(|server| {
            let tools = server.tools.iter().flatten();
            let tools = tools.map(|tool| server.name_of(tool));
            std::iter::once(server.name.clone()).chain(tools)
        });
        functions.chain(servers).collect()
    }
}

/// On whose behalf a tool is asked.
#[derive(Clone, Debug)]
pub struct Caller {
    /// Our name for the call.
    pub call: CallId,
    /// The carrier's name for it.
    pub carrier_call: Id,
    /// Who answers it.
    pub agent: Arc<str>,
    /// Who calls. Told only to a function whose settings say `caller = true`, and only if it is a number.
    pub number: Phone,
}

/// The tools cannot be used from this process: why, in words for a log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unable(pub String);

impl fmt::Display for Unable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "cannot use tools: {}", self.0)
    }
}

impl std::error::Error for Unable {}

/// Every tool there is, ready to be asked, by all calls of the process.
#[derive(Debug, Default)]
pub struct Toolbox {
    tools: BTreeMap<String, Ready>,
    /// The names of each server's tools.
    servers: BTreeMap<String, Vec<String>>,
    warnings: Vec<String>,
}

/// One tool, and how to ask it.
#[derive(Debug)]
struct Ready {
    offer: Offer,
    schema: Schema,
    limits: Limits,
    turns: Arc<Semaphore>,
    reach: Reach,
}

#[derive(Debug)]
enum Reach {
    Http(function::Endpoint),
    Mcp {
        session: Arc<mcp::Session>,
        /// What the server calls it.
        tool: String,
    },
}

impl Toolbox {
    /// Asks each server what it offers: at most twice, five seconds each time, all servers at once. One that cannot be reached is left out
    /// with a warning, since a telephone must not be dead because a server of tools is.
    ///
    /// # Errors
    /// Says why when no request can be sent from this process at all.
    pub async fn open(settings: Settings) -> Result<Toolbox, Unable> {
        let mut toolbox = Toolbox::default();
        if settings.functions.is_empty() && settings.servers.is_empty() {
            return Ok(toolbox);
        }
        let client = client()?;
        for function in settings.functions {
            let name = function.offer.tool.name.clone();
            let ready = Ready {
                schema: function.schema.clone(),
                limits: function.limits,
                turns: Arc::new(Semaphore::new(function.limits.max_at_once)),
                offer: function.offer.clone(),
                reach: Reach::Http(function::Endpoint::new(client.clone(), function)?),
            };
            toolbox.tools.insert(name, ready);
        }
        let sessions = settings.servers.into_iter().map(|server| {
            let session = mcp::Session::new(client.clone(), server)?;
            Ok(Arc::new(session))
        });
        let sessions = sessions.collect::<Result<Vec<_>, Unable>>()?;
        let listed = sessions.iter().map(|session| session.list());
        let listed = futures_util::future::join_all(listed).await;
        for (session, listed) in sessions.iter().zip(listed) {
            toolbox.welcome(session, listed);
        }
        Ok(toolbox)
    }

    /// Takes in what a server offers.
    fn welcome(&mut self, session: &Arc<mcp::Session>, listed: Result<Vec<mcp::Listed>, String>) {
        let server = session.server();
        let names = self.servers.entry(server.name.clone()).or_default();
        let tools = match listed {
            Ok(tools) => tools,
            Err(why) => {
                tracing::warn!(event = "mcp.unreachable", server = server.name, why);
                let name = &server.name;
                let warning = format!("[mcp.{name}]: {why}: its tools are left out");
                self.warnings.push(warning);
                return;
            }
        };
        let turns = Arc::new(Semaphore::new(server.limits.max_at_once));
        for listed in tools {
            let (tool, ready) = match listed {
                mcp::Listed::Kept(kept) => *kept,
                mcp::Listed::Left { tool, why } => {
                    self.warnings.push(left_out(&server.name, &tool, &why));
                    continue;
                }
            };
            let name = ready.0.tool.name.clone();
            if self.tools.contains_key(&name) {
                let why = format!("there is a {name} already");
                self.warnings.push(left_out(&server.name, &tool, &why));
                continue;
            }
            names.push(name.clone());
            let ready = Ready {
                offer: ready.0,
                schema: ready.1,
                limits: server.limits,
                turns: turns.clone(),
                reach: Reach::Mcp {
                    session: session.clone(),
                    tool,
                },
            };
            self.tools.insert(name, ready);
        }
        tracing::info!(
            event = "mcp.ready",
            server = server.name,
            tools = names.len()
        );
    }

    /// What a name in an agent's list of tools stands for: one tool, all tools of a server, or nothing that is there.
    pub fn offers(&self, name: &str) -> Vec<&Offer> {
        let names = match self.servers.get(name) {
            Some(names) => names.as_slice(),
            None => {
                return self
                    .tools
                    .get(name)
                    .map(|tool| &tool.offer)
                    .into_iter()
                    .collect();
            }
        };
        let tools = names.iter().filter_map(|name| self.tools.get(name));
        tools.map(|tool| &tool.offer).collect()
    }

    /// What was left out when the servers were asked, and why.
    pub fn warnings(&self) -> &[String] {
        &self.warnings
    }

    /// Calls a tool. Total: whatever the tool does, this comes back within its timeout, with at most its
    /// `max_answer_bytes`.
    pub async fn call(&self, call: ToolCall, about: &Caller) -> ToolResult {
        let begun = Instant::now();
        let ready = self.tools.get(&call.name);
        let answer = match ready {
            Some(ready) => ready.answer(&call.arguments, about).await,
            None => Answer::misfit("There is no such tool."),
        };
        let ms = u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX);
        // A name the model made up may hold anything.
        let tool = ready.map_or("unknown", |ready| &ready.offer.tool.name);
        let (outcome, bytes, why) = (answer.outcome.word(), answer.text.len(), answer.why);
        let call_id = about.call.as_str();
        match answer.outcome {
            Outcome::Done => {
                tracing::info!(
                    event = "tool.called",
                    call = call_id,
                    tool,
                    outcome,
                    ms,
                    bytes
                );
            }
            Outcome::Misfit | Outcome::Denied | Outcome::Failed | Outcome::Late => {
                tracing::warn!(
                    event = "tool.called",
                    call = call_id,
                    tool,
                    outcome,
                    why,
                    ms,
                    bytes
                );
            }
        }
        ToolResult {
            tool_call: call.tool_call,
            outcome: answer.outcome,
            output: answer.text,
        }
    }
}

impl Ready {
    async fn answer(&self, arguments: &str, about: &Caller) -> Answer {
        let arguments = match self.schema.check(arguments) {
            Ok(arguments) => arguments,
            Err(why) => return Answer::misfit(why),
        };
        let Ok(_turn) = self.turns.try_acquire() else {
            return Answer::late("too many at once", "The tool is busy. Try again later.");
        };
        let asked = async {
            match &self.reach {
                Reach::Http(endpoint) => endpoint.ask(arguments, about).await,
                Reach::Mcp { session, tool } => session.ask(tool, arguments, about).await,
            }
        };
        let answered = tokio::time::timeout(self.limits.timeout, asked).await;
        let mut answer = answered.unwrap_or_else(|_| Answer::too_late());
        answer.text = clip(answer.text, self.limits.max_answer_bytes);
        answer
    }
}

fn left_out(server: &str, tool: &str, why: &str) -> String {
    // The tool's own name is the server's word, and may be long or hold anything.
    let tool: String = tool.chars().filter(|c| !c.is_control()).take(64).collect();
    tracing::warn!(event = "mcp.left_out", server, tool, why);
    format!("[mcp.{server}] {tool}: left out: {why}")
}

/// What sends the requests of all tools. It follows no redirect, so that nobody but the configured address is given arguments
/// and credentials.
fn client() -> Result<Client, Unable> {
    // Asked for here, because the client would panic without it.
    if rustls::crypto::CryptoProvider::get_default().is_none() {
        return Err(Unable("no provider of cryptography is installed".into()));
    }
    let client = Client::builder()
        .redirect(redirect::Policy::none())
        .user_agent(concat!("ringfence/", env!("CARGO_PKG_VERSION")))
        .build();
    client.map_err(|error| Unable(error.to_string()))
}

/// The headers of the settings as they are sent, marked so that nothing prints them.
fn sensitive(headers: &Headers) -> Result<HeaderMap, Unable> {
    let pairs = headers.iter().map(|(name, secret)| {
        let mut value = HeaderValue::from_str(secret.reveal())
            .map_err(|_| Unable(format!("the header {name} has letters beyond ASCII")))?;
        value.set_sensitive(true);
        Ok((name.clone(), value))
    });
    pairs.collect()
}

//! The whole world of a call, on the loopback: a speech model, a carrier's REST API, and the real server between them.
//!
//! The demonstration, the scenarios and the tests all ring the same server over the same sockets; nothing in it is pretended but the
//! two parties at its ends.

use crate::app::Server;
use crate::config;
use crate::pricing::BUILT_IN;
use crate::sim::model::serve::ModelServer;
use crate::sim::model::{Behaviour, Invoice, Setup};
use crate::sim::phone::call::Wires;
use crate::sim::phone::rest::RestServer;
use crate::sim::phone::{self, report::Report};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU64, Ordering};
use tokio::net::TcpListener;
use tokio::sync::oneshot;

/// The account of the simulated carrier.
pub const ACCOUNT: &str = "ACaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";

/// What it signs with. It opens nothing but a simulation.
pub const AUTH_TOKEN: &str = "0123456789abcdef0123456789abcdef";

/// What is to be different from an ordinary world.
#[derive(Clone, Debug, Default)]
pub struct Plan {
    /// The model's manners, in the simulator's words.
    pub model: String,
    /// Nobody answers at the model's address.
    pub model_unreachable: bool,
    /// The manners of a second model, `[model.backup]`; `None`: there is none.
    pub backup: Option<String>,
    /// The only key that the model accepts; any, unless it says.
    pub accept_key: Option<String>,
    /// Settings over the ordinary ones: the agent's, with `cap.` before those of a cap; the model's, `turn_detection.`
    /// included; `limits.`, `budget.`, `carrier.` and `model.` as in the file.
    pub settings: Vec<(String, String)>,
    /// More of the configuration, such as other agents.
    pub more: String,
    /// The port to listen on; any free one unless it says.
    pub listen: Option<SocketAddr>,
    /// The ledger's file, which outlives the world; one of the world's own, which does not, unless it says.
    pub ledger: Option<PathBuf>,
}

/// The settings of an ordinary world.
fn text(models: &[&str], listen: SocketAddr, model: SocketAddr, rest: &str) -> String {
    format!(
        r#"
[server]
listen = "{listen}"
public_url = "http://{listen}"
[carrier.twilio]
api_base = "{rest}"
[model.main]
url = "ws://{model}/v1/realtime"
model = "gpt-realtime-2.1"
[agent.desk]
numbers = ["*"]
models = {models:?}
instructions = "You answer the phone. Say that you are an automated assistant."
greeting = "Greet the caller and ask how you can help."
[agent.desk.cap]
spend = {{ warn = 0.40, end = 0.50 }}
duration = {{ warn = "4m", end = "5m" }}
[limits]
calls = 200
per_caller_per_hour = 100000
[budget]
day_usd = 900
agent_day_usd = 900
caller_day_usd = 900
"#
    )
}

/// The second model, of a plan that has one. Its address is set over this one.
const BACKUP: &str = r#"
[model.backup]
url = "ws://127.0.0.1:1/v1/realtime"
model = "gpt-realtime-2.1-mini"
"#;

impl Plan {
    /// The same plan, with the address that its second model listens at.
    pub fn with_backup_at(&self, address: Option<SocketAddr>) -> Plan {
        let mut plan = self.clone();
        if let Some(address) = address {
            let url = format!("ws://{address}/v1/realtime");
            plan.settings.push(("model.backup.url".to_string(), url));
        }
        plan
    }
}

/// Settings of a plan that begin with these stand where they say.
const SECTIONS: [&str; 4] = ["limits.", "budget.", "carrier.", "model."];

/// Where in the configuration a setting of a plan stands.
fn variable(key: &str) -> String {
    let path = match key {
        "audio" | "max_output_tokens" | "context_tokens" | "transcription" | "answer_timeout" => {
            format!("model.main.{key}")
        }
        _ if key.starts_with("turn_detection.") => format!("model.main.{key}"),
        "barge_in" | "lead" | "coalesce" | "transcript" | "transcript_days" => {
            format!("agent.desk.line.{key}")
        }
        _ if SECTIONS.iter().any(|section| key.starts_with(section)) => key.to_string(),
        _ => format!("agent.desk.{key}"),
    };
    format!("RINGFENCE__{}", path.replace('.', "__").to_uppercase())
}

/// The settings of a planned world whose parties listen at these addresses.
///
/// # Errors
/// The plan's settings that make no sense.
pub fn settings(
    plan: &Plan,
    listen: SocketAddr,
    model: SocketAddr,
    rest: &str,
) -> Result<config::Settings, String> {
    let file = file(plan, listen, model, rest);
    config::parse("the plan", &file, variables(plan)).map_err(|mistakes| {
        let told: Vec<String> = mistakes.iter().map(ToString::to_string).collect();
        told.join("\n")
    })
}

/// The configuration's file of a planned world; what the plan has set besides is in the [`variables`].
pub fn file(plan: &Plan, listen: SocketAddr, model: SocketAddr, rest: &str) -> String {
    let (models, more) = match plan.backup {
        None => (&["main"][..], ""),
        Some(_) => (&["main", "backup"][..], BACKUP),
    };
    text(models, listen, model, rest) + more + &plan.more
}

/// The environment of a planned world's server.
pub fn variables(plan: &Plan) -> Vec<(String, String)> {
    let secrets = [
        ("OPENAI_API_KEY", "sk-simulated"),
        ("TWILIO_ACCOUNT_SID", ACCOUNT),
        ("TWILIO_AUTH_TOKEN", AUTH_TOKEN),
    ];
    let secrets = secrets.map(|(name, value)| (name.to_string(), value.to_string()));
    let own = plan.settings.iter();
    let own = own.map(|(key, value)| (variable(key), value.clone()));
    secrets.into_iter().chain(own).collect()
}

/// A model's setup with the built-in prices.
///
/// # Errors
/// Words that are not understood.
pub fn model_setup(words: &str) -> Result<Setup, String> {
    // The price list is the same every time, and reading it takes longer than a short call does.
    static HONEST: LazyLock<Result<Setup, String>> = LazyLock::new(|| Setup::parse(BUILT_IN, ""));
    let behaviour = Behaviour::parse(words)?;
    Ok(Setup {
        behaviour,
        ..HONEST.clone()?
    })
}

/// A phone that will call the server at this address: a caller of its own, with a call of its own.
pub fn phone_number(number: u64, server: SocketAddr) -> phone::Setup {
    let webhook = format!("http://{server}/twilio/voice");
    let mut setup = phone::Setup::new(&webhook, ACCOUNT, AUTH_TOKEN, &format!("CA{number:032x}"));
    setup.status_callback = Some(format!("http://{server}/twilio/status"));
    setup.from = format!("+1415555{:04}", number % 10_000);
    setup.seed = number;
    setup
}

/// A world that runs.
pub struct World {
    /// The server under test.
    pub server: Server,
    /// The model, which keeps an invoice of its own.
    pub model: ModelServer,
    /// The carrier's REST API.
    pub rest: RestServer,
    /// The second model, where the plan has one.
    pub backup: Option<ModelServer>,
    wires: Wires,
    calls: AtomicU64,
    _folder: Folder,
    stop_models: Vec<oneshot::Sender<()>>,
}

impl World {
    /// Starts all three.
    ///
    /// # Errors
    /// Says what could not be started.
    pub async fn start(plan: &Plan) -> Result<World, String> {
        let any = SocketAddr::from(([127, 0, 0, 1], 0));
        let (model_listener, model_address) = listen(any).await?;
        let (backup_listener, backup_address) = listen(any).await?;
        let (listener, address) = listen(plan.listen.unwrap_or(any)).await?;
        let rest = RestServer::start(ACCOUNT, AUTH_TOKEN).await?;
        let backup_address = plan.backup.as_ref().map(|_| backup_address);
        let own = plan.with_backup_at(backup_address);
        let mut settings = settings(&own, address, model_address, rest.base())?;
        let folder = Folder::new()?;
        settings.ledger.path = plan
            .ledger
            .clone()
            .unwrap_or_else(|| folder.0.join("ringfence.db"));
        let server = Server::start_on(settings, listener, address)
            .await
            .map_err(|error| error.to_string())?;
        let mut setup = model_setup(&plan.model)?;
        setup.accept_key.clone_from(&plan.accept_key);
        let model = ModelServer::new(setup, false);
        let backup = plan.backup.as_deref().map(model_setup).transpose()?;
        let backup = backup.map(|setup| ModelServer::new(setup, false));
        let mut stop_models = Vec::new();
        if !plan.model_unreachable {
            stop_models.push(serve(&model, model_listener));
        }
        if let Some(backup) = &backup {
            stop_models.push(serve(backup, backup_listener));
        }
        let wires = Wires::new()?;
        rest.call_over(&wires);
        let wires = wires.with_rest(rest.clone());
        Ok(World {
            server,
            model,
            backup,
            rest,
            wires,
            calls: AtomicU64::new(0),
            _folder: folder,
            stop_models,
        })
    }

    /// What the models bill, session by session.
    pub fn invoices(&self) -> Vec<Invoice> {
        let backup = self.backup.iter().flat_map(ModelServer::invoices);
        self.model.invoices().into_iter().chain(backup).collect()
    }

    /// A phone that will call the server: a caller of its own, with a call of its own.
    pub fn phone(&self) -> phone::Setup {
        let number = self.calls.fetch_add(1, Ordering::Relaxed) + 1;
        phone_number(number, self.server.address)
    }

    /// Rings, and tells what the phone saw and heard when the call is over.
    ///
    /// # Errors
    /// Says which address made no sense.
    pub async fn call(&self, setup: phone::Setup) -> Result<Report, String> {
        phone::call::call(setup, &self.wires).await
    }

    /// What phones ring over: [`World::call`] without the world, for a call that outlives it.
    pub fn wires(&self) -> Wires {
        self.wires.clone()
    }

    /// How to call this world from another terminal.
    pub fn how_to_call(&self) -> String {
        format!(
            "ringfence sim phone http://{}/twilio/voice \\\n    --account-sid {ACCOUNT} --auth-token {AUTH_TOKEN} --wav YOUR.wav --out heard.wav",
            self.server.address
        )
    }

    /// Stops all three, politely. Tells how many calls had to be cut off.
    pub async fn stop(self) -> usize {
        let cut_off = self.server.drain(std::future::pending()).await;
        for stop in self.stop_models {
            let _ = stop.send(());
        }
        cut_off
    }
}

/// A folder that is gone with its world.
pub struct Folder(PathBuf);

impl Folder {
    /// Where temporary files go, or, in an image that has no such place, where the ledger would be.
    ///
    /// # Errors
    /// Neither place takes one.
    pub fn new() -> Result<Folder, String> {
        let name = format!("ringfence-world-{}", crate::admission::new_token());
        let places = [std::env::temp_dir(), PathBuf::from("data")];
        let mut folders = places.iter().map(|place| place.join(&name));
        folders
            .find(|folder| std::fs::create_dir(folder).is_ok())
            .map(Folder)
            .ok_or_else(|| format!("no folder can be made in {} or data", places[0].display()))
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// Lets a model answer, until what comes back is used or dropped.
fn serve(model: &ModelServer, listener: TcpListener) -> oneshot::Sender<()> {
    let (stop, stopped) = oneshot::channel();
    let model = model.clone();
    tokio::spawn(async move {
        let until = async {
            let _ = stopped.await;
        };
        model.serve(listener, until).await;
    });
    stop
}

async fn listen(at: SocketAddr) -> Result<(TcpListener, SocketAddr), String> {
    let listener = TcpListener::bind(at)
        .await
        .map_err(|error| format!("cannot listen on {at}: {error}"))?;
    let address = listener.local_addr().map_err(|error| error.to_string())?;
    Ok((listener, address))
}

//! Builds the server from its settings, and drains it politely.
//!
//! Everything is built before the port opens, so that a server which listens is a server which works: the ledger first, for it knows
//! what was spent today and which calls died with the last process. On the way out the order is reversed: no new calls, then a goodbye
//! for each live one, then the port closes, and the ledger last.

use crate::admission::{Admission, Agent, new_token};
use crate::bridge::switchboard::Switchboard;
use crate::bridge::workers::Workers;
use crate::budget::{Budget, OnStoreFailure};
use crate::call::Order;
use crate::carrier::{CARRIERS, Carrier, Command};
use crate::config::Settings;
use crate::http::parked::Parking;
use crate::http::true_up::TrueUp;
use crate::http::{self, Doors, Health};
use crate::ledger::{Ledger, OpenError};
use crate::observe::Observer;
use crate::requests::{Requests, Unable};
use crate::tools::Toolbox;
use crate::units::{Id, Secret};
use axum::serve::ListenerExt;
use futures_util::StreamExt;
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};
use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, oneshot};
use tokio::task::JoinHandle;

/// How long live calls may take to say goodbye when the server is told to stop: the longest goodbye, the hang-up, and the
/// carrier's own confirmation.
const DRAIN_PATIENCE: Duration = Duration::from_secs(30);

/// Why the server could not start. Nothing of it is left then.
#[derive(Debug)]
pub enum Unstarted {
    /// The port could not be opened.
    Listen(SocketAddr, io::Error),
    /// Requests to the carrier cannot be made.
    Requests(Unable),
    /// Tools cannot be called.
    Tools(crate::tools::Unable),
    /// The ledger cannot be used.
    Ledger(OpenError),
    /// The threads that carry calls cannot be made.
    Workers(io::Error),
}

impl fmt::Display for Unstarted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Unstarted::Listen(address, error) => {
                write!(
                    f,
                    "cannot listen on {address}: {error}. Is another server running there?"
                )
            }
            Unstarted::Requests(unable) => write!(f, "cannot make requests: {}", unable.0),
            Unstarted::Tools(unable) => write!(f, "{unable}"),
            Unstarted::Ledger(error) => write!(f, "the ledger: {error}"),
            Unstarted::Workers(error) => write!(f, "cannot make a thread: {error}"),
        }
    }
}

/// A server that listens.
pub struct Server {
    /// Where.
    pub address: SocketAddr,
    /// What it writes down, live.
    pub observer: Observer,
    /// The budgets above its calls.
    pub budget: Arc<Budget>,
    /// Where its calls are kept.
    pub ledger: Ledger,
    /// The admin token that was made because none is configured.
    pub made_admin_token: Option<String>,
    admission: Arc<Admission>,
    switchboard: Arc<Switchboard>,
    parking: Arc<Parking>,
    stop: oneshot::Sender<()>,
    serving: JoinHandle<io::Result<()>>,
}

impl Server {
    /// Builds everything, opens the port, and begins to take calls.
    ///
    /// # Errors
    /// [`Unstarted`] says what stood in the way.
    pub async fn start(mut settings: Settings) -> Result<Server, Unstarted> {
        let kept = Kept::open(&mut settings).await?;
        let listen = settings.listen;
        let bound = TcpListener::bind(listen)
            .await
            .and_then(|listener| Ok((listener.local_addr()?, listener)));
        match bound {
            Ok((address, listener)) => Ok(Server::build(settings, kept, listener, address)),
            Err(error) => {
                kept.ledger.close().await;
                Err(Unstarted::Listen(listen, error))
            }
        }
    }

    /// The same, on a port that is open already.
    ///
    /// # Errors
    /// [`Unstarted`] says what stood in the way.
    pub async fn start_on(
        mut settings: Settings,
        listener: TcpListener,
        address: SocketAddr,
    ) -> Result<Server, Unstarted> {
        let kept = Kept::open(&mut settings).await?;
        Ok(Server::build(settings, kept, listener, address))
    }

    fn build(settings: Settings, kept: Kept, listener: TcpListener, address: SocketAddr) -> Server {
        let Kept {
            sides,
            ledger,
            budget,
            toolbox,
            workers,
        } = kept;
        let observer = Observer::default();
        let pending = Arc::new(Semaphore::new(settings.limits.pending_streams));
        let admission = Admission::new(settings.agents, settings.limits, budget.clone());
        let admission = admission
            .with_salt(ledger.salt())
            .with_outbound(settings.outbound);
        let admission = Arc::new(admission);
        let parking = Arc::new(Parking::default());
        let switchboard = Arc::new(Switchboard::default());
        let rates = settings.rates;
        let doors = sides.into_iter().map(|side| {
            let (requests, carrier) = (side.requests.clone(), side.carrier.clone());
            Arc::new(Doors {
                true_up: Arc::new(TrueUp::new(ledger.clone(), requests, carrier, rates)),
                name: side.name,
                carrier: side.carrier,
                requests: side.requests,
                admission: admission.clone(),
                switchboard: switchboard.clone(),
                workers: workers.clone(),
                parking: parking.clone(),
                toolbox: toolbox.clone(),
                observer: observer.clone(),
                ledger: ledger.clone(),
                pending: pending.clone(),
            })
        });
        let doors = doors.collect();
        if settings.budget.on_store_failure == OnStoreFailure::HangUp {
            tokio::spawn(wind_up_when_failing(ledger.clone(), switchboard.clone()));
        }
        let (admin_token, made) = match settings.admin_token {
            Some(token) => (token, None),
            None => {
                let made = new_token();
                (Secret::from(made.clone()), Some(made))
            }
        };
        let health = Health {
            admission: admission.clone(),
            ledger_failing: ledger.failing(),
            metrics: metrics(),
            budget: budget.clone(),
            admin_token,
        };
        tokio::spawn(keep_metrics_small(health.metrics.clone()));
        let (stop, serving) = serve(listener, http::router(doors, health));
        Server {
            address,
            observer,
            budget,
            ledger,
            made_admin_token: made,
            admission,
            switchboard,
            parking,
            stop,
            serving,
        }
    }

    /// Calls that are on the line now.
    pub fn calls(&self) -> usize {
        self.admission.on_the_line()
    }

    /// Takes no more calls, lets the live ones say goodbye, and closes the port. Tells how many had to be cut off.
    pub async fn drain(self, hurry: impl Future<Output = ()>) -> usize {
        self.admission.drain();
        // A webhook that was let in just before is seated by now, and hears the order too.
        drop(self.switchboard.one_at_a_time());
        tracing::info!(event = "server.draining", calls = self.calls());
        self.switchboard.order_all(Order::WrapUp);
        // Nobody is waited for who has not answered yet.
        self.parking.close();
        let quiet = async {
            while self.calls() > 0 {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        };
        tokio::select! {
            () = quiet => {}
            () = tokio::time::sleep(DRAIN_PATIENCE) => {}
            () = hurry => {}
        }
        if self.calls() > 0 {
            self.switchboard.order_all(Order::HangUp);
            tokio::time::sleep(Duration::from_secs(1)).await;
            // What still waits for reports settles without them, or the next start would have to guess.
            self.switchboard.order_all(Order::HangUp);
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        let left = self.calls();
        let _ = self.stop.send(());
        // Sockets that are still open do not keep a process that has nothing more to say.
        let _ = tokio::time::timeout(Duration::from_secs(1), self.serving).await;
        self.ledger.close().await;
        tracing::info!(event = "server.stopped", cut_off = left);
        left
    }
}

/// A carrier, and what performs its requests.
struct Side {
    name: &'static str,
    carrier: Arc<dyn Carrier>,
    requests: Requests,
}

impl Side {
    fn all(settings: &mut Settings) -> Result<Vec<Side>, Unstarted> {
        let carriers = std::mem::take(&mut settings.carriers).into_iter();
        let known = carriers.filter_map(|(name, own)| {
            let (name, new) = CARRIERS.iter().find(|(known, _)| *known == name)?;
            Some((*name, *new, own))
        });
        known
            .map(|(name, new, own)| {
                let requests = Requests::new(own.account.clone(), own.auth_token.clone());
                Ok(Side {
                    name,
                    requests: requests.map_err(Unstarted::Requests)?,
                    carrier: Arc::from(new(own)),
                })
            })
            .collect()
    }

    /// Ends a call that the last process left behind, and tells how many seconds it lasted, if the carrier says so.
    async fn end_lost(&self, carrier_call: &Id) -> Option<u64> {
        // One that we placed, and whose name died with the process: should it be answered, its webhook is answered with a hang-up.
        if carrier_call.as_str().is_empty() {
            return None;
        }
        let complete = Command::Complete { after_ms: 0 };
        if let Some(request) = self.carrier.rest(carrier_call, &complete) {
            self.requests.perform(request, &*self.carrier).await;
        }
        let record = self.carrier.ask_record(carrier_call);
        let body = self.requests.ask(record, &*self.carrier).await.ok()?;
        let record = self.carrier.record(carrier_call, &body).ok()?;
        record.duration_s.filter(|_| record.is_over)
    }
}

/// What is there before the port opens.
struct Kept {
    sides: Vec<Side>,
    ledger: Ledger,
    budget: Arc<Budget>,
    toolbox: Arc<Toolbox>,
    workers: Arc<Workers>,
}

/// How many calls are ended at a time that the last process left behind: a carrier takes only so many requests a second.
const ENDED_AT_ONCE: usize = 8;

/// How long the carrier may take to end one of them and to tell how long it lasted. After that its own limit counts.
const END_PATIENCE: Duration = Duration::from_secs(4);

impl Kept {
    /// Opens the ledger, ends and closes what was left open in it, and tells the budgets what was spent today.
    async fn open(settings: &mut Settings) -> Result<Kept, Unstarted> {
        install_cryptography();
        let workers = Workers::start(settings.batching).map_err(Unstarted::Workers)?;
        let (ledger, lost) = Ledger::open(&settings.ledger)
            .await
            .map_err(Unstarted::Ledger)?;
        let sides = Side::all(settings)?;
        let (ledger_of, sides_of) = (&ledger, &sides);
        let closing = lost.into_iter().map(|call| async move {
            let side = sides_of.iter().find(|side| side.name == call.carrier);
            let lasted_s = match side {
                Some(side) => tokio::time::timeout(END_PATIENCE, side.end_lost(&call.carrier_call))
                    .await
                    .ok()
                    .flatten(),
                None => None,
            };
            ledger_of.close_lost(&call, lasted_s).await
        });
        let closed: Vec<_> = futures_util::stream::iter(closing)
            .buffer_unordered(ENDED_AT_ONCE)
            .collect()
            .await;
        if let Some(failing) = closed.into_iter().find_map(Result::err) {
            return Err(Unstarted::Ledger(OpenError::Unusable {
                path: settings.ledger.path.clone(),
                why: failing.to_string(),
            }));
        }
        let budget = Budget::new(settings.budget.clone());
        for (agent, caller, spent) in ledger.spent_today().await.map_err(Unstarted::Ledger)? {
            budget.seed(&agent, &caller, spent);
        }
        let toolbox = Toolbox::open(std::mem::take(&mut settings.tools)).await;
        let toolbox = toolbox.map_err(Unstarted::Tools)?;
        equip(&mut settings.agents, &toolbox);
        Ok(Kept {
            sides,
            ledger,
            budget,
            toolbox: Arc::new(toolbox),
            workers: Arc::new(workers),
        })
    }
}

/// Gives each agent the tools that were found. What a server of tools offers is known only now.
fn equip(agents: &mut [Arc<Agent>], toolbox: &Toolbox) {
    for agent in agents {
        match agent.equipped(toolbox) {
            Ok(equipped) => *agent = Arc::new(equipped),
            Err(smallest) => tracing::error!(
                event = "tools.too_heavy",
                agent = &*agent.name,
                smallest_cap_usd = %smallest,
                help = "what the tools of its MCP servers weigh, its cap cannot pay for; they are left out. \
                        Raise cap.spend.end, or name fewer of them in [mcp.NAME] tools"
            ),
        }
    }
}

/// Tells all calls to say goodbye whenever the ledger begins to fail.
async fn wind_up_when_failing(ledger: Ledger, switchboard: Arc<Switchboard>) {
    let mut failing = ledger.failing();
    drop(ledger);
    while failing.wait_for(|failing| *failing).await.is_ok() {
        switchboard.order_all(Order::WrapUp);
        if failing.wait_for(|failing| !*failing).await.is_err() {
            return;
        }
    }
}

/// Serves in a task of its own until it is told to stop.
fn serve(
    listener: TcpListener,
    router: axum::Router,
) -> (oneshot::Sender<()>, JoinHandle<io::Result<()>>) {
    let (stop, stopped) = oneshot::channel();
    // Sound is many small frames, each of them due now.
    let listener = listener.tap_io(|stream| {
        let _ = stream.set_nodelay(true);
    });
    let serving = tokio::spawn(async move {
        let until = async {
            let _ = stopped.await;
        };
        axum::serve(listener, router)
            .with_graceful_shutdown(until)
            .await
    });
    (stop, serving)
}

/// One provider of cryptography for the whole process. It may be installed already, by a test or by the simulators.
pub fn install_cryptography() {
    let _ = rustls::crypto::ring::default_provider().install_default();
}

/// How often what histograms were told is added up. Until then each of its numbers is kept.
const METRICS_UPKEEP: Duration = Duration::from_secs(5);

/// Adds up what histograms were told, for as long as the process lives: somebody may never ask for it.
async fn keep_metrics_small(metrics: PrometheusHandle) {
    loop {
        tokio::time::sleep(METRICS_UPKEEP).await;
        metrics.run_upkeep();
    }
}

/// The one recorder of metrics that a process can have.
fn metrics() -> PrometheusHandle {
    static RECORDER: OnceLock<PrometheusHandle> = OnceLock::new();
    RECORDER
        .get_or_init(|| {
            let recorder = PrometheusBuilder::new().build_recorder();
            let handle = recorder.handle();
            // Somebody else's recorder would have to be installed before ours: then theirs has the metrics.
            let _ = metrics::set_global_recorder(recorder);
            handle
        })
        .clone()
}

//! Builds the server from its settings, and drains it politely.
//!
//! Everything is built before the port opens, so that a server which listens is a server which works: the ledger first, for it knows
//! what was spent today and which calls died with the last process. On the way out the order is reversed: no new calls, then a goodbye
//! for each live one, then the port closes, and the ledger last.

use crate::admission::{Admission, new_token};
use crate::bridge::switchboard::Switchboard;
use crate::budget::Budget;
use crate::call::Order;
use crate::carrier::{CARRIERS, Command};
use crate::config::Settings;
use crate::http::{self, Doors, Health};
use crate::ledger::{self, Ledger, OpenCall, OpenError};
use crate::observe::Observer;
use crate::requests::{Requests, Unable};
use crate::units::Secret;
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
    /// The ledger cannot be used.
    Ledger(OpenError),
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
            Unstarted::Ledger(error) => write!(f, "the ledger: {error}"),
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
    stop: oneshot::Sender<()>,
    serving: JoinHandle<io::Result<()>>,
}

impl Server {
    /// Builds everything, opens the port, and begins to take calls.
    ///
    /// # Errors
    /// [`Unstarted`] says what stood in the way.
    pub async fn start(settings: Settings, ledger: ledger::Settings) -> Result<Server, Unstarted> {
        let kept = Kept::open(&settings, &ledger).await?;
        let listen = settings.listen;
        let bound = TcpListener::bind(listen)
            .await
            .and_then(|listener| Ok((listener.local_addr()?, listener)));
        match bound {
            Ok((address, listener)) => Server::build(settings, kept, listener, address),
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
        settings: Settings,
        ledger: ledger::Settings,
        listener: TcpListener,
        address: SocketAddr,
    ) -> Result<Server, Unstarted> {
        let kept = Kept::open(&settings, &ledger).await?;
        Server::build(settings, kept, listener, address)
    }

    fn build(
        settings: Settings,
        kept: Kept,
        listener: TcpListener,
        address: SocketAddr,
    ) -> Result<Server, Unstarted> {
        install_cryptography();
        let Kept {
            ledger,
            budget,
            lost,
            hang_up,
        } = kept;
        let observer = Observer::default();
        let admission = Admission::new(settings.agents, settings.limits, budget.clone());
        let admission = Arc::new(admission.with_salt(ledger.salt()));
        let switchboard = Arc::new(Switchboard::default());
        let pending = Arc::new(Semaphore::new(settings.limits.pending_streams));
        let mut doors = Vec::new();
        for (name, own) in settings.carriers {
            let Some((_, new)) = CARRIERS.iter().find(|(known, _)| *known == name) else {
                continue;
            };
            let requests = Requests::new(own.account.clone(), own.auth_token.clone())
                .map_err(Unstarted::Requests)?;
            doors.push(Arc::new(Doors {
                name,
                carrier: Arc::from(new(own)),
                requests,
                admission: admission.clone(),
                switchboard: switchboard.clone(),
                observer: observer.clone(),
                ledger: ledger.clone(),
                pending: pending.clone(),
            }));
        }
        tokio::spawn(end_lost(lost, doors.clone()));
        if hang_up {
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
            metrics: metrics(),
            budget: budget.clone(),
            admin_token,
        };
        let (stop, serving) = serve(listener, http::router(doors, health));
        Ok(Server {
            address,
            observer,
            budget,
            ledger,
            made_admin_token: made,
            admission,
            switchboard,
            stop,
            serving,
        })
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

/// What is there before the port opens.
struct Kept {
    ledger: Ledger,
    budget: Arc<Budget>,
    /// Calls that were open when the last process died. They are closed; the carrier may not know.
    lost: Vec<OpenCall>,
    hang_up: bool,
}

impl Kept {
    /// Opens the ledger, closes what was left open in it, and tells the budgets what was spent today.
    async fn open(settings: &Settings, own: &ledger::Settings) -> Result<Kept, Unstarted> {
        let (ledger, lost) = Ledger::open(own).await.map_err(Unstarted::Ledger)?;
        for call in &lost {
            let closed = ledger.close_lost(call, None).await;
            closed.map_err(|failing| {
                Unstarted::Ledger(OpenError::Unusable {
                    path: own.path.clone(),
                    why: failing.to_string(),
                })
            })?;
        }
        let budget = Budget::new(settings.budget.clone());
        for (agent, caller, spent) in ledger.spent_today().await.map_err(Unstarted::Ledger)? {
            budget.seed(&agent, &caller, spent);
        }
        Ok(Kept {
            ledger,
            budget,
            lost,
            hang_up: own.hang_up,
        })
    }
}

/// How many calls are ended at a time that the last process left behind: a carrier takes only so many requests a second.
const ENDED_AT_ONCE: usize = 8;

/// Ends the calls that the last process left behind, should they still be alive.
async fn end_lost(lost: Vec<OpenCall>, doors: Vec<Arc<Doors>>) {
    let doors = &doors;
    let ending = lost.into_iter().map(|call| async move {
        let Some(doors) = doors.iter().find(|doors| doors.name == call.carrier) else {
            return;
        };
        let complete = Command::Complete { after_ms: 0 };
        if let Some(request) = doors.carrier.rest(&call.carrier_call, &complete) {
            doors.requests.perform(request, &*doors.carrier).await;
        }
    });
    futures_util::stream::iter(ending)
        .for_each_concurrent(ENDED_AT_ONCE, |ending| ending)
        .await;
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

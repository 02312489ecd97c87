//! A server that is killed in the middle of its calls, and what the next one makes of what it left behind.
//!
//! Real processes, real sockets, a real file: the server runs as a program of its own and dies without a word (`SIGKILL`) at a moment
//! drawn by lot, sometimes twice, the second time while it puts its books in order. Then the next one opens the same ledger. Every call
//! that was answered must be in it, charged at least what the model's own invoice and the carrier's minutes come to and at most its
//! cap, but for minutes that ran on; and the budgets must begin with exactly that.

use super::draw::Lot;
use super::hazards::{HAZARDS, Hazard};
use super::tally::difference;
use crate::app::Server;
use crate::cli::world::{self, ACCOUNT, AUTH_TOKEN, Folder};
use crate::ledger::books::{Books, CallRow, Filter};
use crate::ledger::verify::verify;
use crate::pricing::PriceBook;
use crate::sim::dice::Dice;
use crate::sim::model::Invoice;
use crate::sim::model::serve::ModelServer;
use crate::sim::phone::call::Wires;
use crate::sim::phone::rest::RestServer;
use crate::sim::phone::{self, Report};
use crate::units::Usd;
use std::io::{self, Write};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::process::{Child, Command};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

/// The server is killed so long after it listens, in milliseconds, at most.
const LATEST_KILL_MS: u64 = 6_000;
/// A server that puts its books in order is killed so long after it was started, in milliseconds, at most.
const LATEST_SECOND_KILL_MS: u64 = 120;
/// Every so many is killed a second time.
const SECOND_KILL: u64 = 4;
/// Calls on one server, at most.
const MOST_CALLS: u64 = 3;
/// The longest that a call may last, in milliseconds: some are over before the server is killed.
const LONGEST_MS: u64 = 20_000;
/// So many servers at a time.
const AT_ONCE: usize = 6;
/// How long anything may take that should take no time.
const PATIENCE: Duration = Duration::from_secs(30);

/// What came of all kills.
#[derive(Clone, Debug, Default)]
pub struct Kills {
    /// Servers killed.
    pub kills: u64,
    /// Calls that were answered.
    pub calls: u64,
    /// Of those, calls that died with their server.
    pub lost: u64,
    /// The worst `charged - cap`, minutes that ran on apart, in nano-dollars.
    pub over_cap: Option<i64>,
    /// The worst `invoice - charged`, in nano-dollars.
    pub under_charged: Option<i64>,
    /// Minutes that ran on after a server's death.
    pub ran_on_minutes: u64,
    /// Every promise that was broken, with the seed to break it again.
    pub broken: Vec<(u64, String)>,
}

impl Kills {
    fn add(&mut self, seed: u64, killed: Result<Killed, String>) {
        self.kills += 1;
        match killed {
            Ok(killed) => {
                self.calls += killed.calls;
                self.lost += killed.lost;
                self.ran_on_minutes += killed.ran_on_minutes;
                self.over_cap = self.over_cap.max(killed.over_cap);
                self.under_charged = self.under_charged.max(Some(killed.under_charged));
                let broken = killed.broken.into_iter().map(|broken| (seed, broken));
                self.broken.extend(broken);
            }
            Err(why) => self.broken.push((seed, why)),
        }
    }

    /// Whether every promise was kept.
    pub fn is_kept(&self) -> bool {
        self.broken.is_empty()
    }

    /// Writes what came of them.
    ///
    /// # Errors
    /// When `out` cannot be written to.
    pub fn tell(&self, out: &mut dyn Write) -> io::Result<()> {
        let nanos = |worst: Option<i64>| worst.map_or("-".to_string(), |worst| worst.to_string());
        writeln!(
            out,
            "\n{} servers killed, {} calls answered by them, {} of them lost: worst charged-cap {}, worst invoice-charged {}\nin nano-dollars; {} minutes ran on after a death, and are charged apart.",
            self.kills,
            self.calls,
            self.lost,
            nanos(self.over_cap),
            nanos(self.under_charged),
            self.ran_on_minutes,
        )?;
        for (seed, why) in &self.broken {
            writeln!(out, "\nFAILED: prove --kills 1 --seed {seed}\n  {why}")?;
        }
        Ok(())
    }
}

/// What came of one.
#[derive(Clone, Debug, Default)]
struct Killed {
    calls: u64,
    lost: u64,
    over_cap: Option<i64>,
    under_charged: i64,
    ran_on_minutes: u64,
    broken: Vec<String>,
}

/// Kills `kills` servers, each a process of `program` with a ledger of its own.
pub async fn prove(program: &Path, kills: u64, seed: u64) -> Kills {
    let book = Arc::new(PriceBook::built_in());
    let places = Arc::new(Semaphore::new(AT_ONCE));
    let bound = HAZARDS
        .iter()
        .filter(|hazard| !hazard.breaks && hazard.is_for_sockets() && hazard.backup.is_none());
    let mut running = JoinSet::new();
    for (number, hazard) in (0..kills).zip(bound.cycle()) {
        let (book, places, program) = (book.clone(), places.clone(), program.to_path_buf());
        let seed = seed.saturating_add(number);
        running.spawn(async move {
            let _place = places.acquire().await;
            let killed = kill(&program, hazard, &book, seed).await;
            (
                seed,
                killed.map_err(|why| format!("{}: {why}", hazard.name)),
            )
        });
    }
    let mut all = Kills::default();
    while let Some(made) = running.join_next().await {
        let (seed, killed) = made.unwrap_or_else(|error| (seed, Err(error.to_string())));
        all.add(seed, killed);
    }
    all.broken.sort();
    all
}

/// Both other sides of the server that dies: they outlive it.
struct Scene {
    folder: Folder,
    model: ModelServer,
    model_address: SocketAddr,
    rest: RestServer,
    wires: Wires,
    plan: world::Plan,
}

impl Scene {
    async fn set(plan: world::Plan) -> Result<Scene, String> {
        let (listener, model_address) = listen().await?;
        let model = ModelServer::new(world::model_setup(&plan.model)?, false);
        let serving = model.clone();
        tokio::spawn(async move { serving.serve(listener, std::future::pending()).await });
        let rest = RestServer::start(ACCOUNT, AUTH_TOKEN).await?;
        Ok(Scene {
            folder: Folder::new()?,
            model,
            model_address,
            wires: Wires::new()?.with_rest(rest.clone()),
            rest,
            plan,
        })
    }

    fn ledger(&self) -> PathBuf {
        self.folder.path().join("ringfence.db")
    }

    /// The server as a process of its own.
    fn start(&self, program: &Path, address: SocketAddr) -> Result<Child, String> {
        let file = self.folder.path().join("ringfence.toml");
        let text = world::file(&self.plan, address, self.model_address, self.rest.base());
        std::fs::write(&file, text).map_err(|error| error.to_string())?;
        Command::new(program)
            .args(["serve", "--config"])
            .arg(&file)
            .envs(world::variables(&self.plan))
            .env(
                "RINGFENCE__LEDGER__URL",
                format!("sqlite:{}", self.ledger().display()),
            )
            .env("RINGFENCE_ADMIN_TOKEN", "of-a-simulation-only")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .map_err(|error| format!("{} cannot be started: {error}", program.display()))
    }
}

async fn kill(
    program: &Path,
    hazard: &Hazard,
    book: &PriceBook,
    seed: u64,
) -> Result<Killed, String> {
    let mut lot = Lot::new(hazard, book, seed, Some(LONGEST_MS))?;
    let plan = lot.whole_plan(hazard);
    let scene = Scene::set(plan).await?;
    let address = free_port().await?;
    let mut first = scene.start(program, address)?;
    listens(&mut first, address).await?;
    let calling = ring(&scene, address, hazard, &mut lot);
    let mut moment = Dice::new(seed);
    tokio::time::sleep(Duration::from_millis(moment.up_to(LATEST_KILL_MS))).await;
    first.kill().await.map_err(|error| error.to_string())?;
    let phones = put_down(calling).await?;
    if seed.is_multiple_of(SECOND_KILL) {
        let mut second = scene.start(program, address)?;
        tokio::time::sleep(Duration::from_millis(moment.up_to(LATEST_SECOND_KILL_MS))).await;
        second.kill().await.map_err(|error| error.to_string())?;
    }
    reckon(&scene, &lot, &phones).await
}

/// Phones begin to ring, a little after each other.
fn ring(
    scene: &Scene,
    server: SocketAddr,
    hazard: &Hazard,
    lot: &mut Lot,
) -> JoinSet<Result<Report, String>> {
    let calls = 1 + lot.dice.up_to(MOST_CALLS - 1);
    let mut calling = JoinSet::new();
    for number in 1..=calls {
        let mut setup = world::phone_number(number, server);
        lot.caller(hazard, &mut setup);
        let wires = scene.wires.clone();
        let pause_ms = lot.dice.up_to(1_500);
        calling.spawn(async move {
            tokio::time::sleep(Duration::from_millis(pause_ms)).await;
            phone::call::call(setup, &wires).await
        });
    }
    calling
}

async fn put_down(calling: JoinSet<Result<Report, String>>) -> Result<Vec<Report>, String> {
    tokio::time::timeout(PATIENCE, calling.join_all())
        .await
        .map_err(|_| "a phone was never put down".to_string())?
        .into_iter()
        .collect()
}

/// The next server opens the ledger; then all sides are compared.
async fn reckon(scene: &Scene, lot: &Lot, phones: &[Report]) -> Result<Killed, String> {
    let (listener, address) = listen().await?;
    let mut settings =
        world::settings(&scene.plan, address, scene.model_address, scene.rest.base())?;
    settings.ledger.path = scene.ledger();
    let server = Server::start_on(settings, listener, address)
        .await
        .map_err(|error| error.to_string())?;
    let mut books = Books::open(&scene.ledger()).await.map_err(in_words)?;
    let rows = books.calls(&Filter::default()).await.map_err(in_words)?;
    let mut killed = Killed::default();
    for row in &rows {
        let lines = books.call(&row.call).await.map_err(in_words)?;
        let findings = verify(&lines);
        killed
            .broken
            .extend(findings.iter().map(ToString::to_string));
    }
    let charged: Usd = rows.iter().map(|row| row.cost.spent).sum();
    let budget = server.budget.spent();
    if budget != charged {
        killed.broken.push(format!(
            "the budgets begin with ${budget}, and the ledger has ${charged}"
        ));
    }
    compare(&mut killed, &rows, phones, lot.cap);
    let carrier: Usd = phones.iter().map(|phone| bill(phone, lot)).sum();
    let model: Usd = scene.model.invoices().iter().map(Invoice::total).sum();
    killed.under_charged = difference(model.plus(carrier), charged);
    if killed.under_charged > 0 {
        killed.broken.push(format!(
            "the model bills ${model} and the carrier ${carrier}, and ${charged} was charged"
        ));
    }
    server.drain(std::future::pending()).await;
    Ok(killed)
}

/// What the carrier bills for one call.
fn bill(phone: &Report, lot: &Lot) -> Usd {
    let says = u64::try_from(phone.says.len()).unwrap_or(u64::MAX);
    let minutes = lot.minute.times(phone.billed_minutes);
    minutes.plus(lot.say.times(says))
}

/// Every call that was answered is in the ledger, once, and over, within its cap.
fn compare(killed: &mut Killed, rows: &[CallRow], phones: &[Report], cap: Usd) {
    for phone in phones.iter().filter(|phone| phone.billed_minutes > 0) {
        killed.calls += 1;
        let of_phone = rows.iter().filter(|row| row.carrier_call == phone.call_sid);
        let found = of_phone.count();
        if found != 1 {
            let told = format!("{} is in the ledger {found} times", phone.call_sid);
            killed.broken.push(told);
        }
    }
    for row in rows {
        let within = row.cost.spent.less(row.cost.ran_on);
        killed.over_cap = killed.over_cap.max(Some(difference(within, cap)));
        killed.lost += u64::from(row.cause.as_deref() == Some("server"));
        if within > cap {
            let told = format!("{} is charged ${within}, with a cap of ${cap}", row.call);
            killed.broken.push(told);
        }
        if row.ending.is_none() {
            killed.broken.push(format!("{} is still open", row.call));
        }
    }
}

fn in_words(error: impl std::fmt::Display) -> String {
    error.to_string()
}

async fn listen() -> Result<(TcpListener, SocketAddr), String> {
    let any = SocketAddr::from(([127, 0, 0, 1], 0));
    let listener = TcpListener::bind(any).await.map_err(in_words)?;
    let address = listener.local_addr().map_err(in_words)?;
    Ok((listener, address))
}

/// A port that was free a moment ago.
async fn free_port() -> Result<SocketAddr, String> {
    listen().await.map(|(_, address)| address)
}

/// Waits until the server listens.
async fn listens(server: &mut Child, address: SocketAddr) -> Result<(), String> {
    let waiting = async {
        while TcpStream::connect(address).await.is_err() {
            if let Ok(Some(status)) = server.try_wait() {
                return Err(format!("the server did not start: {status}"));
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        Ok(())
    };
    let waited = tokio::time::timeout(PATIENCE, waiting).await;
    waited.map_err(|_| "the server never listened".to_string())?
}

//! The ledger under a running server: calls over sockets, a server that is killed, a store that is held by somebody else.

use super::shelf::Shelf;
use ringfence::call::record::Ending;
use ringfence::cli::world::{ACCOUNT, AUTH_TOKEN, Plan, World, model_setup};
use ringfence::ledger::books::Filter;
use ringfence::ledger::{Books, verify};
use ringfence::sim::model::serve::ModelServer;
use ringfence::sim::phone::rest::RestServer;
use ringfence::sim::phone::sign::signature;
use ringfence::sim::phone::{self, Act, Setup, Step, When};
use ringfence::sim::voice::speech;
use sqlx::ConnectOptions;
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use std::net::{SocketAddr, TcpListener};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// How long anything may take that has nothing left to wait for.
const PATIENCE: Duration = Duration::from_secs(20);

async fn until(what: &str, is_so: impl Fn() -> bool) {
    let began = Instant::now();
    while !is_so() {
        assert!(began.elapsed() < PATIENCE, "never came to pass: {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

fn plan(shelf: &Shelf, settings: &[(&str, &str)]) -> Plan {
    let settings = settings
        .iter()
        .map(|(key, value)| ((*key).to_string(), (*value).to_string()));
    Plan {
        model: "greeting=600ms goodbye=600ms latency=50ms".to_string(),
        settings: settings.collect(),
        ledger: Some(shelf.path()),
        ..Plan::default()
    }
}

/// The caller says this so many times, and waits for the answers.
fn says(phone: &mut Setup, times: usize) {
    let say = |_| Step {
        when: When::Replies { after_ms: 400 },
        act: Act::Say(speech(1500, 21).into()),
    };
    phone.script = (0..times).map(say).collect();
    phone.script.push(Step {
        when: When::Replies { after_ms: 800 },
        act: Act::HangUp,
    });
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_cent_of_a_real_call_can_be_made_again_and_a_restart_remembers_it() {
    let shelf = Shelf::new();
    let world = World::start(&plan(&shelf, &[])).await.expect("a world");
    let mut phone = world.phone();
    says(&mut phone, 1);
    let call = phone.call_sid.clone();
    world.call(phone).await.expect("a call");
    until("the line is free", || world.server.calls() == 0).await;
    let spent = world.server.budget.spent();
    world.stop().await;
    let lines = shelf.lines(&call).await;
    assert_eq!(verify(&lines), []);
    let turns = lines
        .iter()
        .filter(|line| line.event == "call.turn")
        .count();
    assert_eq!(turns, 2);
    // The carrier's own record may follow it.
    let end = lines.iter().find(|line| line.event == "call.ended");
    let end = end.expect("an end").json();
    assert_eq!(end["spent_nanos"], spent.nanos());
    let world = World::start(&plan(&shelf, &[])).await.expect("a world");
    assert_eq!(world.server.budget.spent(), spent);
    // It is settled: a late question of the carrier is not answered with a sentence that somebody would have to pay.
    let late = posts(world.server.address, "ended", &call).await;
    let late = late.text().await.expect("a document");
    assert!(late.contains("<Hangup") && !late.contains("<Say"), "{late}");
    let strange = posts(
        world.server.address,
        "ended",
        "CA0000000000000000000000000000000f",
    )
    .await;
    let strange = strange.text().await.expect("a document");
    assert!(strange.contains("<Say"), "{strange}");
    world.stop().await;
}

/// Somebody else who keeps the file to himself.
async fn holds(shelf: &Shelf) -> SqliteConnection {
    let options = SqliteConnectOptions::new().filename(shelf.path());
    let mut other = options.connect().await.expect("a connection");
    let held = sqlx::raw_sql("BEGIN IMMEDIATE").execute(&mut other).await;
    held.expect("it is free");
    other
}

/// A call during which the store is held by somebody else, and the world it was made in. The caller begins to speak a second later.
async fn call_without_store(shelf: &Shelf, hang_up: bool) -> (World, Option<Ending>) {
    let failing = match hang_up {
        true => "hang_up",
        false => "finish_within_grant",
    };
    let settings = [
        ("greeting", ""),
        ("cap.spend.end", "0.30"),
        ("cap.spend.warn", "0.29"),
        ("budget.on_store_failure", failing),
    ];
    let plan = plan(shelf, &settings);
    let world = World::start(&plan).await.expect("a world");
    let mut facts = world.server.observer.watch();
    let mut phone = world.phone();
    phone.script = (1..8)
        .map(|n| Step {
            when: When::At { ms: 2_500 * n },
            act: Act::Say(speech(1500, 21).into()),
        })
        .collect();
    let wires = world.wires();
    let calling = tokio::spawn(async move { phone::call::call(phone, &wires).await });
    until("the session is open", || world.model.sessions() > 0).await;
    let other = holds(shelf).await;
    calling.await.expect("no panic").expect("a call");
    until("the line is free", || world.server.calls() == 0).await;
    let ready = format!("http://{}/readyz", world.server.address);
    let client = reqwest::Client::builder().no_proxy().build();
    let answer = client.expect("a client").get(ready).send().await;
    assert_eq!(answer.expect("an answer").status().as_u16(), 503);
    // A call that is offered now is not begun.
    let mut late = world.phone();
    says(&mut late, 1);
    let refused = world.call(late).await.expect("an answer");
    assert_eq!(refused.billed_minutes, 0, "{:?}", refused.ending);
    drop(other);
    let mut ending = None;
    while let Ok(live) = facts.try_recv() {
        if let ringfence::call::record::What::Ended(summary) = &live.fact.what {
            ending = summary.ending;
        }
    }
    (world, ending)
}

/// When the store is free again, the ledger has all of it.
async fn has_all(shelf: &Shelf, world: World) {
    let mut failing = world.server.ledger.failing();
    let recovered = tokio::time::timeout(PATIENCE, failing.wait_for(|failing| !failing)).await;
    // What the wait gives back would keep others from telling more news.
    assert!(recovered.is_ok_and(|waited| waited.is_ok()));
    let spent = world.server.budget.spent();
    assert!(world.server.budget.reserved().is_zero());
    world.stop().await;
    let mut books = Books::open(&shelf.path()).await.expect("books");
    let calls = books.calls(&Filter::default()).await.expect("calls");
    let whole = calls.last().expect("the first call");
    assert_eq!(whole.cost.spent, spent);
    assert_eq!(verify(&shelf.lines(&whole.call).await), []);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_whose_grants_cannot_be_written_ends_within_what_it_was_granted_before() {
    let shelf = Shelf::new();
    let (world, ending) = call_without_store(&shelf, false).await;
    let cause = ending.and_then(|ending| ending.cause());
    assert_eq!(cause, Some("budget"), "{ending:?}");
    has_all(&shelf, world).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn where_the_owner_says_so_calls_are_wound_up_as_soon_as_the_store_fails() {
    let shelf = Shelf::new();
    let (world, ending) = call_without_store(&shelf, true).await;
    let cause = ending.and_then(|ending| ending.cause());
    assert_eq!(cause, Some("drain"), "{ending:?}");
    has_all(&shelf, world).await;
}

/// The program, in the shelf's folder, where it keeps its ledger.
fn serve(shelf: &Shelf, listen: SocketAddr, model: SocketAddr, rest: &str) -> Child {
    let config = shelf.folder.join("ringfence.toml");
    let text = format!(
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
instructions = "You answer the phone. Say that you are an automated assistant."
[agent.desk.cap]
spend = {{ warn = 0.40, end = 0.50 }}
duration = {{ warn = "4m", end = "5m" }}
"#
    );
    std::fs::write(&config, text).expect("a file");
    Command::new(env!("CARGO_BIN_EXE_ringfence"))
        .args(["serve", "--config"])
        .arg(&config)
        .current_dir(&shelf.folder)
        .env("OPENAI_API_KEY", "sk-simulated")
        .env("TWILIO_ACCOUNT_SID", ACCOUNT)
        .env("TWILIO_AUTH_TOKEN", AUTH_TOKEN)
        .env("RINGFENCE_ADMIN_TOKEN", "an-admin-token-of-this-test-only")
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the program")
}

fn free_port() -> SocketAddr {
    let any = TcpListener::bind("127.0.0.1:0").expect("a port");
    any.local_addr().expect("its number")
}

/// Offers a call, as the carrier does.
async fn offers(server: SocketAddr, call: &str) -> reqwest::Response {
    posts(server, "voice", call).await
}

/// What the carrier posts to one of its doors.
async fn posts(server: SocketAddr, door: &str, call: &str) -> reqwest::Response {
    let url = format!("http://{server}/twilio/{door}");
    let fields = [
        ("AccountSid", ACCOUNT),
        ("CallSid", call),
        ("CallStatus", "ringing"),
        ("Direction", "inbound"),
        ("From", "+14155550123"),
        ("To", "+15005550006"),
    ]
    .map(|(name, value)| (name.to_string(), value.to_string()));
    let signed = signature(AUTH_TOKEN, &url, &fields);
    let client = reqwest::Client::builder().no_proxy().build();
    let request = client.expect("a client").post(&url).form(&fields);
    let answer = request.header("X-Twilio-Signature", signed).send().await;
    answer.expect("an answer")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_that_is_offered_again_is_not_answered_either_before_its_grant_is_on_disk() {
    let shelf = Shelf::new();
    let world = World::start(&plan(&shelf, &[])).await.expect("a world");
    let (server, call) = (world.server.address, "CA00000000000000000000000000000002");
    let other = holds(&shelf).await;
    let first = tokio::spawn(offers(server, call));
    until("it is seated", || !world.server.budget.reserved().is_zero()).await;
    let again = tokio::time::timeout(Duration::from_millis(300), offers(server, call)).await;
    assert!(again.is_err(), "nothing is on disk: {again:?}");
    drop(other);
    let first = first
        .await
        .expect("no panic")
        .text()
        .await
        .expect("a document");
    let again = offers(server, call).await.text().await.expect("another");
    assert!(
        first.contains("<Stream") && first == again,
        "{first} {again}"
    );
    world.stop().await;
}

async fn listens(server: SocketAddr) {
    until("it listens", || {
        std::net::TcpStream::connect(server).is_ok()
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_killed_as_it_answers_has_the_grant_on_disk_and_the_next_one_settles_the_call() {
    ringfence::app::install_cryptography();
    let shelf = Shelf::new();
    let model = ModelServer::new(model_setup("greeting=600ms").expect("words"), false);
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0")
        .await
        .expect("a port");
    let model_address = listener.local_addr().expect("its number");
    tokio::spawn(async move { model.serve(listener, std::future::pending()).await });
    let rest = RestServer::start(ACCOUNT, AUTH_TOKEN)
        .await
        .expect("an API");
    let call = "CA00000000000000000000000000000001";
    let _orders = rest.enter(call);
    let address = free_port();
    let mut program = serve(&shelf, address, model_address, rest.base());
    listens(address).await;
    assert_eq!(offers(address, call).await.status(), 200);
    program.kill().expect("killed");
    program.wait().expect("gone");
    let path: PathBuf = shelf.folder.join("data/ringfence.db");
    let mut books = Books::open(&path).await.expect("books");
    let lines = books.call(call).await.expect("lines");
    let granted = lines[0].json()["granted_nanos"].as_u64();
    assert!(granted >= Some(60_000_000), "{lines:?}");

    let second = serve(&shelf, address, model_address, rest.base());
    listens(address).await;
    let lines = books.call(call).await.expect("lines");
    let lost = lines.last().expect("an end");
    assert_eq!(lost.event, "call.lost");
    assert_eq!(lost.json()["is_whole"], true);
    assert_eq!(verify(&lines), []);
    let spent = lost.json()["spent_nanos"].as_u64();
    assert!(spent > Some(0) && spent <= granted, "{lost:?}");
    until("the carrier is told to end it", || {
        let requests = rest.requests();
        requests
            .iter()
            .any(|request| format!("{request:?}").contains(call))
    })
    .await;

    // A third one finds the ledger in use, says so, and changes nothing.
    let third = serve(&shelf, free_port(), model_address, rest.base());
    let output = tokio::task::spawn_blocking(|| third.wait_with_output());
    let output = output.await.expect("no panic").expect("its output");
    assert_eq!(output.status.code(), Some(64), "{output:?}");
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(told.contains("in use by another server"), "{told}");
    let mut second = second;
    second.kill().expect("killed");
    second.wait().expect("gone");
    assert_eq!(books.call(call).await.expect("lines").len(), lines.len());
}

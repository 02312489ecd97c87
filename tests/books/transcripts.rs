//! What was said, over real sockets: kept where the agent says so, gone when its time has come, and never anywhere else.
//!
//! The simulated model understands nothing and counts instead, so its words are known: whoever finds "one two" where no transcript
//! should be has found speech.

use super::desk::Desk;
use ringfence::cli::world::{Plan, World};
use ringfence::ledger::{Books, Said};
use ringfence::sim::phone::{Act, Setup, Step, When};
use ringfence::sim::voice::speech;
use serde_json::Value;
use std::io::{self, Write};
use std::path::Path;
use std::sync::{Arc, LazyLock, Mutex};
use std::time::{Duration, Instant};

/// What both sides say, whoever speaks.
const SPOKEN: &str = "one two";

/// Everything that this process logs, at the level `debug`.
static LOG: LazyLock<Log> = LazyLock::new(|| {
    let log = Log::default();
    let kept = log.clone();
    tracing_subscriber::fmt()
        .with_env_filter("debug,ringfence=trace")
        .with_writer(move || kept.clone())
        .init();
    log
});

#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Log {
    fn text(&self) -> String {
        String::from_utf8_lossy(&self.0.lock().expect("the log")).into_owned()
    }
}

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().expect("the log").write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

async fn world(desk: &Desk, settings: &[(&str, &str)]) -> World {
    LazyLock::force(&LOG);
    let settings = settings.iter();
    let plan = Plan {
        model: "greeting=600ms answer=12s latency=50ms speed=5x".to_string(),
        ledger: Some(desk.path()),
        settings: settings
            .map(|(key, value)| ((*key).to_string(), (*value).to_string()))
            .collect(),
        ..Plan::default()
    };
    World::start(&plan).await.expect("a world")
}

/// A caller who asks, cuts into the answer, and hangs up in the middle of the next one.
fn caller(world: &World) -> Setup {
    let mut phone = world.phone();
    let step = |when, act| Step { when, act };
    phone.script = vec![
        step(
            When::Replies { after_ms: 400 },
            Act::Say(speech(1500, 21).into()),
        ),
        step(
            When::Interrupts { after_ms: 1500 },
            Act::Say(speech(2500, 22).into()),
        ),
        step(When::Interrupts { after_ms: 1500 }, Act::HangUp),
    ];
    phone
}

/// The call, by the API, when it is over and `is_there` says that all of it is.
async fn asked(world: &World, carrier_call: &str, is_there: impl Fn(&Value) -> bool) -> Value {
    let url = format!(
        "http://{}/api/v1/calls/{carrier_call}",
        world.server.address
    );
    let token = world.server.made_admin_token.as_deref().expect("a token");
    let began = Instant::now();
    loop {
        let answer = reqwest::Client::new().get(&url).bearer_auth(token).send();
        let body = answer.await.expect("an answer").text().await.expect("text");
        let call: Value = serde_json::from_str(&body).expect("JSON");
        if call["live"] == false && is_there(&call) {
            return call;
        }
        assert!(began.elapsed() < Duration::from_secs(15), "{body}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Whether a transcript has its four lines at least: the greeting, a question, the answer that was cut, and what cut it.
fn is_whole(call: &Value) -> bool {
    let said = call["transcript"].as_array();
    said.is_some_and(|said| said.len() >= 4)
}

/// Every file of the ledger in one text, as somebody with the disk would read it.
fn files(desk: &Desk) -> String {
    let files = std::fs::read_dir(&desk.folder).expect("a folder");
    let bytes = files.map(|file| std::fs::read(file.expect("a file").path()).expect("its content"));
    bytes
        .map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
        .collect()
}

async fn kept(path: &Path, call: &str) -> Vec<Said> {
    let mut books = Books::open(path).await.expect("books");
    books.transcript(call).await.expect("lines")
}

async fn sql(desk: &Desk, sql: &'static str) {
    use sqlx::{ConnectOptions, Connection, sqlite::SqliteConnectOptions};
    let options = SqliteConnectOptions::new().filename(desk.path());
    let mut connection = options.connect().await.expect("a database");
    let done = sqlx::raw_sql(sql).execute(&mut connection).await;
    connection.close().await.expect("closed");
    done.expect("done");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_heard_and_what_was_not_are_kept_apart_and_nowhere_but_in_the_transcript() {
    let desk = Desk::new();
    let world = world(&desk, &[("transcript", "ledger"), ("transcript_days", "2")]).await;
    let phone = caller(&world);
    let carrier_call = phone.call_sid.clone();
    world.call(phone).await.expect("a call");
    let call = asked(&world, &carrier_call, is_whole).await;
    let name = call["call"].as_str().expect("our name").to_string();
    let said = call["transcript"].as_array().expect("a transcript");
    let of = |who: &str| {
        let lines: Vec<&Value> = said.iter().filter(|line| line["who"] == who).collect();
        lines
    };
    assert!(
        of("caller")
            .iter()
            .all(|line| line["unheard"] == "" && line["heard"].as_str().is_some())
    );
    let cut = of("agent")[1];
    let (heard, unheard) = (
        cut["heard"].as_str().expect("words"),
        cut["unheard"].as_str().expect("words"),
    );
    assert!(heard.contains(SPOKEN), "{heard:?}");
    // The model was five times as fast as it spoke: most of what it had made by then was never heard.
    assert!(unheard.len() > heard.len(), "{heard:?} and not {unheard:?}");
    let whole = format!("{heard} {unheard}");
    assert!(whole.contains("one two three four five six"), "{whole:?}");
    let times: Vec<u64> = (said.iter())
        .map(|line| line["at_ms"].as_u64().expect("a time"))
        .collect();
    assert!(times.is_sorted() && times[0] > 0, "{times:?}");
    world.stop().await;
    // With the table emptied, no file of the ledger has a word of it: neither a fact nor the journal.
    let lines = kept(&desk.path(), &name).await;
    // The last words of all may have been written after the door was asked.
    assert!(lines.len() >= said.len());
    let days = 2 * 86_400_000;
    let (code, shown, _) = desk.run(&["calls", "show", &name, "--transcript"]);
    assert!(
        code == 0 && shown.contains("[") && shown.contains(SPOKEN),
        "{shown}"
    );
    for words in [
        &["calls", "show", &name][..],
        &["calls", "show", &name, "--json"],
        &["calls", "export", "--json"],
        &["calls", "export", "--csv"],
        &["calls", "list"],
    ] {
        let (code, out, err) = desk.run(words);
        assert!(code == 0 && !(out + &err).contains(SPOKEN), "{words:?}");
    }
    assert!(!LOG.text().contains(SPOKEN), "speech is in the log");
    assert!(LOG.text().contains("call.ended"), "there is a log");
    assert!(files(&desk).contains(SPOKEN));
    let query = "SELECT count(*) FROM transcripts WHERE expires_unix_ms - unix_ms = ?";
    assert_eq!(count(&desk, query, days).await, lines.len() as i64);
    sql(&desk, "UPDATE transcripts SET expires_unix_ms = 1").await;
    assert!(kept(&desk.path(), &name).await.is_empty(), "at once");
    desk.open().await.close().await;
    assert!(!files(&desk).contains(SPOKEN), "speech is left on the disk");
    let (code, out, _) = desk.run(&["calls", "verify"]);
    assert!(code == 0, "{out}");
    let (_, shown, _) = desk.run(&["calls", "show", &name, "--transcript"]);
    assert!(
        shown.ends_with("Nothing that was said is kept in the ledger.\n"),
        "{shown}"
    );
}

async fn count(desk: &Desk, query: &'static str, value: i64) -> i64 {
    use sqlx::{ConnectOptions, Connection, sqlite::SqliteConnectOptions};
    let options = SqliteConnectOptions::new().filename(desk.path());
    let mut connection = options.connect().await.expect("a database");
    let counted = sqlx::query_scalar(query).bind(value);
    let counted: i64 = counted.fetch_one(&mut connection).await.expect("a number");
    connection.close().await.expect("closed");
    counted
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_transcript_in_memory_is_for_the_api_and_gone_with_the_process() {
    let desk = Desk::new();
    let first = world(&desk, &[("transcript", "memory")]).await;
    let phone = caller(&first);
    let carrier_call = phone.call_sid.clone();
    first.call(phone).await.expect("a call");
    let call = asked(&first, &carrier_call, is_whole).await;
    let unheard = |line: &Value| !line["unheard"].as_str().unwrap_or_default().is_empty();
    let said = call["transcript"].as_array().expect("a transcript");
    assert!(said.iter().any(unheard), "{said:?}");
    first.stop().await;
    assert!(!files(&desk).contains(SPOKEN));
    let second = world(&desk, &[("transcript", "memory")]).await;
    let call = asked(&second, &carrier_call, |_| true).await;
    assert_eq!(call.get("transcript"), None);
    second.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_kept_anywhere_unless_the_agent_says_so() {
    let desk = Desk::new();
    let world = world(&desk, &[]).await;
    let phone = caller(&world);
    let carrier_call = phone.call_sid.clone();
    world.call(phone).await.expect("a call");
    let call = asked(&world, &carrier_call, |_| true).await;
    assert_eq!(call.get("transcript"), None);
    world.stop().await;
    assert!(!files(&desk).contains(SPOKEN) && !LOG.text().contains(SPOKEN));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_transcript_that_cannot_be_written_is_lost_and_the_call_does_not_notice() {
    let desk = Desk::new();
    desk.open().await.close().await;
    sql(
        &desk,
        "CREATE TRIGGER full BEFORE INSERT ON transcripts BEGIN SELECT RAISE(ABORT, 'no room'); END",
    )
    .await;
    let world = world(&desk, &[("transcript", "ledger")]).await;
    let phone = caller(&world);
    let carrier_call = phone.call_sid.clone();
    let report = world.call(phone).await.expect("a call");
    assert!(report.violations.is_empty(), "{:?}", report.violations);
    let call = asked(&world, &carrier_call, |_| true).await;
    assert_eq!(call["ending"], "caller-hung-up");
    assert_eq!(call.get("transcript"), None);
    world.stop().await;
    assert!(LOG.text().contains("transcript.lost"), "and it is said");
    let (code, out, _) = desk.run(&["calls", "verify"]);
    assert!(code == 0, "{out}");
}

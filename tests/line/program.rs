//! The program itself: what it logs, how it stops, and what it does not start with.

use super::house::{says_and_hangs_up, until};
use super::sound::{find, through_telephone};
use ringfence::cli::world::{ACCOUNT, AUTH_TOKEN, model_setup};
use ringfence::sim::model::Invoice;
use ringfence::sim::model::serve::ModelServer;
use ringfence::sim::phone::call::{Wires, call};
use ringfence::sim::phone::rest::RestServer;
use ringfence::sim::phone::{self, report::Report};
use ringfence::sim::voice::speech;
use serde_json::Value;
use std::net::{SocketAddr, TcpListener};
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

/// What opens the live page.
const ADMIN_TOKEN: &str = "an-admin-token-of-this-test-only";

/// What no line of a log may contain: keys, the token, numbers of people.
const SECRETS: [&str; 6] = [
    "sk-simulated",
    AUTH_TOKEN,
    ADMIN_TOKEN,
    "4155550171",
    "5005550006",
    "5005550099",
];

/// Writes a configuration where this test alone finds it.
fn configuration(
    name: &str,
    listen: SocketAddr,
    model: SocketAddr,
    rest: &str,
    more: &str,
) -> PathBuf {
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
{more}"#
    );
    let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR"))
        .join(format!("{name}-{}.toml", std::process::id()));
    std::fs::write(&path, text).expect("a file");
    path
}

fn serve(config: &PathBuf) -> Child {
    // Its ledger is where it stands.
    let folder = config.with_extension("d");
    std::fs::create_dir_all(&folder).expect("a folder");
    Command::new(env!("CARGO_BIN_EXE_ringfence"))
        .args(["serve", "--config"])
        .arg(config)
        .current_dir(folder)
        .env("OPENAI_API_KEY", "sk-simulated")
        .env("TWILIO_ACCOUNT_SID", ACCOUNT)
        .env("TWILIO_AUTH_TOKEN", AUTH_TOKEN)
        .env("RINGFENCE_ADMIN_TOKEN", ADMIN_TOKEN)
        .env("RUST_LOG", "debug")
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the program")
}

/// Tells the program to stop, as an orchestrator does.
fn terminate(program: &Child) {
    let told = Command::new("kill")
        .args(["-TERM", &program.id().to_string()])
        .status();
    assert!(told.expect("kill").success());
}

async fn ended(program: Child) -> Output {
    let waiting = tokio::task::spawn_blocking(|| program.wait_with_output());
    let ended = tokio::time::timeout(Duration::from_secs(20), waiting).await;
    ended
        .expect("it ends in time")
        .expect("no panic")
        .expect("its output")
}

fn free_port() -> SocketAddr {
    let any = TcpListener::bind("127.0.0.1:0").expect("a port");
    any.local_addr().expect("its number")
}

/// Two calls: an ordinary one, and one that hears the program say goodbye.
async fn two_calls(address: SocketAddr, program: &Child, wires: &Wires) -> [Report; 2] {
    let number = |call: &str, to: &str| {
        let mut setup = phone::Setup::new(
            &format!("http://{address}/twilio/voice"),
            ACCOUNT,
            AUTH_TOKEN,
            call,
        );
        setup.status_callback = Some(format!("http://{address}/twilio/status"));
        setup.from = "+14155550171".to_string();
        setup.to = to.to_string();
        setup
    };
    let voice = through_telephone(&speech(1500, 21));
    let mut first = number("CA00000000000000000000000000000001", "+15005550006");
    first.script = says_and_hangs_up(&voice);
    let first = call(first, wires).await.expect("a call");
    assert!(find(&voice, &first.heard).expect("an answer").correlation > 0.95);
    let last = number("CA00000000000000000000000000000002", "+15005550099");
    let stop = async {
        tokio::time::sleep(Duration::from_secs(3)).await;
        terminate(program);
    };
    let (last, ()) = tokio::join!(call(last, wires), stop);
    [first, last.expect("a call")]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_program_logs_every_call_in_full_and_no_secret_and_stops_when_told() {
    let model = ModelServer::new(
        model_setup("greeting=600ms goodbye=1s latency=200ms").expect("words"),
        false,
    );
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0")
        .await
        .expect("a port");
    let model_address = listener.local_addr().expect("its number");
    let serving = model.clone();
    tokio::spawn(async move { serving.serve(listener, std::future::pending()).await });
    let rest = RestServer::start(ACCOUNT, AUTH_TOKEN)
        .await
        .expect("an API");
    let wires = Wires::new().expect("wires").with_rest(rest.clone());
    let address = free_port();
    let program = serve(&configuration(
        "fine",
        address,
        model_address,
        rest.base(),
        "",
    ));
    until("it listens", || {
        std::net::TcpStream::connect(address).is_ok()
    })
    .await;
    let reports = two_calls(address, &program, &wires).await;
    let output = ended(program).await;
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    for report in &reports {
        assert!(report.violations.is_empty(), "{:#?}", report.timeline);
    }
    let log = String::from_utf8(output.stdout).expect("text");
    for secret in SECRETS {
        assert!(!log.contains(secret), "{secret} is in the log:\n{log}");
    }
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
    let lines: Vec<Value> = log
        .lines()
        .map(|line| serde_json::from_str(line).expect(line))
        .collect();
    check_lines(&lines);
    let written: u64 = lines
        .iter()
        .filter(|line| line["event"] == "call.ended")
        .map(|line| nanos(&line["model_usd"]))
        .sum();
    let billed: u64 = model.invoices().iter().map(Invoice::responses_nanos).sum();
    assert_eq!(written, billed, "{log}");
}

/// A decimal of dollars in nano-dollars. JSON has one kind of number; nine digits of a few dollars are exact in it.
fn nanos(value: &Value) -> u64 {
    (value.as_f64().expect("a number") * 1e9).round() as u64
}

fn check_lines(lines: &[Value]) {
    let of_calls = |line: &&Value| {
        line["event"]
            .as_str()
            .is_some_and(|event| event.starts_with("call."))
    };
    let own: Vec<&Value> = lines.iter().filter(of_calls).collect();
    for line in &own {
        for field in ["call", "carrier_call", "agent"] {
            assert!(line[field].is_string(), "{field} in {line}");
        }
        for field in ["spent_usd", "cap_usd", "left_usd"] {
            assert!(line[field].is_number(), "{field} in {line}");
        }
        assert_eq!(
            nanos(&line["spent_usd"]) + nanos(&line["left_usd"]),
            nanos(&line["cap_usd"]),
            "{line}"
        );
    }
    let events: Vec<&str> = own
        .iter()
        .filter_map(|line| line["event"].as_str())
        .collect();
    for event in [
        "call.offered",
        "call.answered",
        "call.turn",
        "call.wrapping_up",
        "call.ended",
    ] {
        assert!(events.contains(&event), "{event} is not among {events:?}");
    }
    let ended: Vec<&&Value> = own
        .iter()
        .filter(|line| line["event"] == "call.ended")
        .collect();
    for line in &ended {
        let parts: u64 = ["model_usd", "carrier_usd", "transcription_usd", "tools_usd"]
            .iter()
            .map(|part| nanos(&line[part]))
            .sum();
        assert_eq!(parts, nanos(&line["spent_usd"]), "{line}");
        for field in ["duration_s", "billed_minutes", "unheard_usd"] {
            assert!(line[field].is_number(), "{field} in {line}");
        }
    }
    let how: Vec<(&str, &str)> = ended
        .iter()
        .map(|line| {
            (
                line["ending"].as_str().unwrap_or(""),
                line["cause"].as_str().unwrap_or("?"),
            )
        })
        .collect();
    assert_eq!(how.first(), Some(&("caller-hung-up", "")));
    assert_eq!(how.last(), Some(&("said-goodbye", "drain")));
}

#[tokio::test]
async fn a_wrong_configuration_ends_the_program_before_any_port_is_opened() {
    // We have the port: a program that tried to open it would fail for that.
    let port = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = port.local_addr().expect("its number");
    let wrong = configuration(
        "wrong",
        address,
        address,
        "http://127.0.0.1:9",
        "[agent.desk.lime]\nlead = \"300ms\"\n",
    );
    let output = ended(serve(&wrong)).await;
    assert_eq!(output.status.code(), Some(64), "{output:?}");
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(told.contains("lime"), "{told}");
    assert!(
        !told.contains("sk-simulated") && !told.contains(AUTH_TOKEN),
        "{told}"
    );

    let right = configuration("taken", address, address, "http://127.0.0.1:9", "");
    let output = ended(serve(&right)).await;
    assert_eq!(
        output.status.code(),
        Some(1),
        "the port is taken: {output:?}"
    );
}

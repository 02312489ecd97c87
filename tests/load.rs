//! The load program against the real server, both as processes: every frame of speech is accounted for, and nobody is loaded who did
//! not ask for it.

use serde_json::Value;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output};
use std::time::{Duration, Instant};

const ACCOUNT: &str = "AC0123456789abcdef0123456789abcdef";
const AUTH_TOKEN: &str = "0123456789abcdef0123456789abcdef";

fn free_port() -> SocketAddr {
    let any = TcpListener::bind("127.0.0.1:0").expect("a port");
    any.local_addr().expect("its number")
}

fn ringfence(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ringfence"));
    command
        .args(arguments)
        .env("OPENAI_API_KEY", "sk-simulated")
        .env("TWILIO_ACCOUNT_SID", ACCOUNT)
        .env("TWILIO_AUTH_TOKEN", AUTH_TOKEN)
        .env("RINGFENCE_ADMIN_TOKEN", "an-admin-token-of-this-test-only");
    command
}

/// A server that is stopped when the test is over, however it ends.
struct Server(Child);

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// An empty folder of this test.
fn folder(name: &str) -> PathBuf {
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR"));
    let folder = folder.join(format!("load-{}-{name}", std::process::id()));
    std::fs::create_dir_all(&folder).expect("a folder");
    folder
}

/// Starts the server, with its model at this URL and its carrier at this address.
fn serve(folder: &Path, listen: SocketAddr, model: &str, api: &str) -> Server {
    let text = format!(
        r#"
[server]
listen = "{listen}"
public_url = "http://{listen}"
[carrier.twilio]
api_base = "http://{api}"
[model.main]
url = "{model}/v1/realtime"
model = "gpt-realtime-2.1"
[agent.desk]
numbers = ["*"]
instructions = "You answer the phone. Say that you are an automated assistant."
"#
    );
    let config = folder.join("load.toml");
    std::fs::write(&config, text).expect("a file");
    let log = std::fs::File::create(folder.join("log")).expect("a file");
    let child = ringfence(&["serve", "--config"])
        .arg(&config)
        .current_dir(folder)
        // For a model behind TLS: who may vouch for it.
        .env("SSL_CERT_FILE", folder.join("root.pem"))
        .stdout(log)
        .spawn()
        .expect("the program");
    let server = Server(child);
    let began = Instant::now();
    while TcpStream::connect(listen).is_err() {
        assert!(
            began.elapsed() < Duration::from_secs(20),
            "it never listens"
        );
        std::thread::sleep(Duration::from_millis(20));
    }
    server
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn five_callers_lose_no_frame_and_one_that_means_no_good_disturbs_nobody() {
    let (listen, model, api) = (free_port(), free_port(), free_port());
    let (model, api) = (model.to_string(), api.to_string());
    let server = serve(&folder("plain"), listen, &format!("ws://{model}"), &api);
    let url = format!("http://{listen}/twilio/voice");
    let pid = server.0.id().to_string();
    let output = ringfence(&[
        "load",
        &url,
        "--calls",
        "6",
        "--for",
        "6s",
        "--hostile",
        "0.17",
    ])
    .args(["--json", "--model-at", &model, "--carrier-api-at", &api])
    .args(["--watch-pid", &pid])
    .output()
    .expect("the program");
    assert!(output.status.success(), "{}", said(&output));
    let report: Value = serde_json::from_slice(&output.stdout).expect("one JSON object");
    assert_eq!(report["endings"]["caller"], 5, "{report}");
    assert_eq!(report["violations"], 0, "{report}");
    for way in ["frames_up", "frames_down"] {
        assert!(report[way]["sent"].as_u64() > Some(100), "{report}");
        assert_eq!(report[way]["lost"], 0, "{report}");
    }
    // The model bills, and the server was watched.
    assert!(report["spend_usd"].as_f64() > Some(0.0), "{report}");
    assert!(
        report["watched"]["rss_kb_before"].as_u64() > Some(0),
        "{report}"
    );
}

/// A certificate for `localhost` in this folder, as `model.pem` with `model.key`, and in `root.pem` the authority behind it.
fn certify(folder: &Path) {
    let extensions = "subjectAltName=DNS:localhost\nbasicConstraints=CA:FALSE\n";
    std::fs::write(folder.join("model.ext"), extensions).expect("a file");
    const CURVE: &str = "-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes";
    for line in [
        format!("req -x509 {CURVE} -days 2 -subj /CN=test -keyout root.key -out root.pem"),
        format!("req {CURVE} -subj /CN=localhost -keyout model.key -out model.csr"),
        "x509 -req -in model.csr -CA root.pem -CAkey root.key -set_serial 1 -days 2 -extfile model.ext -out model.pem".to_string(),
    ] {
        let made = Command::new("openssl")
            .args(line.split(' '))
            .current_dir(folder)
            .output()
            .expect("openssl");
        assert!(made.status.success(), "{}", said(&made));
    }
}

/// Two callers of a server whose model shows the certificate of `shown`, and which trusts the authority of `trusted`: what the load
/// reports, and what the server logs.
fn over_tls(shown: &Path, trusted: &Path) -> (Value, String) {
    let (listen, model, api) = (free_port(), free_port(), free_port());
    let (model_url, api) = (format!("wss://localhost:{}", model.port()), api.to_string());
    let _server = serve(trusted, listen, &model_url, &api);
    let output = ringfence(&["load", &format!("http://{listen}/twilio/voice")])
        .args(["--calls", "2", "--for", "4s", "--json"])
        .args(["--model-at", &model.to_string(), "--carrier-api-at", &api])
        .arg("--model-cert")
        .arg(shown.join("model.pem"))
        .arg("--model-key")
        .arg(shown.join("model.key"))
        .output()
        .expect("the program");
    assert!(output.status.success(), "{}", said(&output));
    let report = serde_json::from_slice(&output.stdout).expect("one JSON object");
    let log = std::fs::read_to_string(trusted.join("log")).expect("a log");
    (report, log)
}

#[test]
fn a_model_behind_tls_is_heard_and_one_that_nobody_vouches_for_is_not() {
    let (ours, theirs) = (folder("ours"), folder("theirs"));
    certify(&ours);
    certify(&theirs);
    let (report, log) = over_tls(&ours, &ours);
    assert_eq!(report["endings"]["caller"], 2, "{report}\n{log}");
    for way in ["frames_up", "frames_down"] {
        assert!(report[way]["sent"].as_u64() > Some(50), "{report}\n{log}");
        assert_eq!(report[way]["lost"], 0, "{report}\n{log}");
    }
    let (report, log) = over_tls(&theirs, &ours);
    assert_eq!(report["frames_down"]["arrived"], 0, "{report}\n{log}");
    assert!(log.contains("tls failed"), "{report}\n{log}");
}

#[test]
fn what_must_not_be_loaded_is_refused_before_the_first_call() {
    for (arguments, words) in [
        (
            &["load", "http://192.0.2.7/twilio/voice"][..],
            &["not this machine", "--i-own-this-target"][..],
        ),
        (&["load", "bot"], &["not an address"]),
        (
            &["load", "ws://127.0.0.1:9/", "--calls", "9000"],
            &["--calls 9000", "8191"],
        ),
        (
            &["load", "ws://127.0.0.1:9/", "--talk", "0.6"],
            &["--talk 0.6", "0.44"],
        ),
        (
            &["load", "ws://127.0.0.1:9/", "--for", "1h"],
            &["length of time", "60s"],
        ),
    ] {
        let output = ringfence(arguments).output().expect("the program");
        assert_eq!(output.status.code(), Some(2), "{}", said(&output));
        for word in words {
            assert!(said(&output).contains(word), "{}", said(&output));
        }
    }
}

#[test]
fn more_calls_than_open_files_are_refused_with_both_numbers() {
    let program = env!("CARGO_BIN_EXE_ringfence");
    let line = format!("ulimit -n 512 && exec {program} load ws://127.0.0.1:9/ --calls 400");
    let output = Command::new("sh")
        .args(["-c", &line])
        .output()
        .expect("a shell");
    assert_eq!(output.status.code(), Some(2), "{}", said(&output));
    for word in [
        "400 calls need 928 open files",
        "may have 512",
        "ulimit -n 928",
    ] {
        assert!(said(&output).contains(word), "{}", said(&output));
    }
}

//! `ringfence dial`: has a running server place a call.
//!
//! Only the server may dial, for only it knows what its budgets have left; this asks it, at the same door as any other program, and
//! says what it said.

use super::{failed, on_runtime};
use crate::admission::new_token;
use crate::app::install_cryptography;
use crate::units::Phone;
use serde_json::{Value, json};
use std::process::ExitCode;
use std::time::Duration;

/// The variable the admin token is in.
const TOKEN: &str = "RINGFENCE_ADMIN_TOKEN";

/// How long the server may take: it asks the carrier once, which may take five seconds, and writes a ledger.
const PATIENCE: Duration = Duration::from_secs(30);

/// Bad configuration.
const CONFIGURATION: u8 = 64;

/// Arguments of `dial`.
#[derive(Debug, clap::Args)]
pub struct DialArguments {
    /// Who is called, in the international form: +14155550123.
    #[arg(value_name = "NUMBER")]
    to: String,
    /// Who is to talk: one of the server's [agent.*].
    #[arg(long)]
    agent: String,
    /// Whose number they see: one of the agent's own; its first when left out.
    #[arg(long, value_name = "NUMBER")]
    from: Option<String>,
    /// The server.
    #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:8080")]
    server: String,
}

/// Runs the command: 0 when the call was placed.
pub fn run(own: &DialArguments) -> ExitCode {
    let Some(token) = std::env::var(TOKEN).ok().filter(|token| !token.is_empty()) else {
        eprintln!("ringfence: {TOKEN} is not set: only who has the admin token may dial");
        return ExitCode::from(CONFIGURATION);
    };
    install_cryptography();
    on_runtime(async {
        match ask(own, &token).await {
            Ok((status, paper)) => say(own, status, &paper),
            Err(why) => failed(&why),
        }
    })
}

/// Asks the server: its status and its answer.
async fn ask(own: &DialArguments, token: &str) -> Result<(u16, Value), String> {
    let client = reqwest::Client::builder()
        .timeout(PATIENCE)
        // Nobody but the server that was named is given the token.
        .redirect(reqwest::redirect::Policy::none())
        .build()
        .map_err(|error| format!("cannot make requests: {error}"))?;
    let server = own.server.trim_end_matches('/');
    let mut body = json!({ "to": own.to, "agent": own.agent });
    if let Some(from) = &own.from {
        body["from"] = from.as_str().into();
    }
    let request = client
        .post(format!("{server}/api/v1/calls"))
        .bearer_auth(token)
        .header("Idempotency-Key", new_token())
        .json(&body);
    let answer = request.send().await.map_err(|error| match error {
        error if error.is_timeout() => {
            format!("{server} did not answer; the call may have been placed: see `ringfence calls`")
        }
        error if error.is_builder() => format!("{server} is not an address"),
        _ => format!("cannot reach a server at {server}: is it running?"),
    })?;
    let status = answer.status().as_u16();
    let paper = answer.json().await;
    let paper = paper.map_err(|_| format!("{server} answered {status} in no words of ours"))?;
    Ok((status, paper))
}

fn say(own: &DialArguments, status: u16, paper: &Value) -> ExitCode {
    let text = |key: &str| paper.get(key).and_then(Value::as_str).unwrap_or_default();
    if status == 201 {
        let (call, carrier_call) = (text("call"), text("carrier_call"));
        let to = Phone::from(&*own.to);
        println!(
            "dialled {to} for {}: {call}, {carrier_call} at the carrier",
            own.agent
        );
        println!("`ringfence calls show {call}` tells what becomes of it");
        return ExitCode::SUCCESS;
    }
    let outcome = match status {
        504 => "nobody knows whether it was dialled",
        _ => "not dialled",
    };
    failed(&format!(
        "{outcome}: {}\n  -> {}",
        text("error"),
        text("fix")
    ))
}

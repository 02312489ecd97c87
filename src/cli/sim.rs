//! `ringfence sim`: either simulator as a process of its own, for a server that is not this process.

use super::prove::judge::{broken_promises, judge};
use super::prove::{Outcome, Script};
use super::{asked_to_stop, failed, on_runtime, world};
use crate::sim::model::serve::ModelServer;
use crate::sim::phone::call::{Wires, call};
use crate::sim::phone::{Act, Ending, Line, Setup, Step, When, wav};
use clap::{Args, Subcommand};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use tokio::net::TcpListener;

/// Which of the two.
#[derive(Debug, Subcommand)]
pub enum SimCommand {
    /// A speech model: hears where a turn ends, answers by saying the caller's own words back, and bills as the provider does.
    Model(ModelArguments),
    /// A phone at a carrier: calls a webhook, talks, listens, and writes down what it heard.
    Phone(PhoneArguments),
    /// A call written as text: makes it in virtual time, tells what happened, and judges it.
    Call(CallArguments),
}

/// Arguments of `sim model`.
#[derive(Debug, Args)]
pub struct ModelArguments {
    /// Where to listen.
    #[arg(long, default_value = "127.0.0.1:9090")]
    listen: SocketAddr,
    /// Its manners, such as "latency=500ms answer=4s usage=late:5s"; honest and quick when left out.
    #[arg(long, default_value = "")]
    behave: String,
    /// The only key it accepts; any when left out.
    #[arg(long)]
    key: Option<String>,
}

/// Arguments of `sim phone`.
#[derive(Debug, Args)]
pub struct PhoneArguments {
    /// The webhook to call, such as http://127.0.0.1:8080/twilio/voice
    url: String,
    /// What the caller says: a WAV of any rate. May be given several times; each is said in answer to the agent.
    #[arg(long)]
    wav: Vec<PathBuf>,
    /// Where to write what the caller heard: a WAV of 8 kHz.
    #[arg(long)]
    out: Option<PathBuf>,
    /// What the carrier signs with.
    #[arg(long, env = "TWILIO_AUTH_TOKEN", hide_env_values = true)]
    auth_token: String,
    /// The carrier's account.
    #[arg(long, env = "TWILIO_ACCOUNT_SID")]
    account_sid: String,
    /// Who calls.
    #[arg(long, default_value = "+14155550123")]
    from: String,
    /// The number that is called.
    #[arg(long, default_value = "+15005550006")]
    to: String,
    /// The carrier's name for the call; a new one when left out.
    #[arg(long)]
    call_sid: Option<String>,
    /// One way from the phone to the server, in milliseconds.
    #[arg(long, default_value_t = 0)]
    delay_ms: u64,
    /// At most so much more, by chance.
    #[arg(long, default_value_t = 0)]
    jitter_ms: u64,
    /// How long the agent must be silent before the caller answers or hangs up, in milliseconds.
    #[arg(long, default_value_t = 1000)]
    patience_ms: u64,
    /// Do not hang up at the end of the script, but wait for the agent to.
    #[arg(long)]
    stay: bool,
}

/// Arguments of `sim call`.
#[derive(Debug, Args)]
pub struct CallArguments {
    /// The call's file, such as config/scenarios/ordinary.call
    file: PathBuf,
    /// Make it over real sockets, in real time.
    #[arg(long)]
    sockets: bool,
}

/// Runs the command.
pub fn run(command: SimCommand) -> ExitCode {
    match command {
        SimCommand::Model(own) => on_runtime(model(own)),
        SimCommand::Phone(own) => on_runtime(phone(own)),
        SimCommand::Call(own) => on_runtime(scenario(own)),
    }
}

async fn model(own: ModelArguments) -> ExitCode {
    let mut setup = match world::model_setup(&own.behave) {
        Ok(setup) => setup,
        Err(why) => return failed(&why),
    };
    setup.accept_key = own.key;
    let listener = match TcpListener::bind(own.listen).await {
        Ok(listener) => listener,
        Err(error) => return failed(&format!("cannot listen on {}: {error}", own.listen)),
    };
    println!(
        "a simulated model listens on ws://{}/v1/realtime, and as Azure does on /openai/v1/realtime and /openai/realtime",
        own.listen
    );
    let server = ModelServer::new(setup, true);
    server.serve(listener, asked_to_stop()).await;
    println!("{} sessions, ${} billed", server.sessions(), server.total());
    ExitCode::SUCCESS
}

async fn phone(own: PhoneArguments) -> ExitCode {
    let setup = match setup(&own) {
        Ok(setup) => setup,
        Err(why) => return failed(&why),
    };
    let report = match Wires::new() {
        Ok(wires) => call(setup, &wires).await,
        Err(why) => Err(why),
    };
    let report = match report {
        Ok(report) => report,
        Err(why) => return failed(&why),
    };
    for moment in &report.timeline {
        println!("{moment}");
    }
    println!(
        "{} ms, {} billed minutes, heard {} ms",
        report.duration_ms,
        report.billed_minutes,
        report.heard.len() / 8
    );
    if let Some(out) = &own.out
        && let Err(why) = report.write_wav(out)
    {
        return failed(&why);
    }
    let answered = report.ending != Some(Ending::ApplicationError);
    if answered && report.violations.is_empty() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

async fn scenario(own: CallArguments) -> ExitCode {
    let made = match Script::read(&own.file) {
        Ok(script) if own.sockets => (script.perform().await).map(|outcome| (script, outcome)),
        Ok(script) => script.rehearse().map(|outcome| (script, outcome)),
        Err(why) => Err(why),
    };
    let (script, outcome) = match made {
        Ok(made) => made,
        Err(why) => return failed(&why),
    };
    println!("{}\n", script.scenario.about);
    tell(&outcome);
    let mut wrong = judge(&script.scenario, &outcome);
    wrong.extend(broken_promises(&outcome));
    for wrong in &wrong {
        println!("{wrong}");
    }
    if wrong.is_empty() {
        println!("as expected");
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

/// What happened: first as the server wrote it down, then as the phone saw it.
fn tell(outcome: &Outcome) {
    println!("the server, from its answer to the webhook on:");
    for fact in &outcome.facts {
        let (at_ms, spent) = (fact.at.millis(), fact.spent);
        let (seconds, rest) = (at_ms / 1000, at_ms % 1000);
        let (word, cost) = (fact.what.word(), fact.what.cost());
        println!(
            "{seconds:4}.{rest:03}  ${spent:<10}  {word} {}",
            match cost.is_zero() {
                true => String::new(),
                false => format!("+${cost}"),
            }
        );
    }
    println!("\nthe phone, from the first ring on:");
    for moment in &outcome.phone.timeline {
        println!("{moment}");
    }
    let minutes = outcome.phone.billed_minutes;
    println!(
        "\n${} of ${}; the model bills ${}, the carrier {minutes} minutes\n",
        outcome.spent(),
        outcome.cap,
        outcome.billed()
    );
}

fn setup(own: &PhoneArguments) -> Result<Setup, String> {
    let call_sid = own
        .call_sid
        .clone()
        .unwrap_or_else(|| format!("CA{:032x}", rand::random::<u128>()));
    let mut setup = Setup::new(&own.url, &own.account_sid, &own.auth_token, &call_sid);
    setup.from.clone_from(&own.from);
    setup.to.clone_from(&own.to);
    setup.line = Line {
        delay_ms: own.delay_ms,
        jitter_ms: own.jitter_ms,
        ..Line::default()
    };
    let replies = When::Replies {
        after_ms: own.patience_ms,
    };
    for path in &own.wav {
        let act = Act::Say(Arc::from(wav::read(path)?));
        setup.script.push(Step { when: replies, act });
    }
    if !own.stay {
        setup.script.push(Step {
            when: replies,
            act: Act::HangUp,
        });
    }
    Ok(setup)
}

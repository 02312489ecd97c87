//! The commands: one file each, and here the arguments they take.

pub mod calls;
pub mod check;
pub mod demo;
pub mod dial;
pub mod healthcheck;
pub mod load;
pub mod number;
pub mod price;
pub mod prove;
pub mod serve;
pub mod sim;
pub mod spend;
pub mod world;

use clap::{Parser, Subcommand};
use std::path::PathBuf;
use std::process::ExitCode;

/// Ringfence answers phone calls with a speech-to-speech model, and never spends more on a call than you allowed.
#[derive(Debug, Parser)]
#[command(version, about, max_term_width = 100)]
pub struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Take calls, until SIGTERM or Ctrl-C: then the live ones say goodbye.
    Serve(ConfigArgument),
    /// Show three calls, offline: the real server, a simulated phone and a simulated model. No account, no key.
    Demo(demo::DemoArguments),
    /// Say what the configuration means, or everything that is wrong with it.
    Check(ConfigArgument),
    /// What models cost: the price book, or one model with a worked example.
    Price {
        /// The model's id, such as gpt-realtime-2.1; all of them when left out.
        model: Option<String>,
        /// Add what an ordinary talk has cost after each of thirty minutes.
        #[arg(long, requires = "model")]
        curve: bool,
    },
    /// What calls have cost: list them, show one, export, verify, or compare with the provider's bill.
    #[command(subcommand)]
    Calls(calls::CallsCommand),
    /// What was spent, by day, agent or caller.
    Spend(spend::SpendArguments),
    /// Have a running server call somebody. Takes the admin token from RINGFENCE_ADMIN_TOKEN.
    Dial(dial::DialArguments),
    /// Whom the carrier asks when a number is called: show it, make it this server, or give it back.
    #[command(subcommand)]
    Number(number::NumberCommand),
    /// Try to make calls cost more than their cap: thousands, offline, against models and callers that mean no good.
    Prove(prove::command::ProveArguments),
    /// Keep a server as busy as so many real calls would, and measure what it adds, loses and costs.
    Load(load::LoadArguments),
    /// Run one of the two simulators as a process of its own.
    #[command(subcommand)]
    Sim(sim::SimCommand),
    /// Ask the server of this configuration whether it is alive: for containers.
    #[command(hide = true)]
    Healthcheck(ConfigArgument),
}

#[derive(Debug, clap::Args)]
struct ConfigArgument {
    /// The configuration's file; config/ringfence.toml when left out.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
}

/// Parses the arguments and runs the command. Wrong ones end with 2, as everywhere.
pub fn main() -> ExitCode {
    match Arguments::parse().command {
        Command::Serve(own) => serve::run(own.config.as_deref()),
        Command::Demo(own) => demo::run(&own),
        Command::Check(own) => check::run(own.config.as_deref()),
        Command::Price { model, curve } => price::run(model.as_deref(), curve),
        Command::Calls(own) => calls::run(own),
        Command::Spend(own) => spend::run(own),
        Command::Dial(own) => dial::run(&own),
        Command::Number(own) => number::run(own),
        Command::Prove(own) => prove::command::run(&own),
        Command::Load(own) => load::run(&own),
        Command::Sim(own) => sim::run(own),
        Command::Healthcheck(own) => healthcheck::run(own.config.as_deref()),
    }
}

/// Runs `work` on a runtime with a worker for each core.
fn on_runtime(work: impl Future<Output = ExitCode>) -> ExitCode {
    match tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
    {
        Ok(runtime) => runtime.block_on(work),
        Err(error) => failed(&format!("cannot start: {error}")),
    }
}

/// Says what went wrong, and fails.
fn failed(what: &str) -> ExitCode {
    eprintln!("ringfence: {what}");
    ExitCode::FAILURE
}

/// Resolves when somebody asks this process to stop.
async fn asked_to_stop() {
    use tokio::signal::unix::{SignalKind, signal};
    let interrupt = tokio::signal::ctrl_c();
    match signal(SignalKind::terminate()) {
        Ok(mut terminate) => {
            tokio::select! {
                _ = interrupt => {}
                _ = terminate.recv() => {}
            }
        }
        Err(_) => {
            let _ = interrupt.await;
        }
    }
}

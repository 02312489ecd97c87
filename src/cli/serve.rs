//! `ringfence serve`: take calls.
//!
//! The boot story, in the log: what was understood, what is odd about it, where it listens. On the way out: no new calls, a goodbye for
//! each live one, and exit code 0.

use super::{asked_to_stop, check, on_runtime};
use crate::app::{Server, Unstarted};
use crate::config::{self, Settings};
use crate::observe::log;
use crate::units::Phone;
use std::path::Path;
use std::process::ExitCode;

/// Runs the command.
pub fn run(config: Option<&Path>) -> ExitCode {
    let settings = match config::load(config, config::environment()) {
        Ok(settings) => settings,
        Err(mistakes) => {
            let _ = check::mistakes(&mistakes, &mut std::io::stderr().lock());
            return ExitCode::from(check::BAD_CONFIGURATION);
        }
    };
    log::install(settings.log);
    tell(&settings);
    let code = on_runtime(serve(settings));
    log::flush();
    code
}

fn tell(settings: &Settings) {
    for warning in &settings.warnings {
        tracing::warn!(event = "config.warning", warning = warning.as_str());
    }
    for agent in &settings.agents {
        let masked = |number: &String| match number.as_str() {
            "*" => number.clone(),
            number => Phone::from(number).to_string(),
        };
        let numbers: Vec<String> = agent.numbers.iter().map(masked).collect();
        for model in &agent.models {
            tracing::info!(
                event = "agent.ready",
                agent = &*agent.name,
                numbers = numbers.join(" "),
                model = model.session.model.as_str(),
                cap_usd = %model.rules.spend.end,
                smallest_cap_usd = %model.smallest_cap,
                goodbye_usd = %model.rules.goodbye_bound(),
                cap_s = model.rules.duration_ms.end / 1000,
            );
        }
    }
}

async fn serve(settings: Settings) -> ExitCode {
    let webhooks: Vec<String> = settings
        .carriers
        .iter()
        .map(|(name, _)| format!("{}/{name}/voice", settings.public_url))
        .collect();
    let server = match Server::start(settings).await {
        Ok(server) => server,
        Err(unstarted) => {
            tracing::error!(event = "server.failed", why = unstarted.to_string());
            // As with settings that are wrong: starting it again will not help.
            return match unstarted {
                Unstarted::Ledger(_) => {
                    eprintln!("ringfence: {unstarted}");
                    ExitCode::from(check::BAD_CONFIGURATION)
                }
                Unstarted::Listen(..)
                | Unstarted::Requests(_)
                | Unstarted::Tools(_)
                | Unstarted::Workers(_) => ExitCode::FAILURE,
            };
        }
    };
    if let Some(token) = &server.made_admin_token {
        // Not into the log, which others may read: to whoever started it.
        eprintln!("admin token, made because RINGFENCE_ADMIN_TOKEN is not set: {token}");
    }
    tracing::info!(
        event = "server.listening",
        address = server.address.to_string(),
        webhook = webhooks.join(" "),
        version = env!("CARGO_PKG_VERSION"),
    );
    asked_to_stop().await;
    // Whoever asks twice is in a hurry.
    server.drain(asked_to_stop()).await;
    ExitCode::SUCCESS
}

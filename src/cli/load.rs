//! `ringfence load`: as many calls as wanted, and what they cost the server.
//!
//! The calls are made by [`crate::sim::load`]; here the arguments are read, everything that would make the figures
//! worthless or hurt a stranger is refused before the first call, and the result is told.

use super::{failed, world};
use crate::app::install_cryptography;
use crate::sim::load::report::Report;
use crate::sim::load::seek::{self, Step};
use crate::sim::load::target::Target;
use crate::sim::load::watch::{self, Watched};
use crate::sim::load::{self, MOST_TALK, Plan, Progress, code};
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use serde_json::json;
use std::io::{IsTerminal, Write};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

/// Arguments of `load`.
#[derive(Debug, clap::Args)]
pub struct LoadArguments {
    /// http(s)://HOST/twilio/voice: call as the carrier does, webhook first. ws(s)://HOST/PATH: open media streams at once,
    /// for relays and other servers.
    url: String,
    /// How many calls at once.
    #[arg(long, default_value_t = 50)]
    calls: usize,
    /// How long they are measured, once all are up: 60s, 5m.
    #[arg(long = "for", value_name = "TIME", default_value = "60s", value_parser = time)]
    lasts: Duration,
    /// How much of the time each caller speaks; the model answers as long, and the rest is silence.
    #[arg(long, default_value_t = 0.35)]
    talk: f64,
    /// How fast calls begin.
    #[arg(long, value_name = "CALLS/s", default_value = "20/s", value_parser = ramp)]
    ramp: Duration,
    /// The share of callers who mean no good; only the others are reported.
    #[arg(long, value_name = "SHARE", default_value_t = 0.0)]
    hostile: f64,
    /// What makes one run differ from another.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
    /// Find the largest number of calls whose sound is never this much late (p99, either way) and never lost, from --calls on.
    #[arg(long, value_name = "TIME", value_parser = time, requires = "model_at")]
    until_late: Option<Duration>,
    /// Play the model here too, ws://ADDRESS/v1/realtime for the server's configuration: only so can sound be timed.
    #[arg(long, value_name = "ADDRESS")]
    model_at: Option<SocketAddr>,
    /// The certificate (PEM) that the model shows; its address is wss:// then.
    #[arg(
        long,
        value_name = "FILE",
        requires = "model_key",
        requires = "model_at"
    )]
    model_cert: Option<PathBuf>,
    /// The certificate's key (PEM).
    #[arg(long, value_name = "FILE", requires = "model_cert")]
    model_key: Option<PathBuf>,
    /// Play the carrier's REST API here: http://ADDRESS for the configuration's api_base.
    #[arg(long, value_name = "ADDRESS")]
    carrier_api_at: Option<SocketAddr>,
    /// Tell what this process costs while it is measured: the server's id.
    #[arg(long, value_name = "PID")]
    watch_pid: Option<u32>,
    /// Aim at a machine other than this one. It must be yours: a thousand calls are an attack on whoever did not ask for them.
    #[arg(long)]
    i_own_this_target: bool,
    /// The carrier's account, of a webhook.
    #[arg(long, env = "TWILIO_ACCOUNT_SID", default_value = "")]
    account_sid: String,
    /// What webhooks are signed with.
    #[arg(
        long,
        env = "TWILIO_AUTH_TOKEN",
        default_value = "",
        hide_env_values = true
    )]
    auth_token: String,
    /// The number that is called.
    #[arg(long, default_value = "+15005550006")]
    to: String,
}

/// Wrong arguments.
const USAGE: u8 = 2;

/// Runs the command: 0 when calls were made and measured, 2 when they were refused before the first.
pub fn run(own: &LoadArguments) -> ExitCode {
    install_cryptography();
    let plan = match plan(own) {
        Ok(plan) => plan,
        Err(why) => {
            eprintln!("ringfence: {why}");
            return ExitCode::from(USAGE);
        }
    };
    let mut bar = Bar::new();
    let made = match own.until_late {
        None => load::run(plan, &mut |progress| bar.show(progress)).map(|report| (report, None)),
        Some(limit) => seek::largest(&plan, limit, &mut |progress| bar.show(progress))
            .map(|found| (found.best, Some((limit, found.steps)))),
    };
    bar.clear();
    match made {
        Ok((report, steps)) => {
            match own.json {
                true => println!("{}", as_json(&report, steps.as_ref())),
                false => tell(&report, steps.as_ref()),
            }
            match report.endings.refused as usize == report.calls {
                true => failed("no call was taken"),
                false => ExitCode::SUCCESS,
            }
        }
        Err(why) => failed(&why),
    }
}

/// Reads the arguments, and refuses what cannot be or must not be.
fn plan(own: &LoadArguments) -> Result<Plan, String> {
    let target =
        Target::find(&own.url, own.i_own_this_target).map_err(|unfit| unfit.to_string())?;
    if own.calls == 0 || own.calls > code::MOST_CALLS {
        return Err(format!(
            "--calls {} is not from 1 to {}",
            own.calls,
            code::MOST_CALLS
        ));
    }
    let is_webhook = own.url.starts_with("http");
    if is_webhook && (own.account_sid.is_empty() || own.auth_token.is_empty()) {
        return Err("a webhook is signed: set TWILIO_ACCOUNT_SID and TWILIO_AUTH_TOKEN to what the server has".into());
    }
    let most_talk = MOST_TALK as f64 / 1000.0;
    if !(0.0..=most_talk).contains(&own.talk) {
        return Err(format!(
            "--talk {} is not from 0 to {most_talk}: the agent has to answer as long, and nobody is to be interrupted",
            own.talk
        ));
    }
    if !(0.0..=0.9).contains(&own.hostile) {
        return Err(format!("--hostile {} is not from 0 to 0.9", own.hostile));
    }
    let model_tls = match (&own.model_cert, &own.model_key) {
        (Some(certificate), Some(key)) => Some(certified(certificate, key)?),
        _ => None,
    };
    let client_tls = target.scheme.is_encrypted().then(trusting).flatten();
    let plan = Plan {
        target,
        anywhere: own.i_own_this_target,
        calls: own.calls,
        lasts: own.lasts,
        talk_milli: (own.talk * 1000.0).round() as u64,
        ramp_us: own.ramp.as_micros() as u64,
        hostile_milli: (own.hostile * 1000.0).round() as u64,
        seed: own.seed,
        model_at: own.model_at,
        model_tls,
        api_at: own.carrier_api_at,
        client_tls,
        watch: own.watch_pid.map(|pid| Watched { pid }),
        account: own.account_sid.clone(),
        auth_token: own.auth_token.clone().into(),
        to: own.to.clone(),
        prices: world::model_setup("")?.prices,
    };
    match watch::most_files() {
        Some(most) if plan.files() > most => Err(format!(
            "{} calls need {} open files, and this process may have {most}: raise the limit (`ulimit -n {}`) or use fewer --calls. The server needs as many of its own",
            plan.calls,
            plan.files(),
            plan.files()
        )),
        _ => Ok(plan),
    }
}

/// How the model proves itself.
fn certified(certificate: &Path, key: &Path) -> Result<Arc<ServerConfig>, String> {
    let unread = |path: &Path, why: String| format!("{}: {why}", path.display());
    let chain = CertificateDer::pem_file_iter(certificate)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(|error| unread(certificate, error.to_string()))?;
    let key_der =
        PrivateKeyDer::from_pem_file(key).map_err(|error| unread(key, error.to_string()))?;
    let builder = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()));
    let config = builder
        .with_safe_default_protocol_versions()
        .and_then(|builder| {
            builder
                .with_no_client_auth()
                .with_single_cert(chain, key_der)
        })
        .map_err(|error| unread(certificate, error.to_string()))?;
    Ok(Arc::new(config))
}

/// Trusts what this machine trusts; `None` when that is nobody.
fn trusting() -> Option<Arc<ClientConfig>> {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    if roots.is_empty() {
        return None;
    }
    let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()));
    let builder = builder.with_safe_default_protocol_versions().ok()?;
    let config = builder.with_root_certificates(roots).with_no_client_auth();
    Some(Arc::new(config))
}

fn as_json(report: &Report, steps: Option<&(Duration, Vec<Step>)>) -> String {
    let mut object = json!(report);
    if let Some((limit, steps)) = steps {
        object["until_late"] = json!({"limit_us": limit.as_micros() as u64, "steps": steps});
    }
    object.to_string()
}

fn tell(report: &Report, steps: Option<&(Duration, Vec<Step>)>) {
    if let Some((limit, steps)) = steps {
        for step in steps {
            let told = match step.carried {
                true => "carried",
                false => &*step.because,
            };
            println!("{:>6} calls: {told}", step.calls);
        }
        let most = steps
            .iter()
            .filter(|step| step.carried)
            .map(|step| step.calls)
            .max();
        match most {
            Some(most) => println!(
                "the most without a lost frame and with p99 under {limit:?}: {most} calls\n"
            ),
            None => println!("not one of these was carried; the first of them in full:\n"),
        }
    }
    print!("{report}");
}

/// A line at the bottom of a terminal; nothing where there is none.
struct Bar {
    shown: Option<String>,
    is_terminal: bool,
}

/// How wide it is.
const WIDTH: u64 = 30;

impl Bar {
    fn new() -> Self {
        Bar {
            shown: None,
            is_terminal: std::io::stderr().is_terminal(),
        }
    }

    fn show(&mut self, progress: Progress) {
        if !self.is_terminal {
            return;
        }
        let (done, all, what) = match progress {
            Progress::Ringing(up, calls) => (
                up as u64,
                calls as u64,
                format!("{up} of {calls} calls are up"),
            ),
            Progress::Measuring(done_ms, all_ms) => {
                let what = format!("measured {} of {} s", done_ms / 1000, all_ms / 1000);
                (done_ms, all_ms, what)
            }
            Progress::HangingUp => (1, 1, "hanging up".to_owned()),
        };
        let full = (done * WIDTH / all.max(1)).min(WIDTH) as usize;
        let line = format!(
            "{}{} {what}",
            "█".repeat(full),
            "░".repeat(WIDTH as usize - full)
        );
        if self.shown.as_ref() != Some(&line) {
            eprint!("\r\x1b[K{line}");
            let _ = std::io::stderr().flush();
            self.shown = Some(line);
        }
    }

    fn clear(&mut self) {
        if self.shown.take().is_some() {
            eprint!("\r\x1b[K");
        }
    }
}

/// A length of time: 500ms, 60s, 5m.
fn time(text: &str) -> Result<Duration, String> {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let wrong = || format!("{text:?} is not a length of time: write 500ms, 60s or 5m");
    let number: u64 = digits.parse().map_err(|_| wrong())?;
    let millis = match &text[digits.len()..] {
        "ms" => Some(number),
        "s" => number.checked_mul(1000),
        "m" => number.checked_mul(60_000),
        _ => None,
    };
    // A day of load is a mistake.
    let millis = millis.filter(|millis| (1..=86_400_000).contains(millis));
    millis.map(Duration::from_millis).ok_or_else(wrong)
}

/// How fast calls begin, as the time between two.
fn ramp(text: &str) -> Result<Duration, String> {
    let number = text.trim_end_matches("/s").parse::<f64>().ok();
    let number = number.filter(|number| (0.01..=1_000.0).contains(number));
    let wrong = || format!("{text:?} is not so many calls a second: write 20/s");
    number
        .map(|number| Duration::from_secs_f64(1.0 / number))
        .ok_or_else(wrong)
}

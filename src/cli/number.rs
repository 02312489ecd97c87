//! `ringfence number`: whom the carrier asks when a number is called, and how to make that this server.
//!
//! A number is somebody's telephone line, so nothing about it is changed unasked: what would change is shown first, and with it the
//! command that puts it back.

mod probe;

pub use probe::{Probed, probe};

use super::{failed, on_runtime};
use crate::app::install_cryptography;
use crate::carrier::{CARRIERS, Carrier, Number, RestRequest, Wiring};
use crate::config::{self, Settings};
use crate::requests::Requests;
use crate::units::Phone;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Bad configuration.
const CONFIGURATION: u8 = 64;

/// What to do with a number.
#[derive(Debug, clap::Subcommand)]
pub enum NumberCommand {
    /// Whom the carrier asks when it is called.
    Show(NumberArguments),
    /// Make it this server. Shows what would change; --yes changes it.
    Connect {
        /// Which number.
        #[command(flatten)]
        own: NumberArguments,
        /// Change it.
        #[arg(long)]
        yes: bool,
        /// Change it even if this server cannot be reached at its public address from here.
        #[arg(long)]
        force: bool,
    },
    /// Give it back to whom it asked before, or to nobody. Shows what would change; --yes changes it.
    Disconnect {
        /// Which number.
        #[command(flatten)]
        own: NumberArguments,
        /// Whom to ask from now on; nobody when left out, and then calls are refused.
        #[arg(long, value_name = "URL", default_value = "")]
        voice_url: String,
        /// How to ask.
        #[arg(long, value_name = "METHOD", default_value = "POST", value_parser = ["GET", "POST"])]
        voice_method: String,
        /// Whom to ask when that fails.
        #[arg(long, value_name = "URL", default_value = "", requires = "voice_url")]
        fallback_url: String,
        /// Whom to tell that a call is over.
        #[arg(long, value_name = "URL", default_value = "")]
        status_callback: String,
        /// Change it.
        #[arg(long)]
        yes: bool,
    },
}

/// Which number, at which carrier.
#[derive(Debug, clap::Args)]
pub struct NumberArguments {
    /// The number, in the international form: +15005550006.
    number: String,
    /// The configuration's file; config/ringfence.toml when left out.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
}

/// Why the command ends without success: what to say, and the exit code.
struct Stopped(String, ExitCode);

impl Stopped {
    fn failed(why: impl Into<String>) -> Stopped {
        Stopped(why.into(), ExitCode::FAILURE)
    }

    fn configuration(why: impl Into<String>) -> Stopped {
        Stopped(why.into(), ExitCode::from(CONFIGURATION))
    }
}

/// Runs the command.
pub fn run(command: NumberCommand) -> ExitCode {
    on_runtime(async {
        let done = match command {
            NumberCommand::Show(own) => show(&own).await,
            NumberCommand::Connect { own, yes, force } => connect(&own, yes, force).await,
            NumberCommand::Disconnect {
                own,
                voice_url,
                voice_method,
                fallback_url,
                status_callback,
                yes,
            } => {
                let wiring = Wiring {
                    voice: voice_url,
                    fallback: fallback_url,
                    status: status_callback,
                    method: voice_method,
                };
                disconnect(&own, &wiring, yes).await
            }
        };
        match done {
            Ok(()) => ExitCode::SUCCESS,
            Err(Stopped(why, code)) => {
                let _ = failed(&why);
                code
            }
        }
    })
}

/// A number at its carrier.
struct Desk {
    settings: Settings,
    carrier: Box<dyn Carrier>,
    requests: Requests,
    phone: Phone,
    number: Number,
}

impl Desk {
    async fn open(own: &NumberArguments) -> Result<Desk, Stopped> {
        let phone = Phone::from(own.number.as_str());
        if !phone.is_e164() {
            let why = format!("{} is no number: write it as +15005550006", own.number);
            return Err(Stopped(why, ExitCode::from(2)));
        }
        install_cryptography();
        let settings = settings(own.config.as_deref())?;
        let (name, keys) = settings.carriers.first().cloned().ok_or_else(|| {
            Stopped::configuration("there is no carrier: add [carrier.twilio]".to_string())
        })?;
        let known = CARRIERS.iter().find(|(known, _)| *known == name);
        let Some((_, new)) = known else {
            return Err(Stopped::configuration(format!(
                "no carrier is called {name}"
            )));
        };
        let requests = Requests::new(keys.account.clone(), keys.auth_token.clone());
        let requests = requests.map_err(|unable| Stopped::failed(unable.to_string()))?;
        let carrier = new(keys);
        let number = look_up(&*carrier, &requests, &phone).await?;
        Ok(Desk {
            settings,
            carrier,
            requests,
            phone,
            number,
        })
    }

    /// What it should be for calls to come here.
    fn ours(&self) -> Wiring {
        let fallback = self.settings.fallback_url.as_deref();
        self.carrier
            .own_wiring(fallback.unwrap_or(&self.number.wiring.fallback))
    }

    /// Changes it, and looks whether it is so.
    async fn change(&self, wiring: &Wiring) -> Result<(), Stopped> {
        let request = self.carrier.wire_number(&self.number.id, wiring);
        asked(&*self.carrier, &self.requests, request).await?;
        let now = look_up(&*self.carrier, &self.requests, &self.phone).await?;
        match differences(&now.wiring, wiring).is_empty() {
            true => Ok(()),
            false => Err(Stopped::failed(
                "the carrier took the change and shows another one",
            )),
        }
    }
}

fn settings(path: Option<&Path>) -> Result<Settings, Stopped> {
    config::load(path, config::environment()).map_err(|mistakes| {
        let told: Vec<String> = mistakes.iter().map(ToString::to_string).collect();
        Stopped::configuration(told.join("\n"))
    })
}

async fn look_up(
    carrier: &dyn Carrier,
    requests: &Requests,
    phone: &Phone,
) -> Result<Number, Stopped> {
    let body = asked(carrier, requests, carrier.ask_number(phone)).await?;
    let number = carrier.number(phone, &body);
    let number =
        number.map_err(|garbled| Stopped::failed(format!("the carrier: {}", garbled.0)))?;
    number.ok_or_else(|| {
        let why = "the account has no such number: is it another account's, or another region's?";
        Stopped::failed(why)
    })
}

async fn asked(
    carrier: &dyn Carrier,
    requests: &Requests,
    request: RestRequest,
) -> Result<String, Stopped> {
    let answered = requests.ask(request, carrier).await;
    answered.map_err(|unanswered| {
        let said = carrier.complaint(&unanswered.body);
        let said = said.map(|said| format!(" ({said})")).unwrap_or_default();
        Stopped::failed(format!("{unanswered}{said}"))
    })
}

async fn show(own: &NumberArguments) -> Result<(), Stopped> {
    let desk = Desk::open(own).await?;
    let Number {
        id,
        wiring,
        overrides,
    } = &desk.number;
    println!("{} is {} at the carrier", own.number, id.as_str());
    for (what, value) in lines(wiring) {
        println!("  {what:<16} {}", or_nobody(&value));
    }
    for instead in overrides {
        println!("  !  {instead} is asked instead of the voice address");
    }
    let ours = desk.ours();
    let leads_here = wiring.voice == ours.voice && overrides.is_empty();
    match leads_here {
        true => println!("calls come to this server"),
        false => println!("calls do not come to this server ({})", ours.voice),
    }
    if leads_here && wiring.fallback.is_empty() {
        println!("without a fallback, callers hear an error while this server is down");
    }
    Ok(())
}

async fn connect(own: &NumberArguments, yes: bool, force: bool) -> Result<(), Stopped> {
    let desk = Desk::open(own).await?;
    let public_url = &desk.settings.public_url;
    if !public_url.starts_with("https://") || is_this_machine(public_url) {
        let why = format!(
            "server.public_url is {public_url}: a carrier reaches a server by https, at an address that the world knows"
        );
        return Err(Stopped::configuration(why));
    }
    let probed = probe(&desk.ours().voice).await;
    println!("{}", probed.words());
    for instead in &desk.number.overrides {
        println!(
            "!  {instead} is asked instead of the voice address: take it off the number at the carrier, or no call comes here"
        );
    }
    warn_of_fallback(&desk);
    let wiring = desk.ours();
    let changes = tell_changes(&desk, &wiring);
    if !changes {
        println!("nothing to change: it is connected");
        return Ok(());
    }
    println!("to put it back:\n  {}", undo(&desk));
    if !yes {
        println!("nothing was changed: --yes changes it");
        return Ok(());
    }
    if probed != Probed::Protected && !force {
        let why = "not changed: callers would reach nobody. Mend that first, or say --force";
        return Err(Stopped::failed(why));
    }
    desk.change(&wiring).await?;
    println!("connected");
    Ok(())
}

async fn disconnect(own: &NumberArguments, wiring: &Wiring, yes: bool) -> Result<(), Stopped> {
    let desk = Desk::open(own).await?;
    if !tell_changes(&desk, wiring) {
        println!("nothing to change");
        return Ok(());
    }
    if wiring.voice.is_empty() {
        println!("a number without a voice address refuses calls");
    }
    println!("to put it back:\n  {}", undo(&desk));
    if !yes {
        println!("nothing was changed: --yes changes it");
        return Ok(());
    }
    desk.change(wiring).await?;
    println!("disconnected");
    Ok(())
}

fn warn_of_fallback(desk: &Desk) {
    let ours = desk.ours();
    if ours.fallback.is_empty() {
        println!(
            "!  there is no fallback: callers will hear an error while this server is down. Set [carrier.twilio] fallback_url"
        );
    } else if config::host(&ours.fallback) == config::host(&desk.settings.public_url) {
        println!("!  the fallback is on the same host as this server, and will be gone when it is");
    }
}

/// Prints what would change. `false`: nothing.
fn tell_changes(desk: &Desk, wiring: &Wiring) -> bool {
    let changes = differences(&desk.number.wiring, wiring);
    for (what, before, after) in &changes {
        println!("  {what:<16} {}", or_nobody(before));
        println!("  {:<16} -> {}", "", or_nobody(after));
    }
    !changes.is_empty()
}

fn differences(before: &Wiring, after: &Wiring) -> Vec<(&'static str, String, String)> {
    let both = lines(before).into_iter().zip(lines(after));
    both.filter(|((_, before), (_, after))| before != after)
        .map(|((what, before), (_, after))| (what, before, after))
        .collect()
}

/// A wiring, line by line. How nobody is asked does not matter.
fn lines(wiring: &Wiring) -> [(&'static str, String); 3] {
    let voice = match wiring.voice.is_empty() {
        true => String::new(),
        false if wiring.method.is_empty() => format!("POST {}", wiring.voice),
        false => format!("{} {}", wiring.method, wiring.voice),
    };
    [
        ("voice", voice),
        ("fallback", wiring.fallback.clone()),
        ("status callback", wiring.status.clone()),
    ]
}

fn or_nobody(value: &str) -> &str {
    if value.is_empty() { "nobody" } else { value }
}

/// The command that puts back what is there now.
fn undo(desk: &Desk) -> String {
    let Wiring {
        voice,
        fallback,
        status,
        method,
    } = &desk.number.wiring;
    let mut command = format!("ringfence number disconnect {}", desk.phone.reveal());
    for (flag, value) in [
        ("voice-url", voice),
        ("voice-method", method),
        ("fallback-url", fallback),
        ("status-callback", status),
    ] {
        if !value.is_empty() {
            command.push_str(&format!(" --{flag} {}", quoted(value)));
        }
    }
    if let Some(file) = &desk.settings.file {
        command.push_str(&format!(" --config {}", quoted(file)));
    }
    command + " --yes"
}

/// A word that a shell takes as it is.
fn quoted(word: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"+-_./:".contains(&byte);
    match word.bytes().all(plain) {
        true => word.to_string(),
        false => format!("'{}'", word.replace('\'', r"'\''")),
    }
}

/// Whether an address leads nowhere but here.
fn is_this_machine(url: &str) -> bool {
    let host = config::host(url);
    let names = ["localhost", "[::1]", "0.0.0.0", "[::]"];
    names.contains(&host) || host.starts_with("127.") || host.ends_with(".localhost")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_printed_for_a_shell_is_one_word_in_it() {
        assert_eq!(quoted("https://x.example/y"), "https://x.example/y");
        assert_eq!(quoted("https://x/?a=1&b='"), r"'https://x/?a=1&b='\'''");
    }

    #[test]
    fn this_machine_is_no_public_address() {
        for url in [
            "https://localhost:8080",
            "https://127.0.0.1",
            "https://[::1]:1/x",
        ] {
            assert!(is_this_machine(url), "{url}");
        }
        assert!(!is_this_machine("https://bot.example.com"));
    }
}

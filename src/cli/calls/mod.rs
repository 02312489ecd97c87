//! `ringfence calls`: what calls have cost, read from the ledger, beside a running server or without one.
//!
//! The questions asked of a ledger are few: which calls were there, what was each made of, is the bill right, and does somebody else's
//! bill say the same. Each is a command of its own here, and none of them needs a key or changes anything.

mod export;
mod list;
mod reconcile;
mod show;
pub mod table;
mod verify;

use super::check;
use crate::config::{self, BooksSettings};
use crate::ledger::books::Filter;
use crate::ledger::{Books, OpenError};
use clap::Subcommand;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use std::fmt;
use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;

/// Which ledger.
#[derive(Clone, Debug, clap::Args)]
pub struct Which {
    /// The configuration that says where the ledger is; config/ringfence.toml when left out. No secret is needed.
    #[arg(long, value_name = "FILE", conflicts_with = "ledger")]
    config: Option<PathBuf>,
    /// The ledger itself.
    #[arg(long, value_name = "FILE")]
    ledger: Option<PathBuf>,
}

/// Which calls.
#[derive(Clone, Debug, clap::Args)]
pub struct Calls {
    /// Begun on this day (UTC).
    #[arg(long, value_name = "YYYY-MM-DD", conflicts_with_all = ["since", "until"])]
    day: Option<Date>,
    /// Begun on this day (UTC) or later.
    #[arg(long, value_name = "YYYY-MM-DD")]
    since: Option<Date>,
    /// Begun on this day (UTC) or earlier.
    #[arg(long, value_name = "YYYY-MM-DD")]
    until: Option<Date>,
    /// Of this agent.
    #[arg(long, value_name = "NAME")]
    agent: Option<String>,
}

impl Calls {
    fn filter(&self) -> Filter {
        let span = match (self.day, self.since, self.until) {
            (Some(day), _, _) => Some((day, day)),
            (None, None, None) => None,
            (None, since, until) => Some((since.unwrap_or(Date::MIN), until.unwrap_or(Date::MAX))),
        };
        Filter {
            days: span,
            agent: self.agent.clone(),
            ..Filter::default()
        }
    }
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum CallsCommand {
    /// Calls, one a line, the latest first; those on the line with what they have cost so far.
    List(list::ListArguments),
    /// One call: every line of it with what it cost, and what they come to.
    Show(show::ShowArguments),
    /// Calls for spreadsheets and programs, one row each, in exact dollars.
    Export(export::ExportArguments),
    /// Compute every cent again and try every hash; exit code 1 if anything is not as it was written.
    Verify(verify::VerifyArguments),
    /// Compare with the provider's usage export and the carrier's call log; exit code 1 if anything differs.
    Reconcile(reconcile::ReconcileArguments),
}

/// Runs the command.
pub fn run(command: CallsCommand) -> ExitCode {
    match command {
        CallsCommand::List(own) => {
            finish(own.which.clone(), async |open| list::run(&own, open).await)
        }
        CallsCommand::Show(own) => {
            finish(own.which.clone(), async |open| show::run(&own, open).await)
        }
        CallsCommand::Export(own) => finish(own.which.clone(), async |open| {
            export::run(&own, open).await
        }),
        CallsCommand::Verify(own) => finish(own.which.clone(), async |open| {
            verify::run(&own, open).await
        }),
        CallsCommand::Reconcile(own) => finish(own.which.clone(), async |open| {
            reconcile::run(&own, open).await
        }),
    }
}

/// The ledger, open, and somewhere to write.
pub struct Open {
    /// The ledger.
    pub books: Books,
    /// What the configuration says of it; `None`: the ledger itself was named.
    pub settings: Option<BooksSettings>,
}

/// Why a command fails.
#[derive(Debug)]
pub enum Failed {
    /// The ledger cannot be read.
    Ledger(OpenError),
    /// Standard output cannot be written.
    Output(io::Error),
    /// In words.
    Told(String),
}

impl From<OpenError> for Failed {
    fn from(error: OpenError) -> Failed {
        Failed::Ledger(error)
    }
}

impl From<io::Error> for Failed {
    fn from(error: io::Error) -> Failed {
        Failed::Output(error)
    }
}

impl From<serde_json::Error> for Failed {
    fn from(error: serde_json::Error) -> Failed {
        Failed::Output(error.into())
    }
}

/// Opens the ledger, runs `work`, and says what it ends with: 0, 1 for `false` or a failure, 64 for a bad configuration.
pub fn finish(which: Which, work: impl AsyncFnOnce(Open) -> Result<bool, Failed>) -> ExitCode {
    let (path, settings) = match which.ledger {
        Some(path) => (path, None),
        None => match config::load_books(which.config.as_deref(), config::environment()) {
            Ok(settings) => (settings.ledger.clone(), Some(settings)),
            Err(mistakes) => {
                let mut err = io::stderr().lock();
                let _ = check::mistakes(&mistakes, &mut err);
                let _ = writeln!(err, "Or name the ledger itself: --ledger FILE");
                return ExitCode::from(check::BAD_CONFIGURATION);
            }
        },
    };
    let working = async {
        let books = Books::open(&path).await?;
        work(Open { books, settings }).await
    };
    let runtime = tokio::runtime::Builder::new_current_thread().build();
    let done = match runtime {
        Ok(runtime) => runtime.block_on(working),
        Err(error) => Err(Failed::Output(error)),
    };
    match done {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        // Whoever reads only the beginning knows why there is no more.
        Err(Failed::Output(error)) if error.kind() == io::ErrorKind::BrokenPipe => {
            ExitCode::FAILURE
        }
        Err(Failed::Output(error)) => super::failed(&error.to_string()),
        Err(Failed::Ledger(error)) => super::failed(&error.to_string()),
        Err(Failed::Told(why)) => super::failed(&why),
    }
}

/// Writes JSON for people and programs alike.
pub fn json(out: &mut dyn Write, value: &impl serde::Serialize) -> Result<(), Failed> {
    serde_json::to_writer_pretty(&mut *out, value)?;
    writeln!(out)?;
    Ok(())
}

/// Today (UTC).
pub fn today() -> Date {
    jiff::Timestamp::now().to_zoned(TimeZone::UTC).date()
}

/// A length as on a clock: `0:16`, `1:02:03`.
pub struct Clock(pub u64);

impl fmt::Display for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.0 / 1000;
        let (hours, minutes, seconds) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
        match hours {
            0 => write!(f, "{minutes}:{seconds:02}"),
            _ => write!(f, "{hours}:{minutes:02}:{seconds:02}"),
        }
    }
}

/// A moment for people: `2026-11-22 17:11:27`.
pub fn moment(unix_ms: i64) -> String {
    let moment = jiff::Timestamp::from_millisecond(unix_ms);
    moment.map_or_else(
        |_| String::new(),
        |moment| moment.strftime("%Y-%m-%d %H:%M:%S").to_string(),
    )
}

/// `1 call`, `2 calls`.
pub fn count(number: u64, one: &str, many: &str) -> String {
    format!("{number} {}", if number == 1 { one } else { many })
}

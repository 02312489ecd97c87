//! `ringfence calls verify`: every cent is computed again, and every hash.

use super::{Failed, Open, Which, count};
use crate::ledger::verify;
use std::io::{self, Write};

/// What `calls verify` takes.
#[derive(Debug, clap::Args)]
pub struct VerifyArguments {
    #[command(flatten)]
    pub(super) which: Which,
    /// The call, by our name for it or the carrier's; all of them when left out.
    #[arg(value_name = "ID", conflicts_with = "all")]
    call: Option<String>,
    /// All calls.
    #[arg(long)]
    all: bool,
}

pub(super) async fn run(own: &VerifyArguments, mut open: Open) -> Result<bool, Failed> {
    let out = &mut io::stdout().lock();
    let names = match &own.call {
        Some(call) => vec![call.clone()],
        None => open.books.names().await?,
    };
    let (mut lines, mut wrong, mut wrong_calls) = (0, 0, 0);
    for name in &names {
        let entries = open.books.call(name).await?;
        if entries.is_empty() {
            return Err(unknown(name));
        }
        let findings = verify(&entries);
        for finding in &findings {
            writeln!(out, "{finding}")?;
        }
        lines += entries.len() as u64;
        wrong += findings.len() as u64;
        wrong_calls += u64::from(!findings.is_empty());
    }
    let calls = count(names.len() as u64, "call", "calls");
    let lines = count(lines, "line", "lines");
    if wrong == 0 {
        writeln!(out, "{calls}, {lines}: every hash fits, and every cent.")?;
    } else {
        let things = count(wrong, "thing", "things");
        writeln!(
            out,
            "\n{calls}, {lines}: {things} wrong, in {}.",
            count(wrong_calls, "call", "calls")
        )?;
    }
    Ok(wrong == 0)
}

/// There is no such call.
pub(super) fn unknown(name: &str) -> Failed {
    Failed::Told(format!(
        "no call of this ledger is named {name:?}, by us or by the carrier"
    ))
}

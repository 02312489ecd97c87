//! `ringfence calls export`: calls for spreadsheets and programs.

use super::{Calls, Failed, Open, Which, json};
use crate::ledger::csv;
use crate::ledger::paper::{COLUMNS, CallPaper, record};
use std::io::{self, Write};

/// What `calls export` takes.
#[derive(Debug, clap::Args)]
#[command(group = clap::ArgGroup::new("form").required(true).args(["csv", "json"]))]
pub struct ExportArguments {
    #[command(flatten)]
    pub(super) which: Which,
    #[command(flatten)]
    calls: Calls,
    /// As comma-separated values (RFC 4180), with a line of heads.
    #[arg(long)]
    csv: bool,
    /// As JSON.
    #[arg(long)]
    json: bool,
}

pub(super) async fn run(own: &ExportArguments, mut open: Open) -> Result<bool, Failed> {
    let mut rows = open.books.calls(&own.calls.filter()).await?;
    // A file is read from its beginning.
    rows.reverse();
    let out = &mut io::stdout().lock();
    if own.json {
        let calls: Vec<CallPaper<'_>> = rows.iter().map(CallPaper::from).collect();
        json(out, &calls)?;
        return Ok(true);
    }
    let mut text = String::new();
    csv::write(&mut text, COLUMNS);
    for row in &rows {
        record(&mut text, row);
        if text.len() > 64 * 1024 {
            out.write_all(text.as_bytes())?;
            text.clear();
        }
    }
    out.write_all(text.as_bytes())?;
    Ok(true)
}

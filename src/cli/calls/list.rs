//! `ringfence calls list`: calls, one a line.

use super::table::{Stand, Table};
use super::{Calls, Clock, Failed, Open, Which, count, json, moment};
use crate::ledger::books::{CallRow, Filter};
use crate::ledger::paper::CallPaper;
use crate::units::Usd;
use std::io::{self, Write};

/// What `calls list` takes.
#[derive(Debug, clap::Args)]
pub struct ListArguments {
    #[command(flatten)]
    pub(super) which: Which,
    #[command(flatten)]
    calls: Calls,
    /// Only those that are on the line now.
    #[arg(long)]
    live: bool,
    /// At most so many, the latest.
    #[arg(long, value_name = "N", default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..))]
    limit: u32,
    /// As JSON.
    #[arg(long)]
    json: bool,
}

pub(super) async fn run(own: &ListArguments, mut open: Open) -> Result<bool, Failed> {
    let filter = Filter {
        limit: Some(own.limit.saturating_add(1)),
        is_live: own.live.then_some(true),
        ..own.calls.filter()
    };
    let mut rows = open.books.calls(&filter).await?;
    let most = usize::try_from(own.limit).unwrap_or(usize::MAX);
    let has_more = rows.len() > most;
    rows.truncate(most);
    let out = &mut io::stdout().lock();
    if own.json {
        let calls: Vec<CallPaper<'_>> = rows.iter().map(CallPaper::from).collect();
        json(out, &calls)?;
        return Ok(true);
    }
    if rows.is_empty() {
        writeln!(out, "No calls.")?;
        return Ok(true);
    }
    write(&rows, out)?;
    if has_more {
        writeln!(
            out,
            "There are more: these are the latest, by --limit {}.",
            own.limit
        )?;
    }
    Ok(true)
}

/// How a call ended, and why.
pub(super) fn ending(row: &CallRow) -> String {
    match (row.ending.as_deref(), row.cause.as_deref()) {
        (None, _) => "on the line".to_string(),
        (Some(ending), None | Some("")) => ending.to_string(),
        (Some(ending), Some(cause)) => format!("{ending} ({cause})"),
    }
}

fn write(rows: &[CallRow], out: &mut dyn Write) -> io::Result<()> {
    let has_ran_on = rows.iter().any(|row| !row.cost.ran_on.is_zero());
    let mut columns = vec![
        ("begun (UTC)", Stand::Left),
        ("call", Stand::Left),
        ("agent", Stand::Left),
        ("from", Stand::Left),
        ("length", Stand::Right),
        ("minutes", Stand::Right),
        ("spent USD", Stand::Point),
        ("of cap", Stand::Point),
    ];
    if has_ran_on {
        columns.push(("ran on", Stand::Point));
    }
    columns.push(("ending", Stand::Left));
    let mut table = Table::new(&columns);
    for row in rows {
        let mut cells = vec![
            moment(row.opened_ms),
            row.call.clone(),
            row.agent.clone(),
            row.from.clone(),
        ];
        if row.ending.as_deref() == Some("refused") {
            // Nothing was answered, so there is nothing to pay for.
            cells.extend([const { String::new() }; 4]);
        } else {
            cells.extend([
                Clock(row.duration_ms).to_string(),
                row.minutes.to_string(),
                row.cost.spent.to_string(),
                row.cap.to_string(),
            ]);
        }
        if has_ran_on {
            let ran_on = Some(row.cost.ran_on).filter(|ran_on| !ran_on.is_zero());
            cells.push(ran_on.map_or_else(String::new, |ran_on| ran_on.to_string()));
        }
        cells.push(ending(row));
        table.row(cells);
    }
    table.write(out)?;
    writeln!(out, "\n{}", summary(rows))
}

fn summary(rows: &[CallRow]) -> String {
    let of = |which: fn(&&CallRow) -> bool| {
        let rows: Vec<&CallRow> = rows.iter().filter(which).collect();
        let spent: Usd = rows.iter().map(|row| row.cost.spent).sum();
        (rows.len() as u64, spent)
    };
    let (over, spent) = of(|row| !row.is_live() && row.ending.as_deref() != Some("refused"));
    let (live, so_far) = of(|row| row.is_live());
    let (refused, _) = of(|row| row.ending.as_deref() == Some("refused"));
    let mut parts = vec![format!(
        "{}: {spent} USD",
        count(over, "call over", "calls over")
    )];
    if live > 0 {
        parts.push(format!("{live} on the line: {so_far} so far"));
    }
    if refused > 0 {
        parts.push(format!("{refused} refused, free of charge"));
    }
    parts.join("; ") + "."
}

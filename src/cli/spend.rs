//! `ringfence spend`: what was spent, by day, by agent or by caller.
//!
//! A call counts on the day (UTC) on which it was over, as it does in the budgets. Callers are told apart by their accounts, which are
//! hashes of their numbers: who called most is known, and not who that is.

use super::calls::table::{Stand, Table};
use super::calls::{Failed, Open, Which, finish, json, today};
use crate::ledger::books::{By, Parts, SpendRow, last_days};
use crate::ledger::paper::SpendPage;
use crate::units::Usd;
use std::io::{self, Write};
use std::process::ExitCode;

/// What `spend` takes.
#[derive(Debug, clap::Args)]
pub struct SpendArguments {
    #[command(flatten)]
    which: Which,
    /// What to add up by.
    #[arg(long, value_enum, default_value = "day")]
    by: Key,
    /// The last so many days (UTC), today included.
    #[arg(long, value_name = "N", default_value_t = 30, value_parser = clap::value_parser!(u32).range(1..=36_500))]
    days: u32,
    /// As JSON.
    #[arg(long)]
    json: bool,
}

#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum Key {
    Day,
    Agent,
    Caller,
}

/// Runs the command.
pub fn run(own: SpendArguments) -> ExitCode {
    finish(own.which.clone(), async |open| report(&own, open).await)
}

async fn report(own: &SpendArguments, mut open: Open) -> Result<bool, Failed> {
    let (by, head) = match own.by {
        Key::Day => (By::Day, "day (UTC)"),
        Key::Agent => (By::Agent, "agent"),
        Key::Caller => (By::Caller, "caller"),
    };
    let days = last_days(today(), own.days);
    let rows = open.books.spend(by, Some(days)).await?;
    let out = &mut io::stdout().lock();
    if own.json {
        json(out, &SpendPage::new(by, days, &rows))?;
        return Ok(true);
    }
    if rows.is_empty() {
        writeln!(out, "Nothing was spent from {} to {}.", days.0, days.1)?;
        return Ok(true);
    }
    write(head, &rows, out)?;
    writeln!(out, "\nfrom {} to {}", days.0, days.1)?;
    Ok(true)
}

/// A column: its head, and what stands in it.
type Column = (&'static str, fn(&Parts) -> Usd);

const COLUMNS: [Column; 8] = [
    ("spent USD", |cost| cost.spent),
    ("model", |cost| cost.model),
    ("transcription", |cost| cost.transcription),
    ("carrier", |cost| cost.carrier),
    ("tools", |cost| cost.tools),
    ("unreported", |cost| cost.unreported),
    ("ran on", |cost| cost.ran_on),
    ("unheard", |cost| cost.unheard),
];

/// Columns that most ledgers have nothing for are shown where there is something.
const RARE: [&str; 3] = ["tools", "unreported", "ran on"];

fn write(head: &'static str, rows: &[SpendRow], out: &mut dyn Write) -> io::Result<()> {
    let total = SpendRow::total(rows);
    let shown: Vec<&Column> = COLUMNS
        .iter()
        .filter(|(name, of)| !RARE.contains(name) || !of(&total.cost).is_zero())
        .collect();
    let mut columns = vec![(head, Stand::Left), ("calls", Stand::Right)];
    columns.extend(shown.iter().map(|(name, _)| (*name, Stand::Point)));
    let mut table = Table::new(&columns);
    for row in rows.iter().chain([&total]) {
        let key = if row.key.is_empty() {
            "nobody"
        } else {
            &row.key
        };
        let amounts = shown.iter().map(|(_, of)| of(&row.cost).to_string());
        table.row(
            [key.to_string(), row.calls.to_string()]
                .into_iter()
                .chain(amounts),
        );
    }
    table.write(out)?;
    if !total.cost.unheard.is_zero() {
        writeln!(
            out,
            "\n{} USD of the model's share paid for speech that nobody heard.",
            total.cost.unheard
        )?;
    }
    Ok(())
}

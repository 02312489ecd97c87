//! `ringfence calls reconcile`: the ledger beside the provider's bill and the carrier's.

use super::table::{Stand, Table};
use super::{Failed, Open, Which, count};
use crate::ledger::books::{CallRow, Filter};
use crate::ledger::reconcile::{
    Answer, CallRates, Compared, Difference, Export, answers, buckets, carrier_calls, carrier_log,
    responses, usage_export,
};
use crate::units::Usd;
use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// What `calls reconcile` takes.
#[derive(Debug, clap::Args)]
#[command(group = clap::ArgGroup::new("bill").required(true).multiple(true).args(["provider", "carrier"]))]
pub struct ReconcileArguments {
    #[command(flatten)]
    pub(super) which: Which,
    /// The provider's usage: CSV, JSON or JSON lines, a row for each response or buckets of time.
    #[arg(long, value_name = "FILE")]
    provider: Option<PathBuf>,
    /// The carrier's call log: CSV with the columns Call Sid, Duration and Price.
    #[arg(long, value_name = "FILE")]
    carrier: Option<PathBuf>,
    /// This day (UTC) only; everything when left out.
    #[arg(long, value_name = "YYYY-MM-DD")]
    day: Option<Date>,
}

/// What a minute of a connection costs where no configuration says: US prices, local and toll-free.
const USUAL: CallRates = CallRates {
    minute: Usd::from_micros(8_500),
    tollfree_minute: Usd::from_micros(22_000),
};

pub(super) async fn run(own: &ReconcileArguments, mut open: Open) -> Result<bool, Failed> {
    // A call that began shortly before midnight speaks on the next day.
    let days = own.day.map(|day| {
        let before = day.yesterday().unwrap_or(day);
        (before, day.tomorrow().unwrap_or(day))
    });
    let filter = Filter {
        days,
        ..Filter::default()
    };
    let calls = open.books.calls(&filter).await?;
    let out = &mut io::stdout().lock();
    let mut is_equal = true;
    if let Some(path) = &own.provider {
        let mut all = Vec::new();
        for call in calls.iter().filter(|call| !call.model.is_empty()) {
            all.extend(answers(&open.books.call(&call.call).await?));
        }
        let compared = provider(&read(path)?, path, &all, own.day)?;
        is_equal &= compared.differing.is_empty();
        write("answer", "answers", "the provider", path, &compared, out)?;
    }
    if let Some(path) = &own.carrier {
        if own.provider.is_some() {
            writeln!(out)?;
        }
        let compared = carrier(&read(path)?, path, &calls, &open, own.day)?;
        is_equal &= compared.differing.is_empty();
        write("call", "calls", "the carrier", path, &compared, out)?;
    }
    Ok(is_equal)
}

fn read(path: &Path) -> Result<String, Failed> {
    let told = |why: String| Failed::Told(format!("{}: {why}", path.display()));
    let bytes = std::fs::read(path).map_err(|error| told(error.to_string()))?;
    String::from_utf8(bytes).map_err(|_| told("is not text".to_string()))
}

fn is_on(day: Option<Date>, unix_ms: i64) -> bool {
    let Some(day) = day else {
        return true;
    };
    let moment = Timestamp::from_millisecond(unix_ms);
    moment.is_ok_and(|moment| moment.to_zoned(TimeZone::UTC).date() == day)
}

fn provider(
    text: &str,
    path: &Path,
    all: &[Answer],
    day: Option<Date>,
) -> Result<Compared, Failed> {
    let export =
        usage_export(text).map_err(|why| Failed::Told(format!("{}: {why}", path.display())))?;
    match export {
        Export::Responses(rows) => Ok(responses(&rows, all, |answer| is_on(day, answer.unix_ms))),
        Export::Buckets(mut all_buckets) => {
            let count = all_buckets.len();
            all_buckets.retain(|bucket| is_on(day, bucket.start_ms));
            let expected: Vec<Answer> = all
                .iter()
                .filter(|answer| is_on(day, answer.unix_ms))
                .cloned()
                .collect();
            let mut compared = buckets(&all_buckets, &expected);
            compared.left_out += count - all_buckets.len();
            Ok(compared)
        }
    }
}

fn carrier(
    text: &str,
    path: &Path,
    calls: &[CallRow],
    open: &Open,
    day: Option<Date>,
) -> Result<Compared, Failed> {
    let rows =
        carrier_log(text).map_err(|why| Failed::Told(format!("{}: {why}", path.display())))?;
    let rates = open.settings.as_ref().map_or(USUAL, |settings| CallRates {
        minute: settings.minute,
        tollfree_minute: settings.tollfree_minute,
    });
    Ok(carrier_calls(&rows, calls, rates, |call| {
        !call.is_live() && is_on(day, call.opened_ms)
    }))
}

fn write(
    one: &str,
    many: &str,
    who: &str,
    path: &Path,
    compared: &Compared,
    out: &mut dyn Write,
) -> io::Result<()> {
    let ours = count(compared.ours as u64, one, many);
    let theirs = count(compared.theirs as u64, "entry", "entries");
    let left_out = match compared.left_out {
        0 => String::new(),
        left => format!("; {left} of other days or models left out"),
    };
    writeln!(
        out,
        "{ours} of the ledger beside {theirs} of {}{left_out}.",
        path.display()
    )?;
    if compared.differing.is_empty() {
        return writeln!(out, "All agree.");
    }
    let mut table = Table::new(&[
        ("call", Stand::Left),
        ("part", Stand::Left),
        ("what", Stand::Left),
        ("theirs", Stand::Left),
        ("ours", Stand::Left),
        ("more USD", Stand::Point),
    ]);
    for it in &compared.differing {
        let call = if it.call.is_empty() { "?" } else { &it.call };
        let difference = it
            .difference
            .map_or_else(|| "?".to_string(), |more| more.to_string());
        table.row([
            call.to_string(),
            it.part.clone(),
            it.what.clone(),
            it.theirs.clone(),
            it.ours.clone(),
            difference,
        ]);
    }
    writeln!(out)?;
    table.write(out)?;
    // The buckets and their sum say the same thing twice.
    let parts = compared
        .differing
        .iter()
        .filter(|it| it.part != "all of them");
    let sum: Difference = parts.filter_map(|it| it.difference).sum();
    let things = count(
        compared.differing.len() as u64,
        "thing differs",
        "things differ",
    );
    writeln!(
        out,
        "\n{things}; {who} says {sum} USD beside the ledger, as far as that is known."
    )
}

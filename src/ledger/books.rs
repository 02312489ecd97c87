//! Reading the ledger: calls, one call, what was spent. Works beside a running server and without one.
//!
//! What was recorded in the last fraction of a second, or left behind by a killed process, is still in the journal and is not seen here
//! until a server has carried it over.

mod rows;

pub use rows::{By, CallRow, Filter, Parts, SpendRow, last_days};

use super::OpenError;
use super::chain::Entry;
use super::statement::SoFar;
use super::store;
use super::transcripts::Said;
use crate::units::Usd;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use sqlx::sqlite::{SqliteConnection, SqliteRow};
use sqlx::{AssertSqlSafe, Row};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The ledger, open for reading.
pub struct Books {
    connection: SqliteConnection,
    path: PathBuf,
}

/// The lines that close a call that has cost something.
const CLOSED: &str = "e.event IN ('call.ended', 'call.lost')";

/// From the first moment of a day (UTC) to the last of another, the end excluded.
fn span(days: Option<(Date, Date)>) -> (i64, i64) {
    let starts = |day: Date| {
        let midnight = day.to_zoned(TimeZone::UTC).ok()?;
        Some(midnight.timestamp().as_millisecond())
    };
    let Some((first, last)) = days else {
        return (i64::MIN, i64::MAX);
    };
    let end = last.tomorrow().ok().and_then(starts);
    (starts(first).unwrap_or(i64::MIN), end.unwrap_or(i64::MAX))
}

impl Books {
    /// Opens the ledger for reading.
    ///
    /// # Errors
    /// There is none, or it is not ours.
    pub async fn open(path: &Path) -> Result<Books, OpenError> {
        Ok(Books {
            connection: store::reader(path).await?,
            path: path.to_path_buf(),
        })
    }

    fn wrong(path: &Path) -> impl Fn(sqlx::Error) -> OpenError {
        move |error| OpenError::store(path, &error)
    }

    /// The calls, the latest first. Those that are not over have cost what their lines say.
    ///
    /// # Errors
    /// The ledger cannot be read.
    pub async fn calls(&mut self, filter: &Filter) -> Result<Vec<CallRow>, OpenError> {
        let (from, to) = span(filter.days);
        let rows = sqlx::query(
            "SELECT *, (SELECT body ->> '$.prices.minute_nanos' FROM facts WHERE facts.call = calls.call AND seq = 1) AS minute_nanos,
               (SELECT body ->> '$.carrier_call' FROM facts WHERE facts.call = calls.call AND event = 'call.dialled') AS dialled
             FROM calls WHERE opened_ms >= ? AND opened_ms < ? AND (? IS NULL OR agent = ?)
             AND (? IS NULL OR (ending IS NULL) = ?) ORDER BY opened_ms DESC, call LIMIT ?",
        )
        .bind(from)
        .bind(to)
        .bind(filter.agent.as_deref())
        .bind(filter.agent.as_deref())
        .bind(filter.is_live)
        .bind(filter.is_live)
        .bind(filter.limit.map_or(-1, i64::from))
        .fetch_all(&mut self.connection)
        .await
        .map_err(Books::wrong(&self.path))?;
        self.with_costs_so_far(&rows).await
    }

    /// One call in a line, by our name for it.
    ///
    /// # Errors
    /// The ledger cannot be read.
    pub async fn row(&mut self, call: &str) -> Result<Option<CallRow>, OpenError> {
        let rows = sqlx::query(
            "SELECT *, (SELECT body ->> '$.prices.minute_nanos' FROM facts WHERE facts.call = calls.call AND seq = 1) AS minute_nanos,
               (SELECT body ->> '$.carrier_call' FROM facts WHERE facts.call = calls.call AND event = 'call.dialled') AS dialled
             FROM calls WHERE call = ?",
        )
            .bind(call)
            .fetch_all(&mut self.connection)
            .await
            .map_err(Books::wrong(&self.path))?;
        Ok(self.with_costs_so_far(&rows).await?.pop())
    }

    async fn with_costs_so_far(&mut self, rows: &[SqliteRow]) -> Result<Vec<CallRow>, OpenError> {
        let mut calls: Vec<CallRow> = rows
            .iter()
            .map(call_row)
            .collect::<Result<_, _>>()
            .map_err(Books::wrong(&self.path))?;
        for row in calls.iter_mut().filter(|row| row.is_live()) {
            let so_far = SoFar::of(&self.lines(&row.call).await?);
            row.cost = so_far.cost;
            row.minutes = so_far.minutes;
            row.duration_ms = so_far.at_ms;
        }
        Ok(calls)
    }

    /// Our names for all calls of which there is any line, the oldest first.
    ///
    /// # Errors
    /// The ledger cannot be read.
    pub async fn names(&mut self) -> Result<Vec<String>, OpenError> {
        sqlx::query_scalar("SELECT call FROM facts GROUP BY call ORDER BY min(unix_ms), call")
            .fetch_all(&mut self.connection)
            .await
            .map_err(Books::wrong(&self.path))
    }

    /// All lines of a call, by our name for it or the carrier's; none: there is no such call.
    ///
    /// # Errors
    /// The ledger cannot be read.
    pub async fn call(&mut self, name: &str) -> Result<Vec<Entry>, OpenError> {
        let entries = self.lines(name).await?;
        if !entries.is_empty() {
            return Ok(entries);
        }
        match self.call_of(name).await? {
            Some(call) => self.lines(call.as_str()).await,
            None => Ok(entries),
        }
    }

    async fn lines(&mut self, call: &str) -> Result<Vec<Entry>, OpenError> {
        let rows = sqlx::query(
            "SELECT call, seq, unix_ms, event, body, hash FROM facts WHERE call = ? ORDER BY seq",
        )
        .bind(call)
        .fetch_all(&mut self.connection)
        .await
        .map_err(Books::wrong(&self.path))?;
        rows.iter()
            .map(entry)
            .collect::<Result<_, _>>()
            .map_err(Books::wrong(&self.path))
    }

    /// Our name for the call that the carrier knows by this one: the latest, where there are several.
    ///
    /// # Errors
    /// The ledger cannot be read.
    pub async fn call_of(
        &mut self,
        carrier_call: &str,
    ) -> Result<Option<crate::units::CallId>, OpenError> {
        let call: Option<String> = sqlx::query_scalar(
            "SELECT call FROM (
               SELECT call, unix_ms FROM facts WHERE seq = 1 AND json_extract(body, '$.carrier_call') = ?1
               UNION ALL
               SELECT call, unix_ms FROM facts WHERE event = 'call.dialled' AND json_extract(body, '$.carrier_call') = ?1)
             ORDER BY unix_ms DESC LIMIT 1",
        )
        .bind(carrier_call)
        .fetch_optional(&mut self.connection)
        .await
        .map_err(Books::wrong(&self.path))?;
        Ok(call.map(|call| crate::units::CallId::from(call.as_str())))
    }

    /// What was said in a call, by our name for it, as far as it is kept and has not had its time.
    ///
    /// # Errors
    /// The ledger cannot be read.
    pub async fn transcript(&mut self, call: &str) -> Result<Vec<Said>, OpenError> {
        let wrong = Books::wrong(&self.path);
        // A ledger that no newer server has opened yet has no such table.
        let table: Option<i64> =
            sqlx::query_scalar("SELECT 1 FROM sqlite_schema WHERE name = 'transcripts'")
                .fetch_optional(&mut self.connection)
                .await
                .map_err(&wrong)?;
        if table.is_none() {
            return Ok(Vec::new());
        }
        let rows = sqlx::query(
            "SELECT unix_ms, at_ms, speaker, heard, unheard FROM transcripts
             WHERE call = ? AND expires_unix_ms > ? ORDER BY n",
        )
        .bind(call)
        .bind(jiff::Timestamp::now().as_millisecond())
        .fetch_all(&mut self.connection)
        .await
        .map_err(&wrong)?;
        rows.iter()
            .map(said)
            .collect::<Result<_, _>>()
            .map_err(wrong)
    }

    /// A call's last line.
    pub(super) async fn last_of(&mut self, call: &str) -> Result<Option<Entry>, OpenError> {
        let row = sqlx::query(
            "SELECT call, seq, unix_ms, event, body, hash FROM facts WHERE call = ? ORDER BY seq DESC LIMIT 1",
        )
        .bind(call)
        .fetch_optional(&mut self.connection)
        .await
        .map_err(Books::wrong(&self.path))?;
        row.as_ref()
            .map(entry)
            .transpose()
            .map_err(Books::wrong(&self.path))
    }

    /// Calls that were opened and are not over.
    pub(super) async fn open_calls(&mut self) -> Result<Vec<String>, OpenError> {
        sqlx::query_scalar(
            "SELECT o.call FROM facts o WHERE o.event = 'call.opened' AND NOT EXISTS (
               SELECT 1 FROM facts e WHERE e.call = o.call AND e.event IN ('call.ended', 'call.lost', 'call.refused'))
             ORDER BY o.unix_ms",
        )
        .fetch_all(&mut self.connection)
        .await
        .map_err(Books::wrong(&self.path))
    }

    /// What calls that were over on these days (UTC), or ever, have cost: by day in their order, else the dearest first.
    ///
    /// # Errors
    /// The ledger cannot be read.
    pub async fn spend(
        &mut self,
        by: By,
        days: Option<(Date, Date)>,
    ) -> Result<Vec<SpendRow>, OpenError> {
        let key = match by {
            By::Day => "strftime('%Y-%m-%d', e.unix_ms / 1000, 'unixepoch')",
            By::Agent => "o.body ->> '$.agent'",
            By::Caller => "o.body ->> '$.account'",
        };
        let order = match by {
            By::Day => "1",
            By::Agent | By::Caller => "3 DESC, 1",
        };
        let sums: String = PARTS
            .iter()
            .map(|part| format!(", sum(coalesce(e.body ->> '$.{part}', 0)) AS {part}"))
            .collect();
        let sql = format!(
            "SELECT coalesce({key}, '') AS key, count(*) AS calls{sums}
             FROM facts e JOIN facts o ON o.call = e.call AND o.seq = 1
             WHERE {CLOSED} AND e.unix_ms >= ? AND e.unix_ms < ? GROUP BY 1 ORDER BY {order}"
        );
        let (from, to) = span(days);
        let rows = sqlx::query(AssertSqlSafe(sql))
            .bind(from)
            .bind(to)
            .fetch_all(&mut self.connection)
            .await
            .map_err(Books::wrong(&self.path))?;
        rows.iter()
            .map(spend_row)
            .collect::<Result<_, _>>()
            .map_err(Books::wrong(&self.path))
    }

    /// What calls that were over today (UTC) have cost, by agent and by the caller's account.
    ///
    /// # Errors
    /// The ledger cannot be read.
    pub async fn spent_today(&mut self) -> Result<Vec<(Arc<str>, Arc<str>, Usd)>, OpenError> {
        let today = jiff::Timestamp::now().to_zoned(TimeZone::UTC).date();
        let (from, _) = span(Some((today, today)));
        let sql = format!(
            "SELECT coalesce(o.body ->> '$.agent', ''), coalesce(o.body ->> '$.account', ''),
               sum(coalesce(e.body ->> '$.spent_nanos', 0))
             FROM facts e JOIN facts o ON o.call = e.call AND o.seq = 1
             WHERE {CLOSED} AND e.unix_ms >= ? GROUP BY 1, 2"
        );
        let rows: Vec<(String, String, i64)> = sqlx::query_as(AssertSqlSafe(sql))
            .bind(from)
            .fetch_all(&mut self.connection)
            .await
            .map_err(Books::wrong(&self.path))?;
        let rows = rows.into_iter();
        Ok(rows
            .map(|(agent, account, spent)| (agent.into(), account.into(), usd(spent)))
            .collect())
    }
}

fn usd(nanos: i64) -> Usd {
    Usd::from_nanos(u64::try_from(nanos).unwrap_or_default())
}

fn entry(row: &SqliteRow) -> Result<Entry, sqlx::Error> {
    Ok(Entry {
        call: row.try_get::<&str, _>("call")?.into(),
        seq: whole(row, "seq")?,
        unix_ms: row.try_get("unix_ms")?,
        event: row.try_get("event")?,
        body: row.try_get("body")?,
        hash: row.try_get("hash")?,
    })
}

fn said(row: &SqliteRow) -> Result<Said, sqlx::Error> {
    Ok(Said {
        unix_ms: row.try_get("unix_ms")?,
        at_ms: whole(row, "at_ms")?,
        who: row.try_get("speaker")?,
        heard: row.try_get("heard")?,
        unheard: row.try_get("unheard")?,
    })
}

/// The columns of [`Parts`].
const PARTS: [&str; 8] = [
    "spent_nanos",
    "model_nanos",
    "transcription_nanos",
    "carrier_nanos",
    "tools_nanos",
    "unreported_nanos",
    "ran_on_nanos",
    "unheard_nanos",
];

fn parts(row: &SqliteRow) -> Result<Parts, sqlx::Error> {
    let mut amounts = [Usd::ZERO; 8];
    for (amount, column) in amounts.iter_mut().zip(PARTS) {
        *amount = Usd::from_nanos(whole(row, column)?);
    }
    let [
        spent,
        model,
        transcription,
        carrier,
        tools,
        unreported,
        ran_on,
        unheard,
    ] = amounts;
    Ok(Parts {
        spent,
        model,
        transcription,
        carrier,
        tools,
        unreported,
        ran_on,
        unheard,
    })
}

fn whole(row: &SqliteRow, column: &str) -> Result<u64, sqlx::Error> {
    let value: Option<i64> = row.try_get(column)?;
    Ok(u64::try_from(value.unwrap_or_default()).unwrap_or_default())
}

fn call_row(row: &SqliteRow) -> Result<CallRow, sqlx::Error> {
    let text = |column: &str| {
        row.try_get::<Option<String>, _>(column)
            .map(Option::unwrap_or_default)
    };
    let dialled = text("dialled")?;
    Ok(CallRow {
        call: text("call")?,
        is_dialled: !dialled.is_empty(),
        // A call that we placed was named only after its first line.
        carrier_call: match dialled.is_empty() {
            true => text("carrier_call")?,
            false => dialled,
        },
        opened_ms: row.try_get("opened_ms")?,
        over_ms: row.try_get("over_ms")?,
        agent: text("agent")?,
        model: text("model")?,
        from: text("from_masked")?,
        to: text("to_masked")?,
        account: text("caller")?,
        ending: row.try_get("ending")?,
        cause: row.try_get("cause")?,
        duration_ms: whole(row, "duration_ms")?,
        minutes: whole(row, "minutes")?,
        minute: Usd::from_nanos(whole(row, "minute_nanos")?),
        cap: Usd::from_nanos(whole(row, "cap_nanos")?),
        cost: parts(row)?,
    })
}

fn spend_row(row: &SqliteRow) -> Result<SpendRow, sqlx::Error> {
    Ok(SpendRow {
        key: row.try_get("key")?,
        calls: whole(row, "calls")?,
        cost: parts(row)?,
    })
}

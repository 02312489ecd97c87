//! The API: what calls have cost, for programs that hold the admin token.
//!
//! It reads the ledger, as the command line does, and says the same in the same words. A reader never waits for the writer, and at most a
//! few read at a time, so that whoever asks too much keeps others of their kind waiting and no call.

use super::is_admin;
use crate::ledger::books::{By, Filter, last_days};
use crate::ledger::paper::{CallPaper, SpendPage, StatementPaper};
use crate::ledger::{Books, Ledger, OpenError};
use crate::units::Secret;
use axum::Router;
use axum::extract::{Path, RawQuery, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use serde::Serialize;
use std::collections::BTreeMap;
use std::sync::Arc;
use tokio::sync::Semaphore;

/// The most rows that one answer has.
const MOST_ROWS: u32 = 1000;

/// The rows of an answer when nobody says.
const USUAL_ROWS: u32 = 100;

/// The most days that one question may span: ten years.
const MOST_DAYS: u32 = 3660;

/// The days of a question when nobody says.
const USUAL_DAYS: u32 = 30;

/// Questions that are answered at a time; each has a connection and a thread of its own meanwhile.
const READERS: usize = 4;

/// What the API needs.
pub struct Api {
    ledger: Ledger,
    admin_token: Secret,
    readers: Semaphore,
}

impl Api {
    /// One that reads this ledger for who has this token.
    pub fn new(ledger: Ledger, admin_token: Secret) -> Api {
        Api {
            ledger,
            admin_token,
            readers: Semaphore::new(READERS),
        }
    }

    /// Its doors.
    pub fn router(self) -> Router {
        Router::new()
            .route("/api/v1/calls", get(calls))
            .route("/api/v1/calls/{id}", get(call))
            .route("/api/v1/spend", get(spend))
            .with_state(Arc::new(self))
    }

    /// What a question asks, if whoever asks may know.
    fn question(&self, headers: &HeaderMap, query: Option<&str>) -> Result<Question, Refused> {
        if is_admin(headers, &self.admin_token) {
            Question::read(query.unwrap_or_default())
        } else {
            Err(Refused::Stranger)
        }
    }
}

/// Why there is no answer.
enum Refused {
    /// Without the admin token.
    Stranger,
    /// The question makes no sense; why.
    Wrong(String),
    /// There is no such thing.
    Unknown(String),
    /// The ledger cannot be read.
    Ledger(OpenError),
}

impl From<OpenError> for Refused {
    fn from(error: OpenError) -> Refused {
        Refused::Ledger(error)
    }
}

#[derive(Serialize)]
struct ErrorPaper {
    error: String,
}

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        let (status, error) = match self {
            Refused::Stranger => {
                let error = "the admin token is expected: Authorization: Bearer …".to_string();
                let body = json(StatusCode::UNAUTHORIZED, &ErrorPaper { error });
                return ([(header::WWW_AUTHENTICATE, "Bearer")], body).into_response();
            }
            Refused::Wrong(why) => (StatusCode::BAD_REQUEST, why),
            Refused::Unknown(what) => (StatusCode::NOT_FOUND, what),
            Refused::Ledger(error) => {
                tracing::warn!(event = "api.failed", why = error.to_string());
                // The path is nobody's business outside.
                let why = "the ledger cannot be read; the server's log says why".to_string();
                (StatusCode::SERVICE_UNAVAILABLE, why)
            }
        };
        json(status, &ErrorPaper { error })
    }
}

fn json(status: StatusCode, value: &impl Serialize) -> Response {
    let Ok(body) = serde_json::to_vec(value) else {
        return StatusCode::INTERNAL_SERVER_ERROR.into_response();
    };
    let headers = [
        (header::CONTENT_TYPE, "application/json"),
        (header::CACHE_CONTROL, "no-store"),
    ];
    (status, headers, body).into_response()
}

/// The parameters of a question; each is taken out when it is read.
struct Question(BTreeMap<String, String>);

impl Question {
    fn read(query: &str) -> Result<Question, Refused> {
        let mut parameters = BTreeMap::new();
        for (name, value) in form_urlencoded::parse(query.as_bytes()) {
            if parameters
                .insert(name.to_string(), value.to_string())
                .is_some()
            {
                return Err(Refused::Wrong(format!("{name}: is given twice")));
            }
        }
        Ok(Question(parameters))
    }

    fn take<T>(
        &mut self,
        name: &str,
        allowed: &str,
        read: impl FnOnce(&str) -> Option<T>,
    ) -> Result<Option<T>, Refused> {
        let Some(text) = self.0.remove(name) else {
            return Ok(None);
        };
        let wrong = || Refused::Wrong(format!("{name}: {text:?} is not {allowed}"));
        read(&text).map(Some).ok_or_else(wrong)
    }

    fn number(&mut self, name: &str, most: u32, usual: u32) -> Result<u32, Refused> {
        let allowed = format!("a whole number from 1 to {most}");
        let read = |text: &str| {
            text.parse()
                .ok()
                .filter(|number| (1..=most).contains(number))
        };
        Ok(self.take(name, &allowed, read)?.unwrap_or(usual))
    }

    /// Nothing else was asked.
    fn finish(self, allowed: &str) -> Result<(), Refused> {
        match self.0.into_keys().next() {
            Some(name) => Err(Refused::Wrong(format!(
                "{name}: is not a parameter here; there are {allowed}"
            ))),
            None => Ok(()),
        }
    }
}

#[derive(Serialize)]
struct CallsPage<'a> {
    calls: Vec<CallPaper<'a>>,
    /// There are older ones that the limit left out.
    more: bool,
}

/// `GET /api/v1/calls?day=&agent=&limit=&live=`: calls, the latest first.
async fn calls(
    State(api): State<Arc<Api>>,
    headers: HeaderMap,
    RawQuery(query): RawQuery,
) -> Result<Response, Refused> {
    let mut question = api.question(&headers, query.as_deref())?;
    let day: Option<Date> =
        question.take("day", "a day such as 2026-11-22", |text| text.parse().ok())?;
    let agent = question.take("agent", "the name of an agent", |text| {
        (!text.is_empty()).then(|| text.to_string())
    })?;
    let is_live = question.take("live", "true or false", |text| text.parse().ok())?;
    let limit = question.number("limit", MOST_ROWS, USUAL_ROWS)?;
    question.finish("day, agent, live and limit")?;
    let filter = Filter {
        days: day.map(|day| (day, day)),
        agent,
        is_live,
        limit: Some(limit + 1),
    };
    let _reading = api.readers.acquire().await;
    let mut rows = Books::open(api.ledger.path()).await?.calls(&filter).await?;
    let most = usize::try_from(limit).unwrap_or(usize::MAX);
    let more = rows.len() > most;
    rows.truncate(most);
    let calls = rows.iter().map(CallPaper::from).collect();
    Ok(json(StatusCode::OK, &CallsPage { calls, more }))
}

/// `GET /api/v1/calls/{id}`: one call, by our name for it or the carrier's, with all its lines, and
/// what was said in it, where its agent has that kept.
async fn call(
    State(api): State<Arc<Api>>,
    headers: HeaderMap,
    Path(name): Path<String>,
    RawQuery(query): RawQuery,
) -> Result<Response, Refused> {
    let question = api.question(&headers, query.as_deref())?;
    question.finish("none")?;
    let _reading = api.readers.acquire().await;
    let mut books = Books::open(api.ledger.path()).await?;
    let entries = books.call(&name).await?;
    let row = match entries.first() {
        Some(first) => books.row(&first.call).await?,
        None => None,
    };
    match row {
        Some(row) => {
            let mut transcript = books.transcript(&row.call).await?;
            if transcript.is_empty() {
                transcript = api.ledger.remembered(&row.call);
            }
            let paper = StatementPaper::new(&row, &entries).with_transcript(transcript);
            Ok(json(StatusCode::OK, &paper))
        }
        None => {
            let what = "no call of this name, by us or by the carrier".to_string();
            Err(Refused::Unknown(what))
        }
    }
}

/// `GET /api/v1/spend?by=day|agent|caller&days=`: what calls cost that were over on the last so many days.
async fn spend(
    State(api): State<Arc<Api>>,
    headers: HeaderMap,
    RawQuery(query): RawQuery,
) -> Result<Response, Refused> {
    let mut question = api.question(&headers, query.as_deref())?;
    let by = question.take("by", "day, agent or caller", |text| {
        let all = [By::Day, By::Agent, By::Caller];
        all.into_iter().find(|by| by.word() == text)
    })?;
    let days = question.number("days", MOST_DAYS, USUAL_DAYS)?;
    question.finish("by and days")?;
    let by = by.unwrap_or(By::Day);
    let today = jiff::Timestamp::now().to_zoned(TimeZone::UTC).date();
    let days = last_days(today, days);
    let _reading = api.readers.acquire().await;
    let rows = Books::open(api.ledger.path())
        .await?
        .spend(by, Some(days))
        .await?;
    // Ten years of days are more than the rows allowed, and each of them is wanted.
    let most = if by == By::Day { MOST_DAYS } else { MOST_ROWS };
    let page = SpendPage::new(by, days, &rows).at_most(most as usize);
    Ok(json(StatusCode::OK, &page))
}

//! What the books answer with: a call in a line, a day's spend in a line, and which of them were asked for.
//!
//! These are figures only; how they are found is the business of [`super::Books`], and how they look is that of whoever asks.

use crate::units::Usd;
use jiff::civil::Date;

/// Which calls.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    /// Opened on these days (UTC), the first and the last; all of them unless it says.
    pub days: Option<(Date, Date)>,
    /// Of this agent; of all unless it says.
    pub agent: Option<String>,
    /// Those that are not over (`true`), or those that are; both unless it says.
    pub is_live: Option<bool>,
    /// At most so many, the latest; all of them when it is `None`.
    pub limit: Option<u32>,
}

/// One call, in a line.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CallRow {
    /// Our name for it.
    pub call: String,
    /// The carrier's name for it.
    pub carrier_call: String,
    /// We placed it; if not, somebody called.
    pub is_dialled: bool,
    /// When it was opened, or refused, in milliseconds since 1970.
    pub opened_ms: i64,
    /// When it was over; `None`: it is not.
    pub over_ms: Option<i64>,
    /// Who answered; empty: nobody's number.
    pub agent: String,
    /// With which `[model.NAME]`; empty for a refused call.
    pub model: String,
    /// Who called, masked.
    pub from: String,
    /// Who was called, masked.
    pub to: String,
    /// The caller's account in the budgets; empty for a refused call.
    pub account: String,
    /// How it ended, in the log's words; `None`: it has not.
    pub ending: Option<String>,
    /// Why.
    pub cause: Option<String>,
    /// How long it was, in milliseconds; of a call that is not over, until its last line.
    pub duration_ms: u64,
    /// Started minutes at the carrier, so far.
    pub minutes: u64,
    /// What each of them costs, the media stream included.
    pub minute: Usd,
    /// What it might have cost.
    pub cap: Usd,
    /// What it cost, so far.
    pub cost: Parts,
}

impl CallRow {
    /// It has begun, and no line says that it is over.
    pub fn is_live(&self) -> bool {
        self.ending.is_none()
    }
}

/// What calls cost, by what it was for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Parts {
    /// All of it; the next six add up to it.
    pub spent: Usd,
    /// Answers.
    pub model: Usd,
    /// Transcription of the caller.
    pub transcription: Usd,
    /// Started minutes and sentences of the carrier.
    pub carrier: Usd,
    /// Priced tools.
    pub tools: Usd,
    /// What lost calls may owe besides.
    pub unreported: Usd,
    /// Minutes of lost calls after their last line.
    pub ran_on: Usd,
    /// The part of `model` that paid for speech nobody heard.
    pub unheard: Usd,
}

/// What to add up by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum By {
    /// The day (UTC) on which a call was over.
    Day,
    /// The agent.
    Agent,
    /// The caller's account.
    Caller,
}

/// What was spent under one key.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SpendRow {
    /// The day, the agent or the account.
    pub key: String,
    /// Calls that were over.
    pub calls: u64,
    /// What they cost.
    pub cost: Parts,
}

impl By {
    /// The word for it.
    pub fn word(self) -> &'static str {
        match self {
            By::Day => "day",
            By::Agent => "agent",
            By::Caller => "caller",
        }
    }
}

impl Parts {
    fn plus(self, other: Parts) -> Parts {
        Parts {
            spent: self.spent.plus(other.spent),
            model: self.model.plus(other.model),
            transcription: self.transcription.plus(other.transcription),
            carrier: self.carrier.plus(other.carrier),
            tools: self.tools.plus(other.tools),
            unreported: self.unreported.plus(other.unreported),
            ran_on: self.ran_on.plus(other.ran_on),
            unheard: self.unheard.plus(other.unheard),
        }
    }
}

impl SpendRow {
    /// All of them together.
    pub fn total(rows: &[SpendRow]) -> SpendRow {
        let none = SpendRow {
            key: "all".to_string(),
            ..SpendRow::default()
        };
        rows.iter().fold(none, |sum, row| SpendRow {
            calls: sum.calls + row.calls,
            cost: sum.cost.plus(row.cost),
            ..sum
        })
    }
}

/// The last so many days, the last of them included.
pub fn last_days(last: Date, count: u32) -> (Date, Date) {
    let back = jiff::Span::new().try_days(i64::from(count) - 1);
    let first = back.and_then(|back| last.checked_sub(back));
    (first.unwrap_or(Date::MIN), last)
}

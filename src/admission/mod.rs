//! (to come)
use crate::call::rules::Rules;
use crate::realtime::Session;
use crate::units::Usd;
use std::sync::Arc;

/// How much may go on at once, from `[limits]`.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Calls at once.
    pub calls: usize,
    /// Calls of one caller in an hour; callers nobody vouches for share one bucket.
    pub per_caller_per_hour: u32,
    /// Media sockets that have not yet proven which call they are.
    pub pending_streams: usize,
}

/// Who answers: one `[agent.NAME]`, with everything resolved.
#[derive(Clone, Debug)]
pub struct Agent {
    /// Its name.
    pub name: Arc<str>,
    /// The numbers it answers; `*` is every number nobody else answers.
    pub numbers: Vec<String>,
    /// Its models, best first.
    pub models: Vec<Model>,
    /// Where refused callers are sent instead of being turned away; `None`: turned away, free of charge.
    pub redirect: Option<String>,
}

/// One model an agent may use, and what a call may do with it.
#[derive(Clone, Debug)]
pub struct Model {
    /// The name in `[model.NAME]`.
    pub name: Arc<str>,
    /// The dialect's name, one of [`crate::realtime::DIALECTS`].
    pub dialect: &'static str,
    /// What to ask of a session.
    pub session: Arc<Session>,
    /// What the call may do.
    pub rules: Arc<Rules>,
    /// The most that one more answer may have to re-read, in tokens (`context_tokens`).
    pub context_tokens: u64,
    /// What the whole of a smallest useful call costs: greeting, one answer and a goodbye. See `check`.
    pub smallest_cap: Usd,
}

//! The calls of functions that the model asked for, and what became of them.

use crate::units::{Id, Usd};

/// A function that the model may call, as far as the call must know it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tool {
    /// Its name, as the model says it.
    pub name: String,
    /// What calling it once costs.
    pub price: Usd,
    /// It answers by then or not at all, in milliseconds.
    pub timeout_ms: u64,
}

/// The model wants a function called.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ToolCall {
    /// The provider's name for this call of it.
    pub tool_call: Id,
    /// Which function.
    pub name: String,
    /// Its arguments: JSON, as the model wrote it. Not checked yet.
    pub arguments: String,
}

/// What came of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ToolResult {
    /// See [`ToolCall::tool_call`].
    pub tool_call: Id,
    /// How it went.
    pub outcome: Outcome,
    /// What the model is told: the answer, or in words what went wrong.
    pub output: String,
}

/// How a call of a function went.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Outcome {
    /// It answered.
    Done,
    /// It was not called: its arguments do not fit its schema, or there is no such function.
    Misfit,
    /// It was not called: too often, too dear, or not allowed.
    Denied,
    /// It failed.
    Failed,
    /// It did not answer in time.
    Late,
}

impl Outcome {
    /// Whether the function was called at all, so that its price is owed.
    pub fn is_charged(self) -> bool {
        match self {
            Outcome::Done | Outcome::Failed | Outcome::Late => true,
            Outcome::Misfit | Outcome::Denied => false,
        }
    }

    /// The word for it in logs and files.
    pub fn word(self) -> &'static str {
        match self {
            Outcome::Done => "done",
            Outcome::Misfit => "misfit",
            Outcome::Denied => "denied",
            Outcome::Failed => "failed",
            Outcome::Late => "late",
        }
    }
}

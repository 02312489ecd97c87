//! What a transcript consists of.

use std::fmt;

/// Who said it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Who {
    /// The caller.
    Caller,
    /// The agent.
    Agent,
}

impl Who {
    /// The word for it in transcripts.
    pub fn word(self) -> &'static str {
        match self {
            Who::Caller => "caller",
            Who::Agent => "agent",
        }
    }
}

/// One entry of a transcript. It holds what people said and goes nowhere but there.
#[derive(Clone, PartialEq, Eq)]
pub struct Told {
    /// Who said it.
    pub who: Who,
    /// What was heard of it.
    pub heard: String,
    /// What was said and not heard: the caller had cut in.
    pub unheard: String,
}

/// Never the words: what is printed for a developer ends in a log.
impl fmt::Debug for Told {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (heard, unheard) = (self.heard.len(), self.unheard.len());
        write!(
            f,
            "{} ({heard} bytes heard, {unheard} not)",
            self.who.word()
        )
    }
}

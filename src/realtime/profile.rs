//! What a dialect is, before a session is opened in it.
//!
//! Servers that speak a Realtime protocol differ in what they can promise, and a cap on spending is only as good as those
//! promises. So each dialect says in one place what it can do, and whoever reads the configuration refuses a cap that
//! would rest on something it cannot.

use super::{Dialect, Session};
use std::sync::Arc;

/// Makes a codec for one session.
pub type NewDialect = fn(Arc<Session>) -> Box<dyn Dialect>;

/// A dialect as the configuration knows it.
#[derive(Clone, Copy, Debug)]
pub struct Profile {
    /// Its name there.
    pub name: &'static str,
    /// What it is, in a few words for people.
    pub about: &'static str,
    /// The variable the key is in, where nobody says.
    pub key_env: &'static str,
    /// The address, where nobody says; `None`: there is none that everybody shares.
    pub url: Option<&'static str>,
    /// What is wrong with an address, and what to do: this dialect is not spoken there.
    pub refuses: fn(&str) -> Option<(&'static str, &'static str)>,
    /// Whether an API version belongs to this address.
    pub versioned: fn(&str) -> bool,
    /// What it can do.
    pub can: Capabilities,
    /// Makes a codec for one session.
    pub new: NewDialect,
}

/// What the other side of a session can do. The first two carry the cap: without them nobody can say what an answer will cost
/// at the most, and no call may be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Capabilities {
    /// It honours `create_response: false`, so that every answer is one we asked for. Otherwise it answers turn after turn on its own,
    /// and no sum of ours could stop it: a cap on spending is refused at start.
    pub own_responses: bool,
    /// It honours the length that an answer may have at the most. Otherwise a single answer has no bound: a cap on spending is
    /// refused at start.
    pub max_output: bool,
    /// It answers beside the conversation (`conversation: "none"`), at a price that depends on nothing said before. Otherwise the
    /// model is not asked for a goodbye, and the carrier says its sentence.
    pub out_of_band: bool,
    /// It reports what an answer consumed. Otherwise every answer is charged at its bound, which is always more.
    pub usage: bool,
    /// It keeps the conversation short by itself (`truncation.token_limits.post_instructions`). Otherwise only what we delete
    /// keeps it within `context_tokens`.
    pub truncation: bool,
}

impl Capabilities {
    /// Everything.
    pub const ALL: Capabilities = Capabilities {
        own_responses: true,
        max_output: true,
        out_of_band: true,
        usage: true,
        truncation: true,
    };

    /// Whether a cap on spending can be kept.
    pub fn carry_a_cap(self) -> bool {
        self.own_responses && self.max_output
    }
}

//! What a phone is given, what it wants done, and what it can be ordered: the words at its border.

use super::{Callee, FRAME_MS, Leg, Line, Step};
use crate::units::Secret;

/// Who calls whom, over which line, and what the caller does.
#[derive(Clone, Debug)]
pub struct Setup {
    /// The address the carrier asks when the number is called, exactly as it signs it.
    pub webhook: String,
    /// Told when the call is over, if anybody wants to know.
    pub status_callback: Option<String>,
    /// The account: `AC` and 32 hexadecimal digits.
    pub account_sid: String,
    /// What the carrier signs with.
    pub auth_token: Secret,
    /// The carrier's name for the call: `CA` and 32 hexadecimal digits.
    pub call_sid: String,
    /// Who calls.
    pub from: String,
    /// The number that is called.
    pub to: String,
    /// How well the caller's number is vouched for, such as `TN-Validation-Passed-A`; `None`: nobody does.
    pub stir_verstat: Option<String>,
    /// The call goes out: the server has called somebody, who does what `script` says; `None`: it comes in.
    pub callee: Option<Callee>,
    /// The carrier's own limit that the call begins with, in seconds from its answer; its usual one, unless it says.
    pub limit_s: Option<u64>,
    /// What whoever is dialled for the caller does.
    pub leg: Leg,
    /// What the caller does.
    pub script: Vec<Step>,
    /// How good the line is.
    pub line: Line,
    /// What all chance in this call comes from.
    pub seed: u64,
    /// How much of the caller's sound a frame holds, in milliseconds: 20 at a real carrier; at most 100.
    pub frame_ms: u64,
    /// Keep all sound, 32 kB a second; a phone that only makes load does not.
    pub keep_sound: bool,
}

impl Setup {
    /// A caller with an attested number and a perfect line, who says nothing.
    pub fn new(webhook: &str, account_sid: &str, auth_token: &str, call_sid: &str) -> Self {
        Setup {
            webhook: webhook.to_owned(),
            status_callback: None,
            account_sid: account_sid.to_owned(),
            auth_token: auth_token.to_owned().into(),
            call_sid: call_sid.to_owned(),
            from: "+14155550123".to_owned(),
            to: "+15005550006".to_owned(),
            stir_verstat: Some("TN-Validation-Passed-A".to_owned()),
            callee: None,
            limit_s: None,
            leg: Leg::default(),
            script: Vec::new(),
            line: Line::default(),
            seed: 1,
            frame_ms: FRAME_MS,
            keep_sound: true,
        }
    }
}

/// What the phone wants done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Out {
    /// Post a form; tell the answer with [`http_answered`](super::Phone::http_answered) or
    /// [`unanswered`](super::Phone::unanswered).
    Http {
        /// Where.
        url: String,
        /// Names and values.
        headers: Vec<(&'static str, String)>,
        /// The form, encoded.
        body: String,
    },
    /// Post a form; nobody waits for the answer.
    Tell {
        /// Where.
        url: String,
        /// Names and values.
        headers: Vec<(&'static str, String)>,
        /// The form, encoded.
        body: String,
    },
    /// Open a WebSocket; tell [`opened`](super::Phone::opened) or [`refused`](super::Phone::refused).
    Open {
        /// Where.
        url: String,
        /// Names and values.
        headers: Vec<(&'static str, String)>,
    },
    /// Send a text frame.
    Text(String),
    /// Close the WebSocket, or give up opening it.
    Close,
    /// Nothing more will happen.
    Done,
}

/// What the server orders through the REST API about a live call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Order {
    /// `Status=completed`.
    Complete,
    /// `TimeLimit=seconds`, counted from the answer.
    Limit {
        /// Seconds.
        seconds: u64,
    },
    /// `Twiml=…`: another document in place of whatever is going on.
    Document(String),
}

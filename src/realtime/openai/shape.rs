//! What differs between the generations of the protocol, and between the houses that speak it.
//!
//! Half of the names changed when the protocol became generally available, and most of what they mean did not. So there is
//! one codec, and the differences stand in one table for each way of speaking.

use super::raw::Raw;
use crate::realtime::{Address, Request, Session};
use serde_json::Value;

/// One way of speaking the protocol.
pub(in crate::realtime) struct Shape {
    /// Where and how to connect.
    pub(in crate::realtime) address: fn(&Session) -> Address,
    /// Today's name of an event.
    pub(in crate::realtime) event: fn(&str) -> &str,
    /// What words of the model are called in an item that is put back.
    pub(in crate::realtime) words: &'static str,
    /// The `session.update`.
    pub(in crate::realtime) configure: fn(&Session) -> Value,
    /// Compares the echo with what was asked; the first key that differs is the error.
    pub(in crate::realtime) compare: fn(&Session, Raw<'_>) -> Result<(), &'static str>,
    /// The `response.create`.
    pub(in crate::realtime) respond: fn(&Session, &Request) -> Value,
}

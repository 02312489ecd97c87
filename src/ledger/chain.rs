//! One line of the ledger, and the hash that ties it to the line before it.
//!
//! Whoever changes, removes or inserts a line has to change every later line of that call too, up to the last hash, which stands in the
//! log. The sum can be made by hand: `printf '%s\n%s\n%s\n%s\n%s' PREVIOUS SEQ UNIX_MS EVENT BODY | sha256sum`, where the line before
//! the first is the sum of the call's name.

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use sha2::{Digest, Sha256};
use std::fmt::Write as _;
use std::sync::Arc;

/// One line, as it is written down: never changed afterwards.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Our name for the call it is about.
    pub call: Arc<str>,
    /// Its place among the call's lines, counted from one.
    pub seq: u64,
    /// When it was written, in milliseconds since 1970 (UTC).
    pub unix_ms: i64,
    /// What happened, as the log names it: `call.turn`.
    pub event: String,
    /// Everything about it: a JSON object, to the byte as it was hashed. Money is in billionths of a dollar (`…_nanos`).
    pub body: String,
    /// Ties it to the line before it, in hexadecimal.
    pub hash: String,
}

impl Entry {
    /// The body, read.
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.body).unwrap_or_default()
    }

    /// What its hash must be if the line before it had this one.
    pub fn expected_hash(&self, previous: &str) -> String {
        hash(
            previous,
            self.seq,
            self.unix_ms,
            &self.event,
            self.body.as_bytes(),
        )
    }
}

/// What stands in for the hash before a call's first line.
pub fn beginning(call: &str) -> String {
    hex(&Sha256::digest(call.as_bytes()))
}

fn hash(previous: &str, seq: u64, unix_ms: i64, event: &str, body: &[u8]) -> String {
    let mut sum = Sha256::new();
    sum.update(previous.as_bytes());
    sum.update(format!("\n{seq}\n{unix_ms}\n{event}\n"));
    sum.update(body);
    hex(&sum.finalize())
}

/// In hexadecimal.
pub(super) fn hex(bytes: &[u8]) -> String {
    bytes
        .iter()
        .fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
            let _ = write!(text, "{byte:02x}");
            text
        })
}

/// The end of a call's chain: where the next line goes.
#[derive(Clone, Debug)]
pub(super) struct Head {
    pub(super) call: Arc<str>,
    pub(super) seq: u64,
    pub(super) hash: String,
}

impl Head {
    /// Before the first line.
    pub(super) fn new(call: Arc<str>) -> Head {
        let hash = beginning(&call);
        Head { call, seq: 0, hash }
    }

    /// After this line.
    pub(super) fn after(last: &Entry) -> Head {
        Head {
            call: last.call.clone(),
            seq: last.seq,
            hash: last.hash.clone(),
        }
    }

    /// Makes the next line.
    pub(super) fn next(&mut self, unix_ms: i64, event: String, body: String) -> Entry {
        self.seq += 1;
        self.hash = hash(&self.hash, self.seq, unix_ms, &event, body.as_bytes());
        Entry {
            call: self.call.clone(),
            seq: self.seq,
            unix_ms,
            event,
            body,
            hash: self.hash.clone(),
        }
    }
}

/// A line on its way through the journal. The body is kept to the byte, for it has been hashed.
#[derive(Serialize, Deserialize)]
struct Written<'a> {
    call: &'a str,
    seq: u64,
    ms: i64,
    event: &'a str,
    #[serde(borrow)]
    body: &'a RawValue,
    hash: &'a str,
}

impl Entry {
    /// As a line of the journal, its end included; `None`: the body is not JSON.
    pub(super) fn to_line(&self) -> Option<String> {
        let written = Written {
            call: &self.call,
            seq: self.seq,
            ms: self.unix_ms,
            event: &self.event,
            body: serde_json::from_str(&self.body).ok()?,
            hash: &self.hash,
        };
        let mut line = serde_json::to_string(&written).ok()?;
        line.push('\n');
        Some(line)
    }

    /// From a line of the journal; `None`: it is none.
    pub(super) fn from_line(line: &str) -> Option<Entry> {
        let written: Written<'_> = serde_json::from_str(line).ok()?;
        Some(Entry {
            call: written.call.into(),
            seq: written.seq,
            unix_ms: written.ms,
            event: written.event.to_string(),
            body: written.body.get().to_string(),
            hash: written.hash.to_string(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_survives_the_journal_to_the_byte() {
        let mut head = Head::new("rf-1".into());
        let body = r#"{"what":"caf\u00e9 \"x\"","n":18446744073709551615}"#;
        let entry = head.next(7, "call.turn".to_string(), body.to_string());
        let line = entry.to_line().expect("a line");
        assert!(line.ends_with('\n') && line.matches('\n').count() == 1);
        assert_eq!(Entry::from_line(line.trim_end()), Some(entry));
        assert_eq!(Entry::from_line(&line[..line.len() / 2]), None);
    }

    #[test]
    fn the_sum_is_the_one_that_can_be_made_by_hand() {
        let mut head = Head::new("rf-1".into());
        let entry = head.next(7, "call.turn".to_string(), "{}".to_string());
        let text = format!("{}\n1\n7\ncall.turn\n{{}}", beginning("rf-1"));
        assert_eq!(entry.hash, hex(&Sha256::digest(text)));
        assert_eq!(entry.expected_hash(&beginning("rf-1")), entry.hash);
    }
}

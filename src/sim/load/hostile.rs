//! Callers who mean no good, each in a way of its own, again and again.
//!
//! They are there for the others: a server that carries a thousand honest calls must carry them as well when some callers
//! talk without end, send what is no frame, read nothing, or are gone in the middle of a word.

use super::Plan;
use super::websocket::{self, Kind};

/// How a caller behaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Manner {
    /// As callers do.
    Honest,
    /// Talks all the time, over whatever the agent says.
    TalksOver,
    /// Sends what is no frame, or no frame of a carrier's.
    Garbage,
    /// Sends, and reads nothing any more.
    Stalls,
    /// Is gone in the middle of a frame.
    Drops,
}

/// Frames between two pieces of garbage.
const GARBAGE_EVERY: u64 = 40;
/// The frame that is cut.
const LAST_FRAME: u64 = 190;
/// Frames that are read before nothing is read any more.
const READS: u64 = 150;

impl Manner {
    /// The manner of this call.
    pub fn of(plan: &Plan, call: u16) -> Manner {
        let before = u64::from(call) * plan.hostile_milli / 1000;
        match before % 4 {
            _ if plan.is_honest(call) => Manner::Honest,
            0 => Manner::TalksOver,
            1 => Manner::Garbage,
            2 => Manner::Stalls,
            _ => Manner::Drops,
        }
    }

    /// Whether the server is read after so many frames.
    pub fn reads(self, frames: u64) -> bool {
        self != Manner::Stalls || frames < READS
    }

    /// Whether this is the frame in which it is gone.
    pub fn drops(self, frames: u64) -> bool {
        self == Manner::Drops && frames >= LAST_FRAME
    }

    /// Appends what is no frame, if it is time for that: each call begins with another kind.
    pub fn spoil(self, frames: u64, attempt: u32, out: &mut Vec<u8>) {
        if self != Manner::Garbage || !frames.is_multiple_of(GARBAGE_EVERY) {
            return;
        }
        match (frames / GARBAGE_EVERY + u64::from(attempt)) % 8 {
            1 => websocket::write(
                out,
                Kind::Text,
                true,
                br#"{"event":"mark","mark":{"name":"nobody asked for this"}}"#,
            ),
            2 => websocket::write(
                out,
                Kind::Text,
                true,
                br#"{"event":"media","media":{"payload":"?"}}"#,
            ),
            3 => websocket::write(
                out,
                Kind::Text,
                true,
                br#"{"event":"media","media":{"timestamp":"99999999999999999999"}}"#,
            ),
            4 => websocket::write(out, Kind::Text, true, b"[[[[[[[[[[[["),
            5 => websocket::write(out, Kind::Text, true, b"\xFF\xFE\x00"),
            6 => websocket::write(out, Kind::Binary, true, &[0; 300]),
            7 => websocket::write(out, Kind::Text, true, &vec![b' '; 70_000]),
            _ => out.extend_from_slice(&[0xFF; 64]),
        }
    }
}

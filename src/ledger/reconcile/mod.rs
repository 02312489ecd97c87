//! The books beside somebody else's: the provider's usage export, and the carrier's call log.
//!
//! A cap is only as good as the prices and reports it was computed with, and whether these were right shows nowhere but in the bills of
//! others. So each of their lines is held against ours, and what differs is named by call, with both figures and the difference in
//! dollars. Nothing here reads a file or the ledger: it compares what it is given.

mod buckets;
mod calls;
mod responses;
mod rows;

pub use buckets::buckets;
pub use calls::{CallRates, carrier_calls};
pub use responses::responses;
pub use rows::{Export, Unreadable, carrier_log, usage_export};

use super::chain::Entry;
use super::entries::{money, number, read_model_price, read_usage, word};
use crate::pricing::{ModelPrice, Usage};
use crate::units::Usd;
use std::fmt;

/// A difference in dollars, with its sign: what they say more than we.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Difference(i128);

impl Difference {
    /// Theirs above ours.
    pub fn of(theirs: Usd, ours: Usd) -> Difference {
        Difference(i128::from(theirs.nanos()) - i128::from(ours.nanos()))
    }
}

impl std::iter::Sum for Difference {
    fn sum<I: Iterator<Item = Difference>>(all: I) -> Difference {
        Difference(all.map(|difference| difference.0).sum())
    }
}

/// `+0.0125`, `-0.0125`, `0.00`.
impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let size = u64::try_from(self.0.unsigned_abs()).unwrap_or(u64::MAX);
        let sign = match self.0 {
            0 => "",
            1.. => "+",
            _ => "-",
        };
        write!(f, "{sign}{}", Usd::from_nanos(size))
    }
}

/// Something that is not the same in both books.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Differing {
    /// Our name for the call, or of those that may be meant; empty: none of ours.
    pub call: String,
    /// Which part of it: an answer, a bucket.
    pub part: String,
    /// What differs.
    pub what: String,
    /// Their figure.
    pub theirs: String,
    /// Ours.
    pub ours: String,
    /// What they say more; `None`: it cannot be said in dollars.
    pub difference: Option<Difference>,
}

/// What a comparison came to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Compared {
    /// How many of their lines were compared.
    pub theirs: usize,
    /// With how many of ours.
    pub ours: usize,
    /// Their lines that are none of ours to compare, such as those of other models.
    pub left_out: usize,
    /// What differs.
    pub differing: Vec<Differing>,
}

/// An answer of ours.
#[derive(Clone, Debug)]
pub struct Answer {
    /// Our name for the call.
    pub call: String,
    /// Its number in the call.
    pub turn: u64,
    /// The provider's name for it; empty where none was told.
    pub response: String,
    /// When its report came, in milliseconds since 1970.
    pub unix_ms: i64,
    /// The provider's name for the model.
    pub model_id: String,
    /// What was reported; `None`: nothing, and it is charged at its bound.
    pub usage: Option<Usage>,
    /// What it was charged.
    pub cost: Usd,
    /// At which prices; `None`: the call does not say.
    pub price: Option<ModelPrice>,
}

/// The answers among a call's lines.
pub fn answers(entries: &[Entry]) -> Vec<Answer> {
    let opened = entries.first().map(Entry::json).unwrap_or_default();
    let prices = opened.get("prices");
    let price = prices
        .and_then(|prices| prices.get("model"))
        .and_then(read_model_price);
    let turns = entries.iter().filter(|entry| entry.event == "call.turn");
    turns
        .map(|entry| {
            let body = entry.json();
            Answer {
                call: entry.call.to_string(),
                turn: number(&body, "turn").unwrap_or_default(),
                response: word(&body, "response").to_string(),
                unix_ms: entry.unix_ms,
                model_id: word(&opened, "model_id").to_string(),
                usage: body.get("usage").and_then(read_usage),
                cost: money(&body, "cost_nanos"),
                price,
            }
        })
        .collect()
}

/// Token counts as somebody else lists them: whatever they list.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tokens {
    /// All that was read, cached or not.
    pub input: Option<u64>,
    /// All that was written.
    pub output: Option<u64>,
    /// All that was read from the cache.
    pub cached: Option<u64>,
    /// Text read.
    pub text_in: Option<u64>,
    /// Sound read.
    pub audio_in: Option<u64>,
    /// Images read.
    pub image_in: Option<u64>,
    /// Text read from the cache.
    pub cached_text: Option<u64>,
    /// Sound read from the cache.
    pub cached_audio: Option<u64>,
    /// Text written.
    pub text_out: Option<u64>,
    /// Sound spoken.
    pub audio_out: Option<u64>,
}

impl Tokens {
    /// Adds what another line lists.
    pub fn plus(self, other: Tokens) -> Tokens {
        let add = |one: Option<u64>, two: Option<u64>| match (one, two) {
            (None, None) => None,
            (one, two) => Some(one.unwrap_or(0).saturating_add(two.unwrap_or(0))),
        };
        Tokens {
            input: add(self.input, other.input),
            output: add(self.output, other.output),
            cached: add(self.cached, other.cached),
            text_in: add(self.text_in, other.text_in),
            audio_in: add(self.audio_in, other.audio_in),
            image_in: add(self.image_in, other.image_in),
            cached_text: add(self.cached_text, other.cached_text),
            cached_audio: add(self.cached_audio, other.cached_audio),
            text_out: add(self.text_out, other.text_out),
            audio_out: add(self.audio_out, other.audio_out),
        }
    }

    /// Each count that they list, beside ours.
    fn beside(&self, ours: &Usage) -> Vec<(&'static str, u64, u64)> {
        let counts = [
            ("tokens read", self.input, input(ours)),
            ("tokens written", self.output, output(ours)),
            ("tokens cached", self.cached, cached(ours)),
            ("text read", self.text_in, ours.text_in),
            ("sound read", self.audio_in, ours.audio_in),
            ("images read", self.image_in, ours.image_in),
            ("text cached", self.cached_text, ours.cached_text),
            ("sound cached", self.cached_audio, ours.cached_audio),
            ("text written", self.text_out, ours.text_out),
            ("sound spoken", self.audio_out, ours.audio_out),
        ];
        let counts = counts.into_iter();
        counts
            .filter_map(|(name, theirs, ours)| Some((name, theirs?, ours)))
            .collect()
    }

    /// Both figures of each count that differs, joined to one; `None`: all are equal.
    fn differing(&self, ours: &Usage) -> Option<(String, String, String)> {
        let (mut what, mut theirs, mut own) = (Vec::new(), Vec::new(), Vec::new());
        for (name, they, we) in self.beside(ours) {
            if they != we {
                what.push(name);
                theirs.push(they.to_string());
                own.push(we.to_string());
            }
        }
        (!what.is_empty()).then(|| (what.join(", "), theirs.join(", "), own.join(", ")))
    }

    /// The usage that they mean. What they do not list is as we have it, and where a total leaves open what its tokens are, the
    /// difference counts as sound.
    fn usage(&self, ours: &Usage) -> Usage {
        let mut theirs = *ours;
        let listed = [
            (&mut theirs.text_in, self.text_in),
            (&mut theirs.audio_in, self.audio_in),
            (&mut theirs.image_in, self.image_in),
            (&mut theirs.cached_text, self.cached_text),
            (&mut theirs.cached_audio, self.cached_audio),
            (&mut theirs.text_out, self.text_out),
            (&mut theirs.audio_out, self.audio_out),
        ];
        for (place, listed) in listed {
            *place = listed.unwrap_or(*place);
        }
        let (read, written) = (input(&theirs), output(&theirs));
        rest(
            self.input,
            read,
            (self.text_in, &mut theirs.text_in),
            (self.audio_in, &mut theirs.audio_in),
        );
        rest(
            self.output,
            written,
            (self.text_out, &mut theirs.text_out),
            (self.audio_out, &mut theirs.audio_out),
        );
        theirs
    }
}

/// Puts what a total has more than its parts, or less, into the part that they do not list; sound, if they list neither.
fn rest(
    total: Option<u64>,
    parts: u64,
    text: (Option<u64>, &mut u64),
    sound: (Option<u64>, &mut u64),
) {
    let place = match (text.0, sound.0) {
        (Some(_), Some(_)) => return,
        (None, Some(_)) => text.1,
        (_, None) => sound.1,
    };
    if let Some(total) = total {
        *place = place.saturating_add(total).saturating_sub(parts);
    }
}

fn input(usage: &Usage) -> u64 {
    [
        usage.text_in,
        usage.audio_in,
        usage.image_in,
        usage.unknown_in,
    ]
    .into_iter()
    .fold(0, u64::saturating_add)
}

fn output(usage: &Usage) -> u64 {
    [usage.text_out, usage.audio_out, usage.unknown_out]
        .into_iter()
        .fold(0, u64::saturating_add)
}

fn cached(usage: &Usage) -> u64 {
    [usage.cached_text, usage.cached_audio, usage.cached_image]
        .into_iter()
        .fold(0, u64::saturating_add)
}

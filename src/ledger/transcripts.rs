//! What was said in a call, kept only where the agent says so, and apart from everything that is kept for ever.
//!
//! A ledger only grows, and what people said must be deletable: so it is no fact, stands in no chain, and never passes the journal.
//! It has a table of its own, whose lines carry the moment of their deletion, or just the memory of this process. Keeping it never
//! holds anything up: a line is put into a queue, and what cannot be written is lost, which a transcript may be and a dollar may not.

use super::recorder::Shared;
use crate::call::words::Told;
use crate::units::CallId;
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Calls whose words the memory of the process holds: those in which something was said last.
const MOST_CALLS: usize = 256;

/// Lines of one call in it, some hours of brisk talk; of a longer one the oldest go first.
const MOST_LINES: usize = 2_048;

/// Lines that wait to be written: the talk of hundreds of calls for a minute.
const MOST_WAITING: usize = 4_096;

/// Milliseconds in a day.
const DAY_MS: i64 = 86_400_000;

/// Who keeps what was said, `[agent.NAME.line] transcript`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Keeping {
    /// Nobody.
    #[default]
    Nothing,
    /// This process, for the API, until it ends or others have talked since.
    Memory,
    /// The ledger's file.
    Ledger {
        /// After so many days it is deleted.
        days: u32,
    },
}

/// One line of a transcript. What people said is not for the log: there is no `Debug`.
#[derive(Clone, PartialEq, Eq)]
pub struct Said {
    /// When it was known, in milliseconds since 1970.
    pub unix_ms: i64,
    /// The same in the call's own time, in milliseconds.
    pub at_ms: u64,
    /// `caller` or `agent`.
    pub who: String,
    /// What was heard.
    pub heard: String,
    /// What the agent had said on, when the caller had cut in.
    pub unheard: String,
}

/// A line on its way into the ledger.
pub(super) struct Line {
    pub(super) call: Arc<str>,
    pub(super) n: u64,
    pub(super) said: Said,
    pub(super) expires_unix_ms: i64,
}

/// What is kept in this process, and what waits to be written.
#[derive(Default)]
pub(super) struct Pages(Mutex<Both>);

#[derive(Default)]
struct Both {
    waiting: VecDeque<Line>,
    /// Lines that found no place in the queue.
    lost: usize,
    /// The call that spoke last is the last.
    memory: VecDeque<(Arc<str>, VecDeque<Said>)>,
}

impl Pages {
    fn both(&self) -> MutexGuard<'_, Both> {
        // Every change of it is complete before anything in it can panic.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Everything that waits, and how many lines found no place.
    pub(super) fn take(&self) -> (Vec<Line>, usize) {
        let mut both = self.both();
        let lost = std::mem::take(&mut both.lost);
        (both.waiting.drain(..).collect(), lost)
    }

    fn wait(&self, line: Line) {
        let mut both = self.both();
        match both.waiting.len() < MOST_WAITING {
            true => both.waiting.push_back(line),
            false => both.lost += 1,
        }
    }

    fn remember(&self, call: &Arc<str>, said: Said) {
        let memory = &mut self.both().memory;
        let place = memory.iter().position(|(known, _)| known == call);
        let known = place.and_then(|place| memory.remove(place));
        let (call, mut lines) = known.unwrap_or_else(|| (call.clone(), VecDeque::new()));
        if lines.len() == MOST_LINES {
            lines.pop_front();
        }
        lines.push_back(said);
        if memory.len() == MOST_CALLS {
            memory.pop_front();
        }
        memory.push_back((call, lines));
    }

    /// What this process remembers of a call.
    pub(super) fn remembered(&self, call: &str) -> Vec<Said> {
        let both = self.both();
        let known = both.memory.iter().find(|(known, _)| **known == *call);
        known.map_or_else(Vec::new, |(_, lines)| lines.iter().cloned().collect())
    }
}

/// Takes down what is said in one call.
pub struct Scribe {
    shared: Arc<Shared>,
    call: Arc<str>,
    keeping: Keeping,
    lines: u64,
}

impl Scribe {
    pub(super) fn new(shared: Arc<Shared>, call: &CallId, keeping: Keeping) -> Scribe {
        Scribe {
            shared,
            call: call.as_str().into(),
            keeping,
            lines: 0,
        }
    }

    /// Takes a line down, in microseconds; `at_ms` is the call's own time.
    pub fn take_down(&mut self, at_ms: u64, told: Told) {
        let unix_ms = jiff::Timestamp::now().as_millisecond();
        let said = Said {
            unix_ms,
            at_ms,
            who: told.who.word().to_string(),
            heard: told.heard,
            unheard: told.unheard,
        };
        match self.keeping {
            Keeping::Nothing => {}
            Keeping::Memory => self.shared.pages.remember(&self.call, said),
            Keeping::Ledger { days } => {
                self.lines += 1;
                self.shared.pages.wait(Line {
                    call: self.call.clone(),
                    n: self.lines,
                    said,
                    expires_unix_ms: unix_ms.saturating_add(i64::from(days) * DAY_MS),
                });
                self.shared.some.notify_one();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(words: String) -> Said {
        Said {
            unix_ms: 0,
            at_ms: 0,
            who: "caller".to_string(),
            heard: words,
            unheard: String::new(),
        }
    }

    fn line(n: u64) -> Line {
        Line {
            call: "rf-1".into(),
            n,
            said: said(n.to_string()),
            expires_unix_ms: 0,
        }
    }

    #[test]
    fn the_calls_that_spoke_last_are_remembered_and_their_last_lines() {
        let pages = Pages::default();
        let name = |number: usize| -> Arc<str> { format!("rf-{number}").into() };
        for number in 0..MOST_CALLS {
            pages.remember(&name(number), said("Hello.".to_string()));
        }
        pages.remember(&name(0), said("I am still here.".to_string()));
        pages.remember(&name(MOST_CALLS), said("And me.".to_string()));
        assert_eq!(pages.remembered("rf-0").len(), 2);
        assert!(
            pages.remembered("rf-1").is_empty(),
            "it spoke the longest ago"
        );
        for number in 0..MOST_LINES {
            pages.remember(&name(0), said(number.to_string()));
        }
        let kept = pages.remembered("rf-0");
        assert_eq!(kept.len(), MOST_LINES);
        assert!(kept[0].heard == "0" && pages.remembered("rf-none").is_empty());
    }

    #[test]
    fn a_queue_that_is_full_loses_the_newest_and_counts_them() {
        let pages = Pages::default();
        for n in 0..MOST_WAITING as u64 + 3 {
            pages.wait(line(n));
        }
        let (lines, lost) = pages.take();
        assert_eq!((lines.len(), lines[0].n, lost), (MOST_WAITING, 0, 3));
        assert_eq!((pages.take().0.len(), pages.take().1), (0, 0));
    }
}

//! What the caller has actually heard.
//!
//! The model talks faster than real time, so when the caller interrupts, most of what it said is still waiting. The model must be
//! told how much was heard, or it will remember saying things nobody heard. Two things keep that exact. A pacer sends sound only a
//! little ahead of the carrier's play-out, so that little is in flight. And marks tell what was played: they are the only truth; a
//! clock can only interpolate between two of them.
//!
//! The clock used is a player of our own that starts each piece when it is sent. The real one runs one trip later, and so does the
//! `clear` that stops it: the two delays cancel, and what our player has played now is what the caller will have heard when the
//! `clear` arrives. Jitter makes the real player later than ours, never earlier; where it has stood still for long, the marks' echoes
//! show by how much. Little of it they cannot show, for an echo jitters on its own way too.

use crate::audio::FRAME_MS;
use crate::carrier::Mark;
use crate::units::{CallTime, Id};
use std::collections::VecDeque;

/// Silence added behind an item so that the resampler's tail (2 ms of group delay) is heard too.
const TAIL_MS: u64 = 2;

/// An echo that is late by less than this tells of its own way, not of the player: a line's jitter seldom is more.
const JITTER_MS: u64 = 60;

/// How long a mark may be late.
const MARK_PATIENCE_MS: u64 = 1_000;

/// No item of a call is longer than an hour, whatever is claimed.
const MAX_ITEM_MS: u64 = 3_600_000;

/// Cut items whose late sound is remembered as unwanted.
const REMEMBERED_CUTS: usize = 16;

/// One item of the model's speech, on its way to the caller's ear.
#[derive(Clone, Debug)]
struct Spoken {
    number: u32,
    item: Id,
    /// Whole milliseconds the model has sent us.
    received_ms: u64,
    /// The model has sent all of it.
    complete: bool,
    /// Milliseconds given to the carrier, in whole frames.
    sent_ms: u64,
    /// Milliseconds that marks have confirmed.
    confirmed_ms: u64,
}

impl Spoken {
    /// All of it in whole frames, once it is complete.
    fn length_ms(&self) -> u64 {
        (self.received_ms + TAIL_MS).next_multiple_of(FRAME_MS)
    }

    /// Whole frames that may be sent.
    fn ready_ms(&self) -> u64 {
        let until = if self.complete {
            self.length_ms()
        } else {
            self.received_ms / FRAME_MS * FRAME_MS
        };
        until.saturating_sub(self.sent_ms)
    }

    fn is_sent(&self) -> bool {
        self.complete && self.sent_ms >= self.length_ms()
    }
}

/// What became of one item when the caller cut in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cut {
    /// The item.
    pub item: Id,
    /// Milliseconds of it that were heard; never more than were received.
    pub heard_ms: u64,
    /// Milliseconds of it that the model had sent.
    pub received_ms: u64,
}

/// The sound between the model's mouth and the caller's ear.
#[derive(Clone, Debug)]
pub struct Playback {
    lead_ms: u64,
    message_ms: u64,
    items: VecDeque<Spoken>,
    /// Marks on their way: what they name, and when our own player reaches it.
    marks: VecDeque<(Mark, CallTime)>,
    /// Items nobody will hear more of, and how much of each had come.
    cut: VecDeque<(Id, u64)>,
    next_number: u32,
    generation: u32,
    /// When our own player runs out of sound.
    dry_at: CallTime,
    /// The last mark that came back: when, and what it named.
    echoed: Option<(CallTime, Mark)>,
    /// The least time from our player reaching a mark to its echo: the line's delay, there and back.
    round_trip_ms: Option<u64>,
    /// Milliseconds received and never to be heard.
    unheard_ms: u64,
}

impl Playback {
    /// `lead_ms`: how far ahead of the carrier's play-out to send; `message_ms`: how much sound one message holds.
    pub fn new(lead_ms: u64, message_ms: u64) -> Self {
        Playback {
            lead_ms,
            message_ms,
            items: VecDeque::new(),
            marks: VecDeque::new(),
            cut: VecDeque::new(),
            next_number: 1,
            generation: 0,
            dry_at: CallTime::ZERO,
            echoed: None,
            round_trip_ms: None,
            unheard_ms: 0,
        }
    }

    /// More of an item has come: `until_ms` of it in all. Late sound of a cut item counts as unheard and is dropped.
    pub fn receive(&mut self, item: &Id, until_ms: u64) {
        let until_ms = until_ms.min(MAX_ITEM_MS);
        if let Some((_, received_ms)) = self.cut.iter_mut().find(|(cut, _)| cut == item) {
            self.unheard_ms += until_ms.saturating_sub(*received_ms);
            *received_ms = until_ms.max(*received_ms);
        } else if let Some(spoken) = self.items.iter_mut().find(|spoken| spoken.item == *item) {
            if !spoken.complete {
                spoken.received_ms = spoken.received_ms.max(until_ms);
            }
        } else {
            self.items.push_back(Spoken {
                number: self.next_number,
                item: item.clone(),
                received_ms: until_ms,
                complete: false,
                sent_ms: 0,
                confirmed_ms: 0,
            });
            self.next_number = self.next_number.saturating_add(1);
        }
    }

    /// Sound of an item that nobody is to hear. Tells whether it is the first of an item that nobody heard anything of.
    pub fn discard(&mut self, item: &Id, until_ms: u64) -> bool {
        let unknown = !self.cut.iter().any(|(cut, _)| cut == item)
            && !self.items.iter().any(|spoken| spoken.item == *item);
        if unknown {
            self.forget(item.clone(), 0);
        }
        self.receive(item, until_ms);
        unknown
    }

    fn forget(&mut self, item: Id, received_ms: u64) {
        if self.cut.len() == REMEMBERED_CUTS {
            self.cut.pop_front();
        }
        self.cut.push_back((item, received_ms));
    }

    /// The item is complete.
    pub fn complete(&mut self, item: &Id) {
        if let Some(spoken) = self.items.iter_mut().find(|spoken| spoken.item == *item) {
            spoken.complete = true;
        }
    }

    /// No more of what waits will come.
    pub fn complete_all(&mut self) {
        self.items
            .iter_mut()
            .for_each(|spoken| spoken.complete = true);
    }

    /// The number of an item that still waits to be heard; `None`: its sound is not wanted.
    pub fn number(&self, item: &Id) -> Option<u32> {
        self.items
            .iter()
            .find(|spoken| spoken.item == *item)
            .map(|spoken| spoken.number)
    }

    /// Whether the item was cut short, or dropped before it was sent.
    pub fn was_cut(&self, item: &Id) -> bool {
        self.cut.iter().any(|(cut, _)| cut == item)
    }

    /// The next piece to send now, if the carrier's queue wants one.
    pub fn next_message(&mut self, now: CallTime) -> Option<(Mark, u64)> {
        if self.dry_at.since(now) + self.message_ms > self.lead_ms {
            return None;
        }
        // Items play one after the other: a later one never overtakes one that is still arriving.
        let spoken = self.items.iter_mut().find(|spoken| !spoken.is_sent())?;
        let ms = spoken.ready_ms().min(self.message_ms);
        if ms == 0 {
            return None;
        }
        spoken.sent_ms += ms;
        let mark = Mark {
            item: spoken.number,
            until_ms: spoken.sent_ms,
            generation: self.generation,
        };
        self.dry_at = self.dry_at.max(now).plus(ms);
        self.marks.push_back((mark, self.dry_at));
        Some((mark, ms))
    }

    /// When to ask for the next piece; `None` when there is nothing to send.
    pub fn next_message_at(&self) -> Option<CallTime> {
        let spoken = self.items.iter().find(|spoken| !spoken.is_sent())?;
        let slack = self.lead_ms.saturating_sub(self.message_ms);
        (spoken.ready_ms() > 0)
            .then(|| CallTime::from_millis(self.dry_at.millis().saturating_sub(slack)))
    }

    /// A mark came back. One from before a `clear`, or one we never sent, tells nothing.
    pub fn played(&mut self, now: CallTime, mark: Mark) {
        let Some(place) = self.marks.iter().position(|(sent, _)| *sent == mark) else {
            return;
        };
        if let Some((_, reached)) = self.marks.drain(..=place).next_back() {
            let trip = now.since(reached);
            self.round_trip_ms = Some(self.round_trip_ms.map_or(trip, |least| least.min(trip)));
        }
        self.echoed = Some((now, mark));
        for spoken in self
            .items
            .iter_mut()
            .filter(|spoken| spoken.number <= mark.item)
        {
            let until = if spoken.number == mark.item {
                mark.until_ms
            } else {
                spoken.sent_ms
            };
            spoken.confirmed_ms = spoken.confirmed_ms.max(until.min(spoken.sent_ms));
        }
        while self
            .items
            .front()
            .is_some_and(|s| s.is_sent() && s.confirmed_ms >= s.sent_ms)
        {
            self.items.pop_front();
        }
    }

    /// Whether any sound waits to be sent or to be confirmed as heard.
    pub fn is_playing(&self) -> bool {
        !self.items.is_empty()
    }

    /// Whether our own player is still talking, or will once more has come.
    pub fn is_audible(&self, now: CallTime) -> bool {
        self.dry_at > now || self.items.iter().any(|spoken| !spoken.is_sent())
    }

    /// When all that was sent counts as heard although its last mark never came back: our own player has played it, and a trip there and
    /// back is over.
    pub fn heard_at(&self) -> CallTime {
        self.dry_at.plus(MARK_PATIENCE_MS)
    }

    /// When our own player runs dry.
    pub fn dry_at(&self) -> CallTime {
        self.dry_at
    }

    /// How far each waiting item will have been heard when a `clear` sent now arrives.
    fn heard(&self, now: CallTime) -> Vec<u64> {
        let mut ahead = self.dry_at.since(now);
        let mut heard = vec![0; self.items.len()];
        for (place, spoken) in self.items.iter().enumerate().rev() {
            let waiting = ahead.min(spoken.sent_ms);
            ahead -= waiting;
            heard[place] = (spoken.sent_ms - waiting).max(spoken.confirmed_ms);
        }
        // The real player cannot be further past the last echo than the time since, and the trips there and back.
        if let (Some((at, mark)), Some(trip)) = (self.echoed, self.round_trip_ms)
            && let Some(place) = self
                .items
                .iter()
                .position(|spoken| spoken.number == mark.item)
        {
            let most = mark.until_ms + now.since(at) + trip + JITTER_MS;
            heard[place] = heard[place].min(most).max(self.items[place].confirmed_ms);
        }
        heard
    }

    /// The caller cut in: nothing that waits will be heard. Tells, for each item that was not heard whole, how much was.
    pub fn cut(&mut self, now: CallTime) -> Vec<Cut> {
        let heard = self.heard(now);
        let mut cuts = Vec::new();
        for (spoken, heard_ms) in std::mem::take(&mut self.items).into_iter().zip(heard) {
            let Spoken {
                item,
                received_ms,
                complete,
                ..
            } = spoken;
            let heard_ms = heard_ms.min(received_ms);
            self.unheard_ms += received_ms - heard_ms;
            // What was heard whole was not cut, though its mark is late.
            if !complete || heard_ms < received_ms {
                self.forget(item.clone(), received_ms);
            }
            if !complete || heard_ms < received_ms {
                cuts.push(Cut {
                    item,
                    heard_ms,
                    received_ms,
                });
            }
        }
        self.marks.clear();
        self.generation = self.generation.saturating_add(1);
        self.dry_at = self.dry_at.min(now);
        self.echoed = None;
        cuts
    }

    /// Sends nothing more of what waits; what the carrier has already got is heard to its end.
    pub fn stop_sending(&mut self) {
        for mut spoken in std::mem::take(&mut self.items) {
            self.unheard_ms += spoken.received_ms.saturating_sub(spoken.sent_ms);
            self.forget(spoken.item.clone(), spoken.received_ms);
            // What was sent is now all there is of it, and it ends at a frame's edge.
            spoken.received_ms = spoken.sent_ms.saturating_sub(TAIL_MS);
            spoken.complete = true;
            if spoken.confirmed_ms < spoken.sent_ms {
                self.items.push_back(spoken);
            }
        }
    }

    /// Milliseconds received and never heard, with what waits now if the call ended now.
    pub fn unheard_ms(&self, now: CallTime) -> u64 {
        let waiting = self.items.iter().zip(self.heard(now));
        self.unheard_ms
            + waiting
                .map(|(s, heard)| s.received_ms.saturating_sub(heard))
                .sum::<u64>()
    }

    /// Milliseconds sent and confirmed of the item that plays now; for the invariants.
    pub fn progress(&self) -> impl Iterator<Item = (u64, u64)> + '_ {
        self.items
            .iter()
            .map(|spoken| (spoken.sent_ms, spoken.confirmed_ms))
    }
}

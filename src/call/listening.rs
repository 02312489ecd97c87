//! What transcribing the caller can cost, and what of it is told.
//!
//! The caller's sound is transcribed by another model, billed by itself, reported late or never, and cut into items at places that the
//! provider chooses. So all sound that was sent and not told counts at its bound, item by item as it is rounded up, and a little more for
//! what an item may hold of the sound before it.

use super::meter::HEARD_MS_PER_TOKEN;
use crate::pricing::{TranscriptionPrice, TranscriptionUsage};
use crate::units::{Id, Usd};

/// Sound that is under way while news of a complete item comes the other way.
const IN_FLIGHT_MS: u64 = 500;
/// The most that rounding up adds to an item: a second, where seconds are billed.
const ROUNDING_MS: u64 = 1_000;
/// It takes a second of speech and silence, at the least, to make a turn.
const TURN_MS: u64 = 1_000;

/// The caller's sound, as far as it is not told.
#[derive(Clone, Debug)]
pub struct Listening {
    price: Option<TranscriptionPrice>,
    /// Caller sound sent and not yet part of an item.
    loose_ms: u64,
    /// Items whose transcription is not reported: how much of the sound sent before each is not accounted for by an earlier one.
    untold: Vec<(Id, u64)>,
    /// Items besides the first that sound sent all at once may become.
    more_items: u64,
    /// Items of those that came, have no share of their own, and are not told.
    apart: Vec<Id>,
    /// Sound sent bit by bit after that which was sent all at once.
    after_ms: u64,
    /// Sound that an item may hold beyond what was sent since the last one: what the provider keeps from before speech, and what
    /// was under way when we learnt that an item was complete.
    padding_ms: u64,
    /// Kept for an item whose beginning was heard as the end of an earlier one, which is transcribed twice. It is asked for after
    /// every input, and so is the next; neither ever changes.
    spare: Usd,
    /// What an item adds that has no share of its own: what it holds of the sound before it, and what it is rounded up by.
    one_apart: Usd,
}

impl Listening {
    /// Nothing is sent yet. `prefix_padding_ms`: what the provider keeps from before speech; no price: nobody transcribes.
    pub fn new(price: Option<TranscriptionPrice>, prefix_padding_ms: u64) -> Self {
        let padding_ms = prefix_padding_ms + IN_FLIGHT_MS;
        let bound = |ms| price.map_or(Usd::ZERO, |price| price.bound(ms));
        let rounding_ms = match price {
            Some(TranscriptionPrice::PerMinute(_)) => ROUNDING_MS,
            Some(TranscriptionPrice::Tokens { .. }) | None => 0,
        };
        Listening {
            price,
            spare: bound(padding_ms),
            one_apart: bound(padding_ms + rounding_ms),
            loose_ms: 0,
            untold: Vec::new(),
            more_items: 0,
            apart: Vec::new(),
            after_ms: 0,
            padding_ms,
        }
    }

    /// Sound that an item may hold beyond what was sent since the last one, in milliseconds.
    pub fn padding_ms(&self) -> u64 {
        self.padding_ms
    }

    /// Sound sent that is not part of an item, in milliseconds.
    pub fn loose_ms(&self) -> u64 {
        self.loose_ms
    }

    /// Items that sound sent may become before we hear of it.
    pub fn items_to_come(&self) -> u64 {
        1 + self.more_items.max(self.loose_ms / TURN_MS)
    }

    /// The most that may be owed for what was sent and not told, with `more_ms` besides.
    pub fn bound(&self, more_ms: u64) -> Usd {
        self.untold_bound(more_ms).plus(self.spare)
    }

    /// What a second more costs at most.
    pub fn a_second(&self) -> Usd {
        self.untold_bound(2_000).less(self.untold_bound(1_000))
    }

    /// Whether an item's report is awaited.
    pub fn awaits_reports(&self) -> bool {
        !self.untold.is_empty()
    }

    /// The caller's sound sent so far became an item; tells how much it was.
    pub fn committed_item(&mut self, item: &Id) -> u64 {
        let ms = std::mem::take(&mut self.loose_ms);
        if self.price.is_some() {
            match self.untold.iter_mut().find(|(known, _)| known == item) {
                Some((_, known_ms)) => *known_ms = known_ms.saturating_add(ms),
                None => {
                    self.untold.push((item.clone(), ms));
                    if ms == 0 && self.more_items > 0 {
                        self.more_items -= 1;
                        self.apart.push(item.clone());
                    }
                }
            }
        }
        ms
    }

    /// Nothing more will be told; tells what is charged for what was not.
    pub fn close(&mut self) -> Usd {
        // An item without sound of its own may hold the end of an earlier one.
        let owed = if self.awaits_reports() {
            self.bound(0)
        } else {
            self.untold_bound(0)
        };
        self.untold.clear();
        self.apart.clear();
        self.more_items = 0;
        self.loose_ms = 0;
        owed
    }

    /// What sending `ms` more of the caller's sound commits, all at once.
    pub fn forwarding(&self, ms: u64) -> Usd {
        let items = self.one_apart.times(more_items(ms));
        self.streaming(ms).plus(items)
    }

    /// What sending `ms` more of the caller's sound commits, bit by bit.
    pub fn streaming(&self, ms: u64) -> Usd {
        let longer = self.telling(self.loose_ms.saturating_add(ms));
        longer.less(self.telling(self.loose_ms))
    }

    /// Caller sound was sent.
    pub fn forwarded(&mut self, ms: u64) {
        self.loose_ms = self.loose_ms.saturating_add(ms);
        match more_items(ms) {
            0 => self.after_ms = self.after_ms.saturating_add(ms),
            more => {
                self.more_items = self.more_items.saturating_add(more);
                self.after_ms = 0;
            }
        }
        // By then we have heard of all that it became.
        if self.after_ms > 2 * IN_FLIGHT_MS {
            self.more_items = 0;
        }
    }

    /// An item's transcription was reported, or failed: without usage it is charged at its bound. Tells cost and bound; `None`:
    /// reported before.
    ///
    /// Two items may come out of one stretch of sound. So what an item leaves of its share passes to the next one that is untold,
    /// and what it takes beyond it comes out of the others' shares.
    pub fn transcribed(
        &mut self,
        item: &Id,
        usage: Option<&TranscriptionUsage>,
    ) -> Option<(Usd, Usd)> {
        let price = self.price?;
        let place = self.untold.iter().position(|(untold, _)| untold == item)?;
        let (_, share_ms) = self.untold.remove(place);
        let apart = self.apart.iter().position(|apart| apart == item);
        let rounding_ms = match (apart.map(|place| self.apart.remove(place)), price) {
            (Some(_), TranscriptionPrice::PerMinute(_)) => ROUNDING_MS,
            _ => 0,
        };
        let (told_ms, unit_ms) = match usage {
            None => (share_ms, 1),
            Some(TranscriptionUsage::Tokens { audio_in, .. }) => (
                audio_in.saturating_mul(HEARD_MS_PER_TOKEN),
                HEARD_MS_PER_TOKEN,
            ),
            Some(TranscriptionUsage::Duration { millis }) => (*millis, ROUNDING_MS),
        };
        // What was rounded up, or kept from before speech, is nobody else's.
        let own_ms = share_ms.saturating_add(self.padding_ms + rounding_ms);
        let at_least_ms = told_ms.saturating_sub(unit_ms - 1);
        let borrowed_ms = self.borrow(at_least_ms.saturating_sub(own_ms));
        if let Some((_, next_ms)) = self.untold.get_mut(place) {
            // Less what rounding this one up has taken.
            let left_ms = share_ms.saturating_sub(told_ms).saturating_sub(ROUNDING_MS);
            *next_ms = next_ms.saturating_add(left_ms);
        }
        let bound = price.bound(own_ms.saturating_add(borrowed_ms));
        let cost = usage.map_or(self.telling(share_ms), |usage| price.cost(usage));
        Some((cost, bound))
    }

    /// Takes this much sound out of the shares of items that are not told, and of what is no item yet; tells how much there was.
    fn borrow(&mut self, wanted_ms: u64) -> u64 {
        let mut missing_ms = wanted_ms;
        let shares = self.untold.iter_mut().map(|(_, ms)| ms);
        for share_ms in shares.chain([&mut self.loose_ms]) {
            let taken_ms = missing_ms.min(*share_ms);
            *share_ms -= taken_ms;
            missing_ms -= taken_ms;
        }
        wanted_ms - missing_ms
    }

    /// The most that transcribing what was sent, and `more_ms` besides, can cost. Each item is rounded up by itself, as it is billed;
    /// one that was closed without new sound has its share in an earlier one.
    fn untold_bound(&self, more_ms: u64) -> Usd {
        let untold: Usd = self.untold.iter().map(|(_, ms)| self.telling(*ms)).sum();
        let apart = self.more_items.saturating_add(self.apart.len() as u64);
        untold
            .plus(self.telling(self.loose_ms.saturating_add(more_ms)))
            .plus(self.one_apart.times(apart))
    }

    /// The most that transcribing an item out of this much new sound can cost.
    fn telling(&self, ms: u64) -> Usd {
        match &self.price {
            Some(price) if ms > 0 => price.bound(ms.saturating_add(self.padding_ms)),
            Some(_) | None => Usd::ZERO,
        }
    }
}

/// Items besides the first that this much sound may become.
fn more_items(ms: u64) -> u64 {
    ms.saturating_sub(1) / TURN_MS
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seconds(price_micros: u64) -> Listening {
        let price = TranscriptionPrice::PerMinute(Usd::from_micros(price_micros * 60));
        Listening::new(Some(price), 300)
    }

    #[test]
    fn a_second_that_was_begun_is_rounded_up_and_taken_from_nobody_else() {
        let mut listening = seconds(1);
        for item in ["a", "b"] {
            listening.forwarded(1_200);
            listening.committed_item(&item.into());
        }
        for item in ["a", "b"] {
            let told = TranscriptionUsage::Duration { millis: 2_000 };
            let (cost, bound) = listening.transcribed(&item.into(), Some(&told)).unwrap();
            assert_eq!((cost, bound), (Usd::from_micros(2), Usd::from_micros(2)));
        }
    }

    #[test]
    fn sound_that_was_sent_all_at_once_may_be_as_many_items_as_it_has_seconds() {
        let mut listening = seconds(1);
        let sending = listening.forwarding(10_000);
        listening.forwarded(10_000);
        let most = listening.bound(0);
        assert!(sending <= most);
        let items = ["a", "b", "c", "d", "e", "f", "g", "h", "i"];
        for item in items {
            listening.committed_item(&item.into());
            assert!(listening.bound(0) <= most);
        }
        let mut owed = Usd::ZERO;
        for item in items {
            // 1.1 seconds each.
            let told = TranscriptionUsage::Duration { millis: 2_000 };
            let (cost, bound) = listening.transcribed(&item.into(), Some(&told)).unwrap();
            assert!(cost <= bound, "{item}");
            owed = owed.plus(cost);
        }
        assert!(owed <= most, "{owed} of {most}");
    }

    #[test]
    fn an_item_without_sound_of_its_own_is_still_charged_when_it_is_never_told() {
        let mut listening = seconds(1);
        listening.committed_item(&"a".into());
        assert_eq!(listening.close(), Usd::from_micros(1));
        assert_eq!(listening.close(), Usd::ZERO);
    }
}

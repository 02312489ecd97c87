//! The model's sound that waits to be heard, in the carrier's format.

use std::collections::VecDeque;

/// The most that is kept, in bytes: ten minutes of it. What comes beyond is silence.
const MOST: usize = 10 * 60 * 8_000;

/// What waits, item by item.
#[derive(Default)]
pub(super) struct Mouth {
    items: VecDeque<Waiting>,
}

/// Sound of one item.
struct Waiting {
    item: u32,
    sound: Vec<u8>,
    /// So much of it was played; it is dropped now and then, and not with each piece.
    played: usize,
}

impl Mouth {
    /// More of an item.
    pub(super) fn put(&mut self, item: u32, sound: &[u8]) {
        if self.items.iter().map(Waiting::len).sum::<usize>() > MOST {
            return;
        }
        let known = self.items.iter_mut().find(|waiting| waiting.item == item);
        match known {
            Some(waiting) => waiting.sound.extend_from_slice(sound),
            None => self.items.push_back(Waiting {
                item,
                sound: sound.to_vec(),
                played: 0,
            }),
        }
    }

    /// Appends the next of an item to `piece`, as far as there is any. What came before that item is not heard any more.
    pub(super) fn play(&mut self, item: u32, want: usize, piece: &mut Vec<u8>) {
        while self.items.front().is_some_and(|front| front.item < item) {
            self.items.pop_front();
        }
        if let Some(front) = self.items.front_mut().filter(|front| front.item == item) {
            front.play(want, piece);
        }
    }

    /// Nothing of it will be heard.
    pub(super) fn clear(&mut self) {
        self.items.clear();
    }

    /// What it keeps in memory, in bytes.
    pub(super) fn memory(&self) -> usize {
        self.items
            .iter()
            .map(|waiting| waiting.sound.capacity())
            .sum()
    }
}

impl Waiting {
    fn len(&self) -> usize {
        self.sound.len() - self.played
    }

    fn play(&mut self, want: usize, piece: &mut Vec<u8>) {
        let until = self.played + want.min(self.len());
        piece.extend_from_slice(&self.sound[self.played..until]);
        self.played = until;
        // Moved once for each time that its length is played, not with every piece.
        if self.played * 2 > self.sound.len() {
            self.sound.drain(..self.played);
            self.played = 0;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn played(mouth: &mut Mouth, item: u32, want: usize) -> Vec<u8> {
        let mut piece = Vec::new();
        mouth.play(item, want, &mut piece);
        piece
    }

    #[test]
    fn what_was_put_in_comes_out_in_order_in_pieces_of_any_size() {
        let sound: Vec<u8> = (0..=255).cycle().take(10_000).collect();
        let mut mouth = Mouth::default();
        let mut heard = Vec::new();
        for (number, piece) in sound.chunks(700).enumerate() {
            mouth.put(1, piece);
            heard.extend(played(&mut mouth, 1, 100 * number));
        }
        heard.extend(played(&mut mouth, 1, 10_000));
        assert_eq!(heard, sound);
        assert!(played(&mut mouth, 1, 10).is_empty());
    }

    #[test]
    fn an_item_that_is_passed_over_is_forgotten() {
        let mut mouth = Mouth::default();
        mouth.put(1, &[1; 10]);
        mouth.put(2, &[2; 10]);
        assert_eq!(played(&mut mouth, 2, 4), [2; 4]);
        assert!(played(&mut mouth, 1, 4).is_empty());
        mouth.clear();
        assert_eq!(mouth.memory(), 0);
    }

    #[test]
    fn a_model_that_never_stops_fills_no_memory_without_end() {
        let mut mouth = Mouth::default();
        for _ in 0..MOST / 100_000 + 10 {
            mouth.put(1, &[0; 100_000]);
        }
        assert!(mouth.items[0].len() <= MOST + 100_000);
    }
}

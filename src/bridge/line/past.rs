//! The caller's last seconds, sent on or not.
//!
//! Kept in pieces of one size: a ring that grows as people talk and shrinks when they stop would leave holes of every size in the
//! memory of a server with hundreds of calls.

use std::collections::VecDeque;

/// Bytes in a piece: an eighth of a second.
const PIECE: usize = 1_000;

/// Pieces that are kept for what comes next: one is filled while the oldest is emptied, and at times the two change places.
const SPARE: usize = 2;

/// Sound in the order in which it came; the oldest is forgotten first.
#[derive(Default)]
pub(super) struct Past {
    /// The last of them may be empty: they were forgotten, and wait for what comes next.
    pieces: VecDeque<Box<[u8; PIECE]>>,
    /// Where in the first piece the oldest byte is.
    begin: usize,
    len: usize,
}

impl Past {
    /// More of it has come.
    pub(super) fn extend(&mut self, mut sound: &[u8]) {
        while !sound.is_empty() {
            let end = self.begin + self.len;
            if end == self.pieces.len() * PIECE {
                self.pieces.push_back(Box::new([0; PIECE]));
            }
            let Some(piece) = self.pieces.get_mut(end / PIECE) else {
                return;
            };
            let room = &mut piece[end % PIECE..];
            let (now, later) = sound.split_at(room.len().min(sound.len()));
            room[..now.len()].copy_from_slice(now);
            self.len += now.len();
            sound = later;
        }
    }

    /// Forgets all but the last so many bytes.
    pub(super) fn keep(&mut self, bytes: usize) {
        let surplus = self.len.saturating_sub(bytes);
        self.begin += surplus;
        self.len -= surplus;
        self.pieces.rotate_left(self.begin / PIECE);
        self.begin %= PIECE;
        self.pieces
            .truncate((self.begin + self.len).div_ceil(PIECE) + SPARE);
    }

    /// The last so many bytes, as far as there are so many, slice by slice.
    pub(super) fn last(&self, bytes: usize) -> impl Iterator<Item = &[u8]> {
        let end = self.begin + self.len;
        let mut from = end - bytes.min(self.len);
        std::iter::from_fn(move || {
            let piece = self.pieces.get(from / PIECE).filter(|_| from < end)?;
            let place = from % PIECE;
            let len = (PIECE - place).min(end - from);
            from += len;
            Some(&piece[place..place + len])
        })
    }

    /// What it keeps in memory, in bytes.
    pub(super) fn memory(&self) -> usize {
        self.pieces.len() * PIECE
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn what_is_remembered_is_the_end_of_what_came(
            steps in prop::collection::vec((0..3_000_usize, 0..6_000_usize, 0..4_000_usize), 1..20),
        ) {
            let mut past = Past::default();
            let mut all: Vec<u8> = Vec::new();
            let mut byte = 0_u8;
            for (came, kept, wanted) in steps {
                let sound: Vec<u8> = (0..came).map(|_| { byte = byte.wrapping_add(7); byte }).collect();
                past.extend(&sound);
                all.extend(&sound);
                past.keep(kept);
                all.drain(..all.len().saturating_sub(kept));
                let last: Vec<u8> = past.last(wanted).flatten().copied().collect();
                prop_assert_eq!(&last[..], &all[all.len() - wanted.min(all.len())..]);
                prop_assert!(past.memory() <= all.len() + 4 * PIECE);
            }
        }
    }
}
